"""When something is wrong: what is so, why, and a way on; and nothing that was saved is lost."""

from datetime import timedelta

import pytest
import time_machine
from flask import Flask, abort
from sqlalchemy.exc import OperationalError

from portal.core import clock
from portal.sandbox.simulation.simulated_zoom import SimulatedZoom
from portal.web import mark_endpoint_public
from portal.zoom.errors import ZoomUnavailable
from tests.browser import Browser, words
from tests.faults import Faults
from tests.people import People, soon


@pytest.fixture
def broken(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Flask:
    """The help page does what the test asks for in `?do=`: it fails in each way a page can fail."""

    @mark_endpoint_public
    def fail() -> str:
        from flask import request

        what = request.args["do"]
        if what == "database":
            raise OperationalError("SELECT 1", {}, Exception("database is locked"))
        if what == "zoom":
            raise ZoomUnavailable("timed out")
        if what == "bug":
            raise KeyError("secret name")
        abort(int(what))

    monkeypatch.setitem(app.view_functions, "information.show_help_page", fail)
    return app


@pytest.mark.parametrize(
    ("what", "status", "says"),
    [
        ("403", 403, "This page is not open to you"),
        ("404", 404, "There is no page here"),
        ("405", 405, "This address is for a button only"),
        ("413", 413, "This is too large"),
        ("429", 429, "Too many tries"),
        ("503", 503, "Silid cannot do this now"),
        ("502", 502, "Something broke on our side"),
        ("418", 418, "This did not arrive whole"),
        ("bug", 500, "Something broke on our side"),
        ("database", 503, "Silid cannot do this now"),
        ("zoom", 503, "Silid cannot do this now"),
    ],
)
def test_each_says_what_is_so_and_has_a_way_on(
    broken: Flask, browser: Browser, what: str, status: int, says: str
) -> None:
    browser.get(f"/help?do={what}", status=status)
    [heading] = browser.page.select("h1")
    assert words(heading) == says
    assert "secret" not in browser.text
    way = browser.page.select_one("main a.btn-primary")
    assert way and way["href"] == "/"
    assert browser.page.select_one("main .num"), "a reference for the coordinator"


def test_the_way_on_leads_back_to_the_form_that_was_sent(browser: Browser, people: People) -> None:
    people.sign_in(browser, people.ada)
    browser.get("/classes/sections/new")
    browser.post("/classes/sections/new", {"csrf_token": "stale"}, status=400)
    assert "This page was open too long" in browser.text
    browser.click("Back to the form")
    assert browser.page.select("[name=grade_level]")
    browser.post("/settings/sessions/end", {"csrf_token": "stale"}, status=400)
    assert "Back to the form" not in browser.text and "Go to Today" in browser.text


def test_what_is_too_large_leads_back_to_where_it_was_chosen(browser: Browser, people: People) -> None:
    people.sign_in(browser, people.ada)
    browser.get("/classes/import")
    browser.post("/classes/import", {"pasted": "x" * (2 * 1024 * 1024)}, status=413)
    browser.click("Back to the form")
    assert browser.page.select("[type=file]")


def test_a_session_that_ran_out_says_so_and_comes_back_to_the_page(browser: Browser, people: People) -> None:
    people.sign_in(browser, people.ada)
    browser.get("/attendance")
    with time_machine.travel(clock.now() + timedelta(hours=3), tick=False):
        browser.get("/attendance", follow=True)
        assert "You were signed out, as happens after a while without a tap." in browser.text
        browser.submit("form:has([type=password])", email=people.ada.email, password="correct horse battery")
        assert browser.url == "/attendance"
        browser.get("/attendance")
        assert "signed out" not in browser.text


def test_a_form_sent_after_the_session_ran_out_says_that_nothing_was_saved(browser: Browser, people: People) -> None:
    people.sign_in(browser, people.ada)
    browser.get("/settings")
    with time_machine.travel(clock.now() + timedelta(hours=3), tick=False):
        browser.post("/settings/sessions/end")
        assert "your last step was not saved" in browser.text
        browser.submit("form:has([type=password])", email=people.ada.email, password="correct horse battery")
        assert browser.url == "/", "not an address that only a button can open"


def test_a_stranger_is_asked_to_sign_in_without_a_word_about_a_session(browser: Browser, people: People) -> None:
    browser.get("/attendance", follow=True)
    assert "signed out" not in browser.text


def test_a_piece_of_a_page_that_renews_itself_asks_for_the_whole_page(browser: Browser, people: People) -> None:
    answer = browser.client.get("/attendance", headers={"HX-Request": "true"})
    assert (answer.status_code, answer.headers["HX-Refresh"]) == (401, "true")


def test_zoom_down_at_the_start_of_a_class_shows_the_other_way_in(
    app: Flask, browser: Browser, people: People, world: SimulatedZoom, faults: Faults
) -> None:
    section = people.section(people.ada)
    meeting = people.create_registered_meeting(people.ada, people.school_class(people.ada, section), soon())
    people.sign_in(browser, people.ada)
    faults.refuse("GET", f"/meetings/{meeting.zoom_id}$", 503, 0, "down", times=9)
    browser.get(f"/meetings/{meeting.id}/start", status=503)
    assert "The class could not be started" in browser.text and "The other way in" in browser.text
