"""Erasing one learner: what names the learner goes, what counts stays.

`request_learner_erasure` writes down that it is wanted, and by whom; the worker does it (`erase_learner`), since a
learner of several years
is on hundreds of sheets. It takes the name, LRN and address out of every table and has the registrations at Zoom
cancelled. The lines on the sheets stay as "ERASED, LEARNER" with their marks, so that sheets and reports say the same
as before. `finish_pending_erasures` comes back for a week, since Zoom's reports may still name the learner, and for
the address of a
registration until Zoom has let go of it. Killed at any point, it goes on where it was.

Those who were erased stay so when an older backup is restored: see `erased_list` and `reapply_erasures`.
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
from portal.attendance.sheet import compute as sheet_compute
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
from portal.core.worker_signals import notify_worker
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
OVERDUE_AFTER = timedelta(minutes=15)  # after that the page says what to look at
LAST_NAME, FIRST_NAME = "ERASED", "LEARNER"


class LearnerErasure(UuidPrimaryKey, Model):
    """One erasure. `marks` are keyed hashes of the learner's addresses and names, to know the learner by in what still
    comes; they go when it is finished."""

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
    """It is asked for, and the worker is not done."""
    exists_clause = exists().where(LearnerErasure.learner_id == learner_id, LearnerErasure.carried_out_at.is_(None))
    return bool(db.session.scalar(select(exists_clause)))


def is_erasure_overdue(learner_id: UUID) -> bool:
    """It was asked for so long ago that something must hold it up."""
    exists_clause = exists().where(
        LearnerErasure.learner_id == learner_id,
        LearnerErasure.carried_out_at.is_(None),
        LearnerErasure.requested_at < clock.now() - OVERDUE_AFTER,
    )
    return bool(db.session.scalar(select(exists_clause)))


def request_learner_erasure(learner: Learner, reason: str, *, by: User | None) -> LearnerErasure:
    """Have a learner erased; once is enough. `reason` is one of REASONS. Raises ValueError for another."""
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
    notify_worker("erasures")
    return row


def process_due_erasures() -> int:
    """Erase whoever is to be; how many were. One that fails holds up no other, and is tried again the next time."""
    done = 0
    for erasure_id in _due():
        try:
            erase_learner(erasure_id)
        except Exception:
            db.session.rollback()
            log.exception("erasure %s failed and will be tried again", erasure_id)
        else:
            done += 1
    return done


def _due() -> list[UUID]:
    due = list(
        db.session.scalars(
            select(LearnerErasure.id)
            .where(LearnerErasure.carried_out_at.is_(None))
            .order_by(LearnerErasure.requested_at)
        )
    )
    end_read_transaction()
    return due


def erase_learner(erasure_id: UUID) -> None:
    """Erase one learner, of whom it was asked. The names in raw deliveries go last, in small steps."""
    row = db.session.get_one(LearnerErasure, erasure_id, populate_existing=True)
    erased_list.append_erased_entry([row.learner_id])  # first: what is erased must not come back with a backup
    pins = _pins(row.learner_id)
    end_read_transaction()
    with write_transaction() as session:
        learner = session.get_one(Learner, row.learner_id, with_for_update=True, populate_existing=True)
        session.refresh(row)
        if row.carried_out_at is not None:  # another worker was faster
            return
        identity = LearnerIdentity(learner)
        row.fingerprints = sorted({*(row.fingerprints or ()), *identity.fingerprints})
        _pin(pins, row.requested_by)
        _forget_decisions(learner.id, identity)
        _leave_rosters(learner, identity)
        redact_learner_stays(learner.id, set(row.fingerprints))
        learner.lrn = learner.email = None
        learner.last_name, learner.first_name, learner.middle_name, learner.extension = LAST_NAME, FIRST_NAME, "", ""
        learner.lis_name = f"{LAST_NAME}, {FIRST_NAME}"
        session.flush()
        _scrub_registrations(learner.id)
        row.carried_out_at = clock.now()
    notify_worker("registration")
    notify_worker("registrants")
    redact_learner_deliveries(row.learner_id, set(row.fingerprints or ()), None)


def finish_pending_erasures() -> int:
    """Look after the erasures that are not finished; how many were finished now."""
    now, done = clock.now(), 0
    unfinished = select(LearnerErasure).where(
        LearnerErasure.carried_out_at.is_not(None), LearnerErasure.finished_at.is_(None)
    )
    for row in list(db.session.scalars(unfinished.order_by(LearnerErasure.requested_at))):
        marks = set(row.fingerprints or ())
        end_read_transaction()
        redact_learner_deliveries(row.learner_id, marks, row.looked_at)
        with write_transaction() as session:
            redact_learner_stays(row.learner_id, marks)
            left = _scrub_registrations(row.learner_id)
            row.looked_at = now
            if not left and now - row.requested_at > RECHECK_INTERVAL:
                row.fingerprints, row.finished_at = None, now
                done += 1
            session.add(row)
    return done


def is_waiting_for_zoom(learner_id: UUID) -> bool:
    """Some registration of the learner still stands at Zoom."""
    now = exists().where(MeetingRegistrant.learner_id == learner_id, MeetingRegistrant.email != "")
    before = exists().where(FormerRegistrant.learner_id == learner_id, FormerRegistrant.email != "")
    return bool(db.session.scalar(select(or_(now, before))))


# After an older backup was restored


def erased_entries_of_database() -> set[str]:
    """The entries of the list for those whom the present database knows as erased."""
    return {erased_list.erased_entry_for(one) for one in db.session.scalars(select(LearnerErasure.learner_id))}


def refresh_erased_list() -> int:
    """The list anew from the database, e.g. with a new SECRET_KEY; how many are on it."""
    ids = list(db.session.scalars(select(LearnerErasure.learner_id).order_by(LearnerErasure.requested_at)))
    erased_list.rewrite_erased_list(ids)
    return len(ids)


def reapply_erasures(entries: set[str]) -> int:
    """Erase those on the list whom the database has back, and whoever was being erased; how many came back."""
    done = 0
    gone = exists().where(LearnerErasure.learner_id == Learner.id)
    for learner_id in list(db.session.scalars(select(Learner.id).where(~gone))):
        if any(erased_list.erased_entry_for(learner_id, key) in entries for key in erased_list.erased_list_secrets()):
            request_learner_erasure(db.session.get_one(Learner, learner_id), "order", by=None)
            done += 1
    for erasure_id in _due():  # what fails here is told to whoever restores
        erase_learner(erasure_id)
    return done


# What tells whom a stay belongs to, kept without the learner's name


@dataclass(frozen=True)
class _Pin:
    """A stay that was the learner's by the address or by a remembered name."""

    participant_id: UUID
    learner_ids: tuple[UUID, ...]
    teacher_id: UUID


def _pins(learner_id: UUID) -> list[_Pin]:
    """Computed before anything is changed, sheet by sheet: only those on which Zoom's registration did not tell all."""
    rows = db.session.execute(
        select(MeetingOccurrence, AttendanceRecord.matched_by)
        .join(AttendanceRecord, AttendanceRecord.occurrence_id == MeetingOccurrence.id)
        .where(AttendanceRecord.learner_id == learner_id, AttendanceRecord.stay_count > 0)
        .options(joinedload(MeetingOccurrence.meeting))
    )
    pins = []
    for occurrence, ways in rows.all():
        if set(ways) <= {"registration", "teacher"}:
            continue
        for stay_id, match in compute_sheet(
            sheet_compute.load_sheet_evidence(occurrence, occurrence.meeting).input
        ).who.items():
            if str(learner_id) in match.learner_ids and match.by in ("email", "alias"):
                ids = tuple(UUID(one) for one in match.learner_ids)
                pins.append(_Pin(UUID(stay_id), ids, occurrence.meeting.created_by))
    return pins


def _pin(pins: list[_Pin], by: UUID | None) -> None:
    said = set(
        db.session.scalars(
            select(ParticipantMatch.participant_id).where(
                ParticipantMatch.participant_id.in_([pin.participant_id for pin in pins])
            )
        )
    )
    db.session.add_all(
        ParticipantMatch(
            participant_id=pin.participant_id,
            learner_id=learner_id,
            matched_by=by or pin.teacher_id,
            matched_at=clock.now(),
        )
        for pin in pins
        if pin.participant_id not in said
        for learner_id in pin.learner_ids
    )
    db.session.flush()


# What is written about the learner


def _leave_rosters(learner: Learner, identity: LearnerIdentity) -> None:
    rolls, today = EnrolmentChanges([learner.id]), clock.today()
    on_a_sheet = exists().where(
        AttendanceRecord.learner_id == learner.id,
        AttendanceRecord.occurrence_id == MeetingOccurrence.id,
        MeetingOccurrence.local_date == today,
    )
    # A sheet of today that has the learner's line keeps it.
    last_day = today if db.session.scalar(select(on_a_sheet)) else today - timedelta(days=1)
    for time in rolls.enrolments_of(learner.id):
        if time.until_date is None or time.until_date > last_day:
            rolls.withdraw(time, last_day=max(last_day, time.from_date), reason=ERASED)
        time.exit_detail = identity.without(time.exit_detail)
    rolls.save()
    sections = select(Enrolment.section_id).where(Enrolment.learner_id == learner.id)
    db.session.execute(
        update(RosterImport)
        .where(
            RosterImport.preview_rows.is_not(None),
            or_(RosterImport.section_id.in_(sections), RosterImport.school_id == learner.school_id),
        )
        .values(state="discarded", preview_rows=None)
        .execution_options(synchronize_session=False)
    )
    db.session.execute(
        update(RosterImport)
        .where(RosterImport.school_id == learner.school_id)
        .values(undo_journal=None)  # what an import changed names people: it can be undone no more
        .execution_options(synchronize_session=False)
    )


def _forget_decisions(learner_id: UUID, identity: LearnerIdentity) -> None:
    """What teachers wrote about the learner, and the names they tied to the learner."""
    session = db.session
    session.execute(delete(ParticipantAlias).where(ParticipantAlias.learner_id == learner_id))
    session.execute(delete(JoinLink).where(JoinLink.learner_id == learner_id))
    for record in session.scalars(
        select(AttendanceRecord).where(
            AttendanceRecord.learner_id == learner_id, AttendanceRecord.override_reason.is_not(None)
        )
    ):
        record.override_reason = identity.without(record.override_reason)
    for day in session.scalars(select(DailyAttendance).where(DailyAttendance.learner_id == learner_id)):
        day.reason = identity.without(day.reason)
    occurrences = select(MeetingOccurrence.id).where(MeetingOccurrence.meeting_id.in_(meetings_of_learner(learner_id)))
    for entry in session.scalars(
        select(AttendanceHistory).where(
            AttendanceHistory.occurrence_id.in_(occurrences),
            or_(AttendanceHistory.learner_id == learner_id, AttendanceHistory.details.is_not(None)),
        )
    ):
        hers = entry.learner_id == learner_id
        if hers or str(learner_id) in json.dumps(entry.details):
            entry.details = None  # the names as they were remembered
        if hers:
            # A match quotes the name that Zoom showed.
            entry.reason = None if entry.event.startswith("match") else identity.without(entry.reason)
    her_sections = select(Enrolment.section_id).where(Enrolment.learner_id == learner_id)
    for opened in session.scalars(
        select(AuditEntry).where(AuditEntry.action == DISCLOSURE_ACTION, AuditEntry.section_id.in_(her_sections))
    ):
        opened.details = {**opened.details, "reason": identity.without(opened.details.get("reason"))}
    session.execute(
        update(ParticipantUpload)
        .where(ParticipantUpload.occurrence_id.in_(occurrences), ParticipantUpload.state == UploadState.PREVIEW)
        .values(state=UploadState.DISCARDED, rows=None)
        .execution_options(synchronize_session=False)
    )


def _scrub_registrations(learner_id: UUID) -> int:
    """Names at once, an address as soon as Zoom need not be told it any more; how many still have one."""
    session, left = db.session, 0
    rows = session.execute(
        select(MeetingRegistrant, ZoomMeeting)
        .join(ZoomMeeting, ZoomMeeting.id == MeetingRegistrant.meeting_id)
        .where(MeetingRegistrant.learner_id == learner_id)
        .execution_options(populate_existing=True)
    ).all()
    for row, meeting in rows:
        row.first_name = row.last_name = ""
        at_zoom = row.state in (RegistrantState.REGISTERED, RegistrantState.PENDING_APPROVAL) or row.outcome_unknown
        if at_zoom and _can_be_cancelled(meeting):
            if row.is_expected:
                row.is_expected, row.next_attempt_at, row.attempts = False, clock.now(), 0
            left += 1
        else:
            row.email, row.join_url, row.is_expected, row.next_attempt_at = "", None, False, None
    before = session.execute(
        select(FormerRegistrant, ZoomMeeting)
        .join(ZoomMeeting, ZoomMeeting.id == FormerRegistrant.meeting_id)
        .where(FormerRegistrant.learner_id == learner_id)
        .execution_options(populate_existing=True)
    ).all()
    for former, meeting in before:
        if former.still_at_zoom and _can_be_cancelled(meeting):
            left += 1
        else:
            former.email = ""
    session.flush()
    return left


def _can_be_cancelled(meeting: ZoomMeeting) -> bool:
    """The engine still works on this meeting; of one that is over Zoom takes no more changes."""
    alive = (
        meeting.state in (MeetingState.PENDING_ZOOM, MeetingState.SCHEDULED, MeetingState.STARTED)
        and meeting.zoom_id is not None
    )
    return alive and meeting.has_registration and not meeting.open_mode
