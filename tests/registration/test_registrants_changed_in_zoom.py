"""The host approves, denies and cancels registrants in Zoom itself; the portal hears of it and looks."""

import json
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from portal.core.db import db, write_transaction
from portal.meetings.models import ZoomMeeting
from portal.registration import service
from portal.registration.models import MeetingRegistrant
from portal.registration.zoom_sync import events as zoom_sync_events
from portal.sandbox.simulation.models import SimulatedRegistrant
from portal.sandbox.simulation.simulated_zoom import SimulatedZoom
from portal.zoom.webhooks.events import parse_webhook_event
from tests.people import People, run_jobs, soon

pytestmark = pytest.mark.parametrize("portal", ["sqlite"], indirect=True)


def held(people: People, count: int = 2) -> ZoomMeeting:
    section = people.section(people.ada)
    people.learners(section, count)
    return people.create_registered_meeting(people.ada, people.school_class(people.ada, section), soon())


def told(world: SimulatedZoom, meeting: ZoomMeeting, what: str) -> list[bool]:
    """Apply Zoom's events of that kind; whether each was news."""
    events = [body for body in world.events(str(meeting.zoom_id)) if body["event"] == f"meeting.registration_{what}"]
    with write_transaction():
        return [
            zoom_sync_events.apply_registration_event(parse_webhook_event(json.loads(json.dumps(body))))
            for body in events
        ]


def first(world: SimulatedZoom, meeting: ZoomMeeting) -> SimulatedRegistrant:
    return world.active_registrants(str(meeting.zoom_id))[0]


def row_of(registrant: SimulatedRegistrant) -> MeetingRegistrant:
    statement = select(MeetingRegistrant).where(MeetingRegistrant.email == registrant.email)
    return db.session.scalars(statement.execution_options(populate_existing=True)).one()


def decide(world: SimulatedZoom, meeting: ZoomMeeting, action: str, registrant: SimulatedRegistrant) -> None:
    world.set_registrants_status(str(meeting.zoom_id), action, [{"id": registrant.id, "email": registrant.email}])


@pytest.mark.parametrize(
    ("action", "what", "reason"),
    [("deny", "denied", "denied_at_zoom"), ("cancel", "cancelled", "cancelled_at_zoom")],
)
def test_a_registration_taken_away_in_zoom_shows_and_can_be_tried_again(
    app: Flask, people: People, world: SimulatedZoom, action: str, what: str, reason: str
) -> None:
    meeting = held(people)
    one = first(world, meeting)
    decide(world, meeting, action, one)
    assert told(world, meeting, what) == [True]
    run_jobs(app)
    row = row_of(one)
    assert (row.state, row.reason, row.join_url) == (what, reason, None)
    run_jobs(app)
    assert len(world.active_registrants(str(meeting.zoom_id))) == 1, "the portal does not quarrel with the host"
    assert service.retry_failed_registrants(people.ada, meeting) == 1
    run_jobs(app)
    assert row_of(one).state == "registered" and row_of(one).join_url
    assert len(world.active_registrants(str(meeting.zoom_id))) == 2


def test_denied_and_approved_again_is_registered_whatever_order_the_events_come_in(
    app: Flask, people: People, world: SimulatedZoom
) -> None:
    meeting = held(people)
    one = first(world, meeting)
    decide(world, meeting, "deny", one)
    decide(world, meeting, "approve", one)
    told(world, meeting, "approved")
    told(world, meeting, "denied")
    run_jobs(app)
    assert row_of(one).state == "registered"


def test_somebody_who_registered_by_herself_is_approved_when_she_is_on_the_roster(
    app: Flask, people: People, world: SimulatedZoom
) -> None:
    section = people.section(people.ada)
    meeting = people.create_registered_meeting(people.ada, people.school_class(people.ada, section), soon())
    mine = world.register(str(meeting.zoom_id), {"email": "300123200001@r1.deped.gov.ph", "first_name": "ANA"})
    stranger = world.register(str(meeting.zoom_id), {"email": "stranger@gmail.com", "first_name": "X"})
    people.learners(section, 1)
    run_jobs(app)
    statuses = {one.id: one.status for one in world.active_registrants(str(meeting.zoom_id))}
    assert statuses == {mine.id: "approved", stranger.id: "pending"}


def test_what_zoom_keeps_pending_is_approved_and_then_registered(
    app: Flask, people: People, world: SimulatedZoom, faults: Any
) -> None:
    section = people.section(people.ada)
    meeting = people.create_registered_meeting(people.ada, people.school_class(people.ada, section), soon())
    mine = world.register(str(meeting.zoom_id), {"email": "300123200001@r1.deped.gov.ph", "first_name": "ANA"})
    body = {"id": int(str(meeting.zoom_id)), "registrant_id": mine.id, "topic": "x"}
    faults.add("POST", r"/registrants$", "answer", status=201, json=body)
    people.learners(section, 1)
    run_jobs(app)
    row = row_of(mine)
    assert (row.state, row.zoom_registrant_id) == ("registered", mine.id) and row.join_url


def test_our_own_doings_echo_and_change_nothing(app: Flask, people: People, world: SimulatedZoom) -> None:
    meeting = held(people)
    one = first(world, meeting)
    with write_transaction():
        db.session.scalars(select(MeetingRegistrant).where(MeetingRegistrant.email == one.email)).one()
    assert told(world, meeting, "created") == [False, False]
    from portal.classes.models import Learner

    with write_transaction() as session:
        session.scalars(
            select(Learner).where(Learner.lrn == one.email.split("@")[0])
        ).one().email = "new@r1.deped.gov.ph"
    run_jobs(app)
    assert told(world, meeting, "cancelled") == [False]
    assert told(world, meeting, "created") == [False, False, False]
