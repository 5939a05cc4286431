"""Signature (a JWT, HS256) with which a browser joins through Zoom's Meeting SDK.

Fields and bounds are those of Zoom's own meetingsdk-auth-endpoint-sample.
"""

import base64
import hashlib
import hmac
import json
from datetime import datetime
from typing import Any

MIN_TTL_SECONDS, MAX_TTL_SECONDS = 1800, 172_800
ATTENDEE, HOST = 0, 1
# Issued in the past, in seconds: clocks differ, and Zoom refuses a signature from the future.
_ISSUED_BEFORE = 30


def meeting_sdk_signature(key: str, secret: str, meeting_number: str, role: int, now: datetime, ttl: int = 7200) -> str:
    """Return a signature that is valid for ``ttl`` seconds from ``now`` (aware).

    ``role`` is 0 for attendees and 1 for hosts. Raises ValueError for another role, a number with other characters than
    digits, a missing key or secret, and a ``ttl`` outside 30 minutes to 48 hours.
    """
    number = str(meeting_number).replace(" ", "").replace("-", "")
    if not (number.isascii() and number.isdigit()):
        raise ValueError("a meeting number has only digits")
    if role not in (ATTENDEE, HOST):
        raise ValueError("the role is 0 (attendee) or 1 (host)")
    if not MIN_TTL_SECONDS <= ttl <= MAX_TTL_SECONDS:
        raise ValueError(f"a signature lives {MIN_TTL_SECONDS} to {MAX_TTL_SECONDS} seconds")
    if not key or not secret:
        raise ValueError("the Meeting SDK is not configured")
    issued_at = int(now.timestamp()) - _ISSUED_BEFORE
    expires_at = min(issued_at + _ISSUED_BEFORE + ttl, issued_at + MAX_TTL_SECONDS)
    claims = {
        "appKey": key,
        "sdkKey": key,
        "mn": number,
        "role": role,
        "iat": issued_at,
        "exp": expires_at,
        "tokenExp": expires_at,
    }
    signing_input = _encode_json({"alg": "HS256", "typ": "JWT"}) + b"." + _encode_json(claims)
    digest = hmac.new(secret.encode(), signing_input, hashlib.sha256).digest()
    return (signing_input + b"." + _base64url(digest)).decode("ascii")


def _encode_json(content: dict[str, Any]) -> bytes:
    return _base64url(json.dumps(content, separators=(",", ":")).encode())


def _base64url(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")
