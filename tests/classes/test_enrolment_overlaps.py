"""A learner is on one roster a day, whatever is imported, moved or dated back, and in whatever order."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from uuid import UUID, uuid4

import pytest
import time_machine
from flask import Flask
from flask_migrate import downgrade, upgrade
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Date, Integer, Uuid, column, insert, select, table, text
from sqlalchemy.exc import IntegrityError

from portal.classes.learners.enrolments import EndsBeforeStart, EnrolmentChanges, EnrolmentOverlap
from portal.classes.models import Enrolment, Learner, Section
from portal.core import clock
from portal.core.db import db, write_transaction
from tests.browser import Browser
from tests.examples import count_examples
from tests.people import People, expire_orm_state
from tests.state_guard import without_state_guards

TODAY = date(2026, 11, 24)
HEADER = "LRN\tLastName\tFirstName\tMiddleName\tExtension\tSex\tRemarks\n"
ANA = "300123200001\tLEARNEROOA\tANA\tCRUZ\t\tM\t"
pytestmark = pytest.mark.usefixtures("names_in_letters")


@pytest.fixture(autouse=True)
def tuesday() -> Iterator[None]:
    with time_machine.travel(datetime(2026, 11, 24, 9, tzinfo=clock.MANILA), tick=False):
        yield


def bring_in(browser: Browser, section: Section, rows: str) -> None:
    browser.get(f"/classes/sections/{section.id}/import")
    browser.submit(button="Read the file", pasted=HEADER + rows)
    browser.submit("form[action$='/confirm']")


def times(learner: Learner) -> list[tuple[str, date, date | None]]:
    expire_orm_state()
    rows = db.session.execute(
        select(Section.name, Enrolment.from_date, Enrolment.until_date)
        .join(Section, Section.id == Enrolment.section_id)
        .where(Enrolment.learner_id == learner.id)
        .order_by(Enrolment.from_date)
    )
    return [tuple(row) for row in rows]  # type: ignore[misc]


def test_a_learner_who_moves_on_the_day_she_joined_was_never_in_the_first_section(
    browser: Browser, people: People
) -> None:
    jadeite, ruby = people.section(people.ada), people.section(people.ada, "Ruby")
    [ana] = people.learners(jadeite, 1, since=TODAY)
    bring_in(people.sign_in(browser, people.ada), ruby, ANA)
    assert times(ana) == [("Ruby", TODAY, None)]


@pytest.mark.parametrize("remark", ["T/I DATE:2026-09-01", "LE DATE:2026-06-01"])
def test_a_remark_with_an_earlier_date_takes_no_day_from_the_other_roster(
    browser: Browser, people: People, remark: str
) -> None:
    jadeite, ruby = people.section(people.ada), people.section(people.ada, "Ruby")
    [ana] = people.learners(jadeite, 1)
    bring_in(people.sign_in(browser, people.ada), ruby, ANA + remark)
    assert times(ana) == [("Jadeite", date(2026, 6, 8), TODAY - timedelta(days=1)), ("Ruby", TODAY, None)]


def test_one_who_comes_back_counts_from_the_day_after_she_left_at_the_earliest(
    browser: Browser, people: People
) -> None:
    jadeite, ruby = people.section(people.ada), people.section(people.ada, "Ruby")
    [ana] = people.learners(jadeite, 1)
    with write_transaction():
        rolls = EnrolmentChanges([ana.id])
        rolls.withdraw(rolls.enrolments_of(ana.id)[0], last_day=date(2026, 9, 30), reason="T/O")
        rolls.save()
    bring_in(people.sign_in(browser, people.ada), ruby, ANA + "T/I DATE:2026-09-15")
    assert times(ana) == [
        ("Jadeite", date(2026, 6, 8), date(2026, 9, 30)),
        ("Ruby", date(2026, 10, 1), None),
    ]


def test_two_of_one_name_without_lrn_stay_two(browser: Browser, people: People) -> None:
    jadeite = people.section(people.ada)
    people.sign_in(browser, people.ada)
    bring_in(browser, jadeite, "\tABAD\tANA\tCRUZ\t\tF\tPending TI\n")
    bring_in(browser, jadeite, "\tABAD\tANA\tCRUZ\t\tF\tPending TI\n\tABAD\tANA\tCRUZ\t\tF\tPending TI\n")
    expire_orm_state()
    assert len(db.session.scalars(select(Enrolment)).all()) == 2


@pytest.mark.parametrize(
    ("since", "until"),
    [(date(2026, 11, 1), None), (date(2026, 6, 8), date(2026, 6, 8)), (date(2026, 6, 1), date(2026, 6, 8))],
)
def test_the_database_refuses_a_second_roster_on_one_day(people: People, since: date, until: date | None) -> None:
    jadeite, ruby = people.section(people.ada), people.section(people.ada, "Ruby")
    [ana] = people.learners(jadeite, 1)
    second = Enrolment(section_id=ruby.id, learner_id=ana.id, position=1, from_date=since, until_date=until)
    with pytest.raises(IntegrityError), write_transaction() as session:
        session.add(second)


def test_the_database_refuses_to_lengthen_a_time_into_the_next(people: People) -> None:
    jadeite, ruby = people.section(people.ada), people.section(people.ada, "Ruby")
    [ana] = people.learners(jadeite, 1)
    with write_transaction():
        rolls = EnrolmentChanges([ana.id])
        rolls.move(rolls.enrolments_of(ana.id)[0], ruby.id, position=1, since=TODAY)
        rolls.save()
    with pytest.raises(IntegrityError), write_transaction() as session:
        session.scalars(select(Enrolment).where(Enrolment.section_id == jadeite.id)).one().until_date = TODAY


def test_overlaps_of_earlier_versions_are_parted_and_the_roster_of_today_stays(app: Flask, people: People) -> None:
    jadeite, ruby = people.section(people.ada), people.section(people.ada, "Ruby")
    learners = people.learners(jadeite, 3, since=TODAY)
    made = [
        [(jadeite, "2026-06-08", "2026-11-23"), (ruby, "2026-06-01", None)],
        [(jadeite, "2026-11-24", "2026-11-24"), (ruby, "2026-11-24", None)],
        [(jadeite, "2026-06-08", None), (ruby, "2026-06-08", "2026-07-31"), (ruby, "2026-09-01", None)],
    ]
    enrolments = table(
        "enrolments",
        column("id", Uuid()),
        column("learner_id", Uuid()),
        column("section_id", Uuid()),
        column("position", Integer()),
        column("from_date", Date()),
        column("until_date", Date()),
    )
    rows = [
        {
            "id": uuid4(),
            "learner_id": learner.id,
            "section_id": section.id,
            "position": 1,
            "from_date": date.fromisoformat(since),
            "until_date": date.fromisoformat(until) if until else None,
        }
        for learner, stretches in zip(learners, made, strict=True)
        for section, since, until in stretches
    ]
    with write_transaction() as session:
        session.execute(text("DELETE FROM enrolments"))
    db.session.remove()
    with without_state_guards(db.engine):
        downgrade(revision="0006")
        try:
            with db.engine.begin() as connection:
                connection.execute(insert(enrolments), rows)
        finally:
            upgrade(x_arg=["accept"])
    assert times(learners[0]) == [("Jadeite", date(2026, 6, 8), date(2026, 11, 23)), ("Ruby", TODAY, None)]
    assert times(learners[1]) == [
        ("Jadeite", TODAY, TODAY),
        ("Ruby", TODAY + timedelta(days=1), None),
    ]
    assert times(learners[2]) == [
        ("Ruby", date(2026, 6, 8), date(2026, 7, 31)),
        ("Jadeite", date(2026, 8, 1), date(2026, 8, 31)),
        ("Ruby", date(2026, 9, 1), None),
    ]


days = st.integers(0, 20).map(lambda number: date(2026, 11, 1) + timedelta(days=number))
WINDOW = [date(2026, 11, 1) + timedelta(days=number) for number in range(-1, 25)]
steps = st.lists(
    st.tuples(st.sampled_from(["enrol", "move", "withdraw"]), st.integers(0, 2), st.integers(0, 5), days),
    min_size=1,
    max_size=10,
)


@settings(max_examples=count_examples(40), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps)
def test_any_order_of_changes_leaves_a_learner_on_one_roster_a_day(
    people: People, changes: list[tuple[str, int, int, date]]
) -> None:
    """Beside a model that only knows: on which day in which section."""
    sections = _three_sections(people)
    [ana] = _learner(people)
    model: dict[date, UUID] = {}
    for what, which, section, day in changes:
        section_id = sections[section % 3]
        with write_transaction():
            rolls = EnrolmentChanges([ana])
            rows = rolls.enrolments_of(ana)
            if what != "enrol" and not rows:
                continue
            row = rows[which % len(rows)] if what != "enrol" else None
            wanted = _after(model, what, row, section_id, day)
            try:
                if row is None:
                    rolls.enrol(ana, section_id, position=1, since=day)
                elif what == "move":
                    rolls.move(row, section_id, position=1, since=day)
                else:
                    rolls.withdraw(row, last_day=day, reason="test")
            except (EnrolmentOverlap, EndsBeforeStart):
                assert wanted is None, "refused what was possible"
                db.session.rollback()
                continue
            rolls.save()
        assert wanted is not None, "allowed what was impossible"
        model = wanted
        assert _days_of(ana) == model


def _after(
    model: dict[date, UUID], what: str, row: Enrolment | None, section_id: UUID, day: date
) -> dict[date, UUID] | None:
    """What the days are after a change; None where it must be refused."""
    since, last = (row.from_date, row.until_date or date.max) if row else (date.max, date.max)
    rest = {one: at for one, at in model.items() if not since <= one <= last}
    if what == "withdraw":
        stays = {one: model[since] for one in WINDOW if since <= one <= day}
        return None if day < since or set(rest) & set(stays) else rest | stays
    before = {one: at for one, at in model.items() if since <= one < day and one <= last}
    left_a_gap = row is not None and since < day and last < day - timedelta(days=1)
    if left_a_gap or any(one >= day for one in rest):
        return None
    return rest | before | {one: section_id for one in WINDOW if one >= day}


def _three_sections(people: People) -> list[UUID]:
    found = list(db.session.scalars(select(Section.id).order_by(Section.name)))
    return found or [people.section(people.ada, name).id for name in ("Amber", "Beryl", "Coral")]


def _learner(people: People) -> list[UUID]:
    with write_transaction() as session:
        learner = Learner(
            school_id=people.school.id, lrn=None, lis_name="ABAD,ANA, -", last_name="ABAD", first_name="ANA",
            sex="F", created_at=clock.now(),
        )  # fmt: skip
        session.add(learner)
    return [learner.id]


def _days_of(learner_id: UUID) -> dict[date, UUID]:
    expire_orm_state()
    found: dict[date, UUID] = {}
    for row in db.session.scalars(select(Enrolment).where(Enrolment.learner_id == learner_id)):
        for day in WINDOW:
            if row.from_date <= day <= (row.until_date or date.max):
                assert day not in found, "two rosters on one day"
                found[day] = row.section_id
    return found
