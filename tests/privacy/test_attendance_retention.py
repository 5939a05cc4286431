"""How long a school keeps attendance: it says for how many years, then what names learners goes and totals stay."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
import time_machine
from flask import Flask
from sqlalchemy import func, select

from portal.attendance.models import AttendanceRecord, AttendanceSheet, ZoomParticipant
from portal.attendance.sheet.compute import recompute_sheet
from portal.classes.models import Learner, SchoolClass, Section
from portal.core import clock
from portal.core.audit_log import AuditEntry
from portal.core.db import Base, db, write_transaction
from portal.jobs.retention import delete_expired_rows
from portal.meetings.models import MeetingOccurrence, ZoomInstance
from portal.privacy import attendance_retention
from portal.sandbox.simulation.simulated_zoom import SimulatedZoom
from portal.sandbox.webhook_sender import WebhookSender
from tests.browser import Browser
from tests.people import People, expire_orm_state, run_jobs

PAGE = "How long attendance is kept"
REPORT = "/reports?from=2026-11-01&to=2026-11-30"


@pytest.fixture(autouse=True)
def moving() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(datetime(2026, 11, 24, 9, tzinfo=clock.MANILA), tick=False) as traveller:
        yield traveller


def at(traveller: time_machine.Traveller, year: int, month: int, day: int) -> None:
    traveller.move_to(datetime(year, month, day, 9, tzinfo=clock.MANILA))


@pytest.fixture
def held(app: Flask, people: People, world: SimulatedZoom, sender: WebhookSender) -> tuple[Section, SchoolClass, UUID]:
    """A class of November 2026: two came, one did not; Ada signed the sheet."""
    section = people.section(people.ada)
    people.learners(section, 3)
    school_class = people.school_class(people.ada, section)
    begins = datetime(2026, 11, 24, 9, 30, tzinfo=clock.MANILA)
    meeting = people.create_registered_meeting(people.ada, school_class, begins)
    assert meeting.zoom_id
    world.start(meeting.zoom_id, begins)
    for registrant in world.active_registrants(meeting.zoom_id)[:2]:
        stay = world.join(meeting.zoom_id, registrant_id=registrant.id, at=begins)
        world.leave(stay, begins + timedelta(minutes=50))
    world.end(meeting.zoom_id, begins + timedelta(minutes=60))
    with time_machine.travel(begins + timedelta(hours=2), tick=False):
        sender.pump()
        run_jobs(app)
        occurrence = db.session.scalars(select(MeetingOccurrence.id)).one()
        recompute_sheet(occurrence)
    expire_orm_state()
    return section, school_class, occurrence


AUTHORITY = "Records officer of the division, No. 12"


def choose(browser: Browser, people: People, years: str, authority: str = AUTHORITY, status: int = 200) -> None:
    browser.get(f"/admin/schools/{people.school.id}")
    browser.click(PAGE)
    browser.submit(years=years, authority=authority, status=status)


def numbers(browser: Browser) -> list[str]:
    browser.get(REPORT)
    return [cell.get_text(" ", strip=True) for cell in browser.page.select("main td, main dd, main .tally b")]


def tables_that_name(learner_ids: list[UUID]) -> set[str]:
    """The tables in which some row is about one of these learners."""
    found = set()
    for table in Base.metadata.sorted_tables:
        for column in table.columns:
            points = any(key.column.table.name == "learners" for key in column.foreign_keys)
            if points and db.session.execute(select(table).where(column.in_(learner_ids)).limit(1)).first():
                found.add(table.name)
    return found


def test_until_the_school_decides_nothing_goes(held: Any, app: Flask, moving: time_machine.Traveller) -> None:
    at(moving, 2040, 6, 2)
    delete_expired_rows()
    assert db.session.scalar(select(func.count()).select_from(AttendanceRecord)) == 3
    assert not [line for line in delete_expired_rows(dry_run=True) if "attendance" in line]


def test_the_school_head_decides_and_who_allows_it_is_written_down(held: Any, browser: Browser, people: People) -> None:
    people.sign_in(browser, people.head)
    choose(browser, people, "2", authority="", status=422)
    assert "Write who allows" in browser.text
    assert browser.page.select_one("select[name=years] option[selected]")["value"] == "2"  # type: ignore[index]
    browser.submit(years="2", authority=AUTHORITY)
    assert "kept for 2 school years after its own" in browser.text
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.subject_type == "school")).one()
    assert (entry.user_id, entry.details["years"], entry.details["before"]) == (people.head.id, 2, None)
    assert entry.details["authority"] == AUTHORITY


def test_on_the_first_day_after_its_years_what_names_learners_goes_and_the_totals_stay(
    app: Flask,
    held: tuple[Section, SchoolClass, UUID],
    browser: Browser,
    people: People,
    moving: time_machine.Traveller,
) -> None:
    section, _, occurrence = held
    learners = list(db.session.scalars(select(Learner.id).order_by(Learner.lrn)))
    assert {"attendance_records", "enrolments", "meeting_registrants"} <= tables_that_name(learners)
    people.sign_in(browser, people.head)
    before = numbers(browser)
    assert any("2" in one for one in before)
    choose(browser, people, "2")
    at(moving, 2029, 5, 31)
    assert not [line for line in delete_expired_rows() if "attendance" in line]
    at(moving, 2029, 6, 1)
    told = delete_expired_rows(dry_run=True)
    line = f"rows of attendance of {people.school.name}, 2026-2027,"
    assert told[line] > 10
    assert db.session.scalar(select(func.count()).select_from(AttendanceRecord)) == 3, "a dry run changes nothing"
    assert delete_expired_rows()[line] == told[line]
    expire_orm_state()
    assert tables_that_name(learners) == set()
    assert db.session.scalar(select(func.count()).select_from(Learner)) == 0
    assert db.session.scalar(select(func.count()).select_from(ZoomParticipant)) == 0
    assert line not in delete_expired_rows()
    people.sign_in(browser, people.head)
    now = numbers(browser)
    assert [(was, one) for was, one in zip(before, now, strict=True) if was != one] == [("3", "–")] * 2
    for path in (
        f"/attendance/{occurrence}",
        f"/attendance/{occurrence}.csv",
        f"/reports/occurrences/{occurrence}",
        f"/reports/sections/{section.id}/sf2/2026-11",
    ):
        browser.get(path, status=410)
        assert "not kept any more" in browser.text
    browser.get(f"/classes/sections/{section.id}")
    assert "Deleted on" in browser.text and "LEARNER001" not in browser.text
    gone = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "deleted_attendance")).one()
    assert gone.subject_id == str(section.id) and gone.user_id is None


def test_who_goes_to_school_here_still_keeps_her_name_and_her_later_years(
    app: Flask, held: tuple[Section, SchoolClass, UUID], people: People, moving: time_machine.Traveller
) -> None:
    stays_on, *others = db.session.scalars(select(Learner).order_by(Learner.lrn)).all()
    gone = [one.id for one in others]
    at(moving, 2028, 6, 5)
    later = people.section(people.ada, "Emerald", "Grade 10")
    with write_transaction() as session:
        session.execute(sa.update(Section.__table__).where(Section.id == later.id).values(school_year="2028-2029"))
        session.execute(
            sa.text("UPDATE enrolments SET until_date = '2027-05-31' WHERE learner_id = :her"),
            {"her": stays_on.id.hex if app.config["SQLALCHEMY_DATABASE_URI"].startswith("sqlite") else stays_on.id},
        )
        session.execute(
            sa.insert(Base.metadata.tables["enrolments"]).values(
                id=later.id, section_id=later.id, learner_id=stays_on.id, position=1, from_date=clock.today()
            )
        )
        session.execute(sa.update(Base.metadata.tables["schools"]).values(attendance_retention_years=2))
    at(moving, 2029, 6, 1)
    delete_expired_rows()
    expire_orm_state()
    assert tables_that_name(gone) == set()
    assert [one.id for one in db.session.scalars(select(Learner))] == [stays_on.id]
    assert tables_that_name([stays_on.id]) == {"enrolments"}


def test_what_would_go_at_once_is_shown_before_it_is_so(
    held: Any, browser: Browser, people: People, moving: time_machine.Traveller
) -> None:
    at(moving, 2031, 6, 2)
    people.sign_in(browser, people.head)
    choose(browser, people, "3")
    assert "SY 2026-2027 : 1 section, 1 sheet" in browser.text.replace("2027:", "2027 :")
    expire_orm_state()
    assert db.session.scalar(select(Base.metadata.tables["schools"].c.attendance_retention_years)) is None
    browser.submit(years="2")
    expire_orm_state()
    assert db.session.scalar(select(Base.metadata.tables["schools"].c.attendance_retention_years)) is None, (
        "of two it was not shown"
    )
    browser.submit(years="3")
    assert "This deletes what is there now" in browser.text
    browser.submit()
    expire_orm_state()
    assert db.session.scalar(select(Base.metadata.tables["schools"].c.attendance_retention_years)) == 3


def test_a_year_is_being_deleted_from_the_first_hour_of_its_day(
    held: Any, browser: Browser, people: People, moving: time_machine.Traveller
) -> None:
    """At 7:30 in Manila it is still the day before in UTC."""
    people.sign_in(browser, people.head)
    choose(browser, people, "2")
    for day, said in ((datetime(2029, 5, 31, 7, 30), "is deleted on"), (datetime(2029, 6, 1, 7, 30), "being deleted")):
        moving.move_to(day.replace(tzinfo=clock.MANILA))
        people.sign_in(browser, people.head)
        browser.get(f"/admin/schools/{people.school.id}/keeping")
        assert said in browser.text


def test_evidence_that_comes_after_makes_no_marks_and_does_not_stay(
    app: Flask, held: tuple[Section, SchoolClass, UUID], people: People, moving: time_machine.Traveller
) -> None:
    _, _, occurrence = held
    with write_transaction() as session:
        session.execute(sa.update(Base.metadata.tables["schools"]).values(attendance_retention_years=2))
    at(moving, 2029, 6, 1)
    delete_expired_rows()
    expire_orm_state()
    with write_transaction() as session:
        run = session.scalars(select(ZoomInstance)).one()
        session.add(ZoomParticipant(instance_id=run.id, session="9", name="Ana Cruz", joined_at=clock.now()))
        sheet = session.get_one(AttendanceSheet, occurrence)
        sheet.needs_recompute = True
    run_jobs(app)
    assert db.session.get_one(AttendanceSheet, occurrence).needs_recompute is False
    assert db.session.scalar(select(func.count()).select_from(AttendanceRecord)) == 0
    tally = Base.metadata.tables["attendance_tallies"]
    assert db.session.execute(
        select(tally.c.present, tally.c.absent + tally.c.needs_review + tally.c.pending)
    ).one() == (
        2,
        1,
    )
    delete_expired_rows()
    assert db.session.scalar(select(func.count()).select_from(ZoomParticipant)) == 0


def test_killed_in_the_middle_it_goes_on_the_next_time(
    app: Flask, held: tuple[Section, SchoolClass, UUID], people: People, moving: time_machine.Traveller
) -> None:
    at(moving, 2029, 6, 1)
    with write_transaction() as session:  # as a purge leaves it that was killed right after it marked the section
        session.execute(sa.update(Base.metadata.tables["schools"]).values(attendance_retention_years=2))
        session.execute(sa.update(Section.__table__).values(attendance_deleted_at=clock.now()))
    at(moving, 2030, 1, 10)
    delete_expired_rows()
    expire_orm_state()
    assert db.session.scalar(select(func.count()).select_from(AttendanceRecord)) == 0
    assert db.session.scalar(select(func.count()).select_from(Learner)) == 0


def test_a_class_that_never_ended_is_not_looked_at_for_ever(
    app: Flask, held: tuple[Section, SchoolClass, UUID], people: People, moving: time_machine.Traveller
) -> None:
    _, _, occurrence = held
    with write_transaction() as session:
        session.execute(sa.update(Base.metadata.tables["schools"]).values(attendance_retention_years=2))
        session.get_one(AttendanceSheet, occurrence).state = "live"
    at(moving, 2029, 6, 1)
    delete_expired_rows()
    run_jobs(app)  # raises where the sweeps do not come to rest
    assert db.session.get_one(AttendanceSheet, occurrence).needs_recompute is False


def test_the_sections_of_a_whole_division_are_marked_in_small_steps(
    app: Flask, held: tuple[Section, SchoolClass, UUID], people: People, moving: time_machine.Traveller
) -> None:
    sections = Base.metadata.tables["sections"]
    one = db.session.execute(select(sections)).mappings().one()
    with write_transaction() as session:
        rows = [
            {**one, "id": uuid4(), "name": f"Jade {number}"}
            for number in range(attendance_retention.SECTIONS_PER_BATCH)
        ]
        session.execute(sa.insert(sections), rows)
        session.execute(sa.update(Base.metadata.tables["schools"]).values(attendance_retention_years=2))
    at(moving, 2029, 6, 1)
    delete_expired_rows()
    expire_orm_state()
    marked = select(func.count()).select_from(sections).where(sections.c.attendance_deleted_at.is_not(None))
    told = select(func.count()).select_from(AuditEntry).where(AuditEntry.action == "deleted_attendance")
    assert db.session.scalar(marked) == db.session.scalar(told) == attendance_retention.SECTIONS_PER_BATCH + 1
    assert db.session.scalar(select(func.count()).select_from(Learner)) == 0


@pytest.mark.parametrize("portal", ["sqlite"], indirect=True)
def test_nobody_keeps_attendance_shorter_than_two_years(browser: Browser, people: People) -> None:
    people.sign_in(browser, people.head)
    browser.get(f"/admin/schools/{people.school.id}/keeping")
    browser.post(browser.url, {"years": "1", "authority": "me"}, status=422)
    expire_orm_state()
    assert db.session.scalar(select(Base.metadata.tables["schools"].c.attendance_retention_years)) is None
