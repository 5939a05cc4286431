"""Nobody twice and nobody skipped, wherever the engine dies and whatever becomes of an answer."""

import sys
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import delete, select, update

from portal.classes.models import Enrolment
from portal.core import clock
from portal.core.db import (
    db,
    end_read_transaction,
    is_postgresql,
    write_transaction,
)
from portal.meetings.models import ZoomMeeting
from portal.registration import desired_registrants
from portal.registration.models import MeetingRegistrant
from portal.registration.queries import registration_progress_of
from portal.registration.zoom_sync import engine
from portal.sandbox.simulation.simulated_zoom import SimulatedZoom
from portal.zoom_account.client import get_zoom_client
from tests.people import DOMAINS, People, expire_orm_state, run_jobs, soon

if sys.platform == "win32":
    pytest.skip("processes are forked here", allow_module_level=True)

from tests.registration.crashing_engine import CrashingEngine

BATCH, SINGLE = r"/batch_registrants$", r"/registrants$"
ROSTER = [f"3001232{number:05d}@r1.deped.gov.ph" for number in range(1, 6)]


@pytest.fixture(scope="module")
def mortal(portal: Flask, zoom_server: tuple[SimulatedZoom, str]) -> Iterator[CrashingEngine]:
    with CrashingEngine(portal.config["SQLALCHEMY_DATABASE_URI"], zoom_server[1]) as found:
        yield found


def meeting_of_five(people: People, kind: str) -> ZoomMeeting:
    section = people.section(people.ada)
    meeting = people.create_registered_meeting(
        people.ada, people.school_class(people.ada, section), soon() + timedelta(hours=1)
    )
    people.learners(section, 5)
    with write_transaction():
        db.session.get_one(ZoomMeeting, meeting.id).kind = kind
    desired_registrants.sync_registrant_rows(DOMAINS)
    return meeting


def start_over(meeting: ZoomMeeting, world: SimulatedZoom) -> None:
    """The same meeting made anew, and nobody registered."""
    made = world.create_meeting(meeting.host_email, {"topic": "x", "type": 2, "settings": {"approval_type": 1}})
    with write_transaction() as session:
        session.execute(update(ZoomMeeting).where(ZoomMeeting.id == meeting.id).values(zoom_id=made.id))
        session.execute(delete(MeetingRegistrant))
    desired_registrants.sync_registrant_rows(DOMAINS)
    end_read_transaction()


def zoom_id_of(meeting: ZoomMeeting) -> str:
    return str(db.session.get_one(ZoomMeeting, meeting.id, populate_existing=True).zoom_id)


def check(world: SimulatedZoom, meeting: ZoomMeeting, told: str) -> None:
    expire_orm_state()
    zoom_id = zoom_id_of(meeting)
    active = world.active_registrants(zoom_id)
    assert sorted(one.email for one in active) == ROSTER, told
    rows = {row.email: row.zoom_registrant_id for row in db.session.scalars(select(MeetingRegistrant))}
    assert rows == {one.email: one.id for one in active}, told
    assert max(world.registration_posts(zoom_id, email) for email in ROSTER) <= 2, told
    assert registration_progress_of(meeting.id).done == 5, told
    end_read_transaction()


@pytest.mark.parametrize("kind", ["scheduled", "recurring"])
def test_killed_at_any_moment_it_goes_on_and_nobody_is_registered_twice_or_skipped(
    app: Flask, people: People, world: SimulatedZoom, mortal: CrashingEngine, kind: str
) -> None:
    meeting = meeting_of_five(people, kind)
    end_read_transaction()
    moments = mortal.run(meeting.id)["moments"]
    check(world, meeting, "without a crash")
    assert moments > (6 if kind == "scheduled" else 12)
    # The moments of the long run are shared out between the two databases.
    chosen = range(1, moments + 1)
    if kind == "recurring":
        chosen = chosen[is_postgresql() :: 2]
    deaths = posts = 0
    for moment in chosen:
        start_over(meeting, world)
        deaths += mortal.run(meeting.id, die_at=moment)["died"]
        with time_machine.travel(clock.now() + timedelta(minutes=3)):  # when the dead one's lease has run out
            while engine.process_meeting_registrations(meeting.id, get_zoom_client()):
                pass
        check(world, meeting, f"killed at moment {moment} of {moments}")
        posts += sum(world.registration_posts(zoom_id_of(meeting), email) for email in ROSTER)
    assert deaths >= len(chosen) - 4, "threads do not come in the same order every time"
    # Who was sent when it died is looked for first. A request that was still under way then is sent again.
    assert posts <= len(ROSTER) * len(chosen) + 4


def test_killed_again_and_again_it_still_registers_everybody_once(
    app: Flask, people: People, world: SimulatedZoom, mortal: CrashingEngine
) -> None:
    meeting = meeting_of_five(people, "recurring")
    end_read_transaction()
    for number in range(1, 12):
        mortal.run(meeting.id, die_at=number, minutes=3 * number)
    mortal.run(meeting.id, minutes=60)
    check(world, meeting, "after eleven deaths")


@pytest.mark.parametrize(("kind", "path"), [("scheduled", BATCH), ("recurring", SINGLE)])
@pytest.mark.parametrize("fault", ["reset", "truncate", "html"])
def test_an_answer_that_never_comes_is_looked_for_before_anything_is_sent_again(
    app: Flask, people: People, world: SimulatedZoom, faults: Any, kind: str, path: str, fault: str
) -> None:
    meeting = meeting_of_five(people, kind)
    faults.add("POST", path, fault, status=502)
    world.forget_calls()
    run_jobs(app)
    assert registration_progress_of(meeting.id).waiting == (5 if kind == "scheduled" else 1)
    with time_machine.travel(clock.now() + timedelta(seconds=30)):
        run_jobs(app)
        check(world, meeting, fault)
    listed = [call.path for call in world.calls if call.method == "GET" and call.path.endswith("/registrants")]
    assert listed, "Zoom's list was read"
    sent_again = fault == "html"  # answered without having been carried out
    assert world.count("POST", path).calls == (1 if kind == "scheduled" else 5) + sent_again


@pytest.mark.parametrize("portal", ["sqlite"], indirect=True)
def test_a_request_that_was_never_sent_does_not_count_and_is_sent_again(
    app: Flask, people: People, world: SimulatedZoom, faults: Any
) -> None:
    meeting = meeting_of_five(people, "scheduled")
    faults.add("POST", BATCH, "reset_before")
    run_jobs(app)
    with time_machine.travel(clock.now() + timedelta(seconds=30)):
        run_jobs(app)
        check(world, meeting, "reset before")
        rows = db.session.scalars(select(MeetingRegistrant.posts_today)).all()
    assert set(rows) == {1}


@pytest.mark.parametrize("portal", ["sqlite"], indirect=True)
def test_a_learner_who_leaves_while_her_answer_is_missing_is_taken_away(
    app: Flask, people: People, world: SimulatedZoom, faults: Any
) -> None:
    meeting = meeting_of_five(people, "scheduled")
    faults.add("POST", BATCH, "reset")
    run_jobs(app)
    with write_transaction() as session:
        learner_id = session.scalars(
            select(MeetingRegistrant.learner_id).where(MeetingRegistrant.email == ROSTER[0])
        ).one()
        enrolment = session.scalars(select(Enrolment).where(Enrolment.learner_id == learner_id)).one()
        enrolment.until_date = enrolment.from_date
    with time_machine.travel(clock.now() + timedelta(seconds=30)):
        run_jobs(app)
    active = world.active_registrants(str(meeting.zoom_id))
    assert sorted(one.email for one in active) == ROSTER[1:]
