"""Delivers the webhooks: signed, over HTTP, repeated as Zoom repeats, with faults that can be switched on."""

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
# Zoom repeats 5, 20 and 60 minutes after the attempt before (developers.zoom.us, "Webhooks"), then gives up.
REPEATS = (timedelta(minutes=5), timedelta(minutes=20), timedelta(minutes=60))
REVALIDATE_AFTER = timedelta(hours=72)
SET_UP_AGAIN_AFTER = timedelta(seconds=15)
FAILED_VALIDATIONS_ALLOWED = 6
USUAL_EVENTS = (r"meeting\.(started|ended|created|updated|deleted|recovered)", r"meeting\.participant_.*")

Predicate = Callable[[JSON], bool]


class WebhookAnswer(NamedTuple):
    """What the endpoint said; status 0 never happens, a silent one raises."""

    status: int
    body: bytes = b""


PostFunction = Callable[[str, dict[str, str], bytes], "int | WebhookAnswer"]


def compact_json(body: JSON) -> bytes:
    """The bytes as Zoom writes them:

    compact, non-ASCII unescaped. Its own sample checks the signature over these.
    """
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def post_with_requests(url: str, headers: dict[str, str], raw: bytes) -> WebhookAnswer:
    """Really send it, three seconds at most, no redirects.

    :raises OSError: connection refused, reset, timed out (requests' exceptions are OSErrors).
    """
    with requests.post(url, data=raw, headers=headers, timeout=TIMEOUT_SECONDS, allow_redirects=False) as response:
        return WebhookAnswer(response.status_code, response.content)


def match_no_event(body: JSON) -> bool:
    """No delivery at all."""
    return False


def match_event_name(pattern: str) -> Predicate:
    """The deliveries whose event's name matches the whole regular expression."""
    return lambda body: re.fullmatch(pattern, str(body.get("event"))) is not None


@dataclass
class WebhookFaults:
    """What goes wrong on the way. Each predicate gets the body of a delivery.

    `drop` loses it for good, `hold` keeps it until `release()`, `delay` sends it that much later, `duplicate`
    sends it twice, `bad_signature` signs it with another secret, `age` puts the timestamp back,
    `shuffle_seed` sends what is due in a shuffled order.
    """

    drop: Predicate = match_no_event
    hold: Predicate = match_no_event
    duplicate: Predicate = match_no_event
    bad_signature: Predicate = match_no_event
    delayed: Predicate = match_no_event
    delay: timedelta = timedelta(0)
    age: timedelta = timedelta(0)
    shuffle_seed: int | None = None
    # Not documented whether a repeat is stamped anew: by default it carries the first timestamp, the harder
    # case.
    restamp_repeats: bool = False


@dataclass
class WebhookSubscription:
    """The webhook's state: `valid` is the last check's outcome, None before the first.

    Only an endpoint that was valid once can fail: until then the check belongs to setting it up.
    """

    valid: bool | None = None
    ever_valid: bool = False
    failed_in_a_row: int = 0
    checked_at: datetime | None = None

    @property
    def enabled(self) -> bool:
        return self.failed_in_a_row < FAILED_VALIDATIONS_ALLOWED


@dataclass
class _Out:
    """One attempt: the delivery as it will go out."""

    delivery: WebhookDelivery
    headers: dict[str, str]
    raw: bytes
    twice: bool = field(default=False)


class WebhookSender:
    """The queue of a world's webhooks to one URL.

    By hand `pump()` delivers what is due; `start()` does it from a thread until `stop()`. A delivery ends
    with any answer below 500; a 5xx, a timeout or no connection is repeated after 5, 20 and 60 minutes.

    :param post: `(url, headers, raw) -> status` or `WebhookAnswer`; raises OSError when nobody answers.
    :param events: regular expressions of the events this webhook asked for.
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
        self._wake, self._stopping = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        world.asks_for = self.asks_for
        world.woken = self._wake.set

    def asks_for(self, event: str) -> bool:
        """Whether the webhook is subscribed to this event."""
        return any(pattern.fullmatch(event) for pattern in self._events)

    # Delivering

    def pump(self) -> int:
        """Deliver everything due now; returns how many requests went out."""
        if not self.url or not self.subscription.enabled:
            return 0
        with self._pumping:
            return sum(self._deliver(delivery) for delivery in self._due())

    def _due(self) -> list[WebhookDelivery]:
        now = self._now()
        with self.world.changing():
            due = []
            for delivery in list(self.world.waiting.values()):
                if delivery.due <= now and self._goes_out(delivery, now):
                    due.append(delivery)
        if self.faults.shuffle_seed is not None:
            # A shuffle that a test can repeat, nothing secret.
            random.Random(self.faults.shuffle_seed).shuffle(due)  # noqa: S311
        return due

    def _goes_out(self, delivery: WebhookDelivery, now: datetime) -> bool:
        """Whether it may go now; else it was put aside by a fault."""
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

    def _deliver(self, delivery: WebhookDelivery) -> int:
        out = self._prepared(delivery)
        sent = 1
        status = self._attempt(out)
        if out.twice:
            self._attempt(replace(out, headers=out.headers | {"x-zm-trackingid": _tracking_id()}))
            sent += 1
        with self.world.changing():
            self._note(delivery, status)
        return sent

    def _prepared(self, delivery: WebhookDelivery) -> _Out:
        now = self._now()
        with self.world.changing():
            delivery.first_sent_at = delivery.first_sent_at or now
            self.world.keep_delivery(delivery)
        stamped = now if self.faults.restamp_repeats else delivery.first_sent_at
        raw = compact_json(delivery.body)
        wrong = self.faults.bad_signature(delivery.body)
        headers = self._headers(raw, stamped - self.faults.age, "not the secret" if wrong else self.secret)
        return _Out(delivery, headers, raw, twice=self.faults.duplicate(delivery.body))

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

    def _attempt(self, out: _Out) -> int:
        """The status, or 0 when nobody answered."""
        try:
            answer = self._post(self.url, out.headers, out.raw)
        except OSError as error:
            log.info("webhook %s: nobody answered (%s)", out.delivery.event, type(error).__name__)
            return 0
        return answer.status if isinstance(answer, WebhookAnswer) else answer

    def _note(self, delivery: WebhookDelivery, status: int) -> None:
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
        """Let go what was held back, and hold nothing more; returns how many."""
        self.faults.hold = match_no_event
        with self.world.changing():
            deliveries = [one for one in self.world.deliveries.values() if one.state == "held"]
            for delivery in deliveries:
                delivery.state, delivery.due = "waiting", self._now()
                self.world.keep_delivery(delivery)
            return len(deliveries)

    def send_again(self, delivery_id: int) -> None:
        """Deliver one once more, whatever became of it: Zoom has been seen to repeat delivered events.

        :raises KeyError: for an unknown id.
        """
        with self.world.changing():
            delivery = self.world.deliveries[delivery_id]
            delivery.state, delivery.due, delivery.attempts = "waiting", self._now(), 0
            self.world.keep_delivery(delivery)

    # The check of the endpoint

    def validate(self) -> bool:
        """Ask the endpoint to prove that it knows the secret (`endpoint.url_validation`)."""
        token = random_secret(16).replace("-", "a").replace("_", "b")
        now = self._now()
        raw = compact_json(
            {"payload": {"plainToken": token}, "event_ts": to_milliseconds(now), "event": "endpoint.url_validation"}
        )
        try:
            answer = self._post(self.url, self._headers(raw, now, self.secret), raw)
        except OSError:
            answer = WebhookAnswer(0)
        right = isinstance(answer, WebhookAnswer) and answer.status == 200 and self._proves(answer.body, token)
        known = self.subscription.ever_valid
        failed = 0 if right or not known else self.subscription.failed_in_a_row + 1
        self.subscription = WebhookSubscription(right, known or right, failed, now)
        return right

    def _proves(self, body: bytes, token: str) -> bool:
        try:
            return bool(json.loads(body) == url_validation_answer(token, self.secret))
        except ValueError:
            return False

    def _validate_if_due(self) -> None:
        checked = self.subscription.checked_at
        again = REVALIDATE_AFTER if self.subscription.ever_valid else SET_UP_AGAIN_AFTER
        if self.url and (checked is None or self._now() - checked >= again):
            self.validate()

    # In real life

    def start(self) -> None:
        """Deliver from a thread of its own until `stop()`."""
        if self._thread is None:
            self._stopping.clear()
            self._thread = threading.Thread(target=self._run, name="pretend-zoom-webhooks", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Stop the thread; what was not delivered stays in the queue."""
        self._stopping.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout=2 * TIMEOUT_SECONDS)
            self._thread = None

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                if not self.pump():
                    self._validate_if_due()
                    self._wake.wait(1.0)
            except Exception:
                log.exception("the pretend Zoom could not deliver; it goes on")
                self._stopping.wait(1.0)


def _tracking_id() -> str:
    return f"v=2.0;clid=us06;rid=WEB_{random_secret(16)}"
