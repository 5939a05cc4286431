"""What a report is asked about, read from its address: dates and places, within what the person may see.

A value that is wrong is named and left out, the rest is kept. A narrower place says the wider ones: who names
a section has named its school.
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

DEFAULT_DAYS = 30  # that a report goes back unless it is told otherwise
MAX_DAYS = 400  # a school year and the weeks around it

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
    level: Level = "class"  # of what the report has a line for each

    @property
    def link(self) -> dict[str, object]:
        """What stands in the address, for url_for."""
        names = {"first": "from", "last": "to", "class_id": "class"}
        values = {names.get(one.name, one.name): getattr(self, one.name) for one in fields(self) if one.name != "level"}
        return {name: value for name, value in values.items() if value is not None}


@dataclass(frozen=True)
class FilterProblem:
    """A value of the address that was left out. `unknown`: it names something that is not there for the person."""

    field: str
    text: str
    unknown: bool = False


@dataclass
class FilterChoices:
    """What the person may choose from: pairs of value and title."""

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


def parse_report_filters(user: User, address: Mapping[str, str]) -> ReportRequest:
    """The filters of an address, what may be chosen, and what was wrong with the values. At most four statements."""
    problems: list[FilterProblem] = []
    first, last = _dates(address, problems)
    filters = ReportFilters(first, last)
    choices = FilterChoices()
    reader = _Places(user, address, problems, choices)
    filters = reader.of_learners(filters) if can_view_learners(user) else reader.of_figures(filters)
    return ReportRequest(filters, choices, tuple(problems))


def _dates(address: Mapping[str, str], problems: list[FilterProblem]) -> tuple[date, date]:
    today = clock.today()
    last = _day(address, "to", _("To"), today, problems)
    first = _day(address, "from", _("From"), min(today, last) - timedelta(days=DEFAULT_DAYS), problems)
    if first > last:
        problems.append(FilterProblem("from", _("The first day was after the last one; they are exchanged.")))
        first, last = last, first
    if (last - first).days >= MAX_DAYS:
        first = last - timedelta(days=MAX_DAYS - 1)
        problems.append(
            FilterProblem(
                "from",
                _("A report covers at most %(days)d days. It begins later, so that it ends on your last day.",
                  days=MAX_DAYS),
            )
        )  # fmt: skip
    return first, last


def _day(address: Mapping[str, str], name: str, title: str, default: date, problems: list[FilterProblem]) -> date:
    text = address.get(name, "").strip()
    if not text:
        return default
    try:
        day = date.fromisoformat(text)
    except ValueError:
        said = _(
            "%(field)s: “%(what)s” is no day that we can read. Write it like 2026-11-24.", field=title, what=text[:40]
        )
    else:
        if 2000 <= day.year <= 2100:
            return day
        said = _("%(field)s: check the year, %(year)d. It has to be between 2000 and 2100.", field=title, year=day.year)
    problems.append(FilterProblem(name, said))
    return default


@dataclass
class _Places:
    user: User
    address: Mapping[str, str]
    problems: list[FilterProblem]
    choices: FilterChoices

    def of_learners(self, filters: ReportFilters) -> ReportFilters:
        """For teachers and school heads: down to the class."""
        self._out_of_reach("division", "school")
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
        choices, several = self.choices, len({row[3] for row in rows}) > 1
        for section, grade, name, year, _class, subject, teacher, full_name in rows:
            choices.sections[section] = _section_title(grade, name, year if several else "")
            choices.teachers[teacher] = full_name
            choices.subjects[subject] = subject
        choices.subjects = dict(sorted(choices.subjects.items()))
        choices.teachers = dict(sorted(choices.teachers.items(), key=lambda one: one[1]))
        filters = replace(
            filters,
            section=self._one_of("section", _("Section"), choices.sections),
            teacher=self._one_of("teacher", _("Teacher"), choices.teachers),
            subject=self._subject(),
        )
        all_classes: dict[UUID, str] = {}
        for section, grade, name, _year, class_id, subject, teacher, _name in rows:
            all_classes[class_id] = f"{subject}, {grade} - {name}"
            if filters.section in (None, section) and filters.teacher in (None, teacher):
                choices.classes[class_id] = all_classes[class_id]
        chosen = self._one_of("class", _("Class"), all_classes)
        if chosen and chosen not in choices.classes:
            self._add("class", _("The class is not one of the section and teacher chosen, so it is left out."))
            chosen = None
        return replace(filters, class_id=chosen)

    def of_figures(self, filters: ReportFilters) -> ReportFilters:
        """For division and region: down to the section, with figures only."""
        self._out_of_reach("class", "teacher", "subject")
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
            division = self._division()
        school = self._one_of("school", _("School"), names)
        section, home = self._section(names)
        if section and school and home != school:
            self._add("section", _("The section is not of the school chosen, so it is left out."))
            section = None
        school = school or (home if section else None)
        if school and division and divisions[school] != division:
            self._add("school", _("The school is not in the division chosen, so it is left out."))
            school = section = None
        if is_region and school:
            division = divisions[school]
        if division or not is_region:
            self.choices.schools = {one: name for one, name in names.items() if division in (None, divisions[one])}
        if school:
            self.choices.sections = self._sections_of(school)
        level: Level = "section" if school else "school" if division or not is_region else "division"
        return replace(filters, division=division, school=school, section=section, level=level)

    def _section(self, schools: Mapping[UUID, str]) -> tuple[UUID | None, UUID | None]:
        """The section asked for, and its school, if that is in scope."""
        section = self._uuid("section", _("Section"))
        if section is None:
            return None, None
        home = db.session.scalar(select(Section.school_id).where(Section.id == section))
        if home not in schools:
            self._unknown("section", _("Section"))
            return None, None
        return section, home

    def _sections_of(self, school: UUID) -> dict[UUID, str]:
        rows = db.session.execute(
            select(Section.id, Section.grade_level, Section.name, Section.school_year)
            .where(Section.school_id == school)
            .order_by(Section.school_year.desc(), Section.grade_level, Section.name)
        ).all()
        several = len({row[3] for row in rows}) > 1
        return {row[0]: _section_title(row[1], row[2], row[3] if several else "") for row in rows}

    def _division(self) -> str | None:
        text = self.address.get("division", "").strip()
        if text and text not in self.choices.divisions:
            self._unknown("division", _("Division"))
            return None
        return text or None

    def _subject(self) -> str | None:
        text = self.address.get("subject", "").strip()
        if text and text not in self.choices.subjects:
            self._unknown("subject", _("Subject"))
            return None
        return text or None

    def _one_of(self, name: str, title: str, known: Mapping[UUID, str]) -> UUID | None:
        found = self._uuid(name, title)
        if found is not None and found not in known:
            self._unknown(name, title)
            return None
        return found

    def _uuid(self, name: str, title: str) -> UUID | None:
        text = self.address.get(name, "").strip()
        if not text:
            return None
        try:
            return UUID(text)
        except ValueError:
            self._unknown(name, title)
            return None

    def _unknown(self, name: str, title: str) -> None:
        """The same words for what is somebody else's and for what never was."""
        text = _("%(field)s: there is none like that for you to look at, so it is left out.", field=title)
        self.problems.append(FilterProblem(name, text, unknown=True))

    def _out_of_reach(self, *names: str) -> None:
        titles: dict[str, Callable[[], str]] = {
            "division": lambda: _("Division"),
            "school": lambda: _("School"),
            "class": lambda: _("Class"),
            "teacher": lambda: _("Teacher"),
            "subject": lambda: _("Subject"),
        }
        for name in names:
            if self.address.get(name, "").strip():
                self._unknown(name, titles[name]())

    def _add(self, name: str, text: str) -> None:
        self.problems.append(FilterProblem(name, text))


def _section_title(grade: str, name: str, year: str) -> str:
    return f"{grade} - {name} ({year})" if year else f"{grade} - {name}"
