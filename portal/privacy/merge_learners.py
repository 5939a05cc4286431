"""Two rows of one learner made one: the learner had two LRNs, or was brought in without one and again with it.

One stays, with everything that is known of both: the days on rosters, registrations, links, stays and marks. The
other goes. Where both have a row for the same thing, the one that stays keeps its own; a mark set by hand beats one
that was not. The tables are those that refer to a learner; a test finds one that is missing here.
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
from portal.core.worker_signals import notify_worker
from portal.privacy.erasure import LearnerErasure
from portal.registration.codes import RegistrantState
from portal.registration.desired_registrants import archive_former_registration
from portal.registration.join_links import JoinLink
from portal.registration.models import FormerRegistrant, MeetingRegistrant

# Tables with at most one row of a learner for something: what that is.
SINGLE_ROW_TABLES: tuple[tuple[Any, str], ...] = (
    (MeetingRegistrant, "meeting_id"),
    (JoinLink, "class_id"),
    (ParticipantMatch, "participant_id"),
    (AttendanceRecord, "occurrence_id"),
)
MANY_ROW_TABLES: tuple[Any, ...] = (FormerRegistrant, AttendanceHistory)
OVERRIDE_COLUMNS = ("override_mark", "override_reason", "override_by", "override_at")


class LearnerErased(ValueError):
    """One of the two was erased: nothing of that learner is to be known as somebody's again."""


class OverlappingEnrolments(ValueError):
    """The two were in different sections on one day: they are two learners, or one of the rosters is wrong."""


def merge_learners(user: User, section: Section, learner: Learner, other: Learner, *, lrn: str | None) -> None:
    """Make `other` a part of `kept`, whose LRN is then `lrn`, one of the two. Raises OverlappingEnrolments,
    LearnerErased."""
    if learner.id == other.id or learner.school_id != other.school_id or lrn not in (learner.lrn, other.lrn):
        raise ValueError("not two learners of one school, or an LRN of neither")
    with write_transaction() as session:
        if session.scalar(
            select(LearnerErasure.id).where(LearnerErasure.learner_id.in_((learner.id, other.id))).limit(1)
        ):
            raise LearnerErased
        _unite_times(EnrolmentChanges([learner.id, other.id]), learner.id, other.id)
        for row in session.scalars(_doubled(MeetingRegistrant, "meeting_id", learner.id, other.id)):
            # Its registration at Zoom, if there is one, is the learner's and is to be taken away.
            archive_former_registration(
                row,
                still_open=row.state in (RegistrantState.REGISTERED, RegistrantState.PENDING_APPROVAL)
                or row.outcome_unknown,
            )
            # Unsure, so that the engine looks at the meeting once more and does both.
            statement = update(MeetingRegistrant).where(
                MeetingRegistrant.learner_id == learner.id,
                MeetingRegistrant.meeting_id == row.meeting_id,
                MeetingRegistrant.state.in_((RegistrantState.REGISTERED, RegistrantState.PENDING_APPROVAL)),
            )
            session.execute(statement.values(next_attempt_at=clock.now(), outcome_unknown=True))
        _take_over_marks_by_hand(learner.id, other.id)
        touched = list(
            session.scalars(select(AttendanceRecord.occurrence_id).where(AttendanceRecord.learner_id == other.id))
        )
        for table, thing in SINGLE_ROW_TABLES:
            _take_over(table, [thing], learner.id, other.id)
        _take_over(ParticipantAlias, ["class_id", "folded_name"], learner.id, other.id)
        _take_over(DailyAttendance, ["section_id", "day"], learner.id, other.id)
        for table in MANY_ROW_TABLES:
            session.execute(update(table).where(table.learner_id == other.id).values(learner_id=learner.id))
        email = learner.email or other.email
        session.execute(delete(Learner).where(Learner.id == other.id))
        learner.lrn, learner.email = lrn, email
        session.add(learner)
        session.execute(
            update(AttendanceSheet).where(AttendanceSheet.occurrence_id.in_(touched)).values(needs_recompute=True)
        )
        audit_log.record_action(
            AuditAction.MERGED,
            AuditSubject.LEARNER,
            learner.id,
            by=user.id,
            section_id=section.id,
            other=str(other.id),
            sheets=len(touched),
        )
    for topic in ("registration", "registrants", "attendance", "changed rosters"):
        notify_worker(topic)


def list_merge_candidates(section_id: UUID, learner: Learner) -> list[Learner]:
    """Who is or was on the section's roster and could be the same learner and is not erased: those of the same last
    name first."""
    here = exists().where(
        Enrolment.learner_id == Learner.id,
        Enrolment.section_id == section_id,
    )
    return list(
        db.session.scalars(
            select(Learner)
            .where(here, Learner.id != learner.id, ~exists().where(LearnerErasure.learner_id == Learner.id))
            .order_by(Learner.last_name != learner.last_name, Learner.lis_name, Learner.id)
        )
    )


def _unite_times(rolls: EnrolmentChanges, kept: UUID, other: UUID) -> None:
    """All days of both. Where both were in one section, what the days of the second add is added to the first."""
    for row in rolls.enrolments_of(other):
        same = [one for one in rolls.enrolments_of(kept) if _overlap(one, row)]
        if any(one.section_id != row.section_id for one in same):
            raise OverlappingEnrolments
        if not same:
            _repoint(row, kept)
            rolls.reassign(row, other)
            continue
        first = min([row.from_date, *(one.from_date for one in same)])
        ends = [row.until_date, *(one.until_date for one in same)]
        rolls.delete(row)
        for enrolment in same[1:]:
            rolls.delete(enrolment)
        db.session.flush()
        same[0].from_date = first
        same[0].until_date = None if None in ends else max(end for end in ends if end)
        if same[0].until_date is None:
            same[0].exit_reason = same[0].exit_detail = None
        db.session.flush()
    rolls.save()


def _repoint(row: Enrolment, learner_id: UUID) -> None:
    row.learner_id = learner_id
    db.session.flush()


def _overlap(enrolment: Enrolment, two: Enrolment) -> bool:
    return enrolment.from_date <= (two.until_date or date.max) and two.from_date <= (enrolment.until_date or date.max)


def _doubled(table: Any, thing: str, kept: UUID, other: UUID) -> Any:
    """The rows of `other` beside which `kept` has one for the same thing."""
    hers = aliased(table)
    return select(table).where(
        table.learner_id == other,
        exists().where(hers.learner_id == kept, getattr(hers, thing) == getattr(table, thing)),
    )


def _take_over(table: Any, things: Iterable[str], kept: UUID, other: UUID) -> None:
    """Give `kept` the rows of `other`, but for things of which `kept` has one; those go."""
    hers = aliased(table)
    has_one = exists().where(
        hers.learner_id == kept, *(getattr(hers, thing) == getattr(table, thing) for thing in things)
    )
    doubled = select(table.id).where(table.learner_id == other, has_one)
    ids = list(db.session.scalars(doubled))
    db.session.execute(delete(table).where(table.id.in_(ids)))
    db.session.execute(update(table).where(table.learner_id == other).values(learner_id=kept))


def _take_over_marks_by_hand(kept: UUID, other: UUID) -> None:
    doubled = {
        row.occurrence_id: row
        for row in db.session.scalars(_doubled(AttendanceRecord, "occurrence_id", kept, other))
        if row.override_mark
    }
    statement = select(AttendanceRecord).where(
        AttendanceRecord.learner_id == kept,
        AttendanceRecord.occurrence_id.in_(doubled),
        AttendanceRecord.override_mark.is_(None),
    )
    for row in db.session.scalars(statement):
        for name in OVERRIDE_COLUMNS:
            setattr(row, name, getattr(doubled[row.occurrence_id], name))
    db.session.flush()
