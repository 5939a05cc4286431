"""The calendar on the page, and in the calendars that subscribe to it."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from icalendar import Calendar
from sqlalchemy import select

from portal.classes.models import SchoolClass
from portal.core import clock
from portal.core.db import db
from portal.meetings.models import ZoomMeeting
from portal.registration.join_links import JoinLink
from portal.sandbox.simulation.simulated_zoom import SimulatedZoom
from tests.browser import Browser
from tests.people import People, run_jobs

NOW = datetime(2026, 11, 24, 7, tzinfo=clock.MANILA)
pytestmark = pytest.mark.usefixtures("world")


@pytest.fixture
def tuesday() -> Iterator[Any]:
    with time_machine.travel(NOW, tick=False) as found:
        yield found


@pytest.fixture
def biology(tuesday: Any, people: People) -> SchoolClass:
    section = people.section(people.ada)
    people.learners(section, 2)
    return people.school_class(people.ada, section)


@pytest.fixture
def meeting(people: People, biology: SchoolClass, world: SimulatedZoom) -> ZoomMeeting:
    return people.create_registered_meeting(people.ada, biology, NOW + timedelta(hours=1))


def events(browser: Browser, url: str) -> list[Any]:
    browser.client.get(url)
    answer = browser.client.get(url)
    assert answer.status_code == 200 and answer.mimetype == "text/calendar"
    return list(Calendar.from_ical(answer.get_data()).walk("VEVENT"))


def own_feed(browser: Browser) -> str:
    browser.get("/calendar")
    field = browser.page.select_one("#feed")
    assert field is not None
    return str(field["value"]).removeprefix("https://silid.test")


@pytest.mark.parametrize("view", ["agenda", "week", "month"])
def test_a_class_stands_on_its_day_and_a_holiday_is_named(
    browser: Browser, people: People, meeting: ZoomMeeting, view: str
) -> None:
    people.sign_in(browser, people.ada)
    browser.get(f"/calendar?view={view}")
    assert "Biology lesson" in browser.text
    browser.get(f"/calendar?view={view}&on=2026-11-30")
    assert "Bonifacio Day" in browser.text
    browser.get(f"/calendar?view={view}&on=nonsense")
    browser.get(f"/calendar?view={view}&on=9999-12-31")
    browser.click("Later")


def test_a_stranger_to_the_class_does_not_see_it(browser: Browser, people: People, meeting: ZoomMeeting) -> None:
    people.sign_in(browser, people.bob).get("/calendar")
    assert "Biology" not in browser.text and "No classes in this time" in browser.text
    browser.get(f"/calendar/meetings/{meeting.id}.ics", status=404)


def test_a_change_and_a_cancellation_reach_the_calendar_that_subscribes(
    app: Flask, browser: Browser, people: People, meeting: ZoomMeeting, tuesday: Any
) -> None:
    people.sign_in(browser, people.ada).get("/calendar")
    browser.submit("[action='/calendar/link']")
    feed = own_feed(browser)
    [before] = events(browser, feed)
    assert clock.to_manila(before.decoded("dtstart")) == NOW + timedelta(hours=1)
    assert before.decoded("dtend") - before.decoded("dtstart") == timedelta(minutes=60)
    tuesday.shift(timedelta(minutes=1))
    browser.get(f"/meetings/{meeting.id}/change")
    browser.submit("form:has([name=title])", start="09:30")
    run_jobs(app)
    [after] = events(browser, feed)
    assert after["uid"] == before["uid"] and after["sequence"] > before["sequence"]
    assert clock.to_manila(after.decoded("dtstart")).hour == 9 and after["status"] == "CONFIRMED"
    tuesday.shift(timedelta(minutes=1))
    browser.get(f"/meetings/{meeting.id}/cancel")
    browser.submit("form:has([name=reason])", reason="Typhoon")
    run_jobs(app)
    [gone] = events(browser, feed)
    assert [alarm.decoded("trigger") for alarm in before.walk("VALARM")] == [-timedelta(minutes=10)]
    assert not gone.walk("VALARM"), "nobody is reminded of a class that is off"
    assert gone["uid"] == before["uid"] and gone["status"] == "CANCELLED" and gone["sequence"] > after["sequence"]


def test_the_file_holds_no_way_to_start_or_join_and_a_zone_that_calendars_know(
    browser: Browser, people: People, meeting: ZoomMeeting
) -> None:
    people.sign_in(browser, people.ada)
    answer = browser.client.get(f"/calendar/meetings/{meeting.id}.ics")
    text = answer.get_data(as_text=True)
    assert "BEGIN:VTIMEZONE" in text and "TZID:Asia/Manila" in text
    assert "zoom.us" not in text and "pwd=" not in text and "zak=" not in text
    assert meeting.passcode and meeting.passcode not in text
    again = browser.client.get(
        f"/calendar/meetings/{meeting.id}.ics", headers={"If-None-Match": answer.headers["ETag"]}
    )
    assert again.status_code == 304


def test_a_learners_calendar_leads_to_the_learners_own_door(browser: Browser, meeting: ZoomMeeting) -> None:
    link = db.session.scalars(select(JoinLink).where(JoinLink.learner_id.is_not(None))).first()
    assert link
    [event] = events(browser, f"/join/{link.token}/calendar.ics")
    assert event["url"] == f"https://silid.test/join/{link.token}"
    assert "LEARNER" not in str(event)


def test_an_address_that_was_replaced_or_ended_opens_nothing(
    browser: Browser, people: People, meeting: ZoomMeeting
) -> None:
    people.sign_in(browser, people.ada).get("/calendar")
    browser.submit("[action='/calendar/link']")
    old = own_feed(browser)
    browser.submit("[action='/calendar/link']")
    new = own_feed(browser)
    assert browser.client.get(old).status_code == 404
    assert browser.client.get(new).status_code == 200
    browser.submit("[action='/calendar/link/end']")
    assert browser.client.get(new).status_code == 404


def test_who_guesses_addresses_stops_no_calendar_behind_the_same_network(
    browser: Browser, people: People, meeting: ZoomMeeting
) -> None:
    people.sign_in(browser, people.ada).get("/calendar")
    browser.submit("[action='/calendar/link']")
    mine = own_feed(browser)
    link = db.session.scalars(select(JoinLink).where(JoinLink.learner_id.is_not(None)).order_by(JoinLink.id)).first()
    assert link
    for address, good in (("/calendar/{}.ics", mine), ("/join/{}/calendar.ics", f"/join/{link.token}/calendar.ics")):
        answers = [browser.client.get(address.format(f"guess{number}")).status_code for number in range(61)]
        assert answers == [404] * 60 + [429]
        assert browser.client.get(good).status_code == 200
