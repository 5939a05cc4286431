"""How many meetings of a host were created or changed today: Zoom allows 100 a UTC day (its "Rate limits" page).

Counted before the request goes out, because afterwards nobody may be there to count.
"""

from datetime import UTC, date, datetime

from sqlalchemy import ColumnElement, select, update

from portal.core import clock
from portal.core.db import (
    db,
    insert_once,
    rows_changed,
    writing,
)
from portal.zoom.api.rate_limit_errors import next_utc_midnight
from portal.zoom_account.models import ZoomQuota

A_DAY = 100
WARN_FROM = 80


def today() -> date:
    """Zoom's day: it begins at 00:00 UTC, which is 8:00 AM in Manila."""
    return clock.now().astimezone(UTC).date()


def used(host: str) -> int:
    """Creates and updates of the host's meetings since 00:00 UTC."""
    return db.session.scalar(select(ZoomQuota.writes).where(ZoomQuota.host == host, ZoomQuota.day == today())) or 0


def resumes_at() -> datetime:
    return next_utc_midnight(clock.now())


def take(host: str) -> bool:
    """Count one write. False, and nothing counted, where the host has none left today."""
    insert_once(ZoomQuota, {"host": host, "day": today(), "writes": 0}, ["host", "day"])
    return _add(host, 1, ZoomQuota.writes < A_DAY)


def give_back(host: str) -> None:
    """The write was never sent."""
    with writing():
        _add(host, -1, ZoomQuota.writes > 0)


def used_up(host: str) -> None:
    """Zoom says so itself: somebody else's app writes for this host, too."""
    with writing() as session:
        insert_once(ZoomQuota, {"host": host, "day": today(), "writes": 0}, ["host", "day"])
        session.execute(
            update(ZoomQuota)
            .where(ZoomQuota.host == host, ZoomQuota.day == today(), ZoomQuota.writes < A_DAY)
            .values(writes=A_DAY)
        )


def _add(host: str, number: int, condition: ColumnElement[bool]) -> bool:
    done = rows_changed(
        update(ZoomQuota)
        .where(ZoomQuota.host == host, ZoomQuota.day == today(), condition)
        .values(writes=ZoomQuota.writes + number)
        .execution_options(synchronize_session=False)
    )
    return done == 1
