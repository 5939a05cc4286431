"""Access tokens, shared by all requests and renewed by one caller at a time.

A new token may invalidate the one before it (seen with Server-to-Server apps in 2022 and 2023, devforum threads 72070
and 74432), so every caller asks a `TokenStore` instead of minting its own.
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
    """An access token; ``expires_at`` is aware UTC, ``api_url`` may be empty."""

    value: str = field(repr=False)
    expires_at: datetime
    api_url: str = ""
    scopes: frozenset[str] = frozenset()

    def is_usable(self, now: datetime) -> bool:
        """True if the token is valid for at least five more minutes."""
        return self.expires_at - now >= RENEW_BEFORE


class TokenStore(Protocol):
    """Store of the shared token."""

    def token(self, mint: Callable[[], AccessToken], *, rejected: str | None = None) -> AccessToken:
        """Return a usable token, calling ``mint`` at most once and never concurrently.

        ``rejected`` is a value that Zoom has just refused: if another one is stored by now it is returned, else a new
        one is minted. Raises what ``mint`` raises, and `ZoomBadCredentials` if a replacement was refused too and is
        less than five minutes old.
        """
        ...


class InMemoryTokenStore:
    """A `TokenStore` for one process; safe for threads."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._token: AccessToken | None = None
        self._replaced_at: datetime | None = None

    def token(self, mint: Callable[[], AccessToken], *, rejected: str | None = None) -> AccessToken:
        """See `TokenStore.token`."""
        with self._lock:
            now = self._now()
            stored = self._token
            if stored and stored.value != rejected and stored.is_usable(now):
                return stored
            is_replacement = stored is not None and stored.value == rejected
            if is_replacement:
                self._check_refresh_interval(now)
            self._token = mint()
            if is_replacement:
                self._replaced_at = now
            return self._token

    def _check_refresh_interval(self, now: datetime) -> None:
        if self._replaced_at is not None and now - self._replaced_at < MIN_REFRESH_INTERVAL:
            raise ZoomBadCredentials("the replacement token was refused too; no other for five minutes")
