"""SELECTs for the school-calendar page: declared days and national holidays of a month."""

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
    """A declared day. `id` is None for a built-in national holiday."""

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
    """One day of the month grid. `off` is its name if the user's whole scope has no class."""

    date: date
    inside: bool
    off: str | None
    lines: list[CalendarDayRow]


def list_calendar_days(user: User, first: date, last: date) -> tuple[list[CalendarDayRow], bool]:
    """The days' declarations, both ends included, by date and then from the widest scope; and if there are more."""
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
    holiday_rows = [
        CalendarDayRow(None, day, "holiday", "national", "", name, None, False)
        for day, name in national_holidays(first, last).items()
    ]
    ordered = sorted([*holiday_rows, *day_rows], key=lambda day_row: (day_row.date, WIDEST_FIRST.index(day_row.scope)))
    return ordered, len(rows) > MAX_ROWS


def build_month_grid(user: User, month: date, day_rows: list[CalendarDayRow]) -> list[MonthCell]:
    """The weeks of a month, Monday first, with each day's rows (those of `month_grid_range`)."""
    first, last = month_grid_range(month)
    rows_by_date: dict[date, list[CalendarDayRow]] = {}
    for row in day_rows:
        rows_by_date.setdefault(row.date, []).append(row)
    covering_scopes = _covering_scopes(user)
    days = (first + timedelta(days=offset) for offset in range((last - first).days + 1))
    return [
        MonthCell(
            day,
            day.month == month.month,
            _day_off_name([row for row in rows_by_date.get(day, []) if row.scope in covering_scopes]),
            rows_by_date.get(day, []),
        )
        for day in days
    ]


def _covering_scopes(user: User) -> tuple[str, ...]:
    """The scopes that cover everybody within the user's own scope."""
    if user.scope == "region" or user.school is None:
        return WIDEST_FIRST[:2]
    return WIDEST_FIRST[:3] if user.scope == "division" else WIDEST_FIRST[:4]


def _day_off_name(day_rows: list[CalendarDayRow]) -> str | None:
    """The name of the day off by the narrowest scope's declaration, or None."""
    name = None
    for row in day_rows:
        name = None if row.kind == "class" else row.name
    return name


def month_grid_range(month: date) -> tuple[date, date]:
    """The whole weeks, Monday to Sunday, around a month (given by its first day)."""
    last = (month.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
    return month - timedelta(days=month.weekday()), last + timedelta(days=6 - last.weekday())
