"""Typed readers for untrusted JSON values of Zoom: a value of another type becomes None."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

_ISO = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:Z|[+-][0-9]{2}:?[0-9]{2})?",
    re.IGNORECASE,
)
_WHOLE = re.compile(r"-?[0-9]{1,18}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ID_LENGTH = 200
TEXT_LENGTH = 4000


def as_text(value: Any, limit: int = TEXT_LENGTH) -> str | None:
    """Return non-empty text of at most ``limit`` characters, or None; NULs and lone surrogates, which databases reject,
    are removed."""
    if not isinstance(value, str):
        return None
    clean = value.replace("\x00", "").encode("utf-8", "replace").decode("utf-8").strip()
    return clean[:limit] or None


def as_id(value: Any) -> str | None:
    """Return an id as text, from a number or text; None for another type or over 200 characters."""
    if isinstance(value, bool):
        return None
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        value = int(value)
    if isinstance(value, int):
        return str(value) if abs(value) < 10**20 else None
    text = as_text(value, ID_LENGTH + 1)
    return text if text and len(text) <= ID_LENGTH else None


def as_email(value: Any) -> str | None:
    """Return an e-mail address in lower case, or None."""
    text = as_text(value, 320)
    return text.lower() if text else None


def as_int(value: Any) -> int | None:
    """Return a whole number from a number or digits (``20`` or ``"20"``), or None."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value if abs(value) < 10**18 else None
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    if isinstance(value, str) and _WHOLE.fullmatch(value.strip()):
        return int(value)
    return None


def as_bool(value: Any, default: bool = False) -> bool:
    """Return a boolean, or ``default`` for another type."""
    return value if isinstance(value, bool) else default


def as_datetime(value: Any) -> datetime | None:
    """Return an ISO date-time as aware UTC (``2026-11-03T00:00:00Z``, with or without fractions), or None.

    Zoom's times are UTC; one without an offset is read as UTC too.
    """
    if not isinstance(value, str) or not _ISO.fullmatch(value.strip()):
        return None
    try:
        moment = datetime.fromisoformat(value.strip().upper())
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def datetime_from_ms(value: Any) -> datetime | None:
    """Return milliseconds since 1970 (number or digits) as aware UTC, or None."""
    ms = as_int(value)
    if ms is None or ms <= 0:
        return None
    try:
        return _EPOCH + timedelta(milliseconds=ms)
    except OverflowError:
        return None


def as_object(value: Any) -> Mapping[str, Any]:
    """Return a JSON object, or an empty one for another type."""
    return value if isinstance(value, dict) else {}


def as_object_list(value: Any) -> list[Mapping[str, Any]]:
    """Return the objects of a JSON array; other items are dropped."""
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []
