"""How many meetings of a host were created or changed today: Zoom allows 100 a UTC day (its "Rate limits" page).

Counted before the request goes out, because afterwards nobody may be there to count.
"""

from datetime import UTC, date, datetime

from sqlalchemy import ColumnElement, select, update

from portal.core import clock
from portal.core.db import (
    db,
    execute_rowcount,
    insert_if_absent,
    write_transaction,
)
from portal.zoom.api.rate_limit_errors import next_utc_midnight
from portal.zoom_account.models import ZoomQuota

WRITES_PER_DAY = 100
WARNING_THRESHOLD = 80


def zoom_quota_day() -> date:
    """Zoom's day: it begins at 00:00 UTC, which is 8:00 AM in Manila."""
    return clock.now().astimezone(UTC).date()


def writes_used_today(host: str) -> int:
    """Creates and updates of the host's meetings since 00:00 UTC."""
    return (
        db.session.scalar(
            select(ZoomQuota.writes_used).where(ZoomQuota.host == host, ZoomQuota.day == zoom_quota_day())
        )
        or 0
    )


def quota_resets_at() -> datetime:
    return next_utc_midnight(clock.now())


def consume_host_write(host: str) -> bool:
    """Count one write. False, and nothing counted, where the host has none left today."""
    insert_if_absent(ZoomQuota, {"host": host, "day": zoom_quota_day(), "writes_used": 0}, ["host", "day"])
    return _add(host, 1, ZoomQuota.writes_used < WRITES_PER_DAY)


def refund_host_write(host: str) -> None:
    """The write was never sent."""
    with write_transaction():
        _add(host, -1, ZoomQuota.writes_used > 0)


def mark_quota_exhausted(host: str) -> None:
    """Zoom says so itself: somebody else's app writes for this host, too."""
    with write_transaction() as session:
        insert_if_absent(ZoomQuota, {"host": host, "day": zoom_quota_day(), "writes_used": 0}, ["host", "day"])
        session.execute(
            update(ZoomQuota)
            .where(ZoomQuota.host == host, ZoomQuota.day == zoom_quota_day(), ZoomQuota.writes_used < WRITES_PER_DAY)
            .values(writes_used=WRITES_PER_DAY)
        )


def _add(host: str, number: int, condition: ColumnElement[bool]) -> bool:
    done = execute_rowcount(
        update(ZoomQuota)
        .where(ZoomQuota.host == host, ZoomQuota.day == zoom_quota_day(), condition)
        .values(writes_used=ZoomQuota.writes_used + number)
        .execution_options(synchronize_session=False)
    )
    return done == 1
