"""Arithmetic on stretches of time: what they cover together, and for how long.

An interval runs from its start up to, not including, its end. One whose end is not after its start covers
nothing, and every function here lets it pass as nothing.
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
        for side in ("start", "end"):
            moment: datetime = getattr(self, side)
            if moment.tzinfo is None:
                raise ValueError(f"{side} of an interval has no time zone: {moment}")
            if moment.tzinfo is not UTC:
                object.__setattr__(self, side, moment.astimezone(UTC))


def union(intervals: Iterable[Interval]) -> tuple[Interval, ...]:
    """The same time as sorted intervals that neither touch nor overlap."""
    listed = sorted(intervals)
    if len(listed) == 1 and listed[0].start < listed[0].end:  # as with most learners
        return tuple(listed)
    merged: list[Interval] = []
    for interval in listed:
        if interval.end <= interval.start:
            continue
        if merged and interval.start <= merged[-1].end:
            merged[-1] = Interval(merged[-1].start, max(merged[-1].end, interval.end))
        else:
            merged.append(interval)
    return tuple(merged)


def subtract(intervals: Iterable[Interval], away: Iterable[Interval]) -> tuple[Interval, ...]:
    """The time in `intervals` that is not in `away`, as `union` gives it."""
    gone = union(away)
    if not gone:
        return union(intervals)
    left: list[Interval] = []
    for interval in union(intervals):
        start = interval.start
        for hole in gone:
            if hole.end <= start or hole.start >= interval.end:
                continue
            if hole.start > start:
                left.append(Interval(start, hole.start))
            start = hole.end
        if start < interval.end:
            left.append(Interval(start, interval.end))
    return tuple(left)


def total_seconds(intervals: Iterable[Interval]) -> int:
    """Whole seconds covered, each moment counted once; a fraction of a second in the total is dropped."""
    total = sum((interval.end - interval.start for interval in union(intervals)), timedelta())
    return total // _SECOND
