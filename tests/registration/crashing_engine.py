"""A process that runs the engine and kills itself at a chosen moment: for tests and benches of crashes.

`python -m tests.registration.crashing_engine DATABASE_URL ZOOM_URL` reads one JSON object a line from its
input, {"meeting": id, "die_at": n, "minutes": m}, runs the engine for the meeting in a forked child whose
clock is m minutes ahead, and answers with one, {"died": bool, "moments": k}. The moments are, in the order
they come: before each request is sent, after each answer was read and before anything of it is written,
after each commit. At the n-th the child gets SIGKILL; n = 0 lets it live, and it counts them.
"""

import json
import logging
import os
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any
from uuid import UUID

import time_machine
from flask import Flask
from sqlalchemy import event
from sqlalchemy.orm import Session

from portal import create_app
from portal.registration.zoom_sync import engine
from portal.zoom.client import ApiCredentials, ZoomClient
from portal.zoom_account.rate_limiter import DatabaseRateLimiter
from portal.zoom_account.token_store import DatabaseTokenStore
from tests.conftest import settings_for


class Moments:
    """Counts the moments at which a process may die; at the chosen one it does."""

    def __init__(self, die_at: int) -> None:
        self._die_at = die_at
        self._lock = threading.Lock()
        self.count = 0

    def pass_one(self, *_: object) -> None:
        with self._lock:
            self.count += 1
            if self.count == self._die_at:
                os.kill(os.getpid(), signal.SIGKILL)


class MortalPace:
    """The portal's pace, and after it the last moment before a request is sent."""

    def __init__(self, pace: DatabaseRateLimiter, moments: Moments) -> None:
        self._pace, self._moments = pace, moments

    def wait(self, label: str) -> None:
        self._pace.wait(label)
        self._moments.pass_one()


class MortalZoom(ZoomClient):
    """The portal's client; after each answer there is a moment to die."""

    moments: Moments

    def add_registrant(self, *args: Any, **options: Any) -> Any:
        answer = super().add_registrant(*args, **options)
        self.moments.pass_one()
        return answer

    def add_registrants(self, *args: Any, **options: Any) -> Any:
        answer = super().add_registrants(*args, **options)
        self.moments.pass_one()
        return answer

    def list_registrants(self, *args: Any, **options: Any) -> Any:
        answer = list(super().list_registrants(*args, **options))
        self.moments.pass_one()
        return iter(answer)

    def set_registrants_status(self, *args: Any, **options: Any) -> Any:
        super().set_registrants_status(*args, **options)
        self.moments.pass_one()


def run_engine(app: Flask, meeting_id: UUID, die_at: int) -> int:
    """Work until nothing is due; the number of moments that passed."""
    settings = app.extensions["silid.settings"]
    moments = Moments(die_at)
    pace = DatabaseRateLimiter(settings.zoom_account_id, app.app_context)
    zoom = MortalZoom(
        ApiCredentials(settings.zoom_account_id, settings.zoom_client_id, settings.zoom_client_secret),
        tokens=DatabaseTokenStore(settings.zoom_account_id, app.app_context),
        api_url=settings.zoom_api_url,
        oauth_url=settings.zoom_oauth_url,
        pace=MortalPace(pace, moments),  # type: ignore[arg-type]
    )
    zoom.moments = moments
    event.listen(Session, "after_commit", moments.pass_one)
    with app.app_context():
        while engine.process_meeting_registrations(meeting_id, zoom):
            pass
    return moments.count


def serve(database_url: str, zoom_url: str) -> None:
    app = create_app(settings_for(database_url, zoom_url))
    logging.disable(logging.CRITICAL)
    _say("ready")
    for line in sys.stdin:
        asked = json.loads(line)
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            with time_machine.travel(datetime.now(UTC) + timedelta(minutes=asked["minutes"]), tick=True):
                moments = run_engine(app, UUID(asked["meeting"]), asked["die_at"])
            os.write(writing, str(moments).encode())
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as pipe:
            moments = pipe.read()
        _, status = os.waitpid(child, 0)
        died = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        if not died and not moments:
            raise SystemExit("the engine failed")
        _say(json.dumps({"died": died, "moments": int(moments or 0)}))


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


class CrashingEngine:
    """The other end: starts the process and tells it what to do."""

    def __init__(self, database_url: str, zoom_url: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.registration.crashing_engine", database_url, zoom_url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._answer() == "ready"

    def run(self, meeting_id: UUID, *, die_at: int = 0, minutes: int = 0) -> dict[str, Any]:
        """Run the engine once, in a process of its own; see the module."""
        assert self._process.stdin
        asked = {"meeting": str(meeting_id), "die_at": die_at, "minutes": minutes}
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        found: dict[str, Any] = json.loads(self._answer())
        return found

    def _answer(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline().strip()

    def __enter__(self) -> "CrashingEngine":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        self._process.wait(timeout=20)
        self._process.stdout.close()


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2])
