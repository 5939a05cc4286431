"""The rules about sections and classes."""

from sqlalchemy import select

from portal.accounts.models import User
from portal.base import audit, clock
from portal.base.db import db, writing
from portal.classes.models import SchoolClass, Section, school_year_of


class AlreadyThere(ValueError):
    """A section or class of that name exists. `row` is it."""

    def __init__(self, row: Section | SchoolClass) -> None:
        super().__init__("exists already")
        self.row = row


def create_section(user: User, *, grade_level: str, name: str, school_year: str | None = None) -> Section:
    """A new section of the person's school, advised by her if she is a teacher. Raises AlreadyThere."""
    if user.school_id is None:
        raise ValueError("a section belongs to a school")
    year = school_year or school_year_of(clock.today())
    grade_level, name = " ".join(grade_level.split()), " ".join(name.split())
    found = db.session.scalar(
        select(Section).where(
            Section.school_id == user.school_id,
            Section.school_year == year,
            Section.grade_level == grade_level,
            Section.name == name,
        )
    )
    if found:
        raise AlreadyThere(found)
    section = Section(
        school_id=user.school_id,
        school_year=year,
        grade_level=grade_level,
        name=name,
        adviser_id=None if user.is_admin else user.id,
        created_at=clock.now(),
    )
    with writing() as session:
        session.add(section)
        session.flush()
        audit.record("created", "section", section.id, by=user.id)
    return section


def create_class(user: User, section: Section, *, subject: str, teacher: User | None = None) -> SchoolClass:
    """A subject taught to the section, by `teacher` or by the person herself. Raises AlreadyThere."""
    subject = " ".join(subject.split())
    found = db.session.scalar(
        select(SchoolClass).where(SchoolClass.section_id == section.id, SchoolClass.subject == subject)
    )
    if found:
        raise AlreadyThere(found)
    school_class = SchoolClass(
        section_id=section.id, subject=subject, teacher_id=(teacher or user).id, created_at=clock.now()
    )
    with writing() as session:
        session.add(school_class)
        session.flush()
        audit.record("created", "class", school_class.id, by=user.id)
    return school_class
