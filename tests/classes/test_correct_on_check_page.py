"""Rows of a roster file are corrected on the check page; nothing that was pasted is lost."""

from collections.abc import Iterator
from datetime import date, datetime
from types import ModuleType

import pytest
import time_machine
from sqlalchemy import select

from portal.classes.models import Enrolment, Learner, Section
from portal.core import clock
from portal.core.db import db
from portal.demo.school_data import EMERALD
from tests.browser import Browser
from tests.people import People, expire_orm_state

HEADER = "LRN\tLastName\tFirstName\tMiddleName\tExtension\tSex\tEmail\tRemarks"
GOOD = "300123230001\tALONZO\tAARON\tBALISACAN\t\tM\t\t"


@pytest.fixture(autouse=True)
def tuesday() -> Iterator[None]:
    with time_machine.travel(datetime(2026, 11, 24, 9, tzinfo=clock.MANILA), tick=False):
        yield


@pytest.fixture
def ada(browser: Browser, people: People) -> Browser:
    return people.sign_in(browser, people.ada)


@pytest.fixture
def emerald(people: People, ada: Browser) -> Section:
    return people.section(people.ada, "Emerald")


def paste(browser: Browser, section: Section | None, *rows: str, status: int = 200, **fields: str) -> None:
    browser.get(f"/classes/sections/{section.id}/import" if section else "/classes/import")
    browser.submit(button="Read the file", pasted="\n".join([HEADER, *rows]), status=status, **fields)


def learners() -> list[tuple[str | None, str, str, str | None]]:
    expire_orm_state()
    return [
        (one.lrn, one.lis_name, one.sex, one.email) for one in db.session.scalars(select(Learner).order_by(Learner.lrn))
    ]


def test_lrn_name_sex_and_address_are_corrected_and_saved(ada: Browser, emerald: Section) -> None:
    paste(ada, emerald, GOOD, "3.00123E+11\tPE?A\tANA\t\t\tX\tana@gmail.com\t")
    assert not ada.page.select("#answers") and learners() == []
    assert ada.page.select_one("#lrn-3")["value"] == "3.00123E+11"  # type: ignore[index]
    assert ada.page.select_one("#email-3")["value"] == "ana@gmail.com"  # type: ignore[index]
    ada.post(
        ada.page.select_one("#corrections")["action"],  # type: ignore[index, arg-type]
        {
            "row": "3",
            "lrn-3": "300123230002",
            "name-3": "PEÑA, ANA, LAZO",
            "sex-3": "F",
            "email-3": "ana@r1.deped.gov.ph",
        },
    )
    assert "to correct" not in ada.text and learners() == []
    ada.submit("#answers", button="Save the roster")
    assert learners() == [
        ("300123230001", "ALONZO,AARON, BALISACAN", "M", None),
        ("300123230002", "PEÑA, ANA, LAZO", "F", "ana@r1.deped.gov.ph"),
    ]


def test_what_is_still_wrong_is_said_again_and_kept(ada: Browser, emerald: Section) -> None:
    paste(ada, emerald, GOOD, "123\tPE?A\tANA\t\t\tF\t\t")
    action = ada.page.select_one("#corrections")["action"]  # type: ignore[index]
    ada.post(str(action), {"row": "3", "lrn-3": "12345", "name-3": "PEÑA ANA", "sex-3": "F"})
    assert "12345 has 5 digits and an LRN has 12" in ada.text and "PEÑA ANA has no comma" in ada.text
    assert ada.page.select_one("#lrn-3")["value"] == "12345"  # type: ignore[index]
    assert ada.page.select_one("#name-3")["value"] == "PEÑA ANA"  # type: ignore[index]


def test_a_repeated_lrn_is_found_and_forgotten_again(ada: Browser, emerald: Section) -> None:
    paste(ada, emerald, GOOD, GOOD.replace("AARON", "BEN"))
    assert "LRN 300123230001 also stands in row 2." in ada.text
    action = str(ada.page.select_one("#corrections")["action"])  # type: ignore[index]
    ada.post(action, {"row": "3", "lrn-3": "300123230002", "name-3": "ALONZO,BEN, BALISACAN", "sex-3": "M"})
    assert "also stands" not in ada.text and ada.page.select("#answers")


def test_the_last_day_is_asked_for_and_given_here(ada: Browser, emerald: Section, sf1: ModuleType) -> None:
    ada.get(f"/classes/sections/{emerald.id}/import")
    ada.submit(
        button="Read the file",
        file=(sf1.build(EMERALD, spoil={"AS7": "T/O", "AS9": "T/I DATE:2026-06-08 DRP"}), "a.xls"),
    )
    assert "Write the last day." in ada.text
    action = str(ada.page.select_one("#corrections")["action"])  # type: ignore[index]
    values = {
        f"{name}-{row}": (ada.page.select_one(f"#{name}-{row}") or {}).get("value", "")
        for name in ("lrn", "name", "email") for row in (7, 9)
    }  # fmt: skip
    ada.post(
        action,
        values | {"row": ["7", "9"], "sex-7": "M", "sex-9": "M", "remark_code-7": "T/O", "remark_date-7": "2026-08-03"}
        | {"remark_code-9": "DRP", "remark_date-9": "2026-09-04"},
    )  # fmt: skip
    ada.submit("#answers", button="Save the roster")
    expire_orm_state()
    found = select(Enrolment, Learner.lrn).join(Learner).where(Enrolment.until_date.is_not(None)).order_by(Learner.lrn)
    assert [
        (lrn, time.from_date, time.until_date, time.exit_reason, time.entry_reason)
        for time, lrn in db.session.execute(found)
    ] == [
        ("300123230001", date(2026, 6, 1), date(2026, 8, 3), "T/O", None),
        ("300123230003", date(2026, 6, 8), date(2026, 9, 4), "DRP", "T/I"),
    ]


def test_a_row_without_problem_is_corrected_too(ada: Browser, emerald: Section) -> None:
    paste(ada, emerald, GOOD)
    ada.click("Correct")
    ada.submit("#corrections", button="Check again")
    action = str(ada.url)
    assert ada.page.select("#answers")
    ada.post(f"{action}/rows", {"row": "2", "lrn-2": "300123230001", "name-2": "ALONSO,AARON, -", "sex-2": "M"})
    ada.submit("#answers", button="Save the roster")
    assert learners() == [("300123230001", "ALONSO,AARON, -", "M", None)]


def test_pasting_at_import_asks_for_grade_and_section_and_keeps_what_was_pasted(ada: Browser, people: People) -> None:
    paste(ada, None, GOOD, status=422)
    assert "Write the grade level" in ada.text and "Write the name of the section." in ada.text
    assert GOOD.strip() in ada.page.select_one("textarea").get_text()  # type: ignore[union-attr]
    ada.submit(button="Read the file", grade_level="Gr. 8", name="Ruby")
    assert "Grade 8 - Ruby" in ada.text
    ada.submit("#answers", button="Save the roster")
    section = db.session.scalars(select(Section)).one()
    assert (section.grade_level, section.name) == ("Grade 8", "Ruby")


def test_a_file_without_section_is_asked_on_the_check_page(ada: Browser, people: People) -> None:
    ada.get("/classes/import")
    ada.submit(button="Read the file", file=(f"{HEADER}\n{GOOD}\n".encode(), "roster.csv"))
    assert "The file names no section." in ada.text
    ada.submit("#corrections", button="Check again", grade_level="8", section="Ruby")
    assert "Grade 8 - Ruby" in ada.text
    ada.submit("#answers", button="Save the roster")
    assert len(learners()) == 1


def test_a_file_and_pasted_rows_at_once_are_not_both_taken(ada: Browser, emerald: Section) -> None:
    ada.get(f"/classes/sections/{emerald.id}/import")
    ada.submit(button="Read the file", file=(f"{HEADER}\n{GOOD}\n".encode(), "a.csv"), pasted="my rows", status=422)
    assert "not both" in ada.text and "my rows" in ada.page.select_one("textarea").get_text()  # type: ignore[union-attr]


def test_nobody_else_corrects_an_import(ada: Browser, emerald: Section, people: People) -> None:
    paste(ada, emerald, "123\tCRUZ\tANA\t\t\tF\t\t")
    action = str(ada.page.select_one("#corrections")["action"])  # type: ignore[index]
    people.sign_in(ada, people.bob)
    ada.get("/classes")
    ada.post(action, {"row": "2"}, status=404)
