"""Zoom at the portal's door: signed deliveries, through the test client or over a real server."""

import csv
import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
import time_machine
from flask import Flask
from waitress import wasyncore
from waitress.server import create_server
from werkzeug.test import TestResponse

from portal import create_app
from portal.classes.models import Learner
from portal.core import clock
from portal.core.db import db
from portal.meetings.models import MeetingOccurrence
from portal.registration.models import MeetingRegistrant
from portal.sandbox import defaults
from portal.webhooks.models import ZoomEvent
from portal.zoom.webhooks.signature import sign_webhook
from tests.browser import Browser
from tests.conftest import Client, settings_for
from tests.people import People

PATH = "/api/zoom/webhook"
SECRET = defaults.WEBHOOK_SECRET
MEETING = "86123456789"


def joined(session: int = 1, meeting: str = MEETING, uuid: str = "u1", **changes: Any) -> dict[str, Any]:
    """Somebody's join at 08:00 in Manila on 3 November 2026."""
    participant = {
        "user_id": str(session),
        "user_name": "Niño",
        "registrant_id": f"R{session}",
        "join_time": "2026-11-03T00:00:00Z",
    }
    return {
        "event": "meeting.participant_joined",
        "event_ts": 1793664000000,
        "payload": {"account_id": "a", "object": {"id": meeting, "uuid": uuid, "participant": participant | changes}},
    }


def compact(body: object) -> bytes:
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()


class Zoom:
    """Posts deliveries to one portal as Zoom does."""

    def __init__(self, app: Flask, secret: str = SECRET) -> None:
        self._client = app.test_client(use_cookies=False)
        self._secret = secret

    def sends(
        self,
        body: object,
        *,
        secret: str | None = None,
        sent_at: int | str | None = None,
        signature: str | None = None,
        **headers: str,
    ) -> TestResponse:
        """Deliver a body (an object, or raw bytes) signed correctly unless something else is said."""
        raw = body if isinstance(body, bytes) else compact(body)
        when = int(time.time()) if sent_at is None else sent_at
        given = {
            "Content-Type": "application/json",
            "x-zm-request-timestamp": str(when),
            "x-zm-signature": signature or sign_webhook(secret or self._secret, when, raw),
        } | {name.replace("_", "-"): value for name, value in headers.items()}
        return self._client.post(PATH, data=raw, headers=given)

    def sends_unsigned(self, body: object, **headers: str) -> TestResponse:
        raw = body if isinstance(body, bytes) else compact(body)
        return self._client.post(PATH, data=raw, headers=headers, environ_base={"REMOTE_ADDR": "203.0.113.7"})


@pytest.fixture
def zoom(app: Flask) -> Zoom:
    return Zoom(app)


def stored() -> int:
    """How many deliveries the inbox holds."""
    return int(db.session.scalar(sa.select(sa.func.count()).select_from(ZoomEvent)) or 0)


@pytest.fixture
def another_portal(app: Flask) -> Callable[..., Flask]:
    """The portal again, with other settings, on the same database."""

    def make(**changes: Any) -> Flask:
        url = changes.pop("database_url", app.config["SQLALCHEMY_DATABASE_URI"])
        made = create_app(settings_for(url, "http://127.0.0.1:9", **changes))
        made.testing = True
        made.test_client_class = Client
        engines.append(made)
        return made

    engines: list[Flask] = []
    yield make  # type: ignore[misc]  # a fixture with an end
    for made in engines:
        with made.app_context():
            db.session.remove()
            db.engine.dispose()


@contextmanager
def served(app: Flask, threads: int = 12) -> Iterator[int]:
    """The portal on a real server with 12 threads, as app.py starts it; its port."""
    server = create_server(app, host="127.0.0.1", port=0, threads=threads, ident="")
    running = threading.Thread(target=server.run, daemon=True)
    running.start()
    try:
        yield int(server.effective_port)
    finally:
        server.task_dispatcher.shutdown(timeout=5)
        # in the server's own thread: it must not look at sockets that are closed under its hands
        server.trigger.pull_trigger(lambda: wasyncore.close_all(server._map))
        running.join(timeout=5)


MONDAY = datetime(2026, 11, 23, tzinfo=clock.MANILA)


def at(hour: int, minute: int = 0, second: int = 0) -> datetime:
    return MONDAY.replace(hour=hour, minute=minute, second=second)


def z(moment: datetime) -> str:
    return moment.astimezone(clock.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Class:
    """A class of 08:00 to 09:00 with everybody registered, and what Zoom says of it."""

    def __init__(self, app: Flask, people: People, learners: int, name: str = "Jadeite", start: int = 1) -> None:
        section = people.section(people.ada, name)
        self._app, self._people = app, people
        people.learners(section, learners, start=start)
        self.meeting = people.create_registered_meeting(people.ada, people.school_class(people.ada, section), at(8))
        self.registrants = list(
            db.session.scalars(
                sa.select(MeetingRegistrant.zoom_registrant_id)
                .join(Learner, Learner.id == MeetingRegistrant.learner_id)
                .where(MeetingRegistrant.meeting_id == self.meeting.id)
                .order_by(Learner.lrn)
            )
        )
        self.zoom_id = str(self.meeting.zoom_id)
        self.occurrence_id = db.session.scalars(
            sa.select(MeetingOccurrence.id).where(MeetingOccurrence.meeting_id == self.meeting.id)
        ).one()

    def says(self, name: str, moment: datetime, **about: Any) -> dict[str, Any]:
        ms = int(moment.timestamp() * 1000)
        found = {"id": self.zoom_id, "uuid": f"run of {self.zoom_id}", "host_id": "h", **about}
        return {"event": f"meeting.{name}", "event_ts": ms, "payload": {"account_id": "a", "object": found}}

    def started(self) -> dict[str, Any]:
        return self.says("started", at(8), start_time=z(at(8)))

    def ended(self) -> dict[str, Any]:
        return self.says("ended", at(9), start_time=z(at(8)), end_time=z(at(9)))

    def joined(self, learner: int, session: int, moment: datetime) -> dict[str, Any]:
        return self._person("participant_joined", learner, session, moment, join_time=z(moment))

    def left(self, learner: int, session: int, moment: datetime) -> dict[str, Any]:
        return self._person("participant_left", learner, session, moment, leave_time=z(moment))

    def _person(self, name: str, learner: int, session: int, moment: datetime, **when: str) -> dict[str, Any]:
        who = {"user_id": str(session), "user_name": "x", "registrant_id": self.registrants[learner], **when}
        return self.says(name, moment, participant=who)

    def whole(self, of: range) -> list[dict[str, Any]]:
        """Everybody in `of` from 08:00 to 08:20 and from 08:25 to 08:40, each some seconds late."""
        found = [self.started(), self.ended()]
        for learner in of:
            late = timedelta(seconds=learner)
            found += [
                self.joined(learner, 2 * learner, at(8) + late),
                self.left(learner, 2 * learner, at(8, 20)),
                self.joined(learner, 2 * learner + 1, at(8, 25)),
                self.left(learner, 2 * learner + 1, at(8, 40) + late),
            ]
        return found

    def csv(self) -> str:
        browser = self._people.sign_in(Browser(self._app.test_client()), self._people.ada)
        browser.get(f"/attendance/{self.occurrence_id}.csv")
        assert browser.response
        return str(browser.response.text)

    def marks(self) -> list[tuple[str, int]]:
        return [(row["mark"], int(row["seconds"])) for row in csv.DictReader(io.StringIO(self.csv()))]


@pytest.fixture
def monday() -> Iterator[Any]:
    with time_machine.travel(at(7, 30), tick=False) as moving:
        yield moving


@pytest.fixture
def a_class(app: Flask, people: People, world: object, monday: Any) -> Callable[..., Class]:
    def make(learners: int, name: str = "Jadeite", start: int = 1) -> Class:
        return Class(app, people, learners, name, start)

    return make
