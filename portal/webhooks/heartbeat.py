"""Heartbeats: a process that receives webhooks writes every 15 seconds that it is up, and which deliveries it refused.

They make an outage visible afterwards, see `outages`.
"""

import logging
import threading
from datetime import datetime
from uuid import UUID, uuid4

from flask import Flask
from sqlalchemy import delete, select, update
from sqlalchemy.exc import SQLAlchemyError

from portal.core import clock
from portal.core.db import db, insert_if_absent, write_transaction
from portal.core.worker_signals import Topic, notify_worker
from portal.webhooks.delivery_store import LOCK_WAIT_MS, SignedDelivery
from portal.webhooks.models import MissedDelivery, WebhookHeartbeat, ZoomEvent
from portal.webhooks.outages import HEARTBEAT_INTERVAL, HEARTBEAT_RETENTION, LATE_HEARTBEAT

log = logging.getLogger("portal.webhooks")
MAX_REMEMBERED = 1000  # refused deliveries listed one by one; further ones are one row without a meeting


class Heartbeat:
    """The heartbeat of this process, up since `up_since`. A thread writes it from the first request on, unless the app
    is under test."""

    def __init__(self, app: Flask, up_since: datetime) -> None:
        self._app = app
        self._up_since = up_since
        self._start_lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._row_id: UUID | None = None
        self._last_written_at: datetime | None = None
        self._missed: dict[str, tuple[str | None, datetime]] = {}

    def start(self) -> None:
        """Start the thread, once. The first heartbeat is written before any delivery is stored, so that a sheet
        completed by an event already knows of a previous outage."""
        if self._thread is not None or self._app.testing:
            return
        with self._start_lock:
            if self._thread is None:
                self._try_write()
                self._thread = threading.Thread(target=self._run_thread, name="heartbeat", daemon=True)
                self._thread.start()

    def record_missed(self, delivery: SignedDelivery) -> None:
        """Remember a refused delivery until it can be written."""
        if len(self._missed) < MAX_REMEMBERED:
            self._missed.setdefault(delivery.fingerprint, (delivery.zoom_meeting_id, delivery.received_at))
        else:
            self._missed.setdefault("many", (None, delivery.received_at))

    def write(self) -> None:
        """Write the heartbeat and the refused deliveries. Raises SQLAlchemyError."""
        now = clock.now()
        missed = dict(self._missed)
        with self._app.app_context(), write_transaction(lock_wait_ms=LOCK_WAIT_MS) as session:
            if self._row_id is None or self._last_written_at is None or now - self._last_written_at > LATE_HEARTBEAT:
                # No heartbeat for a while (asleep, or no database): start a new row, so that the gap shows.
                started_at = self._up_since if self._last_written_at is None else now
                self._row_id = uuid4()
                session.add(WebhookHeartbeat(id=self._row_id, started_at=started_at, last_seen_at=now))
            else:
                session.execute(
                    update(WebhookHeartbeat).where(WebhookHeartbeat.id == self._row_id).values(last_seen_at=now)
                )
            for fingerprint, (meeting_id, missed_at) in missed.items():
                values = {"fingerprint": fingerprint, "zoom_meeting_id": meeting_id, "missed_at": missed_at}
                insert_if_absent(MissedDelivery, values, ["fingerprint"])
            _purge(now)
        self._last_written_at = now
        for fingerprint in missed:
            self._missed.pop(fingerprint, None)
        if missed:
            notify_worker(Topic.LATE_DELIVERIES)

    def _run_thread(self) -> None:
        pause = threading.Event()
        while not pause.wait(HEARTBEAT_INTERVAL.total_seconds()):
            self._try_write()

    def _try_write(self) -> None:
        try:
            self.write()
        except SQLAlchemyError as error:
            log.warning("heartbeat write failed: %s", type(error).__name__)


def _purge(now: datetime) -> None:
    """Delete refused deliveries whose retry was stored, and all rows past the retention period."""
    arrived = select(ZoomEvent.fingerprint).where(ZoomEvent.fingerprint == MissedDelivery.fingerprint).exists()
    db.session.execute(
        delete(MissedDelivery)
        .where(arrived | (MissedDelivery.missed_at < now - HEARTBEAT_RETENTION))
        .execution_options(synchronize_session=False)
    )
    db.session.execute(
        delete(WebhookHeartbeat)
        .where(WebhookHeartbeat.last_seen_at < now - HEARTBEAT_RETENTION)
        .execution_options(synchronize_session=False)
    )
