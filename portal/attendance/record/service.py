"""The daily register of a section: who was present on which day, for School Form 2.

A day follows from the sheets of the section's classes, by the section's rule: present is who was in any of them, in
the first, or in half of them. The adviser corrects it with a reason, or records a day on which no class was at Zoom;
what the adviser said stays, whatever the sheets say later or the rule becomes.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, case, func, or_, select

from portal.accounts.models import User
from portal.attendance.models import AttendanceRecord, AttendanceSheet, DailyAttendance
from portal.attendance.sheet.tally import mark_column as sheet_mark
from portal.classes.models import Enrolment, Learner, SchoolClass, Section
from portal.classes.queries import lis_order
from portal.core import audit_log, clock
from portal.core.audit_codes import AuditAction, AuditSubject
from portal.core.db import db, write_transaction
from portal.meetings.models import MeetingOccurrence, ZoomMeeting

OVER_STATES = ("provisional", "reconciled", "unreported")
PRESENT, ABSENT, UNKNOWN = "present", "absent", "unknown"
TARDY_KINDS = ("", "late", "cutting", "both")
DAY_RULES = ("any", "first", "half")
ATTENDED_MARKS = ("present", "partial")


@dataclass(frozen=True)
class RecordEntry:
    """A learner's day. `by_hand`: the adviser said so, for `reason`; `sheets` is what the classes say."""

    status: str
    tardy: str
    by_hand: bool
    reason: str
    sheets: str | None


@dataclass(frozen=True)
class DailyRecord:
    """Some days of a section. `days` are those of which anything is known."""

    entries: Mapping[tuple[UUID, date], RecordEntry]
    days: frozenset[date]


@dataclass(frozen=True)
class RecordChange:
    learner_id: UUID
    status: str
    tardy: str


class ReasonMissing(ValueError):
    """The adviser says something else than the sheets, or than they did before, and not why."""


class FutureDay(ValueError):
    """The day has not come yet."""


@dataclass(frozen=True)
class ClassesOfDay:
    """What the sheets say of a learner's day: of how many classes, in how many they were, from how many they
    were absent; the mark of the day's first class, None if they have none; late in the first, early from the last."""

    held: int
    came: int
    absent: int
    first: str | None
    late: bool = False
    early: bool = False


def load_daily_record(section_id: UUID, first: date, last: date) -> DailyRecord:
    """The register from the first to the last day, in three statements."""
    rule = db.session.scalar(select(Section.day_attendance_rule).where(Section.id == section_id)) or "any"
    held = (
        select(
            MeetingOccurrence.id,
            MeetingOccurrence.local_date,
            _nth(MeetingOccurrence.starts_at.asc()).label("nth"),
            _nth(MeetingOccurrence.starts_at.desc()).label("nth_last"),
        )
        .join(AttendanceSheet, AttendanceSheet.occurrence_id == MeetingOccurrence.id)
        .join(ZoomMeeting, ZoomMeeting.id == MeetingOccurrence.meeting_id)
        .join(SchoolClass, SchoolClass.id == ZoomMeeting.class_id)
        .where(
            SchoolClass.section_id == section_id,
            MeetingOccurrence.local_date.between(first, last),
            AttendanceSheet.state.in_(OVER_STATES),
            AttendanceSheet.counts_in_reports,
        )
        .cte("held")
    )
    is_first, is_last = held.c.nth == 1, held.c.nth_last == 1
    rows = db.session.execute(
        select(
            AttendanceRecord.learner_id,
            held.c.local_date,
            func.count(),
            func.sum(case((sheet_mark.in_(ATTENDED_MARKS), 1), else_=0)),
            func.sum(case((sheet_mark == ABSENT, 1), else_=0)),
            func.max(case((is_first, sheet_mark))),
            func.max(case((is_first & AttendanceRecord.is_late, 1), else_=0)),
            func.max(case((is_last & AttendanceRecord.left_early, 1), else_=0)),
        )
        .join(held, held.c.id == AttendanceRecord.occurrence_id)
        .group_by(AttendanceRecord.learner_id, held.c.local_date)
    )
    entries = {
        (learner_id, day): day_status_from_marks(ClassesOfDay(n, came, absent, mark, bool(late), bool(early)), rule)
        for learner_id, day, n, came, absent, mark, late, early in rows
    }
    for row in _rows(section_id, first, last):
        key = (row.learner_id, row.day)
        entry = entries.get(key)
        entries[key] = RecordEntry(row.mark, row.tardy, True, row.reason or "", entry.status if entry else None)
    return DailyRecord(entries, frozenset(day for _, day in entries))


def _rows(section_id: UUID, first: date, last: date) -> Iterable[DailyAttendance]:
    return db.session.scalars(
        select(DailyAttendance)
        .where(DailyAttendance.section_id == section_id, DailyAttendance.day.between(first, last))
        .execution_options(populate_existing=True)
    )


def _nth(order: ColumnElement[Any]) -> ColumnElement[int]:
    """Which class of its day one is, in this order."""
    return func.row_number().over(partition_by=MeetingOccurrence.local_date, order_by=(order, MeetingOccurrence.id))


def day_status_from_marks(day: ClassesOfDay, rule: str) -> RecordEntry:
    """The day by the rule; unknown where the classes that nobody knows of would decide.

    Late is who was late in the first class of the day, an early leaver who went early from the last; by the rule
    "first" the others are not asked.
    """
    if rule == "first":
        came = day.first in ATTENDED_MARKS
        absent = day.first == ABSENT
        early = day.early and day.held == 1
    else:
        needed = (day.held + 1) // 2 if rule == "half" else 1
        came = day.came >= needed
        absent = day.held - day.absent < needed
        early = day.early
    if came:
        tardy = "both" if day.late and early else "late" if day.late else "cutting" if early else ""
        return RecordEntry(PRESENT, tardy, False, "", PRESENT)
    status = ABSENT if absent else UNKNOWN
    return RecordEntry(status, "", False, "", status)


def learners_enrolled_on(section_id: UUID, day: date) -> list[Learner]:
    """The roster of that day, in the order of the form."""
    return list(
        db.session.scalars(
            select(Learner)
            .join(Enrolment, Enrolment.learner_id == Learner.id)
            .where(
                Enrolment.section_id == section_id,
                Enrolment.from_date <= day,
                or_(Enrolment.until_date.is_(None), Enrolment.until_date >= day),
            )
            .order_by(*lis_order)
        )
    )


def save_daily_record(user: User, section: Section, day: date, changes: list[RecordChange], reason: str) -> int:
    """Record what the adviser says of a day; what agrees with the register already is left as it is.

    Of a day of which nothing was known everybody is written down. Returns how many lines were written. Raises
    DayToCome, ReasonMissing; ValueError for a mark that cannot be set. Learners of another roster are left out.
    """
    reason = " ".join(reason.split())[:200]
    if day > clock.today():
        raise FutureDay
    with write_transaction() as session:
        session.get(Section, section.id, with_for_update=True)
        daily_record = load_daily_record(section.id, day, day)
        here = {learner.id for learner in learners_enrolled_on(section.id, day)}
        rows = {row.learner_id: row for row in _rows(section.id, day, day)}
        written = 0
        for change in changes:
            if change.status not in (PRESENT, ABSENT) or change.tardy not in TARDY_KINDS:
                raise ValueError("no such mark")
            tardy = change.tardy if change.status == PRESENT else ""
            before = daily_record.entries.get((change.learner_id, day))
            same = before is not None and (before.status, before.tardy) == (change.status, tardy)
            if change.learner_id not in here or same:
                continue
            if before is not None and not reason:
                raise ReasonMissing
            row = rows.get(change.learner_id)
            if row is None:
                row = DailyAttendance(id=uuid4(), section_id=section.id, learner_id=change.learner_id, day=day)
                session.add(row)
            row.mark, row.tardy, row.reason = change.status, tardy, reason or None
            row.set_by, row.set_at = user.id, clock.now()
            written += 1
        if written:
            audit_log.record_action(
                AuditAction.RECORDED_DAY, AuditSubject.SECTION, section.id, by=user.id, section_id=section.id,
                day=day.isoformat(), learners=written,
            )  # fmt: skip
    return written


def set_sf2_options(
    user: User, section: Section, *, cut_off: date, day_rule: str, school_head: str | None, kind: str, paper: str
) -> None:
    """What School Form 2 of a section goes by: the day whose enrolment it compares with, which classes make a day,
    who signs as school head (None: the school's admin), which of the forms, on which paper."""
    if day_rule not in DAY_RULES:
        raise ValueError("no such rule")
    with write_transaction() as session:
        mine = session.get_one(Section, section.id)
        mine.sf2_cutoff_date, mine.day_attendance_rule, mine.school_head = cut_off, day_rule, school_head
        mine.sf2_form, mine.sf2_paper = kind, paper
        audit_log.record_action(
            AuditAction.SET_SF2_OPTIONS, AuditSubject.SECTION, section.id, by=user.id, section_id=section.id,
            cut_off=cut_off.isoformat(), day_rule=day_rule, kind=kind, paper=paper,
        )  # fmt: skip
