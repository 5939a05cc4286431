"""Addresses in a roster file: only those of the school's domain are kept, and the others are told of, row by row."""

from unicodedata import normalize

import pytest
from sqlalchemy import select

from portal.classes.models import Learner, Section
from portal.core.db import db
from tests.browser import Browser
from tests.people import People, expire_orm_state

HEADER = "LRN\tLastName\tFirstName\tMiddleName\tExtension\tSex\tEmail\tRemarks"
LRN = "300123299001"


@pytest.fixture
def jadeite(people: People) -> Section:
    return people.section(people.ada)


@pytest.fixture
def ada(browser: Browser, people: People) -> Browser:
    return people.sign_in(browser, people.ada)


def upload(browser: Browser, section: Section, *rows: str) -> None:
    browser.get(f"/classes/sections/{section.id}/import")
    browser.submit(button="Read the file", pasted="\n".join([HEADER, *rows]))


def kept(lrn: str | None = LRN) -> Learner:
    expire_orm_state()
    return db.session.scalars(select(Learner).where(Learner.lrn == lrn)).one()


def test_an_address_of_the_school_is_kept_in_lower_case(ada: Browser, jadeite: Section) -> None:
    upload(ada, jadeite, f"{LRN}\tABAD\tANA\t\t\tF\t Ana.Abad@R1.DepEd.gov.ph \t")
    assert "is left out" not in ada.text
    ada.submit("#answers")
    assert kept().email == "ana.abad@r1.deped.gov.ph"


@pytest.mark.parametrize(
    "address",
    [
        "ana.abad@gmail.com",
        "ana@sub.r1.deped.gov.ph",
        "ana@r1.deped.gov.ph.evil.com",
        "\u212aa@r1.deped.gov.ph",  # the Kelvin sign, which lowers to k
        "a\uff4ea@r1.deped.gov.ph",
        "no_address",
    ],
)
def test_another_is_left_out_and_the_learner_is_not(ada: Browser, jadeite: Section, address: str) -> None:
    upload(ada, jadeite, f"{LRN}\tABAD\tANA\t\t\tF\t{address}\t")
    assert (
        f"Row 2, EMAIL: {normalize('NFC', address)} is left out: only @r1.deped.gov.ph addresses can join" in ada.text
    )
    assert f"else with {LRN}@r1.deped.gov.ph" in ada.text
    ada.submit("#answers")
    assert kept().email is None


def test_one_without_lrn_is_kept_too(ada: Browser, jadeite: Section) -> None:
    upload(ada, jadeite, "\tABAD\tANA\t\t\tF\tana@gmail.com\tPending TI")
    assert "ana@gmail.com is left out" in ada.text
    assert "as soon as the LRN is known" in ada.text
    ada.submit("#answers")
    assert kept(None).email is None


def test_one_that_siblings_share_is_told_of_once_a_row(ada: Browser, jadeite: Section) -> None:
    rows = [f"30012329900{number}\tABAD\t{name}\t\t\tF\tmama@gmail.com\t" for number, name in ((1, "ANA"), (2, "BEA"))]
    upload(ada, jadeite, *rows)
    [listed] = ada.page.select("main .note ul")
    assert len(listed.select("li")) == 2
    assert "Each learner needs one of their own" not in ada.text


def test_an_address_that_is_known_stays(ada: Browser, jadeite: Section) -> None:
    for address in ("ana.abad@r1.deped.gov.ph", "ana@gmail.com"):
        upload(ada, jadeite, f"{LRN}\tABAD\tANA\t\t\tF\t{address}\t")
        ada.submit("#answers")
    assert kept().email == "ana.abad@r1.deped.gov.ph"
