"""Who viewed, changed or exported the records of a class or a section: written once a look, found by one query."""

from collections.abc import Sequence
from datetime import timedelta

import time_machine
from flask import Flask
from sqlalchemy import event, or_, select

from portal.classes.models import RosterImport, SchoolClass, Section
from portal.core import clock
from portal.core.audit_codes import AuditSubject
from portal.core.audit_log import AuditEntry
from portal.core.db import db
from portal.meetings.models import MeetingOccurrence, ZoomMeeting
from portal.sandbox.simulation.simulated_zoom import SimulatedZoom
from tests.browser import Browser
from tests.people import People, soon


def actions(*where: object) -> list[str]:
    return list(db.session.scalars(select(AuditEntry.action).where(*where).order_by(AuditEntry.id)))  # type: ignore[arg-type]


def of_class(school_class: SchoolClass) -> list[str]:
    """What README and docs/privacy.md give as the one query for a class and a month."""
    whole = (AuditEntry.class_id.is_(None)) & (AuditEntry.section_id == school_class.section_id)
    begins = clock.now() - timedelta(days=31)
    return actions(or_(AuditEntry.class_id == school_class.id, whole), AuditEntry.occurred_at >= begins)


def story(browser: Browser, people: People) -> tuple[Section, SchoolClass, SchoolClass, ZoomMeeting]:
    """Ada looks at everything of one of her two classes."""
    section = people.section(people.ada)
    people.learners(section, 2)
    biology = people.school_class(people.ada, section)
    physics = people.school_class(people.ada, section, "Physics")
    meeting = people.create_registered_meeting(people.ada, biology, soon())
    date = db.session.scalars(select(MeetingOccurrence.id)).one()
    people.sign_in(browser, people.ada)
    browser.get(f"/classes/sections/{section.id}")
    browser.get(f"/meetings/{meeting.id}")
    browser.get(f"/classes/{biology.id}/links")
    browser.get(f"/attendance/{date}")
    browser.get(f"/attendance/{date}/history")
    browser.client.get(f"/attendance/{date}.csv")
    return section, biology, physics, meeting


def test_one_query_tells_everything_done_with_the_records_of_a_class(
    app: Flask, browser: Browser, people: People, world: SimulatedZoom
) -> None:
    section, biology, physics, _meeting = story(browser, people)
    looks = ["viewed_roster", "viewed_registrations", "viewed_join_links"]
    sheet = ["viewed_sheet", "viewed_history", "exported_sheet"]
    told = [what for what in of_class(biology) if what not in ("created", "scheduled")]
    assert told == looks + sheet
    assert [what for what in of_class(physics) if what != "created"] == ["viewed_roster"]
    assert set(looks + sheet) <= set(actions(AuditEntry.section_id == section.id))
    entries = list(
        db.session.scalars(select(AuditEntry).where(AuditEntry.section_id == section.id).order_by(AuditEntry.id))
    )
    assert all(entry.occurred_at.utcoffset() == timedelta(0) for entry in entries)


def test_an_admins_search_for_a_class_is_one_statement_on_the_log(
    app: Flask, browser: Browser, people: People, world: SimulatedZoom
) -> None:
    section, biology, _physics, _meeting = story(browser, people)
    browser.get("/classes")
    browser.submit("form[action='/sign-out']")
    people.sign_in(browser, people.head)
    asked: list[str] = []

    def listen(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if "FROM audit_log" in statement and "audit_log.details" in statement:
            asked.append(statement)

    engine = db.engine
    event.listen(engine, "before_cursor_execute", listen)
    try:
        browser.get(f"/admin/audit?class={biology.id}")
        assert len(asked) == 1
        assert "exported the sheet" in browser.text and "viewed the roster" in browser.text
        browser.get(f"/admin/audit?section={section.id}&what=exported")
        assert "exported the sheet" in browser.text and "viewed the roster" not in browser.text
    finally:
        event.remove(engine, "before_cursor_execute", listen)


def test_what_a_stranger_to_the_school_did_with_its_records_is_found_too(
    app: Flask, browser: Browser, people: People, world: SimulatedZoom
) -> None:
    section = people.section(people.ada)
    people.learners(section, 1)
    biology = people.school_class(people.ada, section)
    chief = people.person("chief", "Corazon Chua", None, role="admin", scope="region")
    people.sign_in(browser, chief)
    browser.get(f"/classes/{biology.id}/links")
    browser.get("/classes")
    browser.submit("form[action='/sign-out']")
    people.sign_in(browser, people.head)
    browser.get(f"/admin/audit?class={biology.id}")
    assert "Corazon Chua saw the join links" in browser.text


def test_the_same_look_is_written_once_in_ten_minutes(
    app: Flask, browser: Browser, people: People, world: SimulatedZoom
) -> None:
    section = people.section(people.ada)
    people.learners(section, 1)
    people.sign_in(browser, people.ada)
    now = clock.now()
    for minutes in (0, 1, 9):
        with time_machine.travel(now + timedelta(minutes=minutes), tick=False):
            browser.get(f"/classes/sections/{section.id}")
    assert actions(AuditEntry.action == "viewed_roster") == ["viewed_roster"]
    with time_machine.travel(now + timedelta(minutes=11), tick=False):
        browser.get(f"/classes/sections/{section.id}")
    assert len(actions(AuditEntry.action == "viewed_roster")) == 2


def test_printing_is_written_only_where_somebody_was_shown(
    app: Flask, browser: Browser, people: People, world: SimulatedZoom
) -> None:
    section = people.section(people.ada)
    people.learners(section, 1)
    meeting = people.create_registered_meeting(people.ada, people.school_class(people.ada, section), soon())
    chief = people.person("chief", "Corazon Chua", None, role="admin", scope="region")
    people.sign_in(browser, chief)
    browser.get(f"/meetings/{meeting.id}/links", follow=True)
    browser.get(f"/meetings/{meeting.id}")
    assert not actions(AuditEntry.action.in_(("printed_zoom_links", "viewed_registrations")))


def test_a_roster_that_was_only_looked_at_is_written_with_its_section(
    app: Flask, browser: Browser, people: People
) -> None:
    section = people.section(people.ada)
    people.sign_in(browser, people.ada)
    browser.get(f"/classes/sections/{section.id}/import")
    browser.submit("form:has([name=file])", file=(b'LRN,Name,Sex\n300123299999,"CRUZ,BEN, -",M\n', "roster.csv"))
    upload = db.session.scalars(select(RosterImport)).one()
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "viewed_roster_import")).one()
    assert (entry.subject_id, entry.section_id, entry.class_id) == (str(upload.id), section.id, None)


def test_every_subject_of_a_class_tells_its_class(app: Flask) -> None:
    """A word for a new subject in the log has to say whose records it is about, or be known to be of no class."""
    import ast
    from pathlib import Path

    from portal.core import audit_log

    of_no_class: Sequence[str] = (
        "account_request",
        "audit",
        "calendar_day",
        "inbox",
        "mail",
        "provider",
        "report",
        "roster_import",
        "school",
        "user",
        "zoom",
    )
    words = set()
    for path in (Path(__file__).parents[2] / "portal").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in (
                "audit_log.record_action",
                "audit_log.record_view",
            ):
                subject = ast.unparse(node.args[1])
                if subject.startswith("AuditSubject."):
                    words.add(AuditSubject[subject.removeprefix("AuditSubject.")].value)
                else:  # whose rules they are; what was refused
                    assert subject in ("user.scope", "kind"), f"{path}:{node.lineno}: {subject}"
    assert len(words) > 10
    assert words - set(of_no_class) <= set(audit_log._scope_finders), (
        words - set(of_no_class) - set(audit_log._scope_finders)
    )
