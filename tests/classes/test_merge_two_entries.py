"""One child who is on the roster twice becomes one entry, with everything of both."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from uuid import uuid4

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select

from portal.attendance.models import AttendanceRecord, DailyAttendance, ParticipantAlias
from portal.classes.models import Enrolment, Learner, Section
from portal.core import clock
from portal.core.audit_log import AuditEntry
from portal.core.db import Base, db, write_transaction
from portal.meetings.models import MeetingOccurrence
from portal.privacy import erasure, merge_learners
from portal.registration.join_links import JoinLink
from portal.registration.models import FormerRegistrant, MeetingRegistrant
from portal.sandbox.simulation.simulated_zoom import SimulatedZoom
from tests.browser import Browser
from tests.people import People, expire_orm_state, run_jobs


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


def merge(browser: Browser, section: Section, kept: Learner, other: Learner, status: int = 200, **more: object) -> None:
    browser.get(f"/classes/sections/{section.id}/learners/{kept.id}/merge")
    browser.submit(status=status, **({"other": str(other.id), "sure": True} | more))


def the_learner() -> Learner:
    expire_orm_state()
    return db.session.scalars(select(Learner)).one()


def without_lrn(learner: Learner) -> None:
    with write_transaction() as session:
        session.get_one(Learner, learner.id).lrn = None


def test_every_table_that_refers_to_a_learner_is_known_to_the_merge() -> None:
    referring = {
        table.name
        for table in Base.metadata.sorted_tables
        for key in table.foreign_keys
        if key.column.table.name == "learners"
    }
    known = {table.__tablename__ for table, _ in merge_learners.SINGLE_ROW_TABLES} | {
        table.__tablename__ for table in merge_learners.MANY_ROW_TABLES
    }
    assert referring == known | {"enrolments", "participant_aliases", "daily_attendance", "erasures"}


@pytest.mark.parametrize(("choice", "lrn"), [("this", "300123200001"), ("other", "300123200002")])
def test_of_two_lrns_the_chosen_one_stays(
    ada: Browser, people: People, jadeite: Section, choice: str, lrn: str
) -> None:
    first, second = people.learners(jadeite, 2)
    merge(ada, jadeite, first, second, lrn=choice)
    assert "The two entries are one now." in ada.page.text
    kept = the_learner()
    assert (kept.id, kept.lrn) == (first.id, lrn)
    assert db.session.scalars(select(AuditEntry.action).where(AuditEntry.action == "merged")).one()


def test_one_pending_gets_the_lrn_of_the_other(ada: Browser, people: People, jadeite: Section) -> None:
    pending, known = people.learners(jadeite, 2)
    without_lrn(pending)
    merge(ada, jadeite, pending, known)
    assert the_learner().lrn == "300123200002"


def test_her_days_are_those_of_both(ada: Browser, people: People, jadeite: Section) -> None:
    [early] = people.learners(jadeite, 1, since=date(2026, 6, 8))
    [late] = people.learners(jadeite, 1, start=2, since=date(2026, 9, 1))
    merge(ada, jadeite, late, early)
    the_learner()
    row = db.session.scalars(select(Enrolment)).one()
    assert (row.learner_id, row.from_date, row.until_date) == (late.id, date(2026, 6, 8), None)


def test_registrations_and_links_and_marks_go_along(
    app: Flask, ada: Browser, people: People, jadeite: Section, world: SimulatedZoom
) -> None:
    first, second = people.learners(jadeite, 2)
    biology = people.school_class(people.ada, jadeite)
    people.create_registered_meeting(people.ada, biology, clock.now() + timedelta(hours=3))
    occurrence = db.session.scalars(select(MeetingOccurrence)).one()
    with write_transaction() as session:
        for learner, mark in ((first, None), (second, "present")):
            record = session.scalar(
                select(AttendanceRecord).where(
                    AttendanceRecord.learner_id == learner.id, AttendanceRecord.occurrence_id == occurrence.id
                )
            ) or AttendanceRecord(occurrence_id=occurrence.id, learner_id=learner.id)
            record.override_mark, record.override_reason = mark, "The learner showed me" if mark else None
            session.add(record)
        session.add(
            ParticipantAlias(
                id=uuid4(),
                class_id=biology.id,
                folded_name="OPPO",
                learner_id=second.id,
                created_by=people.ada.id,
                created_at=clock.now(),
            )
        )
    gone_id = db.session.scalars(
        select(MeetingRegistrant.zoom_registrant_id).where(MeetingRegistrant.learner_id == second.id)
    ).one()
    merge(ada, jadeite, first, second)
    run_jobs(app)
    expire_orm_state()
    assert db.session.scalars(select(AttendanceRecord.override_mark)).one() == "present"
    assert db.session.scalars(select(ParticipantAlias.learner_id)).one() == first.id
    assert db.session.scalars(select(JoinLink.learner_id).where(JoinLink.learner_id.is_not(None))).one() == first.id
    row = db.session.scalars(select(MeetingRegistrant).where(MeetingRegistrant.learner_id.is_not(None))).one()
    assert (row.learner_id, row.state) == (first.id, "registered")
    former = db.session.scalars(select(FormerRegistrant)).one()
    assert (former.learner_id, former.zoom_registrant_id, former.still_at_zoom) == (first.id, gone_id, False)


def test_days_that_the_adviser_recorded_go_along(ada: Browser, people: People, jadeite: Section) -> None:
    first, second = people.learners(jadeite, 2)
    recorded = [(first, 23, "absent"), (second, 23, "present"), (second, 20, "absent")]
    with write_transaction() as session:
        for learner, day, mark in recorded:
            session.add(
                DailyAttendance(
                    section_id=jadeite.id,
                    learner_id=learner.id,
                    day=date(2026, 11, day),
                    mark=mark,
                    reason="Seen in the room",
                    set_by=people.ada.id,
                    set_at=clock.now(),
                )
            )
    merge(ada, jadeite, first, second)
    expire_orm_state()
    kept = db.session.scalars(select(DailyAttendance).order_by(DailyAttendance.day))
    assert [(row.learner_id, row.day.day, row.mark) for row in kept] == [
        (first.id, 20, "absent"),
        (first.id, 23, "absent"),
    ]


def test_one_who_was_erased_is_not_brought_back(ada: Browser, people: People, jadeite: Section) -> None:
    first, second, third = people.learners(jadeite, 3)
    erasure.request_learner_erasure(second, erasure.ERASURE_REASONS[0], by=None)
    ada.get(f"/classes/sections/{jadeite.id}/learners/{first.id}/merge")
    choices = {str(one["value"]) for one in ada.page.select("#other option")}
    assert choices == {"", str(third.id)}
    with pytest.raises(merge_learners.LearnerErased):
        merge_learners.merge_learners(people.ada, jadeite, third, second, lrn=third.lrn)


def test_two_who_were_in_two_sections_on_one_day_are_not_one(ada: Browser, people: People, jadeite: Section) -> None:
    ruby = people.section(people.ada, "Ruby")
    first, second = people.learners(jadeite, 2)
    ada.get(f"/classes/sections/{jadeite.id}/learners/{second.id}/move")
    ada.submit(target=str(ruby.id), since="2026-11-01")
    merge(ada, jadeite, first, second, status=422)
    assert "in different sections on the same days" in ada.text
    expire_orm_state()
    assert len(db.session.scalars(select(Learner)).all()) == 2


def test_it_wants_to_be_sure(ada: Browser, people: People, jadeite: Section) -> None:
    first, second = people.learners(jadeite, 2)
    merge(ada, jadeite, first, second, status=422, sure=False)
    assert "it cannot be undone" in ada.text
    expire_orm_state()
    assert len(db.session.scalars(select(Learner)).all()) == 2
