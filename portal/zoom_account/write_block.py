"""While the credentials or scopes are wrong, nothing is written to Zoom: one try every five minutes, not one a job.

So a wrong secret costs one token request in five minutes, however many meetings wait, and an admin sees why.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from flask import current_app
from sqlalchemy import delete, select, update

from portal.config import Settings
from portal.core import clock
from portal.core.db import db, insert_if_absent, write_transaction
from portal.zoom.errors import ZoomBadCredentials, ZoomError, ZoomNotAuthorised, ZoomNotConfigured
from portal.zoom_account.models import ZoomBlock

BLOCK_PAUSE = timedelta(minutes=5)


class BlockReason(StrEnum):
    """Why Zoom takes nothing from the portal at all."""

    NOT_CONFIGURED = "not_configured"
    CREDENTIALS = "credentials"
    SCOPES = "scopes"


@dataclass(frozen=True)
class WriteBlock:
    """Why nothing is written to Zoom. `reason` is a `BlockReason`; `detail` names the missing scopes."""

    reason: str
    detail: str
    since: datetime
    retry_at: datetime


def _account() -> str:
    settings: Settings = current_app.extensions["silid.settings"]
    return settings.zoom_account_id


def current_write_block() -> WriteBlock | None:
    """Why Zoom is not written to, or None. It stays until something succeeds."""
    row = db.session.scalar(
        select(ZoomBlock).where(ZoomBlock.account == _account()).execution_options(populate_existing=True)
    )
    return WriteBlock(row.reason, row.detail, row.since, row.retry_at) if row else None


def is_writing_blocked() -> bool:
    """True while no try is due."""
    block = current_write_block()
    return block is not None and block.retry_at > clock.now()


def write_block_reason(error: ZoomError) -> str | None:
    """The reason that an error is for a block, or None where it concerns one meeting alone."""
    if isinstance(error, ZoomNotConfigured):
        return BlockReason.NOT_CONFIGURED
    if isinstance(error, ZoomBadCredentials):
        return BlockReason.CREDENTIALS
    if isinstance(error, ZoomNotAuthorised):
        return BlockReason.SCOPES
    return None


def set_write_block(error: ZoomError) -> datetime:
    """Write down that Zoom does not take anything from us; when the next try is."""
    now = clock.now()
    detail = ", ".join(error.missing_scopes) if isinstance(error, ZoomNotAuthorised) else ""
    values = {
        "reason": write_block_reason(error) or BlockReason.CREDENTIALS,
        "detail": detail,
        "retry_at": now + BLOCK_PAUSE,
    }
    with write_transaction() as session:
        new = insert_if_absent(ZoomBlock, {"account": _account(), "since": now, **values}, ["account"])
        if not new:
            session.execute(update(ZoomBlock).where(ZoomBlock.account == _account()).values(**values))
    return now + BLOCK_PAUSE


def clear_write_block() -> None:
    """Zoom took something: the block is over. One statement without a transaction where there is none."""
    if current_write_block() is not None:
        with write_transaction() as session:
            session.execute(delete(ZoomBlock).where(ZoomBlock.account == _account()))
