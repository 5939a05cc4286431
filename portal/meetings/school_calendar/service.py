"""Days without class: national holidays, and what the region, a division, a school or a section declares."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from sqlalchemy import ColumnElement, and_, or_, select

from portal.accounts.models import User
from portal.classes.models import Section
from portal.core import audit_log, clock
from portal.core.audit_codes import AuditSubject
from portal.core.db import db, write_transaction
from portal.meetings.models import CalendarDay
from portal.meetings.school_calendar import national_holidays

WIDEST_FIRST = ("national", "region", "division", "school", "section")
REGION_WIDE_SCOPES = ("national", "region")


def days_off_clause(section: Section, first: date, last: date) -> dict[date, str]:
    """The days without class of a section (with its school loaded), with their names, both ends included.

    The narrowest scope that says something of a day decides, so a school may hold class on a holiday.
    """
    rows = db.session.scalars(
        select(CalendarDay).where(
            CalendarDay.date.between(first, last),
            or_(
                CalendarDay.scope.in_(REGION_WIDE_SCOPES),
                CalendarDay.division == section.school.division,
                CalendarDay.school_id == section.school_id,
                CalendarDay.section_id == section.id,
            ),
        )
    )
    return merge_calendar_days(national_holidays.national_holidays(first, last), rows)


def merge_calendar_days(seed: dict[date, str], rows: Iterable[CalendarDay]) -> dict[date, str]:
    """The seed with declared days laid over it, the wider scopes first."""
    off = dict(seed)
    for row in sorted(rows, key=lambda one: (WIDEST_FIRST.index(one.scope), one.created_at)):
        if row.kind == "class":
            off.pop(row.date, None)
        else:
            off[row.date] = row.name
    return off


@dataclass(frozen=True)
class CalendarScope:
    """For whom a day is declared: all (`national_holidays`, `region`), or the division, school or section that is
    given."""

    scope: str
    division: str | None = None
    school_id: UUID | None = None
    section_id: UUID | None = None

    def __post_init__(self) -> None:
        places = {"division": self.division, "school": self.school_id, "section": self.section_id}
        if any((place is not None) != (self.scope == name) for name, place in places.items()):
            raise ValueError("a scope comes with its own place and no other")

    @property
    def is_declared_by(self) -> ColumnElement[bool]:
        """A condition on ClassDay: it was declared for just this place."""
        return and_(
            CalendarDay.scope == self.scope,
            CalendarDay.division.is_not_distinct_from(self.division),
            CalendarDay.school_id.is_not_distinct_from(self.school_id),
            CalendarDay.section_id.is_not_distinct_from(self.section_id),
        )


@dataclass(frozen=True)
class CalendarEntry:
    """What is said of a day: `kind` is holiday, suspended or class (there is class after all)."""

    date: date
    kind: str
    name: str


class DuplicateCalendarDay(ValueError):
    """Something is said of that day for the same place already."""


def add_calendar_days(user: User, place: CalendarScope, days: Sequence[CalendarEntry]) -> list[CalendarDay]:
    """Say that days are holidays, that classes are suspended, or that there is class after all; all or none.

    Who may say it is for the page to check. Saying it again for the same day and place replaces what was said.
    """
    with write_transaction() as session:
        dates = [one.date for one in days]
        calendar_days = {
            row.date: row
            for row in session.scalars(select(CalendarDay).where(CalendarDay.date.in_(dates), place.is_declared_by))
        }
        rows = []
        for entry in days:
            row = calendar_days.setdefault(
                entry.date,
                CalendarDay(
                    date=entry.date,
                    scope=place.scope,
                    division=place.division,
                    school_id=place.school_id,
                    section_id=place.section_id,
                ),
            )
            row.kind, row.name, row.created_by, row.created_at = entry.kind, entry.name, user.id, clock.now()
            rows.append(row)
        session.add_all(rows)
        session.flush()
        _note("declared", rows, user)
    return rows


def update_calendar_day(user: User, row: CalendarDay, entry: CalendarEntry) -> None:
    """Another date, kind or name of a day. Raises DuplicateCalendarDay where the place has the new date already."""
    place = CalendarScope(row.scope, row.division, row.school_id, row.section_id)
    with write_transaction() as session:
        others = select(CalendarDay.id).where(
            CalendarDay.date == entry.date, place.is_declared_by, CalendarDay.id != row.id
        )
        if session.scalar(others.limit(1)):
            raise DuplicateCalendarDay(entry.date.isoformat())
        row.date, row.kind, row.name = entry.date, entry.kind, entry.name
        row.created_by, row.created_at = user.id, clock.now()
        _note("changed", [row], user)


def delete_calendar_day(user: User, row: CalendarDay) -> None:
    """Take back what was said of a day. Class dates that were cancelled for it stay cancelled."""
    with write_transaction() as session:
        session.delete(row)
        _note("removed", [row], user)


def _note(action: str, rows: Sequence[CalendarDay], user: User) -> None:
    """One entry for what was done at once."""
    first = rows[0]
    audit_log.record_action(
        action,
        AuditSubject.CALENDAR_DAY,
        str(first.id),
        by=user.id,
        section_id=first.section_id,
        kind=first.kind,
        scope=first.scope,
        date=first.date.isoformat(),
        days=len(rows),
    )


def days_off_for_user(user: User, first: date, last: date) -> dict[date, str]:
    """The days without class that concern a person's school, with their names, both ends included."""
    school = user.school
    places: list[ColumnElement[bool]] = [CalendarDay.scope.in_(REGION_WIDE_SCOPES)]
    if school is not None:
        places += [CalendarDay.division == school.division, CalendarDay.school_id == school.id]
    rows = db.session.scalars(select(CalendarDay).where(CalendarDay.date.between(first, last), or_(*places)))
    return merge_calendar_days(national_holidays.national_holidays(first, last), rows)
