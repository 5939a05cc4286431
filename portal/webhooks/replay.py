"""replay(states) and renew(condition): stored deliveries are projected again."""

from sqlalchemy import ColumnElement, update

from portal.core.db import rows_changed, writing
from portal.core.worker_signals import wake
from portal.webhooks.models import ZoomEvent


def replay(states: tuple[str, ...]) -> int:
    """Make deliveries of these states new again, e.g. those set aside, after a repair; how many."""
    return renew(ZoomEvent.state.in_(states))


def renew(which: ColumnElement[bool]) -> int:
    """Make the deliveries for which the condition holds new again, with no tries behind them; how many."""
    with writing():
        changed = rows_changed(
            update(ZoomEvent)
            .where(which)
            .values(state="new", attempts=0, next_try_at=None, error=None)
            .execution_options(synchronize_session=False)
        )
    wake("inbox")
    return changed
