"""Replay of stored webhook deliveries: their rows are put back in the queue of the projection."""

from sqlalchemy import ColumnElement, update

from portal.core.db import execute_rowcount, write_transaction
from portal.core.worker_signals import Topic, notify_worker
from portal.webhooks.codes import DeliveryState
from portal.webhooks.models import ZoomEvent


def replay_deliveries(states: tuple[str, ...]) -> int:
    """Reset deliveries of these states to pending, e.g. failed ones after a fix; returns how many."""
    return requeue_deliveries(ZoomEvent.state.in_(states))


def requeue_deliveries(condition: ColumnElement[bool]) -> int:
    """Reset the deliveries that match the condition to pending, with zero attempts; returns how many."""
    with write_transaction():
        row_count = execute_rowcount(
            update(ZoomEvent)
            .where(condition)
            .values(state=DeliveryState.PENDING, attempts=0, next_attempt_at=None, error=None)
            .execution_options(synchronize_session=False)
        )
    notify_worker(Topic.DELIVERIES)
    return row_count
