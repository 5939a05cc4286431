"""Lock-outs, in the database so that all processes count together.

Ten wrong passwords or codes within 15 minutes close an account's sign-in until the first of them is 15 minutes
old; fifty from one place within 10 minutes close it to that place. Addresses nobody has count like others.
"""

from datetime import datetime, timedelta

from flask import current_app, request
from sqlalchemy import ColumnElement, delete, select
from sqlalchemy.orm import InstrumentedAttribute

from portal.accounts.models import SignInFailure
from portal.config import Settings
from portal.core import clock
from portal.core.client_hash import hash_client_ip
from portal.core.crypto import hmac_hex, hmac_hex_all_keys
from portal.core.db import db, write_transaction

FAILURES_PER_ACCOUNT = 10
ACCOUNT_WINDOW = timedelta(minutes=15)
CLIENT_WINDOW = timedelta(minutes=10)


class TooManyAttempts(Exception):
    """Too many failed tries from one place. `total_seconds` until the next is looked at."""

    def __init__(self, seconds: int) -> None:
        super().__init__("too many tries from one place")
        self.seconds = seconds


def remaining_lockout_minutes(account: str) -> int:
    """For how many minutes sign-in to this address is closed; 0 if it is open."""
    whose = SignInFailure.account_hash.in_(hmac_hex_all_keys(_named(account)))
    seconds = _wait(SignInFailure.failed_at, whose, FAILURES_PER_ACCOUNT, ACCOUNT_WINDOW)
    return -(-seconds // 60)


def check_client_limit() -> None:
    """Raises TooManyAttempts where the place that asks has failed too often."""
    check_attempt_rate(SignInFailure.failed_at, SignInFailure.client_hash == current_client_hash())


def check_attempt_rate(at: InstrumentedAttribute[datetime], whose: ColumnElement[bool]) -> None:
    """Raises TooManyAttempts where as many rows lie within ten minutes as one place may make; an office may have
    more."""
    settings: Settings = current_app.extensions["silid.settings"]
    seconds = _wait(at, whose, settings.sign_ins_per_address, CLIENT_WINDOW)
    if seconds:
        raise TooManyAttempts(seconds)


def record_sign_in_failure(account: str | None) -> None:
    """Remember a failed try; without an account it counts for the place alone."""
    now = clock.now()
    with write_transaction() as session:
        hashed = hmac_hex(_named(account)) if account is not None else None
        session.add(SignInFailure(account_hash=hashed, client_hash=current_client_hash(), failed_at=now))


def clear_sign_in_failures(account: str) -> None:
    """Open an account's sign-in again: the right password came, or a new one was chosen."""
    with write_transaction() as session:
        session.execute(delete(SignInFailure).where(SignInFailure.account_hash.in_(hmac_hex_all_keys(_named(account)))))


def _wait(at: InstrumentedAttribute[datetime], whose: ColumnElement[bool], most: int, window: timedelta) -> int:
    """Seconds until fewer than `most` of the rows lie within the window."""
    now = clock.now()
    times = select(at).where(whose, at > now - window)
    oldest = db.session.scalar(times.order_by(at.desc()).offset(most - 1).limit(1))
    return max(1, round((oldest + window - now).total_seconds())) if oldest else 0


def current_client_hash() -> str:
    """Where the request comes from, by the key of the day, which is destroyed: at midnight everybody begins anew."""
    return hash_client_ip(request.remote_addr)


def _named(account: str) -> str:
    return f"account\0{account}"
