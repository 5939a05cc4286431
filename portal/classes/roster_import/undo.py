"""Taking an import back, within a day, all of it or nothing.

An import leaves a journal on its row: every learner it made or changed and where they were enrolled, before and
after. If anything of that is different now, somebody has gone on from there, and nothing is undone. The journal
holds names, so it goes when the day is over.
"""

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, delete, exists, select
from sqlalchemy.orm import load_only

from portal.accounts.models import User
from portal.classes.codes import ImportState
from portal.classes.learners.enrolments import EnrolmentChanges
from portal.classes.models import Enrolment, Learner, RosterImport
from portal.core import audit_log, clock
from portal.core.audit_codes import AuditAction, AuditSubject
from portal.core.db import Base, db, write_transaction
from portal.core.worker_signals import notify_worker

UNDO_WINDOW = timedelta(hours=24)
_FIELDS = ("lrn", "lis_name", "last_name", "first_name", "middle_name", "extension", "sex", "email")
_TIME = ("id", "section_id", "position", "from_date", "until_date", "exit_reason", "exit_detail")
EnrolmentState = dict[str, Any]


class UndoExpired(ValueError):
    """The day in which it could be undone is over, or it is undone already."""


class ChangedSinceImport(ValueError):
    """Later changes stand on the import. `names` are the learners they are about."""

    def __init__(self, names: list[str]) -> None:
        super().__init__("later changes stand on it")
        self.names = names


class ImportJournal:
    """What an import changes: begun before the first change, closed after the last."""

    def __init__(self, learners: Iterable[Learner], rolls: EnrolmentChanges) -> None:
        self._rolls = rolls
        self._learners = {learner.id: learner for learner in learners}
        self._before: dict[UUID, EnrolmentState | None] = {
            key: _state(row, _FIELDS) for key, row in self._learners.items()
        }
        self._times_before = {key: _times(rolls.enrolments_of(key)) for key in self._learners}

    def made(self, learner: Learner) -> None:
        """The import made this learner."""
        self._learners[learner.id] = learner
        self._before[learner.id], self._times_before[learner.id] = None, []

    def close(self) -> EnrolmentState:
        """The journal as it is kept: only who was changed."""
        kept = {}
        for key, learner in self._learners.items():
            entry = {
                "before": self._before[key],
                "after": _state(learner, _FIELDS),
                "times_before": self._times_before[key],
                "times_after": _times(self._rolls.enrolments_of(key)),
            }
            if entry["before"] != entry["after"] or entry["times_before"] != entry["times_after"]:
                kept[str(key)] = entry
        return kept


_last_import = (
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
    .options(load_only(RosterImport.filename, RosterImport.decided_at))  # not the journal, which is long
)


def find_undoable_import(user: User, section_id: UUID) -> RosterImport | None:
    """The last import into the section, if it was this person's and is not a day old."""
    return db.session.scalar(
        _last_import, {"section_id": section_id, "user_id": user.id, "since": clock.now() - UNDO_WINDOW}
    )


def undo_roster_import(upload: RosterImport, user: User) -> int:
    """Make everything as it was before the import; the number of learners. Raises UndoExpired, ChangedSinceImport."""
    with write_transaction() as session:
        session.refresh(upload, with_for_update=True)
        if (
            upload.state != ImportState.CONFIRMED
            or upload.undo_journal is None
            or upload.decided_at is None
            or upload.decided_at < clock.now() - UNDO_WINDOW
        ):
            raise UndoExpired
        journal = {UUID(key): entry for key, entry in upload.undo_journal.items()}
        rolls = EnrolmentChanges(journal)
        learners = {row.id: row for row in session.scalars(select(Learner).where(Learner.id.in_(journal)))}
        _must_be_as_left(journal, learners, rolls)
        _restore(journal, learners, rolls)
        upload.state, upload.undo_journal = ImportState.UNDONE, None
        audit_log.record_action(
            AuditAction.UNDID_IMPORT, AuditSubject.SECTION, upload.section_id or "", by=user.id, learners=len(journal)
        )
    notify_worker("registration")
    notify_worker("changed rosters")
    return len(journal)


def delete_orphan_learners(learner_ids: Iterable[UUID]) -> None:
    """Delete those of the learners to whom nothing refers any more. Links that go with a learner do not hold them."""
    holding = [
        ~exists().where(column == Learner.id)
        for table in Base.metadata.sorted_tables
        for key in table.foreign_keys
        if key.column.table.name == Learner.__tablename__ and key.ondelete != "CASCADE"
        for column in [key.parent]
    ]
    db.session.flush()
    db.session.execute(delete(Learner).where(Learner.id.in_(set(learner_ids)), *holding))


def _must_be_as_left(
    journal: dict[UUID, EnrolmentState], learners: dict[UUID, Learner], rolls: EnrolmentChanges
) -> None:
    names = []
    for key, entry in journal.items():
        learner = learners.get(key)
        same = learner is not None and _state(learner, _FIELDS) == entry["after"]
        if not same or _times(rolls.enrolments_of(key)) != entry["times_after"]:
            name = learner or entry["after"]
            names.append(name.lis_name if isinstance(name, Learner) else name["lis_name"])
    if names:
        raise ChangedSinceImport(sorted(names))


def _restore(journal: dict[UUID, EnrolmentState], learners: dict[UUID, Learner], rolls: EnrolmentChanges) -> None:
    made = {key for key, entry in journal.items() if entry["before"] is None}
    for key, entry in journal.items():
        was = {time["id"]: time for time in entry["times_before"]}
        for row in rolls.enrolments_of(key):
            if str(row.id) not in was:
                rolls.delete(row)
    db.session.flush()  # times that began go first, so that those before them may be open again
    for key, entry in journal.items():
        was = {time["id"]: time for time in entry["times_before"]}
        for row in rolls.enrolments_of(key):
            _set_back(row, was[str(row.id)])
        if key not in made:
            for name in _FIELDS:
                setattr(learners[key], name, entry["before"][name])
    db.session.flush()
    delete_orphan_learners(made)


def _set_back(row: Enrolment, time: EnrolmentState) -> None:
    row.section_id = UUID(time["section_id"])
    row.position, row.exit_reason, row.exit_detail = time["position"], time["exit_reason"], time["exit_detail"]
    row.from_date = date.fromisoformat(time["from_date"])
    row.until_date = date.fromisoformat(time["until_date"]) if time["until_date"] else None


def _times(rows: list[Enrolment]) -> list[EnrolmentState]:
    return [_state(row, _TIME) for row in rows]


def _state(row: Learner | Enrolment, names: tuple[str, ...]) -> EnrolmentState:
    """Some columns of a row, in words that JSON knows."""
    values = {name: getattr(row, name) for name in names}
    return {
        name: value.isoformat() if isinstance(value, date) else str(value) if isinstance(value, UUID) else value
        for name, value in values.items()
    }
