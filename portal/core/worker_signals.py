"""In-process signals to the worker that rows are due. The rows are the queue; a signal only saves the polling interval.

A worker thread in this process wakes at once. A worker in another process polls for due rows every second, so nothing
depends on a signal that could be lost.
"""

import threading

_condition = threading.Condition()
_signalled_topics: set[str] = set()


def notify_worker(topic: str) -> None:
    """Signal that rows of the topic may be due."""
    with _condition:
        _signalled_topics.add(topic)
        _condition.notify_all()


def wait_for_signal(topics: frozenset[str], timeout: float) -> set[str]:
    """Block until one of the topics is signalled or `timeout` seconds have passed; returns and clears those
    signalled."""
    with _condition:
        _condition.wait_for(lambda: bool(_signalled_topics & topics), timeout)
        signalled = _signalled_topics & topics
        _signalled_topics.difference_update(signalled)
        return signalled
