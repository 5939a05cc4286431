"""A learner put on a roster by hand, corrected, moved, withdrawn, taken back."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta

import pytest
import time_machine
from flask import Flask
from sqlalchemy import event, select

from portal.accounts import service as accounts
from portal.classes.models import Enrolment, Learner, Section
from portal.core import clock
from portal.core.audit_log import AuditEntry
from portal.core.db import db
from portal.registration.models import MeetingRegistrant
from portal.sandbox.simulation.simulated_zoom import SimulatedZoom
from tests.browser import Browser
from tests.people import People, expire_orm_state, run_jobs

TODAY = date(2026, 11, 24)
NEW = {"last_name": "Muñoz", "first_name": "Ma. Luz", "middle_name": "", "sex": "F", "lrn": "300123299999"}


@pytest.fixture(autouse=True)
def tuesday() -> Iterator[None]:
    with time_machine.travel(datetime(2026, 11, 24, 7, tzinfo=clock.MANILA), tick=False):
        yield


@pytest.fixture
def jadeite(people: People) -> Section:
    return people.section(people.ada)


@pytest.fixture
def ada(browser: Browser, people: People) -> Browser:
    return people.sign_in(browser, people.ada)


def page_of(section: Section, learner: Learner, what: str = "") -> str:
    return f"/classes/sections/{section.id}/learners/{learner.id}" + (f"/{what}" if what else "")


def rows(learner: Learner) -> list[Enrolment]:
    expire_orm_state()
    return list(
        db.session.scalars(select(Enrolment).where(Enrolment.learner_id == learner.id).order_by(Enrolment.from_date))
    )


def audited(learner: Learner) -> list[str]:
    found = select(AuditEntry.action).where(AuditEntry.subject_id == str(learner.id)).order_by(AuditEntry.id)
    return list(db.session.scalars(found))


def add(browser: Browser, section: Section, status: int = 200, **fields: object) -> None:
    browser.get(f"/classes/sections/{section.id}/learners/new")
    browser.submit(status=status, **(NEW | fields))


def test_a_learner_is_added_as_lis_would_write_her(ada: Browser, jadeite: Section) -> None:
    add(ada, jadeite)
    assert "MUÑOZ, MA. LUZ is on the roster." in ada.page.text
    learner = db.session.scalars(select(Learner)).one()
    assert (learner.lis_name, learner.lrn, learner.sex) == ("MUÑOZ,MA. LUZ, -", "300123299999", "F")
    assert [(row.from_date, row.until_date) for row in rows(learner)] == [(TODAY, None)]
    assert audited(learner) == ["added"]


def test_a_learner_without_lrn_is_added_and_can_get_it_later(ada: Browser, jadeite: Section) -> None:
    add(ada, jadeite, lrn="")
    learner = db.session.scalars(select(Learner)).one()
    assert learner.lrn is None
    ada.click("MUÑOZ")
    assert "Not registrable with Zoom yet." in ada.text
    ada.click("Correct details")
    ada.submit(lrn="300123299999", email="LUZ.munoz@r1.deped.gov.ph")
    expire_orm_state()
    learner = db.session.scalars(select(Learner)).one()
    assert (learner.lrn, learner.email) == ("300123299999", "luz.munoz@r1.deped.gov.ph")
    assert "luz.munoz@r1.deped.gov.ph" in ada.page.text
    assert audited(learner) == ["added", "viewed", "changed"]


def test_she_stands_where_lis_prints_her(ada: Browser, people: People, jadeite: Section) -> None:
    people.learners(jadeite, 3)
    add(ada, jadeite, sex="M", last_name="Learner002", first_name="Zoe")
    names = [cell.get_text() for cell in ada.page.select("table.roster th.name a")]
    assert [name.split(",")[0].strip() for name in names] == ["LEARNER001", "LEARNER002", "LEARNER002", "LEARNER003"]
    assert "ZOE" in names[2]


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("last_name", "", "Write the last name."),
        ("first_name", "A,B", "There is a comma inside."),
        ("lrn", "1234", "1234 has 4 digits and an LRN has 12."),
        ("lrn", "1.36425E+11", "Excel shortened"),
        ("email", "luz@gmail.com", "Only @r1.deped.gov.ph email addresses can join class meetings."),
        ("since", "2026-05-31", "Choose a day from 1 June 2026 to 24 November 2026."),
        ("since", "2026-11-25", "Choose a day from 1 June 2026 to 24 November 2026."),
    ],
)
def test_what_cannot_be_is_said_at_its_field_and_what_was_typed_stays(
    ada: Browser, jadeite: Section, field: str, value: str, sentence: str
) -> None:
    add(ada, jadeite, 422, **{field: value})
    assert sentence in ada.page.select_one(f"#{field}-error").get_text()  # type: ignore[union-attr]
    assert ada.page.select_one(f"#{field}")["value"] == value  # type: ignore[index]
    if field != "first_name":
        assert ada.page.select_one("#first_name")["value"] == "Ma. Luz"  # type: ignore[index]
    assert db.session.scalars(select(Learner)).all() == []


def test_a_namesake_is_asked_about(ada: Browser, jadeite: Section) -> None:
    add(ada, jadeite)
    add(ada, jadeite, 422, lrn="")
    assert "A learner of this name is on the roster." in ada.text
    ada.submit(another=True)
    assert len(db.session.scalars(select(Learner)).all()) == 2


def test_an_lrn_of_the_roster_of_another_section_is_said_to_be_there(
    ada: Browser, people: People, jadeite: Section
) -> None:
    people.learners(people.section(people.bob, "Ruby"), 1)
    add(ada, jadeite, 422, lrn="300123200001")
    assert "is on the roster of Grade 8 - Ruby" in ada.text


def test_an_lrn_of_another_school_is_refused_without_saying_whose(
    ada: Browser, people: People, jadeite: Section
) -> None:
    elsewhere = accounts.get_or_create_school("300999", "Elsewhere High School", "La Union")
    far = people.person("far", "Fe Ramos", elsewhere)
    [learner] = people.learners(people.section(far), 1)
    add(ada, jadeite, 422, lrn=learner.lrn)
    assert "belongs to a learner of another school" in ada.text
    assert "LEARNER001" not in ada.text


def test_two_learners_cannot_get_one_lrn(ada: Browser, people: People, jadeite: Section) -> None:
    first, second = people.learners(jadeite, 2)
    ada.get(page_of(jadeite, second, "change"))
    ada.submit(lrn=first.lrn, status=422)
    assert "is on the roster of Grade 8 - Jadeite" in ada.text


def test_a_withdrawn_learner_is_off_the_roster_and_her_registration_is_cancelled(
    app: Flask, ada: Browser, people: People, jadeite: Section, world: SimulatedZoom
) -> None:
    first, _second = people.learners(jadeite, 2)
    people.create_registered_meeting(
        people.ada, people.school_class(people.ada, jadeite), clock.now() + timedelta(hours=3)
    )
    ada.get(page_of(jadeite, first))
    assert "Registered" in ada.text
    ada.click("Withdraw")
    ada.submit(reason="T/O", last_day="2026-11-20", detail="Laoag City National High School")
    assert "transferred out: Laoag City National High School" in ada.text
    run_jobs(app)
    states = {
        row.learner_id: row.state
        for row in db.session.scalars(select(MeetingRegistrant).where(MeetingRegistrant.learner_id.is_not(None)))
    }
    assert states[first.id] == "cancelled"
    ada.get(f"/classes/sections/{jadeite.id}")
    assert "1 learner" in ada.text
    assert "Left the section" in ada.text
    [row] = rows(first)
    assert (row.until_date, row.exit_reason, row.exit_detail) == (
        date(2026, 11, 20), "T/O", "Laoag City National High School",
    )  # fmt: skip
    assert "withdrew" in audited(first)


def test_nobody_leaves_before_she_came(ada: Browser, people: People, jadeite: Section) -> None:
    [learner] = people.learners(jadeite, 1, since=date(2026, 9, 1))
    ada.get(page_of(jadeite, learner, "withdraw"))
    ada.submit(reason="NLS", last_day="2026-08-31", status=422)
    assert "on the roster since 1 September 2026" in ada.text
    assert rows(learner)[0].until_date is None


def test_one_entered_by_mistake_never_was_there(ada: Browser, people: People, jadeite: Section) -> None:
    [learner] = people.learners(jadeite, 1)
    ada.get(page_of(jadeite, learner, "withdraw"))
    ada.submit(reason="mistake")
    assert db.session.scalars(select(Enrolment)).all() == []
    assert "No learners yet" in ada.text


def test_a_learner_moves_and_both_rosters_say_so(ada: Browser, people: People, jadeite: Section) -> None:
    ruby = people.section(people.bob, "Ruby")
    [learner] = people.learners(jadeite, 1)
    ada.get(page_of(jadeite, learner, "move"))
    ada.submit(target=str(ruby.id), since="2026-11-16", detail="Heads of family asked")
    assert "is on the roster of Grade 8 - Ruby now." in ada.page.text
    before, after = rows(learner)
    assert (before.section_id, before.until_date, before.exit_detail) == (
        jadeite.id, date(2026, 11, 15), "Heads of family asked",
    )  # fmt: skip
    assert (after.section_id, after.from_date, after.until_date) == (ruby.id, date(2026, 11, 16), None)
    found = select(AuditEntry.section_id).where(AuditEntry.action == "moved")
    assert set(db.session.scalars(found)) == {jadeite.id, ruby.id}


def test_a_second_move_from_an_old_page_changes_nothing(ada: Browser, people: People, jadeite: Section) -> None:
    ruby, topaz = people.section(people.bob, "Ruby"), people.section(people.bob, "Topaz")
    [learner] = people.learners(jadeite, 1)
    for target in (ruby, topaz):
        ada.get(page_of(jadeite, learner, "move"))
        ada.submit(target=str(target.id))
    assert "not on this roster any more" in ada.page.text
    assert [row.section_id for row in rows(learner)] == [jadeite.id, ruby.id]


def test_one_who_left_is_put_back_after_the_days_she_was_away(ada: Browser, people: People, jadeite: Section) -> None:
    [learner] = people.learners(jadeite, 1)
    ada.get(page_of(jadeite, learner, "withdraw"))
    ada.submit(reason="NLS", last_day="2026-11-20")
    ada.click("Put back on the roster")
    ada.submit(since="2026-11-18", status=422)
    assert "from 8 June 2026 to 20 November 2026 already" in ada.text
    ada.submit(since="2026-11-23")
    assert [(row.from_date, row.until_date) for row in rows(learner)] == [
        (date(2026, 6, 8), date(2026, 11, 20)),
        (date(2026, 11, 23), None),
    ]


def test_adding_one_whom_the_school_knows_brings_her_back(ada: Browser, people: People, jadeite: Section) -> None:
    [learner] = people.learners(jadeite, 1)
    ada.get(page_of(jadeite, learner, "withdraw"))
    ada.submit(reason="NLS", last_day="2026-11-20")
    add(ada, jadeite, lrn=learner.lrn, last_name="Learner001", first_name="Aña", middle_name="Reyes")
    expire_orm_state()
    assert db.session.scalars(select(Learner)).one().middle_name == "REYES"
    assert len(rows(learner)) == 2


def test_a_slip_in_the_lrn_does_not_write_one_childs_name_over_anothers(
    ada: Browser, people: People, jadeite: Section
) -> None:
    [learner] = people.learners(jadeite, 1)
    ada.get(page_of(jadeite, learner, "withdraw"))
    ada.submit(reason="NLS", last_day="2026-11-20")
    add(ada, jadeite, 422, lrn=learner.lrn)
    assert "by another name" in ada.text and "LEARNER001" not in ada.text
    expire_orm_state()
    assert db.session.scalars(select(Learner)).one().last_name == "LEARNER001"
    assert len(rows(learner)) == 1


def test_a_subject_teacher_looks_and_does_not_change(app: Flask, people: People, jadeite: Section) -> None:
    [learner] = people.learners(jadeite, 1)
    people.school_class(people.bob, jadeite, "Music")
    bob = people.sign_in(Browser(app.test_client()), people.bob)
    bob.get(page_of(jadeite, learner))
    assert not [link for link in bob.page.select("main a") if "withdraw" in str(link["href"])]
    for what in ("change", "withdraw", "move", "back"):
        bob.get(page_of(jadeite, learner, what), status=403)
    bob.get(f"/classes/sections/{jadeite.id}/learners/new", status=403)


def test_a_learner_of_another_section_is_not_found_here(ada: Browser, people: People, jadeite: Section) -> None:
    [learner] = people.learners(people.section(people.ada, "Ruby"), 1)
    ada.get(page_of(jadeite, learner), status=404)


def test_the_roster_of_a_past_school_year_is_only_read(ada: Browser, people: People, jadeite: Section) -> None:
    [learner] = people.learners(jadeite, 1)
    with time_machine.travel(datetime(2027, 6, 7, 7, tzinfo=clock.MANILA), tick=False):
        people.sign_in(ada, people.ada).get(page_of(jadeite, learner))
        assert not ada.page.select("main a.btn")
        for what in ("change", "withdraw", "move", "back"):
            ada.get(page_of(jadeite, learner, what), follow=True)
            assert "The school year 2026-2027 is over" in ada.page.text


@pytest.mark.parametrize("count", [2, 48])
def test_the_pages_take_at_most_ten_statements(ada: Browser, people: People, jadeite: Section, count: int) -> None:
    learners = people.learners(jadeite, count)
    for url in (
        f"/classes/sections/{jadeite.id}",
        f"/classes/sections/{jadeite.id}/learners/new",
        page_of(jadeite, learners[0]),
        *(page_of(jadeite, learners[0], what) for what in ("change", "withdraw", "move", "back")),
    ):
        seen = statements(ada, url)
        assert len(seen) <= 10, "\n\n".join(seen)


def statements(browser: Browser, url: str) -> list[str]:
    """What a page asks the database, session and audit aside."""
    with counted() as seen:
        browser.get(url)
    return seen


@contextmanager
def counted() -> Iterator[list[str]]:
    """The statements of what is done inside, session and audit aside."""
    seen: list[str] = []

    def note(_c: object, _cursor: object, statement: str, *_: object) -> None:
        aside = any(table in statement for table in ("user_sessions", "audit_log"))
        if not aside and not statement.startswith(("PRAGMA", "BEGIN", "SET")):
            seen.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(db.engine, "before_cursor_execute", note)
