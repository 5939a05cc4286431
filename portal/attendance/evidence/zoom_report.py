"""Reconciliation with Zoom's participant report, some time after the class.

Webhooks get lost. The report is polled from 30 minutes after the end until two successive ones are equal; if it
fails, nightly for three more days. Before that Zoom is asked for the meeting's instances, and for the end of an
instance whose end event is missing. An empty report deletes nothing and proves nothing: Zoom has none for a meeting
with a single participant.
"""

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta
from uuid import UUID

from sqlalchemy import select

from portal.attendance.codes import ReportError, SheetState
from portal.attendance.evidence.events import (
    CSV_UUID,
    assign_instance_occurrence,
    get_or_create_instance,
    lock_zoom_meeting,
    mark_sheet_dirty,
    refresh_occurrence_state,
    stay_row_id,
)
from portal.attendance.models import AttendanceSheet, ZoomParticipant
from portal.attendance.sheet.completeness import NO_INSTANCE_REPORTED
from portal.attendance.sheet.compute import (
    is_attendance_deleted,
    recompute_sheet,
    report_delays_after,
)
from portal.core import clock
from portal.core.db import (
    db,
    end_read_transaction,
    insert_if_absent,
    is_postgresql,
    write_transaction,
)
from portal.meetings.codes import OccurrenceState
from portal.meetings.models import MeetingOccurrence, ZoomInstance, ZoomMeeting
from portal.meetings.zoom_sync.sync import error_code_of
from portal.zoom.client import ZoomClient
from portal.zoom.errors import ZoomError, ZoomNotAuthorised, ZoomNotConfigured, ZoomRateLimited, ZoomRefused
from portal.zoom.models import PastInstance, PastMeeting, ReportRow

log = logging.getLogger("portal.attendance")
NIGHTS = 3
NIGHT = time(2, 30)  # Manila time: nobody teaches, and Zoom's daily limits are least used
LEASE_TIME = timedelta(minutes=10)  # after a crash another worker retries when this has passed
LOOK_BACK = timedelta(days=3)


def lease_due_reports() -> list[UUID]:
    """Lease the sheets whose report is due."""
    now = clock.now()
    rows = (
        select(AttendanceSheet)
        .where(AttendanceSheet.reconcile_at <= now)
        .order_by(AttendanceSheet.reconcile_at, AttendanceSheet.occurrence_id)
        .limit(10)
    )
    if is_postgresql():
        rows = rows.with_for_update(skip_locked=True)
    with write_transaction() as session:
        sheets = list(session.scalars(rows))
        for sheet in sheets:
            sheet.reconcile_at = now + LEASE_TIME
    return [sheet.occurrence_id for sheet in sheets]


@dataclass
class _Answers:
    """Zoom's answers about one class date: its instances, their ends, their reports, and the first error."""

    runs: list[PastInstance] = field(default_factory=list)
    ends: dict[str, PastMeeting] = field(default_factory=dict)
    reports: dict[str, list[ReportRow]] = field(default_factory=dict)
    unfinished: bool = False
    error: ZoomError | None = None

    def failed(self, error: ZoomError) -> None:
        if self.error is None or _is_not_ready(self.error):
            self.error = error


def _is_not_ready(error: ZoomError) -> bool:
    return isinstance(error, ZoomRefused) and error.is_not_ready


def reconcile_occurrence(occurrence_id: UUID, zoom: ZoomClient) -> bool:
    """Query Zoom about one class date, merge the answers, schedule the next query. True if a report was received."""
    occurrence = db.session.get(MeetingOccurrence, occurrence_id, populate_existing=True)
    meeting = db.session.get(ZoomMeeting, occurrence.meeting_id) if occurrence else None
    if meeting is None or meeting.zoom_id is None:
        return False
    is_deleted = is_attendance_deleted(meeting)
    end_read_transaction()
    if is_deleted:  # never restore data that retention has deleted
        recompute_sheet(occurrence_id)
        return False
    answers = _Answers()
    try:
        answers.runs = zoom.past_instances(meeting.zoom_id)
    except ZoomError as error:
        answers.failed(error)
    _store_instances(meeting.id, answers.runs)
    is_last_attempt = _is_last_attempt(occurrence_id)
    for instance in _load_instances(occurrence_id):
        _query_instance(instance, zoom, answers, is_last_attempt=is_last_attempt)
    if answers.error:
        log.warning("occurrence %s: report: %s", occurrence_id, answers.error)
    _store_answers(meeting.id, occurrence_id, answers)
    recompute_sheet(occurrence_id)
    return _schedule_next(occurrence_id, answers)


def _load_instances(occurrence_id: UUID) -> list[ZoomInstance]:
    """The instances of a date that Zoom knows, without those known only from an uploaded file."""
    rows = db.session.scalars(
        select(ZoomInstance)
        .where(ZoomInstance.occurrence_id == occurrence_id, ~ZoomInstance.uuid.startswith(CSV_UUID, autoescape=True))
        .order_by(ZoomInstance.uuid)
    )
    instances = list(rows)
    end_read_transaction()
    return instances


def _store_instances(meeting_id: UUID, past_instances: Sequence[PastInstance]) -> None:
    """Store instances without any event."""
    known_uuids = set(db.session.scalars(select(ZoomInstance.uuid).where(ZoomInstance.meeting_id == meeting_id)))
    unknown = [
        past_instance
        for past_instance in past_instances
        if past_instance.uuid not in known_uuids and len(past_instance.uuid) <= 64
    ]
    if not unknown:
        end_read_transaction()
        return
    with write_transaction():
        meeting = lock_zoom_meeting(ZoomMeeting.id == meeting_id)
        assert meeting is not None  # just selected, and meetings are never deleted
        for past_instance in unknown:
            instance = get_or_create_instance(meeting, past_instance.uuid)
            instance.started_at = instance.started_at or past_instance.start_time
            assign_instance_occurrence(meeting, instance)


def _is_last_attempt(occurrence_id: UUID) -> bool:
    sheet = db.session.get(AttendanceSheet, occurrence_id, populate_existing=True)
    end_read_transaction()
    return sheet is not None and sheet.reconcile_attempts >= len(report_delays_after()) - 1


def _query_instance(instance: ZoomInstance, zoom: ZoomClient, answers: _Answers, *, is_last_attempt: bool) -> None:
    """Request the end of the instance, if unknown, and its report. A report with open rows (Zoom still works on it)
    counts as unfinished, except on the last attempt."""
    try:
        if instance.ended_at is None:
            answers.ends[instance.uuid] = zoom.past_meeting(instance.uuid)
    except ZoomError as error:
        if not _is_not_ready(error):  # not ready: still in progress, or not processed by Zoom yet
            answers.failed(error)
    try:
        rows = [_with_computed_leave(row) for row in zoom.report_participants(instance.uuid)]
    except ZoomError as error:
        answers.failed(error)
        return
    if any(row.leave_time is None for row in rows) and not is_last_attempt:
        answers.unfinished = True
    else:
        answers.reports[instance.uuid] = rows


def _with_computed_leave(row: ReportRow) -> ReportRow:
    if row.leave_time is None and row.join_time and row.seconds:
        return replace(row, leave_time=row.join_time + timedelta(seconds=max(0, row.seconds)))
    return row


def _store_answers(meeting_id: UUID, occurrence_id: UUID, answers: _Answers) -> None:
    with write_transaction():
        meeting = lock_zoom_meeting(ZoomMeeting.id == meeting_id)
        assert meeting is not None  # meetings are never deleted
        for instance in db.session.scalars(select(ZoomInstance).where(ZoomInstance.occurrence_id == occurrence_id)):
            end = answers.ends.get(instance.uuid)
            if end and end.end_time and not instance.ended_event_received:
                instance.ended_at = end.end_time
                instance.started_at = instance.started_at or end.start_time
                assign_instance_occurrence(meeting, instance)
            merge_report_rows(meeting, instance, answers.reports.get(instance.uuid, ()))
        mark_sheet_dirty(occurrence_id)
        refresh_occurrence_state(meeting, occurrence_id)


def merge_report_rows(meeting: ZoomMeeting, instance: ZoomInstance, rows: Sequence[ReportRow]) -> None:
    """Store the report's rows. `calculation.stays` ranks them above the events."""
    hosts = _host_accounts(meeting) if rows else set()
    rows_by_session: dict[tuple[str, str], list[ReportRow]] = {}
    for row in sorted(rows, key=_report_order):
        if row.join_time is None or _is_garbage(row):
            continue
        key = (participant_session_of(row), "waiting" if row.status == "in_waiting_room" else _room_of_row(row))
        session_rows = rows_by_session.setdefault(key, [])
        if session_rows and session_rows[-1].join_time == row.join_time:
            session_rows[-1] = row  # duplicate; the one with the later leave comes last
        else:
            session_rows.append(row)
    for (session, room), stays in rows_by_session.items():
        for sequence, row in enumerate(stays):
            _store_row(instance, session, room, sequence, row, hosts)


def _is_garbage(row: ReportRow) -> bool:
    """True for rows known to be meaningless: reversed times, or an anonymous row without duration."""
    if row.join_time is None or row.leave_time is None:
        return False
    is_anonymous = not (row.registrant_id or row.zoom_user_id or row.email)
    return row.leave_time < row.join_time or (row.leave_time == row.join_time and is_anonymous)


def _report_order(row: ReportRow) -> tuple[datetime, datetime, str]:
    earliest = datetime.min.replace(tzinfo=UTC)
    return row.join_time or earliest, row.leave_time or earliest, repr(row.session)


def _room_of_row(row: ReportRow) -> str:
    return "breakout" if row.breakout_id else "meeting"


def participant_session_of(row: ReportRow) -> str:
    """The session of a row. The report's older layout has none: then a digest of identity and join time."""
    if row.session:
        return row.session[:80]
    identity = [row.registrant_id, row.zoom_user_id, row.email, row.name, str(row.join_time)]
    return "row:" + hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:40]


def _host_accounts(meeting: ZoomMeeting) -> set[str]:
    """Zoom user ids that events marked as host, in any instance of the meeting."""
    rows = db.session.scalars(
        select(ZoomParticipant.zoom_user_id)
        .join(ZoomInstance, ZoomInstance.id == ZoomParticipant.instance_id)
        .where(
            ZoomInstance.meeting_id == meeting.id, ZoomParticipant.is_host, ZoomParticipant.zoom_user_id.is_not(None)
        )
        .distinct()
    )
    return {account for account in rows if account}


def _store_row(instance: ZoomInstance, session: str, room: str, sequence: int, row: ReportRow, hosts: set[str]) -> None:
    email = row.email if row.email and len(row.email) <= 254 else None
    values = {
        "joined_at": row.join_time,
        "left_at": row.leave_time,
        "leave_source": "report" if row.leave_time else None,
        "name": (row.name or "")[:200],
        "email": email,
        "registrant_id": row.registrant_id[:128] if row.registrant_id else None,
        "zoom_user_id": row.zoom_user_id[:128] if row.zoom_user_id else None,
        "is_host": not row.registrant_id and row.zoom_user_id in hosts,
    }
    key = {"instance_id": instance.id, "session": session, "room": room, "source": "report", "sequence": sequence}
    new_id = stay_row_id(instance.uuid, session, room, "report", sequence)
    if insert_if_absent(ZoomParticipant, {"id": new_id} | key | values, list(key)):
        return
    participant = db.session.scalars(select(ZoomParticipant).filter_by(**key)).one()
    for name, value in values.items():
        if value is not None:  # a less complete report deletes nothing
            setattr(participant, name, value)


def _schedule_next(occurrence_id: UUID, answers: _Answers) -> bool:
    """Store the outcome and the time of the next query. True if the reports are complete."""
    with write_transaction() as session:
        sheet = session.get(AttendanceSheet, occurrence_id, with_for_update=True, populate_existing=True)
        if sheet is None:
            return False
        sheet.reconcile_at = None
        if isinstance(answers.error, ZoomRateLimited):
            sheet.reconcile_at = answers.error.until or clock.now() + timedelta(minutes=5)
            sheet.report_error = error_code_of(answers.error)
            return False
        sheet.reconcile_attempts += 1
        is_finished = answers.error is None and not answers.unfinished
        is_reported = sheet.state == SheetState.RECONCILED and is_finished and any(answers.reports.values())
        digest = _digest(answers.reports)
        is_settled = is_reported and sheet.report_digest == digest
        if is_reported:
            sheet.reconciled_at, sheet.report_error, sheet.report_digest = (
                sheet.reconciled_at or clock.now(),
                None,
                digest,
            )
        else:
            old_error, sheet.report_error = sheet.report_error, _report_error(answers)
            sheet.needs_recompute = sheet.needs_recompute or NO_INSTANCE_REPORTED in (
                old_error,
                sheet.report_error,
            )  # whether the class took place affects the marks
        sheet.reconcile_at = _next_query_time(sheet, answers, is_settled=is_settled)
        if sheet.state == SheetState.PROVISIONAL and _is_given_up(sheet, answers):
            sheet.state = SheetState.UNREPORTED
        return is_reported


def _report_error(answers: _Answers) -> str:
    if answers.unfinished:
        return ReportError.NOT_READY
    if answers.error is None or (_is_not_ready(answers.error) and not answers.runs):
        return ReportError.EMPTY_REPORT if answers.reports else NO_INSTANCE_REPORTED
    return ReportError.NOT_READY if _is_not_ready(answers.error) else error_code_of(answers.error)


def _is_lasting(error: ZoomError | None) -> bool:
    """True for an error that only a person can fix: no paid plan, scope or credentials, or too long ago."""
    if isinstance(error, ZoomNotAuthorised | ZoomNotConfigured):
        return True
    return isinstance(error, ZoomRefused) and (error.is_host_unlicensed or error.is_too_old)


def _is_given_up(sheet: AttendanceSheet, answers: _Answers) -> bool:
    return _is_lasting(answers.error) or sheet.reconcile_attempts >= len(report_delays_after())


def _next_query_time(sheet: AttendanceSheet, answers: _Answers, *, is_settled: bool) -> datetime | None:
    """Poll 30 minutes, 1, 6 and 24 hours after the end, until two reports are equal; nightly if none was received."""
    delays, attempts = report_delays_after(), sheet.reconcile_attempts
    if is_settled:
        return None
    if attempts < len(delays) and not _is_lasting(answers.error):
        return clock.now() + max(timedelta(minutes=1), delays[attempts] - delays[attempts - 1])
    if sheet.reconciled_at:
        return None
    if _is_lasting(answers.error):
        sheet.reconcile_attempts = max(attempts, len(delays))
    return _next_night() if sheet.reconcile_attempts < len(delays) + NIGHTS else None


def _next_night() -> datetime:
    now = clock.now()
    tonight = clock.from_manila(clock.to_manila(now).date(), NIGHT)
    return tonight if tonight > now else tonight + timedelta(days=1)


def _digest(reports: Mapping[str, Sequence[ReportRow]]) -> str:
    facts = {
        (
            uuid,
            participant_session_of(row),
            row.registrant_id or "",
            str(row.join_time),
            str(row.leave_time),
            row.status == "in_waiting_room",
        )
        for uuid, rows in reports.items()
        for row in rows
    }
    return hashlib.sha256(json.dumps(sorted(facts)).encode()).hexdigest()


def find_occurrences_without_events(zoom: ZoomClient) -> int:
    """Dates past their end without any event get a sheet, and their report is requested; returns their number."""
    now = clock.now()
    delay = report_delays_after()[0]
    rows = db.session.execute(
        select(MeetingOccurrence.id, MeetingOccurrence.starts_at, MeetingOccurrence.minutes)
        .join(ZoomMeeting, ZoomMeeting.id == MeetingOccurrence.meeting_id)
        .outerjoin(AttendanceSheet, AttendanceSheet.occurrence_id == MeetingOccurrence.id)
        .where(
            ZoomMeeting.zoom_id.is_not(None),
            MeetingOccurrence.state == OccurrenceState.SCHEDULED,
            MeetingOccurrence.starts_at > now - LOOK_BACK,
            MeetingOccurrence.starts_at < now - delay,
            AttendanceSheet.occurrence_id.is_(None),
        )
        .order_by(MeetingOccurrence.starts_at)
        .limit(200)
    ).all()
    overdue_ids = [row.id for row in rows if now >= row.starts_at + timedelta(minutes=row.minutes) + delay]
    if not overdue_ids or not zoom.is_configured:
        return 0
    with write_transaction() as session:
        for occurrence_id in overdue_ids:
            mark_sheet_dirty(occurrence_id)
            sheet = session.get(AttendanceSheet, occurrence_id, populate_existing=True)
            assert sheet is not None  # mark_sheet_dirty created it
            sheet.reconcile_at = now
    return len(overdue_ids)
