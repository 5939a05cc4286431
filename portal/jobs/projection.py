"""Projecting the inbox: stored deliveries become stays, many at a time, in any order."""

import json
import logging
from datetime import timedelta

from sqlalchemy import and_, exists, or_, select, update

from portal.attendance.evidence import project
from portal.base import clock
from portal.base.db import db, is_postgresql, writing
from portal.base.leases import backoff
from portal.base.wake import wake
from portal.inbox.models import ZoomEvent
from portal.meetings.models import ZoomMeeting
from portal.zoom.events import parse

log = logging.getLogger("portal.jobs")
AT_ONCE = 200
TRIES = 5


def project_due() -> int:
    """Project what is new; the number of deliveries looked at. One that raises does not hold up the rest."""
    _recall_waiting()
    ids = _due_ids()
    if not ids:
        return 0
    try:
        with writing():
            touched = [_project(event_id) for event_id in _lock(ids)]
    except Exception:  # noqa: BLE001 - any event may be the poison one: find it by taking them one at a time
        touched = [_project_alone(event_id) for event_id in ids]
    if any(touched):
        wake("attendance")
    return len(ids)


def _recall_waiting() -> None:
    """Events that came before the portal knew their meeting are new again once it does."""
    known = exists().where(ZoomMeeting.zoom_id == ZoomEvent.zoom_meeting_id)
    found = db.session.scalar(select(ZoomEvent.id).where(ZoomEvent.state == "waiting", known).limit(1))
    if found is None:
        return
    with writing() as session:
        session.execute(
            update(ZoomEvent)
            .where(ZoomEvent.state == "waiting", known)
            .values(state="new", next_try_at=None)
            .execution_options(synchronize_session=False)
        )


def _due_ids() -> list[int]:
    now = clock.now()
    due = and_(ZoomEvent.state == "new", or_(ZoomEvent.next_try_at.is_(None), ZoomEvent.next_try_at <= now))
    return list(db.session.scalars(select(ZoomEvent.id).where(due).order_by(ZoomEvent.id).limit(AT_ONCE)))


def _lock(ids: list[int]) -> list[int]:
    """Those of the deliveries that nobody else is projecting right now."""
    rows = select(ZoomEvent.id).where(ZoomEvent.id.in_(ids), ZoomEvent.state == "new").order_by(ZoomEvent.id)
    if is_postgresql():
        rows = rows.with_for_update(skip_locked=True)
    return list(db.session.scalars(rows))


def _project(event_id: int) -> bool:
    row = db.session.get(ZoomEvent, event_id)
    if row is None or row.state != "new":
        return False
    result = project(parse(json.loads(row.raw)))
    row.state, row.projected_at, row.error = result.state, clock.now(), None
    return result.occurrence_id is not None


def _project_alone(event_id: int) -> bool:
    try:
        with writing():
            return any(_project(locked) for locked in _lock([event_id]))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is written on the row and the rest goes on
        log.warning("event %s could not be projected: %s", event_id, type(error).__name__)
        _count_failure(event_id, error)
        return False


def _count_failure(event_id: int, error: Exception) -> None:
    with writing() as session:
        row = session.get(ZoomEvent, event_id, populate_existing=True)
        if row is None:
            return
        row.attempts += 1
        row.error = f"{type(error).__name__}: {error}"[:500]
        row.state = "set aside" if row.attempts >= TRIES else "new"
        row.next_try_at = clock.now() + min(backoff(row.attempts), timedelta(seconds=30))


def replay(states: tuple[str, ...]) -> int:
    """Make deliveries of these states new again, e.g. those set aside, after a repair."""
    with writing() as session:
        done = session.execute(
            update(ZoomEvent)
            .where(ZoomEvent.state.in_(states))
            .values(state="new", attempts=0, next_try_at=None, error=None)
        )
    wake("inbox")
    return int(done.rowcount)  # type: ignore[attr-defined]  # CursorResult at run time
