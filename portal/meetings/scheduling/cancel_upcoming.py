"""The dates of a class that are still to come, and calling all of them off."""

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
    """How many dates of the class are scheduled from now on."""
    statement = select(func.count()).select_from(MeetingOccurrence).join(MeetingOccurrence.meeting)
    return db.session.scalar(statement.where(*_coming(class_id))) or 0


def cancel_upcoming_occurrences(user: User, class_id: UUID, reason: str = "") -> int:
    """Call off every date of the class from now on, in one transaction; how many. The worker tells Zoom afterwards.

    One that has begun runs to its end, and what was held stays.
    """
    done = 0
    with write_transaction() as session:
        rows = session.scalars(
            select(MeetingOccurrence)
            .join(MeetingOccurrence.meeting)
            .where(*_coming(class_id))
            .options(joinedload(MeetingOccurrence.meeting))
            .order_by(MeetingOccurrence.meeting_id, MeetingOccurrence.starts_at)  # two people lock in the same order
        ).all()
        for row in rows:
            try:
                schedules.cancel_occurrence(user, row, reason)
            except MeetingNotChangeable:  # begun, or called off by somebody else, at this moment
                continue
            done += 1
    notify_worker("meetings")  # once more: the worker may have looked before it was committed
    return done


def _coming(class_id: UUID) -> list[Any]:
    return [
        ZoomMeeting.class_id == class_id,
        ZoomMeeting.state.not_in((MeetingState.ENDED, MeetingState.CANCELLED, MeetingState.DELETED)),
        MeetingOccurrence.state == OccurrenceState.SCHEDULED,
        MeetingOccurrence.starts_at > clock.now(),
    ]
