"""Who looked at, changed or exported what. Ids only: names and addresses stay in their own tables."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, Integer, insert
from sqlalchemy.orm import Mapped, mapped_column

from portal.base import clock
from portal.base.db import Model, db, writing


class AuditEntry(Model):
    __tablename__ = "audit_log"
    __table_args__ = (
        Index("ix_audit_log_subject_at", "subject_type", "subject_id", "at"),
        Index("ix_audit_log_user_id_at", "user_id", "at"),
    )

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    at: Mapped[datetime]
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    action: Mapped[str]
    subject_type: Mapped[str]
    subject_id: Mapped[str]
    details: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)


def record(action: str, subject_type: str, subject_id: UUID | str, *, by: UUID | None, **details: object) -> None:
    """Write one entry, within the transaction that is open or in one of its own.

    `action` is a verb in the past ("viewed", "exported", "changed"). `details` are ids, counts and words,
    never a learner's name or address.
    """
    with writing():
        db.session.execute(
            insert(AuditEntry).values(
                at=clock.now(),
                user_id=by,
                action=action,
                subject_type=subject_type,
                subject_id=str(subject_id),
                details=details,
            )
        )
