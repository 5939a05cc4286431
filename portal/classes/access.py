"""Access rules for sections and classes. A loader (`*_or_404`) returns the row or answers 404, as if it did not exist.

Each `*_clause` is a subquery that never correlates with the enclosing statement (`correlate(None)`), so it can be used
in any statement.
"""

from functools import lru_cache
from uuid import UUID

from flask import abort
from flask_login import current_user
from sqlalchemy import ColumnElement, Select, bindparam, exists, or_, select, true
from sqlalchemy.orm import joinedload, selectinload

from portal.accounts.access import STATEMENT_CACHE_SIZE, AccessScope, access_scope_of, schools_in_scope_clause
from portal.accounts.models import School, User
from portal.classes.disclosure import service as disclosure_service
from portal.classes.models import Enrolment, Learner, RosterImport, SchoolClass, Section, co_teachers
from portal.core.db import db


def teaches_clause(user: User | AccessScope) -> ColumnElement[bool]:
    """Condition on SchoolClass: the user is its teacher or a co-teacher."""
    co_taught = select(co_teachers.c.class_id).where(co_teachers.c.user_id == user.id).correlate(None)
    return or_(SchoolClass.teacher_id == user.id, SchoolClass.id.in_(co_taught))


def visible_classes_clause(user: User | AccessScope) -> ColumnElement[bool]:
    """Condition on SchoolClass: the user teaches it, advises its section, or is an admin with it in scope."""
    if user.scope == "region":
        return true()
    managed_sections = select(Section.id).where(manageable_sections_clause(user)).correlate(None)
    return or_(teaches_clause(user), SchoolClass.section_id.in_(managed_sections))


def manageable_sections_clause(user: User | AccessScope) -> ColumnElement[bool]:
    """Condition on Section: the user may change its roster (the adviser, or an admin with the school in scope)."""
    if not user.is_admin:
        return Section.adviser_id == user.id
    schools_in_scope = select(School.id).where(schools_in_scope_clause(user)).correlate(None)
    return or_(Section.adviser_id == user.id, Section.school_id.in_(schools_in_scope))


def visible_sections_clause(user: User | AccessScope) -> ColumnElement[bool]:
    """Condition on Section: manageable ones, and those in which the user teaches a class."""
    taught_sections = select(SchoolClass.section_id).where(teaches_clause(user)).correlate(None)
    return or_(manageable_sections_clause(user), Section.id.in_(taught_sections))


def can_view_learners(user: User) -> bool:
    """False for division and region admins: they work with totals, not with learners' rows."""
    return not user.is_admin or user.scope == "school"


def section_or_404(section_id: UUID, *, govern: bool = False, forms: bool = False) -> Section:
    """Load a section with school and adviser, to show its learners' rows. 404 if the user may not see it, 403 if they
    may only read and `govern` (change) or `forms` (register and school forms) is asked for, 410 if its attendance was
    deleted under the retention rule. Division and region admins are asked for a reason first, and may only read."""
    section = _section(section_id)
    if section is None:
        abort(404)
    if not can_view_learners(current_user):
        if govern:
            abort(403)
        require_section_disclosure(section)
    elif (govern or forms) and not can_manage_section(section):
        abort(403)
    if (govern or forms) and section.attendance_deleted_at:
        abort(410)  # deleted under the retention rule
    return section


def _section(section_id: UUID) -> Section | None:
    return db.session.scalar(_visible_section_select(access_scope_of(current_user)), {"section_id": section_id})


@lru_cache(STATEMENT_CACHE_SIZE)
def _visible_section_select(scope: AccessScope) -> Select[Section]:
    return (
        select(Section)
        .where(Section.id == bindparam("section_id"), visible_sections_clause(scope))
        .options(joinedload(Section.school), joinedload(Section.adviser))
    )


def disclosable_section_or_404(section_id: UUID) -> Section:
    """Load a section whose learners' rows this user sees only after giving a reason; 404 for everybody else."""
    section = _section(section_id)
    if section is None or can_view_learners(current_user):
        abort(404)
    return section


def require_section_disclosure(section: Section, return_url: str = "") -> None:
    """Abort with the reason form if a division or region admin has given no reason for this section that still holds.
    `return_url` is opened after the form; default: the requested page."""
    if not can_view_learners(current_user) and not disclosure_service.is_section_disclosed(current_user, section.id):
        disclosure_service.abort_with_reason_form(section, return_url)


def learner_or_404(section_id: UUID, learner_id: UUID, *, govern: bool = False) -> tuple[Section, Learner]:
    """Load a learner who is or was enrolled in the section, with the section; 404, 403 and 410 as for
    `section_or_404`."""
    section = section_or_404(section_id, govern=govern)
    has_enrolment = exists().where(Enrolment.learner_id == Learner.id, Enrolment.section_id == section.id)
    learner = db.session.scalar(select(Learner).where(Learner.id == learner_id, has_enrolment))
    if learner is None:
        abort(404)
    return section, learner


def can_manage_section(section: Section, user: User | None = None) -> bool:
    """True if `user` (default: the signed-in user) may change the roster. Division and region admins may only read."""
    user = user or current_user
    if section.adviser_id == user.id:
        return True
    return bool(
        user.is_admin
        and can_view_learners(user)
        and db.session.scalar(select(exists().where(Section.id == section.id, manageable_sections_clause(user))))
    )


def class_or_404(class_id: UUID, *, manage: bool = False) -> SchoolClass:
    """Load a class with its section and teachers; 404 if the user may not see it, 403 if `manage` is set and they may
    only read."""
    school_class = db.session.scalar(
        select(SchoolClass)
        .where(SchoolClass.id == class_id, visible_classes_clause(current_user))
        .options(
            joinedload(SchoolClass.section).joinedload(Section.school),
            joinedload(SchoolClass.section).joinedload(Section.adviser),
            joinedload(SchoolClass.teacher),
            selectinload(SchoolClass.co_teachers),
        )
    )
    if school_class is None:
        abort(404)
    if manage and not can_manage_class(school_class):
        abort(403)
    return school_class


def can_manage_class(school_class: SchoolClass) -> bool:
    """True for the teacher, co-teachers and admins in scope; the section's adviser may only read."""
    return bool(
        db.session.scalar(
            select(exists().where(SchoolClass.id == school_class.id, manageable_classes_clause(current_user)))
        )
    )


def can_manage_teachers(school_class: SchoolClass) -> bool:
    """True for the teacher and for admins in scope: they may add and remove co-teachers."""
    return school_class.teacher_id == current_user.id or (current_user.is_admin and can_manage_class(school_class))


def manageable_classes_clause(user: User | AccessScope) -> ColumnElement[bool]:
    """Condition on SchoolClass: the user may schedule for it and correct its sheets."""
    if not user.is_admin:
        return teaches_clause(user)
    schools_in_scope = select(School.id).where(schools_in_scope_clause(user)).correlate(None)
    sections_in_scope = select(Section.id).where(Section.school_id.in_(schools_in_scope)).correlate(None)
    return or_(teaches_clause(user), SchoolClass.section_id.in_(sections_in_scope))


def import_or_404(import_id: UUID) -> RosterImport:
    """Load a roster import; 404 for everybody but its uploader."""
    row = db.session.get(RosterImport, import_id)
    if row is None or row.uploaded_by != current_user.id:
        abort(404)
    return row
