"""Webhook sender: signed deliveries over HTTP, retried as Zoom retries, with faults that can be injected."""

import json
import logging
import random
import re
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import NamedTuple

import requests

from portal.sandbox.api.times import to_milliseconds
from portal.sandbox.simulation.ids import derive_secret as random_secret
from portal.sandbox.simulation.models import JSON, WebhookDelivery
from portal.sandbox.simulation.state import SimulationState
from portal.zoom.webhooks.signature import sign_webhook, url_validation_answer

log = logging.getLogger("portal.sandbox")

TIMEOUT_SECONDS = 3
# Zoom retries 5, 20 and 60 minutes after the previous attempt (developers.zoom.us, "Webhooks"), then gives up.
REPEATS = (timedelta(minutes=5), timedelta(minutes=20), timedelta(minutes=60))
REVALIDATE_AFTER = timedelta(hours=72)
SET_UP_AGAIN_AFTER = timedelta(seconds=15)
FAILED_VALIDATIONS_ALLOWED = 6
USUAL_EVENTS = (r"meeting\.(started|ended|created|updated|deleted|recovered)", r"meeting\.participant_.*")

Predicate = Callable[[JSON], bool]


class WebhookAnswer(NamedTuple):
    """The endpoint's response; without one OSError is raised."""

    status: int
    body: bytes = b""


PostFunction = Callable[[str, dict[str, str], bytes], "int | WebhookAnswer"]


def compact_json(body: JSON) -> bytes:
    """JSON as Zoom sends it: compact, non-ASCII unescaped. Its own sample app verifies the signature over these
    bytes."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def post_with_requests(url: str, headers: dict[str, str], raw: bytes) -> WebhookAnswer:
    """POST over HTTP with a timeout of three seconds, without redirects.

    :raises OSError: connection refused, reset, timed out (requests' exceptions are OSErrors).
    """
    with requests.post(url, data=raw, headers=headers, timeout=TIMEOUT_SECONDS, allow_redirects=False) as response:
        return WebhookAnswer(response.status_code, response.content)


def match_no_event(body: JSON) -> bool:
    """Predicate that matches no delivery."""
    return False


def match_event_name(pattern: str) -> Predicate:
    """Predicate: the event's name matches the whole regular expression."""
    return lambda body: re.fullmatch(pattern, str(body.get("event"))) is not None


@dataclass
class WebhookFaults:
    """Faults of delivery. Each predicate gets the body of a delivery.

    `drop` loses it permanently, `hold` keeps it until `release()`, `delay` sends it that much later, `duplicate` sends
    it twice, `bad_signature` signs it with another secret, `age` moves the timestamp back, `shuffle_seed` shuffles the
    due deliveries.
    """

    drop: Predicate = match_no_event
    hold: Predicate = match_no_event
    duplicate: Predicate = match_no_event
    bad_signature: Predicate = match_no_event
    delayed: Predicate = match_no_event
    delay: timedelta = timedelta(0)
    age: timedelta = timedelta(0)
    shuffle_seed: int | None = None
    # Whether Zoom signs retries with a new timestamp is undocumented: by default they carry the first one, the harder
    # case.
    restamp_repeats: bool = False


@dataclass
class WebhookSubscription:
    """State of the webhook's subscription: `valid` is the last validation's result, None before the first.

    Only an endpoint that was valid once can fail: until then the validation is part of the set-up.
    """

    valid: bool | None = None
    ever_valid: bool = False
    failed_in_a_row: int = 0
    checked_at: datetime | None = None

    @property
    def enabled(self) -> bool:
        return self.failed_in_a_row < FAILED_VALIDATIONS_ALLOWED


@dataclass
class _Attempt:
    """One attempt: the delivery as sent."""

    delivery: WebhookDelivery
    headers: dict[str, str]
    raw: bytes
    twice: bool = field(default=False)


class WebhookSender:
    """Queue of the simulation's webhooks to one URL.

    `pump()` delivers what is due; `start()` does so from a thread until `stop()`. A delivery ends with any response
    below 500; after a 5xx, a timeout or a failed connection it is retried after 5, 20 and 60 minutes.

    :param post: `(url, headers, raw) -> status` or `WebhookAnswer`; raises OSError without a response.
    :param events: regular expressions of the subscribed events.
    """

    def __init__(
        self,
        world: SimulationState,
        url: str,
        secret: str,
        *,
        post: PostFunction = post_with_requests,
        now: Callable[[], datetime] | None = None,
        events: Iterable[str] = USUAL_EVENTS,
    ) -> None:
        self.world, self.url, self.secret = world, url, secret
        self.faults = WebhookFaults()
        self.subscription = WebhookSubscription()
        self._post, self._now = post, now or world.now
        self._events = [re.compile(pattern) for pattern in events]
        self._pumping = threading.Lock()
        self._wake_event, self._stopping = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        world.asks_for = self.asks_for
        world.woken = self._wake_event.set

    def asks_for(self, event: str) -> bool:
        """True if the webhook is subscribed to this event."""
        return any(pattern.fullmatch(event) for pattern in self._events)

    # Delivering

    def pump(self) -> int:
        """Deliver everything due; returns the number of requests sent."""
        if not self.url or not self.subscription.enabled:
            return 0
        with self._pumping:
            return sum(self._send_delivery(delivery) for delivery in self._take_due())

    def _take_due(self) -> list[WebhookDelivery]:
        now = self._now()
        with self.world.changing():
            due = []
            for delivery in list(self.world.waiting.values()):
                if delivery.due <= now and self._pass_faults(delivery, now):
                    due.append(delivery)
        if self.faults.shuffle_seed is not None:
            # A reproducible shuffle, no secret.
            random.Random(self.faults.shuffle_seed).shuffle(due)  # noqa: S311
        return due

    def _pass_faults(self, delivery: WebhookDelivery, now: datetime) -> bool:
        """True if it may be sent now; else a fault has changed its state."""
        if delivery.attempts:
            return True
        if self.faults.drop(delivery.body):
            delivery.state = "lost"
        elif self.faults.hold(delivery.body):
            delivery.state = "held"
        else:
            return not (self.faults.delayed(delivery.body) and now < delivery.due + self.faults.delay)
        self.world.keep_delivery(delivery)
        return False

    def _send_delivery(self, delivery: WebhookDelivery) -> int:
        attempt = self._prepare_attempt(delivery)
        request_count = 1
        status = self._send(attempt)
        if attempt.twice:
            self._send(replace(attempt, headers=attempt.headers | {"x-zm-trackingid": _tracking_id()}))
            request_count += 1
        with self.world.changing():
            self._record_result(delivery, status)
        return request_count

    def _prepare_attempt(self, delivery: WebhookDelivery) -> _Attempt:
        now = self._now()
        with self.world.changing():
            delivery.first_sent_at = delivery.first_sent_at or now
            self.world.keep_delivery(delivery)
        signed_at = now if self.faults.restamp_repeats else delivery.first_sent_at
        raw = compact_json(delivery.body)
        has_bad_signature = self.faults.bad_signature(delivery.body)
        headers = self._headers(
            raw, signed_at - self.faults.age, "not the secret" if has_bad_signature else self.secret
        )
        return _Attempt(delivery, headers, raw, twice=self.faults.duplicate(delivery.body))

    def _headers(self, raw: bytes, at: datetime, secret: str) -> dict[str, str]:
        timestamp = str(int(at.timestamp()))
        return {
            "user-agent": "Zoom Marketplace/1.0a",
            "content-type": "application/json; charset=utf-8",
            "x-zm-request-timestamp": timestamp,
            "x-zm-signature": sign_webhook(secret, timestamp, raw),
            "x-zm-request-id": random_secret(12),
            "x-zm-trackingid": _tracking_id(),
            "clientid": self.world.client_id,
        }

    def _send(self, attempt: _Attempt) -> int:
        """The status, or 0 without a response."""
        try:
            response = self._post(self.url, attempt.headers, attempt.raw)
        except OSError as error:
            log.info("webhook %s: no response (%s)", attempt.delivery.event, type(error).__name__)
            return 0
        return response.status if isinstance(response, WebhookAnswer) else response

    def _record_result(self, delivery: WebhookDelivery, status: int) -> None:
        delivery.answers.append(status)
        delivery.attempts += 1
        if 200 <= status < 300:
            delivery.state = "delivered"
        elif 300 <= status < 500 or delivery.attempts > len(REPEATS):
            delivery.state = "failed"
        else:
            delivery.due = self._now() + REPEATS[delivery.attempts - 1]
        self.world.keep_delivery(delivery)

    def release(self) -> int:
        """Release the held deliveries and stop holding; returns how many."""
        self.faults.hold = match_no_event
        with self.world.changing():
            deliveries = [one for one in self.world.deliveries.values() if one.state == "held"]
            for delivery in deliveries:
                delivery.state, delivery.due = "waiting", self._now()
                self.world.keep_delivery(delivery)
            return len(deliveries)

    def send_again(self, delivery_id: int) -> None:
        """Send a delivery once more, whatever its state: Zoom has been seen to resend delivered events.

        :raises KeyError: for an unknown id.
        """
        with self.world.changing():
            delivery = self.world.deliveries[delivery_id]
            delivery.state, delivery.due, delivery.attempts = "waiting", self._now(), 0
            self.world.keep_delivery(delivery)

    # Validation of the endpoint

    def validate(self) -> bool:
        """Send `endpoint.url_validation`: the endpoint must prove that it knows the secret."""
        token = random_secret(16).replace("-", "a").replace("_", "b")
        now = self._now()
        raw = compact_json(
            {"payload": {"plainToken": token}, "event_ts": to_milliseconds(now), "event": "endpoint.url_validation"}
        )
        try:
            response = self._post(self.url, self._headers(raw, now, self.secret), raw)
        except OSError:
            response = WebhookAnswer(0)
        is_valid = (
            isinstance(response, WebhookAnswer)
            and response.status == 200
            and self._is_valid_answer(response.body, token)
        )
        was_valid = self.subscription.ever_valid
        failures = 0 if is_valid or not was_valid else self.subscription.failed_in_a_row + 1
        self.subscription = WebhookSubscription(is_valid, was_valid or is_valid, failures, now)
        return is_valid

    def _is_valid_answer(self, body: bytes, token: str) -> bool:
        try:
            return bool(json.loads(body) == url_validation_answer(token, self.secret))
        except ValueError:
            return False

    def _validate_if_due(self) -> None:
        checked_at = self.subscription.checked_at
        interval = REVALIDATE_AFTER if self.subscription.ever_valid else SET_UP_AGAIN_AFTER
        if self.url and (checked_at is None or self._now() - checked_at >= interval):
            self.validate()

    # Background thread

    def start(self) -> None:
        """Start a thread that delivers until `stop()`."""
        if self._thread is None:
            self._stopping.clear()
            self._thread = threading.Thread(target=self._run, name="pretend-zoom-webhooks", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Stop the thread; undelivered webhooks stay in the queue."""
        self._stopping.set()
        self._wake_event.set()
        if self._thread is not None:
            self._thread.join(timeout=2 * TIMEOUT_SECONDS)
            self._thread = None

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake_event.clear()
            try:
                if not self.pump():
                    self._validate_if_due()
                    self._wake_event.wait(1.0)
            except Exception:
                log.exception("webhook delivery failed; retrying")
                self._stopping.wait(1.0)


def _tracking_id() -> str:
    return f"v=2.0;clid=us06;rid=WEB_{random_secret(16)}"
