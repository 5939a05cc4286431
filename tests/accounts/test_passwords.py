"""Passwords: kept exactly as typed, hashed with argon2id, hashed anew when the parameters have grown."""

from argon2 import PasswordHasher, extract_parameters
from argon2.low_level import Type
from flask import Flask
from sqlalchemy import select

from portal.accounts.models import User
from portal.core.db import db, write_transaction
from tests.browser import Browser
from tests.people import PASSWORD, People, look_again

LONG = "saging tsinelas kalabaw ulap bundok"


def stored(user: User) -> str:
    look_again()
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


def test_the_hash_is_argon2id_of_owasps_strength(people: People) -> None:
    found = extract_parameters(stored(people.ada))
    assert found.type is Type.ID and found.memory_cost >= 19456 and found.time_cost >= 2 and found.parallelism == 1


def test_a_weaker_hash_of_before_is_made_anew_at_the_next_sign_in(browser: Browser, people: People) -> None:
    weak = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash(PASSWORD)
    with write_transaction():
        db.session.get_one(User, people.ada.id).password_hash = weak
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
