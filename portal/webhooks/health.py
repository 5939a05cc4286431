"""The webhook receiver of a process, and its part of the health page."""

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

_RECEIVER_KEY = "silid.webhook"
_UP_SINCE_KEY = "silid.up_since"


def init_webhooks(app: Flask) -> None:
    """Record the start time of this process."""
    app.extensions[_UP_SINCE_KEY] = clock.now()


def get_webhook_receiver(app: Flask) -> WebhookReceiver:
    """The app's receiver, created lazily on the first request, as the server may fork before that."""
    webhook_receiver: WebhookReceiver | None = app.extensions.get(_RECEIVER_KEY)
    if webhook_receiver is None:
        settings: Settings = app.extensions["silid.settings"]
        with app.app_context():
            store = DeliveryStore(delivery_writer_for(db.engine))
        heartbeat = Heartbeat(app, up_since=app.extensions[_UP_SINCE_KEY])
        webhook_receiver = app.extensions.setdefault(
            _RECEIVER_KEY, WebhookReceiver(settings.zoom_webhook_secrets, store, heartbeat)
        )
    return webhook_receiver


def webhook_health(app: Flask) -> dict[str, Any]:
    """Queue depth and age, and what this process stored and refused since its start; without ids and names. Raises
    DBAPIError."""
    pending, oldest_received_at = db.session.execute(
        select(func.count(), func.min(ZoomEvent.received_at)).where(ZoomEvent.state == DeliveryState.PENDING)
    ).one()
    failed = db.session.scalar(
        select(func.count()).select_from(ZoomEvent).where(ZoomEvent.state == DeliveryState.FAILED)
    )
    last_received_at = db.session.scalar(select(func.max(ZoomEvent.received_at)))
    settings: Settings = app.extensions["silid.settings"]
    return {
        "inbox": {
            "waiting": pending,
            "oldest_seconds": round((clock.now() - oldest_received_at).total_seconds()) if oldest_received_at else 0,
            "set_aside": failed,
        },
        "webhooks": "configured" if settings.zoom_webhook_secrets else "not configured",
        "deliveries": dict(sorted(get_webhook_receiver(app).counts.items())),
        "clock_skew_seconds": get_webhook_receiver(app).clock_skew,
        "last_event_at": last_received_at.isoformat() if last_received_at else None,
        "durable": _is_durable(),
    }


def _is_durable() -> bool:
    """True if a commit is flushed to disk."""
    if is_postgresql():
        return "off" not in (db.session.scalar(text("SHOW fsync")), db.session.scalar(text("SHOW synchronous_commit")))
    return int(db.session.scalar(text("PRAGMA synchronous")) or 0) >= 2  # FULL
