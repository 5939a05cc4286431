"""Closing a class, with or without cancelling its upcoming dates."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import joinedload

from portal.accounts.models import User
from portal.classes import service
from portal.classes.models import SchoolClass
from portal.core import clock
from portal.core.db import db, write_transaction
from portal.core.worker_signals import Topic, notify_worker
from portal.meetings.codes import MeetingState, OccurrenceState
from portal.meetings.models import MeetingOccurrence, ZoomMeeting
from portal.meetings.scheduling import schedules
from portal.meetings.service import MeetingNotChangeable

CANCEL_BATCH = 25  # dates per transaction: 0.2 s of SQLite's write lock on a slow core; a delivery waits up to 0.7 s


def count_upcoming_occurrences(class_id: UUID) -> int:
    """The number of the class's scheduled dates from now on."""
    statement = select(func.count()).select_from(MeetingOccurrence).join(MeetingOccurrence.meeting)
    return db.session.scalar(statement.where(*_upcoming_clauses(class_id))) or 0


def close_class_with_dates(user: User, school_class: SchoolClass, *, cancel_dates: bool, reason: str = "") -> int:
    """Close the class, after cancelling its upcoming dates if wanted; returns how many were cancelled.

    Dates are cancelled in transactions of CANCEL_BATCH dates, so that SQLite's one writer is free for webhook
    deliveries in between. The class is closed last: after an interruption it is still open, and closing it again
    cancels the rest. A date that has begun is left to end; past dates stay.
    """
    cancelled_count = _cancel_upcoming_occurrences(user, school_class.id, reason) if cancel_dates else 0
    service.close_class(user, school_class)
    return cancelled_count


def _cancel_upcoming_occurrences(user: User, class_id: UUID, reason: str) -> int:
    ids = db.session.scalars(
        select(MeetingOccurrence.id)
        .join(MeetingOccurrence.meeting)
        .where(*_upcoming_clauses(class_id))
        .order_by(MeetingOccurrence.meeting_id, MeetingOccurrence.starts_at)  # a fixed lock order prevents deadlocks
    ).all()
    cancelled_count = 0
    for start in range(0, len(ids), CANCEL_BATCH):
        cancelled_count += _cancel_batch(user, ids[start : start + CANCEL_BATCH], reason)
        notify_worker(Topic.MEETINGS)  # after the commit: a worker signalled earlier saw nothing yet
    return cancelled_count


def _cancel_batch(user: User, occurrence_ids: Sequence[UUID], reason: str) -> int:
    cancelled_count = 0
    with write_transaction() as session:
        rows = session.scalars(
            select(MeetingOccurrence)
            .where(MeetingOccurrence.id.in_(occurrence_ids))
            .options(joinedload(MeetingOccurrence.meeting))
            .order_by(MeetingOccurrence.meeting_id, MeetingOccurrence.starts_at)
        ).all()
        for row in rows:
            try:
                schedules.cancel_occurrence(user, row, reason)
            except MeetingNotChangeable:  # started, or cancelled by somebody else, just now
                continue
            cancelled_count += 1
    return cancelled_count


def _upcoming_clauses(class_id: UUID) -> list[Any]:
    return [
        ZoomMeeting.class_id == class_id,
        ZoomMeeting.state.not_in((MeetingState.ENDED, MeetingState.CANCELLED, MeetingState.DELETED)),
        MeetingOccurrence.state == OccurrenceState.SCHEDULED,
        MeetingOccurrence.starts_at > clock.now(),
    ]
