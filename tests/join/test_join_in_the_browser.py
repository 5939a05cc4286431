"""Joining inside the page: where the SDK's keys are set, on one page with a policy of its own, and nowhere else."""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
from bs4 import BeautifulSoup
from flask import Flask
from sqlalchemy import func, select, update

from portal.config import validate_settings
from portal.core import clock
from portal.core.db import db, write_transaction
from portal.meetings.models import ZoomMeeting
from portal.registration.join_links import JoinLink, JoinLinkUse
from portal.registration.models import MeetingRegistrant
from portal.sandbox.simulation.simulated_zoom import SimulatedZoom
from portal.web import CSP
from tests.browser import Browser
from tests.people import People

EIGHT = datetime(2026, 11, 24, 8, tzinfo=clock.MANILA)
SECRET = "sdk-secret-of-the-tests"
ROOT = Path(__file__).parents[2]


@pytest.fixture
def class_now(app: Flask, people: People, world: SimulatedZoom) -> Iterator[ZoomMeeting]:
    with time_machine.travel(EIGHT - timedelta(hours=1), tick=False) as moving:
        section = people.section(people.ada)
        people.learners(section, 1)
        meeting = people.create_registered_meeting(people.ada, people.school_class(people.ada, section), EIGHT)
        moving.move_to(EIGHT)
        yield meeting


@pytest.fixture
def keys(app: Flask) -> Iterator[None]:
    old = app.extensions["silid.settings"]
    app.extensions["silid.settings"] = replace(old, zoom_sdk_key="sdk-key", zoom_sdk_secret=SECRET)
    yield
    app.extensions["silid.settings"] = old


def door(*, of_the_class: bool = False) -> str:
    whose = JoinLink.learner_id.is_(None) if of_the_class else JoinLink.learner_id.is_not(None)
    return f"/join/{db.session.scalars(select(JoinLink).where(whose)).one().token}"


def inside(browser: Browser) -> BeautifulSoup:
    """The page with the SDK. Not through the inspector, which rightly lets no page load from another host."""
    answer = browser.client.get(f"{door()}/here")
    assert answer.status_code == 200
    return BeautifulSoup(answer.get_data(as_text=True), "html.parser")


def openings() -> int:
    return db.session.scalar(select(func.count()).select_from(JoinLinkUse)) or 0


def test_without_keys_nothing_is_shown_and_there_is_no_such_page(browser: Browser, class_now: ZoomMeeting) -> None:
    browser.get(door())
    assert "Your class is open" in browser.text and "in the browser" not in browser.text
    browser.get(f"{door()}/here", status=404)
    assert browser.response and browser.response.headers["Content-Security-Policy"] == CSP


@pytest.mark.usefixtures("keys")
def test_with_keys_the_learner_goes_in_by_her_own_registration(browser: Browser, class_now: ZoomMeeting) -> None:
    browser.get(door())
    [link] = browser.page.select("a[href$='/here']")
    assert "Join here in the browser" in link.text
    page = inside(browser)
    [told] = page.select("#zoom-join")
    header, claims, signature = str(told["data-signature"]).split(".")
    expected = hmac.new(SECRET.encode(), f"{header}.{claims}".encode(), hashlib.sha256).digest()
    assert base64.urlsafe_b64decode(signature + "=") == expected
    said: dict[str, Any] = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    assert (said["mn"], said["role"]) == (class_now.zoom_id, 0)
    assert said["exp"] >= (EIGHT + timedelta(minutes=60)).timestamp(), "it holds until the class is over"
    row = db.session.scalars(select(MeetingRegistrant).where(MeetingRegistrant.learner_id.is_not(None))).one()
    assert told["data-tk"] == parse_qs(urlsplit(row.join_url or "").query)["tk"][0]
    assert (told["data-email"], told["data-name"]) == (row.email, "ANA LEARNER001")
    assert SECRET not in str(page) and openings() == 1
    assert not page.select("form"), "no form may be sent from here"
    assert any("Zoom's app" in link.text for link in page.select("main a[href$='/go']"))


@pytest.mark.usefixtures("keys")
def test_only_that_page_may_load_anything_from_zoom(browser: Browser, people: People, class_now: ZoomMeeting) -> None:
    here = browser.client.get(f"{door()}/here")
    policy = {part.split()[0]: part.split()[1:] for part in here.headers["Content-Security-Policy"].split("; ")}
    assert "https://source.zoom.us" in policy["script-src"] and "'unsafe-inline'" not in policy["script-src"]
    assert "'self'" not in policy["connect-src"] and policy["form-action"] == ["'none'"]
    sources = [str(tag["src"]) for tag in inside(browser).select("script[src]")]
    assert {urlsplit(source).hostname for source in sources} == {"source.zoom.us", None}
    outside = [door(), f"{door(of_the_class=True)}/here", "/sign-in", "/help", "/no/such/page", "/join/nobody/here"]
    for address in outside:
        assert browser.client.get(address).headers["Content-Security-Policy"] == CSP
    people.sign_in(browser, people.ada)
    for address in ("/", "/notifications", f"/meetings/{class_now.id}", "/calendar", "/settings", "/classes"):
        answer = browser.client.get(address)
        assert answer.status_code == 200 and answer.headers["Content-Security-Policy"] == CSP
        assert "camera=()" in answer.headers["Permissions-Policy"]
    assert "zoom.us" not in CSP


@pytest.mark.usefixtures("keys")
def test_where_the_sdk_cannot_go_in_it_is_not_offered(browser: Browser, class_now: ZoomMeeting) -> None:
    with write_transaction():
        db.session.execute(update(ZoomMeeting).values(meeting_authentication=True))
    browser.get(door())
    assert "Your class is open" in browser.text and "in the browser" not in browser.text
    browser.get(f"{door()}/here", status=302, follow=False)
    with write_transaction():
        db.session.execute(update(ZoomMeeting).values(meeting_authentication=False, state="cancelled"))
    browser.get(f"{door()}/here", status=302, follow=False)
    browser.get(f"{door(of_the_class=True)}/here", status=302, follow=False)
    preview = {"User-Agent": "facebookexternalhit/1.1"}
    assert browser.client.get(f"{door()}/here", headers=preview).status_code == 302
    assert openings() == 0


def test_half_of_the_keys_or_a_strange_version_stops_the_start(app: Flask) -> None:
    settings = app.extensions["silid.settings"]
    assert any("ZOOM_SDK_KEY" in problem for problem in validate_settings(replace(settings, zoom_sdk_key="x")))
    strange = replace(settings, zoom_sdk_version="5.1/../evil")
    assert any("ZOOM_SDK_VERSION" in problem for problem in validate_settings(strange))


def test_zooms_host_is_named_in_one_module() -> None:
    named = [path for path in (ROOT / "portal").rglob("*.py") if "source.zoom.us" in path.read_text(encoding="utf-8")]
    named += [path for path in (ROOT / "templates").rglob("*") if path.is_file() and "source.zoom" in path.read_text()]
    assert named == [ROOT / "portal" / "pages" / "join" / "sdk.py"]
