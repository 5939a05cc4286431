"""Marks sheets for recomputation where no event does: after changes of the roster, and when events are missing."""

from datetime import datetime, timedelta

from sqlalchemy import and_, exists, or_, select, update

from portal.attendance.codes import SheetState
from portal.attendance.models import AttendanceRecord, AttendanceSheet
from portal.attendance.sheet.completeness import OVERDUE_AFTER
from portal.classes.models import Enrolment, SchoolClass, Section
from portal.core.db import db, end_read_transaction, write_transaction
from portal.meetings.codes import OccurrenceState
from portal.meetings.models import MeetingOccurrence, ZoomMeeting

ROSTER_CHANGE_LOOKBACK = timedelta(days=31)  # rosters are corrected within the month; reports are written later


def mark_roster_changed_sheets(now: datetime) -> int:
    """Mark sheets whose records differ from the roster of their day, because somebody was enrolled or withdrawn with an
    earlier date. Pages load the roster itself; reports read the records. Returns the number of sheets."""
    day = MeetingOccurrence.local_date
    was_enrolled = and_(Enrolment.from_date <= day, or_(Enrolment.until_date.is_(None), Enrolment.until_date >= day))
    has_record = exists().where(
        AttendanceRecord.occurrence_id == AttendanceSheet.occurrence_id,
        AttendanceRecord.learner_id == Enrolment.learner_id,
    )
    is_enrolled = exists().where(
        Enrolment.learner_id == AttendanceRecord.learner_id,
        Enrolment.section_id == SchoolClass.section_id,
        was_enrolled,
    )
    computed = (
        select(AttendanceSheet.occurrence_id)
        .join(MeetingOccurrence, MeetingOccurrence.id == AttendanceSheet.occurrence_id)
        .join(ZoomMeeting, ZoomMeeting.id == MeetingOccurrence.meeting_id)
        .join(SchoolClass, SchoolClass.id == ZoomMeeting.class_id)
        .where(
            AttendanceSheet.computed_at.is_not(None),
            AttendanceSheet.needs_recompute.is_(False),
            MeetingOccurrence.starts_at > now - ROSTER_CHANGE_LOOKBACK,
        )
    )
    missing = computed.join(Enrolment, Enrolment.section_id == SchoolClass.section_id).where(was_enrolled, ~has_record)
    too_many = computed.join(AttendanceRecord, AttendanceRecord.occurrence_id == AttendanceSheet.occurrence_id).where(
        AttendanceRecord.override_mark.is_(None), AttendanceRecord.final_mark.is_(None), ~is_enrolled
    )
    found = set(db.session.scalars(missing)) | set(db.session.scalars(too_many))
    end_read_transaction()
    if found:
        with write_transaction() as session:
            session.execute(
                update(AttendanceSheet).where(AttendanceSheet.occurrence_id.in_(found)).values(needs_recompute=True)
            )
    return len(found)


def mark_overdue_sheets(now: datetime) -> int:
    """Mark sheets of classes past their end whose end event, or any event, is missing: they are computed once more, as
    over, and their report is requested. Returns the number of sheets."""
    unheard = and_(
        AttendanceSheet.state == SheetState.NOT_STARTED,
        AttendanceSheet.reconcile_at.is_(None),
        AttendanceSheet.reconcile_attempts == 0,
        MeetingOccurrence.state == OccurrenceState.SCHEDULED,
        MeetingOccurrence.is_scheduled,
        ZoomMeeting.zoom_id.is_not(None),
    )
    with write_transaction() as session:
        rows = session.execute(
            select(AttendanceSheet, MeetingOccurrence)
            .join(MeetingOccurrence, MeetingOccurrence.id == AttendanceSheet.occurrence_id)
            .join(ZoomMeeting, ZoomMeeting.id == MeetingOccurrence.meeting_id)
            .outerjoin(SchoolClass, SchoolClass.id == ZoomMeeting.class_id)
            .outerjoin(Section, Section.id == SchoolClass.section_id)
            .where(
                or_(AttendanceSheet.state == SheetState.LIVE, unheard),
                Section.attendance_deleted_at.is_(None),  # of a deleted year nothing is computed any more
                AttendanceSheet.needs_recompute.is_(False),
                MeetingOccurrence.starts_at < now - OVERDUE_AFTER,
            )
        ).all()
        overdue = [sheet for sheet, occurrence in rows if now >= occurrence.ends_at + OVERDUE_AFTER]
        for sheet in overdue:
            sheet.needs_recompute = True
    return len(overdue)
