"""Shared rate limiter: all processes keep Zoom's rates together, through the database.

Zoom counts requests per account and second, by each operation's label. Here a request first reserves a time slot, so
that no second has more of them than a Pro plan allows, whichever process sends. Threads of one process that wait at the
same time reserve together in one short transaction, which is cheap and leaves no slot unused.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import JSON, String, extract, func, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.db import (
    Model,
    db,
    insert_if_absent,
    is_postgresql,
    write_transaction,
)
from portal.zoom.api.rate_limiter import (
    HEAVY,
    LIGHT,
    MEDIUM,
    RESOURCE,
    LocalRateLimiter,
)

log = logging.getLogger("portal.zoom_account")
LOCK_WAIT_MS = 1000


@dataclass(frozen=True)
class RateLimit:
    """At most `requests` in any `seconds`."""

    requests: int
    seconds: float


# 10 % below Zoom's limits and in slightly longer seconds, as requests do not arrive as evenly as they were sent.
CATEGORY_RATES = {
    "pro": {
        LIGHT: RateLimit(27, 1.05),
        MEDIUM: RateLimit(18, 1.05),
        HEAVY: RateLimit(9, 1.05),
        RESOURCE: RateLimit(9, 61),
    },
    "business": {
        LIGHT: RateLimit(72, 1.05),
        MEDIUM: RateLimit(54, 1.05),
        HEAVY: RateLimit(36, 1.05),
        RESOURCE: RateLimit(18, 61),
    },
}


class ZoomRateSlots(Model):
    """Reserved slots of one label, in seconds of the shared clock (see `_shared_clock`), the latest last."""

    __tablename__ = "zoom_rate_slots"

    name: Mapped[str] = mapped_column(String(80), primary_key=True)
    reserved_at: Mapped[list[float]] = mapped_column(JSON, default=list)


@dataclass
class _Queue:
    """Threads of this process that wait for a slot of one label."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    booking: threading.Lock = field(default_factory=threading.Lock)
    waiting: list["_Reservation"] = field(default_factory=list)


@dataclass
class _Reservation:
    start: float | None = None  # on this process's monotonic clock


class DatabaseRateLimiter:
    """A `RateLimiter` of `portal.zoom` on the table `zoom_rate_slots`; safe for threads.

    `app_context` is entered for every reservation, because the client may call from threads of its own. `rates`
    defaults to those of a Pro plan. If the database is unavailable, a process-local limiter is used.
    """

    def __init__(
        self,
        account: str,
        app_context: Callable[[], AbstractContextManager[Any]],
        rates: Mapping[str, RateLimit] | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._account = account
        self._app_context = app_context
        self._rates = dict(CATEGORY_RATES["pro"] if rates is None else rates)
        self._sleep = sleep
        self._queues = {label: _Queue() for label in self._rates}
        self._local_limiter = LocalRateLimiter(sleep=sleep)

    def wait(self, label: str) -> None:
        """Block until a request with this label may be sent; a label without a rate never waits."""
        queue = self._queues.get(label)
        if queue is None:
            return
        reservation = _Reservation()
        with queue.lock:
            queue.waiting.append(reservation)
        with queue.booking:  # the first thread reserves for all queued ones, which then find it done
            if reservation.start is None:
                self._reserve_for_all(label, queue)
        if reservation.start is None:
            self._local_limiter.wait(label)
            return
        pause = reservation.start - time.monotonic()
        if pause > 0:
            self._sleep(pause)

    def _reserve_for_all(self, label: str, queue: _Queue) -> None:
        with queue.lock:
            reservations, queue.waiting = queue.waiting, []
        try:
            with self._app_context():
                pauses = reserve_rate_slots(f"{self._account}/{label}", self._rates[label], len(reservations))
        except SQLAlchemyError as error:
            log.warning("shared rate limiter unavailable, using the process-local one: %s", type(error).__name__)
            return
        now = time.monotonic()
        for reservation, pause in zip(reservations, pauses, strict=True):
            reservation.start = now + pause


def reserve_rate_slots(name: str, rate: RateLimit, count: int) -> list[float]:
    """Reserve `count` slots as early as the rate allows; returns seconds from now for each.

    A slot is at least `rate.seconds` after the one reserved `rate.requests` before it.
    """
    with write_transaction(LOCK_WAIT_MS) as session:
        insert_if_absent(ZoomRateSlots, {"name": name, "reserved_at": []}, ["name"])
        reserved = list(
            session.scalars(select(ZoomRateSlots.reserved_at).where(ZoomRateSlots.name == name).with_for_update()).one()
        )
        now = _shared_clock()
        # Drop slots far in the future: the clock was set back, or the computer restarted.
        horizon = 10 * rate.seconds
        reserved = sorted(moment for moment in reserved if now - rate.seconds < moment < now + horizon)
        starts = []
        for _ in range(count):
            start = now if len(reserved) < rate.requests else max(now, reserved[-rate.requests] + rate.seconds)
            reserved.append(start)
            starts.append(start - now)
        session.execute(update(ZoomRateSlots).where(ZoomRateSlots.name == name).values(reserved_at=reserved))
    return starts


def _shared_clock() -> float:
    """Seconds of the clock that all processes share: the database server's, or on SQLite this computer's monotonic
    clock."""
    if is_postgresql():
        return float(db.session.scalars(select(extract("epoch", func.clock_timestamp()))).one())
    return time.monotonic()
