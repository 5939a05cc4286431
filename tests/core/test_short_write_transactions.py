"""No transaction holds SQLite's writer for long: the rows of each are counted, and a kill between two of them, or in
the one of what is all or nothing, leaves a state from which the same can be done again."""

import json
from datetime import date, datetime, timedelta
from uuid import UUID

import pytest
import sqlalchemy as sa
import time_machine
from flask import Flask
from sqlalchemy.engine import Connection

from portal.accounts.models import School
from portal.attendance.models import DailyAttendance
from portal.classes.codes import ImportState
from portal.classes.models import Enrolment, Learner, RosterImport, SchoolClass, Section
from portal.classes.roster_files.reader import parse_roster_file
from portal.classes.roster_import.service import (
    MissingLearnersUndecided,
    confirm_roster_import,
    create_roster_import,
)
from portal.classes.roster_import.undo import ChangedSinceImport, undo_roster_import
from portal.core import clock
from portal.core.audit_log import AuditEntry
from portal.core.db import db, write_transaction
from portal.core.db.write_holds import WriteHold, observe_write_holds
from portal.meetings.codes import OccurrenceState
from portal.meetings.models import CalendarDay, MeetingOccurrence
from portal.meetings.scheduling.bulk_cancel import CANCEL_BATCH
from portal.meetings.scheduling.class_closing import close_class_with_dates
from portal.meetings.scheduling.recurrence import TimeSlot
from portal.meetings.school_calendar.affected_classes import cancel_listed_occurrences, find_affected_classes
from portal.meetings.service import MeetingDetails, add_meeting
from portal.privacy import attendance_retention
from portal.registration.desired_registrants import WRITE_BATCH, sync_registrant_rows
from portal.registration.models import MeetingRegistrant
from tests.people import DOMAINS, People, expire_orm_state
from tests.write_transactions import changed_before_writing, counted_transactions, killed_at_commit

NOW = datetime(2026, 11, 24, 9, tzinfo=clock.MANILA)
ON_SQLITE = pytest.mark.parametrize("portal", ["sqlite"], indirect=True)
ROWS_OF_A_DATE = 4  # the date, its meeting, a line of history and one of the audit log


@pytest.fixture(autouse=True)
def tuesday() -> object:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def jadeite(people: People) -> Section:
    return people.section(people.ada)


def add_dates(people: People, school_class: SchoolClass, count: int, key: str = "dates") -> None:
    starts = [NOW + timedelta(days=day) for day in range(1, count + 1)]
    details = MeetingDetails(title="Biology lesson", description="", starts_at=starts[0], minutes=60)
    with write_transaction():
        add_meeting(
            people.ada, school_class, details, [TimeSlot(start, 60) for start in starts], people.ada.email,
            client_key=f"{key}{school_class.id}", kind="recurring", recurrence={"weekdays": [1], "dates": count},
        )  # fmt: skip


def letters(number: int) -> str:
    """A last name of its own for each number: there are no digits in names."""
    return "LEARNER" + "".join("ABCDEFGHIJ"[int(digit)] for digit in f"{number:03d}")


def upload(people: People, section: Section, count: int, first: str = "BEA") -> RosterImport:
    lines = ["LRN,LastName,FirstName,MiddleName,Extension,Sex,Email,Remarks"]
    lines += [f"3001232{number:05d},{letters(number)},{first},CRUZ,,M,," for number in range(1, count + 1)]
    file = parse_roster_file("\n".join(lines).encode(), "roster.csv")
    return create_roster_import(people.ada, section, file, "roster.csv", domains=DOMAINS)


def roster() -> list[tuple[object, ...]]:
    """Learners with their days, as the database has them."""
    expire_orm_state()
    columns = (Learner.lrn, Learner.first_name, Enrolment.from_date, Enrolment.until_date, Enrolment.section_id)
    return [tuple(row) for row in db.session.execute(sa.select(*columns).join(Enrolment).order_by(Learner.lrn))]


def states_of_dates() -> set[str]:
    expire_orm_state()
    return set(db.session.scalars(sa.select(MeetingOccurrence.state)))


def count_rows(model: object) -> int:
    return db.session.scalar(sa.select(sa.func.count()).select_from(model)) or 0  # type: ignore[arg-type]


# Each row stands for itself: batches


@ON_SQLITE
def test_dates_of_a_closed_class_are_cancelled_in_batches(app: Flask, people: People, jadeite: Section) -> None:
    school_class = people.school_class(people.ada, jadeite)
    add_dates(people, school_class, 40)
    with counted_transactions() as rows:
        assert close_class_with_dates(people.ada, school_class, cancel_dates=True) == 40
    assert len(rows) == 4, "three batches, and the class"
    assert max(rows) <= CANCEL_BATCH * ROWS_OF_A_DATE + 1


def test_a_class_whose_closing_was_killed_is_open_and_can_be_closed_again(
    app: Flask, people: People, jadeite: Section
) -> None:
    school_class = people.school_class(people.ada, jadeite)
    add_dates(people, school_class, 40)
    with killed_at_commit(2):
        close_class_with_dates(people.ada, school_class, cancel_dates=True)
    assert states_of_dates() == {OccurrenceState.SCHEDULED, OccurrenceState.CANCELLED}
    school_class = db.session.get_one(SchoolClass, school_class.id, populate_existing=True)
    assert school_class.closed_at is None
    assert close_class_with_dates(people.ada, school_class, cancel_dates=True) == 40 - CANCEL_BATCH
    assert states_of_dates() == {OccurrenceState.CANCELLED}


@ON_SQLITE
def test_dates_on_a_day_off_are_cancelled_in_batches_and_again_after_a_kill(app: Flask, people: People) -> None:
    day = clock.today() + timedelta(days=1)
    with write_transaction() as session:
        session.add(CalendarDay(date=day, kind="suspended", scope="region", name="Typhoon", created_at=clock.now()))
    for number in range(40):
        add_dates(people, people.school_class(people.ada, people.section(people.ada, f"Section {number}")), 2)

    def listed() -> set[UUID]:
        expire_orm_state()
        return {line.occurrence_id for line in find_affected_classes(people.head, day, day)[0]}

    with killed_at_commit(2):
        cancel_listed_occurrences(people.head, day, day, listed())
    assert len(listed()) == 40 - CANCEL_BATCH
    with counted_transactions() as rows:
        assert cancel_listed_occurrences(people.head, day, day, listed()) == 40 - CANCEL_BATCH
    assert len(rows) == 2
    assert max(rows) <= CANCEL_BATCH * ROWS_OF_A_DATE
    assert not listed()


@ON_SQLITE
def test_registrants_of_a_large_class_are_written_in_batches_and_again_after_a_kill(
    app: Flask, people: People, jadeite: Section
) -> None:
    people.learners(jadeite, 2 * WRITE_BATCH + 10)
    add_dates(people, people.school_class(people.ada, jadeite), 2)
    with killed_at_commit(2):
        sync_registrant_rows(DOMAINS)
    assert count_rows(MeetingRegistrant) == WRITE_BATCH
    with counted_transactions() as rows:
        while sync_registrant_rows(DOMAINS):
            pass
    assert rows == [WRITE_BATCH, 10]
    assert count_rows(MeetingRegistrant) == 2 * WRITE_BATCH + 10


@ON_SQLITE
def test_old_attendance_is_deleted_in_batches_and_again_after_a_kill(
    app: Flask, people: People, jadeite: Section, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attendance_retention, "BATCH_SIZE", 20)
    learners = people.learners(jadeite, 10, since=date(2022, 6, 6))
    with write_transaction() as session:
        session.add_all(
            DailyAttendance(
                section_id=jadeite.id, learner_id=learner.id, day=date(2022, 9, day), mark="present", set_at=NOW
            )
            for learner in learners
            for day in range(1, 6)
        )
        session.execute(sa.update(Section).values(school_year="2022-2023"))
        session.execute(sa.update(School).values(attendance_retention_years=2))
    with killed_at_commit(4):  # the first marks the section, the second finds no other one
        attendance_retention.purge_expired_attendance()
    assert count_rows(DailyAttendance) == 30, "the section is marked, one batch is gone"
    assert count_rows(Learner) == 10
    with counted_transactions() as rows:
        attendance_retention.purge_expired_attendance()
    assert rows == [20, 10, 20], "the days, then the roster with its learners"
    assert count_rows(DailyAttendance) == count_rows(Learner) == 0


# All or nothing: computed outside, written at once


@ON_SQLITE
def test_an_import_and_its_undo_take_one_transaction_each(app: Flask, people: People, jadeite: Section) -> None:
    people.learners(jadeite, 200)
    before = roster()
    row = upload(people, jadeite, 600)
    holds: list[WriteHold] = []
    with observe_write_holds(holds.append), counted_transactions() as rows:
        confirm_roster_import(row, people.ada, {})
        undo_roster_import(row, people.ada)
    of_import = 200 + 400 + 400 + 2  # corrected, new, enrolled, the import and the audit log
    assert rows == [of_import, of_import]
    assert max(hold.cpu_seconds for hold in holds) < 0.3
    assert roster() == before


@ON_SQLITE
@pytest.mark.parametrize("count", [3, 300])
def test_the_statements_of_an_import_are_as_many_for_any_number_of_rows(
    app: Flask, people: People, jadeite: Section, count: int
) -> None:
    people.learners(jadeite, count)
    row = upload(people, jadeite, 2 * count)
    statements: list[str] = []

    def note(connection: Connection, _cursor: object, statement: str, *_rest: object) -> None:
        if connection.get_execution_options().get("writing") and not statement.startswith("PRAGMA"):
            statements.append(statement)

    sa.event.listen(db.engine, "before_cursor_execute", note)
    try:
        confirm_roster_import(row, people.ada, {})
    finally:
        sa.event.remove(db.engine, "before_cursor_execute", note)
    assert len(statements) == 9, "\n".join(statements)


def test_an_import_that_was_killed_has_changed_nothing_and_can_be_confirmed_again(
    app: Flask, people: People, jadeite: Section
) -> None:
    people.learners(jadeite, 3)
    before = roster()
    row = upload(people, jadeite, 6)
    with killed_at_commit(1):
        confirm_roster_import(row, people.ada, {})
    assert roster() == before
    row = db.session.scalars(sa.select(RosterImport)).one()
    assert (row.state, row.undo_journal) == (ImportState.PREVIEW, None)
    confirm_roster_import(row, people.ada, {})
    after = roster()
    assert [name for _lrn, name, *_ in after] == ["BEA"] * 6
    with killed_at_commit(1):
        undo_roster_import(row, people.ada)
    assert roster() == after
    undo_roster_import(db.session.get_one(RosterImport, row.id), people.ada)
    assert roster() == before


def test_who_is_enrolled_while_an_import_is_computed_is_asked_about(
    app: Flask, people: People, jadeite: Section
) -> None:
    """The changes are computed outside of the transaction, so it looks again."""
    ruby = people.section(people.ada, "Ruby")
    [newcomer] = people.learners(ruby, 1, start=50)
    people.learners(jadeite, 3)
    row = upload(people, jadeite, 6)
    moved = sa.update(Enrolment).where(Enrolment.learner_id == newcomer.id).values(section_id=jadeite.id)
    with changed_before_writing(lambda other: other.execute(moved)), pytest.raises(MissingLearnersUndecided) as asked:
        confirm_roster_import(row, people.ada, {})
    assert asked.value.learner_ids == {newcomer.id}
    assert {name for _lrn, name, *_ in roster()} == {"ANA"}


def test_a_name_corrected_while_an_import_is_computed_is_what_its_undo_restores(
    app: Flask, people: People, jadeite: Section
) -> None:
    ana = people.learners(jadeite, 3)[0]
    row = upload(people, jadeite, 3)
    renamed = sa.update(Learner).where(Learner.id == ana.id).values(first_name="ANNA")
    with changed_before_writing(lambda other: other.execute(renamed)):
        confirm_roster_import(row, people.ada, {})
    assert [name for _lrn, name, *_ in roster()] == ["BEA", "BEA", "BEA"]
    undo_roster_import(db.session.get_one(RosterImport, row.id), people.ada)
    assert [name for _lrn, name, *_ in roster()] == ["ANNA", "ANA", "ANA"]


def test_rows_corrected_while_an_import_is_computed_are_those_that_are_saved(
    app: Flask, people: People, jadeite: Section
) -> None:
    row = upload(people, jadeite, 2)
    corrected = json.loads(json.dumps(row.preview_rows).replace("BEA", "BETH"))
    change = sa.update(RosterImport).where(RosterImport.id == row.id).values(preview_rows=corrected)
    with changed_before_writing(lambda other: other.execute(change)):
        confirm_roster_import(row, people.ada, {})
    assert [name for _lrn, name, *_ in roster()] == ["BETH", "BETH"]


def test_a_learner_corrected_while_an_undo_is_computed_stops_it(app: Flask, people: People, jadeite: Section) -> None:
    ana = people.learners(jadeite, 3)[0]
    row = upload(people, jadeite, 3)
    confirm_roster_import(row, people.ada, {})
    renamed = sa.update(Learner).where(Learner.id == ana.id).values(first_name="ANNA")
    with changed_before_writing(lambda other: other.execute(renamed)), pytest.raises(ChangedSinceImport) as stopped:
        undo_roster_import(row, people.ada)
    assert stopped.value.names == ["LEARNERAAB,BEA, CRUZ"]
    assert [name for _lrn, name, *_ in roster()] == ["ANNA", "BEA", "BEA"]


def test_one_of_two_confirmations_is_refused(app: Flask, people: People, jadeite: Section) -> None:
    """A double click: the second one computed its changes while the first one saved."""
    row = upload(people, jadeite, 3)
    decided = sa.update(RosterImport).where(RosterImport.id == row.id).values(state=ImportState.DISCARDED)
    with changed_before_writing(lambda other: other.execute(decided)), pytest.raises(ValueError, match="decided"):
        confirm_roster_import(row, people.ada, {})
    assert not roster()
    assert "imported a roster" not in set(db.session.scalars(sa.select(AuditEntry.action)))
