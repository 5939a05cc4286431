"""When could Zoom's events not reach us? A class in such a time is not fully known, so nobody is absent in it.

Three things leave holes: no process that takes events was up (they beat while they are), a delivery was
refused because it could not be stored (Zoom repeats it, and the hole closes when it comes), and deliveries
that are stored but not projected, or set aside.
"""

from datetime import datetime, timedelta

from sqlalchemy import BindParameter, and_, bindparam, exists, func, or_, select

from portal.core import clock
from portal.core.db import db
from portal.webhooks.codes import DeliveryState
from portal.webhooks.models import MissedDelivery, WebhookHeartbeat, ZoomEvent
from portal.zoom.webhooks.events import (
    ENDED,
    JOINED,
    LEFT,
    STARTED,
)

HEARTBEAT_INTERVAL = timedelta(seconds=15)
HEARTBEAT_RETENTION = timedelta(days=400)  # a school year and what may be asked after it
LATE_HEARTBEAT = 3 * HEARTBEAT_INTERVAL  # a process that has not beaten for so long was not there, or could not write
EARLY_MARGIN = timedelta(minutes=30)  # people come before the planned start
LATE_MARGIN = timedelta(minutes=15)  # and Zoom's own deliveries take a while
RESENT_FOR = timedelta(hours=2)  # Zoom repeats for 85 minutes
# The events that stays and instances are made of. Others, lost or stuck, make no hole in a sheet.
EVIDENCE_EVENTS = (
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


_start: BindParameter[datetime] = bindparam("start")
_end: BindParameter[datetime] = bindparam("end")
_meeting: BindParameter[str] = bindparam("zoom_meeting_id")

# The times in which a process was there. What was before the first beat ever is not known, and no outage.
_before = (
    select(func.max(WebhookHeartbeat.last_seen_at)).where(WebhookHeartbeat.last_seen_at < _start).scalar_subquery()
)
_was_up = and_(
    WebhookHeartbeat.started_at < _end,
    or_(WebhookHeartbeat.last_seen_at >= _start, WebhookHeartbeat.last_seen_at == _before),
)
# Is a delivery of the meeting, received around the class, on no sheet yet, or was one refused?
_unprojected = exists().where(
    ZoomEvent.zoom_meeting_id == _meeting,
    ZoomEvent.state.in_((DeliveryState.PENDING, DeliveryState.FAILED)),
    ZoomEvent.event.in_(EVIDENCE_EVENTS),
    ZoomEvent.received_at.between(bindparam("early"), bindparam("resent")),
)
_missed = exists().where(
    or_(MissedDelivery.zoom_meeting_id == _meeting, MissedDelivery.zoom_meeting_id.is_(None)),
    MissedDelivery.missed_at.between(bindparam("early"), bindparam("late")),
    ~exists().where(ZoomEvent.fingerprint == MissedDelivery.fingerprint).correlate(MissedDelivery),
)
_holes = select(or_(_unprojected, _missed).label("in_events")).subquery()
_known = (
    select(_holes.c.in_events, WebhookHeartbeat.started_at, WebhookHeartbeat.last_seen_at)
    .select_from(_holes.outerjoin(WebhookHeartbeat, _was_up))
    .order_by(WebhookHeartbeat.started_at)
)


def had_delivery_gap(zoom_meeting_id: str, start: datetime, end: datetime) -> bool:
    """Could an event of this meeting between `start` and `end` be missing through our own fault? One statement.

    True after an outage, a delivery that was refused and has not come again, and while deliveries of the
    meeting wait to be projected or are set aside.
    """
    around = {"early": start - EARLY_MARGIN, "resent": end + RESENT_FOR, "late": end + LATE_MARGIN}
    rows = db.session.execute(_known, {"zoom_meeting_id": zoom_meeting_id, "start": start, "end": end, **around}).all()
    up = [(began, seen) for _, began, seen in rows if began is not None]
    return rows[0][0] or bool(list_gaps_between(up, start, end, clock.now()))


def list_gaps_between(up: list[Span], start: datetime, end: datetime, now: datetime) -> list[Span]:
    """The holes in `up` (in order of their beginning) that lie between `start` and `end`, cut to these.

    A process that beat lately is taken to be there still.
    """
    holes: list[Span] = []
    covered: datetime | None = None
    for began, moment in up:
        until = max(now, moment) if now - moment <= LATE_HEARTBEAT else moment
        if covered is not None and began > covered:
            holes.append((covered, began))
        covered = until if covered is None else max(covered, until)
    if covered is not None and now > covered:
        holes.append((covered, now))
    return [(max(began, start), min(ended, end)) for began, ended in holes if began < end and ended > start]
