"""The language: chosen at the door or inside, kept with the account, spoken in letters too."""

from flask import Flask

from portal.core.db import db
from tests.accounts.conftest import Letters
from tests.browser import Browser
from tests.people import PASSWORD, People, expire_orm_state


def language(browser: Browser) -> str:
    page = browser.page.select_one("html")
    assert page is not None
    return str(page["lang"])


def switch(browser: Browser) -> None:
    browser.submit("footer form[action='/language']")


def test_the_language_chosen_at_the_door_is_the_accounts_from_then_on(
    app: Flask, browser: Browser, other: Browser, people: People
) -> None:
    browser.get("/sign-in")
    assert language(browser) == "en"
    switch(browser)
    assert language(browser) == "fil"
    assert "Mag-sign in" in browser.text
    browser.submit(email=people.ada.email, password=PASSWORD)
    assert language(browser) == "fil"
    expire_orm_state()
    assert people.ada.language == "fil"
    people.sign_in_by_form(other, people.ada)
    other.get("/")
    assert language(other) == "fil"


def test_whoever_chose_nothing_keeps_the_language_of_her_account(
    browser: Browser, other: Browser, people: People
) -> None:
    people.sign_in_by_form(browser, people.ada)
    browser.get("/")
    switch(browser)
    browser.submit("form[action='/sign-out']")
    assert language(browser) == "fil", "the door speaks the language of who went out last"
    browser.submit(email=people.bob.email, password=PASSWORD)
    browser.get("/")
    assert language(browser) == "en", "the next person at this computer has their own"
    people.sign_in_by_form(other, people.ada)
    other.get("/")
    assert language(other) == "fil"
    browser.submit("form[action='/sign-out']")
    assert language(browser) == "en"


def test_a_browser_in_filipino_or_tagalog_is_answered_so(browser: Browser) -> None:
    for wanted, spoken in (
        ("fil-PH,fil;q=0.9,en;q=0.8", "fil"),
        ("tl", "fil"),
        ("en-PH,en;q=0.9", "en"),
        ("ilo", "en"),
    ):
        browser.get("/sign-in", headers={"Accept-Language": wanted})
        assert language(browser) == spoken


def test_an_unknown_language_changes_nothing(browser: Browser) -> None:
    browser.get("/sign-in")
    browser.post("/language", {"to": "tlh", "next": "/sign-in"})
    assert language(browser) == "en"


def test_letters_are_in_the_language_of_who_gets_them(browser: Browser, people: People, letters: Letters) -> None:
    people.ada.language = "fil"
    db.session.commit()
    browser.get("/forgot-password")
    browser.submit(email=people.ada.email)
    browser.get("/forgot-password")
    browser.submit(email=people.bob.email)
    adas, bobs = letters()
    assert adas["subject"] == "Bagong password para sa Silid"
    assert "Magandang araw, Ada Lovelace." in adas["text"] and 'lang="fil"' in adas["html"]
    assert bobs["subject"] == "A new password for Silid"


def test_somebody_invited_gets_the_language_of_who_invites(browser: Browser, people: People, letters: Letters) -> None:
    people.head.language = "fil"
    db.session.commit()
    people.sign_in_by_form(browser, people.head)
    browser.get("/admin/people/invite")
    browser.submit(full_name="Cora Diaz", email="cora.diaz@r1.deped.gov.ph")
    [letter] = letters()
    assert letter["subject"] == "Ang iyong Silid account"
