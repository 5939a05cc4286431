"""Zoom's webhook events as frozen dataclasses, and a fingerprint to detect duplicate deliveries.

Zoom resends an event if our answer was late, guarantees no order and sends no event id (its tracking id is new with
each delivery). So deliveries are compared by content; see `event_fingerprint`.
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
    """The body is not a JSON object with the name of an event."""


@dataclass(frozen=True)
class EventParticipant:
    """One person on one device in one instance of a meeting; every field may be missing at Zoom.

    ``session`` is the key that a join and its leave share (``user_id``, else ``participant_uuid``); it is new with each
    rejoin. ``parent_session`` is the main-room session of a participant in a breakout room. ``zoom_user_id`` is None
    for people who are not signed in. Times are aware UTC.
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
    """The registrant of a ``meeting.registration_*`` event; its ``id`` is called ``registrant_id`` in other
    responses."""

    id: str | None
    email: str | None = field(repr=False)
    first_name: str | None = field(repr=False)
    last_name: str | None = field(repr=False)
    status: str | None
    join_url: str | None = field(repr=False)


@dataclass(frozen=True)
class WebhookEvent:
    """A parsed webhook event. ``changes`` and ``old`` hold the fields of ``meeting.updated`` under Zoom's names."""

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
        """True if this package knows the shape of the event."""
        return self.event in KNOWN


def parse_webhook_event(body: object) -> WebhookEvent:
    """Return a decoded JSON body as a `WebhookEvent`.

    Raises `BadEvent` if it is not an object with a non-empty text ``event``; any other field of a wrong type becomes
    None.
    """
    if not isinstance(body, dict):
        raise BadEvent("the body is not an object")
    name = as_text(body.get("event"))
    if name is None:
        raise BadEvent("the body names no event")
    payload = as_object(body.get("payload"))
    meeting = as_object(payload.get("object"))
    is_update = name == "meeting.updated"
    return WebhookEvent(
        event=name,
        at=datetime_from_ms(body.get("event_ts")),
        account_id=as_id(payload.get("account_id")),
        meeting_id=as_id(meeting.get("id")),
        uuid=as_id(meeting.get("uuid")),
        host_id=as_id(meeting.get("host_id")),
        type=as_int(meeting.get("type")),
        topic=as_text(meeting.get("topic")),
        start_time=as_datetime(meeting.get("start_time")),
        end_time=as_datetime(meeting.get("end_time")),
        minutes=as_int(meeting.get("duration")),
        breakout_room_uuid=as_id(meeting.get("breakout_room_uuid")),
        participant=_participant(meeting.get("participant")),
        registrant=_registrant(meeting.get("registrant")),
        occurrence_ids=_occurrence_ids(meeting.get("occurrences")),
        # "operation" in created and deleted, "scope" in updated: one occurrence or the whole series
        scope=as_text(payload.get("scope")) or as_text(payload.get("operation")),
        operator=as_email(payload.get("operator")),
        changes=dict(meeting) if is_update else {},
        old=dict(as_object(payload.get("old_object"))) if is_update else {},
    )


def event_fingerprint(event: WebhookEvent, body: Mapping[str, Any]) -> str:
    """Return 64 hex digits that are equal for two deliveries of the same fact.

    A fact is the event, the instance (else the meeting), the session (else the registrant) and the time of the join,
    leave or change (else of the event), so a resend with other white space or tracking id has the same fingerprint and
    a rejoin another. An event without these is hashed as a whole.
    """
    identity = _event_identity(event)
    # ensure_ascii: a lone surrogate in a name must not break the encoding
    content = json.dumps(identity if identity else body, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(content.encode("ascii")).hexdigest()


def _event_identity(event: WebhookEvent) -> list[str | None] | None:
    meeting_key = event.uuid or event.meeting_id
    if meeting_key is None:
        return None
    if event.event == STARTED and event.start_time:
        return [event.event, meeting_key, event.start_time.isoformat()]
    if event.event == ENDED and event.end_time:
        return [event.event, meeting_key, event.end_time.isoformat()]
    if event.participant:
        return _participant_identity(event, event.participant, meeting_key)
    if event.registrant and event.registrant.id and event.at:
        return [event.event, meeting_key, event.registrant.id, event.at.isoformat()]
    return None


def _participant_identity(
    event: WebhookEvent, participant: EventParticipant, meeting_key: str
) -> list[str | None] | None:
    session = participant.session or participant.registrant_id
    moment = _participant_time(event.event, participant) or event.at
    if session is None or moment is None:
        return None
    return [event.event, meeting_key, session, moment.isoformat(), participant.new_role, participant.bind_session]


def _participant_time(name: str, participant: EventParticipant) -> datetime | None:
    if name.endswith(("_left", "left_breakout_room")):
        return participant.leave_time or participant.date_time
    return participant.join_time or participant.date_time or participant.leave_time


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
    return tuple(occurrence_id for occurrence_id in ids if occurrence_id)
