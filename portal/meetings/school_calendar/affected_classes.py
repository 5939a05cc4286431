"""Classes still scheduled on days without class: finding them, and bulk cancellation."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.orm import aliased

from portal.accounts.models import School, User
from portal.classes.models import SchoolClass, Section
from portal.core import clock
from portal.core.db import db
from portal.meetings.access import manageable_meetings_clause, visible_meetings_clause
from portal.meetings.codes import MeetingState, OccurrenceState
from portal.meetings.models import CalendarDay, MeetingOccurrence, ZoomMeeting
from portal.meetings.scheduling.bulk_cancel import cancel_in_batches
from portal.meetings.school_calendar.national_holidays import NATIONAL_HOLIDAYS, national_holidays
from portal.meetings.school_calendar.service import REGION_WIDE_SCOPES, merge_calendar_days

MAX_ROWS = 100  # dates on the page and per bulk cancel


@dataclass(frozen=True)
class ClassOnDayOff:
    """A class date on a day without class. `off` is the day's name; `managed`: the user may cancel it."""

    occurrence_id: UUID
    meeting_id: UUID
    title: str
    subject: str
    section_title: str
    school: str
    teacher: str
    starts_at: datetime
    minutes: int
    off: str
    managed: bool


def find_affected_classes(
    user: User, first: date, last: date, most: int = MAX_ROWS
) -> tuple[list[ClassOnDayOff], bool]:
    """Upcoming dates, visible to the user, on days without class of their section; and whether there are more.

    The first `most` by time. Both ends are included.
    """
    declared = list(db.session.scalars(select(CalendarDay).where(CalendarDay.date.between(first, last))))
    days_by_date: dict[date, list[CalendarDay]] = {day: [] for day in NATIONAL_HOLIDAYS if first <= day <= last}
    for calendar_day in declared:
        days_by_date.setdefault(calendar_day.date, []).append(calendar_day)
    maybe_off_clauses = [
        _maybe_off_clause(day, calendar_days)
        for day, calendar_days in days_by_date.items()
        if day in NATIONAL_HOLIDAYS or _has_day_off(calendar_days)
    ]
    if not maybe_off_clauses:
        return [], False
    teacher = aliased(User)
    rows = db.session.execute(
        select(
            MeetingOccurrence.id.label("occurrence_id"),
            ZoomMeeting.id.label("meeting_id"),
            ZoomMeeting.title,
            SchoolClass.subject,
            Section.id.label("section_id"),
            Section.grade_level,
            Section.name.label("section_name"),
            School.id.label("school_id"),
            School.division,
            School.name.label("school"),
            teacher.full_name.label("teacher"),
            MeetingOccurrence.local_date,
            MeetingOccurrence.starts_at,
            MeetingOccurrence.minutes,
            manageable_meetings_clause(user).label("managed"),
        )
        .join(ZoomMeeting, ZoomMeeting.id == MeetingOccurrence.meeting_id)
        .join(SchoolClass, SchoolClass.id == ZoomMeeting.class_id)
        .join(Section, Section.id == SchoolClass.section_id)
        .join(School, School.id == Section.school_id)
        .join(teacher, teacher.id == SchoolClass.teacher_id)
        .where(visible_meetings_clause(user), *_cancellable_clauses(), or_(*maybe_off_clauses))
        .order_by(MeetingOccurrence.starts_at, MeetingOccurrence.id)
        .limit(most + 1)
    ).all()
    affected_classes = [
        affected
        for affected in (
            _affected_class_or_none(calendar_day, days_by_date[calendar_day.local_date]) for calendar_day in rows[:most]
        )
        if affected
    ]
    return affected_classes, len(rows) > most


def _affected_class_or_none(row: Any, calendar_days: Sequence[CalendarDay]) -> ClassOnDayOff | None:
    """The row with its day's name; None if its own section has class after all."""
    applicable_days = [
        calendar_day
        for calendar_day in calendar_days
        if calendar_day.scope in REGION_WIDE_SCOPES
        or calendar_day.division == row.division
        or calendar_day.school_id == row.school_id
        or calendar_day.section_id == row.section_id
    ]
    off = merge_calendar_days(national_holidays(row.local_date, row.local_date), applicable_days).get(row.local_date)
    if off is None:
        return None
    return ClassOnDayOff(
        row.occurrence_id,
        row.meeting_id,
        row.title,
        row.subject,
        f"{row.grade_level} - {row.section_name}",
        row.school,
        row.teacher,
        row.starts_at,
        row.minutes,
        off,
        row.managed,
    )


def _has_day_off(rows: Sequence[CalendarDay]) -> bool:
    return any(row.kind != "class" for row in rows)


def _maybe_off_clause(day: date, rows: Sequence[CalendarDay]) -> ColumnElement[bool]:
    """Condition on the joined rows: the day may be off for them. Narrower scopes are applied afterwards."""
    days_off = [row for row in rows if row.kind != "class"]
    on_that_day = MeetingOccurrence.local_date == day
    if day in NATIONAL_HOLIDAYS or any(row.scope in REGION_WIDE_SCOPES for row in days_off):
        return on_that_day
    return and_(
        on_that_day,
        or_(
            School.division.in_([row.division for row in days_off if row.division]),
            School.id.in_([row.school_id for row in days_off if row.school_id]),
            Section.id.in_([row.section_id for row in days_off if row.section_id]),
        ),
    )


def _cancellable_clauses() -> list[Any]:
    """Conditions on dates and their meetings: they can still be cancelled."""
    return [
        MeetingOccurrence.state == OccurrenceState.SCHEDULED,
        MeetingOccurrence.is_scheduled,
        MeetingOccurrence.starts_at > clock.now(),
        ZoomMeeting.state.not_in((MeetingState.ENDED, MeetingState.CANCELLED, MeetingState.DELETED)),
    ]


def cancel_listed_occurrences(user: User, first: date, last: date, chosen: Collection[UUID]) -> int:
    """Cancel the chosen dates in short transactions; returns how many. The worker updates Zoom
    afterwards.

    Only dates that `find_affected_classes` still lists and the user manages; the day's name is the reason. After an
    interruption the rest are still listed.
    """
    reasons = {
        affected.occurrence_id: affected.off
        for affected in find_affected_classes(user, first, last)[0]
        if affected.managed and affected.occurrence_id in set(chosen)
    }
    return cancel_in_batches(user, reasons)
