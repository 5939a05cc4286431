"""Projection of the inbox: stored deliveries become evidence, in batches and in any order.

Several workers may project in parallel: each takes deliveries that nobody else has locked, then locks their
meetings, in the order of their ids (a fixed lock order prevents deadlocks).
"""

import json
import logging
from datetime import timedelta
from time import monotonic
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, exists, or_, select

from portal.attendance.evidence.events import ApplyResult, apply_attendance_event, mark_sheet_dirty
from portal.attendance.models import AttendanceSheet
from portal.core import clock
from portal.core.db import db, is_postgresql, write_transaction
from portal.core.db.leases import next_attempt_at
from portal.core.db.row_locks import lock_rows
from portal.core.worker_signals import Topic, notify_worker
from portal.meetings.models import MeetingOccurrence, ZoomMeeting
from portal.meetings.zoom_sync import events as meetings_from_zoom
from portal.registration.zoom_sync import events as registration_from_zoom
from portal.webhooks.codes import DeliveryState
from portal.webhooks.models import MissedDelivery, ZoomEvent
from portal.webhooks.replay import requeue_deliveries
from portal.zoom.webhooks.events import WebhookEvent, parse_webhook_event

log = logging.getLogger("portal.jobs")
BATCH_SIZE = 100
MAX_WAIT = 0.05  # seconds for a batch on SQLite, where its write lock keeps deliveries from being stored
MAX_ATTEMPTS = 5
NEARBY_WINDOW = timedelta(
    hours=12
)  # a class whose events are missing starts within this distance from the missed delivery


def project_pending_deliveries() -> int:
    """Project pending deliveries; returns how many were tried. A failing one does not block the rest."""
    projected = _project_batch() if _has_rows(_new_clause()) else 0
    for event_id in db.session.scalars(select(ZoomEvent.id).where(_retryable_clause()).order_by(ZoomEvent.id)).all():
        projected += _project_alone(event_id)
    if projected:
        notify_worker(Topic.SHEETS)
    return projected


def _new_clause() -> ColumnElement[bool]:
    return and_(ZoomEvent.state == DeliveryState.PENDING, ZoomEvent.attempts == 0)


def _retryable_clause() -> ColumnElement[bool]:
    """Condition: due for another attempt. These are processed one by one, so that they fail no batch."""
    is_due = or_(ZoomEvent.next_attempt_at.is_(None), ZoomEvent.next_attempt_at <= clock.now())
    return and_(ZoomEvent.state == DeliveryState.PENDING, ZoomEvent.attempts > 0, is_due)


def _has_rows(condition: ColumnElement[bool]) -> bool:
    return db.session.scalar(select(ZoomEvent.id).where(condition).limit(1)) is not None


def _project_batch() -> int:
    tried_ids: list[int] = []
    try:
        with write_transaction():
            rows = _lock_deliveries(_new_clause())
            deadline = monotonic() + MAX_WAIT
            for row in rows:
                tried_ids.append(row.id)
                _project(row)
                if monotonic() > deadline and not is_postgresql():
                    break
    except Exception as error:  # noqa: BLE001 - any of them may be the poison one: found by processing them one at a time
        log.warning("projection of a batch of %s events failed: %s", len(tried_ids), type(error).__name__)
        for event_id in tried_ids:
            _project_alone(event_id)
    return len(tried_ids)  # failed ones too: the deliveries after them are due at once


def _lock_deliveries(condition: ColumnElement[bool]) -> list[ZoomEvent]:
    """Deliveries that no other worker is projecting, locked together with their meetings."""
    query = select(ZoomEvent).where(condition).order_by(ZoomEvent.id).limit(BATCH_SIZE)
    if is_postgresql():
        query = query.with_for_update(skip_locked=True)
    # Rows read in an earlier batch may have been changed by another worker.
    db.session.expire_all()
    rows = list(db.session.scalars(query.execution_options(populate_existing=True)))
    zoom_ids = {row.zoom_meeting_id for row in rows if row.zoom_meeting_id}
    lock_rows(ZoomMeeting, db.session.scalars(select(ZoomMeeting.id).where(ZoomMeeting.zoom_id.in_(zoom_ids))).all())
    return rows


def _project(row: ZoomEvent) -> None:
    result = _apply_event(parse_webhook_event(json.loads(row.body)))
    row.state, row.projected_at, row.error = result.state, clock.now(), None


def _apply_event(event: WebhookEvent) -> ApplyResult:
    if meetings_from_zoom.apply_meeting_event(event) or registration_from_zoom.apply_registration_event(event):
        return ApplyResult("done")
    return apply_attendance_event(event)


def _project_alone(event_id: int) -> int:
    try:
        with write_transaction():
            rows = _lock_deliveries(and_(ZoomEvent.id == event_id, ZoomEvent.state == DeliveryState.PENDING))
            for row in rows:
                _project(row)
            return len(rows)
    except Exception as error:  # noqa: BLE001 - any error is stored on the row, and the batch continues
        log.warning("projection of event %s failed: %s", event_id, type(error).__name__)
        _count_failure(event_id, error)
        return 0


def _count_failure(event_id: int, error: Exception) -> None:
    with write_transaction() as session:
        row = session.get(ZoomEvent, event_id, populate_existing=True, with_for_update=True)
        if row is None or row.state != DeliveryState.PENDING:
            return
        row.attempts += 1
        row.error = type(error).__name__  # the message may contain names
        row.state = DeliveryState.FAILED if row.attempts >= MAX_ATTEMPTS else DeliveryState.PENDING
        row.next_attempt_at = next_attempt_at(row.attempts, maximum=timedelta(seconds=30))


def requeue_unmatched_deliveries() -> int:
    """Requeue deliveries that arrived before the portal knew their meeting; returns how many."""
    meeting_is_known = exists().where(ZoomMeeting.zoom_id == ZoomEvent.zoom_meeting_id)
    requeueable = and_(ZoomEvent.state == DeliveryState.UNMATCHED, meeting_is_known)
    return requeue_deliveries(requeueable) if _has_rows(requeueable) else 0


def mark_sheets_of_missed() -> int:
    """Mark the sheets dirty that may lack a refused delivery; returns the number of deliveries."""
    unprocessed = (
        select(MissedDelivery).where(MissedDelivery.sheets_marked.is_(False)).order_by(MissedDelivery.missed_at)
    )
    missed = list(db.session.scalars(unprocessed.limit(BATCH_SIZE)))
    if not missed:
        return 0
    with write_transaction():
        nearby = {
            (meeting_id, sheet_id)
            for missed_delivery in missed
            for meeting_id, sheet_id in db.session.execute(_select_nearby_sheets(missed_delivery))
        }
        lock_rows(ZoomMeeting, {meeting_id for meeting_id, _ in nearby})
        for _, occurrence_id in sorted(nearby):
            mark_sheet_dirty(occurrence_id)
        for delivery in missed:
            delivery.sheets_marked = True
    notify_worker(Topic.SHEETS)
    return len(missed)


def _select_nearby_sheets(missed: MissedDelivery) -> Select[UUID, UUID]:
    """(Meeting id, occurrence id) of the sheets that the delivery may belong to."""
    query = (
        select(ZoomMeeting.id, AttendanceSheet.occurrence_id)
        .join(MeetingOccurrence, MeetingOccurrence.id == AttendanceSheet.occurrence_id)
        .join(ZoomMeeting, ZoomMeeting.id == MeetingOccurrence.meeting_id)
        .where(MeetingOccurrence.starts_at.between(missed.missed_at - NEARBY_WINDOW, missed.missed_at + NEARBY_WINDOW))
    )
    return query.where(ZoomMeeting.zoom_id == missed.zoom_meeting_id) if missed.zoom_meeting_id else query
