"""Parser of 429 responses: which limit it is and until when (developers.zoom.us, "Rate limits", and observed variants).

Zoom sends ``X-RateLimit-Type`` (QPS or Daily-limit) and, for daily limits, an ISO date in ``Retry-After``. The personal
limits (100 creates and updates per host, 3 registrations per registrant) were seen without either.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from portal.zoom.errors import ZoomRateLimited
from portal.zoom.json_values import as_datetime

# A longer wait is not slept through but raised.
MAX_SLEEP_SECONDS = 10.0
_DIGITS = re.compile(r"[0-9]{1,7}(?:\.[0-9]{1,6})?")
_MAX_AHEAD = timedelta(days=2)


def parse_retry_after(headers: Mapping[str, str], now: datetime) -> datetime | None:
    """Return the time in ``Retry-After``, as aware UTC.

    Accepts seconds, an HTTP date or an ISO date. None if it is absent or implausible (more than two days ahead, or more
    than a minute ago).
    """
    value = headers.get("Retry-After", "").strip()
    moment = _parse_seconds(value, now) or as_datetime(value) or _parse_http_date(value)
    if moment is None or not now - timedelta(minutes=1) <= moment <= now + _MAX_AHEAD:
        return None
    return moment


def next_utc_midnight(now: datetime) -> datetime:
    """Return the next 00:00 UTC, when Zoom's daily limits reset (08:00 in Manila)."""
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return today + timedelta(days=1)


def rate_limit_error(
    headers: Mapping[str, str],
    message: str,
    now: datetime,
    *,
    personal: str | None = None,
    tracking_id: str | None = None,
) -> ZoomRateLimited:
    """Return the error for a 429.

    ``personal`` is the operation's own daily limit beside the account's: ``host-day`` or ``registrant-day``. ``until``
    of a per-second limit is None unless Zoom sent a time.
    """
    until = parse_retry_after(headers, now)
    per = _limit_kind(headers, message, until, now, personal)
    daily = per != "second"
    if daily and (until is None or until <= now):
        until = next_utc_midnight(now)
    return ZoomRateLimited(f"limit per {per}", until=until, daily=daily, per=per, tracking_id=tracking_id)


def _limit_kind(
    headers: Mapping[str, str], message: str, until: datetime | None, now: datetime, personal: str | None
) -> str:
    kind = headers.get("X-RateLimit-Type", "").lower()
    daily_limit = personal or "account-day"
    if "qps" in kind:
        return "second"
    if "daily" in kind:
        # the account's daily limits are in the thousands, personal ones are 3 and 100
        limit = headers.get("X-RateLimit-Limit", "").strip()
        return daily_limit if limit in ("3", "10", "100") else "account-day"
    if until is not None:
        return daily_limit if until - now > timedelta(seconds=60) else "second"
    if personal == "registrant-day" and headers.get("X-RateLimit-Limit", "").strip() == "3":
        return personal
    # Code 429 without a type header has two meanings; only the text distinguishes them.
    text = message.lower()
    if "per-second" in text:
        return "second"
    if "daily" in text:
        return daily_limit
    # The account has requests left today, so the personal limit was reached (devforum thread 18928).
    return personal if personal and headers.get("X-RateLimit-Remaining", "0").strip("0 ") else "second"


def _parse_seconds(value: str, now: datetime) -> datetime | None:
    return now + timedelta(seconds=float(value)) if _DIGITS.fullmatch(value) else None


def _parse_http_date(value: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(value)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
