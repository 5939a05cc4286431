"""Admins manage people within their scope, never above themselves; sessions end when rights do."""

import pytest
from sqlalchemy import select

from portal.accounts import service as accounts
from portal.accounts.models import User, surname_of
from portal.accounts.users import service as rules
from portal.core.db import db
from tests.accounts.conftest import Letters
from tests.browser import Browser
from tests.people import PASSWORD, People, expire_orm_state

FORM = {"full_name": "Cora Peña", "email": "cora@r1.deped.gov.ph", "school": "300123"}


@pytest.fixture
def far(people: People) -> User:
    """A teacher of a school in another division."""
    return people.person("far", "Fara Way", accounts.get_or_create_school("300999", "Far School", "La Union"))


def send(browser: Browser, path: str, data: dict[str, str] | None = None, *, status: int) -> None:
    """A form that no page offers."""
    browser.get("/settings")
    browser.post(path, data, status=status)


def test_an_invited_person_is_mailed_once(browser: Browser, people: People, letters: Letters) -> None:
    people.sign_in(browser, people.head)
    browser.get("/admin/people/invite")
    browser.submit(**FORM)
    browser.get("/admin/people/invite")
    browser.submit(**{**FORM, "email": "CORA@R1.deped.gov.ph"}, status=422)
    assert "account already" in browser.text and len(letters()) == 1
    browser.get("/admin/people?q=cora")
    assert "1 person" in browser.text and "Invited" in browser.text


def test_teachers_have_no_people_page(browser: Browser, people: People) -> None:
    people.sign_in(browser, people.ada)
    for path in ("", "/invite", f"/{people.bob.id}"):
        browser.get(f"/admin/people{path}", status=403)
    send(browser, f"/admin/people/{people.bob.id}/deactivate", status=403)
    assert db.session.get_one(User, people.bob.id).is_active


def test_another_schools_people_are_not_there(browser: Browser, people: People, far: User) -> None:
    people.sign_in(browser, people.head)
    browser.get("/admin/people")
    assert "Fara Way" not in browser.text
    browser.get(f"/admin/people/{far.id}", status=404)
    for what in ("role", "link", "deactivate", "reactivate", "sign-out", "remove-codes"):
        send(browser, f"/admin/people/{far.id}/{what}", status=404)
    browser.get("/admin/people/invite")
    browser.submit(**{**FORM, "school": "300999"}, status=422)


def test_nobody_gives_more_than_they_have(browser: Browser, people: People) -> None:
    people.sign_in(browser, people.head)
    page = browser.get("/admin/people/invite")
    assert [field["value"] for field in page.select("[name=role]")] == ["teacher", "school"]
    send(browser, "/admin/people/invite", {**FORM, "role": "region"}, status=422)
    send(browser, f"/admin/people/{people.ada.id}/role", {"role": "division", "school": "300123"}, status=422)
    send(browser, f"/admin/people/{people.head.id}/role", {"role": "school", "school": "300123"}, status=403)
    chief = people.person("chief", "Chief Diaz", people.school, role="admin", scope="division")
    send(browser, f"/admin/people/{chief.id}/deactivate", status=403)


def test_a_deactivated_person_is_out_at_once(browser: Browser, other: Browser, people: People) -> None:
    people.sign_in(other, people.ada)
    people.sign_in(browser, people.head)
    browser.get(f"/admin/people/{people.ada.id}")
    browser.submit("form[action$=deactivate]")
    other.get("/classes", status=302)
    other.get("/sign-in")
    other.submit(email=people.ada.email, password=PASSWORD, status=422)
    browser.submit("form[action$=reactivate]")
    people.sign_in(other, people.ada)
    other.get("/classes")


def test_an_admin_signs_a_person_out_everywhere(browser: Browser, other: Browser, people: People) -> None:
    phone = Browser(other.client.application.test_client())
    people.sign_in(other, people.ada)
    people.sign_in(phone, people.ada)
    people.sign_in(browser, people.head)
    browser.get(f"/admin/people/{people.ada.id}")
    browser.submit("form[action$=sign-out]:not([action='/sign-out'])")
    assert "signed out everywhere" in browser.text
    other.get("/classes", status=302)
    phone.get("/classes", status=302)
    people.sign_in(other, people.ada)
    other.get("/classes")


def test_a_lowered_role_works_at_once(browser: Browser, other: Browser, people: People) -> None:
    second = people.person("second", "Second Head", people.school, role="admin", scope="school")
    people.sign_in(other, second)
    people.sign_in(browser, people.head)
    browser.get(f"/admin/people/{second.id}")
    browser.submit("form[action$=role]", role="teacher")
    other.get("/admin/people", status=302)
    people.sign_in(other, second)
    other.get("/admin/people", status=403)


def test_the_last_admin_of_the_region_stays(people: People) -> None:
    first = people.person("one", "Region One", None, role="admin", scope="region")
    second = people.person("two", "Region Two", None, role="admin", scope="region")
    rules.deactivate_user(first, second)
    with pytest.raises(rules.UserChangeRefused, match="self"):
        rules.deactivate_user(first, first)
    with pytest.raises(rules.UserChangeRefused, match="last"):
        rules.deactivate_user(second, first)


def test_extra_fields_of_the_settings_form_change_nothing(browser: Browser, people: People) -> None:
    people.sign_in(browser, people.ada)
    browser.get("/settings")
    more = {"role": "admin", "scope": "region", "email": "x@r1.deped.gov.ph", "is_active": "1", "school_id": ""}
    browser.post("/settings", {"full_name": "Ada Byron", **more})
    expire_orm_state()
    ada = db.session.scalars(select(User).where(User.id == people.ada.id)).one()
    assert (ada.full_name, ada.role, ada.scope, ada.email) == ("Ada Byron", "teacher", None, "ada@r1.deped.gov.ph")


def test_one_device_is_signed_out_from_another(browser: Browser, other: Browser, people: People) -> None:
    people.sign_in(browser, people.ada)
    people.sign_in(other, people.ada)
    browser.get("/settings")
    browser.submit("form[action*='/settings/sessions/'][action$='/end']:not([action='/settings/sessions/end'])")
    other.get("/classes", status=302)
    browser.get("/classes")


def test_somebody_elses_session_is_not_there(browser: Browser, other: Browser, people: People) -> None:
    people.sign_in(other, people.bob)
    from portal.accounts.sign_in.sessions import list_active_sessions

    [his] = list_active_sessions(people.bob)
    people.sign_in(browser, people.ada)
    send(browser, f"/settings/sessions/{his.id}/end", status=404)
    other.get("/classes")


def test_signing_out_everywhere_ends_replayed_cookies(browser: Browser, other: Browser, people: People) -> None:
    people.sign_in(browser, people.ada)
    people.sign_in(other, people.ada)
    browser.get("/settings")
    browser.submit("form[action='/settings/sessions/end']")
    browser.get("/classes", status=302)
    other.get("/classes", status=302)


@pytest.mark.parametrize(
    ("name", "surname"),
    [
        ("Ma. Teresa C. Reyes", "Reyes"),
        ("Kristine Joy B. Agbayani-Delos Santos", "Agbayani-Delos Santos"),
        ("Juan P. dela Cruz, Jr.", "dela Cruz"),
        ("Rosa San Juan", "San Juan"),
        ("Cher", "Cher"),
    ],
)
def test_the_top_of_the_page_bears_the_whole_surname(name: str, surname: str) -> None:
    assert surname_of(name) == surname


def test_a_foreign_address_is_told_together_with_what_else_is_wrong(browser: Browser, people: People) -> None:
    people.sign_in(browser, people.head)
    browser.get("/admin/people/invite")
    browser.submit("main form", status=422, **FORM | {"email": "cora@gmail.com", "full_name": ""})
    assert "Only addresses at @r1.deped.gov.ph can have an account." in browser.text
    assert "Write the person's name." in browser.text
