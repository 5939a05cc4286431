"""Undo of a roster import, within 24 hours, all or nothing.

The import stores a journal on its row: every learner it created or changed and their enrolments, before and after. If
anything differs from "after", somebody has changed it since and nothing is undone. The journal holds names, so it is
deleted after 24 hours.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, bindparam, delete, exists, select
from sqlalchemy.orm import load_only

from portal.accounts.models import User
from portal.classes.codes import ImportState
from portal.classes.learners.enrolments import EnrolmentChanges, EnrolmentWrites
from portal.classes.models import Enrolment, Learner, RosterImport
from portal.classes.roster_import.roster_state import (
    RosterState,
    read_roster_state,
    save_unless_changed,
)
from portal.core import audit_log, clock
from portal.core.audit_codes import AuditAction, AuditSubject
from portal.core.db import Base, db
from portal.core.db.bulk_writes import bulk_update_values, is_row_changed, update_rows_in_bulk
from portal.core.worker_signals import Topic, notify_worker

UNDO_WINDOW = timedelta(hours=24)
LEARNER_COLUMNS = ("lrn", "lis_name", "last_name", "first_name", "middle_name", "extension", "sex", "email")
_ENROLMENT_COLUMNS = ("id", "section_id", "position", "from_date", "until_date", "exit_reason", "exit_detail")
EnrolmentState = dict[str, Any]


class UndoExpired(ValueError):
    """The 24 hours are over, or the import is undone already."""


class ChangedSinceImport(ValueError):
    """Learners were changed after the import; `names` are theirs."""

    def __init__(self, names: list[str]) -> None:
        super().__init__("later changes stand on it")
        self.names = names


class ImportJournal:
    """Records the state of learners and enrolments before and after an import: construct it before the first change,
    close it after the last."""

    def __init__(self, learners: Iterable[Learner], enrolments: EnrolmentChanges) -> None:
        self._enrolments = enrolments
        self._learners = {learner.id: learner for learner in learners}
        self._before: dict[UUID, EnrolmentState | None] = {
            key: _state(row, LEARNER_COLUMNS) for key, row in self._learners.items()
        }
        self._enrolments_before = {key: _enrolment_states(enrolments.enrolments_of(key)) for key in self._learners}

    def made(self, learner: Learner) -> None:
        """Record a learner created by the import."""
        self._learners[learner.id] = learner
        self._before[learner.id], self._enrolments_before[learner.id] = None, []

    def close(self) -> EnrolmentState:
        """The journal as stored: only learners that changed."""
        journal = {}
        for key, learner in self._learners.items():
            entry = {
                "before": self._before[key],
                "after": _state(learner, LEARNER_COLUMNS),
                "times_before": self._enrolments_before[key],
                "times_after": _enrolment_states(self._enrolments.enrolments_of(key)),
            }
            if entry["before"] != entry["after"] or entry["times_before"] != entry["times_after"]:
                journal[str(key)] = entry
        return journal


_last_import_select = (
    select(RosterImport)
    .where(
        RosterImport.section_id == bindparam("section_id"),
        RosterImport.uploaded_by == bindparam("user_id"),
        RosterImport.state == ImportState.CONFIRMED,
        RosterImport.decided_at > bindparam("since"),
        RosterImport.undo_journal.is_not(None),
    )
    .order_by(RosterImport.decided_at.desc())
    .limit(1)
    .options(load_only(RosterImport.filename, RosterImport.decided_at))  # not undo_journal, which is large
)


def find_undoable_import(user: User, section_id: UUID) -> RosterImport | None:
    """The latest import into the section, if it is this user's and less than 24 hours old."""
    return db.session.scalar(
        _last_import_select, {"section_id": section_id, "user_id": user.id, "since": clock.now() - UNDO_WINDOW}
    )


def undo_roster_import(upload: RosterImport, user: User) -> int:
    """Restore all rows to their state before the import; returns the number of learners. Raises UndoExpired,
    ChangedSinceImport.

    The changes are computed outside of the transaction, which only checks that nothing changed meanwhile and writes.
    """

    def attempt() -> Callable[[], int | None]:
        plan = _plan_undo(upload)
        return lambda: _save_plan(plan, upload, user)

    count = save_unless_changed(attempt)
    notify_worker(Topic.ROSTERS)
    notify_worker(Topic.ROSTER_CHANGES)
    return count


@dataclass(frozen=True)
class _UndoPlan:
    """All that an undo writes, and the rows it was computed from."""

    learners_clause: ColumnElement[bool]
    state: RosterState
    learners: int
    created_ids: set[UUID]
    changed_learners: list[dict[str, Any]]
    enrolments: EnrolmentWrites


def _plan_undo(upload: RosterImport) -> _UndoPlan:
    db.session.refresh(upload)
    if not _can_be_undone(upload) or upload.undo_journal is None:
        raise UndoExpired
    journal = {UUID(key): entry for key, entry in upload.undo_journal.items()}
    learners_clause = Learner.id.in_(journal)
    state = read_roster_state(learners_clause)
    learners = {row.id: row for row in _load_detached(select(Learner).where(learners_clause))}
    statement = select(Enrolment).where(Enrolment.learner_id.in_(journal)).order_by(Enrolment.from_date)
    enrolments = EnrolmentChanges(journal, locked=_load_detached(statement))
    _check_unchanged_since(journal, learners, enrolments)
    _restore(journal, learners, enrolments)
    return _UndoPlan(
        learners_clause=learners_clause,
        state=state,
        learners=len(journal),
        created_ids={key for key, entry in journal.items() if entry["before"] is None},
        changed_learners=[
            bulk_update_values(row, LEARNER_COLUMNS)
            for row in learners.values()
            if is_row_changed(row, LEARNER_COLUMNS)
        ],
        enrolments=enrolments.collect_writes(),
    )


def _load_detached(statement: Select[Any]) -> list[Any]:
    """Rows that no session has: changed in memory, written by bulk statements."""
    rows = list(db.session.scalars(statement.execution_options(populate_existing=True)))
    for row in rows:
        db.session.expunge(row)
    return rows


def _save_plan(plan: _UndoPlan, upload: RosterImport, user: User) -> int | None:
    """Write the plan, within the open transaction; None if the rows it was computed from have changed."""
    db.session.refresh(upload, ["state", "decided_at"], with_for_update=True)
    has_journal = select(RosterImport.undo_journal.is_not(None)).where(RosterImport.id == upload.id)
    if not _can_be_undone(upload) or not db.session.scalar(has_journal):
        raise UndoExpired
    if read_roster_state(plan.learners_clause, lock=True) != plan.state:
        return None
    plan.enrolments.execute()
    update_rows_in_bulk(Learner, LEARNER_COLUMNS, plan.changed_learners)
    delete_orphan_learners(plan.created_ids)
    upload.state, upload.undo_journal = ImportState.UNDONE, None
    audit_log.record_action(
        AuditAction.UNDID_IMPORT, AuditSubject.SECTION, upload.section_id or "", by=user.id, learners=plan.learners
    )
    return plan.learners


def _can_be_undone(upload: RosterImport) -> bool:
    return (
        upload.state == ImportState.CONFIRMED
        and upload.decided_at is not None
        and upload.decided_at >= clock.now() - UNDO_WINDOW
    )


def delete_orphan_learners(learner_ids: Iterable[UUID]) -> None:
    """Delete those of the learners that no row references, rows that cascade with the learner aside."""
    is_unreferenced = [
        ~exists().where(column == Learner.id)
        for table in Base.metadata.sorted_tables
        for key in table.foreign_keys
        if key.column.table.name == Learner.__tablename__ and key.ondelete != "CASCADE"
        for column in [key.parent]
    ]
    db.session.flush()
    db.session.execute(delete(Learner).where(Learner.id.in_(set(learner_ids)), *is_unreferenced))


def _check_unchanged_since(
    journal: dict[UUID, EnrolmentState], learners: dict[UUID, Learner], enrolments: EnrolmentChanges
) -> None:
    names = []
    for key, entry in journal.items():
        learner = learners.get(key)
        is_unchanged = learner is not None and _state(learner, LEARNER_COLUMNS) == entry["after"]
        if not is_unchanged or _enrolment_states(enrolments.enrolments_of(key)) != entry["times_after"]:
            name = learner or entry["after"]
            names.append(name.lis_name if isinstance(name, Learner) else name["lis_name"])
    if names:
        raise ChangedSinceImport(sorted(names))


def _restore(journal: dict[UUID, EnrolmentState], learners: dict[UUID, Learner], enrolments: EnrolmentChanges) -> None:
    """Restore the rows in memory."""
    for key, entry in journal.items():
        state_by_id = {time["id"]: time for time in entry["times_before"]}
        for row in enrolments.enrolments_of(key):
            if time := state_by_id.get(str(row.id)):
                _restore_enrolment(row, time)
            else:
                enrolments.delete(row)
        if entry["before"] is not None:
            for name in LEARNER_COLUMNS:
                setattr(learners[key], name, entry["before"][name])


def _restore_enrolment(row: Enrolment, time: EnrolmentState) -> None:
    row.section_id = UUID(time["section_id"])
    row.position, row.exit_reason, row.exit_detail = time["position"], time["exit_reason"], time["exit_detail"]
    row.from_date = date.fromisoformat(time["from_date"])
    row.until_date = date.fromisoformat(time["until_date"]) if time["until_date"] else None


def _enrolment_states(rows: list[Enrolment]) -> list[EnrolmentState]:
    return [_state(row, _ENROLMENT_COLUMNS) for row in rows]


def _state(row: Learner | Enrolment, names: tuple[str, ...]) -> EnrolmentState:
    """The named columns of a row as JSON values."""
    values = {name: getattr(row, name) for name in names}
    return {
        name: value.isoformat() if isinstance(value, date) else str(value) if isinstance(value, UUID) else value
        for name, value in values.items()
    }
