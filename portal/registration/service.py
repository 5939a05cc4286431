"""Use cases on registrations: retrying failed ones, and switching a learner to their LRN address."""

from uuid import UUID

from sqlalchemy import ColumnElement, or_, select

from portal.accounts.models import User
from portal.classes.models import Learner
from portal.core import audit_log, clock
from portal.core.audit_codes import AuditAction, AuditSubject
from portal.core.db import db, write_transaction
from portal.core.worker_signals import Topic, notify_worker
from portal.meetings.models import ZoomMeeting
from portal.registration.codes import RegistrantState
from portal.registration.models import MeetingRegistrant


def retry_failed_registrants(user: User, meeting: ZoomMeeting) -> int:
    """Retry everybody who is not registered; returns their number. The desired registrants are recomputed."""
    with write_transaction() as session:
        failed = list(
            session.scalars(
                select(MeetingRegistrant).where(
                    MeetingRegistrant.meeting_id == meeting.id,
                    MeetingRegistrant.is_expected,
                    MeetingRegistrant.state != RegistrantState.REGISTERED,
                    _not_leased_clause(),
                )
            )
        )
        for row in failed:
            _reset_registrant(row)
        audit_log.record_action(
            AuditAction.RETRIED_REGISTRATION, AuditSubject.MEETING, meeting.id, by=user.id, people=len(failed)
        )
    notify_worker(Topic.ROSTERS)
    notify_worker(Topic.REGISTRATION)
    return len(failed)


def _not_leased_clause() -> ColumnElement[bool]:
    """Condition on MeetingRegistrant: not leased by the engine, which is retrying it already otherwise."""
    return or_(MeetingRegistrant.leased_until.is_(None), MeetingRegistrant.leased_until < clock.now())


def _reset_registrant(row: MeetingRegistrant) -> None:
    """Reset a row for another attempt. A row that was never sent to Zoom is deleted, and created again from the
    roster; a denied one is to be approved. The daily limit still applies."""
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
    """Delete a learner's own address, so that their LRN address is used, for this and all upcoming meetings.

    False if the learner has no LRN or their registration has not failed.
    """
    with write_transaction() as session:
        row = session.scalar(
            select(MeetingRegistrant).where(
                MeetingRegistrant.id == registrant_id,
                MeetingRegistrant.meeting_id == meeting.id,
                MeetingRegistrant.learner_id.is_not(None),
                MeetingRegistrant.state == RegistrantState.FAILED,
                _not_leased_clause(),
            )
        )
        learner = session.get(Learner, row.learner_id) if row else None
        if row is None or learner is None or learner.lrn is None:
            return False
        learner.email = None
        if row.posts_today == 0 and row.zoom_registrant_id is None:
            session.delete(row)  # otherwise the changed address is detected on the row
        audit_log.record_action(AuditAction.CHANGED_LEARNER_EMAIL, AuditSubject.LEARNER, learner.id, by=user.id)
    notify_worker(Topic.ROSTERS)
    return True
