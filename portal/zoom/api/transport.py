"""Bytes out, bytes in: the only place that speaks HTTP. Knows no Zoom words beyond the tracking id."""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from requests.exceptions import ConnectTimeout, ProxyError, SSLError
from requests.structures import CaseInsensitiveDict
from urllib3.exceptions import HTTPError, MaxRetryError, NewConnectionError

from portal.zoom.errors import ZoomUnavailable

log = logging.getLogger("portal.zoom")

MAX_BODY = 8 * 1024 * 1024
LONGEST_EXCHANGE = 20.0
POOL = 16
_CHUNK = 64 * 1024


@dataclass(frozen=True)
class HttpResponse:
    """A complete answer; ``headers`` ignore case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    @property
    def tracking_id(self) -> str | None:
        """Zoom's name for this exchange."""
        return (self.headers.get("x-zm-trackingid") or "")[:200] or None


class BearerAuth(AuthBase):
    """Sends the token. As ``auth`` rather than as a header, so that no ``.netrc`` can replace it."""

    def __init__(self, value: str) -> None:
        self._value = value

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the header."""
        request.headers["Authorization"] = f"Bearer {self._value}"
        return request


class HttpTransport:
    """One session for all threads: timeouts always, TLS checked, no redirects, no cookies."""

    def __init__(self, timeout: tuple[float, float], longest: float = LONGEST_EXCHANGE) -> None:
        """``timeout`` is for connecting and for each read, ``longest`` for a whole exchange, in seconds."""
        self._timeout = timeout
        self._longest = longest
        self._session = requests.Session()
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._session.headers["User-Agent"] = "silid"
        self._session.headers["Accept"] = "application/json"
        self._session.headers["Accept-Encoding"] = "gzip"
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, HTTPAdapter(pool_connections=4, pool_maxsize=POOL, max_retries=0))

    def send(
        self,
        method: str,
        url: str,
        *,
        template: str,
        auth: AuthBase | tuple[str, str],
        params: Mapping[str, str] | None = None,
        json: Any = None,
        form: Mapping[str, str] | None = None,
    ) -> HttpResponse:
        """Send one request and read its answer, of 8 MB at most.

        ``template`` stands for the path in the log. Raises `ZoomUnavailable`, whose ``maybe_done`` is false
        for reads and where the request cannot have reached the server.
        """
        started = time.monotonic()
        try:
            response = self._session.request(
                method,
                url,
                params=params,
                json=json,
                data=form,
                auth=auth,
                timeout=self._timeout,
                allow_redirects=False,
                stream=True,
            )
        except requests.RequestException as problem:
            raise self._unavailable(method, template, problem, started) from None
        with response:
            try:
                body = _read(response, started, self._longest)
            except (HTTPError, requests.RequestException, OSError) as problem:
                raise self._unavailable(method, template, problem, started) from None
        answer = HttpResponse(response.status_code, CaseInsensitiveDict(response.headers), body)
        log.info(
            "%s %s %s %d ms, tracking %s",
            method,
            template,
            answer.status,
            _ms(started),
            ascii(answer.tracking_id),
        )
        return answer

    def _unavailable(self, method: str, template: str, problem: Exception, started: float) -> ZoomUnavailable:
        # Only the kind of trouble: the text of such an error holds the whole address with its query.
        kind = type(_innermost(problem)).__name__
        log.warning("%s %s failed after %d ms: %s", method, template, _ms(started), kind)
        return ZoomUnavailable(f"{method} {template}: {kind}", maybe_done=method != "GET" and not _never_sent(problem))


def _read(response: requests.Response, started: float, longest: float) -> bytes:
    """Read the body piece by piece, as it comes: a server that drips cannot hold a thread for long."""
    body = bytearray()
    while piece := response.raw.read1(_CHUNK, decode_content=True):
        body += piece
        if len(body) > MAX_BODY:
            raise HTTPError("the answer is too large")
        if time.monotonic() - started > longest:
            raise HTTPError("the answer takes too long")
    return bytes(body)


def _never_sent(problem: Exception) -> bool:
    if isinstance(problem, (ConnectTimeout, SSLError, ProxyError)):
        return True
    if not isinstance(problem, requests.ConnectionError):
        # a request that could not even be prepared
        return isinstance(problem, ValueError)
    return isinstance(_innermost(problem), NewConnectionError)


def _innermost(problem: Exception) -> BaseException:
    inner: object = problem.args[0] if problem.args else None
    if isinstance(inner, MaxRetryError) and inner.reason is not None:
        return inner.reason
    return inner if isinstance(inner, HTTPError) else problem


def _ms(started: float) -> int:
    return int((time.monotonic() - started) * 1000)
