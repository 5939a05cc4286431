"""School Form 2 of a section: from the sheets, corrected by the adviser, on the page and as a workbook."""

import io
from datetime import date

import pytest
from openpyxl import load_workbook
from openpyxl.worksheet.worksheet import Worksheet
from sqlalchemy import select

from portal.classes.models import Enrolment
from portal.core.db import write_transaction
from portal.meetings.school_calendar import service as school_calendar_service
from portal.meetings.school_calendar.service import CalendarEntry, CalendarScope
from tests.attendance.lesson import add_meeting, at
from tests.browser import Browser, words
from tests.reports.conftest import Month, mark


def form(browser: Browser, month: Month, when: str = "2026-11") -> dict[str, list[str]]:
    """The lines of the page: name, then cells."""
    browser.get(f"/reports/sections/{month.section.id}/sf2/{when}")
    rows = browser.page.select("table.sf2 tbody tr")
    return {words(row.select("th")[0]): [words(td) for td in row.select("td")] for row in rows}


def summary(browser: Browser) -> dict[str, list[str]]:
    rows = browser.page.select("table.summary tbody tr")
    return {words(row.select("th")[0]): [words(td) for td in row.select("td")] for row in rows}


def workbook(browser: Browser, month: Month, *, asked: str = "", formulas: bool = False) -> Worksheet:
    """The sheet as it is shown: of a formula its result, or the formula itself."""
    browser.get(f"/reports/sections/{month.section.id}/sf2/2026-11.xlsx{asked}")
    assert browser.response
    sheet = load_workbook(io.BytesIO(browser.response.data), data_only=not formulas).active
    assert isinstance(sheet, Worksheet)
    return sheet


def day(month: Month, number: int) -> str:
    return f"/attendance/sections/{month.section.id}/days/2026-11-{number:02d}"


def test_the_form_follows_from_the_sheets(ada: Browser, month: Month) -> None:
    """Biology on the 3rd and 10th, Art on the 4th: partial is present, absent from the day's only class is absent."""
    lines = form(ada, month)
    assert [line[-3:-1] for name, line in lines.items() if name.startswith("LEARNER")] == [
        ["0", "3"],
        ["1", "2"],
        ["0", "3"],
        ["2", "1"],
    ]
    assert summary(ada)["Average daily attendance"] == ["2", "1", "3"], "5/3, 4/3 and 9/3, rounded as the form has it"
    assert summary(ada)["Percentage of attendance for the month"] == ["83%", "67%", "75%"]
    assert summary(ada)["Registered learners as of end of month"] == ["2", "2", "4"]
    assert "class days have no record yet" in ada.text, "5, 6 and 9 November among them"


def test_the_adviser_records_a_day_without_zoom(ada: Browser, month: Month) -> None:
    ada.get(day(month, 5))
    assert "Nothing is known of this day yet" in ada.text
    ada.submit("form[action*='/days/']", **{f"mark-{month.learners[0].id}": "absent"})
    assert "The day is recorded: 4 lines changed." in ada.text
    assert form(ada, month)["LEARNER001,ANA, CRUZ"][-3:-1] == ["1", "3"]


def test_the_adviser_corrects_a_day_with_a_reason(ada: Browser, month: Month) -> None:
    learner = month.learners[3]
    ada.get(day(month, 3))
    change = {f"mark-{learner.id}": "present", f"tardy-{learner.id}": "late"}
    ada.submit("form[action*='/days/']", status=422, **change)
    assert "Write the reason" in ada.text
    chosen = ada.page.select_one(f"input[name='mark-{learner.id}'][checked]")
    assert chosen and chosen["value"] == "present", "what was chosen is kept"
    ada.submit("form[action*='/days/']", reason="brownout, sent their work", **change)
    assert "The day is recorded: 1 line changed." in ada.text
    assert "brownout, sent their work" in ada.text
    assert form(ada, month)["LEARNER004,ANA, CRUZ"][-3:-1] == ["1", "2"]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"mark": "perhaps"}, "That is no mark of this page."),
        ({"tardy": "asleep"}, "That is no mark of this page."),
        ({"reason": "x" * 201}, "The reason is too long, 200 characters are the most."),
    ],
)
def test_a_day_is_saved_whole_or_not_at_all(ada: Browser, month: Month, fields: dict[str, str], said: str) -> None:
    ada.get(day(month, 3))
    learner = month.learners[0].id
    sent = {"reason": fields.get("reason", ""), f"mark-{month.learners[1].id}": "absent"}
    sent |= {f"{name}-{learner}": value for name, value in fields.items() if name != "reason"}
    ada.post(day(month, 3), sent, status=422)
    assert said in ada.text
    assert form(ada, month)["LEARNER002,ANA, CRUZ"][-3:-1] == ["1", "2"]


def test_a_day_to_come_is_not_recorded(ada: Browser, month: Month) -> None:
    ada.get(day(month, 27))
    assert "That day has not come yet" in ada.text
    ada.post(day(month, 27), {f"mark-{month.learners[0].id}": "absent"}, status=422)
    ada.get(f"/attendance/sections/{month.section.id}/days/2026-11-31", status=404)
    ada.get(f"/reports/sections/{month.section.id}/sf2/2026-13", status=404)


def test_the_form_is_of_months_of_the_school_year_alone(ada: Browser, month: Month) -> None:
    address = f"/reports/sections/{month.section.id}/sf2"
    ada.get(f"{address}/2026-06")
    assert "Month before" not in ada.text and "Next month" in ada.text
    ada.get(f"{address}/2026-11")
    assert "Month before" in ada.text and "Next month" not in ada.text, "December has not come yet"
    for outside in ("2026-05", "2027-06", "2019-11"):
        ada.get(f"{address}/{outside}", status=404)
        ada.get(f"{address}/{outside}.xlsx", status=404)


def test_holidays_and_suspensions_are_no_class_days(ada: Browser, month: Month) -> None:
    school_calendar_service.add_calendar_days(
        month.people.head, CalendarScope("national"), [CalendarEntry(date(2026, 11, 6), "suspended", "Typhoon")]
    )
    form(ada, month)
    unrecorded = [words(link) for link in ada.page.select(".note a")]
    assert [text.split()[1] for text in unrecorded] == ["5", "9", "11"]
    assert ada.page.select_one("th.off[title=Typhoon]")


def test_learners_who_came_or_left_within_the_month(ada: Browser, month: Month) -> None:
    with write_transaction() as session:
        for learner, changes in (
            (
                month.learners[0],
                {"until_date": date(2026, 11, 3), "exit_reason": "T/O", "exit_detail": "Laoag Central"},
            ),
            (month.learners[3], {"from_date": date(2026, 11, 4), "entry_reason": "LE"}),
        ):
            row = session.scalars(select(Enrolment).where(Enrolment.learner_id == learner.id)).one()
            for name, value in changes.items():
                setattr(row, name, value)
    lines = form(ada, month)
    assert lines["LEARNER001,ANA, CRUZ"][-3:] == ["0", "1", "T/O to Laoag Central 2026-11-03"]
    assert lines["LEARNER004,ANA, CRUZ"][-1] == "LE 2026-11-04"
    assert summary(ada)["Transferred out"] == ["1", "0", "1"]
    assert summary(ada)["Late enrolment during the month"] == ["0", "1", "1"]
    assert summary(ada)["Enrolment as of Fri 12 Jun"] == ["2", "1", "3"]


def test_the_cut_off_day_is_the_advisers_to_set(ada: Browser, month: Month) -> None:
    form(ada, month)
    ada.submit("form#settings", cut_off="2026-06-19")
    assert "Enrolment as of Fri 19 Jun" in summary(ada)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"cut_off": "2019-06-19"}, "take a day of the school year 2026-2027"),
        ({"cut_off": "soon"}, "Cut-off day: write a day like 2026-06-12."),
        ({"day_rule": "mostly"}, "Which classes make a day: take one of the list."),
        ({"kind": "SF9"}, "Form: take one of the list."),
        ({"paper": "napkin"}, "Paper: take one of the list."),
        ({"school_head": "x" * 121}, "School head: the name is too long, 120 characters are the most."),
    ],
)
def test_what_is_wrong_is_said_and_what_was_typed_is_kept(
    ada: Browser, month: Month, fields: dict[str, str], said: str
) -> None:
    sent = {"cut_off": "2026-06-19", "day_rule": "half", "kind": "tardy", "paper": "long", "school_head": "FE RAMOS"}
    ada.post(f"/reports/sections/{month.section.id}/sf2/2026-11/settings", sent | fields, status=422)
    assert said in ada.text
    if "school_head" not in fields:
        assert ada.page.select_one("#school_head[value='FE RAMOS']")
    assert "Enrolment as of Fri 12 Jun" in summary(ada), "nothing was saved"


def second_class_of_the_3rd(month: Month) -> None:
    """Art after Biology, in which only the second and the fourth learner were."""
    add_meeting(month.people.ada, month.art, [(at("9:00"), 60)], zoom_id="9")
    occurrence = next(one for one in month.dates(month.art) if one.starts_at == at("9:00"))
    mark(month, month.people.ada, occurrence, month.learners, ["absent", "present", "absent", "present"])


@pytest.mark.parametrize(
    ("rule", "absences"),
    [
        ("any", ["0", "1", "0", "1"]),
        ("first", ["0", "1", "0", "2"]),  # the fourth was not in Biology
        ("half", ["0", "1", "0", "1"]),  # one of two is half
    ],
)
def test_which_classes_make_a_day_is_the_sections_rule(
    ada: Browser, month: Month, rule: str, absences: list[str]
) -> None:
    second_class_of_the_3rd(month)
    form(ada, month)
    ada.submit("form#settings", day_rule=rule)
    lines = form(ada, month)
    assert [line[-3] for name, line in lines.items() if name.startswith("LEARNER")] == absences


def test_who_was_often_absent_is_named(ada: Browser, month: Month) -> None:
    form(ada, month)
    watched = [words(item) for item in ada.page.select("#watch li")]
    assert [text.split(",")[0] for text in watched] == ["LEARNER002", "LEARNER004"]
    assert "Absent on 2 of 3 class days so far, 67%. 2 of the 201 of the school year." in watched[1]


def test_who_was_absent_five_days_in_a_row_is_named(ada: Browser, month: Month) -> None:
    """The fourth misses the 3rd, not the 4th; then the 5th to the 11th, five class days over a weekend."""
    for number in (5, 6, 9, 11):
        ada.get(day(month, number))
        ada.submit("form[action*='/days/']", **{f"mark-{month.learners[3].id}": "absent"})
    form(ada, month)
    assert "5 class days in a row absent, from Thu 5 Nov to Wed 11 Nov." in words(ada.page.select("#watch li")[-1])
    assert summary(ada)["Absent for 5 consecutive days"] == ["0", "1", "1"]


def test_the_school_head_signs_by_name(ada: Browser, month: Month) -> None:
    """The school's one admin, unless the section names somebody."""
    form(ada, month)
    assert month.people.head.full_name.upper() in words(ada.page.select(".sign p")[1])
    ada.submit("form#settings", school_head="Dr. Fe Ramos")
    form(ada, month)
    assert "DR. FE RAMOS" in words(ada.page.select(".sign p")[1])
    assert workbook(ada, month)["AN46"].value == "DR. FE RAMOS"


def test_the_form_of_2014_counts_tardiness_in_place_of_presence(ada: Browser, month: Month) -> None:
    ada.get(day(month, 3))
    ada.submit("form[action*='/days/']", reason="came at nine", **{f"tardy-{month.learners[0].id}": "late"})
    form(ada, month)
    ada.submit("form#settings", kind="tardy")
    assert form(ada, month)["LEARNER001,ANA, CRUZ"][-3:-1] == ["0", "1"]
    sheet = workbook(ada, month)
    assert [sheet[f"AO{row}"].value for row in (7, 8, 9, 10, 14)] == ["TARDY", 1, 0, 1, 1]
    assert sheet["H8"].value == "\N{UPPER HALF BLOCK}", "late is shaded above"


def test_senior_high_school_has_its_own_form(ada: Browser, month: Month) -> None:
    with write_transaction() as session:
        session.merge(month.section).grade_level = "Grade 11"
    sheet = workbook(ada, month)
    assert str(sheet["A1"].value).endswith("for Senior High School (SF2-SHS)")
    assert (sheet["AO7"].value, sheet["AL2"].value) == ("TARDY", month.section.school.division)
    assert [sheet[f"AM{row}"].value for row in (17, 36, 37)] == [
        "* Enrolment as of (1st Friday of the semester)",
        "Shifted out",
        "Shifted in",
    ]


def test_the_workbook_is_laid_out_as_lis_does(ada: Browser, month: Month) -> None:
    with write_transaction() as session:
        session.merge(month.learners[0]).lis_name = "=1+1,ANA, CRUZ"
    sheet = workbook(ada, month)
    assert sheet.title == "school_form_2_ver2014.2.1.1"
    assert sheet["A1"].value == "School Form 2 (SF2) Daily Attendance Report of Learners"
    assert (sheet["F3"].value, sheet["AA3"].value, sheet["AM4"].value) == ("300123", "NOVEMBER", "Jadeite")
    assert (sheet["H6"].value, sheet["H7"].value) == (3, "T"), "Tuesday the 3rd; the month begins on a Sunday"
    assert (sheet["C8"].value, sheet["C8"].data_type) == ("=1+1,ANA, CRUZ", "s")
    assert [sheet[f"A{row}"].value for row in range(8, 15)] == [1, 2, 2, 1, 2, 2, 4]
    assert sheet["C10"].value == "<=== MALE | TOTAL Per Day ===>"
    assert sheet["C14"].value == "Combined TOTAL Per Day"
    assert [sheet[f"H{row}"].value for row in (8, 9, 11, 12)] == [None, None, None, "x"], "partial is present"
    assert [sheet[f"{column}10"].value for column in ("AM", "AO")] == [1, 5]
    assert [sheet[f"H{row}"].value for row in (10, 13, 14)] == [2, 1, 3]
    total = 14
    assert sheet[f"AP{total + 1}"].value == "No. of Days of Classes: 3"
    assert [sheet[f"{column}{total + 9}"].value for column in ("AR", "AS", "AT")] == [2, 2, 4]
    assert [round(sheet[f"{column}{total + 13}"].value, 3) for column in ("AR", "AS", "AT")] == [1.667, 1.333, 3.0]
    assert sheet[f"AT{total + 15}"].value == 0.75
    assert sheet[f"AT{total + 15}"].number_format == "0%"
    assert sheet[f"AN{total + 26}"].value == "ADA LOVELACE"


def test_the_totals_of_the_workbook_are_formulas(ada: Browser, month: Month) -> None:
    """A mark corrected in Excel corrects the totals; what the portal counts from the roster stays a number."""
    with write_transaction() as session:
        row = session.scalars(select(Enrolment).where(Enrolment.learner_id == month.learners[3].id)).one()
        row.from_date = date(2026, 11, 4)
    sheet = workbook(ada, month, formulas=True)
    assert {cell: sheet[cell].value for cell in ("AM8", "AO8", "H10", "AM10", "H14", "AO14", "AP15", "AT17")} == {
        "AM8": '=COUNTIF(F8:AL8,"x")',
        "AO8": '=$AW$1-COUNTIF(F8:AL8,"-")-AM8',
        "H10": '=COUNTA($C$8:$C$9)-COUNTIF(H8:H9,"x")-COUNTIF(H8:H9,"-")',
        "AM10": "=SUM(AM8:AM9)",
        "H14": "=H10+H13",
        "AO14": "=AO10+AO13",
        "AP15": '="No. of Days of Classes: "&$AW$1',
        "AT17": "=AR17+AS17",
    }
    assert (sheet["AW1"].value, sheet.column_dimensions["AW"].hidden) == (3, True)
    assert sheet["AR23"].value == 2, "registered: from the roster"
    assert sheet["H12"].value == "-", "not yet enrolled on the 3rd"
    assert sheet["AT29"].value == '=IF(OR(AT23=0,$AW$1=0),"",AT27/AT23)'


def test_figures_only_has_neither_formulas_nor_marks_of_our_own(ada: Browser, month: Month) -> None:
    with write_transaction() as session:
        row = session.scalars(select(Enrolment).where(Enrolment.learner_id == month.learners[3].id)).one()
        row.from_date = date(2026, 11, 4)
    sheet = workbook(ada, month, asked="?figures=only", formulas=True)
    assert all(cell.data_type != "f" for line in sheet.iter_rows() for cell in line)
    assert (sheet["H12"].value, sheet["AW1"].value, sheet["AM8"].value) == (None, None, 0)


def test_a_section_of_one_sex_has_no_formula_over_nothing(ada: Browser, month: Month) -> None:
    with write_transaction() as session:
        for learner in month.learners[:2]:
            row = session.scalars(select(Enrolment).where(Enrolment.learner_id == learner.id)).one()
            row.until_date, row.exit_reason = date(2026, 10, 30), "T/O"
    sheet = workbook(ada, month, formulas=True)
    assert (sheet["C8"].value, sheet["A8"].value, sheet["H8"].value) == ("<=== MALE | TOTAL Per Day ===>", 0, 0)
    assert workbook(ada, month)["AR25"].value == 0


def test_a_class_larger_than_the_form_loses_nobody(ada: Browser, month: Month) -> None:
    month.people.learners(month.section, 70, start=100)
    sheet = workbook(ada, month)
    assert sheet["C79"].value == "LEARNER169,ANA, CRUZ"
    assert sheet["C80"].value == "<=== MALE | TOTAL Per Day ===>"
    assert [one.id for one in sheet.row_breaks.brk] == [84], "the summary, which is signed, is on one page"
    assert sheet.print_title_rows == "$1:$7"


def test_the_section_leads_to_its_form(ada: Browser, month: Month) -> None:
    ada.get(f"/classes/sections/{month.section.id}")
    ada.click("School Form 2")
    assert "School Form 2, November" in ada.text


def test_today_can_be_recorded_before_eight_in_the_morning(ada: Browser, month: Month) -> None:
    """In UTC it is still yesterday then."""
    month.moving.move_to(at("7:30", day=12))
    month.people.sign_in(ada, month.people.ada)
    form(ada, month)
    linked = [words(link) for link in ada.page.select("table.sf2 thead a")]
    assert linked == ["3", "4", "5", "6", "9", "10", "11", "12"]


def test_only_who_answers_for_the_section_sees_it(ada: Browser, month: Month) -> None:
    month.people.school_class(month.people.bob, month.section, "Music")
    bob = month.people.sign_in(Browser(month.app.test_client()), month.people.bob)
    for path in (f"/reports/sections/{month.section.id}/sf2/2026-11", day(month, 3)):
        bob.get(path, status=403)
