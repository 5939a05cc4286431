"""School Form 2 (SF2), the daily attendance report of learners, computed for one section and month. Pure.

The formulas are the form's own (DO 4 s. 2014, "Guidelines", 3 a-c): percentage of enrolment = registered at the end
of the month / enrolment on the cut-off day; average daily attendance = total daily attendance / days of classes;
percentage of attendance = average daily attendance / registered at the end of the month. Combined figures are
computed from combined totals, never as the mean of the two sexes.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from typing import Literal

Status = Literal["present", "absent", "unknown"]
Tardy = Literal["", "late", "cutting", "both"]
Sex = Literal["M", "F"]

ABSENT, NOT_ENROLLED = "x", "-"
CONSECUTIVE_ABSENCES = 5  # consecutive class days of absence that the form counts
WATCHED_SHARE = Fraction(1, 5)  # of the class days: more absences can mean a failing grade (DO 8 s. 2015)
SF2_WEEKS = 5


@dataclass(frozen=True)
class RecordDay:
    """One learner's entry of the daily record on one class day. `tardy` is set only for those present."""

    status: Status
    tardy: Tardy = ""


@dataclass(frozen=True)
class EnrolmentPeriod:
    """An enrolment in the section. `entry_reason`: T/I or LE; `left_by`: T/O, NLS, DRP, or moved within the school."""

    key: str
    name: str
    sex: Sex
    first_day: date
    last_day: date | None = None
    entry_reason: str | None = None
    left_by: str | None = None
    detail: str | None = None

    def on(self, day: date) -> bool:
        return self.first_day <= day and (self.last_day is None or day <= self.last_day)


@dataclass(frozen=True)
class Sf2Line:
    """A learner's line: the content of each day's cell ("" is present), the totals, and the remarks."""

    learner: EnrolmentPeriod
    cells: Mapping[date, str]
    tardy: Mapping[date, Tardy]
    open: tuple[date, ...]  # class days without data for the learner
    absent: int
    present: int
    remarks: tuple[tuple[str, date, str], ...]

    @property
    def tardies(self) -> int:
        return len(self.tardy)


@dataclass(frozen=True)
class Sf2Summary:
    """A column of the summary: for males, females or both."""

    enrolment: int
    late: int
    registered: int
    attendance: int  # total daily attendance: learners present, summed over the class days
    class_days: int
    absent_in_a_row: int
    left: int  # no longer in school: dropped out
    transferred_out: int
    transferred_in: int

    @property
    def enrolment_rate(self) -> Fraction | None:
        return Fraction(self.registered, self.enrolment) if self.enrolment else None

    @property
    def average_daily_attendance(self) -> Fraction | None:
        """Average daily attendance."""
        return Fraction(self.attendance, self.class_days) if self.class_days else None

    @property
    def attendance_rate(self) -> Fraction | None:
        return (
            self.average_daily_attendance / self.registered
            if self.average_daily_attendance is not None and self.registered
            else None
        )

    def __add__(self, other: "Sf2Summary") -> "Sf2Summary":
        if self.class_days != other.class_days:
            raise ValueError("two summaries of different months")
        names = [name for name in Sf2Summary.__dataclass_fields__ if name != "class_days"]
        return Sf2Summary(
            **{name: getattr(self, name) + getattr(other, name) for name in names}, class_days=self.class_days
        )


@dataclass(frozen=True)
class AtRiskLearner:
    """A learner at risk: absent on `absent` of the `of_days` class days of the school year on which they were on the
    roster, until the end of the month; `run` are the days of consecutive absences that the form counts, if any."""

    learner: EnrolmentPeriod
    absent: int
    of_days: int
    run: tuple[date, ...]

    @property
    def share(self) -> Fraction:
        return Fraction(self.absent, self.of_days) if self.of_days else Fraction(0)

    @property
    def often(self) -> bool:
        """Absent on at least a fifth of the days so far."""
        return self.of_days > 0 and self.share >= WATCHED_SHARE


@dataclass(frozen=True)
class Sf2Form:
    """The whole form. `slots` are its 25 columns, Monday to Friday of five weeks; None is a column without a date."""

    first: date
    last: date
    slots: tuple[date | None, ...]
    class_days: tuple[date, ...]
    lines: tuple[Sf2Line, ...]
    per_day: Mapping[tuple[Sex, date], int]
    male: Sf2Summary
    female: Sf2Summary
    watch: tuple[AtRiskLearner, ...]  # absent often, or on five consecutive days

    @property
    def both(self) -> Sf2Summary:
        return self.male + self.female

    def of(self, sex: Sex) -> list[Sf2Line]:
        return [line for line in self.lines if line.learner.sex == sex]

    @property
    def extra_days(self) -> tuple[date, ...]:
        """Class days without a column on the form: make-up classes on a Saturday or Sunday."""
        return tuple(day for day in self.class_days if day.weekday() > 4)

    @property
    def open(self) -> int:
        return sum(len(line.open) for line in self.lines)


def days_of_month(year: int, month: int) -> tuple[date, date]:
    """The first and the last day of a month."""
    first = date(year, month, 1)
    return first, (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)


def assign_day_columns(first: date, last: date) -> tuple[date | None, ...]:
    """The form's 25 columns: each weekday of the month in its own slot. Five weeks are enough for any month: one that
    begins on a Saturday or Sunday has its first weekday on the Monday after."""
    monday = first - timedelta(days=first.weekday()) if first.weekday() < 5 else first + timedelta(7 - first.weekday())
    days = [monday + timedelta(days=7 * week + weekday) for week in range(SF2_WEEKS) for weekday in range(5)]
    return tuple(day if first <= day <= last else None for day in days)


def compute_sf2(
    first: date,
    last: date,
    *,
    class_days: Sequence[date],
    before: Sequence[date],
    learners: Sequence[EnrolmentPeriod],
    register: Mapping[tuple[str, date], RecordDay],
    cut_off: date,
) -> Sf2Form:
    """Compute the form of the month from `first` to `last`.

    `class_days` are the month's days with class, `before` those of the school year's earlier months (for absences so
    far, and for runs of absences that began there), both in order. `learners` are the enrolment periods that started by
    `last`, in the form's order. A learner without data on a class day counts as present, as a blank cell does, and
    the day is listed in `open`. Raises ValueError for class days outside the month.
    """
    if any(not first <= day <= last for day in class_days):
        raise ValueError("a class day of another month")
    current_periods = [
        enrolment
        for enrolment in learners
        if enrolment.first_day <= last and (enrolment.last_day is None or enrolment.last_day >= first)
    ]
    lines = tuple(_learner_line(enrolment, first, last, class_days, register) for enrolment in current_periods)
    per_day: dict[tuple[Sex, date], int] = {}
    sexes: tuple[Sex, Sex] = ("M", "F")
    for sex in sexes:
        for day in class_days:
            per_day[sex, day] = sum(line.learner.sex == sex and line.cells[day] == "" for line in lines)

    all_days = [*before, *class_days]
    periods_by_learner: dict[str, list[EnrolmentPeriod]] = {}
    for period in learners:
        periods_by_learner.setdefault(period.key, []).append(period)
    absence_rows = [_absences_so_far(periods, first, all_days, register) for periods in periods_by_learner.values()]
    consecutive_keys = {enrolment.learner.key for enrolment in absence_rows if enrolment.run}

    def summary(sex: Sex) -> Sf2Summary:
        of_sex = [enrolment for enrolment in learners if enrolment.sex == sex]
        return Sf2Summary(
            enrolment=_count_learners(of_sex, lambda enrolment: enrolment.on(cut_off)),
            late=_count_learners(
                of_sex,
                lambda enrolment: (
                    first <= enrolment.first_day <= last
                    and enrolment.first_day > cut_off
                    and enrolment.entry_reason != "T/I"
                ),
            ),
            registered=_count_learners(of_sex, lambda enrolment: enrolment.on(last)),
            attendance=sum(per_day[sex, day] for day in class_days),
            class_days=len(class_days),
            absent_in_a_row=_count_learners(of_sex, lambda enrolment: enrolment.key in consecutive_keys),
            left=_count_learners(
                of_sex, lambda enrolment: _ended_within(enrolment, first, last) and enrolment.left_by in ("NLS", "DRP")
            ),
            transferred_out=_count_learners(
                of_sex, lambda enrolment: _ended_within(enrolment, first, last) and enrolment.left_by == "T/O"
            ),
            transferred_in=_count_learners(
                of_sex, lambda enrolment: first <= enrolment.first_day <= last and enrolment.entry_reason == "T/I"
            ),
        )

    return Sf2Form(
        first,
        last,
        assign_day_columns(first, last),
        tuple(class_days),
        lines,
        per_day,
        summary("M"),
        summary("F"),
        tuple(
            enrolment for enrolment in absence_rows if enrolment.run or (enrolment.often and enrolment.learner.on(last))
        ),
    )


def _count_learners(learners: Iterable[EnrolmentPeriod], is_counted: Callable[[EnrolmentPeriod], bool]) -> int:
    """Number of different learners: one with two enrolment periods counts once."""
    return len({period.key for period in learners if is_counted(period)})


def _ended_within(period: EnrolmentPeriod, first: date, last: date) -> bool:
    return period.last_day is not None and first <= period.last_day <= last


def _learner_line(
    period: EnrolmentPeriod,
    first: date,
    last: date,
    class_days: Sequence[date],
    register: Mapping[tuple[str, date], RecordDay],
) -> Sf2Line:
    cells: dict[date, str] = {}
    tardy: dict[date, Tardy] = {}
    open_days: list[date] = []
    for day in class_days:
        record_day = register.get((period.key, day), RecordDay("unknown"))
        if not period.on(day):
            cells[day] = NOT_ENROLLED
        elif record_day.status == "absent":
            cells[day] = ABSENT
        else:
            cells[day] = ""
            if record_day.status == "unknown":
                open_days.append(day)
            elif record_day.tardy:
                tardy[day] = record_day.tardy
    cell_values = list(cells.values())
    return Sf2Line(
        period,
        cells,
        tardy,
        tuple(open_days),
        cell_values.count(ABSENT),
        cell_values.count(""),
        _remarks(period, first, last),
    )


def _remarks(period: EnrolmentPeriod, first: date, last: date) -> tuple[tuple[str, date, str], ...]:
    """(Code, day, detail) of the month's entries and exits."""
    rows = []
    if first <= period.first_day <= last and period.entry_reason:
        rows.append((period.entry_reason, period.first_day, ""))
    if period.last_day is not None and first <= period.last_day <= last and period.left_by:
        rows.append(("NLS" if period.left_by == "DRP" else period.left_by, period.last_day, period.detail or ""))
    return tuple(rows)


def _absences_so_far(
    periods: Sequence[EnrolmentPeriod],
    first: date,
    days: Sequence[date],
    register: Mapping[tuple[str, date], RecordDay],
) -> AtRiskLearner:
    """A learner's absences so far, with the days of the last run of five or more whose fifth or later day is in this
    month. Days without class do not interrupt a run; a day without data does."""
    run: list[date] = []
    counted_run: tuple[date, ...] = ()
    absent = days_on_roster = 0
    for day in days:
        on_roster = any(period.on(day) for period in periods)
        days_on_roster += on_roster
        if on_roster and register.get((periods[0].key, day), RecordDay("unknown")).status == "absent":
            absent += 1
            run.append(day)
            if len(run) >= CONSECUTIVE_ABSENCES and day >= first:
                counted_run = tuple(run)
        else:
            run = []
    return AtRiskLearner(periods[-1], absent, days_on_roster, counted_run)


def find_enrolment_discrepancy(registered_before: int, summary: Sf2Summary) -> int:
    """Difference between the registered and the previous month's number plus entries less exits; 0 is consistent.
    Learners who moved between the school's sections cause a difference, since the form has no line for them."""
    return summary.registered - (
        registered_before + summary.late + summary.transferred_in - summary.transferred_out - summary.left
    )
