"""SELECTs: a user's notifications, the unread count, and the preferences."""

from uuid import UUID

from flask import g
from flask_login import current_user
from sqlalchemy import ColumnElement, Uuid, bindparam, func, literal, select

from portal.accounts.models import User
from portal.core.db import db
from portal.notifications.models import Notification, NotificationOptOut

PAGE_SIZE = 40
MAX_COUNTED = 100  # an upper bound for the count


def _own_clauses(user: User) -> list[ColumnElement[bool]]:
    return [Notification.user_id == user.id, Notification.in_portal.is_(True)]


_unread = select(func.count()).select_from(
    select(literal(1))
    .where(
        Notification.user_id == bindparam("user_id", type_=Uuid()),
        Notification.in_portal.is_(True),
        Notification.read_at.is_(None),
    )
    .limit(MAX_COUNTED)
    .subquery()
)


def count_unread_notifications(user: User) -> int:
    """The number of unread notifications, at most MAX_COUNTED: one index scan."""
    return db.session.scalar(_unread, {"user_id": user.id}) or 0


def unread_count_of_request() -> int:
    """The signed-in user's unread count, cached for the request."""
    if "unread_notifications" not in g:
        g.unread_notifications = count_unread_notifications(current_user)
    return int(g.unread_notifications)


def list_notifications(user: User, page: int = 1) -> tuple[list[Notification], bool]:
    """One page of a user's notifications, unread first, then the newest; and whether there are more."""
    rows = db.session.scalars(
        select(Notification)
        .where(*_own_clauses(user))
        .order_by(Notification.read_at.is_not(None), Notification.occurred_at.desc(), Notification.id)
        .limit(PAGE_SIZE + 1)
        .offset((page - 1) * PAGE_SIZE)
    ).all()
    return list(rows[:PAGE_SIZE]), len(rows) > PAGE_SIZE


def get_notification(user: User, notification_id: UUID) -> Notification | None:
    """One of the user's own notifications, or None."""
    return db.session.scalar(select(Notification).where(Notification.id == notification_id, *_own_clauses(user)))


def opt_outs_of(user: User) -> set[tuple[str, str]]:
    """(Kind, channel) of what the user has switched off."""
    rows = select(NotificationOptOut.kind, NotificationOptOut.channel).where(NotificationOptOut.user_id == user.id)
    return {(kind, channel) for kind, channel in db.session.execute(rows)}
