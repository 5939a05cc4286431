"""Schools: who sees which, and who adds, changes and closes them."""

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, select

from portal.accounts import service as accounts
from portal.accounts.models import AccountRequest, School, User
from portal.core.audit_log import AuditEntry
from portal.core.db import db
from tests.browser import Browser
from tests.people import People, run_jobs

FORM = "form:has([name=deped_id])"


@pytest.fixture
def chief(people: People) -> User:
    return people.person("chief", "Corazon Chua", None, role="admin", scope="region")


@pytest.fixture
def division(people: People) -> User:
    return people.person("div", "Dina Vera", people.school, role="admin", scope="division")


@pytest.fixture
def elsewhere(people: People) -> School:
    return accounts.get_or_create_school("300999", "Elsewhere High School", "La Union")


def test_the_list_counts_teachers_sections_and_learners(
    browser: Browser, people: People, chief: User, elsewhere: School
) -> None:
    people.learners(people.section(people.ada), 3)
    people.sign_in(browser, chief)
    browser.get("/admin/schools")
    assert "2 schools" in browser.text
    assert "2 teachers, 1 section, 3 learners" in browser.text and "0 teachers, 0 sections, 0 learners" in browser.text
    browser.get("/admin/schools?q=la union high")
    assert "1 school" in browser.text and "300999" in browser.text and "300123" not in browser.text
    browser.get("/admin/schools?q=%25")
    assert "No school found" in browser.text


@pytest.mark.parametrize(("who", "seen"), [("chief", 2), ("division", 1), ("head", 1)])
def test_everybody_sees_the_schools_of_her_scope(
    browser: Browser, people: People, chief: User, division: User, elsewhere: School, who: str, seen: int
) -> None:
    person = {"chief": chief, "division": division, "head": people.head}[who]
    people.sign_in(browser, person)
    browser.get("/admin/schools")
    assert len(browser.page.select("main .ruled > li")) == seen
    browser.get(f"/admin/schools/{elsewhere.id}", status=200 if who == "chief" else 404)


def test_a_school_is_added_and_a_divisions_name_is_not_doubled(browser: Browser, people: People, chief: User) -> None:
    people.sign_in(browser, chief)
    browser.get("/admin/schools/new")
    assert browser.page.select_one("datalist option[value='Ilocos Norte']")
    browser.submit(FORM, name="Batac  NHS", deped_id="300777", division="ilocos norte")
    made = db.session.scalars(select(School).where(School.deped_id == "300777")).one()
    assert (made.name, made.division) == ("Batac NHS", "Ilocos Norte")
    assert db.session.scalar(select(AuditEntry.action).where(AuditEntry.subject_id == str(made.id))) == "added"


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"deped_id": "12345"}, "The school ID has 6 digits."),
        ({"deped_id": "３００７７７"}, "The school ID has 6 digits."),
        ({"deped_id": "300123"}, "Another school has this ID."),
        ({"name": " "}, "Write the school's name."),
        ({"division": ""}, "Write the division."),
    ],
)
def test_what_is_wrong_is_said_at_the_field_and_kept(
    browser: Browser, people: People, chief: User, fields: dict[str, str], says: str
) -> None:
    people.sign_in(browser, chief)
    browser.get("/admin/schools/new")
    good: dict[str, Any] = {"name": "Batac NHS", "deped_id": "300777", "division": "Ilocos Norte"}
    browser.submit(FORM, status=422, **{**good, **fields})
    assert says in browser.text
    assert "name" in fields or browser.page.select_one("[name=name][value='Batac NHS']")
    assert len(list(db.session.scalars(select(School)))) == 1


def test_an_admin_of_a_division_adds_to_her_own(
    browser: Browser, people: People, division: User, elsewhere: School
) -> None:
    people.sign_in(browser, division)
    browser.get("/admin/schools/new")
    assert not browser.page.select("[name=division]")
    browser.post("/admin/schools/new", {"name": "Batac NHS", "deped_id": "300777", "division": "La Union"})
    assert db.session.scalar(select(School.division).where(School.deped_id == "300777")) == "Ilocos Norte"
    browser.post(f"/admin/schools/{elsewhere.id}", {"name": "Mine", "deped_id": "300999"}, status=404)


def test_a_school_is_changed_and_cannot_take_anothers_id(
    browser: Browser, people: People, chief: User, elsewhere: School
) -> None:
    people.sign_in(browser, chief)
    browser.get(f"/admin/schools/{elsewhere.id}")
    browser.submit(FORM, name="Agoo High School")
    assert "Saved." in browser.text and "Agoo High School" in browser.text
    browser.submit(FORM, status=422, deped_id="300123")
    assert "Another school has this ID." in browser.text
    assert db.session.scalar(select(School.deped_id).where(School.id == elsewhere.id)) == "300999"


def test_the_head_of_a_school_looks_only(browser: Browser, people: People) -> None:
    people.sign_in(browser, people.head)
    browser.get(f"/admin/schools/{people.school.id}")
    assert "Teachers" in browser.text and not browser.page.select("main form")
    browser.post(f"/admin/schools/{people.school.id}/close", status=403)
    browser.get("/admin/schools/new", status=403)
    assert people.school.closed_at is None


def test_a_closed_school_takes_nobody_new_and_keeps_its_people(
    app: Flask, browser: Browser, people: People, chief: User
) -> None:
    people.sign_in(browser, chief)
    browser.get(f"/admin/schools/{people.school.id}")
    browser.submit("[action$='/close']")
    assert "Closed since" in browser.text
    browser.get("/admin/schools")
    assert "No school found" in browser.text
    browser.get("/admin/schools?show=closed")
    assert "300123" in browser.text
    browser.get("/admin/people/invite")
    browser.submit(
        "form:has([name=full_name])", status=422, email="nova@r1.deped.gov.ph", full_name="Nova Cruz", school="300123"
    )
    assert "No open school of yours has this ID." in browser.text
    browser.get(f"/admin/people/{people.bob.id}")
    browser.submit("form:has([name=role])", role="school")
    assert "Saved." in browser.text
    asking = Browser(app.test_client())
    asking.get("/ask-for-account")
    asking.submit(email="new@r1.deped.gov.ph", full_name="New Person", school="300123")
    run_jobs(app)
    assert db.session.scalars(select(AccountRequest)).one().school_id is None
    browser.get(f"/admin/schools/{people.school.id}")
    browser.submit("[action$='/reopen']")
    assert "The school is open again." in browser.text
    browser.submit("form[action='/sign-out']")
    people.sign_in(browser, people.ada)
    browser.get("/classes")


def test_many_schools_are_read_in_as_few_statements_as_one(
    app: Flask, browser: Browser, people: People, chief: User
) -> None:
    for number in range(60):
        accounts.get_or_create_school(f"3100{number:02d}", f"School {number}", "Ilocos Norte")
    people.sign_in(browser, chief)
    statements: list[str] = []
    event.listen(db.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    browser.get("/admin/schools")
    asked = [text for text in statements if text.startswith("SELECT") and "user_sessions" not in text]
    assert len(asked) <= 6, asked
    assert "Page 1 of 2" in browser.text
    browser.click("Next")
    assert len(browser.page.select("main .ruled > li")) == 11
