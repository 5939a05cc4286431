"""Write block: while credentials are wrong or scopes missing, one attempt is made every five minutes instead of one per
job.

So a wrong secret costs one token request in five minutes, however many meetings are pending, and admins see the reason.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import delete, select, update

from portal.core import clock
from portal.core.db import db, insert_if_absent, write_transaction
from portal.core.settings import current_settings
from portal.zoom.errors import ZoomBadCredentials, ZoomError, ZoomNotAuthorised, ZoomNotConfigured
from portal.zoom_account.models import ZoomBlock

BLOCK_PAUSE = timedelta(minutes=5)


class BlockReason(StrEnum):
    """Why all writes to Zoom are blocked."""

    NOT_CONFIGURED = "not_configured"
    CREDENTIALS = "credentials"
    SCOPES = "scopes"


@dataclass(frozen=True)
class WriteBlock:
    """The current block. `reason` is a `BlockReason`; `detail` names the missing scopes."""

    reason: str
    detail: str
    since: datetime
    retry_at: datetime


def _account() -> str:
    settings = current_settings()
    return settings.zoom_account_id


def current_write_block() -> WriteBlock | None:
    """The block, or None. It stays until a request succeeds."""
    row = db.session.scalar(
        select(ZoomBlock).where(ZoomBlock.account == _account()).execution_options(populate_existing=True)
    )
    return WriteBlock(row.reason, row.detail, row.since, row.retry_at) if row else None


def is_writing_blocked() -> bool:
    """True while the next attempt is not due."""
    block = current_write_block()
    return block is not None and block.retry_at > clock.now()


def write_block_reason(error: ZoomError) -> str | None:
    """The block reason that an error stands for, or None if it concerns one meeting only."""
    if isinstance(error, ZoomNotConfigured):
        return BlockReason.NOT_CONFIGURED
    if isinstance(error, ZoomBadCredentials):
        return BlockReason.CREDENTIALS
    if isinstance(error, ZoomNotAuthorised):
        return BlockReason.SCOPES
    return None


def set_write_block(error: ZoomError) -> datetime:
    """Set or extend the block; returns the time of the next attempt."""
    now = clock.now()
    detail = ", ".join(error.missing_scopes) if isinstance(error, ZoomNotAuthorised) else ""
    values = {
        "reason": write_block_reason(error) or BlockReason.CREDENTIALS,
        "detail": detail,
        "retry_at": now + BLOCK_PAUSE,
    }
    with write_transaction() as session:
        is_new = insert_if_absent(ZoomBlock, {"account": _account(), "since": now, **values}, ["account"])
        if not is_new:
            session.execute(update(ZoomBlock).where(ZoomBlock.account == _account()).values(**values))
    return now + BLOCK_PAUSE


def clear_write_block() -> None:
    """Remove the block after a successful request; a plain select if there is none."""
    if current_write_block() is not None:
        with write_transaction() as session:
            session.execute(delete(ZoomBlock).where(ZoomBlock.account == _account()))
