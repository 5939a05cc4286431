"""Who may declare class days for whom, and who sees what was declared.

The region for all, a division or a school; a division for itself and its schools; a school for itself and its
sections; an adviser for their section. Narrower scopes win, so nobody is overruled from below but for themselves.
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

SINGLE_SCHOOL_KEY = "school"  # the choice of those who look after several schools: its ID is asked for beside


@dataclass(frozen=True)
class ScopeOption:
    """One place a person may declare days for. `key` stands for it in a form; `name` is that of the place."""

    key: str
    scope: str
    name: str
    calendar_scope: CalendarScope | None  # None: a school that is named by its ID


def calendar_scope_options(user: User) -> list[ScopeOption]:
    """The places a person may declare days for, the widest first; none for a teacher who advises no section."""
    if user.scope == "region":
        divisions = db.session.scalars(select(School.division).distinct().order_by(School.division))
        everybody = ScopeOption("region", "region", "", CalendarScope("region"))
        return [
            everybody,
            *(_of_division(name) for name in divisions),
            ScopeOption(SINGLE_SCHOOL_KEY, "school", "", None),
        ]
    if user.scope == "division" and user.school:
        return [_of_division(user.school.division), ScopeOption(SINGLE_SCHOOL_KEY, "school", "", None)]
    sections = db.session.scalars(
        select(Section)
        .where(manageable_sections_clause(user), Section.school_year >= school_year_of(clock.today()))
        .order_by(Section.grade_level, Section.name)
    )
    own = [
        ScopeOption(f"section:{section.id}", "section", section.title, CalendarScope("section", section_id=section.id))
        for section in sections
    ]
    if user.is_admin and user.school:
        school = user.school
        return [
            ScopeOption(f"school:{school.id}", "school", school.name, CalendarScope("school", school_id=school.id)),
            *own,
        ]
    return own


def _of_division(name: str) -> ScopeOption:
    return ScopeOption(f"division:{name}", "division", name, CalendarScope("division", division=name))


def resolve_calendar_scope(user: User, offers: Sequence[ScopeOption], key: str, deped_id: str) -> CalendarScope | None:
    """The place a form stands for; None where there is no such school in scope."""
    offer = next((one for one in offers if one.key == key), None)
    if offer is None or offer.calendar_scope:
        return offer.calendar_scope if offer else None
    school_id = db.session.scalar(select(School.id).where(School.deped_id == deped_id, schools_in_scope_clause(user)))
    return CalendarScope("school", school_id=school_id) if school_id else None


def editable_days_clause(user: User) -> ColumnElement[bool]:
    """A condition on ClassDay: those the person may change and remove."""
    if user.scope == "region":
        return true()
    sections = select(Section.id).where(manageable_sections_clause(user)).correlate(None)
    schools = select(School.id).where(schools_in_scope_clause(user)).correlate(None)
    own: list[ColumnElement[bool]] = [CalendarDay.section_id.in_(sections), CalendarDay.school_id.in_(schools)]
    if user.scope == "division" and user.school:
        own.append(CalendarDay.division == user.school.division)
    return or_(*own)


def visible_days_clause(user: User) -> ColumnElement[bool]:
    """A condition on ClassDay: those, and what is said for all or for their own school and division."""
    wider: list[ColumnElement[bool]] = [CalendarDay.scope.in_(REGION_WIDE_SCOPES)]
    if user.school:
        wider += [CalendarDay.division == user.school.division, CalendarDay.school_id == user.school.id]
    return or_(editable_days_clause(user), *wider)


def calendar_day_or_404(day_id: UUID) -> CalendarDay:
    """A declared day, to be changed; 404 for whom it does not concern, 403 for whom it does and who may only look."""
    row = db.session.scalar(select(CalendarDay).where(CalendarDay.id == day_id, visible_days_clause(current_user)))
    if row is None:
        abort(404)
    if (
        db.session.scalar(select(CalendarDay.id).where(CalendarDay.id == day_id, editable_days_clause(current_user)))
        is None
    ):
        abort(403)
    return row
