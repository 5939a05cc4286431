"""Background worker: jobs over due rows, signalled within the process, else polled at an interval of its own.

All state is in the rows. A crash at any point is safe: leases expire, and the next round finds what is left.
"""

import itertools
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from flask import Flask
from sqlalchemy import select

from portal.accounts import auth_requests
from portal.attendance.evidence import zoom_report
from portal.attendance.models import AttendanceSheet
from portal.attendance.sheet import compute as sheet_compute
from portal.attendance.sheet import triggers as sheet_triggers
from portal.core import clock
from portal.core.db import db
from portal.core.mail import outbox
from portal.core.settings import current_settings
from portal.core.worker_signals import Topic, notify_worker, wait_for_signal
from portal.jobs import retention
from portal.jobs.webhook_projection import (
    mark_sheets_of_missed,
    project_pending_deliveries,
    requeue_unmatched_deliveries,
)
from portal.meetings.zoom_sync import sync as meeting_sync
from portal.notifications import digest_mail, dispatch
from portal.privacy import erasure
from portal.registration import desired_registrants, join_links
from portal.registration.zoom_sync import engine
from portal.zoom_account.client import get_zoom_client

log = logging.getLogger("portal.jobs")
POLL_SECONDS = 1.0  # poll interval for rows of other processes
SLOW_POLL = 30.0
HALF_AN_HOUR = 1800.0


@dataclass(frozen=True)
class Job:
    """Work that is repeated in a thread of its own: the topic that signals it and names it, its poll interval in
    seconds, and its function. `run` returns how many rows it worked on; `rest` is the pause in seconds after a round
    that found work."""

    topic: Topic
    every: float
    run: Callable[[], int]
    rest: float = 0.0


def project_deliveries() -> int:
    return project_pending_deliveries()


def requeue_late_deliveries() -> int:
    """Requeue deliveries whose meeting has become known, and mark sheets that lack a refused delivery."""
    return requeue_unmatched_deliveries() + mark_sheets_of_missed()


def recompute_due_sheets() -> int:
    """Recompute dirty sheets: their evidence changed, or their class is live."""
    ids = list(
        db.session.scalars(
            select(AttendanceSheet.occurrence_id)
            .where(AttendanceSheet.needs_recompute)
            .order_by(AttendanceSheet.occurrence_id)
            .limit(50)
        )
    )
    for occurrence_id in ids:
        sheet_compute.recompute_sheet(occurrence_id)
    return len(ids)


def sync_due_meetings() -> int:
    ids = meeting_sync.lease_due_meetings()
    for meeting_id in ids:
        meeting_sync.sync_meeting_with_zoom(meeting_id, get_zoom_client())
    return len(ids)


def sync_registrant_rows() -> int:
    """Reconcile the registrant rows of all upcoming meetings with the rosters: a costly query, so not every second."""
    return (
        desired_registrants.sync_registrant_rows(current_settings().email_domains) + join_links.create_missing_links()
    )


def register_at_zoom() -> int:
    return sum(
        engine.process_meeting_registrations(meeting_id, get_zoom_client())
        for meeting_id in engine.lease_meetings_to_register()
    )


def reconcile_due_reports() -> int:
    """Request the due reports of Zoom, and find classes without any event."""
    ids = zoom_report.lease_due_reports()
    for occurrence_id in ids:
        zoom_report.reconcile_occurrence(occurrence_id, get_zoom_client())
    return len(ids) + zoom_report.find_occurrences_without_events(get_zoom_client())


def process_auth_requests() -> int:
    return auth_requests.process_pending_requests()


def send_queued_mail() -> int:
    return outbox.send_due_mail()


def create_due_notifications() -> int:
    """Dispatch notifications, and queue the due digest mails."""
    dispatched = (
        dispatch.notify_meeting_changes() + dispatch.notify_registration_failures() + dispatch.notify_sheets_ready()
    )
    return dispatched + digest_mail.queue_due_digests()


def mark_overdue_meetings() -> int:
    """Mark the sheets of classes without an end event: the passing of time changes them."""
    return sheet_triggers.mark_overdue_sheets(clock.now())


def mark_changed_rosters() -> int:
    """Mark the sheets of past days whose roster was changed since."""
    return sheet_triggers.mark_roster_changed_sheets(clock.now())


def process_erasures() -> int:
    """Carry out the requested erasures."""
    return erasure.process_due_erasures()


def purge_expired_rows() -> int:
    """Delete expired rows. Always returns 0: nothing waits for it, so there is no immediate second round."""
    retention.delete_expired_rows()
    return 0


def finish_pending_erasures() -> int:
    """Repeat the redaction of erasures while Zoom may still name the learner. A job of its own, so that a failing purge
    does not delay it."""
    erasure.finish_pending_erasures()
    return 0


JOBS = (
    Job(Topic.DELIVERIES, POLL_SECONDS, project_deliveries),
    Job(Topic.LATE_DELIVERIES, 5.0, requeue_late_deliveries),
    Job(Topic.SHEETS, POLL_SECONDS, recompute_due_sheets, rest=1.0),  # events arrive by the hundred
    Job(Topic.MEETINGS, POLL_SECONDS, sync_due_meetings),
    Job(Topic.ROSTERS, 15.0, sync_registrant_rows),
    Job(Topic.REGISTRATION, POLL_SECONDS, register_at_zoom),
    Job(Topic.REPORTS, 10.0, reconcile_due_reports),
    Job(Topic.AUTH_REQUESTS, 5.0, process_auth_requests),
    Job(Topic.MAIL, 5.0, send_queued_mail),
    Job(Topic.NOTIFICATIONS, 5.0, create_due_notifications),
    Job(Topic.ROSTER_CHANGES, HALF_AN_HOUR, mark_changed_rosters),
    Job(Topic.ERASURES, 15.0, process_erasures),
    Job(Topic.ERASURE_FOLLOW_UP, 3600.0, finish_pending_erasures),
    Job(Topic.PURGE, 3600.0, purge_expired_rows),
    Job(Topic.OVERDUE_MEETINGS, SLOW_POLL, mark_overdue_meetings),
)


def run_until_idle(app: Flask, rounds: int = 1000) -> None:
    """Run every job in turn until each has found no work since the last that found some: for tests and benchmarks."""
    idle = 0
    for job in itertools.chain.from_iterable(itertools.repeat(JOBS, rounds)):
        idle = 0 if _run_once(app, job) else idle + 1
        if idle == len(JOBS):
            return
    raise RuntimeError("the jobs do not come to rest")


def _run_once(app: Flask, job: Job) -> int:
    with app.app_context():
        return job.run()


class Worker:
    """Runs the jobs in threads of their own. `start()` once per process; `stop()` waits for the current rounds."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._loop, args=(job,), name=f"job-{job.topic}", daemon=True) for job in JOBS
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopping.set()
        for job in JOBS:  # otherwise a loop with an interval of an hour would be waited for
            notify_worker(job.topic)
        for thread in self._threads:
            thread.join(timeout=10)

    def _loop(self, job: Job) -> None:
        while not self._stopping.is_set():
            try:
                work_count = _run_once(self._app, job)
            except Exception:
                log.exception("job %s failed", job.topic)
                work_count = 0
            if work_count:
                self._stopping.wait(job.rest)
            else:
                wait_for_signal(job.topic, job.every)
