"""Selects of sections, rosters and classes."""

from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    ScalarSelect,
    Select,
    and_,
    bindparam,
    case,
    exists,
    func,
    or_,
    select,
)
from sqlalchemy.orm import aliased, joinedload

from portal.accounts.access import STATEMENT_CACHE_SIZE, AccessScope, access_scope_of
from portal.accounts.models import User
from portal.classes.access import manageable_classes_clause, manageable_sections_clause, visible_sections_clause
from portal.classes.learners.enrolments import ERASED
from portal.classes.models import (
    Enrolment,
    Learner,
    SchoolClass,
    Section,
    next_school_year,
    roster_reference_date,
    school_year_of,
)
from portal.classes.section_names import fold_section
from portal.core import clock
from portal.core.audit_codes import AuditAction, AuditSubject
from portal.core.audit_log import AuditEntry
from portal.core.db import db


@dataclass(frozen=True)
class RosterEntry:
    """A learner on a roster, in LIS order: males first, then by position on School Form 1."""

    enrolment_id: UUID
    learner_id: UUID
    lrn: str | None
    lis_name: str
    last_name: str
    first_name: str
    middle_name: str
    extension: str
    sex: str
    email: str | None
    position: int
    from_date: date
    until_date: date | None


def enrolled_on_clause(day: date | BindParameter[date]) -> ColumnElement[bool]:
    """Condition on Enrolment: on the roster on `day`, which may be a bind parameter."""
    return and_(Enrolment.from_date <= day, or_(Enrolment.until_date.is_(None), Enrolment.until_date >= day))


def expected_on_clause(day: date) -> ColumnElement[bool]:
    """Condition on Enrolment: on the roster on `day` and not erased, so invited to class."""
    return and_(enrolled_on_clause(day), Enrolment.exit_reason.is_distinct_from(ERASED))


lis_order = (case((Learner.sex == "M", 0), else_=1), Enrolment.position, Learner.lis_name, Learner.id)


def select_roster(day: date | BindParameter[date]) -> Select[*tuple[Any, ...]]:
    """Select the columns of `RosterEntry` for all sections on `day`; callers add the section."""
    return (
        select(
            Enrolment.id.label("enrolment_id"),
            Learner.id.label("learner_id"),
            Learner.lrn,
            Learner.lis_name,
            Learner.last_name,
            Learner.first_name,
            Learner.middle_name,
            Learner.extension,
            Learner.sex,
            Learner.email,
            Enrolment.position,
            Enrolment.from_date,
            Enrolment.until_date,
        )
        .join(Learner, Learner.id == Enrolment.learner_id)
        .where(enrolled_on_clause(day))
        .order_by(*lis_order)
    )


_roster = select_roster(bindparam("day")).where(Enrolment.section_id == bindparam("section_id"))


def list_roster(section_id: UUID, day: date | None = None) -> list[RosterEntry]:
    """All learners on the section's roster on `day` (default today)."""
    rows = db.session.execute(_roster, {"day": day or clock.today(), "section_id": section_id})
    return [RosterEntry(*row) for row in rows]


@dataclass(frozen=True)
class FormerLearner:
    """A learner whose enrolment in a section has ended."""

    learner_id: UUID
    last_name: str
    first_name: str
    middle_name: str
    extension: str
    until_date: date
    reason: str | None
    detail: str | None


_later = aliased(Enrolment)
_former = (
    select(
        Learner.id,
        Learner.last_name,
        Learner.first_name,
        Learner.middle_name,
        Learner.extension,
        Enrolment.until_date,
        Enrolment.exit_reason,
        Enrolment.exit_detail,
    )
    .join(Learner, Learner.id == Enrolment.learner_id)
    .where(
        Enrolment.section_id == bindparam("section_id"),
        Enrolment.until_date < bindparam("day"),
        ~exists().where(
            _later.learner_id == Enrolment.learner_id,
            _later.section_id == Enrolment.section_id,
            _later.from_date > Enrolment.from_date,
        ),
    )
    .order_by(Enrolment.until_date.desc(), Learner.lis_name, Learner.id)
)


def list_former_learners(section: Section) -> list[FormerLearner]:
    """Learners whose enrolment ended before the section's roster day, latest first; each with their last enrolment
    there."""
    rows = db.session.execute(_former, {"section_id": section.id, "day": section.roster_day})
    return [FormerLearner(*row) for row in rows]  # type: ignore[arg-type]  # until_date is never NULL, by the condition


@dataclass(frozen=True)
class EnrolmentPeriod:
    """One enrolment of a learner: the section and its first and last day."""

    section_id: UUID
    title: str
    school_year: str
    from_date: date
    until_date: date | None
    reason: str | None
    detail: str | None


def list_enrolment_periods(learner_id: UUID) -> list[EnrolmentPeriod]:
    """All enrolments of a learner, latest first."""
    rows = db.session.execute(
        select(Enrolment, Section)
        .join(Section, Section.id == Enrolment.section_id)
        .where(Enrolment.learner_id == learner_id)
        .order_by(Enrolment.from_date.desc())
    )
    return [
        EnrolmentPeriod(
            section.id,
            section.title,
            section.school_year,
            row.from_date,
            row.until_date,
            row.exit_reason,
            row.exit_detail,
        )
        for row, section in rows
    ]


def list_sibling_sections(section: Section) -> list[Section]:
    """The other sections of the same school and school year: where a learner can be transferred to."""
    return list(
        db.session.scalars(
            select(Section)
            .where(
                Section.school_id == section.school_id,
                Section.school_year == section.school_year,
                Section.id != section.id,
            )
            .order_by(Section.grade_level != section.grade_level, Section.grade_level, Section.name)
        )
    )


@dataclass(frozen=True)
class SectionRow:
    id: UUID
    grade_level: str
    name: str
    school_year: str
    learners: int
    adviser: str | None
    governed: bool

    @property
    def title(self) -> str:
        return f"{self.grade_level} - {self.name}"


def list_school_years(user: User) -> list[str]:
    """The school years of the sections visible to the user, latest first."""
    return list(
        db.session.scalars(
            select(Section.school_year)
            .where(visible_sections_clause(user))
            .distinct()
            .order_by(Section.school_year.desc())
        )
    )


def list_visible_sections(user: User, school_year: str) -> list[SectionRow]:
    """Sections visible to the user in a school year, with the number of learners on the roster (today, or on the last
    day of a past year)."""
    rows = db.session.execute(
        select(
            Section.id,
            Section.grade_level,
            Section.name,
            Section.school_year,
            _learner_count_subquery(roster_reference_date(school_year)).label("learners"),
            User.full_name.label("adviser"),
            manageable_sections_clause(user).label("governed"),
        )
        .outerjoin(User, User.id == Section.adviser_id)
        .where(visible_sections_clause(user), Section.school_year == school_year)
        .order_by(Section.grade_level, Section.name)
    )
    return [SectionRow(**row._mapping) for row in rows]


def list_sections_without_successor(user: User, school_year: str) -> list[Section]:
    """Sections manageable by the user that have no section of the same grade and name, however spelt, in the next
    school year."""
    sections = db.session.scalars(
        select(Section)
        .where(manageable_sections_clause(user), Section.school_year == school_year)
        .options(joinedload(Section.adviser))
        .order_by(Section.grade_level, Section.name)
    ).all()
    rows = db.session.execute(
        select(Section.school_id, Section.grade_level, Section.name).where(
            Section.school_id.in_({section.school_id for section in sections}),
            Section.school_year == next_school_year(school_year),
        )
    )
    successors = {(row.school_id, fold_section(row.grade_level, row.name)) for row in rows}
    return [
        section
        for section in sections
        if (section.school_id, fold_section(section.grade_level, section.name)) not in successors
    ]


def _learner_count_subquery(day: date | BindParameter[date]) -> ScalarSelect[int]:
    """Correlated count of the learners on the roster of the enclosing statement's section."""
    return (
        select(func.count())
        .select_from(Enrolment)
        .where(Enrolment.section_id == Section.id, enrolled_on_clause(day))
        .scalar_subquery()
    )


@dataclass(frozen=True)
class ClassRow:
    id: UUID
    subject: str
    section_id: UUID
    grade_level: str
    section_name: str
    teacher: str
    learners: int
    managed: bool
    closed: bool

    @property
    def section_title(self) -> str:
        return f"{self.grade_level} - {self.section_name}"


@lru_cache(STATEMENT_CACHE_SIZE)
def _select_class_rows(scope: AccessScope) -> Select[*tuple[Any, ...]]:
    """Select the columns of `ClassRow`; bind parameter `day` is the day of the rosters."""
    return (
        select(
            SchoolClass.id,
            SchoolClass.subject,
            SchoolClass.section_id,
            Section.grade_level,
            Section.name,
            User.full_name,
            _learner_count_subquery(bindparam("day")),
            manageable_classes_clause(scope),
            SchoolClass.closed_at.is_not(None),
        )
        .join(Section, Section.id == SchoolClass.section_id)
        .join(User, User.id == SchoolClass.teacher_id)
        .order_by(Section.grade_level, Section.name, SchoolClass.subject)
    )


@lru_cache(STATEMENT_CACHE_SIZE)
def _select_section_class_rows(scope: AccessScope) -> Select[*tuple[Any, ...]]:
    return _select_class_rows(scope).where(SchoolClass.section_id == bindparam("section_id"))


def _fetch_class_rows(statement: Select[*tuple[Any, ...]], **values: object) -> list[ClassRow]:
    return [ClassRow(*row) for row in db.session.execute(statement, values)]


def list_schedulable_classes(user: User) -> list[ClassRow]:
    """Open classes of the current or a later school year for which the user may schedule meetings."""
    today = clock.today()
    is_open = and_(SchoolClass.closed_at.is_(None), Section.school_year >= school_year_of(today))
    return _fetch_class_rows(
        _select_class_rows(access_scope_of(user)).where(manageable_classes_clause(user), is_open), day=today
    )


def list_classes_of_year(user: User, school_year: str) -> list[ClassRow]:
    """All classes that the user manages in a school year, closed ones included."""
    of_year = _select_class_rows(access_scope_of(user)).where(
        manageable_classes_clause(user), Section.school_year == school_year
    )
    return _fetch_class_rows(of_year, day=roster_reference_date(school_year))


def list_classes_of_section(user: User, section_id: UUID) -> list[ClassRow]:
    """All classes of a section, with the number of learners today."""
    return _fetch_class_rows(
        _select_section_class_rows(access_scope_of(user)), section_id=section_id, day=clock.today()
    )


def find_school_section(
    school_id: UUID, school_year: str, grade_level: str, name: str, *, except_id: UUID | None = None
) -> Section | None:
    """The section of that grade level and name, compared folded (see `section_names`): LIS prints JADEITE, teachers
    write Jadeite. Where older rows have several spellings, the one spelt like this is preferred."""
    sections = db.session.scalars(
        select(Section)
        .where(Section.school_id == school_id, Section.school_year == school_year)
        .options(joinedload(Section.adviser))
        .order_by(Section.name != name, Section.created_at, Section.id)
    )
    folded = fold_section(grade_level, name)
    return next(
        (
            section
            for section in sections
            if section.id != except_id and fold_section(section.grade_level, section.name) == folded
        ),
        None,
    )


@dataclass(frozen=True)
class SectionRenaming:
    """One change of a section's name, from the audit log."""

    occurred_at: datetime
    by: str | None
    before: str
    after: str


def list_section_renamings(section_id: UUID) -> list[SectionRenaming]:
    """Changes of the section's name, latest first."""
    rows = db.session.execute(
        select(AuditEntry.occurred_at, User.full_name, AuditEntry.details)
        .outerjoin(User, User.id == AuditEntry.user_id)
        .where(
            AuditEntry.subject_type == AuditSubject.SECTION,
            AuditEntry.subject_id == str(section_id),
            AuditEntry.action == AuditAction.RENAMED,
        )
        .order_by(AuditEntry.id.desc())
    )
    return [
        SectionRenaming(moment, by, str(details.get("before", "")), str(details.get("after", "")))
        for moment, by, details in rows
    ]
