"""What a person does with notifications: read them, and say which they want."""

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import delete, update

from portal.accounts.models import User
from portal.core import clock
from portal.core.db import insert_missing, rows_changed, writing
from portal.notifications.models import CHANNELS, KINDS, Notification, SwitchedOff


def mark_read(user: User, notification_id: UUID | None = None) -> int:
    """One, or all without an id, are read from now on, and no letter tells of them any more; how many were not."""
    rows = update(Notification).where(Notification.user_id == user.id, Notification.read_at.is_(None))
    if notification_id is not None:
        rows = rows.where(Notification.id == notification_id)
    with writing():
        return rows_changed(rows.values(read_at=clock.now(), mail_at=None))


def choose(user: User, wanted: dict[str, Collection[str]]) -> None:
    """Keep what a person wants: the kinds by channel. What is not named is off."""
    off = [(kind, channel) for kind in KINDS for channel in CHANNELS if kind not in wanted.get(channel, ())]
    with writing() as session:
        session.execute(delete(SwitchedOff).where(SwitchedOff.user_id == user.id))
        if off:
            rows = [{"user_id": user.id, "kind": kind, "channel": channel} for kind, channel in off]
            insert_missing(SwitchedOff, rows)
