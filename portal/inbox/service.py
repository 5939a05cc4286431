"""Taking in Zoom's deliveries: check the raw bytes, store once, answer. What they mean is for later."""

from sqlalchemy.exc import DBAPIError

from portal.base import clock
from portal.base.db import insert_once, writing
from portal.base.wake import wake
from portal.inbox.models import ZoomEvent
from portal.zoom.events import BadEvent, Event, fingerprint, parse

LOCK_WAIT_MS = 1000  # Zoom cuts the line after 3 s, so trouble has to be told well before


class CannotStore(Exception):
    """The database did not take the event. Zoom repeats a 5xx, and only that."""


def read(body: object) -> Event:
    """The event of a decoded body. Raises BadEvent."""
    if not isinstance(body, dict):
        raise BadEvent("not an object")
    return parse(body)


def keep(raw: bytes, body: dict[str, object], event: Event) -> bool:
    """Store a delivery once; False means that it was here already. Committed when this returns.

    Raises CannotStore.
    """
    values = {
        "fingerprint": fingerprint(event, body),
        "received_at": clock.now(),
        "event": event.event[:100],
        "zoom_meeting_id": event.meeting_id[:64] if event.meeting_id else None,
        "raw": raw,
        "state": "new",
    }
    try:
        with writing(lock_wait_ms=LOCK_WAIT_MS):
            new = insert_once(ZoomEvent, values, ["fingerprint"])
    except DBAPIError as error:
        raise CannotStore(type(error.orig).__name__) from error
    if new:
        wake("inbox")
    return new
