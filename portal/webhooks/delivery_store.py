"""Writing deliveries down, many in one commit.

Flushing to the disk is what storing costs, and one flush serves everybody who waits for it: the first request
to get the turn writes for all that have queued up meanwhile, and each is answered after the commit. This one
statement goes straight to the database's driver, since a class ends for a thousand learners at once.
"""

import threading
from contextlib import closing
from datetime import UTC, datetime
from typing import NamedTuple, Protocol

from sqlalchemy import create_engine, event
from sqlalchemy.engine import Engine
from sqlalchemy.exc import SQLAlchemyError

from portal.core.db import sqlite_write_lock

LOCK_WAIT_MS = 700  # Zoom cuts the line after 3 s, and some wait for a thread before they wait for the lock
BATCH_SIZE = 64


class DeliveryNotStored(Exception):
    """The database did not take the delivery. Zoom repeats a 5xx, and only that."""


class SignedDelivery(NamedTuple):
    """A new row of `zoom_events`."""

    fingerprint: str
    received_at: datetime
    event: str
    zoom_meeting_id: str | None
    body: bytes


class DeliveryWriter(Protocol):
    """Commits deliveries, leaving out those that are stored already. Raises what `errors` names."""

    @property
    def errors(self) -> tuple[type[Exception], ...]: ...

    def write(self, deliveries: list[SignedDelivery]) -> None: ...


class SqliteWriter:
    """On a connection of the portal's own pool: WAL, synchronous FULL, BEGIN IMMEDIATE."""

    INSERT = (
        "INSERT INTO zoom_events (fingerprint, received_at, event, zoom_meeting_id, body) "
        "VALUES (?, ?, ?, ?, ?) ON CONFLICT (fingerprint) DO NOTHING"
    )

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.errors = (SQLAlchemyError, engine.dialect.loaded_dbapi.Error)

    def write(self, deliveries: list[SignedDelivery]) -> None:
        rows = [(one[0], _as_sqlalchemy_writes(one.received_at), *one[2:]) for one in deliveries]
        with sqlite_write_lock(LOCK_WAIT_MS, urgent=True), closing(self._engine.raw_connection()) as connection:
            cursor = connection.cursor()
            cursor.execute(f"PRAGMA busy_timeout={LOCK_WAIT_MS}")
            cursor.execute("BEGIN IMMEDIATE")
            cursor.executemany(self.INSERT, rows)
            cursor.execute("COMMIT")  # what fails before is rolled back as the connection goes back to the pool


def _as_sqlalchemy_writes(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


class PostgresWriter:
    """On one connection of its own, which never waits long for a lock; one statement, committed by itself."""

    INSERT = (
        "INSERT INTO zoom_events (fingerprint, received_at, event, zoom_meeting_id, body) SELECT * FROM unnest("
        "%s::varchar[], %s::timestamptz[], %s::varchar[], %s::varchar[], %s::bytea[]) "
        "ON CONFLICT (fingerprint) DO NOTHING"
    )

    def __init__(self, engine: Engine) -> None:
        patience = f"-c lock_timeout={LOCK_WAIT_MS} -c statement_timeout={2 * LOCK_WAIT_MS}"
        self._engine = create_engine(
            engine.url,
            isolation_level="AUTOCOMMIT",
            pool_size=1,
            max_overflow=0,
            pool_pre_ping=True,
            connect_args={"options": patience, "connect_timeout": 2},
        )
        self.errors = (SQLAlchemyError, engine.dialect.loaded_dbapi.Error)
        event.listen(engine, "engine_disposed", lambda _engine: self._engine.dispose())

    def write(self, deliveries: list[SignedDelivery]) -> None:
        # In one order everywhere: two processes with the same deliveries would else wait for each other.
        columns = [list(column) for column in zip(*sorted(deliveries, key=_fingerprint), strict=True)]
        with closing(self._engine.raw_connection()) as connection:
            connection.cursor().execute(self.INSERT, columns)


def _fingerprint(delivery: SignedDelivery) -> str:
    return delivery.fingerprint


def delivery_writer_for(engine: Engine) -> DeliveryWriter:
    return PostgresWriter(engine) if engine.dialect.name == "postgresql" else SqliteWriter(engine)


class _PendingDelivery:
    """One delivery in the queue, and what became of it."""

    __slots__ = ("_bell", "delivery", "done", "trouble")

    def __init__(self, delivery: SignedDelivery) -> None:
        self.delivery = delivery
        self.done = False
        self.trouble: Exception | None = None
        self._bell = threading.Lock()
        self._bell.acquire()

    def wait(self) -> None:
        """Until rung for: it is done, or it is its turn to write."""
        self._bell.acquire()

    def ring(self) -> None:
        self._bell.release()


class DeliveryStore:
    """The inbox's way in, for all threads of a process."""

    def __init__(self, writer: DeliveryWriter) -> None:
        self.writer = writer
        self._queue: list[_PendingDelivery] = []
        self._lock = threading.Lock()
        self.is_writing = False

    @property
    def waiting(self) -> int:
        """How many deliveries wait for the next commit."""
        return len(self._queue)

    def store(self, delivery: SignedDelivery) -> None:
        """Store a delivery, once for each fingerprint. Committed when this returns.

        Raises DeliveryNotStored: no database, or somebody held a lock for too long.
        """
        pending_delivery = _PendingDelivery(delivery)
        with self._lock:
            self._queue.append(pending_delivery)
            is_first, self.is_writing = not self.is_writing, True
        if not is_first:
            pending_delivery.wait()
        if not pending_delivery.done:
            self._write_for_all()
        if pending_delivery.trouble is not None:
            raise DeliveryNotStored(type(pending_delivery.trouble).__name__) from pending_delivery.trouble

    def _write_for_all(self) -> None:
        """Write what is in the queue, the caller's own delivery first, and pass the turn on."""
        with self._lock:
            batch, self._queue = self._queue[:BATCH_SIZE], self._queue[BATCH_SIZE:]
        trouble: Exception | None = DeliveryNotStored("cut short")
        try:
            self.writer.write([waiting.delivery for waiting in batch])
            trouble = None
        except self.writer.errors as error:
            trouble = error
        finally:
            self._finish(batch, trouble)

    def _finish(self, batch: list[_PendingDelivery], trouble: Exception | None) -> None:
        with self._lock:
            if trouble:  # those who came meanwhile have waited too: nobody waits for a locked database twice
                batch, self._queue = batch + self._queue, []
            next_writer = self._queue[:1]
            self.is_writing = bool(next_writer)
        for waiting in batch:
            waiting.trouble, waiting.done = trouble, True
        for waiting in batch[1:] + next_writer:
            waiting.ring()
