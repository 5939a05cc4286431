"""School Form 2 worked out: an example calculated by hand, and what holds whatever the class."""

from datetime import date, timedelta
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portal.reports.sf2 import calculation as sf2_calculation
from portal.reports.sf2 import queries as sf2_queries
from portal.reports.sf2.calculation import EnrolmentPeriod, RecordDay
from tests.examples import count_examples

JUNE = date(2026, 6, 8)
CUT_OFF = date(2026, 6, 12)
Register = dict[tuple[str, date], RecordDay]


def rates(summary: sf2_calculation.Sf2Summary) -> tuple[Fraction | None, Fraction | None, Fraction | None]:
    """Average daily attendance, percentage of attendance, percentage of enrolment."""
    return summary.average_daily_attendance, summary.attendance_rate, summary.enrolment_rate


def november(*days: int) -> list[date]:
    return [date(2026, 11, day) for day in days]


def everybody(learners: list[EnrolmentPeriod], days: list[date], absences: dict[str, list[date]]) -> Register:
    """All present on all days, but for the absences."""
    return {
        (one.key, day): RecordDay("absent" if day in absences.get(one.key, []) else "present")
        for one in learners
        for day in days
    }


def test_a_month_calculated_by_hand() -> None:
    """Ten class days in November. Three boys: Abad misses 2 days; Basa misses all of 9 to 13, five in a row; Cruz goes
    to another school after the 6th (5 days in, 5 not). Two girls: Diaz misses none; Esteban came on the 9th.

    Boys present a day: the 3rd to the 6th 3, but Abad is away on the 3rd and 4th: 2+2+3+3, the 2nd 3: 13 in the
    first week; 9 to 13 only Abad: 5. Together 18 over 10 days, so 1.8 a day of 2 registered: 90 %.
    Girls: Diaz 10, Esteban 5: 15, 1.5 a day of 2 registered: 75 %. Together 33, 3.3 of 4: 82.5 %.
    """
    days = november(2, 3, 4, 5, 6, 9, 10, 11, 12, 13)
    learners = [
        EnrolmentPeriod("abad", "ABAD", "M", JUNE),
        EnrolmentPeriod("basa", "BASA", "M", JUNE),
        EnrolmentPeriod("cruz", "CRUZ", "M", JUNE, date(2026, 11, 6), left_by="T/O", detail="Laoag Central"),
        EnrolmentPeriod("diaz", "DIAZ", "F", JUNE),
        EnrolmentPeriod("esteban", "ESTEBAN", "F", date(2026, 11, 9), entry_reason="LE"),
    ]
    register = everybody(learners, days, {"abad": november(3, 4), "basa": november(9, 10, 11, 12, 13)})
    register["abad", date(2026, 11, 9)] = RecordDay("present", "late")
    form = sf2_calculation.compute_sf2(
        *sf2_calculation.days_of_month(2026, 11),
        class_days=days,
        before=[],
        learners=learners,
        register=register,
        cut_off=CUT_OFF,
    )
    assert [(line.absent, line.present) for line in form.lines] == [(2, 8), (5, 5), (0, 5), (0, 10), (0, 5)]
    assert [form.per_day["M", day] for day in days] == [3, 2, 2, 3, 3, 1, 1, 1, 1, 1]
    male, female, both = form.male, form.female, form.both
    assert (male.enrolment, male.late, male.registered, male.attendance) == (3, 0, 2, 18)
    assert rates(male) == (
        Fraction("1.8"),
        Fraction("0.9"),
        Fraction(2, 3),
    )
    assert (male.absent_in_a_row, male.transferred_out, male.left) == (1, 1, 0)
    assert (female.enrolment, female.late, female.registered) == (1, 1, 2)
    assert rates(female) == (
        Fraction("1.5"),
        Fraction("0.75"),
        2,
    )
    assert (both.attendance, both.average_daily_attendance, both.attendance_rate) == (
        33,
        Fraction("3.3"),
        Fraction("0.825"),
    )
    assert sf2_calculation.find_enrolment_discrepancy(4, both) == 0
    assert form.lines[0].tardies == 1
    assert form.lines[2].remarks == (("T/O", date(2026, 11, 6), "Laoag Central"),)
    assert form.lines[2].cells[date(2026, 11, 9)] == "-"


@pytest.mark.parametrize(
    ("absent", "counted"),
    [
        (["10-30", "11-03", "11-04", "11-05", "11-06"], 1),  # over the holidays of 1 and 2 November
        (["10-26", "10-27", "10-28", "10-29", "10-30"], 0),  # ended last month
        (["11-03", "11-04", "11-05", "11-06"], 0),
        (["11-03", "11-04", "11-06", "11-09", "11-10"], 0),  # present on the 5th
        (["11-04", "11-05", "11-06", "11-09", "11-10", "11-11"], 1),
    ],
)
def test_five_class_days_in_a_row(absent: list[str], counted: int) -> None:
    before = [date(2026, 10, day) for day in (26, 27, 28, 29, 30)]
    days = november(3, 4, 5, 6, 9, 10, 11)
    learner = EnrolmentPeriod("a", "A", "F", JUNE)
    away = [date.fromisoformat(f"2026-{day}") for day in absent]
    form = sf2_calculation.compute_sf2(
        *sf2_calculation.days_of_month(2026, 11), class_days=days, before=before, learners=[learner],
        register=everybody([learner], [*before, *days], {"a": away}), cut_off=CUT_OFF,
    )  # fmt: skip
    assert form.female.absent_in_a_row == counted


def test_who_transfers_in_is_no_late_enrolment() -> None:
    came = [
        EnrolmentPeriod("a", "A", "M", date(2026, 11, 9), entry_reason="T/I"),
        EnrolmentPeriod("b", "B", "M", date(2026, 11, 9)),
    ]
    form = sf2_calculation.compute_sf2(
        *sf2_calculation.days_of_month(2026, 11), class_days=[], before=[], learners=came, register={}, cut_off=CUT_OFF
    )
    assert (form.male.late, form.male.transferred_in, form.male.registered) == (1, 1, 2)


def test_dropped_out_is_no_longer_in_school_and_no_transfer() -> None:
    gone = [
        EnrolmentPeriod("a", "A", "F", JUNE, date(2026, 11, 9), left_by="DRP", detail="b.1 Illness"),
        EnrolmentPeriod("b", "B", "F", JUNE, date(2026, 11, 9), left_by="NLS"),
        EnrolmentPeriod("c", "C", "F", JUNE, date(2026, 11, 9), left_by="moved"),
    ]
    form = sf2_calculation.compute_sf2(
        *sf2_calculation.days_of_month(2026, 11), class_days=[], before=[], learners=gone, register={}, cut_off=CUT_OFF
    )
    assert (form.female.left, form.female.transferred_out, form.female.registered) == (2, 0, 0)
    assert sf2_calculation.find_enrolment_discrepancy(3, form.both) == -1, (
        "the move between sections has no line of its own"
    )


def test_a_month_without_class_divides_by_nothing() -> None:
    form = sf2_calculation.compute_sf2(
        *sf2_calculation.days_of_month(2026, 11), class_days=[], before=[], learners=[], register={}, cut_off=CUT_OFF
    )
    assert rates(form.both) == (
        None,
        None,
        None,
    )


def test_what_nobody_knows_is_open_and_never_absent() -> None:
    learner = EnrolmentPeriod("a", "A", "M", JUNE)
    days = november(3, 4, 5, 6, 9)
    form = sf2_calculation.compute_sf2(
        *sf2_calculation.days_of_month(2026, 11),
        class_days=days,
        before=[],
        learners=[learner],
        register={},
        cut_off=CUT_OFF,
    )
    assert (form.lines[0].absent, form.lines[0].open, form.male.absent_in_a_row) == (0, tuple(days), 0)


@pytest.mark.parametrize(
    ("year", "month", "first", "dates"),
    [(2026, 11, 0, 21), (2027, 2, 0, 20), (2026, 8, 0, 21), (2026, 7, 2, 23), (2027, 1, 4, 21), (2026, 6, 0, 22)],
)
def test_weekdays_stand_in_their_own_columns(year: int, month: int, first: int, dates: int) -> None:
    slots = sf2_calculation.assign_day_columns(*sf2_calculation.days_of_month(year, month))
    assert len(slots) == 25
    assert sum(day is not None for day in slots) == dates
    assert next(at for at, day in enumerate(slots) if day) == first
    assert all(day is None or day.weekday() == at % 5 for at, day in enumerate(slots))


@given(st.dates(date(2020, 1, 1), date(2035, 12, 31)))
def test_five_weeks_hold_every_weekday_of_any_month(day: date) -> None:
    first, last = sf2_calculation.days_of_month(day.year, day.month)
    weekdays = [first + timedelta(n) for n in range((last - first).days + 1)]
    held = [one for one in sf2_calculation.assign_day_columns(first, last) if one]
    assert held == [one for one in weekdays if one.weekday() < 5]


def test_the_cut_off_is_the_first_friday_of_classes() -> None:
    assert sf2_queries.first_friday_of_year("2026-2027") == date(2026, 6, 12)
    assert sf2_queries.first_friday_of_year("2025-2026") == date(2025, 6, 20)
    assert sf2_queries.first_friday_of_year("2030-2031").weekday() == 4


_days = st.lists(st.sampled_from([date(2026, 11, n) for n in range(1, 31)]), unique=True, max_size=22).map(sorted)
_learner = st.builds(
    EnrolmentPeriod,
    key=st.uuids().map(str),
    name=st.just("LEARNER"),
    sex=st.sampled_from(["M", "F"]),
    first_day=st.dates(date(2026, 6, 8), date(2026, 11, 30)),
    last_day=st.none() | st.dates(date(2026, 11, 30), date(2027, 3, 1)),
    entry_reason=st.sampled_from([None, "LE", "T/I"]),
    left_by=st.sampled_from([None, "T/O", "NLS", "DRP"]),
)
_status = st.builds(RecordDay, st.sampled_from(["present", "absent", "unknown"]), st.sampled_from(["", "late", "both"]))


@settings(max_examples=count_examples(150), deadline=None)
@given(days=_days, learners=st.lists(_learner, max_size=8, unique_by=lambda one: one.key), data=st.data())
def test_the_sheet_agrees_with_itself(days: list[date], learners: list[EnrolmentPeriod], data: st.DataObject) -> None:
    register = {(one.key, day): data.draw(_status) for one in learners for day in days}
    form = sf2_calculation.compute_sf2(
        *sf2_calculation.days_of_month(2026, 11),
        class_days=days,
        before=[],
        learners=learners,
        register=register,
        cut_off=CUT_OFF,
    )
    for line in form.lines:
        away = sum(not line.learner.on(day) for day in days)
        assert line.absent + line.present + away == len(days)
        assert line.tardies + line.absent <= len(days)
    for sex, summary in (("M", form.male), ("F", form.female)):
        lines = [line for line in form.lines if line.learner.sex == sex]
        assert summary.attendance == sum(line.present for line in lines), "rows and columns give the same total"
        assert summary.registered <= len(lines)
        assert summary.absent_in_a_row <= sum(line.absent >= 5 for line in lines)
    both = form.both
    assert both.attendance == form.male.attendance + form.female.attendance
    if both.average_daily_attendance is not None and both.registered:
        assert both.attendance_rate == Fraction(both.attendance, len(days) * both.registered)
        assert both.average_daily_attendance <= len(form.lines)
