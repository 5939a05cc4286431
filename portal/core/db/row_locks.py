"""Row locks, taken in one order everywhere, so that two workers never wait for each other."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from sqlalchemy import select

from portal.core.db import db, is_postgresql


def lock_rows(model: Any, ids: Collection[UUID]) -> None:
    """Lock rows of `model` until the end of the transaction, in the order of their ids.

    Whoever writes evidence of a meeting (stays, instances, its sheets) locks the meeting first, before the
    sheet. Rows that refer to a locked one can still be written. On SQLite the one writer has all locks.
    """
    if ids and is_postgresql():
        db.session.execute(select(model.id).where(model.id.in_(ids)).order_by(model.id).with_for_update(key_share=True))
