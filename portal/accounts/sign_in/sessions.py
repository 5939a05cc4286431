"""Sessions are rows: the cookie holds a random token, and ending the row ends every copy of the cookie.

Idle 2 hours (admins 30 minutes), 12 hours at most; a teacher may keep their own phone signed in for 30 days.
"""

from datetime import datetime, timedelta
from uuid import UUID

from flask import g, request, session
from flask_login import LoginManager, current_user, login_user
from sqlalchemy import bindparam, select, update

from portal.accounts.models import User, UserSession
from portal.core import audit_log, clock
from portal.core.client_hash import place_of
from portal.core.crypto import new_token, token_hash
from portal.core.db import db, rows_changed, writing

IDLE = timedelta(hours=2)
IDLE_ADMIN = timedelta(minutes=30)
ABSOLUTE = timedelta(hours=12)
REMEMBERED = timedelta(days=30)
TOUCH = timedelta(minutes=1)  # how exact "last seen" needs to be

login_manager = LoginManager()
login_manager.login_view = "accounts.sign_in"
login_manager.login_message = None
login_manager.session_protection = None  # it binds to the IP address, which changes on mobile data

_by_token = select(UserSession).where(UserSession.token_hash == bindparam("token_hash"))


@login_manager.user_loader
def load_user(token: str) -> User | None:
    """The person behind a session token, if the session is still good."""
    row = db.session.scalar(_by_token, {"token_hash": token_hash(token)})
    now = clock.now()
    if row is None or row.ended_at or not row.user.is_active or now > _good_until(row):
        return None
    # A page that renews itself is not a person: it must not keep a session alive.
    if now - row.last_seen_at > TOUCH and "HX-Request" not in request.headers:
        with writing():
            db.session.execute(update(UserSession).where(UserSession.id == row.id).values(last_seen_at=now))
    row.user.session_token = token
    return row.user


def owner_of(token: str) -> User | None:
    """Whose session it is, or was: one that has ended or run out counts too. No proof of anything today."""
    row = db.session.scalar(_by_token, {"token_hash": token_hash(token)})
    return row.user if row else None


def _good_until(row: UserSession) -> datetime:
    if row.remembered and not row.user.is_admin:
        return row.created_at + REMEMBERED
    idle = IDLE_ADMIN if row.user.is_admin else IDLE
    return min(row.created_at + ABSOLUTE, row.last_seen_at + idle)


def begin(user: User, *, remember: bool) -> None:
    """Sign `user` in with a new session. What the browser had before signing in is dropped."""
    token = new_token()
    remember = remember and not user.is_admin
    now = clock.now()
    with writing():
        db.session.add(
            UserSession(
                token_hash=token_hash(token),
                user_id=user.id,
                remembered=remember,
                created_at=now,
                last_seen_at=now,
                user_agent=request.headers.get("User-Agent", "")[:200],
            )
        )
        audit_log.record("signed in", "user", user.id, by=user.id, place=place_of(request.remote_addr))
    session.clear()
    g.pop("csrf_token", None)  # Flask-WTF would put the token of before into this page's forms
    session.permanent = remember
    user.session_token = token
    login_user(user)


def end() -> None:
    """End the session of this browser, on the server too."""
    token = getattr(current_user, "session_token", None)
    if token:
        with writing():
            db.session.execute(
                update(UserSession)
                .where(UserSession.token_hash == token_hash(token), UserSession.ended_at.is_(None))
                .values(ended_at=clock.now())
            )
    session.clear()


def end_all(user: User) -> None:
    """Sign a person out everywhere."""
    with writing():
        db.session.execute(
            update(UserSession)
            .where(UserSession.user_id == user.id, UserSession.ended_at.is_(None))
            .values(ended_at=clock.now())
        )


def open_ones(user: User) -> list[UserSession]:
    """A person's open sessions, the one used last first."""
    rows = select(UserSession).where(UserSession.user_id == user.id, UserSession.ended_at.is_(None))
    now = clock.now()
    return [
        row for row in db.session.scalars(rows.order_by(UserSession.last_seen_at.desc())) if now <= _good_until(row)
    ]


def is_this_one(row: UserSession) -> bool:
    """Is it the session of the browser that asks?"""
    token = getattr(current_user, "session_token", None)
    return token is not None and row.token_hash == token_hash(token)


def end_one(user: User, session_id: UUID) -> bool:
    """End one of a person's own sessions. False if there is no such."""
    with writing():
        ended = rows_changed(
            update(UserSession)
            .where(UserSession.id == session_id, UserSession.user_id == user.id, UserSession.ended_at.is_(None))
            .values(ended_at=clock.now())
        )
    return bool(ended)
