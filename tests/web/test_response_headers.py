"""What every answer carries, whatever it is: pages, errors, files, exports; and what cookies are made of."""

from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from portal import create_app
from portal.core import clock
from portal.core.db import db
from portal.meetings.models import MeetingOccurrence
from tests.attendance.lesson import add_meeting
from tests.browser import Browser
from tests.conftest import settings_for
from tests.people import PASSWORD, People

WITHOUT_SIGNING_IN = [
    ("/sign-in", 200),
    ("/", 302),
    ("/no/such/page", 404),
    ("/static/silid.css", 200),
    ("/static/no-such.css", 404),
    ("/join/nothing-of-ours", 404),
    ("/calendar/nothing-of-ours.ics", 404),
    ("/healthz", 200),
    ("/metrics", 404),
    ("/help", 200),
    ("/privacy", 200),
]
SIGNED_IN = [
    ("/", 200),
    ("/classes", 200),
    ("/settings", 200),
    ("/classes/roster-template.csv", 200),
    ("/reports", 200),
    ("/admin/people", 403),
    ("/classes/00000000-0000-4000-8000-000000000000", 404),
]


def hold(answer: TestResponse) -> None:
    headers = answer.headers
    policy = {name: value.split() for name, _, value in (p.strip().partition(" ") for p in headers[CSP].split(";"))}
    for name in ("default-src", "frame-ancestors", "base-uri", "object-src"):
        assert policy[name] == ["'none'"], headers[CSP]
    assert policy["form-action"] == ["'self'"]
    assert "unsafe" not in headers[CSP] and "http:" not in headers[CSP] and "*" not in headers[CSP]
    age, *rest = headers["Strict-Transport-Security"].split("; ")
    assert int(age.removeprefix("max-age=")) >= 31536000 and "includeSubDomains" in rest
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] in ("no-referrer", "same-origin", "strict-origin-when-cross-origin")
    assert not any(sign.isdigit() for sign in headers.get("Server", "")), "a server need not tell its version"


def hold_back(answer: TestResponse) -> None:
    """Nobody may keep it: not a proxy, not the browser for the Back button after signing out."""
    assert answer.headers["Cache-Control"] == "no-store" and "Cookie" in answer.headers["Vary"]


CSP = "Content-Security-Policy"


@pytest.mark.parametrize(("path", "status"), WITHOUT_SIGNING_IN)
def test_answers_to_strangers_carry_the_headers(app: Flask, path: str, status: int) -> None:
    answer = app.test_client().get(path)
    assert answer.status_code == status
    hold(answer)
    if not path.startswith("/static"):
        hold_back(answer)
    answer.close()


@pytest.mark.parametrize(("path", "status"), SIGNED_IN)
def test_answers_to_a_teacher_carry_them_and_are_kept_nowhere(
    browser: Browser, people: People, path: str, status: int
) -> None:
    people.sign_in_by_form(browser, people.ada)
    answer = browser.client.get(path)
    assert answer.status_code == status
    hold(answer)
    hold_back(answer)


def test_exports_and_sheets_are_kept_nowhere(browser: Browser, people: People) -> None:
    section = people.section(people.ada)
    learners = people.learners(section, 2)
    begun = clock.now() - timedelta(hours=2)
    add_meeting(people.ada, people.school_class(people.ada, section), [(begun, 60)], learners=learners)
    occurrence = db.session.scalars(select(MeetingOccurrence)).one()
    people.sign_in(browser, people.ada)
    day = clock.to_manila(begun).date()
    for path, words in {
        f"/classes/sections/{section.id}": "LEARNER001",
        f"/attendance/{occurrence.id}": "LEARNER001",
        f"/attendance/{occurrence.id}.csv": "LEARNER001",
        f"/reports.csv?from={day}&to={day}": "Biology, Grade 8 - Jadeite",
        "/calendar": "Calendar",
    }.items():
        answer = browser.client.get(path)
        assert answer.status_code == 200 and words in answer.text, path
        hold(answer)
        hold_back(answer)


@pytest.mark.parametrize(
    ("path", "data", "status"),
    [("/sign-in", {}, 400), ("/sign-in", {"email": "x" * 2_000_000}, 413), ("/help", {}, 405)],
)
def test_refusals_of_forms_carry_them(app: Flask, path: str, data: dict[str, str], status: int) -> None:
    answer = app.test_client().post(path, data=data)
    assert answer.status_code == status
    hold(answer)
    hold_back(answer)


def test_a_refused_delivery_carries_them(app: Flask) -> None:
    answer = app.test_client().post("/api/zoom/webhook", data=b"{}")
    assert answer.status_code == 401
    hold(answer)


@pytest.fixture
def broken(tmp_path: Path) -> FlaskClient:
    """The portal when its database is gone."""
    made = create_app(settings_for(f"sqlite:///{tmp_path}/no/such.sqlite3", "http://127.0.0.1:9"))
    made.config["HOSTS"] |= {"localhost"}
    return made.test_client()


def test_a_page_that_broke_carries_them(broken: FlaskClient) -> None:
    answer = broken.get("/join/nothing-of-ours")
    assert answer.status_code == 503
    hold(answer)
    hold_back(answer)
    assert "sqlite" not in answer.text.lower()


# Cookies


def cookies(answer: TestResponse) -> dict[str, set[str]]:
    """The cookies an answer sets, by name, with what is said of each."""
    found = {}
    for line in answer.headers.getlist("Set-Cookie"):
        pair, *said = [part.strip() for part in line.split(";")]
        found[pair.partition("=")[0]] = set(said)
    return found


def signing_in(browser: Browser, people: People, **more: str) -> TestResponse:
    browser.get("/sign-in")
    token = browser.page.select_one("[name=csrf_token]")["value"]
    form = {"email": people.ada.email, "password": PASSWORD, "csrf_token": token, **more}
    return browser.client.post("/sign-in", data=form)


@pytest.mark.parametrize("more", [{}, {"remember": "y"}])
def test_cookies_over_https_are_for_this_host_alone(browser: Browser, people: People, more: dict[str, str]) -> None:
    before = browser.client.get("/sign-in")
    for answer in (before, signing_in(browser, people, **more)):
        found = cookies(answer)
        assert "__Host-session" in found
        for name, said in found.items():
            assert {"Secure", "HttpOnly", "SameSite=Lax", "Path=/"} <= said, name
            assert not any(part.lower().startswith("domain") for part in said), name
    assert any(part.startswith("Expires=") for part in found["__Host-session"]) == bool(more)


def test_signing_in_changes_the_cookie_and_leaves_the_old_one_nobody(browser: Browser, people: People) -> None:
    browser.get("/sign-in")
    planted = browser.client.get_cookie("__Host-session")
    assert planted is not None
    people.sign_in_by_form(browser, people.ada)
    now = browser.client.get_cookie("__Host-session")
    assert now is not None and now.value != planted.value
    attacker = browser.client.application.test_client()
    attacker.set_cookie("__Host-session", planted.value, secure=True)
    assert attacker.get("/classes").status_code == 302


def test_after_signing_out_the_old_cookie_opens_nothing(browser: Browser, people: People) -> None:
    people.sign_in_by_form(browser, people.ada)
    taken = browser.client.get_cookie("__Host-session")
    assert taken is not None
    browser.submit("form[action='/sign-out']")
    thief = browser.client.application.test_client()
    thief.set_cookie("__Host-session", taken.value, secure=True)
    assert thief.get("/classes").status_code == 302


def test_signing_in_leads_to_the_page_that_was_asked_for(browser: Browser, people: People) -> None:
    browser.get("/classes?x=1", follow=True)
    assert browser.url.startswith("/sign-in?next=")
    answer = browser.client.post(
        browser.url,
        data={
            "email": people.ada.email,
            "password": PASSWORD,
            "csrf_token": browser.page.select_one("[name=csrf_token]")["value"],
        },
    )
    assert answer.status_code in (302, 303) and answer.headers["Location"] == "/classes?x=1"
