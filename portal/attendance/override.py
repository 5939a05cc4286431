"""What people decide on a sheet: other marks, who a participant was, signing and reopening."""

from uuid import UUID, uuid4

from sqlalchemy import delete, insert, select

from portal.accounts.models import User
from portal.attendance.evidence import touch
from portal.attendance.marks import compute
from portal.attendance.matching import is_device_name
from portal.attendance.models import (
    HAND_MARKS,
    AttendanceHistory,
    AttendanceRecord,
    AttendanceSheet,
    NameAlias,
    ParticipantLink,
    ZoomParticipant,
)
from portal.attendance.sheet import load, recompute
from portal.base import audit, clock
from portal.base.db import db, insert_once, writing
from portal.base.wake import wake
from portal.classes.names import fold_name
from portal.meetings.models import MeetingOccurrence, ZoomInstance


class SheetIsFinal(ValueError):
    """The sheet is signed: it has to be reopened, with a reason, before a mark can change."""


class NothingToFinalise(ValueError):
    """The class is not over, so its marks are not known yet."""


def set_marks(user: User, occurrence: MeetingOccurrence, learner_ids: list[UUID], mark: str | None, reason: str) -> int:
    """Set a mark by hand for learners of the sheet, or with None go back to what Zoom saw.

    Returns how many records changed. Raises SheetIsFinal; ValueError for a mark that cannot be set or a
    missing reason.
    """
    reason = " ".join(reason.split())
    if mark is not None and mark not in HAND_MARKS:
        raise ValueError("no such mark")
    if mark is not None and not reason:
        raise ValueError("a reason is needed")
    with writing() as session:
        sheet = _open_sheet(occurrence)
        allowed = {line.learner.learner_id for line in load(occurrence, occurrence.meeting).lines}
        records = _records(occurrence, [row for row in learner_ids if row in allowed])
        changed = 0
        for record in records:
            changed += _override(user, record, mark, reason)
        session.flush()
        if changed:
            sheet.dirty = True
            audit.record("changed marks", "occurrence", occurrence.id, by=user.id, learners=changed, mark=mark or "")
    recompute(occurrence.id)
    return changed


def _open_sheet(occurrence: MeetingOccurrence) -> AttendanceSheet:
    touch(occurrence.id)
    sheet = db.session.get(AttendanceSheet, occurrence.id, with_for_update=True, populate_existing=True)
    assert sheet is not None  # touch made it
    if sheet.finalised_at:
        raise SheetIsFinal
    return sheet


def _records(occurrence: MeetingOccurrence, learner_ids: list[UUID]) -> list[AttendanceRecord]:
    """The learners' records, made where the sheet has not been computed yet."""
    for learner_id in learner_ids:
        insert_once(
            AttendanceRecord,
            {
                "id": uuid4(),
                "occurrence_id": occurrence.id,
                "learner_id": learner_id,
                "computed_mark": "pending",
                "seconds": 0,
                "stays": 0,
                "matched_by": [],
                "flags": [],
                "still_in": False,
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
    _remember(
        record.occurrence_id,
        "override" if mark else "override removed",
        by=user.id,
        learner_id=record.learner_id,
        from_mark=before,
        to_mark=record.mark,
        reason=reason or None,
    )
    return 1


def _remember(occurrence_id: UUID, what: str, *, by: UUID, **values: object) -> None:
    db.session.execute(
        insert(AttendanceHistory).values(occurrence_id=occurrence_id, at=clock.now(), by=by, what=what, **values)
    )


def finalise(user: User, occurrence: MeetingOccurrence) -> None:
    """Sign the marks as they stand. Raises NothingToFinalise while the class is not over."""
    recompute(occurrence.id)
    with writing():
        sheet = _open_sheet(occurrence)
        loaded = load(occurrence, occurrence.meeting)
        if not loaded.input.knowledge.over:
            raise NothingToFinalise
        computed = {line.learner_id: line.mark for line in compute(loaded.input).learners}
        for record in _records(occurrence, [line.learner.learner_id for line in loaded.lines]):
            record.final_mark = record.override_mark or computed[str(record.learner_id)]
        sheet.finalised_at, sheet.finalised_by, sheet.evidence_changed = clock.now(), user.id, False
        _remember(occurrence.id, "finalised", by=user.id)
        audit.record("finalised the sheet", "occurrence", occurrence.id, by=user.id)


def reopen(user: User, occurrence: MeetingOccurrence, reason: str) -> None:
    """Take the signature back, with a reason. The marks set by hand stay."""
    reason = " ".join(reason.split())
    if not reason:
        raise ValueError("a reason is needed")
    with writing() as session:
        sheet = session.get(AttendanceSheet, occurrence.id, with_for_update=True, populate_existing=True)
        if sheet is None or sheet.finalised_at is None:
            return
        for record in session.scalars(select(AttendanceRecord).where(AttendanceRecord.occurrence_id == occurrence.id)):
            record.final_mark = None
        sheet.finalised_at, sheet.finalised_by, sheet.evidence_changed = None, None, False
        _remember(occurrence.id, "reopened", by=user.id, reason=reason)
        audit.record("reopened the sheet", "occurrence", occurrence.id, by=user.id)
    recompute(occurrence.id)


def match(
    user: User,
    occurrence: MeetingOccurrence,
    stay_ids: list[UUID],
    learner_ids: list[UUID],
    *,
    staff: bool = False,
) -> None:
    """Say who a participant was: learners of the sheet, staff, or (without either) nobody of the class.

    A name that is not just a device's is remembered for the class. Raises SheetIsFinal, ValueError for stays
    or learners of another sheet.
    """
    with writing() as session:
        _open_sheet(occurrence)
        stays = _stays_here(occurrence, stay_ids)
        allowed = {line.learner.learner_id for line in load(occurrence, occurrence.meeting).lines}
        if len(stays) != len(set(stay_ids)) or not stays or not set(learner_ids) <= allowed:
            raise ValueError("not of this sheet")
        session.execute(delete(ParticipantLink).where(ParticipantLink.participant_id.in_(stay_ids)))
        now = clock.now()
        for stay in stays:
            who: list[UUID | None] = [*learner_ids] or [None]
            for learner_id in who:
                session.add(
                    ParticipantLink(
                        participant_id=stay.id,
                        learner_id=learner_id,
                        is_staff=None if learner_id else staff,
                        linked_by=user.id,
                        linked_at=now,
                    )
                )
        for name in {stay.name for stay in stays}:
            _remember_alias(user, occurrence, name, learner_ids)
        _remember(occurrence.id, "matched", by=user.id)
        audit.record("matched a participant", "occurrence", occurrence.id, by=user.id, stays=len(stays))
    recompute(occurrence.id)
    wake("attendance")


def unmatch(user: User, occurrence: MeetingOccurrence, stay_ids: list[UUID]) -> None:
    """Take a match back, and what was remembered of the name with it."""
    with writing() as session:
        _open_sheet(occurrence)
        stays = _stays_here(occurrence, stay_ids)
        session.execute(delete(ParticipantLink).where(ParticipantLink.participant_id.in_([stay.id for stay in stays])))
        folded = {fold_name(stay.name) for stay in stays}
        session.execute(
            delete(NameAlias).where(
                NameAlias.class_id == occurrence.meeting.class_id, NameAlias.folded_name.in_(folded)
            )
        )
        _remember(occurrence.id, "match removed", by=user.id)
        audit.record("took back a match", "occurrence", occurrence.id, by=user.id, stays=len(stays))
    recompute(occurrence.id)


def _stays_here(occurrence: MeetingOccurrence, stay_ids: list[UUID]) -> list[ZoomParticipant]:
    return list(
        db.session.scalars(
            select(ZoomParticipant)
            .join(ZoomInstance, ZoomInstance.id == ZoomParticipant.instance_id)
            .where(ZoomInstance.occurrence_id == occurrence.id, ZoomParticipant.id.in_(stay_ids))
        )
    )


def _remember_alias(user: User, occurrence: MeetingOccurrence, name: str, learner_ids: list[UUID]) -> None:
    folded = fold_name(name)
    class_id = occurrence.meeting.class_id
    if not folded or class_id is None or is_device_name(name):
        return
    db.session.execute(delete(NameAlias).where(NameAlias.class_id == class_id, NameAlias.folded_name == folded))
    for learner_id in learner_ids:
        db.session.add(
            NameAlias(
                class_id=class_id,
                folded_name=folded,
                learner_id=learner_id,
                made_by=user.id,
                made_at=clock.now(),
            )
        )
