"""Signatures of Zoom's webhooks, and the answer to its URL validation.

Zoom signs ``v0:{timestamp}:{raw body}`` with HMAC-SHA256 and sends ``v0=<hex>`` (developers.zoom.us,
"Using webhooks"). The URL validation is answered with the same key, so it must never sign a token that could
be the text of an event: only plain tokens of letters, digits, ``_`` and ``-`` are signed here.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import datetime

SIGNATURE_HEADER = "x-zm-signature"
TIMESTAMP_HEADER = "x-zm-request-timestamp"
# Zoom repeats after 5, 20 and 60 minutes, perhaps with the first timestamp.
MAX_AGE = 7200
MAX_AHEAD = 300

_TIMESTAMP = re.compile(r"[0-9]{10}")
_SIGNATURE = re.compile(r"v0=[0-9a-f]{64}")
_CLEAN_TOKEN = re.compile(r"[A-Za-z0-9_-]{8,128}")


class BadSignature(Exception):
    """A delivery that is not to be believed; ``reason`` is missing, timestamp, signature, stale or future.

    ``stale`` and ``future`` are only said of a correct signature.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def sign_webhook(secret: str, timestamp: int | str, raw: bytes) -> str:
    """Return the ``x-zm-signature`` of a raw body sent at ``timestamp`` (seconds since 1970)."""
    message = b"v0:" + str(timestamp).encode() + b":" + raw
    return "v0=" + hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()


def verify_webhook_signature(
    headers: Mapping[str, str],
    raw: bytes,
    secrets: Sequence[str],
    now: datetime,
    *,
    max_age: int = MAX_AGE,
    max_ahead: int = MAX_AHEAD,
) -> int:
    """Return the timestamp (seconds since 1970) of a delivery that one of the secrets signed.

    ``max_age`` and ``max_ahead`` are seconds, both inclusive. Raises `BadSignature`. An empty secret never
    verifies anything, and the time taken does not tell which secret fitted.
    """
    sent_at, claimed = _header(headers, TIMESTAMP_HEADER), _header(headers, SIGNATURE_HEADER)
    if not sent_at or not claimed:
        raise BadSignature("missing")
    if not _TIMESTAMP.fullmatch(sent_at):
        raise BadSignature("timestamp")
    if not _SIGNATURE.fullmatch(claimed):
        raise BadSignature("signature")
    if not _signed_by_one(secrets, sent_at, raw, claimed):
        raise BadSignature("signature")
    age = int(now.timestamp()) - int(sent_at)
    if age > max_age:
        raise BadSignature("stale")
    if -age > max_ahead:
        raise BadSignature("future")
    return int(sent_at)


def is_clean_token(token: object) -> bool:
    """Tell whether a plain token of the URL validation may be signed."""
    return isinstance(token, str) and _CLEAN_TOKEN.fullmatch(token) is not None


def url_validation_answer(plain_token: str, secret: str) -> dict[str, str]:
    """Return the JSON answer to ``endpoint.url_validation``.

    Raises ValueError for a token that is not clean and for an empty secret.
    """
    if not is_clean_token(plain_token):
        raise ValueError("this token is not to be signed")
    if not secret:
        raise ValueError("no secret to sign with")
    encrypted = hmac.new(secret.encode(), plain_token.encode(), hashlib.sha256).hexdigest()
    return {"plainToken": plain_token, "encryptedToken": encrypted}


def _signed_by_one(secrets: Sequence[str], sent_at: str, raw: bytes, claimed: str) -> bool:
    fits = False
    for secret in secrets:
        if secret:
            fits |= hmac.compare_digest(sign_webhook(secret, sent_at, raw).encode(), claimed.encode())
    return fits


def _header(headers: Mapping[str, str], name: str) -> str:
    value = headers.get(name)
    if value is None:  # a plain dict minds the case of its keys, HTTP does not
        value = next((headers[key] for key in headers if key.lower() == name), "")
    return value
