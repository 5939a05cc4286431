"""What is on today in an admin's scope, and what needs somebody: figures in one statement, and the list behind each.

No learner's row: whoever may see those finds them one tap further, on the sheet.
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
LOOK_BACK = timedelta(days=14)  # sheets older than this are the report's matter
MAX_ROWS = 100
LATE_AFTER = timedelta(minutes=30)  # a report of Zoom that should have been asked so long ago
BACKLOG_LIMIT = timedelta(minutes=2)  # a delivery that waits so long to be read


@dataclass(frozen=True)
class TodaysClassRow:
    """A class date in one of the lists. `number` counts what the list is about: people, registrations, or one."""

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
    """How many there are of each kind, in one statement."""
    row = db.session.execute(select(*(_counted(admin, kind).scalar_subquery() for kind in KINDS))).one()
    return {kind: number or 0 for kind, number in zip(KINDS, row, strict=True)}


def _counted(admin: User, kind: str) -> Any:
    if kind == "registration":
        return (
            select(func.count())
            .select_from(MeetingRegistrant)
            .join(ZoomMeeting, ZoomMeeting.id == MeetingRegistrant.meeting_id)
            .where(_failed(), *_of_a_meeting_to_come(admin))
        )
    rows = select(_number(kind)).select_from(MeetingOccurrence).join(*_TO_MEETING).where(*_wanted(admin, kind))
    return rows.join(*_TO_SHEET) if kind in SHEET_KINDS else rows


_TO_MEETING: Any = (ZoomMeeting, ZoomMeeting.id == MeetingOccurrence.meeting_id)
_TO_SHEET: Any = (AttendanceSheet, AttendanceSheet.occurrence_id == MeetingOccurrence.id)


def _number(kind: str) -> ColumnElement[int]:
    """What is counted: dates, but people to match, and meetings with trouble once for all their dates."""
    if kind == "match":
        return func.sum(AttendanceSheet.unmatched_count)
    return func.count(ZoomMeeting.id.distinct()) if kind == "zoom" else func.count()


def _wanted(admin: User, kind: str) -> list[ColumnElement[bool]]:
    """The conditions of a list, on occurrences joined with their meetings (and sheets, where it is about those)."""
    today = clock.today()
    held = ZoomMeeting.state.not_in((MeetingState.CANCELLED, MeetingState.DELETED, MeetingState.FAILED))
    of_today: list[ColumnElement[bool]] = [
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
        "live": [*of_today, MeetingOccurrence.state == OccurrenceState.STARTED],
        "coming": [
            *of_today,
            held,
            MeetingOccurrence.state == OccurrenceState.SCHEDULED,
            MeetingOccurrence.starts_at > clock.now(),
        ],
        "late": [
            *of_today,
            held,
            MeetingOccurrence.state == OccurrenceState.SCHEDULED,
            MeetingOccurrence.starts_at <= clock.now(),
        ],
        "over": [*of_today, MeetingOccurrence.state == OccurrenceState.ENDED],
        "unsigned": [*open_sheets, AttendanceSheet.state.in_(READY_STATES)],
        "match": [*open_sheets, AttendanceSheet.unmatched_count > 0],
        "zoom": [
            *_of_a_meeting_to_come(admin),
            or_(
                ZoomMeeting.state == MeetingState.FAILED,
                and_(ZoomMeeting.error_code.is_not(None), ZoomMeeting.pending_action.is_not(None)),
            ),
            MeetingOccurrence.local_date >= today,
        ],
    }
    return conditions[kind]


def _of_a_meeting_to_come(admin: User) -> list[ColumnElement[bool]]:
    to_come = select(MeetingOccurrence.meeting_id).where(
        MeetingOccurrence.local_date >= clock.today(),
        MeetingOccurrence.state.in_((OccurrenceState.SCHEDULED, OccurrenceState.STARTED)),
    )
    return [
        visible_meetings_clause(admin),
        ZoomMeeting.class_id.is_not(None),
        ZoomMeeting.state.not_in((MeetingState.ENDED, MeetingState.CANCELLED, MeetingState.DELETED)),
        ZoomMeeting.id.in_(to_come.correlate(None)),
    ]


def _failed() -> ColumnElement[bool]:
    return and_(MeetingRegistrant.is_expected, MeetingRegistrant.state.in_(FAILURES))


def list_todays_classes(admin: User, kind: str) -> tuple[list[TodaysClassRow], bool]:
    """The class dates behind a figure, in one statement; and whether there are more than MOST.

    A meeting with failed registrations or trouble stands there once, with its next date.
    """
    teacher = aliased(User)
    failed = (
        select(func.count())
        .where(MeetingRegistrant.meeting_id == ZoomMeeting.id, _failed())
        .correlate(ZoomMeeting)
        .scalar_subquery()
    )
    number: Any = {"match": AttendanceSheet.unmatched_count, "registration": failed}.get(kind, literal(1))
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
        # One line a meeting: that of its first date from today on.
        first = (
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
            first,
            and_(first.c.of_meeting == MeetingOccurrence.meeting_id, first.c[0] == MeetingOccurrence.starts_at),
        )
    if kind == "registration":
        has_failed = select(MeetingRegistrant.meeting_id).where(_failed()).correlate(None)
        rows = rows.where(*_of_a_meeting_to_come(admin), ZoomMeeting.id.in_(has_failed))
    else:
        rows = rows.where(*_wanted(admin, kind))
    found = db.session.execute(rows).all()
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
        for row in found[:MAX_ROWS]
    ], len(found) > MAX_ROWS


@dataclass(frozen=True)
class BacklogHealth:
    """What the portal itself has to say, in one statement: what waits too long, what was given up."""

    set_aside: int
    backlog: int  # deliveries that wait for more than two minutes
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
