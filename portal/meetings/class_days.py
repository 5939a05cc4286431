"""Days without class: national holidays, and what a division, a school or a section declares."""

from collections.abc import Iterable
from datetime import date
from uuid import UUID

from sqlalchemy import or_, select

from portal.accounts.models import User
from portal.base import audit, clock
from portal.base.db import db, writing
from portal.classes.models import Section
from portal.meetings.holidays import NATIONAL
from portal.meetings.models import ClassDay

_WIDEST_FIRST = ("national", "division", "school", "section")


def days_off(section: Section, first: date, last: date) -> dict[date, str]:
    """The days without class of a section (with its school loaded), with their names, both ends included.

    The narrowest scope that says something of a day decides, so a school may hold class on a holiday.
    """
    rows = db.session.scalars(
        select(ClassDay).where(
            ClassDay.date.between(first, last),
            or_(
                ClassDay.scope == "national",
                ClassDay.division == section.school.division,
                ClassDay.school_id == section.school_id,
                ClassDay.section_id == section.id,
            ),
        )
    )
    return merged({day: name for day, name in NATIONAL.items() if first <= day <= last}, rows)


def merged(seed: dict[date, str], rows: Iterable[ClassDay]) -> dict[date, str]:
    """The seed with declared days laid over it, the wider scopes first."""
    off = dict(seed)
    for row in sorted(rows, key=lambda one: (_WIDEST_FIRST.index(one.scope), one.created_at)):
        if row.kind == "class":
            off.pop(row.date, None)
        else:
            off[row.date] = row.name
    return off


def declare(
    user: User,
    day: date,
    *,
    kind: str,
    name: str,
    scope: str,
    division: str | None = None,
    school_id: UUID | None = None,
    section_id: UUID | None = None,
) -> ClassDay:
    """Say that a day is a holiday, that classes are suspended, or that there is class after all.

    `scope` is national, division, school or section, and the place that belongs to it is given. Who may say
    it is for the page to check. Saying it again for the same day and place replaces what was said.
    """
    places = {"division": division, "school": school_id, "section": section_id}
    if any((place is not None) != (scope == name_of) for name_of, place in places.items()):
        raise ValueError("a scope comes with its own place and no other")
    with writing() as session:
        known = session.scalar(
            select(ClassDay).where(
                ClassDay.date == day,
                ClassDay.scope == scope,
                ClassDay.division.is_not_distinct_from(division),
                ClassDay.school_id.is_not_distinct_from(school_id),
                ClassDay.section_id.is_not_distinct_from(section_id),
            )
        )
        row = known or ClassDay(date=day, scope=scope, division=division, school_id=school_id, section_id=section_id)
        row.kind, row.name, row.created_by, row.created_at = kind, name, user.id, clock.now()
        session.add(row)
        session.flush()
        audit.record("declared", "class day", row.id, by=user.id, kind=kind, scope=scope, date=day.isoformat())
    return row


def known_to(user: User, first: date, last: date) -> dict[date, str]:
    """The days without class that concern a person's school, with their names, both ends included."""
    school = user.school
    places = [ClassDay.scope == "national"]
    if school is not None:
        places += [ClassDay.division == school.division, ClassDay.school_id == school.id]
    rows = db.session.scalars(select(ClassDay).where(ClassDay.date.between(first, last), or_(*places)))
    return merged({day: name for day, name in NATIONAL.items() if first <= day <= last}, rows)
