"""The inbox of one process: its endpoint, and what the health page says of it."""

from typing import Any

from flask import Flask
from sqlalchemy import func, select, text

from portal.config import Settings
from portal.core import clock
from portal.core.db import db, is_postgresql
from portal.webhooks.codes import DeliveryState
from portal.webhooks.delivery_store import DeliveryStore, delivery_writer_for
from portal.webhooks.heartbeat import Heartbeat
from portal.webhooks.models import ZoomEvent
from portal.webhooks.receiver import WebhookReceiver

_ENDPOINT = "silid.webhook"
_UP_SINCE = "silid.up_since"


def init_webhooks(app: Flask) -> None:
    """Note since when this process serves."""
    app.extensions[_UP_SINCE] = clock.now()


def get_webhook_receiver(app: Flask) -> WebhookReceiver:
    """The app's endpoint, made for its first request (a server may have forked before)."""
    webhook_receiver: WebhookReceiver | None = app.extensions.get(_ENDPOINT)
    if webhook_receiver is None:
        settings: Settings = app.extensions["silid.settings"]
        with app.app_context():
            store = DeliveryStore(delivery_writer_for(db.engine))
        beats = Heartbeat(app, up_since=app.extensions[_UP_SINCE])
        webhook_receiver = app.extensions.setdefault(
            _ENDPOINT, WebhookReceiver(settings.zoom_webhook_secrets, store, beats)
        )
    return webhook_receiver


def webhook_health(app: Flask) -> dict[str, Any]:
    """How the inbox does: how much waits and since when, what this process took and refused. No ids, no names.

    Counts begin anew with the process. Raises DBAPIError.
    """
    depth, oldest = db.session.execute(
        select(func.count(), func.min(ZoomEvent.received_at)).where(ZoomEvent.state == DeliveryState.PENDING)
    ).one()
    aside = db.session.scalar(
        select(func.count()).select_from(ZoomEvent).where(ZoomEvent.state == DeliveryState.FAILED)
    )
    last = db.session.scalar(select(func.max(ZoomEvent.received_at)))
    settings: Settings = app.extensions["silid.settings"]
    return {
        "inbox": {
            "waiting": depth,
            "oldest_seconds": round((clock.now() - oldest).total_seconds()) if oldest else 0,
            "set_aside": aside,
        },
        "webhooks": "configured" if settings.zoom_webhook_secrets else "not configured",
        "deliveries": dict(sorted(get_webhook_receiver(app).counts.items())),
        "clock_skew_seconds": get_webhook_receiver(app).clock_skew,
        "last_event_at": last.isoformat() if last else None,
        "durable": _is_durable(),
    }


def _is_durable() -> bool:
    """Does a commit mean that it is on the disk?"""
    if is_postgresql():
        return "off" not in (db.session.scalar(text("SHOW fsync")), db.session.scalar(text("SHOW synchronous_commit")))
    return int(db.session.scalar(text("PRAGMA synchronous")) or 0) >= 2  # FULL
