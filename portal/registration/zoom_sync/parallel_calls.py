"""Calls to Zoom side by side, ten at a time for the whole process, whatever number of meetings they are for."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import cache
from typing import Generic, TypeVar

from portal.zoom.errors import ZoomError

MAX_IN_FLIGHT = 10
WAIT_SECONDS = 60.0  # seconds; after them nothing more is begun, well before the rows' lease runs out

Part = TypeVar("Part")
Answer = TypeVar("Answer")


class CallNotSent:
    """The outcome of a call that was not begun, since an earlier one showed that there is no point."""


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(MAX_IN_FLIGHT, thread_name_prefix="to-zoom")


class ParallelCalls(Generic[Part, Answer]):
    """Sends parts side by side. Iterating gives the finished ones, several at a time, as
    (part, answer or ZoomError or NotSent)."""

    def __init__(
        self, send: Callable[[Part], Answer], parts: Sequence[Part], ends_all: Callable[[ZoomError], bool]
    ) -> None:
        """`ends_all` tells of an error whether the calls not begun yet would fail too."""
        self._send = send
        self._ends_all = ends_all
        self._stopped = False
        self._until = time.monotonic() + WAIT_SECONDS
        self._calls: dict[Future[Answer | ZoomError | CallNotSent], Part] = {
            _pool().submit(self._one, part): part for part in parts
        }

    def __iter__(self) -> Iterator[list[tuple[Part, Answer | ZoomError | CallNotSent]]]:
        left = set(self._calls)
        try:
            while left:
                done, left = wait(left, return_when=FIRST_COMPLETED)
                yield [(self._calls[call], call.result()) for call in done]
        finally:
            # Nobody may take the rows while their calls are still under way.
            self._stopped = True
            wait(left)

    def _one(self, part: Part) -> Answer | ZoomError | CallNotSent:
        if self._stopped or time.monotonic() > self._until:
            return CallNotSent()
        try:
            return self._send(part)
        except ZoomError as error:
            self._stopped = self._stopped or self._ends_all(error)
            return error
