"""`wake(topic)`: tell the worker that rows are due. The rows are the truth; this only saves it a wait.

Within one process the worker is woken at once. A worker in another process looks for due rows every second,
so nothing depends on a signal that could get lost.
"""

import threading

_condition = threading.Condition()
_woken: set[str] = set()


def notify_worker(topic: str) -> None:
    with _condition:
        _woken.add(topic)
        _condition.notify_all()


def wait_for_signal(topics: frozenset[str], timeout: float) -> set[str]:
    """Wait until one of the topics is woken or `timeout` seconds have passed; take and return those woken."""
    with _condition:
        _condition.wait_for(lambda: bool(_woken & topics), timeout)
        taken = _woken & topics
        _woken.difference_update(taken)
        return taken
