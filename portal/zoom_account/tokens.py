"""The one access token of the account, shared by every process through the database.

A new token may end the old one, so nobody mints alone: the process that holds the row's lease renews it,
the others wait for what it writes.
"""

import time
from collections.abc import Callable
from datetime import timedelta

from sqlalchemy import or_, select, update

from portal.base import clock
from portal.base.crypto import seal, unseal
from portal.base.db import db, end_reading, insert_once, writing
from portal.zoom.errors import ZoomBadCredentials, ZoomUnavailable
from portal.zoom.tokens import Token
from portal.zoom_account.models import ZoomToken

LEASE = timedelta(seconds=20)
PATIENCE = 15.0  # seconds to wait for another process that is renewing the token
FLOOR = timedelta(minutes=5)  # at most one replacement of a refused token in this time


class DatabaseTokens:
    """A `TokenSource` of `portal.zoom` on the table `zoom_tokens`. Needs an application context.

    `app_context` is entered for every call, because the client may call from threads of its own.
    """

    def __init__(self, account: str, app_context: Callable[[], object]) -> None:
        self._account = account
        self._app_context = app_context

    def token(self, mint: Callable[[], Token], *, rejected: str | None = None) -> Token:
        with self._app_context():  # type: ignore[attr-defined]  # Flask's context is a context manager
            return self._token(mint, rejected)

    def _token(self, mint: Callable[[], Token], rejected: str | None) -> Token:
        waited_until = time.monotonic() + PATIENCE
        while True:
            stored, row = self._stored()
            if stored and stored.value != rejected and stored.is_usable(clock.now()):
                return stored
            replaces = stored is not None and stored.value == rejected
            if replaces and row and row.refused_at and clock.now() - row.refused_at < FLOOR:
                raise ZoomBadCredentials("the replacement token was refused too; no other for five minutes")
            if self._lease(stored):
                return self._renew(mint, replaces)
            if time.monotonic() > waited_until:
                raise ZoomUnavailable("another process is renewing the token")
            time.sleep(0.1)

    def _stored(self) -> tuple[Token | None, ZoomToken | None]:
        row = db.session.scalar(
            select(ZoomToken).where(ZoomToken.account == self._account).execution_options(populate_existing=True)
        )
        end_reading()  # the next look must see what another process has written since
        if row is None or row.sealed is None or row.expires_at is None:
            return None, row
        value = unseal(row.sealed, f"zoom_tokens/{self._account}")
        return Token(value, row.expires_at, row.api_url, frozenset(row.scopes.split())), row

    def _lease(self, stored: Token | None) -> bool:
        """True if this process may renew the token now. Not if another has done so since we looked."""
        now = clock.now()
        with writing() as session:
            insert_once(ZoomToken, {"account": self._account, "api_url": "", "scopes": ""}, ["account"])
            taken = session.execute(
                update(ZoomToken)
                .where(
                    ZoomToken.account == self._account,
                    or_(ZoomToken.leased_until.is_(None), ZoomToken.leased_until < now),
                    ZoomToken.expires_at.is_not_distinct_from(stored.expires_at if stored else None),
                )
                .values(leased_until=now + LEASE)
            )
            return bool(taken.rowcount)  # type: ignore[attr-defined]  # CursorResult at run time

    def _renew(self, mint: Callable[[], Token], replaces: bool) -> Token:
        try:
            token = mint()
        except BaseException:
            self._write(leased_until=None)
            raise
        values = {"refused_at": clock.now()} if replaces else {}
        self._write(
            sealed=seal(token.value, f"zoom_tokens/{self._account}"),
            expires_at=token.expires_at,
            api_url=token.api_url,
            scopes=" ".join(sorted(token.scopes)),
            minted_at=clock.now(),
            leased_until=None,
            **values,
        )
        return token

    def _write(self, **values: object) -> None:
        with writing() as session:
            session.execute(update(ZoomToken).where(ZoomToken.account == self._account).values(**values))
