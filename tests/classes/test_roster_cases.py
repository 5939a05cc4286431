"""Rosters that once came out wrong, brought in through the pages. Each stands for its whole kind."""

import io
from collections.abc import Iterator
from datetime import date, datetime
from types import ModuleType

import openpyxl
import pytest
import time_machine
import xlwt
from sqlalchemy import select

from portal.classes.models import Enrolment, Learner, Section
from portal.core import clock
from portal.core.db import db
from portal.demo.school_data import EMERALD
from tests.browser import Browser
from tests.people import People, expire_orm_state

AUGUST_3 = date(2026, 8, 3)
FILENAME = "SF1_2026_Grade 8 (Year II) - EMERALD.xls"
REMARKS = {  # the cell, and who is read from it: reason and last day, or the problem
    "T/O DATE:2026-08-03": ("T/O", AUGUST_3),
    "T/O DATE:2026/08/03": ("T/O", AUGUST_3),
    "T/O DATE: 2026/08/03": ("T/O", AUGUST_3),
    "T/O DATE:08/03/2026": ("T/O", AUGUST_3),
    "T/O DATE:08-03-2026": ("T/O", AUGUST_3),
    "T/O Laoag NHS (P) 08/03/2026": ("T/O", AUGUST_3),
    "DRP DATE:2026/08/10": ("DRP", date(2026, 8, 10)),
    "NLS DATE:2026-08-10": ("NLS", date(2026, 8, 10)),
    "T/I DATE:2026-06-08T/O DATE:2026/09/09": ("T/O", date(2026, 9, 9)),
    "T/I DATE:2026-06-08<br>T/O DATE:2026-09-09": ("T/O", date(2026, 9, 9)),
    "T/I DATE:2026-06-08\nT/O DATE:2026-09-09": ("T/O", date(2026, 9, 9)),
    "LWD<br>T/O DATE:2026/08/03": ("T/O", AUGUST_3),
    "CCT<br>T/O DATE:2026/08/03": ("T/O", AUGUST_3),
    "LWD \nT/I DATE:2026-06-15": (None, None),
    "T/I DATE:2026/06/15": (None, None),
    "LE DATE:2026/06/15": (None, None),
    "T/I-DATE:2026-06-15": (None, None),
    "SNED": (None, None),
}
UNDATED = ("T/O", "DRP", "NLPA", "T/O Laoag NHS", "T/O DATE:2026-02-30", "T/I DATE:2026-06-08<br>T/O")


@pytest.fixture(autouse=True)
def tuesday() -> Iterator[None]:
    with time_machine.travel(datetime(2026, 11, 24, 9, tzinfo=clock.MANILA), tick=False):
        yield


@pytest.fixture
def ada(browser: Browser, people: People) -> Browser:
    return people.sign_in(browser, people.ada)


@pytest.fixture
def emerald(people: People, ada: Browser, sf1: ModuleType) -> Section:
    """Emerald with its 45 learners, as its form of June said."""
    section = people.section(people.ada, "Emerald")
    bring_in(ada, section, sf1.build(EMERALD))
    ada.submit("#answers", button="Save the roster")
    return section


def bring_in(
    browser: Browser, section: Section | None, data: bytes, filename: str = FILENAME, status: int = 200
) -> None:
    browser.get(f"/classes/sections/{section.id}/import" if section else "/classes/import")
    browser.submit(button="Read the file", file=(data, filename), status=status)


def status_of(browser: Browser, row: int) -> str:
    return browser.page.select_one(f"#r-{row} td.st").get_text(" ", strip=True)  # type: ignore[union-attr]


def times_of(lrn: str) -> list[tuple[date, date | None, str | None, str | None]]:
    expire_orm_state()
    found = select(Enrolment).join(Learner).where(Learner.lrn == lrn).order_by(Enrolment.from_date)
    return [(one.from_date, one.until_date, one.exit_reason, one.entry_reason) for one in db.session.scalars(found)]


def test_learners_leave_on_the_day_of_the_last_leaving_code(ada: Browser, emerald: Section, sf1: ModuleType) -> None:
    spoil = {f"AS{row}": remark for row, remark in enumerate(REMARKS, 7)}
    bring_in(ada, emerald, sf1.build(EMERALD, spoil=spoil))
    assert "to correct" not in ada.text
    ada.submit("#answers", button="Save the roster")
    for number, (remark, (reason, last_day)) in enumerate(REMARKS.items(), 1):
        [(_, until, left_by, _)] = times_of(f"3001232300{number:02}")
        assert (until, left_by) == (last_day, reason), remark


def test_a_leaving_code_without_a_day_is_asked_about_and_nothing_is_saved(
    ada: Browser, emerald: Section, sf1: ModuleType
) -> None:
    spoil = {f"AS{row}": remark for row, remark in enumerate(UNDATED, 7)}
    bring_in(ada, emerald, sf1.build(EMERALD, spoil=spoil))
    assert [status_of(ada, row) for row in range(7, 7 + len(UNDATED))] == ["To correct"] * len(UNDATED)
    assert "Row 7, REMARKS: The remark says T/O and no day that can be read. Write the last day." in ada.text
    assert not ada.page.select("#answers")


def test_a_day_of_another_year_is_asked_about(ada: Browser, emerald: Section, sf1: ModuleType) -> None:
    bring_in(ada, emerald, sf1.build(EMERALD, spoil={"AS7": "T/O DATE:2062-08-03", "AS8": "T/O DATE:2025-08-03"}))
    assert status_of(ada, 7) == status_of(ada, 8) == "To correct"
    assert "Sunday 3 August 2025 is not in the school year 2026-2027. Write the last day." in ada.text


@pytest.mark.parametrize("remark", ["T/O DATE:2026/08/03", "T/O DATE:2026-09-30", "T/O", "DRP"])
def test_who_left_already_is_not_new_again(ada: Browser, emerald: Section, sf1: ModuleType, remark: str) -> None:
    bring_in(ada, emerald, sf1.build(EMERALD, spoil={"AS12": "T/O DATE:2026-08-03"}))
    ada.submit("#answers", button="Save the roster")
    before = times_of("300123230006")
    assert [time[1] for time in before] == [AUGUST_3]
    bring_in(ada, emerald, sf1.build(EMERALD, spoil={"AS12": remark}))
    assert status_of(ada, 12) == "Left already"
    ada.submit("#answers", button="Save the roster")
    assert times_of("300123230006") == before


def test_who_left_and_stands_in_the_file_as_if_not_is_said_to_come_back(
    ada: Browser, emerald: Section, sf1: ModuleType
) -> None:
    bring_in(ada, emerald, sf1.build(EMERALD, spoil={"AS12": "T/O DATE:2026-08-03"}))
    ada.submit("#answers", button="Save the roster")
    bring_in(ada, emerald, sf1.build(EMERALD))
    assert status_of(ada, 12) == "New"
    assert "Left on Monday 3 August 2026." in ada.text


def test_who_came_back_is_not_sent_off_by_the_remark_of_then(ada: Browser, emerald: Section, sf1: ModuleType) -> None:
    for remark in ("T/O DATE:2026-08-03", "T/I DATE:2026-10-01"):
        bring_in(ada, emerald, sf1.build(EMERALD, spoil={"AS12": remark}))
        ada.submit("#answers", button="Save the roster")
    assert [time[:2] for time in times_of("300123230006")] == [
        (date(2026, 6, 1), AUGUST_3), (date(2026, 10, 1), None),
    ]  # fmt: skip
    bring_in(ada, emerald, sf1.build(EMERALD, spoil={"AS12": "T/O DATE:2026-08-03"}))
    assert status_of(ada, 12) == "Same"


def test_one_who_came_and_left_has_both_days(ada: Browser, people: People, sf1: ModuleType) -> None:
    bring_in(ada, None, sf1.build(EMERALD, spoil={"AS8": "T/I DATE:2026-07-01T/O DATE:2026/09/09"}))
    ada.submit("#answers", button="Save the roster")
    assert times_of("300123230002") == [(date(2026, 7, 1), date(2026, 9, 9), "T/O", "T/I")]


@pytest.mark.parametrize(
    "heading", ["REMARKS", "Remarks", "REMARK", "REMARKS (Please refer to the legend on last page)", "INDICATORS",
                "REMARKS (If DROPPED OUT, state reason, please refer to legend number 2.)"],
)  # fmt: skip
def test_the_column_of_remarks_is_known_by_every_heading(
    ada: Browser, emerald: Section, sf1: ModuleType, heading: str
) -> None:
    bring_in(ada, emerald, sf1.build(EMERALD, spoil={"AS5": heading, "AS7": "T/O DATE:2026-08-03"}))
    assert status_of(ada, 7) == "Leaves"


# --- senior high school ------------------------------------------------------------------------------------


def shs_rows(
    heading_row: int, remarks_column: int, extra: list[list[object]] | None = None
) -> dict[tuple[int, int], object]:
    """School Form 1 of senior high school, with three learners who do not exist."""
    cells: dict[tuple[int, int], object] = {
        (2, 7): "School Form 1 School Register for Senior High School (SF1-SHS)",
        (4, 5): "School Name", (4, 8): "San Nicolas National High School", (4, 15): "School ID", (4, 18): "300123",
        (8, 6): "Semester", (8, 8): "First Semester", (8, 15): "School Year", (8, 18): "2026 - 2027",
        (8, 25): "Grade Level", (8, 29): "Grade 11", (heading_row - 3, 6): "Section", (heading_row - 3, 8): "MOLAVE",
    }  # fmt: skip
    top = heading_row - 1
    heads = {
        0: "LRN",
        2: "NAME (Last Name, First Name, Name Extension, Middle Name)",
        10: "Sex (M/F)",
        remarks_column: "REMARKS",
    }
    cells |= {(top, column): text for column, text in heads.items()}
    cells |= {(top, 43): "GUARDIAN", (top + 1, 43): "Name (Last Name, First Name, Name Extension, Middle"}
    cells[top + 1, remarks_column] = "(Please refer to the legend on last page)"
    rows: list[list[object]] = [
        ["300123110001", "ABALOS,RENATO DIZON", "M", ""],
        ["300123110002", "CABREROS,JUN, JR, ULEP", "M", "T/I DATE:2026-06-15"],
        [2, "<=== TOTAL MALE", "", ""],
        ["300123110003", "DACQUEL,MARIA FE, TUGADE", "F", ""],
        [1, "<=== TOTAL FEMALE", "", ""],
        [3, "<=== COMBINED", "", ""],
        ["", "", "", ""],
        ["Legend: List and Code of Indicators under REMARKS column", "", "", ""],
    ]  # fmt: skip
    for number, (lrn, name, sex, remark) in enumerate(rows, top + 2):
        cells |= {(number, 0): lrn, (number, 2): name, (number, 10): sex, (number, remarks_column): remark}
    return {place: value for place, value in cells.items() if value != ""}


def as_xls(cells: dict[tuple[int, int], object]) -> bytes:
    book = xlwt.Workbook()
    sheet = book.add_sheet("school_form_1_shs_ver2018.2.1.1")
    for (row, column), value in cells.items():
        sheet.write(row, column, value)
    kept = io.BytesIO()
    book.save(kept)
    return kept.getvalue()


def as_xlsx(cells: dict[tuple[int, int], object]) -> bytes:
    book = openpyxl.Workbook()
    for (row, column), value in cells.items():
        book.active.cell(row + 1, column + 1, value)
    kept = io.BytesIO()
    book.save(kept)
    return kept.getvalue()


@pytest.mark.parametrize("save", [as_xls, as_xlsx])
@pytest.mark.parametrize(("heading_row", "remarks_column"), [(18, 54), (18, 45), (14, 45), (40, 70)])
def test_the_form_of_senior_high_is_read(
    ada: Browser, people: People, save: object, heading_row: int, remarks_column: int
) -> None:
    bring_in(ada, None, save(shs_rows(heading_row, remarks_column)), "SF1.xls")  # type: ignore[operator]
    assert "Grade 11 - MOLAVE" in ada.text and "3 learners" in ada.text
    ada.submit("#answers", button="Save the roster")
    learners = db.session.scalars(select(Learner).order_by(Learner.lrn)).all()
    assert [(one.lrn, one.sex) for one in learners] == [
        ("300123110001", "M"), ("300123110002", "M"), ("300123110003", "F"),
    ]  # fmt: skip
    assert times_of("300123110002") == [(date(2026, 6, 15), None, None, "T/I")]
    assert (learners[1].first_name, learners[1].extension, learners[1].middle_name) == ("JUN", "JR", "ULEP")


# --- letters -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["cp850", "cp437", "cp1252", "mac_roman", "utf-8", "utf-8-sig", "utf-16"])
def test_a_csv_of_any_program_brings_the_name_as_it_is(
    ada: Browser, emerald: Section, people: People, encoding: str
) -> None:
    rows = "LRN,LastName,FirstName,MiddleName,Extension,Sex\n300123230008,DE LA PEÑA,HANS,IGNACIO,,M\n"
    bring_in(ada, emerald, rows.encode(encoding), "roster.csv")
    ada.submit("#answers", button="keep them all")
    expire_orm_state()
    learner = db.session.scalars(select(Learner).where(Learner.lrn == "300123230008")).one()
    assert (learner.last_name, learner.lis_name) == ("DE LA PEÑA", "DE LA PEÑA,HANS, IGNACIO")


@pytest.mark.parametrize("name", ["DE LA PE¥A", "DE LA PeÃ±a", "DE LA PE\ufffdA", "DE LA PE?A"])
def test_a_name_with_letters_that_no_name_has_is_never_saved(ada: Browser, emerald: Section, name: str) -> None:
    rows = f"LRN,LastName,FirstName,MiddleName,Extension,Sex\n300123230008,{name},HANS,IGNACIO,,M\n"
    bring_in(ada, emerald, rows.encode(), "roster.csv")
    assert status_of(ada, 2) == "To correct" and "Row 2, NAME" in ada.text
    assert not ada.page.select("#answers")


def test_a_csv_of_two_readings_is_refused_with_its_line(ada: Browser, emerald: Section) -> None:
    rows = "LRN,LastName,FirstName,MiddleName,Extension,Sex\n300123230008,CRUZ,JESÚS,-,,M\n"
    bring_in(ada, emerald, rows.encode("cp850"), "roster.csv", status=422)
    assert "Line 2 has a letter that cannot be read for sure. Save the file as “CSV UTF-8”" in ada.text


def test_school_form_1_saved_as_csv_is_read(ada: Browser, people: People) -> None:
    cells = shs_rows(18, 54)
    lines = [[str(cells.get((row, column), "")) for column in range(55)] for row in range(30)]
    text = "\r\n".join(";".join(cell if ";" not in cell else f'"{cell}"' for cell in line) for line in lines)
    bring_in(ada, None, text.encode("cp1252"), "SF1.csv")
    assert "Grade 11 - MOLAVE" in ada.text and "3 learners" in ada.text and "to correct" not in ada.text
