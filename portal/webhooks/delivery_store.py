"""Storage of deliveries by group commit.

The flush to disk dominates the cost, so one commit serves all waiting requests: the first thread writes for all that
have queued up, and each is answered after the commit. The statement goes straight to the database driver, since a class
of a thousand learners ends at once.
"""

import threading
from contextlib import closing
from datetime import UTC, datetime
from typing import NamedTuple, Protocol

from sqlalchemy import create_engine, event
from sqlalchemy.engine import Engine
from sqlalchemy.exc import SQLAlchemyError

from portal.core.db import sqlite_write_lock

LOCK_WAIT_MS = 700  # Zoom's timeout is 3 s, and a request may have waited for a thread before it waits for the lock
BATCH_SIZE = 64


class DeliveryNotStored(Exception):
    """The database did not store the delivery; answer with a 5xx, so that Zoom retries."""


class SignedDelivery(NamedTuple):
    """Values of a new `zoom_events` row."""

    fingerprint: str
    received_at: datetime
    event: str
    zoom_meeting_id: str | None
    body: bytes


class DeliveryWriter(Protocol):
    """Commits deliveries, skipping those stored already. Raises the exceptions in `errors`."""

    @property
    def errors(self) -> tuple[type[Exception], ...]: ...

    def write(self, deliveries: list[SignedDelivery]) -> None: ...


class SqliteWriter:
    """Writes on a connection of the portal's own pool: WAL, synchronous FULL, BEGIN IMMEDIATE."""

    INSERT = (
        "INSERT INTO zoom_events (fingerprint, received_at, event, zoom_meeting_id, body) "
        "VALUES (?, ?, ?, ?, ?) ON CONFLICT (fingerprint) DO NOTHING"
    )

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.errors = (SQLAlchemyError, engine.dialect.loaded_dbapi.Error)

    def write(self, deliveries: list[SignedDelivery]) -> None:
        rows = [(delivery[0], _sqlite_datetime(delivery.received_at), *delivery[2:]) for delivery in deliveries]
        with sqlite_write_lock(LOCK_WAIT_MS, urgent=True), closing(self._engine.raw_connection()) as connection:
            cursor = connection.cursor()
            cursor.execute(f"PRAGMA busy_timeout={LOCK_WAIT_MS}")
            cursor.execute("BEGIN IMMEDIATE")
            cursor.executemany(self.INSERT, rows)
            cursor.execute("COMMIT")  # a failure before this is rolled back when the connection returns to the pool


def _sqlite_datetime(moment: datetime) -> str:
    """The text format in which SQLAlchemy stores a datetime on SQLite."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


class PostgresWriter:
    """Writes on one connection of its own with short lock and statement timeouts; a single auto-committed statement."""

    INSERT = (
        "INSERT INTO zoom_events (fingerprint, received_at, event, zoom_meeting_id, body) SELECT * FROM unnest("
        "%s::varchar[], %s::timestamptz[], %s::varchar[], %s::varchar[], %s::bytea[]) "
        "ON CONFLICT (fingerprint) DO NOTHING"
    )

    def __init__(self, engine: Engine) -> None:
        timeouts = f"-c lock_timeout={LOCK_WAIT_MS} -c statement_timeout={2 * LOCK_WAIT_MS}"
        self._engine = create_engine(
            engine.url,
            isolation_level="AUTOCOMMIT",
            pool_size=1,
            max_overflow=0,
            pool_pre_ping=True,
            connect_args={"options": timeouts, "connect_timeout": 2},
        )
        self.errors = (SQLAlchemyError, engine.dialect.loaded_dbapi.Error)
        event.listen(engine, "engine_disposed", lambda _engine: self._engine.dispose())

    def write(self, deliveries: list[SignedDelivery]) -> None:
        # Sorted, as two processes with the same deliveries would deadlock otherwise.
        columns = [list(column) for column in zip(*sorted(deliveries, key=_fingerprint), strict=True)]
        with closing(self._engine.raw_connection()) as connection:
            connection.cursor().execute(self.INSERT, columns)


def _fingerprint(delivery: SignedDelivery) -> str:
    return delivery.fingerprint


def delivery_writer_for(engine: Engine) -> DeliveryWriter:
    """The writer for the engine's database."""
    return PostgresWriter(engine) if engine.dialect.name == "postgresql" else SqliteWriter(engine)


class _PendingDelivery:
    """A delivery in the queue and its outcome."""

    __slots__ = ("_wake_lock", "delivery", "done", "failure")

    def __init__(self, delivery: SignedDelivery) -> None:
        self.delivery = delivery
        self.done = False
        self.failure: Exception | None = None
        self._wake_lock = threading.Lock()
        self._wake_lock.acquire()

    def wait(self) -> None:
        """Block until the delivery is stored or failed, or this thread becomes the writer."""
        self._wake_lock.acquire()

    def wake(self) -> None:
        """Release the waiting thread."""
        self._wake_lock.release()


class DeliveryStore:
    """Queue and group commit of deliveries, shared by all threads of a process."""

    def __init__(self, writer: DeliveryWriter) -> None:
        self.writer = writer
        self._queue: list[_PendingDelivery] = []
        self._lock = threading.Lock()
        self.is_writing = False

    @property
    def waiting(self) -> int:
        """Number of deliveries waiting for the next commit."""
        return len(self._queue)

    def store(self, delivery: SignedDelivery) -> None:
        """Store a delivery, once per fingerprint; committed on return.

        Raises DeliveryNotStored if the database is down or a lock was held too long.
        """
        pending_delivery = _PendingDelivery(delivery)
        with self._lock:
            self._queue.append(pending_delivery)
            is_first, self.is_writing = not self.is_writing, True
        if not is_first:
            pending_delivery.wait()
        if not pending_delivery.done:
            self._write_batch()
        if pending_delivery.failure is not None:
            raise DeliveryNotStored(type(pending_delivery.failure).__name__) from pending_delivery.failure

    def _write_batch(self) -> None:
        """Write the queue's next batch, which begins with the caller's delivery, and hand over to the next writer."""
        with self._lock:
            batch, self._queue = self._queue[:BATCH_SIZE], self._queue[BATCH_SIZE:]
        failure: Exception | None = DeliveryNotStored("cut short")
        try:
            self.writer.write([pending.delivery for pending in batch])
            failure = None
        except self.writer.errors as error:
            failure = error
        finally:
            self._finish(batch, failure)

    def _finish(self, batch: list[_PendingDelivery], failure: Exception | None) -> None:
        with self._lock:
            if failure:  # fail those queued meanwhile too: nobody waits twice for a locked database
                batch, self._queue = batch + self._queue, []
            next_writer = self._queue[:1]
            self.is_writing = bool(next_writer)
        for pending in batch:
            pending.failure, pending.done = failure, True
        for pending in batch[1:] + next_writer:
            pending.wake()
