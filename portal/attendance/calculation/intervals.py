"""Interval arithmetic on half-open time intervals: union, difference, total length.

An interval includes its start and excludes its end. One whose end is not after its start is empty; all functions
here accept and ignore it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, order=True)
class Interval:
    """From `start` up to `end`, aware datetimes; both are kept in UTC.

    UTC because Python subtracts two datetimes of one zone by their wall clocks, an hour off over a
    change to summer time. Raises ValueError for a datetime without a zone.
    """

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        for bound in ("start", "end"):
            moment: datetime = getattr(self, bound)
            if moment.tzinfo is None:
                raise ValueError(f"{bound} of an interval has no time zone: {moment}")
            if moment.tzinfo is not UTC:
                object.__setattr__(self, bound, moment.astimezone(UTC))


def union(intervals: Iterable[Interval]) -> tuple[Interval, ...]:
    """The union as sorted intervals that neither touch nor overlap."""
    sorted_intervals = sorted(intervals)
    if len(sorted_intervals) == 1 and sorted_intervals[0].start < sorted_intervals[0].end:  # as with most learners
        return tuple(sorted_intervals)
    merged: list[Interval] = []
    for interval in sorted_intervals:
        if interval.end <= interval.start:
            continue
        if merged and interval.start <= merged[-1].end:
            merged[-1] = Interval(merged[-1].start, max(merged[-1].end, interval.end))
        else:
            merged.append(interval)
    return tuple(merged)


def subtract(intervals: Iterable[Interval], removals: Iterable[Interval]) -> tuple[Interval, ...]:
    """The difference: the time in `intervals` that is not in `away`, in the form of `union`."""
    removed = union(removals)
    if not removed:
        return union(intervals)
    remaining: list[Interval] = []
    for interval in union(intervals):
        start = interval.start
        for removed_interval in removed:
            if removed_interval.end <= start or removed_interval.start >= interval.end:
                continue
            if removed_interval.start > start:
                remaining.append(Interval(start, removed_interval.start))
            start = removed_interval.end
        if start < interval.end:
            remaining.append(Interval(start, interval.end))
    return tuple(remaining)


def total_seconds(intervals: Iterable[Interval]) -> int:
    """Whole seconds covered, overlaps counted once; a fraction of a second in the total is dropped."""
    total = sum((interval.end - interval.start for interval in union(intervals)), timedelta())
    return total // _SECOND
