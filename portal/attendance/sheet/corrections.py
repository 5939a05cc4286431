"""What people decide on a sheet: other marks, who a participant was, signing and reopening."""

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import delete, insert, select, tuple_, update

from portal.accounts.models import User
from portal.attendance.calculation.marks import compute_sheet
from portal.attendance.calculation.matching import is_device_name
from portal.attendance.codes import Mark, SheetEvent
from portal.attendance.evidence.events import mark_sheet_dirty
from portal.attendance.models import (
    HAND_MARKS,
    AttendanceHistory,
    AttendanceRecord,
    AttendanceSheet,
    ParticipantAlias,
    ParticipantMatch,
    ZoomParticipant,
)
from portal.attendance.sheet import tally
from portal.attendance.sheet.compute import recompute_sheet
from portal.attendance.sheet.evidence_loader import load_sheet_evidence
from portal.classes.lis_names import fold_name
from portal.classes.models import SchoolClass, Section
from portal.core import audit_log, clock
from portal.core.audit_codes import AuditAction, AuditSubject
from portal.core.db import db, insert_if_absent, write_transaction
from portal.core.worker_signals import Topic, notify_worker
from portal.meetings.models import MeetingOccurrence, ZoomInstance, ZoomMeeting


class SheetFinalised(ValueError):
    """The sheet is signed: it has to be reopened, with a reason, before a mark can change."""


class ClassNotOver(ValueError):
    """The class is not over, so its marks are not known yet."""


def override_marks(
    user: User, occurrence: MeetingOccurrence, learner_ids: list[UUID], mark: str | None, reason: str
) -> int:
    """Set a mark by hand for learners of the sheet, or with None go back to what Zoom saw.

    Returns how many records changed. Raises SheetFinalised; ValueError for a mark that cannot be set or a
    missing reason.
    """
    reason = " ".join(reason.split())
    if mark is not None and mark not in HAND_MARKS:
        raise ValueError("no such mark")
    if mark is not None and not reason:
        raise ValueError("a reason is needed")
    with write_transaction() as session:
        sheet = _open_sheet(occurrence)
        allowed = {line.learner.learner_id for line in load_sheet_evidence(occurrence, occurrence.meeting).lines}
        records = _records(occurrence, [row for row in learner_ids if row in allowed])
        changed = 0
        for record in records:
            changed += _override(user, record, mark, reason)
        session.flush()
        if changed:
            sheet.needs_recompute = True
            audit_log.record_action(
                AuditAction.CHANGED_MARKS,
                AuditSubject.OCCURRENCE,
                occurrence.id,
                by=user.id,
                learners=changed,
                mark=mark or "",
            )
    recompute_sheet(occurrence.id)
    return changed


def _open_sheet(occurrence: MeetingOccurrence) -> AttendanceSheet:
    mark_sheet_dirty(occurrence.id)
    sheet = db.session.get(AttendanceSheet, occurrence.id, with_for_update=True, populate_existing=True)
    assert sheet is not None  # touch made it
    if sheet.finalised_at:
        raise SheetFinalised
    return sheet


def _records(occurrence: MeetingOccurrence, learner_ids: list[UUID]) -> list[AttendanceRecord]:
    """The learners' records, made where the sheet has not been computed yet."""
    for learner_id in learner_ids:
        insert_if_absent(
            AttendanceRecord,
            {
                "id": uuid4(),
                "occurrence_id": occurrence.id,
                "learner_id": learner_id,
                "computed_mark": Mark.PENDING,
                "seconds": 0,
                "stay_count": 0,
                "matched_by": [],
                "flags": [],
                "is_in_meeting": False,
            },
            ["occurrence_id", "learner_id"],
        )
    return list(
        db.session.scalars(
            select(AttendanceRecord).where(
                AttendanceRecord.occurrence_id == occurrence.id, AttendanceRecord.learner_id.in_(learner_ids)
            )
        )
    )


def _override(user: User, record: AttendanceRecord, mark: str | None, reason: str) -> int:
    if mark is None and record.override_mark is None:
        return 0
    before = record.mark
    if mark is None:
        record.override_mark = record.override_reason = record.override_by = record.override_at = None
    else:
        record.override_mark, record.override_reason = mark, reason
        record.override_by, record.override_at = user.id, clock.now()
    add_sheet_history(
        record.occurrence_id,
        SheetEvent.OVERRIDE if mark else SheetEvent.OVERRIDE_REMOVED,
        by=user.id,
        learner_id=record.learner_id,
        from_mark=before,
        to_mark=record.mark,
        reason=reason or None,
    )
    return 1


def add_sheet_history(occurrence_id: UUID, what: str, *, by: UUID, **values: object) -> None:
    """Add a line to the sheet's history, in the transaction that is open."""
    db.session.execute(
        insert(AttendanceHistory).values(
            occurrence_id=occurrence_id, occurred_at=clock.now(), actor_id=by, event=what, **values
        )
    )


def finalise_sheet(user: User, occurrence: MeetingOccurrence) -> None:
    """Sign the marks as they stand. Raises ClassNotOver while the class is not over."""
    recompute_sheet(occurrence.id)
    with write_transaction():
        sheet = _open_sheet(occurrence)
        loaded = load_sheet_evidence(occurrence, occurrence.meeting)
        if not loaded.input.knowledge.is_over:
            raise ClassNotOver
        result = compute_sheet(loaded.input)
        computed = {line.learner_id: line.mark for line in result.learners}
        for record in _records(occurrence, [line.learner.learner_id for line in loaded.lines]):
            record.final_mark = record.override_mark or computed[str(record.learner_id)]
        tally.write_sheet_tally(occurrence.id, meeting_seconds=result.meeting_seconds)
        sheet.finalised_at, sheet.finalised_by, sheet.evidence_changed = clock.now(), user.id, False
        add_sheet_history(occurrence.id, SheetEvent.FINALISED, by=user.id)
        audit_log.record_action(AuditAction.FINALISED_SHEET, AuditSubject.OCCURRENCE, occurrence.id, by=user.id)


def reopen_sheet(user: User, occurrence: MeetingOccurrence, reason: str) -> None:
    """Take the signature back, with a reason. The marks set by hand stay."""
    reason = " ".join(reason.split())
    if not reason:
        raise ValueError("a reason is needed")
    with write_transaction() as session:
        sheet = session.get(AttendanceSheet, occurrence.id, with_for_update=True, populate_existing=True)
        if sheet is None or sheet.finalised_at is None:
            return
        for record in session.scalars(select(AttendanceRecord).where(AttendanceRecord.occurrence_id == occurrence.id)):
            record.final_mark = None
        sheet.finalised_at, sheet.finalised_by, sheet.evidence_changed = None, None, False
        add_sheet_history(occurrence.id, SheetEvent.REOPENED, by=user.id, reason=reason)
        audit_log.record_action(AuditAction.REOPENED_SHEET, AuditSubject.OCCURRENCE, occurrence.id, by=user.id)
    recompute_sheet(occurrence.id)


def match_participant(
    user: User,
    occurrence: MeetingOccurrence,
    stay_ids: list[UUID],
    learner_ids: list[UUID],
    *,
    staff: bool = False,
) -> None:
    """Say who a participant was: learners of the sheet, staff, or (without either) nobody of the class.

    A name that is not just a device's is remembered for the class. What was said before is kept, so that
    undoing brings it back. Raises SheetFinalised, ValueError for stays or learners of another sheet.
    """
    with write_transaction() as session:
        _open_sheet(occurrence)
        stays = _stays_here(occurrence, stay_ids)
        allowed = {line.learner.learner_id for line in load_sheet_evidence(occurrence, occurrence.meeting).lines}
        is_here = set(stay_ids) <= {stay.id for stay in stays}
        if not is_here or not stays or not set(learner_ids) <= allowed:
            raise ValueError("not of this sheet")
        now = clock.now()
        names = sorted({stay.name for stay in stays if _is_rememberable(stay.name)})
        before = _said_before(occurrence, stays, names)
        session.execute(
            delete(ParticipantMatch).where(ParticipantMatch.participant_id.in_([stay.id for stay in stays]))
        )
        for stay in stays:
            who: list[UUID | None] = [*learner_ids] or [None]
            for learner_id in who:
                session.add(
                    ParticipantMatch(
                        participant_id=stay.id,
                        learner_id=learner_id,
                        is_staff=None if learner_id else staff,
                        matched_by=user.id,
                        matched_at=now,
                    )
                )
        for name in names:
            _remember_alias(user, occurrence, fold_name(name), learner_ids, now)
        what = SheetEvent.MATCHED if learner_ids else SheetEvent.MATCHED_STAFF if staff else SheetEvent.MATCHED_NOBODY
        for nth, learner_id in enumerate(learner_ids or [None]):
            add_sheet_history(
                occurrence.id,
                what,
                by=user.id,
                learner_id=learner_id,
                reason=_shown(stays),
                details=before if nth == 0 else None,
            )
        audit_log.record_action(
            AuditAction.MATCHED_PARTICIPANT, AuditSubject.OCCURRENCE, occurrence.id, by=user.id, stays=len(stays)
        )
    recompute_sheet(occurrence.id)
    notify_worker(Topic.SHEETS)


def _shown(stays: list[ZoomParticipant]) -> str:
    return ", ".join(sorted({f"“{stay.name}”" for stay in stays if stay.name}))[:200]


def _is_rememberable(name: str) -> bool:
    return bool(fold_name(name)) and not is_device_name(name)


def _said_before(occurrence: MeetingOccurrence, stays: list[ZoomParticipant], names: list[str]) -> dict[str, Any]:
    """The links of the stays and the memory of their names, as they are: for undoing."""
    links = db.session.scalars(
        select(ParticipantMatch)
        .where(ParticipantMatch.participant_id.in_([stay.id for stay in stays]))
        .order_by(ParticipantMatch.participant_id, ParticipantMatch.learner_id)
    )
    folded = sorted({fold_name(name) for name in names})
    aliases = db.session.scalars(
        select(ParticipantAlias)
        .where(ParticipantAlias.class_id == occurrence.meeting.class_id, ParticipantAlias.folded_name.in_(folded))
        .order_by(ParticipantAlias.folded_name, ParticipantAlias.learner_id)
    )
    return {
        "stays": sorted(str(stay.id) for stay in stays),
        "names": folded,
        "links": [
            _plain(link, ("participant_id", "learner_id", "is_staff", "matched_by", "matched_at")) for link in links
        ],
        "aliases": [
            _plain(alias, ("class_id", "folded_name", "learner_id", "created_by", "created_at")) for alias in aliases
        ],
    }


def _plain(row: ParticipantMatch | ParticipantAlias, columns: tuple[str, ...]) -> dict[str, Any]:
    """Columns of a row as JSON holds them; `_row` reads them back."""
    values = {column: getattr(row, column) for column in columns}
    return {
        column: value.isoformat() if isinstance(value, datetime) else str(value) if isinstance(value, UUID) else value
        for column, value in values.items()
    }


def _row(values: dict[str, Any]) -> dict[str, Any]:
    return {
        column: datetime.fromisoformat(value)
        if column.endswith("_at")
        else UUID(value)
        if value is not None and column.endswith(("_id", "_by"))
        else value
        for column, value in values.items()
    }


def undo_match(user: User, occurrence: MeetingOccurrence, stay_ids: list[UUID]) -> None:
    """Take the last match of these stays back: links and remembered names are as they were before it.

    A name that was matched anew since, on another sheet, is left as it is.
    """
    with write_transaction() as session:
        _open_sheet(occurrence)
        stays = _stays_here(occurrence, stay_ids)
        match_id, before = _last_match(occurrence, {str(stay.id) for stay in stays})
        ids = [UUID(text) for text in before["stays"]] if before else [stay.id for stay in stays]
        links = list(session.scalars(select(ParticipantMatch).where(ParticipantMatch.participant_id.in_(ids))))
        if not links:
            return
        session.execute(delete(ParticipantMatch).where(ParticipantMatch.id.in_([link.id for link in links])))
        if before:
            session.add_all(ParticipantMatch(**_row(values)) for values in before["links"])
            _restore_aliases(occurrence, before, {(link.matched_by, link.matched_at) for link in links})
        add_sheet_history(
            occurrence.id, SheetEvent.MATCH_REMOVED, by=user.id, reason=_shown(stays), details={"undoes": match_id}
        )
        audit_log.record_action(
            AuditAction.UNDID_MATCH, AuditSubject.OCCURRENCE, occurrence.id, by=user.id, stays=len(ids)
        )
    recompute_sheet(occurrence.id)


def _last_match(occurrence: MeetingOccurrence, stay_ids: set[str]) -> tuple[int | None, dict[str, Any] | None]:
    """The last match of one of the stays that has not been taken back: its history id and what was before."""
    rows = db.session.execute(
        select(AttendanceHistory.id, AttendanceHistory.details)
        .where(AttendanceHistory.occurrence_id == occurrence.id, AttendanceHistory.details.is_not(None))
        .order_by(AttendanceHistory.id.desc())
    ).all()
    undone = {details.get("undoes") for _, details in rows}
    for match_id, details in rows:
        if match_id not in undone and stay_ids & set(details.get("stays", ())):
            return match_id, details
    return None, None


def _restore_aliases(
    occurrence: MeetingOccurrence, before: dict[str, Any], matched: set[tuple[UUID, datetime]]
) -> None:
    """Put the memory of the names back, where it is still the memory of the match that is taken back."""
    class_id = occurrence.meeting.class_id
    for name in before["names"]:
        aliases = list(
            db.session.scalars(
                select(ParticipantAlias).where(
                    ParticipantAlias.class_id == class_id, ParticipantAlias.folded_name == name
                )
            )
        )
        if any((alias.created_by, alias.created_at) not in matched for alias in aliases):
            continue
        db.session.execute(delete(ParticipantAlias).where(ParticipantAlias.id.in_([alias.id for alias in aliases])))
        valueses = [_row(values) for values in before["aliases"] if values["folded_name"] == name]
        db.session.add_all(ParticipantAlias(**values) for values in valueses)


def _stays_here(occurrence: MeetingOccurrence, stay_ids: list[UUID]) -> list[ZoomParticipant]:
    """The rows of this sheet that are meant, and all others of their sessions: what was said of a session by
    one source is said of it whatever comes from another."""
    here = ZoomInstance.occurrence_id == occurrence.id
    meant = (
        select(ZoomParticipant.instance_id, ZoomParticipant.session)
        .join(ZoomInstance, ZoomInstance.id == ZoomParticipant.instance_id)
        .where(here, ZoomParticipant.id.in_(stay_ids))
    )
    return list(
        db.session.scalars(
            select(ZoomParticipant)
            .where(tuple_(ZoomParticipant.instance_id, ZoomParticipant.session).in_(meant))
            .order_by(ZoomParticipant.source.desc(), ZoomParticipant.sequence, ZoomParticipant.id)
        )
    )


def _remember_alias(
    user: User, occurrence: MeetingOccurrence, folded: str, learner_ids: list[UUID], at: datetime
) -> None:
    class_id = occurrence.meeting.class_id
    if class_id is None:
        return
    db.session.execute(
        delete(ParticipantAlias).where(ParticipantAlias.class_id == class_id, ParticipantAlias.folded_name == folded)
    )
    db.session.add_all(
        ParticipantAlias(
            class_id=class_id, folded_name=folded, learner_id=learner_id, created_by=user.id, created_at=at
        )
        for learner_id in learner_ids
    )


def set_counts_in_reports(user: User, occurrence: MeetingOccurrence, counts: bool) -> None:
    """Say whether a date that nobody scheduled counts in reports."""
    with write_transaction():
        sheet = _open_sheet(occurrence)
        if sheet.counts_in_reports == counts:
            return
        sheet.counts_in_reports = counts
        add_sheet_history(
            occurrence.id, SheetEvent.COUNTS_IN_REPORTS if counts else SheetEvent.EXCLUDED_FROM_REPORTS, by=user.id
        )
        audit_log.record_action(
            AuditAction.INCLUDED_IN_REPORTS if counts else AuditAction.EXCLUDED_FROM_REPORTS,
            AuditSubject.OCCURRENCE,
            occurrence.id,
            by=user.id,
        )


def set_grace_minutes(user: User, section: Section, minutes: int | None) -> None:
    """How many minutes after the start is late, and before the end early, in a section; None: not asked for.

    Dates that are over and not signed are computed anew.
    """
    with write_transaction() as session:
        session.execute(update(Section).where(Section.id == section.id).values(late_grace_minutes=minutes))
        dates = (
            select(MeetingOccurrence.id).join(ZoomMeeting).join(SchoolClass).where(SchoolClass.section_id == section.id)
        )
        session.execute(
            update(AttendanceSheet)
            .where(AttendanceSheet.occurrence_id.in_(dates), AttendanceSheet.finalised_at.is_(None))
            .values(needs_recompute=True)
            .execution_options(synchronize_session=False)
        )
        audit_log.record_action(
            AuditAction.SET_GRACE_MINUTES, AuditSubject.SECTION, section.id, by=user.id, minutes=minutes
        )
    notify_worker(Topic.SHEETS)
