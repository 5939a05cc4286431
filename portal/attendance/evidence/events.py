"""Keeping what Zoom says, one statement of fact at a time, in any order, as often as it comes.

Nothing is concluded here: joins and leaves are written down, `pairing` puts them together when a sheet is
read. All changes to the evidence of one meeting happen under that meeting's lock, and the sheet is marked
as changed before its date is, so that two workers never wait for each other crosswise.
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
CSV_UUID = "csv:"  # how the uuid of a run begins that only an uploaded file tells of


class UnusableEvidence(ValueError):
    """Somebody came or went, but the event does not say where, who or when."""


@dataclass(frozen=True)
class ApplyResult:
    """What came of an event: its new state in the inbox, and the sheet it touched."""

    state: str  # done, ignored, waiting
    occurrence_id: UUID | None = None


def apply_attendance_event(event: WebhookEvent) -> ApplyResult:
    """Apply one event, within the transaction that is open.

    Raises UnusableEvidence: the delivery is set aside then, and the sheet knows that something is missing.
    """
    if event.event not in _EVIDENCE or event.meeting_id is None:
        return ApplyResult(DeliveryState.IGNORED)
    meeting = lock_zoom_meeting(ZoomMeeting.zoom_id == event.meeting_id)
    if meeting is None:
        return ApplyResult(DeliveryState.UNMATCHED)  # it attaches by itself if the portal learns of the meeting
    if not event.uuid or len(event.uuid) > _UUID_LENGTH:
        raise UnusableEvidence("of no running")
    instance = get_or_create_instance(meeting, event.uuid)
    before = _times(instance)
    _learn_times(meeting, instance, event)
    if event.event not in (STARTED, ENDED):
        _write_moment(meeting, instance, event, event.participant or EventParticipant())
    if instance.occurrence_id is None or instance.started_at is None or _times(instance) != before:
        return ApplyResult(DeliveryState.DONE, assign_instance_occurrence(meeting, instance))
    mark_sheet_dirty(instance.occurrence_id)
    return ApplyResult(DeliveryState.DONE, instance.occurrence_id)


def lock_zoom_meeting(condition: ColumnElement[bool]) -> ZoomMeeting | None:
    """The meeting, locked until the transaction ends: its evidence changes by one hand at a time."""
    return db.session.scalar(
        select(ZoomMeeting).where(condition).with_for_update(key_share=True).execution_options(populate_existing=True)
    )


def get_or_create_instance(meeting: ZoomMeeting, uuid: str) -> ZoomInstance:
    """The instance with Zoom's uuid, made if this is the first we hear of it."""
    instance = db.session.scalar(select(ZoomInstance).where(ZoomInstance.uuid == uuid))
    if instance is None:
        instance = ZoomInstance(
            id=uuid4(), uuid=uuid, meeting_id=meeting.id, started_event_received=False, ended_event_received=False
        )
        db.session.add(instance)
        db.session.flush()
    return instance


def _times(instance: ZoomInstance) -> tuple[datetime | None, datetime | None, bool, bool]:
    return instance.started_at, instance.ended_at, instance.started_event_received, instance.ended_event_received


def _learn_times(meeting: ZoomMeeting, instance: ZoomInstance, event: WebhookEvent) -> None:
    """Start and end as `meeting.started` and `meeting.ended` say; until they come, what others say of the start."""
    started, ended = event.start_time or event.at, event.end_time or event.at
    if event.event == STARTED and started:
        if not instance.started_event_received:
            add_meeting_history(meeting.id, MeetingEvent.STARTED)
        instance.started_at = (
            min(instance.started_at or started, started) if instance.started_event_received else started
        )
        instance.started_event_received = True
    elif not instance.started_event_received and event.start_time:
        instance.started_at = min(instance.started_at or event.start_time, event.start_time)
    if event.event == ENDED and ended:
        if not instance.ended_event_received:
            add_meeting_history(meeting.id, MeetingEvent.ENDED)
        instance.ended_at = max(instance.ended_at or ended, ended) if instance.ended_event_received else ended
        instance.ended_event_received = True


def _write_moment(meeting: ZoomMeeting, instance: ZoomInstance, event: WebhookEvent, who: EventParticipant) -> None:
    """Write a join or a leave where there is room for it, unless it is written already."""
    is_join = event.event in _JOINS
    own_time = who.join_time if is_join else who.leave_time
    moment = own_time or who.date_time or event.at
    session = _session(who)
    if moment is None or session is None:
        raise UnusableEvidence("of nobody, or of no time")
    room = _room(event.event)
    side = "joined_at" if is_join else "left_at"
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
    participant = next((row for row in rows if getattr(row, side) == moment), None)
    row = participant or next((row for row in rows if getattr(row, side) is None), None)
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
    setattr(row, side, moment)
    if not is_join:
        row.leave_source = "event"
    _write_identity(row, who, over=is_join)
    row.is_host = row.is_host or _is_host(meeting, event, who)
    db.session.flush()


def _session(who: EventParticipant) -> str | None:
    """What a join and its leave have in common: Zoom's id of the session, else who it was."""
    if who.session:
        return who.session[:80]
    row = (("registrant", who.registrant_id), ("account", who.zoom_user_id), ("email", who.email), ("name", who.name))
    return next((f"{kind}:{value}"[:80] for kind, value in row if value), None)


def stay_row_id(uuid: str, session: str, room: str, source: str, nth: int) -> UUID:
    """The same row gets the same id however often it is made anew."""
    return uuid5(_ROWS, f"{uuid}\n{session}\n{room}\n{source}\n{nth}")


_ROWS = UUID("5f0c3a0e-6a43-4c0b-9f50-6f5a2f1f7a11")


def _room(name: str) -> str:
    if name in (_BREAKOUT_IN, _BREAKOUT_OUT):
        return "breakout"
    return "waiting" if name in _WAITING_IN + _WAITING_OUT else "meeting"


def _write_identity(row: ZoomParticipant, who: EventParticipant, *, over: bool) -> None:
    """Who it is. What a join says goes over what a leave said, so that the order does not matter."""
    said = {
        "name": (who.name or "")[:200],
        "email": who.email if who.email and len(who.email) <= 254 else None,
        "registrant_id": who.registrant_id[:128] if who.registrant_id else None,
        "zoom_user_id": who.zoom_user_id[:128] if who.zoom_user_id else None,
        "parent_session": who.parent_session[:80] if who.parent_session else None,
    }
    for column, value in said.items():
        if value and (over or not getattr(row, column)):
            setattr(row, column, value)


def _is_host(meeting: ZoomMeeting, event: WebhookEvent, who: EventParticipant) -> bool:
    """The host's own Zoom user; a registrant is never the host, Zoom does not register hosts."""
    if who.registrant_id:
        return False
    return bool(who.zoom_user_id and who.zoom_user_id == event.host_id) or who.email == meeting.host_email.lower()


def assign_instance_occurrence(meeting: ZoomMeeting, instance: ZoomInstance) -> UUID:
    """Give the instance to the class date it belongs to, and mark the sheets concerned as changed.

    The date it overlaps most, else the nearest of the same day in Manila, else one of its own that nobody
    scheduled (a test run on Sunday). It moves when its times become known.
    """
    began = instance.started_at or _first_moment(instance) or clock.now()
    occurrences = list(db.session.scalars(select(MeetingOccurrence).where(MeetingOccurrence.meeting_id == meeting.id)))
    chosen = choose_best_occurrence(occurrences, began, instance.ended_at) or _unscheduled(meeting, began)
    before = instance.occurrence_id
    instance.occurrence_id = chosen.id
    db.session.flush()
    mark_sheet_dirty(chosen.id, counts=chosen.is_scheduled)
    if before and before != chosen.id:
        mark_sheet_dirty(before)
    for occurrence in occurrences if chosen in occurrences else [*occurrences, chosen]:
        if occurrence.id in (chosen.id, before):
            _settle(meeting, occurrence)
    return chosen.id


def _first_moment(instance: ZoomInstance) -> datetime | None:
    """The first that anybody did in it: a stand-in for a start that is not known."""
    joined, left = db.session.execute(
        select(func.min(ZoomParticipant.joined_at), func.min(ZoomParticipant.left_at)).where(
            ZoomParticipant.instance_id == instance.id
        )
    ).one()
    moments = [moment for moment in (joined, left, instance.ended_at) if moment]
    return min(moments, default=None)


def choose_best_occurrence(
    occurrences: Iterable[MeetingOccurrence], began: datetime, ended: datetime | None
) -> MeetingOccurrence | None:
    """The occurrence that a running from `began` to `ended` belongs to, or None if it was on another day.

    One that still runs belongs to the date in which it began.
    """
    occurrences = list(occurrences)
    until = max(ended or began, began + timedelta(seconds=1))
    scheduled = [occurrence for occurrence in occurrences if occurrence.is_scheduled]

    def overlap(occurrence: MeetingOccurrence) -> float:
        return (min(until, occurrence.ends_at) - max(began, occurrence.starts_at)).total_seconds()

    def distance(occurrence: MeetingOccurrence) -> tuple[float, datetime]:
        return abs((occurrence.starts_at - began).total_seconds()), occurrence.starts_at

    overlapping = [occurrence for occurrence in scheduled if overlap(occurrence) > 0]
    if overlapping:
        return min(overlapping, key=lambda occurrence: (-overlap(occurrence), distance(occurrence)))
    day = clock.to_manila(began).date()
    same_day = [occurrence for occurrence in scheduled if occurrence.local_date == day]
    own = [occurrence for occurrence in occurrences if occurrence.id == _unscheduled_id(occurrence.meeting_id, day)]
    return min(same_day, key=distance, default=None) or next(iter(own), None)


def _unscheduled_id(meeting_id: UUID, day: date) -> UUID:
    """A meeting has one unscheduled date a day at most, whatever its runs are told in."""
    return uuid5(meeting_id, f"unscheduled {day.isoformat()}")


def _unscheduled(meeting: ZoomMeeting, began: datetime) -> MeetingOccurrence:
    day = clock.to_manila(began).date()
    occurrence = MeetingOccurrence(
        id=_unscheduled_id(meeting.id, day),
        meeting_id=meeting.id,
        starts_at=began,
        minutes=meeting.minutes,
        local_date=day,
        is_scheduled=False,
    )
    db.session.add(occurrence)
    db.session.flush()
    return occurrence


def mark_sheet_dirty(occurrence_id: UUID, *, counts: bool = True) -> None:
    """Mark the sheet as changed: it is computed anew by whoever sweeps next. `counts` is for a new sheet."""
    mark = update(AttendanceSheet).where(AttendanceSheet.occurrence_id == occurrence_id).values(needs_recompute=True)
    if execute_rowcount(mark):
        return
    values = {
        "occurrence_id": occurrence_id,
        "state": SheetState.NOT_STARTED,
        "needs_recompute": True,
        "has_delivery_gap": False,
        "reconcile_attempts": 0,
        "evidence_changed": False,
        "counts_in_reports": counts,
    }
    if not insert_if_absent(AttendanceSheet, values, ["occurrence_id"]):
        db.session.execute(mark)


def _settle(meeting: ZoomMeeting, occurrence: MeetingOccurrence) -> None:
    """What lists show of the date. It follows from its runs alone, so that a late `started` reopens nothing."""
    runs = db.session.execute(
        select(ZoomInstance.started_at, ZoomInstance.ended_at).where(ZoomInstance.occurrence_id == occurrence.id)
    ).all()
    if not occurrence.is_scheduled:
        if not runs and _untouched_by_people(occurrence):
            db.session.execute(delete(MeetingOccurrence).where(MeetingOccurrence.id == occurrence.id))
            db.session.expunge(occurrence)
            return
        _move_unscheduled_start(occurrence, [started for started, _ in runs if started])
    if occurrence.state != OccurrenceState.CANCELLED:
        occurrence.state = (
            OccurrenceState.SCHEDULED
            if not runs
            else OccurrenceState.STARTED
            if is_instance_running(runs)
            else OccurrenceState.ENDED
        )
    if meeting.kind != MeetingKind.RECURRING and occurrence.is_scheduled and _may_show(meeting, occurrence.state):
        meeting.state = occurrence.state
    db.session.flush()


def _may_show(meeting: ZoomMeeting, state: str) -> bool:
    """A one-off meeting shows the state of its date, unless it is called off or gone."""
    if state == OccurrenceState.SCHEDULED:
        return meeting.state in (MeetingState.STARTED, MeetingState.ENDED)
    return state in (OccurrenceState.STARTED, OccurrenceState.ENDED) and meeting.state not in (
        MeetingState.CANCELLED,
        MeetingState.DELETED,
        MeetingState.FAILED,
    )


def is_instance_running(runs: Iterable[tuple[datetime | None, datetime | None]]) -> bool:
    """Does it run, as far as is known? A meeting runs once at a time, so only its last running can go on."""
    listed = [(started, ended) for started, ended in runs]
    last = max((started for started, _ in listed if started), default=None)
    return any(ended is None and (started is None or started == last) for started, ended in listed)


def _move_unscheduled_start(occurrence: MeetingOccurrence, starts: list[datetime]) -> None:
    """An unscheduled date begins with the first of its runs."""
    if starts and occurrence.starts_at != min(starts):
        occurrence.starts_at = min(starts)


def _untouched_by_people(occurrence: MeetingOccurrence) -> bool:
    by_hand = select(AttendanceRecord.id).where(
        AttendanceRecord.occurrence_id == occurrence.id,
        AttendanceRecord.override_mark.is_not(None) | AttendanceRecord.final_mark.is_not(None),
    )
    done = select(AttendanceHistory.id).where(
        AttendanceHistory.occurrence_id == occurrence.id, AttendanceHistory.actor_id.is_not(None)
    )
    return db.session.scalar(by_hand.limit(1)) is None and db.session.scalar(done.limit(1)) is None


def refresh_occurrence_state(meeting: ZoomMeeting, occurrence_id: UUID | None) -> None:
    """As `assign_instance_occurrence` does for the dates it concerns, for one date whose runs changed otherwise."""
    occurrence = db.session.get(MeetingOccurrence, occurrence_id) if occurrence_id else None
    if occurrence:
        mark_sheet_dirty(occurrence.id, counts=occurrence.is_scheduled)
        _settle(meeting, occurrence)
