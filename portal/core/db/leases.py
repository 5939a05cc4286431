"""Leases on due rows: several workers may look for work at once, each row goes to one of them.

A lease is a time written on the row. A worker that dies leaves it to run out, and the next one goes on.
On PostgreSQL rows that another worker is just taking are skipped instead of waited for; on SQLite there is
one writer at a time anyway.
"""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, select, update

from portal.core import clock
from portal.core.db import is_postgresql, write_transaction

LEASE_TIME = timedelta(minutes=2)


def acquire_leases(
    model: Any, due: ColumnElement[bool], *, limit: int, order: Any = None, lease: timedelta = LEASE_TIME
) -> list[UUID]:
    """Lease up to `limit` rows of `model` for which `due` holds and whose lease is free; their ids.

    The model has `id` and `leased_until`.
    """
    now = clock.now()
    free = model.leased_until.is_(None) | (model.leased_until < now)
    rows = select(model.id).where(due, free).order_by(model.id if order is None else order).limit(limit)
    if is_postgresql():
        rows = rows.with_for_update(skip_locked=True)
    with write_transaction() as session:
        ids = list(session.scalars(rows))
        if ids:
            session.execute(update(model).where(model.id.in_(ids)).values(leased_until=now + lease))
    return ids


def release_leases(model: Any, ids: list[UUID], **values: object) -> None:
    """Give rows back, writing `values` on them in the same statement."""
    with write_transaction() as session:
        session.execute(update(model).where(model.id.in_(ids)).values(leased_until=None, **values))


def retry_backoff_delay(attempts: int, first: float = 5.0, most: float = 900.0) -> timedelta:
    """How long to wait after the given number of failed attempts: 5 s, 10, 20 ... 15 min."""
    return timedelta(seconds=min(most, first * 2 ** max(0, attempts - 1)))


def next_attempt_at(attempts: int) -> datetime:
    return clock.now() + retry_backoff_delay(attempts)
