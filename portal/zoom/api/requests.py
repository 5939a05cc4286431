"""Authenticated requests with token, rate limiter, retries and circuit breaker. The operations are in
`portal.zoom.client`."""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from portal.zoom.api.endpoints import ApiEndpoint
from portal.zoom.api.paths import regional_base_url
from portal.zoom.api.rate_limit_errors import MAX_SLEEP_SECONDS
from portal.zoom.api.rate_limiter import CircuitBreaker, RateLimiter
from portal.zoom.api.responses import (
    TokenRejected,
    parse_token_response,
    parse_zoom_response,
    rows_of_response,
)
from portal.zoom.api.token_store import AccessToken, TokenStore
from portal.zoom.api.transport import BearerAuth, HttpResponse, HttpTransport
from portal.zoom.errors import (
    CircuitOpen,
    ZoomBadCredentials,
    ZoomNotConfigured,
    ZoomRateLimited,
    ZoomUnavailable,
)
from portal.zoom.json_values import as_text

ATTEMPTS_WHEN_DOWN = 3
ATTEMPTS_WHEN_LIMITED = 5
# A failure that itself took longer is not retried here, as a page may be waiting.
RETRY_WITHIN = timedelta(seconds=2)
PAGE_SIZE = 300
MAX_PAGES = 200


@dataclass(frozen=True)
class ApiCredentials:
    """Credentials of a Server-to-Server OAuth app at Zoom."""

    account_id: str
    client_id: str
    client_secret: str = field(repr=False)

    @property
    def are_complete(self) -> bool:
        """True if all three are set."""
        return bool(self.account_id and self.client_id and self.client_secret)


def current_utc_time() -> datetime:
    """Return the current time as aware UTC."""
    return datetime.now(UTC)


class AuthenticatedApi:
    """Sends requests to Zoom and returns JSON objects, or raises the errors of `portal.zoom.errors`."""

    def __init__(
        self,
        credentials: ApiCredentials | None,
        *,
        tokens: TokenStore,
        base: str,
        oauth: str,
        pace: RateLimiter,
        now: Callable[[], datetime],
        sleep: Callable[[float], None],
        timeout: tuple[float, float],
    ) -> None:
        self.credentials = credentials
        self.base = base
        self._oauth = oauth
        self._tokens = tokens
        self._limiter = pace
        self._now = now
        self._sleep = sleep
        self._transport = HttpTransport(timeout)
        self.circuit = CircuitBreaker(now)

    def token(self, rejected: str | None = None) -> AccessToken:
        """Return the shared token. Raises `ZoomNotConfigured`, and what minting a token raises."""
        if self.credentials is None or not self.credentials.are_complete:
            raise ZoomNotConfigured("no Zoom credentials")
        return self._tokens.token(self._mint_token, rejected=rejected)

    def call(
        self,
        endpoint: ApiEndpoint,
        *parts: str,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Carry out one operation and return its JSON object (empty for 204).

        ``parts`` are path segments, encoded already. A request that cannot have been carried out is retried (429s per
        second up to 5 attempts, no connection and reads up to 3), any other write never is.
        """
        token = self.token()
        retry_state = _RetryState(self._now())
        while True:
            try:
                return self._send_once(endpoint, parts, token, query, body)
            except TokenRejected as error:
                token = self._replace_token(retry_state, token, error)
            except ZoomRateLimited as error:
                self._sleep(self._pause_when_limited(retry_state, error))
            except ZoomUnavailable as error:
                self._sleep(self._pause_when_down(retry_state, error, endpoint))

    def paginate(
        self, endpoint: ApiEndpoint, *parts: str, key: str, query: Mapping[str, str] | None = None
    ) -> Iterator[Mapping[str, Any]]:
        """Yield the rows under ``key`` of all pages, requested lazily.

        Raises `ZoomUnavailable` if the pages do not end, as a partial list must not be taken for a complete one.
        """
        page_query = {**(query or {}), "page_size": str(PAGE_SIZE)}
        seen_tokens: set[str] = set()
        for _ in range(MAX_PAGES):
            values = self.call(endpoint, *parts, query=page_query)
            yield from rows_of_response(values, key, endpoint)
            next_token = as_text(values.get("next_page_token"))
            if next_token is None:
                return
            if next_token in seen_tokens:
                break
            seen_tokens.add(next_token)
            page_query["next_page_token"] = next_token
        raise ZoomUnavailable(f"{endpoint.method} {endpoint.path}: the pages do not end")

    def _send_once(
        self,
        endpoint: ApiEndpoint,
        parts: Sequence[str],
        token: AccessToken,
        query: Mapping[str, str] | None,
        body: Mapping[str, Any] | None,
    ) -> dict[str, Any]:
        self._limiter.wait(endpoint.label)
        url = regional_base_url(self.base, token.api_url) + endpoint.path.format(*parts)
        with self.circuit.watch():
            response = self._transport.send(
                endpoint.method,
                url,
                template=endpoint.path,
                auth=BearerAuth(token.value),
                params=query,
                json=body,
            )
            return parse_zoom_response(response, endpoint, self._now())

    def _mint_token(self) -> AccessToken:
        """Request a new token. Retrying is safe: at worst one more token is minted."""
        retry_state = _RetryState(self._now())
        while True:
            try:
                with self.circuit.watch():
                    return parse_token_response(self._send_token_request(), self._now())
            except ZoomRateLimited as error:
                self._sleep(self._pause_when_limited(retry_state, error))
            except CircuitOpen:
                raise
            except ZoomUnavailable as error:
                # only a token was requested, so nothing can have been changed
                error.maybe_done = False
                self._sleep(self._pause_when_down(retry_state, error, None))

    def _send_token_request(self) -> HttpResponse:
        assert self.credentials is not None
        return self._transport.send(
            "POST",
            self._oauth,
            template="token",
            auth=(self.credentials.client_id, self.credentials.client_secret),
            form={"grant_type": "account_credentials", "account_id": self.credentials.account_id},
        )

    def _replace_token(self, retry_state: "_RetryState", rejected: AccessToken, error: TokenRejected) -> AccessToken:
        if retry_state.token_was_renewed:
            raise ZoomBadCredentials(str(error), tracking_id=error.tracking_id) from None
        retry_state.token_was_renewed = True
        return self.token(rejected=rejected.value)

    def _pause_when_limited(self, retry_state: "_RetryState", error: ZoomRateLimited) -> float:
        retry_state.limited += 1
        pause = random.uniform(1.0, 2.0)  # noqa: S311 - spreads retries, guards nothing
        if error.until is not None:
            seconds = (error.until - self._now()).total_seconds()
            pause = max(pause, seconds + random.uniform(0.0, 1.0))  # noqa: S311 - as above
        if error.daily or retry_state.limited >= ATTEMPTS_WHEN_LIMITED or pause > MAX_SLEEP_SECONDS + 1:
            raise error
        return pause

    def _pause_when_down(
        self, retry_state: "_RetryState", error: ZoomUnavailable, endpoint: ApiEndpoint | None
    ) -> float:
        retry_state.down += 1
        is_repeatable = endpoint is None or not error.maybe_done
        is_slow = self._now() - retry_state.started > RETRY_WITHIN
        if isinstance(error, CircuitOpen) or not is_repeatable or is_slow or retry_state.down >= ATTEMPTS_WHEN_DOWN:
            raise error
        return random.uniform(0.2, 0.6) * retry_state.down  # noqa: S311 - spreads retries, guards nothing


@dataclass
class _RetryState:
    started: datetime
    limited: int = 0
    down: int = 0
    token_was_renewed: bool = False
