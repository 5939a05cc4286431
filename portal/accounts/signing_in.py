"""Signing in: the password, then the one-time code where there is one. Every kind of no looks the same."""

from dataclasses import dataclass

from sqlalchemy import select

from portal.accounts import codes, passwords, throttle
from portal.accounts.domain import school_email
from portal.accounts.models import User
from portal.base.db import db, writing


@dataclass(frozen=True)
class Answer:
    """The person, or nobody; and for how many minutes the address typed is closed after too many tries."""

    user: User | None
    closed_minutes: int = 0


def with_password(email: str, password: str, domains: tuple[str, ...]) -> Answer:
    """Whose address and password these are. Hashes once in every case, so that time tells nothing.

    Raises NotSchoolEmail for an address outside the domains (that rule is public and says nothing about who has
    an account), and TooMany where the place has failed too often.
    """
    throttle.check_place()
    address = school_email(email, domains)
    closed = throttle.closed_minutes(address)
    user = db.session.scalar(select(User).where(User.email == address))
    good = passwords.verify(user.password_hash if user else None, password)
    if closed:
        throttle.failed(None)  # it counts for the place, but does not keep the account closed for ever
        return Answer(None, closed)
    if user is None or not good or not user.is_active:
        throttle.failed(address)
        return Answer(None, throttle.closed_minutes(address))
    if passwords.needs_rehash(user.password_hash or ""):
        with writing():
            user.password_hash = passwords.hash_password(password)
    if not user.has_codes:
        throttle.forget(address)
    return Answer(user)


def with_code(user: User, code: str) -> Answer:
    """The second step. Wrong codes count like wrong passwords. Raises TooMany."""
    throttle.check_place()
    closed = throttle.closed_minutes(user.email)
    if closed:
        return Answer(None, closed)
    if not user.is_active or not codes.check(user, code):
        throttle.failed(user.email)
        return Answer(None, throttle.closed_minutes(user.email))
    throttle.forget(user.email)
    return Answer(user)
