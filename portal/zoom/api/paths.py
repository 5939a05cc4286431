"""URL building: encoded path segments, and the base URLs of Zoom's API."""

import re
from urllib.parse import quote, urlsplit

API_PATH = "/v2"
OAUTH_PATH = "/oauth/token"
_MEETING_ID = re.compile(r"[0-9]{1,20}")


def encode_path_uuid(uuid: str) -> str:
    """Return a meeting's uuid (or id) as a path segment.

    Encoded once, and twice if it starts with ``/`` or contains ``//``, as Zoom's reference requires.
    """
    encoded = _encode_segment(uuid)
    return quote(encoded, safe="") if uuid.startswith("/") or "//" in uuid else encoded


def encode_path_meeting(meeting_id: str) -> str:
    """Return a meeting id as a path segment, without the spaces and hyphens that people write.

    Raises ValueError for anything but digits.
    """
    digits = str(meeting_id).replace(" ", "").replace("-", "")
    if not _MEETING_ID.fullmatch(digits):
        raise ValueError("a meeting id has only digits")
    return digits


def encode_path_name(value: str) -> str:
    """Return a user id, an address or a registrant id as a path segment."""
    return _encode_segment(value)


def api_base_url(url: str) -> str:
    """Return the API's base URL without a trailing slash; one without a path gets ``/v2``."""
    return _with_path(url, API_PATH)


def oauth_token_url(url: str) -> str:
    """Return the token endpoint; a URL without a path gets ``/oauth/token``."""
    return _with_path(url, OAUTH_PATH)


def regional_base_url(configured: str, response_url: str) -> str:
    """Return the API's base URL, given the ``api_url`` of a token response.

    It is used only if both are Zoom's: a test server never switches to the real Zoom, nor the reverse.
    """
    base, regional = urlsplit(configured), urlsplit(response_url.strip())
    if (
        base.scheme == "https"
        and _is_zoom(base.hostname)
        and regional.scheme == "https"
        and _is_zoom(regional.hostname)
    ):
        return f"https://{regional.hostname}{API_PATH}"
    return configured


def _is_zoom(host: str | None) -> bool:
    return host is not None and (host == "zoom.us" or host.endswith(".zoom.us"))


def _with_path(url: str, path: str) -> str:
    parts = urlsplit(url.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("Zoom's address must start with https:// (or http:// for a test server)")
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/') or path}"


def _encode_segment(value: str) -> str:
    if value in ("", ".", ".."):
        raise ValueError("an empty id has no address")
    return quote(value, safe="")
