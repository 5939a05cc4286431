"""What people can still do, and what Zoom is spared, while it is down, refuses the credentials or has had enough."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select, update

from portal.classes.models import SchoolClass
from portal.core import clock
from portal.core.db import db, write_transaction
from portal.meetings.models import MeetingOccurrence
from portal.sandbox.simulation.simulated_zoom import SimulatedZoom
from portal.zoom_account import host_quota, write_block
from portal.zoom_account.models import ZoomQuota
from tests.browser import Browser
from tests.faults import Faults
from tests.meetings.conftest import again, only, zooms
from tests.people import People, run_jobs

NOW = datetime(2026, 11, 23, 7, tzinfo=clock.MANILA)
FORM = "form:has([name=title])"
API = "/(users|meetings|past_meetings|report)/"


@pytest.fixture
def monday() -> Iterator[Any]:
    with time_machine.travel(NOW, tick=False) as moving:
        yield moving


def test_while_zoom_is_down_the_portal_works_and_zoom_is_left_in_peace(
    app: Flask,
    monday: Any,
    browser: Browser,
    people: People,
    world: SimulatedZoom,
    faults: Faults,
    biology: SchoolClass,
    impatient: Callable[..., Any],
) -> None:
    held = people.create_registered_meeting(people.ada, biology, NOW + timedelta(hours=1))
    sheet = db.session.scalars(select(MeetingOccurrence.id).where(MeetingOccurrence.meeting_id == held.id)).one()
    impatient()
    for method in ("GET", "POST", "PATCH", "PUT", "DELETE"):
        faults.refuse(method, API, 503, 0, "down", times=10_000)
    people.sign_in(browser, people.ada)
    browser.get("/meetings/new")
    browser.submit(FORM, title="In spite of all", day="2026-11-24", start="13:00")
    world.forget_calls()
    minutes = 40
    for _ in range(minutes * 2):
        run_jobs(app)
        monday.shift(timedelta(seconds=30))
    # Five failures open the circuit, each of a read tried three times; afterwards one probe every half minute.
    assert 5 <= world.count("", API).calls <= 15 + 2 * minutes
    assert "Zoom is not answering." in browser.get(browser.url).get_text()
    for path in ("/", "/classes", f"/classes/{biology.id}", f"/classes/sections/{biology.section_id}", "/calendar"):
        browser.get(path)
    browser.get(f"/attendance/{sheet}")
    assert "LEARNER001" in browser.text
    assert len(zooms(world)) == 1
    faults.heal()
    monday.shift(timedelta(minutes=30))
    run_jobs(app)
    assert sorted(meeting.topic for meeting in zooms(world)) == ["Biology lesson", "In spite of all"]


def test_refused_credentials_stop_the_work_and_the_admin_sees_why(
    app: Flask,
    monday: Any,
    browser: Browser,
    people: People,
    world: SimulatedZoom,
    faults: Faults,
    biology: SchoolClass,
) -> None:
    faults.refuse("", API, 401, 124, "Invalid access token.", times=10_000)
    one = people.meeting(people.ada, biology, NOW + timedelta(hours=3))
    people.meeting(people.ada, biology, NOW + timedelta(hours=6))
    world.forget_calls()
    minted = world.tokens_minted
    for _ in range(8):
        run_jobs(app)
        monday.shift(timedelta(seconds=30))
    # The first try and its repetition with a new token; nothing for the other meeting, nothing for five minutes.
    assert world.count("", API).calls <= 2 and world.tokens_minted - minted <= 2
    found = write_block.current_write_block()
    assert found and found.reason == "credentials"
    assert again(one).error_code == "credentials"
    people.sign_in(browser, people.head).get("/")
    assert "Nothing goes to Zoom now." in browser.text and "ZOOM_CLIENT_SECRET" in browser.text
    browser.get("/admin/zoom")
    assert "Zoom does not accept the portal's credentials." in browser.text
    faults.heal()
    monday.shift(timedelta(minutes=6))
    run_jobs(app)
    assert len(zooms(world)) == 2 and write_block.current_write_block() is None


def test_one_hosts_hundred_changes_leave_the_others_alone(
    app: Flask, monday: Any, people: People, world: SimulatedZoom, biology: SchoolClass
) -> None:
    section = people.section(people.bob, "Ruby")
    chemistry = people.school_class(people.bob, section, "Chemistry")
    monday.shift(timedelta(hours=2))  # past 8:00, when Zoom's day has begun
    with write_transaction() as session:
        assert host_quota.consume_host_write(people.ada.email)
        session.execute(update(ZoomQuota).values(writes_used=host_quota.WRITES_PER_DAY))
    waits = people.meeting(people.ada, biology, NOW + timedelta(days=2))
    people.meeting(people.bob, chemistry, NOW + timedelta(days=2))
    run_jobs(app)
    assert only(world).topic == "Chemistry lesson"
    assert again(waits).error_code == "host_limit"
    assert again(waits).next_attempt_at == host_quota.quota_resets_at() == NOW.replace(day=24, hour=8)
