"""Attendance of one learner over a school year: counts of marks, and the latest dates with their sheets."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select

from portal.accounts.models import User
from portal.attendance.codes import Mark
from portal.attendance.models import AttendanceRecord, AttendanceSheet
from portal.classes.access import visible_classes_clause
from portal.classes.models import SchoolClass, Section
from portal.core.db import db
from portal.meetings.models import MeetingOccurrence, ZoomMeeting
from portal.reports.queries import is_held_clause

OCCURRENCES_SHOWN = 10


@dataclass(frozen=True)
class AttendedOccurrence:
    """The learner's record on one sheet."""

    occurrence_id: UUID
    starts_at: datetime
    subject: str
    mark: str
    by_hand: bool
    seconds: int


@dataclass(frozen=True)
class LearnerAttendance:
    """A learner's school year in the classes that a user sees: counts over the held dates that count in reports, and
    the latest of them, newest first. Pending marks are not counted."""

    present: int
    partial: int
    absent: int
    needs_review: int
    last: tuple[AttendedOccurrence, ...]

    @property
    def total(self) -> int:
        return self.present + self.partial + self.absent + self.needs_review


def load_learner_attendance(user: User, learner_id: UUID, school_year: str) -> LearnerAttendance:
    """A learner's marks of the year on the sheets that `user` may open; two statements."""
    mark = func.coalesce(AttendanceRecord.final_mark, AttendanceRecord.override_mark, AttendanceRecord.computed_mark)
    rows = (
        select(AttendanceRecord)
        .join(MeetingOccurrence, MeetingOccurrence.id == AttendanceRecord.occurrence_id)
        .join(AttendanceSheet, AttendanceSheet.occurrence_id == MeetingOccurrence.id)
        .join(ZoomMeeting, ZoomMeeting.id == MeetingOccurrence.meeting_id)
        .join(SchoolClass, SchoolClass.id == ZoomMeeting.class_id)
        .join(Section, Section.id == SchoolClass.section_id)
        .where(
            AttendanceRecord.learner_id == learner_id,
            Section.school_year == school_year,
            is_held_clause,
            mark != "pending",
            visible_classes_clause(user),
        )
    )
    counts: dict[str, int] = {}
    for mark_code, mark_count in db.session.execute(rows.with_only_columns(mark, func.count()).group_by(mark)):
        counts[mark_code] = mark_count
    latest = db.session.execute(
        rows.with_only_columns(
            MeetingOccurrence.id,
            MeetingOccurrence.starts_at,
            SchoolClass.subject,
            mark,
            AttendanceRecord.override_mark.is_not(None),
            AttendanceRecord.seconds,
        )
        .order_by(MeetingOccurrence.starts_at.desc(), MeetingOccurrence.id)
        .limit(OCCURRENCES_SHOWN)
    )
    return LearnerAttendance(
        present=counts.get("present", 0),
        partial=counts.get("partial", 0),
        absent=counts.get("absent", 0),
        needs_review=counts.get(Mark.NEEDS_REVIEW, 0),
        last=tuple(AttendedOccurrence(*row) for row in latest),
    )
