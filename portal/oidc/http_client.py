"""JSON from a provider: timeouts always, TLS checked, no redirects, no cookies, small answers, few calls at once."""

import json
import threading
import time
from collections.abc import Mapping
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError

from portal.oidc.errors import ProviderUnavailable

TIMEOUT = (3.05, 5.0)  # seconds to connect, and for each read
MAX_SECONDS = 8.0  # seconds for a whole exchange
MAX_BODY = 256 * 1024  # Google's and Microsoft's documents have a few kB
MAX_PARALLEL_CALLS = 3  # a provider that hangs must not hold all threads that answer pages
_CHUNK = 16 * 1024


class JsonHttpClient:
    """One session for all threads."""

    def __init__(self) -> None:
        self._places = threading.BoundedSemaphore(MAX_PARALLEL_CALLS)
        self._session = requests.Session()
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._session.headers.update({"User-Agent": "silid", "Accept": "application/json"})
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, HTTPAdapter(max_retries=0))

    def get(self, url: str) -> dict[str, Any]:
        """The JSON object at an address. Raises ProviderUnavailable for everything else."""
        status, values = self._send("GET", url, None)
        if status != 200:
            raise ProviderUnavailable(f"answered {status}")
        return values

    def post(self, url: str, form: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
        """Status and JSON object that answer a form. Raises ProviderUnavailable."""
        return self._send("POST", url, form)

    def _send(self, method: str, url: str, form: Mapping[str, str] | None) -> tuple[int, dict[str, Any]]:
        if not self._places.acquire(timeout=1):
            raise ProviderUnavailable("too many calls at once")
        try:
            return self._exchange(method, url, form)
        except (requests.RequestException, HTTPError, OSError) as problem:
            # The kind alone: the text of such an error has the address with its query in it.
            raise ProviderUnavailable(type(problem).__name__) from None
        finally:
            self._places.release()

    def _exchange(self, method: str, url: str, form: Mapping[str, str] | None) -> tuple[int, dict[str, Any]]:
        until = time.monotonic() + MAX_SECONDS
        with self._session.request(
            method,
            url,
            data=form,
            auth=_as_it_is,
            timeout=TIMEOUT,
            allow_redirects=False,
            stream=True,
        ) as answer:
            body = bytearray()
            while piece := answer.raw.read1(_CHUNK, decode_content=True):
                body += piece
                if len(body) > MAX_BODY or time.monotonic() > until:
                    raise ProviderUnavailable("the answer is too large or takes too long")
        try:
            values = json.loads(body)
        except (ValueError, RecursionError):
            raise ProviderUnavailable(f"answered {answer.status_code} without JSON") from None
        if not isinstance(values, dict):
            raise ProviderUnavailable("answered something other than an object")
        return answer.status_code, values


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """For `auth`: without one, requests would look for a password in a .netrc."""
    return request
