"""Writes to sections and classes: create, rename, close, reopen, and open a new school year."""

from collections.abc import Iterable
from uuid import UUID, uuid4

from sqlalchemy import select

from portal.accounts.models import School, User
from portal.classes import queries
from portal.classes.lis_names import normalise_text
from portal.classes.models import SchoolClass, Section, next_school_year, school_year_of
from portal.classes.section_names import normalise_grade_level
from portal.core import audit_log, clock
from portal.core.audit_codes import AuditAction, AuditSubject
from portal.core.db import db, write_transaction
from portal.core.db.row_locks import lock_rows


class DuplicateName(ValueError):
    """A section or class of that name exists already; `row` is that one, `title` its name on pages."""

    def __init__(self, row: Section | SchoolClass) -> None:
        super().__init__("exists already")
        self.row = row
        self.title = row.title if isinstance(row, Section) else row.subject


def create_section(
    user: User,
    *,
    grade_level: str,
    name: str,
    school_year: str | None = None,
    school_id: UUID | None = None,
    section_id: UUID | None = None,
) -> Section:
    """Insert a section of the school (default: the user's), by hand or by an import; a teacher becomes its adviser.
    The name is kept as written; a section whose grade level and name fold to the same raises DuplicateName. Raises
    ValueError for a user without a school."""
    school_id = school_id or user.school_id
    if school_id is None:
        raise ValueError("a section belongs to a school")
    year = school_year or school_year_of(clock.today())
    grade_level, name = normalise_grade_level(grade_level), normalise_text(name)
    with write_transaction() as session:
        _lock_section_names(school_id)
        duplicate = queries.find_school_section(school_id, year, grade_level, name)
        if duplicate:
            raise DuplicateName(duplicate)
        section = Section(
            id=section_id or uuid4(),
            school_id=school_id,
            school_year=year,
            grade_level=grade_level,
            name=name,
            adviser_id=None if user.is_admin else user.id,
            created_at=clock.now(),
        )
        session.add(section)
        session.flush()
        audit_log.record_action(AuditAction.CREATED, AuditSubject.SECTION, section.id, by=user.id)
    return section


def rename_section(user: User, section: Section, name: str) -> None:
    """Change the name of a section; the audit log keeps the old one. Raises DuplicateName if another section of its
    school year and grade level has that name, however spelt."""
    name = normalise_text(name)
    with write_transaction() as session:
        _lock_section_names(section.school_id)
        duplicate = queries.find_school_section(
            section.school_id, section.school_year, section.grade_level, name, except_id=section.id
        )
        if duplicate:
            raise DuplicateName(duplicate)
        before = session.scalar(select(Section.name).where(Section.id == section.id))
        if before == name:
            return
        section.name = name
        session.add(section)
        audit_log.record_action(
            AuditAction.RENAMED, AuditSubject.SECTION, section.id, by=user.id, before=before, after=name
        )


def _lock_section_names(school_id: UUID) -> None:
    """Lock the school's row: no constraint compares folded names, so one transaction at a time gives names to its
    sections."""
    lock_rows(School, [school_id])


def create_class(user: User, section: Section, *, subject: str, teacher: User | None = None) -> SchoolClass:
    """Insert a class of the section, taught by `teacher` or else by `user`. Raises DuplicateName."""
    subject = " ".join(subject.split())
    duplicate = db.session.scalar(
        select(SchoolClass).where(SchoolClass.section_id == section.id, SchoolClass.subject == subject)
    )
    if duplicate:
        raise DuplicateName(duplicate)
    school_class = SchoolClass(
        section_id=section.id, subject=subject, teacher_id=(teacher or user).id, created_at=clock.now()
    )
    with write_transaction() as session:
        session.add(school_class)
        session.flush()
        audit_log.record_action(AuditAction.CREATED, AuditSubject.CLASS, school_class.id, by=user.id)
    return school_class


def next_year_to_open() -> str | None:
    """The next school year, in March, April and May, the three months before it begins; None in the other months."""
    today = clock.today()
    return next_school_year(school_year_of(today)) if today.month in (3, 4, 5) else None


def create_school_year(user: User, last_year: str, section_ids: Iterable[UUID]) -> list[Section]:
    """Copy the chosen sections of `last_year` (grade, name, adviser) into the next school year, without learners or
    classes. Ids outside the user's scope are ignored."""
    chosen_ids = set(section_ids)
    with write_transaction() as session:
        sections = [
            Section(
                school_id=old.school_id,
                school_year=next_school_year(last_year),
                grade_level=old.grade_level,
                name=old.name,
                adviser_id=old.adviser_id,
                created_at=clock.now(),
            )
            for old in queries.list_sections_without_successor(user, last_year)
            if old.id in chosen_ids
        ]
        session.add_all(sections)
        session.flush()
        if sections:
            audit_log.record_action(
                AuditAction.CREATED_SCHOOL_YEAR, AuditSubject.SCHOOL, sections[0].school_id, by=user.id,
                year=sections[0].school_year, sections=len(sections),
            )  # fmt: skip
    return sections


def rename_class(user: User, school_class: SchoolClass, subject: str) -> None:
    """Change the subject of a class. Raises DuplicateName."""
    subject = " ".join(subject.split())
    with write_transaction() as session:
        duplicate = session.scalar(
            select(SchoolClass).where(
                SchoolClass.section_id == school_class.section_id,
                SchoolClass.subject == subject,
                SchoolClass.id != school_class.id,
            )
        )
        if duplicate:
            raise DuplicateName(duplicate)
        school_class.subject = subject
        session.add(school_class)
        audit_log.record_action(AuditAction.RENAMED, AuditSubject.CLASS, school_class.id, by=user.id)


def close_class(user: User, school_class: SchoolClass) -> None:
    """Close a class: nothing new can be scheduled for it; scheduled and held meetings stay."""
    if school_class.closed_at is None:
        with write_transaction() as session:
            school_class.closed_at = clock.now()
            session.add(school_class)
            audit_log.record_action(AuditAction.CLOSED, AuditSubject.CLASS, school_class.id, by=user.id)


def reopen_class(user: User, school_class: SchoolClass) -> None:
    """Reopen a closed class, so that it can be scheduled for."""
    if school_class.closed_at is not None:
        with write_transaction() as session:
            school_class.closed_at = None
            session.add(school_class)
            audit_log.record_action(AuditAction.REOPENED, AuditSubject.CLASS, school_class.id, by=user.id)
