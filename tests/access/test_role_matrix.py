"""Every view, asked for by everybody: the table in matrix.py says who gets what, and nothing else changes a row."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
import time_machine
from flask import Flask
from sqlalchemy import func, select
from werkzeug.routing import Rule

from portal.accounts import service as accounts
from portal.accounts.models import AccountRequest
from portal.classes.models import RosterImport
from portal.core import clock
from portal.core.db import Base, db, write_transaction
from portal.meetings.models import CalendarDay, MeetingOccurrence, Schedule
from portal.registration.models import MeetingRegistrant
from portal.sandbox.simulation.simulated_zoom import SimulatedZoom
from tests.access.matrix import ADMIN, MATRIX, OWN, PERSON, THING, WITH_A_REASON, WITHOUT_LEARNERS
from tests.browser import Browser
from tests.people import People

NOW = datetime(2026, 11, 24, 7, tzinfo=clock.MANILA)
# What a look may leave behind: who looked, that the session is alive, the key of the day.
TRACES = {"audit_log", "user_sessions", "ip_day_keys", "sign_in_failures", "webhook_heartbeats"}
NO_ENTRY = {403, 404}


@pytest.fixture
def tuesday() -> Iterator[None]:
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def ids(tuesday: None, people: People, world: SimulatedZoom) -> dict[str, Any]:
    """One of everything, all of it Ada's."""
    section = people.section(people.ada)
    learners = people.learners(section, 2)
    school_class = people.school_class(people.ada, section)
    meeting = people.create_registered_meeting(people.ada, school_class, NOW + timedelta(hours=1))
    with write_transaction() as session:
        upload = RosterImport(
            school_id=section.school_id, section_id=section.id, uploaded_by=people.ada.id, uploaded_at=clock.now(),
            filename="r.csv", state="discarded", preview_rows=None,
        )  # fmt: skip
        schedule = Schedule(
            client_key=uuid4().hex, class_id=school_class.id, created_by=people.ada.id, title="Cells",
            from_date=date(2026, 11, 24), occurrence_count=3, created_at=clock.now(),
        )  # fmt: skip
        wish = AccountRequest(
            email="new@r1.deped.gov.ph", full_name="New", school_id=section.school_id, language="en",
            created_at=clock.now(),
        )  # fmt: skip
        day = CalendarDay(
            date=date(2026, 12, 4), kind="holiday", scope="section", section_id=section.id, name="Science fair",
            created_by=people.ada.id, created_at=clock.now(),
        )  # fmt: skip
        session.add_all([upload, schedule, wish, day])
    return {
        "section_id": section.id,
        "class_id": school_class.id,
        "meeting_id": meeting.id,
        "occurrence_id": db.session.scalars(select(MeetingOccurrence.id)).one(),
        "learner_id": learners[0].id,
        "import_id": upload.id,
        "schedule_id": schedule.id,
        "registrant_id": db.session.scalars(select(MeetingRegistrant.id)).first() or uuid4(),
        "upload_id": uuid4(),
        "user_id": people.bob.id,
        "request_id": wish.id,
        "day_id": day.id,
        "school_id": section.school_id,
        "session_id": uuid4(),
        "identity_id": uuid4(),
        "notification_id": uuid4(),
        "month": "2026-11",
        "day": "2026-11-24",
    }


def rules(app: Flask, *kinds: str) -> Iterator[tuple[Rule, str]]:
    for rule in app.url_map.iter_rules():
        if MATRIX[rule.endpoint] in kinds:
            yield from ((rule, method) for method in sorted((rule.methods or set()) & {"GET", "POST"}))


def call(browser: Browser, rule: Rule, method: str, ids: dict[str, Any]) -> int:
    """Ask as a form of the portal would, with the token of the page."""
    url = _url(browser.client.application, rule, ids, method)
    if method == "GET":
        return int(browser.client.get(url).status_code)
    return int(browser.client.post(url, data={"csrf_token": browser._token()}).status_code)


def counted() -> dict[str, Any]:
    return {
        table.name: db.session.scalar(select(func.count()).select_from(table))
        for table in Base.metadata.sorted_tables
        if table.name not in TRACES
    }


@pytest.mark.parametrize("portal", ["sqlite"], indirect=True)
def test_every_view_has_a_line_and_every_line_a_view(portal: Flask) -> None:
    assert {rule.endpoint for rule in portal.url_map.iter_rules()} == set(MATRIX)


def test_a_stranger_is_sent_to_the_sign_in_page(app: Flask, browser: Browser, ids: dict[str, Any]) -> None:
    browser.get("/sign-in")
    for rule, method in rules(app, OWN, THING, ADMIN, PERSON):
        assert call(browser, rule, method, ids) == 302, f"{method} {rule}"


@pytest.mark.parametrize("who", ["another teacher", "the head of another school"])
def test_what_is_somebody_elses_does_not_exist(
    app: Flask, browser: Browser, people: People, ids: dict[str, Any], who: str
) -> None:
    person = people.bob
    if who != "another teacher":
        elsewhere = accounts.get_or_create_school("300999", "Elsewhere High School", "La Union")
        person = people.person("else", "Elsa Cruz", elsewhere, role="admin", scope="school")
    people.sign_in(browser, person).get("/classes")
    before = counted()
    for rule, method in rules(app, THING):
        assert call(browser, rule, method, ids) == 404, f"{method} {rule}"
    if who != "another teacher":
        for rule, method in rules(app, PERSON):
            assert call(browser, rule, method, ids) == 404, f"{method} {rule}"
    assert counted() == before


def test_a_teacher_finds_no_admin_page(app: Flask, browser: Browser, people: People, ids: dict[str, Any]) -> None:
    people.sign_in(browser, people.ada).get("/classes")
    before = counted()
    for rule, method in rules(app, ADMIN, PERSON):
        assert call(browser, rule, method, ids) in NO_ENTRY, f"{method} {rule}"
    assert counted() == before


@pytest.mark.parametrize("scope", ["division", "region"])
def test_division_and_region_work_without_learners_rows(
    app: Flask, browser: Browser, people: People, ids: dict[str, Any], scope: str
) -> None:
    person = people.person("far", "Fe Ramos", people.school, role="admin", scope=scope)
    people.sign_in(browser, person).get("/classes")
    for rule, method in rules(app, THING):
        if rule.endpoint not in WITHOUT_LEARNERS and "import_id" not in rule.arguments:
            assert call(browser, rule, method, ids) in NO_ENTRY, f"{method} {rule}"
    for rule, method in rules(app, THING):
        if method == "GET" and rule.endpoint in WITHOUT_LEARNERS and call(browser, rule, method, ids) == 200:
            assert "LEARNER00" not in browser.client.get(_url(app, rule, ids)).get_data(as_text=True), str(rule)


@pytest.mark.parametrize("scope", ["division", "region"])
def test_with_a_reason_division_and_region_look_and_change_nothing(
    app: Flask, browser: Browser, people: People, ids: dict[str, Any], scope: str
) -> None:
    person = people.person("far", "Fe Ramos", people.school, role="admin", scope=scope)
    people.sign_in(browser, person).get(f"/classes/sections/{ids['section_id']}", status=403)
    browser.submit(reason="A parent's complaint about absences")
    before = counted()
    for rule, method in rules(app, THING):
        if rule.endpoint in WITH_A_REASON and method == "GET":
            assert call(browser, rule, method, ids) in (200, 204), f"{method} {rule}"
        elif rule.endpoint not in WITHOUT_LEARNERS:
            assert call(browser, rule, method, ids) in NO_ENTRY, f"{method} {rule}"
    assert counted() == before


def test_looking_changes_nothing(app: Flask, browser: Browser, people: People, ids: dict[str, Any]) -> None:
    for person in (people.ada, people.head):
        people.sign_in(browser, person).get("/classes")
        before = counted()
        for rule, method in rules(app, OWN, THING, ADMIN, PERSON):
            if method == "GET":
                assert call(browser, rule, method, ids) < 500, str(rule)
        assert counted() == before
        browser.client.delete_cookie("__Host-session")


def _url(app: Flask, rule: Rule, ids: dict[str, Any], method: str = "GET") -> str:
    return app.url_map.bind("").build(rule.endpoint, {name: ids[name] for name in rule.arguments}, method=method)
