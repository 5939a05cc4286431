"""What all processes share about the one Zoom account behind the portal."""

from datetime import date, datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.db import Model


class ZoomToken(Model):
    """The current access token, sealed. One row per account; the lease lets one process renew it at a time."""

    __tablename__ = "zoom_tokens"

    account: Mapped[str] = mapped_column(primary_key=True)
    token_encrypted: Mapped[str | None]
    expires_at: Mapped[datetime | None]
    api_url: Mapped[str] = mapped_column(default="")
    scopes: Mapped[str] = mapped_column(default="")
    issued_at: Mapped[datetime | None]
    leased_until: Mapped[datetime | None]
    refused_at: Mapped[datetime | None]


class ZoomHost(Model):
    """A user of the account who may host, as Zoom said when the worker last asked."""

    __tablename__ = "zoom_hosts"

    email: Mapped[str] = mapped_column(String(254), primary_key=True)
    exists_at_zoom: Mapped[bool | None]  # None: not asked yet; False: no such user, or one who may not host
    licensed: Mapped[bool | None]  # None: not asked yet, or the portal's app may not ask
    checked_at: Mapped[datetime | None]


class ZoomQuota(Model):
    """Creates and updates of one host's meetings on one UTC day. Zoom allows 100."""

    __tablename__ = "zoom_quota"

    host: Mapped[str] = mapped_column(String(254), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    writes_used: Mapped[int] = mapped_column(default=0)


class ZoomBlock(Model):
    """Why nothing is written to Zoom at all for now: one row while the credentials or scopes are wrong."""

    __tablename__ = "zoom_blocks"

    account: Mapped[str] = mapped_column(primary_key=True)
    reason: Mapped[str] = mapped_column(String(40))
    detail: Mapped[str]
    since: Mapped[datetime]
    retry_at: Mapped[datetime]  # the next try
