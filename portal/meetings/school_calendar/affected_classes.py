"""Classes that are still scheduled on days without class: finding them, and cancelling them at once."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.orm import aliased, joinedload

from portal.accounts.models import School, User
from portal.classes.models import SchoolClass, Section
from portal.core import clock
from portal.core.db import db, write_transaction
from portal.core.worker_signals import notify_worker
from portal.meetings.access import manageable_meetings_clause, visible_meetings_clause
from portal.meetings.codes import MeetingState, OccurrenceState
from portal.meetings.models import CalendarDay, MeetingOccurrence, ZoomMeeting
from portal.meetings.scheduling import schedules
from portal.meetings.school_calendar.national_holidays import NATIONAL_HOLIDAYS, national_holidays
from portal.meetings.school_calendar.service import REGION_WIDE_SCOPES, merge_calendar_days
from portal.meetings.service import MeetingNotChangeable

MAX_ROWS = 100  # dates that one press cancels: 0.7 s of SQLite on a busy machine, and a delivery of Zoom waits 1 s


@dataclass(frozen=True)
class ClassOnDayOff:
    """A class date on a day without class. `off` is the day's name; `managed` that the person may cancel it."""

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
    """The dates to come, seen by the person, on days without class of their section; and whether there are more.

    The first `most` in the order of time. Both ends are included.
    """
    declared = list(db.session.scalars(select(CalendarDay).where(CalendarDay.date.between(first, last))))
    by_day: dict[date, list[CalendarDay]] = {day: [] for day in NATIONAL_HOLIDAYS if first <= day <= last}
    for row in declared:
        by_day.setdefault(row.date, []).append(row)
    may_be_off = [_concerned(day, rows) for day, rows in by_day.items() if day in NATIONAL_HOLIDAYS or _is_off(rows)]
    if not may_be_off:
        return [], False
    teacher = aliased(User)
    found = db.session.execute(
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
        .where(visible_meetings_clause(user), *_still_on(), or_(*may_be_off))
        .order_by(MeetingOccurrence.starts_at, MeetingOccurrence.id)
        .limit(most + 1)
    ).all()
    lines = [line for line in (_line(row, by_day[row.local_date]) for row in found[:most]) if line]
    return lines, len(found) > most


def _line(row: Any, calendar_days: Sequence[CalendarDay]) -> ClassOnDayOff | None:
    """The date of the row with what is said of its day; None where its own section has class after all."""
    concerns = [
        calendar_day
        for calendar_day in calendar_days
        if calendar_day.scope in REGION_WIDE_SCOPES
        or calendar_day.division == row.division
        or calendar_day.school_id == row.school_id
        or calendar_day.section_id == row.section_id
    ]
    off = merge_calendar_days(national_holidays(row.local_date, row.local_date), concerns).get(row.local_date)
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


def _is_off(rows: Sequence[CalendarDay]) -> bool:
    return any(row.kind != "class" for row in rows)


def _concerned(day: date, rows: Sequence[CalendarDay]) -> ColumnElement[bool]:
    """A condition on the joined rows: the day may be without class for them. Exceptions are looked at afterwards."""
    off = [row for row in rows if row.kind != "class"]
    on_that_day = MeetingOccurrence.local_date == day
    if day in NATIONAL_HOLIDAYS or any(row.scope in REGION_WIDE_SCOPES for row in off):
        return on_that_day
    return and_(
        on_that_day,
        or_(
            School.division.in_([row.division for row in off if row.division]),
            School.id.in_([row.school_id for row in off if row.school_id]),
            Section.id.in_([row.section_id for row in off if row.section_id]),
        ),
    )


def _still_on() -> list[Any]:
    """Conditions on dates and their meetings: there is something to cancel."""
    return [
        MeetingOccurrence.state == OccurrenceState.SCHEDULED,
        MeetingOccurrence.is_scheduled,
        MeetingOccurrence.starts_at > clock.now(),
        ZoomMeeting.state.not_in((MeetingState.ENDED, MeetingState.CANCELLED, MeetingState.DELETED)),
    ]


def cancel_listed_occurrences(user: User, first: date, last: date, chosen: Collection[UUID]) -> int:
    """Cancel the chosen dates, in one transaction; how many.

    Only such as `find_affected_classes` shows at this moment and the person manages; each keeps the day's name as the
    reason.
    The worker tells Zoom afterwards.
    """
    done = 0
    with write_transaction() as session:
        reasons = {line.occurrence_id: line.off for line in find_affected_classes(user, first, last)[0] if line.managed}
        rows = session.scalars(
            select(MeetingOccurrence)
            .where(MeetingOccurrence.id.in_(reasons.keys() & set(chosen)))
            .options(joinedload(MeetingOccurrence.meeting))
            .order_by(MeetingOccurrence.meeting_id, MeetingOccurrence.starts_at)  # two people lock in the same order
        ).all()
        for row in rows:
            try:
                schedules.cancel_occurrence(user, row, reasons[row.id])
            except MeetingNotChangeable:  # begun, or called off by somebody else, at this moment
                continue
            done += 1
    notify_worker("meetings")  # once more: the worker may have looked before it was committed
    return done
