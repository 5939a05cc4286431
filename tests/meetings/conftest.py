"""What the tests of scheduling share: a class to schedule for, faults at the pretend Zoom, an impatient client."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from flask import Flask

from portal.classes.access import Section
from portal.classes.models import SchoolClass
from portal.config import Settings
from portal.core import clock
from portal.core.db import db
from portal.meetings.models import MeetingOccurrence, ZoomMeeting
from portal.sandbox.simulation.models import SimulatedMeeting as ZoomsMeeting
from portal.sandbox.simulation.simulated_zoom import SimulatedZoom
from portal.zoom.client import ApiCredentials, ZoomClient
from portal.zoom_account.token_store import DatabaseTokenStore
from tests.people import People


@dataclass
class Impatient:
    """The portal's client with short timeouts, which notes its pauses instead of sleeping."""

    zoom: ZoomClient
    slept: list[float] = field(default_factory=list)


@pytest.fixture
def impatient(app: Flask) -> Callable[..., Impatient]:
    """Give the portal such a client; `zoom` is then what the worker calls."""

    def make(**changes: Any) -> Impatient:
        settings: Settings = app.extensions["silid.settings"]
        slept: list[float] = []
        values: dict[str, Any] = {
            "tokens": DatabaseTokenStore(settings.zoom_account_id, app.app_context),
            "api_url": settings.zoom_api_url,
            "oauth_url": settings.zoom_oauth_url,
            "now": clock.now,
            "sleep": slept.append,
            "timeout": (0.5, 0.4),
        }
        credentials = ApiCredentials(settings.zoom_account_id, settings.zoom_client_id, settings.zoom_client_secret)
        client = ZoomClient(credentials, **(values | changes))
        app.extensions["silid.zoom"] = client
        return Impatient(client, slept)

    return make


@pytest.fixture
def section(people: People) -> Section:
    made = people.section(people.ada)
    people.learners(made, 3)
    return made


@pytest.fixture
def biology(people: People, section: Section) -> SchoolClass:
    """Ada's class of three learners."""
    return people.school_class(people.ada, section)


def zooms(world: SimulatedZoom) -> list[ZoomsMeeting]:
    """The meetings that Zoom has and did not delete."""
    return [meeting for meeting in world.meetings.values() if meeting.deleted_at is None]


def only(world: SimulatedZoom) -> ZoomsMeeting:
    [meeting] = zooms(world)
    return meeting


def dates_at_zoom(meeting: ZoomsMeeting) -> list[str]:
    """The dates that Zoom has, on the clock in Manila."""
    return [
        clock.to_manila(one.start_time).strftime("%Y-%m-%d %H:%M")
        for one in sorted(meeting.occurrences, key=lambda one: one.start_time)
        if one.status == "available"
    ]


def dates_here(meeting: ZoomMeeting) -> list[str]:
    rows = db.session.query(MeetingOccurrence).filter_by(meeting_id=meeting.id, state="scheduled")
    return sorted(clock.to_manila(row.starts_at).strftime("%Y-%m-%d %H:%M") for row in rows)


def again(meeting: ZoomMeeting) -> ZoomMeeting:
    """The row as it is now."""
    return db.session.get_one(ZoomMeeting, meeting.id, populate_existing=True)
