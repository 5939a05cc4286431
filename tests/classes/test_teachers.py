"""Co-teachers come and go; when a teacher leaves, their classes and sections go on with a colleague."""

from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import select

from portal.accounts import service as accounts
from portal.accounts.models import User
from portal.classes.models import SchoolClass, Section, co_teachers
from portal.classes.teachers import service as teachers_service
from portal.core.audit_log import AuditEntry
from portal.core.db import db
from portal.registration.models import MeetingRegistrant
from portal.sandbox.simulation.simulated_zoom import SimulatedZoom
from tests.browser import Browser
from tests.people import People, expire_orm_state, run_jobs, soon


@pytest.fixture
def biology(people: People) -> SchoolClass:
    return people.school_class(people.ada, people.section(people.ada))


@pytest.fixture
def other(app: Flask) -> Browser:
    return Browser(app.test_client())


def registered(meeting_id: UUID) -> set[UUID | None]:
    """The staff who should be registered for a meeting."""
    rows = select(MeetingRegistrant.user_id).where(
        MeetingRegistrant.meeting_id == meeting_id,
        MeetingRegistrant.user_id.is_not(None),
        MeetingRegistrant.is_expected,
    )
    return set(db.session.scalars(rows))


def actions() -> list[str]:
    return list(db.session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)))


def test_a_co_teacher_is_let_in_registered_and_taken_out_again(
    app: Flask, browser: Browser, other: Browser, people: People, world: SimulatedZoom, biology: SchoolClass
) -> None:
    meeting = people.create_registered_meeting(people.ada, biology, soon())
    people.sign_in(other, people.bob)
    other.get(f"/classes/{biology.id}", status=404)
    people.sign_in(browser, people.ada)
    browser.get(f"/classes/{biology.id}")
    browser.click("co-teachers")
    browser.submit("form[action$=teachers]", colleague=people.bob.id)
    assert "Bob Santos teaches this class with you" in browser.page.get_text(" ")
    other.get(f"/classes/{biology.id}")
    run_jobs(app)
    assert registered(meeting.id) == {people.bob.id}
    browser.submit("form[action$=remove]")
    other.get(f"/classes/{biology.id}", status=404)
    run_jobs(app)
    assert registered(meeting.id) == set()
    assert {"added_co_teacher", "removed_co_teacher"} <= set(actions())


def test_a_co_teacher_does_not_say_who_else_teaches(browser: Browser, people: People, biology: SchoolClass) -> None:
    cora = people.person("cora", "Cora Diaz", people.school)
    teachers_service.add_co_teacher(people.ada, biology, people.bob)
    people.sign_in(browser, people.bob)
    page = browser.get(f"/classes/{biology.id}/teachers")
    assert not page.select("form[action$=teachers]") and "Only the teacher" in browser.text
    browser.get("/settings")
    browser.post(f"/classes/{biology.id}/teachers", {"colleague": str(cora.id)}, status=403)
    browser.get("/settings")
    browser.post(f"/classes/{biology.id}/teachers/{people.bob.id}/remove", status=403)


@pytest.mark.parametrize("who", ["of another school", "an admin", "closed", "the teacher"])
def test_only_teachers_of_the_school_are_offered_and_taken(
    browser: Browser, people: People, biology: SchoolClass, who: str
) -> None:
    elsewhere = accounts.get_or_create_school("300999", "Far School", "La Union")
    someone = {
        "of another school": lambda: people.person("far", "Fara Way", elsewhere),
        "an admin": lambda: people.head,
        "closed": lambda: _closed(people),
        "the teacher": lambda: people.ada,
    }[who]()
    people.sign_in(browser, people.ada)
    page = browser.get(f"/classes/{biology.id}/teachers")
    assert str(someone.id) not in str(page.select("option"))
    browser.post(f"/classes/{biology.id}/teachers", {"colleague": str(someone.id)}, status=422)
    assert db.session.execute(select(co_teachers)).all() == []


def _closed(people: People) -> User:
    from portal.accounts.users import service as rules

    cora = people.person("cora", "Cora Diaz", people.school)
    rules.deactivate_user(people.head, cora)
    return cora


def test_a_leaving_teachers_classes_and_sections_go_to_a_colleague(
    app: Flask, browser: Browser, other: Browser, people: People, world: SimulatedZoom, biology: SchoolClass
) -> None:
    meeting = people.create_registered_meeting(people.ada, biology, soon())
    cora = people.person("cora", "Cora Diaz", people.school)
    teachers_service.add_co_teacher(people.ada, biology, cora)
    his = people.school_class(people.bob, people.section(people.bob, name="Opal"), "Chemistry")
    teachers_service.add_co_teacher(people.bob, his, people.ada)
    people.sign_in(browser, people.head)
    browser.get(f"/admin/people/{people.ada.id}")
    browser.click("Hand over classes")
    assert len(browser.page.select("input[type=checkbox][checked]")) == 3
    browser.submit(colleague=cora.id)
    assert "Nothing to hand over" in browser.text
    expire_orm_state()
    assert db.session.get_one(SchoolClass, biology.id).teacher_id == cora.id
    assert db.session.get_one(Section, biology.section_id).adviser_id == cora.id
    assert db.session.execute(select(co_teachers)).all() == [], (
        "Cora is no co-teacher of her own class, nor Ada of Bob's"
    )
    assert actions().count("transferred_classes") == 2
    people.sign_in(other, cora)
    other.get(f"/classes/{biology.id}")
    other.get(f"/classes/sections/{biology.section_id}")
    run_jobs(app)
    assert registered(meeting.id) == {cora.id}


def test_only_what_is_ticked_goes(browser: Browser, people: People, biology: SchoolClass) -> None:
    people.sign_in(browser, people.head)
    browser.get(f"/admin/people/{people.ada.id}/classes")
    browser.submit(chosen_ones=[], colleague=people.bob.id, status=422)
    assert "Tick at least one" in browser.text
    browser.submit(chosen_ones=[biology.id], colleague=people.bob.id)
    expire_orm_state()
    assert db.session.get_one(SchoolClass, biology.id).teacher_id == people.bob.id
    assert db.session.get_one(Section, biology.section_id).adviser_id == people.ada.id


def test_ids_of_somebody_elses_things_are_refused(browser: Browser, people: People, biology: SchoolClass) -> None:
    his = people.school_class(people.bob, people.section(people.bob, name="Opal"), "Chemistry")
    cora = people.person("cora", "Cora Diaz", people.school)
    people.sign_in(browser, people.head)
    browser.get(f"/admin/people/{people.ada.id}/classes")
    form = {"chosen_ones": [str(his.id), str(biology.id)], "colleague": str(cora.id)}
    browser.post(f"/admin/people/{people.ada.id}/classes", form, status=422)
    expire_orm_state()
    assert db.session.get_one(SchoolClass, his.id).teacher_id == people.bob.id
    assert db.session.get_one(SchoolClass, biology.id).teacher_id == people.ada.id


def test_a_class_does_not_leave_its_school(people: People, biology: SchoolClass) -> None:
    elsewhere = accounts.get_or_create_school("300999", "Far School", "Ilocos Norte")
    far = people.person("far", "Fara Way", elsewhere)
    chief = people.person("chief", "Chief Diaz", None, role="admin", scope="region")
    with pytest.raises(teachers_service.NotSchoolStaff):
        teachers_service.transfer_teaching_load(chief, people.ada, far, {biology.id, biology.section_id})
    expire_orm_state()
    assert db.session.get_one(SchoolClass, biology.id).teacher_id == people.ada.id


def test_a_head_hands_over_what_is_of_her_own_school_alone(
    browser: Browser, people: People, biology: SchoolClass
) -> None:
    elsewhere = accounts.get_or_create_school("300999", "Far School", "La Union")
    head = people.person("elsewhere", "Elsa Cruz", elsewhere, role="admin", scope="school")
    people.sign_in(browser, head)
    browser.get(f"/admin/people/{people.ada.id}/classes", status=404)
    assert teachers_service.transfer_teaching_load(head, people.ada, people.bob, {biology.id}) == 0
