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

from portal.accounts import account_requests
from portal.attendance.evidence import zoom_report
from portal.attendance.models import AttendanceSheet
from portal.attendance.sheet import compute as sheet_compute
from portal.config import Settings
from portal.core import clock
from portal.core.db import db
from portal.core.mail import outbox
from portal.core.worker_signals import wake, woken
from portal.jobs import purge
from portal.jobs.webhook_projection import project_due, recall_waiting, tell_of_missed
from portal.meetings.zoom_sync import sync as meeting_sync
from portal.notifications import digest_mail, dispatch
from portal.privacy import erasure
from portal.registration import desired_registrants, join_links
from portal.registration.zoom_sync import engine
from portal.zoom_account.client import zoom

log = logging.getLogger("portal.jobs")
POLL = 1.0  # seconds between looks for rows that another process left
SLOW_POLL = 30.0
HALF_AN_HOUR = 1800.0


@dataclass(frozen=True)
class Sweep:
    """A loop of its own: what wakes it, how often it looks anyway, what it does. `run` returns how much it did.
    `rest` is how many seconds it leaves the others in peace after doing something."""

    name: str
    topics: frozenset[str]
    every: float
    run: Callable[[], int]
    rest: float = 0.0


def sweep_inbox() -> int:
    return project_due()


def sweep_late_evidence() -> int:
    """Deliveries whose meeting became known meanwhile, and sheets to which a refused delivery is missing."""
    return recall_waiting() + tell_of_missed()


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
        sheet_compute.recompute(occurrence_id)
    return len(ids)


def sweep_meetings() -> int:
    ids = meeting_sync.due()
    for meeting_id in ids:
        meeting_sync.carry_out(meeting_id, zoom())
    return len(ids)


def sweep_rosters() -> int:
    """Compare all coming meetings with the rosters: not every second, since it looks at all of them."""
    return desired_registrants.refresh(_settings().email_domains) + join_links.make_missing()


def sweep_registration() -> int:
    return sum(engine.work(meeting_id, zoom()) for meeting_id in engine.due_meetings())


def sweep_reports() -> int:
    """Ask Zoom's reports that are due, and look for classes of which nothing was heard."""
    ids = zoom_report.due()
    for occurrence_id in ids:
        zoom_report.reconcile(occurrence_id, zoom())
    return len(ids) + zoom_report.find_unseen(zoom())


def sweep_door() -> int:
    return account_requests.answer_due()


def sweep_mail() -> int:
    return outbox.send_due()


def sweep_notifications() -> int:
    """Tell people what happened, and write the letters about it that are due."""
    told = dispatch.tell_of_history() + dispatch.tell_of_registrations() + dispatch.tell_of_sheets()
    return told + digest_mail.write_due()


def sweep_overdue() -> int:
    """Sheets of classes that never sent their end: time alone changes what is known of them."""
    return sheet_compute.touch_overdue(clock.now())


def sweep_changed_rosters() -> int:
    """Sheets of days on which, as we know by now, others were on the roster."""
    return sheet_compute.touch_changed_rosters(clock.now())


def sweep_erasures() -> int:
    """Erase the learners whose erasure was asked for."""
    return erasure.carry_out_due()


def sweep_old() -> int:
    """Take away what is too old to keep. Nothing waits for it, so it never asks for another round at once."""
    purge.purge()
    return 0


def sweep_erased() -> int:
    """Look after erasures while Zoom may still name the learner. On its own: what keeps old rows from going must not
    keep a name."""
    erasure.go_on()
    return 0


def _settings() -> Settings:
    settings: Settings = current_app.extensions["silid.settings"]
    return settings


SWEEPS = (
    Sweep("inbox", frozenset({"inbox"}), POLL, sweep_inbox),
    Sweep("late evidence", frozenset({"late evidence"}), 5.0, sweep_late_evidence),
    Sweep("sheets", frozenset({"attendance"}), POLL, sweep_sheets, rest=1.0),  # events come in hundreds
    Sweep("meetings", frozenset({"meetings"}), POLL, sweep_meetings),
    Sweep("rosters", frozenset({"registration"}), 15.0, sweep_rosters),
    Sweep("registration", frozenset({"registrants"}), POLL, sweep_registration),
    Sweep("reports", frozenset({"reports"}), 10.0, sweep_reports),
    Sweep("door", frozenset({"door"}), 5.0, sweep_door),
    Sweep("mail", frozenset({"mail"}), 5.0, sweep_mail),
    Sweep("notifications", frozenset({"notifications"}), 5.0, sweep_notifications),
    Sweep("changed rosters", frozenset({"changed rosters"}), HALF_AN_HOUR, sweep_changed_rosters),
    Sweep("erasures", frozenset({"erasures"}), 15.0, sweep_erasures),
    Sweep("erased", frozenset({"erased"}), 3600.0, sweep_erased),
    Sweep("old", frozenset({"old"}), 3600.0, sweep_old),
    Sweep("overdue", frozenset({"overdue"}), SLOW_POLL, sweep_overdue),
)


def run_until_idle(app: Flask, rounds: int = 1000) -> None:
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
        for sweep in SWEEPS:  # a loop that looks once an hour would else be waited for
            for topic in sweep.topics:
                wake(topic)
        for thread in self._threads:
            thread.join(timeout=10)

    def _loop(self, sweep: Sweep) -> None:
        while not self._stopping.is_set():
            try:
                found = _run_once(self._app, sweep)
            except Exception:
                log.exception("sweep %s failed", sweep.name)
                found = 0
            if found:
                self._stopping.wait(sweep.rest)
            else:
                woken(sweep.topics, sweep.every)
