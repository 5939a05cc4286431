"""The inbox: every signed delivery of Zoom, stored once, before anybody judges what it means."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, Index, Integer, LargeBinary, String, false
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.db import Model, UuidPrimaryKey, one_of_check
from portal.webhooks.codes import DeliveryState


class ZoomEvent(Model):
    """One delivery. States: `new` (to be projected), `done`, `ignored` (nothing to learn from it),
    `waiting` (its meeting is not known here, yet) and `set aside` (it raised too often)."""

    __tablename__ = "zoom_events"
    __table_args__ = (
        CheckConstraint(one_of_check("state", DeliveryState), name="state"),
        Index("ix_zoom_events_state_next_attempt_at", "state", "next_attempt_at"),
        Index("ix_zoom_events_zoom_meeting_id", "zoom_meeting_id"),
        Index("ix_zoom_events_received_at", "received_at"),
    )

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64), unique=True)
    received_at: Mapped[datetime]
    event: Mapped[str] = mapped_column(String(100))
    zoom_meeting_id: Mapped[str | None] = mapped_column(String(64))
    body: Mapped[bytes] = mapped_column(LargeBinary)
    state: Mapped[str] = mapped_column(
        String(12), default=DeliveryState.PENDING, server_default=DeliveryState.PENDING.value
    )
    attempts: Mapped[int] = mapped_column(default=0, server_default="0")
    next_attempt_at: Mapped[datetime | None]
    leased_until: Mapped[datetime | None]
    projected_at: Mapped[datetime | None]
    error: Mapped[str | None]


class WebhookHeartbeat(UuidPrimaryKey, Model):
    """One process that takes Zoom's events, from when to when it was there: `last_seen_at` moves with each beat."""

    __tablename__ = "webhook_heartbeats"
    __table_args__ = (Index("ix_webhook_heartbeats_started_at", "started_at"),)

    started_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]


class MissedDelivery(Model):
    """A delivery that could not be stored and was answered with 503. It goes when Zoom's repetition came.

    Without a meeting it stands for more deliveries than could be remembered."""

    __tablename__ = "missed_deliveries"
    __table_args__ = (Index("ix_missed_deliveries_missed_at", "missed_at"),)

    fingerprint: Mapped[str] = mapped_column(String(64), primary_key=True)
    zoom_meeting_id: Mapped[str | None] = mapped_column(String(64))
    missed_at: Mapped[datetime]
    sheets_marked: Mapped[bool] = mapped_column(
        default=False, server_default=false()
    )  # the sheets it concerns know of it
