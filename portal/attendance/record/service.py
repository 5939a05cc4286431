"""The daily record of a section: who was present on which day, for School Form 2.

A day is derived from the sheets of the section's classes by the section's rule: present in any of them, in the
first, or in half of them. The adviser overrides it with a reason, or records a day without class at Zoom; an
override stays, even if sheets or rule change later.
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
    """A learner's day. `by_hand`: recorded by the adviser, for `reason`; `sheets`: the status by the sheets."""

    status: str
    tardy: str
    by_hand: bool
    reason: str
    sheets: str | None


@dataclass(frozen=True)
class DailyRecord:
    """Some days of a section. `days` are those with any data."""

    entries: Mapping[tuple[UUID, date], RecordEntry]
    days: frozenset[date]


@dataclass(frozen=True)
class RecordChange:
    learner_id: UUID
    status: str
    tardy: str


class ReasonMissing(ValueError):
    """A change of the derived or of the recorded status needs a reason."""


class FutureDay(ValueError):
    """The day is in the future."""


@dataclass(frozen=True)
class ClassesOfDay:
    """A learner's day by its sheets: number of classes, attended ones and absences; the mark in the day's first class,
    None if they have none; late in the first, left early from the last."""

    held: int
    came: int
    absent: int
    first: str | None
    late: bool = False
    early: bool = False


def load_daily_record(section_id: UUID, first: date, last: date) -> DailyRecord:
    """The daily record from the first to the last day, in three statements."""
    rule = db.session.scalar(select(Section.day_attendance_rule).where(Section.id == section_id)) or "any"
    class_dates = (
        select(
            MeetingOccurrence.id,
            MeetingOccurrence.local_date,
            _row_number(MeetingOccurrence.starts_at.asc()).label("nth"),
            _row_number(MeetingOccurrence.starts_at.desc()).label("nth_last"),
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
    is_first, is_last = class_dates.c.nth == 1, class_dates.c.nth_last == 1
    rows = db.session.execute(
        select(
            AttendanceRecord.learner_id,
            class_dates.c.local_date,
            func.count(),
            func.sum(case((sheet_mark.in_(ATTENDED_MARKS), 1), else_=0)),
            func.sum(case((sheet_mark == ABSENT, 1), else_=0)),
            func.max(case((is_first, sheet_mark))),
            func.max(case((is_first & AttendanceRecord.is_late, 1), else_=0)),
            func.max(case((is_last & AttendanceRecord.left_early, 1), else_=0)),
        )
        .join(class_dates, class_dates.c.id == AttendanceRecord.occurrence_id)
        .group_by(AttendanceRecord.learner_id, class_dates.c.local_date)
    )
    entries = {
        (learner_id, day): day_status_from_marks(
            ClassesOfDay(count, attended, absent, mark, bool(late), bool(early)), rule
        )
        for learner_id, day, count, attended, absent, mark, late, early in rows
    }
    for row in _load_overrides(section_id, first, last):
        key = (row.learner_id, row.day)
        entry = entries.get(key)
        entries[key] = RecordEntry(row.mark, row.tardy, True, row.reason or "", entry.status if entry else None)
    return DailyRecord(entries, frozenset(day for _, day in entries))


def _load_overrides(section_id: UUID, first: date, last: date) -> Iterable[DailyAttendance]:
    return db.session.scalars(
        select(DailyAttendance)
        .where(DailyAttendance.section_id == section_id, DailyAttendance.day.between(first, last))
        .execution_options(populate_existing=True)
    )


def _row_number(order: ColumnElement[Any]) -> ColumnElement[int]:
    """The ordinal of a class within its day, in this order."""
    return func.row_number().over(partition_by=MeetingOccurrence.local_date, order_by=(order, MeetingOccurrence.id))


def day_status_from_marks(day: ClassesOfDay, rule: str) -> RecordEntry:
    """The day's status by the rule; unknown where classes without a known mark would decide.

    Late is who was late in the day's first class, cutting who left the last one early; the rule "first" uses the first
    class only.
    """
    if rule == "first":
        is_present = day.first in ATTENDED_MARKS
        is_absent = day.first == ABSENT
        is_early = day.early and day.held == 1
    else:
        needed = (day.held + 1) // 2 if rule == "half" else 1
        is_present = day.came >= needed
        is_absent = day.held - day.absent < needed
        is_early = day.early
    if is_present:
        tardy = "both" if day.late and is_early else "late" if day.late else "cutting" if is_early else ""
        return RecordEntry(PRESENT, tardy, False, "", PRESENT)
    status = ABSENT if is_absent else UNKNOWN
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
    """Save the adviser's changes of a day; those equal to the present record are skipped.

    On a day without data every change is written. Returns the number of written rows. Raises FutureDay,
    ReasonMissing, and ValueError for an invalid mark. Learners who are not on that day's roster are skipped.
    """
    reason = " ".join(reason.split())[:200]
    if day > clock.today():
        raise FutureDay
    with write_transaction() as session:
        session.get(Section, section.id, with_for_update=True)
        daily_record = load_daily_record(section.id, day, day)
        enrolled_ids = {learner.id for learner in learners_enrolled_on(section.id, day)}
        rows = {row.learner_id: row for row in _load_overrides(section.id, day, day)}
        written_count = 0
        for change in changes:
            if change.status not in (PRESENT, ABSENT) or change.tardy not in TARDY_KINDS:
                raise ValueError("no such mark")
            tardy = change.tardy if change.status == PRESENT else ""
            entry = daily_record.entries.get((change.learner_id, day))
            is_unchanged = entry is not None and (entry.status, entry.tardy) == (change.status, tardy)
            if change.learner_id not in enrolled_ids or is_unchanged:
                continue
            if entry is not None and not reason:
                raise ReasonMissing
            row = rows.get(change.learner_id)
            if row is None:
                row = DailyAttendance(id=uuid4(), section_id=section.id, learner_id=change.learner_id, day=day)
                session.add(row)
            row.mark, row.tardy, row.reason = change.status, tardy, reason or None
            row.set_by, row.set_at = user.id, clock.now()
            written_count += 1
        if written_count:
            audit_log.record_action(
                AuditAction.RECORDED_DAY, AuditSubject.SECTION, section.id, by=user.id, section_id=section.id,
                day=day.isoformat(), learners=written_count,
            )  # fmt: skip
    return written_count


def set_sf2_options(
    user: User, section: Section, *, cut_off: date, day_rule: str, school_head: str | None, kind: str, paper: str
) -> None:
    """Set a section's options for School Form 2: the cut-off date of the enrolment, the rule of a day's attendance, the
    school head who signs (None: the school's admin), the kind of form and the paper."""
    if day_rule not in DAY_RULES:
        raise ValueError("no such rule")
    with write_transaction() as session:
        locked_section = session.get_one(Section, section.id)
        locked_section.sf2_cutoff_date, locked_section.day_attendance_rule, locked_section.school_head = (
            cut_off,
            day_rule,
            school_head,
        )
        locked_section.sf2_form, locked_section.sf2_paper = kind, paper
        audit_log.record_action(
            AuditAction.SET_SF2_OPTIONS, AuditSubject.SECTION, section.id, by=user.id, section_id=section.id,
            cut_off=cut_off.isoformat(), day_rule=day_rule, kind=kind, paper=paper,
        )  # fmt: skip
