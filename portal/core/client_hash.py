"""Keyed hashes of client IP addresses, which are never stored themselves.

The key is random and changes daily. Keys are stored encrypted and deleted after 30 days; then nobody can recover
addresses by trying them out, not even with the database and the settings.
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
    """The key of one Manila day; `key_encrypted` holds 64 hex digits."""

    __tablename__ = "ip_day_keys"

    day: Mapped[date] = mapped_column(primary_key=True)
    key_encrypted: Mapped[str]


def hash_client_ip(address: str | None) -> str:
    """32 hex digits for an IP address: equal within one day, unrelated on the next.

    The first call of a day inserts that day's key, within the open transaction or in one of its own.
    """
    return hmac.new(_load_or_create_key(clock.today()), client_network(address).encode(), hashlib.sha256).hexdigest()[
        :32
    ]


def client_network(address: str | None) -> str:
    """The network that counts as one client: an IPv4 address, or an IPv6 /64, since every IPv6 customer has one and
    could use a new address for each attempt."""
    try:
        ip = ipaddress.ip_address((address or "").partition("%")[0])
    except ValueError:
        return address or ""
    if isinstance(ip, ipaddress.IPv4Address):
        return str(ip)
    if ip.ipv4_mapped:
        return str(ip.ipv4_mapped)
    return str(ipaddress.ip_network((ip, 64), strict=False))


def delete_expired_ip_keys() -> int:
    """Delete the keys older than 30 days; returns how many."""
    with write_transaction():
        return execute_rowcount(delete(IpHashKey).where(IpHashKey.day < clock.today() - KEY_RETENTION))


def _load_or_create_key(day: date) -> bytes:
    encrypted_key = _load_encrypted_key(day)
    if encrypted_key is None:
        with write_transaction():
            new_key = encrypt_for_row(secrets.token_hex(32), _encryption_context(day))
            # another process may insert it first
            insert_if_absent(IpHashKey, {"day": day, "key_encrypted": new_key}, ["day"])
            encrypted_key = _load_encrypted_key(day)
    if encrypted_key is None:
        raise RuntimeError("the key of the day was not kept")
    return bytes.fromhex(decrypt_for_row(encrypted_key, _encryption_context(day)))


def _load_encrypted_key(day: date) -> str | None:
    return db.session.scalar(select(IpHashKey.key_encrypted).where(IpHashKey.day == day))


def _encryption_context(day: date) -> str:
    return f"ip_day_keys/{day.isoformat()}"
