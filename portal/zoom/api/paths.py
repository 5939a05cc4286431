"""Ids in paths, and which of Zoom's addresses to use."""

import re
from urllib.parse import quote, urlsplit

API_PATH = "/v2"
OAUTH_PATH = "/oauth/token"
_MEETING_ID = re.compile(r"[0-9]{1,20}")


def encode_path_uuid(uuid: str) -> str:
    """Return a meeting's uuid (or id) for a path.

    Encoded once, and twice if it starts with ``/`` or contains ``//``: Zoom asks for that.
    """
    once = _segment(uuid)
    return quote(once, safe="") if uuid.startswith("/") or "//" in uuid else once


def encode_path_meeting(meeting_id: str) -> str:
    """Return a meeting id for a path; the blanks and hyphens that people write are dropped.

    Raises ValueError for anything but digits.
    """
    digits = str(meeting_id).replace(" ", "").replace("-", "")
    if not _MEETING_ID.fullmatch(digits):
        raise ValueError("a meeting id has only digits")
    return digits


def encode_path_name(value: str) -> str:
    """Return a user id, an address or a registrant id for a path."""
    return _segment(value)


def api_base_url(url: str) -> str:
    """Return the API's address without a trailing slash; one without a path gets ``/v2``."""
    return _with_path(url, API_PATH)


def oauth_token_url(url: str) -> str:
    """Return the token endpoint; an address without a path gets ``/oauth/token``."""
    return _with_path(url, OAUTH_PATH)


def regional_base_url(configured: str, answered: str) -> str:
    """Return the API's address after a token answer named ``answered`` (its ``api_url``).

    It is followed only from Zoom to Zoom: a test server is never left for the real Zoom, nor the reverse.
    """
    here, there = urlsplit(configured), urlsplit(answered.strip())
    if here.scheme == "https" and _is_zoom(here.hostname) and there.scheme == "https" and _is_zoom(there.hostname):
        return f"https://{there.hostname}{API_PATH}"
    return configured


def _is_zoom(host: str | None) -> bool:
    return host is not None and (host == "zoom.us" or host.endswith(".zoom.us"))


def _with_path(url: str, path: str) -> str:
    parts = urlsplit(url.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("Zoom's address must start with https:// (or http:// for a test server)")
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/') or path}"


def _segment(value: str) -> str:
    if value in ("", ".", ".."):
        raise ValueError("an empty id has no address")
    return quote(value, safe="")
