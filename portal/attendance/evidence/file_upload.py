"""Zoom's own participants file, uploaded by a teacher: seen first, then taken in as evidence like any other.

Its rows go beside what the events said and never in their place: a learner's time is the union of both. What
a file told can be taken back.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import delete, select

from portal.accounts.models import User
from portal.attendance.calculation.marks import SheetResult, compute_sheet
from portal.attendance.codes import SheetEvent, UploadState
from portal.attendance.evidence.events import (
    CSV_UUID,
    lock_zoom_meeting,
    refresh_occurrence_state,
    stay_row_id,
)
from portal.attendance.evidence.participants_csv import (
    FileProblem,
    ParticipantFile,
    ParticipantFileRow,
    parse_participants_csv,
)
from portal.attendance.models import AttendanceSheet, ParticipantUpload, ZoomParticipant
from portal.attendance.sheet.compute import LearnerRecord, load_sheet_evidence, recompute_sheet
from portal.attendance.sheet.corrections import SheetFinalised, add_sheet_history
from portal.core import audit_log, clock
from portal.core.audit_codes import AuditAction, AuditSubject
from portal.core.db import db, write_transaction
from portal.meetings.models import MeetingOccurrence, ZoomInstance, ZoomMeeting

FAR_FROM_CLASS = timedelta(hours=12)


class EmptyUpload(ValueError):
    """The file has no participant that could be read."""


@dataclass(frozen=True)
class MarkChange:
    """What the file would change on one learner's line."""

    line: LearnerRecord
    mark_before: str
    mark_after: str
    seconds_before: int
    seconds_after: int


@dataclass(frozen=True)
class UploadPreview:
    """What a file holds and what it would do. `other_meeting`, `other_day`: it seems to be of another class."""

    file: ParticipantFile
    people: int
    first: datetime | None
    last: datetime | None
    other_meeting: bool
    other_day: bool
    changes: tuple[MarkChange, ...]
    unmatched_before: int
    unmatched_after: int

    @property
    def usable(self) -> bool:
        return bool(self.file.rows) and not self.other_day and not self.other_meeting


def create_upload(user: User, occurrence: MeetingOccurrence, filename: str, data: bytes) -> ParticipantUpload:
    """Read the file and keep what it says for the preview; nothing is changed yet."""
    file = parse_participants_csv(data, near=occurrence.local_date)
    said = {
        "layout": file.layout,
        "meeting_id": file.meeting_id,
        "started_at": _text(file.started_at),
        "ended_at": _text(file.ended_at),
        "rows": [asdict(row) | {"joined_at": _text(row.joined_at), "left_at": _text(row.left_at)} for row in file.rows],
        "problems": [asdict(problem) for problem in file.problems[:50]],
    }
    digest = hashlib.sha256(json.dumps([str(occurrence.id), said["rows"]], sort_keys=True).encode()).hexdigest()
    with write_transaction() as session:
        upload = ParticipantUpload(
            id=uuid4(),
            occurrence_id=occurrence.id,
            uploaded_by=user.id,
            uploaded_at=clock.now(),
            filename=filename[:200],
            instance_uuid=f"{CSV_UUID}{digest[:48]}",
            rows=said,
        )
        session.add(upload)
        audit_log.record_action(
            AuditAction.UPLOADED_PARTICIPANTS_FILE,
            AuditSubject.OCCURRENCE,
            occurrence.id,
            by=user.id,
            rows=len(file.rows),
        )
    return upload


def _text(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def file_of_upload(upload: ParticipantUpload) -> ParticipantFile:
    """What the upload said, as it was read."""
    values: dict[str, Any] = upload.rows or {}
    return ParticipantFile(
        layout=values.get("layout"),
        rows=tuple(
            ParticipantFileRow(**(row | {"joined_at": _moment(row["joined_at"]), "left_at": _moment(row["left_at"])}))
            for row in values.get("rows", ())
        ),
        meeting_id=values.get("meeting_id"),
        started_at=_moment(values.get("started_at")),
        ended_at=_moment(values.get("ended_at")),
        problems=tuple(FileProblem(**problem) for problem in values.get("problems", ())),
    )


def preview_upload(occurrence: MeetingOccurrence, upload: ParticipantUpload) -> UploadPreview:
    """What confirming the upload would do to the sheet."""
    file = file_of_upload(upload)
    now = load_sheet_evidence(occurrence, occurrence.meeting)
    then = load_sheet_evidence(occurrence, occurrence.meeting, extra=_evidence(occurrence, upload, file))
    before, after = compute_sheet(now.input), compute_sheet(then.input)
    instance = _span(file)
    return UploadPreview(
        file=file,
        people=len({(row.email or row.name.casefold()) for row in file.rows}),
        first=instance[0],
        last=instance[1],
        other_meeting=bool(file.meeting_id) and file.meeting_id != occurrence.meeting.zoom_id,
        other_day=_is_far(occurrence, instance),
        changes=_changes(now.lines, before, after),
        unmatched_before=len(before.unmatched),
        unmatched_after=len(after.unmatched),
    )


def _is_far(occurrence: MeetingOccurrence, span: tuple[datetime | None, datetime | None]) -> bool:
    first, last = span
    if first is None or last is None:
        return False
    return first > occurrence.ends_at + FAR_FROM_CLASS or last < occurrence.starts_at - FAR_FROM_CLASS


def _changes(lines: tuple[LearnerRecord, ...], before: SheetResult, after: SheetResult) -> tuple[MarkChange, ...]:
    found = zip(lines, before.learners, after.learners, strict=True)
    return tuple(
        MarkChange(line, result.mark, two.mark, result.seconds, two.seconds)
        for line, result, two in found
        if (result.mark, result.seconds) != (two.mark, two.seconds)
    )


def _span(file: ParticipantFile) -> tuple[datetime | None, datetime | None]:
    """From the first join to the last leave; what the file says of the meeting itself where rows have no times."""
    if file.layout == "minutes":
        return file.started_at, file.ended_at
    starts = [moment for moment in (file.started_at, *(row.joined_at for row in file.rows)) if moment]
    ends = [moment for moment in (file.ended_at, *(row.left_at for row in file.rows)) if moment]
    return min(starts, default=None), max(ends, default=None)


def _evidence(
    occurrence: MeetingOccurrence, upload: ParticipantUpload, file: ParticipantFile
) -> tuple[ZoomInstance, list[ZoomParticipant]]:
    """The running and the stays that the file tells of, not yet stored."""
    started, ended = _span(file)
    if file.layout == "minutes" or started is None or ended is None:
        started = ended = None
    instance = ZoomInstance(
        id=stay_row_id(upload.instance_uuid, "", "", "csv", 0),
        uuid=upload.instance_uuid,
        meeting_id=occurrence.meeting_id,
        occurrence_id=occurrence.id,
        started_at=started,
        ended_at=ended,
        started_event_received=False,
        ended_event_received=False,
    )
    return instance, [_stay(instance, row) for row in file.rows]


def _stay(instance: ZoomInstance, row: ParticipantFileRow) -> ZoomParticipant:
    session = f"line {row.line}"
    room = "waiting" if row.waiting else "meeting"
    return ZoomParticipant(
        id=stay_row_id(instance.uuid, session, room, "csv", 0),
        instance_id=instance.id,
        session=session,
        room=room,
        source="csv",
        sequence=0,
        name=row.name[:200],
        email=row.email,
        registrant_id=row.registrant_id,
        joined_at=row.joined_at,
        left_at=row.left_at,
        leave_source="csv" if row.left_at else None,
        duration_seconds=row.seconds,
        is_host=False,
    )


def confirm_upload(user: User, occurrence: MeetingOccurrence, upload: ParticipantUpload) -> None:
    """Take the file's stays in. Raises SheetFinalised, EmptyUpload; confirming twice is confirming once."""
    if upload.state != UploadState.PREVIEW:
        return
    preview = preview_upload(occurrence, upload)
    if not preview.usable:
        raise EmptyUpload
    instance, stays = _evidence(occurrence, upload, preview.file)
    with write_transaction() as session:
        meeting = _locked(occurrence)
        if not _decide(upload, "preview", "confirmed"):
            return
        if session.scalar(select(ZoomInstance.id).where(ZoomInstance.uuid == instance.uuid)) is None:
            session.add(instance)
            session.flush()
            session.add_all(stays)
        refresh_occurrence_state(meeting, occurrence.id)
        add_sheet_history(occurrence.id, SheetEvent.FILE_CONFIRMED, by=user.id, reason=upload.filename)
        audit_log.record_action(
            AuditAction.CONFIRMED_PARTICIPANTS_FILE, AuditSubject.OCCURRENCE, occurrence.id, by=user.id, rows=len(stays)
        )
    recompute_sheet(occurrence.id)


def discard_upload(user: User, occurrence: MeetingOccurrence, upload: ParticipantUpload) -> None:
    """Throw an upload away that was only looked at."""
    if upload.state != UploadState.PREVIEW:
        return
    with write_transaction():
        if not _decide(upload, "preview", "discarded"):
            return
        audit_log.record_action(
            AuditAction.DISCARDED_PARTICIPANTS_FILE, AuditSubject.OCCURRENCE, occurrence.id, by=user.id
        )


def revoke_upload(user: User, occurrence: MeetingOccurrence, upload: ParticipantUpload) -> None:
    """Remove what a confirmed file told, and the matches made of its rows. Raises SheetFinalised."""
    if upload.state != UploadState.CONFIRMED:
        return
    with write_transaction() as session:
        meeting = _locked(occurrence)
        if not _decide(upload, "confirmed", UploadState.REVOKED):
            return
        for same in list_confirmed_uploads(occurrence.id):  # the same rows brought in twice are one evidence
            if same.instance_uuid == upload.instance_uuid:
                same.state = UploadState.REVOKED
        session.execute(
            delete(ZoomInstance).where(
                ZoomInstance.uuid == upload.instance_uuid, ZoomInstance.occurrence_id == occurrence.id
            )
        )
        refresh_occurrence_state(meeting, occurrence.id)
        add_sheet_history(occurrence.id, SheetEvent.FILE_REVOKED, by=user.id, reason=upload.filename)
        audit_log.record_action(
            AuditAction.REVOKED_PARTICIPANTS_FILE, AuditSubject.OCCURRENCE, occurrence.id, by=user.id
        )
    recompute_sheet(occurrence.id)


def _locked(occurrence: MeetingOccurrence) -> ZoomMeeting:
    meeting = lock_zoom_meeting(ZoomMeeting.id == occurrence.meeting_id)
    assert meeting is not None  # its occurrence is here
    sheet = db.session.get(AttendanceSheet, occurrence.id, with_for_update=True, populate_existing=True)
    if sheet and sheet.finalised_at:
        raise SheetFinalised
    return meeting


def _decide(upload: ParticipantUpload, before: str, after: str) -> bool:
    """Move the upload on, unless another request did meanwhile. Its rows are needed no longer: they are stays
    now, or nothing."""
    row = db.session.get(ParticipantUpload, upload.id, populate_existing=True, with_for_update=True)
    if row is None or row.state != before:
        return False
    row.state, row.rows = after, None
    db.session.flush()
    return True


def find_upload(occurrence_id: UUID, upload_id: UUID) -> ParticipantUpload | None:
    """An upload of this class date."""
    upload = db.session.get(ParticipantUpload, upload_id)
    return upload if upload and upload.occurrence_id == occurrence_id else None


def list_confirmed_uploads(occurrence_id: UUID) -> list[ParticipantUpload]:
    """The files that this class date's sheet rests on, first to last."""
    return list(
        db.session.scalars(
            select(ParticipantUpload)
            .where(ParticipantUpload.occurrence_id == occurrence_id, ParticipantUpload.state == UploadState.CONFIRMED)
            .order_by(ParticipantUpload.uploaded_at)
        )
    )
