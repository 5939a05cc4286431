"""iCalendar feeds (RFC 5545) of class dates, for subscribed calendars.

Stable UIDs, a SEQUENCE that only grows, and cancelled dates kept with status CANCELLED: so a change updates the
entry on a phone. Never a start link, a passcode or a host key; a learner's feed has their own join page.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from urllib.parse import urlsplit
from uuid import UUID

from icalendar import Alarm, Calendar, Event
from sqlalchemy import ColumnElement, func, select

from portal.accounts.models import User
from portal.classes.access import teaches_clause
from portal.classes.models import SchoolClass, Section
from portal.core import clock
from portal.core.db import db
from portal.meetings.access import invited_meetings_clause
from portal.meetings.codes import MeetingState, OccurrenceState
from portal.meetings.models import MeetingHistory, MeetingOccurrence, ZoomMeeting
from portal.registration.join_links import AUDIENCES

BACK, AHEAD = timedelta(days=60), timedelta(days=366)
MAX_EVENTS = 3000
REMINDER_BEFORE = timedelta(minutes=10)


@dataclass(frozen=True)
class CalendarEvent:
    """One class date of a feed. `changes` counts its meeting's history events, `changed_at` is the last one's time."""

    occurrence_id: UUID
    meeting_id: UUID
    title: str
    description: str
    subject: str | None
    section: str | None
    teacher: str | None
    starts_at: datetime
    minutes: int
    cancelled: bool
    changes: int
    changed_at: datetime


def events_of_teacher(user: User) -> list[CalendarEvent]:
    """Dates a user teaches or co-teaches, and meetings without a class that they created or are invited to."""
    own_meetings = ZoomMeeting.class_id.is_(None) & (ZoomMeeting.created_by == user.id)
    return _load_events(teaches_clause(user) | own_meetings | invited_meetings_clause(user))


def events_of_class(class_id: UUID) -> list[CalendarEvent]:
    """The dates of one class that are open to its learners."""
    return _load_events(ZoomMeeting.class_id == class_id, ZoomMeeting.audience.in_(AUDIENCES))


def events_of_meeting(meeting_id: UUID) -> list[CalendarEvent]:
    return _load_events(ZoomMeeting.id == meeting_id)


def _load_events(*conditions: ColumnElement[bool]) -> list[CalendarEvent]:
    today = clock.today()
    history = (
        select(
            MeetingHistory.meeting_id,
            func.count().label("changes"),
            func.max(MeetingHistory.occurred_at).label("changed_at"),
        )
        .group_by(MeetingHistory.meeting_id)
        .subquery()
    )
    rows = db.session.execute(
        select(
            MeetingOccurrence,
            ZoomMeeting,
            SchoolClass.subject,
            Section,
            User.full_name,
            history.c.changes,
            history.c.changed_at,
        )
        .join(ZoomMeeting, ZoomMeeting.id == MeetingOccurrence.meeting_id)
        .outerjoin(SchoolClass, SchoolClass.id == ZoomMeeting.class_id)
        .outerjoin(Section, Section.id == SchoolClass.section_id)
        .outerjoin(User, User.id == func.coalesce(SchoolClass.teacher_id, ZoomMeeting.created_by))
        .outerjoin(history, history.c.meeting_id == ZoomMeeting.id)
        .where(
            MeetingOccurrence.is_scheduled,
            MeetingOccurrence.local_date.between(today - BACK, today + AHEAD),
            ZoomMeeting.state != MeetingState.FAILED,
            *conditions,
        )
        .order_by(MeetingOccurrence.starts_at, MeetingOccurrence.id)
        .limit(MAX_EVENTS)
    )
    return [
        CalendarEvent(
            occurrence_id=occurrence.id,
            meeting_id=meeting.id,
            title=meeting.title,
            description=meeting.description,
            subject=subject,
            section=section.title if section else None,
            teacher=teacher,
            starts_at=occurrence.starts_at,
            minutes=occurrence.minutes,
            cancelled=occurrence.state == OccurrenceState.CANCELLED
            or meeting.state in (MeetingState.CANCELLED, MeetingState.DELETED),
            changes=changes or 0,
            changed_at=changed_at or meeting.created_at,
        )
        for occurrence, meeting, subject, section, teacher, changes, changed_at in rows
    ]


def build_ics_calendar(entries: list[CalendarEvent], *, name: str, base_url: str, url: str | None = None) -> bytes:
    """The calendar file. `url` is the link of every date; by default it is the meeting's page in the portal."""
    calendar = Calendar()
    calendar.add("prodid", "-//Silid//Class calendar//EN")
    calendar.add("version", "2.0")
    calendar.add("calscale", "GREGORIAN")
    calendar.add("method", "PUBLISH")
    calendar.add("x-wr-calname", _strip_control_characters(name))
    calendar.add("x-wr-timezone", "Asia/Manila")
    calendar.add("refresh-interval", timedelta(hours=1), parameters={"VALUE": "DURATION"})
    calendar.add("x-published-ttl", "PT1H")
    host = urlsplit(base_url).hostname or "silid"
    for entry in entries:
        calendar.add_component(_build_event(entry, host, url or f"{base_url}/meetings/{entry.meeting_id}"))
    if entries:
        calendar.add_missing_timezones(date(2026, 1, 1), date(2028, 1, 1))
    return bytes(calendar.to_ical())


def _build_event(entry: CalendarEvent, host: str, url: str) -> Event:
    event = Event()
    event.add("uid", f"{entry.occurrence_id}@{host}")
    event.add("dtstamp", entry.changed_at.astimezone(UTC))
    event.add("last-modified", entry.changed_at.astimezone(UTC))
    event.add("sequence", entry.changes)
    start = clock.to_manila(entry.starts_at)
    event.add("dtstart", start)
    event.add("dtend", start + timedelta(minutes=entry.minutes))
    class_label = f"{entry.subject}, {entry.section}" if entry.subject else ""
    event.add("summary", _strip_control_characters(entry.title))
    event.add(
        "description",
        _strip_control_characters(
            "\n".join(part for part in (class_label, entry.teacher, entry.description, url) if part)
        ),
    )
    event.add("location", url)
    event.add("url", url)
    event.add("status", "CANCELLED" if entry.cancelled else "CONFIRMED")
    event.add("transp", "TRANSPARENT" if entry.cancelled else "OPAQUE")
    event.add("categories", ["Silid"])
    if not entry.cancelled:
        event.add_component(_build_alarm(entry))
    return event


def _build_alarm(entry: CalendarEvent) -> Alarm:
    """A reminder ten minutes before, when the join page opens."""
    alarm = Alarm()
    alarm.add("action", "DISPLAY")
    alarm.add("trigger", -REMINDER_BEFORE)
    alarm.add("description", _strip_control_characters(entry.title))
    return alarm


def _strip_control_characters(text: str) -> str:
    """Without control characters, which RFC 5545 (3.1) forbids; line breaks stay."""
    return "".join(
        character
        for character in text
        if character == "\n" or (character.isprintable() and character not in "\u2028\u2029")
    )
