"""Asking Zoom's participant report what really happened, some time after the class.

Webhooks get lost. The report is asked 30 minutes after the end and again later until two answers are equal,
and where it failed nightly for three days more. First Zoom is asked which runnings there were, and when one
ended whose end was never told. An empty report erases nothing and proves nothing: Zoom gives none for a
meeting in which only one person was.
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
from portal.attendance.sheet.compute import (
    NO_INSTANCE_REPORTED,
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
NIGHT = time(2, 30)  # in Manila, when nobody teaches and Zoom's daily limits are least used
LEASE_TIME = timedelta(minutes=10)  # whoever asks and dies leaves it to the next one after this
LOOK_BACK = timedelta(days=3)


def lease_due_reports() -> list[UUID]:
    """Lease the sheets whose report is to be asked now."""
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
    """What Zoom said of one class date's meeting: its runnings, their ends, their reports, the first trouble."""

    runs: list[PastInstance] = field(default_factory=list)
    ends: dict[str, PastMeeting] = field(default_factory=dict)
    reports: dict[str, list[ReportRow]] = field(default_factory=dict)
    unfinished: bool = False
    error: ZoomError | None = None

    def failed(self, error: ZoomError) -> None:
        if self.error is None or _not_ready(self.error):
            self.error = error


def _not_ready(error: ZoomError) -> bool:
    return isinstance(error, ZoomRefused) and error.is_not_ready


def reconcile_occurrence(occurrence_id: UUID, zoom: ZoomClient) -> bool:
    """Ask Zoom about one class date, merge what it says, plan the next look. True if a report answered."""
    occurrence = db.session.get(MeetingOccurrence, occurrence_id, populate_existing=True)
    meeting = db.session.get(ZoomMeeting, occurrence.meeting_id) if occurrence else None
    if meeting is None or meeting.zoom_id is None:
        return False
    deleted = is_attendance_deleted(meeting)
    end_read_transaction()
    if deleted:  # Zoom must not bring back what the school keeps no longer
        recompute_sheet(occurrence_id)
        return False
    answers = _Answers()
    try:
        answers.runs = zoom.past_instances(meeting.zoom_id)
    except ZoomError as error:
        answers.failed(error)
    _keep_runs(meeting.id, answers.runs)
    last_look = _is_last_look(occurrence_id)
    for instance in _instances(occurrence_id):
        _ask(instance, zoom, answers, last_look=last_look)
    if answers.error:
        log.warning("occurrence %s: report: %s", occurrence_id, answers.error)
    _keep(meeting.id, occurrence_id, answers)
    recompute_sheet(occurrence_id)
    return _plan_next(occurrence_id, answers)


def _instances(occurrence_id: UUID) -> list[ZoomInstance]:
    """The runnings of a date as Zoom knows them, without those that only an uploaded file tells of."""
    rows = db.session.scalars(
        select(ZoomInstance)
        .where(ZoomInstance.occurrence_id == occurrence_id, ~ZoomInstance.uuid.startswith(CSV_UUID, autoescape=True))
        .order_by(ZoomInstance.uuid)
    )
    instances = list(rows)
    end_read_transaction()
    return instances


def _keep_runs(meeting_id: UUID, runs: Sequence[PastInstance]) -> None:
    """Runnings that no event told of."""
    known = set(db.session.scalars(select(ZoomInstance.uuid).where(ZoomInstance.meeting_id == meeting_id)))
    unknown = [run for run in runs if run.uuid not in known and len(run.uuid) <= 64]
    if not unknown:
        end_read_transaction()
        return
    with write_transaction():
        meeting = lock_zoom_meeting(ZoomMeeting.id == meeting_id)
        assert meeting is not None  # it was just selected, and meetings are never deleted
        for run in unknown:
            instance = get_or_create_instance(meeting, run.uuid)
            instance.started_at = instance.started_at or run.start_time
            assign_instance_occurrence(meeting, instance)


def _is_last_look(occurrence_id: UUID) -> bool:
    sheet = db.session.get(AttendanceSheet, occurrence_id, populate_existing=True)
    end_read_transaction()
    return sheet is not None and sheet.reconcile_attempts >= len(report_delays_after()) - 1


def _ask(instance: ZoomInstance, zoom: ZoomClient, answers: _Answers, *, last_look: bool) -> None:
    """Ask when it ended, if that is not known, and who was in. A report that Zoom is still working on (rows
    without a leave) is no answer, until it is time to take what there is."""
    try:
        if instance.ended_at is None:
            answers.ends[instance.uuid] = zoom.past_meeting(instance.uuid)
    except ZoomError as error:
        if not _not_ready(error):  # not ready: it runs still, or Zoom has not processed it
            answers.failed(error)
    try:
        rows = [_with_leave(row) for row in zoom.report_participants(instance.uuid)]
    except ZoomError as error:
        answers.failed(error)
        return
    if any(row.leave_time is None for row in rows) and not last_look:
        answers.unfinished = True
    else:
        answers.reports[instance.uuid] = rows


def _with_leave(row: ReportRow) -> ReportRow:
    if row.leave_time is None and row.join_time and row.seconds:
        return replace(row, leave_time=row.join_time + timedelta(seconds=max(0, row.seconds)))
    return row


def _keep(meeting_id: UUID, occurrence_id: UUID, answers: _Answers) -> None:
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
    """Write the report's rows down as what the report says. `pairing` puts them before the events' word."""
    hosts = _host_accounts(meeting) if rows else set()
    nths: dict[tuple[str, str], list[ReportRow]] = {}
    for row in sorted(rows, key=_in_order):
        if row.join_time is None or _is_garbage(row):
            continue
        key = (participant_session_of(row), "waiting" if row.status == "in_waiting_room" else _room(row))
        others = nths.setdefault(key, [])
        if others and others[-1].join_time == row.join_time:
            others[-1] = row  # told twice; the one with the later leave comes last
        else:
            others.append(row)
    for (session, room), found in nths.items():
        for nth, row in enumerate(found):
            _write(instance, session, room, nth, row, hosts)


def _is_garbage(row: ReportRow) -> bool:
    """Rows that Zoom's report is known to hold and that prove nothing: times reversed, or nobody for no time."""
    if row.join_time is None or row.leave_time is None:
        return False
    nobody = not (row.registrant_id or row.zoom_user_id or row.email)
    return row.leave_time < row.join_time or (row.leave_time == row.join_time and nobody)


def _in_order(row: ReportRow) -> tuple[datetime, datetime, str]:
    earliest = datetime.min.replace(tzinfo=UTC)
    return row.join_time or earliest, row.leave_time or earliest, repr(row.session)


def _room(row: ReportRow) -> str:
    return "breakout" if row.breakout_id else "meeting"


def participant_session_of(row: ReportRow) -> str:
    """The session of a row, also where the report's older layout has none: who it was, and since when."""
    if row.session:
        return row.session[:80]
    said = [row.registrant_id, row.zoom_user_id, row.email, row.name, str(row.join_time)]
    return "row:" + hashlib.sha256(json.dumps(said).encode()).hexdigest()[:40]


def _host_accounts(meeting: ZoomMeeting) -> set[str]:
    """Zoom's user ids that events have named as the host's, in any running of the meeting."""
    rows = db.session.scalars(
        select(ZoomParticipant.zoom_user_id)
        .join(ZoomInstance, ZoomInstance.id == ZoomParticipant.instance_id)
        .where(
            ZoomInstance.meeting_id == meeting.id, ZoomParticipant.is_host, ZoomParticipant.zoom_user_id.is_not(None)
        )
        .distinct()
    )
    return {account for account in rows if account}


def _write(instance: ZoomInstance, session: str, room: str, nth: int, row: ReportRow, hosts: set[str]) -> None:
    by_email = row.email if row.email and len(row.email) <= 254 else None
    values = {
        "joined_at": row.join_time,
        "left_at": row.leave_time,
        "leave_source": "report" if row.leave_time else None,
        "name": (row.name or "")[:200],
        "email": by_email,
        "registrant_id": row.registrant_id[:128] if row.registrant_id else None,
        "zoom_user_id": row.zoom_user_id[:128] if row.zoom_user_id else None,
        "is_host": not row.registrant_id and row.zoom_user_id in hosts,
    }
    key = {"instance_id": instance.id, "session": session, "room": room, "source": "report", "sequence": nth}
    new_id = stay_row_id(instance.uuid, session, room, "report", nth)
    if insert_if_absent(ZoomParticipant, {"id": new_id} | key | values, list(key)):
        return
    participant = db.session.scalars(select(ZoomParticipant).filter_by(**key)).one()
    for name, value in values.items():
        if value is not None:  # an answer that knows less erases nothing
            setattr(participant, name, value)


def _plan_next(occurrence_id: UUID, answers: _Answers) -> bool:
    """Write down how it went, and when to ask again. True if the reports are in."""
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
        asked_all = answers.error is None and not answers.unfinished
        reported = sheet.state == SheetState.RECONCILED and asked_all and any(answers.reports.values())
        digest = _digest(answers.reports)
        settled = reported and sheet.report_digest == digest
        if reported:
            sheet.reconciled_at, sheet.report_error, sheet.report_digest = (
                sheet.reconciled_at or clock.now(),
                None,
                digest,
            )
        else:
            before, sheet.report_error = sheet.report_error, _trouble(answers)
            sheet.needs_recompute = sheet.needs_recompute or NO_INSTANCE_REPORTED in (
                before,
                sheet.report_error,
            )  # whether it ran at all is in the marks
        sheet.reconcile_at = _next_time(sheet, answers, settled=settled)
        if sheet.state == SheetState.PROVISIONAL and _given_up(sheet, answers):
            sheet.state = SheetState.UNREPORTED
        return reported


def _trouble(answers: _Answers) -> str:
    if answers.unfinished:
        return ReportError.NOT_READY
    if answers.error is None or (_not_ready(answers.error) and not answers.runs):
        return ReportError.EMPTY_REPORT if answers.reports else NO_INSTANCE_REPORTED
    return ReportError.NOT_READY if _not_ready(answers.error) else error_code_of(answers.error)


def _is_lasting(error: ZoomError | None) -> bool:
    """A trouble that only a person can end: no plan, no scope, no credentials, or too long ago."""
    if isinstance(error, ZoomNotAuthorised | ZoomNotConfigured):
        return True
    return isinstance(error, ZoomRefused) and (error.is_host_unlicensed or error.is_too_old)


def _given_up(sheet: AttendanceSheet, answers: _Answers) -> bool:
    return _is_lasting(answers.error) or sheet.reconcile_attempts >= len(report_delays_after())


def _next_time(sheet: AttendanceSheet, answers: _Answers, *, settled: bool) -> datetime | None:
    """Until two answers are equal: 30 minutes, 1, 6 and 24 hours after the end; nightly where none came."""
    waits, asked = report_delays_after(), sheet.reconcile_attempts
    if settled:
        return None
    if asked < len(waits) and not _is_lasting(answers.error):
        return clock.now() + max(timedelta(minutes=1), waits[asked] - waits[asked - 1])
    if sheet.reconciled_at:
        return None
    if _is_lasting(answers.error):
        sheet.reconcile_attempts = max(asked, len(waits))
    return _tonight() if sheet.reconcile_attempts < len(waits) + NIGHTS else None


def _tonight() -> datetime:
    now = clock.now()
    tonight = clock.from_manila(clock.to_manila(now).date(), NIGHT)
    return tonight if tonight > now else tonight + timedelta(days=1)


def _digest(reports: Mapping[str, Sequence[ReportRow]]) -> str:
    said = {
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
    return hashlib.sha256(json.dumps(sorted(said)).encode()).hexdigest()


def find_occurrences_without_events(zoom: ZoomClient) -> int:
    """Class dates that should be over and of which no event ever came get a sheet, and their report is asked."""
    now = clock.now()
    wait = report_delays_after()[0]
    rows = db.session.execute(
        select(MeetingOccurrence.id, MeetingOccurrence.starts_at, MeetingOccurrence.minutes)
        .join(ZoomMeeting, ZoomMeeting.id == MeetingOccurrence.meeting_id)
        .outerjoin(AttendanceSheet, AttendanceSheet.occurrence_id == MeetingOccurrence.id)
        .where(
            ZoomMeeting.zoom_id.is_not(None),
            MeetingOccurrence.state == OccurrenceState.SCHEDULED,
            MeetingOccurrence.starts_at > now - LOOK_BACK,
            MeetingOccurrence.starts_at < now - wait,
            AttendanceSheet.occurrence_id.is_(None),
        )
        .order_by(MeetingOccurrence.starts_at)
        .limit(200)
    ).all()
    over = [row.id for row in rows if now >= row.starts_at + timedelta(minutes=row.minutes) + wait]
    if not over or not zoom.is_configured:
        return 0
    with write_transaction() as session:
        for occurrence_id in over:
            mark_sheet_dirty(occurrence_id)
            sheet = session.get(AttendanceSheet, occurrence_id, populate_existing=True)
            assert sheet is not None  # touch made it
            sheet.reconcile_at = now
    return len(over)
