"""Parser of Zoom's responses: a JSON object, or one of the errors of `portal.zoom.errors`."""

import json
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from portal.zoom.api.endpoints import ApiEndpoint
from portal.zoom.api.rate_limit_errors import rate_limit_error
from portal.zoom.api.token_store import AccessToken
from portal.zoom.api.transport import HttpResponse
from portal.zoom.errors import (
    ZoomBadCredentials,
    ZoomError,
    ZoomNotAuthorised,
    ZoomRefused,
    ZoomUnavailable,
)
from portal.zoom.json_values import as_int, as_object_list, as_text

INVALID_TOKEN, REVOKED_TOKEN = 124, 4741
NO_TOKEN_SCOPE, MISSING_SCOPE = 4700, 4711
_APP_DISABLED = (4702, 4704, 4717, 4738)

_LOOSE_CODE = re.compile(r'"code"\s*:\s*"?([0-9]{1,9})')
_LOOSE_MESSAGE = re.compile(r'"message"\s*:\s*"(.*)"\s*[,}]', re.DOTALL)
_SCOPE = re.compile(r"[a-z_]+(?::[a-z_]+){1,4}")
# Code 200 means both "only for paid plans" and "a token of the wrong kind"; only the text distinguishes them.
_WRONG_TOKEN_TEXT = re.compile(r"invalid api key or secret", re.IGNORECASE)


class TokenRejected(ZoomBadCredentials):
    """Zoom refused the token (124); a new one may work."""


def parse_zoom_response(response: HttpResponse, endpoint: ApiEndpoint, now: datetime) -> dict[str, Any]:
    """Return the JSON object of a successful response; an empty one for an empty body.

    Raises `TokenRejected`, `ZoomNotAuthorised`, `ZoomRateLimited`, `ZoomRefused` or `ZoomUnavailable`.
    """
    if response.status == 204:
        return {}
    if 200 <= response.status < 300:
        values = _json_object_or_none(response.body) if response.body.strip() else {}
        if values is None:
            raise _unavailable_error(endpoint, response, "unreadable answer")
        return values
    # Redirects are never followed: the API has none, so this is not Zoom's response.
    if not 400 <= response.status < 500 or response.status == 408:
        raise _unavailable_error(endpoint, response, f"status {response.status}")
    raise _error_for_status(response, endpoint, now)


def parse_token_response(response: HttpResponse, now: datetime) -> AccessToken:
    """Return the token of the token endpoint's response.

    Raises `ZoomBadCredentials` for any 4xx (its codes are OAuth's: ``invalid_client`` and so on), `ZoomRateLimited` for
    429 and `ZoomUnavailable` for the rest.
    """
    tracking_id = response.tracking_id
    if response.status == 429:
        raise rate_limit_error(response.headers, "", now, tracking_id=tracking_id)
    if 400 <= response.status < 500 and response.status != 408:
        kind = as_text((_json_object_or_none(response.body) or {}).get("error"), 60) or "no reason"
        raise ZoomBadCredentials(f"token refused: {response.status} {kind!a}", tracking_id=tracking_id)
    values = _json_object_or_none(response.body) if response.status == 200 else None
    value = values.get("access_token") if values else None
    if not values or not isinstance(value, str) or not value.isascii() or not value.isprintable() or not value:
        raise ZoomUnavailable(f"no token in the answer with status {response.status}", tracking_id=tracking_id)
    seconds = as_int(values.get("expires_in"))
    return AccessToken(
        value=value,
        expires_at=now + timedelta(seconds=min(max(3600 if seconds is None else seconds, 0), 86_400)),
        api_url=as_text(values.get("api_url")) or "",
        scopes=frozenset((as_text(values.get("scope"), 20_000) or "").replace(",", " ").split()),
    )


def _error_for_status(response: HttpResponse, endpoint: ApiEndpoint, now: datetime) -> ZoomError:
    code, message, fields = _parse_error_body(response.body)
    tracking_id = response.tracking_id
    if response.status == 429:
        return rate_limit_error(response.headers, message, now, personal=endpoint.personal, tracking_id=tracking_id)
    if code in (NO_TOKEN_SCOPE, MISSING_SCOPE):
        missing = _scopes_in_message(message) or (endpoint.scope,)
        return ZoomNotAuthorised(
            f"missing scopes: {', '.join(missing)}", missing_scopes=missing, tracking_id=tracking_id
        )
    if code in (INVALID_TOKEN, REVOKED_TOKEN) or (response.status == 401 and code not in _APP_DISABLED):
        return TokenRejected(f"token refused with {response.status}, code {code}", tracking_id=tracking_id)
    if code in _APP_DISABLED or (code == 200 and _WRONG_TOKEN_TEXT.search(message)):
        return ZoomBadCredentials(f"credentials refused with {response.status}, code {code}", tracking_id=tracking_id)
    return ZoomRefused(response.status, code, message, fields, resource=endpoint.resource, tracking_id=tracking_id)


def _parse_error_body(body: bytes) -> tuple[int | None, str, tuple[tuple[str, str], ...]]:
    """Return code, message and field errors of an error response, whose JSON may be invalid.

    Code 4711 has been seen with unescaped quotes inside its message.
    """
    values = _json_object_or_none(body)
    if values is None:
        text = body[:20_000].decode("utf-8", "replace")
        code, message = _LOOSE_CODE.search(text), _LOOSE_MESSAGE.search(text)
        return (int(code[1]) if code else None), (message[1] if message else ""), ()
    fields = tuple(
        (as_text(row.get("field"), 100) or "?", as_text(row.get("message"), 500) or "")
        for row in as_object_list(values.get("errors"))
    )
    return as_int(values.get("code")), as_text(values.get("message")) or "", fields


def _scopes_in_message(message: str) -> tuple[str, ...]:
    _, _, scopes_text = message.partition("scopes")
    return tuple(dict.fromkeys(_SCOPE.findall(scopes_text.partition("]")[0])))[:10]


def _json_object_or_none(body: bytes) -> dict[str, Any] | None:
    try:
        values = json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    return values if isinstance(values, dict) else None


def _unavailable_error(endpoint: ApiEndpoint, response: HttpResponse, reason: str) -> ZoomUnavailable:
    return ZoomUnavailable(
        f"{endpoint.method} {endpoint.path}: {reason}",
        maybe_done=not endpoint.is_read,
        tracking_id=response.tracking_id,
    )


def rows_of_response(values: Mapping[str, Any], key: str, endpoint: ApiEndpoint) -> list[Mapping[str, Any]]:
    """Return the rows under ``key``.

    Raises `ZoomUnavailable` if there is no list: treating that as empty would register or create twice.
    """
    value = values.get(key)
    if not isinstance(value, list):
        raise ZoomUnavailable(
            f"{endpoint.method} {endpoint.path}: no {key} in the answer", maybe_done=not endpoint.is_read
        )
    return as_object_list(value)
