"""How long a school keeps attendance, and taking away what it keeps no longer.

A school keeps attendance until it says for how many school years (two at least: DepEd's list of records keeps School
Form 2 for two years; RA 9470 wants an authority for disposing of public records, which is asked for and logged). Then,
on the first day of the school year after, everything that names a learner of that year goes: rosters, stays, marks and
their history, the daily register, registrations and personal links, and learners who are on no roster any more. What
stays are the totals of each class date, on which reports rest, and the audit log.

Sections are marked first, so that nothing is computed or shown of them any more; the rows go in small transactions, the
roster last. Whatever is left after a kill goes the next time.
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

LEAST, MOST = 2, 10  # school years, as the database holds it
BATCH_SIZE = 2000
SECTIONS_PER_BATCH = 200
LATE_EVIDENCE_WINDOW = timedelta(days=60)  # stays that are told of a deleted year are taken away again for so long


@dataclass(frozen=True)
class RetentionYear:
    """A school year of a school that is over: sections and sheets, and what becomes of its attendance.

    `retention_end_of` is the day from which it is deleted, None while the school keeps it; `deleted_at` when it was.
    """

    school_year: str
    sections: int
    sheets: int
    goes_on: date | None
    deleted_at: datetime | None


def retention_end_of(school_year: str, years: int) -> date:
    """The first day on which attendance of a school year is not kept any more: "2023-2024", kept two years, goes on
    1 June 2026."""
    first = int(school_year[:4]) + 1 + years
    return school_year_start(f"{first}-{first + 1}")


def list_past_years(school: School, years: int | None) -> list[RetentionYear]:
    """The school's years that are over, newest first, as they fare if attendance is kept for `years`."""
    counted = (
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
            deleted_at=None if kept else deleted_at,
        )
        for year, sections, sheets, deleted_at, kept in db.session.execute(counted)
    ]


def list_expired_years(school: School, years: int | None) -> list[RetentionYear]:
    """The years whose attendance would go at once if the school kept it for `years`."""
    return [
        line
        for line in list_past_years(school, years)
        if line.goes_on and line.goes_on <= clock.today() and line.deleted_at is None
    ]


def set_retention_years(admin: User, school: School, years: int | None, *, authority: str) -> None:
    """The school keeps attendance for so many school years after its own; None: until it says otherwise.

    Raises ValueError for a number that is not between LEAST and MOST, and for years without an authority.
    """
    if years is not None and not (LEAST <= years <= MOST and authority.strip()):
        raise ValueError("no such time of keeping, or nobody allowed it")
    with write_transaction() as session:
        held = session.scalar(select(School).where(School.id == school.id).with_for_update())
        if held is None or held.attendance_retention_years == years:
            return
        audit_log.record_action(
            AuditAction.SET_ATTENDANCE_RETENTION,
            AuditSubject.SCHOOL,
            school.id,
            by=admin.id,
            before=held.attendance_retention_years,
            years=years,
            authority=authority.strip(),
        )
        held.attendance_retention_years = years


def count_expired_attendance() -> dict[str, int]:
    """What a purge would take away now: the number of rows by school and year. Changes nothing."""
    counts: dict[str, int] = {}
    for school, year, sections in _by_school_and_year(or_(_due(), _unfinished())):
        rows = sum(
            db.session.scalar(select(func.count()).select_from(table).where(condition)) or 0
            for table, _key, condition in _what_goes(sections)
        )
        if rows:
            counts[_said(school, year)] = counts.get(_said(school, year), 0) + rows
    end_read_transaction()
    return counts


def purge_expired_attendance() -> dict[str, int]:
    """Take away what is not kept any more; the number of rows by school and year."""
    while _mark():
        pass
    gone: dict[str, int] = {}
    for school, year, sections in _by_school_and_year(_unfinished()):
        rows = sum(_delete(*what) for what in _what_goes(sections))
        if rows:
            gone[_said(school, year)] = gone.get(_said(school, year), 0) + rows
    return gone


def _by_school_and_year(condition: ColumnElement[bool]) -> list[tuple[str, str, ColumnElement[bool]]]:
    """Name of the school, school year, and a condition on its sections of that year, for the sections `wanted`."""
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


def _said(school: str, year: str) -> str:
    return f"rows of attendance of {school}, {year},"


def _due() -> ColumnElement[bool]:
    """A condition on Section: its school keeps the attendance of that year no longer."""
    first = int(school_year_of(clock.today())[:4])
    schools = [
        and_(
            Section.school_id.in_(select(School.id).where(School.attendance_retention_years == years).correlate(None)),
            Section.school_year <= f"{first - 1 - years}-{first - years}",
        )
        for years in range(LEAST, MOST + 1)
    ]
    return and_(Section.attendance_deleted_at.is_(None), or_(false(), *schools))


def _unfinished() -> ColumnElement[bool]:
    """A condition on Section: marked, and something may be left of it. The roster goes last."""
    return and_(
        Section.attendance_deleted_at.is_not(None),
        or_(
            Section.attendance_deleted_at > clock.now() - LATE_EVIDENCE_WINDOW,
            exists().where(Enrolment.section_id == Section.id),
        ),
    )


def _mark() -> int:
    """From now on there is nothing to see of some sections whose time is over; how many.

    Not of all at once: a division's sections in one transaction would keep the webhook waiting.
    """
    with write_transaction() as session:
        statement = select(Section.id, Section.school_year).where(_due()).order_by(Section.id).limit(SECTIONS_PER_BATCH)
        due = session.execute(statement.with_for_update(of=Section)).all()
        session.execute(
            update(Section)
            .where(Section.id.in_([one for one, _ in due]))
            .values(attendance_deleted_at=clock.now())
            .execution_options(synchronize_session=False)
        )
        for section_id, year in due:
            audit_log.record_action(
                AuditAction.DELETED_ATTENDANCE, AuditSubject.SECTION, section_id, by=None, year=year
            )
    return len(due)


def _what_goes(of: ColumnElement[bool]) -> Iterator[tuple[Any, Any, ColumnElement[bool]]]:
    """Table, key and condition of everything about the learners of sections, in the order in which it can go."""
    sections = select(Section.id).where(of, or_(Section.attendance_deleted_at.is_not(None), _due()))
    classes = select(SchoolClass.id).where(SchoolClass.section_id.in_(sections))
    meetings = select(ZoomMeeting.id).where(ZoomMeeting.class_id.in_(classes))
    dates = select(MeetingOccurrence.id).where(MeetingOccurrence.meeting_id.in_(meetings))
    runs = select(ZoomInstance.id).where(ZoomInstance.meeting_id.in_(meetings))
    stays = select(ZoomParticipant.id).where(ZoomParticipant.instance_id.in_(runs))
    yield ParticipantMatch, ParticipantMatch.id, ParticipantMatch.participant_id.in_(stays)
    yield ZoomParticipant, ZoomParticipant.id, ZoomParticipant.instance_id.in_(runs)
    yield AttendanceHistory, AttendanceHistory.id, AttendanceHistory.occurrence_id.in_(dates)
    yield AttendanceRecord, AttendanceRecord.id, AttendanceRecord.occurrence_id.in_(dates)
    yield ParticipantUpload, ParticipantUpload.id, ParticipantUpload.occurrence_id.in_(dates)
    yield DailyAttendance, DailyAttendance.id, DailyAttendance.section_id.in_(sections)
    yield ParticipantAlias, ParticipantAlias.id, ParticipantAlias.class_id.in_(classes)
    yield MeetingRegistrant, MeetingRegistrant.id, MeetingRegistrant.meeting_id.in_(meetings)
    yield FormerRegistrant, FormerRegistrant.id, FormerRegistrant.meeting_id.in_(meetings)
    yield JoinLink, JoinLink.id, and_(JoinLink.class_id.in_(classes), JoinLink.learner_id.is_not(None))
    yield RosterImport, RosterImport.id, RosterImport.section_id.in_(sections)
    yield Enrolment, Enrolment.id, Enrolment.section_id.in_(sections)


def _delete(table: Any, key: Any, condition: ColumnElement[bool]) -> int:
    done = 0
    while ids := list(db.session.scalars(select(key).where(condition).limit(BATCH_SIZE))):
        end_read_transaction()
        with write_transaction() as session:
            learners: list[UUID] = []
            if table is Enrolment:
                learners = list(session.scalars(select(Enrolment.learner_id).where(key.in_(ids)).distinct()))
            session.execute(delete(table).where(key.in_(ids)).execution_options(synchronize_session=False))
            if learners:
                session.execute(
                    delete(Learner)
                    .where(Learner.id.in_(learners), ~_is_known_elsewhere())
                    .execution_options(synchronize_session=False)
                )
        done += len(ids)
    end_read_transaction()
    return done


def _is_known_elsewhere() -> ColumnElement[bool]:
    """A condition on Learner: some row of another table is about the learner, on a later roster for one."""
    pointing = [
        column
        for table in Base.metadata.sorted_tables
        for column in table.columns
        if any(key.column.table.name == Learner.__tablename__ for key in column.foreign_keys)
    ]
    return or_(*(exists(select(1).where(column == Learner.id).correlate(Learner)) for column in pointing))
