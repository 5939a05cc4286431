"""What is said of the days of a month, as the class-day page shows it."""

from dataclasses import dataclass
from datetime import date, timedelta
from uuid import UUID

from sqlalchemy import select

from portal.accounts.models import School, User
from portal.classes.models import Section
from portal.core.db import db
from portal.meetings.models import ClassDay
from portal.meetings.school_calendar.access import days_changed, days_seen
from portal.meetings.school_calendar.national_holidays import national
from portal.meetings.school_calendar.service import WIDEST_FIRST

MOST = 300


@dataclass(frozen=True)
class DayLine:
    """Something said of a day. `id` is None for a national holiday the portal knows by itself."""

    id: UUID | None
    date: date
    kind: str
    scope: str
    place: str  # the division's, school's or section's name
    name: str
    who: str | None
    changeable: bool


@dataclass(frozen=True)
class Square:
    """One day of the month view. `off` names it where none of those whom the person looks after has class."""

    date: date
    inside: bool
    off: str | None
    lines: list[DayLine]


def lines(user: User, first: date, last: date) -> tuple[list[DayLine], bool]:
    """What is said of the days, both ends included, in order, the wider first; and whether there is more."""
    rows = db.session.execute(
        select(
            ClassDay.id,
            ClassDay.date,
            ClassDay.kind,
            ClassDay.scope,
            ClassDay.division,
            School.name.label("school"),
            Section.grade_level,
            Section.name.label("section_name"),
            ClassDay.name,
            User.full_name.label("who"),
            days_changed(user).label("changeable"),
        )
        .outerjoin(School, School.id == ClassDay.school_id)
        .outerjoin(Section, Section.id == ClassDay.section_id)
        .outerjoin(User, User.id == ClassDay.created_by)
        .where(ClassDay.date.between(first, last), days_seen(user))
        .order_by(ClassDay.date, School.name, Section.grade_level, Section.name)
        .limit(MOST + 1)
    ).all()
    found = [
        DayLine(
            row.id,
            row.date,
            row.kind,
            row.scope,
            row.division or row.school or (f"{row.grade_level} - {row.section_name}" if row.section_name else ""),
            row.name,
            row.who,
            bool(row.changeable),
        )
        for row in rows[:MOST]
    ]
    seeds = [
        DayLine(None, day, "holiday", "national", "", name, None, False) for day, name in national(first, last).items()
    ]
    ordered = sorted([*seeds, *found], key=lambda line: (line.date, WIDEST_FIRST.index(line.scope)))
    return ordered, len(rows) > MOST


def squares(user: User, month: date, said: list[DayLine]) -> list[Square]:
    """The weeks of a month, Monday first, with what is said of each day (of the weeks' days, see `span`)."""
    first, last = span(month)
    by_day: dict[date, list[DayLine]] = {}
    for line in said:
        by_day.setdefault(line.date, []).append(line)
    widest = _scopes_of(user)
    days = (first + timedelta(days=number) for number in range((last - first).days + 1))
    return [
        Square(
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


def _off(said: list[DayLine]) -> str | None:
    """The last word: the narrowest that says something."""
    off = None
    for line in said:
        off = None if line.kind == "class" else line.name
    return off


def span(month: date) -> tuple[date, date]:
    """The whole weeks, Monday to Sunday, around a month (its first day)."""
    last = (month.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
    return month - timedelta(days=month.weekday()), last + timedelta(days=6 - last.weekday())
