"""Who of the account may host, as Zoom says. Asked for by the worker when it needs to know, kept for a day."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from flask import current_app
from sqlalchemy import select, update

from portal.config import Settings
from portal.core import clock
from portal.core.db import (
    db,
    insert_once,
    is_postgresql,
    writing,
)
from portal.zoom.client import ZoomClient
from portal.zoom.errors import ZoomBadCredentials, ZoomNotAuthorised, ZoomRefused
from portal.zoom.models import User
from portal.zoom_account.models import ZoomHost

FRESH = timedelta(days=1)
FRESH_REFUSAL = timedelta(minutes=10)  # a missing user or licence is soon put right
_MAY_HOST = (1, 2)  # Basic and Licensed


@dataclass(frozen=True)
class Host:
    """A Zoom user by address. `known` and `licensed` are None where nobody knows yet."""

    email: str
    known: bool | None = None
    licensed: bool | None = None


def pool() -> tuple[str, ...]:
    """The hosts for teachers without a Zoom user of their own (ZOOM_HOSTS)."""
    settings: Settings = current_app.extensions["silid.settings"]
    return settings.zoom_hosts


def remembered(emails: Iterable[str]) -> dict[str, Host]:
    """What is known of these hosts without asking Zoom; every address is in the answer."""
    emails = list(dict.fromkeys(emails))
    rows = db.session.scalars(select(ZoomHost).where(ZoomHost.email.in_(emails)))
    found = {row.email: Host(row.email, row.known, row.licensed) for row in rows}
    return {email: found.get(email, Host(email)) for email in emails}


def look_up(zoom: ZoomClient, email: str) -> Host:
    """What Zoom says of the host, from memory while that is fresh. Raises ZoomError, but not where the app may
    not ask for users: then nothing is known and the meeting is tried as it is."""
    row = db.session.get(ZoomHost, email, populate_existing=True)
    if row and row.checked_at and clock.now() - row.checked_at < (FRESH if row.licensed else FRESH_REFUSAL):
        return Host(email, row.known, row.licensed)
    try:
        host = _host(email, zoom.get_user(email))
    except ZoomRefused as refusal:
        if not refusal.host_unknown:
            raise
        host = Host(email, known=False)
    except ZoomBadCredentials:
        raise
    except ZoomNotAuthorised:
        host = Host(email)
    remember(host)
    return host


def _host(email: str, user: User) -> Host:
    may_host = user.type in _MAY_HOST and user.status in (None, "active")
    return Host(email, known=may_host, licensed=may_host and user.is_licensed)


def remember(host: Host) -> None:
    with writing() as session:
        insert_once(ZoomHost, {"email": host.email}, ["email"])
        session.execute(
            update(ZoomHost)
            .where(ZoomHost.email == host.email)
            .values(known=host.known, licensed=host.licensed, checked_at=clock.now())
        )


def hold(emails: Sequence[str]) -> None:
    """Within the transaction that is open: nobody else gives these hosts a class until it ends.

    SQLite has one writer anyway.
    """
    if not is_postgresql():
        return
    for email in sorted(set(emails)):  # in one order, or two transactions wait for each other
        insert_once(ZoomHost, {"email": email}, ["email"])
    db.session.execute(
        select(ZoomHost.email).where(ZoomHost.email.in_(emails)).order_by(ZoomHost.email).with_for_update()
    )
