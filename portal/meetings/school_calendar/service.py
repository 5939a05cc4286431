"""School calendar: national holidays, and days declared by the region, a division, a school or a section."""

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


def load_section_days_off(section: Section, first: date, last: date) -> dict[date, str]:
    """The days without class of a section (loaded with its school), by date with their names; both ends included.

    The narrowest scope that declares a day wins, so a school may hold class on a holiday.
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


def merge_calendar_days(holidays: dict[date, str], rows: Iterable[CalendarDay]) -> dict[date, str]:
    """Override the national holidays with declared days, from the widest scope to the narrowest."""
    days_off = dict(holidays)
    for row in sorted(rows, key=lambda declared: (WIDEST_FIRST.index(declared.scope), declared.created_at)):
        if row.kind == "class":
            days_off.pop(row.date, None)
        else:
            days_off[row.date] = row.name
    return days_off


@dataclass(frozen=True)
class CalendarScope:
    """Whom a day is declared for: everybody (`national`, `region`), or the given division, school or section."""

    scope: str
    division: str | None = None
    school_id: UUID | None = None
    section_id: UUID | None = None

    def __post_init__(self) -> None:
        targets = {"division": self.division, "school": self.school_id, "section": self.section_id}
        if any((target is not None) != (self.scope == name) for name, target in targets.items()):
            raise ValueError("a scope comes with its own place and no other")

    @property
    def is_declared_by(self) -> ColumnElement[bool]:
        """Condition on CalendarDay: declared for exactly this scope."""
        return and_(
            CalendarDay.scope == self.scope,
            CalendarDay.division.is_not_distinct_from(self.division),
            CalendarDay.school_id.is_not_distinct_from(self.school_id),
            CalendarDay.section_id.is_not_distinct_from(self.section_id),
        )


@dataclass(frozen=True)
class CalendarEntry:
    """A declaration for one day: `kind` is holiday, suspended or class (class is held after all)."""

    date: date
    kind: str
    name: str


class DuplicateCalendarDay(ValueError):
    """The scope has a declaration for that day already."""


def add_calendar_days(user: User, calendar_scope: CalendarScope, days: Sequence[CalendarEntry]) -> list[CalendarDay]:
    """Declare days as holidays, suspensions or class days after all; all or none.

    The route checks who may declare for the scope. A declaration for the same day and scope is replaced.
    """
    with write_transaction() as session:
        dates = [one.date for one in days]
        calendar_days = {
            row.date: row
            for row in session.scalars(
                select(CalendarDay).where(CalendarDay.date.in_(dates), calendar_scope.is_declared_by)
            )
        }
        rows = []
        for entry in days:
            row = calendar_days.setdefault(
                entry.date,
                CalendarDay(
                    date=entry.date,
                    scope=calendar_scope.scope,
                    division=calendar_scope.division,
                    school_id=calendar_scope.school_id,
                    section_id=calendar_scope.section_id,
                ),
            )
            row.kind, row.name, row.created_by, row.created_at = entry.kind, entry.name, user.id, clock.now()
            rows.append(row)
        session.add_all(rows)
        session.flush()
        _record_action("declared", rows, user)
    return rows


def update_calendar_day(user: User, row: CalendarDay, entry: CalendarEntry) -> None:
    """Change date, kind or name of a declared day. Raises DuplicateCalendarDay if the new date is declared already."""
    calendar_scope = CalendarScope(row.scope, row.division, row.school_id, row.section_id)
    with write_transaction() as session:
        duplicates = select(CalendarDay.id).where(
            CalendarDay.date == entry.date, calendar_scope.is_declared_by, CalendarDay.id != row.id
        )
        if session.scalar(duplicates.limit(1)):
            raise DuplicateCalendarDay(entry.date.isoformat())
        row.date, row.kind, row.name = entry.date, entry.kind, entry.name
        row.created_by, row.created_at = user.id, clock.now()
        _record_action("changed", [row], user)


def delete_calendar_day(user: User, row: CalendarDay) -> None:
    """Delete a declared day. Class dates that were cancelled for it stay cancelled."""
    with write_transaction() as session:
        session.delete(row)
        _record_action("removed", [row], user)


def _record_action(action: str, rows: Sequence[CalendarDay], user: User) -> None:
    """One audit-log entry for all rows of one action."""
    first_row = rows[0]
    audit_log.record_action(
        action,
        AuditSubject.CALENDAR_DAY,
        str(first_row.id),
        by=user.id,
        section_id=first_row.section_id,
        kind=first_row.kind,
        scope=first_row.scope,
        date=first_row.date.isoformat(),
        days=len(rows),
    )


def days_off_for_user(user: User, first: date, last: date) -> dict[date, str]:
    """The days without class of a user's school, by date with their names; both ends included."""
    school = user.school
    scope_clauses: list[ColumnElement[bool]] = [CalendarDay.scope.in_(REGION_WIDE_SCOPES)]
    if school is not None:
        scope_clauses += [CalendarDay.division == school.division, CalendarDay.school_id == school.id]
    rows = db.session.scalars(select(CalendarDay).where(CalendarDay.date.between(first, last), or_(*scope_clauses)))
    return merge_calendar_days(national_holidays.national_holidays(first, last), rows)
