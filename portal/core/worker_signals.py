"""In-process signals to the worker that rows are due. The rows are the queue; a signal only saves the polling interval.

A worker thread in this process wakes at once. A worker in another process polls for due rows every second, so nothing
depends on a signal that could be lost.
"""

import threading
from enum import StrEnum


class Topic(StrEnum):
    """What the rows are about: each is also the name of the job that works on them (`jobs.worker.JOBS`)."""

    DELIVERIES = "deliveries"  # stored webhook deliveries
    LATE_DELIVERIES = "late_deliveries"  # deliveries that came before their meeting was known
    SHEETS = "sheets"  # sheets marked for recompute
    MEETINGS = "meetings"  # meetings to create, change or delete at Zoom
    ROSTERS = "rosters"  # rosters whose registrant rows are to be listed
    REGISTRATION = "registration"  # registrant rows to bring to Zoom
    REPORTS = "reports"  # Zoom's reports to request
    AUTH_REQUESTS = "auth_requests"  # requests of signed-out visitors
    MAIL = "mail"  # queued e-mails
    NOTIFICATIONS = "notifications"  # events to notify about
    ROSTER_CHANGES = "roster_changes"  # rosters changed for past days
    ERASURES = "erasures"  # requested erasures
    ERASURE_FOLLOW_UP = "erasure_follow_up"  # erasures while Zoom may still name the learner
    PURGE = "purge"  # expired rows
    OVERDUE_MEETINGS = "overdue_meetings"  # classes whose end event never came


_condition = threading.Condition()
_signalled_topics: set[Topic] = set()


def notify_worker(topic: Topic) -> None:
    """Signal that rows of the topic may be due."""
    with _condition:
        _signalled_topics.add(topic)
        _condition.notify_all()


def wait_for_signal(topic: Topic, timeout: float) -> bool:
    """Block until the topic is signalled or `timeout` seconds have passed; returns whether it was, and clears it."""
    with _condition:
        was_signalled = _condition.wait_for(lambda: topic in _signalled_topics, timeout)
        _signalled_topics.discard(topic)
        return was_signalled
