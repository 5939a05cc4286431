"""The inbox: every signed delivery of Zoom, stored once, before anybody judges what it means."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, Index, Integer, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from portal.base.db import Model


class ZoomEvent(Model):
    """One delivery. States: `new` (to be projected), `done`, `ignored` (nothing to learn from it),
    `waiting` (its meeting is not known here, yet) and `set aside` (it raised too often)."""

    __tablename__ = "zoom_events"
    __table_args__ = (
        CheckConstraint("state IN ('new', 'done', 'ignored', 'waiting', 'set aside')", name="state"),
        Index("ix_zoom_events_state_next_try_at", "state", "next_try_at"),
        Index("ix_zoom_events_zoom_meeting_id", "zoom_meeting_id"),
        Index("ix_zoom_events_received_at", "received_at"),
    )

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64), unique=True)
    received_at: Mapped[datetime]
    event: Mapped[str] = mapped_column(String(100))
    zoom_meeting_id: Mapped[str | None] = mapped_column(String(64))
    raw: Mapped[bytes] = mapped_column(LargeBinary)
    state: Mapped[str] = mapped_column(String(12), default="new", server_default="new")
    attempts: Mapped[int] = mapped_column(default=0, server_default="0")
    next_try_at: Mapped[datetime | None]
    leased_until: Mapped[datetime | None]
    projected_at: Mapped[datetime | None]
    error: Mapped[str | None]
