"""Rosters over time: the only module that changes enrolments.

A learner is on at most one roster a day; the database enforces it (migration `rosters`). Days are dates in Manila, the
first and the last included.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import delete, select
from sqlalchemy.orm import object_session

from portal.classes.models import Enrolment, Learner
from portal.core.db import batch_column_updates, db
from portal.core.db.bulk_writes import (
    bulk_update_values,
    column_values,
    insert_rows_in_bulk,
    is_row_changed,
    update_rows_in_bulk,
)

MOVED = "moved"  # to another section of the school
# Exit reason of an erased learner: today's row stays on its sheets, but they are not invited any more.
ERASED = "erased"
_ONE_DAY = timedelta(days=1)
_CHANGING = ("section_id", "position", "from_date", "until_date", "exit_reason", "exit_detail")


class EnrolmentOverlap(ValueError):
    """The new days overlap another enrolment of the learner, `enrolment`."""

    def __init__(self, enrolment: Enrolment) -> None:
        super().__init__("on a roster on one of these days")
        self.enrolment = enrolment


class EndsBeforeStart(ValueError):
    """The last day would be before the first day, `first_day`."""

    def __init__(self, first_day: date) -> None:
        super().__init__("the last day lies before the first")
        self.first_day = first_day


class EnrolmentChanges:
    """Unit of work on the enrolments of some learners, whose rows it locks until the transaction ends. Use it inside
    `write_transaction()`.

    `save()` writes all changes in at most four statements, whatever the number of learners.
    """

    def __init__(self, learner_ids: Iterable[UUID], *, locked: Iterable[Enrolment] | None = None) -> None:
        """`locked` are all enrolments of the learners if they were read already: in this transaction and after locking
        the learners, or outside of any session, to be written by `collect_writes` after a check that nobody changed
        them."""
        self._enrolments_by_learner: dict[UUID, list[Enrolment]] = {}
        self._new: list[Enrolment] = []
        self._deleted_ids: list[UUID] = []  # of rows that no session has
        for row in self._lock_enrolments(set(learner_ids)) if locked is None else locked:
            self._enrolments_by_learner.setdefault(row.learner_id, []).append(row)

    @staticmethod
    def _lock_enrolments(ids: set[UUID]) -> Iterable[Enrolment]:
        # Lock in id order, so that two transactions on the same learners queue instead of deadlocking.
        db.session.execute(
            select(Learner.id).where(Learner.id.in_(ids)).order_by(Learner.id).with_for_update(key_share=True)
        )
        return db.session.scalars(
            select(Enrolment)
            .where(Enrolment.learner_id.in_(ids))
            .order_by(Enrolment.from_date)
            .execution_options(populate_existing=True)
        )

    def enrolments_of(self, learner_id: UUID) -> list[Enrolment]:
        """All enrolments of a learner, by first day."""
        return sorted(self._enrolments_by_learner.get(learner_id, ()), key=lambda row: row.from_date)

    def enrolment_on(self, learner_id: UUID, day: date) -> Enrolment | None:
        """The learner's enrolment on `day`, in any section."""
        return next((row for row in self.enrolments_of(learner_id) if row.from_date <= day <= _last_day(row)), None)

    def enrol(
        self,
        learner_id: UUID,
        section_id: UUID,
        *,
        position: int,
        since: date,
        until: date | None = None,
        reason: str | None = None,
    ) -> Enrolment:
        """Add an enrolment. Raises EnrolmentOverlap, EndsBeforeStart."""
        row = Enrolment(
            id=uuid4(),
            section_id=section_id,
            learner_id=learner_id,
            position=position,
            from_date=since,
            until_date=until,
            exit_reason=reason,
        )
        self._check_no_overlap(row, since, until)
        self._enrolments_by_learner.setdefault(learner_id, []).append(row)
        self._new.append(row)
        return row

    def withdraw(self, row: Enrolment, *, last_day: date, reason: str | None, detail: str | None = None) -> None:
        """End an enrolment, or change its last day. Raises EndsBeforeStart, EnrolmentOverlap."""
        self._check_no_overlap(row, row.from_date, last_day)
        row.until_date, row.exit_reason, row.exit_detail = last_day, reason, detail

    def reassign(self, row: Enrolment, learner_id: UUID) -> None:
        """Move an enrolment in this unit of work from `learner_id` to the learner that the row names (merge of
        learners)."""
        self._enrolments_by_learner[learner_id].remove(row)
        self._enrolments_by_learner.setdefault(row.learner_id, []).append(row)

    def delete(self, row: Enrolment) -> None:
        """Delete an enrolment entered by mistake; in all other cases rows are closed."""
        self._enrolments_by_learner[row.learner_id].remove(row)
        if object_session(row) is None:
            self._deleted_ids.append(row.id)
        else:
            db.session.delete(row)

    def move(self, row: Enrolment, section_id: UUID, *, position: int, since: date, reason: str = MOVED) -> Enrolment:
        """Transfer the learner to another section from `since` on. Raises EnrolmentOverlap.

        The day before `since` becomes the last day in the old section. If that is before the first day there, the row
        itself is changed to the new section.
        """
        if since <= row.from_date:
            self._check_no_overlap(row, since, None)
            row.section_id, row.position, row.from_date = section_id, position, since
            row.until_date = row.exit_reason = row.exit_detail = None
            return row
        last_day = since - _ONE_DAY
        if last_day > _last_day(row):
            raise EnrolmentOverlap(row)
        self._check_no_overlap(row, since, None)
        row.until_date, row.exit_reason = last_day, reason
        return self.enrol(row.learner_id, section_id, position=position, since=since)

    def save(self) -> None:
        """Flush: ends before starts, or the database constraint would see an overlap for a moment."""
        batch_column_updates(
            (row for rows in self._enrolments_by_learner.values() for row in rows if row not in self._new), _CHANGING
        )
        db.session.flush()
        db.session.add_all(self._new)
        db.session.flush()
        self._new = []

    def collect_writes(self) -> "EnrolmentWrites":
        """All changes as parameters of bulk statements, for rows that no session has."""
        new_rows = set(map(id, self._new))
        changed = [
            row
            for rows in self._enrolments_by_learner.values()
            for row in rows
            if id(row) not in new_rows and is_row_changed(row, _CHANGING)
        ]
        return EnrolmentWrites(
            deleted_ids=tuple(self._deleted_ids),
            changed=tuple(bulk_update_values(row, _CHANGING) for row in changed),
            new=tuple(column_values(row) for row in self._new),
        )

    def _check_no_overlap(self, row: Enrolment, since: date, until: date | None) -> None:
        """Raise EndsBeforeStart or EnrolmentOverlap if the row cannot have these days."""
        if until is not None and until < since:
            raise EndsBeforeStart(since)
        for other in self.enrolments_of(row.learner_id):
            if other.id != row.id and other.from_date <= (until or date.max) and _last_day(other) >= since:
                raise EnrolmentOverlap(other)


@dataclass(frozen=True)
class EnrolmentWrites:
    """Changes of enrolments as parameters of bulk statements: three statements, whatever the number of learners."""

    deleted_ids: tuple[UUID, ...]
    changed: tuple[dict[str, Any], ...]
    new: tuple[dict[str, Any], ...]

    def execute(self) -> None:
        """Write, within the open transaction: ends before starts, or the database constraint would see an overlap."""
        if self.deleted_ids:
            db.session.execute(
                delete(Enrolment).where(Enrolment.id.in_(self.deleted_ids)).execution_options(synchronize_session=False)
            )
        update_rows_in_bulk(Enrolment, _CHANGING, self.changed)
        insert_rows_in_bulk(Enrolment, self.new)


def roster_position_among(roster: Iterable[tuple[str | None, str, int]], sex: str, lis_name: str) -> int:
    """The position at which LIS would list a learner: that of the last learner of the same sex whose name sorts before.
    `roster` is (sex, LIS name, position) of the others; equal positions are ordered by name."""
    return max((position for row_sex, name, position in roster if row_sex == sex and name <= lis_name), default=1)


def _last_day(row: Enrolment) -> date:
    return row.until_date or date.max
