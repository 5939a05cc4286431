"""What is answered to POST /api/zoom/webhook: distrust, store, answer.

Zoom repeats a delivery after 5, 20 and 60 minutes when it got a 5xx or no answer within 3 seconds, and
never after a 4xx. So our own trouble is always a 503, and a 4xx means that nothing was lost.
"""

import json
import logging
import threading
from collections import Counter, OrderedDict, deque
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple, NoReturn

from werkzeug.exceptions import BadRequest, RequestEntityTooLarge
from werkzeug.wsgi import get_input_stream

from portal.core import clock
from portal.core.worker_signals import notify_worker
from portal.webhooks.delivery_store import DeliveryNotStored, DeliveryStore, SignedDelivery
from portal.webhooks.heartbeat import Heartbeat
from portal.zoom.webhooks.events import (
    URL_VALIDATION,
    BadEvent,
    WebhookEvent,
    event_fingerprint,
    parse_webhook_event,
)
from portal.zoom.webhooks.signature import (
    BadSignature,
    is_clean_token,
    url_validation_answer,
    verify_webhook_signature,
)

REDACTED_KEYS = ("password", "join_url", "start_url", "encrypted_password", "h323_password", "pstn_password")
log = logging.getLogger("portal.inbox")
MAX_BODY_BYTES = 64 * 1024  # Zoom's own deliveries are some kB
LATE_AFTER_SECONDS = 300  # seconds; older ones are taken too, and counted, since Zoom repeats for 85 minutes
URL_VALIDATIONS_PER_MINUTE = 10
CLOCK_SKEW_SAMPLES = 50  # of so many deliveries the least tells how far our clock is from Zoom's


class WebhookResponse(NamedTuple):
    """A status and a small JSON object; None is an empty body."""

    status: int
    body: dict[str, str] | None = None


class WebhookReceiver:
    """The webhook of one process. `counts` says how many deliveries were taken, and why others were not."""

    def __init__(self, secrets: tuple[str, ...], store: DeliveryStore, beats: Heartbeat) -> None:
        self._secrets = secrets
        self._store = store
        self._beats = beats
        self._checks = _UrlValidationLimiter()
        self._counting = threading.Lock()
        self.counts: Counter[str] = Counter()
        self._ages: deque[int] = deque(maxlen=CLOCK_SKEW_SAMPLES)

    @property
    def clock_skew(self) -> int | None:
        """By how many seconds our clock is ahead of Zoom's, at most: the least age of the last signed deliveries.
        Below zero: behind, at least. None: none came yet."""
        return min(self._ages.copy(), default=None)

    def start_heartbeat(self) -> None:
        """Before every request of whatever kind: from the first one on this process is known to be there."""
        if self._secrets:
            self._beats.start()

    def receive(self, environ: dict[str, Any]) -> WebhookResponse:
        """Check a request, store what it delivers, and say what to answer. Never raises for what it contains."""
        if not self._secrets:
            return self._refuse(503, "no webhook secret is configured")
        if environ.get("HTTP_CONTENT_ENCODING", "identity").lower() != "identity":
            return self._refuse(415, "encoded body")
        try:
            # One byte more than allowed: a body without Content-Length is read up to there, without an error.
            raw = get_input_stream(environ, max_content_length=MAX_BODY_BYTES + 1).read()
        except RequestEntityTooLarge:
            return self._refuse(413, "body over 64 kB")
        except BadRequest:  # the line broke
            return self._refuse(400, "body cut off")
        if len(raw) > MAX_BODY_BYTES:
            return self._refuse(413, "body over 64 kB")
        if has_signature_header(environ):
            return self._signed(environ, raw)
        return self._unsigned(raw, environ.get("REMOTE_ADDR", ""))

    def _signed(self, environ: dict[str, Any], raw: bytes) -> WebhookResponse:
        headers = {
            "x-zm-signature": environ.get("HTTP_X_ZM_SIGNATURE", ""),
            "x-zm-request-timestamp": environ.get("HTTP_X_ZM_REQUEST_TIMESTAMP", ""),
        }
        now = clock.now()
        try:
            sent_at = verify_webhook_signature(headers, raw, self._secrets, now)
        except BadSignature as error:
            if error.reason in ("stale", "future"):  # signed rightly, so its time is Zoom's
                self._ages.append(int(now.timestamp()) - int(headers["x-zm-request-timestamp"]))
            return self._refuse(401, f"signature {error.reason}")
        self._ages.append(int(now.timestamp()) - sent_at)
        if now.timestamp() - sent_at > LATE_AFTER_SECONDS:
            self._count("taken late")
        try:
            body = parse_strict_json(raw)
            event = parse_webhook_event(body)
        except (ValueError, BadEvent):
            return self._refuse(400, "not an event")
        if event.event == URL_VALIDATION:
            return self._answer_check(body, self._signer(headers, raw, now))
        return self._keep(raw, body, event)

    def _signer(self, headers: Mapping[str, str], raw: bytes, now: datetime) -> str:
        """The secret that Zoom signs with: while secrets are rotated it expects its check answered with that."""
        for secret in self._secrets:
            try:
                verify_webhook_signature(headers, raw, (secret,), now)
            except BadSignature:
                continue
            return secret
        return self._secrets[0]

    def _keep(self, raw: bytes, body: dict[str, Any], event: WebhookEvent) -> WebhookResponse:
        delivery = SignedDelivery(
            fingerprint=event_fingerprint(event, body),
            received_at=clock.now(),
            event=event.event[:100],
            zoom_meeting_id=event.meeting_id[:64] if event.meeting_id else None,
            body=redact_secrets(raw, body),
        )
        try:
            self._store.store(delivery)
        except DeliveryNotStored as error:
            self._beats.record_missed(delivery)
            log.warning("webhook not stored: %s", error)
            return self._refuse(503, "not stored, please repeat")
        self._count("taken")
        notify_worker("inbox")
        return WebhookResponse(200)

    def _unsigned(self, raw: bytes, address: str) -> WebhookResponse:
        """Zoom's own sample signs its URL check, others report none: an unsigned one is answered too, a few
        times a minute. Everything else unsigned is refused."""
        try:
            body = parse_strict_json(raw)
        except ValueError:
            return self._refuse(401, "signature missing")
        if body.get("event") != URL_VALIDATION or not self._checks.allow(address):
            return self._refuse(401, "signature missing")
        return self._answer_check(body, self._secrets[0])

    def _answer_check(self, body: Mapping[str, Any], secret: str) -> WebhookResponse:
        """Only for tokens that could not be a signed message: the answer is an HMAC with the same secret that
        signs events, so "v0:..." as a token would make this a machine for forgeries."""
        payload = body.get("payload")
        token = payload.get("plainToken") if isinstance(payload, dict) else None
        if not isinstance(token, str) or not is_clean_token(token):
            return self._refuse(400, "unusual token")
        return WebhookResponse(200, url_validation_answer(token, secret))

    def _refuse(self, status: int, why: str) -> WebhookResponse:
        log.info("webhook refused: %s %s", status, why)
        self._count(why)
        return WebhookResponse(status, {"error": why})

    def _count(self, what: str) -> None:
        with self._counting:
            self.counts[what] += 1


class _UrlValidationLimiter:
    """Unsigned URL checks: so many a minute from one address, of the last thousand addresses."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: OrderedDict[str, deque[datetime]] = OrderedDict()

    def allow(self, address: str) -> bool:
        now = clock.now()
        with self._lock:
            times = self._seen.setdefault(address, deque(maxlen=URL_VALIDATIONS_PER_MINUTE))
            self._seen.move_to_end(address)
            if len(self._seen) > 1000:
                self._seen.popitem(last=False)
            if len(times) == URL_VALIDATIONS_PER_MINUTE and now - times[0] < timedelta(minutes=1):
                return False
            times.append(now)
            return True


def redact_secrets(raw: bytes, body: dict[str, Any]) -> bytes:
    """What is stored of a delivery: the bytes as they came, unless a passcode or a link lies open in them, of which
    the projection needs none."""
    if not any(b'"%s"' % name.encode() in raw for name in REDACTED_KEYS):
        return raw
    return json.dumps(_hidden(body), ensure_ascii=True).encode("ascii")


def _hidden(part: Any) -> Any:
    if isinstance(part, list):
        return [_hidden(one) for one in part]
    if isinstance(part, dict):
        return {key: "" if key in REDACTED_KEYS and value else _hidden(value) for key, value in part.items()}
    return part


def has_signature_header(environ: Mapping[str, Any]) -> bool:
    """Does the request at least claim a signature?"""
    return "HTTP_X_ZM_SIGNATURE" in environ or "HTTP_X_ZM_REQUEST_TIMESTAMP" in environ


def parse_strict_json(raw: bytes) -> dict[str, Any]:
    """An object in plain UTF-8 JSON; `json.loads` alone would take UTF-16, a BOM and NaN as well.

    Raises ValueError.
    """
    try:
        body = json.loads(raw.decode("utf-8", errors="strict"), parse_constant=_no_constant)
    except RecursionError:
        raise ValueError("nested too deep") from None
    if not isinstance(body, dict):
        raise ValueError("not an object")
    return body


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
