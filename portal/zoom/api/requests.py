"""One authenticated request: token, pace, tries, circuit. Operations are in `portal.zoom.client`."""

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
# A failure that itself took longer is not tried again here: somebody may be waiting for the page.
RETRY_WITHIN = timedelta(seconds=2)
PAGE_SIZE = 300
MAX_PAGES = 200


@dataclass(frozen=True)
class ApiCredentials:
    """A Server-to-Server app at Zoom."""

    account_id: str
    client_id: str
    client_secret: str = field(repr=False)

    @property
    def are_complete(self) -> bool:
        """Tell whether all three are there."""
        return bool(self.account_id and self.client_id and self.client_secret)


def current_utc_time() -> datetime:
    """Return the present as aware UTC."""
    return datetime.now(UTC)


class AuthenticatedApi:
    """Sends operations to Zoom and gives back JSON objects or our errors."""

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
        self._pace = pace
        self._now = now
        self._sleep = sleep
        self._transport = HttpTransport(timeout)
        self.circuit = CircuitBreaker(now)

    def token(self, rejected: str | None = None) -> AccessToken:
        """Return the shared token. Raises `ZoomNotConfigured` and what minting one raises."""
        if self.credentials is None or not self.credentials.are_complete:
            raise ZoomNotConfigured("no Zoom credentials")
        return self._tokens.token(self._mint, rejected=rejected)

    def call(
        self,
        endpoint: ApiEndpoint,
        *parts: str,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Carry out one operation and return its JSON object (empty for 204).

        ``parts`` fill the path and are encoded already. A request that cannot have been carried out is tried
        again (429s per second up to 5 tries, no connection and reads up to 3), any other write never is.
        """
        token = self.token()
        tries = _RetryState(self._now())
        while True:
            try:
                return self._once(endpoint, parts, token, query, body)
            except TokenRejected as problem:
                token = self._another_token(tries, token, problem)
            except ZoomRateLimited as problem:
                self._sleep(self._pause_when_limited(tries, problem))
            except ZoomUnavailable as problem:
                self._sleep(self._pause_when_down(tries, problem, endpoint))

    def paginate(
        self, endpoint: ApiEndpoint, *parts: str, key: str, query: Mapping[str, str] | None = None
    ) -> Iterator[Mapping[str, Any]]:
        """Yield the rows under ``key`` of all pages, one request per page as they are asked for.

        Raises `ZoomUnavailable` when the pages do not end: half a list must not pass for a whole one.
        """
        asked = {**(query or {}), "page_size": str(PAGE_SIZE)}
        seen: set[str] = set()
        for _ in range(MAX_PAGES):
            values = self.call(endpoint, *parts, query=asked)
            yield from rows_of_response(values, key, endpoint)
            following = as_text(values.get("next_page_token"))
            if following is None:
                return
            if following in seen:
                break
            seen.add(following)
            asked["next_page_token"] = following
        raise ZoomUnavailable(f"{endpoint.method} {endpoint.path}: the pages do not end")

    def _once(
        self,
        endpoint: ApiEndpoint,
        parts: Sequence[str],
        token: AccessToken,
        query: Mapping[str, str] | None,
        body: Mapping[str, Any] | None,
    ) -> dict[str, Any]:
        self._pace.wait(endpoint.label)
        url = regional_base_url(self.base, token.api_url) + endpoint.path.format(*parts)
        with self.circuit.watch():
            answer = self._transport.send(
                endpoint.method,
                url,
                template=endpoint.path,
                auth=BearerAuth(token.value),
                params=query,
                json=body,
            )
            return parse_zoom_response(answer, endpoint, self._now())

    def _mint(self) -> AccessToken:
        """Ask Zoom for a token. A mint may be repeated: at worst one token more was made."""
        tries = _RetryState(self._now())
        while True:
            try:
                with self.circuit.watch():
                    return parse_token_response(self._ask_for_token(), self._now())
            except ZoomRateLimited as problem:
                self._sleep(self._pause_when_limited(tries, problem))
            except CircuitOpen:
                raise
            except ZoomUnavailable as problem:
                # nothing but the token was asked for, whatever became of that
                problem.maybe_done = False
                self._sleep(self._pause_when_down(tries, problem, None))

    def _ask_for_token(self) -> HttpResponse:
        assert self.credentials is not None
        return self._transport.send(
            "POST",
            self._oauth,
            template="token",
            auth=(self.credentials.client_id, self.credentials.client_secret),
            form={"grant_type": "account_credentials", "account_id": self.credentials.account_id},
        )

    def _another_token(self, tries: "_RetryState", refused: AccessToken, problem: TokenRejected) -> AccessToken:
        if tries.token_was_renewed:
            raise ZoomBadCredentials(str(problem), tracking_id=problem.tracking_id) from None
        tries.token_was_renewed = True
        return self.token(rejected=refused.value)

    def _pause_when_limited(self, tries: "_RetryState", problem: ZoomRateLimited) -> float:
        tries.limited += 1
        pause = random.uniform(1.0, 2.0)  # noqa: S311 - spreads retries, guards nothing
        if problem.until is not None:
            wanted = (problem.until - self._now()).total_seconds()
            pause = max(pause, wanted + random.uniform(0.0, 1.0))  # noqa: S311 - as above
        if problem.daily or tries.limited >= ATTEMPTS_WHEN_LIMITED or pause > MAX_SLEEP_SECONDS + 1:
            raise problem
        return pause

    def _pause_when_down(self, tries: "_RetryState", problem: ZoomUnavailable, endpoint: ApiEndpoint | None) -> float:
        tries.down += 1
        repeatable = endpoint is None or not problem.maybe_done
        late = self._now() - tries.started > RETRY_WITHIN
        if isinstance(problem, CircuitOpen) or not repeatable or late or tries.down >= ATTEMPTS_WHEN_DOWN:
            raise problem
        return random.uniform(0.2, 0.6) * tries.down  # noqa: S311 - spreads retries, guards nothing


@dataclass
class _RetryState:
    started: datetime
    limited: int = 0
    down: int = 0
    token_was_renewed: bool = False
