"""Diff of a roster file against the database: what each row would change, and who is missing from the file."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, and_, exists, or_, select

from portal.accounts.models import School, User
from portal.classes import queries
from portal.classes.codes import ImportState, RosterChange
from portal.classes.lis_names import fold_name
from portal.classes.models import (
    Enrolment,
    Learner,
    RosterImport,
    Section,
    roster_reference_date,
    school_year_of,
    school_year_start,
)
from portal.classes.roster_files.reader import (
    RosterFile,
    RosterRow,
    RowProblem,
    roster_file_from_json,
)
from portal.classes.roster_files.remarks import LEAVING_CODES
from portal.classes.section_names import fold_section_name
from portal.core import clock
from portal.core.date_format import format_day_long
from portal.core.db import db

# LEAVES: the file says that a learner on the roster has left. LEFT: it says so of one who is on no roster any more.
SAVED_STATUSES: tuple[RosterChange, ...] = (
    RosterChange.NEW,
    RosterChange.CHANGED,
    RosterChange.MOVES_HERE,
    RosterChange.LEAVES,
)
LEFT_STATUSES = LEAVING_CODES
COMPARED_FIELDS = ("lis_name", "last_name", "first_name", "middle_name", "extension", "sex", "email")


@dataclass(frozen=True)
class RosterDiffLine:
    """One row of the file with its effect on the database."""

    row: RosterRow
    status: RosterChange
    problems: tuple[RowProblem, ...]
    learner_id: UUID | None
    changes: tuple[tuple[str, str, str], ...]  # field, before, after
    position: int
    from_date: date
    other_section: str | None = None


@dataclass(frozen=True)
class RosterDiff:
    """What a confirmation would change. `missing` are on the roster but not in the file; the user decides about each.
    `day` is the day of the roster that the file is compared with; `learners` (on the roster or in the file) and `times`
    (their enrolments) are the rows it was compared with."""

    file: RosterFile
    section: Section | None
    lines: tuple[RosterDiffLine, ...]
    missing: tuple[queries.RosterEntry, ...]
    problems: tuple[RowProblem, ...]
    day: date
    learners: dict[UUID, Learner]
    times: tuple[Enrolment, ...]

    @property
    def ok(self) -> bool:
        """True if the import can be confirmed: no problem in the file or in any row."""
        return self.file.ok and not self.problems and all(line.status != RosterChange.BAD for line in self.lines)

    def count(self, status: RosterChange) -> int:
        """The number of rows with this status."""
        return sum(line.status == status for line in self.lines)

    @property
    def changes_something(self) -> bool:
        """True if a confirmation would change anything, or somebody is missing."""
        return bool(self.missing) or any(line.status in SAVED_STATUSES for line in self.lines)


@dataclass(frozen=True)
class _RosterContext:
    """The enrolments known before the import, as of the reference day."""

    day: date
    first_day: date  # start of new enrolments
    school_id: UUID
    school_year: str
    here: dict[UUID, Enrolment]
    elsewhere: dict[UUID, Section]
    last_days: dict[UUID, date]
    left_here: set[UUID]
    by: User


@dataclass(frozen=True)
class ImportTarget:
    """Where an upload's rows go: the section (None: it is to be created), its school year, and the day of the roster
    that the rows are compared with."""

    file: RosterFile
    section: Section | None
    year: str
    day: date
    learners_clause: ColumnElement[bool]  # on Learner: everybody who could be in the file


def find_import_target(upload: RosterImport) -> ImportTarget:
    """The target of an undecided upload. Raises ValueError if it is decided."""
    if upload.state != ImportState.PREVIEW or upload.preview_rows is None:
        raise ValueError("decided already")
    file = roster_file_from_json(upload.preview_rows)
    section = _find_target_section(upload, file)
    year = section.school_year if section else file.school_year or school_year_of(clock.today())
    day = roster_reference_date(year)
    return ImportTarget(file, section, year, day, _candidate_learners_clause(file, upload.school_id, section, day))


def diff_roster_file(upload: RosterImport, target: ImportTarget | None = None) -> RosterDiff:
    """Compare an undecided upload with the current database. Raises ValueError if it is decided."""
    target = target or find_import_target(upload)
    file, section = target.file, target.section
    learners = _load_learners(target.learners_clause)
    times = _list_enrolments(learners)
    context = _build_context(upload, section, target.year, times)
    lines = _diff_lines(file.rows, learners, context)
    met = {line.learner_id for line in lines}
    missing = [_to_roster_entry(learners[key], time) for key, time in context.here.items() if key not in met]
    missing.sort(key=lambda line: (line.sex != "M", line.position, line.lis_name, line.learner_id))
    problems = _file_problems(upload, file, section, target.year)
    enrolments = tuple(time for time, _ in times)
    return RosterDiff(file, section, lines, tuple(missing), problems, target.day, learners, enrolments)


def _candidate_learners_clause(
    file: RosterFile, school_id: UUID, section: Section | None, day: date
) -> ColumnElement[bool]:
    """Condition on Learner: everybody who could be in the file: learners with an LRN of the file (of any school, as an
    LRN is unique nationwide), those on the section's roster, and those without an LRN or enrolment, left by an undone
    import."""
    lrns = {row.lrn for row in file.rows if row.lrn}
    never_enrolled = and_(
        Learner.school_id == school_id, Learner.lrn.is_(None), ~exists().where(Enrolment.learner_id == Learner.id)
    )
    on_roster = select(Enrolment.learner_id).where(
        Enrolment.section_id == (section.id if section else None), queries.enrolled_on_clause(day)
    )
    return or_(Learner.lrn.in_(lrns), Learner.id.in_(on_roster), never_enrolled)


def _load_learners(learners_clause: ColumnElement[bool]) -> dict[UUID, Learner]:
    statement = select(Learner).where(learners_clause).order_by(Learner.id)
    rows = db.session.scalars(statement.execution_options(populate_existing=True))
    return {learner.id: learner for learner in rows}


def _list_enrolments(learner_ids: Collection[UUID]) -> list[tuple[Enrolment, Section]]:
    rows = db.session.execute(
        select(Enrolment, Section)
        .join(Section, Section.id == Enrolment.section_id)
        .where(Enrolment.learner_id.in_(learner_ids))
        .order_by(Enrolment.from_date)
        .execution_options(populate_existing=True)
    )
    return [(time, section) for time, section in rows]


def _diff_lines(
    rows: tuple[RosterRow, ...], learners: dict[UUID, Learner], context: _RosterContext
) -> tuple[RosterDiffLine, ...]:
    by_lrn = {learner.lrn: learner for learner in learners.values() if learner.lrn}
    without_lrn: dict[str, list[Learner]] = {}
    for learner in learners.values():
        if learner.lrn is None:  # the LRN may be new in the file
            without_lrn.setdefault(fold_name(learner.lis_name), []).append(learner)
    lines = []
    for row, position in zip(rows, _positions(rows), strict=True):
        matched = by_lrn.get(row.lrn or "") or _pop_unique_namesake(without_lrn, fold_name(row.lis_name))
        lines.append(_diff_line(row, position, matched, context))
    return tuple(lines)


def _to_roster_entry(learner: Learner, time: Enrolment) -> queries.RosterEntry:
    of_learner = {name: getattr(learner, name) for name in (*COMPARED_FIELDS, "lrn")}
    of_time = {name: getattr(time, name) for name in ("position", "from_date", "until_date")}
    return queries.RosterEntry(enrolment_id=time.id, learner_id=learner.id, **of_learner, **of_time)


def _build_context(
    upload: RosterImport, section: Section | None, year: str, times: Sequence[tuple[Enrolment, Section]]
) -> _RosterContext:
    day = roster_reference_date(year)
    by = db.session.get_one(User, upload.uploaded_by)
    context = _RosterContext(day, day, upload.school_id, year, {}, {}, {}, set(), by)
    for time, enrolled_section in times:
        learner_id, is_here = time.learner_id, section is not None and enrolled_section.id == section.id
        if time.until_date and time.until_date < day:
            context.last_days[learner_id] = max(time.until_date, context.last_days.get(learner_id, time.until_date))
            if is_here:
                context.left_here.add(learner_id)
        elif time.from_date <= day and is_here:
            context.here[learner_id] = time
        elif time.from_date <= day:
            context.elsewhere[learner_id] = enrolled_section
    # the section's first roster counts from the start of the school year
    return context if context.here else replace(context, first_day=school_year_start(year))


def _find_target_section(upload: RosterImport, file: RosterFile) -> Section | None:
    """The section that the rows go to; None: it is to be created."""
    if upload.section_id:
        return db.session.get(Section, upload.section_id)
    if not (file.grade_level and file.section):
        return None
    year = file.school_year or school_year_of(clock.today())
    return queries.find_school_section(upload.school_id, year, file.grade_level, file.section)


def _file_problems(
    upload: RosterImport, file: RosterFile, section: Section | None, year: str
) -> tuple[RowProblem, ...]:
    """Problems of the file as a whole for this school, section and year."""
    problems = []
    school = db.session.get(School, upload.school_id)
    if file.school_id and school and file.school_id != school.deped_id:
        problems.append(RowProblem(None, None, "other_school", {"file": file.school_id, "school": school.deped_id}))
    if upload.section_id is None and not (file.grade_level and file.section):
        problems.append(RowProblem(None, None, "no_section", {}))
    if (
        upload.section_id
        and section
        and file.section
        and fold_section_name(file.section) != fold_section_name(section.name)
    ):
        problems.append(RowProblem(None, None, "other_section", {"file": file.section, "section": section.name}))
    if section and file.school_year and file.school_year != section.school_year:
        problems.append(RowProblem(None, None, "other_year", {"file": file.school_year, "year": section.school_year}))
    if year < school_year_of(clock.today()):
        problems.append(RowProblem(None, None, "year_over", {"year": year}))
    return tuple(problems)


def _pop_unique_namesake(learners: dict[str, list[Learner]], name: str) -> Learner | None:
    """Remove and return the only learner of that name, or None: a second row of the name in the file is a namesake."""
    return learners.pop(name)[0] if len(learners.get(name, ())) == 1 else None


def _positions(rows: tuple[RosterRow, ...]) -> list[int]:
    """1, 2, 3 within each sex, in file order."""
    counts = {"M": 0, "F": 0}
    positions = []
    for row in rows:
        sex = row.sex or "M"  # a row without one is a problem already and is not saved
        counts[sex] += 1
        positions.append(counts[sex])
    return positions


def _diff_line(row: RosterRow, position: int, learner: Learner | None, context: _RosterContext) -> RosterDiffLine:
    problems = row.problems
    other_section = context.elsewhere.get(learner.id) if learner else None
    if learner and learner.school_id != context.school_id:
        problems += (RowProblem(row.row, "LRN", "lrn_of_other_school", {"lrn": row.lrn or ""}),)
        learner = other_section = None
    is_hidden = learner is not None and not _may_see_record(learner, context)
    if learner and is_hidden and not _has_matching_name(learner, row, other_section, context):
        problems += (RowProblem(row.row, "LRN", "lrn_of_another", {"lrn": row.lrn or ""}),)
        learner = other_section = None
    changes = _changes(learner, row) if learner else ()
    if is_hidden:
        changes = tuple((name, "", after) for name, _before, after in changes)
    status = _status(row, position, learner, bool(changes), context)
    if status in (RosterChange.LEAVES, RosterChange.NEW):
        problems += _leaving_problems(row, context)
    if status == RosterChange.NEW and learner and learner.id in context.left_here:
        back = RowProblem(row.row, None, "left_before", {"day": format_day_long(context.last_days[learner.id])})
        row = replace(row, warnings=(*row.warnings, back))
    return RosterDiffLine(
        row=row,
        status=RosterChange.BAD if problems else status,
        problems=problems,
        learner_id=learner.id if learner else None,
        changes=changes if status != RosterChange.LEFT else (),
        position=position,
        from_date=_enrolment_start(row, learner, context),
        other_section=other_section.title if other_section and status == RosterChange.MOVES_HERE else None,
    )


def _may_see_record(learner: Learner, context: _RosterContext) -> bool:
    """True if the uploader may see this learner's record: the learner is or was on this roster or another that the
    uploader advises, or the uploader is an admin. Otherwise a file of guessed LRNs would reveal learners."""
    other_section = context.elsewhere.get(learner.id)
    advises_other = other_section is not None and other_section.adviser_id == context.by.id
    return context.by.is_admin or advises_other or learner.id in context.here or learner.id in context.left_here


def _has_matching_name(
    learner: Learner, row: RosterRow, other_section: Section | None, context: _RosterContext
) -> bool:
    """True if the row's name fits the learner who has its LRN. A learner on another roster this year must match in both
    names, as they would be transferred; one of the year before in one, as spellings get corrected."""
    pairs = ((learner.last_name, row.last_name), (learner.first_name, row.first_name))
    matches = [fold_name(ours) == fold_name(theirs or "") for ours, theirs in pairs]
    return all(matches) if other_section and other_section.school_year == context.school_year else any(matches)


def _status(
    row: RosterRow, position: int, learner: Learner | None, changes: bool, context: _RosterContext
) -> RosterChange:
    has_left = row.remark_code in LEFT_STATUSES
    if learner is None:
        return RosterChange.NEW
    if line := context.here.get(learner.id):
        came_back = learner.id in context.last_days and row.remark_date and row.remark_date < line.from_date
        if has_left and line.until_date is None and not came_back:
            return RosterChange.LEAVES
        return RosterChange.CHANGED if changes or line.position != position else RosterChange.SAME
    last_day = context.last_days.get(learner.id)
    left_this_year = last_day is not None and last_day >= school_year_start(context.school_year)
    if has_left and (learner.id in context.elsewhere or left_this_year):
        return RosterChange.LEFT
    return RosterChange.MOVES_HERE if learner.id in context.elsewhere else RosterChange.NEW


def _leaving_problems(row: RosterRow, context: _RosterContext) -> tuple[RowProblem, ...]:
    """A leaving code needs a last day of this school year; without one it must not count as "no remark"."""
    if row.remark_code not in LEFT_STATUSES:
        return ()
    if row.remark_date is None:
        return (RowProblem(row.row, "REMARKS", "remark_no_day", {"remark": row.remark_code or ""}),)
    if school_year_of(row.remark_date) != context.school_year:
        day, year = format_day_long(row.remark_date), context.school_year
        return (RowProblem(row.row, "REMARKS", "remark_other_year", {"day": day, "year": year}),)
    return ()


def _enrolment_start(row: RosterRow, learner: Learner | None, context: _RosterContext) -> date:
    """First day of the enrolment. T/I and LE use their date; a learner known from another section counts from the day
    after their last day there, so that its sheets stay unchanged."""
    start = row.entry[1] or context.first_day
    earliest = school_year_start(context.school_year)
    if learner and (place := context.elsewhere.get(learner.id)) and place.school_year == context.school_year:
        earliest = context.day
    elif learner and (last_day := context.last_days.get(learner.id)):
        earliest = max(earliest, last_day + timedelta(days=1))
    return min(max(start, earliest), context.day)


def _changes(learner: Learner, row: RosterRow) -> tuple[tuple[str, str, str], ...]:
    """(column, before, after) of the columns that the file changes. An empty address or LRN in the file keeps the
    stored one."""
    pairs = [(name, getattr(learner, name) or "", getattr(row, name) or "") for name in COMPARED_FIELDS]
    pairs.append(("lrn", learner.lrn or "", row.lrn or ""))
    return tuple(
        (name, before, after)
        for name, before, after in pairs
        if before != after and not (name in ("email", "lrn") and not after)
    )
