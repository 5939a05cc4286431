"""Process-local rate limiter and circuit breaker for Zoom's API.

Zoom counts requests per account and second, by each operation's label (developers.zoom.us, "Rate limits"); on a Pro
plan LIGHT 30, MEDIUM 20, HEAVY 10, and 10 RESOURCE-intensive ones per minute.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Protocol

from portal.zoom.errors import CircuitOpen, ZoomUnavailable

LIGHT, MEDIUM, HEAVY, RESOURCE = "light", "medium", "heavy", "resource"

# Requests per second. The burst is a fifth of it, so no second exceeds what a Pro plan allows.
PRO_RATES = {LIGHT: 25.0, MEDIUM: 16.0, HEAVY: 8.0, RESOURCE: 8 / 60}


class RateLimiter(Protocol):
    """Decides when the next request may be sent."""

    def wait(self, label: str) -> None:
        """Block until a request with this label may be sent."""
        ...


class NullRateLimiter:
    """Rate limiter that never waits."""

    def wait(self, label: str) -> None:
        """See `RateLimiter.wait`."""


class LocalRateLimiter:
    """A token bucket per label for the threads of one process; ``now`` and ``sleep`` are in seconds."""

    def __init__(
        self,
        rates: Mapping[str, float] | None = None,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._rates = dict(PRO_RATES if rates is None else rates)
        self._now = now
        self._sleep = sleep
        self._lock = threading.Lock()
        self._due_by_label: dict[str, float] = {}

    def wait(self, label: str) -> None:
        """See `RateLimiter.wait`; a label without a rate never waits."""
        rate = self._rates.get(label)
        if rate is None:
            return
        pause = self._reserve_slot(label, rate)
        if pause > 0:
            self._sleep(pause)

    def _reserve_slot(self, label: str, rate: float) -> float:
        interval, burst = 1 / rate, max(1, int(rate / 5))
        with self._lock:
            now = self._now()
            due = self._due_by_label.get(label, now)
            start = max(now, due - (burst - 1) * interval)
            self._due_by_label[label] = max(due, start) + interval
        return start - now


class CircuitBreaker:
    """Opens after ``threshold`` failures in a row; then lets one probe through per ``pause`` until one succeeds."""

    def __init__(
        self,
        now: Callable[[], datetime],
        *,
        threshold: int = 5,
        pause: timedelta = timedelta(seconds=30),
    ) -> None:
        self._now = now
        self._threshold = threshold
        self._pause = pause
        self._lock = threading.Lock()
        self._failures = 0
        self._last_try: datetime | None = None

    @property
    def is_open(self) -> bool:
        """True while requests are held back."""
        return self._failures >= self._threshold

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Run one request and count its outcome. Raises `CircuitOpen` instead of starting it while the circuit is open.

        Only `ZoomUnavailable` counts as a failure; any other outcome, refusals included, shows that Zoom responds.
        """
        self._check_closed()
        try:
            yield
        except ZoomUnavailable:
            self._record_outcome(failed=True)
            raise
        except BaseException:
            self._record_outcome(failed=False)
            raise
        self._record_outcome(failed=False)

    def _check_closed(self) -> None:
        with self._lock:
            now = self._now()
            # abs: a clock that was set back must not keep the circuit open indefinitely
            if self.is_open and self._last_try is not None and abs(now - self._last_try) < self._pause:
                raise CircuitOpen("not sent: Zoom failed several times in a row")
            self._last_try = now

    def _record_outcome(self, *, failed: bool) -> None:
        with self._lock:
            self._failures = self._failures + 1 if failed else 0
            if failed:
                self._last_try = self._now()
