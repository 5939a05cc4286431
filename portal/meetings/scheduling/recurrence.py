"""From "Mondays 8:00, Thursdays 9:15, until 18 December" to dates, and from dates to meetings at Zoom. Pure.

Zoom repeats a meeting at one time of day, on chosen weekdays, for at most 50 dates; days without class cannot
be left out when it is made. So dates are grouped by time and length, cut into blocks that Zoom can repeat, and
the days without class inside a block (`Block.holes`) are deleted there afterwards.
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
    """A class on one day: aware UTC start, length in minutes. `moved_from` is its usual start, where it differs."""

    starts_at: datetime
    minutes: int
    moved_from: datetime | None = None

    @property
    def ends_at(self) -> datetime:
        return self.starts_at + timedelta(minutes=self.minutes)

    @property
    def pattern(self) -> datetime:
        """The start that the weekly rhythm gives it."""
        return self.moved_from or self.starts_at


@dataclass(frozen=True)
class SkippedDate:
    """A day of the rhythm without class, and why: a holiday's name, or empty where a person left it out."""

    starts_at: datetime
    name: str


@dataclass(frozen=True)
class WeeklyRule:
    """A weekly rhythm: weekday (1 is Monday) to (start on the clock in Manila, minutes).

    Ends with the day `until` or after `dates` classes; exactly one of the two.
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
    """The dates of a rhythm, in order.

    `off` names the days without class. `exceptions` are what a person said of single days: another time, or
    None for no class. A class that is over at `now` is left out. Days off do not count towards `rule.dates`.
    """
    exceptions = exceptions or {}
    slots: list[TimeSlot] = []
    skipped: list[SkippedDate] = []
    for day in _days(rule):
        start, minutes = rule.times[day.isoweekday()]
        usual = clock.from_manila(day, start)
        if now is not None and usual + timedelta(minutes=minutes) <= now:
            continue
        if day in off:
            skipped.append(SkippedDate(usual, off[day]))
            continue
        if day in exceptions and exceptions[day] is None:
            skipped.append(SkippedDate(usual, ""))
            continue
        at = exceptions.get(day)
        moved = clock.from_manila(day, at) if at is not None and at != start else None
        slots.append(TimeSlot(moved or usual, minutes, usual if moved else None))
        if len(slots) == (rule.dates or MAX_DATES):
            break
    last = slots[-1].pattern if slots else None
    return RuleExpansion(
        tuple(slots), tuple(one for one in skipped if rule.until or last is None or one.starts_at < last)
    )


def _days(rule: WeeklyRule) -> Iterator[date]:
    last = min(rule.until or date.max, rule.first + MAX_SPAN)
    day = rule.first
    while day <= last:
        if day.isoweekday() in rule.times:
            yield day
        day += timedelta(days=1)


@dataclass(frozen=True)
class MeetingBlock:
    """What one meeting at Zoom holds: classes of one time and length, on `weekdays`, within 50 dates of the rhythm."""

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
        """Every start that Zoom makes of it, days without class included."""
        return weekly_starts(self.starts_at, self.weekdays, until=self.slots[-1].pattern)

    @property
    def holes(self) -> list[datetime]:
        """The starts that Zoom makes and nobody wants."""
        moments = {slot.pattern for slot in self.slots}
        return [start for start in self.pattern if start not in moments]


def split_into_meetings(slots: Sequence[TimeSlot]) -> list[MeetingBlock]:
    """As few meetings as the times and Zoom's 50 dates need, ordered by their first date."""
    groups: dict[tuple[time, int], list[TimeSlot]] = {}
    for slot in slots:
        groups.setdefault((clock.to_manila(slot.pattern).time(), slot.minutes), []).append(slot)
    meeting_blocks = [block for group in groups.values() for block in _cut(group)]
    return sorted(meeting_blocks, key=lambda block: block.starts_at)


def _cut(group: list[TimeSlot]) -> Iterator[MeetingBlock]:
    """Blocks that begin and end with a class: days off at the edges need no room in a block."""
    weekdays = tuple(sorted({clock.to_manila(slot.pattern).isoweekday() for slot in group}))
    rest = group
    while rest:
        reach = set(weekly_starts(rest[0].pattern, weekdays, dates=MAX_OCCURRENCES))
        size = next((place for place, slot in enumerate(rest) if slot.pattern not in reach), len(rest))
        taken, rest = tuple(rest[:size]), rest[size:]
        yield MeetingBlock(taken, tuple(sorted({clock.to_manila(slot.pattern).isoweekday() for slot in taken})))


def weekly_starts(
    first: datetime, weekdays: Sequence[int], *, dates: int | None = None, until: datetime | None = None
) -> list[datetime]:
    """The starts that a weekly repetition makes from `first` on, `dates` of them or up to `until`.

    The wall clock in Manila stays; weekdays are 1 (Monday) to 7.
    """
    local = clock.to_manila(first)
    moments: list[datetime] = []
    day = local.date()
    while (dates is None or len(moments) < dates) and (until is None or day <= clock.to_manila(until).date()):
        if day.isoweekday() in weekdays:
            moments.append(clock.from_manila(day, local.time()))
        day += timedelta(days=1)
    return moments
