"""Figures over classes and dates, from the records, in a handful of statements whatever their number.

Invited: on the roster that day. Attendees: present and partial. Rate: attendees / invited, pending marks
aside. Learners who were not enrolled on the date have no record, so they are in no denominator.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, case, func, select
from sqlalchemy.orm import aliased

from portal.accounts.models import User
from portal.attendance.models import AttendanceRecord, AttendanceSheet
from portal.base.db import db
from portal.classes.access import classes_seen
from portal.classes.models import SchoolClass, Section
from portal.meetings.models import MeetingOccurrence, ZoomMeeting


@dataclass(frozen=True)
class Filters:
    """What a report is about: dates in Manila, both included; a section, a subject, a teacher or all."""

    first: date
    last: date
    section_id: UUID | None = None
    subject: str | None = None


@dataclass(frozen=True)
class Figures:
    """Counts of marks. `rate` is None where nobody has a mark yet."""

    classes: int
    learners: int
    present: int
    partial: int
    absent: int
    review: int
    seconds: int
    not_final: int

    @property
    def invited(self) -> int:
        return self.present + self.partial + self.absent + self.review

    @property
    def rate(self) -> float | None:
        return (self.present + self.partial) / self.invited if self.invited else None

    @property
    def average_minutes(self) -> int:
        """Over those who came."""
        came = self.present + self.partial
        return round(self.seconds / came / 60) if came else 0


@dataclass(frozen=True)
class Group:
    """A line of the report: a section, a class or a week, with its figures."""

    key: str
    title: str
    teacher: str
    figures: Figures


_mark = func.coalesce(AttendanceRecord.final_mark, AttendanceRecord.override_mark, AttendanceRecord.computed_mark)


def _count(word: str) -> ColumnElement[int]:
    return func.coalesce(func.sum(case((_mark == word, 1), else_=0)), 0)


def _figures(user: User, filters: Filters, *groups: Any) -> Select[Any]:
    statement = (
        select(
            *groups,
            func.count(func.distinct(MeetingOccurrence.id)).label("classes"),
            func.count(func.distinct(AttendanceRecord.learner_id)).label("learners"),
            _count("present").label("present"),
            _count("partial").label("partial"),
            _count("absent").label("absent"),
            _count("needs review").label("review"),
            func.coalesce(
                func.sum(case((_mark.in_(("present", "partial")), AttendanceRecord.seconds), else_=0)), 0
            ).label("seconds"),
            func.count(func.distinct(case((AttendanceSheet.finalised_at.is_(None), MeetingOccurrence.id)))).label(
                "not_final"
            ),
        )
        .select_from(AttendanceSheet)
        .join(MeetingOccurrence, MeetingOccurrence.id == AttendanceSheet.occurrence_id)
        .join(ZoomMeeting, ZoomMeeting.id == MeetingOccurrence.meeting_id)
        .join(SchoolClass, SchoolClass.id == ZoomMeeting.class_id)
        .join(Section, Section.id == SchoolClass.section_id)
        .join(AttendanceRecord, AttendanceRecord.occurrence_id == MeetingOccurrence.id)
        .where(
            classes_seen(user),
            MeetingOccurrence.local_date.between(filters.first, filters.last),
            AttendanceSheet.state.in_(("provisional", "reconciled", "unreported")),
            AttendanceSheet.counts,
        )
    )
    if filters.section_id:
        statement = statement.where(Section.id == filters.section_id)
    if filters.subject:
        statement = statement.where(SchoolClass.subject == filters.subject)
    return statement.group_by(*groups) if groups else statement


def total(user: User, filters: Filters) -> Figures:
    row = db.session.execute(_figures(user, filters)).one()
    return Figures(**{name: int(value) for name, value in row._mapping.items()})


def by_class(user: User, filters: Filters) -> list[Group]:
    """One line per class, in the order of grade, section and subject."""
    teacher = aliased(User)
    groups = (SchoolClass.id, Section.grade_level, Section.name, SchoolClass.subject, teacher.full_name)
    statement = (
        _figures(user, filters, *groups)
        .join(teacher, teacher.id == SchoolClass.teacher_id)
        .order_by(Section.grade_level, Section.name, SchoolClass.subject)
    )
    return [
        Group(str(row[0]), f"{row[3]}, {row[1]} - {row[2]}", row[4], _rest(row, len(groups)))
        for row in db.session.execute(statement)
    ]


def by_day(user: User, filters: Filters) -> list[tuple[date, Figures]]:
    statement = _figures(user, filters, MeetingOccurrence.local_date).order_by(MeetingOccurrence.local_date)
    return [(row[0], _rest(row, 1)) for row in db.session.execute(statement)]


def _rest(row: Any, start: int) -> Figures:
    names = list(row._mapping)[start:]
    return Figures(**{str(name): int(row[start + at]) for at, name in enumerate(names)})


def by_week(days: list[tuple[date, Figures]]) -> list[tuple[date, float | None]]:
    """The rate of each week from the first to the last, by its Monday; None where no class was held."""
    if not days:
        return []
    sums: dict[date, tuple[int, int]] = {}
    for day, figures in days:
        monday = day - timedelta(days=day.weekday())
        came, invited = sums.get(monday, (0, 0))
        sums[monday] = (came + figures.present + figures.partial, invited + figures.invited)
    weeks = []
    monday, last = min(sums), max(sums)
    while monday <= last:
        came, invited = sums.get(monday, (0, 0))
        weeks.append((monday, came / invited if invited else None))
        monday += timedelta(days=7)
    return weeks


def choices(user: User) -> tuple[list[tuple[str, str]], list[str]]:
    """The sections and subjects that a person may filter by."""
    rows = db.session.execute(
        select(Section.id, Section.grade_level, Section.name, SchoolClass.subject)
        .join(SchoolClass, SchoolClass.section_id == Section.id)
        .where(classes_seen(user))
        .order_by(Section.grade_level, Section.name, SchoolClass.subject)
    ).all()
    sections = {str(row[0]): f"{row[1]} - {row[2]}" for row in rows}
    return list(sections.items()), sorted({row[3] for row in rows})
