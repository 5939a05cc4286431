"""One-time links to choose a password or confirm an address: single use, short-lived, and only the newest is valid.

GET changes nothing, since mail scanners open links too; the button on the page consumes the link.
"""

from datetime import timedelta

from sqlalchemy import select, update

from portal.accounts.models import OneTimeLink, User
from portal.core import clock
from portal.core.crypto import generate_token, hash_token
from portal.core.db import db, execute_rowcount, write_transaction
from portal.core.settings import current_settings

LIFETIME = {"invite": timedelta(days=7), "reset": timedelta(minutes=10), "email": timedelta(days=1)}
PASSWORD_PURPOSES = ("invite", "reset")


def create_one_time_link(user: User, purpose: str, path: str, new_email: str | None = None) -> str:
    """Create a link and revoke older ones of the same kind; returns its URL. Built from PORTAL_BASE_URL, never from the
    request, whose Host header is untrusted."""
    row, url = build_one_time_link(user, purpose, path, new_email)
    with write_transaction() as session:
        revoke_one_time_links(user, PASSWORD_PURPOSES if purpose in PASSWORD_PURPOSES else (purpose,))
        session.add(row)
    return url


def build_one_time_link(user: User, purpose: str, path: str, new_email: str | None = None) -> tuple[OneTimeLink, str]:
    """A link that is not stored yet, and its URL."""
    token, now = generate_token(), clock.now()
    row = OneTimeLink(
        token_hash=hash_token(token),
        user_id=user.id,
        purpose=purpose,
        new_email=new_email,
        created_at=now,
        expires_at=now + LIFETIME[purpose],
    )
    settings = current_settings()
    return row, f"{settings.base_url}{path}?token={token}"


def find_valid_link(token: str, purposes: tuple[str, ...]) -> tuple[OneTimeLink, User] | None:
    """The link and its user, if it is valid. Changes nothing."""
    row = db.session.execute(
        select(OneTimeLink, User)
        .join(User, User.id == OneTimeLink.user_id)
        .where(
            OneTimeLink.token_hash == hash_token(token),
            OneTimeLink.purpose.in_(purposes),
            OneTimeLink.ended_at.is_(None),
            OneTimeLink.expires_at > clock.now(),
            User.deactivated_at.is_(None),
        )
    ).one_or_none()
    return (row[0], row[1]) if row else None


def consume_one_time_link(token: str, purposes: tuple[str, ...]) -> tuple[OneTimeLink, User] | None:
    """Consume the link, within `write_transaction()`. None if it is invalid or another request consumed it first."""
    row = find_valid_link(token, purposes)
    if row is None:
        return None
    row_count = execute_rowcount(
        update(OneTimeLink)
        .where(OneTimeLink.id == row[0].id, OneTimeLink.ended_at.is_(None))
        .values(ended_at=clock.now())
    )
    return row if row_count == 1 else None


def revoke_one_time_links(user: User, purposes: tuple[str, ...]) -> None:
    """End a user's open links of these purposes."""
    now = clock.now()
    with write_transaction() as session:
        session.execute(
            update(OneTimeLink)
            .where(OneTimeLink.user_id == user.id, OneTimeLink.purpose.in_(purposes), OneTimeLink.ended_at.is_(None))
            .values(ended_at=now)
        )
