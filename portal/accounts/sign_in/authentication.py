"""Signing in: the password, then the one-time code where there is one. Every kind of no looks the same."""

from dataclasses import dataclass

from sqlalchemy import select

from portal.accounts.email_domain import normalise_school_email
from portal.accounts.models import User
from portal.accounts.sign_in import lockout, passwords, totp
from portal.core.db import db, write_transaction


@dataclass(frozen=True)
class SignInResult:
    """The person, or nobody; and for how many minutes the address typed is closed after too many tries."""

    user: User | None
    locked_minutes: int = 0


def authenticate_password(email: str, password: str, domains: tuple[str, ...]) -> SignInResult:
    """Whose address and password these are. Hashes once in every case, so that time tells nothing.

    Raises NotSchoolEmail for an address outside the domains (that rule is public and says nothing about who has
    an account), and TooMany where the place has failed too often.
    """
    lockout.check_client_limit()
    address = normalise_school_email(email, domains)
    closed = lockout.remaining_lockout_minutes(address)
    user = db.session.scalar(select(User).where(User.email == address))
    good = passwords.verify_password(user.password_hash if user else None, password)
    if closed:
        lockout.record_sign_in_failure(None)  # it counts for the place, but does not keep the account closed for ever
        return SignInResult(None, closed)
    if user is None or not good or not user.is_active:
        lockout.record_sign_in_failure(address)
        return SignInResult(None, lockout.remaining_lockout_minutes(address))
    if passwords.needs_rehash(user.password_hash or ""):
        with write_transaction():
            user.password_hash = passwords.hash_password(password)
    if not user.has_codes:
        lockout.clear_sign_in_failures(address)
    return SignInResult(user)


def authenticate_code(user: User, code: str) -> SignInResult:
    """The second step. Wrong codes count like wrong passwords. Raises TooMany."""
    lockout.check_client_limit()
    closed = lockout.remaining_lockout_minutes(user.email)
    if closed:
        return SignInResult(None, closed)
    if not user.is_active or not totp.verify_sign_in_code(user, code):
        lockout.record_sign_in_failure(user.email)
        return SignInResult(None, lockout.remaining_lockout_minutes(user.email))
    lockout.clear_sign_in_failures(user.email)
    return SignInResult(user)
