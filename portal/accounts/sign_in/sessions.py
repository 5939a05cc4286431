"""Server-side sessions: the cookie has a random token, and ending the row ends every copy of the cookie.

Timeouts: 2 hours idle (admins 30 minutes), 12 hours in total; a teacher may keep their own phone signed in for 30 days.
"""

from datetime import datetime, timedelta
from uuid import UUID

from flask import g, request, session
from flask_login import current_user, login_user
from sqlalchemy import bindparam, select, update

from portal.accounts.models import User, UserSession
from portal.core import audit_log, clock
from portal.core.audit_codes import AuditAction, AuditSubject
from portal.core.client_hash import hash_client_ip
from portal.core.crypto import generate_token, hash_token
from portal.core.db import db, execute_rowcount, write_transaction

IDLE_TIMEOUT = timedelta(hours=2)
ADMIN_IDLE_TIMEOUT = timedelta(minutes=30)
ABSOLUTE_TIMEOUT = timedelta(hours=12)
REMEMBER_LIFETIME = timedelta(days=30)
LAST_SEEN_RESOLUTION = timedelta(minutes=1)  # precision of "last seen"

_session_select = select(UserSession).where(UserSession.token_hash == bindparam("token_hash"))


def load_session_user(token: str) -> User | None:
    """The user of a session token, if the session is valid."""
    row = db.session.scalar(_session_select, {"token_hash": hash_token(token)})
    now = clock.now()
    if row is None or row.ended_at or not row.user.is_active or now > _expires_at(row):
        return None
    # HTMX polling is no activity of a person: it must not keep a session alive.
    if now - row.last_seen_at > LAST_SEEN_RESOLUTION and "HX-Request" not in request.headers:
        with write_transaction():
            db.session.execute(update(UserSession).where(UserSession.id == row.id).values(last_seen_at=now))
    row.user.session_token = token
    return row.user


def owner_of_any_session(token: str) -> User | None:
    """The user of a session, ended and expired ones included. It proves nothing about the current request."""
    row = db.session.scalar(_session_select, {"token_hash": hash_token(token)})
    return row.user if row else None


def _expires_at(row: UserSession) -> datetime:
    if row.remembered and not row.user.is_admin:
        return row.created_at + REMEMBER_LIFETIME
    idle = ADMIN_IDLE_TIMEOUT if row.user.is_admin else IDLE_TIMEOUT
    return min(row.created_at + ABSOLUTE_TIMEOUT, row.last_seen_at + idle)


def start_user_session(user: User, *, remember: bool) -> None:
    """Sign `user` in with a new session; the browser's previous session data is dropped."""
    token = generate_token()
    remember = remember and not user.is_admin
    now = clock.now()
    with write_transaction():
        db.session.add(
            UserSession(
                token_hash=hash_token(token),
                user_id=user.id,
                remembered=remember,
                created_at=now,
                last_seen_at=now,
                user_agent=request.headers.get("User-Agent", "")[:200],
            )
        )
        audit_log.record_action(
            AuditAction.SIGNED_IN, AuditSubject.USER, user.id, by=user.id, place=hash_client_ip(request.remote_addr)
        )
    session.clear()
    g.pop("csrf_token", None)  # Flask-WTF would put the previous session's token into this page's forms
    session.permanent = remember
    user.session_token = token
    login_user(user)


def end_current_session() -> None:
    """End this browser's session, also in the database."""
    token = getattr(current_user, "session_token", None)
    if token:
        with write_transaction():
            db.session.execute(
                update(UserSession)
                .where(UserSession.token_hash == hash_token(token), UserSession.ended_at.is_(None))
                .values(ended_at=clock.now())
            )
    session.clear()


def end_all_sessions(user: User) -> None:
    """End all sessions of a user."""
    with write_transaction():
        db.session.execute(
            update(UserSession)
            .where(UserSession.user_id == user.id, UserSession.ended_at.is_(None))
            .values(ended_at=clock.now())
        )


def list_active_sessions(user: User) -> list[UserSession]:
    """A user's valid sessions, the most recently used first."""
    rows = select(UserSession).where(UserSession.user_id == user.id, UserSession.ended_at.is_(None))
    now = clock.now()
    return [
        row for row in db.session.scalars(rows.order_by(UserSession.last_seen_at.desc())) if now <= _expires_at(row)
    ]


def is_current_session(row: UserSession) -> bool:
    """True if it is the session of this request."""
    token = getattr(current_user, "session_token", None)
    return token is not None and row.token_hash == hash_token(token)


def end_session_by_id(user: User, session_id: UUID) -> bool:
    """End one of a user's sessions; False if there is no such."""
    with write_transaction():
        ended = execute_rowcount(
            update(UserSession)
            .where(UserSession.id == session_id, UserSession.user_id == user.id, UserSession.ended_at.is_(None))
            .values(ended_at=clock.now())
        )
    return bool(ended)
