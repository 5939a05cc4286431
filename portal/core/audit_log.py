"""Who looked at, changed or exported what. Ids only: names and addresses stay in their own tables.

Each entry also says whose records it is about, the class and the section, so that "who viewed or exported the
records of this class last month" is one query. The floors above tell how both follow from a subject:
`register_subject_scope`.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, Integer, Select, Uuid, bindparam, insert, select
from sqlalchemy.orm import Mapped, mapped_column

from portal.core import clock
from portal.core.db import Model, db, write_transaction

VIEW_DEDUP_WINDOW = timedelta(minutes=10)  # the same page opened again within this is the same look
ScopeFinder = Callable[[UUID], Select[Any, Any]]
_finders: dict[str, ScopeFinder] = {}


class AuditEntry(Model):
    """One entry. Class and section are no foreign keys: what was done stays written when they are gone."""

    __tablename__ = "audit_log"
    __table_args__ = (
        Index("ix_audit_log_subject_occurred_at", "subject_type", "subject_id", "occurred_at"),
        Index("ix_audit_log_user_id_occurred_at", "user_id", "occurred_at"),
        Index("ix_audit_log_class_id_occurred_at", "class_id", "occurred_at"),
        Index("ix_audit_log_section_id_occurred_at", "section_id", "occurred_at"),
    )

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    occurred_at: Mapped[datetime]
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    action: Mapped[str]
    subject_type: Mapped[str]
    subject_id: Mapped[str]
    class_id: Mapped[UUID | None]  # None with a section: of the section as a whole, so of each of its classes
    section_id: Mapped[UUID | None]
    details: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)


def register_subject_scope(subject_type: str, finder: ScopeFinder) -> None:
    """Say which class and section a subject belongs to: a select of both ids by the subject's id."""
    _finders[subject_type] = finder


def record_action(
    action: str,
    subject_type: str,
    subject_id: UUID | str,
    *,
    by: UUID | None,
    section_id: UUID | None = None,
    **details: object,
) -> None:
    """Write one entry, within the transaction that is open or in one of its own.

    `action` is a verb in the past ("viewed", "exported", "changed"). `details` are ids, counts and words,
    never a learner's name or address. `section_id` is for a subject that does not tell its section itself.
    """
    with write_transaction():
        whose: tuple[Any, Any] = (None, section_id)
        if section_id is None and subject_type in _finders and isinstance(subject_id, UUID):
            subquery = _finders[subject_type](subject_id).subquery()
            whose = (select(subquery.c[0]).scalar_subquery(), select(subquery.c[1]).scalar_subquery())
        db.session.execute(
            insert(AuditEntry).values(
                occurred_at=clock.now(),
                user_id=by,
                action=action,
                subject_type=subject_type,
                subject_id=str(subject_id),
                class_id=whose[0],
                section_id=whose[1],
                details=details,
            )
        )


_looked_lately = (
    select(AuditEntry.id)
    .where(
        AuditEntry.subject_type == bindparam("type"),
        AuditEntry.subject_id == bindparam("id"),
        AuditEntry.occurred_at > bindparam("since"),
        AuditEntry.user_id == bindparam("by", type_=Uuid()),  # its own type is that of a table not known here yet
        AuditEntry.action == bindparam("action"),
    )
    .limit(1)
)


def record_view(
    action: str,
    subject_type: str,
    subject_id: UUID,
    *,
    by: UUID,
    section_id: UUID | None = None,
    one_look: timedelta = VIEW_DEDUP_WINDOW,
    **details: object,
) -> None:
    """Write down that somebody was shown something; once for all that is one look, e.g. a page that renews itself."""
    values = {"type": subject_type, "id": str(subject_id), "since": clock.now() - one_look, "by": by, "action": action}
    if db.session.scalar(_looked_lately, values) is None:
        record_action(action, subject_type, subject_id, by=by, section_id=section_id, **details)
