"""Who may see which section and class. Every loader returns the row, or answers 404 as if it did not exist.

The conditions are subqueries that never refer to the statement around them (`correlate(None)`), so that
they fit into any.
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
    """A condition on SchoolClass: the person teaches it, alone or with others."""
    together = select(co_teachers.c.class_id).where(co_teachers.c.user_id == user.id).correlate(None)
    return or_(SchoolClass.teacher_id == user.id, SchoolClass.id.in_(together))


def visible_classes_clause(user: User | AccessScope) -> ColumnElement[bool]:
    """A condition on SchoolClass: those the person teaches, those of the section they advise, an admin's scope."""
    if user.scope == "region":
        return true()
    governed = select(Section.id).where(manageable_sections_clause(user)).correlate(None)
    return or_(teaches_clause(user), SchoolClass.section_id.in_(governed))


def manageable_sections_clause(user: User | AccessScope) -> ColumnElement[bool]:
    """A condition on Section: those whose roster the person may change."""
    if not user.is_admin:
        return Section.adviser_id == user.id
    schools = select(School.id).where(schools_in_scope_clause(user)).correlate(None)
    return or_(Section.adviser_id == user.id, Section.school_id.in_(schools))


def visible_sections_clause(user: User | AccessScope) -> ColumnElement[bool]:
    """A condition on Section: governed ones, and those in which the person teaches a class."""
    taught = select(SchoolClass.section_id).where(teaches_clause(user)).correlate(None)
    return or_(manageable_sections_clause(user), Section.id.in_(taught))


def can_view_learners(user: User) -> bool:
    """Division and region admins work with figures, not with children's rows."""
    return not user.is_admin or user.scope == "school"


def section_or_404(section_id: UUID, *, govern: bool = False, forms: bool = False) -> Section:
    """The section with school and adviser, for its learners' rows; 404 for a stranger, 403 for one who may only look
    and wants to change. `forms`: to look at its register and forms, which is for those who govern it.

    Division and region are asked for a reason first, and may only look.
    """
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
        abort(410)  # the school keeps the attendance of that year no longer
    return section


def _section(section_id: UUID) -> Section | None:
    return db.session.scalar(_seen_section(access_scope_of(current_user)), {"section_id": section_id})


@lru_cache(STATEMENT_CACHE_SIZE)
def _seen_section(who: AccessScope) -> Select[Section]:
    return (
        select(Section)
        .where(Section.id == bindparam("section_id"), visible_sections_clause(who))
        .options(joinedload(Section.school), joinedload(Section.adviser))
    )


def disclosable_section_or_404(section_id: UUID) -> Section:
    """A section whose learners' rows the person sees only with a reason; 404 for everybody else."""
    section = _section(section_id)
    if section is None or can_view_learners(current_user):
        abort(404)
    return section


def require_section_disclosure(section: Section, back: str = "") -> None:
    """Learners' rows of a section in the person's scope come next: division and region are asked why, once. `back` is
    where the answer leads, unless it is the page that was asked for."""
    if not can_view_learners(current_user) and not disclosure_service.is_section_disclosed(current_user, section.id):
        disclosure_service.abort_with_reason_form(section, back)


def learner_or_404(section_id: UUID, learner_id: UUID, *, govern: bool = False) -> tuple[Section, Learner]:
    """A learner who is or was on the roster of a section, with it; 404 and 403 as for the section."""
    section = section_or_404(section_id, govern=govern)
    was_here = exists().where(Enrolment.learner_id == Learner.id, Enrolment.section_id == section.id)
    learner = db.session.scalar(select(Learner).where(Learner.id == learner_id, was_here))
    if learner is None:
        abort(404)
    return section, learner


def can_manage_section(section: Section, user: User | None = None) -> bool:
    """True for one who may change the roster: `user`, or the person who asks. A division or region may only look."""
    user = user or current_user
    if section.adviser_id == user.id:
        return True
    return bool(
        user.is_admin
        and can_view_learners(user)
        and db.session.scalar(select(exists().where(Section.id == section.id, manageable_sections_clause(user))))
    )


def class_or_404(class_id: UUID, *, manage: bool = False) -> SchoolClass:
    """The class with its section and teachers; 404 for a stranger, 403 where `manage` is wanted but not given."""
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
    """True for the teacher, co-teachers and admins in scope; an adviser of the section may only look."""
    return bool(
        db.session.scalar(
            select(exists().where(SchoolClass.id == school_class.id, manageable_classes_clause(current_user)))
        )
    )


def can_manage_teachers(school_class: SchoolClass) -> bool:
    """True for the teacher and for admins in scope: who says who else teaches the class."""
    return school_class.teacher_id == current_user.id or (current_user.is_admin and can_manage_class(school_class))


def manageable_classes_clause(user: User | AccessScope) -> ColumnElement[bool]:
    """A condition on SchoolClass: the person may schedule for it and change its sheets."""
    if not user.is_admin:
        return teaches_clause(user)
    schools = select(School.id).where(schools_in_scope_clause(user)).correlate(None)
    sections = select(Section.id).where(Section.school_id.in_(schools)).correlate(None)
    return or_(teaches_clause(user), SchoolClass.section_id.in_(sections))


def import_or_404(import_id: UUID) -> RosterImport:
    """An upload that waits for its uploader. Nobody else may open it."""
    row = db.session.get(RosterImport, import_id)
    if row is None or row.uploaded_by != current_user.id:
        abort(404)
    return row
