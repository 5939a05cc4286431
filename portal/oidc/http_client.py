"""HTTP client for JSON from a provider: with timeouts, TLS verification, a size limit and limited concurrency; no
redirects, no cookies."""

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
MAX_BODY = 256 * 1024  # Google's and Microsoft's documents are a few kB
MAX_PARALLEL_CALLS = 3  # an unresponsive provider must not block all threads that serve pages
_CHUNK = 16 * 1024


class JsonHttpClient:
    """One session, shared by all threads."""

    def __init__(self) -> None:
        self._slots = threading.BoundedSemaphore(MAX_PARALLEL_CALLS)
        self._session = requests.Session()
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._session.headers.update({"User-Agent": "silid", "Accept": "application/json"})
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, HTTPAdapter(max_retries=0))

    def get(self, url: str) -> dict[str, Any]:
        """The JSON object at a URL. Raises ProviderUnavailable for anything else."""
        status, values = self._send("GET", url, None)
        if status != 200:
            raise ProviderUnavailable(f"answered {status}")
        return values

    def post(self, url: str, form: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
        """Status and JSON object of the response to a form. Raises ProviderUnavailable."""
        return self._send("POST", url, form)

    def _send(self, method: str, url: str, form: Mapping[str, str] | None) -> tuple[int, dict[str, Any]]:
        if not self._slots.acquire(timeout=1):
            raise ProviderUnavailable("too many calls at once")
        try:
            return self._exchange(method, url, form)
        except (requests.RequestException, HTTPError, OSError) as error:
            # Only the exception's class: its text contains the URL with the query.
            raise ProviderUnavailable(type(error).__name__) from None
        finally:
            self._slots.release()

    def _exchange(self, method: str, url: str, form: Mapping[str, str] | None) -> tuple[int, dict[str, Any]]:
        deadline = time.monotonic() + MAX_SECONDS
        with self._session.request(
            method,
            url,
            data=form,
            auth=_no_auth,
            timeout=TIMEOUT,
            allow_redirects=False,
            stream=True,
        ) as response:
            body = bytearray()
            while chunk := response.raw.read1(_CHUNK, decode_content=True):
                body += chunk
                if len(body) > MAX_BODY or time.monotonic() > deadline:
                    raise ProviderUnavailable("the answer is too large or takes too long")
        try:
            values = json.loads(body)
        except (ValueError, RecursionError):
            raise ProviderUnavailable(f"answered {response.status_code} without JSON") from None
        if not isinstance(values, dict):
            raise ProviderUnavailable("answered something other than an object")
        return response.status_code, values


def _no_auth(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Passed as `auth`, since requests would otherwise look for a password in .netrc."""
    return request
