"""Data completeness of one class date: what is known of its end, and which parts of its evidence may be missing."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from portal.attendance.calculation import stays
from portal.attendance.calculation.marks import DataCompleteness
from portal.attendance.codes import ReportError
from portal.attendance.evidence.events import CSV_UUID, is_instance_running
from portal.attendance.models import AttendanceSheet
from portal.core import clock
from portal.meetings.codes import OccurrenceState
from portal.meetings.models import MeetingOccurrence, ZoomInstance, ZoomMeeting
from portal.webhooks.outages import had_delivery_gap

OVERDUE_AFTER = timedelta(minutes=30)  # after the planned end a class counts as over, even without its end event


@dataclass
class EvidenceRows:
    """The loaded rows of one class date.

    `links` are the manual matches: id of the row, the learner or None, staff or not. `section` is its title and its
    minutes of grace. `signer` is the name of who finalised the sheet.
    """

    sheet: AttendanceSheet | None
    instances: list[ZoomInstance]
    rows: list[stays.SourceRow]
    links: list[tuple[str, str | None, bool | None]]
    section: tuple[str, int | None]
    signer: str | None
    deleted: bool  # retention deleted the attendance of that school year


def is_uploaded_file(instance: ZoomInstance) -> bool:
    return instance.uuid.startswith(CSV_UUID)


def is_file_without_times(instance: ZoomInstance) -> bool:
    """An uploaded file with durations only: the instance's own times are not known from it."""
    return is_uploaded_file(instance) and instance.started_at is None


def assess_data_completeness(
    occurrence: MeetingOccurrence,
    meeting: ZoomMeeting,
    evidence_rows: EvidenceRows,
    reported_ids: set[UUID],
    *,
    has_marks: bool,
) -> DataCompleteness:
    """Whether the class is over, and whether its data is complete.

    Complete: for each instance, a report or file covers it (`reported_ids`), or its start and end events were received
    without a delivery gap in between. Without any instance the data is never complete: once the class is past, its
    marks need review. They stay pending if Zoom says that nobody opened the meeting, and no teacher has set a mark
    (`has_marks`).
    """
    real = [row for row in evidence_rows.instances if not is_uploaded_file(row)]
    ended = bool(evidence_rows.instances) and not is_instance_running((row.started_at, row.ended_at) for row in real)
    past = clock.now() >= occurrence.ends_at + OVERDUE_AFTER
    over = ended or (
        past
        and (
            bool(evidence_rows.instances) or _may_have_taken_place(occurrence, meeting, evidence_rows.sheet, has_marks)
        )
    )
    unreported = [row for row in real if row.id not in reported_ids]
    if (
        not over
        or not evidence_rows.instances
        or not all(row.started_event_received and row.ended_event_received for row in unreported)
    ):
        return DataCompleteness(is_over=over, is_complete=False, has_delivery_gap=False)
    gap = bool(unreported) and _had_delivery_gap(occurrence, meeting, unreported)
    return DataCompleteness(is_over=over, is_complete=not gap, has_delivery_gap=gap)


NO_INSTANCE_REPORTED = ReportError.NO_INSTANCE  # Zoom says that nobody opened the meeting


def _may_have_taken_place(
    occurrence: MeetingOccurrence, meeting: ZoomMeeting, sheet: AttendanceSheet | None, has_marks: bool
) -> bool:
    """True for a class without instances that a teacher has marked, or that was scheduled at Zoom, unless Zoom's report
    says that nobody opened it."""
    if has_marks:
        return True
    if meeting.zoom_id is None or occurrence.state == OccurrenceState.CANCELLED or not occurrence.is_scheduled:
        return False
    return sheet is None or sheet.report_error != NO_INSTANCE_REPORTED


def reported_instance_ids(evidence_rows: EvidenceRows) -> set[UUID]:
    """Ids of the instances that Zoom's report has rows of, or that an uploaded file covers."""
    by_report = {row.instance for row in evidence_rows.rows if row.source == "report"}
    reported = {row.id for row in evidence_rows.instances if row.uuid in by_report}
    files = [row for row in evidence_rows.instances if is_uploaded_file(row)]
    covered = {
        row.id
        for row in evidence_rows.instances
        if is_uploaded_file(row) or any(_file_covers_instance(file, row) for file in files)
    }
    return reported | covered


def _file_covers_instance(file: ZoomInstance, instance: ZoomInstance) -> bool:
    """A file without times covers the whole date; one with times the instances that it overlaps."""
    if file.started_at is None or file.ended_at is None or instance.started_at is None:
        return True
    return file.started_at < (instance.ended_at or file.ended_at) and instance.started_at < file.ended_at


def _had_delivery_gap(occurrence: MeetingOccurrence, meeting: ZoomMeeting, runs: list[ZoomInstance]) -> bool:
    starts = [row.started_at for row in runs if row.started_at]
    ends = [row.ended_at for row in runs if row.ended_at]
    if occurrence.is_scheduled:
        starts.append(occurrence.starts_at)
    return had_delivery_gap(meeting.zoom_id or "", min(starts), max([*ends, min(starts)]))


def last_end_of(evidence_rows: EvidenceRows) -> datetime | None:
    """The end of the last instance; None while one runs, or if no end is known."""
    real = [row for row in evidence_rows.instances if not is_uploaded_file(row)]
    if is_instance_running((row.started_at, row.ended_at) for row in real):
        return None
    return max((row.ended_at for row in real if row.ended_at), default=None)
