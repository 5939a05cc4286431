"""The signature with which a browser joins through Zoom's Meeting SDK (a JWT, HS256).

Fields and bounds are those of Zoom's own meetingsdk-auth-endpoint-sample.
"""

import base64
import hashlib
import hmac
import json
from datetime import datetime
from typing import Any

SHORTEST, LONGEST = 1800, 172_800
ATTENDEE, HOST = 0, 1
# Clocks differ: a signature issued in the future would be refused.
_BACK = 30


def meeting_sdk_signature(key: str, secret: str, meeting_number: str, role: int, now: datetime, ttl: int = 7200) -> str:
    """Return a signature that is valid for ``ttl`` seconds from ``now`` (aware).

    ``role`` is 0 for attendees and 1 for hosts. Raises ValueError for other roles, a number that is not
    digits, a missing key or secret, and a ``ttl`` outside 30 minutes to 48 hours.
    """
    number = str(meeting_number).replace(" ", "").replace("-", "")
    if not (number.isascii() and number.isdigit()):
        raise ValueError("a meeting number has only digits")
    if role not in (ATTENDEE, HOST):
        raise ValueError("the role is 0 (attendee) or 1 (host)")
    if not SHORTEST <= ttl <= LONGEST:
        raise ValueError(f"a signature lives {SHORTEST} to {LONGEST} seconds")
    if not key or not secret:
        raise ValueError("the Meeting SDK is not configured")
    issued = int(now.timestamp()) - _BACK
    ends = min(issued + _BACK + ttl, issued + LONGEST)
    claims = {
        "appKey": key,
        "sdkKey": key,
        "mn": number,
        "role": role,
        "iat": issued,
        "exp": ends,
        "tokenExp": ends,
    }
    signed = _part({"alg": "HS256", "typ": "JWT"}) + b"." + _part(claims)
    digest = hmac.new(secret.encode(), signed, hashlib.sha256).digest()
    return (signed + b"." + _encoded(digest)).decode("ascii")


def _part(content: dict[str, Any]) -> bytes:
    return _encoded(json.dumps(content, separators=(",", ":")).encode())


def _encoded(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")
