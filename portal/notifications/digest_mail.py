"""Digest mails: one mail to each user about all due notifications, written into the outbox.

Notifications and outbox mail are updated in one transaction, so nothing is mailed twice or lost after a crash; the
outbox sends it. What was read in the portal meanwhile is not mailed.
"""

import logging
from uuid import UUID

from sqlalchemy import select

from portal.accounts.models import User
from portal.core import clock
from portal.core.db import db, is_postgresql, write_transaction
from portal.core.mail import outbox
from portal.notifications import messages
from portal.notifications.models import Notification

log = logging.getLogger("portal.notifications")
USERS_PER_BATCH = 50
PAGE, SETTINGS = "/notifications", "/settings/notifications"
MAX_ITEMS = 30  # lines in a mail; the rest is only counted


def queue_due_digests() -> int:
    """Queue the due digest mails; returns the number of notifications in them."""
    due_user_ids = (
        select(Notification.user_id).where(Notification.mail_due_at <= clock.now()).distinct().limit(USERS_PER_BATCH)
    )
    return sum(_queue_digest_of_user(user_id) for user_id in db.session.scalars(due_user_ids).all())


def _queue_digest_of_user(user_id: UUID) -> int:
    rows = (
        select(Notification)
        .where(Notification.user_id == user_id, Notification.mail_due_at.is_not(None))
        .order_by(Notification.occurred_at, Notification.kind.desc(), Notification.id)
        .execution_options(populate_existing=True)
    )
    if is_postgresql():
        rows = rows.with_for_update(skip_locked=True)
    with write_transaction() as session:
        due_notifications = list(session.scalars(rows))
        user = session.get(User, user_id, populate_existing=True)
        for notification in due_notifications:
            notification.mail_due_at = None
        unread = [due for due in due_notifications if due.read_at is None]
        if unread and user is not None and user.is_active:
            _enqueue_digest(user, unread)
    return len(due_notifications)


def _enqueue_digest(user: User, notifications: list[Notification]) -> None:
    try:
        outbox.enqueue_mail(
            user.email,
            "notifications",
            user.language,
            name=messages.redact_notification_text(user.full_name),
            news=notifications[:MAX_ITEMS],
            more=max(0, len(notifications) - MAX_ITEMS),
            subject=lambda: messages.digest_mail_subject(notifications),
            headline=messages.notification_title,
            times=messages.notification_times,
            path=messages.notification_target_url,
            page=PAGE,
            settings=SETTINGS,
        )
    except ValueError:  # an invalid address: the portal still shows the notifications
        log.warning("user %s: digest skipped, invalid e-mail address", user.id)
