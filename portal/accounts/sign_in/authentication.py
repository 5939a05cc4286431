"""Authentication in two steps: password, then one-time code if enabled. All failures look the same."""

from dataclasses import dataclass

from sqlalchemy import select

from portal.accounts.email_domain import normalise_school_email
from portal.accounts.models import User
from portal.accounts.sign_in import lockout, passwords, totp
from portal.core.db import db, write_transaction


@dataclass(frozen=True)
class SignInResult:
    """The authenticated user or None, and for how many minutes the typed address is locked out."""

    user: User | None
    locked_minutes: int = 0


def authenticate_password(email: str, password: str, domains: tuple[str, ...]) -> SignInResult:
    """Verify address and password. Hashes exactly once in every case, so that the time reveals nothing.

    Raises EmailDomainError for an address outside the domains (that rule is public and says nothing about who has an
    account), and TooManyAttempts if the client has failed too often.
    """
    lockout.check_client_limit()
    address = normalise_school_email(email, domains)
    locked_minutes = lockout.remaining_lockout_minutes(address)
    user = db.session.scalar(select(User).where(User.email == address))
    is_correct = passwords.verify_password(user.password_hash if user else None, password)
    if locked_minutes:
        lockout.record_sign_in_failure(None)  # counts for the client only, or an attacker could keep the account locked
        return SignInResult(None, locked_minutes)
    if user is None or not is_correct or not user.is_active:
        lockout.record_sign_in_failure(address)
        return SignInResult(None, lockout.remaining_lockout_minutes(address))
    if passwords.needs_rehash(user.password_hash or ""):
        with write_transaction():
            user.password_hash = passwords.hash_password(password)
    if not user.has_codes:
        lockout.clear_sign_in_failures(address)
    return SignInResult(user)


def authenticate_code(user: User, code: str) -> SignInResult:
    """Verify the one-time code. Wrong codes count like wrong passwords. Raises TooManyAttempts."""
    lockout.check_client_limit()
    locked_minutes = lockout.remaining_lockout_minutes(user.email)
    if locked_minutes:
        return SignInResult(None, locked_minutes)
    if not user.is_active or not totp.verify_sign_in_code(user, code):
        lockout.record_sign_in_failure(user.email)
        return SignInResult(None, lockout.remaining_lockout_minutes(user.email))
    lockout.clear_sign_in_failures(user.email)
    return SignInResult(user)
