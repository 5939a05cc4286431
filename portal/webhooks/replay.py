"""replay(states) and renew(condition): stored deliveries are projected again."""

from sqlalchemy import ColumnElement, update

from portal.core.db import execute_rowcount, write_transaction
from portal.core.worker_signals import notify_worker
from portal.webhooks.codes import DeliveryState
from portal.webhooks.models import ZoomEvent


def replay_deliveries(states: tuple[str, ...]) -> int:
    """Make deliveries of these states new again, e.g. those set aside, after a repair; how many."""
    return requeue_deliveries(ZoomEvent.state.in_(states))


def requeue_deliveries(which: ColumnElement[bool]) -> int:
    """Make the deliveries for which the condition holds new again, with no tries behind them; how many."""
    with write_transaction():
        changed = execute_rowcount(
            update(ZoomEvent)
            .where(which)
            .values(state=DeliveryState.PENDING, attempts=0, next_attempt_at=None, error=None)
            .execution_options(synchronize_session=False)
        )
    notify_worker("inbox")
    return changed
