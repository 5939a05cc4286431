"""Scheduling a meeting once more: what the form is filled with, on the next date that makes sense."""

from collections.abc import Container, Mapping
from datetime import date, datetime, time, timedelta

from sqlalchemy import select
from sqlalchemy.orm import selectinload

from portal.accounts.models import User
from portal.core import clock
from portal.core.db import db
from portal.meetings.codes import MeetingKind, OccurrenceState
from portal.meetings.models import MeetingOccurrence, Schedule, ZoomMeeting
from portal.meetings.scheduling.recurrence import MAX_DATES, MAX_SPAN
from portal.meetings.school_calendar import service as school_calendar_service
from portal.meetings.staff_meetings.service import named_invitee_addresses
from portal.meetings.zoom_sync.desired_state import recurrence_of

WEEK = timedelta(days=7)
TEXTS = ("title", "description")
OPTIONS = (
    "audience",
    "host_video",
    "participant_video",
    "join_before_host",
    "mute_upon_entry",
    "waiting_room",
    "auto_recording",
    "meeting_authentication",
    "registration_type",
)


def form_values_like(user: User, meeting: ZoomMeeting) -> dict[str, object]:
    """The form's values for another meeting like this one (loaded with class, section, school and occurrences).

    A single meeting comes on the same weekday at the same time, the first one that is ahead and not a day without
    class. A schedule begins again after its last date, on the same weekdays and for as many dates.
    """
    values = {name: getattr(meeting, name) for name in (*TEXTS, *OPTIONS)}
    # In open mode nobody chose to do without registration: the host had no licence then.
    values["approval_type"] = 1 if meeting.open_mode else meeting.approval_type
    if meeting.class_id:
        values["class_id"] = str(meeting.class_id)
    else:
        values["invited"] = "\n".join(named_invitee_addresses(meeting.id))
    if meeting.kind != MeetingKind.RECURRING:
        return values | _single(user, meeting)
    return values | _series(meeting)


def _single(user: User, meeting: ZoomMeeting) -> dict[str, object]:
    local = clock.to_manila(meeting.starts_at)
    day = next_weekly_start(local.date(), local.time(), _off(user, meeting, clock.today()))
    return {"day": day, "start": local.time(), "minutes": meeting.minutes}


def next_weekly_start(day: date, start: time, off: Container[date]) -> date:
    """The first day a whole number of weeks after `day` on which `start` is ahead and which is not in `off`."""
    now = clock.now()
    found = day + WEEK
    if (behind := (clock.to_manila(now).date() - found).days) > 0:
        found += WEEK * (behind // 7)
    last = found + MAX_SPAN - WEEK
    while clock.from_manila(found, start) <= now or (found in off and found < last):
        found += WEEK
    return found


def _off(user: User, meeting: ZoomMeeting, first: date) -> dict[date, str]:
    last = max(first, clock.to_manila(meeting.starts_at).date()) + MAX_SPAN
    if meeting.school_class:
        return school_calendar_service.days_off_clause(meeting.school_class.section, first, last)
    return school_calendar_service.days_off_for_user(user, first, last)


def _series(meeting: ZoomMeeting) -> dict[str, object]:
    times = _times(meeting)
    rows = _dates(meeting)
    after = max([clock.today(), *(row.local_date for row in rows)])
    day = next(day for day in (after + timedelta(days=number) for number in range(1, 8)) if day.isoweekday() in times)
    start, minutes = times[day.isoweekday()]
    values: dict[str, object] = {
        "day": day,
        "start": start,
        "minutes": minutes,
        "weekdays": sorted(times),
        "dates": max(1, min(MAX_DATES, sum(row.state != OccurrenceState.CANCELLED for row in rows))),
    }
    for weekday, (at, length) in times.items():
        if (at, length) != (start, minutes):
            values |= {f"start_{weekday}": at, f"minutes_{weekday}": length}
    return values


def _times(meeting: ZoomMeeting) -> dict[int, tuple[time, int]]:
    """The time and length of each weekday, of the whole schedule."""
    if meeting.schedule_id:
        whole = db.session.get_one(Schedule, meeting.schedule_id, options=[selectinload(Schedule.times)])
        return {row.weekday: (row.start, row.minutes) for row in whole.times}
    usual = (clock.to_manila(meeting.starts_at).time(), meeting.minutes)
    return dict.fromkeys(recurrence_of(meeting)["weekdays"], usual)


def _dates(meeting: ZoomMeeting) -> list[MeetingOccurrence]:
    """The planned dates of the meeting, or of the whole schedule it belongs to."""
    if meeting.schedule_id is None:
        return [row for row in meeting.occurrences if row.is_scheduled]
    return list(
        db.session.scalars(
            select(MeetingOccurrence)
            .join(ZoomMeeting, ZoomMeeting.id == MeetingOccurrence.meeting_id)
            .where(ZoomMeeting.schedule_id == meeting.schedule_id, MeetingOccurrence.is_scheduled)
        )
    )


def single_start(values: Mapping[str, object]) -> datetime | None:
    """When a single meeting of these values would start; None for a schedule."""
    day, start = values["day"], values["start"]
    assert isinstance(day, date) and isinstance(start, time)  # as made above
    return None if "weekdays" in values else clock.from_manila(day, start)
