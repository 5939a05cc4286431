"""Zoom's rates, kept by all processes together through the database.

Zoom counts requests per account and second, by the label each operation has. Here a request first books a
moment: never more of them in any second than a Pro plan allows, whatever process asks. The threads of one
process that wait at the same time book together, in one short transaction, so that it costs little and no
booking is left unused.
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


# A tenth less than Zoom allows, in seconds that are a little longer: requests do not arrive as they were sent.
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
    """The moments that are booked with one label, in seconds of the clock that all share, the latest last."""

    __tablename__ = "zoom_rate_slots"

    name: Mapped[str] = mapped_column(String(80), primary_key=True)
    reserved_at: Mapped[list[float]] = mapped_column(JSON, default=list)


@dataclass
class _Queue:
    """The threads of this process that wait for a booking with one label."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    booking: threading.Lock = field(default_factory=threading.Lock)
    waiting: list["_Reservation"] = field(default_factory=list)


@dataclass
class _Reservation:
    start: float | None = None  # on this process's monotonic clock


class DatabaseRateLimiter:
    """A `Pace` of `portal.zoom` on the table `zoom_pace`; any thread may ask.

    `app_context` is entered for every booking, because the client may call from threads of its own. `rates`
    are those of a Pro plan unless told otherwise. Where the database cannot be asked, this process keeps a
    pace of its own.
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
        self._alone = LocalRateLimiter(sleep=sleep)

    def wait(self, label: str) -> None:
        """Return when a request with this label may be sent. A label without a rate never waits."""
        queue = self._queues.get(label)
        if queue is None:
            return
        ticket = _Reservation()
        with queue.lock:
            queue.waiting.append(ticket)
        with queue.booking:  # the first in books for all who came meanwhile; those find it done
            if ticket.start is None:
                self._book(label, queue)
        if ticket.start is None:
            self._alone.wait(label)
            return
        pause = ticket.start - time.monotonic()
        if pause > 0:
            self._sleep(pause)

    def _book(self, label: str, queue: _Queue) -> None:
        with queue.lock:
            tickets, queue.waiting = queue.waiting, []
        try:
            with self._app_context():
                pauses = reserve_rate_slots(f"{self._account}/{label}", self._rates[label], len(tickets))
        except SQLAlchemyError as error:
            log.warning("the shared pace could not be asked: %s", type(error).__name__)
            return
        now = time.monotonic()
        for ticket, pause in zip(tickets, pauses, strict=True):
            ticket.start = now + pause


def reserve_rate_slots(name: str, rate: RateLimit, count: int) -> list[float]:
    """Book `count` moments as early as the rate allows; how many seconds from now each of them is.

    A moment is at least `rate.seconds` after the one that was booked `rate.requests` before it.
    """
    with write_transaction(LOCK_WAIT_MS) as session:
        insert_if_absent(ZoomRateSlots, {"name": name, "reserved_at": []}, ["name"])
        booked = list(
            session.scalars(select(ZoomRateSlots.reserved_at).where(ZoomRateSlots.name == name).with_for_update()).one()
        )
        now = _now()
        # Moments far ahead are from before the clock was set back, or the computer started again.
        longest = 10 * rate.seconds
        booked = sorted(moment for moment in booked if now - rate.seconds < moment < now + longest)
        starts = []
        for _ in range(count):
            start = now if len(booked) < rate.requests else max(now, booked[-rate.requests] + rate.seconds)
            booked.append(start)
            starts.append(start - now)
        session.execute(update(ZoomRateSlots).where(ZoomRateSlots.name == name).values(reserved_at=booked))
    return starts


def _now() -> float:
    """The one clock that all processes share: the database server's, or for a file this computer's since it was
    started."""
    if is_postgresql():
        return float(db.session.scalars(select(extract("epoch", func.clock_timestamp()))).one())
    return time.monotonic()
