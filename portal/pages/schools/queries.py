"""SELECTs on schools, with their numbers of teachers, sections and learners."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, or_, select

from portal.accounts.access import schools_in_scope_clause
from portal.accounts.models import School, User
from portal.classes.models import Enrolment, Section
from portal.classes.service import school_year_of
from portal.core import clock
from portal.core.db import db

PAGE_SIZE = 50


@dataclass(frozen=True)
class SchoolRow:
    """A school with its active teacher accounts, this year's sections, and the learners on their rosters today."""

    school: School
    teachers: int
    sections: int
    learners: int


@dataclass(frozen=True)
class SchoolPage:
    lines: list[SchoolRow]
    total: int
    page: int

    @property
    def pages(self) -> int:
        return max(1, -(-self.total // PAGE_SIZE))


def search_schools_in_scope(admin: User, words: str, show: str, page: int) -> SchoolPage:
    """Schools in scope whose name, ID or division contains every word; `show` is "" (open ones) or "closed"."""
    conditions = [
        schools_in_scope_clause(admin),
        School.closed_at.is_not(None) if show == "closed" else School.closed_at.is_(None),
    ]
    for word in words.lower().split()[:5]:
        pattern = "%" + word.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_") + "%"
        columns = (func.lower(School.name), School.deped_id, func.lower(School.division))
        conditions.append(or_(*(column.like(pattern, escape="\\") for column in columns)))
    total = db.session.scalar(select(func.count()).select_from(School).where(*conditions)) or 0
    page = min(max(1, page), max(1, -(-total // PAGE_SIZE)))
    rows = select(School).where(*conditions).order_by(School.division, func.lower(School.name), School.id)
    schools = list(db.session.scalars(rows.limit(PAGE_SIZE).offset((page - 1) * PAGE_SIZE)))
    return SchoolPage(_with_counts(schools), total, page)


def count_school_contents(school: School) -> SchoolRow:
    return _with_counts([school])[0]


def _with_counts(schools: list[School]) -> list[SchoolRow]:
    ids = [school.id for school in schools]
    today = clock.today()
    this_year = Section.school_year >= school_year_of(today)
    teachers = _counts_by_school(
        select(User.school_id, func.count())
        .where(User.school_id.in_(ids), User.role == "teacher", User.deactivated_at.is_(None))
        .group_by(User.school_id)
    )
    sections = _counts_by_school(
        select(Section.school_id, func.count()).where(Section.school_id.in_(ids), this_year).group_by(Section.school_id)
    )
    learners = _counts_by_school(
        select(Section.school_id, func.count(Enrolment.learner_id.distinct()))
        .join(Section, Section.id == Enrolment.section_id)
        .where(
            Section.school_id.in_(ids),
            this_year,
            Enrolment.from_date <= today,
            or_(Enrolment.until_date.is_(None), Enrolment.until_date >= today),
        )
        .group_by(Section.school_id)
    )
    return [
        SchoolRow(school, teachers.get(school.id, 0), sections.get(school.id, 0), learners.get(school.id, 0))
        for school in schools
    ]


def _counts_by_school(rows: Select[*tuple[Any, ...]]) -> dict[UUID, int]:
    return dict(db.session.execute(rows).all())
