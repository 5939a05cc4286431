"""What admins say of Zoom's options: who wins, what the form shows, and that the server holds to it."""

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from portal.accounts.models import User
from portal.classes.models import SchoolClass
from portal.core.audit_log import AuditEntry
from portal.core.db import db
from portal.meetings import option_policies
from portal.meetings.models import ZoomMeeting
from portal.sandbox.simulation.simulated_zoom import SimulatedZoom
from tests.browser import Browser, words
from tests.people import People, run_jobs, soon

FORM = "form:has([name=title])"
RULES = "form:has([name=waiting_room])"


@pytest.fixture
def region(people: People) -> User:
    return people.person("chief", "Corazon Chua", None, role="admin", scope="region")


@pytest.fixture
def division(people: People) -> User:
    return people.person("sds", "Delia Ramos", people.school, role="admin", scope="division")


@pytest.fixture
def biology(people: People) -> SchoolClass:
    section = people.section(people.ada)
    people.learners(section, 1)
    return people.school_class(people.ada, section)


def shown(browser: Browser, name: str) -> bool | None:
    """Whether the box is ticked; None where there is nothing to tick."""
    box = browser.page.select_one(f"{FORM} [type=checkbox][name={name}]")
    return None if box is None else box.has_attr("checked")


def meetings() -> list[ZoomMeeting]:
    return list(db.session.scalars(select(ZoomMeeting).order_by(ZoomMeeting.created_at)))


def test_an_admin_says_and_the_form_shows_it_and_zoom_gets_it(
    app: Flask, browser: Browser, people: People, biology: SchoolClass, world: SimulatedZoom
) -> None:
    people.sign_in(browser, people.head).get("/admin")
    browser.click("Options")
    assert "San Nicolas National High School" in browser.text
    browser.submit(
        RULES, waiting_room="forced_on", join_before_host="not_allowed", participant_video="default_on",
        auto_recording="not_allowed",
    )  # fmt: skip
    assert "The rules are saved." in browser.page.get_text()
    chosen = browser.page.select_one("[name=waiting_room] option[selected]")
    assert chosen is not None and chosen["value"] == "forced_on"
    ada = people.sign_in(Browser(app.test_client()), people.ada)
    ada.get("/meetings/new")
    assert (shown(ada, "waiting_room"), shown(ada, "join_before_host")) == (None, None)
    assert shown(ada, "participant_video") is True
    assert "Waiting room : always on. Your school decides this." in ada.text
    assert "Join before you : not allowed." in ada.text and "Record : not allowed." in ada.text
    ada.submit(FORM, title="Cells")
    run_jobs(app)
    [meeting] = meetings()
    assert (meeting.waiting_room, meeting.join_before_host, meeting.auto_recording) == (True, False, "none")
    assert meeting.participant_video and next(iter(world.meetings.values())).settings["waiting_room"] is True


def test_whatever_a_request_says_the_server_holds_to_it(
    app: Flask, browser: Browser, people: People, biology: SchoolClass
) -> None:
    option_policies.set_option_policies(
        people.head, {"waiting_room": "forced_on", "auto_recording": "not_allowed", "host_video": "not_allowed"}
    )
    people.sign_in(browser, people.ada).get("/meetings/new")
    browser.submit(FORM, title="First")
    values = {
        "client_key": "another", "class_id": str(biology.id), "title": "Forged", "minutes": "30", "start": "17:00",
        "day": (soon() + timedelta(days=2)).date().isoformat(), "auto_recording": "cloud", "host_video": "y",
        "audience": "class", "approval_type": "1", "registration_type": "1",
    }  # fmt: skip
    browser.get("/meetings/new")
    browser.post("/meetings/new", values)
    browser.get("/meetings/new/people")
    people_values = {
        **values,
        "audience": "personal",
        "invited": people.bob.email,
        "start": "19:00",
        "client_key": "third",
    }
    browser.post("/meetings/new/people", people_values)
    browser.get("/meetings/new")
    browser.post("/meetings/new", {**values, "client_key": "w", "weekdays": "1", "dates": "2", "start": "06:00"})
    rows = meetings()
    assert len(rows) == 4
    assert {(one.waiting_room, one.auto_recording, one.host_video) for one in rows} == {(True, "none", False)}
    details = browser.get(f"/meetings/{rows[0].id}/change")
    assert details.select_one("[name=waiting_room]") is None
    browser.submit(FORM, title="Changed")
    assert db.session.get_one(ZoomMeeting, rows[0].id).waiting_room


def test_a_wider_scope_wins_where_it_forces_or_forbids_and_a_nearer_one_elsewhere(
    app: Flask, browser: Browser, people: People, region: User, division: User
) -> None:
    option_policies.set_option_policies(
        region, {"waiting_room": "forced_on", "host_video": "default_off", "mute_upon_entry": "default_on"}
    )
    option_policies.set_option_policies(
        division, {"waiting_room": "not_allowed", "host_video": "default_on", "participant_video": "not_allowed"}
    )
    option_policies.set_option_policies(people.head, {"waiting_room": "default_off", "mute_upon_entry": "default_off",
                               "participant_video": "forced_on"})  # fmt: skip
    found = {option: (one.rule, one.scope) for option, one in option_policies.effective_policies(people.school).items()}
    assert found == {
        "waiting_room": ("forced_on", "region"),
        "host_video": ("default_on", "division"),
        "mute_upon_entry": ("default_off", "school"),
        "participant_video": ("not_allowed", "division"),
    }
    page = people.sign_in(browser, people.head).get("/admin/policies")
    assert page.select_one("[name=waiting_room]") is None and page.select_one("[name=participant_video]") is None
    assert "The region decides this." in browser.text and "The division decides this." in browser.text
    browser.submit("form:has([name=mute_upon_entry])", mute_upon_entry="")
    assert option_policies.own_policies("school", people.school) == {
        "waiting_room": "default_off",
        "participant_video": "forced_on",
    }, "what is decided above stays as it was said, for when that is lifted"


def test_another_school_and_another_division_are_not_concerned(people: People, division: User) -> None:
    from portal.accounts import service as accounts

    near = accounts.get_or_create_school("300124", "Near High School", "Ilocos Norte")
    far = accounts.get_or_create_school("300999", "Elsewhere High School", "La Union")
    option_policies.set_option_policies(division, {"waiting_room": "forced_on"})
    option_policies.set_option_policies(people.head, {"host_video": "forced_on"})
    assert set(option_policies.effective_policies(near)) == {"waiting_room"}
    assert option_policies.effective_policies(far) == {}
    assert option_policies.effective_policies(None) == {}


def test_always_recorded_leaves_the_choice_of_where(
    app: Flask, browser: Browser, people: People, region: User, biology: SchoolClass
) -> None:
    option_policies.set_option_policies(region, {"auto_recording": "forced_on"})
    page = people.sign_in(browser, people.ada).get("/meetings/new")
    assert [option["value"] for option in page.select("[name=auto_recording] option")] == ["local", "cloud"]
    browser.submit(FORM, title="Cells", auto_recording="local")
    assert [one.auto_recording for one in meetings()] == ["local"]


def test_joining_before_the_host_takes_the_waiting_room_away(people: People) -> None:
    option_policies.set_option_policies(people.head, {"join_before_host": "forced_on"})
    details = option_policies.apply_policies_for_class(people.ada, None, _details())
    assert details.join_before_host and not details.waiting_room


def _details() -> Any:
    from portal.meetings.service import MeetingDetails

    return MeetingDetails(title="x", description="", starts_at=soon(), minutes=30)


def test_a_rule_that_does_not_exist_is_refused_and_every_change_is_written_down(
    browser: Browser, people: People
) -> None:
    with pytest.raises(ValueError, match="no such policy"):
        option_policies.set_option_policies(people.head, {"waiting_room": "sometimes"})
    with pytest.raises(ValueError, match="no such policy"):
        option_policies.set_option_policies(people.ada, {"waiting_room": "forced_on"})
    people.sign_in(browser, people.head).get("/admin/policies")
    browser.submit(RULES, waiting_room="default_off")
    browser.submit(RULES, waiting_room="default_off")
    entries = db.session.scalars(
        select(AuditEntry).where(AuditEntry.action == "changed_policies").order_by(AuditEntry.id)
    ).all()
    assert [entry.details["rules"] for entry in entries] == [{"waiting_room": "default_off"}]
    browser.post("/admin/policies", {"waiting_room": "sometimes"}, status=422)
    assert words(browser.page.select_one(".error")) if browser.page.select_one(".error") else False  # type: ignore[arg-type]
