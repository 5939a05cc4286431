"""Today's classes of an admin's scope and what needs attention: counts in one statement, and the list of each count.

No learner's row: users who may see learners open the sheet.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, literal, or_, select
from sqlalchemy.orm import aliased

from portal.accounts.models import School, User
from portal.attendance.models import READY_STATES, AttendanceSheet
from portal.classes.models import SchoolClass, Section
from portal.core import clock
from portal.core.db import db
from portal.core.mail.codes import MailState
from portal.core.mail.outbox import OutboxMail
from portal.meetings.access import visible_meetings_clause
from portal.meetings.codes import MeetingState, OccurrenceState
from portal.meetings.models import MeetingOccurrence, ZoomMeeting
from portal.registration.models import FAILURES, MeetingRegistrant
from portal.webhooks.codes import DeliveryState
from portal.webhooks.models import ZoomEvent

KINDS = ("live", "late", "coming", "over", "unsigned", "match", "registration", "zoom")
SHEET_KINDS = ("unsigned", "match")
LOOK_BACK = timedelta(days=14)  # older sheets are found in the report
MAX_ROWS = 100
LATE_AFTER = timedelta(minutes=30)  # a report of Zoom is late if it has been due for so long
BACKLOG_LIMIT = timedelta(minutes=2)  # a pending delivery is late after this


@dataclass(frozen=True)
class TodaysClassRow:
    """A class date in one of the lists. `number` is what the list counts: people, registrations, or 1."""

    occurrence_id: UUID
    meeting_id: UUID
    title: str
    subject: str
    section_title: str
    school: str
    teacher: str
    starts_at: datetime
    error_code: str | None
    number: int


def count_todays_classes(admin: User) -> dict[str, int]:
    """The count of each kind, in one statement."""
    row = db.session.execute(select(*(_select_count(admin, kind).scalar_subquery() for kind in KINDS))).one()
    return {kind: number or 0 for kind, number in zip(KINDS, row, strict=True)}


def _select_count(admin: User, kind: str) -> Any:
    if kind == "registration":
        return (
            select(func.count())
            .select_from(MeetingRegistrant)
            .join(ZoomMeeting, ZoomMeeting.id == MeetingRegistrant.meeting_id)
            .where(_failed_clause(), *_upcoming_meeting_clauses(admin))
        )
    rows = (
        select(_count_expression(kind))
        .select_from(MeetingOccurrence)
        .join(*_TO_MEETING)
        .where(*_list_clauses(admin, kind))
    )
    return rows.join(*_TO_SHEET) if kind in SHEET_KINDS else rows


_TO_MEETING: Any = (ZoomMeeting, ZoomMeeting.id == MeetingOccurrence.meeting_id)
_TO_SHEET: Any = (AttendanceSheet, AttendanceSheet.occurrence_id == MeetingOccurrence.id)


def _count_expression(kind: str) -> ColumnElement[int]:
    """The counted expression: dates, but unmatched people in "match", and each meeting once in "zoom"."""
    if kind == "match":
        return func.sum(AttendanceSheet.unmatched_count)
    return func.count(ZoomMeeting.id.distinct()) if kind == "zoom" else func.count()


def _list_clauses(admin: User, kind: str) -> list[ColumnElement[bool]]:
    """The conditions of a list, on occurrences joined with their meetings (and sheets, for SHEET_KINDS)."""
    today = clock.today()
    not_cancelled = ZoomMeeting.state.not_in((MeetingState.CANCELLED, MeetingState.DELETED, MeetingState.FAILED))
    todays: list[ColumnElement[bool]] = [
        visible_meetings_clause(admin),
        ZoomMeeting.class_id.is_not(None),
        MeetingOccurrence.local_date == today,
    ]
    open_sheets: list[ColumnElement[bool]] = [
        visible_meetings_clause(admin),
        MeetingOccurrence.local_date >= today - LOOK_BACK,
        MeetingOccurrence.state != OccurrenceState.CANCELLED,
        AttendanceSheet.finalised_at.is_(None),
        AttendanceSheet.counts_in_reports.is_(True),
    ]
    conditions: dict[str, list[ColumnElement[bool]]] = {
        "live": [*todays, MeetingOccurrence.state == OccurrenceState.STARTED],
        "coming": [
            *todays,
            not_cancelled,
            MeetingOccurrence.state == OccurrenceState.SCHEDULED,
            MeetingOccurrence.starts_at > clock.now(),
        ],
        "late": [
            *todays,
            not_cancelled,
            MeetingOccurrence.state == OccurrenceState.SCHEDULED,
            MeetingOccurrence.starts_at <= clock.now(),
        ],
        "over": [*todays, MeetingOccurrence.state == OccurrenceState.ENDED],
        "unsigned": [*open_sheets, AttendanceSheet.state.in_(READY_STATES)],
        "match": [*open_sheets, AttendanceSheet.unmatched_count > 0],
        "zoom": [
            *_upcoming_meeting_clauses(admin),
            or_(
                ZoomMeeting.state == MeetingState.FAILED,
                and_(ZoomMeeting.error_code.is_not(None), ZoomMeeting.pending_action.is_not(None)),
            ),
            MeetingOccurrence.local_date >= today,
        ],
    }
    return conditions[kind]


def _upcoming_meeting_clauses(admin: User) -> list[ColumnElement[bool]]:
    upcoming_ids = select(MeetingOccurrence.meeting_id).where(
        MeetingOccurrence.local_date >= clock.today(),
        MeetingOccurrence.state.in_((OccurrenceState.SCHEDULED, OccurrenceState.STARTED)),
    )
    return [
        visible_meetings_clause(admin),
        ZoomMeeting.class_id.is_not(None),
        ZoomMeeting.state.not_in((MeetingState.ENDED, MeetingState.CANCELLED, MeetingState.DELETED)),
        ZoomMeeting.id.in_(upcoming_ids.correlate(None)),
    ]


def _failed_clause() -> ColumnElement[bool]:
    return and_(MeetingRegistrant.is_expected, MeetingRegistrant.state.in_(FAILURES))


def list_todays_classes(admin: User, kind: str) -> tuple[list[TodaysClassRow], bool]:
    """The class dates of a count, in one statement; and whether there are more than MAX_ROWS.

    A meeting with failed registrations or a Zoom error is listed once, with its next date.
    """
    teacher = aliased(User)
    failed_count = (
        select(func.count())
        .where(MeetingRegistrant.meeting_id == ZoomMeeting.id, _failed_clause())
        .correlate(ZoomMeeting)
        .scalar_subquery()
    )
    number: Any = {"match": AttendanceSheet.unmatched_count, "registration": failed_count}.get(kind, literal(1))
    rows = (
        select(
            MeetingOccurrence.id,
            ZoomMeeting.id.label("meeting_id"),
            ZoomMeeting.title,
            SchoolClass.subject,
            Section.grade_level,
            Section.name.label("section_name"),
            School.name.label("school"),
            teacher.full_name.label("teacher"),
            MeetingOccurrence.starts_at,
            ZoomMeeting.error_code,
            number.label("number"),
        )
        .select_from(MeetingOccurrence)
        .join(*_TO_MEETING)
        .join(SchoolClass, SchoolClass.id == ZoomMeeting.class_id)
        .join(Section, Section.id == SchoolClass.section_id)
        .join(School, School.id == Section.school_id)
        .join(teacher, teacher.id == SchoolClass.teacher_id)
        .order_by(MeetingOccurrence.starts_at, MeetingOccurrence.id)
        .limit(MAX_ROWS + 1)
    )
    if kind in SHEET_KINDS:
        rows = rows.join(*_TO_SHEET)
    if kind in ("registration", "zoom"):
        # One row for each meeting: its first date from today on.
        first_dates = (
            select(func.min(MeetingOccurrence.starts_at))
            .where(
                MeetingOccurrence.local_date >= clock.today(),
                MeetingOccurrence.state.in_((OccurrenceState.SCHEDULED, OccurrenceState.STARTED)),
            )
            .group_by(MeetingOccurrence.meeting_id)
            .add_columns(MeetingOccurrence.meeting_id.label("of_meeting"))
            .subquery()
        )
        rows = rows.join(
            first_dates,
            and_(
                first_dates.c.of_meeting == MeetingOccurrence.meeting_id,
                first_dates.c[0] == MeetingOccurrence.starts_at,
            ),
        )
    if kind == "registration":
        failed_meeting_ids = select(MeetingRegistrant.meeting_id).where(_failed_clause()).correlate(None)
        rows = rows.where(*_upcoming_meeting_clauses(admin), ZoomMeeting.id.in_(failed_meeting_ids))
    else:
        rows = rows.where(*_list_clauses(admin, kind))
    class_rows = db.session.execute(rows).all()
    return [
        TodaysClassRow(
            row.id,
            row.meeting_id,
            row.title,
            row.subject,
            f"{row.grade_level} - {row.section_name}",
            row.school,
            row.teacher,
            row.starts_at,
            row.error_code,
            row.number,
        )
        for row in class_rows[:MAX_ROWS]
    ], len(class_rows) > MAX_ROWS


@dataclass(frozen=True)
class BacklogHealth:
    """Health of the portal's own queues, in one statement: overdue and failed work."""

    set_aside: int
    backlog: int  # deliveries pending for more than two minutes
    late_reports: int
    letters_given_up: int

    @property
    def is_well(self) -> bool:
        return not (self.set_aside or self.backlog or self.late_reports or self.letters_given_up)


def assess_backlog_health() -> BacklogHealth:
    now = clock.now()
    row = db.session.execute(
        select(
            _count(ZoomEvent.state == DeliveryState.FAILED),
            _count(and_(ZoomEvent.state == DeliveryState.PENDING, ZoomEvent.received_at < now - BACKLOG_LIMIT)),
            _count(AttendanceSheet.reconcile_at < now - LATE_AFTER),
            _count(OutboxMail.state == MailState.FAILED),
        )
    ).one()
    return BacklogHealth(*row)


def _count(condition: ColumnElement[bool]) -> Any:
    return select(func.count()).where(condition).scalar_subquery()
