"""Database access: declarative base, column types, and `write_transaction()`, the only way to change rows.

SQLite and PostgreSQL run the same code. SQLite is opened in WAL mode with `synchronous=FULL` (an acknowledged event
survives a power cut; with NORMAL it would be lost), and every write begins with BEGIN IMMEDIATE, because upgrading a
read transaction fails at once if another connection wrote in between.
"""

import gc
import re
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from flask import Flask
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Column, DateTime, MetaData, String, Uuid, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Dialect, Engine, ExceptionContext
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, registry
from sqlalchemy.orm.attributes import flag_modified
from sqlalchemy.sql.dml import UpdateBase
from sqlalchemy.types import TypeDecorator

from portal.core.db.write_holds import HoldTimer

NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
_QUOTED = re.compile(r""": ['"].*""")  # the value in "invalid input syntax for type date: ..."
BUSY_TIMEOUT_MS = 5000  # timeout of a page for another writer on SQLite


class _FairLock:
    """A fair two-priority lock: urgent and normal waiters alternate, so neither side starves."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._is_held = self._last_was_urgent = False
        self._waiting = {True: 0, False: 0}

    def acquire(self, seconds: float, urgent: bool) -> bool:
        """True once acquired; False after a timeout of `seconds`."""
        with self._condition:
            self._waiting[urgent] += 1
            try:
                acquired = self._condition.wait_for(lambda: self._can_acquire(urgent), seconds)
            finally:
                self._waiting[urgent] -= 1
            if acquired:
                self._is_held, self._last_was_urgent = True, urgent
            else:
                self._condition.notify_all()  # another waiter may have yielded to this one
            return acquired

    def release(self) -> None:
        """Release the lock and wake all waiters."""
        with self._condition:
            self._is_held = False
            self._condition.notify_all()

    def _can_acquire(self, urgent: bool) -> bool:
        others_first = self._last_was_urgent if urgent else not self._last_was_urgent
        return not self._is_held and not (others_first and self._waiting[not urgent])


_sqlite_lock = _FairLock()


class UTCDateTime(TypeDecorator[datetime]):
    """Column type for aware datetimes, stored in UTC. A naive datetime is a bug and raises ValueError."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive datetime cannot be stored")
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    registry = registry(
        metadata=MetaData(naming_convention=NAMING_CONVENTION),
        type_annotation_map={datetime: UTCDateTime, UUID: Uuid, str: String},
    )


db = SQLAlchemy(model_class=Base, session_options={"expire_on_commit": False})
migrate = Migrate()

if TYPE_CHECKING:
    Model = Base
else:
    Model = db.Model


class UuidPrimaryKey:
    """Mixin: a random UUID as primary key, safe to show in a URL."""

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)


def one_of_check(column: str, values: Iterable[str]) -> str:
    """The SQL of a CHECK that a column holds one of these values (a StrEnum, or a tuple of texts)."""
    return f"{column} IN ({', '.join(repr(str(value)) for value in values)})"


def init_db(app: Flask) -> None:
    """Register the database, its migrations and the connection events."""
    db.init_app(app)
    migrate.init_app(app, db, directory=str(app.config["MIGRATIONS"]), render_as_batch=True)
    with app.app_context():
        event.listen(db.engine, "handle_error", _redact_database_error)
        if db.engine.dialect.name == "sqlite":
            event.listen(db.engine, "connect", _configure_sqlite_connection)
            event.listen(db.engine, "begin", _begin_sqlite_transaction)


def _redact_database_error(context: ExceptionContext) -> None:
    """Remove row values from database errors: PostgreSQL quotes the row in DETAIL ("Key (lrn)=(...) already exists")
    and values in some messages, which must not reach a log, a row or a terminal."""
    original = context.original_exception
    original.args = tuple(_first_line(arg) if isinstance(arg, str) else arg for arg in original.args)
    if context.sqlalchemy_exception is not None:
        wrapper_args = context.sqlalchemy_exception.args
        context.sqlalchemy_exception.args = tuple(
            _first_line(arg) if isinstance(arg, str) else arg for arg in wrapper_args
        )


def _first_line(text: str) -> str:
    return _QUOTED.sub("", text.partition("\n")[0])


def _configure_sqlite_connection(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # BEGIN is sent explicitly, see _begin_sqlite_transaction
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={BUSY_TIMEOUT_MS}"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite_transaction(connection: Connection) -> None:
    options = connection.get_execution_options()
    connection.exec_driver_sql(f"PRAGMA busy_timeout={options.get('lock_wait_ms') or BUSY_TIMEOUT_MS}")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get("writing") else "BEGIN")


@contextmanager
def sqlite_write_lock(wait_ms: int = BUSY_TIMEOUT_MS, *, urgent: bool = False) -> Iterator[None]:
    """Lock of this process for writing to SQLite, which allows one writer at a time.

    SQLite's own file lock is polled every 100 ms, so a thread that writes continuously would starve the others; here
    they queue. An `urgent` writer, for whose answer Zoom waits, goes before one of the others. Raises OperationalError,
    as SQLite would.
    """
    if not _sqlite_lock.acquire(wait_ms / 1000, urgent):
        raise OperationalError("BEGIN IMMEDIATE", None, sqlite3.OperationalError("database is locked"))
    timer, collects = HoldTimer(), gc.isenabled()
    gc.disable()  # a full collection takes 0.2 s of a large process; after the release nobody waits for it
    try:
        yield
    finally:
        if collects:
            gc.enable()
        timer.stop()
        _sqlite_lock.release()
        timer.report()


@contextmanager
def write_transaction(lock_wait_ms: int | None = None) -> Iterator[Session]:
    """Context manager of one write transaction: committed at the end, rolled back on an exception.

    An open read transaction is ended first (loaded rows stay usable). A nested `write_transaction()` joins the outer
    one, so that services can be combined. `lock_wait_ms` limits the wait for another transaction's lock, after which
    the database error is raised.
    """
    session = db.session()
    if session.info.get("writing"):
        yield session
        return
    if session.in_transaction():
        if session.new or session.dirty or session.deleted:
            raise RuntimeError("changes were made outside of write_transaction()")
        session.commit()
    with nullcontext() if is_postgresql() else sqlite_write_lock(lock_wait_ms or BUSY_TIMEOUT_MS):
        connection = session.connection(execution_options={"writing": True, "lock_wait_ms": lock_wait_ms})
        session.info["writing"] = True
        try:
            if lock_wait_ms and is_postgresql():
                connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{int(lock_wait_ms)}ms'")
            yield session
            session.commit()
        except BaseException:
            session.rollback()
            raise
        finally:
            session.info.pop("writing", None)


def batch_column_updates(rows: Iterable[Any], names: Iterable[str]) -> None:
    """Let the next flush update all modified rows in one statement.

    SQLAlchemy batches consecutive rows with the same changed columns; alternating changes would take one statement per
    row. `names` are all columns that may have changed; each is then written for each of the rows.
    """
    for row in rows:
        if db.session.is_modified(row):
            for name in names:
                flag_modified(row, name)


def end_read_transaction() -> None:
    """End the open read transaction, so that no snapshot or lock is held during a request to Zoom."""
    session = db.session()
    if session.in_transaction():
        if session.info.get("writing"):
            raise RuntimeError("no call to Zoom inside a transaction")
        session.commit()


def is_postgresql(engine: Engine | None = None) -> bool:
    """True on PostgreSQL, False on SQLite."""
    return (engine or db.engine).dialect.name == "postgresql"


def execute_rowcount(statement: UpdateBase) -> int:
    """Execute an UPDATE or DELETE; returns the number of rows."""
    result = db.session.execute(statement)
    return int(result.rowcount)  # type: ignore[attr-defined]  # CursorResult at run time


def insert_if_absent(table: Any, values: dict[str, Any], unique: list[str]) -> bool:
    """INSERT ... ON CONFLICT DO NOTHING on the unique columns. True if the row was inserted."""
    statement = _dialect().insert(table).values(**values).on_conflict_do_nothing(index_elements=_columns(table, unique))
    # SQLAlchemy keeps an INSERT's rowcount only on request; psycopg's cursor loses it once closed.
    result = db.session.execute(statement, execution_options={"preserve_rowcount": True})
    return bool(result.rowcount == 1)  # type: ignore[attr-defined]  # CursorResult at run time


def bulk_insert_ignore(table: Any, rows: list[dict[str, Any]]) -> None:
    """INSERT of many rows in one statement, skipping those that violate any unique constraint or index."""
    statement = _dialect().insert(table.__table__).on_conflict_do_nothing()
    db.session.connection().execute(statement, rows)


def upsert_from_select(table: Any, columns: list[str], rows: Any, unique: list[str]) -> None:
    """INSERT ... SELECT; a row with the same unique columns is updated with the new values."""
    statement = _dialect().insert(table.__table__).from_select(columns, rows)
    updated_columns = {name: statement.excluded[name] for name in columns if name not in unique}
    db.session.execute(statement.on_conflict_do_update(index_elements=_columns(table, unique), set_=updated_columns))


def _columns(table: Any, names: Iterable[str]) -> list[Column[Any]]:
    return [table.__table__.c[name] for name in names]


def _dialect() -> Any:
    """The dialect's module, whose `insert` supports ON CONFLICT."""
    return postgresql if is_postgresql() else sqlite
