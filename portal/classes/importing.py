"""Bringing a roster in: compared with what is there, shown, and then saved all or nothing."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Literal
from uuid import UUID, uuid4

from sqlalchemy import func, select

from portal.accounts.models import School, User
from portal.base import audit, clock
from portal.base.db import db, writing
from portal.base.wake import wake
from portal.classes import queries
from portal.classes.enrolling import Rolls
from portal.classes.models import Enrolment, Learner, RosterImport, Section, school_year_of
from portal.classes.names import fold_name
from portal.classes.roster_file import Problem, RosterFile, RosterRow, from_json, to_json

Status = Literal["new", "same", "changed", "moves here", "bad"]
FIELDS = ("lis_name", "last_name", "first_name", "middle_name", "extension", "sex", "email")


class NotImportable(ValueError):
    """The upload cannot be confirmed: it has problems, was decided already, or names no section."""


@dataclass(frozen=True)
class PreviewLine:
    """One row of the file beside what the portal knows of the learner."""

    row: RosterRow
    status: Status
    problems: tuple[Problem, ...]
    learner_id: UUID | None
    changes: tuple[tuple[str, str, str], ...]  # field, before, after
    position: int
    from_date: date
    other_section: str | None = None


@dataclass(frozen=True)
class Preview:
    """What a confirmation would do. `missing` are on the roster but not in the file: they stay."""

    file: RosterFile
    section: Section | None
    lines: tuple[PreviewLine, ...]
    missing: tuple[queries.RosterLine, ...]
    problems: tuple[Problem, ...]

    @property
    def ok(self) -> bool:
        return self.file.ok and not self.problems and all(line.status != "bad" for line in self.lines)

    def count(self, status: Status) -> int:
        return sum(line.status == status for line in self.lines)

    @property
    def changes_something(self) -> bool:
        return any(line.status in ("new", "changed", "moves here") for line in self.lines)


def begin(user: User, section: Section | None, file: RosterFile, filename: str) -> RosterImport:
    """Keep the rows of an upload until the person decides. An older undecided upload of hers goes."""
    school_id = section.school_id if section else user.school_id
    if school_id is None:
        raise NotImportable("a roster belongs to a school")
    row = RosterImport(
        school_id=school_id,
        section_id=section.id if section else None,
        uploaded_by=user.id,
        uploaded_at=clock.now(),
        filename=filename[:120],
        rows=to_json(file),
    )
    with writing() as session:
        for old in session.scalars(
            select(RosterImport).where(RosterImport.uploaded_by == user.id, RosterImport.state == "preview")
        ):
            old.state, old.rows = "discarded", None
        session.add(row)
    return row


def preview(upload: RosterImport) -> Preview:
    """Compare an undecided upload with the database as it is now."""
    if upload.state != "preview" or upload.rows is None:
        raise NotImportable("decided already")
    file = from_json(upload.rows)
    section = _section_of(upload, file)
    known = _known_learners(upload.school_id, file.rows)
    roster = queries.roster(section.id) if section else []
    here = {line.learner_id: line for line in roster}
    without_lrn = _without_lrn(roster)
    elsewhere = _other_sections(known.values(), section)
    last_days = _last_days(known.values())
    first_day = _first_day(section, file, bool(roster))
    lines = []
    for row, position in zip(file.rows, _positions(file.rows), strict=True):
        learner = known.get(row.lrn or "") or _take_only_one(without_lrn, fold_name(row.lis_name))
        lines.append(_line(upload, row, position, learner, here, elsewhere, last_days, first_day))
    met = {line.learner_id for line in lines}
    missing = tuple(line for line in roster if line.learner_id not in met)
    return Preview(file, section, tuple(lines), missing, _file_problems(upload, file, section))


def confirm(upload: RosterImport, user: User) -> Preview:
    """Save everything the preview shows, or nothing. Raises NotImportable."""
    with writing() as session:
        session.refresh(upload, with_for_update=True)
        seen = preview(upload)
        if not seen.ok:
            raise NotImportable("the file has problems")
        section = seen.section or _make_section(upload, seen.file, user)
        _save(seen, section)
        upload.state, upload.rows, upload.section_id = "confirmed", None, section.id
        upload.added = seen.count("new") + seen.count("moves here")
        upload.changed = seen.count("changed")
        audit.record("imported a roster", "section", section.id, by=user.id, added=upload.added, changed=upload.changed)
    wake("registration")
    wake("changed rosters")
    return seen


def discard(upload: RosterImport) -> None:
    with writing():
        if upload.state == "preview":
            upload.state, upload.rows = "discarded", None


def _section_of(upload: RosterImport, file: RosterFile) -> Section | None:
    if upload.section_id:
        return db.session.get(Section, upload.section_id)
    if not (file.grade_level and file.section):
        return None
    year = file.school_year or school_year_of(clock.today())
    return queries.section_of_school(upload.school_id, year, file.grade_level, file.section)


def _make_section(upload: RosterImport, file: RosterFile, user: User) -> Section:
    section = Section(
        school_id=upload.school_id,
        school_year=file.school_year or school_year_of(clock.today()),
        grade_level=file.grade_level or "",
        name=(file.section or "").title(),
        adviser_id=None if user.is_admin else user.id,
        created_at=clock.now(),
    )
    db.session.add(section)
    db.session.flush()
    return section


def _file_problems(upload: RosterImport, file: RosterFile, section: Section | None) -> tuple[Problem, ...]:
    """What is wrong with the file as a whole for this place."""
    problems = []
    school = db.session.get(School, upload.school_id)
    if file.school_id and school and file.school_id != school.deped_id:
        problems.append(Problem(None, None, "other_school", {"file": file.school_id, "school": school.deped_id}))
    if upload.section_id is None and not (file.grade_level and file.section):
        problems.append(Problem(None, None, "no_section", {}))
    if upload.section_id and section and file.section and file.section.lower() != section.name.lower():
        problems.append(Problem(None, None, "other_section", {"file": file.section, "section": section.name}))
    if section and file.school_year and file.school_year != section.school_year:
        problems.append(Problem(None, None, "other_year", {"file": file.school_year, "year": section.school_year}))
    return tuple(problems)


def _known_learners(school_id: UUID, rows: Iterable[RosterRow]) -> dict[str, Learner]:
    """Learners whose LRN is in the file, whichever school they are of: an LRN is unique in the country."""
    lrns = {row.lrn for row in rows if row.lrn}
    found = db.session.scalars(select(Learner).where(Learner.lrn.in_(lrns)))
    return {learner.lrn or "": learner for learner in found}


def _without_lrn(roster: list[queries.RosterLine]) -> dict[str, list[Learner]]:
    """Learners of this roster who have no LRN, by their folded names: it may have come since."""
    ids = [line.learner_id for line in roster if line.lrn is None]
    found: dict[str, list[Learner]] = {}
    for learner in db.session.scalars(select(Learner).where(Learner.id.in_(ids))) if ids else ():
        found.setdefault(fold_name(learner.lis_name), []).append(learner)
    return found


def _take_only_one(learners: dict[str, list[Learner]], name: str) -> Learner | None:
    """The learner of that name, if there is one and no more. She is taken: namesakes in the file are others."""
    return learners.pop(name)[0] if len(learners.get(name, ())) == 1 else None


def _other_sections(learners: Iterable[Learner], section: Section | None) -> dict[UUID, str]:
    """Where those learners are enrolled now, if not here."""
    ids = [learner.id for learner in learners]
    rows = db.session.execute(
        select(Enrolment.learner_id, Section.grade_level, Section.name)
        .join(Section, Section.id == Enrolment.section_id)
        .where(
            Enrolment.learner_id.in_(ids),
            queries.enrolled_on(clock.today()),
            Section.id.is_distinct_from(section.id if section else None),
        )
    )
    return {learner_id: f"{grade} - {name}" for learner_id, grade, name in rows}


def _last_days(learners: Iterable[Learner]) -> dict[UUID, date]:
    """When each of those learners was last on a roster that she has left."""
    ids = [learner.id for learner in learners]
    rows = db.session.execute(
        select(Enrolment.learner_id, func.max(Enrolment.until_date))
        .where(Enrolment.learner_id.in_(ids), Enrolment.until_date < clock.today())
        .group_by(Enrolment.learner_id)
    )
    return {learner_id: last_day for learner_id, last_day in rows if last_day}


def _first_day(section: Section | None, file: RosterFile, has_roster: bool) -> date:
    """From when new learners count. A section's first roster has been there since the year began."""
    today = clock.today()
    if has_roster:
        return today
    year = section.school_year if section else file.school_year or school_year_of(today)
    return min(today, date(int(year[:4]), 6, 1))


def _positions(rows: tuple[RosterRow, ...]) -> list[int]:
    """1, 2, 3 within each sex, in the order of the file."""
    counts = {"M": 0, "F": 0}
    positions = []
    for row in rows:
        sex = row.sex or "M"  # a row without one is a problem already and is not saved
        counts[sex] += 1
        positions.append(counts[sex])
    return positions


def _line(
    upload: RosterImport,
    row: RosterRow,
    position: int,
    learner: Learner | None,
    here: dict[UUID, queries.RosterLine],
    elsewhere: dict[UUID, str],
    last_days: dict[UUID, date],
    first_day: date,
) -> PreviewLine:
    problems = row.problems
    status: Status = "new"
    changes: tuple[tuple[str, str, str], ...] = ()
    other = elsewhere.get(learner.id) if learner else None
    if learner and learner.school_id != upload.school_id:
        problems += (Problem(row.row, "LRN", "lrn_of_other_school", {"lrn": row.lrn or ""}),)
    elif learner and learner.id in here:
        changes = _changes(learner, row)
        status = "changed" if changes or here[learner.id].position != position else "same"
    elif learner and other:
        status = "moves here"
        changes = _changes(learner, row)
    return PreviewLine(
        row=row,
        status="bad" if problems else status,
        problems=problems,
        learner_id=learner.id if learner else None,
        changes=changes,
        position=position,
        from_date=_from_date(row, bool(other), last_days.get(learner.id) if learner else None, first_day),
        other_section=other,
    )


def _from_date(row: RosterRow, moves: bool, last_day: date | None, first_day: date) -> date:
    """From when a learner of the file counts. T/I and LE bring the date she came to the school; if the portal knew
    her before that as a learner of another section, she was there until then, and its sheets stay as they are."""
    today = clock.today()
    if moves:
        return today
    began = row.remark_date if row.remark_code in ("T/I", "LE") and row.remark_date else first_day
    free_from = last_day + timedelta(days=1) if last_day else began
    return min(max(began, free_from), today)


def _changes(learner: Learner, row: RosterRow) -> tuple[tuple[str, str, str], ...]:
    """Fields that the file changes. A file without an address leaves the known one alone."""
    pairs = [(name, getattr(learner, name) or "", getattr(row, name) or "") for name in FIELDS]
    pairs.append(("lrn", learner.lrn or "", row.lrn or ""))
    return tuple(
        (name, before, after)
        for name, before, after in pairs
        if before != after and not (name in ("email", "lrn") and not after)
    )


def _save(seen: Preview, section: Section) -> None:
    session, now, today = db.session, clock.now(), clock.today()
    known_ids = {line.learner_id for line in seen.lines if line.learner_id}
    rolls = Rolls(known_ids)
    known = {learner.id: learner for learner in session.scalars(select(Learner).where(Learner.id.in_(known_ids)))}
    for line in seen.lines:
        row = line.row
        learner = known.get(line.learner_id) if line.learner_id else None
        if learner is None:
            learner = Learner(
                id=uuid4(),
                school_id=section.school_id,
                lrn=row.lrn,
                email=row.email,
                created_at=now,
                **{name: getattr(row, name) for name in FIELDS if name != "email"},
            )
            session.add(learner)
        for name, _before, after in line.changes:
            setattr(learner, name, after)
        current = rolls.on(learner.id, today)
        if current and current.section_id == section.id:
            current.position = line.position
        elif current:
            rolls.move(current, section.id, position=line.position, since=line.from_date)
        else:
            rolls.enrol(
                learner.id, section.id, position=line.position, since=line.from_date, **_ending(row, line.from_date)
            )
    rolls.save()


def _ending(row: RosterRow, from_date: date) -> dict[str, Any]:
    """The register itself says that the learner has left: transferred out or dropped, with the date."""
    if row.remark_code not in ("T/O", "DRP") or row.remark_date is None:
        return {}
    return {"until": max(row.remark_date, from_date), "reason": row.remark_code}
