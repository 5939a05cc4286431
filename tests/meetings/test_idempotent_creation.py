"""Exactly one meeting at Zoom, whatever becomes of the answer, the process or the form."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask

from portal.classes.models import SchoolClass
from portal.core import clock
from portal.meetings.models import ZoomMeeting
from portal.meetings.scheduling.host_assignment import HostChoice
from portal.meetings.service import SchedulingConflict, get_or_create
from portal.meetings.zoom_sync import sync as meeting_sync
from portal.sandbox.simulation.simulated_zoom import SimulatedZoom
from portal.zoom_account.client import get_zoom_client
from tests.browser import Browser
from tests.faults import Faults
from tests.meetings.conftest import again, only, zooms
from tests.people import People, run_jobs

NOW = datetime(2026, 11, 23, 7, tzinfo=clock.MANILA)
AT_EIGHT = NOW + timedelta(hours=25)
CREATE = "/users/[^/]+/meetings$"


@pytest.mark.parametrize("kind", ["hang", "reset", "truncate"])
def test_a_creation_whose_answer_was_lost_is_found_again(
    app: Flask,
    people: People,
    world: SimulatedZoom,
    faults: Faults,
    biology: SchoolClass,
    impatient: Callable[..., Any],
    kind: str,
) -> None:
    impatient()
    with time_machine.travel(NOW, tick=False) as moving:
        meeting = people.meeting(people.ada, biology, AT_EIGHT)
        faults.add("POST", CREATE, kind, seconds=0.6)
        run_jobs(app)
        assert again(meeting).outcome_unknown and again(meeting).error_code == "unavailable"
        moving.shift(timedelta(seconds=30))
        run_jobs(app)
    assert again(meeting).state == "scheduled"
    assert again(meeting).zoom_id == only(world).id
    assert world.count("POST", CREATE).calls == 1


def test_a_creation_that_never_arrived_is_sent_again(
    app: Flask,
    people: People,
    world: SimulatedZoom,
    faults: Faults,
    biology: SchoolClass,
    impatient: Callable[..., Any],
) -> None:
    impatient()
    with time_machine.travel(NOW, tick=False) as moving:
        meeting = people.meeting(people.ada, biology, AT_EIGHT)
        faults.add("POST", CREATE, "reset_before")
        run_jobs(app)
        moving.shift(timedelta(seconds=30))
        run_jobs(app)
    assert again(meeting).zoom_id == only(world).id


class Killed(BaseException):
    """The process is gone."""


class Dying:
    """A client whose process dies when it has sent, or is about to send, a creation."""

    def __init__(self, *, sends: bool) -> None:
        self._sends = sends

    def __getattr__(self, name: str) -> Any:
        return getattr(get_zoom_client(), name)

    def create_meeting(self, *args: Any) -> None:
        if self._sends:
            get_zoom_client().create_meeting(*args)
        raise Killed


@pytest.mark.parametrize("sends", [True, False])
def test_a_worker_that_dies_over_a_creation_leaves_one_meeting(
    app: Flask, people: People, world: SimulatedZoom, biology: SchoolClass, sends: bool
) -> None:
    with time_machine.travel(NOW, tick=False) as moving:
        meeting = people.meeting(people.ada, biology, AT_EIGHT)
        [leased] = meeting_sync.lease_due_meetings()
        with pytest.raises(Killed):
            meeting_sync.sync_meeting_with_zoom(leased, Dying(sends=sends))  # type: ignore[arg-type]
        moving.shift(timedelta(minutes=3))
        run_jobs(app)
    assert again(meeting).zoom_id == only(world).id


def test_a_meeting_cancelled_while_nobody_knows_whether_zoom_made_it_is_taken_away(
    app: Flask,
    people: People,
    world: SimulatedZoom,
    faults: Faults,
    biology: SchoolClass,
    impatient: Callable[..., Any],
) -> None:
    from portal.meetings import service

    impatient()
    with time_machine.travel(NOW, tick=False) as moving:
        meeting = people.meeting(people.ada, biology, AT_EIGHT)
        faults.add("POST", CREATE, "reset")
        run_jobs(app)
        service.cancel_meeting(people.ada, again(meeting))
        moving.shift(timedelta(seconds=30))
        run_jobs(app)
    assert zooms(world) == []
    assert again(meeting).pending_action is None


def test_a_change_whose_answer_was_lost_is_not_sent_twice(
    app: Flask,
    people: People,
    world: SimulatedZoom,
    faults: Faults,
    biology: SchoolClass,
    impatient: Callable[..., Any],
) -> None:
    from portal.meetings import service

    impatient()
    with time_machine.travel(NOW, tick=False) as moving:
        meeting = people.create_registered_meeting(people.ada, biology, AT_EIGHT)
        details = service.MeetingDetails("Cells", "", AT_EIGHT + timedelta(hours=1), 45)
        faults.add("PATCH", "/meetings/", "reset")
        service.update_meeting(people.ada, meeting, details)
        run_jobs(app)
        assert again(meeting).pending_action == "update"
        moving.shift(timedelta(seconds=30))
        run_jobs(app)
    assert (only(world).topic, only(world).minutes) == ("Cells", 45)
    assert world.count("PATCH", "/meetings/").calls == 1
    assert again(meeting).pending_action is None and not again(meeting).outcome_unknown


def test_what_did_not_change_is_not_sent(
    app: Flask, people: People, world: SimulatedZoom, biology: SchoolClass
) -> None:
    from portal.meetings import service

    with time_machine.travel(NOW, tick=False):
        meeting = people.create_registered_meeting(people.ada, biology, AT_EIGHT)
        same = service.MeetingDetails(meeting.title, "", AT_EIGHT, 60)
        service.update_meeting(people.ada, meeting, same)
        service.update_meeting(people.ada, meeting, service.MeetingDetails("Other", "", AT_EIGHT, 60))
        service.update_meeting(people.ada, meeting, same)
        run_jobs(app)
    assert world.count("PATCH").calls == 0


@pytest.mark.parametrize("portal", ["sqlite"], indirect=True)
def test_a_time_in_manila_arrives_as_that_time(
    app: Flask, people: People, world: SimulatedZoom, biology: SchoolClass
) -> None:
    """08:00 in Manila is 00:00 UTC: never shifted twice, and read back equal."""
    with time_machine.travel(NOW, tick=False):
        meeting = people.create_registered_meeting(people.ada, biology, AT_EIGHT)
    made = only(world)
    assert made.start_time is not None and made.start_time.isoformat() == "2026-11-24T00:00:00+00:00"
    assert made.timezone == "Asia/Manila"
    assert again(meeting).overridden_settings is None


def form_fields(**changes: Any) -> dict[str, Any]:
    return {"title": "Cells", "day": "2026-11-24", "start": "08:00", "minutes": "60"} | changes


def test_a_form_sent_twice_schedules_once(
    app: Flask, people: People, browser: Browser, world: SimulatedZoom, biology: SchoolClass
) -> None:
    with time_machine.travel(NOW, tick=False):
        people.sign_in(browser, people.ada)
        browser.get("/meetings/new")
        form = {field["name"]: field.get("value", "") for field in browser.page.select("main form input[type=hidden]")}
        data = form | form_fields(class_id=str(biology.id), waiting_room="y", audience="class", approval_type="1")
        data |= {"registration_type": "1", "auto_recording": "none"}
        browser.post("/meetings/new", data)
        first = browser.url
        browser.post("/meetings/new", data)
        assert browser.url == first
        run_jobs(app)
        assert [meeting.topic for meeting in zooms(world)] == ["Cells"]


@pytest.mark.parametrize("portal", ["sqlite"], indirect=True)
def test_a_class_that_starts_now_has_a_room_at_once(
    app: Flask, people: People, browser: Browser, world: SimulatedZoom, biology: SchoolClass
) -> None:
    with time_machine.travel(NOW + timedelta(seconds=31), tick=False):
        people.sign_in(browser, people.ada)
        browser.get("/meetings/new")
        browser.submit("form:has([name=title])", button="Start a class now", title="Suspension day", day="")
        run_jobs(app)
        browser.get(browser.url)
        assert "Start class" in browser.text
    meeting = app.extensions["sqlalchemy"].session.scalars(app.extensions["sqlalchemy"].select(ZoomMeeting)).one()
    assert (meeting.kind, meeting.starts_at) == ("instant", NOW)
    assert only(world).type == 2, "Zoom does not list instant meetings, so a lost one could not be found"


def test_the_second_of_two_clicks_finds_the_firsts_class_and_no_clash_with_it(app: Flask) -> None:
    """Both look before either has saved; the second waits for the first one's host, and then that is in use."""

    def in_the_way() -> str:
        raise SchedulingConflict(HostChoice("ada@r1.deped.gov.ph", ()))

    seen = iter([None, "the first one's"])
    assert get_or_create(lambda: next(seen), in_the_way) == "the first one's"
    with pytest.raises(SchedulingConflict):
        get_or_create(lambda: None, in_the_way)
