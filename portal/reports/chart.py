"""Geometry of a line chart for an SVG: no script, printable; the table below the chart has the same numbers."""

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True)
class ChartPoint:
    day: date
    rate: float | None
    x: float
    y: float


@dataclass(frozen=True)
class LineChart:
    """Everything the template macro needs: viewBox size, grid lines (y, label), points, and the path of the line."""

    width: int
    height: int
    left: int
    right: int
    grid: tuple[tuple[float, str], ...]
    points: tuple[ChartPoint, ...]
    path: str
    label_every: int


def line_chart(weeks: list[tuple[date, float | None]], *, width: int, height: int) -> LineChart:
    """Scale weekly rates (0 to 1) to a canvas. The scale starts at the multiple of ten percent below the lowest rate; a
    week without class interrupts the line."""
    left, right, top, bottom = 38, width - 46, 14, height - 28
    rates = [rate for _, rate in weeks if rate is not None]
    lowest = max(0, int(min(rates, default=0.8) * 10) / 10 - (0.1 if min(rates, default=1) >= 0.999 else 0))
    span = 1 - lowest or 1
    step = (right - left) / max(1, len(weeks) - 1)

    def y_of(rate: float) -> float:
        return round(bottom - (rate - lowest) / span * (bottom - top), 1)

    points = tuple(
        ChartPoint(day, rate, round(left + index * step, 1), y_of(rate) if rate is not None else (top + bottom) / 2)
        for index, (day, rate) in enumerate(weeks)
    )
    grid_count = 5
    grid = tuple(
        (y_of(lowest + span * index / (grid_count - 1)), f"{round((lowest + span * index / (grid_count - 1)) * 100)}%")
        for index in range(grid_count)
    )
    return LineChart(width, height, left, right, grid, points, _path(points), max(1, -(-len(weeks) * 60 // width)))


def _path(points: tuple[ChartPoint, ...]) -> str:
    parts, pen_down = [], False
    for point in points:
        if point.rate is None:
            pen_down = False
            continue
        parts.append(f"{'L' if pen_down else 'M'}{point.x} {point.y}")
        pen_down = True
    return "".join(parts)
