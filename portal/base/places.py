"""place_of(address) -> hash: where somebody came from, without keeping it.

An IP address is kept only as an HMAC with a random key of the day. The keys lie sealed in the database and are
destroyed after 30 days; then nobody, not even with the database and the settings in hand, can try addresses out.
"""

import hashlib
import hmac
import secrets
from datetime import date, timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Mapped, mapped_column

from portal.base import clock
from portal.base.crypto import seal, unseal
from portal.base.db import Model, db, insert_once, writing

KEPT = timedelta(days=30)


class IpDayKey(Model):
    """The key of one Manila day. `sealed` holds 64 hex digits."""

    __tablename__ = "ip_day_keys"

    day: Mapped[date] = mapped_column(primary_key=True)
    sealed: Mapped[str]


def place_of(address: str | None) -> str:
    """32 hex digits for an IP address: the same within one day, unrelated on the next.

    The first call of a day writes that day's key, within the transaction that is open or in one of its own.
    """
    return hmac.new(_key(clock.today()), (address or "").encode(), hashlib.sha256).hexdigest()[:32]


def forget_old_keys() -> int:
    """Destroy the keys that are older than 30 days; how many there were."""
    with writing():
        gone = db.session.execute(delete(IpDayKey).where(IpDayKey.day < clock.today() - KEPT))
    return int(gone.rowcount)  # type: ignore[attr-defined]  # CursorResult at run time


def _key(day: date) -> bytes:
    sealed = _sealed(day)
    if sealed is None:
        with writing():
            fresh = seal(secrets.token_hex(32), _row(day))
            insert_once(IpDayKey, {"day": day, "sealed": fresh}, ["day"])  # another process may have been quicker
            sealed = _sealed(day)
    if sealed is None:
        raise RuntimeError("the key of the day was not kept")
    return bytes.fromhex(unseal(sealed, _row(day)))


def _sealed(day: date) -> str | None:
    return db.session.scalar(select(IpDayKey.sealed).where(IpDayKey.day == day))


def _row(day: date) -> str:
    return f"ip_day_keys/{day.isoformat()}"
