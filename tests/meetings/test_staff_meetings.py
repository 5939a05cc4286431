"""Meetings of colleagues: whom the organiser may invite, who is registered, who sees what, who came."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import event, select

from portal.accounts import service as accounts
from portal.accounts.models import User
from portal.classes.models import SchoolClass
from portal.core import clock
from portal.core.db import db, write_transaction
from portal.meetings.models import MeetingInvitation, MeetingOccurrence, ZoomMeeting
from portal.notifications.models import Notification
from portal.registration.models import MeetingRegistrant
from portal.sandbox.simulation.simulated_zoom import SimulatedZoom
from portal.sandbox.webhook_sender import WebhookSender
from tests.browser import Browser
from tests.meetings.conftest import only, zooms
from tests.people import People, run_jobs

NOW = datetime(2026, 11, 23, 7, tzinfo=clock.MANILA)
FORM = "form:has([name=title])"
MEETING: dict[str, Any] = {"title": "LAC session", "day": "2026-11-23", "start": "15:00"}


@pytest.fixture(autouse=True)
def monday_at_seven() -> Iterator[None]:
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def cora(people: People) -> User:
    """A teacher of another school."""
    return people.person(
        "cora", "Cora Diaz", accounts.get_or_create_school("300999", "Elsewhere High School", "La Union")
    )


def invite(browser: Browser, *, status: int = 200, button: str | None = None, **fields: Any) -> None:
    browser.get("/meetings/new/people")
    browser.submit(FORM, button=button, status=status, **(MEETING | fields))


def the_meeting() -> ZoomMeeting:
    return db.session.scalars(select(ZoomMeeting)).one()


def registered(world: SimulatedZoom) -> set[str]:
    return {one.email.partition("@")[0] for one in world.active_registrants(only(world).id)}


def test_a_teacher_names_people_and_everybody_gets_a_link_of_her_own(
    app: Flask, browser: Browser, people: People, world: SimulatedZoom, cora: User
) -> None:
    people.sign_in(browser, people.ada)
    invite(browser, invited="bob@r1.deped.gov.ph\nCora@r1.deped.gov.ph, head@r1.deped.gov.ph")
    run_jobs(app)
    meeting = the_meeting()
    assert (meeting.class_id, meeting.audience, meeting.host_email) == (None, "personal", "ada@r1.deped.gov.ph")
    assert registered(world) == {"bob", "cora", "head"}
    page = browser.get(f"/meetings/{meeting.id}")
    assert "3 of 3 registered" in browser.text and "3 registered" in browser.text
    assert len(page.select("input[id^=link-]")) == 3
    assert "Start meeting" in browser.text and "Attendance" not in browser.text
    browser.get("/")
    assert "LAC session" in browser.text and "All 3 people registered" in browser.text.replace("all", "All")


def test_the_invited_find_it_with_their_own_link_alone(
    app: Flask, browser: Browser, people: People, world: SimulatedZoom, cora: User
) -> None:
    people.sign_in(browser, people.ada)
    invite(browser, invited="bob@r1.deped.gov.ph cora@r1.deped.gov.ph")
    run_jobs(app)
    meeting = the_meeting()
    links = {one.user_id: one.join_url for one in db.session.scalars(select(MeetingRegistrant))}
    mine = people.sign_in(Browser(app.test_client()), cora)
    for path in ("/", "/calendar"):
        mine.get(path)
        assert "LAC session" in mine.text and "Ada Lovelace" in mine.text, path
    page = mine.get(f"/meetings/{meeting.id}")
    [join] = [link["href"] for link in page.select("a.btn-primary")]
    assert join == links[cora.id]
    assert str(links[people.bob.id]) not in str(page)
    assert "SANTOS" in mine.text and "Start meeting" not in mine.text and "Cancel" not in mine.text
    for path in ("change/people", "cancel", "start", "who-came"):
        mine.get(f"/meetings/{meeting.id}/{path}", status=403)
    mine.get(f"/calendar/meetings/{meeting.id}.ics")


def test_a_stranger_does_not_see_it(app: Flask, browser: Browser, people: People, cora: User) -> None:
    people.sign_in(browser, people.ada)
    invite(browser, invited="bob@r1.deped.gov.ph")
    meeting = the_meeting()
    for person in (cora, people.head):
        stranger = people.sign_in(Browser(app.test_client()), person)
        for path in ("", "/change/people", "/cancel", "/who-came", "/registration.json"):
            stranger.get(f"/meetings/{meeting.id}{path}", status=404)
        stranger.get("/calendar")
        assert "LAC session" not in stranger.text


def test_each_line_that_names_nobody_is_told_and_nothing_is_saved(browser: Browser, people: People) -> None:
    people.sign_in(browser, people.ada)
    typed = "bob@r1.deped.gov.ph\nbob@gmail.com\nnobody@r1.deped.gov.ph\n300123200001@r1.deped.gov.ph"
    invite(browser, status=422, invited=typed)
    assert "Line 2: bob@gmail.com is no school address. Only @r1.deped.gov.ph email addresses can join." in browser.text
    assert "Line 3: nobody with the address nobody@r1.deped.gov.ph has an account here." in browser.text
    assert "Line 4: nobody with the address 300123200001@r1.deped.gov.ph" in browser.text
    kept = browser.page.select_one("textarea[name=invited]")
    assert kept is not None and kept.get_text().strip() == typed
    assert db.session.scalars(select(ZoomMeeting)).all() == []
    invite(browser, status=422, invited=" ", title="")
    assert "Write at least one address." in browser.text
    assert "Write a title." in browser.text, "all that is wrong is told at once"


def test_only_a_schools_admin_may_invite_all_its_teachers_or_everybody(
    app: Flask, browser: Browser, people: People, cora: User
) -> None:
    people.sign_in(browser, people.ada)
    page = browser.get("/meetings/new/people")
    assert [option["value"] for option in page.select("[name=audience] option")] == ["personal"]
    day = {"day": "2026-11-23", "start": "15:00", "minutes": "60", "title": "All"}
    browser.post("/meetings/new/people", {**day, "audience": "all"}, status=422)
    assert db.session.scalars(select(ZoomMeeting)).all() == []
    far = people.person("far", "Fe Ramos", people.school, role="admin", scope="division")
    page = people.sign_in(Browser(app.test_client()), far).get("/meetings/new/people")
    assert [option["value"] for option in page.select("[name=audience] option")] == ["personal"]


@pytest.mark.parametrize(("audience", "whom"), [("teachers", {"ada", "bob"}), ("all", {"ada", "bob", "deputy"})])
def test_the_head_invites_her_school_and_who_comes_later_is_invited_too(
    app: Flask, browser: Browser, people: People, world: SimulatedZoom, cora: User, audience: str, whom: set[str]
) -> None:
    world.add_user("head@r1.deped.gov.ph", "Hedy", "Abad", licensed=True)
    people.person("deputy", "Dep Uty", people.school, role="admin", scope="school")
    people.person("far", "Fe Ramos", people.school, role="admin", scope="division")
    people.sign_in(browser, people.head)
    invite(browser, audience=audience)
    run_jobs(app)
    assert registered(world) == whom  # not the host, not another school, nobody of the division
    people.person("dora", "Dora Cruz", people.school)
    gone = db.session.get_one(User, people.bob.id)
    with write_transaction():
        gone.deactivated_at = clock.now()
    run_jobs(app)
    assert registered(world) == (whom | {"dora"}) - {"bob"}
    ada = people.sign_in(Browser(app.test_client()), people.ada)
    ada.get("/")
    assert "LAC session" in ada.text
    other = people.sign_in(Browser(app.test_client()), cora)
    other.get(f"/meetings/{the_meeting().id}", status=404)


def test_changing_the_list_registers_the_new_and_cancels_the_others(
    app: Flask, browser: Browser, people: People, world: SimulatedZoom, cora: User
) -> None:
    people.sign_in(browser, people.ada)
    invite(browser, invited="bob@r1.deped.gov.ph")
    run_jobs(app)
    meeting = the_meeting()
    page = browser.get(f"/meetings/{meeting.id}/change", follow=True)
    typed = page.select_one("textarea[name=invited]")
    assert typed is not None and typed.get_text().strip() == "bob@r1.deped.gov.ph"
    browser.submit(FORM, invited="cora@r1.deped.gov.ph", title="LAC session 2")
    assert "Invitations changed" in browser.text
    run_jobs(app)
    assert registered(world) == {"cora"} and only(world).topic == "LAC session 2"
    assert [row.user_id for row in db.session.scalars(select(MeetingInvitation))] == [cora.id]


def test_the_organiser_is_registered_where_a_host_of_the_pool_runs_it(
    app: Flask, browser: Browser, people: People, world: SimulatedZoom
) -> None:
    people.person("dora", "Dora Cruz", people.school)
    dora = db.session.scalars(select(User).where(User.email == "dora@r1.deped.gov.ph")).one()
    people.sign_in(browser, dora)
    invite(browser, invited="bob@r1.deped.gov.ph")
    meeting = the_meeting()
    with write_transaction():
        db.session.get_one(ZoomMeeting, meeting.id).host_email = "cora@r1.deped.gov.ph"
    run_jobs(app)
    assert registered(world) == {"bob", "dora"}


def test_a_class_of_the_same_teacher_and_host_is_in_the_way(
    browser: Browser, people: People, biology: SchoolClass
) -> None:
    people.meeting(people.ada, biology, NOW + timedelta(hours=8))
    people.sign_in(browser, people.ada)
    invite(browser, status=409, invited="bob@r1.deped.gov.ph")
    assert "another class is in the way" in browser.text and "Biology" in browser.text
    browser.submit(FORM, button="Move it to 4:10 PM")
    assert clock.to_manila(
        db.session.scalars(select(ZoomMeeting).where(ZoomMeeting.class_id.is_(None))).one().starts_at
    ) == (NOW.replace(hour=16, minute=10))


def test_a_meeting_is_in_the_way_of_a_class_of_the_same_teacher(
    browser: Browser, people: People, biology: SchoolClass
) -> None:
    people.sign_in(browser, people.ada)
    invite(browser, invited="bob@r1.deped.gov.ph")
    browser.get("/meetings/new")
    browser.submit(FORM, status=409, title="Cells", day="2026-11-23", start="15:30")
    assert "LAC session" in browser.text and "in the way" in browser.text


def test_moving_it_looks_for_clashes_as_well(
    app: Flask, browser: Browser, people: People, biology: SchoolClass
) -> None:
    people.meeting(people.ada, biology, NOW + timedelta(hours=3))
    people.sign_in(browser, people.ada)
    invite(browser, invited="bob@r1.deped.gov.ph")
    browser.get(f"/meetings/{the_only_one().id}/change/people")
    browser.submit(FORM, status=409, start="10:30")
    assert "in the way" in browser.text


def the_only_one() -> ZoomMeeting:
    return db.session.scalars(select(ZoomMeeting).where(ZoomMeeting.class_id.is_(None))).one()


def test_two_clicks_make_one_meeting(app: Flask, browser: Browser, people: People, world: SimulatedZoom) -> None:
    people.sign_in(browser, people.ada)
    browser.get("/meetings/new/people")
    form = MEETING | {"invited": "bob@r1.deped.gov.ph"}
    browser.submit(FORM, **form)
    first = browser.url
    browser.get("/meetings/new/people")
    key = browser.page.select_one("[name=client_key]")
    assert key is not None
    values = form | {"client_key": str(key["value"]), "minutes": "60", "audience": "personal", "auto_recording": "none",
                     "approval_type": "1", "registration_type": "1"}  # fmt: skip
    values["day"] = "2026-11-24"
    browser.post("/meetings/new/people", values)
    second = browser.url
    browser.get("/meetings/new/people")
    browser.post("/meetings/new/people", values)
    assert browser.url == second != first
    run_jobs(app)
    assert len(zooms(world)) == 2


def test_the_invited_are_told_and_who_made_it_is_not(
    app: Flask, browser: Browser, people: People, world: SimulatedZoom
) -> None:
    people.sign_in(browser, people.ada)
    invite(browser, invited="bob@r1.deped.gov.ph")
    run_jobs(app)
    browser.get(f"/meetings/{the_meeting().id}/cancel")
    browser.submit("form:has([name=reason])", reason="Storm")
    run_jobs(app)
    told = {(one.user_id, one.kind) for one in db.session.scalars(select(Notification))}
    assert told == {(people.bob.id, "scheduled"), (people.bob.id, "cancelled")}
    bob = people.sign_in(Browser(app.test_client()), people.bob)
    bob.get("/notifications")
    assert "Meeting scheduled: LAC session" in bob.text and "Meeting cancelled: LAC session" in bob.text


def test_there_is_no_sheet_but_a_list_of_who_came_and_how_long(
    app: Flask, browser: Browser, people: People, world: SimulatedZoom, sender: WebhookSender, cora: User
) -> None:
    people.sign_in(browser, people.ada)
    invite(browser, invited="bob@r1.deped.gov.ph, cora@r1.deped.gov.ph", start="07:15")
    run_jobs(app)
    meeting = the_meeting()
    zoom_id = only(world).id
    bobs = next(one for one in world.active_registrants(zoom_id) if one.email.startswith("bob"))
    with time_machine.travel(NOW + timedelta(minutes=15), tick=False):
        world.join(zoom_id, host=True)
        bob = world.join(zoom_id, registrant_id=bobs.id)
        world.join(zoom_id, name="OPPO A5s")
        sender.pump()
        run_jobs(app)
        browser.get("/")
        browser.click("See who is in")
        assert "2 of 3 came" in browser.text and "In now" in browser.text and "OPPO A5s" in browser.text
    with time_machine.travel(NOW + timedelta(minutes=45), tick=False):
        world.leave(bob)
        world.end(zoom_id)
        sender.pump()
        run_jobs(app)
        statements: list[str] = []

        def note(*seen: Any) -> None:
            statements.append(seen[2])

        event.listen(db.engine, "before_cursor_execute", note)
        browser.get(f"/meetings/{meeting.id}/who-came")
        event.remove(db.engine, "before_cursor_execute", note)
        asked = [
            one
            for one in statements
            if one.startswith("SELECT") and not re.search("FROM (user_sessions|audit_log)", one)
        ]
        assert len(asked) <= 10, asked
        assert "Bob Santos" in browser.text and "30 min on average, 60 min in all" in browser.text
        assert "67%" in browser.text and "Not seen" in browser.text and "Cora Diaz" in browser.text
        occurrence = db.session.scalars(select(MeetingOccurrence)).one()
        browser.click("Everybody with their stays")
        facts = {one.dt.text.strip(): " ".join(one.dd.text.split()) for one in browser.page.select("dl.facts div")}
        assert (facts["Joined"], facts["Rate"], facts["Average time"]) == ("2 of 3 invited", "67%", "30 min")
        assert facts["Time together"].startswith("60 min"), "both pages have the same figures"
        browser.get(f"/attendance/{occurrence.id}", status=404)
        browser.get("/attendance")
        assert "LAC session" not in browser.text
    with time_machine.travel(NOW + timedelta(hours=3), tick=False):
        run_jobs(app)
        assert not [one for one in db.session.scalars(select(Notification)) if one.kind != "scheduled"]
