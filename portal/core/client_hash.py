"""place_of(address) -> hash: where somebody came from, without keeping it.

An IP address is kept only as an HMAC with a random key of the day. The keys lie sealed in the database and are
destroyed after 30 days; then nobody, not even with the database and the settings in hand, can try addresses out.
"""

import hashlib
import hmac
import ipaddress
import secrets
from datetime import date, timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Mapped, mapped_column

from portal.core import clock
from portal.core.crypto import decrypt_for_row, encrypt_for_row
from portal.core.db import (
    Model,
    db,
    execute_rowcount,
    insert_if_absent,
    write_transaction,
)

KEY_RETENTION = timedelta(days=30)


class IpHashKey(Model):
    """The key of one Manila day. `sealed` holds 64 hex digits."""

    __tablename__ = "ip_day_keys"

    day: Mapped[date] = mapped_column(primary_key=True)
    key_encrypted: Mapped[str]


def hash_client_ip(address: str | None) -> str:
    """32 hex digits for an IP address: the same within one day, unrelated on the next.

    The first call of a day writes that day's key, within the transaction that is open or in one of its own.
    """
    return hmac.new(_key(clock.today()), client_network(address).encode(), hashlib.sha256).hexdigest()[:32]


def client_network(address: str | None) -> str:
    """What counts as one place: an IPv4 address, or the /64 network that every IPv6 customer has to himself, out of
    which he can take a new address for each try."""
    try:
        found = ipaddress.ip_address((address or "").partition("%")[0])
    except ValueError:
        return address or ""
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((found, 64), strict=False))


def delete_expired_ip_keys() -> int:
    """Destroy the keys that are older than 30 days; how many there were."""
    with write_transaction():
        return execute_rowcount(delete(IpHashKey).where(IpHashKey.day < clock.today() - KEY_RETENTION))


def _key(day: date) -> bytes:
    sealed = _sealed(day)
    if sealed is None:
        with write_transaction():
            fresh = encrypt_for_row(secrets.token_hex(32), _row(day))
            insert_if_absent(
                IpHashKey, {"day": day, "key_encrypted": fresh}, ["day"]
            )  # another process may have been quicker
            sealed = _sealed(day)
    if sealed is None:
        raise RuntimeError("the key of the day was not kept")
    return bytes.fromhex(decrypt_for_row(sealed, _row(day)))


def _sealed(day: date) -> str | None:
    return db.session.scalar(select(IpHashKey.key_encrypted).where(IpHashKey.day == day))


def _row(day: date) -> str:
    return f"ip_day_keys/{day.isoformat()}"
