"""Cancelling all upcoming dates of a class, when it is closed."""

from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import joinedload

from portal.accounts.models import User
from portal.core import clock
from portal.core.db import db, write_transaction
from portal.core.worker_signals import notify_worker
from portal.meetings.codes import MeetingState, OccurrenceState
from portal.meetings.models import MeetingOccurrence, ZoomMeeting
from portal.meetings.scheduling import schedules
from portal.meetings.service import MeetingNotChangeable


def count_upcoming_occurrences(class_id: UUID) -> int:
    """The number of the class's scheduled dates from now on."""
    statement = select(func.count()).select_from(MeetingOccurrence).join(MeetingOccurrence.meeting)
    return db.session.scalar(statement.where(*_upcoming_clauses(class_id))) or 0


def cancel_upcoming_occurrences(user: User, class_id: UUID, reason: str = "") -> int:
    """Cancel every upcoming date of the class in one transaction; returns how many. The worker updates Zoom afterwards.

    A date that has begun is left to end; past dates stay.
    """
    cancelled_count = 0
    with write_transaction() as session:
        rows = session.scalars(
            select(MeetingOccurrence)
            .join(MeetingOccurrence.meeting)
            .where(*_upcoming_clauses(class_id))
            .options(joinedload(MeetingOccurrence.meeting))
            .order_by(
                MeetingOccurrence.meeting_id, MeetingOccurrence.starts_at
            )  # a fixed lock order prevents deadlocks
        ).all()
        for row in rows:
            try:
                schedules.cancel_occurrence(user, row, reason)
            except MeetingNotChangeable:  # started, or cancelled by somebody else, just now
                continue
            cancelled_count += 1
    notify_worker("meetings")  # after the commit: a worker signalled earlier saw nothing yet
    return cancelled_count


def _upcoming_clauses(class_id: UUID) -> list[Any]:
    return [
        ZoomMeeting.class_id == class_id,
        ZoomMeeting.state.not_in((MeetingState.ENDED, MeetingState.CANCELLED, MeetingState.DELETED)),
        MeetingOccurrence.state == OccurrenceState.SCHEDULED,
        MeetingOccurrence.starts_at > clock.now(),
    ]
