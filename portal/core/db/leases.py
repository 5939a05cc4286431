"""Leases on due rows: several workers may poll for work, and each row goes to one of them.

A lease is an expiry time on the row. If a worker dies, its lease expires and another takes over. On PostgreSQL rows
locked by another worker are skipped (SKIP LOCKED); SQLite has one writer at a time anyway.
"""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, select, update

from portal.core import clock
from portal.core.db import is_postgresql, write_transaction

LEASE_TIME = timedelta(minutes=2)
FIRST_RETRY_DELAY, LONGEST_RETRY_DELAY = timedelta(seconds=5), timedelta(minutes=15)


def acquire_leases(
    model: Any, due: ColumnElement[bool], *, limit: int, order: Any = None, lease: timedelta = LEASE_TIME
) -> list[UUID]:
    """Lease up to `limit` rows of `model` that match `due` and have no valid lease; returns their ids.

    The model has `id` and `leased_until`.
    """
    now = clock.now()
    is_free = model.leased_until.is_(None) | (model.leased_until < now)
    rows = select(model.id).where(due, is_free).order_by(model.id if order is None else order).limit(limit)
    if is_postgresql():
        rows = rows.with_for_update(skip_locked=True)
    with write_transaction() as session:
        ids = list(session.scalars(rows))
        if ids:
            session.execute(update(model).where(model.id.in_(ids)).values(leased_until=now + lease))
    return ids


def release_leases(model: Any, ids: list[UUID], **values: object) -> None:
    """Release the leases and update `values` in the same statement."""
    with write_transaction() as session:
        session.execute(update(model).where(model.id.in_(ids)).values(leased_until=None, **values))


def retry_backoff_delay(
    attempts: int, *, first: timedelta = FIRST_RETRY_DELAY, maximum: timedelta = LONGEST_RETRY_DELAY
) -> timedelta:
    """Exponential backoff after this number of failed attempts: `first`, doubled with each further one, up to
    `maximum` (5 s, 10, 20 ... 15 min). The exponent is capped: a row tried for weeks would overflow the number."""
    return min(maximum, first * 2 ** min(max(0, attempts - 1), 20))


def next_attempt_at(
    attempts: int, *, first: timedelta = FIRST_RETRY_DELAY, maximum: timedelta = LONGEST_RETRY_DELAY
) -> datetime:
    """The time of the next attempt after this number of failed ones."""
    return clock.now() + retry_backoff_delay(attempts, first=first, maximum=maximum)
