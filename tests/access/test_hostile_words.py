"""Names, titles and reasons that want to be more than text stay text, on every page and in every file."""

import re
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from portal.accounts.models import School, User
from portal.attendance.models import ZoomParticipant
from portal.classes.models import Learner, SchoolClass, Section
from portal.core.db import db, write_transaction
from portal.meetings.models import CalendarDay, ZoomMeeting
from portal.sandbox.simulation.simulated_zoom import SimulatedZoom
from portal.sandbox.webhook_sender import WebhookSender
from tests.access.matrix import ADMIN, OWN, PERSON, THING
from tests.access.test_role_matrix import ids, rules, tuesday  # noqa: F401 - fixtures of one of everything
from tests.browser import Browser
from tests.people import People, run_jobs

HOSTILE = "{{7*7}}<img src=x onerror=alert(1)>\"'><script>alert(2)</script>{% raw %}${7*7}"
WIDE = ((School, "name"), (Section, "name"), (SchoolClass, "subject"), (Learner, "last_name"), (Learner, "first_name"))
WIDE = (*WIDE, (Learner, "lis_name"), (ZoomMeeting, "title"), (ZoomMeeting, "description"), (CalendarDay, "name"))
# What would be markup, or the answer of a template that ran.
LIVE = re.compile(r"<img src=x|<script>alert|onerror=alert\(1\)>(?!&)|(?<![\d.:-])4949|49<img|49&lt;img")


def spoil(people: People) -> None:
    """Write the hostile text wherever somebody's own words are kept."""
    with write_transaction() as session:
        for model, column in WIDE:
            for row in session.scalars(select(model)):
                setattr(row, column, HOSTILE)
        for person in session.scalars(select(User)):
            person.full_name = f"{person.email.split('@')[0]} {HOSTILE}"[:120]
        for stay in session.scalars(select(ZoomParticipant)):
            stay.name = HOSTILE


@pytest.mark.parametrize("portal", ["sqlite"], indirect=True)
@pytest.mark.parametrize("who", ["ada", "head"])
def test_hostile_words_are_inert_on_every_page_and_in_every_file(
    app: Flask,
    browser: Browser,
    people: People,
    world: SimulatedZoom,
    sender: WebhookSender,
    ids: dict[str, Any],  # noqa: F811
    who: str,
) -> None:
    run_jobs(app)
    people.sign_in(browser, people.ada if who == "ada" else people.head)
    spoil(people)
    seen = 0
    for rule, method in rules(app, OWN, THING, *((ADMIN, PERSON) if who == "head" else ())):
        if method != "GET" or rule.endpoint == "meetings.start_meeting":
            continue
        url = app.url_map.bind("").build(rule.endpoint, {name: ids[name] for name in rule.arguments})
        answer = browser.client.get(url)
        assert answer.status_code < 500, url
        if answer.mimetype != "text/html" or answer.status_code != 200:
            continue
        body = answer.get_data(as_text=True)
        found = LIVE.search(body)
        assert not found, (url, body[max(0, found.start() - 200) : found.end() + 80] if found else "")
        seen += HOSTILE[:7] in body
    assert seen > 10, "the words have to be on the pages for this to say anything"


@pytest.mark.parametrize("portal", ["sqlite"], indirect=True)
def test_a_link_that_is_not_zooms_is_never_led_to(
    app: Flask,
    browser: Browser,
    people: People,
    ids: dict[str, Any],  # noqa: F811
) -> None:
    """What Zoom, or whoever speaks for it, gives as the meeting's address is followed to Zoom alone."""
    people.sign_in(browser, people.ada)
    for link in ("javascript:alert(1)", "https://zoom.us.evil.example/j/1", "https://evil.example/?x=.zoom.us"):
        with write_transaction():
            meeting = db.session.get_one(ZoomMeeting, ids["meeting_id"])
            meeting.join_url = link
        body = browser.client.get(f"/meetings/{ids['meeting_id']}").get_data(as_text=True)
        assert not re.search(rf'href="{re.escape(link)}', body), link
