"""Signing in: every kind of no looks the same, guessing is slowed, the second step cannot be replayed."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pyotp
import pytest
import time_machine
from flask import Flask
from sqlalchemy import func, select

from portal.accounts.models import RecoveryCode, SignInFailure, User
from portal.core import clock
from portal.core.db import db, write_transaction
from tests.accounts.conftest import Letters
from tests.browser import Browser
from tests.people import PASSWORD, People, expire_orm_state

GOOD = "saging tsinelas kalabaw ulap"


def attempt(browser: Browser, email: str, password: str, status: int = 422) -> str:
    browser.get("/sign-in")
    browser.submit(email=email, password=password, status=status)
    assert browser.response is not None
    return re.sub(r'value="[^"]*"', "", browser.response.text)


def test_every_kind_of_no_is_the_same_page(browser: Browser, people: People) -> None:
    with write_transaction():
        people.bob.deactivated_at = clock.now()
        db.session.add(
            User(email="new@r1.deped.gov.ph", full_name="N", role="teacher", language="en", created_at=clock.now())
        )
    pages = {
        attempt(browser, f"{name}@r1.deped.gov.ph", "wrong password 12")
        for name in ("ada", "bob", "new", "nobody.here")
    }
    assert len(pages) == 1
    attempt(browser, people.bob.email, PASSWORD)


def test_ten_wrong_passwords_close_the_account_for_a_while(browser: Browser, other: Browser, people: People) -> None:
    people.sign_in_by_form(other, people.ada)
    for _ in range(10):
        attempt(browser, people.ada.email, "wrong password 12")
    assert "try again in" in attempt(browser, people.ada.email, PASSWORD)
    other.get("/classes")
    with time_machine.travel(clock.now() + timedelta(minutes=16)):
        attempt(browser, people.ada.email, PASSWORD, status=200)


def test_an_unknown_address_closes_alike(browser: Browser, people: People) -> None:
    for _ in range(10):
        page = attempt(browser, "nobody@r1.deped.gov.ph", "wrong password 12")
    assert "try again in" in page


def test_one_place_cannot_try_everybody(app: Flask, browser: Browser, people: People) -> None:
    settings = app.extensions["silid.settings"]
    app.extensions["silid.settings"] = replace(settings, sign_ins_per_address=5)
    try:
        for number in range(5):
            attempt(browser, f"t{number}@r1.deped.gov.ph", "wrong password 12")
        attempt(browser, people.ada.email, PASSWORD, status=429)
        assert browser.response is not None and int(browser.response.headers["Retry-After"]) > 0
    finally:
        app.extensions["silid.settings"] = settings


def test_no_address_is_kept_of_a_failed_try(browser: Browser, people: People) -> None:
    attempt(browser, people.ada.email, "wrong password 12")
    row = db.session.scalars(select(SignInFailure)).one()
    assert len(row.account_hash or "") == 64 and len(row.client_hash) == 32


def test_a_reset_opens_a_closed_account(browser: Browser, people: People, letters: Letters) -> None:
    for _ in range(10):
        attempt(browser, people.ada.email, "wrong password 12")
    browser.get("/forgot-password")
    browser.submit(email=people.ada.email)
    browser.get(letters()[-1]["link"])
    browser.submit(password=GOOD, again=GOOD)
    attempt(browser, people.ada.email, GOOD, status=200)


# One-time codes


@pytest.fixture
def strict(app: Flask) -> Iterator[Flask]:
    """The portal as in real life: admins must have codes."""
    settings = app.extensions["silid.settings"]
    app.extensions["silid.settings"] = replace(settings, codes_for_admins=True)
    yield app
    app.extensions["silid.settings"] = settings


def set_up(browser: Browser) -> tuple[pyotp.TOTP, list[str]]:
    page = browser.get("/settings/codes")
    phone = pyotp.TOTP(page.select_one("#secret").text)
    page = browser.submit(code=phone.now())
    return phone, [item.text for item in page.select("#recovery li")]


def later(steps: int) -> time_machine.travel:
    return time_machine.travel(clock.now() + timedelta(seconds=30 * steps))


def test_an_admin_sets_up_codes_before_anything_else(strict: Flask, browser: Browser, people: People) -> None:
    people.sign_in_by_form(browser, people.head)
    assert browser.url == "/settings/codes"
    browser.get("/admin/people", follow=True)
    assert browser.url == "/settings/codes"
    _phone, recovery = set_up(browser)
    assert len(set(recovery)) == 10
    browser.get("/admin/people")
    browser.get("/settings")
    browser.post("/settings/codes/off", {"current": PASSWORD}, status=403)


def test_a_code_works_once(browser: Browser, other: Browser, people: People) -> None:
    people.sign_in_by_form(browser, people.ada)
    phone, _recovery = set_up(browser)
    with later(3):
        people.sign_in_by_form(other, people.ada)
        assert other.url.startswith("/sign-in/code")
        other.get("/classes", status=302)
        code = phone.at(clock.now())
        other.get("/sign-in/code")
        other.submit(code=code)
        other.get("/classes")
        third = another(other)
        people.sign_in_by_form(third, people.ada)
        third.submit(code=code, status=422)


def another(browser: Browser) -> Browser:
    return Browser(browser.client.application.test_client())


def test_a_recovery_code_works_once(browser: Browser, other: Browser, people: People) -> None:
    people.sign_in_by_form(browser, people.ada)
    _phone, recovery = set_up(browser)
    people.sign_in_by_form(other, people.ada)
    other.submit(code=recovery[3].upper())
    other.get("/classes")
    third = another(other)
    people.sign_in_by_form(third, people.ada)
    third.submit(code=recovery[3], status=422)
    third.submit(code=recovery[4])
    third.get("/classes")


def test_wrong_codes_close_the_account(browser: Browser, other: Browser, people: People) -> None:
    people.sign_in_by_form(browser, people.ada)
    _phone, recovery = set_up(browser)
    people.sign_in_by_form(other, people.ada)
    for _ in range(10):
        other.submit(code="000000", status=422)
    other.submit(code=recovery[0], status=422)
    assert "try again in" in other.text


def test_the_secret_and_the_codes_are_not_readable_in_the_database(browser: Browser, people: People) -> None:
    people.sign_in_by_form(browser, people.ada)
    phone, recovery = set_up(browser)
    expire_orm_state()
    ada = db.session.get_one(User, people.ada.id)
    hashes = set(db.session.scalars(select(RecoveryCode.code_hash)))
    assert phone.secret not in (ada.totp_secret_encrypted or "") and not hashes & set(recovery)
    assert db.session.scalar(select(func.count()).select_from(RecoveryCode)) == 10


def test_looking_at_the_set_up_page_changes_nothing(browser: Browser, people: People) -> None:
    people.sign_in_by_form(browser, people.ada)
    first = browser.get("/settings/codes").select_one("#secret")
    second = browser.get("/settings/codes").select_one("#secret")
    assert first != second and db.session.get_one(User, people.ada.id).totp_secret_encrypted is None


def test_a_wrong_first_code_keeps_the_secret(browser: Browser, people: People) -> None:
    people.sign_in_by_form(browser, people.ada)
    secret = browser.get("/settings/codes").select_one("#secret").text
    page = browser.submit(code="12", status=422)
    assert page.select_one("#secret").text == secret
    browser.submit(code=pyotp.TOTP(secret).now())
    assert "recovery" in browser.text


def test_a_secret_offered_to_somebody_else_is_refused(browser: Browser, other: Browser, people: People) -> None:
    people.sign_in_by_form(other, people.bob)
    page = other.get("/settings/codes")
    his, secret = page.select_one("[name=secret]")["value"], page.select_one("#secret").text
    people.sign_in_by_form(browser, people.ada)
    browser.get("/settings/codes")
    browser.post("/settings/codes", {"secret": his, "code": pyotp.TOTP(secret).now()}, status=422)


def test_codes_can_be_renewed_and_switched_off_with_the_password(browser: Browser, people: People) -> None:
    people.sign_in_by_form(browser, people.ada)
    _phone, recovery = set_up(browser)
    browser.get("/settings/codes")
    browser.submit("form[action$=renew]", current="not this one at all", status=422)
    page = browser.submit("form[action$=renew]", current=PASSWORD)
    assert not {item.text for item in page.select("#recovery li")} & set(recovery)
    browser.get("/settings/codes")
    browser.submit("form[action$=off]", current=PASSWORD)
    assert "Switch codes on" in browser.text


@pytest.mark.parametrize(
    ("said", "known"),
    [
        (
            "Mozilla/5.0 (Linux; Android 12; CPH2239) AppleWebKit/537.36 (KHTML) Chrome/120 Safari/537",
            "Chrome, Android",
        ),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/120 Safari/537 Edg/120", "Edge, Windows"),
        ("curl/8", "Unknown device"),
    ],
)
def test_a_device_is_named_in_plain_words(browser: Browser, people: People, said: str, known: str) -> None:
    browser.client.environ_base["HTTP_USER_AGENT"] = said
    people.sign_in_by_form(browser, people.ada)
    browser.get("/settings")
    assert f"{known} This device" in browser.text
