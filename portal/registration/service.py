"""What people may do about registration: try again, use another address."""

from uuid import UUID

from sqlalchemy import select, update

from portal.accounts.models import User
from portal.base import audit, clock
from portal.base.db import db, writing
from portal.base.wake import wake
from portal.classes.models import Learner
from portal.meetings.models import ZoomMeeting
from portal.registration.models import MeetingRegistrant


def retry_failed(user: User, meeting: ZoomMeeting) -> int:
    """Give everybody who failed another try; the number of them. What the roster says is read anew."""
    with writing() as session:
        failed = list(
            session.scalars(
                select(MeetingRegistrant).where(
                    MeetingRegistrant.meeting_id == meeting.id,
                    MeetingRegistrant.wanted,
                    MeetingRegistrant.state.in_(("failed", "waiting")),
                )
            )
        )
        for row in failed:
            _again(row)
        audit.record("retried registration", "meeting", meeting.id, by=user.id, people=len(failed))
    wake("registration")
    return len(failed)


def _again(row: MeetingRegistrant) -> None:
    """Rows that never reached Zoom are made anew from the roster; the others wait for their next turn."""
    if row.posts == 0 and row.zoom_registrant_id is None:
        db.session.delete(row)
        return
    row.state, row.reason, row.next_try_at, row.attempts = "waiting", None, None, 0


def use_lrn_address(user: User, meeting: ZoomMeeting, registrant_id: UUID) -> bool:
    """Drop a learner's own address, so that her LRN address is used, here and in every coming meeting.

    False where she has no LRN or is not one who failed.
    """
    with writing() as session:
        row = session.scalar(
            select(MeetingRegistrant).where(
                MeetingRegistrant.id == registrant_id,
                MeetingRegistrant.meeting_id == meeting.id,
                MeetingRegistrant.learner_id.is_not(None),
                MeetingRegistrant.state == "failed",
            )
        )
        learner = session.get(Learner, row.learner_id) if row else None
        if row is None or learner is None or learner.lrn is None:
            return False
        learner.email = None
        session.execute(update(MeetingRegistrant).where(MeetingRegistrant.id == row.id).values(updated_at=clock.now()))
        _again(row)
        audit.record("changed the address of", "learner", learner.id, by=user.id)
    wake("registration")
    return True
