"""What the page of School Form 2 shows: columns, lines and totals of a computed month, in the reader's words. Pure."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from typing import Literal

from flask_babel import gettext as _
from flask_babel import ngettext

from portal.core.date_format import format_day, format_month
from portal.reports.sf2 import calculation
from portal.reports.sf2.queries import Sf2Month
from portal.reports.sf2.workbook import dates_by_column, format_sf2_remarks

DAYS_SHOWN_AT_ONCE = 5  # of those without a record; more are folded


@dataclass(frozen=True)
class DayColumn:
    """A day's column. `off` names a day without class, `style` shades it if there was none."""

    day: date
    off: str | None
    style: str
    is_class_day: bool
    has_record_link: bool


@dataclass(frozen=True)
class DayCell:
    """A learner's cell: `mark` is "x", "-", "?" or empty, `words` say it to screen readers, `style` shades it."""

    mark: str = ""
    words: str = ""
    style: str = "c"

    @property
    def is_open(self) -> bool:
        return self.mark == "?"

    @property
    def mark_style(self) -> str | None:
        return "soft" if self.mark == calculation.NOT_ENROLLED else None


@dataclass(frozen=True)
class LearnerLine:
    """A learner's line. `counted` is the form's second total, days present or tardy."""

    name: str
    cells: tuple[DayCell, ...]
    absent: int
    counted: int
    remarks: str


@dataclass(frozen=True)
class TotalLine:
    """The learners present per day; empty where there was no class."""

    title: str
    learners: int
    per_day: tuple[str, ...]
    absent: int
    counted: int


@dataclass(frozen=True)
class SexGroup:
    lines: tuple[LearnerLine, ...]
    total: TotalLine


@dataclass(frozen=True)
class SummaryLine:
    """A line of the summary, for males, females and both."""

    title: str
    values: tuple[str, str, str]


@dataclass(frozen=True)
class Sf2Notice:
    """A remark above the form: what is so, and why."""

    kind: Literal["", "warm"]
    icon: str
    title: str
    text: str


@dataclass(frozen=True)
class WatchedLearner:
    """A learner to look after: sentences, each with an aside, which may be empty."""

    name: str
    sentences: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Sf2Page:
    """The page. `earlier` and `later` are the months beside it ("2026-10"), if the school year has them."""

    heading: str
    earlier: str | None
    later: str | None
    columns: tuple[DayColumn, ...]
    counted_title: str
    groups: tuple[SexGroup, ...]
    total: TotalLine
    class_days: str
    summary: tuple[SummaryLine, ...]
    watched: tuple[WatchedLearner, ...]
    unrecorded: tuple[date, ...]
    folds_unrecorded: bool
    notices: tuple[Sf2Notice, ...]
    signatures: tuple[tuple[str, str], ...]  # name, if known, and office


def build_sf2_page(month: Sf2Month, *, first_day: date, last_day: date, today: date, adviser: str) -> Sf2Page:
    """The page of a month of a section whose school year, as far as it has come, is from `first_day` to `last_day`.
    `adviser` is the name of who signs, empty if there is none."""
    form = month.form
    columns = tuple(_day_column(month, day, today) for day in dates_by_column(form) if day)
    previous_month, next_month = form.first - timedelta(days=1), form.first + timedelta(days=31)
    by_sex: tuple[tuple[calculation.Sex, str], ...] = (
        ("M", _("Male, total per day")),
        ("F", _("Female, total per day")),
    )
    return Sf2Page(
        heading=_("School Form 2, %(month)s", month=format_month(form.first)),
        earlier=f"{previous_month:%Y-%m}" if previous_month >= first_day else None,
        later=f"{next_month:%Y-%m}" if next_month.replace(day=1) <= last_day else None,
        columns=columns,
        counted_title=_("Present") if month.kind == "present" else _("Tardy"),
        groups=tuple(
            SexGroup(
                tuple(_learner_line(month, line, columns) for line in form.of(sex)),
                _total_line(month, title, [sex], form.of(sex), columns),
            )
            for sex, title in by_sex
        ),
        total=_total_line(month, _("Combined total per day"), ["M", "F"], form.lines, columns),
        class_days=ngettext("%(num)d day of classes", "%(num)d days of classes", len(form.class_days)),
        summary=_summary(month),
        watched=tuple(_watched_learner(learner, month.prescribed) for learner in form.watch),
        unrecorded=month.unrecorded,
        folds_unrecorded=len(month.unrecorded) > DAYS_SHOWN_AT_ONCE,
        notices=tuple(_notices(month)),
        signatures=((adviser.upper(), _("Adviser")), (month.head.upper(), _("School head"))),
    )


def _notices(month: Sf2Month) -> Iterator[Sf2Notice]:
    if month.form.open:
        yield Sf2Notice(
            "warm",
            "review",
            ngettext("%(num)d mark is not known.", "%(num)d marks are not known.", month.form.open),
            _(
                "They are shown as “?” and count as present, as a blank cell does, until you decide. "
                "Open the day by its date."
            ),
        )
    if month.adrift:
        yield Sf2Notice(
            "warm",
            "review",
            _("The registered do not add up."),
            _(
                "Registered last month, plus late enrolment and transferred in, less transferred out and dropped out, "
                "differs from those registered now by %(num)d. Look at moves between sections and at the dates on the "
                "roster.",
                num=month.adrift,
            ),
        )
    if month.form.extra_days:
        yield Sf2Notice(
            "",
            "calendar",
            "",
            _("There was class on a Saturday or Sunday. The form has no column for it, so a spare one is used."),
        )


def _day_column(month: Sf2Month, day: date, today: date) -> DayColumn:
    is_class_day = day in month.form.class_days
    return DayColumn(
        day,
        off=month.off.get(day),
        style="c off" if day in month.off and not is_class_day else "c",
        is_class_day=is_class_day,
        has_record_link=is_class_day or (day <= today and day not in month.off),
    )


def _counted(month: Sf2Month, line: calculation.Sf2Line) -> int:
    return line.present if month.kind == "present" else line.tardies


def _learner_line(month: Sf2Month, line: calculation.Sf2Line, columns: Sequence[DayColumn]) -> LearnerLine:
    return LearnerLine(
        name=line.learner.name,
        cells=tuple(_cell(line, column) for column in columns),
        absent=line.absent,
        counted=_counted(month, line),
        remarks=format_sf2_remarks(line),
    )


def _cell(line: calculation.Sf2Line, column: DayColumn) -> DayCell:
    if not column.is_class_day:
        return DayCell(style=column.style)
    if line.cells[column.day] == calculation.NOT_ENROLLED:
        return DayCell("-", _("not enrolled"))
    if line.cells[column.day] == calculation.ABSENT:
        return DayCell("x", _("absent"))
    if column.day in line.open:
        return DayCell("?", _("not known: decide"))
    if column.day not in line.tardy:
        return DayCell()
    words, style = {
        "late": (_("late"), "c late"),
        "cutting": (_("left early"), "c cutting"),
        "both": (_("late, left early"), "c late cutting"),
    }[line.tardy[column.day]]
    return DayCell(words=words, style=style)


def _total_line(
    month: Sf2Month,
    title: str,
    sexes: Sequence[calculation.Sex],
    lines: Sequence[calculation.Sf2Line],
    columns: Sequence[DayColumn],
) -> TotalLine:
    return TotalLine(
        title=title,
        learners=len(lines),
        per_day=tuple(
            str(sum(month.form.per_day[sex, column.day] for sex in sexes)) if column.is_class_day else ""
            for column in columns
        ),
        absent=sum(line.absent for line in lines),
        counted=sum(_counted(month, line) for line in lines),
    )


def _summary(month: Sf2Month) -> tuple[SummaryLine, ...]:
    form = month.form
    lines: tuple[tuple[str, Callable[[calculation.Sf2Summary], str]], ...] = (
        (_("Enrolment as of %(day)s", day=format_day(month.cutoff_date)), lambda one: str(one.enrolment)),
        (_("Late enrolment during the month"), lambda one: str(one.late)),
        (_("Registered learners as of end of month"), lambda one: str(one.registered)),
        (_("Percentage of enrolment"), lambda one: _percent(one.enrolment_rate)),
        (_("Average daily attendance"), lambda one: _rounded(one.average_daily_attendance)),
        (_("Percentage of attendance for the month"), lambda one: _percent(one.attendance_rate)),
        (_("Absent for 5 consecutive days"), lambda one: str(one.absent_in_a_row)),
        (_("Dropped out (NLS)"), lambda one: str(one.left)),
        (_("Transferred out"), lambda one: str(one.transferred_out)),
        (_("Transferred in"), lambda one: str(one.transferred_in)),
    )
    return tuple(SummaryLine(title, (value(form.male), value(form.female), value(form.both))) for title, value in lines)


def _watched_learner(learner: calculation.AtRiskLearner, prescribed: int | None) -> WatchedLearner:
    sentences = []
    if learner.run:
        first, last = format_day(learner.run[0]), format_day(learner.run[-1])
        in_a_row = _(
            "%(num)d class days in a row absent, from %(first)s to %(last)s.",
            num=len(learner.run), first=first, last=last,
        )  # fmt: skip
        sentences.append((in_a_row, ""))
    if learner.often:
        so_far = _(
            "Absent on %(absent)d of %(days)d class days so far, %(share)s.",
            absent=learner.absent, days=learner.of_days, share=_percent(learner.share),
        )  # fmt: skip
        of_the_year = _("%(absent)d of the %(days)d of the school year.", absent=learner.absent, days=prescribed or 0)
        sentences.append((so_far, of_the_year if prescribed else ""))
    return WatchedLearner(learner.learner.name.replace(",", ", ").replace(",  ", ", "), tuple(sentences))


def _percent(share: Fraction | None) -> str:
    return "" if share is None else f"{float(share * 100):.0f}%"


def _rounded(number: Fraction | None) -> str:
    return "" if number is None else f"{float(number):.0f}"
