"""Use cases on notifications: marking them read, and saving a user's preferences."""

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import delete, update

from portal.accounts.models import User
from portal.core import clock
from portal.core.db import bulk_insert_ignore, execute_rowcount, write_transaction
from portal.notifications.codes import Channel, NotificationKind
from portal.notifications.models import Notification, NotificationOptOut


def mark_notifications_read(user: User, notification_id: UUID | None = None) -> int:
    """Mark one notification read, or all without an id, and drop it from the digest; returns how many were unread."""
    rows = update(Notification).where(Notification.user_id == user.id, Notification.read_at.is_(None))
    if notification_id is not None:
        rows = rows.where(Notification.id == notification_id)
    with write_transaction():
        return execute_rowcount(rows.values(read_at=clock.now(), mail_due_at=None))


def save_notification_preferences(user: User, enabled: dict[str, Collection[str]]) -> None:
    """Save a user's preferences: the enabled kinds by channel. Kinds that are not named are off."""
    opt_outs = [
        (kind, channel) for kind in NotificationKind for channel in Channel if kind not in enabled.get(channel, ())
    ]
    with write_transaction() as session:
        session.execute(delete(NotificationOptOut).where(NotificationOptOut.user_id == user.id))
        if opt_outs:
            rows = [{"user_id": user.id, "kind": kind, "channel": channel} for kind, channel in opt_outs]
            bulk_insert_ignore(NotificationOptOut, rows)
