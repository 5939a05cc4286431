"""When could Zoom's events not reach us? A class in such a time is not fully known, so nobody is absent in it.

Three things leave holes: no process that takes events was up (they beat while they are), a delivery was
refused because it could not be stored (Zoom repeats it, and the hole closes when it comes), and deliveries
that are stored but not projected, or set aside.
"""

from datetime import datetime, timedelta

from sqlalchemy import exists, func, or_, select

from portal.base import clock
from portal.base.db import db
from portal.inbox.models import MissedDelivery, PortalBeat, ZoomEvent
from portal.zoom.events import ENDED, JOINED, LEFT, STARTED

BEAT = timedelta(seconds=15)
KEPT = timedelta(days=400)  # a school year and what may be asked after it
LATE_BEAT = 3 * BEAT  # a process that has not beaten for so long was not there, or could not write
EARLY = timedelta(minutes=30)  # people come before the planned start
LATE = timedelta(minutes=15)  # and Zoom's own deliveries take a while
RESENT_FOR = timedelta(hours=2)  # Zoom repeats for 85 minutes
# The events that stays and instances are made of. Others, lost or stuck, make no hole in a sheet.
EVIDENCE = (
    STARTED,
    ENDED,
    JOINED,
    LEFT,
    "meeting.participant_joined_breakout_room",
    "meeting.participant_left_breakout_room",
    "meeting.participant_joined_waiting_room",
    "meeting.participant_left_waiting_room",
    "meeting.participant_put_in_waiting_room",
    "meeting.participant_admitted",
)
Span = tuple[datetime, datetime]


def had_gap(zoom_meeting_id: str, start: datetime, end: datetime) -> bool:
    """Could an event of this meeting between `start` and `end` be missing through our own fault?

    True after an outage, a delivery that was refused and has not come again, and while deliveries of the
    meeting wait to be projected or are set aside.
    """
    return _is_incomplete(zoom_meeting_id, start, end) or bool(outages(start, end))


def outages(start: datetime, end: datetime) -> list[Span]:
    """The times between `start` and `end` in which no process was there to take events, in order.

    What was before the first beat ever is not known, and not called an outage.
    """
    before = select(func.max(PortalBeat.last_seen_at)).where(PortalBeat.last_seen_at < start).scalar_subquery()
    rows = db.session.execute(
        select(PortalBeat.started_at, PortalBeat.last_seen_at)
        .where(PortalBeat.started_at < end, or_(PortalBeat.last_seen_at >= start, PortalBeat.last_seen_at == before))
        .order_by(PortalBeat.started_at)
    )
    return between([(began, seen) for began, seen in rows], start, end, clock.now())


def between(up: list[Span], start: datetime, end: datetime, now: datetime) -> list[Span]:
    """The holes in `up` (in order of their beginning) that lie between `start` and `end`, cut to these.

    A process that beat lately is taken to be there still.
    """
    holes: list[Span] = []
    covered: datetime | None = None
    for began, seen in up:
        until = max(now, seen) if now - seen <= LATE_BEAT else seen
        if covered is not None and began > covered:
            holes.append((covered, began))
        covered = until if covered is None else max(covered, until)
    if covered is not None and now > covered:
        holes.append((covered, now))
    return [(max(began, start), min(ended, end)) for began, ended in holes if began < end and ended > start]


def _is_incomplete(zoom_meeting_id: str, start: datetime, end: datetime) -> bool:
    """Is a delivery of the meeting, received around the class, on no sheet yet, or was one refused?"""
    unprojected = exists().where(
        ZoomEvent.zoom_meeting_id == zoom_meeting_id,
        ZoomEvent.state.in_(("new", "set aside")),
        ZoomEvent.event.in_(EVIDENCE),
        ZoomEvent.received_at.between(start - EARLY, end + RESENT_FOR),
    )
    missed = exists().where(
        or_(MissedDelivery.zoom_meeting_id == zoom_meeting_id, MissedDelivery.zoom_meeting_id.is_(None)),
        MissedDelivery.missed_at.between(start - EARLY, end + LATE),
        ~exists().where(ZoomEvent.fingerprint == MissedDelivery.fingerprint).correlate(MissedDelivery),
    )
    return bool(db.session.scalar(select(or_(unprojected, missed))))
