"""Retention of attendance: how many school years a school keeps it, and deletion of what has expired.

A school keeps attendance until it sets a number of school years (two at least: DepEd's records schedule keeps School
Form 2 for two years; RA 9470 requires an authority for disposing of public records, which is asked for and logged).
Then, on the first day of the following school year, everything that names a learner of that year is deleted: rosters,
stays, marks and their history, the daily record, registrations and personal links, and learners without any roster.
Kept are the totals of each class date, which reports use, and the audit log.

Sections are marked first, so that nothing of them is computed or shown any more; rows are deleted in small
transactions, the roster last. After an interruption the next run deletes the rest.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, delete, exists, false, func, or_, select, update

from portal.accounts.models import School, User
from portal.attendance.models import (
    AttendanceHistory,
    AttendanceRecord,
    AttendanceTally,
    DailyAttendance,
    ParticipantAlias,
    ParticipantMatch,
    ParticipantUpload,
    ZoomParticipant,
)
from portal.classes.models import (
    Enrolment,
    Learner,
    RosterImport,
    SchoolClass,
    Section,
    school_year_of,
    school_year_start,
)
from portal.core import audit_log, clock
from portal.core.audit_codes import AuditAction, AuditSubject
from portal.core.db import (
    Base,
    db,
    end_read_transaction,
    write_transaction,
)
from portal.meetings.models import MeetingOccurrence, ZoomInstance, ZoomMeeting
from portal.registration.join_links import JoinLink
from portal.registration.models import FormerRegistrant, MeetingRegistrant

MIN_YEARS, MAX_YEARS = 2, 10  # school years; also the range of the database's CHECK
BATCH_SIZE = 2000
SECTIONS_PER_BATCH = 200
LATE_EVIDENCE_WINDOW = timedelta(days=60)  # evidence that arrives after the deletion is deleted again for this long


@dataclass(frozen=True)
class RetentionYear:
    """A past school year of a school: its sections and sheets, and the retention of its attendance.

    `goes_on` is the day on which it is deleted, None while it is kept; `deleted_at` when it was.
    """

    school_year: str
    sections: int
    sheets: int
    goes_on: date | None
    deleted_at: datetime | None


def retention_end_of(school_year: str, years: int) -> date:
    """The first day on which a school year's attendance is no longer kept: "2023-2024", kept two years, is deleted on
    1 June 2026."""
    first_year = int(school_year[:4]) + 1 + years
    return school_year_start(f"{first_year}-{first_year + 1}")


def list_past_years(school: School, years: int | None) -> list[RetentionYear]:
    """The school's past years, newest first, with their retention if attendance is kept for `years`."""
    statement = (
        select(
            Section.school_year,
            func.count(Section.id.distinct()),
            func.count(AttendanceTally.occurrence_id),
            func.max(Section.attendance_deleted_at),
            func.count(Section.id.distinct()).filter(Section.attendance_deleted_at.is_(None)),
        )
        .outerjoin(SchoolClass, SchoolClass.section_id == Section.id)
        .outerjoin(ZoomMeeting, ZoomMeeting.class_id == SchoolClass.id)
        .outerjoin(MeetingOccurrence, MeetingOccurrence.meeting_id == ZoomMeeting.id)
        .outerjoin(AttendanceTally, AttendanceTally.occurrence_id == MeetingOccurrence.id)
        .where(Section.school_id == school.id, Section.school_year < school_year_of(clock.today()))
        .group_by(Section.school_year)
        .order_by(Section.school_year.desc())
    )
    return [
        RetentionYear(
            school_year=year,
            sections=sections,
            sheets=sheets,
            goes_on=retention_end_of(year, years) if years else None,
            deleted_at=None if kept_sections else deleted_at,
        )
        for year, sections, sheets, deleted_at, kept_sections in db.session.execute(statement)
    ]


def list_expired_years(school: School, years: int | None) -> list[RetentionYear]:
    """The years whose attendance would be deleted immediately if it were kept for `years`."""
    return [
        past_year
        for past_year in list_past_years(school, years)
        if past_year.goes_on and past_year.goes_on <= clock.today() and past_year.deleted_at is None
    ]


def set_retention_years(admin: User, school: School, years: int | None, *, authority: str) -> None:
    """Set the number of school years that attendance is kept after its own; None: indefinitely.

    Raises ValueError for a number not between MIN_YEARS and MAX_YEARS, and for a number without an authority.
    """
    if years is not None and not (MIN_YEARS <= years <= MAX_YEARS and authority.strip()):
        raise ValueError("no such time of keeping, or nobody allowed it")
    with write_transaction() as session:
        locked_school = session.scalar(select(School).where(School.id == school.id).with_for_update())
        if locked_school is None or locked_school.attendance_retention_years == years:
            return
        audit_log.record_action(
            AuditAction.SET_ATTENDANCE_RETENTION,
            AuditSubject.SCHOOL,
            school.id,
            by=admin.id,
            before=locked_school.attendance_retention_years,
            years=years,
            authority=authority.strip(),
        )
        locked_school.attendance_retention_years = years


def count_expired_attendance() -> dict[str, int]:
    """Dry run of the purge: the number of rows by school and year. Changes nothing."""
    counts: dict[str, int] = {}
    for school, year, sections in _group_by_school_and_year(or_(_expired_clause(), _unfinished_clause())):
        rows = sum(
            db.session.scalar(select(func.count()).select_from(table).where(condition)) or 0
            for table, _key, condition in _tables_to_delete(sections)
        )
        if rows:
            counts[_count_label(school, year)] = counts.get(_count_label(school, year), 0) + rows
    end_read_transaction()
    return counts


def purge_expired_attendance() -> dict[str, int]:
    """Delete expired attendance; returns the number of rows by school and year."""
    while _mark_batch_deleted():
        pass
    deleted_counts: dict[str, int] = {}
    for school, year, sections in _group_by_school_and_year(_unfinished_clause()):
        rows = sum(_delete_in_batches(*target) for target in _tables_to_delete(sections))
        if rows:
            deleted_counts[_count_label(school, year)] = deleted_counts.get(_count_label(school, year), 0) + rows
    return deleted_counts


def _group_by_school_and_year(condition: ColumnElement[bool]) -> list[tuple[str, str, ColumnElement[bool]]]:
    """School name, school year, and a condition on its sections of that year, for the sections that match."""
    rows = db.session.execute(
        select(School.id, School.name, Section.school_year)
        .join(Section, Section.school_id == School.id)
        .where(condition)
        .distinct()
        .order_by(School.name, Section.school_year, School.id)
    ).all()
    end_read_transaction()
    return [
        (name, year, and_(Section.school_id == school_id, Section.school_year == year))
        for school_id, name, year in rows
    ]


def _count_label(school: str, year: str) -> str:
    return f"rows of attendance of {school}, {year},"


def _expired_clause() -> ColumnElement[bool]:
    """Condition on Section: its attendance has expired and is not marked as deleted yet."""
    current_year = int(school_year_of(clock.today())[:4])
    clauses = [
        and_(
            Section.school_id.in_(select(School.id).where(School.attendance_retention_years == years).correlate(None)),
            Section.school_year <= f"{current_year - 1 - years}-{current_year - years}",
        )
        for years in range(MIN_YEARS, MAX_YEARS + 1)
    ]
    return and_(Section.attendance_deleted_at.is_(None), or_(false(), *clauses))


def _unfinished_clause() -> ColumnElement[bool]:
    """Condition on Section: marked as deleted, and rows may be left. The roster is deleted last."""
    return and_(
        Section.attendance_deleted_at.is_not(None),
        or_(
            Section.attendance_deleted_at > clock.now() - LATE_EVIDENCE_WINDOW,
            exists().where(Enrolment.section_id == Section.id),
        ),
    )


def _mark_batch_deleted() -> int:
    """Mark a batch of expired sections as deleted, which hides them; returns their number.

    In batches: all of a division's sections in one transaction would block the webhook's writes.
    """
    with write_transaction() as session:
        statement = (
            select(Section.id, Section.school_year)
            .where(_expired_clause())
            .order_by(Section.id)
            .limit(SECTIONS_PER_BATCH)
        )
        expired = session.execute(statement.with_for_update(of=Section)).all()
        session.execute(
            update(Section)
            .where(Section.id.in_([section_id for section_id, _ in expired]))
            .values(attendance_deleted_at=clock.now())
            .execution_options(synchronize_session=False)
        )
        for section_id, year in expired:
            audit_log.record_action(
                AuditAction.DELETED_ATTENDANCE, AuditSubject.SECTION, section_id, by=None, year=year
            )
    return len(expired)


def _tables_to_delete(sections_clause: ColumnElement[bool]) -> Iterator[tuple[Any, Any, ColumnElement[bool]]]:
    """Table, key and condition of all rows about the learners of sections, in an order valid for foreign keys."""
    section_ids = select(Section.id).where(
        sections_clause, or_(Section.attendance_deleted_at.is_not(None), _expired_clause())
    )
    class_ids = select(SchoolClass.id).where(SchoolClass.section_id.in_(section_ids))
    meeting_ids = select(ZoomMeeting.id).where(ZoomMeeting.class_id.in_(class_ids))
    occurrence_ids = select(MeetingOccurrence.id).where(MeetingOccurrence.meeting_id.in_(meeting_ids))
    instance_ids = select(ZoomInstance.id).where(ZoomInstance.meeting_id.in_(meeting_ids))
    participant_ids = select(ZoomParticipant.id).where(ZoomParticipant.instance_id.in_(instance_ids))
    yield ParticipantMatch, ParticipantMatch.id, ParticipantMatch.participant_id.in_(participant_ids)
    yield ZoomParticipant, ZoomParticipant.id, ZoomParticipant.instance_id.in_(instance_ids)
    yield AttendanceHistory, AttendanceHistory.id, AttendanceHistory.occurrence_id.in_(occurrence_ids)
    yield AttendanceRecord, AttendanceRecord.id, AttendanceRecord.occurrence_id.in_(occurrence_ids)
    yield ParticipantUpload, ParticipantUpload.id, ParticipantUpload.occurrence_id.in_(occurrence_ids)
    yield DailyAttendance, DailyAttendance.id, DailyAttendance.section_id.in_(section_ids)
    yield ParticipantAlias, ParticipantAlias.id, ParticipantAlias.class_id.in_(class_ids)
    yield MeetingRegistrant, MeetingRegistrant.id, MeetingRegistrant.meeting_id.in_(meeting_ids)
    yield FormerRegistrant, FormerRegistrant.id, FormerRegistrant.meeting_id.in_(meeting_ids)
    yield JoinLink, JoinLink.id, and_(JoinLink.class_id.in_(class_ids), JoinLink.learner_id.is_not(None))
    yield RosterImport, RosterImport.id, RosterImport.section_id.in_(section_ids)
    yield Enrolment, Enrolment.id, Enrolment.section_id.in_(section_ids)


def _delete_in_batches(table: Any, key: Any, condition: ColumnElement[bool]) -> int:
    deleted_count = 0
    while ids := list(db.session.scalars(select(key).where(condition).limit(BATCH_SIZE))):
        end_read_transaction()
        with write_transaction() as session:
            learner_ids: list[UUID] = []
            if table is Enrolment:
                learner_ids = list(session.scalars(select(Enrolment.learner_id).where(key.in_(ids)).distinct()))
            session.execute(delete(table).where(key.in_(ids)).execution_options(synchronize_session=False))
            if learner_ids:
                session.execute(
                    delete(Learner)
                    .where(Learner.id.in_(learner_ids), ~_is_referenced_clause())
                    .execution_options(synchronize_session=False)
                )
        deleted_count += len(ids)
    end_read_transaction()
    return deleted_count


def _is_referenced_clause() -> ColumnElement[bool]:
    """Condition on Learner: a row of another table refers to the learner, for example a later roster."""
    foreign_keys_to_learner = [
        column
        for table in Base.metadata.sorted_tables
        for column in table.columns
        if any(key.column.table.name == Learner.__tablename__ for key in column.foreign_keys)
    ]
    return or_(
        *(exists(select(1).where(column == Learner.id).correlate(Learner)) for column in foreign_keys_to_learner)
    )
