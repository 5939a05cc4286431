"""POST /api/zoom/webhook: distrust, store, answer.

Zoom repeats a delivery after 5, 20 and 60 minutes when it got a 5xx or no answer within 3 seconds, and
never after a 4xx. So our own trouble is always a 503, and a 4xx means that nothing was lost.
"""

import json
import logging
from collections import deque
from time import monotonic

from flask import Blueprint, Response, current_app, jsonify, request
from werkzeug.exceptions import RequestEntityTooLarge

from portal import csrf
from portal.base import clock
from portal.config import Settings
from portal.inbox import service
from portal.web import public
from portal.zoom.events import BadEvent
from portal.zoom.signature import BadSignature, crc_answer, is_clean_token, verify

bp = Blueprint("inbox", __name__)
log = logging.getLogger("portal.inbox")
LIMIT = 64 * 1024
FRESH = 300  # seconds; older ones are taken too, and counted, since Zoom repeats for 85 minutes
_unsigned_checks: deque[float] = deque(maxlen=10)


@bp.post("/api/zoom/webhook")
@csrf.exempt
@public
def webhook() -> Response:
    settings: Settings = current_app.extensions["silid.settings"]
    if not settings.zoom_webhook_secrets:
        return _refuse(503, "no webhook secret is configured")
    request.max_content_length = LIMIT
    try:
        raw = request.get_data(cache=False)
    except RequestEntityTooLarge:
        return _refuse(413, "body over 64 kB")
    if len(raw) > LIMIT:
        return _refuse(413, "body over 64 kB")
    if request.headers.get("Content-Encoding", "identity") != "identity":
        return _refuse(415, "encoded body")
    signed = "x-zm-signature" in request.headers or "x-zm-request-timestamp" in request.headers
    body = None
    if not signed:
        body = _unsigned_check(raw)
        if body is None:
            return _refuse(401, "signature missing")
    else:
        try:
            sent_at = verify(dict(request.headers), raw, settings.zoom_webhook_secrets, clock.now())
        except BadSignature as error:
            return _refuse(401, f"signature {error.reason}")
        if clock.now().timestamp() - sent_at > FRESH:
            log.info("webhook accepted late", extra={"age": int(clock.now().timestamp() - sent_at)})
    return _take(raw, body, settings)


def _take(raw: bytes, body: dict[str, object] | None, settings: Settings) -> Response:
    try:
        body = body or _strict_json(raw)
        event = service.read(body)
    except (ValueError, BadEvent):
        return _refuse(400, "not an event")
    if event.event == "endpoint.url_validation":
        return _answer_check(body, settings)
    try:
        service.keep(raw, body, event)
    except service.CannotStore as error:
        log.warning("webhook not stored: %s", error)
        return _refuse(503, "not stored, please repeat", retry=True)
    return Response(status=204)


def _unsigned_check(raw: bytes) -> dict[str, object] | None:
    """Zoom's own sample signs its URL check, others report none: an unsigned one is answered for clean
    tokens, ten times a minute at most. Everything else unsigned is refused."""
    try:
        body = _strict_json(raw)
    except ValueError:
        return None
    if body.get("event") != "endpoint.url_validation":
        return None
    now = monotonic()
    if len(_unsigned_checks) == _unsigned_checks.maxlen and now - _unsigned_checks[0] < 60:
        return None
    _unsigned_checks.append(now)
    return body


def _answer_check(body: dict[str, object], settings: Settings) -> Response:
    """Answer the URL check. Only for tokens that could not be a signed message: the answer is an HMAC with
    the same secret that signs events, so "v0:..." as a token would make this a machine for forgeries."""
    payload = body.get("payload")
    token = payload.get("plainToken") if isinstance(payload, dict) else None
    if not isinstance(token, str) or not is_clean_token(token):
        return _refuse(400, "unusual token")
    return jsonify(crc_answer(token, settings.zoom_webhook_secrets[0]))


def _strict_json(raw: bytes) -> dict[str, object]:
    """An object in plain UTF-8 JSON. `json.loads` alone would take UTF-16 and a BOM as well."""
    body = json.loads(raw.decode("utf-8", errors="strict"))
    if not isinstance(body, dict):
        raise ValueError("not an object")
    return body


def _refuse(status: int, why: str, *, retry: bool = False) -> Response:
    log.info("webhook refused: %s %s", status, why)
    response = jsonify(error=why)
    response.status_code = status
    if retry:
        response.headers["Retry-After"] = "60"
    return response
