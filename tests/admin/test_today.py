"""The admin's first page: what is on today and what needs somebody, in the scope, each one tap away."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import event, insert, select, update

from portal.accounts import service as accounts
from portal.accounts.models import User
from portal.attendance.models import AttendanceSheet
from portal.core import clock
from portal.core.db import db, write_transaction
from portal.meetings.models import MeetingOccurrence, ZoomMeeting
from portal.registration.models import MeetingRegistrant
from portal.sandbox.simulation.simulated_zoom import SimulatedZoom
from tests.browser import Browser, words
from tests.people import People, run_jobs

NOW = datetime(2026, 11, 24, 10, tzinfo=clock.MANILA)


@pytest.fixture(autouse=True)
def tuesday_at_ten() -> Iterator[None]:
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def chief(people: People) -> User:
    return people.person("chief", "Corazon Chua", None, role="admin", scope="region")


@pytest.fixture
def day(app: Flask, people: People, world: SimulatedZoom) -> ZoomMeeting:
    """Ada's day: one class live, one to come with a failed registration, one in trouble; a sheet of yesterday
    with two people to match, one of last week to finalise."""
    section = people.section(people.ada)
    people.learners(section, 2)
    biology = people.school_class(people.ada, section)
    starts = (NOW, NOW + timedelta(hours=2), NOW + timedelta(hours=4), NOW - timedelta(days=1), NOW - timedelta(days=6))
    live, coming, troubled, yesterday, last_week = (people.meeting(people.ada, biology, start) for start in starts)
    run_jobs(app)
    with write_transaction() as session:
        _set(live, state="started")
        _set(yesterday, state="ended")
        _set(last_week, state="ended")
        session.execute(
            update(ZoomMeeting)
            .where(ZoomMeeting.id == troubled.id)
            .values(error_code="unavailable", pending_action="update")
        )
        one = session.scalars(
            select(MeetingRegistrant.id).where(MeetingRegistrant.meeting_id == coming.id).limit(1)
        ).one()
        session.execute(update(MeetingRegistrant).where(MeetingRegistrant.id == one).values(state="failed"))
        for meeting, state, unmatched in ((yesterday, "provisional", 2), (last_week, "reconciled", 0)):
            occurrence = session.scalars(
                select(MeetingOccurrence.id).where(MeetingOccurrence.meeting_id == meeting.id)
            ).one()
            session.execute(
                update(AttendanceSheet)
                .where(AttendanceSheet.occurrence_id == occurrence)
                .values(state=state, unmatched_count=unmatched, needs_recompute=False, reconcile_at=None)
            )
            if not session.get(AttendanceSheet, occurrence):
                session.execute(
                    insert(AttendanceSheet).values(
                        occurrence_id=occurrence,
                        state=state,
                        unmatched_count=unmatched,
                        needs_recompute=False,
                        counts_in_reports=True,
                        is_notified=True,
                        has_delivery_gap=False,
                        reconcile_attempts=0,
                        evidence_changed=False,
                    )
                )
    return coming


def _set(meeting: ZoomMeeting, **values: Any) -> None:
    db.session.execute(update(MeetingOccurrence).where(MeetingOccurrence.meeting_id == meeting.id).values(**values))


def figures(browser: Browser) -> dict[str, str]:
    """Each figure of the page by the end of the address it leads to."""
    browser.get("/admin")
    links = browser.page.select("main a[href*='/admin/today?']")
    return {str(link["href"]).rpartition("=")[2]: words(link).split()[0] for link in links}


@pytest.mark.parametrize("who", ["head", "chief"])
def test_each_figure_leads_to_what_it_counts(
    browser: Browser, people: People, day: ZoomMeeting, chief: User, who: str
) -> None:
    people.sign_in(browser, people.head if who == "head" else chief)
    assert figures(browser) == {
        "live": "1",
        "late": "0",
        "coming": "2",
        "over": "0",
        "zoom": "1",
        "registration": "1",
        "match": "2",
        "unsigned": "1",
    }
    for kind, says in {
        "live": "10:00 AM",
        "coming": "12:00 PM",
        "over": "No class is over yet today",
        "zoom": "Zoom is not answering.",
        "registration": "1 failed",
        "match": "2 people",
        "unsigned": "Wed 18 Nov",
    }.items():
        browser.get(f"/admin/today?show={kind}")
        assert says in browser.text, kind
        assert "LEARNER" not in browser.text
        for link in browser.page.select("main .ruled a"):
            assert ("/attendance/" in str(link["href"])) == (
                who == "head" and kind in ("live", "over", "unsigned", "match")
            )
            browser.client.get(str(link["href"]))
    browser.get("/admin/today?show=nonsense", status=404)


def test_a_class_that_is_not_begun_in_time_is_seen(browser: Browser, people: People, day: ZoomMeeting) -> None:
    with time_machine.travel(NOW + timedelta(hours=2, minutes=5), tick=False):
        people.sign_in(browser, people.head)
        shown = figures(browser)
        assert (shown["late"], shown["coming"]) == ("1", "1")
        browser.get("/admin/today?show=late")
        assert "12:00 PM" in browser.text and "Ada Lovelace" in browser.text


def test_another_school_has_its_own_figures(browser: Browser, people: People, day: ZoomMeeting) -> None:
    elsewhere = accounts.get_or_create_school("300999", "Elsewhere High School", "La Union")
    people.sign_in(browser, people.person("else", "Elsa Cruz", elsewhere, role="admin", scope="school"))
    assert figures(browser) == {"live": "0", "late": "0", "coming": "0", "over": "0"}
    assert "waits for anybody" in browser.text
    for kind in ("live", "coming", "zoom", "registration", "match", "unsigned"):
        browser.get(f"/admin/today?show={kind}")
        assert not browser.page.select("main .ruled")


@pytest.mark.parametrize("scope", ["school", "division", "region"])
def test_it_asks_the_database_at_most_ten_times_whatever_the_scope(
    browser: Browser, people: People, day: ZoomMeeting, scope: str
) -> None:
    person = people.person("boss", "Bella Ong", people.school, role="admin", scope=scope)
    people.sign_in(browser, person)
    statements: list[str] = []
    event.listen(db.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    for path in ("/admin", "/admin/today?show=registration", "/admin/today?show=zoom", "/admin/today?show=match", "/"):
        statements.clear()
        browser.get(path, follow=True)
        asked = [text for text in statements if text.startswith("SELECT") and "user_sessions" not in text]
        assert len(asked) <= 10, (path, asked)


def test_what_waits_too_long_is_said_in_a_line(browser: Browser, people: People, day: ZoomMeeting) -> None:
    with write_transaction() as session:
        session.execute(update(AttendanceSheet).values(reconcile_at=NOW - timedelta(hours=1)))
    people.sign_in(browser, people.head)
    browser.get("/admin")
    assert "wait for Zoom's report for more than half an hour" in browser.text and "All is well." not in browser.text
