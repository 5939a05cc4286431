"""A roster file beside what the portal knows: what each row would do, and who is missing from it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from uuid import UUID

from sqlalchemy import and_, exists, or_, select

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
from portal.core import clock
from portal.core.db import db

# "leaves": the register says that the learner left, who is on the roster; "left": it says so, but they are not.
SAVED_STATUSES: tuple[RosterChange, ...] = (
    RosterChange.NEW,
    RosterChange.CHANGED,
    RosterChange.MOVES_HERE,
    RosterChange.LEAVES,
)
LEFT_STATUSES = ("T/O", "DRP")
COMPARED_FIELDS = ("lis_name", "last_name", "first_name", "middle_name", "extension", "sex", "email")


@dataclass(frozen=True)
class RosterDiffLine:
    """One row of the file beside what the portal knows of the learner."""

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
    """What a confirmation would do. `missing` are on the roster but not in the file: the person says what became
    of each. `day` is the one whose roster the file is compared with. `learners` and `times` are what it was compared
    with: everybody on the roster or in the file, and all that is known of where they were."""

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
        return self.file.ok and not self.problems and all(line.status != RosterChange.BAD for line in self.lines)

    def count(self, status: RosterChange) -> int:
        return sum(line.status == status for line in self.lines)

    @property
    def changes_something(self) -> bool:
        return bool(self.missing) or any(line.status in SAVED_STATUSES for line in self.lines)


@dataclass(frozen=True)
class _Known:
    """What the portal knows of the learners of a file, on the day that counts."""

    day: date
    first_day: date  # from when new learners count
    school_id: UUID
    school_year: str
    here: dict[UUID, Enrolment]
    elsewhere: dict[UUID, Section]
    last_days: dict[UUID, date]
    left_here: set[UUID]
    by: User


def diff_roster_file(upload: RosterImport, *, hold: bool = False) -> RosterDiff:
    """Compare an undecided upload with the database as it is now. ValueError if it is decided.

    `hold` keeps the learners and where they are from others until the open transaction ends.
    """
    if upload.state != ImportState.PREVIEW or upload.preview_rows is None:
        raise ValueError("decided already")
    file = roster_file_from_json(upload.preview_rows)
    section = _section_of(upload, file)
    year = section.school_year if section else file.school_year or school_year_of(clock.today())
    day = roster_reference_date(year)
    learners = _learners(file, upload.school_id, section, day, hold=hold)
    times = _times(learners)
    context = _what_is_known(upload, section, year, times)
    lines = _lines(file.rows, learners, context)
    met = {line.learner_id for line in lines}
    missing = [_roster_line(learners[key], time) for key, time in context.here.items() if key not in met]
    missing.sort(key=lambda line: (line.sex != "M", line.position, line.lis_name, line.learner_id))
    problems = _file_problems(upload, file, section, year)
    return RosterDiff(file, section, lines, tuple(missing), problems, day, learners, tuple(time for time, _ in times))


def _learners(
    file: RosterFile, school_id: UUID, section: Section | None, day: date, *, hold: bool
) -> dict[UUID, Learner]:
    """Everybody who could be in the file: those whose LRN is, of whichever school, for an LRN is unique in the
    country; those on the section's roster; those without LRN whom an import left that was undone."""
    lrns = {row.lrn for row in file.rows if row.lrn}
    on_no_roster_ever = and_(
        Learner.school_id == school_id, Learner.lrn.is_(None), ~exists().where(Enrolment.learner_id == Learner.id)
    )
    on_the_roster = select(Enrolment.learner_id).where(
        Enrolment.section_id == (section.id if section else None), queries.enrolled_on_clause(day)
    )
    # In the order of their ids, so that two who want the same learners wait for each other and never lock up.
    statement = (
        select(Learner)
        .where(or_(Learner.lrn.in_(lrns), Learner.id.in_(on_the_roster), on_no_roster_ever))
        .order_by(Learner.id)
    )
    if hold:
        statement = statement.with_for_update(key_share=True).execution_options(populate_existing=True)
    return {learner.id: learner for learner in db.session.scalars(statement)}


def _times(learner_ids: Collection[UUID]) -> list[tuple[Enrolment, Section]]:
    rows = db.session.execute(
        select(Enrolment, Section)
        .join(Section, Section.id == Enrolment.section_id)
        .where(Enrolment.learner_id.in_(learner_ids))
        .order_by(Enrolment.from_date)
        .execution_options(populate_existing=True)
    )
    return [(time, place) for time, place in rows]


def _lines(rows: tuple[RosterRow, ...], learners: dict[UUID, Learner], context: _Known) -> tuple[RosterDiffLine, ...]:
    by_lrn = {learner.lrn: learner for learner in learners.values() if learner.lrn}
    without_lrn: dict[str, list[Learner]] = {}
    for learner in learners.values():
        if learner.lrn is None:  # one may have come since
            without_lrn.setdefault(fold_name(learner.lis_name), []).append(learner)
    lines = []
    for row, position in zip(rows, _positions(rows), strict=True):
        found = by_lrn.get(row.lrn or "") or _take_only_one(without_lrn, fold_name(row.lis_name))
        lines.append(_line(row, position, found, context))
    return tuple(lines)


def _roster_line(learner: Learner, time: Enrolment) -> queries.RosterEntry:
    of_learner = {name: getattr(learner, name) for name in (*COMPARED_FIELDS, "lrn")}
    of_time = {name: getattr(time, name) for name in ("position", "from_date", "until_date")}
    return queries.RosterEntry(enrolment_id=time.id, learner_id=learner.id, **of_learner, **of_time)


def _what_is_known(
    upload: RosterImport, section: Section | None, year: str, times: Sequence[tuple[Enrolment, Section]]
) -> _Known:
    day = roster_reference_date(year)
    by = db.session.get_one(User, upload.uploaded_by)
    context = _Known(day, day, upload.school_id, year, {}, {}, {}, set(), by)
    for time, place in times:
        learner_id, is_here = time.learner_id, section is not None and place.id == section.id
        if time.until_date and time.until_date < day:
            context.last_days[learner_id] = max(time.until_date, context.last_days.get(learner_id, time.until_date))
            if is_here:
                context.left_here.add(learner_id)
        elif time.from_date <= day and is_here:
            context.here[learner_id] = time
        elif time.from_date <= day:
            context.elsewhere[learner_id] = place
    # the first roster has been there since the year began
    return context if context.here else replace(context, first_day=school_year_start(year))


def _section_of(upload: RosterImport, file: RosterFile) -> Section | None:
    if upload.section_id:
        return db.session.get(Section, upload.section_id)
    if not (file.grade_level and file.section):
        return None
    year = file.school_year or school_year_of(clock.today())
    return queries.find_school_section(upload.school_id, year, file.grade_level, file.section)


def _file_problems(
    upload: RosterImport, file: RosterFile, section: Section | None, year: str
) -> tuple[RowProblem, ...]:
    """What is wrong with the file as a whole for this place."""
    problems = []
    school = db.session.get(School, upload.school_id)
    if file.school_id and school and file.school_id != school.deped_id:
        problems.append(RowProblem(None, None, "other_school", {"file": file.school_id, "school": school.deped_id}))
    if upload.section_id is None and not (file.grade_level and file.section):
        problems.append(RowProblem(None, None, "no_section", {}))
    if upload.section_id and section and file.section and file.section.lower() != section.name.lower():
        problems.append(RowProblem(None, None, "other_section", {"file": file.section, "section": section.name}))
    if section and file.school_year and file.school_year != section.school_year:
        problems.append(RowProblem(None, None, "other_year", {"file": file.school_year, "year": section.school_year}))
    if year < school_year_of(clock.today()):
        problems.append(RowProblem(None, None, "year_over", {"year": year}))
    return tuple(problems)


def _take_only_one(learners: dict[str, list[Learner]], name: str) -> Learner | None:
    """The learner of that name, if there is one and no more. That one is taken: namesakes in the file are others."""
    return learners.pop(name)[0] if len(learners.get(name, ())) == 1 else None


def _positions(rows: tuple[RosterRow, ...]) -> list[int]:
    """1, 2, 3 within each sex, in the order of the file."""
    counts = {"M": 0, "F": 0}
    positions = []
    for row in rows:
        sex = row.sex or "M"  # a row without one is a problem already and is not saved
        counts[sex] += 1
        positions.append(counts[sex])
    return positions


def _line(row: RosterRow, position: int, learner: Learner | None, context: _Known) -> RosterDiffLine:
    problems = row.problems
    place = context.elsewhere.get(learner.id) if learner else None
    if learner and learner.school_id != context.school_id:
        problems += (RowProblem(row.row, "LRN", "lrn_of_other_school", {"lrn": row.lrn or ""}),)
        learner = place = None
    unseen = learner is not None and not _has_seen(learner, context)
    if learner and unseen and not _is_meant(learner, row, place, context):
        problems += (RowProblem(row.row, "LRN", "lrn_of_another", {"lrn": row.lrn or ""}),)
        learner = place = None
    changes = _changes(learner, row) if learner else ()
    if unseen:
        changes = tuple((name, "", after) for name, _before, after in changes)
    status = _status(row, position, learner, bool(changes), context)
    return RosterDiffLine(
        row=row,
        status=RosterChange.BAD if problems else status,
        problems=problems,
        learner_id=learner.id if learner else None,
        changes=changes if status != RosterChange.LEFT else (),
        position=position,
        from_date=_from_date(row, learner, context),
        other_section=place.title if place and status == RosterChange.MOVES_HERE else None,
    )


def _has_seen(learner: Learner, context: _Known) -> bool:
    """Does whoever brings the file see the learner's record anyway: is or was the learner on this roster or another
    of that person's, or does the person look after the school? Of everybody else's learners a file with guessed LRNs
    must tell nothing."""
    place = context.elsewhere.get(learner.id)
    advised = place is not None and place.adviser_id == context.by.id
    return context.by.is_admin or advised or learner.id in context.here or learner.id in context.left_here


def _is_meant(learner: Learner, row: RosterRow, place: Section | None, context: _Known) -> bool:
    """Does the row name the learner who has its LRN? Of one who is on another roster this year the whole name has to
    be right, since they are taken off that; of the year before a spelling may have been corrected."""
    pairs = ((learner.last_name, row.last_name), (learner.first_name, row.first_name))
    same = [fold_name(ours) == fold_name(theirs or "") for ours, theirs in pairs]
    return all(same) if place and place.school_year == context.school_year else any(same)


def _status(row: RosterRow, position: int, learner: Learner | None, changes: bool, context: _Known) -> RosterChange:
    has_left = row.remark_code in LEFT_STATUSES and row.remark_date is not None
    if learner is None:
        return RosterChange.NEW
    if line := context.here.get(learner.id):
        if has_left and line.until_date is None:
            return RosterChange.LEAVES
        return RosterChange.CHANGED if changes or line.position != position else RosterChange.SAME
    if has_left and (learner.id in context.elsewhere or learner.id in context.left_here):
        return RosterChange.LEFT
    return RosterChange.MOVES_HERE if learner.id in context.elsewhere else RosterChange.NEW


def _from_date(row: RosterRow, learner: Learner | None, context: _Known) -> date:
    """From when a learner of the file counts. T/I and LE bring the date they came to the school; if the portal knew
    them before that as a learner of another section, they were there until then, and its sheets stay as they are."""
    began = row.remark_date if row.remark_code in ("T/I", "LE") and row.remark_date else context.first_day
    earliest = school_year_start(context.school_year)
    if learner and (place := context.elsewhere.get(learner.id)) and place.school_year == context.school_year:
        earliest = context.day
    elif learner and (last_day := context.last_days.get(learner.id)):
        earliest = max(earliest, last_day + timedelta(days=1))
    return min(max(began, earliest), context.day)


def _changes(learner: Learner, row: RosterRow) -> tuple[tuple[str, str, str], ...]:
    """Fields that the file changes. A file without an address leaves the known one alone."""
    pairs = [(name, getattr(learner, name) or "", getattr(row, name) or "") for name in COMPARED_FIELDS]
    pairs.append(("lrn", learner.lrn or "", row.lrn or ""))
    return tuple(
        (name, before, after)
        for name, before, after in pairs
        if before != after and not (name in ("email", "lrn") and not after)
    )
