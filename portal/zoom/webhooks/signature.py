"""Webhook signatures, and the answer to Zoom's URL validation.

Zoom signs ``v0:{timestamp}:{raw body}`` with HMAC-SHA256 and sends ``v0=<hex>`` (developers.zoom.us, "Using webhooks").
The URL validation is answered with the same key, so it must never sign a token that could be the text of an event: only
plain tokens of letters, digits, ``_`` and ``-`` are signed here.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import datetime

SIGNATURE_HEADER = "x-zm-signature"
TIMESTAMP_HEADER = "x-zm-request-timestamp"
# Seconds. Zoom retries after 5, 20 and 60 minutes, perhaps with the first timestamp.
MAX_AGE = 7200
MAX_AHEAD = 300

_TIMESTAMP = re.compile(r"[0-9]{10}")
_SIGNATURE = re.compile(r"v0=[0-9a-f]{64}")
_CLEAN_TOKEN = re.compile(r"[A-Za-z0-9_-]{8,128}")


class BadSignature(Exception):
    """The delivery's signature is invalid; ``reason`` is missing, timestamp, signature, stale or future.

    ``stale`` and ``future`` occur only with a correct signature.
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
    """Return the timestamp (seconds since 1970) of a delivery signed with one of the secrets.

    ``max_age`` and ``max_ahead`` are seconds, both inclusive. Raises `BadSignature`. An empty secret never verifies,
    and the running time does not reveal which secret matched.
    """
    sent_at, signature = _header(headers, TIMESTAMP_HEADER), _header(headers, SIGNATURE_HEADER)
    if not sent_at or not signature:
        raise BadSignature("missing")
    if not _TIMESTAMP.fullmatch(sent_at):
        raise BadSignature("timestamp")
    if not _SIGNATURE.fullmatch(signature):
        raise BadSignature("signature")
    if not _matches_any_secret(secrets, sent_at, raw, signature):
        raise BadSignature("signature")
    age = int(now.timestamp()) - int(sent_at)
    if age > max_age:
        raise BadSignature("stale")
    if -age > max_ahead:
        raise BadSignature("future")
    return int(sent_at)


def is_clean_token(token: object) -> bool:
    """True if a plain token of the URL validation may be signed."""
    return isinstance(token, str) and _CLEAN_TOKEN.fullmatch(token) is not None


def url_validation_answer(plain_token: str, secret: str) -> dict[str, str]:
    """Return the JSON answer to ``endpoint.url_validation``.

    Raises ValueError for an unsafe token and for an empty secret.
    """
    if not is_clean_token(plain_token):
        raise ValueError("this token is not to be signed")
    if not secret:
        raise ValueError("no secret to sign with")
    encrypted_token = hmac.new(secret.encode(), plain_token.encode(), hashlib.sha256).hexdigest()
    return {"plainToken": plain_token, "encryptedToken": encrypted_token}


def _matches_any_secret(secrets: Sequence[str], sent_at: str, raw: bytes, signature: str) -> bool:
    matches = False
    for secret in secrets:
        if secret:
            matches |= hmac.compare_digest(sign_webhook(secret, sent_at, raw).encode(), signature.encode())
    return matches


def _header(headers: Mapping[str, str], name: str) -> str:
    value = headers.get(name)
    if value is None:  # a plain dict is case-sensitive, HTTP headers are not
        value = next((headers[key] for key in headers if key.lower() == name), "")
    return value
