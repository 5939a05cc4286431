"""From an answer's bytes to a JSON object, or to one of our errors."""

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
_APP_OFF = (4702, 4704, 4717, 4738)

_LOOSE_CODE = re.compile(r'"code"\s*:\s*"?([0-9]{1,9})')
_LOOSE_MESSAGE = re.compile(r'"message"\s*:\s*"(.*)"\s*[,}]', re.DOTALL)
_SCOPE = re.compile(r"[a-z_]+(?::[a-z_]+){1,4}")
# Code 200 means both "only for paid plans" and "a token of the wrong kind"; only the text tells them apart.
_WRONG_KIND_OF_TOKEN = re.compile(r"invalid api key or secret", re.IGNORECASE)


class TokenRejected(ZoomBadCredentials):
    """Zoom refused the token (124): a new one may do."""


def parse_zoom_response(answer: HttpResponse, endpoint: ApiEndpoint, now: datetime) -> dict[str, Any]:
    """Return the JSON object of a good answer; an empty one for an empty body.

    Raises `TokenRejected`, `ZoomNotAuthorised`, `ZoomRateLimited`, `ZoomRefused` or `ZoomUnavailable`.
    """
    if answer.status == 204:
        return {}
    if 200 <= answer.status < 300:
        values = _object(answer.body) if answer.body.strip() else {}
        if values is None:
            raise _unavailable(endpoint, answer, "unreadable answer")
        return values
    # A redirect is never followed: the API has none, so somebody else answered.
    if not 400 <= answer.status < 500 or answer.status == 408:
        raise _unavailable(endpoint, answer, f"status {answer.status}")
    raise _refusal(answer, endpoint, now)


def parse_token_response(answer: HttpResponse, now: datetime) -> AccessToken:
    """Return the token of the token endpoint's answer.

    Raises `ZoomBadCredentials` for any 4xx (it has codes of its own kind: ``invalid_client`` and so on),
    `ZoomRateLimited` for 429 and `ZoomUnavailable` for the rest.
    """
    track = answer.tracking_id
    if answer.status == 429:
        raise rate_limit_error(answer.headers, "", now, tracking_id=track)
    if 400 <= answer.status < 500 and answer.status != 408:
        kind = as_text((_object(answer.body) or {}).get("error"), 60) or "no reason"
        raise ZoomBadCredentials(f"token refused: {answer.status} {kind!a}", tracking_id=track)
    values = _object(answer.body) if answer.status == 200 else None
    value = values.get("access_token") if values else None
    if not values or not isinstance(value, str) or not value.isascii() or not value.isprintable() or not value:
        raise ZoomUnavailable(f"no token in the answer with status {answer.status}", tracking_id=track)
    seconds = as_int(values.get("expires_in"))
    return AccessToken(
        value=value,
        expires_at=now + timedelta(seconds=min(max(3600 if seconds is None else seconds, 0), 86_400)),
        api_url=as_text(values.get("api_url")) or "",
        scopes=frozenset((as_text(values.get("scope"), 20_000) or "").replace(",", " ").split()),
    )


def _refusal(answer: HttpResponse, endpoint: ApiEndpoint, now: datetime) -> ZoomError:
    code, message, fields = _complaint(answer.body)
    track = answer.tracking_id
    if answer.status == 429:
        return rate_limit_error(answer.headers, message, now, personal=endpoint.personal, tracking_id=track)
    if code in (NO_TOKEN_SCOPE, MISSING_SCOPE):
        missing = _scopes_named(message) or (endpoint.scope,)
        return ZoomNotAuthorised(f"missing scopes: {', '.join(missing)}", missing_scopes=missing, tracking_id=track)
    if code in (INVALID_TOKEN, REVOKED_TOKEN) or (answer.status == 401 and code not in _APP_OFF):
        return TokenRejected(f"token refused with {answer.status}, code {code}", tracking_id=track)
    if code in _APP_OFF or (code == 200 and _WRONG_KIND_OF_TOKEN.search(message)):
        return ZoomBadCredentials(f"credentials refused with {answer.status}, code {code}", tracking_id=track)
    return ZoomRefused(answer.status, code, message, fields, resource=endpoint.resource, tracking_id=track)


def _complaint(body: bytes) -> tuple[int | None, str, tuple[tuple[str, str], ...]]:
    """Return code, message and field errors of an error answer, whose JSON may be broken.

    Code 4711 has been seen with unescaped quotes inside its message.
    """
    values = _object(body)
    if values is None:
        loose = body[:20_000].decode("utf-8", "replace")
        code, message = _LOOSE_CODE.search(loose), _LOOSE_MESSAGE.search(loose)
        return (int(code[1]) if code else None), (message[1] if message else ""), ()
    fields = tuple(
        (as_text(row.get("field"), 100) or "?", as_text(row.get("message"), 500) or "")
        for row in as_object_list(values.get("errors"))
    )
    return as_int(values.get("code")), as_text(values.get("message")) or "", fields


def _scopes_named(message: str) -> tuple[str, ...]:
    _, _, named = message.partition("scopes")
    return tuple(dict.fromkeys(_SCOPE.findall(named.partition("]")[0])))[:10]


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        values = json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    return values if isinstance(values, dict) else None


def _unavailable(endpoint: ApiEndpoint, answer: HttpResponse, what: str) -> ZoomUnavailable:
    return ZoomUnavailable(
        f"{endpoint.method} {endpoint.path}: {what}",
        maybe_done=not endpoint.is_read,
        tracking_id=answer.tracking_id,
    )


def rows_of_response(values: Mapping[str, Any], key: str, endpoint: ApiEndpoint) -> list[Mapping[str, Any]]:
    """Return the rows under ``key``.

    Raises `ZoomUnavailable` where there is no list: taking that for "none" would register or create twice.
    """
    value = values.get(key)
    if not isinstance(value, list):
        raise ZoomUnavailable(
            f"{endpoint.method} {endpoint.path}: no {key} in the answer", maybe_done=not endpoint.is_read
        )
    return as_object_list(value)
