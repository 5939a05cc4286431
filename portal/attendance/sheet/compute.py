"""Computes the sheet of one class date and writes its records."""

from datetime import timedelta
from uuid import UUID, uuid4

from sqlalchemy import insert, select
from sqlalchemy.orm import joinedload

from portal.attendance.calculation.marks import LearnerResult, SheetResult, compute_sheet
from portal.attendance.codes import Mark, SheetEvent, SheetState
from portal.attendance.models import AttendanceHistory, AttendanceRecord, AttendanceSheet
from portal.attendance.sheet import tally
from portal.attendance.sheet.evidence_loader import SheetEvidence, load_sheet_evidence
from portal.classes.models import SchoolClass, Section
from portal.core import clock
from portal.core.db import db, write_transaction
from portal.core.settings import current_settings
from portal.meetings.codes import OccurrenceState
from portal.meetings.models import MeetingOccurrence, ZoomMeeting


def recompute_sheet(occurrence_id: UUID) -> SheetResult | None:
    """Compute one sheet and write its records, holding the lock of the sheet's row. Unchanged evidence writes no
    row."""
    with write_transaction() as session:
        sheet = session.get(AttendanceSheet, occurrence_id, with_for_update=True, populate_existing=True)
        occurrence = session.scalar(
            select(MeetingOccurrence)
            .where(MeetingOccurrence.id == occurrence_id)
            .options(joinedload(MeetingOccurrence.meeting))
            .execution_options(populate_existing=True)
        )
        if sheet is None or occurrence is None:
            return None
        loaded = load_sheet_evidence(occurrence, occurrence.meeting)
        if loaded.deleted:  # only its totals are left, and they must not be overwritten
            sheet.needs_recompute, sheet.reconcile_at = False, None
            return None
        result = compute_sheet(loaded.input)
        _write_records(occurrence, loaded, result)
        tally.write_sheet_tally(occurrence.id, meeting_seconds=result.meeting_seconds)
        completeness = loaded.input.knowledge
        sheet.needs_recompute, sheet.computed_at, sheet.has_delivery_gap = (
            False,
            clock.now(),
            completeness.has_delivery_gap,
        )
        sheet.state, sheet.unmatched_count = sheet_state_of(occurrence, loaded), len(result.unmatched)
        if completeness.is_over and occurrence.state == OccurrenceState.STARTED:
            occurrence.state = OccurrenceState.ENDED  # its end was never reported_ids
        _schedule_report(sheet, occurrence, loaded)
        return result


def is_attendance_deleted(meeting: ZoomMeeting) -> bool:
    """True if retention deleted the attendance of the school year of the meeting's class."""
    gone = (
        select(Section.attendance_deleted_at)
        .join(SchoolClass, SchoolClass.section_id == Section.id)
        .where(SchoolClass.id == meeting.class_id)
    )
    return db.session.scalar(gone) is not None


def report_delays_after() -> tuple[timedelta, ...]:
    """Delays after the end of a class for the first, second ... request of Zoom's report."""
    settings = current_settings()
    return tuple(timedelta(minutes=minutes) for minutes in settings.reconcile_minutes)


def _schedule_report(sheet: AttendanceSheet, occurrence: MeetingOccurrence, loaded: SheetEvidence) -> None:
    """Set the time of the first request of Zoom's report; anew if further instances ran since it was received."""
    if not loaded.input.knowledge.is_over or sheet.reconcile_at is not None:
        return
    if sheet.reconciled_at and not loaded.reported:
        sheet.reconciled_at, sheet.report_digest, sheet.reconcile_attempts = None, None, 0
    if sheet.reconcile_attempts == 0 and sheet.reconciled_at is None:
        sheet.reconcile_at = (loaded.ended_at or occurrence.ends_at) + report_delays_after()[0]


def sheet_state_of(occurrence: MeetingOccurrence, loaded: SheetEvidence) -> SheetState:
    """The state: live, then provisional (report awaited), then reconciled or unreported."""
    if not loaded.input.knowledge.is_over:
        return SheetState.LIVE if occurrence.state == OccurrenceState.STARTED else SheetState.NOT_STARTED
    if loaded.reported:
        return SheetState.RECONCILED
    given_up = loaded.sheet and loaded.sheet.state == SheetState.UNREPORTED
    return SheetState.UNREPORTED if given_up else SheetState.PROVISIONAL


def _write_records(occurrence: MeetingOccurrence, loaded: SheetEvidence, result: SheetResult) -> None:
    session = db.session
    records = {
        record.learner_id: record
        for record in session.scalars(select(AttendanceRecord).where(AttendanceRecord.occurrence_id == occurrence.id))
    }
    final = bool(loaded.sheet and loaded.sheet.finalised_at)
    for computed in result.learners:
        learner_id = UUID(computed.learner_id)
        record = records.pop(learner_id, None)
        if record is None:
            record = AttendanceRecord(id=uuid4(), occurrence_id=occurrence.id, learner_id=learner_id)
            record.computed_mark = Mark.PENDING
            session.add(record)
        if _has_changed(record, computed) and final and loaded.sheet:
            loaded.sheet.evidence_changed = True
        _add_history_entry(occurrence.id, record, computed)
        _update_record(record, computed)
    for record in records.values():  # no longer on the roster of that day
        if record.override_mark is None and record.final_mark is None:
            session.delete(record)


def _has_changed(record: AttendanceRecord, computed: LearnerResult) -> bool:
    return record.computed_mark != computed.mark or record.seconds != computed.seconds


def _add_history_entry(occurrence_id: UUID, record: AttendanceRecord, computed: LearnerResult) -> None:
    if record.computed_mark in (Mark.PENDING, computed.mark):
        return
    db.session.execute(
        insert(AttendanceHistory).values(
            occurrence_id=occurrence_id,
            learner_id=record.learner_id,
            occurred_at=clock.now(),
            event=SheetEvent.COMPUTED,
            from_mark=record.computed_mark,
            to_mark=computed.mark,
        )
    )


def _update_record(record: AttendanceRecord, computed: LearnerResult) -> None:
    values = {
        "computed_mark": computed.mark,
        "seconds": computed.seconds,
        "first_join_at": computed.first_join,
        "last_leave_at": computed.last_leave,
        "stay_count": computed.stay_count,
        "matched_by": list(computed.matched_by),
        "flags": list(computed.flags),
        "is_in_meeting": computed.is_in_meeting,
        "is_late": computed.is_late,
        "left_early": computed.left_early,
    }
    for name, value in values.items():
        if getattr(record, name) != value:
            setattr(record, name, value)
