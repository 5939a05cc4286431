"""Cache of Zoom users who may host. The worker queries Zoom when it needs to know; answers are kept for a day."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import select, update

from portal.core import clock
from portal.core.db import (
    db,
    insert_if_absent,
    is_postgresql,
    write_transaction,
)
from portal.core.settings import current_settings
from portal.zoom.client import ZoomClient
from portal.zoom.errors import ZoomBadCredentials, ZoomNotAuthorised, ZoomRefused
from portal.zoom.models import ZoomUser
from portal.zoom_account.models import ZoomHost

CACHE_LIFETIME = timedelta(days=1)
REFUSAL_CACHE_LIFETIME = timedelta(minutes=10)  # an admin corrects a missing user or licence soon
_MAY_HOST = (1, 2)  # Basic and Licensed


@dataclass(frozen=True)
class CachedHost:
    """A Zoom user by address. `exists_at_zoom` and `licensed` are None while unknown."""

    email: str
    exists_at_zoom: bool | None = None
    licensed: bool | None = None


def shared_host_emails() -> tuple[str, ...]:
    """Hosts for teachers without a Zoom user of their own (ZOOM_HOSTS)."""
    settings = current_settings()
    return settings.zoom_hosts


def load_cached_hosts(emails: Iterable[str]) -> dict[str, CachedHost]:
    """Cached hosts by address, without a request to Zoom; every address is in the result."""
    emails = list(dict.fromkeys(emails))
    rows = db.session.scalars(select(ZoomHost).where(ZoomHost.email.in_(emails)))
    hosts = {row.email: CachedHost(row.email, row.exists_at_zoom, row.licensed) for row in rows}
    return {email: hosts.get(email, CachedHost(email)) for email in emails}


def fetch_zoom_host(zoom: ZoomClient, email: str) -> CachedHost:
    """The host from the cache while that is fresh, else from Zoom. Raises ZoomError, except where the app lacks the
    scope to read users: then nothing is known, and the meeting is tried anyway."""
    row = db.session.get(ZoomHost, email, populate_existing=True)
    if (
        row
        and row.checked_at
        and clock.now() - row.checked_at < (CACHE_LIFETIME if row.licensed else REFUSAL_CACHE_LIFETIME)
    ):
        return CachedHost(email, row.exists_at_zoom, row.licensed)
    try:
        host = _to_cached_host(email, zoom.get_user(email))
    except ZoomRefused as refusal:
        if not refusal.is_host_unknown:
            raise
        host = CachedHost(email, exists_at_zoom=False)
    except ZoomBadCredentials:
        raise
    except ZoomNotAuthorised:
        host = CachedHost(email)
    store_zoom_host(host)
    return host


def _to_cached_host(email: str, user: ZoomUser) -> CachedHost:
    may_host = user.type in _MAY_HOST and user.status in (None, "active")
    return CachedHost(email, exists_at_zoom=may_host, licensed=may_host and user.is_licensed)


def store_zoom_host(host: CachedHost) -> None:
    """Insert or update the cached host."""
    with write_transaction() as session:
        insert_if_absent(ZoomHost, {"email": host.email}, ["email"])
        session.execute(
            update(ZoomHost)
            .where(ZoomHost.email == host.email)
            .values(exists_at_zoom=host.exists_at_zoom, licensed=host.licensed, checked_at=clock.now())
        )


def lock_zoom_hosts(emails: Sequence[str]) -> None:
    """Lock the hosts' rows until the open transaction ends, so that no other transaction gives them a meeting. A no-op
    on SQLite, which has one writer."""
    if not is_postgresql():
        return
    for email in sorted(set(emails)):  # sorted, so that two transactions do not deadlock
        insert_if_absent(ZoomHost, {"email": email}, ["email"])
    db.session.execute(
        select(ZoomHost.email).where(ZoomHost.email.in_(emails)).order_by(ZoomHost.email).with_for_update()
    )
