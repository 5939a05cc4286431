"""What people may do about registration: try again, use another address."""

from uuid import UUID

from sqlalchemy import ColumnElement, or_, select

from portal.accounts.models import User
from portal.classes.models import Learner
from portal.core import audit_log, clock
from portal.core.audit_codes import AuditAction, AuditSubject
from portal.core.db import db, write_transaction
from portal.core.worker_signals import notify_worker
from portal.meetings.models import ZoomMeeting
from portal.registration.codes import RegistrantState
from portal.registration.models import MeetingRegistrant


def retry_failed_registrants(user: User, meeting: ZoomMeeting) -> int:
    """Give everybody who is not registered another try; the number of them. The roster is read anew."""
    with write_transaction() as session:
        failed = list(
            session.scalars(
                select(MeetingRegistrant).where(
                    MeetingRegistrant.meeting_id == meeting.id,
                    MeetingRegistrant.is_expected,
                    MeetingRegistrant.state != RegistrantState.REGISTERED,
                    _free(),
                )
            )
        )
        for row in failed:
            _again(row)
        audit_log.record_action(
            AuditAction.RETRIED_REGISTRATION, AuditSubject.MEETING, meeting.id, by=user.id, people=len(failed)
        )
    notify_worker("registration")
    notify_worker("registrants")
    return len(failed)


def _free() -> ColumnElement[bool]:
    """The engine is not at work on the row: it needs no other try."""
    return or_(MeetingRegistrant.leased_until.is_(None), MeetingRegistrant.leased_until < clock.now())


def _again(row: MeetingRegistrant) -> None:
    """Rows that never reached Zoom are made anew from the roster; the others wait for their next turn. Whom
    the host has denied is approved. The limit of the day still holds."""
    if row.posts_today == 0 and row.zoom_registrant_id is None and row.state == RegistrantState.FAILED:
        db.session.delete(row)
        return
    row.state = (
        RegistrantState.PENDING_APPROVAL
        if row.state in (RegistrantState.DENIED, RegistrantState.PENDING_APPROVAL)
        else RegistrantState.QUEUED
    )
    row.reason, row.next_attempt_at, row.attempts, row.updated_at = None, clock.now(), 0, clock.now()


def use_lrn_address(user: User, meeting: ZoomMeeting, registrant_id: UUID) -> bool:
    """Drop a learner's own address, so that their LRN address is used, here and in every coming meeting.

    False where the learner has no LRN or is not one who failed.
    """
    with write_transaction() as session:
        row = session.scalar(
            select(MeetingRegistrant).where(
                MeetingRegistrant.id == registrant_id,
                MeetingRegistrant.meeting_id == meeting.id,
                MeetingRegistrant.learner_id.is_not(None),
                MeetingRegistrant.state == RegistrantState.FAILED,
                _free(),
            )
        )
        learner = session.get(Learner, row.learner_id) if row else None
        if row is None or learner is None or learner.lrn is None:
            return False
        learner.email = None
        if row.posts_today == 0 and row.zoom_registrant_id is None:
            session.delete(row)  # else the roster's new address is seen as a change
        audit_log.record_action(AuditAction.CHANGED_LEARNER_EMAIL, AuditSubject.LEARNER, learner.id, by=user.id)
    notify_worker("registration")
    return True
