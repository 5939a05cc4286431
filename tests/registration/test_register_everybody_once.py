"""The engine: every learner is registered with Zoom exactly once, whatever goes wrong on the way."""

from flask import Flask
from sqlalchemy import select

from portal.base.db import db, writing
from portal.classes.models import Enrolment, Learner
from portal.meetings.models import ZoomMeeting
from portal.registration.models import MeetingRegistrant
from portal.registration.queries import progress
from portal.sandbox.world import World
from tests.people import People, settle, soon


def test_it_registers_45_learners_in_batches_of_30(app: Flask, people: People, world: World) -> None:
    section = people.section(people.ada)
    people.learners(section, 45)
    meeting = people.held(people.ada, people.school_class(people.ada, section), soon())
    seen = progress(meeting.id)
    assert (seen.total, seen.done) == (45, 45)
    rows = list(db.session.scalars(select(MeetingRegistrant)))
    assert all(row.zoom_registrant_id and row.join_url for row in rows)
    assert len({row.join_url for row in rows}) == 45
    assert world.count("POST", r"/batch_registrants$").calls == 2


def test_a_learner_who_enrols_late_is_registered_for_the_coming_meeting(
    app: Flask, people: People, world: World
) -> None:
    section = people.section(people.ada)
    people.learners(section, 2)
    meeting = people.held(people.ada, people.school_class(people.ada, section), soon())
    people.learners(section, 1, start=3)
    settle(app)
    assert progress(meeting.id).done == 3


def test_a_learner_who_leaves_loses_the_registration(app: Flask, people: People, world: World) -> None:
    section = people.section(people.ada)
    learners = people.learners(section, 2)
    meeting = people.held(people.ada, people.school_class(people.ada, section), soon())
    with writing() as session:
        row = session.scalars(select(Enrolment).where(Enrolment.learner_id == learners[0].id)).one()
        row.from_date = row.until_date = row.from_date.replace(month=7)
    settle(app)
    row_state = db.session.scalars(
        select(MeetingRegistrant.state).where(MeetingRegistrant.learner_id == learners[0].id)
    ).one()
    assert row_state == "cancelled"
    assert progress(meeting.id).total == 1


def test_an_address_outside_the_domain_is_listed_and_the_others_go_on(app: Flask, people: People, world: World) -> None:
    section = people.section(people.ada)
    learners = people.learners(section, 3)
    with writing():
        db.session.get_one(Learner, learners[1].id).email = "child@gmail.com"
    meeting = people.held(people.ada, people.school_class(people.ada, section), soon())
    seen = progress(meeting.id)
    assert (seen.done, seen.failed) == (2, 1)
    bad = db.session.scalars(select(MeetingRegistrant).where(MeetingRegistrant.state == "failed")).one()
    assert bad.reason == "outside the domain"


def test_a_meeting_waits_while_zoom_is_down_and_is_made_once_when_it_is_back(
    app: Flask, people: People, world: World
) -> None:
    section = people.section(people.ada)
    meeting = people.meeting(people.ada, people.school_class(people.ada, section), soon())
    settle(app)
    db.session.expire_all()
    assert db.session.get_one(ZoomMeeting, meeting.id).state == "scheduled"
    assert world.count("POST", r"/meetings$").calls == 1
