"""Signed webhook deliveries in Zoom's format, as complete HTTP requests."""

import json
import time
from datetime import UTC, datetime
from typing import Any

from portal.zoom.webhooks.signature import sign_webhook

SECRET = "bench-webhook-secret-0123456789abcdef"
START = datetime(2026, 11, 23, tzinfo=UTC)


def request(body: dict[str, Any], secret: str = SECRET) -> bytes:
    """One POST with a fresh signature."""
    raw = json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
    now = int(time.time())
    head = (
        "POST /api/zoom/webhook HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json; charset=utf-8\r\n"
        f"x-zm-request-timestamp: {now}\r\nx-zm-signature: {sign_webhook(secret, now, raw)}\r\n"
        f"x-zm-trackingid: WEB_{now}\r\nContent-Length: {len(raw)}\r\n\r\n"
    )
    return head.encode() + raw


def joined(meeting_id: str, uuid: str, session: int, *, registrant_id: str, at: datetime = START) -> dict[str, Any]:
    """A join event with Zoom's fields."""
    return _participant_event(
        "participant_joined", meeting_id, uuid, session, registrant_id, at, {"join_time": _iso_utc(at)}
    )


def left(meeting_id: str, uuid: str, session: int, *, registrant_id: str, at: datetime = START) -> dict[str, Any]:
    """A leave event with Zoom's fields."""
    times = {"leave_time": _iso_utc(at), "leave_reason": "left the meeting"}
    return _participant_event("participant_left", meeting_id, uuid, session, registrant_id, at, times)


def started(meeting_id: str, uuid: str, *, at: datetime) -> dict[str, Any]:
    """The start event of an instance."""
    return _meeting_event("started", meeting_id, uuid, at, {"start_time": _iso_utc(at)})


def ended(meeting_id: str, uuid: str, *, began: datetime, at: datetime) -> dict[str, Any]:
    """The end event of an instance."""
    return _meeting_event("ended", meeting_id, uuid, at, {"start_time": _iso_utc(began), "end_time": _iso_utc(at)})


def _participant_event(
    name: str, meeting_id: str, uuid: str, session: int, registrant_id: str, at: datetime, times: dict[str, str]
) -> dict[str, Any]:
    participant = {
        "user_id": str(session),
        "user_name": f"DELA CRUZ, Niño {session}",
        "id": "",
        "participant_uuid": f"{session:08X}-AAAA-BBBB",
        "email": "",
        "registrant_id": registrant_id,
        "participant_user_id": "",
        "customer_key": "",
    }
    return _meeting_event(name, meeting_id, uuid, at, {"participant": participant | times})


def _meeting_event(name: str, meeting_id: str, uuid: str, at: datetime, fields: dict[str, Any]) -> dict[str, Any]:
    meeting_object = {
        "id": meeting_id,
        "uuid": uuid,
        "host_id": "hostHOSThostHOSThost00",
        "topic": "Science 8",
        "type": 2,
        "timezone": "Asia/Manila",
        "duration": 60,
    }
    return {
        "event": f"meeting.{name}",
        "event_ts": int(at.timestamp() * 1000),
        "payload": {"account_id": "accACCaccACCaccACCac00", "object": meeting_object | fields},
    }


def _iso_utc(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
