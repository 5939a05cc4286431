"""Measurement of SQLite's write lock: how long each holder kept it. Benchmarks and tests observe it."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class WriteHold:
    """One hold of the write lock, from getting it to giving it back.

    `cpu_seconds` is the CPU time of the holding thread: unlike `seconds`, it does not depend on what else runs on the
    machine.
    """

    thread_id: int
    seconds: float
    cpu_seconds: float


_observers: list[Callable[[WriteHold], None]] = []


@contextmanager
def observe_write_holds(observer: Callable[[WriteHold], None]) -> Iterator[None]:
    """Call `observer` after each hold of the lock by any thread, until the block ends."""
    _observers.append(observer)
    try:
        yield
    finally:
        _observers.remove(observer)


class HoldTimer:
    """Times one hold. Start it after getting the lock and report it after giving the lock back, so that observers do
    not lengthen the hold."""

    __slots__ = ("_cpu_started", "_started", "hold")

    def __init__(self) -> None:
        self.hold: WriteHold | None = None
        self._started, self._cpu_started = time.perf_counter(), time.thread_time()

    def stop(self) -> None:
        """End the hold."""
        self.hold = WriteHold(
            threading.get_ident(), time.perf_counter() - self._started, time.thread_time() - self._cpu_started
        )

    def report(self) -> None:
        """Hand the ended hold to the observers."""
        if self.hold is not None:
            for observer in tuple(_observers):
                observer(self.hold)
