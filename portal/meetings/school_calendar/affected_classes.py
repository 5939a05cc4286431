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
from portal.core.db import db, writing
from portal.core.worker_signals import wake
from portal.meetings.access import meetings_managed, meetings_seen
from portal.meetings.models import ClassDay, MeetingOccurrence, ZoomMeeting
from portal.meetings.scheduling import schedules
from portal.meetings.school_calendar.national_holidays import NATIONAL, national
from portal.meetings.school_calendar.service import FOR_ALL, merged
from portal.meetings.service import NotChangeable

MOST = 100  # dates that one press cancels: 0.7 s of SQLite on a busy machine, and a delivery of Zoom waits 1 s


@dataclass(frozen=True)
class Stranded:
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


def stranded(user: User, first: date, last: date, most: int = MOST) -> tuple[list[Stranded], bool]:
    """The dates to come, seen by the person, on days without class of their section; and whether there are more.

    The first `most` in the order of time. Both ends are included.
    """
    declared = list(db.session.scalars(select(ClassDay).where(ClassDay.date.between(first, last))))
    by_day: dict[date, list[ClassDay]] = {day: [] for day in NATIONAL if first <= day <= last}
    for row in declared:
        by_day.setdefault(row.date, []).append(row)
    may_be_off = [_concerned(day, rows) for day, rows in by_day.items() if day in NATIONAL or _is_off(rows)]
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
            meetings_managed(user).label("managed"),
        )
        .join(ZoomMeeting, ZoomMeeting.id == MeetingOccurrence.meeting_id)
        .join(SchoolClass, SchoolClass.id == ZoomMeeting.class_id)
        .join(Section, Section.id == SchoolClass.section_id)
        .join(School, School.id == Section.school_id)
        .join(teacher, teacher.id == SchoolClass.teacher_id)
        .where(meetings_seen(user), *_still_on(), or_(*may_be_off))
        .order_by(MeetingOccurrence.starts_at, MeetingOccurrence.id)
        .limit(most + 1)
    ).all()
    lines = [line for line in (_line(row, by_day[row.local_date]) for row in found[:most]) if line]
    return lines, len(found) > most


def _line(row: Any, said: Sequence[ClassDay]) -> Stranded | None:
    """The date of the row with what is said of its day; None where its own section has class after all."""
    concerns = [
        one
        for one in said
        if one.scope in FOR_ALL
        or one.division == row.division
        or one.school_id == row.school_id
        or one.section_id == row.section_id
    ]
    off = merged(national(row.local_date, row.local_date), concerns).get(row.local_date)
    if off is None:
        return None
    return Stranded(
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


def _is_off(rows: Sequence[ClassDay]) -> bool:
    return any(row.kind != "class" for row in rows)


def _concerned(day: date, rows: Sequence[ClassDay]) -> ColumnElement[bool]:
    """A condition on the joined rows: the day may be without class for them. Exceptions are looked at afterwards."""
    off = [row for row in rows if row.kind != "class"]
    on_that_day = MeetingOccurrence.local_date == day
    if day in NATIONAL or any(row.scope in FOR_ALL for row in off):
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
        MeetingOccurrence.state == "scheduled",
        MeetingOccurrence.scheduled,
        MeetingOccurrence.starts_at > clock.now(),
        ZoomMeeting.state.not_in(("ended", "cancelled", "deleted")),
    ]


def cancel_dates(user: User, first: date, last: date, chosen: Collection[UUID]) -> int:
    """Cancel the chosen dates, in one transaction; how many.

    Only such as `stranded` shows at this moment and the person manages; each keeps the day's name as the reason.
    The worker tells Zoom afterwards.
    """
    done = 0
    with writing() as session:
        reasons = {line.occurrence_id: line.off for line in stranded(user, first, last)[0] if line.managed}
        rows = session.scalars(
            select(MeetingOccurrence)
            .where(MeetingOccurrence.id.in_(reasons.keys() & set(chosen)))
            .options(joinedload(MeetingOccurrence.meeting))
            .order_by(MeetingOccurrence.meeting_id, MeetingOccurrence.starts_at)  # two people lock in the same order
        ).all()
        for row in rows:
            try:
                schedules.cancel_date(user, row, reasons[row.id])
            except NotChangeable:  # begun, or called off by somebody else, at this moment
                continue
            done += 1
    wake("meetings")  # once more: the worker may have looked before it was committed
    return done
