"""Forms that no page of ours made: without a token, with somebody else's, with one from before the session ended."""

from datetime import timedelta

import time_machine

from portal.core import clock
from tests.browser import Browser
from tests.people import PASSWORD, People


def token_of(browser: Browser, path: str) -> str:
    return str(browser.get(path).select_one("input[name=csrf_token]")["value"])  # type: ignore[index]


def test_nobody_is_signed_in_by_a_form_from_elsewhere(browser: Browser, people: People) -> None:
    answer = browser.client.post("/sign-in", data={"email": people.ada.email, "password": PASSWORD})
    assert answer.status_code == 400
    browser.get("/classes", status=302)


def test_the_token_of_another_persons_session_opens_nothing(browser: Browser, other: Browser, people: People) -> None:
    people.sign_in(browser, people.ada)
    people.sign_in(other, people.bob)
    bobs = token_of(other, "/settings")
    answer = browser.client.post("/settings", data={"csrf_token": bobs, "full_name": "Somebody Else"})
    assert answer.status_code == 400
    browser.get("/settings")
    assert "Somebody Else" not in browser.text


def test_a_token_of_before_signing_in_is_worth_nothing_afterwards(browser: Browser, people: People) -> None:
    before = token_of(browser, "/sign-in")
    people.sign_in(browser, people.ada)
    answer = browser.client.post("/settings", data={"csrf_token": before, "full_name": "Somebody Else"})
    assert answer.status_code == 400


def test_a_form_that_lay_open_since_yesterday_is_asked_for_again_and_changes_nothing(
    browser: Browser, people: People
) -> None:
    with time_machine.travel(clock.now(), tick=False) as moving:
        browser.get("/sign-in")
        browser.submit(email=people.ada.email, password=PASSWORD, remember=True)
        old = token_of(browser, "/settings")
        moving.shift(timedelta(days=1, minutes=1))
        answer = browser.client.post("/settings", data={"csrf_token": old, "full_name": "Somebody Else"})
        assert answer.status_code == 400
        browser.get("/settings")
        assert "Somebody Else" not in browser.text
