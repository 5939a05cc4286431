"""Teaching assignments: teachers and co-teachers of classes, advisers of sections, and their transfer to a
colleague."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ColumnElement, and_, delete, insert, select, update
from sqlalchemy.orm import joinedload

from portal.accounts.models import User
from portal.classes.access import manageable_classes_clause, manageable_sections_clause
from portal.classes.models import SchoolClass, Section, co_teachers
from portal.core import audit_log
from portal.core.audit_codes import AuditAction, AuditSubject
from portal.core.db import db, execute_rowcount, write_transaction
from portal.core.worker_signals import Topic, notify_worker


class NotSchoolStaff(ValueError):
    """The user has no active account at the class's school, so they cannot teach the class."""


@dataclass(frozen=True)
class TeachingLoad:
    """A teacher's classes, co-taught classes and advised sections."""

    taught: list[SchoolClass]
    helped: list[SchoolClass]
    advised: list[Section]

    def __bool__(self) -> bool:
        return bool(self.taught or self.helped or self.advised)

    @property
    def schools(self) -> set[UUID]:
        """Ids of the schools of all classes and sections in the load."""
        sections = self.advised + [school_class.section for school_class in (*self.taught, *self.helped)]
        return {section.school_id for section in sections}


def teaching_load_of(person: User, admin: User) -> TeachingLoad:
    """The part of the teacher's load that is in the admin's scope."""
    co_taught = select(co_teachers.c.class_id).where(co_teachers.c.user_id == person.id)
    return TeachingLoad(
        taught=_list_manageable_classes(admin, SchoolClass.teacher_id == person.id),
        helped=_list_manageable_classes(admin, SchoolClass.id.in_(co_taught)),
        advised=list(
            db.session.scalars(
                select(Section)
                .where(Section.adviser_id == person.id, manageable_sections_clause(admin))
                .order_by(Section.school_year.desc(), Section.grade_level, Section.name)
            )
        ),
    )


def _list_manageable_classes(admin: User, condition: ColumnElement[bool]) -> list[SchoolClass]:
    return list(
        db.session.scalars(
            select(SchoolClass)
            .join(Section, Section.id == SchoolClass.section_id)
            .where(condition, manageable_classes_clause(admin))
            .options(joinedload(SchoolClass.section))
            .order_by(Section.school_year.desc(), Section.grade_level, Section.name, SchoolClass.subject)
        )
    )


def list_colleagues(schools: set[UUID], *, excluded_ids: Sequence[UUID]) -> list[User]:
    """Active teachers of these schools, by name."""
    return list(
        db.session.scalars(
            select(User)
            .where(_active_teacher_clause(schools), User.id.not_in(excluded_ids))
            .order_by(User.full_name, User.id)
        )
    )


def _active_teacher_clause(schools: set[UUID]) -> ColumnElement[bool]:
    return and_(
        User.school_id.in_(schools),
        User.role == "teacher",
        User.deactivated_at.is_(None),
        User.confirmed_at.is_not(None),
    )


def transfer_teaching_load(admin: User, person: User, heir: User, chosen: set[UUID]) -> int:
    """Transfer the chosen classes and sections of `person` to `heir`, and remove `person` as co-teacher of chosen
    classes; returns the number of rows changed.

    Ids that are not in the person's load or outside the admin's scope are ignored. Raises NotSchoolStaff, before any
    change.
    """
    with write_transaction() as session:
        load = teaching_load_of(person, admin)
        taught = [school_class.id for school_class in load.taught if school_class.id in chosen]
        helped = [school_class.id for school_class in load.helped if school_class.id in chosen]
        advised = [section.id for section in load.advised if section.id in chosen]
        schools = {school_class.section.school_id for school_class in load.taught if school_class.id in chosen}
        schools |= {section.school_id for section in load.advised if section.id in chosen}
        if any(not _is_active_teacher_of(heir, school) for school in schools) or heir.id == person.id:
            raise NotSchoolStaff
        session.execute(update(SchoolClass).where(SchoolClass.id.in_(taught)).values(teacher_id=heir.id))
        session.execute(update(Section).where(Section.id.in_(advised)).values(adviser_id=heir.id))
        for class_ids, user_id in ((taught, heir.id), (helped, person.id)):  # no one is teacher and co-teacher
            session.execute(
                delete(co_teachers).where(co_teachers.c.class_id.in_(class_ids), co_teachers.c.user_id == user_id)
            )
        for class_id in taught:
            audit_log.record_action(
                AuditAction.TRANSFERRED_CLASSES,
                AuditSubject.CLASS,
                class_id,
                by=admin.id,
                old=str(person.id),
                new=str(heir.id),
            )
        for section_id in advised:
            audit_log.record_action(
                AuditAction.TRANSFERRED_CLASSES,
                AuditSubject.SECTION,
                section_id,
                by=admin.id,
                old=str(person.id),
                new=str(heir.id),
            )
        for class_id in helped:
            audit_log.record_action(
                AuditAction.REMOVED_CO_TEACHER, AuditSubject.CLASS, class_id, by=admin.id, teacher=str(person.id)
            )
    notify_worker(Topic.ROSTERS)
    return len(taught) + len(helped) + len(advised)


def add_co_teacher(by: User, school_class: SchoolClass, colleague: User) -> None:
    """Add a co-teacher of the same school; a no-op if they teach the class already. Raises NotSchoolStaff."""
    school_id = db.session.scalars(select(Section.school_id).where(Section.id == school_class.section_id)).one()
    if not _is_active_teacher_of(colleague, school_id):
        raise NotSchoolStaff
    if colleague.id == school_class.teacher_id:
        return
    with write_transaction() as session:
        existing = select(co_teachers.c.class_id).where(
            co_teachers.c.class_id == school_class.id, co_teachers.c.user_id == colleague.id
        )
        if session.scalar(existing) is None:
            session.execute(insert(co_teachers).values(class_id=school_class.id, user_id=colleague.id))
            audit_log.record_action(
                AuditAction.ADDED_CO_TEACHER, AuditSubject.CLASS, school_class.id, by=by.id, teacher=str(colleague.id)
            )
    notify_worker(Topic.ROSTERS)


def remove_co_teacher(by: User, school_class: SchoolClass, user_id: UUID) -> bool:
    """Remove a co-teacher from the class; False if the user was none."""
    with write_transaction():
        removed = execute_rowcount(
            delete(co_teachers).where(co_teachers.c.class_id == school_class.id, co_teachers.c.user_id == user_id)
        )
        if removed:
            audit_log.record_action(
                AuditAction.REMOVED_CO_TEACHER, AuditSubject.CLASS, school_class.id, by=by.id, teacher=str(user_id)
            )
    notify_worker(Topic.ROSTERS)
    return bool(removed)


def _is_active_teacher_of(person: User, school_id: UUID) -> bool:
    return bool(db.session.scalar(select(User.id).where(User.id == person.id, _active_teacher_clause({school_id}))))
