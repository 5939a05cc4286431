"""Recurrence: expands a weekly rule ("Mondays 8:00, Thursdays 9:15, until 18 December") to dates, and splits the dates
into meetings at Zoom. Pure.

Zoom repeats a meeting at one time of day, on chosen weekdays, for at most 50 dates, and cannot leave out days
when it creates them. So dates are grouped by time and length and split into blocks that Zoom can repeat; days
without class inside a block (`MeetingBlock.holes`) are deleted at Zoom afterwards.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from portal.core import clock
from portal.zoom.models import MAX_OCCURRENCES

MAX_DATES = 300  # a school year has at most 220 class days (Republic Act 11480)
MAX_SPAN = timedelta(days=366)


@dataclass(frozen=True)
class TimeSlot:
    """A class on one day: aware UTC start, length in minutes. `moved_from` is its regular start, if that differs."""

    starts_at: datetime
    minutes: int
    moved_from: datetime | None = None

    @property
    def ends_at(self) -> datetime:
        return self.starts_at + timedelta(minutes=self.minutes)

    @property
    def pattern(self) -> datetime:
        """The start by the weekly rule."""
        return self.moved_from or self.starts_at


@dataclass(frozen=True)
class SkippedDate:
    """A date of the rule without class: `name` is the holiday's, or empty where a person left the date out."""

    starts_at: datetime
    name: str


@dataclass(frozen=True)
class WeeklyRule:
    """A weekly rule: weekday (1 is Monday) to (start in Manila time, minutes).

    It ends on the day `until` or after `dates` classes; exactly one of the two is set.
    """

    times: Mapping[int, tuple[time, int]]
    first: date
    until: date | None = None
    dates: int | None = None

    def __post_init__(self) -> None:
        if not self.times:
            raise ValueError("a rhythm has a weekday at least")
        if (self.until is None) == (self.dates is None):
            raise ValueError("a rhythm ends with a day or after a number of dates")


@dataclass(frozen=True)
class RuleExpansion:
    slots: tuple[TimeSlot, ...]
    skipped: tuple[SkippedDate, ...]


def expand_weekly_rule(
    rule: WeeklyRule,
    *,
    off: Mapping[date, str],
    exceptions: Mapping[date, time | None] | None = None,
    now: datetime | None = None,
) -> RuleExpansion:
    """The dates of a weekly rule, in order.

    `off` names the days without class. `exceptions` override single days: another time, or None for no class. A
    class that is over at `now` is left out. Days off do not count towards `rule.dates`.
    """
    exceptions = exceptions or {}
    slots: list[TimeSlot] = []
    skipped: list[SkippedDate] = []
    for day in _rule_days(rule):
        start, minutes = rule.times[day.isoweekday()]
        regular_start = clock.from_manila(day, start)
        if now is not None and regular_start + timedelta(minutes=minutes) <= now:
            continue
        if day in off:
            skipped.append(SkippedDate(regular_start, off[day]))
            continue
        if day in exceptions and exceptions[day] is None:
            skipped.append(SkippedDate(regular_start, ""))
            continue
        exception_start = exceptions.get(day)
        moved_start = (
            clock.from_manila(day, exception_start)
            if exception_start is not None and exception_start != start
            else None
        )
        slots.append(TimeSlot(moved_start or regular_start, minutes, regular_start if moved_start else None))
        if len(slots) == (rule.dates or MAX_DATES):
            break
    last_regular_start = slots[-1].pattern if slots else None
    return RuleExpansion(
        tuple(slots),
        tuple(
            skipped_date
            for skipped_date in skipped
            if rule.until or last_regular_start is None or skipped_date.starts_at < last_regular_start
        ),
    )


def _rule_days(rule: WeeklyRule) -> Iterator[date]:
    last_day = min(rule.until or date.max, rule.first + MAX_SPAN)
    day = rule.first
    while day <= last_day:
        if day.isoweekday() in rule.times:
            yield day
        day += timedelta(days=1)


@dataclass(frozen=True)
class MeetingBlock:
    """One meeting at Zoom: classes of one time and length, on `weekdays`, within 50 dates of the rule."""

    slots: tuple[TimeSlot, ...]
    weekdays: tuple[int, ...]

    @property
    def starts_at(self) -> datetime:
        return self.slots[0].pattern

    @property
    def minutes(self) -> int:
        return self.slots[0].minutes

    @property
    def is_single(self) -> bool:
        return len(self.slots) == 1

    @property
    def pattern(self) -> list[datetime]:
        """Every start that Zoom creates for it, days without class included."""
        return weekly_starts(self.starts_at, self.weekdays, until=self.slots[-1].pattern)

    @property
    def holes(self) -> list[datetime]:
        """The starts that Zoom creates and the schedule does not have."""
        moments = {slot.pattern for slot in self.slots}
        return [start for start in self.pattern if start not in moments]


def split_into_meetings(slots: Sequence[TimeSlot]) -> list[MeetingBlock]:
    """As few meetings as the times and Zoom's limit of 50 dates allow, ordered by their first date."""
    groups: dict[tuple[time, int], list[TimeSlot]] = {}
    for slot in slots:
        groups.setdefault((clock.to_manila(slot.pattern).time(), slot.minutes), []).append(slot)
    meeting_blocks = [block for group in groups.values() for block in _split_group(group)]
    return sorted(meeting_blocks, key=lambda block: block.starts_at)


def _split_group(group: list[TimeSlot]) -> Iterator[MeetingBlock]:
    """Split into blocks that begin and end with a class: days off at the edges do not use up a block's dates."""
    weekdays = tuple(sorted({clock.to_manila(slot.pattern).isoweekday() for slot in group}))
    remaining = group
    while remaining:
        block_starts = set(weekly_starts(remaining[0].pattern, weekdays, dates=MAX_OCCURRENCES))
        size = next((index for index, slot in enumerate(remaining) if slot.pattern not in block_starts), len(remaining))
        block_slots, remaining = tuple(remaining[:size]), remaining[size:]
        yield MeetingBlock(
            block_slots, tuple(sorted({clock.to_manila(slot.pattern).isoweekday() for slot in block_slots}))
        )


def weekly_starts(
    first: datetime, weekdays: Sequence[int], *, dates: int | None = None, until: datetime | None = None
) -> list[datetime]:
    """The starts of a weekly repetition from `first` on, `dates` of them or up to `until`.

    The time in Manila stays the same; weekdays are 1 (Monday) to 7.
    """
    local = clock.to_manila(first)
    moments: list[datetime] = []
    day = local.date()
    while (dates is None or len(moments) < dates) and (until is None or day <= clock.to_manila(until).date()):
        if day.isoweekday() in weekdays:
            moments.append(clock.from_manila(day, local.time()))
        day += timedelta(days=1)
    return moments
