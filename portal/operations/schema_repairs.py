"""prepare_upgrade(): what a database of an earlier release needs before Alembic's own migrations can run on it.

`migrations/env.py` calls it first, in the transaction of the migrations: so `db upgrade`, a start, `users create` and
`restore` all go through it, and what it changed is undone where a migration fails. A migration that was released is
never changed; what went wrong in one is made good here. The tables are described as they were at that revision, because
the models have moved on.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import groupby, pairwise
from uuid import UUID

import sqlalchemy as sa
from alembic.util import CommandError

ACCEPT = "accept"  # `db upgrade --accept`, and Alembic's own spelling: -x accept
_VERSION = sa.table("alembic_version", sa.column("version_num", sa.String))
_SCHOOLS = sa.table("schools", sa.column("id", sa.Uuid), sa.column("deped_id"), sa.column("name"))
_SECTIONS = sa.table(
    "sections",
    sa.column("id", sa.Uuid),
    sa.column("school_id", sa.Uuid),
    sa.column("school_year"),
    sa.column("grade_level"),
    sa.column("name"),
)
_ENROLMENTS = sa.table(
    "enrolments",
    sa.column("id", sa.Uuid),
    sa.column("learner_id", sa.Uuid),
    sa.column("section_id", sa.Uuid),
    sa.column("from_date", sa.Date),
    sa.column("until_date", sa.Date),
    sa.column("reason", sa.String),
)
_CLASSES = sa.table("classes", sa.column("id", sa.Uuid), sa.column("section_id", sa.Uuid))
_MEETINGS = sa.table("zoom_meetings", sa.column("id", sa.Uuid), sa.column("class_id", sa.Uuid))
_OCCURRENCES = sa.table(
    "meeting_occurrences", sa.column("id", sa.Uuid), sa.column("meeting_id", sa.Uuid), sa.column("local_date", sa.Date)
)
_RECORDS = sa.table(
    "attendance_records",
    sa.column("occurrence_id", sa.Uuid),
    sa.column("learner_id", sa.Uuid),
    sa.column("id", sa.Uuid),
)


class OverlapsNotAcceptedError(CommandError):
    """Learners are on two rosters at a time, and nobody has said yet that these times may be ended."""


@dataclass(frozen=True)
class EnrolmentStretch:
    """One time of a learner on a roster, as the table `enrolments` had it before migration 0007."""

    id: UUID
    learner_id: UUID
    section_id: UUID
    from_date: date
    until_date: date | None
    reason: str | None

    @property
    def last_day(self) -> date:
        return self.until_date or date.max

    def covers(self, day: date) -> bool:
        return self.from_date <= day <= self.last_day


@dataclass(frozen=True)
class Mark:
    """A learner's attendance record, by the section and the day of its class."""

    learner_id: UUID
    section_id: UUID
    day: date


@dataclass(frozen=True)
class EndedStretch:
    """What becomes of a stretch that overlaps another one: other days, or none (`after` is None)."""

    before: EnrolmentStretch
    after: EnrolmentStretch | None


@dataclass(frozen=True)
class SectionOverlap:
    """One section's overlaps, without names: how many learners lose days of its roster, and how many marks."""

    school: str
    section: str
    school_year: str
    learners: int
    marks: int

    def __str__(self) -> str:
        return (
            f"{self.school}, {self.section}, {self.school_year}: {_count(self.learners, 'learner')}, "
            f"{_count(self.marks, 'mark') if self.marks else 'no marks'}"
        )


def prepare_upgrade(
    connection: sa.Connection,
    planned: Callable[[], Collection[str]],
    *,
    accepted: bool,
    say: Callable[[str], None],
) -> None:
    """Repair the database of release 0.1.0, then end overlapping times on rosters where migration 0007 is to come.

    `planned` gives the revisions that the upgrade will run; it is asked after the repair, which changes them.
    Raises OverlapsNotAcceptedError where there are overlaps and `accepted` is false.
    """
    if repair_release_0_1_0(connection):
        say(
            "This is a database of release 0.1.0 (24 November 2026): it says revision 0003, but its migrations 0002 "
            "and 0003 were empty. It is taken for what it holds, revision 0001, and upgraded from there."
        )
    revisions = planned()
    if "0007" in revisions and "0001" not in revisions:  # an empty database has no rosters yet
        _end_overlaps(connection, accepted, say)


def repair_release_0_1_0(connection: sa.Connection) -> bool:
    """Stamp 0001 where the revision is 0003 and no table of 0002 and 0003 exists; True if that was done.

    The release of 24 November had two empty migrations of these numbers. Any other state is left as it is, so that a
    second call finds nothing to do.
    """
    inspector = sa.inspect(connection)
    if not inspector.has_table("alembic_version"):
        return False
    if connection.scalars(sa.select(_VERSION.c.version_num)).all() != ["0003"]:
        return False
    tables = set(inspector.get_table_names())
    if tables & {"schedules", "portal_beats"} or "attendance_records" not in tables:
        return False
    connection.execute(_VERSION.update().values(version_num="0001"))
    return True


def _end_overlaps(connection: sa.Connection, accepted: bool, say: Callable[[str], None]) -> None:
    """List the overlapping times by section, and end them where that was accepted.

    0007 would end them itself, but leaves the order of equal times to the database, and says nothing of the marks.
    """
    stretches = _overlapping_stretches(connection)
    if not stretches:
        return
    marks = _marks_of_overlaps(connection)
    ended = plan_ended_stretches(stretches, marks)
    overlaps = _by_section(connection, stretches, ended, marks)
    listed = "\n".join(f"  {overlap}" for overlap in overlaps)
    lost = sum(overlap.marks for overlap in overlaps)
    if not accepted:
        say(
            "Learners are on two rosters at the same time, which a later version does not allow (migration 0007). "
            "These sections' rosters would lose the days in which the learner was on another one:\n"
            f"{listed}\n"
            "The roster that a learner is on now keeps them. The marks counted here are of the days that would be "
            "lost: those learners would no longer be on the attendance sheets of these days.\n"
            "Nothing is changed yet. Make a backup, then go on with: flask --app app db upgrade --accept"
        )
        raise OverlapsNotAcceptedError(
            f"overlapping times on rosters in {_count(len(overlaps), 'section')}, with {_count(lost, 'mark')}: see the "
            "list above; db upgrade --accept ends them"
        )
    _write(connection, ended)
    say(
        "Overlapping times on rosters are ended; the marks of the days that are lost are no longer on their sheets:\n"
        f"{listed}"
    )


def _overlapping_learners() -> sa.Select[tuple[UUID]]:
    one, other = _ENROLMENTS.alias("one"), _ENROLMENTS.alias("other")
    end = sa.literal(date.max, sa.Date)
    return sa.select(one.c.learner_id).where(
        one.c.learner_id == other.c.learner_id,
        one.c.id != other.c.id,
        one.c.from_date <= sa.func.coalesce(other.c.until_date, end),
        sa.func.coalesce(one.c.until_date, end) >= other.c.from_date,
    )


def _overlapping_stretches(connection: sa.Connection) -> list[EnrolmentStretch]:
    columns = [_ENROLMENTS.c[name] for name in EnrolmentStretch.__dataclass_fields__]
    query = sa.select(*columns).where(_ENROLMENTS.c.learner_id.in_(_overlapping_learners()))
    return [EnrolmentStretch(**row) for row in connection.execute(query).mappings()]


def _marks_of_overlaps(connection: sa.Connection) -> list[Mark]:
    query = (
        sa.select(_RECORDS.c.learner_id, _CLASSES.c.section_id, _OCCURRENCES.c.local_date.label("day"))
        .select_from(_RECORDS)
        .join(_OCCURRENCES, _OCCURRENCES.c.id == _RECORDS.c.occurrence_id)
        .join(_MEETINGS, _MEETINGS.c.id == _OCCURRENCES.c.meeting_id)
        .join(_CLASSES, _CLASSES.c.id == _MEETINGS.c.class_id)
        .where(_RECORDS.c.learner_id.in_(_overlapping_learners()))
    )
    return [Mark(**row) for row in connection.execute(query).mappings()]


def plan_ended_stretches(stretches: Iterable[EnrolmentStretch], marks: Iterable[Mark]) -> list[EndedStretch]:
    """What to change so that no two stretches of a learner share a day; nothing where they already share none.

    The rule is that of migration 0007: of several without an end the one begun last goes on, the others end the day
    before the next begins; then, by their last day, each begins after the one before it, and goes where no day is
    left. Equal days are decided by the marks (the roster with more of them is kept), then by the id as text, so that
    both databases come to the same.
    """
    weight = Counter((mark.learner_id, mark.section_id) for mark in marks)
    ordered = sorted(stretches, key=lambda one: (one.learner_id.hex, one.id.hex))
    return [
        change
        for _learner, own in groupby(ordered, key=lambda one: one.learner_id)
        for change in _plan_of_one_learner(list(own), weight)
    ]


def _plan_of_one_learner(own: list[EnrolmentStretch], weight: Counter[tuple[UUID, UUID]]) -> list[EndedStretch]:
    def marks_of(one: EnrolmentStretch) -> int:
        return weight[one.learner_id, one.section_id]

    as_it_was = {one.id: one for one in own}
    planned = dict(as_it_was)
    open_ended = sorted(
        (one for one in own if one.until_date is None), key=lambda one: (one.from_date, marks_of(one), one.id.hex)
    )
    for one, later in pairwise(open_ended):
        planned[one.id] = replace(
            one, until_date=later.from_date - timedelta(days=1), reason=one.reason or "moved to another section"
        )
    ended, free_from = [], date.min
    for one in sorted(planned.values(), key=lambda one: (one.last_day, one.from_date, -marks_of(one), one.id.hex)):
        after = replace(one, from_date=max(one.from_date, free_from))
        before = as_it_was[one.id]
        if after.last_day < after.from_date:
            ended.append(EndedStretch(before, None))
            continue
        if after != before:
            ended.append(EndedStretch(before, after))
        if after.until_date is not None:
            free_from = after.until_date + timedelta(days=1)
    return ended


def _by_section(
    connection: sa.Connection, stretches: list[EnrolmentStretch], ended: list[EndedStretch], marks: list[Mark]
) -> list[SectionOverlap]:
    """The sections whose rosters lose days, in the order of school, grade and name."""
    learners: dict[UUID, set[UUID]] = defaultdict(set)
    for change in ended:
        learners[change.before.section_id].add(change.before.learner_id)
    lost = Counter(mark.section_id for mark in _lost_marks(stretches, ended, marks))
    query = (
        sa.select(
            _SECTIONS.c.id,
            _SCHOOLS.c.name.label("school"),
            _SCHOOLS.c.deped_id,
            _SECTIONS.c.grade_level,
            _SECTIONS.c.name,
            _SECTIONS.c.school_year,
        )
        .join(_SCHOOLS, _SCHOOLS.c.id == _SECTIONS.c.school_id)
        .where(_SECTIONS.c.id.in_(learners))
    )
    rows = sorted(connection.execute(query).all(), key=lambda row: (*map(str, row[1:]), row.id.hex))
    return [
        SectionOverlap(
            f"{row.school} ({row.deped_id})",
            f"{row.grade_level} {row.name}",
            row.school_year,
            len(learners[row.id]),
            lost[row.id],
        )
        for row in rows
    ]


def _lost_marks(stretches: list[EnrolmentStretch], ended: list[EndedStretch], marks: list[Mark]) -> Iterable[Mark]:
    """Marks of days on which the learner was on the section's roster, and will not be."""
    after = {one.id: one for one in stretches} | {change.before.id: change.after for change in ended}
    stays: dict[tuple[UUID, UUID], list[tuple[EnrolmentStretch, EnrolmentStretch | None]]] = defaultdict(list)
    for one in stretches:
        stays[one.learner_id, one.section_id].append((one, after[one.id]))
    for mark in marks:
        pairs = stays[mark.learner_id, mark.section_id]
        was_there = any(before.covers(mark.day) for before, _after in pairs)
        if was_there and not any(later is not None and later.covers(mark.day) for _before, later in pairs):
            yield mark


def _write(connection: sa.Connection, ended: list[EndedStretch]) -> None:
    this = _ENROLMENTS.c.id == sa.bindparam("key")
    gone = [{"key": change.before.id} for change in ended if change.after is None]
    if gone:
        connection.execute(_ENROLMENTS.delete().where(this), gone)
    kept = [
        {"key": one.id, "first": one.from_date, "last": one.until_date, "why": one.reason}
        for one in (change.after for change in ended)
        if one is not None
    ]
    if kept:
        statement = _ENROLMENTS.update().where(this)
        connection.execute(
            statement.values(
                from_date=sa.bindparam("first"), until_date=sa.bindparam("last"), reason=sa.bindparam("why")
            ),
            kept,
        )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
