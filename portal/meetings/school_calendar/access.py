"""Access control of the school calendar: who may declare days for which scope, and who sees them.

The region declares for everybody, a division or a school; a division for itself and its schools; a school for itself
and its sections; an adviser for their section. Narrower scopes override, but only for themselves.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from flask import abort
from flask_login import current_user
from sqlalchemy import ColumnElement, or_, select, true

from portal.accounts.access import schools_in_scope_clause
from portal.accounts.models import School, User
from portal.classes.access import manageable_sections_clause
from portal.classes.models import Section
from portal.classes.service import school_year_of
from portal.core import clock
from portal.core.db import db
from portal.meetings.models import CalendarDay
from portal.meetings.school_calendar.service import REGION_WIDE_SCOPES, CalendarScope

SINGLE_SCHOOL_KEY = "school"  # the option of users with several schools; the school's DepEd ID is a second field


@dataclass(frozen=True)
class ScopeOption:
    """A scope that a user may declare days for. `key` is its value in the form; `name` is that of the scope."""

    key: str
    scope: str
    name: str
    calendar_scope: CalendarScope | None  # None: a school given by its DepEd ID


def calendar_scope_options(user: User) -> list[ScopeOption]:
    """The scopes a user may declare days for, the widest first; none for a teacher who advises no section."""
    if user.scope == "region":
        divisions = db.session.scalars(select(School.division).distinct().order_by(School.division))
        region_option = ScopeOption("region", "region", "", CalendarScope("region"))
        return [
            region_option,
            *(_division_option(name) for name in divisions),
            ScopeOption(SINGLE_SCHOOL_KEY, "school", "", None),
        ]
    if user.scope == "division" and user.school:
        return [_division_option(user.school.division), ScopeOption(SINGLE_SCHOOL_KEY, "school", "", None)]
    sections = db.session.scalars(
        select(Section)
        .where(manageable_sections_clause(user), Section.school_year >= school_year_of(clock.today()))
        .order_by(Section.grade_level, Section.name)
    )
    section_options = [
        ScopeOption(f"section:{section.id}", "section", section.title, CalendarScope("section", section_id=section.id))
        for section in sections
    ]
    if user.is_admin and user.school:
        school = user.school
        return [
            ScopeOption(f"school:{school.id}", "school", school.name, CalendarScope("school", school_id=school.id)),
            *section_options,
        ]
    return section_options


def _division_option(name: str) -> ScopeOption:
    return ScopeOption(f"division:{name}", "division", name, CalendarScope("division", division=name))


def resolve_calendar_scope(user: User, offers: Sequence[ScopeOption], key: str, deped_id: str) -> CalendarScope | None:
    """The scope chosen in a form; None if there is no such school within the user's scope."""
    option = next((candidate for candidate in offers if candidate.key == key), None)
    if option is None or option.calendar_scope:
        return option.calendar_scope if option else None
    school_id = db.session.scalar(select(School.id).where(School.deped_id == deped_id, schools_in_scope_clause(user)))
    return CalendarScope("school", school_id=school_id) if school_id else None


def editable_days_clause(user: User) -> ColumnElement[bool]:
    """Condition on CalendarDay: days that the user may change and delete."""
    if user.scope == "region":
        return true()
    section_ids = select(Section.id).where(manageable_sections_clause(user)).correlate(None)
    school_ids = select(School.id).where(schools_in_scope_clause(user)).correlate(None)
    clauses: list[ColumnElement[bool]] = [
        CalendarDay.section_id.in_(section_ids),
        CalendarDay.school_id.in_(school_ids),
    ]
    if user.scope == "division" and user.school:
        clauses.append(CalendarDay.division == user.school.division)
    return or_(*clauses)


def visible_days_clause(user: User) -> ColumnElement[bool]:
    """Condition on CalendarDay: editable days, and those for everybody or for the user's school or division."""
    wider_clauses: list[ColumnElement[bool]] = [CalendarDay.scope.in_(REGION_WIDE_SCOPES)]
    if user.school:
        wider_clauses += [CalendarDay.division == user.school.division, CalendarDay.school_id == user.school.id]
    return or_(editable_days_clause(user), *wider_clauses)


def calendar_day_or_404(day_id: UUID) -> CalendarDay:
    """A declared day, for editing; 404 if not visible, 403 if visible but not editable."""
    row = db.session.scalar(select(CalendarDay).where(CalendarDay.id == day_id, visible_days_clause(current_user)))
    if row is None:
        abort(404)
    if (
        db.session.scalar(select(CalendarDay.id).where(CalendarDay.id == day_id, editable_days_clause(current_user)))
        is None
    ):
        abort(403)
    return row
