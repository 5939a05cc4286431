"""Projecting the inbox: stored deliveries become stays, many at a time, in any order.

Several workers may do this side by side: each takes deliveries that nobody else has locked, then locks the
meetings that these are about, in the order of their ids.
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
from portal.core.db.leases import retry_backoff_delay
from portal.core.db.row_locks import lock_rows
from portal.core.worker_signals import notify_worker
from portal.meetings.models import MeetingOccurrence, ZoomMeeting
from portal.meetings.zoom_sync import events as meetings_from_zoom
from portal.registration.zoom_sync import events as registration_from_zoom
from portal.webhooks.codes import DeliveryState
from portal.webhooks.models import MissedDelivery, ZoomEvent
from portal.webhooks.replay import requeue_deliveries
from portal.zoom.webhooks.events import WebhookEvent, parse_webhook_event

log = logging.getLogger("portal.jobs")
BATCH_SIZE = 100
MAX_WAIT = 0.05  # seconds for a batch on SQLite, where no delivery can be stored meanwhile
MAX_ATTEMPTS = 5
NEARBY_WINDOW = timedelta(hours=12)  # a class whose events are missed now began, or begins, within this


def project_pending_deliveries() -> int:
    """Project what is new; the number of deliveries done. One that raises does not hold up the rest."""
    done = _project_together() if _some(_fresh()) else 0
    for event_id in db.session.scalars(select(ZoomEvent.id).where(_failed_before()).order_by(ZoomEvent.id)).all():
        done += _project_alone(event_id)
    if done:
        notify_worker("attendance")
    return done


def _fresh() -> ColumnElement[bool]:
    return and_(ZoomEvent.state == DeliveryState.PENDING, ZoomEvent.attempts == 0)


def _failed_before() -> ColumnElement[bool]:
    """Due again. They are taken one by one, so that they spoil no batch."""
    next_try = or_(ZoomEvent.next_attempt_at.is_(None), ZoomEvent.next_attempt_at <= clock.now())
    return and_(ZoomEvent.state == DeliveryState.PENDING, ZoomEvent.attempts > 0, next_try)


def _some(which: ColumnElement[bool]) -> bool:
    return db.session.scalar(select(ZoomEvent.id).where(which).limit(1)) is not None


def _project_together() -> int:
    tried: list[int] = []
    try:
        with write_transaction():
            rows = _lock(_fresh())
            until = monotonic() + MAX_WAIT
            for row in rows:
                tried.append(row.id)
                _project(row)
                if monotonic() > until and not is_postgresql():
                    break
    except Exception as error:  # noqa: BLE001 - any of them may be the poison one: find it by taking them one at a time
        log.warning("a batch of %s events could not be projected: %s", len(tried), type(error).__name__)
        return sum(_project_alone(event_id) for event_id in tried)
    return len(tried)


def _lock(which: ColumnElement[bool]) -> list[ZoomEvent]:
    """Deliveries that nobody else is projecting right now, with their meetings locked."""
    query = select(ZoomEvent).where(which).order_by(ZoomEvent.id).limit(BATCH_SIZE)
    if is_postgresql():
        query = query.with_for_update(skip_locked=True)
    # Another worker may have changed what was read here in an earlier batch.
    db.session.expire_all()
    rows = list(db.session.scalars(query.execution_options(populate_existing=True)))
    zoom_ids = {row.zoom_meeting_id for row in rows if row.zoom_meeting_id}
    lock_rows(ZoomMeeting, db.session.scalars(select(ZoomMeeting.id).where(ZoomMeeting.zoom_id.in_(zoom_ids))).all())
    return rows


def _project(row: ZoomEvent) -> None:
    result = _apply(parse_webhook_event(json.loads(row.body)))
    row.state, row.projected_at, row.error = result.state, clock.now(), None


def _apply(event: WebhookEvent) -> ApplyResult:
    if meetings_from_zoom.apply_meeting_event(event) or registration_from_zoom.apply_registration_event(event):
        return ApplyResult("done")
    return apply_attendance_event(event)


def _project_alone(event_id: int) -> int:
    try:
        with write_transaction():
            rows = _lock(and_(ZoomEvent.id == event_id, ZoomEvent.state == DeliveryState.PENDING))
            for row in rows:
                _project(row)
            return len(rows)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is written on the row and the rest goes on
        log.warning("event %s could not be projected: %s", event_id, type(error).__name__)
        _count_failure(event_id, error)
        return 0


def _count_failure(event_id: int, error: Exception) -> None:
    with write_transaction() as session:
        row = session.get(ZoomEvent, event_id, populate_existing=True, with_for_update=True)
        if row is None or row.state != DeliveryState.PENDING:
            return
        row.attempts += 1
        row.error = type(error).__name__  # its text may hold names
        row.state = DeliveryState.FAILED if row.attempts >= MAX_ATTEMPTS else DeliveryState.PENDING
        row.next_attempt_at = clock.now() + min(retry_backoff_delay(row.attempts), timedelta(seconds=30))


def requeue_unmatched_deliveries() -> int:
    """Deliveries that came before the portal knew their meeting are new again once it does; how many."""
    exists_clause = exists().where(ZoomMeeting.zoom_id == ZoomEvent.zoom_meeting_id)
    waiting = and_(ZoomEvent.state == DeliveryState.UNMATCHED, exists_clause)
    return requeue_deliveries(waiting) if _some(waiting) else 0


def mark_sheets_of_missed() -> int:
    """Mark the sheets as changed to which a delivery is missing that had to be refused; how many deliveries."""
    untold = select(MissedDelivery).where(MissedDelivery.sheets_marked.is_(False)).order_by(MissedDelivery.missed_at)
    missed = list(db.session.scalars(untold.limit(BATCH_SIZE)))
    if not missed:
        return 0
    with write_transaction():
        near = {(meeting, sheet) for one in missed for meeting, sheet in db.session.execute(_sheets_near(one))}
        lock_rows(ZoomMeeting, {meeting for meeting, _ in near})
        for _, occurrence_id in sorted(near):
            mark_sheet_dirty(occurrence_id)
        for delivery in missed:
            delivery.sheets_marked = True
    notify_worker("attendance")
    return len(missed)


def _sheets_near(missed: MissedDelivery) -> Select[UUID, UUID]:
    """The sheets that the delivery may belong to: their meetings and occurrences."""
    query = (
        select(ZoomMeeting.id, AttendanceSheet.occurrence_id)
        .join(MeetingOccurrence, MeetingOccurrence.id == AttendanceSheet.occurrence_id)
        .join(ZoomMeeting, ZoomMeeting.id == MeetingOccurrence.meeting_id)
        .where(MeetingOccurrence.starts_at.between(missed.missed_at - NEARBY_WINDOW, missed.missed_at + NEARBY_WINDOW))
    )
    return query.where(ZoomMeeting.zoom_id == missed.zoom_meeting_id) if missed.zoom_meeting_id else query
