"""HTTP transport of the Zoom client, and the only module that makes requests. Of Zoom it knows only the tracking id."""

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
    """A complete response; ``headers`` are case-insensitive."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    @property
    def tracking_id(self) -> str | None:
        """Zoom's id of this request, for its support."""
        return (self.headers.get("x-zm-trackingid") or "")[:200] or None


class BearerAuth(AuthBase):
    """Bearer token as ``auth`` rather than as a header, so that no ``.netrc`` can replace it."""

    def __init__(self, value: str) -> None:
        self._value = value

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Set the header."""
        request.headers["Authorization"] = f"Bearer {self._value}"
        return request


class HttpTransport:
    """One session for all threads: always with timeouts and TLS verification, without redirects or cookies."""

    def __init__(self, timeout: tuple[float, float], longest: float = LONGEST_EXCHANGE) -> None:
        """``timeout`` is for connecting and for each read, ``longest`` for the whole exchange, in seconds."""
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
        """Send one request and read its response, up to 8 MB.

        ``template`` replaces the path in the log. Raises `ZoomUnavailable`, whose ``maybe_done`` is false for reads and
        for requests that cannot have reached the server.
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
        except requests.RequestException as error:
            raise self._unavailable_error(method, template, error, started) from None
        with response:
            try:
                body = _read(response, started, self._longest)
            except (HTTPError, requests.RequestException, OSError) as error:
                raise self._unavailable_error(method, template, error, started) from None
        http_response = HttpResponse(response.status_code, CaseInsensitiveDict(response.headers), body)
        log.info(
            "%s %s %s %d ms, tracking %s",
            method,
            template,
            http_response.status,
            _elapsed_ms(started),
            ascii(http_response.tracking_id),
        )
        return http_response

    def _unavailable_error(self, method: str, template: str, error: Exception, started: float) -> ZoomUnavailable:
        # Only the exception's class: its text holds the whole URL with the query.
        kind = type(_root_cause(error)).__name__
        log.warning("%s %s failed after %d ms: %s", method, template, _elapsed_ms(started), kind)
        return ZoomUnavailable(
            f"{method} {template}: {kind}", maybe_done=method != "GET" and not _was_never_sent(error)
        )


def _read(response: requests.Response, started: float, longest: float) -> bytes:
    """Read the body in chunks: a server that sends slowly cannot block a thread beyond `longest`."""
    body = bytearray()
    while chunk := response.raw.read1(_CHUNK, decode_content=True):
        body += chunk
        if len(body) > MAX_BODY:
            raise HTTPError("the answer is too large")
        if time.monotonic() - started > longest:
            raise HTTPError("the answer takes too long")
    return bytes(body)


def _was_never_sent(error: Exception) -> bool:
    if isinstance(error, (ConnectTimeout, SSLError, ProxyError)):
        return True
    if not isinstance(error, requests.ConnectionError):
        # the request could not even be prepared
        return isinstance(error, ValueError)
    return isinstance(_root_cause(error), NewConnectionError)


def _root_cause(error: Exception) -> BaseException:
    reason: object = error.args[0] if error.args else None
    if isinstance(reason, MaxRetryError) and reason.reason is not None:
        return reason.reason
    return reason if isinstance(reason, HTTPError) else error


def _elapsed_ms(started: float) -> int:
    return int((time.monotonic() - started) * 1000)
