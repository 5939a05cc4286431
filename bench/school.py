"""A school with one class, registered with a simulated Zoom, in any database."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from flask import Flask
from flask_migrate import upgrade
from sqlalchemy import select
from werkzeug.serving import make_server

from bench.server import settings_for
from portal import create_app
from portal.classes.models import Learner
from portal.core.db import db
from portal.meetings.models import MeetingOccurrence
from portal.registration.models import MeetingRegistrant
from portal.sandbox.app import create_sandbox
from portal.sandbox.simulation.simulated_zoom import SimulatedZoom
from tests.browser import Browser
from tests.people import People, run_jobs, soon


@dataclass(frozen=True)
class Class:
    """The class: its id at Zoom, its start, and each learner's registrant id, in LIS order."""

    zoom_id: str
    occurrence_id: str
    starts_at: datetime
    registrants: tuple[str, ...]

    @property
    def ends_at(self) -> datetime:
        return self.starts_at + timedelta(hours=1)


def fill(url: str, learners: int) -> Class:
    """Migrate the tables and create the school and the class."""
    with _run_simulated_zoom() as zoom_url:
        app = create_app(settings_for(url, zoom_url))
        app.config["FORM_WAIT"] = 0
        with app.app_context():
            upgrade()
            people = People(app)
            section = people.section(people.ada)
            people.learners(section, learners)
            meeting = people.create_registered_meeting(people.ada, people.school_class(people.ada, section), soon())
            registrants = db.session.scalars(
                select(MeetingRegistrant.zoom_registrant_id)
                .join(Learner, Learner.id == MeetingRegistrant.learner_id)
                .order_by(Learner.lrn)
            )
            occurrence = db.session.scalars(select(MeetingOccurrence)).one()
            school_class = Class(
                str(meeting.zoom_id),
                str(occurrence.id),
                occurrence.starts_at,
                tuple(str(registrant_id) for registrant_id in registrants),
            )
            run_jobs(app)
        _dispose_engine(app)
    return school_class


@contextmanager
def _run_simulated_zoom() -> Iterator[str]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    world = SimulatedZoom(plan="unlimited")
    world.add_user("ada@r1.deped.gov.ph", "Ada", "Lovelace", licensed=True)
    server = make_server("127.0.0.1", 0, create_sandbox(world, public_url="https://pretend.zoom.us"), threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


class Reader:
    """A teacher who reads the sheet over HTTP, in a second app on the same database."""

    def __init__(self, url: str, school_class: Class) -> None:
        self._app = create_app(settings_for(url))
        self._app.config["HOSTS"] |= {"localhost"}  # the host name of Flask's test client
        self._app.testing = True  # it receives no events, so it must not write heartbeats
        self._class = school_class
        self._browser = Browser(self._app.test_client())
        self._browser.get("/sign-in")
        self._browser.submit(email="ada@r1.deped.gov.ph", password="correct horse battery")

    def csv(self) -> str:
        self._browser.get(f"/attendance/{self._class.occurrence_id}.csv")
        assert self._browser.response
        return str(self._browser.response.text)

    def close(self) -> None:
        _dispose_engine(self._app)


def _dispose_engine(app: Flask) -> None:
    with app.app_context():
        db.session.remove()
        db.engine.dispose()
