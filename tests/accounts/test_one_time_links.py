"""Invitations, resets and new addresses: links that work once, for a short time, and never by looking."""

from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import func, select

from portal.accounts.auth_requests import process_pending_requests
from portal.accounts.models import AccountRequest, OneTimeLink, User
from portal.accounts.sign_in import passwords
from portal.core import clock
from portal.core.db import db
from tests.accounts.conftest import Letters
from tests.browser import Browser
from tests.people import PASSWORD, People, expire_orm_state

GOOD = "saging tsinelas kalabaw ulap"


def forgot(browser: Browser, email: str) -> str:
    browser.get("/forgot-password")
    browser.submit(email=email)
    said = browser.text
    process_pending_requests()
    expire_orm_state()
    return said


def test_a_reset_link_works_once_and_not_by_looking(browser: Browser, people: People, letters: Letters) -> None:
    forgot(browser, people.ada.email)
    [letter] = letters()
    for _ in range(3):
        browser.get(letter["link"])
    browser.submit(password=GOOD, again=GOOD)
    browser.get(letter["link"], status=410)
    people.sign_in_by_form(browser, people.bob)
    browser.post("/sign-out")
    browser.get("/sign-in")
    browser.submit(email=people.ada.email, password=GOOD)
    browser.get("/classes")


def test_known_and_unknown_get_the_same_page(browser: Browser, people: People, letters: Letters) -> None:
    assert forgot(browser, people.ada.email) == forgot(browser, "nobody@r1.deped.gov.ph")
    assert [letter["to"] for letter in letters()] == [people.ada.email]


def test_a_newer_link_ends_the_older(browser: Browser, people: People, letters: Letters) -> None:
    forgot(browser, people.ada.email)
    forgot(browser, people.ada.email)
    old, new = letters()
    browser.get(old["link"], status=410)
    browser.get(new["link"])


def over(browser: Browser, link: str) -> str:
    """What a link says that is not good any more, opened or sent."""
    token = link.partition("token=")[2]
    browser.get(link, status=410)
    seen = browser.text
    browser.get("/forgot-password")
    browser.post("/choose-password", {"token": token, "password": GOOD, "again": GOOD}, status=410)
    assert browser.text == seen
    return seen


def test_a_reset_link_dies_after_ten_minutes(browser: Browser, people: People, letters: Letters) -> None:
    asked = clock.now()
    with time_machine.travel(asked, tick=False) as now:
        forgot(browser, people.ada.email)
        [letter] = letters()
        now.move_to(asked + timedelta(minutes=9, seconds=59))
        browser.get(letter["link"])
        now.move_to(asked + timedelta(minutes=10, seconds=1))
        over(browser, letter["link"])


def test_every_link_that_is_not_good_any_more_says_the_same(
    browser: Browser, other: Browser, people: People, letters: Letters
) -> None:
    said = [over(browser, "/choose-password?token=nothing-of-ours")]
    forgot(browser, people.bob.email)
    forgot(browser, people.bob.email)
    said.append(over(browser, letters()[0]["link"]))
    browser.get(letters()[1]["link"])
    browser.submit(password=GOOD, again=GOOD)
    said.append(over(browser, letters()[1]["link"]))
    people.sign_in_by_form(other, people.ada)
    other.get("/settings/address")
    other.submit(email="ada.byron@r1.deped.gov.ph", current=PASSWORD)
    [to_confirm] = [letter for letter in letters() if letter["to"] == "ada.byron@r1.deped.gov.ph"]
    forgot(browser, people.ada.email)
    before_the_change = letters()[-1]
    browser.get(to_confirm["link"])
    browser.submit()
    said.append(over(browser, before_the_change["link"]))
    assert len(set(said)) == 1


def test_a_link_is_for_whom_it_was_made(browser: Browser, people: People, letters: Letters) -> None:
    forgot(browser, people.ada.email)
    token = letters()[0]["link"].partition("token=")[2]
    bob = people.bob
    more = {"user_id": str(bob.id), "email": bob.email}
    browser.post("/choose-password", {"token": token, "password": GOOD, "again": GOOD, **more})
    browser.get("/sign-in")
    browser.submit(email=bob.email, password=GOOD, status=422)
    people.sign_in_by_form(browser, bob)
    browser.get("/classes")


def test_a_link_of_one_kind_does_not_do_the_others_work(browser: Browser, people: People, letters: Letters) -> None:
    forgot(browser, people.ada.email)
    token = letters()[0]["link"].partition("token=")[2]
    browser.get(f"/confirm-address?token={token}", status=410)


def test_a_mail_scanner_uses_nothing_up(browser: Browser, people: People, letters: Letters) -> None:
    forgot(browser, people.ada.email)
    link = letters()[0]["link"]
    for _ in range(3):
        assert browser.client.head(link).status_code == 200
    answer = browser.client.get(link)
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    browser.get(link)
    browser.submit(password=GOOD, again=GOOD)
    over(browser, link)


@pytest.mark.parametrize("path", ["/choose-password", "/confirm-address"])
def test_guessing_links_is_slowed_and_good_ones_are_not(
    browser: Browser, people: People, letters: Letters, path: str
) -> None:
    forgot(browser, people.ada.email)
    [letter] = letters()
    answers = [browser.client.get(f"{path}?token=guess{number}").status_code for number in range(70)]
    assert answers == [410] * 60 + [429] * 10
    answer = browser.client.get(f"{path}?token=another")
    assert answer.status_code == 429 and int(answer.headers["Retry-After"]) > 0
    assert browser.client.get(letter["link"]).status_code == 200, "a school may have one address"
    browser.get(letter["link"])
    browser.submit(password=GOOD, again=GOOD)
    assert len(letter["link"].partition("token=")[2]) >= 43, "256 random bits"


def test_only_a_hash_of_the_link_is_kept(browser: Browser, people: People, letters: Letters) -> None:
    forgot(browser, people.ada.email)
    token = letters()[0]["link"].partition("token=")[2]
    assert token and db.session.scalars(select(OneTimeLink)).one().token_hash != token


def test_the_hosts_name_is_not_taken_from_the_request(browser: Browser, people: People, letters: Letters) -> None:
    browser.get("/forgot-password")
    token = browser.page.select_one("[name=csrf_token]")["value"]
    browser.client.post(
        "/forgot-password",
        data={"email": people.ada.email, "csrf_token": token},
        headers={"Host": "evil.example", "X-Forwarded-Host": "evil.example"},
    )
    assert all("evil" not in letter["text"] for letter in letters())


def test_a_new_password_ends_all_sessions(browser: Browser, other: Browser, people: People, letters: Letters) -> None:
    people.sign_in_by_form(other, people.ada)
    forgot(browser, people.ada.email)
    browser.get(letters()[0]["link"])
    browser.submit(password=GOOD, again=GOOD)
    other.get("/classes", status=302)


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("short one", "short"),
        ("x" * 300, "long"),
        ("password1234", "common"),
        ("P@ssw0rd2026!", "common"),
        ("qwertyuiop123", "common"),
        ("aaaaaaaaaaaaaa", "common"),
        ("DepEdTeacher2026", "common"),
        ("abcabcabcabc", "common"),
        ("Lovelace-Ada-77", "personal"),
        ("correct horse battery", None),
        (GOOD, None),
        ("kT7#pq9Lm2xv", None),
    ],
)
def test_easy_passwords_are_refused(password: str, reason: str | None) -> None:
    assert passwords.password_weakness(password, "Ada Lovelace", "ada") == reason


def test_a_weak_password_is_explained_and_the_link_lives_on(browser: Browser, people: People, letters: Letters) -> None:
    forgot(browser, people.ada.email)
    browser.get(letters()[0]["link"])
    browser.submit(password="password2026", again="password2026", status=422)
    assert "easy to guess" in browser.text
    browser.submit(password=GOOD, again=GOOD + "x", status=422)
    browser.submit(password=GOOD, again=GOOD)


# Asking for an account


def ask(browser: Browser, email: str, school: str = "300123", status: int = 200) -> str:
    browser.get("/ask-for-account")
    browser.submit(full_name="Cora Peña", email=email, school=school, status=status)
    said = browser.text
    process_pending_requests()
    expire_orm_state()
    return said


def test_asking_says_the_same_to_known_and_unknown(browser: Browser, people: People, letters: Letters) -> None:
    assert ask(browser, people.ada.email) == ask(browser, "cora@r1.deped.gov.ph")
    [letter] = letters()
    assert letter["to"] == people.ada.email and "already" in letter["subject"]


def test_asking_twice_is_one_request(browser: Browser, people: People) -> None:
    ask(browser, "A.b@r1.deped.gov.ph")
    ask(browser, "a.B@r1.deped.gov.ph")
    assert db.session.scalar(select(func.count()).select_from(AccountRequest)) == 1


@pytest.mark.parametrize(
    "email",
    [
        "136425140001@r1.deped.gov.ph",
        "juan@deped.gov.ph",
        "juan@evilr1.deped.gov.ph",
        "juan+x@r1.deped.gov.ph",
        "juan@r1.deped.gov.ph,x@evil.com",
        "juan@r1.deped.gov.p\u00adh",
        "=?utf-8?q?x=40evil.com=3e?=@r1.deped.gov.ph",
    ],
)
def test_addresses_outside_the_rule_are_refused_everywhere(
    browser: Browser, people: People, letters: Letters, email: str
) -> None:
    ask(browser, email, status=422)
    if not email[0].isdigit():
        browser.get("/forgot-password")
        browser.submit(email=email, status=422)
    people.sign_in_by_form(browser, people.head)
    browser.get("/admin/people/invite")
    browser.submit(full_name="X Y", email=email, status=422)
    assert not letters() and db.session.scalar(select(func.count()).select_from(AccountRequest)) == 0


def test_an_approved_person_chooses_a_password_and_signs_in(
    browser: Browser, other: Browser, people: People, letters: Letters
) -> None:
    ask(other, "cora@r1.deped.gov.ph")
    people.sign_in_by_form(browser, people.head)
    browser.get("/admin/people")
    browser.submit("form[action$=approve]")
    [letter] = letters()
    assert letter["to"] == "cora@r1.deped.gov.ph" and letter["link"] in browser.text
    other.get(letter["link"])
    other.submit(password=GOOD, again=GOOD)
    other.get("/sign-in")
    other.submit(email="cora@r1.deped.gov.ph", password=GOOD)
    other.get("/classes")
    cora = db.session.scalars(select(User).where(User.email == "cora@r1.deped.gov.ph")).one()
    assert (cora.role, cora.school_id) == ("teacher", people.school.id)


# The address and the password of one's own


def test_a_new_address_is_confirmed_there(browser: Browser, people: People, letters: Letters) -> None:
    people.sign_in_by_form(browser, people.ada)
    browser.get("/settings/address")
    browser.submit(email="ada.byron@r1.deped.gov.ph", current="not this one at all", status=422)
    browser.submit(email="ada.byron@r1.deped.gov.ph", current=PASSWORD)
    [letter] = letters()
    assert letter["to"] == "ada.byron@r1.deped.gov.ph"
    browser.get(letter["link"])
    browser.submit()
    notice = letters()[-1]
    assert notice["to"] == "ada@r1.deped.gov.ph" and "ada.byron@r1.deped.gov.ph" in notice["text"]
    browser.get(letter["link"], status=410)
    browser.get("/classes", status=302)
    browser.get("/sign-in")
    browser.submit(email="ada.byron@r1.deped.gov.ph", password=PASSWORD)
    browser.get("/classes")


def test_a_new_address_keeps_the_domain_rule(browser: Browser, people: People, letters: Letters) -> None:
    people.sign_in_by_form(browser, people.ada)
    browser.get("/settings/address")
    for email in ("x@evil.com", "136425140001@r1.deped.gov.ph"):
        browser.submit(email=email, current=PASSWORD, status=422)
    assert not letters()


def test_somebody_elses_address_gets_no_letter(browser: Browser, people: People, letters: Letters) -> None:
    people.sign_in_by_form(browser, people.ada)
    browser.get("/settings/address")
    browser.submit(email=people.bob.email, current=PASSWORD)
    assert not letters()


def test_changing_the_password_signs_other_devices_out(
    browser: Browser, other: Browser, people: People, letters: Letters
) -> None:
    people.sign_in_by_form(browser, people.ada)
    people.sign_in_by_form(other, people.ada)
    browser.get("/settings/password")
    browser.submit(current=PASSWORD, password="adalovelace99", again="adalovelace99", status=422)
    browser.submit(current=PASSWORD, password=GOOD, again=GOOD)
    browser.get("/classes")
    other.get("/classes", status=302)
    assert "changed" in letters()[0]["subject"]
