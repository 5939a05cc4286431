"""Merging two records of one learner: with two LRNs, or imported once without an LRN and again with one.

One record stays, with all data of both: enrolments, registrations, links, stays and marks. The other is deleted.
Where both have a row for the same thing, the kept record's row wins, but a manual mark wins over a computed one. The
tables are those with a foreign key to learners; a test finds one that is missing here.
"""

from collections.abc import Iterable
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import delete, exists, select, update
from sqlalchemy.orm import aliased

from portal.accounts.models import User
from portal.attendance.models import (
    AttendanceHistory,
    AttendanceRecord,
    AttendanceSheet,
    DailyAttendance,
    ParticipantAlias,
    ParticipantMatch,
)
from portal.classes.learners.enrolments import EnrolmentChanges
from portal.classes.models import Enrolment, Learner, Section
from portal.core import audit_log, clock
from portal.core.audit_codes import AuditAction, AuditSubject
from portal.core.db import db, write_transaction
from portal.core.worker_signals import Topic, notify_worker
from portal.privacy.erasure import LearnerErasure
from portal.registration.codes import RegistrantState
from portal.registration.desired_registrants import archive_former_registration
from portal.registration.join_links import JoinLink
from portal.registration.models import FormerRegistrant, MeetingRegistrant

# Tables with at most one row for each learner and the named column.
SINGLE_ROW_TABLES: tuple[tuple[Any, str], ...] = (
    (MeetingRegistrant, "meeting_id"),
    (JoinLink, "class_id"),
    (ParticipantMatch, "participant_id"),
    (AttendanceRecord, "occurrence_id"),
)
MANY_ROW_TABLES: tuple[Any, ...] = (FormerRegistrant, AttendanceHistory)
OVERRIDE_COLUMNS = ("override_mark", "override_reason", "override_by", "override_at")


class LearnerErased(ValueError):
    """One of the two was erased: merging would identify that learner again."""


class OverlappingEnrolments(ValueError):
    """The two were in different sections on the same day: they are two learners, or one of the rosters is wrong."""


def merge_learners(user: User, section: Section, learner: Learner, other: Learner, *, lrn: str | None) -> None:
    """Merge `other` into `learner`, whose LRN is then `lrn`, one of the two. Raises OverlappingEnrolments,
    LearnerErased."""
    if learner.id == other.id or learner.school_id != other.school_id or lrn not in (learner.lrn, other.lrn):
        raise ValueError("not two learners of one school, or an LRN of neither")
    with write_transaction() as session:
        if session.scalar(
            select(LearnerErasure.id).where(LearnerErasure.learner_id.in_((learner.id, other.id))).limit(1)
        ):
            raise LearnerErased
        _merge_enrolments(EnrolmentChanges([learner.id, other.id]), learner.id, other.id)
        for row in session.scalars(_select_duplicates(MeetingRegistrant, "meeting_id", learner.id, other.id)):
            # Its registration at Zoom, if any, is a duplicate and is to be cancelled.
            archive_former_registration(
                row,
                still_open=row.state in (RegistrantState.REGISTERED, RegistrantState.PENDING_APPROVAL)
                or row.outcome_unknown,
            )
            # Outcome unknown makes the engine look the registrant up, and process both.
            statement = update(MeetingRegistrant).where(
                MeetingRegistrant.learner_id == learner.id,
                MeetingRegistrant.meeting_id == row.meeting_id,
                MeetingRegistrant.state.in_((RegistrantState.REGISTERED, RegistrantState.PENDING_APPROVAL)),
            )
            session.execute(statement.values(next_attempt_at=clock.now(), outcome_unknown=True))
        _move_manual_marks(learner.id, other.id)
        changed_sheets = list(
            session.scalars(select(AttendanceRecord.occurrence_id).where(AttendanceRecord.learner_id == other.id))
        )
        for table, key_column in SINGLE_ROW_TABLES:
            _move_rows(table, [key_column], learner.id, other.id)
        _move_rows(ParticipantAlias, ["class_id", "folded_name"], learner.id, other.id)
        _move_rows(DailyAttendance, ["section_id", "day"], learner.id, other.id)
        for table in MANY_ROW_TABLES:
            session.execute(update(table).where(table.learner_id == other.id).values(learner_id=learner.id))
        email = learner.email or other.email
        session.execute(delete(Learner).where(Learner.id == other.id))
        learner.lrn, learner.email = lrn, email
        session.add(learner)
        session.execute(
            update(AttendanceSheet)
            .where(AttendanceSheet.occurrence_id.in_(changed_sheets))
            .values(needs_recompute=True)
        )
        audit_log.record_action(
            AuditAction.MERGED,
            AuditSubject.LEARNER,
            learner.id,
            by=user.id,
            section_id=section.id,
            other=str(other.id),
            sheets=len(changed_sheets),
        )
    for topic in (Topic.ROSTERS, Topic.REGISTRATION, Topic.SHEETS, Topic.ROSTER_CHANGES):
        notify_worker(topic)


def list_merge_candidates(section_id: UUID, learner: Learner) -> list[Learner]:
    """Candidates for a merge: not erased, now or formerly on the section's roster; those of the same last name
    first."""
    was_in_section = exists().where(
        Enrolment.learner_id == Learner.id,
        Enrolment.section_id == section_id,
    )
    return list(
        db.session.scalars(
            select(Learner)
            .where(was_in_section, Learner.id != learner.id, ~exists().where(LearnerErasure.learner_id == Learner.id))
            .order_by(Learner.last_name != learner.last_name, Learner.lis_name, Learner.id)
        )
    )


def _merge_enrolments(enrolment_changes: EnrolmentChanges, kept: UUID, other: UUID) -> None:
    """Union of both enrolments. Where both were in one section, the periods are merged into the kept record's row."""
    for row in enrolment_changes.enrolments_of(other):
        overlapping = [period for period in enrolment_changes.enrolments_of(kept) if _periods_overlap(period, row)]
        if any(period.section_id != row.section_id for period in overlapping):
            raise OverlappingEnrolments
        if not overlapping:
            _repoint(row, kept)
            enrolment_changes.reassign(row, other)
            continue
        first_day = min([row.from_date, *(period.from_date for period in overlapping)])
        last_days = [row.until_date, *(period.until_date for period in overlapping)]
        enrolment_changes.delete(row)
        for enrolment in overlapping[1:]:
            enrolment_changes.delete(enrolment)
        db.session.flush()
        overlapping[0].from_date = first_day
        overlapping[0].until_date = None if None in last_days else max(last_day for last_day in last_days if last_day)
        if overlapping[0].until_date is None:
            overlapping[0].exit_reason = overlapping[0].exit_detail = None
        db.session.flush()
    enrolment_changes.save()


def _repoint(row: Enrolment, learner_id: UUID) -> None:
    row.learner_id = learner_id
    db.session.flush()


def _periods_overlap(first: Enrolment, second: Enrolment) -> bool:
    return first.from_date <= (second.until_date or date.max) and second.from_date <= (first.until_date or date.max)


def _select_duplicates(table: Any, key_column: str, kept: UUID, other: UUID) -> Any:
    """The rows of `other` for which `kept` has a row for the same thing."""
    kept_row = aliased(table)
    return select(table).where(
        table.learner_id == other,
        exists().where(kept_row.learner_id == kept, getattr(kept_row, key_column) == getattr(table, key_column)),
    )


def _move_rows(table: Any, key_columns: Iterable[str], kept: UUID, other: UUID) -> None:
    """Move the rows of `other` to `kept`; those for which `kept` has a row already are deleted."""
    kept_row = aliased(table)
    has_duplicate = exists().where(
        kept_row.learner_id == kept,
        *(getattr(kept_row, key_column) == getattr(table, key_column) for key_column in key_columns),
    )
    duplicates = select(table.id).where(table.learner_id == other, has_duplicate)
    duplicate_ids = list(db.session.scalars(duplicates))
    db.session.execute(delete(table).where(table.id.in_(duplicate_ids)))
    db.session.execute(update(table).where(table.learner_id == other).values(learner_id=kept))


def _move_manual_marks(kept: UUID, other: UUID) -> None:
    duplicates = {
        row.occurrence_id: row
        for row in db.session.scalars(_select_duplicates(AttendanceRecord, "occurrence_id", kept, other))
        if row.override_mark
    }
    statement = select(AttendanceRecord).where(
        AttendanceRecord.learner_id == kept,
        AttendanceRecord.occurrence_id.in_(duplicates),
        AttendanceRecord.override_mark.is_(None),
    )
    for row in db.session.scalars(statement):
        for name in OVERRIDE_COLUMNS:
            setattr(row, name, getattr(duplicates[row.occurrence_id], name))
    db.session.flush()
