"""Beats: a process that takes events writes every 15 seconds that it is there, and what it had to refuse.

So that an outage of ours is known afterwards, see `outages`.
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
from portal.core.worker_signals import notify_worker
from portal.webhooks.delivery_store import LOCK_WAIT_MS, SignedDelivery
from portal.webhooks.models import MissedDelivery, WebhookHeartbeat, ZoomEvent
from portal.webhooks.outages import HEARTBEAT_INTERVAL, HEARTBEAT_RETENTION, LATE_HEARTBEAT

log = logging.getLogger("portal.inbox")
MAX_REMEMBERED = 1000  # refused deliveries known one by one; after that, "some of some meeting"


class Heartbeat:
    """The heartbeat of this process, which serves since `up_since`. A thread beats from the first request on,
    unless the app is under test."""

    def __init__(self, app: Flask, up_since: datetime) -> None:
        self._app = app
        self._up_since = up_since
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._row: UUID | None = None
        self._last: datetime | None = None
        self._missed: dict[str, tuple[str | None, datetime]] = {}

    def start(self) -> None:
        """Start beating, if that was not done before. The first beat comes before anything is taken, so that
        a sheet that an event completes knows of the outage before."""
        if self._thread is not None or self._app.testing:
            return
        with self._starting:
            if self._thread is None:
                self._try_to_beat()
                self._thread = threading.Thread(target=self._run, name="beats", daemon=True)
                self._thread.start()

    def record_missed(self, delivery: SignedDelivery) -> None:
        """Remember a delivery that was refused, until it can be written down."""
        if len(self._missed) < MAX_REMEMBERED:
            self._missed.setdefault(delivery.fingerprint, (delivery.zoom_meeting_id, delivery.received_at))
        else:
            self._missed.setdefault("many", (None, delivery.received_at))

    def write(self) -> None:
        """Write that this process is there, and what it refused. Raises SQLAlchemyError when it cannot."""
        now = clock.now()
        missed = dict(self._missed)
        with self._app.app_context(), write_transaction(lock_wait_ms=LOCK_WAIT_MS) as session:
            if self._row is None or self._last is None or now - self._last > LATE_HEARTBEAT:
                # Not there for a while (asleep, or without its database): that shows as two spans.
                began = self._up_since if self._last is None else now
                self._row = uuid4()
                session.add(WebhookHeartbeat(id=self._row, started_at=began, last_seen_at=now))
            else:
                session.execute(
                    update(WebhookHeartbeat).where(WebhookHeartbeat.id == self._row).values(last_seen_at=now)
                )
            for fingerprint, (meeting_id, at) in missed.items():
                values = {"fingerprint": fingerprint, "zoom_meeting_id": meeting_id, "missed_at": at}
                insert_if_absent(MissedDelivery, values, ["fingerprint"])
            _forget(now)
        self._last = now
        for fingerprint in missed:
            self._missed.pop(fingerprint, None)
        if missed:
            notify_worker("late evidence")

    def _run(self) -> None:
        pause = threading.Event()
        while not pause.wait(HEARTBEAT_INTERVAL.total_seconds()):
            self._try_to_beat()

    def _try_to_beat(self) -> None:
        try:
            self.write()
        except SQLAlchemyError as error:
            log.warning("no beat: %s", type(error).__name__)


def _forget(now: datetime) -> None:
    """Drop refused deliveries that came after all, and what is older than anybody asks for."""
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
