"""From a weekly rhythm to dates, and from dates to what Zoom can repeat."""

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.core import clock
from portal.meetings.models import CalendarDay
from portal.meetings.scheduling.recurrence import (
    TimeSlot,
    WeeklyRule,
    expand_weekly_rule,
    split_into_meetings,
)
from portal.meetings.school_calendar.national_holidays import NATIONAL_HOLIDAYS
from portal.meetings.school_calendar.service import merge_calendar_days
from portal.sandbox.simulation import recurrence
from portal.zoom.models import Recurrence

DECEMBER = {day: name for day, name in NATIONAL_HOLIDAYS.items() if day.month == 12}


def days(slots: tuple[TimeSlot, ...]) -> list[str]:
    return [clock.to_manila(slot.starts_at).strftime("%a %d %b %H:%M") for slot in slots]


def test_each_weekday_has_its_own_time_and_holidays_are_left_out() -> None:
    rule = WeeklyRule({1: (time(8), 60), 2: (time(9, 15), 45)}, date(2026, 11, 24), until=date(2026, 12, 8))
    found = expand_weekly_rule(rule, off=NATIONAL_HOLIDAYS)
    assert days(found.slots) == ["Tue 24 Nov 09:15", "Tue 01 Dec 09:15", "Mon 07 Dec 08:00"]
    assert [one.name for one in found.skipped] == ["Bonifacio Day", "Feast of the Immaculate Conception"]


def test_a_number_of_classes_counts_only_classes() -> None:
    rule = WeeklyRule({1: (time(8), 60)}, date(2026, 11, 23), dates=3)
    found = expand_weekly_rule(rule, off=NATIONAL_HOLIDAYS)
    assert days(found.slots) == ["Mon 23 Nov 08:00", "Mon 07 Dec 08:00", "Mon 14 Dec 08:00"]
    assert [one.name for one in found.skipped] == ["Bonifacio Day"]


def test_single_days_may_be_moved_or_left_out() -> None:
    rule = WeeklyRule({3: (time(8), 60)}, date(2027, 1, 13), dates=2)
    said = {date(2027, 1, 13): time(10), date(2027, 1, 20): None}
    found = expand_weekly_rule(rule, off={}, exceptions=said)
    assert days(found.slots) == ["Wed 13 Jan 10:00", "Wed 27 Jan 08:00"]
    assert found.slots[0].moved_from == clock.from_manila(date(2027, 1, 13), time(8))


def test_a_class_that_is_over_is_left_out() -> None:
    rule = WeeklyRule({1: (time(8), 60)}, date(2026, 11, 23), dates=1)
    after = clock.from_manila(date(2026, 11, 23), time(9))
    assert days(expand_weekly_rule(rule, off={}, now=after).slots) == ["Mon 30 Nov 08:00"]


def test_a_term_of_five_days_a_week_needs_two_meetings() -> None:
    """Zoom repeats a meeting at most 50 times."""
    rule = WeeklyRule({day: (time(8), 50) for day in range(1, 6)}, date(2026, 9, 16), until=date(2026, 12, 18))
    found = split_into_meetings(expand_weekly_rule(rule, off=NATIONAL_HOLIDAYS).slots)
    assert [len(block.pattern) for block in found] == [50, 18]
    assert sum(len(block.slots) for block in found) == 68 - 3, "2 and 30 November and 8 December"


def test_each_time_of_day_is_a_meeting_of_its_own() -> None:
    rule = WeeklyRule({1: (time(8), 60), 3: (time(8), 60), 4: (time(13), 60)}, date(2027, 1, 4), dates=6)
    found = split_into_meetings(expand_weekly_rule(rule, off={}).slots)
    assert [(block.weekdays, len(block.slots)) for block in found] == [((1, 3), 4), ((4,), 2)]


def test_the_narrower_place_decides_about_a_day() -> None:
    def row(scope: str, kind: str, name: str) -> CalendarDay:
        return CalendarDay(date=date(2026, 11, 30), scope=scope, kind=kind, name=name, created_at=clock.now())

    holiday = {date(2026, 11, 30): "Bonifacio Day"}
    assert merge_calendar_days(holiday, [row("school", "class", "Make-up class")]) == {}
    typhoon = [row("section", "suspended", "Typhoon"), row("school", "class", "Make-up class")]
    assert merge_calendar_days(holiday, typhoon) == {date(2026, 11, 30): "Typhoon"}


@pytest.mark.parametrize("wrong", [{}, {"until": date(2027, 1, 1), "dates": 3}])
def test_a_rhythm_ends_one_way(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        WeeklyRule({1: (time(8), 60)}, date(2026, 11, 23), **wrong)  # type: ignore[arg-type]


times = st.tuples(
    st.times(time(6), time(18)).map(lambda at: at.replace(second=0, microsecond=0)), st.sampled_from([45, 50, 60])
)
rhythms = st.dictionaries(st.integers(1, 7), times, min_size=1)
firsts = st.dates(date(2026, 6, 1), date(2027, 6, 1))
some_days = st.dictionaries(st.dates(date(2026, 6, 1), date(2028, 6, 1)), st.just("No class"), max_size=60)


@given(rhythm=rhythms, first=firsts, length=st.integers(0, 360), off=some_days)
def test_every_day_of_the_rhythm_is_a_class_or_a_day_off(
    rhythm: dict[int, tuple[time, int]], first: date, length: int, off: dict[date, str]
) -> None:
    last = first + timedelta(days=length)
    found = expand_weekly_rule(WeeklyRule(rhythm, first, until=last), off=off)
    every = [first + timedelta(days=n) for n in range(length + 1)]
    wanted = [day for day in every if day.isoweekday() in rhythm and day not in off][:300]
    assert [clock.to_manila(slot.starts_at).date() for slot in found.slots] == wanted
    assert all(
        (clock.to_manila(s.starts_at).time(), s.minutes) == rhythm[clock.to_manila(s.starts_at).isoweekday()]
        for s in found.slots
    )
    if len(wanted) < 300:
        assert len(found.slots) + len(found.skipped) == sum(day.isoweekday() in rhythm for day in every)


@given(rhythm=rhythms, first=firsts, count=st.integers(1, 120), off=some_days)
def test_blocks_hold_every_class_once_and_zoom_makes_exactly_their_pattern(
    rhythm: dict[int, tuple[time, int]], first: date, count: int, off: dict[date, str]
) -> None:
    slots = expand_weekly_rule(WeeklyRule(rhythm, first, dates=count), off=off).slots
    made = split_into_meetings(slots)
    assert sorted((slot for block in made for slot in block.slots), key=lambda s: s.starts_at) == sorted(
        slots, key=lambda s: s.starts_at
    )
    for block in made:
        assert 1 <= len(block.pattern) <= 50
        assert len({(clock.to_manila(slot.starts_at).time(), slot.minutes) for slot in block.slots}) == 1
        assert sorted([*block.holes, *(slot.pattern for slot in block.slots)]) == block.pattern
        assert at_zoom(block.starts_at, block.weekdays, len(block.pattern)) == block.pattern


def at_zoom(first: datetime, weekdays: tuple[int, ...], number: int) -> list[datetime]:
    """What the pretend Zoom makes of it."""
    rule = Recurrence(weekly_days=tuple(day % 7 + 1 for day in weekdays), end_times=number)
    return recurrence.recurrence_starts(rule.payload(), first, ZoneInfo("Asia/Manila"))


@given(rhythm=rhythms, first=firsts, off=some_days)
def test_no_meeting_is_made_that_is_not_needed(
    rhythm: dict[int, tuple[time, int]], first: date, off: dict[date, str]
) -> None:
    """With at most 50 days of one time within the span, one meeting is enough."""
    slots = expand_weekly_rule(WeeklyRule(rhythm, first, until=first + timedelta(days=48)), off=off).slots
    assert len(split_into_meetings(slots)) == len(
        {(clock.to_manila(slot.starts_at).time(), slot.minutes) for slot in slots}
    )
