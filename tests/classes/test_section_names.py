"""Sections keep the name that was written; two spellings of one name are one section; a section can be renamed."""

from datetime import datetime

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select

from portal.classes import queries
from portal.classes import service as classes
from portal.classes.models import Section
from portal.classes.section_names import fold_section_name, normalise_grade_level
from portal.core import clock
from portal.core.audit_log import AuditEntry
from portal.core.db import db, write_transaction
from portal.demo.school_data import JADEITE
from tests.browser import Browser
from tests.fixtures.build_sf1 import build
from tests.people import People, expire_orm_state

NOVEMBER = datetime(2026, 11, 24, 9, tzinfo=clock.MANILA)


@pytest.fixture(autouse=True)
def november() -> object:
    with time_machine.travel(NOVEMBER, tick=False) as traveller:
        yield traveller


@pytest.mark.parametrize(
    ("text", "grade"),
    [
        *((text, "Grade 8") for text in ("8", "08", "Gr. 8", "GR 8", "G8", "Grade-8", "VIII", "viii", "Grade VIII")),
        *((text, "Grade 8") for text in ("  grade \t 8 ", "GRADE 8", "Grade 8 (Year II)", "Baitang 8", "grade 8.")),
        ("V", "Grade 5"),
        ("XI", "Grade 11"),
        ("12", "Grade 12"),
        ("K", "Kindergarten"),
        ("kinder", "Kindergarten"),
        ("Grade 7 & 8", "Grade 7 & 8"),
        ("13", "13"),
        ("Grade 0", "Grade 0"),
        ("SNED  B", "SNED B"),
        ("Grade 11 - STEM", "Grade 11 - STEM"),
        ("IIX", "IIX"),
        ("", ""),
    ],
)
def test_a_grade_level_is_known_in_every_spelling(text: str, grade: str) -> None:
    assert normalise_grade_level(text) == grade
    assert normalise_grade_level(grade) == grade


@pytest.mark.parametrize(
    "spelling", ["ST. JOHN PAUL II", "St John Paul II", "st.john  paul ii", "ST.JOHN PAUL II.", "Sť. Jöhn Paul II"]
)
def test_spellings_of_one_name_fold_alike(spelling: str) -> None:
    assert fold_section_name(spelling) == fold_section_name("St. John Paul II")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Our Lady's", "OUR LADY’S", True),
        ("Peñaflor", "PENAFLOR", True),
        ("A-1", "a – 1", True),
        ("A", "A+", False),
        ("John Paul I", "John Paul II", False),
        ("Jadeite", "Jade", False),
    ],
)
def test_what_distinguishes_names(one: str, other: str, same: bool) -> None:
    assert (fold_section_name(one) == fold_section_name(other)) is same


def import_sf1(browser: Browser, section: str, grade: str = "Grade 8 (Year II)") -> None:
    """Upload a School Form 1 of a section of that name, and confirm."""
    data = build(JADEITE, learners=JADEITE.learners[:3], spoil={"AE4": grade, "AM4": section})
    browser.get("/classes/import")
    browser.submit("form:has([name=file])", file=(data, "SF1.xls"))
    browser.submit("form[action$=confirm]")
    expire_orm_state()


@pytest.mark.parametrize("name", ["ST. JOHN PAUL II", "MacArthur III", "OUR LADY'S"])
def test_an_import_keeps_the_name_of_the_form(browser: Browser, people: People, name: str) -> None:
    people.sign_in(browser, people.ada)
    import_sf1(browser, f" {name.replace(' ', '  ')} ")
    section = db.session.scalars(select(Section)).one()
    assert (section.grade_level, section.name, section.adviser_id) == ("Grade 8", name, people.ada.id)
    entries = select(AuditEntry.action).where(AuditEntry.subject_id == str(section.id)).order_by(AuditEntry.id)
    assert db.session.scalars(entries).all()[:2] == ["created", "imported_roster"], "created, as by hand"


@pytest.mark.parametrize(
    ("grade", "name", "in_form"),
    [("Gr. 8", "Peñaflor", "PENAFLOR"), ("VIII", "St John Paul II", "ST. JOHN PAUL II"), ("8", "jadeite", "JADEITE")],
)
def test_an_import_finds_the_section_in_another_spelling(
    browser: Browser, people: People, grade: str, name: str, in_form: str
) -> None:
    section = people.section(people.ada, name, grade)
    people.sign_in(browser, people.ada)
    import_sf1(browser, in_form)
    assert db.session.scalars(select(Section)).all() == [section]
    assert (section.grade_level, section.name) == ("Grade 8", name), "as it was written first"
    assert len(queries.list_roster(section.id)) == 3


def test_rows_from_before_are_found_by_folded_grade(app: Flask, people: People) -> None:
    section = people.section(people.ada)
    with write_transaction() as session:
        session.merge(section).grade_level = "Gr. VIII"
    found = queries.find_school_section(section.school_id, "2026-2027", "Grade 8", "JADEITE")
    assert found and found.id == section.id


def test_a_section_is_not_opened_twice_in_two_spellings(browser: Browser, people: People) -> None:
    people.section(people.bob, "St. John Paul II")
    people.sign_in(browser, people.ada).get("/classes/sections/new")
    browser.submit("form:has([name=grade_level])", grade_level="8", name="ST JOHN PAUL II", status=422)
    assert "Your school has this section already." in browser.text
    assert browser.page.select_one("[name=name][value='ST JOHN PAUL II']"), "what was typed is kept"
    browser.submit("form:has([name=grade_level])", grade_level="9", name="ST JOHN PAUL II")
    assert "Grade 9 - ST JOHN PAUL II is ready" in browser.text


def test_the_adviser_renames_a_section_and_its_history_is_kept(browser: Browser, people: People) -> None:
    section = people.section(people.ada, "St. John Paul Ii")
    people.learners(section, 1)
    people.sign_in(browser, people.ada).get(f"/classes/sections/{section.id}")
    browser.click("Rename the section")
    assert "Earlier names" not in browser.text
    browser.submit("form:has([name=name])", name="  St. John  Paul II ")
    assert "The section is called Grade 8 - St. John Paul II now." in browser.text
    expire_orm_state()
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "renamed")).one()
    assert (entry.user_id, entry.section_id, entry.subject_type) == (people.ada.id, section.id, "section")
    assert entry.details == {"before": "St. John Paul Ii", "after": "St. John Paul II"}
    browser.get(f"/classes/sections/{section.id}/rename")
    assert "St. John Paul Ii renamed to St. John Paul II on" in browser.text and "by Ada Lovelace" in browser.text
    browser.get(f"/reports/sections/{section.id}/sf2/2026-11")
    assert "St. John Paul II" in browser.text
    browser.get(f"/classes/sections/{section.id}/rename")
    browser.submit("form:has([name=name])")
    assert len(queries.list_section_renamings(section.id)) == 1, "the same name is no change"


def test_a_name_of_another_section_is_refused_and_kept(browser: Browser, people: People) -> None:
    section = people.section(people.ada)
    people.section(people.bob, "Peñaflor")
    people.section(people.bob, "Emerald", "Grade 9")
    people.sign_in(browser, people.ada).get(f"/classes/sections/{section.id}/rename")
    for name, said in (
        ("PENAFLOR", "Your school has Grade 8 - Peñaflor in this school year already"),
        ("", "Write the name of the section."),
        ("x" * 81, "80"),
    ):
        browser.submit("form:has([name=name])", name=name, status=422)
        assert said in browser.text
        field = browser.page.select_one("[name=name]")
        assert field and field["value"] == name
    browser.submit("form:has([name=name])", name="JADEITE")
    assert "The section is called Grade 8 - JADEITE now." in browser.text, "another spelling of its own name"
    browser.get(f"/classes/sections/{section.id}/rename")
    browser.submit("form:has([name=name])", name="Emerald")
    assert "The section is called Grade 8 - Emerald now." in browser.text, "Grade 9's is another"


def test_the_head_renames_and_nobody_else(app: Flask, browser: Browser, people: People) -> None:
    section = people.section(people.ada)
    people.school_class(people.bob, section, "Music")
    people.sign_in(browser, people.head).get(f"/classes/sections/{section.id}/rename")
    browser.submit("form:has([name=name])", name="Ruby")
    assert "Grade 8 - Ruby" in browser.text
    bob = people.sign_in(Browser(app.test_client()), people.bob)
    bob.get(f"/classes/sections/{section.id}/rename", status=403)
    bob.get(f"/classes/sections/{section.id}")
    assert "Rename the section" not in bob.text


def test_the_next_year_has_a_section_in_whichever_spelling(app: Flask, people: People) -> None:
    section = people.section(people.ada, "St. John Paul II")
    people.section(people.ada, "Ruby")
    classes.create_section(people.bob, grade_level="VIII", name="ST JOHN PAUL II", school_year="2027-2028")
    names = [found.name for found in queries.list_sections_without_successor(people.ada, section.school_year)]
    assert names == ["Ruby"]
