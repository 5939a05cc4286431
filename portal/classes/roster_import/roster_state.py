"""Optimistic check of the roster import and its undo: what they were computed from, compared again when they are saved.

Matching 5,000 rows takes seconds, during which SQLite's one writer must be free for webhook deliveries. So the changes
are computed outside of the write transaction, which only compares these rows and writes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, select, type_coerce
from sqlalchemy.types import NullType

from portal.classes.models import Enrolment, Learner, Section
from portal.core.db import db, write_transaction

OPTIMISTIC_ATTEMPTS = 3
Result = TypeVar("Result")


@dataclass(frozen=True)
class RosterState:
    """Rows of learners and of their enrolments, as the database driver returns them: building Python values of them
    would take most of the comparison's time."""

    learners: list[tuple[Any, ...]]
    enrolments: list[tuple[Any, ...]]


def read_roster_state(learners_clause: ColumnElement[bool], *, lock: bool = False) -> RosterState:
    """Read the state of the learners that match, with all their enrolments.

    `lock` locks the learners until the open transaction ends, in id order, so that two transactions on the same
    learners queue instead of deadlocking.
    """
    learners = _select_raw(Learner).where(learners_clause).order_by(Learner.id)
    enrolments = (
        _select_raw(Enrolment)
        .add_columns(type_coerce(Section.adviser_id, NullType), Section.school_year)
        .join(Section, Section.id == Enrolment.section_id)
        .where(Enrolment.learner_id.in_(select(Learner.id).where(learners_clause)))
        .order_by(Enrolment.id)
    )
    return RosterState(
        _fetch(learners.with_for_update(key_share=True) if lock else learners),
        _fetch(enrolments),
    )


def save_unless_changed(attempt: Callable[[], Callable[[], Result | None]]) -> Result:
    """Optimistic concurrency: `attempt()` computes changes and returns the function that saves them, which returns None
    if the rows were changed in between.

    The computing is then repeated. The last attempt computes inside the write transaction, so that it always ends.
    """
    for _ in range(OPTIMISTIC_ATTEMPTS):
        save = attempt()
        with write_transaction():
            saved = save()
        if saved is not None:
            return saved
    with write_transaction():
        saved = attempt()()
    if saved is None:
        raise RuntimeError("rows changed inside of the write transaction")
    return saved


def _select_raw(model: Any) -> Any:
    return select(*(type_coerce(column, NullType) for column in model.__table__.columns))


def _fetch(statement: Any) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in db.session.execute(statement)]
