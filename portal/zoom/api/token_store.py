"""Access tokens: one for everybody, renewed by one at a time.

A new token may end the one before it (seen with Server-to-Server apps in 2022 and 2023, devforum threads
72070 and 74432), so nobody mints on their own: whoever needs a token asks a `TokenStore`.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from portal.zoom.errors import ZoomBadCredentials

RENEW_BEFORE = timedelta(minutes=5)
MIN_REFRESH_INTERVAL = timedelta(minutes=5)


@dataclass(frozen=True)
class AccessToken:
    """An access token as Zoom gave it; ``expires_at`` is aware UTC, ``api_url`` may be empty."""

    value: str = field(repr=False)
    expires_at: datetime
    api_url: str = ""
    scopes: frozenset[str] = frozenset()

    def is_usable(self, now: datetime) -> bool:
        """Tell whether the token lives for five more minutes at least."""
        return self.expires_at - now >= RENEW_BEFORE


class TokenStore(Protocol):
    """Where the shared token lives."""

    def token(self, mint: Callable[[], AccessToken], *, rejected: str | None = None) -> AccessToken:
        """Return a usable token, calling ``mint`` at most once and never twice at the same time.

        ``rejected`` is the value that Zoom has just refused: if another one is stored by now it is returned,
        else a new one is minted. Raises what ``mint`` raises, and `ZoomBadCredentials` when a token minted
        as a replacement was refused too and the last replacement is less than five minutes old.
        """
        ...


class InMemoryTokenStore:
    """A `TokenStore` for one process; threads share it."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._token: AccessToken | None = None
        self._replaced_at: datetime | None = None

    def token(self, mint: Callable[[], AccessToken], *, rejected: str | None = None) -> AccessToken:
        """See `TokenSource.token`."""
        with self._lock:
            now = self._now()
            stored = self._token
            if stored and stored.value != rejected and stored.is_usable(now):
                return stored
            refused = stored is not None and stored.value == rejected
            if refused:
                self._hold_the_floor(now)
            self._token = mint()
            if refused:
                self._replaced_at = now
            return self._token

    def _hold_the_floor(self, now: datetime) -> None:
        if self._replaced_at is not None and now - self._replaced_at < MIN_REFRESH_INTERVAL:
            raise ZoomBadCredentials("the replacement token was refused too; no other for five minutes")
