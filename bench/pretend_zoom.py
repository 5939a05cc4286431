"""A simulated Zoom in a process of its own, and a portal that uses it, for benchmarks."""

import logging
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import requests
from flask import Flask
from flask_migrate import upgrade
from werkzeug.serving import make_server

from portal import create_app
from portal.accounts import service as accounts
from portal.accounts.models import User
from portal.classes import service as classes
from portal.classes.models import Enrolment, Learner, SchoolClass, Section
from portal.config import Settings, derive_secret_key
from portal.core import clock
from portal.core.db import end_read_transaction, write_transaction
from portal.meetings import service as meetings
from portal.meetings.models import ZoomMeeting
from portal.sandbox import defaults
from portal.sandbox.app import create_sandbox
from portal.sandbox.simulation.simulated_zoom import SimulatedZoom

HOST = "ada@r1.deped.gov.ph"
DOMAINS = ("r1.deped.gov.ph",)


@dataclass
class Pretend:
    """A running simulated Zoom: its URL and control plane."""

    url: str

    def tell(self, path: str, **body: Any) -> dict[str, Any]:
        response = requests.post(f"{self.url}/_sim/{path}", json=body, timeout=10)
        response.raise_for_status()
        values: dict[str, Any] = response.json()
        return values

    def ask(self, path: str, **query: str) -> dict[str, Any]:
        response = requests.get(f"{self.url}/_sim/{path}", params=query, timeout=10)
        response.raise_for_status()
        values: dict[str, Any] = response.json()
        return values

    def forget_calls(self) -> None:
        requests.delete(f"{self.url}/_sim/calls", timeout=10).raise_for_status()

    def calls(self, method: str = "", path: str = "") -> int:
        return int(self.ask("calls", method=method, path=path)["calls"])

    def registrants(self, zoom_id: str) -> list[dict[str, Any]]:
        return [
            one for one in self.ask(f"meetings/{zoom_id}")["registrants"] if one["status"] in ("approved", "pending")
        ]


@contextmanager
def pretending(plan: str) -> Iterator[Pretend]:
    """Run a simulated Zoom with one licensed host, on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "portal.sandbox", "--port", str(port), "--plan", plan, "--host-user", HOST]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    sandbox = Pretend(f"http://127.0.0.1:{port}")
    try:
        for _ in range(300):
            try:
                sandbox.ask("state")
                break
            except requests.ConnectionError:
                time.sleep(0.05)
        yield sandbox
    finally:
        process.terminate()
        process.wait()


@contextmanager
def pretending_here() -> Iterator[tuple[SimulatedZoom, Pretend]]:
    """Run a simulated Zoom in a thread of this process, without limits per second; yields its state too."""
    world = SimulatedZoom(plan="unlimited")
    world.add_user(HOST, "Ada", "Host")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", 0, create_sandbox(world, public_url="https://pretend.zoom.us"), threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield world, Pretend(f"http://127.0.0.1:{server.server_port}")
    server.shutdown()
    server.server_close()


def settings_for(database_url: str, zoom_url: str) -> Settings:
    """Live settings for a portal that uses this simulated Zoom."""
    return Settings(
        mode="live",
        secret_key="for measurements, where nothing is secret",
        database_url=database_url,
        base_url="http://127.0.0.1",
        exports_per_hour=1_000_000,
        zoom_account_id=defaults.ACCOUNT_ID,
        zoom_client_id=defaults.CLIENT_ID,
        zoom_client_secret=defaults.CLIENT_SECRET,
        zoom_api_url=f"{zoom_url}/v2",
        zoom_oauth_url=f"{zoom_url}/oauth/token",
        encryption_keys=(derive_secret_key("tests"),),
    )


def portal_at(database_url: str, pretend: Pretend) -> Flask:
    """The portal with migrated tables."""
    app = create_app(settings_for(database_url, pretend.url))
    with app.app_context():
        upgrade()
    return app


class School:
    """A teacher and her classes, with as many learners as a benchmark needs."""

    def __init__(self) -> None:
        school = accounts.get_or_create_school("300123", "San Nicolas National High School", "Ilocos Norte")
        self.ada: User = accounts.create_user(
            email=HOST,
            full_name="Ada Lovelace",
            role="teacher",
            scope=None,
            school=school,
            password="correct horse battery",
            domains=DOMAINS,
        )
        self._learners = 0

    def section(self, learners: int) -> Section:
        section = classes.create_section(self.ada, grade_level="Grade 8", name=uuid4().hex[:8])
        with write_transaction() as session:
            for position in range(learners):
                self._learners += 1
                learner = Learner(
                    school_id=section.school_id,
                    lrn=f"30012{self._learners:07d}",
                    lis_name=f"LEARNER{self._learners},ANA, CRUZ",
                    last_name=f"LEARNER{self._learners}",
                    first_name="ANA",
                    sex="F",
                    created_at=clock.now(),
                )
                session.add(learner)
                session.flush()
                since = date(2020, 6, 8)
                session.add(Enrolment(section_id=section.id, learner_id=learner.id, position=position, from_date=since))
        return section

    def meeting(self, section: Section, pretend: Pretend, app: Flask, kind: str = "scheduled") -> ZoomMeeting:
        """A meeting of the section that exists at Zoom, without registrants."""
        from portal.zoom.models import MeetingDraft
        from portal.zoom_account.client import get_zoom_client

        school_class: SchoolClass = classes.create_class(self.ada, section, subject=uuid4().hex[:8])
        starts_at = (clock.now() + timedelta(days=1)).replace(second=0, microsecond=0)
        details = meetings.MeetingDetails(title="A class", description="", starts_at=starts_at, minutes=60)
        meeting = meetings.create_meeting(self.ada, school_class, details, client_key=uuid4().hex)
        end_read_transaction()
        created = get_zoom_client().create_meeting(HOST, MeetingDraft(topic="A class", starts_at=starts_at))
        with write_transaction():
            meeting.zoom_id, meeting.state, meeting.pending_action, meeting.kind = created.id, "scheduled", None, kind
        end_read_transaction()
        return meeting
