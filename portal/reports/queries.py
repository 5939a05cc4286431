"""Aggregated figures over classes and dates, from the sheets' tallies, in a fixed number of statements.

Invited: on the roster that day. Attendees: present and partial. Rate: attendees / invited, without pending marks.
Learners who were not enrolled on the date have no record, so they are in no denominator.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, case, func, or_, select
from sqlalchemy.orm import aliased

from portal.accounts.models import School, User
from portal.attendance.models import AttendanceSheet, AttendanceTally
from portal.classes.access import visible_classes_clause
from portal.classes.models import Enrolment, SchoolClass, Section
from portal.core.db import db
from portal.meetings.codes import OccurrenceState
from portal.meetings.models import MeetingOccurrence, ZoomMeeting
from portal.reports.filters import ReportFilters


@dataclass(frozen=True)
class AttendanceTotals:
    """Counts of marks. `rate` is None without marks.

    `meetings`: class dates that were not cancelled; `classes`: those of them that are over and have a sheet.
    `seconds` is the attendees' total time, `ran` the meetings' total length in seconds.
    """

    meetings: int = 0
    classes: int = 0
    present: int = 0
    partial: int = 0
    absent: int = 0
    needs_review: int = 0
    seconds: int = 0
    ran: int = 0
    not_final: int = 0

    @property
    def attendees(self) -> int:
        return self.present + self.partial

    @property
    def invited(self) -> int:
        return self.attendees + self.absent + self.needs_review

    @property
    def rate(self) -> float | None:
        return self.attendees / self.invited if self.invited else None

    @property
    def average_minutes(self) -> int:
        """Mean over the attendees."""
        return round(self.seconds / self.attendees / 60) if self.attendees else 0

    @property
    def ran_minutes(self) -> int:
        """The meetings' total minutes, without those whose end is unknown."""
        return self.ran // 60


@dataclass(frozen=True)
class ReportGroup:
    """A row of the report: a division, a school, a section or a class, with its figures."""

    key: str
    title: str
    teacher: str
    figures: AttendanceTotals
    section_id: UUID | None = None
    learners: frozenset[UUID] | None = None  # on its roster in the period; not loaded above the section level


OVER = ("provisional", "reconciled", "unreported")
is_held_clause = and_(AttendanceSheet.state.in_(OVER), AttendanceSheet.counts_in_reports)


def in_report_clause(user: User, filters: ReportFilters) -> ColumnElement[bool]:
    """Condition on dates joined with class, section and school: those in the report."""
    conditions = [
        visible_classes_clause(user),
        MeetingOccurrence.local_date.between(filters.first, filters.last),
        or_(MeetingOccurrence.state != OccurrenceState.CANCELLED, is_held_clause),
        or_(MeetingOccurrence.is_scheduled, AttendanceSheet.counts_in_reports),
    ]
    for column, filter_value in (
        (School.division, filters.division),
        (Section.school_id, filters.school),
        (Section.id, filters.section),
        (SchoolClass.id, filters.class_id),
        (SchoolClass.teacher_id, filters.teacher),
        (SchoolClass.subject, filters.subject),
    ):
        if filter_value is not None:
            conditions.append(column == filter_value)
    return and_(*conditions)


def _select_totals(user: User, filters: ReportFilters, *groups: Any) -> Select[Any]:
    def sum_if_held(value: Any) -> ColumnElement[int]:
        return func.coalesce(func.sum(case((is_held_clause, value), else_=0)), 0)

    return (
        select(
            *groups,
            func.count().label("meetings"),
            sum_if_held(1).label("classes"),
            sum_if_held(AttendanceTally.present).label("present"),
            sum_if_held(AttendanceTally.partial).label("partial"),
            sum_if_held(AttendanceTally.absent).label("absent"),
            sum_if_held(AttendanceTally.needs_review).label("needs_review"),
            sum_if_held(AttendanceTally.seconds).label("seconds"),
            sum_if_held(func.coalesce(AttendanceTally.meeting_seconds, 0)).label("ran"),
            sum_if_held(case((AttendanceSheet.finalised_at.is_(None), 1), else_=0)).label("not_final"),
        )
        .select_from(MeetingOccurrence)
        .join(ZoomMeeting, ZoomMeeting.id == MeetingOccurrence.meeting_id)
        .join(SchoolClass, SchoolClass.id == ZoomMeeting.class_id)
        .join(Section, Section.id == SchoolClass.section_id)
        .join(School, School.id == Section.school_id)
        .outerjoin(AttendanceSheet, AttendanceSheet.occurrence_id == MeetingOccurrence.id)
        .outerjoin(AttendanceTally, AttendanceTally.occurrence_id == MeetingOccurrence.id)
        .where(in_report_clause(user, filters))
        .group_by(*groups)
    )


def load_report_groups(user: User, filters: ReportFilters) -> list[ReportGroup]:
    """One group for each division, school, section or class, by `filters.level`."""
    if filters.level == "class":
        return _load_class_groups(user, filters)
    if filters.level == "section":
        order: tuple[Any, ...] = (Section.grade_level, Section.name)
        rows = db.session.execute(_select_totals(user, filters, Section.id, *order).order_by(*order)).all()
        learners = _learners_by_section({row[0] for row in rows}, filters)
        return [
            ReportGroup(
                str(row[0]),
                f"{row[1]} - {row[2]}",
                "",
                _totals_from_row(row, 3),
                row[0],
                learners.get(row[0], frozenset()),
            )
            for row in rows
        ]
    if filters.level == "school":
        rows = db.session.execute(_select_totals(user, filters, School.id, School.name).order_by(School.name)).all()
        return [ReportGroup(str(row[0]), row[1], "", _totals_from_row(row, 2)) for row in rows]
    rows = db.session.execute(_select_totals(user, filters, School.division).order_by(School.division)).all()
    return [ReportGroup(row[0], row[0], "", _totals_from_row(row, 1)) for row in rows]


def _load_class_groups(user: User, filters: ReportFilters) -> list[ReportGroup]:
    """One group for each class, ordered by grade, section and subject."""
    teacher = aliased(User)
    keys = (SchoolClass.id, Section.id, Section.grade_level, Section.name, SchoolClass.subject, teacher.full_name)
    rows = db.session.execute(
        _select_totals(user, filters, *keys)
        .join(teacher, teacher.id == SchoolClass.teacher_id)
        .order_by(Section.grade_level, Section.name, SchoolClass.subject)
    ).all()
    learners = _learners_by_section({row[1] for row in rows}, filters)
    return [
        ReportGroup(
            str(row[0]),
            f"{row[4]}, {row[2]} - {row[3]}",
            row[5],
            _totals_from_row(row, len(keys)),
            row[1],
            learners.get(row[1], frozenset()),
        )
        for row in rows
    ]


def _totals_from_row(row: Any, start: int) -> AttendanceTotals:
    names = list(row._mapping)[start:]
    return AttendanceTotals(**{str(name): int(row[start + index]) for index, name in enumerate(names)})


def sum_report_groups(groups: Iterable[ReportGroup]) -> AttendanceTotals:
    rows = [group.figures for group in groups]
    return AttendanceTotals(
        *(sum(getattr(row, name) for row in rows) for name in AttendanceTotals.__dataclass_fields__)
    )


def count_learners(groups: Sequence[ReportGroup]) -> int | None:
    """The number of different learners in the groups; None if some rosters were deleted by retention."""
    if any(group.learners is None for group in groups):
        return None
    return len(frozenset().union(*(group.learners or () for group in groups)))


def _learners_by_section(section_ids: set[UUID], filters: ReportFilters) -> dict[UUID, frozenset[UUID] | None]:
    """The learners on each section's roster in the period; None if the roster was deleted by retention."""
    learner_ids: dict[UUID, set[UUID] | None] = {}
    is_enrolled = and_(
        Enrolment.section_id == Section.id,
        Enrolment.from_date <= filters.last,
        or_(Enrolment.until_date.is_(None), Enrolment.until_date >= filters.first),
    )
    for section_id, is_deleted, learner_id in db.session.execute(
        select(Section.id, Section.attendance_deleted_at.is_not(None), Enrolment.learner_id)
        .outerjoin(Enrolment, is_enrolled)
        .where(Section.id.in_(section_ids))
    ):
        ids = learner_ids.setdefault(section_id, None if is_deleted else set())
        if ids is not None and learner_id is not None:
            ids.add(learner_id)
    return {section_id: None if ids is None else frozenset(ids) for section_id, ids in learner_ids.items()}


def totals_by_day(user: User, filters: ReportFilters) -> list[tuple[date, AttendanceTotals]]:
    statement = _select_totals(user, filters, MeetingOccurrence.local_date).order_by(MeetingOccurrence.local_date)
    return [(row[0], _totals_from_row(row, 1)) for row in db.session.execute(statement)]


def rate_by_week(days: list[tuple[date, AttendanceTotals]]) -> list[tuple[date, float | None]]:
    """The rate of each week from the first to the last with marks, by its Monday; None for a week without class."""
    sums: dict[date, tuple[int, int]] = {}
    for day, figures in days:
        if not figures.invited:
            continue
        monday = day - timedelta(days=day.weekday())
        attendees, invited = sums.get(monday, (0, 0))
        sums[monday] = (attendees + figures.attendees, invited + figures.invited)
    if not sums:
        return []
    weeks = []
    monday, last_monday = min(sums), max(sums)
    while monday <= last_monday:
        attendees, invited = sums.get(monday, (0, 0))
        weeks.append((monday, attendees / invited if invited else None))
        monday += timedelta(days=7)
    return weeks


@dataclass(frozen=True)
class HeldOccurrence:
    """One date of a class, with its figures."""

    occurrence_id: UUID
    starts_at: datetime
    figures: AttendanceTotals


def list_held_occurrences(user: User, filters: ReportFilters) -> list[HeldOccurrence]:
    """The dates of the one class that the report is about, in order; nothing if it is about several."""
    if filters.class_id is None:
        return []
    keys = (MeetingOccurrence.id, MeetingOccurrence.starts_at)
    rows = db.session.execute(_select_totals(user, filters, *keys).where(is_held_clause).order_by(*reversed(keys)))
    return [HeldOccurrence(row[0], row[1], _totals_from_row(row, 2)) for row in rows]
