"""What happened, as each person is told it, in the portal and by e-mail."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.db import Model, UuidPrimaryKey

KINDS = ("scheduled", "changed", "cancelled", "sheet ready", "to match", "registration failed")
CHANNELS = ("portal", "mail")


def _one_of(column: str, words: tuple[str, ...]) -> str:
    return f"{column} IN ({', '.join(repr(word) for word in words)})"


class Notification(UuidPrimaryKey, Model):
    """One thing that one person is told. `thing` names what it is about, so that it is told once.

    `facts` are what the sentence needs, as it was then: class, times, counts, words of staff; never a learner's name.
    `mail_at` is when the letter is due in which it stands; None where none is wanted, or it is in the outbox.
    """

    __tablename__ = "notifications"
    __table_args__ = (
        UniqueConstraint("user_id", "kind", "dedup_key"),
        CheckConstraint(_one_of("kind", KINDS), name="kind"),
        Index("ix_notifications_user_id_read_at", "user_id", "read_at"),
        Index("ix_notifications_at", "occurred_at"),
        Index(
            "ix_notifications_mail_at",
            "mail_due_at",
            sqlite_where=text("mail_at IS NOT NULL"),
            postgresql_where=text("mail_at IS NOT NULL"),
        ),
        Index("ix_notifications_meeting_id", "meeting_id"),
        Index("ix_notifications_occurrence_id", "occurrence_id"),
    )

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(24))
    dedup_key: Mapped[str] = mapped_column("thing", String(100), key="dedup_key")
    meeting_id: Mapped[UUID] = mapped_column(ForeignKey("zoom_meetings.id", ondelete="CASCADE"))
    occurrence_id: Mapped[UUID | None] = mapped_column(ForeignKey("meeting_occurrences.id", ondelete="CASCADE"))
    payload: Mapped[dict[str, Any]] = mapped_column("facts", JSON, key="payload")
    occurred_at: Mapped[datetime] = mapped_column("at", key="occurred_at")
    in_portal: Mapped[bool] = mapped_column("shown", key="in_portal", default=True)  # in the portal
    read_at: Mapped[datetime | None]
    mail_due_at: Mapped[datetime | None] = mapped_column("mail_at", key="mail_due_at")


class NotificationOptOut(Model):
    """A kind that a person does not want to be told of, on one channel. Without a row it is on."""

    __tablename__ = "notifications_off"
    __table_args__ = (
        CheckConstraint(_one_of("kind", KINDS), name="kind"),
        CheckConstraint(_one_of("channel", CHANNELS), name="channel"),
    )

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    kind: Mapped[str] = mapped_column(String(24), primary_key=True)
    channel: Mapped[str] = mapped_column(String(8), primary_key=True)
