"""Store of the account's access token, shared by all processes through the database.

A new token may invalidate the old one, so only one process mints at a time: the holder of the row's lease renews the
token, the others poll for it. If the holder dies, its lease expires and another process takes over.
"""

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import or_, select, update

from portal.core import clock
from portal.core.crypto import DecryptionError, decrypt_for_row, encrypt_for_row
from portal.core.db import (
    db,
    end_read_transaction,
    execute_rowcount,
    insert_if_absent,
    write_transaction,
)
from portal.zoom.api.token_store import AccessToken
from portal.zoom.errors import ZoomBadCredentials, ZoomUnavailable
from portal.zoom_account.models import ZoomToken

LEASE_TIME = timedelta(seconds=15)
WAIT_SECONDS = 25.0  # timeout for another process's renewal; longer than its lease
POLL = 0.1
FLOOR = timedelta(minutes=5)  # at most one replacement of a refused token in this time
# A token read less than this ago is reused without a query. If it was replaced meanwhile, Zoom refuses it, and then the
# database is queried.
REMEMBERED = 5.0


class DatabaseTokenStore:
    """A `TokenStore` of `portal.zoom` on the table `zoom_tokens`.

    `app_context` is entered for every query, because the client may call from threads of its own. Threads of one
    process are serialised by a lock.
    """

    def __init__(self, account: str, app_context: Callable[[], AbstractContextManager[Any]]) -> None:
        self._account = account
        self._app_context = app_context
        self._lock = threading.Lock()
        self._cached: tuple[AccessToken, float] | None = None
        self._refused_at: datetime | None = None  # when Zoom last refused the credentials themselves

    def token(self, mint: Callable[[], AccessToken], *, rejected: str | None = None) -> AccessToken:
        """See `TokenStore.token`."""
        cached = self._cached_token(rejected)
        if cached:
            return cached
        with self._lock:
            cached = self._cached_token(rejected)
            if cached:
                return cached
            with self._app_context():
                token = self._load_or_mint(mint, rejected)
            self._cached = (token, time.monotonic())
            return token

    def _cached_token(self, rejected: str | None) -> AccessToken | None:
        if self._cached is None:
            return None
        token, cached_at = self._cached
        fresh = time.monotonic() - cached_at < REMEMBERED
        return token if fresh and token.value != rejected and token.is_usable(clock.now()) else None

    def _load_or_mint(self, mint: Callable[[], AccessToken], rejected: str | None) -> AccessToken:
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            stored, row = self._load_row()
            if stored and stored.value != rejected and stored.is_usable(clock.now()):
                return stored
            replaces = stored is not None and stored.value == rejected
            if replaces and row and _is_recent(row.refused_at):
                raise ZoomBadCredentials("the replacement token was refused too; no other for five minutes")
            if _is_recent(self._refused_at):
                raise ZoomBadCredentials("Zoom refused the credentials; the next try is five minutes after the last")
            lease = self._acquire_lease(row)
            if lease:
                return self._renew(mint, lease, replaces)
            if time.monotonic() > deadline:
                raise ZoomUnavailable("another process is renewing the token")
            time.sleep(POLL)

    def _load_row(self) -> tuple[AccessToken | None, ZoomToken | None]:
        row = db.session.scalar(
            select(ZoomToken).where(ZoomToken.account == self._account).execution_options(populate_existing=True)
        )
        end_read_transaction()  # the next poll must see what another process has committed since
        if row is None or row.token_encrypted is None or row.expires_at is None:
            return None, row
        try:
            value = decrypt_for_row(row.token_encrypted, f"zoom_tokens/{self._account}")
        except DecryptionError:  # the encryption key was changed; a token is replaced soon anyway
            return None, row
        return AccessToken(value, row.expires_at, row.api_url, frozenset(row.scopes.split())), row

    def _acquire_lease(self, zoom_token: ZoomToken | None) -> datetime | None:
        """Acquire the lease on renewing the token; returns its expiry, or None if another process holds it or has
        renewed the token since."""
        now = clock.now()
        leased_until = now + LEASE_TIME
        with write_transaction():
            insert_if_absent(ZoomToken, {"account": self._account, "api_url": "", "scopes": ""}, ["account"])
            row_count = execute_rowcount(
                update(ZoomToken)
                .where(
                    ZoomToken.account == self._account,
                    or_(ZoomToken.leased_until.is_(None), ZoomToken.leased_until < now),
                    ZoomToken.token_encrypted.is_not_distinct_from(zoom_token.token_encrypted if zoom_token else None),
                )
                .values(leased_until=leased_until)
                .execution_options(synchronize_session=False)
            )
        return leased_until if row_count else None

    def _renew(self, mint: Callable[[], AccessToken], lease: datetime, replaces: bool) -> AccessToken:
        try:
            token = mint()
        except BaseException as error:
            if isinstance(error, ZoomBadCredentials):
                self._refused_at = clock.now()
            self._write(lease, leased_until=None)
            raise
        self._refused_at = None
        values = {"refused_at": clock.now()} if replaces else {}
        self._write(
            lease,
            token_encrypted=encrypt_for_row(token.value, f"zoom_tokens/{self._account}"),
            expires_at=token.expires_at,
            api_url=token.api_url,
            scopes=" ".join(sorted(token.scopes)),
            issued_at=clock.now(),
            leased_until=None,
            **values,
        )
        return token

    def _write(self, lease: datetime, **values: object) -> None:
        """Update the row unless the lease expired and another process, with a newer token, took over."""
        with write_transaction() as session:
            session.execute(
                update(ZoomToken)
                .where(ZoomToken.account == self._account, ZoomToken.leased_until == lease)
                .values(**values)
                .execution_options(synchronize_session=False)
            )


def _is_recent(moment: datetime | None) -> bool:
    return moment is not None and clock.now() - moment < FLOOR
