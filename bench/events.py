"""Signed deliveries as Zoom sends them, as complete HTTP requests."""

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
    """Somebody's join, with the fields that Zoom sends."""
    return _person("participant_joined", meeting_id, uuid, session, registrant_id, at, {"join_time": _z(at)})


def left(meeting_id: str, uuid: str, session: int, *, registrant_id: str, at: datetime = START) -> dict[str, Any]:
    when = {"leave_time": _z(at), "leave_reason": "left the meeting"}
    return _person("participant_left", meeting_id, uuid, session, registrant_id, at, when)


def started(meeting_id: str, uuid: str, *, at: datetime) -> dict[str, Any]:
    return _event("started", meeting_id, uuid, at, {"start_time": _z(at)})


def ended(meeting_id: str, uuid: str, *, began: datetime, at: datetime) -> dict[str, Any]:
    return _event("ended", meeting_id, uuid, at, {"start_time": _z(began), "end_time": _z(at)})


def _person(
    name: str, meeting_id: str, uuid: str, session: int, registrant_id: str, at: datetime, when: dict[str, str]
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
    return _event(name, meeting_id, uuid, at, {"participant": participant | when})


def _event(name: str, meeting_id: str, uuid: str, at: datetime, more: dict[str, Any]) -> dict[str, Any]:
    about = {
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
        "payload": {"account_id": "accACCaccACCaccACCac00", "object": about | more},
    }


def _z(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
