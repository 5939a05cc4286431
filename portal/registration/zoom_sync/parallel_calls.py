"""Thread pool for calls to Zoom: at most ten in flight in the whole process, over all meetings."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import cache
from typing import Generic, TypeVar

from portal.zoom.errors import ZoomError

MAX_IN_FLIGHT = 10
WAIT_SECONDS = 60.0  # after these seconds no further call is sent, well before the rows' lease expires

Part = TypeVar("Part")
Answer = TypeVar("Answer")


class CallNotSent:
    """The outcome of a call that was not sent, because an earlier error applies to all calls."""


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(MAX_IN_FLIGHT, thread_name_prefix="to-zoom")


class ParallelCalls(Generic[Part, Answer]):
    """Sends parts in parallel. Iterating yields lists of results as (part, answer or ZoomError or CallNotSent)."""

    def __init__(
        self, send: Callable[[Part], Answer], parts: Sequence[Part], ends_all: Callable[[ZoomError], bool]
    ) -> None:
        """`ends_all`: whether an error means that the calls not yet sent would fail too."""
        self._send = send
        self._ends_all = ends_all
        self._stopped = False
        self._deadline = time.monotonic() + WAIT_SECONDS
        self._calls: dict[Future[Answer | ZoomError | CallNotSent], Part] = {
            _pool().submit(self._send_part, part): part for part in parts
        }

    def __iter__(self) -> Iterator[list[tuple[Part, Answer | ZoomError | CallNotSent]]]:
        pending = set(self._calls)
        try:
            while pending:
                finished, pending = wait(pending, return_when=FIRST_COMPLETED)
                yield [(self._calls[call], call.result()) for call in finished]
        finally:
            # Wait for the calls in flight: the lease must not be released before they end.
            self._stopped = True
            wait(pending)

    def _send_part(self, part: Part) -> Answer | ZoomError | CallNotSent:
        if self._stopped or time.monotonic() > self._deadline:
            return CallNotSent()
        try:
            return self._send(part)
        except ZoomError as error:
            self._stopped = self._stopped or self._ends_all(error)
            return error
