"""What the page of the attendance report shows: filters, findings, charts, table, in the reader's words. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from flask_babel import gettext as _

from portal.attendance.codes import Mark
from portal.attendance.messages import mark_label
from portal.core.date_format import format_day
from portal.reports.chart import LineChart, line_chart
from portal.reports.filters import FilterChoices, ReportFilters, ReportRequest
from portal.reports.queries import AttendanceTotals, ReportGroup
from portal.web.links import Link, link_to

WORTH_A_TALK = 0.85  # a lower rate is marked
UNKNOWN = "–"
NUMBER = "r num"

Weeks = Sequence[tuple[date, float | None]]


@dataclass(frozen=True)
class FilterChoice:
    """A filter with its choices: value, words, whether it is chosen. `all_words` name the choice of all."""

    name: str
    title: str
    all_words: str
    options: tuple[tuple[str, str, bool], ...]


@dataclass(frozen=True)
class ChartPage:
    """A chart with its texts: names of weeks, "no class" where there was none, and the rates."""

    drawn: LineChart
    style: str
    weeks: tuple[tuple[float, str], ...]
    gaps: tuple[tuple[float, float], ...]
    dots: tuple[tuple[float, float, str], ...]
    last: tuple[float, float, str]


@dataclass(frozen=True)
class WeeksPart:
    """The charts, one for phones and one for wide screens; `finding` says in words what they show, `gaps` what not."""

    charts: tuple[ChartPage, ...]
    finding: str
    gaps: str


@dataclass(frozen=True)
class Bar:
    title: str
    rate: str
    width: float
    is_low: bool


@dataclass(frozen=True)
class Row:
    """A row of the table, under `columns`."""

    title: str
    link: Link | None
    cells: tuple[str, ...]


@dataclass(frozen=True)
class Column:
    title: str
    style: str = NUMBER

    @property
    def is_number(self) -> bool:
        return self.style == NUMBER


@dataclass(frozen=True)
class ReportPage:
    """The page. Without classes there are no figures: only the filters are shown. `total` is there for several rows."""

    lead: str
    choices: tuple[FilterChoice, ...]
    has_classes: bool
    rate: str
    held: int
    planned: str  # empty if all were held
    counted: tuple[str, str]  # what is counted beside the classes, and how many
    not_final: int
    weeks: WeeksPart | None
    grouped_by: str
    bars: tuple[Bar, ...]
    low_rates: str  # what the marked bars mean; empty if there are none
    row_title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    total: Row | None


def build_report_page(
    report: ReportRequest,
    groups: Sequence[ReportGroup],
    total: AttendanceTotals,
    *,
    learners: int | None,
    weeks: Weeks,
    school_name: str,
    with_learners: bool,
) -> ReportPage:
    """The page of a report that is already loaded. `school_name` is the viewer's, `learners` the number of different
    ones, None where they are not counted; `with_learners`: the viewer's work is with learners."""
    filters, level = report.filters, report.filters.level
    titles = {
        "class": (_("By class"), _("Class")),
        "section": (_("By section"), _("Section")),
        "school": (_("By school"), _("School")),
        "division": (_("By division"), _("Division")),
    }
    grouped_by, row_title = titles[level]
    bars = tuple(_bar(group) for group in groups)
    return ReportPage(
        lead=_lead(report, school_name),
        choices=tuple(_filter_choices(report.choices, filters)),
        has_classes=bool(total.classes),
        rate=format_rate(total.rate),
        held=total.classes,
        planned=_("of %(planned)d", planned=total.meetings) if total.meetings > total.classes else "",
        counted=_counted(level, len(groups), learners, with_learners=with_learners),
        not_final=total.not_final,
        weeks=_weeks_part(weeks),
        grouped_by=grouped_by,
        bars=bars,
        low_rates=_low_rates(level) if any(bar.is_low for bar in bars) else "",
        row_title=row_title,
        columns=tuple(_columns(level)),
        rows=tuple(_row(group, filters) for group in groups),
        total=Row(_("Total"), None, _cells(level, total, learners, "")) if len(groups) > 1 else None,
    )


def format_rate(rate: float | None) -> str:
    return _("no marks") if rate is None else f"{rate * 100:.1f}%"


def format_short_day(day: date) -> str:
    """ "11 Aug": the day without its weekday."""
    return format_day(day).split(" ", 1)[1]


def _lead(report: ReportRequest, school_name: str) -> str:
    """The place, if there is one, and the days."""
    filters, choices = report.filters, report.choices
    section = choices.sections.get(filters.section) if filters.section else ""
    school = choices.schools.get(filters.school) if filters.school else ""
    place = section or school or filters.division or school_name
    days = _(
        "%(first)s to %(last)s %(year)s",
        first=format_short_day(filters.first), last=format_short_day(filters.last), year=filters.last.year,
    )  # fmt: skip
    return f"{place}, {days}" if place else days


def _filter_choices(choices: FilterChoices, filters: ReportFilters) -> Iterator[FilterChoice]:
    """The filters that leave a choice."""

    def choice(name: str, title: str, all_words: str, offered: Mapping[Any, str], chosen: object) -> FilterChoice:
        options = tuple((str(value), words, str(value) == str(chosen)) for value, words in offered.items())
        return FilterChoice(name, title, all_words, options)

    if choices.divisions:
        yield choice("division", _("Division"), _("All divisions"), choices.divisions, filters.division)
    if choices.schools:
        yield choice("school", _("School"), _("All schools"), choices.schools, filters.school)
    if choices.sections:
        yield choice("section", _("Section"), _("All sections"), choices.sections, filters.section)
    if choices.classes or filters.class_id:
        yield choice("class", _("Class"), _("All classes"), choices.classes, filters.class_id)
    if len(choices.teachers) > 1:
        yield choice("teacher", _("Teacher"), _("All teachers"), choices.teachers, filters.teacher)
    if len(choices.subjects) > 1:
        yield choice("subject", _("Subject"), _("All subjects"), choices.subjects, filters.subject)


def _counted(level: str, groups: int, learners: int | None, *, with_learners: bool) -> tuple[str, str]:
    if with_learners or level == "section":
        return _("Learners"), UNKNOWN if learners is None else str(learners)
    return _("Schools") if level == "school" else _("Divisions"), str(groups)


def _weeks_part(weeks: Weeks) -> WeeksPart | None:
    rates = [rate for _monday, rate in weeks if rate is not None]
    if not rates:
        return None
    finding = _(
        "Attendance by week, %(first)s to %(last)s: between %(low)s and %(high)s, now %(now)s.",
        first=format_short_day(weeks[0][0]), last=format_short_day(weeks[-1][0]),
        low=format_rate(min(rates)), high=format_rate(max(rates)), now=format_rate(rates[-1]),
    )  # fmt: skip
    without = ", ".join(format_short_day(monday) for monday, rate in weeks if rate is None)
    return WeeksPart(
        charts=(
            _chart(line_chart(list(weeks), width=340, height=210), "on-phone"),
            _chart(line_chart(list(weeks), width=1000, height=260), "on-wide"),
        ),
        finding=finding,
        gaps=_("No class in the week of %(days)s.", days=without) if without else "",
    )


def _chart(drawn: LineChart, style: str) -> ChartPage:
    held = [(point, format_rate(point.rate)) for point in drawn.points if point.rate is not None]
    last, last_rate = held[-1]
    return ChartPage(
        drawn,
        style,
        weeks=tuple((point.x, format_short_day(point.day)) for point in drawn.points[:: drawn.label_every]),
        gaps=tuple((point.x, point.y + 16) for point in drawn.points if point.rate is None),
        dots=tuple((point.x, point.y, f"{format_short_day(point.day)}: {rate}") for point, rate in held),
        last=(last.x + 7, last.y + 4, last_rate),
    )


def _bar(group: ReportGroup) -> Bar:
    rate = group.figures.rate
    is_low = rate is not None and rate < WORTH_A_TALK
    return Bar(group.title, format_rate(rate), round((rate or 0) * 100, 1), is_low)


def _low_rates(level: str) -> str:
    if level in ("class", "section"):
        return _("Below %(rate)s: worth a talk with the adviser.", rate=f"{WORTH_A_TALK:.0%}")
    return _("Below %(rate)s: worth a talk with the school.", rate=f"{WORTH_A_TALK:.0%}")


def _columns(level: str) -> Iterator[Column]:
    yield Column(_("Attendance"))
    if level in ("class", "section"):
        yield Column(_("Learners"))
    for title in (
        _("Planned"), _("Held"), _("Expected"),
        *map(mark_label, (Mark.PRESENT, Mark.PARTIAL, Mark.ABSENT, Mark.NEEDS_REVIEW)),
        _("Average min"), _("Class min"), _("Not final"),
    ):  # fmt: skip
        yield Column(title)
    if level == "class":
        yield Column(_("Teacher"), "")


def _cells(level: str, figures: AttendanceTotals, learners: int | None, teacher: str) -> tuple[str, ...]:
    """The cells under the columns."""
    counts = (
        figures.meetings, figures.classes, figures.invited, figures.present, figures.partial, figures.absent,
        figures.needs_review, figures.average_minutes, figures.ran_minutes, figures.not_final,
    )  # fmt: skip
    return (
        format_rate(figures.rate),
        *([UNKNOWN if learners is None else str(learners)] if level in ("class", "section") else ()),
        *(str(count) for count in counts),
        *([teacher] if level == "class" else ()),
    )


def _row(group: ReportGroup, filters: ReportFilters) -> Row:
    """A class leads to its page, a school or division to its own report."""
    learners = None if group.learners is None else len(group.learners)
    link = None
    if filters.level == "class":
        link = link_to("class_page.show_class_page", class_id=group.key)
    elif filters.level != "section":
        link = link_to("reports.show_attendance_report", **{**filters.link, filters.level: group.key})
    return Row(group.title, link, _cells(filters.level, group.figures, learners, group.teacher))
