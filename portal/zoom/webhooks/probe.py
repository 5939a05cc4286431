"""Can Zoom reach the portal? Its webhook address is called as Zoom itself calls it when an address is entered.

Zoom sends `endpoint.url_validation` with a token and wants it back, signed with the app's secret token
(developers.zoom.us, "Using webhooks", Validate your webhook endpoint).
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
    "good", "private", "unreachable", "certificate", "redirected", "not there", "other secret", "switched off", "broken"
]
TIMEOUT = (3.05, 5.0)  # seconds to connect and to read; Zoom itself waits 3
_LARGEST = 10_000


@dataclass(frozen=True)
class WebhookProbe:
    """What came of the call. `private`: it answers rightly, but only on this computer or network, by its address.

    `detail` is the status or the kind of trouble, for whoever repairs it.
    """

    outcome: Outcome
    detail: str = ""

    @property
    def is_good(self) -> bool:
        return self.outcome == "good"


def probe_webhook_url(url: str, secret: str, now: datetime, timeout: tuple[float, float] = TIMEOUT) -> WebhookProbe:
    """Send the portal an `endpoint.url_validation` of our own, signed with `secret`, and look at the answer."""
    token = secrets.token_urlsafe(16)
    stamp = int(now.timestamp())
    values = {"event": "endpoint.url_validation", "event_ts": stamp * 1000, "payload": {"plainToken": token}}
    raw = json.dumps(values).encode()
    headers = {
        "Content-Type": "application/json",
        TIMESTAMP_HEADER: str(stamp),
        SIGNATURE_HEADER: sign_webhook(secret, stamp, raw),
    }
    try:
        with requests.post(
            url, data=raw, headers=headers, timeout=timeout, allow_redirects=False, stream=True
        ) as answer:
            status, body = answer.status_code, answer.raw.read(_LARGEST, decode_content=True)
    except SSLError as error:
        return WebhookProbe("certificate", type(error).__name__)
    except (requests.RequestException, OSError) as error:
        return WebhookProbe("unreachable", type(error).__name__)
    return _judged(status, body, url_validation_answer(token, secret), url)


def _judged(status: int, body: bytes, wanted: dict[str, str], url: str) -> WebhookProbe:
    if 300 <= status < 400:
        return WebhookProbe("redirected", str(status))
    if status == 401:
        return WebhookProbe("other secret", str(status))
    if status == 503:
        return WebhookProbe("switched off", str(status))
    if status in (404, 405):  # 405: a page of the portal or of something else, but no webhook
        return WebhookProbe("not there", str(status))
    try:
        said = json.loads(body)
    except ValueError:
        said = None
    if status != 200 or said != wanted:
        return WebhookProbe("not there" if status == 200 else "broken", str(status))
    return WebhookProbe("private" if _is_private(url) else "good")


def _is_private(url: str) -> bool:
    """Whether the address means something on this computer or in this network alone, or is not encrypted: Zoom
    takes https with a public name only."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        return parts.scheme != "https" or not ipaddress.ip_address(host).is_global
    except ValueError:
        return "." not in host or host.rpartition(".")[2] in ("local", "localhost", "test", "internal", "lan")
