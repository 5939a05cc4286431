"""Passwords: kept exactly as typed, hashed with argon2id, hashed anew when the parameters have grown."""

from collections.abc import Iterator
from dataclasses import fields, replace

import pytest
from argon2 import extract_parameters
from argon2.low_level import Type
from flask import Flask
from sqlalchemy import select

from portal import create_app
from portal.accounts.models import User
from portal.accounts.sign_in import passwords
from portal.config import Settings
from portal.core.db import db
from tests.browser import Browser
from tests.conftest import Client, settings_for
from tests.people import PASSWORD, People, expire_orm_state

LONG = "saging tsinelas kalabaw ulap bundok"


def stored(user: User) -> str:
    expire_orm_state()
    return db.session.scalars(select(User.password_hash).where(User.id == user.id)).one() or ""


def change(browser: Browser, old: str, new: str, status: int = 200) -> None:
    browser.get("/settings/password")
    browser.submit(current=old, password=new, again=new, status=status)


def sign_in(browser: Browser, user: User, password: str, status: int = 200) -> None:
    browser.get("/sign-in")
    browser.submit(email=user.email, password=password, status=status)


def test_long_ones_with_any_signs_are_taken_and_kept_exactly(app: Flask, people: People) -> None:
    old = PASSWORD
    for new in (LONG + "x" * (64 - len(LONG)), (LONG + " 🐃🍌 ")[:42] * 3 + "ñ", "  " + LONG + " "):
        browser = Browser(app.test_client())
        sign_in(browser, people.ada, old)
        change(browser, old, new)
        browser.post("/sign-out")
        sign_in(browser, people.ada, new.strip() + "?", status=422)
        sign_in(browser, people.ada, new)
        browser.get("/classes")
        old = new
    browser = Browser(app.test_client())
    sign_in(browser, people.ada, old.strip(), status=422)


def test_weak_ones_are_refused_in_words(browser: Browser, people: People) -> None:
    sign_in(browser, people.ada, PASSWORD)
    for weak, words in (
        ("a" * 7, "12 characters"),
        ("password123", "12 characters"),
        ("deped2026deped", "easy to guess"),
    ):
        change(browser, PASSWORD, weak, status=422)
        assert words in browser.text


@pytest.fixture
def portal_of_live_strength(app: Flask) -> Iterator[Flask]:
    """The portal on the same database, with the costs of a hash as `Settings` has them."""
    settings = settings_for(app.config["SQLALCHEMY_DATABASE_URI"], "http://127.0.0.1:9")
    costs = {one.name: one.default for one in fields(Settings) if one.name.startswith("argon2_")}
    made = create_app(replace(settings, **costs))
    made.testing = True
    made.test_client_class = Client
    made.config["HOSTS"] |= {"localhost"}
    yield made
    with made.app_context():
        db.session.remove()
        db.engine.dispose()


def test_the_hash_is_argon2id_of_owasps_strength(portal_of_live_strength: Flask) -> None:
    with portal_of_live_strength.app_context():
        found = extract_parameters(passwords.hash_password(PASSWORD))
    assert found.type is Type.ID and found.memory_cost >= 19456 and found.time_cost >= 2 and found.parallelism == 1


def test_a_weaker_hash_of_before_is_made_anew_at_the_next_sign_in(
    portal_of_live_strength: Flask, people: People
) -> None:
    weak = stored(people.ada)
    assert extract_parameters(weak).memory_cost < 19456
    browser = Browser(portal_of_live_strength.test_client())
    sign_in(browser, people.ada, PASSWORD)
    assert stored(people.ada) != weak and extract_parameters(stored(people.ada)).memory_cost >= 19456
    browser.post("/sign-out")
    sign_in(browser, people.ada, PASSWORD)
    browser.get("/classes")


def test_a_new_password_gives_this_browser_a_new_cookie(browser: Browser, people: People) -> None:
    sign_in(browser, people.ada, PASSWORD)
    before = browser.client.get_cookie("__Host-session")
    change(browser, PASSWORD, LONG)
    after = browser.client.get_cookie("__Host-session")
    assert before and after and before.value != after.value
    thief = browser.client.application.test_client()
    thief.set_cookie("__Host-session", before.value, secure=True)
    assert thief.get("/classes").status_code == 302
