"""Many people from a CSV: every row is checked and shown, then all are invited, or nobody."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, func, select

from portal.accounts import service as accounts
from portal.accounts.models import User
from portal.core.db import db
from portal.core.mail.outbox import OutboxMail
from tests.browser import Browser
from tests.people import People

HEAD = "email,name,role,scope,school id\n"
GOOD = HEAD + (
    "Nova.Reyes@r1.deped.gov.ph,Nova  Reyes,Teacher,,300123\npia.cruz@r1.deped.gov.ph,Pia Cruz,admin,school,300123\n"
)
FILE = "form:has([type=file])"


@pytest.fixture
def chief(people: People) -> User:
    return people.person("chief", "Corazon Chua", None, role="admin", scope="region")


@pytest.fixture
def with_mail(app: Flask) -> Iterator[None]:
    before = app.extensions["silid.settings"]
    app.extensions["silid.settings"] = replace(before, mail_url="smtp://mail.silid.test")
    yield
    app.extensions["silid.settings"] = before


def look(browser: Browser, content: str, status: int = 200) -> None:
    browser.get("/admin/people/import")
    browser.submit(FILE, status=status, file=(content.encode(), "people.csv"))


def people_there() -> int:
    return db.session.scalar(select(func.count()).select_from(User)) or 0


def test_all_are_shown_and_then_invited(browser: Browser, people: People, chief: User, with_mail: None) -> None:
    people.sign_in(browser, chief)
    before = people_there()
    look(browser, GOOD)
    assert "2 people are ready to be invited." in browser.text and "Nova Reyes" in browser.text
    assert people_there() == before
    browser.submit("form:has([name=save])")
    assert "2 invitations are on their way." in browser.text
    pia = db.session.scalars(select(User).where(User.email == "pia.cruz@r1.deped.gov.ph")).one()
    nova = db.session.scalars(select(User).where(User.email == "nova.reyes@r1.deped.gov.ph")).one()
    assert (nova.role, nova.scope, nova.full_name) == ("teacher", None, "Nova Reyes")
    assert (pia.role, pia.scope, pia.school_id) == ("admin", "school", people.school.id)
    assert db.session.scalar(select(func.count()).select_from(OutboxMail).where(OutboxMail.kind == "invitation")) == 2


def test_without_a_mail_server_the_links_are_handed_over(browser: Browser, people: People, chief: User) -> None:
    people.sign_in(browser, chief)
    look(browser, GOOD)
    browser.submit("form:has([name=save])")
    links = [str(field["value"]) for field in browser.page.select("input[readonly]")]
    assert len(links) == 2 and "print it or copy the links now" in browser.text
    browser.submit("form[action='/sign-out']")
    browser.get(links[0].removeprefix("https://silid.test"))
    assert "password" in browser.text.lower()


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("nova@gmail.com,Nova,teacher,,300123", "Row 3: “nova@gmail.com” is no address at @r1.deped.gov.ph."),
        ("123456789012@r1.deped.gov.ph,Nova,teacher,,300123", "Row 3: an address of 12 digits is a learner's."),
        ("ada@r1.deped.gov.ph,Ada,teacher,,300123", "Row 3: ada@r1.deped.gov.ph has an account already."),
        ("NOVA.reyes@r1.deped.gov.ph,Nova,teacher,,300123", "Row 3: nova.reyes@r1.deped.gov.ph is in row 2 already."),
        ("x@r1.deped.gov.ph,,teacher,,300123", "Row 3 has no name."),
        ("x@r1.deped.gov.ph,X Y,boss,,300123", "Row 3: the role “boss” is not known."),
        ("x@r1.deped.gov.ph,X Y,teacher,school,300123", "Row 3: a teacher has no scope."),
        ("x@r1.deped.gov.ph,X Y,admin,,300123", "Row 3: the scope “” of an admin is not known."),
        ("x@r1.deped.gov.ph,X Y,admin,region,", "Row 3: an admin of the region is above your own rights."),
        ("x@r1.deped.gov.ph,X Y,teacher,,30012", "Row 3: the school ID “30012” does not have 6 digits."),
        ("x@r1.deped.gov.ph,X Y,teacher,,300999", "Row 3: no open school of yours has the ID 300999."),
    ],
)
def test_one_wrong_row_and_nobody_is_invited(browser: Browser, people: People, row: str, says: str) -> None:
    accounts.get_or_create_school("300999", "Elsewhere High School", "La Union")
    people.sign_in(browser, people.person("div", "Dina Vera", people.school, role="admin", scope="division"))
    content = HEAD + "nova.reyes@r1.deped.gov.ph,Nova Reyes,teacher,,300123\n" + row + "\n"
    before = people_there()
    look(browser, content, status=422)
    assert says in browser.text and not browser.page.select("[name=save]")
    pasted = browser.page.select_one("textarea[name=pasted]")
    assert pasted and row in pasted.text, "to be corrected on the page"
    browser.post("/admin/people/import", {"pasted": content, "save": "yes"}, status=422)
    assert people_there() == before


def test_an_admin_of_a_school_need_not_write_its_id(browser: Browser, people: People) -> None:
    people.sign_in(browser, people.head)
    look(browser, HEAD + "nova@r1.deped.gov.ph,Nova Reyes,teacher,,\n")
    assert "1 person is ready to be invited." in browser.text and people.school.name in browser.text


def test_who_was_invited_between_the_look_and_the_button_stops_it_all(
    browser: Browser, people: People, chief: User
) -> None:
    people.sign_in(browser, chief)
    look(browser, GOOD)
    people.person("pia.cruz", "Pia Cruz", people.school)
    before = people_there()
    browser.submit("form:has([name=save])", status=422)
    assert "pia.cruz@r1.deped.gov.ph has an account already." in browser.text and people_there() == before


def test_a_long_list_is_judged_in_three_statements(app: Flask, browser: Browser, people: People, chief: User) -> None:
    rows = "".join(f"teacher{n}@r1.deped.gov.ph,Teacher {n},teacher,,300123\n" for n in range(200))
    people.sign_in(browser, chief)
    browser.get("/admin/people/import")
    statements: list[str] = []
    event.listen(db.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    browser.submit(FILE, file=((HEAD + rows).encode(), "people.csv"))
    asked: list[Any] = [text for text in statements if text.startswith("SELECT") and "user_sessions" not in text]
    assert len(asked) <= 4, asked
    look(browser, HEAD + rows + "one.more@r1.deped.gov.ph,One More,teacher,,300123\n", status=422)
    assert "More than 200 rows." in browser.text


def test_the_template_has_the_columns_that_are_read(browser: Browser, people: People, chief: User) -> None:
    people.sign_in(browser, chief)
    browser.get("/admin/people/import/template.csv")
    assert browser.response
    content = browser.response.get_data(as_text=True).removeprefix("\ufeff")
    look(browser, content + "nova@r1.deped.gov.ph,Nova Reyes,teacher,,300123\n")
    assert "1 person is ready to be invited." in browser.text
