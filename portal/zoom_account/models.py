"""Tables that all processes share about the portal's one Zoom account."""

from datetime import date, datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.db import Model


class ZoomToken(Model):
    """The current access token, encrypted. One row per account; its lease lets one process renew it at a time."""

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
    """A Zoom user who may host, as of `checked_at`."""

    __tablename__ = "zoom_hosts"

    email: Mapped[str] = mapped_column(String(254), primary_key=True)
    exists_at_zoom: Mapped[bool | None]  # None: not queried yet; False: no such user, or one who may not host
    licensed: Mapped[bool | None]  # None: not queried yet, or the portal's app lacks the scope
    checked_at: Mapped[datetime | None]


class ZoomQuota(Model):
    """Creates and updates of one host's meetings on one UTC day; Zoom allows 100."""

    __tablename__ = "zoom_quota"

    host: Mapped[str] = mapped_column(String(254), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    writes_used: Mapped[int] = mapped_column(default=0)


class ZoomBlock(Model):
    """Present while all writes to Zoom are blocked by wrong credentials or missing scopes, with the reason."""

    __tablename__ = "zoom_blocks"

    account: Mapped[str] = mapped_column(primary_key=True)
    reason: Mapped[str] = mapped_column(String(40))
    detail: Mapped[str]
    since: Mapped[datetime]
    retry_at: Mapped[datetime]  # time of the next attempt
