"""A pretend Zoom on a real port, an endpoint that listens, and clocks that stand still until moved."""

import base64
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from flask import Flask
from werkzeug.serving import make_server

from portal.sandbox import SimulatedZoom, create_sandbox, defaults
from portal.sandbox.fault_injection import FaultInjector
from portal.sandbox.webhook_sender import WebhookAnswer, WebhookSender

# Zoom's schemas are not in this repository: without a copy at hand there is nothing to hold the sandbox against.
collect_ignore = (
    []
    if os.environ.get("ZOOM_OPENAPI") and os.environ.get("ZOOM_WEBHOOK_SCHEMAS")
    else ["test_sandbox_against_schemas.py"]
)

ADA = "ada@r1.deped.gov.ph"
BOB = "bob@r1.deped.gov.ph"
WEEKDAY_AT_EIGHT = "2026-11-03T08:00:00"


class Clock:
    """A calendar that moves only when told."""

    def __init__(self) -> None:
        self.at = datetime(2026, 11, 2, 23, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at

    def move(self, **step: float) -> None:
        self.at += timedelta(**step)


@dataclass
class Endpoint:
    """A webhook endpoint in memory: answers `statuses` one after the other, then the last for ever."""

    statuses: list[int] = field(default_factory=lambda: [204])
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    silent: bool = False

    def __call__(self, url: str, headers: dict[str, str], raw: bytes) -> WebhookAnswer:
        if self.silent:
            raise TimeoutError("nobody answers")
        self.got.append((headers, raw))
        return WebhookAnswer(self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0])


@dataclass
class Api:
    """Calls the pretend Zoom as any HTTP client would."""

    base: str
    app: Flask
    token: str = ""

    def mint(self, **changes: str) -> requests.Response:
        client = changes.pop("client", f"{defaults.CLIENT_ID}:{defaults.CLIENT_SECRET}")
        form = {"grant_type": "account_credentials", "account_id": defaults.ACCOUNT_ID} | changes
        basic = "Basic " + base64.b64encode(client.encode()).decode()
        return requests.post(f"{self.base}/oauth/token", data=form, headers={"Authorization": basic}, timeout=5)

    def __call__(self, method: str, path: str, **more: Any) -> requests.Response:
        self.token = self.token or self.mint().json()["access_token"]
        headers = {"Authorization": f"Bearer {self.token}"} | more.pop("headers", {})
        return requests.request(
            method, f"{self.base}/v2{path}", headers=headers, timeout=more.pop("timeout", 5), **more
        )

    def schedule(self, host: str = ADA, **changes: Any) -> dict[str, Any]:
        body: dict[str, Any] = {
            "topic": "Science 8",
            "type": 2,
            "start_time": WEEKDAY_AT_EIGHT,
            "timezone": "Asia/Manila",
            "duration": 60,
            "settings": {"approval_type": 1},
        }
        answer = self("POST", f"/users/{host}/meetings", json=body | changes)
        assert answer.status_code == 201, answer.text
        meeting: dict[str, Any] = answer.json()
        return meeting

    def register(self, meeting_id: int, *emails: str) -> list[str]:
        """Register these addresses one by one; returns the registrant ids."""
        found = []
        for email in emails:
            person = {"email": email, "first_name": "Juan", "last_name": "Dela Cruz", "auto_approve": True}
            answer = self("POST", f"/meetings/{meeting_id}/registrants", json=person)
            assert answer.status_code == 201, answer.text
            found.append(answer.json()["registrant_id"])
        return found


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def world(clock: Clock) -> SimulatedZoom:
    """An account with two licensed teachers and no per-second limits (tests of limits set a plan)."""
    world = SimulatedZoom(now=clock, plan="unlimited", seed=7)
    world.add_user(ADA, "Ada", "Reyes")
    world.add_user(BOB, "Bob", "Santos")
    return world


@pytest.fixture
def endpoint() -> Endpoint:
    return Endpoint()


@pytest.fixture
def sender(world: SimulatedZoom, endpoint: Endpoint) -> WebhookSender:
    """Delivers by hand, to the endpoint in memory."""
    return WebhookSender(world, "http://portal.test/api/zoom/webhook", defaults.WEBHOOK_SECRET, post=endpoint)


@pytest.fixture
def api(world: SimulatedZoom) -> Iterator[Api]:
    server = make_server("127.0.0.1", 0, lambda *request: app(*request), threaded=True)
    base = f"http://127.0.0.1:{server.server_port}"
    app = create_sandbox(world, public_url=base)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield Api(base, app)
    wire_of(app).heal()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def wire(api: Api) -> FaultInjector:
    """Where the faults are switched on."""
    return wire_of(api.app)


def wire_of(app: Flask) -> FaultInjector:
    wire: FaultInjector = app.extensions["sandbox"].wire
    return wire
