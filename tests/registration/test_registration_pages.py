"""What teachers see of registration: progress, each person's state with the remedy, slips to print."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import event

from portal.classes.models import Learner
from portal.core import clock
from portal.core.db import db, write_transaction
from portal.meetings.models import ZoomMeeting
from portal.registration import desired_registrants
from portal.sandbox.simulation.simulated_zoom import SimulatedZoom
from tests.browser import Browser, words
from tests.people import DOMAINS, People, expire_orm_state, run_jobs, soon

LONG = {
    "last_name": "DELA CRUZ-VILLANUEVA Y MACAPAGAL",
    "first_name": "MARIA CONCEPCION IMMACULADA",
    "extension": "III",
}
pytestmark = pytest.mark.parametrize("portal", ["sqlite"], indirect=True)


def meeting_with(people: People, count: int) -> tuple[ZoomMeeting, list[Learner]]:
    """A meeting at Zoom, and that many learners who are new on the roster."""
    section = people.section(people.ada)
    meeting = people.create_registered_meeting(
        people.ada, people.school_class(people.ada, section), soon() + timedelta(hours=1)
    )
    return meeting, people.learners(section, count)


def test_while_it_registers_the_page_and_the_json_say_how_far_and_how_long(
    app: Flask, browser: Browser, people: People, world: SimulatedZoom
) -> None:
    meeting, _ = meeting_with(people, 48)
    desired_registrants.sync_registrant_rows(DOMAINS)
    people.sign_in(browser, people.ada)
    browser.get(f"/meetings/{meeting.id}")
    assert "48 are waiting for their turn at Zoom. A few seconds left." in browser.text
    browser.get(f"/meetings/{meeting.id}/registration.json")
    assert browser.response
    seen = browser.response.get_json()
    assert (seen["total"], seen["done"], seen["waiting"], seen["failed"]) == (48, 0, 48, 0)
    assert 0 < seen["seconds_left"] <= 10
    run_jobs(app)
    browser.get(f"/meetings/{meeting.id}/registration.json")
    seen = browser.response.get_json()
    assert (seen["done"], seen["waiting"], seen["seconds_left"]) == (48, 0, None)


def test_who_waits_until_tomorrow_is_said_and_the_page_does_not_keep_asking(
    app: Flask, browser: Browser, people: People, world: SimulatedZoom, faults: Any
) -> None:
    meeting, _ = meeting_with(people, 3)
    tomorrow = (clock.now() + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    headers = {"X-RateLimit-Type": "Daily-limit", "X-RateLimit-Limit": "30000", "Retry-After": tomorrow.isoformat()}
    faults.refuse("POST", "batch_registrants", 429, 429, "daily", headers=headers)
    run_jobs(app)
    people.sign_in(browser, people.ada)
    page = browser.get(f"/meetings/{meeting.id}")
    assert "3 wait until" in browser.text and "8:00 AM" in browser.text
    assert not page.select("#registration[hx-get]")


def test_everybody_is_listed_with_the_state_the_link_and_the_remedy(
    app: Flask, browser: Browser, people: People, world: SimulatedZoom
) -> None:
    meeting, learners = meeting_with(people, 4)
    with write_transaction():
        db.session.get_one(Learner, learners[1].id).email = "child@gmail.com"
        for twin in learners[2:]:
            db.session.get_one(Learner, twin.id).email = "cruz.family@r1.deped.gov.ph"
    run_jobs(app)
    people.sign_in(browser, people.ada)
    page = browser.get(f"/meetings/{meeting.id}")
    assert "child@gmail.com is outside the school. Only @r1.deped.gov.ph email addresses can join" in browser.text
    assert "Shares an address with another learner." in browser.text
    assert "tk=" not in str(page), "learners are given the portal's links, not Zoom's"
    for _ in range(2):
        browser.submit("form[action$=lrn-address]")
        run_jobs(app)
        browser.get(f"/meetings/{meeting.id}")
    assert "needs your help" not in browser.text and "Everybody on the roster has a personal link." in browser.text


def test_the_retry_button_gives_those_who_failed_another_try(
    app: Flask, browser: Browser, people: People, world: SimulatedZoom, faults: Any
) -> None:
    meeting, _ = meeting_with(people, 3)
    for _ in range(4):
        faults.refuse("POST", "registrants", 400, 300, "Validation Failed.")
    run_jobs(app)
    people.sign_in(browser, people.ada)
    browser.get(f"/meetings/{meeting.id}")
    assert "3 need your help" in browser.text
    browser.submit("form[action$=retry]")
    assert "3 people get another try." in browser.text
    run_jobs(app)
    browser.get(f"/meetings/{meeting.id}")
    assert "Everybody on the roster has a personal link." in browser.text


def test_slips_of_48_learners_with_long_names_are_printed_in_the_order_of_the_register(
    app: Flask, browser: Browser, people: People, world: SimulatedZoom
) -> None:
    meeting, learners = meeting_with(people, 48)
    with write_transaction():
        for learner in learners[::5]:
            for name, value in LONG.items():
                setattr(db.session.get_one(Learner, learner.id), name, value)
    run_jobs(app)
    people.sign_in(browser, people.ada)
    browser.get(f"/meetings/{meeting.id}/links", follow=True)
    statements = 0

    def count(*_: object) -> None:
        nonlocal statements
        statements += 1

    event.listen(db.engine, "before_cursor_execute", count)
    page = browser.get(browser.url)
    event.remove(db.engine, "before_cursor_execute", count)
    names = [" ".join(name.text.split()) for name in page.select(".slips .who-name")]
    assert len(names) == 48
    assert names[0] == "DELA CRUZ-VILLANUEVA Y MACAPAGAL, MARIA CONCEPCION IMMACULADA III, CRUZ"
    assert names[1] == "LEARNER002, ANA, CRUZ"
    assert len({words(link) for link in page.select(".slips .url")}) == 48
    assert statements <= 15, "session and audit among them"


def test_another_teacher_gets_neither_slips_nor_progress(
    app: Flask, browser: Browser, people: People, world: SimulatedZoom
) -> None:
    meeting, _ = meeting_with(people, 2)
    run_jobs(app)
    people.sign_in(browser, people.bob)
    for path in ("links", "registration", "registration.json"):
        browser.get(f"/meetings/{meeting.id}/{path}", status=404)


def test_a_sweep_of_what_is_over_leaves_nothing_to_be_looked_at_again(
    app: Flask, people: People, world: SimulatedZoom, faults: Any
) -> None:
    meeting, _ = meeting_with(people, 2)
    faults.add("POST", "batch_registrants", "reset_before")
    run_jobs(app)
    with write_transaction():
        db.session.get_one(ZoomMeeting, meeting.id).state = "ended"
    expire_orm_state()
    with time_machine.travel(clock.now() + timedelta(days=1)):
        assert desired_registrants.sync_registrant_rows(DOMAINS) == 2
        assert desired_registrants.sync_registrant_rows(DOMAINS) == 0
