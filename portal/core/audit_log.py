"""Audit log: who viewed, changed or exported what. Entries hold ids only, no names or addresses.

Each entry also has the class and section whose records it is about, so that "who viewed or exported the records of this
class last month" is one query. Higher layers register how both follow from a subject: `register_subject_scope`.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, Integer, Select, Uuid, bindparam, insert, select
from sqlalchemy.orm import Mapped, mapped_column

from portal.core import clock
from portal.core.db import Model, db, write_transaction

VIEW_DEDUP_WINDOW = timedelta(minutes=10)  # repeated views of a page within this time are one entry
ScopeFinder = Callable[[UUID], Select[Any, Any]]
_scope_finders: dict[str, ScopeFinder] = {}


class AuditEntry(Model):
    """One entry. Class and section are no foreign keys, so that entries outlive them."""

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
    class_id: Mapped[UUID | None]  # None with a section: about the section as a whole, so about each of its classes
    section_id: Mapped[UUID | None]
    details: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)


def register_subject_scope(subject_type: str, finder: ScopeFinder) -> None:
    """Register how class and section follow from a subject: `finder` selects both ids by the subject's id."""
    _scope_finders[subject_type] = finder


def record_action(
    action: str,
    subject_type: str,
    subject_id: UUID | str,
    *,
    by: UUID | None,
    section_id: UUID | None = None,
    **details: object,
) -> None:
    """Insert one entry, within the open transaction or in one of its own.

    `action` is a verb in the past ("viewed", "exported", "changed"). `details` are ids, counts and codes, never a
    person's name or address; a renamed section's old and new name are kept, as they are nowhere else. `section_id` is
    for subjects without a registered scope.
    """
    with write_transaction():
        scope: tuple[Any, Any] = (None, section_id)
        if section_id is None and subject_type in _scope_finders and isinstance(subject_id, UUID):
            subquery = _scope_finders[subject_type](subject_id).subquery()
            scope = (select(subquery.c[0]).scalar_subquery(), select(subquery.c[1]).scalar_subquery())
        db.session.execute(
            insert(AuditEntry).values(
                occurred_at=clock.now(),
                user_id=by,
                action=action,
                subject_type=subject_type,
                subject_id=str(subject_id),
                class_id=scope[0],
                section_id=scope[1],
                details=details,
            )
        )


def record_actions(
    action: str, subject_type: str, details_by_subject: Mapping[UUID, Mapping[str, object]], *, by: UUID | None
) -> None:
    """`record_action` for many subjects in one statement. Raises ValueError for subjects with a registered scope."""
    if subject_type in _scope_finders:
        raise ValueError("each subject has a scope of its own")
    rows = [
        {
            "occurred_at": clock.now(),
            "user_id": by,
            "action": action,
            "subject_type": subject_type,
            "subject_id": str(subject_id),
            "details": dict(details),
        }
        for subject_id, details in details_by_subject.items()
    ]
    with write_transaction():
        if rows:
            db.session.connection().execute(AuditEntry.__table__.insert(), rows)  # type: ignore[attr-defined]  # a Table


_recent_view_select = (
    select(AuditEntry.id)
    .where(
        AuditEntry.subject_type == bindparam("type"),
        AuditEntry.subject_id == bindparam("id"),
        AuditEntry.occurred_at > bindparam("since"),
        AuditEntry.user_id == bindparam("by", type_=Uuid()),  # typed here, as the model of users is not imported yet
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
    dedup_window: timedelta = VIEW_DEDUP_WINDOW,
    **details: object,
) -> None:
    """Insert an entry for a view, once per `dedup_window`, since pages refresh themselves."""
    values = {
        "type": subject_type,
        "id": str(subject_id),
        "since": clock.now() - dedup_window,
        "by": by,
        "action": action,
    }
    if db.session.scalar(_recent_view_select, values) is None:
        record_action(action, subject_type, subject_id, by=by, section_id=section_id, **details)
