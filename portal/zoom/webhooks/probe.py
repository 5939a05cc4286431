"""Probe of the webhook URL: call it as Zoom does when the URL is entered, to see if Zoom can reach the portal.

Zoom sends `endpoint.url_validation` with a token and expects it signed with the app's secret token (developers.zoom.us,
"Using webhooks", Validate your webhook endpoint).
"""

import ipaddress
import json
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from urllib.parse import urlsplit

import requests
from requests.exceptions import SSLError

from portal.zoom.webhooks.signature import (
    SIGNATURE_HEADER,
    TIMESTAMP_HEADER,
    sign_webhook,
    url_validation_answer,
)

Outcome = Literal[
    "good", "private", "unreachable", "certificate", "redirected", "not_found", "other_secret", "disabled", "broken"
]
TIMEOUT = (3.05, 5.0)  # seconds to connect and to read; Zoom's own timeout is 3
_MAX_BODY = 10_000


@dataclass(frozen=True)
class WebhookProbe:
    """Result of the probe. `private`: the response is right, but the URL is reachable only on this computer or network.

    `detail` is the status or the exception's class, for troubleshooting.
    """

    outcome: Outcome
    detail: str = ""

    @property
    def is_good(self) -> bool:
        """True if Zoom can reach the webhook."""
        return self.outcome == "good"


def probe_webhook_url(url: str, secret: str, now: datetime, timeout: tuple[float, float] = TIMEOUT) -> WebhookProbe:
    """Send an `endpoint.url_validation` signed with `secret` to the URL and classify the response."""
    token = secrets.token_urlsafe(16)
    timestamp = int(now.timestamp())
    values = {"event": "endpoint.url_validation", "event_ts": timestamp * 1000, "payload": {"plainToken": token}}
    raw = json.dumps(values).encode()
    headers = {
        "Content-Type": "application/json",
        TIMESTAMP_HEADER: str(timestamp),
        SIGNATURE_HEADER: sign_webhook(secret, timestamp, raw),
    }
    try:
        with requests.post(
            url, data=raw, headers=headers, timeout=timeout, allow_redirects=False, stream=True
        ) as response:
            status, body = response.status_code, response.raw.read(_MAX_BODY, decode_content=True)
    except SSLError as error:
        return WebhookProbe("certificate", type(error).__name__)
    except (requests.RequestException, OSError) as error:
        return WebhookProbe("unreachable", type(error).__name__)
    return _classify_response(status, body, url_validation_answer(token, secret), url)


def _classify_response(status: int, body: bytes, expected: dict[str, str], url: str) -> WebhookProbe:
    if 300 <= status < 400:
        return WebhookProbe("redirected", str(status))
    if status == 401:
        return WebhookProbe("other_secret", str(status))
    if status == 503:
        return WebhookProbe("disabled", str(status))
    if status in (404, 405):  # 405: a page, but no webhook
        return WebhookProbe("not_found", str(status))
    try:
        answer = json.loads(body)
    except ValueError:
        answer = None
    if status != 200 or answer != expected:
        return WebhookProbe("not_found" if status == 200 else "broken", str(status))
    return WebhookProbe("private" if _is_private(url) else "good")


def _is_private(url: str) -> bool:
    """True if the URL is valid only on this computer or network, or is not encrypted: Zoom accepts only https with a
    public name."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        return parts.scheme != "https" or not ipaddress.ip_address(host).is_global
    except ValueError:
        return "." not in host or host.rpartition(".")[2] in ("local", "localhost", "test", "internal", "lan")
