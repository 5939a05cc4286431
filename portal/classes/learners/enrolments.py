"""Who is on which roster from when until when. The only place that changes an enrolment.

A learner is on at most one roster a day; the database refuses anything else (migration `rosters`). Days are dates
in Manila, the first and the last included.
"""

from collections.abc import Iterable
from datetime import date, timedelta
from uuid import UUID, uuid4

from sqlalchemy import select

from portal.classes.models import Enrolment, Learner
from portal.core.db import batch_column_updates, db

MOVED = "moved"  # to another section of the school
ERASED = "erased"  # the line of today stays on its sheets, but the learner is not invited any more
_ONE_DAY = timedelta(days=1)
_CHANGING = ("section_id", "position", "from_date", "until_date", "exit_reason", "exit_detail")


class EnrolmentOverlap(ValueError):
    """The learner is on a roster on one of the days wanted. `enrolment` is that time."""

    def __init__(self, enrolment: Enrolment) -> None:
        super().__init__("on a roster on one of these days")
        self.enrolment = enrolment


class EndsBeforeStart(ValueError):
    """The last day would lie before the first. `first_day` is that."""

    def __init__(self, first_day: date) -> None:
        super().__init__("the last day lies before the first")
        self.first_day = first_day


class EnrolmentChanges:
    """The enrolments of some learners, held until the end of the transaction. Use it inside `writing()`.

    `save()` writes what has been changed, whatever the number of learners in four statements at most.
    """

    def __init__(self, learner_ids: Iterable[UUID], *, held: Iterable[Enrolment] | None = None) -> None:
        """`held` are all the learners' times, read in this transaction after the learners were locked."""
        self._times: dict[UUID, list[Enrolment]] = {}
        self._new: list[Enrolment] = []
        for row in self._hold(set(learner_ids)) if held is None else held:
            self._times.setdefault(row.learner_id, []).append(row)

    @staticmethod
    def _hold(ids: set[UUID]) -> Iterable[Enrolment]:
        # In the order of their ids, so that two who want the same learners wait for each other and never lock up.
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
        """All times of a learner, in order."""
        return sorted(self._times.get(learner_id, ()), key=lambda row: row.from_date)

    def enrolment_on(self, learner_id: UUID, day: date) -> Enrolment | None:
        """Where the learner is enrolled on `day`."""
        return next((row for row in self.enrolments_of(learner_id) if row.from_date <= day <= _end(row)), None)

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
        """A new time in a section. Raises EnrolmentOverlap, EndsBeforeStart."""
        row = Enrolment(
            id=uuid4(),
            section_id=section_id,
            learner_id=learner_id,
            position=position,
            from_date=since,
            until_date=until,
            exit_reason=reason,
        )
        self._must_fit(row, since, until)
        self._times.setdefault(learner_id, []).append(row)
        self._new.append(row)
        return row

    def withdraw(self, row: Enrolment, *, last_day: date, reason: str | None, detail: str | None = None) -> None:
        """End a time, or say that it ended on another day. Raises EndsBeforeStart, EnrolmentOverlap."""
        self._must_fit(row, row.from_date, last_day)
        row.until_date, row.exit_reason, row.exit_detail = last_day, reason, detail

    def reassign(self, row: Enrolment, learner_id: UUID) -> None:
        """A time that was `learner_id`'s is now that of the learner whom the row names."""
        self._times[learner_id].remove(row)
        self._times.setdefault(row.learner_id, []).append(row)

    def delete(self, row: Enrolment) -> None:
        """Take out a time that never was: the only case in which one is deleted."""
        self._times[row.learner_id].remove(row)
        db.session.delete(row)

    def move(self, row: Enrolment, section_id: UUID, *, position: int, since: date, reason: str = MOVED) -> Enrolment:
        """From `row` to another section, whose roster the learner is on from `since`. Raises EnrolmentOverlap.

        The day before was their last in the old one. Where that would be before their first there, they never were
        there: the time itself becomes one in the new section.
        """
        if since <= row.from_date:
            self._must_fit(row, since, None)
            row.section_id, row.position, row.from_date = section_id, position, since
            row.until_date = row.exit_reason = row.exit_detail = None
            return row
        last_day = since - _ONE_DAY
        if last_day > _end(row):
            raise EnrolmentOverlap(row)
        self._must_fit(row, since, None)
        row.until_date, row.exit_reason = last_day, reason
        return self.enrol(row.learner_id, section_id, position=position, since=since)

    def save(self) -> None:
        """Write it: times that end before times that begin, or the database would see both for a moment."""
        batch_column_updates((row for rows in self._times.values() for row in rows if row not in self._new), _CHANGING)
        db.session.flush()
        db.session.add_all(self._new)
        db.session.flush()
        self._new = []

    def _must_fit(self, row: Enrolment, since: date, until: date | None) -> None:
        if until is not None and until < since:
            raise EndsBeforeStart(since)
        for other in self.enrolments_of(row.learner_id):
            if other.id != row.id and other.from_date <= (until or date.max) and _end(other) >= since:
                raise EnrolmentOverlap(other)


def roster_position_among(roster: Iterable[tuple[str | None, str, int]], sex: str, lis_name: str) -> int:
    """Where LIS would print a learner: after the last of that sex whose name comes before. `roster` is sex, name and
    place of the others; equal places are ordered by name."""
    return max((place for other, name, place in roster if other == sex and name <= lis_name), default=1)


def _end(row: Enrolment) -> date:
    return row.until_date or date.max
