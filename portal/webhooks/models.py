"""Tables of webhook deliveries: every signed delivery is stored once, before it is interpreted, with heartbeats and
refused deliveries."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, Index, Integer, LargeBinary, String, false
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.db import Model, UuidPrimaryKey, one_of_check
from portal.webhooks.codes import DeliveryState


class ZoomEvent(Model):
    """One delivery. States: PENDING (to be projected), DONE, IGNORED (no evidence in it), UNMATCHED (its meeting is not
    known here, yet) and FAILED (too many attempts raised)."""

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
    """Uptime of one process that receives webhooks; each heartbeat moves `last_seen_at`."""

    __tablename__ = "webhook_heartbeats"
    __table_args__ = (Index("ix_webhook_heartbeats_started_at", "started_at"),)

    started_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]


class MissedDelivery(Model):
    """A delivery that could not be stored and was answered with 503; deleted when Zoom's retry is stored.

    A row without a meeting stands for more deliveries than could be remembered.
    """

    __tablename__ = "missed_deliveries"
    __table_args__ = (Index("ix_missed_deliveries_missed_at", "missed_at"),)

    fingerprint: Mapped[str] = mapped_column(String(64), primary_key=True)
    zoom_meeting_id: Mapped[str | None] = mapped_column(String(64))
    missed_at: Mapped[datetime]
    # the affected sheets are marked as incomplete
    sheets_marked: Mapped[bool] = mapped_column(default=False, server_default=false())
