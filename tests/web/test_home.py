"""The first page of a teacher's day: what is over is over, and says the same of its sheet as the sheet."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask

from portal.core import clock
from portal.sandbox.simulation.simulated_zoom import SimulatedZoom
from portal.sandbox.webhook_sender import WebhookSender
from tests.browser import Browser, words
from tests.people import People, run_jobs

NINE = datetime(2026, 11, 24, 9, tzinfo=clock.MANILA)


@pytest.fixture(autouse=True)
def tuesday() -> Iterator[Any]:
    with time_machine.travel(NINE - timedelta(hours=1), tick=False) as traveller:
        yield traveller


def block(browser: Browser, name: str) -> str:
    found = browser.page.select_one(f"section[aria-labelledby={name}]")
    return words(found) if found else ""


def test_a_class_that_was_ended_early_is_over_and_its_sheet_a_tap_away(
    app: Flask, browser: Browser, people: People, world: SimulatedZoom, sender: WebhookSender, tuesday: Any
) -> None:
    section = people.section(people.ada)
    people.learners(section, 2)
    meeting = people.create_registered_meeting(people.ada, people.school_class(people.ada, section), NINE)
    for subject, hours in (("Physics", 3), ("Music", 5)):
        school_class = people.school_class(people.ada, section, subject)
        people.create_registered_meeting(people.ada, school_class, NINE + timedelta(hours=hours))
    assert meeting.zoom_id
    world.start(meeting.zoom_id, NINE)
    stay = world.join(meeting.zoom_id, registrant_id=world.active_registrants(meeting.zoom_id)[0].id, at=NINE)
    world.leave(stay, NINE + timedelta(minutes=20))
    world.end(meeting.zoom_id, NINE + timedelta(minutes=20))
    tuesday.move_to(NINE + timedelta(minutes=25))  # it was planned until ten
    sender.pump()
    run_jobs(app)
    people.sign_in(browser, people.ada).get("/")
    assert "Biology" in block(browser, "earlier") and "Biology" not in block(browser, "later")
    assert "Music" in block(browser, "later")
    assert "Provisional" in block(browser, "earlier")
    browser.click("Biology")
    assert browser.url.startswith("/attendance/") and "Provisional" in browser.text
