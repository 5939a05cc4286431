"""Delivery gaps: times in which an event of Zoom may be missing. A class in such a time is incomplete, so nobody is
marked absent in it.

There are three causes: no process was up to receive (each writes heartbeats while it is), a delivery was refused
because it could not be stored (the gap closes when Zoom's retry arrives), and deliveries that are stored but not
projected, or failed.
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
HEARTBEAT_RETENTION = timedelta(days=400)  # a school year, and questions after it
LATE_HEARTBEAT = 3 * HEARTBEAT_INTERVAL  # without a heartbeat for so long, a process was down or could not write
EARLY_MARGIN = timedelta(minutes=30)  # participants join before the planned start
LATE_MARGIN = timedelta(minutes=15)  # Zoom's own deliveries are delayed
RESENT_FOR = timedelta(hours=2)  # Zoom retries for 85 minutes
# The events that stays and instances are computed from. Losing others leaves no gap in a sheet.
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

# The times in which a process was up. Before the first heartbeat ever nothing is known, which is no outage.
_previous_heartbeat = (
    select(func.max(WebhookHeartbeat.last_seen_at)).where(WebhookHeartbeat.last_seen_at < _start).scalar_subquery()
)
_was_up_clause = and_(
    WebhookHeartbeat.started_at < _end,
    or_(WebhookHeartbeat.last_seen_at >= _start, WebhookHeartbeat.last_seen_at == _previous_heartbeat),
)
# A delivery of the meeting, received around the class, is not projected, or was refused and not retried yet.
_unprojected_exists = exists().where(
    ZoomEvent.zoom_meeting_id == _meeting,
    ZoomEvent.state.in_((DeliveryState.PENDING, DeliveryState.FAILED)),
    ZoomEvent.event.in_(EVIDENCE_EVENTS),
    ZoomEvent.received_at.between(bindparam("early"), bindparam("resent")),
)
_missed_exists = exists().where(
    or_(MissedDelivery.zoom_meeting_id == _meeting, MissedDelivery.zoom_meeting_id.is_(None)),
    MissedDelivery.missed_at.between(bindparam("early"), bindparam("late")),
    ~exists().where(ZoomEvent.fingerprint == MissedDelivery.fingerprint).correlate(MissedDelivery),
)
_event_gaps = select(or_(_unprojected_exists, _missed_exists).label("in_events")).subquery()
_gap_select = (
    select(_event_gaps.c.in_events, WebhookHeartbeat.started_at, WebhookHeartbeat.last_seen_at)
    .select_from(_event_gaps.outerjoin(WebhookHeartbeat, _was_up_clause))
    .order_by(WebhookHeartbeat.started_at)
)


def had_delivery_gap(zoom_meeting_id: str, start: datetime, end: datetime) -> bool:
    """True if an event of this meeting between `start` and `end` may be missing through our own fault. One statement.

    That is after an outage, for a refused delivery whose retry has not arrived, and while deliveries of the meeting are
    pending or failed.
    """
    bounds = {"early": start - EARLY_MARGIN, "resent": end + RESENT_FOR, "late": end + LATE_MARGIN}
    rows = db.session.execute(
        _gap_select, {"zoom_meeting_id": zoom_meeting_id, "start": start, "end": end, **bounds}
    ).all()
    uptime = [(up_since, last_seen) for _, up_since, last_seen in rows if up_since is not None]
    return rows[0][0] or bool(list_gaps_between(uptime, start, end, clock.now()))


def list_gaps_between(up: list[Span], start: datetime, end: datetime, now: datetime) -> list[Span]:
    """Gaps between the spans in `up` (ordered by start), clipped to `start` and `end`.

    A process with a recent heartbeat counts as still up.
    """
    gaps: list[Span] = []
    covered: datetime | None = None
    for up_since, last_seen in up:
        up_until = max(now, last_seen) if now - last_seen <= LATE_HEARTBEAT else last_seen
        if covered is not None and up_since > covered:
            gaps.append((covered, up_since))
        covered = up_until if covered is None else max(covered, up_until)
    if covered is not None and now > covered:
        gaps.append((covered, now))
    return [
        (max(gap_start, start), min(gap_end, end)) for gap_start, gap_end in gaps if gap_start < end and gap_end > start
    ]
