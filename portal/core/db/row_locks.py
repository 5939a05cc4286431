"""Row locks in a fixed order, so that two workers never deadlock."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from sqlalchemy import select

from portal.core.db import db, is_postgresql


def lock_rows(model: Any, ids: Collection[UUID]) -> None:
    """Lock rows of `model` until the end of the transaction, in id order.

    A transaction that writes evidence of a meeting (stays, instances, sheets) locks the meeting before the sheet. Rows
    that reference a locked one can still be written. A no-op on SQLite, where the one writer has all locks.
    """
    if ids and is_postgresql():
        db.session.execute(select(model.id).where(model.id.in_(ids)).order_by(model.id).with_for_update(key_share=True))
