"""Lockout after failed sign-ins, counted in the database so that all processes share it.

Ten wrong passwords or codes within 15 minutes lock an account's sign-in until the first of them is 15 minutes old;
fifty from one client within 10 minutes lock out that client. Unknown addresses count like known ones.
"""

from datetime import datetime, timedelta

from flask import request
from sqlalchemy import ColumnElement, delete, select
from sqlalchemy.orm import InstrumentedAttribute

from portal.accounts.models import SignInFailure
from portal.core import clock
from portal.core.client_hash import hash_client_ip
from portal.core.crypto import hmac_hex, hmac_hex_all_keys
from portal.core.db import db, write_transaction
from portal.core.settings import current_settings

FAILURES_PER_ACCOUNT = 10
ACCOUNT_WINDOW = timedelta(minutes=15)
CLIENT_WINDOW = timedelta(minutes=10)


class TooManyAttempts(Exception):
    """Too many failed attempts of one client. `seconds` until the next attempt is allowed."""

    def __init__(self, seconds: int) -> None:
        super().__init__("too many tries from one place")
        self.seconds = seconds


def remaining_lockout_minutes(account: str) -> int:
    """For how many minutes sign-in to this address is locked; 0 if it is not."""
    same_account = SignInFailure.account_hash.in_(hmac_hex_all_keys(_hash_input(account)))
    seconds = _seconds_until_allowed(SignInFailure.failed_at, same_account, FAILURES_PER_ACCOUNT, ACCOUNT_WINDOW)
    return -(-seconds // 60)


def check_client_limit() -> None:
    """Raise TooManyAttempts if the requesting client has failed too often."""
    check_attempt_rate(SignInFailure.failed_at, SignInFailure.client_hash == current_client_hash())


def check_attempt_rate(time_column: InstrumentedAttribute[datetime], condition: ColumnElement[bool]) -> None:
    """Raise TooManyAttempts if the rows within ten minutes reach the limit per client (`sign_ins_per_address`, higher
    for offices behind one IP address)."""
    settings = current_settings()
    seconds = _seconds_until_allowed(time_column, condition, settings.sign_ins_per_address, CLIENT_WINDOW)
    if seconds:
        raise TooManyAttempts(seconds)


def record_sign_in_failure(account: str | None) -> None:
    """Store a failed attempt; without an account it counts for the client only."""
    now = clock.now()
    with write_transaction() as session:
        account_hash = hmac_hex(_hash_input(account)) if account is not None else None
        session.add(SignInFailure(account_hash=account_hash, client_hash=current_client_hash(), failed_at=now))


def clear_sign_in_failures(account: str) -> None:
    """Reset an account's lockout, after a correct password or a new one."""
    with write_transaction() as session:
        session.execute(
            delete(SignInFailure).where(SignInFailure.account_hash.in_(hmac_hex_all_keys(_hash_input(account))))
        )


def _seconds_until_allowed(
    time_column: InstrumentedAttribute[datetime], condition: ColumnElement[bool], limit: int, window: timedelta
) -> int:
    """Seconds until fewer than `limit` of the rows are within the window."""
    now = clock.now()
    failure_times = select(time_column).where(condition, time_column > now - window)
    oldest = db.session.scalar(failure_times.order_by(time_column.desc()).offset(limit - 1).limit(1))
    return max(1, round((oldest + window - now).total_seconds())) if oldest else 0


def current_client_hash() -> str:
    """HMAC of the client's IP address under the key of the day, which is destroyed at midnight: then counting starts
    anew."""
    return hash_client_ip(request.remote_addr)


def _hash_input(account: str) -> str:
    return f"account\0{account}"
