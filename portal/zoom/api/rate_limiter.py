"""Keeping below Zoom's rates, and keeping away from a Zoom that is down.

Zoom counts per account and second, by the label each operation has (developers.zoom.us, "Rate limits"); on a
Pro plan LIGHT 30, MEDIUM 20, HEAVY 10, and 10 RESOURCE-intensive ones per minute.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Protocol

from portal.zoom.errors import CircuitOpen, ZoomUnavailable

LIGHT, MEDIUM, HEAVY, RESOURCE = "light", "medium", "heavy", "resource"

# Requests per second. A fifth of it may come at once, so no second sees more than a Pro plan allows.
PRO_RATES = {LIGHT: 25.0, MEDIUM: 16.0, HEAVY: 8.0, RESOURCE: 8 / 60}


class RateLimiter(Protocol):
    """Whoever decides when the next request may go."""

    def wait(self, label: str) -> None:
        """Return when a request with this label may be sent."""
        ...


class NullRateLimiter:
    """Never waits."""

    def wait(self, label: str) -> None:
        """See `Pace.wait`."""


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
        self._due: dict[str, float] = {}

    def wait(self, label: str) -> None:
        """See `Pace.wait`; a label without a rate never waits."""
        rate = self._rates.get(label)
        if rate is None:
            return
        pause = self._book(label, rate)
        if pause > 0:
            self._sleep(pause)

    def _book(self, label: str, rate: float) -> float:
        every, burst = 1 / rate, max(1, int(rate / 5))
        with self._lock:
            now = self._now()
            due = self._due.get(label, now)
            start = max(now, due - (burst - 1) * every)
            self._due[label] = max(due, start) + every
        return start - now


class CircuitBreaker:
    """Opens after ``threshold`` failures in a row; then one probe per ``pause`` until something answers."""

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
        """Tell whether requests are held back."""
        return self._failures >= self._threshold

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Watch one exchange. Raises `CircuitOpen` instead of starting it while the circuit is open.

        `ZoomUnavailable` counts as a failure; any other outcome, a refusal too, shows that Zoom answers.
        """
        self._admit()
        try:
            yield
        except ZoomUnavailable:
            self._note(failed=True)
            raise
        except BaseException:
            self._note(failed=False)
            raise
        self._note(failed=False)

    def _admit(self) -> None:
        with self._lock:
            now = self._now()
            # abs: a clock set back must not keep the circuit open for ever
            if self.is_open and self._last_try is not None and abs(now - self._last_try) < self._pause:
                raise CircuitOpen("not sent: Zoom failed several times in a row")
            self._last_try = now

    def _note(self, *, failed: bool) -> None:
        with self._lock:
            self._failures = self._failures + 1 if failed else 0
            if failed:
                self._last_try = self._now()
