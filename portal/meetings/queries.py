"""SELECTs on meetings, their dates and their history."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import aliased

from portal.accounts.models import User
from portal.classes.models import SchoolClass, Section
from portal.core import clock
from portal.core.db import db
from portal.meetings.access import manageable_meetings_clause, visible_meetings_clause
from portal.meetings.codes import MeetingEvent, MeetingState, OccurrenceState
from portal.meetings.models import MeetingHistory, MeetingOccurrence, ZoomMeeting


@dataclass(frozen=True)
class OccurrenceRow:
    """One class date in a list."""

    occurrence_id: UUID
    meeting_id: UUID
    class_id: UUID | None
    title: str
    subject: str | None
    grade_level: str | None
    section_name: str | None
    teacher: str | None  # without a class: the creator
    starts_at: datetime
    minutes: int
    state: str
    meeting_state: str
    error_code: str | None
    zoom_id: str | None
    managed: bool  # by the signed-in user, who may then start it and sign its sheet

    @property
    def ends_at(self) -> datetime:
        return self.starts_at + timedelta(minutes=self.minutes)

    @property
    def section_title(self) -> str:
        return f"{self.grade_level} - {self.section_name}"

    @property
    def shown_state(self) -> str:
        """The state to display: a date's own once it has begun, else the meeting's."""
        if self.state in (OccurrenceState.STARTED, OccurrenceState.ENDED, OccurrenceState.CANCELLED):
            return self.state
        if self.meeting_state in (
            MeetingState.CANCELLED,
            MeetingState.DELETED,
            MeetingState.FAILED,
            MeetingState.PENDING_ZOOM,
        ):
            return self.meeting_state
        return self.state


def _load_occurrence_rows(
    user: User, *conditions: ColumnElement[bool], newest_first: bool = False, limit: int = 200
) -> list[OccurrenceRow]:
    teacher = aliased(User)
    order = MeetingOccurrence.starts_at.desc() if newest_first else MeetingOccurrence.starts_at
    rows = db.session.execute(
        select(
            MeetingOccurrence.id.label("occurrence_id"),
            ZoomMeeting.id.label("meeting_id"),
            ZoomMeeting.class_id,
            ZoomMeeting.title,
            SchoolClass.subject,
            Section.grade_level,
            Section.name.label("section_name"),
            teacher.full_name.label("teacher"),
            MeetingOccurrence.starts_at,
            MeetingOccurrence.minutes,
            MeetingOccurrence.state,
            ZoomMeeting.state.label("meeting_state"),
            ZoomMeeting.error_code,
            ZoomMeeting.zoom_id,
            manageable_meetings_clause(user).label("managed"),
        )
        .join(ZoomMeeting, ZoomMeeting.id == MeetingOccurrence.meeting_id)
        .outerjoin(SchoolClass, SchoolClass.id == ZoomMeeting.class_id)
        .outerjoin(Section, Section.id == SchoolClass.section_id)
        .outerjoin(teacher, teacher.id == func.coalesce(SchoolClass.teacher_id, ZoomMeeting.created_by))
        .where(visible_meetings_clause(user), *conditions)
        .order_by(order, MeetingOccurrence.id)
        .limit(limit)
    )
    return [OccurrenceRow(**row._mapping) for row in rows]


def list_occurrences_between(user: User, first: date, last: date) -> list[OccurrenceRow]:
    """Dates from the first to the last day (Manila dates, both included)."""
    return _load_occurrence_rows(user, MeetingOccurrence.local_date >= first, MeetingOccurrence.local_date <= last)


def find_next_occurrence(user: User) -> OccurrenceRow | None:
    """The next scheduled date among those the user manages."""
    rows = _load_occurrence_rows(
        user,
        MeetingOccurrence.starts_at >= clock.now(),
        MeetingOccurrence.state == OccurrenceState.SCHEDULED,
        ZoomMeeting.state.not_in(
            (MeetingState.ENDED, MeetingState.CANCELLED, MeetingState.DELETED, MeetingState.FAILED)
        ),
        manageable_meetings_clause(user),
        limit=1,
    )
    return rows[0] if rows else None


def list_class_occurrences(user: User, class_id: UUID, *, past: bool) -> list[OccurrenceRow]:
    """A class's dates: upcoming ones, soonest first, or past ones, newest first."""
    now = clock.now()
    if past:
        return _load_occurrence_rows(
            user, ZoomMeeting.class_id == class_id, MeetingOccurrence.starts_at < now, newest_first=True
        )
    return _load_occurrence_rows(user, ZoomMeeting.class_id == class_id, MeetingOccurrence.starts_at >= now)


def list_recent_occurrences(user: User, days: int = 60) -> list[OccurrenceRow]:
    """Dates of the last `days` days that have begun or are over, newest first."""
    now = clock.now()
    return _load_occurrence_rows(
        user,
        MeetingOccurrence.starts_at >= now - timedelta(days=days),
        MeetingOccurrence.state.in_((OccurrenceState.STARTED, OccurrenceState.ENDED))
        | (MeetingOccurrence.starts_at < now),
        MeetingOccurrence.state != OccurrenceState.CANCELLED,
        ZoomMeeting.class_id.is_not(None),
        newest_first=True,
    )


def list_schedule_occurrences(user: User, schedule_id: UUID) -> list[OccurrenceRow]:
    """All dates of a schedule, in order (at most 400)."""
    return _load_occurrence_rows(user, ZoomMeeting.schedule_id == schedule_id, limit=400)


def first_meeting_of_schedule(schedule_id: UUID) -> ZoomMeeting | None:
    """The meeting with the earliest date of a schedule."""
    return db.session.scalar(
        select(ZoomMeeting).where(ZoomMeeting.schedule_id == schedule_id).order_by(ZoomMeeting.starts_at).limit(1)
    )


def count_meetings_of_schedule(schedule_id: UUID) -> int:
    """The number of a schedule's meetings at Zoom."""
    return (
        db.session.scalar(select(func.count()).select_from(ZoomMeeting).where(ZoomMeeting.schedule_id == schedule_id))
        or 0
    )


# History events that concern one class date.
OCCURRENCE_EVENTS = (
    MeetingEvent.OCCURRENCE_MOVED,
    MeetingEvent.OCCURRENCE_CANCELLED,
    MeetingEvent.OCCURRENCE_CANCELLED_AT_ZOOM,
)


@dataclass(frozen=True)
class MeetingHistoryEntry:
    occurred_at: datetime
    event: str
    occurrence_date: date | None
    moved_to: datetime | None
    reason: str | None
    error_code: str | None
    host_email: str | None
    number: int | None
    who: str | None


def list_meeting_history(meeting_id: UUID) -> list[MeetingHistoryEntry]:
    rows = db.session.execute(
        select(
            MeetingHistory.occurred_at,
            MeetingHistory.event,
            MeetingHistory.occurrence_date,
            MeetingHistory.moved_to,
            MeetingHistory.reason,
            MeetingHistory.error_code,
            MeetingHistory.host_email,
            MeetingHistory.number,
            User.full_name.label("who"),
        )
        .outerjoin(User, User.id == MeetingHistory.actor_id)
        .where(MeetingHistory.meeting_id == meeting_id)
        .order_by(MeetingHistory.occurred_at.desc(), MeetingHistory.id.desc())
        .limit(50)
    )
    return [MeetingHistoryEntry(**row._mapping) for row in rows]
