"""Upload of Zoom's participants file: a preview, then, if confirmed, evidence like any other.

Its rows are added to those of the events and never replace them: a learner's time is the union of both. A confirmed
file can be revoked.
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
from portal.attendance.sheet.compute import recompute_sheet
from portal.attendance.sheet.corrections import SheetFinalised, add_sheet_history
from portal.attendance.sheet.evidence_loader import LearnerRecord, load_sheet_evidence
from portal.core import audit_log, clock
from portal.core.audit_codes import AuditAction, AuditSubject
from portal.core.db import db, write_transaction
from portal.meetings.models import MeetingOccurrence, ZoomInstance, ZoomMeeting

FAR_FROM_CLASS = timedelta(hours=12)


class EmptyUpload(ValueError):
    """The file has no readable participant."""


@dataclass(frozen=True)
class MarkChange:
    """The change of one learner's record if the file is confirmed."""

    line: LearnerRecord
    mark_before: str
    mark_after: str
    seconds_before: int
    seconds_after: int


@dataclass(frozen=True)
class UploadPreview:
    """The content of a file and its effects. `other_meeting`, `other_day`: it seems to belong to another class."""

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
    """Parse the file and store its content for the preview; no evidence is changed yet."""
    file = parse_participants_csv(data, near=occurrence.local_date)
    content = {
        "layout": file.layout,
        "meeting_id": file.meeting_id,
        "started_at": _to_iso(file.started_at),
        "ended_at": _to_iso(file.ended_at),
        "rows": [
            asdict(row) | {"joined_at": _to_iso(row.joined_at), "left_at": _to_iso(row.left_at)} for row in file.rows
        ],
        "problems": [asdict(problem) for problem in file.problems[:50]],
    }
    digest = hashlib.sha256(json.dumps([str(occurrence.id), content["rows"]], sort_keys=True).encode()).hexdigest()
    with write_transaction() as session:
        upload = ParticipantUpload(
            id=uuid4(),
            occurrence_id=occurrence.id,
            uploaded_by=user.id,
            uploaded_at=clock.now(),
            filename=filename[:200],
            instance_uuid=f"{CSV_UUID}{digest[:48]}",
            rows=content,
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


def _to_iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _from_iso(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def file_of_upload(upload: ParticipantUpload) -> ParticipantFile:
    """The stored content of an upload."""
    values: dict[str, Any] = upload.rows or {}
    return ParticipantFile(
        layout=values.get("layout"),
        rows=tuple(
            ParticipantFileRow(
                **(row | {"joined_at": _from_iso(row["joined_at"]), "left_at": _from_iso(row["left_at"])})
            )
            for row in values.get("rows", ())
        ),
        meeting_id=values.get("meeting_id"),
        started_at=_from_iso(values.get("started_at")),
        ended_at=_from_iso(values.get("ended_at")),
        problems=tuple(FileProblem(**problem) for problem in values.get("problems", ())),
    )


def preview_upload(occurrence: MeetingOccurrence, upload: ParticipantUpload) -> UploadPreview:
    """The effects of confirming the upload on the sheet."""
    file = file_of_upload(upload)
    present = load_sheet_evidence(occurrence, occurrence.meeting)
    changed = load_sheet_evidence(occurrence, occurrence.meeting, extra=_build_evidence(occurrence, upload, file))
    old_result, new_result = compute_sheet(present.input), compute_sheet(changed.input)
    span = _time_span(file)
    return UploadPreview(
        file=file,
        people=len({(row.email or row.name.casefold()) for row in file.rows}),
        first=span[0],
        last=span[1],
        other_meeting=bool(file.meeting_id) and file.meeting_id != occurrence.meeting.zoom_id,
        other_day=_is_other_day(occurrence, span),
        changes=_list_mark_changes(present.lines, old_result, new_result),
        unmatched_before=len(old_result.unmatched),
        unmatched_after=len(new_result.unmatched),
    )


def _is_other_day(occurrence: MeetingOccurrence, span: tuple[datetime | None, datetime | None]) -> bool:
    first_join, last_leave = span
    if first_join is None or last_leave is None:
        return False
    return first_join > occurrence.ends_at + FAR_FROM_CLASS or last_leave < occurrence.starts_at - FAR_FROM_CLASS


def _list_mark_changes(
    lines: tuple[LearnerRecord, ...], old_result: SheetResult, new_result: SheetResult
) -> tuple[MarkChange, ...]:
    record_pairs = zip(lines, old_result.learners, new_result.learners, strict=True)
    return tuple(
        MarkChange(line, old.mark, new.mark, old.seconds, new.seconds)
        for line, old, new in record_pairs
        if (old.mark, old.seconds) != (new.mark, new.seconds)
    )


def _time_span(file: ParticipantFile) -> tuple[datetime | None, datetime | None]:
    """From the first join to the last leave; the meeting's own times where rows have none."""
    if file.layout == "minutes":
        return file.started_at, file.ended_at
    starts = [time for time in (file.started_at, *(row.joined_at for row in file.rows)) if time]
    ends = [time for time in (file.ended_at, *(row.left_at for row in file.rows)) if time]
    return min(starts, default=None), max(ends, default=None)


def _build_evidence(
    occurrence: MeetingOccurrence, upload: ParticipantUpload, file: ParticipantFile
) -> tuple[ZoomInstance, list[ZoomParticipant]]:
    """The instance and the stays of the file, not yet stored."""
    started, ended = _time_span(file)
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
    return instance, [_build_stay(instance, row) for row in file.rows]


def _build_stay(instance: ZoomInstance, row: ParticipantFileRow) -> ZoomParticipant:
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
    """Store the file's stays as evidence. Idempotent. Raises SheetFinalised, EmptyUpload."""
    if upload.state != UploadState.PREVIEW:
        return
    preview = preview_upload(occurrence, upload)
    if not preview.usable:
        raise EmptyUpload
    instance, stays = _build_evidence(occurrence, upload, preview.file)
    with write_transaction() as session:
        meeting = _lock_for_change(occurrence)
        if not _change_state(upload, "preview", "confirmed"):
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
    """Discard an upload after its preview."""
    if upload.state != UploadState.PREVIEW:
        return
    with write_transaction():
        if not _change_state(upload, "preview", "discarded"):
            return
        audit_log.record_action(
            AuditAction.DISCARDED_PARTICIPANTS_FILE, AuditSubject.OCCURRENCE, occurrence.id, by=user.id
        )


def revoke_upload(user: User, occurrence: MeetingOccurrence, upload: ParticipantUpload) -> None:
    """Delete the evidence of a confirmed file, and the matches of its rows. Raises SheetFinalised."""
    if upload.state != UploadState.CONFIRMED:
        return
    with write_transaction() as session:
        meeting = _lock_for_change(occurrence)
        if not _change_state(upload, "confirmed", UploadState.REVOKED):
            return
        for identical in list_confirmed_uploads(
            occurrence.id
        ):  # an identical file confirmed twice is one piece of evidence
            if identical.instance_uuid == upload.instance_uuid:
                identical.state = UploadState.REVOKED
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


def _lock_for_change(occurrence: MeetingOccurrence) -> ZoomMeeting:
    meeting = lock_zoom_meeting(ZoomMeeting.id == occurrence.meeting_id)
    assert meeting is not None  # the occurrence's foreign key
    sheet = db.session.get(AttendanceSheet, occurrence.id, with_for_update=True, populate_existing=True)
    if sheet and sheet.finalised_at:
        raise SheetFinalised
    return meeting


def _change_state(upload: ParticipantUpload, expected_state: str, new_state: str) -> bool:
    """Compare-and-set of the upload's state; False if another request changed it first. The stored rows are cleared:
    they are stays now, or discarded."""
    row = db.session.get(ParticipantUpload, upload.id, populate_existing=True, with_for_update=True)
    if row is None or row.state != expected_state:
        return False
    row.state, row.rows = new_state, None
    db.session.flush()
    return True


def find_upload(occurrence_id: UUID, upload_id: UUID) -> ParticipantUpload | None:
    """An upload of this class date, or None."""
    upload = db.session.get(ParticipantUpload, upload_id)
    return upload if upload and upload.occurrence_id == occurrence_id else None


def list_confirmed_uploads(occurrence_id: UUID) -> list[ParticipantUpload]:
    """The confirmed files of this class date, oldest first."""
    return list(
        db.session.scalars(
            select(ParticipantUpload)
            .where(ParticipantUpload.occurrence_id == occurrence_id, ParticipantUpload.state == UploadState.CONFIRMED)
            .order_by(ParticipantUpload.uploaded_at)
        )
    )
