"""SECRET_KEY is renewed: with the old one in SECRET_KEY_FALLBACKS nobody notices, without it all are signed out."""

from collections.abc import Callable, Iterator

import pytest
from flask import Flask

from tests.accounts.test_sign_in import attempt, set_up
from tests.browser import Browser
from tests.people import PASSWORD, People

NEW = "another key for tests, where nothing is secret"
Rotate = Callable[..., None]


@pytest.fixture
def rotate(app: Flask) -> Iterator[Rotate]:
    """Gives the portal a new key, with or without the old one behind it; the old one again afterwards."""
    old = app.config["SECRET_KEY"]

    def change(*, keep_old: bool) -> None:
        app.config.update(SECRET_KEY=NEW, SECRET_KEY_FALLBACKS=[old] if keep_old else [])

    yield change
    app.config.update(SECRET_KEY=old, SECRET_KEY_FALLBACKS=[])


def test_sessions_live_on_with_the_old_key_behind(browser: Browser, people: People, rotate: Rotate) -> None:
    people.sign_in_by_form(browser, people.ada)
    rotate(keep_old=True)
    browser.get("/settings")
    browser.submit(full_name="Ada Byron")
    assert "Ada Byron" in str(browser.page)


def test_all_are_out_once_the_old_key_is_dropped(browser: Browser, people: People, rotate: Rotate) -> None:
    people.sign_in_by_form(browser, people.ada)
    rotate(keep_old=False)
    browser.get("/settings", status=302)
    people.sign_in_by_form(browser, people.ada)
    browser.get("/classes")


def test_a_session_seen_while_both_keys_were_good_outlives_the_old_key(
    browser: Browser, people: People, rotate: Rotate
) -> None:
    people.sign_in_by_form(browser, people.ada)
    rotate(keep_old=True)
    browser.get("/settings")
    browser.submit(full_name="Ada Byron")
    rotate(keep_old=False)
    browser.get("/settings")


def test_recovery_codes_work_with_the_old_key_behind(
    browser: Browser, other: Browser, people: People, rotate: Rotate
) -> None:
    people.sign_in_by_form(browser, people.ada)
    _phone, recovery = set_up(browser)
    rotate(keep_old=True)
    people.sign_in_by_form(other, people.ada)
    other.submit(code=recovery[0])
    other.get("/classes")


def test_a_closed_account_stays_closed_and_opens_again(browser: Browser, people: People, rotate: Rotate) -> None:
    for _ in range(9):
        attempt(browser, people.ada.email, "wrong password 12")
    rotate(keep_old=True)
    attempt(browser, people.ada.email, "wrong password 12")
    assert "try again in" in attempt(browser, people.ada.email, PASSWORD)


def test_the_right_password_forgets_failures_of_the_old_key(browser: Browser, people: People, rotate: Rotate) -> None:
    for _ in range(9):
        attempt(browser, people.ada.email, "wrong password 12")
    rotate(keep_old=True)
    people.sign_in_by_form(browser, people.ada)
    browser.post("/sign-out")
    attempt(browser, people.ada.email, "wrong password 12")
    people.sign_in_by_form(browser, people.ada)
    browser.get("/classes")
