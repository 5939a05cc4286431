"""Stores Zoom's webhook events as evidence: idempotent, and independent of their order.

Nothing is concluded here: joins and leaves are stored, and `calculation.stays` pairs them when a sheet is computed. A
meeting's evidence changes only under that meeting's row lock, and the sheet is marked dirty before its occurrence
is updated; this fixed lock order prevents deadlocks between workers.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID, uuid4, uuid5

from sqlalchemy import ColumnElement, delete, func, select, update

from portal.attendance.codes import SheetState
from portal.attendance.models import AttendanceHistory, AttendanceRecord, AttendanceSheet, ZoomParticipant
from portal.core import clock
from portal.core.db import db, execute_rowcount, insert_if_absent
from portal.meetings.codes import MeetingEvent, MeetingKind, MeetingState, OccurrenceState
from portal.meetings.models import MeetingOccurrence, ZoomInstance, ZoomMeeting
from portal.meetings.service import add_meeting_history
from portal.webhooks.codes import DeliveryState
from portal.zoom.webhooks.events import (
    ENDED,
    JOINED,
    LEFT,
    STARTED,
    EventParticipant,
    WebhookEvent,
)

_WAITING_IN = ("meeting.participant_joined_waiting_room", "meeting.participant_put_in_waiting_room")
_WAITING_OUT = ("meeting.participant_left_waiting_room", "meeting.participant_admitted")
_BREAKOUT_IN = "meeting.participant_joined_breakout_room"
_BREAKOUT_OUT = "meeting.participant_left_breakout_room"
_JOINS = (JOINED, _BREAKOUT_IN, *_WAITING_IN)
_LEAVES = (LEFT, _BREAKOUT_OUT, *_WAITING_OUT)
_EVIDENCE = (STARTED, ENDED, *_JOINS, *_LEAVES)
_UUID_LENGTH = 64
CSV_UUID = "csv:"  # prefix of the uuid of an instance known only from an uploaded file


class UnusableEvidence(ValueError):
    """The event of a join or leave lacks the instance, the participant or the time."""


@dataclass(frozen=True)
class ApplyResult:
    """The result of an event: its new state in the inbox, and the sheet it changed."""

    state: str  # done, ignored, waiting
    occurrence_id: UUID | None = None


def apply_attendance_event(event: WebhookEvent) -> ApplyResult:
    """Apply one event, within the open transaction.

    Raises UnusableEvidence: the delivery is then set aside, and the sheet counts as incomplete.
    """
    if event.event not in _EVIDENCE or event.meeting_id is None:
        return ApplyResult(DeliveryState.IGNORED)
    meeting = lock_zoom_meeting(ZoomMeeting.zoom_id == event.meeting_id)
    if meeting is None:
        return ApplyResult(DeliveryState.UNMATCHED)  # applied again if the portal learns of the meeting later
    if not event.uuid or len(event.uuid) > _UUID_LENGTH:
        raise UnusableEvidence("of no running")
    instance = get_or_create_instance(meeting, event.uuid)
    old_times = _instance_times(instance)
    _update_instance_times(meeting, instance, event)
    if event.event not in (STARTED, ENDED):
        _store_join_or_leave(meeting, instance, event, event.participant or EventParticipant())
    if instance.occurrence_id is None or instance.started_at is None or _instance_times(instance) != old_times:
        return ApplyResult(DeliveryState.DONE, assign_instance_occurrence(meeting, instance))
    mark_sheet_dirty(instance.occurrence_id)
    return ApplyResult(DeliveryState.DONE, instance.occurrence_id)


def lock_zoom_meeting(condition: ColumnElement[bool]) -> ZoomMeeting | None:
    """The meeting, row-locked until the transaction ends: its evidence has one writer at a time."""
    return db.session.scalar(
        select(ZoomMeeting).where(condition).with_for_update(key_share=True).execution_options(populate_existing=True)
    )


def get_or_create_instance(meeting: ZoomMeeting, uuid: str) -> ZoomInstance:
    """The instance with Zoom's uuid, created if it is unknown."""
    instance = db.session.scalar(select(ZoomInstance).where(ZoomInstance.uuid == uuid))
    if instance is None:
        instance = ZoomInstance(
            id=uuid4(), uuid=uuid, meeting_id=meeting.id, started_event_received=False, ended_event_received=False
        )
        db.session.add(instance)
        db.session.flush()
    return instance


def _instance_times(instance: ZoomInstance) -> tuple[datetime | None, datetime | None, bool, bool]:
    return instance.started_at, instance.ended_at, instance.started_event_received, instance.ended_event_received


def _update_instance_times(meeting: ZoomMeeting, instance: ZoomInstance, event: WebhookEvent) -> None:
    """Start and end by `meeting.started` and `meeting.ended`; until these arrive, the start named by other events."""
    start, end = event.start_time or event.at, event.end_time or event.at
    if event.event == STARTED and start:
        if not instance.started_event_received:
            add_meeting_history(meeting.id, MeetingEvent.STARTED)
        instance.started_at = min(instance.started_at or start, start) if instance.started_event_received else start
        instance.started_event_received = True
    elif not instance.started_event_received and event.start_time:
        instance.started_at = min(instance.started_at or event.start_time, event.start_time)
    if event.event == ENDED and end:
        if not instance.ended_event_received:
            add_meeting_history(meeting.id, MeetingEvent.ENDED)
        instance.ended_at = max(instance.ended_at or end, end) if instance.ended_event_received else end
        instance.ended_event_received = True


def _store_join_or_leave(
    meeting: ZoomMeeting, instance: ZoomInstance, event: WebhookEvent, participant: EventParticipant
) -> None:
    """Store a join or leave in the first row with a free column, unless it is stored already."""
    is_join = event.event in _JOINS
    stated_time = participant.join_time if is_join else participant.leave_time
    time = stated_time or participant.date_time or event.at
    session = _session_key(participant)
    if time is None or session is None:
        raise UnusableEvidence("of nobody, or of no time")
    room = _room_of_event(event.event)
    column = "joined_at" if is_join else "left_at"
    rows = list(
        db.session.scalars(
            select(ZoomParticipant)
            .where(
                ZoomParticipant.instance_id == instance.id,
                ZoomParticipant.session == session,
                ZoomParticipant.room == room,
                ZoomParticipant.source == "webhook",
            )
            .order_by(ZoomParticipant.sequence)
        )
    )
    stored_row = next((row for row in rows if getattr(row, column) == time), None)
    row = stored_row or next((row for row in rows if getattr(row, column) is None), None)
    if row is None:
        row = ZoomParticipant(
            id=stay_row_id(instance.uuid, session, room, "webhook", len(rows)),
            instance_id=instance.id,
            session=session,
            room=room,
            source="webhook",
            sequence=len(rows),
            name="",
            is_host=False,
        )
        db.session.add(row)
    setattr(row, column, time)
    if not is_join:
        row.leave_source = "event"
    _store_identity(row, participant, overwrite=is_join)
    row.is_host = row.is_host or _is_host(meeting, event, participant)
    db.session.flush()


def _session_key(participant: EventParticipant) -> str | None:
    """The key shared by a join and its leave: Zoom's session id, else whatever identifies the participant."""
    if participant.session:
        return participant.session[:80]
    identifiers = (
        ("registrant", participant.registrant_id),
        ("account", participant.zoom_user_id),
        ("email", participant.email),
        ("name", participant.name),
    )
    return next((f"{kind}:{value}"[:80] for kind, value in identifiers if value), None)


def stay_row_id(uuid: str, session: str, room: str, source: str, sequence: int) -> UUID:
    """A deterministic id: the same row always gets the same one."""
    return uuid5(_STAY_NAMESPACE, f"{uuid}\n{session}\n{room}\n{source}\n{sequence}")


_STAY_NAMESPACE = UUID("5f0c3a0e-6a43-4c0b-9f50-6f5a2f1f7a11")


def _room_of_event(name: str) -> str:
    if name in (_BREAKOUT_IN, _BREAKOUT_OUT):
        return "breakout"
    return "waiting" if name in _WAITING_IN + _WAITING_OUT else "meeting"


def _store_identity(row: ZoomParticipant, participant: EventParticipant, *, overwrite: bool) -> None:
    """Store the participant's identity. A join's values override a leave's, so that the order is irrelevant."""
    values = {
        "name": (participant.name or "")[:200],
        "email": participant.email if participant.email and len(participant.email) <= 254 else None,
        "registrant_id": participant.registrant_id[:128] if participant.registrant_id else None,
        "zoom_user_id": participant.zoom_user_id[:128] if participant.zoom_user_id else None,
        "parent_session": participant.parent_session[:80] if participant.parent_session else None,
    }
    for column, value in values.items():
        if value and (overwrite or not getattr(row, column)):
            setattr(row, column, value)


def _is_host(meeting: ZoomMeeting, event: WebhookEvent, participant: EventParticipant) -> bool:
    """True for the host's own Zoom user. A registrant never is: Zoom does not register hosts."""
    if participant.registrant_id:
        return False
    return (
        bool(participant.zoom_user_id and participant.zoom_user_id == event.host_id)
        or participant.email == meeting.host_email.lower()
    )


def assign_instance_occurrence(meeting: ZoomMeeting, instance: ZoomInstance) -> UUID:
    """Assign the instance to its class date, and mark the affected sheets dirty.

    The date it overlaps most, else the nearest one of the same day in Manila, else a new unscheduled one (a test run on
    Sunday). It is reassigned when its times become known.
    """
    started_at = instance.started_at or _estimate_start(instance) or clock.now()
    occurrences = list(db.session.scalars(select(MeetingOccurrence).where(MeetingOccurrence.meeting_id == meeting.id)))
    best = choose_best_occurrence(occurrences, started_at, instance.ended_at) or _create_unscheduled(
        meeting, started_at
    )
    old_id = instance.occurrence_id
    instance.occurrence_id = best.id
    db.session.flush()
    mark_sheet_dirty(best.id, counts_in_reports=best.is_scheduled)
    if old_id and old_id != best.id:
        mark_sheet_dirty(old_id)
    for occurrence in occurrences if best in occurrences else [*occurrences, best]:
        if occurrence.id in (best.id, old_id):
            _update_occurrence_state(meeting, occurrence)
    return best.id


def _estimate_start(instance: ZoomInstance) -> datetime | None:
    """The earliest known event in it: an estimate of an unknown start."""
    first_join, first_leave = db.session.execute(
        select(func.min(ZoomParticipant.joined_at), func.min(ZoomParticipant.left_at)).where(
            ZoomParticipant.instance_id == instance.id
        )
    ).one()
    times = [time for time in (first_join, first_leave, instance.ended_at) if time]
    return min(times, default=None)


def choose_best_occurrence(
    occurrences: Iterable[MeetingOccurrence], started_at: datetime, ended_at: datetime | None
) -> MeetingOccurrence | None:
    """The occurrence of an instance from `began` to `ended`, or None if there is none on that day.

    An instance without an end is assigned by its start.
    """
    occurrences = list(occurrences)
    end = max(ended_at or started_at, started_at + timedelta(seconds=1))
    scheduled = [occurrence for occurrence in occurrences if occurrence.is_scheduled]

    def overlap(occurrence: MeetingOccurrence) -> float:
        return (min(end, occurrence.ends_at) - max(started_at, occurrence.starts_at)).total_seconds()

    def distance(occurrence: MeetingOccurrence) -> tuple[float, datetime]:
        return abs((occurrence.starts_at - started_at).total_seconds()), occurrence.starts_at

    overlapping = [occurrence for occurrence in scheduled if overlap(occurrence) > 0]
    if overlapping:
        return min(overlapping, key=lambda occurrence: (-overlap(occurrence), distance(occurrence)))
    day = clock.to_manila(started_at).date()
    same_day = [occurrence for occurrence in scheduled if occurrence.local_date == day]
    unscheduled = [
        occurrence for occurrence in occurrences if occurrence.id == _unscheduled_id(occurrence.meeting_id, day)
    ]
    return min(same_day, key=distance, default=None) or next(iter(unscheduled), None)


def _unscheduled_id(meeting_id: UUID, day: date) -> UUID:
    """A deterministic id: a meeting has at most one unscheduled date a day."""
    return uuid5(meeting_id, f"unscheduled {day.isoformat()}")


def _create_unscheduled(meeting: ZoomMeeting, started_at: datetime) -> MeetingOccurrence:
    day = clock.to_manila(started_at).date()
    occurrence = MeetingOccurrence(
        id=_unscheduled_id(meeting.id, day),
        meeting_id=meeting.id,
        starts_at=started_at,
        minutes=meeting.minutes,
        local_date=day,
        is_scheduled=False,
    )
    db.session.add(occurrence)
    db.session.flush()
    return occurrence


def mark_sheet_dirty(occurrence_id: UUID, *, counts_in_reports: bool = True) -> None:
    """Mark the sheet dirty, for the next recompute. `counts` is `counts_in_reports` of a new sheet."""
    statement = (
        update(AttendanceSheet).where(AttendanceSheet.occurrence_id == occurrence_id).values(needs_recompute=True)
    )
    if execute_rowcount(statement):
        return
    values = {
        "occurrence_id": occurrence_id,
        "state": SheetState.NOT_STARTED,
        "needs_recompute": True,
        "has_delivery_gap": False,
        "reconcile_attempts": 0,
        "evidence_changed": False,
        "counts_in_reports": counts_in_reports,
    }
    if not insert_if_absent(AttendanceSheet, values, ["occurrence_id"]):
        db.session.execute(statement)


def _update_occurrence_state(meeting: ZoomMeeting, occurrence: MeetingOccurrence) -> None:
    """Derive the displayed state of the date from its instances alone, so that a late `started` reopens nothing."""
    instances = db.session.execute(
        select(ZoomInstance.started_at, ZoomInstance.ended_at).where(ZoomInstance.occurrence_id == occurrence.id)
    ).all()
    if not occurrence.is_scheduled:
        if not instances and _has_no_manual_changes(occurrence):
            db.session.execute(delete(MeetingOccurrence).where(MeetingOccurrence.id == occurrence.id))
            db.session.expunge(occurrence)
            return
        _move_unscheduled_start(occurrence, [start for start, _ in instances if start])
    if occurrence.state != OccurrenceState.CANCELLED:
        occurrence.state = (
            OccurrenceState.SCHEDULED
            if not instances
            else OccurrenceState.STARTED
            if is_instance_running(instances)
            else OccurrenceState.ENDED
        )
    if meeting.kind != MeetingKind.RECURRING and occurrence.is_scheduled and _may_take_state(meeting, occurrence.state):
        meeting.state = occurrence.state
    db.session.flush()


def _may_take_state(meeting: ZoomMeeting, state: str) -> bool:
    """Whether a one-off meeting may take the state of its date: not if it is cancelled, deleted or failed."""
    if state == OccurrenceState.SCHEDULED:
        return meeting.state in (MeetingState.STARTED, MeetingState.ENDED)
    return state in (OccurrenceState.STARTED, OccurrenceState.ENDED) and meeting.state not in (
        MeetingState.CANCELLED,
        MeetingState.DELETED,
        MeetingState.FAILED,
    )


def is_instance_running(instances: Iterable[tuple[datetime | None, datetime | None]]) -> bool:
    """True if it is in progress, as far as known. A meeting has one instance at a time, so only the last one can be."""
    times = [(start, end) for start, end in instances]
    last_start = max((start for start, _ in times if start), default=None)
    return any(end is None and (start is None or start == last_start) for start, end in times)


def _move_unscheduled_start(occurrence: MeetingOccurrence, starts: list[datetime]) -> None:
    """An unscheduled date starts with its first instance."""
    if starts and occurrence.starts_at != min(starts):
        occurrence.starts_at = min(starts)


def _has_no_manual_changes(occurrence: MeetingOccurrence) -> bool:
    manual_records = select(AttendanceRecord.id).where(
        AttendanceRecord.occurrence_id == occurrence.id,
        AttendanceRecord.override_mark.is_not(None) | AttendanceRecord.final_mark.is_not(None),
    )
    manual_history = select(AttendanceHistory.id).where(
        AttendanceHistory.occurrence_id == occurrence.id, AttendanceHistory.actor_id.is_not(None)
    )
    return db.session.scalar(manual_records.limit(1)) is None and db.session.scalar(manual_history.limit(1)) is None


def refresh_occurrence_state(meeting: ZoomMeeting, occurrence_id: UUID | None) -> None:
    """Derive the date's state again after its instances were changed by something else than an event."""
    occurrence = db.session.get(MeetingOccurrence, occurrence_id) if occurrence_id else None
    if occurrence:
        mark_sheet_dirty(occurrence.id, counts_in_reports=occurrence.is_scheduled)
        _update_occurrence_state(meeting, occurrence)
