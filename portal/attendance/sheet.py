"""The sheet of one class date: its evidence loaded, computed, and written down.

`load` and `compute` are the same for the page, the CSV and the records, so they cannot disagree.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import and_, insert, or_, select
from sqlalchemy.orm import joinedload

from portal.accounts.models import User
from portal.attendance.marks import (
    Alias,
    Computed,
    Instance,
    Knowledge,
    PersonLink,
    RosterLine,
    SheetInput,
    SheetResult,
    StaffLine,
    Stay,
    compute,
)
from portal.attendance.models import (
    AttendanceHistory,
    AttendanceRecord,
    AttendanceSheet,
    NameAlias,
    ParticipantLink,
    ZoomParticipant,
)
from portal.base import clock
from portal.base.db import db, writing
from portal.classes import queries as class_queries
from portal.classes.models import Enrolment, SchoolClass, co_teachers
from portal.meetings.models import MeetingOccurrence, ZoomInstance, ZoomMeeting
from portal.registration.models import MeetingRegistrant

GIVE_UP_WAITING = timedelta(minutes=30)  # after the planned end a class counts as over, end or no end


@dataclass(frozen=True)
class Line:
    """A learner with her record as a person has left it."""

    learner: class_queries.RosterLine
    override_mark: str | None
    override_reason: str | None
    override_by: str | None
    override_at: datetime | None
    final_mark: str | None
    record_id: UUID | None


@dataclass(frozen=True)
class Loaded:
    """Everything a sheet follows from, and the people's own decisions beside it."""

    input: SheetInput
    lines: tuple[Line, ...]
    sheet: AttendanceSheet | None


def load(occurrence: MeetingOccurrence, meeting: ZoomMeeting) -> Loaded:
    """Read the evidence of one class date; about eight statements, whatever the number of rows."""
    sheet = db.session.get(AttendanceSheet, occurrence.id, populate_existing=True)
    instances, stays = _seen_by_zoom(occurrence)
    lines = _lines(occurrence, meeting)
    registrant_ids = _registrant_ids(meeting)
    return Loaded(
        input=SheetInput(
            planned_start=occurrence.starts_at,
            planned_end=occurrence.ends_at,
            threshold=occurrence.threshold_seconds,
            grace_minutes=None,
            instances=tuple(Instance(row.uuid, row.started_at, row.ended_at) for row in instances),
            stays=stays,
            roster=tuple(
                RosterLine(
                    learner_id=str(line.learner.learner_id),
                    registrant_ids=frozenset(registrant_ids.get(line.learner.learner_id, ())),
                    email=line.learner.email,
                    name=line.learner.lis_name,
                )
                for line in lines
            ),
            staff=_staff(meeting, registrant_ids),
            links=_links(list({row.id for row in instances})),
            aliases=_aliases(meeting),
            knowledge=knowledge(occurrence, instances, sheet),
            now=clock.now(),
        ),
        lines=lines,
        sheet=sheet,
    )


def knowledge(occurrence: MeetingOccurrence, instances: list[ZoomInstance], sheet: AttendanceSheet | None) -> Knowledge:
    """Is it over, and is everything known? A class that nobody saw begin stays pending."""
    ended = bool(instances) and all(row.ended_at for row in instances)
    late = bool(instances) and clock.now() >= occurrence.ends_at + GIVE_UP_WAITING
    gap = bool(sheet and sheet.gap)
    seen = bool(instances) and all(row.start_seen and row.end_seen for row in instances)
    reported = bool(sheet and sheet.reconciled_at)
    return Knowledge(over=ended or late, complete=(seen and not gap) or reported, gap=gap)


def _lines(occurrence: MeetingOccurrence, meeting: ZoomMeeting) -> tuple[Line, ...]:
    """The roster of that day with each learner's record, in LIS order."""
    if meeting.class_id is None:
        return ()
    rows = db.session.execute(
        class_queries.roster_select(occurrence.local_date)
        .join(SchoolClass, SchoolClass.section_id == Enrolment.section_id)
        .outerjoin(
            AttendanceRecord,
            and_(
                AttendanceRecord.learner_id == Enrolment.learner_id,
                AttendanceRecord.occurrence_id == occurrence.id,
            ),
        )
        .outerjoin(User, User.id == AttendanceRecord.override_by)
        .where(SchoolClass.id == meeting.class_id)
        .add_columns(
            AttendanceRecord.id.label("record_id"),
            AttendanceRecord.override_mark,
            AttendanceRecord.override_reason,
            AttendanceRecord.override_at,
            AttendanceRecord.final_mark,
            User.full_name.label("override_by"),
        )
    )
    lines = []
    own = ("record_id", "override_mark", "override_reason", "override_at", "final_mark", "override_by")
    for row in rows:
        values = dict(row._mapping)
        mine = {name: values.pop(name) for name in own}
        lines.append(Line(learner=class_queries.RosterLine(**values), **mine))
    return tuple(lines)


def _registrant_ids(meeting: ZoomMeeting) -> dict[UUID, list[str]]:
    """Zoom's registrant ids of each learner and each teacher of the meeting."""
    rows = db.session.execute(
        select(MeetingRegistrant.learner_id, MeetingRegistrant.user_id, MeetingRegistrant.zoom_registrant_id).where(
            MeetingRegistrant.meeting_id == meeting.id, MeetingRegistrant.zoom_registrant_id.is_not(None)
        )
    )
    ids: dict[UUID, list[str]] = {}
    for learner_id, user_id, registrant_id in rows:
        ids.setdefault(learner_id or user_id, []).append(registrant_id)  # type: ignore[arg-type]  # selected as set
    return ids


def _seen_by_zoom(occurrence: MeetingOccurrence) -> tuple[list[ZoomInstance], tuple[Stay, ...]]:
    """The runs of the class date and everybody's stays in them, in one statement."""
    rows = db.session.execute(
        select(ZoomInstance, ZoomParticipant)
        .outerjoin(ZoomParticipant, ZoomParticipant.instance_id == ZoomInstance.id)
        .where(ZoomInstance.occurrence_id == occurrence.id)
    ).all()
    instances = {instance.id: instance for instance, _ in rows}
    return list(instances.values()), _stays(instances, [row for _, row in rows if row])


def _stays(instances: dict[UUID, ZoomInstance], rows: list[ZoomParticipant]) -> tuple[Stay, ...]:
    return tuple(
        Stay(
            id=str(row.id),
            instance=instances[row.instance_id].uuid,
            session=row.session,
            registrant_id=row.registrant_id,
            email=row.email,
            zoom_user_id=row.zoom_user_id,
            name=row.name,
            joined_at=row.joined_at,
            left_at=row.left_at,
            room=row.room,  # type: ignore[arg-type]  # a check constraint holds it to these words
            source=row.source,  # type: ignore[arg-type]
            left_source=row.left_source,  # type: ignore[arg-type]
            is_host=row.is_host,
        )
        for row in rows
    )


def _staff(meeting: ZoomMeeting, registrant_ids: dict[UUID, list[str]]) -> tuple[StaffLine, ...]:
    if meeting.class_id is None:
        return ()
    teacher = select(SchoolClass.teacher_id).where(SchoolClass.id == meeting.class_id)
    others = select(co_teachers.c.user_id).where(co_teachers.c.class_id == meeting.class_id)
    rows = db.session.execute(
        select(User.id, User.email, User.full_name)
        .where(or_(User.id.in_(teacher), User.id.in_(others)))
        .order_by(User.id)
    )
    return tuple(
        StaffLine(str(user_id), frozenset(registrant_ids.get(user_id, ())), email, (name,))
        for user_id, email, name in rows
    )


def _links(instance_ids: list[UUID]) -> tuple[PersonLink, ...]:
    rows = db.session.scalars(
        select(ParticipantLink)
        .join(ZoomParticipant, ZoomParticipant.id == ParticipantLink.participant_id)
        .where(ZoomParticipant.instance_id.in_(instance_ids))
        .order_by(ParticipantLink.participant_id, ParticipantLink.learner_id)
    )
    learners: dict[UUID, list[str]] = {}
    said: dict[UUID, bool | None] = {}
    for row in rows:
        learners.setdefault(row.participant_id, [])
        said[row.participant_id] = row.is_staff
        if row.learner_id:
            learners[row.participant_id].append(str(row.learner_id))
    return tuple(
        PersonLink(str(stay), tuple(ids), staff=said[stay] is True, nobody=not ids and said[stay] is False)
        for stay, ids in learners.items()
    )


def _aliases(meeting: ZoomMeeting) -> tuple[Alias, ...]:
    if meeting.class_id is None:
        return ()
    rows = db.session.execute(
        select(NameAlias.folded_name, NameAlias.made_at, NameAlias.learner_id)
        .where(NameAlias.class_id == meeting.class_id)
        .order_by(NameAlias.folded_name, NameAlias.made_at, NameAlias.learner_id)
    )
    # Siblings on one phone are tied in one act; the same name tied twice is two children, and proves nothing.
    tied: dict[tuple[str, datetime], list[str]] = {}
    for name, made_at, learner_id in rows:
        tied.setdefault((name, made_at), []).append(str(learner_id))
    return tuple(Alias(name, tuple(ids)) for (name, _made_at), ids in tied.items())


def recompute(occurrence_id: UUID) -> SheetResult | None:
    """Compute one sheet and write its records, under the sheet's lock. The same evidence writes nothing."""
    with writing() as session:
        sheet = session.get(AttendanceSheet, occurrence_id, with_for_update=True, populate_existing=True)
        occurrence = session.scalar(
            select(MeetingOccurrence)
            .where(MeetingOccurrence.id == occurrence_id)
            .options(joinedload(MeetingOccurrence.meeting))
            .execution_options(populate_existing=True)
        )
        if sheet is None or occurrence is None:
            return None
        loaded = load(occurrence, occurrence.meeting)
        result = compute(loaded.input)
        _write_records(occurrence, loaded, result)
        sheet.dirty, sheet.computed_at = False, clock.now()
        sheet.state = state_of(occurrence, sheet, loaded.input.knowledge)
        _plan_reconciliation(sheet, occurrence, loaded.input.knowledge)
        return result


def state_of(occurrence: MeetingOccurrence, sheet: AttendanceSheet, known: Knowledge) -> str:
    """The badge: live, then provisional (Zoom's report is awaited), then reconciled or unreported."""
    if not known.over:
        return "live" if occurrence.state == "started" else "waiting"
    if sheet.reconciled_at:
        return "reconciled"
    return "unreported" if sheet.state == "unreported" else "provisional"


def _plan_reconciliation(sheet: AttendanceSheet, occurrence: MeetingOccurrence, known: Knowledge) -> None:
    from portal.attendance.reconcile import first_time

    if sheet.reconcile_at is None and sheet.reconcile_attempts == 0 and known.over:
        sheet.reconcile_at = first_time()


def _write_records(occurrence: MeetingOccurrence, loaded: Loaded, result: SheetResult) -> None:
    session = db.session
    known = {
        record.learner_id: record
        for record in session.scalars(select(AttendanceRecord).where(AttendanceRecord.occurrence_id == occurrence.id))
    }
    final = bool(loaded.sheet and loaded.sheet.finalised_at)
    for computed in result.learners:
        learner_id = UUID(computed.learner_id)
        record = known.pop(learner_id, None)
        if record is None:
            record = AttendanceRecord(id=uuid4(), occurrence_id=occurrence.id, learner_id=learner_id)
            record.computed_mark = "pending"
            session.add(record)
        if _changed(record, computed) and final and loaded.sheet:
            loaded.sheet.evidence_changed = True
        _note_change(occurrence.id, record, computed)
        _write(record, computed)
    for record in known.values():  # no longer on the roster of that day
        if record.override_mark is None and record.final_mark is None:
            session.delete(record)


def _changed(record: AttendanceRecord, computed: Computed) -> bool:
    return record.computed_mark != computed.mark or record.seconds != computed.seconds


def _note_change(occurrence_id: UUID, record: AttendanceRecord, computed: Computed) -> None:
    if record.computed_mark in ("pending", computed.mark):
        return
    db.session.execute(
        insert(AttendanceHistory).values(
            occurrence_id=occurrence_id,
            learner_id=record.learner_id,
            at=clock.now(),
            what="computed",
            from_mark=record.computed_mark,
            to_mark=computed.mark,
        )
    )


def _write(record: AttendanceRecord, computed: Computed) -> None:
    values = {
        "computed_mark": computed.mark,
        "seconds": computed.seconds,
        "first_join_at": computed.first_join,
        "last_leave_at": computed.last_leave,
        "stays": computed.stays,
        "matched_by": list(computed.matched_by),
        "flags": list(computed.flags),
        "still_in": computed.open,
    }
    for name, value in values.items():
        if getattr(record, name) != value:
            setattr(record, name, value)


def touch_overdue(now: datetime) -> int:
    """Mark sheets of classes that began, never sent their end, and should be over: they are computed anew
    once, as over, and their report is asked."""
    with writing() as session:
        rows = session.execute(
            select(AttendanceSheet, MeetingOccurrence)
            .join(MeetingOccurrence, MeetingOccurrence.id == AttendanceSheet.occurrence_id)
            .where(
                AttendanceSheet.state == "live",
                AttendanceSheet.dirty.is_(False),
                MeetingOccurrence.starts_at < now - GIVE_UP_WAITING,
            )
        ).all()
        overdue = [sheet for sheet, occurrence in rows if now >= occurrence.ends_at + GIVE_UP_WAITING]
        for sheet in overdue:
            sheet.dirty = True
    return len(overdue)
