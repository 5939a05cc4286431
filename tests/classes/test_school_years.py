"""School years: the sections of each, archives to read, a new year to open; classes renamed, closed, opened again."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select

from portal.classes.models import Enrolment, SchoolClass, Section
from portal.core import clock
from portal.core.audit_log import AuditEntry
from portal.core.db import db
from portal.meetings.models import MeetingOccurrence, ZoomMeeting
from tests.browser import Browser
from tests.classes.test_one_learner import statements
from tests.people import People, expire_orm_state, run_jobs

HEADER = "LRN\tLastName\tFirstName\tMiddleName\tExtension\tSex\tRemarks\n"
pytestmark = pytest.mark.usefixtures("names_in_letters")


@pytest.fixture(autouse=True)
def moving() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(datetime(2026, 11, 24, 9, tzinfo=clock.MANILA), tick=False) as traveller:
        yield traveller


def at(traveller: time_machine.Traveller, year: int, month: int, day: int) -> None:
    traveller.move_to(datetime(year, month, day, 9, tzinfo=clock.MANILA))


def offered(browser: Browser) -> list[str]:
    return [box.parent.get_text(strip=True) for box in browser.page.select("input[name=sections]")]  # type: ignore[union-attr]


def test_before_march_nothing_is_said_of_the_next_year(browser: Browser, people: People) -> None:
    people.section(people.ada)
    people.sign_in(browser, people.ada).get("/classes")
    assert "can be opened" not in browser.text
    browser.get("/classes/years/new", follow=True)
    assert "no section to open" in browser.page.text


def test_the_next_year_gets_new_empty_sections_and_nothing_else(
    browser: Browser, people: People, moving: time_machine.Traveller
) -> None:
    jadeite = people.section(people.ada)
    people.section(people.ada, "Ruby")
    people.section(people.bob, "Topaz")
    people.learners(jadeite, 3)
    people.school_class(people.ada, jadeite)
    at(moving, 2027, 4, 5)
    people.sign_in(browser, people.ada).get("/classes")
    browser.click("Open SY 2027-2028")
    assert offered(browser) == ["Grade 8 - Jadeite", "Grade 8 - Ruby"]
    browser.submit(sections=[str(jadeite.id)])
    assert "1 section is open for SY 2027-2028." in browser.page.text
    expire_orm_state()
    new = db.session.scalars(select(Section).where(Section.school_year == "2027-2028")).one()
    assert (new.title, new.adviser_id) == ("Grade 8 - Jadeite", people.ada.id)
    assert not db.session.scalars(select(Enrolment).where(Enrolment.section_id == new.id)).all()
    assert len(db.session.scalars(select(SchoolClass)).all()) == 1
    assert db.session.scalars(select(AuditEntry.action)).all().count("created_school_year") == 1
    browser.get("/classes/years/new")
    assert offered(browser) == ["Grade 8 - Ruby"]


def test_choosing_no_section_is_pointed_out(browser: Browser, people: People, moving: time_machine.Traveller) -> None:
    people.section(people.ada)
    at(moving, 2027, 4, 5)
    people.sign_in(browser, people.ada).get("/classes/years/new")
    browser.submit(sections=[], status=422)
    assert "Choose at least one section." in browser.text


def test_a_roster_for_the_next_year_leaves_this_year_s_alone_until_june(
    browser: Browser, people: People, moving: time_machine.Traveller
) -> None:
    jadeite = people.section(people.ada)
    [ana] = people.learners(jadeite, 1)
    at(moving, 2027, 5, 10)
    people.sign_in(browser, people.ada).get("/classes/years/new")
    browser.submit()
    expire_orm_state()
    new = db.session.scalars(select(Section).where(Section.school_year == "2027-2028")).one()
    for _ in range(2):  # the second time changes nothing
        browser.get(f"/classes/sections/{new.id}/import")
        browser.submit(button="Read the file", pasted=HEADER + "300123200001\tLEARNEROOA\tANA\tCRUZ\t\tM\t\n")
        browser.submit("#answers")
        expire_orm_state()
        rows = db.session.scalars(select(Enrolment).where(Enrolment.learner_id == ana.id).order_by(Enrolment.from_date))
        assert [(row.section_id, row.from_date, row.until_date) for row in rows] == [
            (jadeite.id, date(2026, 6, 8), date(2027, 5, 31)),
            (new.id, date(2027, 6, 1), None),
        ]
    assert "1 learner, SY 2027-2028" in browser.text
    at(moving, 2027, 6, 14)
    people.sign_in(browser, people.ada).get(f"/classes/sections/{jadeite.id}")
    assert "1 learner, SY 2026-2027" in browser.text


def test_a_past_year_is_an_archive(
    app: Flask, browser: Browser, people: People, moving: time_machine.Traveller
) -> None:
    jadeite = people.section(people.ada)
    people.learners(jadeite, 2)
    biology = people.school_class(people.ada, jadeite)
    at(moving, 2027, 6, 14)
    people.sign_in(browser, people.ada).get("/classes")
    assert "SY 2026-2027, over: to read only" in browser.text
    assert not [link for link in browser.page.select("main a") if "meetings/new" in str(link["href"])]
    people.section(people.ada, "Beryl", "Grade 9")
    browser.get("/classes")
    assert "Grade 9 - Beryl" in browser.text
    assert "Jadeite" not in browser.text
    browser.click("2026-2027")
    assert "Grade 8 - Jadeite" in browser.text
    browser.click("Grade 8 - Jadeite")
    assert "2 learners, SY 2026-2027" in browser.text
    assert not browser.page.select("main form")
    browser.get(f"/classes/{biology.id}")
    assert "Schedule a class" not in browser.text
    browser.get("/meetings/new")
    assert "Biology" not in browser.text
    browser.post(f"/classes/sections/{jadeite.id}/classes", {"subject": "Music"}, status=403)


def test_a_class_is_renamed(browser: Browser, people: People) -> None:
    jadeite = people.section(people.ada)
    biology = people.school_class(people.ada, jadeite)
    people.school_class(people.ada, jadeite, "Music")
    people.sign_in(browser, people.ada).get(f"/classes/{biology.id}")
    browser.click("Rename or close")
    browser.submit(subject="Music", status=422)
    assert "This section has that subject already." in browser.text
    browser.submit(subject="  Biology   8 ")
    assert browser.page.h1 and browser.page.h1.get_text().startswith("Biology 8")


def test_a_closed_class_is_not_scheduled_for_until_it_is_open_again(browser: Browser, people: People) -> None:
    biology = people.school_class(people.ada, people.section(people.ada))
    people.meeting(people.ada, biology, clock.now() + timedelta(hours=3))
    people.sign_in(browser, people.ada).get(f"/classes/{biology.id}/change")
    browser.click("Close the class")
    browser.submit(status=422)
    assert "Choose what becomes of the coming dates." in browser.text
    browser.submit(dates="leave")
    assert "Closed" in browser.text
    expire_orm_state()
    assert db.session.scalars(select(MeetingOccurrence.state)).all() == ["scheduled"]
    assert "Schedule a class" not in browser.text
    browser.get("/classes")
    assert "Closed classes" in browser.text
    browser.get("/meetings/new")
    assert "Biology" not in browser.text
    browser.get(f"/classes/{biology.id}/change")
    browser.submit("form[action$='/reopen']")
    assert "Schedule a class" in browser.text
    said = select(AuditEntry.action).where(AuditEntry.subject_id == str(biology.id)).order_by(AuditEntry.id)
    actions = db.session.scalars(said).all()
    assert actions[-2:] == ["closed", "reopened"]


def test_a_class_is_closed_with_its_coming_dates_and_what_was_held_stays(
    app: Flask, browser: Browser, people: People, moving: time_machine.Traveller
) -> None:
    biology = people.school_class(people.ada, people.section(people.ada))
    music = people.school_class(people.ada, people.section(people.ada, "Ruby"), "Music")
    for school_class, hours in ((biology, -24), (biology, 3), (biology, 48), (music, 72)):
        people.meeting(people.ada, school_class, clock.now() + timedelta(hours=hours))
    run_jobs(app)
    people.sign_in(browser, people.ada).get(f"/classes/{biology.id}/close")
    assert "2 dates are still to come." in browser.text
    browser.submit(dates="cancel")
    assert "2 coming dates are cancelled." in browser.text
    run_jobs(app)
    expire_orm_state()
    found = db.session.execute(
        select(ZoomMeeting.class_id == biology.id, MeetingOccurrence.state, ZoomMeeting.pending_action)
        .join(MeetingOccurrence.meeting)
        .order_by(MeetingOccurrence.starts_at)
    ).all()
    assert [tuple(row) for row in found] == [
        (True, "scheduled", None),
        (True, "cancelled", None),
        (True, "cancelled", None),
        (False, "scheduled", None),
    ]


def test_closing_asks_nothing_where_nothing_is_to_come(browser: Browser, people: People) -> None:
    biology = people.school_class(people.ada, people.section(people.ada))
    people.sign_in(browser, people.ada).get(f"/classes/{biology.id}/close")
    assert "No date of it is to come." in browser.text
    browser.submit()
    assert "Biology is closed." in browser.text


def test_an_adviser_who_does_not_teach_it_neither_renames_nor_closes(
    app: Flask, browser: Browser, people: People
) -> None:
    music = people.school_class(people.bob, people.section(people.ada), "Music")
    people.sign_in(browser, people.ada).get(f"/classes/{music.id}")
    assert "Rename or close" not in browser.text
    browser.get(f"/classes/{music.id}/change", status=403)
    browser.get("/classes")
    browser.post(f"/classes/{music.id}/close", status=403)


@pytest.mark.parametrize("count", [1, 12])
def test_the_list_takes_at_most_ten_statements(
    browser: Browser, people: People, moving: time_machine.Traveller, count: int
) -> None:
    for number in range(count):
        people.school_class(people.ada, people.section(people.ada, f"Section {number}"))
    at(moving, 2027, 4, 5)
    people.sign_in(browser, people.ada)
    for url in ("/classes", "/classes/years/new"):
        seen = statements(browser, url)
        assert len(seen) <= 10, "\n\n".join(seen)


def test_an_empty_section_of_a_past_year_asks_for_nothing(
    browser: Browser, people: People, moving: time_machine.Traveller
) -> None:
    jadeite = people.section(people.ada)
    at(moving, 2027, 7, 5)
    people.sign_in(browser, people.ada).get(f"/classes/sections/{jadeite.id}")
    assert "Nobody was on this roster." in browser.text
    assert "Bring in" not in browser.text
