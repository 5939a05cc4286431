"""The database: one declarative base, typed columns, and `write_transaction()`, the one way to change a row.

SQLite and PostgreSQL run the same code. SQLite is opened in WAL with `synchronous=FULL` (an acknowledged
event survives a power cut; NORMAL would lose it) and every change begins with BEGIN IMMEDIATE, because a
read transaction that turns into a write is refused at once when somebody else wrote in between.
"""

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

NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
_QUOTED = re.compile(r""": ['"].*""")  # the value in "invalid input syntax for type date: ..."
BUSY_TIMEOUT_MS = 5000  # how long a page waits for another writer on SQLite


class _FairLock:
    """A lock for which some are let in first, every other time: neither side keeps the other out for long."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._taken = self._last_was_urgent = False
        self._waiting = {True: 0, False: 0}

    def acquire(self, seconds: float, urgent: bool) -> bool:
        """True once it is ours; False if that took too long."""
        with self._changed:
            self._waiting[urgent] += 1
            try:
                got = self._changed.wait_for(lambda: self._may_enter(urgent), seconds)
            finally:
                self._waiting[urgent] -= 1
            if got:
                self._taken, self._last_was_urgent = True, urgent
            else:
                self._changed.notify_all()  # somebody may have stood back for us
            return got

    def release(self) -> None:
        with self._changed:
            self._taken = False
            self._changed.notify_all()

    def _may_enter(self, urgent: bool) -> bool:
        others_first = self._last_was_urgent if urgent else not self._last_was_urgent
        return not self._taken and not (others_first and self._waiting[not urgent])


_turn = _FairLock()


class UTCDateTime(TypeDecorator[datetime]):
    """An aware moment, kept in UTC. A naive datetime is a bug and is refused."""

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
    """A row with a random UUID, safe to show in an address."""

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)


def one_of_check(column: str, values: Iterable[str]) -> str:
    """The text of a CHECK that a column holds one of these values (a StrEnum, or a tuple of texts)."""
    return f"{column} IN ({', '.join(repr(str(value)) for value in values)})"


def init_db(app: Flask) -> None:
    db.init_app(app)
    migrate.init_app(app, db, directory=str(app.config["MIGRATIONS"]), render_as_batch=True)
    with app.app_context():
        event.listen(db.engine, "handle_error", _without_values)
        if db.engine.dialect.name == "sqlite":
            event.listen(db.engine, "connect", _open_sqlite)
            event.listen(db.engine, "begin", _begin_sqlite)


def _without_values(context: ExceptionContext) -> None:
    """PostgreSQL quotes the row in its DETAIL ("Key (lrn)=(...) already exists") and the value in some of its
    messages. Neither may get into a log, on a row or onto a terminal with the error's text."""
    original = context.original_exception
    original.args = tuple(_first_line(one) if isinstance(one, str) else one for one in original.args)
    if context.sqlalchemy_exception is not None:
        told = context.sqlalchemy_exception.args
        context.sqlalchemy_exception.args = tuple(_first_line(one) if isinstance(one, str) else one for one in told)


def _first_line(text: str) -> str:
    return _QUOTED.sub("", text.partition("\n")[0])


def _open_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves, see _begin_sqlite
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={BUSY_TIMEOUT_MS}"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    options = connection.get_execution_options()
    connection.exec_driver_sql(f"PRAGMA busy_timeout={options.get('lock_wait_ms') or BUSY_TIMEOUT_MS}")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get("writing") else "BEGIN")


@contextmanager
def sqlite_write_lock(wait_ms: int = BUSY_TIMEOUT_MS, *, urgent: bool = False) -> Iterator[None]:
    """The turn to write to SQLite, which takes one writer at a time.

    Waiting for its file lock is looking again every 100 ms, so a thread that writes one thing after the other
    would keep all others of its process out; here they queue. Whoever is `urgent`, because Zoom waits for an
    answer, goes before one of the others. Raises OperationalError, as SQLite would.
    """
    if not _turn.acquire(wait_ms / 1000, urgent):
        raise OperationalError("BEGIN IMMEDIATE", None, sqlite3.OperationalError("database is locked"))
    try:
        yield
    finally:
        _turn.release()


@contextmanager
def write_transaction(lock_wait_ms: int | None = None) -> Iterator[Session]:
    """Everything inside is one transaction, committed at the end, rolled back if it raises.

    A reading transaction that is open is ended first (what was loaded stays usable). Inside another
    `write_transaction()` it joins that one, so that services can be put together. `lock_wait_ms` is how long to wait
    for somebody else's lock before the database error is raised.
    """
    session = db.session()
    if session.info.get("writing"):
        yield session
        return
    if session.in_transaction():
        if session.new or session.dirty or session.deleted:
            raise RuntimeError("changes were made outside of writing()")
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
    """Let the next flush write those of the rows that were changed in one statement.

    SQLAlchemy sends one for each run of rows with the same changed columns: with two kinds of changes in turns, one a
    row. `names` are all columns that may have been changed; each is then written for each of the rows.
    """
    for row in rows:
        if db.session.is_modified(row):
            for name in names:
                flag_modified(row, name)


def end_read_transaction() -> None:
    """Let go of the reading transaction, so that no snapshot or lock is held during a call to Zoom."""
    session = db.session()
    if session.in_transaction():
        if session.info.get("writing"):
            raise RuntimeError("no call to Zoom inside a transaction")
        session.commit()


def is_postgresql(engine: Engine | None = None) -> bool:
    return (engine or db.engine).dialect.name == "postgresql"


def execute_rowcount(statement: UpdateBase) -> int:
    """Carry out an UPDATE or DELETE; how many rows it changed."""
    done = db.session.execute(statement)
    return int(done.rowcount)  # type: ignore[attr-defined]  # CursorResult at run time


def insert_if_absent(table: Any, values: dict[str, Any], unique: list[str]) -> bool:
    """INSERT that does nothing where a row with the same unique columns exists. True if it was new."""
    statement = _dialect().insert(table).values(**values).on_conflict_do_nothing(index_elements=_columns(table, unique))
    # An INSERT's count is not kept unless asked for; psycopg's cursor has forgotten it once it is closed.
    done = db.session.execute(statement, execution_options={"preserve_rowcount": True})
    return bool(done.rowcount == 1)  # type: ignore[attr-defined]  # CursorResult at run time


def bulk_insert_ignore(table: Any, rows: list[dict[str, Any]]) -> None:
    """INSERT of many rows in one go, leaving out those that any unique column or index knows already."""
    statement = _dialect().insert(table.__table__).on_conflict_do_nothing()
    db.session.connection().execute(statement, rows)


def upsert_from_select(table: Any, columns: list[str], rows: Any, unique: list[str]) -> None:
    """INSERT of what a SELECT finds; where a row with the same unique columns exists, it takes the new values."""
    statement = _dialect().insert(table.__table__).from_select(columns, rows)
    new = {name: statement.excluded[name] for name in columns if name not in unique}
    db.session.execute(statement.on_conflict_do_update(index_elements=_columns(table, unique), set_=new))


def _columns(table: Any, names: Iterable[str]) -> list[Column[Any]]:
    return [table.__table__.c[name] for name in names]


def _dialect() -> Any:
    """Where `insert` knows ON CONFLICT: two dialects, one shape."""
    return postgresql if is_postgresql() else sqlite
