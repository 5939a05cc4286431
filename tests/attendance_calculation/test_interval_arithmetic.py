"""Stretches of time, held against a count of every single second."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.attendance.calculation.intervals import (
    Interval,
    subtract,
    total_seconds,
    union,
)

EIGHT = datetime(2026, 11, 3, 0, 0, tzinfo=UTC)


def between(start: float, end: float) -> Interval:
    return Interval(EIGHT + timedelta(seconds=start), EIGHT + timedelta(seconds=end))


def ticks(pairs):
    return {tick for start, end in pairs for tick in range(start, end)}


pairs = st.lists(st.tuples(st.integers(0, 200), st.integers(0, 200)), max_size=12)


@given(pairs)
def test_the_union_lasts_as_long_as_the_seconds_that_anything_covers(spans):
    assert total_seconds(between(*span) for span in spans) == len(ticks(spans))


@given(pairs, pairs)
def test_what_is_taken_away_is_counted_second_by_second(spans, away):
    left = subtract([between(*span) for span in spans], [between(*span) for span in away])
    assert total_seconds(left) == len(ticks(spans) - ticks(away))
    assert left == union(left)


@given(pairs, st.randoms(use_true_random=False))
def test_the_union_is_the_same_in_any_order_and_with_repeats(spans, random):
    intervals = [between(*span) for span in spans]
    shuffled = intervals + intervals[:3]
    random.shuffle(shuffled)
    assert union(shuffled) == union(intervals)


@given(pairs)
def test_united_intervals_are_sorted_and_neither_touch_nor_overlap(spans):
    united = union(between(*span) for span in spans)
    assert all(before.end < after.start for before, after in pairwise(united))


def test_touching_intervals_become_one():
    assert union([between(0, 10), between(10, 20)]) == (between(0, 20),)


@pytest.mark.parametrize("end", [0, -1, -3600])
def test_an_interval_that_ends_no_later_than_it_starts_covers_nothing(end):
    assert union([between(0, end)]) == ()
    assert total_seconds([between(0, end), between(10, 20)]) == 10


def test_a_fraction_is_dropped_from_the_total_and_not_from_each_piece():
    assert total_seconds([between(0, 0.6), between(1, 1.6)]) == 1
    assert total_seconds([between(0, 0.999)]) == 0


def test_a_change_to_winter_time_does_not_swallow_an_hour():
    new_york = ZoneInfo("America/New_York")
    before = datetime(2026, 11, 1, 0, 30, tzinfo=new_york)
    after = datetime(2026, 11, 1, 3, 30, tzinfo=new_york)
    assert total_seconds([Interval(before, after)]) == 4 * 3600


def test_a_time_without_a_zone_is_refused():
    with pytest.raises(ValueError, match="no time zone"):
        Interval(EIGHT.replace(tzinfo=None), EIGHT)
