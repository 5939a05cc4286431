"""The engine: brings Zoom to what the registrant rows want, each learner exactly once.

Before an add is sent, the rows say so (`posts`). If the answer never comes, whoever takes them next lists
what Zoom has, adopts those by their address, and sends only the rest. One-off meetings are registered in
batches of 30 side by side, others one by one with ten in flight.
"""

import logging
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, and_, or_, select

from portal.base import clock
from portal.base.db import db, writing
from portal.base.leases import next_try, take
from portal.meetings.models import ZoomMeeting
from portal.meetings.service import note
from portal.registration.models import MeetingRegistrant
from portal.zoom.client import ZoomClient
from portal.zoom.errors import ZoomError, ZoomRateLimited, ZoomRefused, ZoomUnavailable
from portal.zoom.models import Person, Registered

log = logging.getLogger("portal.registration")
BATCH = 30  # Zoom's limit for one batch call
IN_FLIGHT = 10
POSTS_A_DAY = 3  # Zoom's limit for one address and meeting
AT_ONCE = 120  # rows of one meeting that one worker takes at a time
_HOPELESS = ("gone", "host_not_licensed", "registration_off", "over", "full")

Rows = list[MeetingRegistrant]
Sent = list[Registered]


def due_meetings() -> list[UUID]:
    """Meetings at Zoom for which some registrant is to be added or taken away now, the soonest class first."""
    query = (
        select(ZoomMeeting.id)
        .where(
            ZoomMeeting.zoom_id.is_not(None),
            ZoomMeeting.state.in_(("scheduled", "started")),
            ZoomMeeting.id.in_(select(MeetingRegistrant.meeting_id).where(_due(), _free())),
        )
        .order_by(ZoomMeeting.starts_at)
        .limit(10)
    )
    return list(db.session.scalars(query))


def work(meeting_id: UUID, zoom: ZoomClient) -> int:
    """Do what is due for one meeting; the number of rows that were worked on."""
    ids = take(
        MeetingRegistrant,
        and_(MeetingRegistrant.meeting_id == meeting_id, _due()),
        limit=AT_ONCE,
    )
    meeting = db.session.get(ZoomMeeting, meeting_id, populate_existing=True)
    rows = list(
        db.session.scalars(
            select(MeetingRegistrant).where(MeetingRegistrant.id.in_(ids)).execution_options(populate_existing=True)
        )
    )
    try:
        if meeting and meeting.zoom_id and rows:
            _work(meeting, rows, zoom)
    finally:
        with writing():
            for row in rows:
                row.leased_until = None
    return len(rows)


def _due() -> ColumnElement[bool]:
    to_add = MeetingRegistrant.wanted & (MeetingRegistrant.state == "waiting")
    to_take_away = ~MeetingRegistrant.wanted & MeetingRegistrant.state.in_(("waiting", "registered", "pending"))
    in_time = or_(MeetingRegistrant.next_try_at.is_(None), MeetingRegistrant.next_try_at <= clock.now())
    return and_(or_(to_add, to_take_away), in_time)


def _free() -> ColumnElement[bool]:
    return or_(MeetingRegistrant.leased_until.is_(None), MeetingRegistrant.leased_until < clock.now())


def _work(meeting: ZoomMeeting, rows: Rows, zoom: ZoomClient) -> None:
    leaving = [row for row in rows if not row.wanted]
    joining = [row for row in rows if row.wanted]
    try:
        if leaving:
            _take_away(meeting, leaving, zoom)
        if any(row.posts for row in joining):
            joining = _adopt(meeting, joining, zoom)
        joining = _within_the_day(joining)
        if joining:
            _add(meeting, joining, zoom)
    except ZoomError as error:
        log.warning("meeting %s: registration: %s", meeting.id, error)
        _failed(meeting, [row for row in rows if row.state == "waiting" or not row.wanted], error)
    _tell_when_done(meeting)


def _take_away(meeting: ZoomMeeting, rows: Rows, zoom: ZoomClient) -> None:
    known = [row for row in rows if row.zoom_registrant_id]
    for start in range(0, len(known), BATCH):
        part = known[start : start + BATCH]
        zoom.set_registrants_status(
            meeting.zoom_id or "", "cancel", [(row.zoom_registrant_id or "", row.email) for row in part]
        )
        _set(part, state="cancelled", zoom_registrant_id=None, join_url=None, reason=None)
    _set([row for row in rows if not row.zoom_registrant_id], state="cancelled", reason=None)


def _adopt(meeting: ZoomMeeting, rows: Rows, zoom: ZoomClient) -> Rows:
    """Take over what Zoom has already, matched by address; the rows that it does not have."""
    by_address = {row.email: row for row in rows}
    for status, state in (("approved", "registered"), ("pending", "pending")):
        for found in zoom.list_registrants(meeting.zoom_id or "", status=status):
            row = by_address.get((found.email or "").lower())
            if row is not None and row.state == "waiting":
                _keep(row, found.id, found.join_url, state)
    return [row for row in rows if row.state == "waiting"]


def _within_the_day(rows: Rows) -> Rows:
    """Those that may be sent today. The others wait for 00:00 UTC (08:00 in Manila), when Zoom counts anew."""
    day = clock.now().astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    open_rows, spent = [], []
    for row in rows:
        if row.posts_day == day and row.posts >= POSTS_A_DAY:
            spent.append(row)
        else:
            open_rows.append(row)
    _set(spent, reason="limit of the day", next_try_at=day + timedelta(days=1))
    return open_rows


def _add(meeting: ZoomMeeting, rows: Rows, zoom: ZoomClient) -> None:
    _count_posts(rows)
    if not any(row.zoom_registrant_id for row in rows) and meeting.attempts == 0:
        _note_once(meeting, "registration began", rows)
    if meeting.kind == "recurring":
        _one_by_one(meeting, rows, zoom)
        return
    parts = [rows[start : start + BATCH] for start in range(0, len(rows), BATCH)]
    if len(rows) == 1:
        _one_by_one(meeting, rows, zoom)
        return
    singles = _each(parts, lambda part: zoom.add_registrants(meeting.zoom_id or "", _people(part)), meeting)
    if singles:
        _count_posts(singles)
        _one_by_one(meeting, singles, zoom)


def _people(rows: Rows) -> list[Person]:
    return [Person(email=row.email, first_name=row.first_name, last_name=row.last_name) for row in rows]


def _one_by_one(meeting: ZoomMeeting, rows: Rows, zoom: ZoomClient) -> None:
    _each(
        [[row] for row in rows],
        lambda part: [zoom.add_registrant(meeting.zoom_id or "", _people(part)[0])],
        meeting,
    )


def _each(parts: Iterable[Rows], send: Callable[[Rows], Sent], meeting: ZoomMeeting) -> Rows:
    """Send all parts side by side, keep each answer as it comes. Rows of a refused batch are returned, to be
    tried one by one, since one bad address refuses all thirty."""
    again: Rows = []
    trouble: ZoomError | None = None
    with ThreadPoolExecutor(IN_FLIGHT) as pool:
        calls: dict[Future[Sent], Rows] = {pool.submit(send, part): part for part in parts}
        for call in as_completed(calls):
            part = calls[call]
            try:
                _answered(part, call.result())
            except ZoomRefused as error:
                if any(getattr(error, meaning) for meaning in _HOPELESS):
                    trouble = error
                elif len(part) > 1:
                    again += part
                else:
                    _refused(part[0], error)
            except ZoomError as error:
                trouble = error
                _failed(meeting, part, error)
    if isinstance(trouble, ZoomRefused):
        raise trouble
    return again


def _answered(part: Rows, answer: Sent) -> None:
    """Match the answer by address, never by order. Who is not in it stays waiting and is looked for."""
    by_address = {row.email: row for row in part}
    for registered in answer:
        row = by_address.get((registered.email or "").lower()) or (part[0] if len(part) == 1 else None)
        if row is not None:
            state = "registered" if registered.join_url else "pending"
            _keep(row, registered.registrant_id, registered.join_url, state)
    _set([row for row in part if row.state == "waiting"], next_try_at=next_try(1))


def _keep(row: MeetingRegistrant, registrant_id: str, join_url: str | None, state: str) -> None:
    _set(
        [row],
        state=state,
        zoom_registrant_id=registrant_id,
        join_url=join_url,
        reason=None,
        attempts=0,
        next_try_at=None,
    )


def _refused(row: MeetingRegistrant, error: ZoomRefused) -> None:
    reason = "host" if error.not_registrable_host else "refused by Zoom"
    _set([row], state="failed", reason=reason)


def _failed(meeting: ZoomMeeting, rows: Rows, error: ZoomError) -> None:
    """A failure of the whole call: wait and look again, or give up where Zoom will say the same again."""
    if isinstance(error, ZoomRefused):
        meaning = next((name for name in _HOPELESS if getattr(error, name)), "refused by Zoom")
        _set(rows, state="failed", reason=meaning.replace("_", " "))
        if error.gone:
            with writing():
                meeting.state, meeting.wanted = "deleted", None
        return
    for row in rows:
        until = error.until if isinstance(error, ZoomRateLimited) and error.until else None
        sent = isinstance(error, ZoomUnavailable) and error.maybe_done
        _set(
            [row],
            attempts=row.attempts + 1,
            reason="rate limited" if isinstance(error, ZoomRateLimited) else "unavailable",
            next_try_at=until or next_try(row.attempts + 1),
            posts=row.posts if sent else max(0, row.posts - 1),
        )


def _count_posts(rows: Rows) -> None:
    day = clock.now().astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    with writing():
        for row in rows:
            row.posts = row.posts + 1 if row.posts_day == day else 1
            row.posts_day = day


def _set(rows: Rows, **values: object) -> None:
    if not rows:
        return
    now: datetime = clock.now()
    with writing():
        for row in rows:
            for name, value in values.items():
                setattr(row, name, value)
            row.updated_at = now


def _note_once(meeting: ZoomMeeting, what: str, rows: Rows) -> None:
    with writing():
        note(meeting.id, what, detail=str(len(rows)))


def _tell_when_done(meeting: ZoomMeeting) -> None:
    left = db.session.scalar(
        select(MeetingRegistrant.id)
        .where(
            MeetingRegistrant.meeting_id == meeting.id,
            MeetingRegistrant.wanted,
            MeetingRegistrant.state != "registered",
        )
        .limit(1)
    )
    if left is None:
        with writing():
            note(meeting.id, "everybody registered")
