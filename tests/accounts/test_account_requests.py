"""Asking at the door tells nobody who has an account: not by the page, not by the work it takes."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import event, select

from portal.accounts import auth_requests
from portal.accounts.models import AccountRequest, PendingAuthRequest, User
from portal.core import clock
from portal.core.db import db, write_transaction
from tests.accounts.conftest import Letters
from tests.browser import Browser
from tests.people import PASSWORD, People, expire_orm_state

Work = Callable[[], list[str]]
NAMES = ("ada", "bob", "new", "nobody.here")


@pytest.fixture
def work(app: Flask) -> Iterator[Work]:
    """The SQL statements since it was asked last."""
    done: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        done.append(statement)

    def take() -> list[str]:
        taken = list(done)
        done.clear()
        return taken

    event.listen(db.engine, "before_cursor_execute", note)
    yield take
    event.remove(db.engine, "before_cursor_execute", note)


@pytest.fixture
def closed_and_new(people: People) -> None:
    """Bob's account is closed, another has no password yet."""
    with write_transaction():
        people.bob.deactivated_at = clock.now()
        db.session.add(
            User(email="new@r1.deped.gov.ph", full_name="N", role="teacher", language="en", created_at=clock.now())
        )


@pytest.mark.parametrize("path", ["/forgot-password", "/ask-for-account"])
def test_known_and_unknown_get_the_same_bytes_for_the_same_work(
    browser: Browser, people: People, closed_and_new: None, work: Work, path: str
) -> None:
    more = {} if path == "/forgot-password" else {"full_name": "Cora Peña", "school": "300123"}
    browser.get(path)
    browser.submit(email="first.of.the.day@r1.deped.gov.ph", **more)
    seen = []
    for name in NAMES:
        browser.get(path)
        work()
        browser.submit(email=f"{name}@r1.deped.gov.ph", **more)
        assert browser.response is not None
        # All but the form's token, which carries the second.
        seen.append((re.sub(rb'value="[^"]*"', b"", browser.response.data), work()))
    assert all(answer == seen[0] for answer in seen)


def test_only_the_open_account_gets_a_letter(
    browser: Browser, people: People, closed_and_new: None, letters: Letters
) -> None:
    for name in NAMES:
        browser.get("/forgot-password")
        browser.submit(email=f"{name}@r1.deped.gov.ph")
    assert [letter["to"] for letter in letters()] == [people.ada.email]


def test_asking_is_no_failed_sign_in(app: Flask, browser: Browser, people: People) -> None:
    settings = app.extensions["silid.settings"]
    app.extensions["silid.settings"] = replace(settings, sign_ins_per_address=3)
    try:
        for _ in range(3):
            browser.get("/forgot-password")
            browser.submit(email=people.bob.email)
        browser.get("/forgot-password")
        browser.submit(email=people.bob.email, status=429)
        assert browser.response is not None and 0 < int(browser.response.headers["Retry-After"]) <= 600
        browser.get("/ask-for-account")
        browser.submit(full_name="Cora", email="cora@r1.deped.gov.ph", school="300123", status=429)
        people.sign_in_by_form(browser, people.ada)
        browser.get("/classes")
    finally:
        app.extensions["silid.settings"] = settings


def test_one_mailbox_is_not_flooded(browser: Browser, people: People, letters: Letters) -> None:
    for _ in range(auth_requests.MAX_MAILS_PER_HOUR + 3):
        browser.get("/forgot-password")
        browser.submit(email=people.ada.email)
    assert len(letters()) == auth_requests.MAX_MAILS_PER_HOUR
    with time_machine.travel(clock.now() + timedelta(minutes=61)):
        browser.get("/forgot-password")
        browser.submit(email=people.ada.email)
        assert len(letters()) == auth_requests.MAX_MAILS_PER_HOUR + 1


def test_nothing_readable_is_kept_of_a_wish(browser: Browser, people: People) -> None:
    browser.get("/ask-for-account")
    browser.submit(full_name="Cora Peña", email="cora@r1.deped.gov.ph", school="300123")
    [wish] = db.session.scalars(select(PendingAuthRequest)).all()
    assert "cora" not in str(vars(wish)).lower() and wish.request_encrypted
    auth_requests.process_pending_requests()
    expire_orm_state()
    assert db.session.scalars(select(PendingAuthRequest)).one().request_encrypted is None
    assert db.session.scalars(select(AccountRequest)).one().full_name == "Cora Peña"
    assert auth_requests.process_pending_requests() == 0


# One password for everybody


def spray(browser: Browser, number: int) -> list[int]:
    """One password for `number` accounts from one place; the answers."""
    browser.get("/sign-in")
    token = browser.page.select_one("[name=csrf_token]")["value"]
    answers = []
    for account in range(number):
        form = {"email": f"t{account}@r1.deped.gov.ph", "password": "wrong password 12", "csrf_token": token}
        answer = browser.client.post("/sign-in", data=form)
        answers.append(answer.status_code)
        if answer.status_code == 429:
            assert 0 < int(answer.headers["Retry-After"]) <= 600
    return answers


@pytest.mark.parametrize("portal", ["sqlite"], indirect=True)
def test_one_password_for_two_hundred_accounts_is_stopped_after_fifty(browser: Browser, people: People) -> None:
    assert spray(browser, 200) == [422] * 50 + [429] * 150
    browser.get("/sign-in")
    browser.submit(email=people.ada.email, password=PASSWORD, status=429)
    with time_machine.travel(clock.now() + timedelta(minutes=11)):
        people.sign_in_by_form(browser, people.ada)


def test_an_office_may_be_allowed_more(app: Flask, browser: Browser, people: People) -> None:
    settings = app.extensions["silid.settings"]
    app.extensions["silid.settings"] = replace(settings, sign_ins_per_address=55)
    try:
        assert spray(browser, 57) == [422] * 55 + [429] * 2
    finally:
        app.extensions["silid.settings"] = settings
