"""What runs behind the pages: sweeps over due rows, woken at once within the process, else every second.

The rows are the truth. Kill this at any point and start it again: leases run out, and the next sweep finds
what was left.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from flask import Flask, current_app
from sqlalchemy import select

from portal.attendance import reconcile, sheet
from portal.attendance.models import AttendanceSheet
from portal.base import clock
from portal.base.db import db
from portal.base.wake import woken
from portal.config import Settings
from portal.jobs.projection import project_due
from portal.meetings import at_zoom
from portal.registration import engine, wanted
from portal.zoom_account.service import zoom

log = logging.getLogger("portal.jobs")
POLL = 1.0  # seconds between looks for rows that another process left
SLOW_POLL = 30.0


@dataclass(frozen=True)
class Sweep:
    """A loop of its own: what wakes it, how often it looks anyway, what it does. `run` returns how much it did."""

    name: str
    topics: frozenset[str]
    every: float
    run: Callable[[], int]


def sweep_inbox() -> int:
    return project_due()


def sweep_sheets() -> int:
    """Compute the sheets whose evidence changed, and those that live classes keep moving."""
    ids = list(
        db.session.scalars(
            select(AttendanceSheet.occurrence_id)
            .where(AttendanceSheet.dirty)
            .order_by(AttendanceSheet.occurrence_id)
            .limit(50)
        )
    )
    for occurrence_id in ids:
        sheet.recompute(occurrence_id)
    return len(ids)


def sweep_meetings() -> int:
    ids = at_zoom.due()
    for meeting_id in ids:
        at_zoom.carry_out(meeting_id, zoom())
    return len(ids)


def sweep_registration() -> int:
    settings: Settings = _settings()
    changed = wanted.refresh(settings.email_domains)
    worked = sum(engine.work(meeting_id, zoom()) for meeting_id in engine.due_meetings())
    return changed + worked


def sweep_reports() -> int:
    """Ask Zoom's reports that are due, and look for classes of which nothing was heard."""
    ids = reconcile.due()
    for occurrence_id in ids:
        reconcile.reconcile(occurrence_id, zoom())
    return len(ids) + reconcile.find_unseen(zoom())


def sweep_overdue() -> int:
    """Sheets of classes that never sent their end: time alone changes what is known of them."""
    return sheet.touch_overdue(clock.now())


def _settings() -> Settings:
    settings: Settings = current_app.extensions["silid.settings"]
    return settings


SWEEPS = (
    Sweep("inbox", frozenset({"inbox"}), POLL, sweep_inbox),
    Sweep("sheets", frozenset({"attendance"}), POLL, sweep_sheets),
    Sweep("meetings", frozenset({"meetings"}), POLL, sweep_meetings),
    Sweep("registration", frozenset({"registration"}), POLL, sweep_registration),
    Sweep("reports", frozenset({"reports"}), 10.0, sweep_reports),
    Sweep("overdue", frozenset({"overdue"}), SLOW_POLL, sweep_overdue),
)


def run_until_idle(app: Flask, rounds: int = 50) -> None:
    """Run every sweep in turn until none finds anything: for tests and for `flask sweep`."""
    for _ in range(rounds):
        if not sum(_run_once(app, sweep) for sweep in SWEEPS):
            return
    raise RuntimeError("the sweeps do not come to rest")


def _run_once(app: Flask, sweep: Sweep) -> int:
    with app.app_context():
        return sweep.run()


class Worker:
    """The sweeps in threads of their own. `start()` once per process; `stop()` waits for what is going on."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._loop, args=(sweep,), name=f"sweep-{sweep.name}", daemon=True)
            for sweep in SWEEPS
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(timeout=10)

    def _loop(self, sweep: Sweep) -> None:
        while not self._stopping.is_set():
            try:
                found = _run_once(self._app, sweep)
            except Exception:
                log.exception("sweep %s failed", sweep.name)
                found = 0
            if not found:
                woken(sweep.topics, sweep.every)
