"""Turning Zoom's events into stays, one statement of fact at a time, in any order, as often as they come.

Nothing is invented here: a leave without its join becomes a stay without a beginning, and what that means
for a mark is for `marks` to say.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import select, update

from portal.attendance.models import AttendanceSheet, ZoomParticipant
from portal.base import clock
from portal.base.db import db, insert_once
from portal.meetings.models import MeetingOccurrence, ZoomInstance, ZoomMeeting
from portal.meetings.service import note
from portal.zoom.events import ENDED, JOINED, LEFT, STARTED, Event, Participant

_WAITING_IN = ("meeting.participant_joined_waiting_room", "meeting.participant_put_in_waiting_room")
_WAITING_OUT = ("meeting.participant_left_waiting_room", "meeting.participant_admitted")
_BREAKOUT_IN = "meeting.participant_joined_breakout_room"
_BREAKOUT_OUT = "meeting.participant_left_breakout_room"
_JOINS = (JOINED, _BREAKOUT_IN)
_LEAVES = (LEFT, _BREAKOUT_OUT)
_EVIDENCE = (STARTED, ENDED, *_JOINS, *_LEAVES, *_WAITING_IN, *_WAITING_OUT)
LONGEST = timedelta(hours=24)  # a running of a meeting is shorter


@dataclass(frozen=True)
class Projected:
    """What came of an event: its new state in the inbox, and the sheet it touched."""

    state: str  # done, ignored, waiting
    occurrence_id: UUID | None = None


def project(event: Event) -> Projected:
    """Apply one event, within the transaction that is open."""
    if event.event not in _EVIDENCE or event.meeting_id is None or event.uuid is None:
        return Projected("ignored")
    meeting = db.session.scalar(select(ZoomMeeting).where(ZoomMeeting.zoom_id == event.meeting_id))
    if meeting is None:
        return Projected("waiting")  # it attaches by itself if the portal learns of the meeting
    instance = instance_of(meeting, event.uuid)
    if event.event == STARTED:
        _started(meeting, instance, event)
    elif event.event == ENDED:
        _ended(meeting, instance, event)
    elif event.participant and event.participant.session:
        _stay(meeting, instance, event, event.participant)
    occurrence_id = place(meeting, instance, event.start_time or event.at)
    return Projected("done", occurrence_id)


def instance_of(meeting: ZoomMeeting, uuid: str) -> ZoomInstance:
    """The instance with Zoom's uuid, made if this is the first we hear of it."""
    insert_once(
        ZoomInstance,
        {"id": uuid4(), "uuid": uuid, "meeting_id": meeting.id, "start_seen": False, "end_seen": False},
        ["uuid"],
    )
    instance = db.session.scalar(select(ZoomInstance).where(ZoomInstance.uuid == uuid))
    assert instance is not None  # it was just made
    return instance


def _started(meeting: ZoomMeeting, instance: ZoomInstance, event: Event) -> None:
    instance.started_at = event.start_time or event.at
    if not instance.start_seen:
        instance.start_seen = True
        note(meeting.id, "started")


def _ended(meeting: ZoomMeeting, instance: ZoomInstance, event: Event) -> None:
    instance.ended_at = event.end_time or event.at
    if instance.started_at is None:
        instance.started_at = event.start_time
    if not instance.end_seen:
        instance.end_seen = True
        note(meeting.id, "ended")


def _stay(meeting: ZoomMeeting, instance: ZoomInstance, event: Event, who: Participant) -> None:
    room = "waiting" if event.event in _WAITING_IN + _WAITING_OUT else "meeting"
    stay = _stay_row(instance, who.session or "", room)
    if event.event in _JOINS + _WAITING_IN:
        moment = who.join_time or who.date_time or event.at
        stay.joined_at = _earlier(stay.joined_at, moment) if stay.source == "webhook" else stay.joined_at
    elif stay.left_source not in ("report", "csv"):
        moment = who.leave_time or who.date_time or event.at
        stay.left_at, stay.left_source = _later(stay.left_at, moment), "event"
    stay.name = stay.name or (who.name or "")
    stay.email = stay.email or who.email
    stay.registrant_id = stay.registrant_id or who.registrant_id
    stay.zoom_user_id = stay.zoom_user_id or who.zoom_user_id
    stay.is_host = stay.is_host or _is_host(meeting, event, who)


def _stay_row(instance: ZoomInstance, session: str, room: str) -> ZoomParticipant:
    values = {
        "id": uuid4(),
        "instance_id": instance.id,
        "session": session[:80],
        "room": room,
        "name": "",
        "source": "webhook",
        "is_host": False,
    }
    insert_once(ZoomParticipant, values, ["instance_id", "session", "room"])
    stay = db.session.scalar(
        select(ZoomParticipant).where(
            ZoomParticipant.instance_id == instance.id,
            ZoomParticipant.session == session[:80],
            ZoomParticipant.room == room,
        )
    )
    assert stay is not None  # it was just made
    return stay


def _is_host(meeting: ZoomMeeting, event: Event, who: Participant) -> bool:
    """The host's own Zoom user; a registrant is never the host, Zoom does not register hosts."""
    if who.registrant_id:
        return False
    return bool(who.zoom_user_id and who.zoom_user_id == event.host_id) or who.email == meeting.host


def _earlier(one: datetime | None, other: datetime | None) -> datetime | None:
    return min((moment for moment in (one, other) if moment), default=None)


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    return max((moment for moment in (one, other) if moment), default=None)


def place(meeting: ZoomMeeting, instance: ZoomInstance, hint: datetime | None) -> UUID | None:
    """Give the instance to the class date it belongs to, and mark that sheet as changed.

    The date it overlaps most, else the nearest of the same day in Manila, else one of its own that nobody
    scheduled (a test run on Sunday).
    """
    began = instance.started_at or hint or clock.now()
    occurrences = list(db.session.scalars(select(MeetingOccurrence).where(MeetingOccurrence.meeting_id == meeting.id)))
    chosen = choose(occurrences, began, instance.ended_at) or _unscheduled(meeting, began)
    before = instance.occurrence_id
    instance.occurrence_id = chosen.id
    for occurrence_id in {chosen.id, before or chosen.id}:
        touch(occurrence_id)
    db.session.flush()
    _tell_state(meeting, chosen)
    return chosen.id


def choose(occurrences: list[MeetingOccurrence], began: datetime, ended: datetime | None) -> MeetingOccurrence | None:
    """The occurrence that a running from `began` to `ended` belongs to, or None if it was on another day."""
    until = ended or began
    scheduled = [occurrence for occurrence in occurrences if occurrence.scheduled]

    def overlap(occurrence: MeetingOccurrence) -> float:
        return (min(until, occurrence.ends_at) - max(began, occurrence.starts_at)).total_seconds()

    def distance(occurrence: MeetingOccurrence) -> float:
        return abs((occurrence.starts_at - began).total_seconds())

    overlapping = [occurrence for occurrence in scheduled if overlap(occurrence) > 0]
    if overlapping:
        return max(overlapping, key=lambda occurrence: (overlap(occurrence), -distance(occurrence)))
    day = clock.local(began).date()
    same_day = [occurrence for occurrence in scheduled if occurrence.local_date == day]
    own = [occurrence for occurrence in occurrences if not occurrence.scheduled and occurrence.local_date == day]
    return min(same_day or own, key=distance, default=None)


def _unscheduled(meeting: ZoomMeeting, began: datetime) -> MeetingOccurrence:
    occurrence = MeetingOccurrence(
        id=uuid4(),
        meeting_id=meeting.id,
        starts_at=began,
        minutes=meeting.minutes,
        local_date=clock.local(began).date(),
        scheduled=False,
    )
    db.session.add(occurrence)
    db.session.flush()
    return occurrence


def touch(occurrence_id: UUID) -> None:
    """Mark the sheet as changed: it is computed anew by whoever sweeps next."""
    insert_once(
        AttendanceSheet,
        {
            "occurrence_id": occurrence_id,
            "state": "waiting",
            "dirty": True,
            "gap": False,
            "reconcile_attempts": 0,
            "evidence_changed": False,
        },
        ["occurrence_id"],
    )
    db.session.execute(update(AttendanceSheet).where(AttendanceSheet.occurrence_id == occurrence_id).values(dirty=True))


def _tell_state(meeting: ZoomMeeting, occurrence: MeetingOccurrence) -> None:
    """What lists show. It follows from the instances, so that a late `started` cannot reopen an ended class."""
    instances = db.session.execute(
        select(ZoomInstance.ended_at).where(ZoomInstance.occurrence_id == occurrence.id)
    ).all()
    running = any(ended is None for (ended,) in instances)
    if occurrence.state != "cancelled":
        occurrence.state = "started" if running else "ended"
    if meeting.state in ("cancelled", "deleted", "failed"):
        return
    if meeting.kind != "recurring" and occurrence.scheduled:
        meeting.state = "started" if running else "ended"
