"""Roster import: upload, preview as a diff, then confirm all or nothing."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Row, Select, select, type_coerce
from sqlalchemy.types import NullType

from portal.accounts.models import User
from portal.classes import service as classes_service
from portal.classes.access import can_manage_section
from portal.classes.codes import ImportState, RosterChange
from portal.classes.learners.enrolments import EnrolmentChanges, EnrolmentWrites, roster_position_among
from portal.classes.models import Learner, RosterImport, Section
from portal.classes.roster_files.reader import RosterFile, RosterRow, roster_file_to_json
from portal.classes.roster_files.rows import flag_foreign_addresses
from portal.classes.roster_import.diff import (
    COMPARED_FIELDS,
    LEFT_STATUSES,
    ImportTarget,
    RosterDiff,
    RosterDiffLine,
    diff_roster_file,
    find_import_target,
)
from portal.classes.roster_import.roster_state import (
    RosterState,
    read_roster_state,
    save_unless_changed,
)
from portal.classes.roster_import.undo import LEARNER_COLUMNS, ImportJournal
from portal.core import audit_log, clock
from portal.core.audit_codes import AuditAction, AuditSubject
from portal.core.db import db, write_transaction
from portal.core.db.bulk_writes import (
    bulk_update_values,
    column_values,
    insert_rows_in_bulk,
    is_row_changed,
    update_rows_in_bulk,
)
from portal.core.worker_signals import Topic, notify_worker

KEEP_ON_ROSTER = "keep"


class NotImportable(ValueError):
    """The upload cannot be confirmed: it has problems, is decided already, or names no section."""


@dataclass(frozen=True)
class MissingLearnerDecision:
    """The decision on a learner missing from the file: KEEP_ON_ROSTER, or exit reason T/O or NLS with the last day."""

    what: str
    last_day: date | None = None


class SectionNotManaged(NotImportable):
    """The user may not change the roster of the file's section."""


class MissingLearnersUndecided(NotImportable):
    """Learners are missing from the file without a decision. `learner_ids` have none; `until_when` have a last day
    outside their enrolment; `diff` is the preview."""

    def __init__(self, diff: RosterDiff, learner_ids: set[UUID], until_when: set[UUID]) -> None:
        super().__init__("what became of the missing learners?")
        self.diff = diff
        self.learner_ids = learner_ids
        self.until_when = until_when


def create_roster_import(
    user: User, section: Section | None, file: RosterFile, filename: str, *, domains: tuple[str, ...]
) -> RosterImport:
    """Store the parsed rows until the user decides; their older undecided uploads are discarded.

    Addresses outside `domains` are removed, with a warning in the preview.
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
        for pending_upload in session.scalars(
            select(RosterImport).where(RosterImport.uploaded_by == user.id, RosterImport.state == ImportState.PREVIEW)
        ):
            pending_upload.state, pending_upload.preview_rows = ImportState.DISCARDED, None
        session.add(row)
    return row


def confirm_roster_import(
    upload: RosterImport, user: User, decisions: Mapping[UUID, MissingLearnerDecision], *, keep_all: bool = False
) -> RosterDiff:
    """Apply the whole preview or nothing. `keep_all` keeps all missing learners on the roster.

    The diff is computed again, as the database may have changed since the preview; outside of the saving transaction,
    which only checks that the diff still holds and writes it with bulk statements. Raises NotImportable,
    SectionNotManaged, MissingLearnersUndecided.
    """

    def attempt() -> Callable[[], RosterDiff | None]:
        plan = _plan_import(upload, user, decisions, keep_all=keep_all)
        return lambda: _save_plan(plan, upload, user)

    diff = save_unless_changed(attempt)
    notify_worker(Topic.ROSTERS)
    notify_worker(Topic.ROSTER_CHANGES)
    return diff


@dataclass(frozen=True)
class _RosterChanges:
    """The rows to write, as parameters of bulk statements, and the undo journal."""

    new_learners: list[dict[str, Any]]
    changed_learners: list[dict[str, Any]]
    enrolments: EnrolmentWrites
    undo_journal: dict[str, Any]


@dataclass(frozen=True)
class _ImportPlan:
    """All that a confirmed import writes, and the rows it was computed from."""

    preview: Row[Any]
    target: ImportTarget
    diff: RosterDiff
    state: RosterState
    section_id: UUID
    changes: _RosterChanges
    withdrawn: int


def _plan_import(
    upload: RosterImport, user: User, decisions: Mapping[UUID, MissingLearnerDecision], *, keep_all: bool
) -> _ImportPlan:
    preview = db.session.execute(_select_preview(upload)).one()
    db.session.refresh(upload, ["state", "preview_rows"])  # rows may have been corrected since the page was shown
    if upload.state != ImportState.PREVIEW or upload.preview_rows is None:
        raise NotImportable("decided already")
    target = find_import_target(upload)
    # Before the diff: what changes in between is noticed when the plan is saved.
    state = read_roster_state(target.learners_clause)
    diff = diff_roster_file(upload, target)
    if diff.section and not can_manage_section(diff.section, user):
        raise SectionNotManaged("another person's section")
    if not diff.ok:
        raise NotImportable("the file has problems")
    if keep_all:
        decisions = {entry.learner_id: MissingLearnerDecision(KEEP_ON_ROSTER) for entry in diff.missing}
    _check_missing_decided(diff, decisions)
    for row in (*diff.learners.values(), *diff.times):
        db.session.expunge(row)  # changed here, written by bulk statements
    section_id = diff.section.id if diff.section else uuid4()
    changes = _apply_diff(diff, section_id, upload.school_id, decisions)
    return _ImportPlan(preview, target, diff, state, section_id, changes, _count_withdrawn(diff, decisions))


def _select_preview(upload: RosterImport) -> Select[str, Any]:
    """State and rows of an upload; the rows as the database driver returns them, only to be compared."""
    rows = type_coerce(RosterImport.preview_rows, NullType)
    return select(RosterImport.state, rows).where(RosterImport.id == upload.id)


def _save_plan(plan: _ImportPlan, upload: RosterImport, user: User) -> RosterDiff | None:
    """Write the plan, within the open transaction; None if the rows it was computed from have changed."""
    diff = plan.diff
    preview = db.session.execute(_select_preview(upload).with_for_update()).one()
    if preview.state != ImportState.PREVIEW:
        raise NotImportable("decided already")
    if preview != plan.preview or read_roster_state(plan.target.learners_clause, lock=True) != plan.state:
        return None
    if diff.section is None and not _create_section(plan, upload, user):
        return None
    changes = plan.changes
    insert_rows_in_bulk(Learner, changes.new_learners)
    update_rows_in_bulk(Learner, LEARNER_COLUMNS, changes.changed_learners)
    changes.enrolments.execute()
    upload.undo_journal = changes.undo_journal
    upload.state, upload.preview_rows, upload.section_id = ImportState.CONFIRMED, None, plan.section_id
    upload.decided_at = clock.now()
    upload.added = diff.count(RosterChange.NEW) + diff.count(RosterChange.MOVES_HERE)
    upload.changed = diff.count(RosterChange.CHANGED)
    audit_log.record_action(
        AuditAction.IMPORTED_ROSTER, AuditSubject.SECTION, plan.section_id, by=user.id,
        added=upload.added, changed=upload.changed, withdrawn=plan.withdrawn,
    )  # fmt: skip
    return diff


def discard_roster_import(upload: RosterImport) -> None:
    """Discard an undecided upload with its rows."""
    with write_transaction():
        if upload.state == ImportState.PREVIEW:
            upload.state, upload.preview_rows = ImportState.DISCARDED, None


def _check_missing_decided(diff: RosterDiff, decisions: Mapping[UUID, MissingLearnerDecision]) -> None:
    undecided_ids, bad_days = set(), set()
    for line in diff.missing:
        decision = decisions.get(line.learner_id)
        if decision is None or decision.what not in (KEEP_ON_ROSTER, "T/O", "NLS"):
            undecided_ids.add(line.learner_id)
        elif decision.what != KEEP_ON_ROSTER and not (
            decision.last_day and line.from_date <= decision.last_day <= diff.day
        ):
            bad_days.add(line.learner_id)
    if undecided_ids or bad_days:
        raise MissingLearnersUndecided(diff, undecided_ids, bad_days)


def _count_withdrawn(diff: RosterDiff, decisions: Mapping[UUID, MissingLearnerDecision]) -> int:
    return diff.count(RosterChange.LEAVES) + sum(
        decisions[entry.learner_id].what != KEEP_ON_ROSTER for entry in diff.missing
    )


def _create_section(plan: _ImportPlan, upload: RosterImport, user: User) -> bool:
    """Create the section that the file names. False if somebody created it since the diff."""
    file = plan.diff.file
    try:
        classes_service.create_section(
            user,
            grade_level=file.grade_level or "",
            name=file.section or "",
            school_year=file.school_year,
            school_id=upload.school_id,
            section_id=plan.section_id,
        )
    except classes_service.DuplicateName:
        return False
    return True


def _apply_diff(
    diff: RosterDiff, section_id: UUID, school_id: UUID, decisions: Mapping[UUID, MissingLearnerDecision]
) -> _RosterChanges:
    """Apply the diff and the decisions to the rows in memory; returns what is to be written."""
    missing_decisions = {line.learner_id: decisions[line.learner_id] for line in diff.missing}
    learners = diff.learners
    enrolments = EnrolmentChanges(learners, locked=diff.times)
    journal = ImportJournal(learners.values(), enrolments)
    new_learners = []
    for line in diff.lines:
        if line.status == "left":
            continue
        learner = learners.get(line.learner_id) if line.learner_id else None
        if learner is None:
            learner = _new_learner(line.row, school_id)
            new_learners.append(learner)
            journal.made(learner)
        for name, _before, after in line.changes:
            setattr(learner, name, after)
        _apply_enrolment(enrolments, line, learner, section_id, diff.day)
    file_positions = [(line.row.sex, line.row.lis_name, line.position) for line in diff.lines]
    for learner_id, decision in missing_decisions.items():
        enrolment, learner = enrolments.enrolment_on(learner_id, diff.day), learners[learner_id]
        if enrolment and decision.what != KEEP_ON_ROSTER and decision.last_day:
            enrolments.withdraw(enrolment, last_day=decision.last_day, reason=decision.what)
        elif enrolment:
            enrolment.position = roster_position_among(file_positions, learner.sex, learner.lis_name)
    changed_learners = [row for row in learners.values() if is_row_changed(row, LEARNER_COLUMNS)]
    return _RosterChanges(
        new_learners=[column_values(row) for row in new_learners],
        changed_learners=[bulk_update_values(row, LEARNER_COLUMNS) for row in changed_learners],
        enrolments=enrolments.collect_writes(),
        undo_journal=journal.close(),
    )


def _apply_enrolment(
    enrolments: EnrolmentChanges, line: RosterDiffLine, learner: Learner, section_id: UUID, day: date
) -> None:
    row, current = line.row, enrolments.enrolment_on(learner.id, day)
    if current and current.section_id == section_id:
        current.position = line.position
        if line.status == "leaves" and row.remark_date:
            last_day = max(row.remark_date, current.from_date)
            enrolments.withdraw(current, last_day=last_day, reason=row.remark_code)
    elif current:
        enrolments.move(current, section_id, position=line.position, since=line.from_date)
    else:
        ending = {}
        if row.remark_code in LEFT_STATUSES and row.remark_date:  # the file itself says that the learner has left
            ending = {"until": max(row.remark_date, line.from_date), "reason": row.remark_code}
        time = enrolments.enrol(learner.id, section_id, position=line.position, since=line.from_date, **ending)  # type: ignore[arg-type]  # two kinds of values
        time.entry_reason = row.entry[0]


def _new_learner(row: RosterRow, school_id: UUID) -> Learner:
    return Learner(
        id=uuid4(),
        school_id=school_id,
        lrn=row.lrn,
        email=row.email,
        created_at=clock.now(),
        **{name: getattr(row, name) for name in COMPARED_FIELDS if name != "email"},
    )
