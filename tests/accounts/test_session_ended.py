"""A session ends over a form: what was typed is not lost, and is shown to nobody else."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import select

from portal.accounts.models import User
from portal.classes.models import Section
from portal.core import clock
from portal.core.db import db
from tests.accounts.test_sign_in import set_up
from tests.browser import Browser
from tests.people import PASSWORD, People, expire_orm_state

WORDS = "Sampaguita of the morning"
FORM = {"grade_level": "Grade 8", "name": WORDS}


def later(**time: float) -> time_machine.travel:
    return time_machine.travel(clock.now() + timedelta(**time))


@contextmanager
def typed_too_late(browser: Browser, people: People, user: User) -> Iterator[None]:
    """The person writes a form and sends it when the session has run out; inside it is that time."""
    people.sign_in_by_form(browser, user)
    browser.get("/classes/sections/new")
    with later(hours=2, minutes=1):
        browser.submit(**FORM, status=401)
        assert "not lost" in browser.text and WORDS not in str(browser.page)
        yield


def sections() -> list[str]:
    expire_orm_state()
    return list(db.session.scalars(select(Section.name)))


def test_what_was_typed_can_be_sent_after_signing_in(browser: Browser, people: People) -> None:
    with typed_too_late(browser, people, people.ada):
        browser.submit(email=people.ada.email, password="not this one at all", status=422)
        assert "not lost" in browser.text
        browser.submit(email=people.ada.email, password=PASSWORD)
        assert WORDS in browser.text and not sections()
        browser.submit(button="Send it now")
    assert sections() == [WORDS]


def test_it_is_carried_over_the_second_step(browser: Browser, other: Browser, people: People) -> None:
    people.sign_in_by_form(other, people.ada)
    _phone, recovery = set_up(other)
    people.sign_in_by_form(browser, people.ada)
    browser.submit(code=recovery[0])
    browser.get("/classes/sections/new")
    with later(hours=2, minutes=1):
        browser.submit(**FORM, status=401)
        browser.submit(email=people.ada.email, password=PASSWORD)
        browser.submit(code="000000", status=422)
        browser.submit(code=recovery[1])
        assert WORDS in browser.text
        browser.submit(button="Send it now")
    assert sections() == [WORDS]


def test_nobody_else_is_shown_it(browser: Browser, people: People) -> None:
    with typed_too_late(browser, people, people.ada):
        browser.submit(email=people.bob.email, password=PASSWORD)
        assert browser.url == "/" and WORDS not in str(browser.page) and not sections()


def test_it_is_not_kept_for_ever(browser: Browser, people: People) -> None:
    with typed_too_late(browser, people, people.ada):
        sealed = browser.page.select_one("[name=again]")["value"]
    with later(hours=15):
        browser.get("/sign-in")
        browser.post("/sign-in", {"email": people.ada.email, "password": PASSWORD, "again": sealed})
        assert browser.url == "/" and WORDS not in str(browser.page)


@pytest.mark.parametrize("sealed", ["nonsense", "gAAAAA==", "\u2603"])
def test_a_forged_one_leads_home(browser: Browser, people: People, sealed: str) -> None:
    browser.get("/sign-in")
    browser.post("/sign-in", {"email": people.ada.email, "password": PASSWORD, "again": sealed})
    assert browser.url == "/"


def test_passwords_are_never_kept(browser: Browser, people: People) -> None:
    people.sign_in_by_form(browser, people.ada)
    browser.get("/settings/password")
    with later(hours=2, minutes=1):
        browser.submit(current=PASSWORD, password="saging tsinelas", again="saging tsinelas", status=302, follow=False)
    assert browser.response is not None and browser.response.headers["Location"] == "/sign-in"


def test_a_long_text_and_a_file_are_not_carried_along(browser: Browser, people: People) -> None:
    people.sign_in_by_form(browser, people.ada)
    browser.get("/classes/import")
    with later(hours=2, minutes=1):
        browser.submit(file=(b"LRN\n", "roster.csv"), status=302, follow=False)
        people.sign_in_by_form(browser, people.ada)
        browser.get("/classes/sections/new")
    with later(hours=5):
        browser.submit(grade_level="8", name="x" * 70_000, status=302, follow=False)


def test_an_ended_session_lets_nobody_change_anything(browser: Browser, other: Browser, people: People) -> None:
    people.sign_in_by_form(browser, people.ada)
    people.sign_in_by_form(other, people.ada)
    browser.get("/classes/sections/new")
    other.get("/settings")
    other.submit("form[action='/settings/sessions/end']")
    browser.submit(**FORM, status=401)
    assert not sections()


# How long a session lasts


def test_two_hours_without_a_look_end_it_and_half_an_hour_an_admins(
    browser: Browser, other: Browser, people: People
) -> None:
    people.sign_in_by_form(browser, people.ada)
    people.sign_in_by_form(other, people.head)
    with later(minutes=29):
        browser.get("/classes")
        other.get("/classes")
    with later(minutes=61):
        browser.get("/classes")
        other.get("/classes", status=302)
    with later(minutes=61 + 121):
        browser.get("/classes", status=302)


def test_twelve_hours_end_it_whatever_is_done(browser: Browser, people: People) -> None:
    people.sign_in_by_form(browser, people.ada)
    for hour in range(1, 12):
        with later(hours=hour):
            browser.get("/classes")
    with later(hours=12, minutes=1):
        browser.get("/classes", status=302)


def test_a_phone_stays_signed_in_for_thirty_days(browser: Browser, people: People) -> None:
    browser.get("/sign-in")
    browser.submit(email=people.ada.email, password=PASSWORD, remember=True)
    with later(days=29):
        browser.get("/classes")
    with later(days=30, minutes=1):
        browser.get("/classes", status=302)
