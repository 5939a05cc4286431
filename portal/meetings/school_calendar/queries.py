"""What is said of the days of a month, as the class-day page shows it."""

from dataclasses import dataclass
from datetime import date, timedelta
from uuid import UUID

from sqlalchemy import select

from portal.accounts.models import School, User
from portal.classes.models import Section
from portal.core.db import db
from portal.meetings.models import CalendarDay
from portal.meetings.school_calendar.access import editable_days_clause, visible_days_clause
from portal.meetings.school_calendar.national_holidays import national_holidays
from portal.meetings.school_calendar.service import WIDEST_FIRST

MAX_ROWS = 300


@dataclass(frozen=True)
class CalendarDayRow:
    """Something said of a day. `id` is None for a national holiday the portal knows by itself."""

    id: UUID | None
    date: date
    kind: str
    scope: str
    scope_name: str  # the division's, school's or section's name
    name: str
    who: str | None
    changeable: bool


@dataclass(frozen=True)
class MonthCell:
    """One day of the month view. `off` names it where none of those whom the person looks after has class."""

    date: date
    inside: bool
    off: str | None
    lines: list[CalendarDayRow]


def list_calendar_days(user: User, first: date, last: date) -> tuple[list[CalendarDayRow], bool]:
    """What is said of the days, both ends included, in order, the wider first; and whether there is more."""
    rows = db.session.execute(
        select(
            CalendarDay.id,
            CalendarDay.date,
            CalendarDay.kind,
            CalendarDay.scope,
            CalendarDay.division,
            School.name.label("school"),
            Section.grade_level,
            Section.name.label("section_name"),
            CalendarDay.name,
            User.full_name.label("who"),
            editable_days_clause(user).label("changeable"),
        )
        .outerjoin(School, School.id == CalendarDay.school_id)
        .outerjoin(Section, Section.id == CalendarDay.section_id)
        .outerjoin(User, User.id == CalendarDay.created_by)
        .where(CalendarDay.date.between(first, last), visible_days_clause(user))
        .order_by(CalendarDay.date, School.name, Section.grade_level, Section.name)
        .limit(MAX_ROWS + 1)
    ).all()
    day_rows = [
        CalendarDayRow(
            row.id,
            row.date,
            row.kind,
            row.scope,
            row.division or row.school or (f"{row.grade_level} - {row.section_name}" if row.section_name else ""),
            row.name,
            row.who,
            bool(row.changeable),
        )
        for row in rows[:MAX_ROWS]
    ]
    seeds = [
        CalendarDayRow(None, day, "holiday", "national", "", name, None, False)
        for day, name in national_holidays(first, last).items()
    ]
    ordered = sorted([*seeds, *day_rows], key=lambda line: (line.date, WIDEST_FIRST.index(line.scope)))
    return ordered, len(rows) > MAX_ROWS


def build_month_grid(user: User, month: date, day_rows: list[CalendarDayRow]) -> list[MonthCell]:
    """The weeks of a month, Monday first, with what is said of each day (of the weeks' days, see
    `month_grid_range`)."""
    first, last = month_grid_range(month)
    by_day: dict[date, list[CalendarDayRow]] = {}
    for line in day_rows:
        by_day.setdefault(line.date, []).append(line)
    widest = _scopes_of(user)
    days = (first + timedelta(days=number) for number in range((last - first).days + 1))
    return [
        MonthCell(
            day,
            day.month == month.month,
            _off([line for line in by_day.get(day, []) if line.scope in widest]),
            by_day.get(day, []),
        )
        for day in days
    ]


def _scopes_of(user: User) -> tuple[str, ...]:
    """The scopes that mean everybody whom the person looks after."""
    if user.scope == "region" or user.school is None:
        return WIDEST_FIRST[:2]
    return WIDEST_FIRST[:3] if user.scope == "division" else WIDEST_FIRST[:4]


def _off(day_rows: list[CalendarDayRow]) -> str | None:
    """The last word: the narrowest that says something."""
    off = None
    for line in day_rows:
        off = None if line.kind == "class" else line.name
    return off


def month_grid_range(month: date) -> tuple[date, date]:
    """The whole weeks, Monday to Sunday, around a month (its first day)."""
    last = (month.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
    return month - timedelta(days=month.weekday()), last + timedelta(days=6 - last.weekday())
