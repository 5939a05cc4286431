"""A learner's page says how often they came, and leads to the sheets."""

from flask import Flask

from portal.attendance.models import AttendanceSheet
from portal.core.db import db, write_transaction
from portal.meetings.models import MeetingOccurrence
from tests.attendance.lesson import add_meeting, at
from tests.browser import Browser, words
from tests.classes.test_one_learner import statements
from tests.people import expire_orm_state
from tests.reports.conftest import Month, mark


def page(month: Month, number: int) -> str:
    return f"/classes/sections/{month.section.id}/learners/{month.learners[number].id}"


def figures(browser: Browser) -> dict[str, str]:
    pairs = browser.page.select("[aria-labelledby=attendance] dl > div")
    return {words(one.select("dt")[0]): words(one.select("dd")[0]) for one in pairs}


def listed(browser: Browser) -> list[str]:
    return [words(one) for one in browser.page.select("[aria-labelledby=attendance] li")]


def test_the_adviser_sees_every_class_of_the_section(month: Month, ada: Browser) -> None:
    ada.get(page(month, 1))
    assert figures(ada) == {"Present": "2", "Partial": "0", "Absent": "1"}
    assert "Of 3 dates held" in ada.text
    assert [one.split(" 0 min ")[-1].split()[0] for one in listed(ada)] == ["Absent", "Present", "Present"]
    ada.click("Art")
    assert ada.url == f"/attendance/{month.dates(month.art)[0].id}"


def test_who_teaches_one_class_sees_that_one(month: Month, app: Flask) -> None:
    month.people.school_class(month.people.bob, month.section, "Music")
    bob = month.people.sign_in(Browser(app.test_client()), month.people.bob)
    bob.get(page(month, 1))
    assert "No class was held yet in the classes that you may see." in bob.text
    assert not figures(bob)


def test_a_date_that_is_in_no_report_is_not_counted(month: Month, ada: Browser) -> None:
    with write_transaction() as session:
        session.get_one(AttendanceSheet, month.dates(month.art)[0].id).counts_in_reports = False
    expire_orm_state()
    ada.get(page(month, 1))
    assert figures(ada)["Present"] == "1"


def test_a_year_has_its_own_figures(month: Month, ada: Browser) -> None:
    month.moving.move_to(at("12:00", day=11).replace(year=2027))
    month.people.sign_in(ada, month.people.ada).get(page(month, 1))
    assert figures(ada)["Absent"] == "1"  # the section is of the year before


def test_the_last_ten_are_listed_in_ten_statements(month: Month, ada: Browser) -> None:
    add_meeting(month.people.ada, month.art, [(at("13:00", day=day), 60) for day in range(5, 20)], zoom_id="9")
    month.moving.move_to(at("12:00", day=21))
    for occurrence in month.dates(month.art)[1:]:
        mark(
            month,
            month.people.ada,
            db.session.get_one(MeetingOccurrence, occurrence.id),
            month.learners,
            ["partial"] * 4,
        )
    expire_orm_state()
    url = page(month, 0)
    month.people.sign_in(ada, month.people.ada)
    seen = statements(ada, url)
    assert figures(ada)["Partial"] == "15"
    assert len(listed(ada)) == 10
    assert "The last 10:" in ada.text
    assert len(seen) <= 10, "\n\n".join(seen)
