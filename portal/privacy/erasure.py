"""Erasure of one learner: identifying data is deleted, marks and totals stay.

`request_learner_erasure` records the request; the worker carries it out (`erase_learner`), because a learner of
several years is on hundreds of sheets. It deletes name, LRN and address from every table and has the registrations at
Zoom cancelled. The records on sheets stay as "ERASED, LEARNER" with their marks, so that sheets and reports do not
change. `finish_pending_erasures` repeats the redaction for a week, since Zoom's reports may still name the learner,
and deletes a registration's address once it is cancelled at Zoom. Every step is resumable after an interruption.

Erasures survive the restoration of an older backup: see `erased_list` and `reapply_erasures`.
"""

import json
import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import JSON, ForeignKey, String, delete, exists, or_, select, update
from sqlalchemy.orm import Mapped, joinedload, mapped_column

from portal.accounts.models import User
from portal.attendance.calculation.marks import compute_sheet
from portal.attendance.codes import UploadState
from portal.attendance.models import (
    AttendanceHistory,
    AttendanceRecord,
    DailyAttendance,
    ParticipantAlias,
    ParticipantMatch,
    ParticipantUpload,
)
from portal.attendance.sheet import evidence_loader
from portal.classes.disclosure.service import DISCLOSURE_ACTION
from portal.classes.learners.enrolments import ERASED, EnrolmentChanges
from portal.classes.models import Enrolment, Learner, RosterImport
from portal.core import audit_log, clock
from portal.core.audit_codes import AuditAction, AuditSubject
from portal.core.audit_log import AuditEntry
from portal.core.db import (
    Model,
    UuidPrimaryKey,
    db,
    end_read_transaction,
    write_transaction,
)
from portal.core.worker_signals import Topic, notify_worker
from portal.meetings.codes import MeetingState
from portal.meetings.models import MeetingOccurrence, ZoomMeeting
from portal.privacy import erased_list
from portal.privacy.learner_identity import (
    LearnerIdentity,
    meetings_of_learner,
    redact_learner_deliveries,
    redact_learner_stays,
)
from portal.registration.codes import RegistrantState
from portal.registration.join_links import JoinLink
from portal.registration.models import FormerRegistrant, MeetingRegistrant

log = logging.getLogger("portal.attendance")
ERASURE_REASONS = ("asked", "mistake", "order")
RECHECK_INTERVAL = timedelta(
    days=7
)  # Zoom's reports are asked for three days, teachers upload its files a little later
OVERDUE_AFTER = timedelta(minutes=15)  # after this the page says what to check
LAST_NAME, FIRST_NAME = "ERASED", "LEARNER"


class LearnerErasure(UuidPrimaryKey, Model):
    """One erasure. `fingerprints` are HMACs of the learner's addresses and names, to recognise the learner in data that
    arrives later; they are deleted when the erasure is finished."""

    __tablename__ = "erasures"

    learner_id: Mapped[UUID] = mapped_column(ForeignKey("learners.id"), unique=True)
    requested_at: Mapped[datetime]
    requested_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    reason: Mapped[str] = mapped_column(String(20))
    fingerprints: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    carried_out_at: Mapped[datetime | None] = mapped_column(index=True)
    looked_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


def is_learner_erased(learner_id: UUID) -> bool:
    return bool(db.session.scalar(select(exists().where(LearnerErasure.learner_id == learner_id))))


def is_erasure_pending(learner_id: UUID) -> bool:
    """Requested, and not carried out yet."""
    exists_clause = exists().where(LearnerErasure.learner_id == learner_id, LearnerErasure.carried_out_at.is_(None))
    return bool(db.session.scalar(select(exists_clause)))


def is_erasure_overdue(learner_id: UUID) -> bool:
    """Requested so long ago that something must block it."""
    exists_clause = exists().where(
        LearnerErasure.learner_id == learner_id,
        LearnerErasure.carried_out_at.is_(None),
        LearnerErasure.requested_at < clock.now() - OVERDUE_AFTER,
    )
    return bool(db.session.scalar(select(exists_clause)))


def request_learner_erasure(learner: Learner, reason: str, *, by: User | None) -> LearnerErasure:
    """Request the erasure of a learner; idempotent. `reason` is one of ERASURE_REASONS, else ValueError is raised."""
    if reason not in ERASURE_REASONS:
        raise ValueError("no such reason")
    end_read_transaction()
    with write_transaction() as session:
        session.refresh(learner, with_for_update=True)
        erasure = session.scalar(select(LearnerErasure).where(LearnerErasure.learner_id == learner.id))
        if erasure is not None:
            return erasure
        row = LearnerErasure(
            id=uuid4(),
            learner_id=learner.id,
            requested_at=clock.now(),
            requested_by=by.id if by else None,
            reason=reason,
            fingerprints=sorted(LearnerIdentity(learner).fingerprints),
        )
        session.add(row)
        audit_log.record_action(
            AuditAction.ERASED, AuditSubject.LEARNER, learner.id, by=row.requested_by, reason=reason
        )
    notify_worker(Topic.ERASURES)
    return row


def process_due_erasures() -> int:
    """Carry out the requested erasures; returns how many. A failing one blocks no other, and is retried later."""
    erased_count = 0
    for erasure_id in _due_erasure_ids():
        try:
            erase_learner(erasure_id)
        except Exception:
            db.session.rollback()
            log.exception("erasure %s failed, retrying next round", erasure_id)
        else:
            erased_count += 1
    return erased_count


def _due_erasure_ids() -> list[UUID]:
    erasure_ids = list(
        db.session.scalars(
            select(LearnerErasure.id)
            .where(LearnerErasure.carried_out_at.is_(None))
            .order_by(LearnerErasure.requested_at)
        )
    )
    end_read_transaction()
    return erasure_ids


def erase_learner(erasure_id: UUID) -> None:
    """Erase one learner whose erasure was requested. Raw deliveries are redacted last, in small transactions."""
    row = db.session.get_one(LearnerErasure, erasure_id, populate_existing=True)
    erased_list.append_erased_entry(
        [row.learner_id]
    )  # first, so that restoring a backup from now on erases the learner again
    matches_to_keep = _collect_matches_to_keep(row.learner_id)
    end_read_transaction()
    with write_transaction() as session:
        learner = session.get_one(Learner, row.learner_id, with_for_update=True, populate_existing=True)
        session.refresh(row)
        if row.carried_out_at is not None:  # another worker did it first
            return
        identity = LearnerIdentity(learner)
        row.fingerprints = sorted({*(row.fingerprints or ()), *identity.fingerprints})
        _store_matches(matches_to_keep, row.requested_by)
        _redact_decisions(learner.id, identity)
        _end_enrolments(learner, identity)
        redact_learner_stays(learner.id, set(row.fingerprints))
        learner.lrn = learner.email = None
        learner.last_name, learner.first_name, learner.middle_name, learner.extension = LAST_NAME, FIRST_NAME, "", ""
        learner.lis_name = f"{LAST_NAME}, {FIRST_NAME}"
        session.flush()
        _redact_registrations(learner.id)
        row.carried_out_at = clock.now()
    notify_worker(Topic.ROSTERS)
    notify_worker(Topic.REGISTRATION)
    redact_learner_deliveries(row.learner_id, set(row.fingerprints or ()), None)


def finish_pending_erasures() -> int:
    """Repeat the redaction of unfinished erasures; returns how many are finished now."""
    now, finished_count = clock.now(), 0
    unfinished = select(LearnerErasure).where(
        LearnerErasure.carried_out_at.is_not(None), LearnerErasure.finished_at.is_(None)
    )
    for row in list(db.session.scalars(unfinished.order_by(LearnerErasure.requested_at))):
        fingerprints = set(row.fingerprints or ())
        end_read_transaction()
        redact_learner_deliveries(row.learner_id, fingerprints, row.looked_at)
        with write_transaction() as session:
            redact_learner_stays(row.learner_id, fingerprints)
            remaining = _redact_registrations(row.learner_id)
            row.looked_at = now
            if not remaining and now - row.requested_at > RECHECK_INTERVAL:
                row.fingerprints, row.finished_at = None, now
                finished_count += 1
            session.add(row)
    return finished_count


def is_waiting_for_zoom(learner_id: UUID) -> bool:
    """True if a registration of the learner is still valid at Zoom."""
    has_registration = exists().where(MeetingRegistrant.learner_id == learner_id, MeetingRegistrant.email != "")
    has_former = exists().where(FormerRegistrant.learner_id == learner_id, FormerRegistrant.email != "")
    return bool(db.session.scalar(select(or_(has_registration, has_former))))


# After the restoration of an older backup


def erased_entries_of_database() -> set[str]:
    """The list entries of the learners that the present database has as erased."""
    return {
        erased_list.erased_entry_for(learner_id) for learner_id in db.session.scalars(select(LearnerErasure.learner_id))
    }


def refresh_erased_list() -> int:
    """Rewrite the list from the database, e.g. with a new SECRET_KEY; returns the number of entries."""
    ids = list(db.session.scalars(select(LearnerErasure.learner_id).order_by(LearnerErasure.requested_at)))
    erased_list.rewrite_erased_list(ids)
    return len(ids)


def reapply_erasures(entries: set[str]) -> int:
    """Erase listed learners that the database has again, and finish pending erasures; returns how many came back."""
    restored_count = 0
    is_erased = exists().where(LearnerErasure.learner_id == Learner.id)
    for learner_id in list(db.session.scalars(select(Learner.id).where(~is_erased))):
        if any(erased_list.erased_entry_for(learner_id, key) in entries for key in erased_list.erased_list_secrets()):
            request_learner_erasure(db.session.get_one(Learner, learner_id), "order", by=None)
            restored_count += 1
    for erasure_id in _due_erasure_ids():  # errors here are raised to the person who restores
        erase_learner(erasure_id)
    return restored_count


# Matches kept without the learner's name


@dataclass(frozen=True)
class _MatchToKeep:
    """A stay matched to the learner by address or alias, to be stored as a manual match."""

    participant_id: UUID
    learner_ids: tuple[UUID, ...]
    teacher_id: UUID


def _collect_matches_to_keep(learner_id: UUID) -> list[_MatchToKeep]:
    """Computed before anything is changed, sheet by sheet: only for sheets not matched by registration alone."""
    rows = db.session.execute(
        select(MeetingOccurrence, AttendanceRecord.matched_by)
        .join(AttendanceRecord, AttendanceRecord.occurrence_id == MeetingOccurrence.id)
        .where(AttendanceRecord.learner_id == learner_id, AttendanceRecord.stay_count > 0)
        .options(joinedload(MeetingOccurrence.meeting))
    )
    matches_to_keep = []
    for occurrence, matched_by in rows.all():
        if set(matched_by) <= {"registration", "teacher"}:
            continue
        for stay_id, match in compute_sheet(
            evidence_loader.load_sheet_evidence(occurrence, occurrence.meeting).input
        ).who.items():
            if str(learner_id) in match.learner_ids and match.by in ("email", "alias"):
                ids = tuple(UUID(learner_key) for learner_key in match.learner_ids)
                matches_to_keep.append(_MatchToKeep(UUID(stay_id), ids, occurrence.meeting.created_by))
    return matches_to_keep


def _store_matches(matches_to_keep: list[_MatchToKeep], matched_by: UUID | None) -> None:
    already_matched = set(
        db.session.scalars(
            select(ParticipantMatch.participant_id).where(
                ParticipantMatch.participant_id.in_([kept_match.participant_id for kept_match in matches_to_keep])
            )
        )
    )
    db.session.add_all(
        ParticipantMatch(
            participant_id=kept_match.participant_id,
            learner_id=learner_id,
            matched_by=matched_by or kept_match.teacher_id,
            matched_at=clock.now(),
        )
        for kept_match in matches_to_keep
        if kept_match.participant_id not in already_matched
        for learner_id in kept_match.learner_ids
    )
    db.session.flush()


# Texts about the learner


def _end_enrolments(learner: Learner, identity: LearnerIdentity) -> None:
    enrolment_changes, today = EnrolmentChanges([learner.id]), clock.today()
    has_record_today = exists().where(
        AttendanceRecord.learner_id == learner.id,
        AttendanceRecord.occurrence_id == MeetingOccurrence.id,
        MeetingOccurrence.local_date == today,
    )
    # If the learner has a record on a sheet of today, today stays their last day.
    last_day = today if db.session.scalar(select(has_record_today)) else today - timedelta(days=1)
    for enrolment in enrolment_changes.enrolments_of(learner.id):
        if enrolment.until_date is None or enrolment.until_date > last_day:
            enrolment_changes.withdraw(enrolment, last_day=max(last_day, enrolment.from_date), reason=ERASED)
        enrolment.exit_detail = identity.without(enrolment.exit_detail)
    enrolment_changes.save()
    section_ids = select(Enrolment.section_id).where(Enrolment.learner_id == learner.id)
    db.session.execute(
        update(RosterImport)
        .where(
            RosterImport.preview_rows.is_not(None),
            or_(RosterImport.section_id.in_(section_ids), RosterImport.school_id == learner.school_id),
        )
        .values(state="discarded", preview_rows=None)
        .execution_options(synchronize_session=False)
    )
    db.session.execute(
        update(RosterImport)
        .where(RosterImport.school_id == learner.school_id)
        .values(undo_journal=None)  # the journal of an import contains names: the import can no longer be undone
        .execution_options(synchronize_session=False)
    )


def _redact_decisions(learner_id: UUID, identity: LearnerIdentity) -> None:
    """Redact what teachers wrote about the learner, and delete their aliases and links."""
    session = db.session
    session.execute(delete(ParticipantAlias).where(ParticipantAlias.learner_id == learner_id))
    session.execute(delete(JoinLink).where(JoinLink.learner_id == learner_id))
    for record in session.scalars(
        select(AttendanceRecord).where(
            AttendanceRecord.learner_id == learner_id, AttendanceRecord.override_reason.is_not(None)
        )
    ):
        record.override_reason = identity.without(record.override_reason)
    for daily_record in session.scalars(select(DailyAttendance).where(DailyAttendance.learner_id == learner_id)):
        daily_record.reason = identity.without(daily_record.reason)
    occurrences = select(MeetingOccurrence.id).where(MeetingOccurrence.meeting_id.in_(meetings_of_learner(learner_id)))
    for entry in session.scalars(
        select(AttendanceHistory).where(
            AttendanceHistory.occurrence_id.in_(occurrences),
            or_(AttendanceHistory.learner_id == learner_id, AttendanceHistory.details.is_not(None)),
        )
    ):
        is_about_learner = entry.learner_id == learner_id
        if is_about_learner or str(learner_id) in json.dumps(entry.details):
            entry.details = None  # the previous alias names
        if is_about_learner:
            # The reason of a match quotes the displayed name.
            entry.reason = None if entry.event.startswith("match") else identity.without(entry.reason)
    section_ids = select(Enrolment.section_id).where(Enrolment.learner_id == learner_id)
    for disclosure in session.scalars(
        select(AuditEntry).where(AuditEntry.action == DISCLOSURE_ACTION, AuditEntry.section_id.in_(section_ids))
    ):
        disclosure.details = {**disclosure.details, "reason": identity.without(disclosure.details.get("reason"))}
    session.execute(
        update(ParticipantUpload)
        .where(ParticipantUpload.occurrence_id.in_(occurrences), ParticipantUpload.state == UploadState.PREVIEW)
        .values(state=UploadState.DISCARDED, rows=None)
        .execution_options(synchronize_session=False)
    )


def _redact_registrations(learner_id: UUID) -> int:
    """Delete names at once, an address when no cancellation at Zoom needs it any more; returns how many remain."""
    session, remaining = db.session, 0
    rows = session.execute(
        select(MeetingRegistrant, ZoomMeeting)
        .join(ZoomMeeting, ZoomMeeting.id == MeetingRegistrant.meeting_id)
        .where(MeetingRegistrant.learner_id == learner_id)
        .execution_options(populate_existing=True)
    ).all()
    for row, meeting in rows:
        row.first_name = row.last_name = ""
        maybe_at_zoom = (
            row.state in (RegistrantState.REGISTERED, RegistrantState.PENDING_APPROVAL) or row.outcome_unknown
        )
        if maybe_at_zoom and _can_be_cancelled(meeting):
            if row.is_expected:
                row.is_expected, row.next_attempt_at, row.attempts = False, clock.now(), 0
            remaining += 1
        else:
            row.email, row.join_url, row.is_expected, row.next_attempt_at = "", None, False, None
    former_rows = session.execute(
        select(FormerRegistrant, ZoomMeeting)
        .join(ZoomMeeting, ZoomMeeting.id == FormerRegistrant.meeting_id)
        .where(FormerRegistrant.learner_id == learner_id)
        .execution_options(populate_existing=True)
    ).all()
    for former, meeting in former_rows:
        if former.still_at_zoom and _can_be_cancelled(meeting):
            remaining += 1
        else:
            former.email = ""
    session.flush()
    return remaining


def _can_be_cancelled(meeting: ZoomMeeting) -> bool:
    """True if the engine still processes this meeting; Zoom accepts no changes of one that is over."""
    is_active = (
        meeting.state in (MeetingState.PENDING_ZOOM, MeetingState.SCHEDULED, MeetingState.STARTED)
        and meeting.zoom_id is not None
    )
    return is_active and meeting.has_registration and not meeting.open_mode
