"""Asking Zoom's participant report what really happened, some time after the class.

Webhooks get lost. The report is asked 30 minutes after the end and again later until two answers are equal.
Its rows replace the webhook stays of the same session, others are added; an empty report erases nothing.
"""

import hashlib
import json
import logging
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from flask import current_app
from sqlalchemy import select

from portal.attendance.evidence import instance_of, place, touch
from portal.attendance.models import AttendanceSheet, ZoomParticipant
from portal.attendance.sheet import recompute
from portal.base import clock
from portal.base.db import db, insert_once, writing
from portal.config import Settings
from portal.meetings.at_zoom import trouble_code
from portal.meetings.models import MeetingOccurrence, ZoomInstance, ZoomMeeting
from portal.zoom.client import ZoomClient
from portal.zoom.errors import ZoomError, ZoomRefused
from portal.zoom.models import ReportRow

log = logging.getLogger("portal.attendance")


def _steps() -> tuple[int, ...]:
    settings: Settings = current_app.extensions["silid.settings"]
    return settings.reconcile_minutes


def first_time() -> datetime:
    """When to ask for the first time, for a class that is over now."""
    return clock.now() + timedelta(minutes=_steps()[0])


def due() -> list[UUID]:
    """Sheets whose report is to be asked now."""
    return list(
        db.session.scalars(
            select(AttendanceSheet.occurrence_id)
            .where(AttendanceSheet.reconcile_at <= clock.now())
            .order_by(AttendanceSheet.reconcile_at)
            .limit(10)
        )
    )


def reconcile(occurrence_id: UUID, zoom: ZoomClient) -> bool:
    """Ask Zoom about one class date, merge what it says, plan the next look. True if a report answered."""
    instances = list(db.session.scalars(select(ZoomInstance).where(ZoomInstance.occurrence_id == occurrence_id)))
    reports: dict[str, list[ReportRow]] = {}
    try:
        for instance in instances:
            reports[instance.uuid] = list(zoom.report_participants(instance.uuid))
    except ZoomError as error:
        log.warning("occurrence %s: report: %s", occurrence_id, error)
        _not_answered(occurrence_id, error)
        return False
    _answered(occurrence_id, instances, reports)
    recompute(occurrence_id)
    return True


def _not_answered(occurrence_id: UUID, error: ZoomError) -> None:
    with writing() as session:
        sheet = session.get(AttendanceSheet, occurrence_id, with_for_update=True, populate_existing=True)
        if sheet is None:
            return
        not_ready = isinstance(error, ZoomRefused) and error.not_ready
        sheet.trouble = "not ready" if not_ready else trouble_code(error)
        _plan_next(sheet, settled=False)
        if sheet.reconcile_at is None and sheet.reconciled_at is None:
            sheet.state = "unreported"


def _answered(occurrence_id: UUID, instances: list[ZoomInstance], reports: dict[str, list[ReportRow]]) -> None:
    with writing() as session:
        sheet = session.get(AttendanceSheet, occurrence_id, with_for_update=True, populate_existing=True)
        if sheet is None:
            return
        for instance in instances:
            merge(instance, reports[instance.uuid])
        digest = _digest(reports)
        settled = sheet.report_digest == digest
        if any(reports.values()):
            sheet.reconciled_at, sheet.trouble = clock.now(), None
        sheet.report_digest, sheet.dirty = digest, True
        _plan_next(sheet, settled=settled and sheet.reconciled_at is not None)


def _plan_next(sheet: AttendanceSheet, *, settled: bool) -> None:
    """The next look: 30 minutes, 1, 6 and 24 hours after the end, until two answers are equal."""
    steps = _steps()
    sheet.reconcile_attempts += 1
    if settled or sheet.reconcile_attempts >= len(steps):
        sheet.reconcile_at = None
        return
    wait = steps[sheet.reconcile_attempts] - steps[sheet.reconcile_attempts - 1]
    sheet.reconcile_at = clock.now() + timedelta(minutes=max(1, wait))


def merge(instance: ZoomInstance, rows: list[ReportRow]) -> None:
    """Bring the report's rows into the stays of one instance."""
    for row in rows:
        if row.session is None or row.join_time is None:
            continue  # garbage that Zoom's report is known to hold: it proves nothing
        room = "waiting" if row.status == "in_waiting_room" else "meeting"
        insert_once(
            ZoomParticipant,
            {
                "id": uuid4(),
                "instance_id": instance.id,
                "session": row.session[:80],
                "room": room,
                "name": row.name or "",
                "source": "report",
                "is_host": False,
            },
            ["instance_id", "session", "room"],
        )
        stay = db.session.scalar(
            select(ZoomParticipant).where(
                ZoomParticipant.instance_id == instance.id,
                ZoomParticipant.session == row.session[:80],
                ZoomParticipant.room == room,
            )
        )
        assert stay is not None  # it was just made
        stay.source, stay.joined_at = "report", row.join_time
        if row.leave_time:
            stay.left_at, stay.left_source = row.leave_time, "report"
        stay.name = stay.name or row.name or ""
        stay.email = stay.email or row.email
        stay.registrant_id = stay.registrant_id or row.registrant_id
        stay.zoom_user_id = stay.zoom_user_id or row.zoom_user_id


def _digest(reports: dict[str, list[ReportRow]]) -> str:
    said = [
        [
            uuid,
            row.session,
            row.registrant_id,
            str(row.join_time),
            str(row.leave_time),
            row.status == "in_waiting_room",
        ]
        for uuid, rows in reports.items()
        for row in rows
    ]
    return hashlib.sha256(json.dumps(sorted(said, key=str)).encode()).hexdigest()


def find_unseen(zoom: ZoomClient) -> int:
    """Classes that should be over and of which no event ever came: ask Zoom for their runnings."""
    now = clock.now()
    found = 0
    rows = db.session.execute(
        select(MeetingOccurrence.id, ZoomMeeting.id, ZoomMeeting.zoom_id)
        .join(ZoomMeeting, ZoomMeeting.id == MeetingOccurrence.meeting_id)
        .outerjoin(ZoomInstance, ZoomInstance.occurrence_id == MeetingOccurrence.id)
        .outerjoin(AttendanceSheet, AttendanceSheet.occurrence_id == MeetingOccurrence.id)
        .where(
            ZoomMeeting.zoom_id.is_not(None),
            MeetingOccurrence.state == "scheduled",
            MeetingOccurrence.starts_at > now - timedelta(days=3),
            MeetingOccurrence.starts_at < now - timedelta(minutes=30),
            ZoomInstance.id.is_(None),
            AttendanceSheet.occurrence_id.is_(None),
        )
        .limit(20)
    ).all()
    for occurrence_id, meeting_id, zoom_id in rows:
        occurrence = db.session.get(MeetingOccurrence, occurrence_id)
        if occurrence is None or now < occurrence.ends_at + timedelta(minutes=_steps()[0]):
            continue
        found += _look_for_instances(meeting_id, str(zoom_id), zoom)
        with writing():
            touch(occurrence_id)  # looked for: not again at every sweep
    return found


def _look_for_instances(meeting_id: UUID, zoom_id: str, zoom: ZoomClient) -> int:
    try:
        past = zoom.past_instances(zoom_id)
    except ZoomError as error:
        log.warning("meeting %s: past instances: %s", meeting_id, error)
        return 0
    with writing() as session:
        meeting = session.get(ZoomMeeting, meeting_id)
        assert meeting is not None  # it was just selected, and meetings are never deleted
        for one in past:
            instance = instance_of(meeting, one.uuid)
            instance.started_at = instance.started_at or one.start_time
            place(meeting, instance, one.start_time)
    return len(past)
