"""Filters of a report, parsed from the query string: dates and places, within the user's scope.

An invalid value is reported and ignored, the others are kept. A narrower place implies the wider ones: a section
implies its school.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import date, timedelta
from typing import Literal
from uuid import UUID

from flask_babel import gettext as _
from sqlalchemy import select

from portal.accounts.access import schools_in_scope_clause
from portal.accounts.models import School, User
from portal.classes.access import can_view_learners, visible_classes_clause
from portal.classes.models import SchoolClass, Section
from portal.core import clock
from portal.core.db import db

DEFAULT_DAYS = 30  # default length of the period
MAX_DAYS = 400  # a school year and some weeks

Level = Literal["division", "school", "section", "class"]


@dataclass(frozen=True)
class ReportFilters:
    """Dates in Manila, both included; a place, a teacher or a subject, or None for all."""

    first: date
    last: date
    division: str | None = None
    school: UUID | None = None
    section: UUID | None = None
    class_id: UUID | None = None
    teacher: UUID | None = None
    subject: str | None = None
    level: Level = "class"  # what the report groups by

    @property
    def link(self) -> dict[str, object]:
        """The query parameters, for url_for."""
        names = {"first": "from", "last": "to", "class_id": "class"}
        values = {
            names.get(filter_field.name, filter_field.name): getattr(self, filter_field.name)
            for filter_field in fields(self)
            if filter_field.name != "level"
        }
        return {name: value for name, value in values.items() if value is not None}


@dataclass(frozen=True)
class FilterProblem:
    """An ignored value. `unknown`: it refers to something that does not exist or is not visible to the user."""

    field: str
    text: str
    unknown: bool = False


@dataclass
class FilterChoices:
    """The choices within the user's scope: titles by value."""

    divisions: dict[str, str] = field(default_factory=dict)
    schools: dict[UUID, str] = field(default_factory=dict)
    sections: dict[UUID, str] = field(default_factory=dict)
    classes: dict[UUID, str] = field(default_factory=dict)
    teachers: dict[UUID, str] = field(default_factory=dict)
    subjects: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ReportRequest:
    filters: ReportFilters
    choices: FilterChoices
    problems: tuple[FilterProblem, ...]


def parse_report_filters(user: User, query: Mapping[str, str]) -> ReportRequest:
    """Parse the filters; returns them with the choices and the invalid values. At most four statements."""
    problems: list[FilterProblem] = []
    first_day, last_day = _parse_dates(query, problems)
    filters = ReportFilters(first_day, last_day)
    choices = FilterChoices()
    place_parser = _PlaceParser(user, query, problems, choices)
    filters = place_parser.of_learners(filters) if can_view_learners(user) else place_parser.of_figures(filters)
    return ReportRequest(filters, choices, tuple(problems))


def _parse_dates(query: Mapping[str, str], problems: list[FilterProblem]) -> tuple[date, date]:
    today = clock.today()
    last_day = _parse_day(query, "to", _("To"), today, problems)
    first_day = _parse_day(query, "from", _("From"), min(today, last_day) - timedelta(days=DEFAULT_DAYS), problems)
    if first_day > last_day:
        problems.append(FilterProblem("from", _("The first day was after the last one; they are exchanged.")))
        first_day, last_day = last_day, first_day
    if (last_day - first_day).days >= MAX_DAYS:
        first_day = last_day - timedelta(days=MAX_DAYS - 1)
        problems.append(
            FilterProblem(
                "from",
                _("A report covers at most %(days)d days. It begins later, so that it ends on your last day.",
                  days=MAX_DAYS),
            )
        )  # fmt: skip
    return first_day, last_day


def _parse_day(query: Mapping[str, str], name: str, title: str, default: date, problems: list[FilterProblem]) -> date:
    text = query.get(name, "").strip()
    if not text:
        return default
    try:
        day = date.fromisoformat(text)
    except ValueError:
        message = _(
            "%(field)s: “%(what)s” is no day that we can read. Write it like 2026-11-24.", field=title, what=text[:40]
        )
    else:
        if 2000 <= day.year <= 2100:
            return day
        message = _(
            "%(field)s: check the year, %(year)d. It has to be between 2000 and 2100.", field=title, year=day.year
        )
    problems.append(FilterProblem(name, message))
    return default


@dataclass
class _PlaceParser:
    user: User
    address: Mapping[str, str]
    problems: list[FilterProblem]
    choices: FilterChoices

    def of_learners(self, filters: ReportFilters) -> ReportFilters:
        """For users who see learners (teachers, school heads): down to the class."""
        self._reject_filters("division", "school")
        rows = db.session.execute(
            select(
                Section.id,
                Section.grade_level,
                Section.name,
                Section.school_year,
                SchoolClass.id,
                SchoolClass.subject,
                User.id,
                User.full_name,
            )
            .join(Section, Section.id == SchoolClass.section_id)
            .join(User, User.id == SchoolClass.teacher_id)
            .where(visible_classes_clause(self.user))
            .order_by(Section.school_year.desc(), Section.grade_level, Section.name, SchoolClass.subject)
        ).all()
        choices, has_several_years = self.choices, len({row[3] for row in rows}) > 1
        for section, grade, name, year, _class, subject, teacher, full_name in rows:
            choices.sections[section] = _section_title(grade, name, year if has_several_years else "")
            choices.teachers[teacher] = full_name
            choices.subjects[subject] = subject
        choices.subjects = dict(sorted(choices.subjects.items()))
        choices.teachers = dict(sorted(choices.teachers.items(), key=lambda item: item[1]))
        filters = replace(
            filters,
            section=self._choose("section", _("Section"), choices.sections),
            teacher=self._choose("teacher", _("Teacher"), choices.teachers),
            subject=self._parse_subject(),
        )
        all_classes: dict[UUID, str] = {}
        for section, grade, name, _year, class_id, subject, teacher, _name in rows:
            all_classes[class_id] = f"{subject}, {grade} - {name}"
            if filters.section in (None, section) and filters.teacher in (None, teacher):
                choices.classes[class_id] = all_classes[class_id]
        class_choice = self._choose("class", _("Class"), all_classes)
        if class_choice and class_choice not in choices.classes:
            self._add_problem("class", _("The class is not one of the section and teacher chosen, so it is left out."))
            class_choice = None
        return replace(filters, class_id=class_choice)

    def of_figures(self, filters: ReportFilters) -> ReportFilters:
        """For division and region users: down to the section, figures only."""
        self._reject_filters("class", "teacher", "subject")
        rows = db.session.execute(
            select(School.id, School.name, School.division)
            .where(schools_in_scope_clause(self.user))
            .order_by(School.division, School.name)
        ).all()
        names = {row[0]: row[1] for row in rows}
        divisions = {row[0]: row[2] for row in rows}
        is_region = self.user.scope == "region"
        division = None
        if is_region:
            self.choices.divisions = {name: name for name in sorted(set(divisions.values()))}
            division = self._parse_division()
        school = self._choose("school", _("School"), names)
        section, section_school = self._parse_section(names)
        if section and school and section_school != school:
            self._add_problem("section", _("The section is not of the school chosen, so it is left out."))
            section = None
        school = school or (section_school if section else None)
        if school and division and divisions[school] != division:
            self._add_problem("school", _("The school is not in the division chosen, so it is left out."))
            school = section = None
        if is_region and school:
            division = divisions[school]
        if division or not is_region:
            self.choices.schools = {
                school_id: name for school_id, name in names.items() if division in (None, divisions[school_id])
            }
        if school:
            self.choices.sections = self._sections_of(school)
        level: Level = "section" if school else "school" if division or not is_region else "division"
        return replace(filters, division=division, school=school, section=section, level=level)

    def _parse_section(self, schools: Mapping[UUID, str]) -> tuple[UUID | None, UUID | None]:
        """The requested section and its school, if that is in scope."""
        section = self._parse_uuid("section", _("Section"))
        if section is None:
            return None, None
        school_id = db.session.scalar(select(Section.school_id).where(Section.id == section))
        if school_id not in schools:
            self._add_unknown("section", _("Section"))
            return None, None
        return section, school_id

    def _sections_of(self, school: UUID) -> dict[UUID, str]:
        rows = db.session.execute(
            select(Section.id, Section.grade_level, Section.name, Section.school_year)
            .where(Section.school_id == school)
            .order_by(Section.school_year.desc(), Section.grade_level, Section.name)
        ).all()
        has_several_years = len({row[3] for row in rows}) > 1
        return {row[0]: _section_title(row[1], row[2], row[3] if has_several_years else "") for row in rows}

    def _parse_division(self) -> str | None:
        text = self.address.get("division", "").strip()
        if text and text not in self.choices.divisions:
            self._add_unknown("division", _("Division"))
            return None
        return text or None

    def _parse_subject(self) -> str | None:
        text = self.address.get("subject", "").strip()
        if text and text not in self.choices.subjects:
            self._add_unknown("subject", _("Subject"))
            return None
        return text or None

    def _choose(self, name: str, title: str, choices: Mapping[UUID, str]) -> UUID | None:
        choice = self._parse_uuid(name, title)
        if choice is not None and choice not in choices:
            self._add_unknown(name, title)
            return None
        return choice

    def _parse_uuid(self, name: str, title: str) -> UUID | None:
        text = self.address.get(name, "").strip()
        if not text:
            return None
        try:
            return UUID(text)
        except ValueError:
            self._add_unknown(name, title)
            return None

    def _add_unknown(self, name: str, title: str) -> None:
        """The same message for what belongs to others and for what does not exist."""
        text = _("%(field)s: there is none like that for you to look at, so it is left out.", field=title)
        self.problems.append(FilterProblem(name, text, unknown=True))

    def _reject_filters(self, *names: str) -> None:
        titles: dict[str, Callable[[], str]] = {
            "division": lambda: _("Division"),
            "school": lambda: _("School"),
            "class": lambda: _("Class"),
            "teacher": lambda: _("Teacher"),
            "subject": lambda: _("Subject"),
        }
        for name in names:
            if self.address.get(name, "").strip():
                self._add_unknown(name, titles[name]())

    def _add_problem(self, name: str, text: str) -> None:
        self.problems.append(FilterProblem(name, text))


def _section_title(grade: str, name: str, year: str) -> str:
    return f"{grade} - {name} ({year})" if year else f"{grade} - {name}"
