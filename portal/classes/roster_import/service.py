"""Bringing a roster in: compared with what is there, shown, and then saved all or nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import select

from portal.accounts.models import User
from portal.classes.access import can_manage_section
from portal.classes.codes import ImportState, RosterChange
from portal.classes.learners.enrolments import EnrolmentChanges, roster_position_among
from portal.classes.models import Learner, RosterImport, Section, school_year_of
from portal.classes.roster_files.reader import RosterFile, RosterRow, roster_file_to_json
from portal.classes.roster_files.rows import flag_foreign_addresses
from portal.classes.roster_import.diff import (
    COMPARED_FIELDS,
    LEFT_STATUSES,
    RosterDiff,
    RosterDiffLine,
    diff_roster_file,
)
from portal.classes.roster_import.undo import ImportJournal
from portal.core import audit_log, clock
from portal.core.audit_codes import AuditAction, AuditSubject
from portal.core.db import batch_column_updates, db, write_transaction
from portal.core.worker_signals import notify_worker

KEEP_ON_ROSTER = "keep"


class NotImportable(ValueError):
    """The upload cannot be confirmed: it has problems, was decided already, or names no section."""


@dataclass(frozen=True)
class MissingLearnerDecision:
    """What became of a learner who is missing from the file: KEEP, or T/O or NLS with the last day."""

    what: str
    last_day: date | None = None


class SectionNotManaged(NotImportable):
    """The file is of a section whose roster the person does not change."""


class MissingLearnersUndecided(NotImportable):
    """Learners are missing from the file and it is not said what became of them. `learner_ids` are they; `until_when`
    those whose last day is not one of their days on the roster; `seen` is what the file was compared with."""

    def __init__(self, seen: RosterDiff, learner_ids: set[UUID], until_when: set[UUID]) -> None:
        super().__init__("what became of the missing learners?")
        self.seen = seen
        self.learner_ids = learner_ids
        self.until_when = until_when


def create_roster_import(
    user: User, section: Section | None, file: RosterFile, filename: str, *, domains: tuple[str, ...]
) -> RosterImport:
    """Keep the rows of an upload until the person decides. An older undecided upload of theirs goes.

    Of addresses, only those of `domains` are kept; the preview says which were left out.
    """
    school_id = section.school_id if section else user.school_id
    if school_id is None:
        raise NotImportable("a roster belongs to a school")
    row = RosterImport(
        school_id=school_id,
        section_id=section.id if section else None,
        uploaded_by=user.id,
        uploaded_at=clock.now(),
        filename=filename[:120],
        preview_rows=roster_file_to_json(flag_foreign_addresses(file, domains)),
    )
    with write_transaction() as session:
        for old in session.scalars(
            select(RosterImport).where(RosterImport.uploaded_by == user.id, RosterImport.state == ImportState.PREVIEW)
        ):
            old.state, old.preview_rows = ImportState.DISCARDED, None
        session.add(row)
    return row


def confirm_roster_import(
    upload: RosterImport, user: User, answers: Mapping[UUID, MissingLearnerDecision], *, keep_all: bool = False
) -> RosterDiff:
    """Save everything the preview shows, or nothing. `keep_all` answers for all who are missing.

    Compared once, in the transaction that saves: what the person saw may have changed since. Raises NotImportable,
    NotTheirs, Unanswered.
    """
    with write_transaction() as session:
        session.refresh(upload, with_for_update=True)
        if upload.state != ImportState.PREVIEW:
            raise NotImportable("decided already")
        diff = diff_roster_file(upload, hold=True)
        if diff.section and not can_manage_section(diff.section, user):
            raise SectionNotManaged("another person's section")
        if not diff.ok:
            raise NotImportable("the file has problems")
        if keep_all:
            answers = {line.learner_id: MissingLearnerDecision(KEEP_ON_ROSTER) for line in diff.missing}
        _must_be_answered(diff, answers)
        section = diff.section or _make_section(upload, diff.file, user)
        upload.undo_journal = _save(diff, section, answers)
        upload.state, upload.preview_rows, upload.section_id = ImportState.CONFIRMED, None, section.id
        upload.decided_at = clock.now()
        upload.added = diff.count(RosterChange.NEW) + diff.count(RosterChange.MOVES_HERE)
        upload.changed = diff.count(RosterChange.CHANGED)
        audit_log.record_action(
            AuditAction.IMPORTED_ROSTER, AuditSubject.SECTION, section.id, by=user.id,
            added=upload.added, changed=upload.changed, withdrawn=_withdrawn(diff, answers),
        )  # fmt: skip
    notify_worker("registration")
    notify_worker("changed rosters")
    return diff


def discard_roster_import(upload: RosterImport) -> None:
    with write_transaction():
        if upload.state == ImportState.PREVIEW:
            upload.state, upload.preview_rows = ImportState.DISCARDED, None


def _must_be_answered(diff: RosterDiff, answers: Mapping[UUID, MissingLearnerDecision]) -> None:
    open_ids, bad_days = set(), set()
    for line in diff.missing:
        answer = answers.get(line.learner_id)
        if answer is None or answer.what not in (KEEP_ON_ROSTER, "T/O", "NLS"):
            open_ids.add(line.learner_id)
        elif answer.what != KEEP_ON_ROSTER and not (answer.last_day and line.from_date <= answer.last_day <= diff.day):
            bad_days.add(line.learner_id)
    if open_ids or bad_days:
        raise MissingLearnersUndecided(diff, open_ids, bad_days)


def _withdrawn(diff: RosterDiff, answers: Mapping[UUID, MissingLearnerDecision]) -> int:
    return diff.count(RosterChange.LEAVES) + sum(
        answers[line.learner_id].what != KEEP_ON_ROSTER for line in diff.missing
    )


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


def _save(diff: RosterDiff, section: Section, answers: Mapping[UUID, MissingLearnerDecision]) -> dict[str, Any]:
    """Write the lines and the answers; what it takes to undo it."""
    session = db.session
    leaving = {line.learner_id: answers[line.learner_id] for line in diff.missing}
    learners = diff.learners
    rolls = EnrolmentChanges(learners, held=diff.times)
    journal = ImportJournal(learners.values(), rolls)
    for line in diff.lines:
        if line.status == "left":
            continue
        learner = learners.get(line.learner_id) if line.learner_id else None
        if learner is None:
            learner = _new_learner(line.row, section)
            session.add(learner)
            journal.made(learner)
        for name, _before, after in line.changes:
            setattr(learner, name, after)
        _place(rolls, line, learner, section, diff.day)
    listed = [(line.row.sex, line.row.lis_name, line.position) for line in diff.lines]
    for learner_id, answer in leaving.items():
        row, learner = rolls.enrolment_on(learner_id, diff.day), learners[learner_id]
        if row and answer.what != KEEP_ON_ROSTER and answer.last_day:
            rolls.withdraw(row, last_day=answer.last_day, reason=answer.what)
        elif row:
            row.position = roster_position_among(listed, learner.sex, learner.lis_name)
    batch_column_updates(learners.values(), (*COMPARED_FIELDS, "lrn"))
    rolls.save()
    return journal.close()


def _place(rolls: EnrolmentChanges, line: RosterDiffLine, learner: Learner, section: Section, day: date) -> None:
    row, current = line.row, rolls.enrolment_on(learner.id, day)
    if current and current.section_id == section.id:
        current.position = line.position
        if line.status == "leaves" and row.remark_date:
            last_day = max(row.remark_date, current.from_date)
            rolls.withdraw(current, last_day=last_day, reason=row.remark_code)
    elif current:
        rolls.move(current, section.id, position=line.position, since=line.from_date)
    else:
        ending = {}
        if row.remark_code in LEFT_STATUSES and row.remark_date:  # the register itself says that the learner has left
            ending = {"until": max(row.remark_date, line.from_date), "reason": row.remark_code}
        time = rolls.enrol(learner.id, section.id, position=line.position, since=line.from_date, **ending)  # type: ignore[arg-type]  # two kinds of values
        time.entry_reason = row.remark_code if row.remark_code in ("T/I", "LE") else None


def _new_learner(row: RosterRow, section: Section) -> Learner:
    return Learner(
        id=uuid4(),
        school_id=section.school_id,
        lrn=row.lrn,
        email=row.email,
        created_at=clock.now(),
        **{name: getattr(row, name) for name in COMPARED_FIELDS if name != "email"},
    )
