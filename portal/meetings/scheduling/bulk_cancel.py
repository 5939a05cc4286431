"""Cancelling many dates at once: of a class that is closed, or on a day off."""

from collections.abc import Mapping
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import joinedload

from portal.accounts.models import User
from portal.core.db import db, write_transaction
from portal.core.worker_signals import Topic, notify_worker
from portal.meetings.models import MeetingOccurrence
from portal.meetings.scheduling import schedules
from portal.meetings.service import MeetingNotChangeable

CANCEL_BATCH = 15  # dates per transaction: 0.15 s of SQLite's write lock on a slow core; a delivery waits up to 0.7 s


def cancel_in_batches(user: User, reasons: Mapping[UUID, str]) -> int:
    """Cancel dates, each for its reason, in transactions of CANCEL_BATCH; returns how many were cancelled.

    SQLite's one writer is free for webhook deliveries in between. Each date stands for itself: after an interruption
    the rest are still scheduled.
    """
    order = select(MeetingOccurrence.id).where(MeetingOccurrence.id.in_(reasons))
    # A fixed lock order prevents deadlocks.
    ids = db.session.scalars(order.order_by(MeetingOccurrence.meeting_id, MeetingOccurrence.starts_at)).all()
    cancelled_count = 0
    for start in range(0, len(ids), CANCEL_BATCH):
        batch = ids[start : start + CANCEL_BATCH]
        cancelled_count += _cancel_batch(user, {key: reasons[key] for key in batch})
        notify_worker(Topic.MEETINGS)  # after the commit: a worker signalled earlier saw nothing yet
    return cancelled_count


def _cancel_batch(user: User, reasons: Mapping[UUID, str]) -> int:
    cancelled_count = 0
    with write_transaction() as session:
        rows = session.scalars(
            select(MeetingOccurrence)
            .where(MeetingOccurrence.id.in_(reasons))
            .options(joinedload(MeetingOccurrence.meeting))
            .order_by(MeetingOccurrence.meeting_id, MeetingOccurrence.starts_at)
        ).all()
        for row in rows:
            try:
                schedules.cancel_occurrence(user, row, reasons[row.id])
            except MeetingNotChangeable:  # started, or cancelled by somebody else, just now
                continue
            cancelled_count += 1
    return cancelled_count
