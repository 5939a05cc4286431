"""Zoom's webhook events as frozen values, and a fingerprint of what an event means.

Zoom sends an event again when our answer was late, promises no order and gives no event id (its tracking id
is new with each delivery). So two deliveries are the same when they mean the same; see `event_fingerprint`.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from portal.zoom.json_values import (
    as_datetime,
    as_email,
    as_id,
    as_int,
    as_object,
    as_object_list,
    as_text,
    datetime_from_ms,
)

URL_VALIDATION = "endpoint.url_validation"
STARTED = "meeting.started"
ENDED = "meeting.ended"
JOINED = "meeting.participant_joined"
LEFT = "meeting.participant_left"

PARTICIPANT_EVENTS = frozenset(
    f"meeting.participant_{name}"
    for name in (
        "joined",
        "left",
        "joined_waiting_room",
        "left_waiting_room",
        "put_in_waiting_room",
        "admitted",
        "jbh_waiting",
        "jbh_joined",
        "jbh_waiting_left",
        "joined_breakout_room",
        "left_breakout_room",
        "role_changed",
        "bind",
    )
)
REGISTRATION_EVENTS = frozenset(
    f"meeting.registration_{name}" for name in ("created", "approved", "cancelled", "denied")
)
MEETING_EVENTS = frozenset(
    f"meeting.{name}"
    for name in (
        "created",
        "updated",
        "deleted",
        "recovered",
        "permanently_deleted",
        "started",
        "ended",
        "alert",
    )
)
KNOWN = PARTICIPANT_EVENTS | REGISTRATION_EVENTS | MEETING_EVENTS | {URL_VALIDATION}


class BadEvent(ValueError):
    """The body is not an object with the name of an event."""


@dataclass(frozen=True)
class EventParticipant:
    """One person on one device in one running of a meeting; every field may be missing at Zoom.

    ``session`` is what a join and its leave have in common (``user_id``, else ``participant_uuid``); it is
    new with each rejoin. ``parent_session`` is the main-room session of somebody in a breakout room.
    ``zoom_user_id`` is None for people who are not signed in. Times are aware UTC.
    """

    session: str | None = None
    user_id: str | None = None
    participant_uuid: str | None = None
    zoom_user_id: str | None = None
    name: str | None = field(default=None, repr=False)
    email: str | None = field(default=None, repr=False)
    registrant_id: str | None = None
    customer_key: str | None = None
    join_time: datetime | None = None
    leave_time: datetime | None = None
    date_time: datetime | None = None
    leave_reason: str | None = field(default=None, repr=False)
    parent_session: str | None = None
    bind_session: str | None = None
    new_role: str | None = None


@dataclass(frozen=True)
class EventRegistrant:
    """The registrant of a ``meeting.registration_*`` event; ``id`` is ``registrant_id`` elsewhere."""

    id: str | None
    email: str | None = field(repr=False)
    first_name: str | None = field(repr=False)
    last_name: str | None = field(repr=False)
    status: str | None
    join_url: str | None = field(repr=False)


@dataclass(frozen=True)
class WebhookEvent:
    """A webhook event in our words. ``changes`` and ``old`` hold Zoom's own fields of ``meeting.updated``."""

    event: str
    at: datetime | None = None
    account_id: str | None = None
    meeting_id: str | None = None
    uuid: str | None = None
    host_id: str | None = None
    type: int | None = None
    topic: str | None = field(default=None, repr=False)
    start_time: datetime | None = None
    end_time: datetime | None = None
    minutes: int | None = None
    breakout_room_uuid: str | None = None
    participant: EventParticipant | None = None
    registrant: EventRegistrant | None = None
    occurrence_ids: tuple[str, ...] = ()
    scope: str | None = None
    operator: str | None = field(default=None, repr=False)
    changes: Mapping[str, Any] = field(default_factory=dict, repr=False)
    old: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def is_known(self) -> bool:
        """Tell whether this package knows the shape of the event."""
        return self.event in KNOWN


def parse_webhook_event(body: object) -> WebhookEvent:
    """Return a decoded JSON body as an `WebhookEvent`.

    Raises `BadEvent` when it is not an object with a non-empty text ``event``; any other field of an odd type
    becomes None.
    """
    if not isinstance(body, dict):
        raise BadEvent("the body is not an object")
    name = as_text(body.get("event"))
    if name is None:
        raise BadEvent("the body names no event")
    payload = as_object(body.get("payload"))
    about = as_object(payload.get("object"))
    updated = name == "meeting.updated"
    return WebhookEvent(
        event=name,
        at=datetime_from_ms(body.get("event_ts")),
        account_id=as_id(payload.get("account_id")),
        meeting_id=as_id(about.get("id")),
        uuid=as_id(about.get("uuid")),
        host_id=as_id(about.get("host_id")),
        type=as_int(about.get("type")),
        topic=as_text(about.get("topic")),
        start_time=as_datetime(about.get("start_time")),
        end_time=as_datetime(about.get("end_time")),
        minutes=as_int(about.get("duration")),
        breakout_room_uuid=as_id(about.get("breakout_room_uuid")),
        participant=_participant(about.get("participant")),
        registrant=_registrant(about.get("registrant")),
        occurrence_ids=_occurrence_ids(about.get("occurrences")),
        # created and deleted call it "operation", updated calls it "scope": one date or the whole series
        scope=as_text(payload.get("scope")) or as_text(payload.get("operation")),
        operator=as_email(payload.get("operator")),
        changes=dict(about) if updated else {},
        old=dict(as_object(payload.get("old_object"))) if updated else {},
    )


def event_fingerprint(event: WebhookEvent, body: Mapping[str, Any]) -> str:
    """Return 64 hex digits that are equal for two deliveries of the same fact.

    A fact is the event, the instance (else the meeting), the session (else the registrant) and the time of
    the join, leave or change (else of the event), so a resend with other white space or tracking id is the
    same and a rejoin is another. Where an event has none of these its whole content counts.
    """
    meaning = _meaning(event)
    # ensure_ascii: a lone surrogate in a name must not break the encoding
    content = json.dumps(meaning if meaning else body, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(content.encode("ascii")).hexdigest()


def _meaning(event: WebhookEvent) -> list[str | None] | None:
    where = event.uuid or event.meeting_id
    if where is None:
        return None
    if event.event == STARTED and event.start_time:
        return [event.event, where, event.start_time.isoformat()]
    if event.event == ENDED and event.end_time:
        return [event.event, where, event.end_time.isoformat()]
    if event.participant:
        return _meaning_of_participant(event, event.participant, where)
    if event.registrant and event.registrant.id and event.at:
        return [event.event, where, event.registrant.id, event.at.isoformat()]
    return None


def _meaning_of_participant(event: WebhookEvent, who: EventParticipant, where: str) -> list[str | None] | None:
    session = who.session or who.registrant_id
    when = _own_time(event.event, who) or event.at
    if session is None or when is None:
        return None
    return [event.event, where, session, when.isoformat(), who.new_role, who.bind_session]


def _own_time(name: str, who: EventParticipant) -> datetime | None:
    if name.endswith(("_left", "left_breakout_room")):
        return who.leave_time or who.date_time
    return who.join_time or who.date_time or who.leave_time


def _participant(value: Any) -> EventParticipant | None:
    if not isinstance(value, dict):
        return None
    user_id, participant_uuid = as_id(value.get("user_id")), as_id(value.get("participant_uuid"))
    return EventParticipant(
        session=user_id or participant_uuid,
        user_id=user_id,
        participant_uuid=participant_uuid,
        zoom_user_id=as_id(value.get("id")) or as_id(value.get("participant_user_id")),
        name=as_text(value.get("user_name")),
        email=as_email(value.get("email")),
        registrant_id=as_id(value.get("registrant_id")),
        customer_key=as_id(value.get("customer_key")),
        join_time=as_datetime(value.get("join_time")),
        leave_time=as_datetime(value.get("leave_time")),
        date_time=as_datetime(value.get("date_time")),
        leave_reason=as_text(value.get("leave_reason")),
        parent_session=as_id(value.get("parent_user_id")),
        bind_session=as_id(value.get("bind_user_id")) or as_id(value.get("bind_participant_uuid")),
        new_role=as_text(value.get("new_role")),
    )


def _registrant(value: Any) -> EventRegistrant | None:
    if not isinstance(value, dict):
        return None
    return EventRegistrant(
        id=as_id(value.get("id")) or as_id(value.get("registrant_id")),
        email=as_email(value.get("email")),
        first_name=as_text(value.get("first_name")),
        last_name=as_text(value.get("last_name")),
        status=as_text(value.get("status")),
        join_url=as_text(value.get("join_url")),
    )


def _occurrence_ids(value: Any) -> tuple[str, ...]:
    ids = (as_id(row.get("occurrence_id")) for row in as_object_list(value))
    return tuple(found for found in ids if found)
