"""Receiver of Zoom's webhooks: verify the signature, store the delivery, answer.

Zoom retries a delivery after 5, 20 and 60 minutes on a 5xx or no answer within 3 seconds, and never after a 4xx. So our
own failures always answer 503, and a 4xx never loses evidence.
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
from portal.core.worker_signals import Topic, notify_worker
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
log = logging.getLogger("portal.webhooks")
MAX_BODY_BYTES = 64 * 1024  # Zoom's own deliveries are a few kB
LATE_AFTER_SECONDS = 300  # older deliveries are stored too, but counted, since Zoom retries for 85 minutes
URL_VALIDATIONS_PER_MINUTE = 10
CLOCK_SKEW_SAMPLES = 50  # sample size: the smallest age of these deliveries is the clock skew


class WebhookResponse(NamedTuple):
    """HTTP status and JSON object; None is an empty body."""

    status: int
    body: dict[str, str] | None = None


class WebhookReceiver:
    """The webhook receiver of one process. `counts` has the number of stored deliveries, and of refusals by reason."""

    def __init__(self, secrets: tuple[str, ...], store: DeliveryStore, heartbeat: Heartbeat) -> None:
        self._secrets = secrets
        self._store = store
        self._heartbeat = heartbeat
        self._url_validation_limiter = _UrlValidationLimiter()
        self._counts_lock = threading.Lock()
        self.counts: Counter[str] = Counter()
        self._ages: deque[int] = deque(maxlen=CLOCK_SKEW_SAMPLES)

    @property
    def clock_skew(self) -> int | None:
        """Upper bound, in seconds, of how far our clock is ahead of Zoom's: the smallest age of the last signed
        deliveries. Negative: behind by at least that. None: no delivery yet."""
        return min(self._ages.copy(), default=None)

    def start_heartbeat(self) -> None:
        """Start this process's heartbeat thread, on its first request of any kind. A no-op without a webhook secret."""
        if self._secrets:
            self._heartbeat.start()

    def receive(self, environ: dict[str, Any]) -> WebhookResponse:
        """Verify a request, store its delivery and return the response. Never raises for the request's content."""
        if not self._secrets:
            return self._refuse(503, "no webhook secret is configured")
        if environ.get("HTTP_CONTENT_ENCODING", "identity").lower() != "identity":
            return self._refuse(415, "encoded_body")
        try:
            # One byte over the limit, as a body without Content-Length is read up to there without an error.
            raw = get_input_stream(environ, max_content_length=MAX_BODY_BYTES + 1).read()
        except RequestEntityTooLarge:
            return self._refuse(413, "body over 64 kB")
        except BadRequest:  # connection lost while the body was sent
            return self._refuse(400, "incomplete_body")
        if len(raw) > MAX_BODY_BYTES:
            return self._refuse(413, "body over 64 kB")
        if has_signature_header(environ):
            return self._receive_signed(environ, raw)
        return self._receive_unsigned(raw, environ.get("REMOTE_ADDR", ""))

    def _receive_signed(self, environ: dict[str, Any], raw: bytes) -> WebhookResponse:
        headers = {
            "x-zm-signature": environ.get("HTTP_X_ZM_SIGNATURE", ""),
            "x-zm-request-timestamp": environ.get("HTTP_X_ZM_REQUEST_TIMESTAMP", ""),
        }
        now = clock.now()
        try:
            sent_at = verify_webhook_signature(headers, raw, self._secrets, now)
        except BadSignature as error:
            if error.reason in ("stale", "future"):  # the signature is correct, so its timestamp is Zoom's
                self._ages.append(int(now.timestamp()) - int(headers["x-zm-request-timestamp"]))
            return self._refuse(401, f"signature_{error.reason}")
        self._ages.append(int(now.timestamp()) - sent_at)
        if now.timestamp() - sent_at > LATE_AFTER_SECONDS:
            self._count("accepted_late")
        try:
            body = parse_strict_json(raw)
            event = parse_webhook_event(body)
        except (ValueError, BadEvent):
            return self._refuse(400, "not_an_event")
        if event.event == URL_VALIDATION:
            return self._answer_url_validation(body, self._find_signing_secret(headers, raw, now))
        return self._store_delivery(raw, body, event)

    def _find_signing_secret(self, headers: Mapping[str, str], raw: bytes, now: datetime) -> str:
        """The secret that Zoom signs with: while secrets are rotated it expects its check answered with that."""
        for secret in self._secrets:
            try:
                verify_webhook_signature(headers, raw, (secret,), now)
            except BadSignature:
                continue
            return secret
        return self._secrets[0]

    def _store_delivery(self, raw: bytes, body: dict[str, Any], event: WebhookEvent) -> WebhookResponse:
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
            self._heartbeat.record_missed(delivery)
            log.warning("webhook not stored: %s", error)
            return self._refuse(503, "not stored, please repeat")
        self._count("accepted")
        notify_worker(Topic.DELIVERIES)
        return WebhookResponse(200)

    def _receive_unsigned(self, raw: bytes, address: str) -> WebhookResponse:
        """Zoom's sample app signs the URL validation, but unsigned ones are reported too: they are answered, a few
        times a minute. All other unsigned requests are refused."""
        try:
            body = parse_strict_json(raw)
        except ValueError:
            return self._refuse(401, "signature_missing")
        if body.get("event") != URL_VALIDATION or not self._url_validation_limiter.allow(address):
            return self._refuse(401, "signature_missing")
        return self._answer_url_validation(body, self._secrets[0])

    def _answer_url_validation(self, body: Mapping[str, Any], secret: str) -> WebhookResponse:
        """Only for tokens that cannot be a signed message: the answer is an HMAC with the secret that signs events, so
        a token "v0:..." would make this endpoint a signing oracle."""
        payload = body.get("payload")
        token = payload.get("plainToken") if isinstance(payload, dict) else None
        if not isinstance(token, str) or not is_clean_token(token):
            return self._refuse(400, "malformed_token")
        return WebhookResponse(200, url_validation_answer(token, secret))

    def _refuse(self, status: int, reason: str) -> WebhookResponse:
        log.info("webhook refused: %s %s", status, reason)
        self._count(reason)
        return WebhookResponse(status, {"error": reason})

    def _count(self, key: str) -> None:
        with self._counts_lock:
            self.counts[key] += 1


class _UrlValidationLimiter:
    """Rate limit for unsigned URL validations: per minute and address, for the last thousand addresses."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._times_by_address: OrderedDict[str, deque[datetime]] = OrderedDict()

    def allow(self, address: str) -> bool:
        now = clock.now()
        with self._lock:
            times = self._times_by_address.setdefault(address, deque(maxlen=URL_VALIDATIONS_PER_MINUTE))
            self._times_by_address.move_to_end(address)
            if len(self._times_by_address) > 1000:
                self._times_by_address.popitem(last=False)
            if len(times) == URL_VALIDATIONS_PER_MINUTE and now - times[0] < timedelta(minutes=1):
                return False
            times.append(now)
            return True


def redact_secrets(raw: bytes, body: dict[str, Any]) -> bytes:
    """The bytes to store of a delivery: as received, or re-encoded with passcodes and links blanked, which the
    projection does not need."""
    if not any(b'"%s"' % name.encode() in raw for name in REDACTED_KEYS):
        return raw
    return json.dumps(_blank_secrets(body), ensure_ascii=True).encode("ascii")


def _blank_secrets(value: Any) -> Any:
    if isinstance(value, list):
        return [_blank_secrets(item) for item in value]
    if isinstance(value, dict):
        return {key: "" if key in REDACTED_KEYS and nested else _blank_secrets(nested) for key, nested in value.items()}
    return value


def has_signature_header(environ: Mapping[str, Any]) -> bool:
    """True if the request carries a signature header, valid or not."""
    return "HTTP_X_ZM_SIGNATURE" in environ or "HTTP_X_ZM_REQUEST_TIMESTAMP" in environ


def parse_strict_json(raw: bytes) -> dict[str, Any]:
    """Parse a JSON object in plain UTF-8; `json.loads` alone would accept UTF-16, a BOM and NaN. Raises ValueError."""
    try:
        body = json.loads(raw.decode("utf-8", errors="strict"), parse_constant=_reject_constant)
    except RecursionError:
        raise ValueError("nested too deep") from None
    if not isinstance(body, dict):
        raise ValueError("not an object")
    return body


def _reject_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
