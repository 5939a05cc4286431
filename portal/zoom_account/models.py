"""What all processes share about the one Zoom account behind the portal."""

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from portal.base.db import Model


class ZoomToken(Model):
    """The current access token, sealed. One row per account; the lease lets one process renew it at a time."""

    __tablename__ = "zoom_tokens"

    account: Mapped[str] = mapped_column(primary_key=True)
    sealed: Mapped[str | None]
    expires_at: Mapped[datetime | None]
    api_url: Mapped[str] = mapped_column(default="")
    scopes: Mapped[str] = mapped_column(default="")
    minted_at: Mapped[datetime | None]
    leased_until: Mapped[datetime | None]
    refused_at: Mapped[datetime | None]
