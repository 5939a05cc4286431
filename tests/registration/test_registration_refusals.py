"""What Zoom refuses is said for each person with the remedy, and the others go on."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select

from portal.core import clock
from portal.core.db import db, write_transaction
from portal.meetings.models import ZoomMeeting
from portal.registration import service
from portal.registration.models import MeetingRegistrant
from portal.registration.queries import registration_progress_of
from portal.sandbox.simulation.simulated_zoom import SimulatedZoom
from portal.zoom_account import write_block
from tests.people import People, run_jobs, soon

BATCH, SINGLE = r"/batch_registrants$", r"/registrants$"
pytestmark = pytest.mark.parametrize("portal", ["sqlite"], indirect=True)


def scheduled(people: People, count: int, kind: str = "scheduled") -> ZoomMeeting:
    """A meeting at Zoom for which `count` learners have just come onto the roster."""
    section = people.section(people.ada)
    meeting = people.create_registered_meeting(
        people.ada, people.school_class(people.ada, section), soon() + timedelta(hours=1)
    )
    with write_transaction():
        db.session.get_one(ZoomMeeting, meeting.id).kind = kind
    people.learners(section, count)
    return meeting


def reasons(meeting: ZoomMeeting) -> dict[str | None, int]:
    found: dict[str | None, int] = {}
    for row in db.session.scalars(select(MeetingRegistrant).where(MeetingRegistrant.meeting_id == meeting.id)):
        found[row.reason] = found.get(row.reason, 0) + 1
    return found


@pytest.mark.parametrize("kind", ["scheduled", "recurring"])
def test_a_full_meeting_takes_as_many_as_it_can_and_names_the_others(
    app: Flask, people: People, world: SimulatedZoom, limits: Any, kind: str
) -> None:
    world.switches.capacity = 4
    meeting = scheduled(people, 6, kind)
    run_jobs(app)
    assert reasons(meeting) == {None: 4, "full": 2}
    assert len(world.active_registrants(str(meeting.zoom_id))) == 4
    world.switches.capacity = 10
    service.retry_failed_registrants(people.ada, meeting)
    run_jobs(app)
    assert reasons(meeting) == {None: 6}


def test_an_alternative_host_is_named_and_the_rest_of_her_batch_goes_on(
    app: Flask, people: People, world: SimulatedZoom
) -> None:
    meeting = scheduled(people, 3)
    world.add_user("300123200002@r1.deped.gov.ph", "Ana", "Cruz", licensed=True)
    world.update_meeting(str(meeting.zoom_id), {"settings": {"alternative_hosts": "300123200002@r1.deped.gov.ph"}})
    run_jobs(app)
    assert reasons(meeting) == {None: 2, "host": 1}
    assert world.count("POST", BATCH).calls == 1 and world.count("POST", SINGLE).calls == 3


@pytest.mark.parametrize("kind", ["scheduled", "recurring"])
def test_a_host_without_licence_registers_nobody_and_zoom_is_not_asked_again(
    app: Flask, people: People, world: SimulatedZoom, kind: str
) -> None:
    meeting = scheduled(people, 40, kind)
    world.add_user("ada@r1.deped.gov.ph", "Ada", "Host", licensed=False)
    world.forget_calls()
    run_jobs(app)
    assert reasons(meeting) == {"host_unlicensed": 40}
    assert world.active_registrants(str(meeting.zoom_id)) == []
    calls = world.count("POST", "registrants").calls
    assert calls <= 10, "what was in flight when the first was refused"
    run_jobs(app)
    assert world.count("POST", "registrants").calls == calls
    world.add_user("ada@r1.deped.gov.ph", "Ada", "Host", licensed=True)
    service.retry_failed_registrants(people.ada, meeting)
    run_jobs(app)
    assert registration_progress_of(meeting.id).done == 40


def test_a_class_that_is_over_at_zoom_registers_nobody(
    app: Flask, people: People, world: SimulatedZoom, faults: Any
) -> None:
    meeting = scheduled(people, 3)
    faults.refuse("POST", BATCH, 400, 3038, "Meeting is over, you can not register now.")
    run_jobs(app)
    assert reasons(meeting) == {"over": 3}


def test_registration_switched_off_at_zoom_is_said(app: Flask, people: People, world: SimulatedZoom) -> None:
    meeting = scheduled(people, 3)
    world.update_meeting(str(meeting.zoom_id), {"settings": {"approval_type": 2}})
    run_jobs(app)
    assert reasons(meeting) == {"registration_off": 3}


def test_a_meeting_deleted_at_zoom_is_shown_as_deleted(app: Flask, people: People, world: SimulatedZoom) -> None:
    meeting = scheduled(people, 3)
    world.delete_meeting(str(meeting.zoom_id))
    run_jobs(app)
    assert db.session.get_one(ZoomMeeting, meeting.id).state == "deleted"
    assert reasons(meeting) == {"deleted_at_zoom": 3}


def test_where_zoom_takes_no_batch_it_sends_one_by_one(
    app: Flask, people: People, world: SimulatedZoom, faults: Any
) -> None:
    meeting = scheduled(people, 4)
    faults.refuse("POST", BATCH, 400, 303, "This API can only be used for scheduled meeting.", times=9)
    run_jobs(app)
    assert registration_progress_of(meeting.id).done == 4
    assert (world.count("POST", BATCH).calls, world.count("POST", SINGLE).calls) == (1, 4)


def test_one_bad_address_does_not_hold_up_the_other_29_of_its_batch(
    app: Flask, people: People, world: SimulatedZoom, faults: Any
) -> None:
    meeting = scheduled(people, 8)
    faults.refuse("POST", BATCH, 400, 300, "Validation Failed.")
    faults.refuse("POST", SINGLE, 400, 300, "Validation Failed.")
    run_jobs(app)
    assert reasons(meeting) == {None: 7, "refused": 1}


def test_the_accounts_daily_limit_parks_all_until_zoom_counts_anew(
    app: Flask, people: People, world: SimulatedZoom, faults: Any
) -> None:
    meeting = scheduled(people, 3)
    tomorrow = (clock.now() + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    faults.refuse(
        "POST",
        BATCH,
        429,
        429,
        "maximum daily rate limit",
        headers={"X-RateLimit-Type": "Daily-limit", "X-RateLimit-Limit": "30000", "Retry-After": tomorrow.isoformat()},
    )
    run_jobs(app)
    assert reasons(meeting) == {"account_limit": 3}
    seen = registration_progress_of(meeting.id)
    assert (seen.deferred, seen.resumes_at, seen.running) == (3, tomorrow, False)
    assert set(db.session.scalars(select(MeetingRegistrant.posts_today))) == {0}, "it was not carried out"


def test_a_missing_permission_stops_all_writing_for_five_minutes(
    app: Flask, people: People, world: SimulatedZoom, faults: Any
) -> None:
    meeting = scheduled(people, 3)
    message = "Invalid access token, does not contain scopes:[meeting:write:batch_registrants:admin]."
    faults.refuse("POST", BATCH, 400, 4711, message)
    world.forget_calls()
    run_jobs(app)
    found = write_block.current_write_block()
    assert found and found.detail == "meeting:write:batch_registrants:admin"
    assert reasons(meeting) == {"not_authorised": 3}
    run_jobs(app)
    assert world.count("POST", BATCH).calls == 1
    with time_machine.travel(clock.now() + timedelta(minutes=6)):
        run_jobs(app)
        assert registration_progress_of(meeting.id).done == 3


def test_the_retry_button_sends_nobody_above_the_limit_of_the_day(
    app: Flask, people: People, world: SimulatedZoom
) -> None:
    meeting = scheduled(people, 1, "recurring")
    for _ in range(3):
        known = world.register(str(meeting.zoom_id), {"email": "300123200001@r1.deped.gov.ph", "first_name": "ANA"})
    world.delete_registrant(str(meeting.zoom_id), known.id)
    run_jobs(app)
    posts = world.count("POST", SINGLE).calls
    service.retry_failed_registrants(people.ada, meeting)
    run_jobs(app)
    assert reasons(meeting) == {"daily_limit": 1}
    assert world.count("POST", SINGLE).calls == posts == 1
