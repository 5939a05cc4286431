"""Closing a class, with or without cancelling its upcoming dates."""

from typing import Any
from uuid import UUID

from sqlalchemy import func, select

from portal.accounts.models import User
from portal.classes import service
from portal.classes.models import SchoolClass
from portal.core import clock
from portal.core.db import db
from portal.meetings.codes import MeetingState, OccurrenceState
from portal.meetings.models import MeetingOccurrence, ZoomMeeting
from portal.meetings.scheduling.bulk_cancel import cancel_in_batches


def count_upcoming_occurrences(class_id: UUID) -> int:
    """The number of the class's scheduled dates from now on."""
    statement = select(func.count()).select_from(MeetingOccurrence).join(MeetingOccurrence.meeting)
    return db.session.scalar(statement.where(*_upcoming_clauses(class_id))) or 0


def close_class_with_dates(user: User, school_class: SchoolClass, *, cancel_dates: bool, reason: str = "") -> int:
    """Close the class, after cancelling its upcoming dates if wanted; returns how many were cancelled.

    Dates are cancelled in short transactions. The class is closed last: after an interruption it is still open, and
    closing it again cancels the rest. A date that has begun is left to end; past dates stay.
    """
    cancelled_count = 0
    if cancel_dates:
        upcoming = (
            select(MeetingOccurrence.id).join(MeetingOccurrence.meeting).where(*_upcoming_clauses(school_class.id))
        )
        cancelled_count = cancel_in_batches(user, dict.fromkeys(db.session.scalars(upcoming), reason))
    service.close_class(user, school_class)
    return cancelled_count


def _upcoming_clauses(class_id: UUID) -> list[Any]:
    return [
        ZoomMeeting.class_id == class_id,
        ZoomMeeting.state.not_in((MeetingState.ENDED, MeetingState.CANCELLED, MeetingState.DELETED)),
        MeetingOccurrence.state == OccurrenceState.SCHEDULED,
        MeetingOccurrence.starts_at > clock.now(),
    ]
