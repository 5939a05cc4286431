"""What a person does with notifications: read them, and say which they want."""

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import delete, update

from portal.accounts.models import User
from portal.core import clock
from portal.core.db import bulk_insert_ignore, execute_rowcount, write_transaction
from portal.notifications.codes import Channel, NotificationKind
from portal.notifications.models import Notification, NotificationOptOut


def mark_notifications_read(user: User, notification_id: UUID | None = None) -> int:
    """One, or all without an id, are read from now on, and no letter tells of them any more; how many were not."""
    rows = update(Notification).where(Notification.user_id == user.id, Notification.read_at.is_(None))
    if notification_id is not None:
        rows = rows.where(Notification.id == notification_id)
    with write_transaction():
        return execute_rowcount(rows.values(read_at=clock.now(), mail_due_at=None))


def save_notification_preferences(user: User, wanted: dict[str, Collection[str]]) -> None:
    """Keep what a person wants: the kinds by channel. What is not named is off."""
    off = [(kind, channel) for kind in NotificationKind for channel in Channel if kind not in wanted.get(channel, ())]
    with write_transaction() as session:
        session.execute(delete(NotificationOptOut).where(NotificationOptOut.user_id == user.id))
        if off:
            rows = [{"user_id": user.id, "kind": kind, "channel": channel} for kind, channel in off]
            bulk_insert_ignore(NotificationOptOut, rows)
