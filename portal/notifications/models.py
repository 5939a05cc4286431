"""Notifications, one row per recipient, shown in the portal and sent as a digest mail."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.db import Model, UuidPrimaryKey, one_of_check
from portal.notifications.codes import Channel, NotificationKind


class Notification(UuidPrimaryKey, Model):
    """One notification of one user. `dedup_key` identifies the event, so that each is sent once.

    `payload` is what the message needs, as of the event: class, times, counts, text of staff; never a learner's name.
    `mail_due_at` is when the digest mail is due; None if no mail is due or it is in the outbox.
    """

    __tablename__ = "notifications"
    __table_args__ = (
        UniqueConstraint("user_id", "kind", "dedup_key"),
        CheckConstraint(one_of_check("kind", NotificationKind), name="kind"),
        Index("ix_notifications_user_id_read_at", "user_id", "read_at"),
        Index("ix_notifications_occurred_at", "occurred_at"),
        Index(
            "ix_notifications_mail_due_at",
            "mail_due_at",
            sqlite_where=text("mail_due_at IS NOT NULL"),
            postgresql_where=text("mail_due_at IS NOT NULL"),
        ),
        Index("ix_notifications_meeting_id", "meeting_id"),
        Index("ix_notifications_occurrence_id", "occurrence_id"),
    )

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(24))
    dedup_key: Mapped[str] = mapped_column(String(100))
    meeting_id: Mapped[UUID] = mapped_column(ForeignKey("zoom_meetings.id", ondelete="CASCADE"))
    occurrence_id: Mapped[UUID | None] = mapped_column(ForeignKey("meeting_occurrences.id", ondelete="CASCADE"))
    payload: Mapped[dict[str, Any]] = mapped_column(JSON)
    occurred_at: Mapped[datetime]
    in_portal: Mapped[bool] = mapped_column(default=True)  # shown in the portal, not only mailed
    read_at: Mapped[datetime | None]
    mail_due_at: Mapped[datetime | None]


class NotificationOptOut(Model):
    """A kind that a user has switched off on one channel. Without a row it is on."""

    __tablename__ = "notification_opt_outs"
    __table_args__ = (
        CheckConstraint(one_of_check("kind", NotificationKind), name="kind"),
        CheckConstraint(one_of_check("channel", Channel), name="channel"),
    )

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    kind: Mapped[str] = mapped_column(String(24), primary_key=True)
    channel: Mapped[str] = mapped_column(String(8), primary_key=True)
