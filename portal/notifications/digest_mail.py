"""Letters about what happened: one to each person about all that waits, written into the outbox.

Notification and letter are written in one transaction, so nothing is mailed twice and nothing is lost with a dead
server; the outbox does the rest. What was read in the portal meanwhile is not mailed.
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
MAX_ITEMS = 30  # lines in a letter; the rest is a number


def queue_due_digests() -> int:
    """Write the letters that are due; how many notifications they tell of."""
    due = select(Notification.user_id).where(Notification.mail_due_at <= clock.now()).distinct().limit(USERS_PER_BATCH)
    return sum(_write(user_id) for user_id in db.session.scalars(due).all())


def _write(user_id: UUID) -> int:
    rows = (
        select(Notification)
        .where(Notification.user_id == user_id, Notification.mail_due_at.is_not(None))
        .order_by(Notification.occurred_at, Notification.kind.desc(), Notification.id)
        .execution_options(populate_existing=True)
    )
    if is_postgresql():
        rows = rows.with_for_update(skip_locked=True)
    with write_transaction() as session:
        waiting = list(session.scalars(rows))
        user = session.get(User, user_id, populate_existing=True)
        for notification in waiting:
            notification.mail_due_at = None
        news = [one for one in waiting if one.read_at is None]
        if news and user is not None and user.is_active:
            _queue(user, news)
    return len(waiting)


def _queue(user: User, news: list[Notification]) -> None:
    try:
        outbox.enqueue_mail(
            user.email,
            "notifications",
            user.language,
            name=messages.redact_notification_text(user.full_name),
            news=news[:MAX_ITEMS],
            more=max(0, len(news) - MAX_ITEMS),
            subject=lambda: messages.digest_mail_subject(news),
            headline=messages.notification_title,
            times=messages.notification_times,
            path=messages.notification_target_url,
            page=PAGE,
            settings=SETTINGS,
        )
    except ValueError:  # an address that is none: the portal still tells
        log.warning("user %s has an address to which no letter goes", user.id)
