"""Daily quota of meeting writes per host: Zoom allows 100 creates and updates per host and UTC day (its "Rate limits"
page).

A write is counted before its request is sent, because the process may die before it could count afterwards.
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
    """The UTC date, which is Zoom's day: it begins at 8:00 AM in Manila."""
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
    """The next 00:00 UTC."""
    return next_utc_midnight(clock.now())


def consume_host_write(host: str) -> bool:
    """Count one write; False, and not counted, if the host's quota is used up."""
    insert_if_absent(ZoomQuota, {"host": host, "day": zoom_quota_day(), "writes_used": 0}, ["host", "day"])
    return _add(host, 1, ZoomQuota.writes_used < WRITES_PER_DAY)


def refund_host_write(host: str) -> None:
    """Undo `consume_host_write` for a request that was not sent."""
    with write_transaction():
        _add(host, -1, ZoomQuota.writes_used > 0)


def mark_quota_exhausted(host: str) -> None:
    """Zoom reported the limit although our count is lower: another app writes for this host too."""
    with write_transaction() as session:
        insert_if_absent(ZoomQuota, {"host": host, "day": zoom_quota_day(), "writes_used": 0}, ["host", "day"])
        session.execute(
            update(ZoomQuota)
            .where(ZoomQuota.host == host, ZoomQuota.day == zoom_quota_day(), ZoomQuota.writes_used < WRITES_PER_DAY)
            .values(writes_used=WRITES_PER_DAY)
        )


def _add(host: str, delta: int, condition: ColumnElement[bool]) -> bool:
    row_count = execute_rowcount(
        update(ZoomQuota)
        .where(ZoomQuota.host == host, ZoomQuota.day == zoom_quota_day(), condition)
        .values(writes_used=ZoomQuota.writes_used + delta)
        .execution_options(synchronize_session=False)
    )
    return row_count == 1
