"""Write transactions as the database's connection sees them: counted with their rows on SQLite, killed, or preceded by
somebody else's change."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Connection

from portal.core.db import db


class Killed(BaseException):
    """The process ended here."""


@contextmanager
def counted_transactions() -> Iterator[list[int]]:
    """The number of rows that each write transaction inserted, updated or deleted on SQLite, also by triggers and
    cascades. Those that changed nothing are left out."""
    rows: list[int] = []
    before: dict[int, int] = {}

    def begin(connection: Connection) -> None:
        if connection.get_execution_options().get("writing"):
            before[id(connection)] = _total_changes(connection)

    def commit(connection: Connection) -> None:
        if id(connection) in before:
            changed = _total_changes(connection) - before.pop(id(connection))
            if changed:
                rows.append(changed)

    with _listening("begin", begin), _listening("commit", commit):
        yield rows


@contextmanager
def killed_at_commit(number: int) -> Iterator[None]:
    """The process ends just before the commit of this write transaction, counted from 1: its rows are lost."""
    seen = 0

    def commit(connection: Connection) -> None:
        nonlocal seen
        if connection.get_execution_options().get("writing"):
            seen += 1
            if seen == number:
                raise Killed

    try:
        with _listening("commit", commit):
            yield
    except Killed:
        db.session.rollback()
        db.session.expire_all()
        return
    raise AssertionError(f"only {seen} write transactions")


@contextmanager
def changed_before_writing(change: Callable[[Connection], object]) -> Iterator[None]:
    """Somebody else's transaction is committed between the next read transaction and the write that follows it."""
    is_done = False

    def commit(connection: Connection) -> None:
        nonlocal is_done
        if not is_done and not connection.get_execution_options().get("writing"):
            is_done = True
            with db.engine.connect() as other:
                change(other)
                other.commit()

    with _listening("commit", commit):
        yield
    assert is_done


def _total_changes(connection: Connection) -> int:
    return int(connection.connection.driver_connection.total_changes)  # type: ignore[union-attr]  # sqlite3's


@contextmanager
def _listening(name: str, listener: Callable[..., Any]) -> Iterator[None]:
    event.listen(db.engine, name, listener)
    try:
        yield
    finally:
        event.remove(db.engine, name, listener)
