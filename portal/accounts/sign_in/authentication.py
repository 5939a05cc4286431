"""Signing in: the password, then the one-time code where there is one. Every kind of no looks the same."""

from dataclasses import dataclass

from sqlalchemy import select

from portal.accounts.email_domain import school_email
from portal.accounts.models import User
from portal.accounts.sign_in import lockout, passwords, totp
from portal.core.db import db, writing


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
    lockout.check_place()
    address = school_email(email, domains)
    closed = lockout.closed_minutes(address)
    user = db.session.scalar(select(User).where(User.email == address))
    good = passwords.verify(user.password_hash if user else None, password)
    if closed:
        lockout.failed(None)  # it counts for the place, but does not keep the account closed for ever
        return Answer(None, closed)
    if user is None or not good or not user.is_active:
        lockout.failed(address)
        return Answer(None, lockout.closed_minutes(address))
    if passwords.needs_rehash(user.password_hash or ""):
        with writing():
            user.password_hash = passwords.hash_password(password)
    if not user.has_codes:
        lockout.forget(address)
    return Answer(user)


def with_code(user: User, code: str) -> Answer:
    """The second step. Wrong codes count like wrong passwords. Raises TooMany."""
    lockout.check_place()
    closed = lockout.closed_minutes(user.email)
    if closed:
        return Answer(None, closed)
    if not user.is_active or not totp.check(user, code):
        lockout.failed(user.email)
        return Answer(None, lockout.closed_minutes(user.email))
    lockout.forget(user.email)
    return Answer(user)
