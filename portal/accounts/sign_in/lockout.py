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
from portal.core.client_hash import place_of
from portal.core.crypto import keyed_hash, keyed_hashes
from portal.core.db import db, writing

PER_ACCOUNT = 10
ACCOUNT_WINDOW = timedelta(minutes=15)
PLACE_WINDOW = timedelta(minutes=10)


class TooMany(Exception):
    """Too many failed tries from one place. `seconds` until the next is looked at."""

    def __init__(self, seconds: int) -> None:
        super().__init__("too many tries from one place")
        self.seconds = seconds


def closed_minutes(account: str) -> int:
    """For how many minutes sign-in to this address is closed; 0 if it is open."""
    whose = SignInFailure.account_hash.in_(keyed_hashes(_named(account)))
    seconds = _wait(SignInFailure.at, whose, PER_ACCOUNT, ACCOUNT_WINDOW)
    return -(-seconds // 60)


def check_place() -> None:
    """Raises TooMany where the place that asks has failed too often."""
    check_number(SignInFailure.at, SignInFailure.place_hash == place())


def check_number(at: InstrumentedAttribute[datetime], whose: ColumnElement[bool]) -> None:
    """Raises TooMany where as many rows lie within ten minutes as one place may make; an office may have more."""
    settings: Settings = current_app.extensions["silid.settings"]
    seconds = _wait(at, whose, settings.sign_ins_per_address, PLACE_WINDOW)
    if seconds:
        raise TooMany(seconds)


def failed(account: str | None) -> None:
    """Remember a failed try; without an account it counts for the place alone."""
    now = clock.now()
    with writing() as session:
        hashed = keyed_hash(_named(account)) if account is not None else None
        session.add(SignInFailure(account_hash=hashed, place_hash=place(), at=now))


def forget(account: str) -> None:
    """Open an account's sign-in again: the right password came, or a new one was chosen."""
    with writing() as session:
        session.execute(delete(SignInFailure).where(SignInFailure.account_hash.in_(keyed_hashes(_named(account)))))


def _wait(at: InstrumentedAttribute[datetime], whose: ColumnElement[bool], most: int, window: timedelta) -> int:
    """Seconds until fewer than `most` of the rows lie within the window."""
    now = clock.now()
    times = select(at).where(whose, at > now - window)
    oldest = db.session.scalar(times.order_by(at.desc()).offset(most - 1).limit(1))
    return max(1, round((oldest + window - now).total_seconds())) if oldest else 0


def place() -> str:
    """Where the request comes from, by the key of the day, which is destroyed: at midnight everybody begins anew."""
    return place_of(request.remote_addr)


def _named(account: str) -> str:
    return f"account\0{account}"
