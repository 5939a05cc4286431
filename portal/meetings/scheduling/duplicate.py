"""Duplicating a meeting: the form's values for another meeting like it, on the next suitable date."""

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

    A single meeting gets the same weekday and time, on the first future date with class. A schedule starts after its
    last date, with the same weekdays and number of dates.
    """
    values = {name: getattr(meeting, name) for name in (*TEXTS, *OPTIONS)}
    # In open mode nobody chose to go without registration: the host had no licence.
    values["approval_type"] = 1 if meeting.open_mode else meeting.approval_type
    if meeting.class_id:
        values["class_id"] = str(meeting.class_id)
    else:
        values["invited"] = "\n".join(named_invitee_addresses(meeting.id))
    if meeting.kind != MeetingKind.RECURRING:
        return values | _single_meeting_values(user, meeting)
    return values | _schedule_values(meeting)


def _single_meeting_values(user: User, meeting: ZoomMeeting) -> dict[str, object]:
    local = clock.to_manila(meeting.starts_at)
    day = next_weekly_start(local.date(), local.time(), _days_off(user, meeting, clock.today()))
    return {"day": day, "start": local.time(), "minutes": meeting.minutes}


def next_weekly_start(day: date, start: time, off: Container[date]) -> date:
    """The first future `start` a whole number of weeks after `day` that is not in `off` (within a year)."""
    now = clock.now()
    candidate = day + WEEK
    if (days_passed := (clock.to_manila(now).date() - candidate).days) > 0:
        candidate += WEEK * (days_passed // 7)
    last_candidate = candidate + MAX_SPAN - WEEK
    while clock.from_manila(candidate, start) <= now or (candidate in off and candidate < last_candidate):
        candidate += WEEK
    return candidate


def _days_off(user: User, meeting: ZoomMeeting, first_day: date) -> dict[date, str]:
    last_day = max(first_day, clock.to_manila(meeting.starts_at).date()) + MAX_SPAN
    if meeting.school_class:
        return school_calendar_service.load_section_days_off(meeting.school_class.section, first_day, last_day)
    return school_calendar_service.days_off_for_user(user, first_day, last_day)


def _schedule_values(meeting: ZoomMeeting) -> dict[str, object]:
    times = _times_by_weekday(meeting)
    rows = _scheduled_occurrences(meeting)
    last_date = max([clock.today(), *(row.local_date for row in rows)])
    day = next(
        day for day in (last_date + timedelta(days=offset) for offset in range(1, 8)) if day.isoweekday() in times
    )
    start, minutes = times[day.isoweekday()]
    values: dict[str, object] = {
        "day": day,
        "start": start,
        "minutes": minutes,
        "weekdays": sorted(times),
        "dates": max(1, min(MAX_DATES, sum(row.state != OccurrenceState.CANCELLED for row in rows))),
    }
    for weekday, (weekday_start, weekday_minutes) in times.items():
        if (weekday_start, weekday_minutes) != (start, minutes):
            values |= {f"start_{weekday}": weekday_start, f"minutes_{weekday}": weekday_minutes}
    return values


def _times_by_weekday(meeting: ZoomMeeting) -> dict[int, tuple[time, int]]:
    """(Start, minutes) by weekday, of the whole schedule."""
    if meeting.schedule_id:
        schedule = db.session.get_one(Schedule, meeting.schedule_id, options=[selectinload(Schedule.times)])
        return {row.weekday: (row.start, row.minutes) for row in schedule.times}
    regular_time = (clock.to_manila(meeting.starts_at).time(), meeting.minutes)
    return dict.fromkeys(recurrence_of(meeting)["weekdays"], regular_time)


def _scheduled_occurrences(meeting: ZoomMeeting) -> list[MeetingOccurrence]:
    """The scheduled dates of the meeting, or of its whole schedule."""
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
    """The start of a single meeting with these form values; None for a schedule."""
    day, start = values["day"], values["start"]
    assert isinstance(day, date) and isinstance(start, time)  # as made above
    return None if "weekdays" in values else clock.from_manila(day, start)
