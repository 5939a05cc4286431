"""What the page of the attendance report decides, without a portal."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from portal.reports.filters import FilterChoices, Level, ReportFilters, ReportRequest
from portal.reports.queries import AttendanceTotals, ReportGroup
from portal.reports.report_page import ReportPage, build_report_page

MONDAY = date(2026, 11, 2)
CLASS_ID = uuid4()
GOOD = AttendanceTotals(meetings=4, classes=4, present=9, absent=1, seconds=9 * 1800, ran=3600, not_final=1)
POOR = replace(GOOD, present=4, absent=6)


def a_group(title: str = "Biology", figures: AttendanceTotals = GOOD, learners: int | None = 3) -> ReportGroup:
    ids = None if learners is None else frozenset(uuid4() for _ in range(learners))
    return ReportGroup(str(CLASS_ID), title, "Ada Lovelace", figures, learners=ids)


def page_of(
    *groups: ReportGroup, level: Level = "class", total: AttendanceTotals = GOOD, choices: Any = None, **changes: Any
) -> ReportPage:
    filters = replace(ReportFilters(MONDAY, date(2026, 11, 30)), level=level, **changes.pop("filters", {}))
    values: dict[str, Any] = {"learners": 3, "weeks": [], "school_name": "Laoag NHS", "with_learners": True}
    request = ReportRequest(filters, choices or FilterChoices(), ())
    return build_report_page(request, groups, total, **(values | changes))


@pytest.mark.parametrize(
    ("level", "first", "last", "length"),
    [
        ("class", "3", "Ada Lovelace", 13),
        ("section", "3", "1", 12),
        ("school", "4", "1", 11),
        ("division", "4", "1", 11),
    ],
)
def test_the_cells_stand_under_their_columns(level: Level, first: str, last: str, length: int) -> None:
    page = page_of(a_group(), a_group(), level=level)
    assert page.total
    assert {len(page.columns), len(page.rows[0].cells), len(page.total.cells)} == {length}
    assert (page.rows[0].cells[0], page.rows[0].cells[1], page.rows[0].cells[-1]) == ("90.0%", first, last)


def test_one_row_has_no_total_and_unknown_learners_are_a_dash() -> None:
    page = page_of(a_group(learners=None), learners=None)
    assert page.total is None
    assert (page.rows[0].cells[1], page.counted) == ("–", ("Learners", "–"))


def test_a_class_leads_to_its_page_and_a_school_to_its_report() -> None:
    def endpoint(level: Level) -> str | None:
        link = page_of(a_group(), level=level).rows[0].link
        return link.endpoint if link else None

    assert endpoint("class") == "class_page.show_class_page"
    assert endpoint("section") is None
    assert endpoint("school") == endpoint("division") == "reports.show_attendance_report"


def test_a_low_rate_is_marked_and_said_whom_to_talk_with() -> None:
    page = page_of(a_group(), a_group(figures=POOR), a_group(figures=AttendanceTotals()))
    assert [(bar.rate, bar.is_low) for bar in page.bars] == [("90.0%", False), ("40.0%", True), ("no marks", False)]
    assert page.low_rates == "Below 85%: worth a talk with the adviser."
    assert page_of(a_group(figures=POOR), level="school").low_rates.endswith("with the school.")
    assert page_of(a_group()).low_rates == ""


def test_division_and_region_count_places() -> None:
    assert page_of(a_group(), level="school", with_learners=False).counted == ("Schools", "1")
    assert page_of(a_group(), level="division", with_learners=False).counted == ("Divisions", "1")
    assert page_of(a_group(), level="section", with_learners=False).counted == ("Learners", "3")


def test_the_weeks_are_told_in_words() -> None:
    weeks = [(MONDAY, 0.5), (MONDAY + timedelta(days=7), None), (MONDAY + timedelta(days=14), 0.9)]
    part = page_of(a_group(), weeks=weeks).weeks
    assert part
    assert part.finding == "Attendance by week, 2 Nov to 16 Nov: between 50.0% and 90.0%, now 90.0%."
    assert part.gaps == "No class in the week of 9 Nov."
    for chart in part.charts:
        assert [text for _x, _y, text in chart.dots] == ["2 Nov: 50.0%", "16 Nov: 90.0%"]
        assert (len(chart.gaps), chart.last[2]) == (1, "90.0%")
    assert page_of(a_group(), weeks=[]).weeks is None


def test_a_filter_without_a_choice_is_left_out() -> None:
    section: UUID = uuid4()
    choices = FilterChoices(sections={section: "Grade 8 - Jadeite"}, teachers={uuid4(): "Ada"}, subjects={"Art": "Art"})
    page = page_of(a_group(), choices=choices, filters={"section": section})
    assert [(choice.name, choice.options) for choice in page.choices] == [
        ("section", ((str(section), "Grade 8 - Jadeite", True),))
    ]
    assert page.lead == "Grade 8 - Jadeite, 2 Nov to 30 Nov 2026"
    assert page_of(a_group()).lead == "Laoag NHS, 2 Nov to 30 Nov 2026"
    assert page_of(a_group(), school_name="").lead == "2 Nov to 30 Nov 2026"


def test_classes_that_were_planned_and_not_held_are_said() -> None:
    assert page_of(a_group()).planned == ""
    assert page_of(a_group(), total=replace(GOOD, meetings=6)).planned == "of 6"
    assert not page_of(total=AttendanceTotals()).has_classes
