"""Scheduling, changing and cancelling meetings.

What people do is saved and marked `wanted`; only the worker writes to Zoom (see `at_zoom`). So nothing that
was typed depends on whether Zoom answers.
"""

import time
from dataclasses import asdict, dataclass
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import insert, select

from portal.accounts.models import User
from portal.base import audit, clock
from portal.base.db import db, end_reading, writing
from portal.base.wake import wake
from portal.classes.models import SchoolClass
from portal.meetings.models import MeetingHistory, MeetingOccurrence, ZoomMeeting


@dataclass(frozen=True)
class Details:
    """What a person decides about a meeting. `starts_at` is aware UTC."""

    title: str
    description: str
    starts_at: datetime
    minutes: int
    audience: str = "class"
    host_video: bool = True
    participant_video: bool = False
    join_before_host: bool = False
    mute_upon_entry: bool = True
    waiting_room: bool = True
    auto_recording: str = "none"
    meeting_authentication: bool = False
    registration_type: int = 1
    approval_type: int = 1


class NotChangeable(ValueError):
    """The meeting is over, cancelled or gone: there is nothing to change any more."""


def schedule(user: User, school_class: SchoolClass, details: Details, *, client_key: str) -> ZoomMeeting:
    """Save a meeting of the class and hand it to the worker. The same `client_key` gives the same meeting."""
    with writing() as session:
        known = session.scalar(select(ZoomMeeting).where(ZoomMeeting.client_key == client_key))
        if known:
            return known
        now = clock.now()
        meeting = ZoomMeeting(
            id=uuid4(),
            client_key=client_key,
            marker=str(uuid4()),
            class_id=school_class.id,
            created_by=user.id,
            host=_host_of(school_class),
            created_at=now,
            updated_at=now,
            **asdict(details),
        )
        session.add(meeting)
        session.flush()
        session.add(
            MeetingOccurrence(
                meeting_id=meeting.id,
                starts_at=details.starts_at,
                minutes=details.minutes,
                local_date=clock.local(details.starts_at).date(),
            )
        )
        note(meeting.id, "scheduled", by=user.id)
        audit.record("scheduled", "meeting", meeting.id, by=user.id, school_class=str(school_class.id))
    wake("meetings")
    wake("registration")  # the roster is listed while Zoom is still making the meeting
    return meeting


def _host_of(school_class: SchoolClass) -> str:
    """The Zoom user who hosts the class: its teacher's own, by address."""
    return db.session.scalars(select(User.email).where(User.id == school_class.teacher_id)).one()


def change(user: User, meeting: ZoomMeeting, details: Details) -> None:
    """Save new details; the worker brings them to Zoom. Raises NotChangeable."""
    _check_open(meeting)
    before = {name: getattr(meeting, name) for name in asdict(details)}
    changed = {name: value for name, value in asdict(details).items() if before[name] != value}
    if not changed:
        return
    with writing():
        for name, value in changed.items():
            setattr(meeting, name, value)
        occurrence = db.session.scalar(
            select(MeetingOccurrence).where(MeetingOccurrence.meeting_id == meeting.id).limit(1)
        )
        if occurrence:
            occurrence.starts_at, occurrence.minutes = meeting.starts_at, meeting.minutes
            occurrence.local_date = clock.local(meeting.starts_at).date()
        if meeting.wanted != "create":
            meeting.wanted = "update"
        meeting.updated_at, meeting.next_try_at, meeting.attempts = clock.now(), None, 0
        note(meeting.id, "changed", by=user.id)
        audit.record("changed", "meeting", meeting.id, by=user.id, fields=sorted(changed))
    wake("meetings")


def cancel(user: User, meeting: ZoomMeeting, reason: str = "") -> None:
    """Call the meeting off, here at once, at Zoom by the worker. Raises NotChangeable."""
    _check_open(meeting)
    with writing():
        meeting.state = "cancelled"
        # A creation whose answer never came may still have made a meeting: the worker has to look.
        meeting.wanted = "delete" if meeting.zoom_id or meeting.unsure else None
        meeting.updated_at, meeting.next_try_at, meeting.attempts = clock.now(), None, 0
        for occurrence in db.session.scalars(
            select(MeetingOccurrence).where(
                MeetingOccurrence.meeting_id == meeting.id, MeetingOccurrence.state == "scheduled"
            )
        ):
            occurrence.state = "cancelled"
        note(meeting.id, "cancelled", by=user.id, detail=reason or None)
        audit.record("cancelled", "meeting", meeting.id, by=user.id)
    wake("meetings")


def try_now(user: User, meeting: ZoomMeeting) -> None:
    """Do not wait for the next try: something was repaired."""
    with writing():
        if meeting.state == "failed":
            meeting.state, meeting.wanted = "waiting", "create"
        meeting.next_try_at, meeting.attempts, meeting.trouble = None, 0, None
        note(meeting.id, "tried again", by=user.id)
    wake("meetings")


def _check_open(meeting: ZoomMeeting) -> None:
    if meeting.state in ("ended", "cancelled", "deleted"):
        raise NotChangeable(meeting.state)


def note(meeting_id: UUID, what: str, *, by: UUID | None = None, detail: str | None = None) -> None:
    """Add a line to the meeting's history, in the transaction that is open."""
    db.session.execute(
        insert(MeetingHistory).values(meeting_id=meeting_id, at=clock.now(), by=by, what=what, detail=detail)
    )


def wait_for_zoom(meeting_id: UUID, seconds: float) -> None:
    """Give the worker a moment, so that most people see the result at once. Returns early when it is there."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        wanted = db.session.scalar(select(ZoomMeeting.wanted).where(ZoomMeeting.id == meeting_id))
        end_reading()  # the next look must see what the worker wrote
        if wanted is None:
            return
        time.sleep(0.1)
