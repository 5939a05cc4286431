"""One learner's data: a copy of all of it and of nobody else's, and erasure, at Zoom and in backups too."""

import csv
import io
import json
from datetime import timedelta
from uuid import UUID

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select

from portal.accounts import service as accounts
from portal.attendance.models import ZoomParticipant
from portal.attendance.sheet import corrections
from portal.classes.models import Learner, SchoolClass
from portal.core import clock
from portal.core.audit_log import AuditEntry
from portal.core.db import Base, db, write_transaction
from portal.meetings.models import MeetingOccurrence, ZoomMeeting
from portal.privacy import erased_list, erasure
from portal.sandbox.simulation.simulated_zoom import SimulatedZoom
from portal.sandbox.webhook_sender import WebhookSender
from portal.webhooks.models import ZoomEvent
from tests.browser import Browser
from tests.people import People, expire_orm_state, run_jobs, soon

NAMES = [("QUIMPO", "ROSALINDA", "YBAÑEZ"), ("DACANAY", "BENJIE", "CRUZ"), ("PASCUA", "LIGAYA", "REYES")]


class Lesson:
    """A class that three learners came to: by registration, by an address alone, and matched by the teacher."""

    def __init__(self, app: Flask, people: People, world: SimulatedZoom, sender: WebhookSender) -> None:
        section = people.section(people.ada)
        self.learners = people.learners(section, 3)
        with write_transaction():
            for learner, (last, first, middle) in zip(self.learners, NAMES, strict=True):
                row = db.session.get_one(Learner, learner.id)
                row.last_name, row.first_name, row.middle_name = last, first, middle
                row.lis_name, row.email = f"{last},{first}, {middle}", f"{first.lower()}@r1.deped.gov.ph"
        self.her = self.learners[0]
        self.school_class: SchoolClass = people.school_class(people.ada, section)
        meeting = people.create_registered_meeting(people.ada, self.school_class, soon())
        assert meeting.zoom_id
        self.zoom_id = meeting.zoom_id
        at = meeting.starts_at
        world.start(meeting.zoom_id, at)
        ids = {one.email: one.id for one in world.active_registrants(meeting.zoom_id)}
        registered = world.join(meeting.zoom_id, registrant_id=ids["rosalinda@r1.deped.gov.ph"], at=at)
        by_address = world.join(
            meeting.zoom_id, name="Linda", email="rosalinda@r1.deped.gov.ph", at=at + timedelta(minutes=21)
        )
        by_name = world.join(meeting.zoom_id, name="Rosalinda Quimpo", at=at + timedelta(minutes=31))
        other = world.join(meeting.zoom_id, registrant_id=ids["benjie@r1.deped.gov.ph"], at=at)
        for stay, minutes in ((registered, 20), (by_address, 30), (by_name, 40), (other, 50)):
            world.leave(stay, at + timedelta(minutes=minutes))
        world.end(meeting.zoom_id, at + timedelta(minutes=60))
        sender.pump()
        run_jobs(app)
        self.date = db.session.scalars(select(MeetingOccurrence).order_by(MeetingOccurrence.starts_at)).first()
        assert self.date is not None
        self.date_id: UUID = self.date.id
        stays = db.session.scalars(select(ZoomParticipant.id).where(ZoomParticipant.name == "Rosalinda Quimpo")).all()
        with app.test_request_context():
            occurrence = db.session.get_one(MeetingOccurrence, self.date_id)
            occurrence.meeting = db.session.get_one(ZoomMeeting, occurrence.meeting_id)
            corrections.match_participant(people.ada, occurrence, list(stays), [self.her.id])
            corrections.override_marks(
                people.ada, occurrence, [self.her.id], "present", "Rosalinda sent her work by chat"
            )
        # The next class is still to come: the learner is registered for it too.
        self.next = people.create_registered_meeting(people.ada, self.school_class, soon() + timedelta(days=1))

    def csv(self, browser: Browser) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(browser.client.get(f"/attendance/{self.date_id}.csv").get_data(True))))


def everything_in_the_database() -> str:
    """Every value of every table, raw payloads too."""
    found = []
    for table in Base.metadata.sorted_tables:
        for row in db.session.execute(select(table)):
            found += [value.decode() if isinstance(value, bytes) else str(value) for value in row]
    return "\n".join(found)


@pytest.fixture
def lesson(app: Flask, people: People, world: SimulatedZoom, sender: WebhookSender) -> Lesson:
    return Lesson(app, people, world, sender)


def open_page(browser: Browser, people: People, lesson: Lesson) -> None:
    people.sign_in(browser, people.head)
    browser.get("/admin/learners")
    browser.submit("form:has([name=who])", who=str(lesson.her.lrn))


def test_the_copy_has_all_of_hers_and_nothing_of_anybody_else(browser: Browser, people: People, lesson: Lesson) -> None:
    open_page(browser, people, lesson)
    assert "QUIMPO" in browser.text
    browser.submit("form[action$=copy]", **{"copy-why": "asked"})
    assert browser.response is not None
    text = browser.response.get_data(as_text=True)
    told = json.loads(text)
    assert told["learner"]["lrn"] == lesson.her.lrn and told["learner"]["email"] == "rosalinda@r1.deped.gov.ph"
    assert told["attendance"][0]["mark"] == "present" and told["attendance"][0]["reason"].startswith("Rosalinda")
    assert len(told["registrations_with_zoom"]) == 2 and len(told["what_zoom_saw"]) == 3
    assert told["messages_of_zoom"] and told["links"] and told["rosters"] and told["changes_of_marks"]
    for last, first, _middle in NAMES[1:]:
        assert last not in text and first.lower() not in text.lower()
    assert str(lesson.learners[1].lrn) not in text and "Lovelace" not in text and "Abad" not in text
    assert lesson.her.lrn not in browser.response.headers["Content-Disposition"]
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "exported")).one()
    assert entry.subject_id == str(lesson.her.id) and entry.details == {"why": "asked"} and entry.section_id


def test_erasing_takes_her_name_from_everywhere_and_leaves_the_figures(
    app: Flask, browser: Browser, people: People, world: SimulatedZoom, lesson: Lesson
) -> None:
    people.sign_in_by_form(browser, people.ada)
    before = lesson.csv(browser)
    report = browser.client.get("/reports.csv").get_data(as_text=True)
    assert next(row for row in before if row["lrn"] == lesson.her.lrn)["seconds"] == str(38 * 60)
    browser.submit("form[action='/sign-out']")
    open_page(browser, people, lesson)
    browser.submit("form[action$=erase]", **{"erase-why": "asked"}, status=422)
    assert "Tick this to go on." in browser.text and not erasure.is_learner_erased(lesson.her.id)
    browser.submit("form[action$=erase]", **{"erase-why": "asked", "erase-sure": True})
    assert "This learner is being erased." in browser.text and "Erase the learner" not in browser.text
    assert browser.page.select_one("noscript meta[http-equiv=refresh]") is not None
    run_jobs(app)
    browser.get(browser.url)
    assert "This learner is erased." in browser.text
    erasure.finish_pending_erasures()
    run_jobs(app)
    text = everything_in_the_database().lower()
    for word in ("quimpo", "rosalinda", "ybañez", "ybanez", str(lesson.her.lrn), "linda"):
        assert word not in text, word
    assert "benjie" in text, "of the others everything is there"
    # At Zoom the learner is in none of the coming classes, and the others still are.
    emails = {one.email for one in world.active_registrants(str(lesson.next.zoom_id))}
    assert "rosalinda@r1.deped.gov.ph" not in emails and "benjie@r1.deped.gov.ph" in emails
    browser.submit("form[action='/sign-out']")
    people.sign_in(browser, people.ada)
    after = lesson.csv(browser)
    hers = [row for row in after if row["name"] == "ERASED, LEARNER"]
    assert len(after) == len(before) == 3 and len(hers) == 1
    assert (hers[0]["lrn"], hers[0]["mark"], hers[0]["seconds"]) == ("", "present", str(38 * 60))
    assert browser.client.get("/reports.csv").get_data(as_text=True) == report
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "erased")).one()
    assert entry.user_id == people.head.id and entry.details == {"reason": "asked"}


def test_what_zoom_still_tells_of_her_is_taken_out_for_a_week(
    app: Flask, people: People, world: SimulatedZoom, sender: WebhookSender, lesson: Lesson
) -> None:
    erasure.request_learner_erasure(db.session.get_one(Learner, lesson.her.id), "mistake", by=people.head)
    assert erasure.process_due_erasures() == 1
    world.start(str(lesson.next.zoom_id))
    world.join(str(lesson.next.zoom_id), name="Quimpo Rosalinda")
    sender.pump()
    assert "rosalinda" in everything_in_the_database().lower()
    run_jobs(app)
    assert "rosalinda" not in everything_in_the_database().lower()
    with time_machine.travel(clock.now() + timedelta(days=8), tick=False):
        assert erasure.finish_pending_erasures() == 1 and erasure.finish_pending_erasures() == 0
        row = db.session.scalars(select(erasure.LearnerErasure)).one()
        assert row.fingerprints is None and row.finished_at


def test_killed_after_any_step_it_goes_on_and_erases_her_whole(app: Flask, people: People, lesson: Lesson) -> None:
    """Asked for and killed; killed before the names in raw deliveries were gone. Nothing of ours is patched: the
    rows are as such a kill leaves them."""
    erasure.request_learner_erasure(db.session.get_one(Learner, lesson.her.id), "asked", by=people.head)
    expire_orm_state()
    raw = {event.id: event.body for event in db.session.scalars(select(ZoomEvent))}
    assert erasure.is_erasure_pending(lesson.her.id)
    erasure.process_due_erasures()
    assert not erasure.is_erasure_pending(lesson.her.id) and erasure.process_due_erasures() == 0
    with write_transaction() as session:
        for event in session.scalars(select(ZoomEvent)):
            event.body = raw[event.id]
    assert "quimpo" in everything_in_the_database().lower()
    erasure.finish_pending_erasures()
    run_jobs(app)
    assert "quimpo" not in everything_in_the_database().lower()


def test_what_holds_an_erasure_up_is_said_and_once_it_is_put_right_it_goes_on(
    app: Flask, browser: Browser, people: People, lesson: Lesson
) -> None:
    """The list outside of the database cannot be written: something else lies in its place."""
    erased_list.erased_list_path().unlink(missing_ok=True)
    erased_list.erased_list_path().mkdir(parents=True)
    try:
        open_page(browser, people, lesson)
        browser.submit("form[action$=erase]", **{"erase-why": "asked", "erase-sure": True})
        run_jobs(app)
        browser.get(browser.url)
        assert "This learner is being erased." in browser.text and "longer than it should" not in browser.text
        with time_machine.travel(clock.now() + timedelta(minutes=16), tick=False):
            assert erasure.process_due_erasures() == 0
            browser.get(browser.url)
            assert "longer than it should" in browser.text and "that the worker runs" in browser.text
    finally:
        erased_list.erased_list_path().rmdir()
    run_jobs(app)
    browser.get(browser.url)
    assert "This learner is erased." in browser.text and "ask the owner of the Zoom account" in browser.text
    assert (
        erased_list.parse_erased_entries(erased_list.erased_list_path().read_text())
        == erasure.erased_entries_of_database()
    )


def test_asked_for_twice_it_is_one_erasure(app: Flask, people: People, lesson: Lesson) -> None:
    first = erasure.request_learner_erasure(db.session.get_one(Learner, lesson.her.id), "asked", by=people.head)
    assert erasure.request_learner_erasure(db.session.get_one(Learner, lesson.her.id), "order", by=None).id == first.id
    erasure.process_due_erasures()
    erasure.erase_learner(first.id)
    assert db.session.scalars(select(AuditEntry).where(AuditEntry.action == "erased")).one().user_id == people.head.id


def test_the_list_outside_the_database_names_nobody_and_erases_again(
    app: Flask, people: People, lesson: Lesson
) -> None:
    erased_list.erased_list_path().unlink(missing_ok=True)
    her = db.session.get_one(Learner, lesson.her.id)
    values = {name: getattr(her, name) for name in ("lrn", "email", "last_name", "first_name", "lis_name")}
    erasure.request_learner_erasure(her, "asked", by=people.head)
    erasure.process_due_erasures()
    text = erased_list.erased_list_path().read_text()
    assert str(her.id) not in text and her.id.hex not in text and str(values["lrn"]) not in text
    entries = erased_list.parse_erased_entries(text)
    assert entries == erasure.erased_entries_of_database()
    assert erased_list.find_unknown_key_fingerprints(entries) == set()
    assert erased_list.find_unknown_key_fingerprints({"0" * 8 + ":" + "0" * 64}) == {"0" * 8}
    # An older backup has the learner back and knows nothing of the erasure.
    with write_transaction() as session:
        session.delete(session.scalars(select(erasure.LearnerErasure)).one())
        for name, value in values.items():
            setattr(her, name, value)
    assert erasure.reapply_erasures(entries) == 1 and erasure.reapply_erasures(entries) == 0
    db.session.refresh(her)
    assert (her.lrn, her.email, her.last_name) == (None, None, "ERASED")
    assert db.session.scalars(select(Learner.lrn).where(Learner.id == lesson.learners[1].id)).one()


def test_an_admin_of_elsewhere_finds_nobody_and_a_teacher_no_page(browser: Browser, people: People) -> None:
    learner = people.learners(people.section(people.ada), 1)[0]
    elsewhere = accounts.get_or_create_school("300999", "Elsewhere High School", "La Union")
    stranger = people.person("else", "Elsa Cruz", elsewhere, role="admin", scope="school")
    people.sign_in(browser, stranger)
    browser.get("/admin/learners")
    browser.submit("form:has([name=who])", who=str(learner.lrn), status=422)
    assert "No learner of your schools" in browser.text
    browser.get(f"/admin/learners/{learner.id}", status=404)


def test_every_table_with_learners_is_thought_of(app: Flask) -> None:
    """A new table that refers to learners has to be in the copy and in the erasure, or be known to name nobody."""
    thought_of = {
        "attendance_history",
        "attendance_records",
        "daily_attendance",
        "enrolments",
        "erasures",
        "former_registrants",
        "join_links",
        "meeting_registrants",
        "participant_aliases",
        "participant_matches",
    }
    tables = {
        table.name
        for table in Base.metadata.sorted_tables
        if any(key.column.table.name == "learners" for key in table.foreign_keys)
    }
    assert tables == thought_of
