"""The pages on which a teacher schedules: the dates before they are saved, clashes and what to do about them."""

from collections.abc import Iterator
from datetime import datetime, time, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select, update

from portal.classes.access import Section
from portal.classes.models import SchoolClass
from portal.core import clock
from portal.core.db import db, write_transaction
from portal.meetings import service
from portal.meetings.forms import suggested_start_time
from portal.meetings.models import MeetingOccurrence, Schedule, ZoomMeeting
from portal.registration.models import MeetingRegistrant
from portal.sandbox.simulation.simulated_zoom import SimulatedZoom
from portal.zoom_account import host_quota
from portal.zoom_account.models import ZoomQuota
from tests.browser import Browser
from tests.faults import Faults
from tests.meetings.conftest import again, dates_at_zoom, dates_here, only, zooms
from tests.people import People, run_jobs

NOW = datetime(2026, 11, 23, 7, tzinfo=clock.MANILA)
FORM = "form:has([name=title])"
WEEKLY: dict[str, Any] = {
    "title": "Cells",
    "day": "2026-11-23",
    "start": "08:00",
    "weekdays": ["1", "3", "5"],
    "until": "2026-12-04",
    "start_5": "13:30",
    "minutes_5": "45",
}


@pytest.fixture(autouse=True)
def monday_at_seven() -> Iterator[None]:
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def ada(people: People, browser: Browser, biology: SchoolClass) -> Browser:
    """Ada, signed in, with her class of three learners."""
    return people.sign_in(browser, people.ada)


@pytest.fixture
def at_ten(people: People, biology: SchoolClass) -> ZoomMeeting:
    """A class of Ada's tomorrow from 10:00 to 11:00 AM."""
    return people.meeting(people.ada, biology, NOW + timedelta(days=1, hours=3))


def fill(browser: Browser, button: str | None = None, status: int = 200, **fields: Any) -> None:
    browser.get("/meetings/new")
    browser.submit(FORM, button=button, status=status, **fields)


def value(browser: Browser, name: str) -> str:
    field = browser.page.select_one(f"[name={name}]")
    assert field is not None
    return str(field["value"])


def all_meetings() -> list[ZoomMeeting]:
    return list(db.session.scalars(select(ZoomMeeting).order_by(ZoomMeeting.starts_at)))


def date_path(meeting: ZoomMeeting, number: int = 0) -> str:
    rows = db.session.scalars(
        select(MeetingOccurrence).where(MeetingOccurrence.meeting_id == meeting.id).order_by("starts_at")
    ).all()
    return f"/meetings/{meeting.id}/dates/{rows[number].id}"


def test_the_dates_are_shown_with_their_own_times_and_holidays_before_anything_is_saved(ada: Browser) -> None:
    fill(ada, button="Show the dates", **WEEKLY)
    preview = " ".join(line.get_text(" ", strip=True) for line in ada.page.select("aside li"))
    for shown in ("Mon 23 Nov 8:00 AM", "Wed 25 Nov 8:00 AM", "Fri 27 Nov 1:30 PM", "Bonifacio Day"):
        assert shown in preview
    assert "Schedule 5 classes" in ada.text and "2 meetings at Zoom" in ada.text
    assert value(ada, "title") == "Cells" and value(ada, "until") == "2026-12-04", "the form keeps what was typed"
    assert all_meetings() == []


def test_a_weekly_schedule_is_saved_as_shown_and_zoom_gets_its_dates(
    app: Flask, ada: Browser, world: SimulatedZoom
) -> None:
    fill(ada, button="Show the dates", **WEEKLY)
    ada.submit(FORM)
    assert ada.url.startswith("/schedules/")
    assert "Monday" in ada.text and "1:30 PM, 45 min" in ada.text
    run_jobs(app)
    made = sorted(dates_at_zoom(meeting) for meeting in zooms(world))
    assert made == [
        ["2026-11-23 08:00", "2026-11-25 08:00", "2026-12-02 08:00"],
        ["2026-11-27 13:30", "2026-12-04 13:30"],
    ]
    assert [len(world.active_registrants(meeting.id)) for meeting in zooms(world)] == [3, 3]


def test_a_schedule_form_sent_twice_makes_one_schedule(ada: Browser) -> None:
    ada.get("/meetings/new")
    first = ada.page
    ada.submit(FORM, **WEEKLY)
    saved, ada.page = ada.url, first
    ada.url = "/meetings/new"
    ada.submit(FORM, **WEEKLY)
    assert ada.url == saved
    assert len(db.session.scalars(select(Schedule)).all()) == 1 and len(all_meetings()) == 2


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"title": " "}, "Write a title."),
        ({"minutes": "4"}, "Between 5 and 720 minutes."),
        ({"day": "2026-11-22"}, "That time has passed. Choose a later one."),
        ({"weekdays": ["1"]}, "Say the last day, or how many classes there are."),
        ({"weekdays": ["1"], "until": "2026-11-20"}, "The last day must come after the first."),
        ({"weekdays": ["1"], "until": "2026-12-20", "dates": "3"}, "Give the last day or the number of classes"),
    ],
)
@pytest.mark.parametrize("portal", ["sqlite"], indirect=True)
def test_what_is_wrong_on_the_form_is_named_and_nothing_typed_is_lost(
    ada: Browser, wrong: dict[str, Any], says: str
) -> None:
    good = {"title": "Cells", "day": "2026-11-24", "start": "08:00", "description": "Bring a leaf."}
    fill(ada, status=422, **(good | wrong))
    assert says in ada.text and "Bring a leaf." in ada.text
    assert all_meetings() == []


def test_a_clash_offers_a_free_time_and_the_button_changes_the_field_shown(ada: Browser, at_ten: ZoomMeeting) -> None:
    fill(ada, status=409, title="Cells", day="2026-11-24", start="10:30")
    assert "On Tue 24 Nov another class is in the way." in ada.text and "10:00 AM to 11:00 AM" in ada.text
    assert "Save it all the same" not in ada.text, "Zoom could not run both"
    ada.submit(FORM, button="Move it to 11:10 AM")
    assert value(ada, "start") == "11:10" and "in the way" not in ada.text
    assert len(all_meetings()) == 1, "moving is a look, not yet saving"
    ada.submit(FORM)
    assert [clock.to_manila(one.starts_at).time() for one in all_meetings()] == [time(10), time(11, 10)]


def test_too_little_time_between_two_classes_can_be_saved_all_the_same(ada: Browser, at_ten: ZoomMeeting) -> None:
    fill(ada, status=409, title="Cells", day="2026-11-24", start="11:05")
    assert "There are less than 10 minutes between" in ada.text
    ada.submit(FORM, button="Save it all the same")
    assert len(all_meetings()) == 2


def test_one_clashing_date_of_a_schedule_is_moved_or_left_out(ada: Browser, at_ten: ZoomMeeting) -> None:
    weekly = {"title": "Cells", "day": "2026-11-24", "start": "10:00", "weekdays": ["2"], "dates": "3"}
    fill(ada, status=409, **weekly)
    ada.submit(FORM, button="Move it to 11:10 AM")
    assert "moved from 10:00 AM" in ada.text and value(ada, "start") == "10:00"
    ada.submit(FORM, button="Schedule 3 classes")
    made = all_meetings()
    moved = sorted(date for meeting in made if meeting.id != at_ten.id for date in dates_here(meeting))
    assert moved == ["2026-11-24 11:10", "2026-12-01 10:00", "2026-12-15 10:00"], "the 8th is a holiday"


def test_a_clashing_date_may_be_a_day_without_class(ada: Browser, at_ten: ZoomMeeting) -> None:
    weekly = {"title": "Cells", "day": "2026-11-24", "start": "10:00", "weekdays": ["2"], "until": "2026-12-15"}
    fill(ada, status=409, **weekly)
    ada.submit(FORM, button="No class that day")
    ada.submit(FORM, button="Schedule 2 classes")
    [made] = [meeting for meeting in all_meetings() if meeting.id != at_ten.id]
    assert dates_here(made) == ["2026-12-01 10:00", "2026-12-15 10:00"]


def test_the_form_begins_with_a_free_time(people: People, ada: Browser, biology: SchoolClass) -> None:
    people.meeting(people.ada, biology, NOW + timedelta(minutes=10))
    ada.get("/meetings/new")
    assert (value(ada, "day"), value(ada, "start")) == ("2026-11-23", "08:20"), "7:15 is taken until 8:10"


def test_one_date_is_moved_and_another_cancelled_on_its_page(app: Flask, ada: Browser, world: SimulatedZoom) -> None:
    fill(ada, title="Cells", day="2026-11-24", start="10:00", weekdays=["2"], dates="3")
    run_jobs(app)
    [meeting] = all_meetings()
    ada.get(date_path(meeting, 1))
    ada.submit("form:has([name=start])", day="2026-12-02", start="09:00")
    assert "The date is moved." in ada.text
    assert "from Tue 1 Dec to Wed 2 Dec, 9:00 AM" in ada.get(f"/meetings/{meeting.id}").get_text(" ", strip=True)
    ada.get(date_path(meeting, 2))
    ada.submit("form[action$=cancel]", reason="Class suspension")
    assert "No class on Tue 15 Dec. Nobody is marked absent." in ada.text
    assert "Tue 15 Dec: Class suspension" in ada.text, "the history names the date as people write it"
    run_jobs(app)
    assert dates_at_zoom(only(world)) == ["2026-11-24 10:00", "2026-12-02 09:00"] == dates_here(again(meeting))
    ada.get(date_path(meeting, 0))
    ada.submit("form:has([name=start])", status=422, start="06:00", day="2026-11-23")
    assert "That time has passed. Choose a later one." in ada.text


def test_a_class_deleted_at_zoom_is_made_again_by_one_click_for_everybody(
    app: Flask, ada: Browser, at_ten: ZoomMeeting, world: SimulatedZoom
) -> None:
    run_jobs(app)
    old = only(world)
    links = {row.join_url for row in db.session.scalars(select(MeetingRegistrant))}
    old.deleted_at = clock.now()
    generation = again(at_ten).zoom_generation
    ada.get(f"/meetings/{at_ten.id}/change")
    ada.submit(FORM, title="Cells and tissues")
    run_jobs(app)
    ada.get(f"/meetings/{at_ten.id}")
    assert "This class was deleted at Zoom." in ada.text
    ada.submit("form[action$=make-again]")
    run_jobs(app)
    meeting = again(at_ten)
    assert (meeting.state, meeting.zoom_generation) == ("scheduled", generation + 1)
    assert only(world).id == meeting.zoom_id and only(world).id != old.id
    rows = [row for row in db.session.scalars(select(MeetingRegistrant)) if row.state == "registered"]
    assert len(rows) == 3 and not links & {row.join_url for row in rows}


def test_a_host_without_licence_holds_the_class_with_one_link_for_all(
    app: Flask, ada: Browser, world: SimulatedZoom
) -> None:
    world.add_user("ada@r1.deped.gov.ph", "Ada", "Host", licensed=False)
    fill(ada, title="Cells", day="2026-11-24", start="10:00")
    run_jobs(app)
    ada.get(f"/meetings/{all_meetings()[0].id}")
    assert "The Zoom host has no licence, so Zoom cannot register anybody." in ada.text
    [link] = ada.page.select("#join-link")
    assert link["value"] == again(all_meetings()[0]).join_url
    assert db.session.scalars(select(MeetingRegistrant).filter_by(state="registered")).all() == []


def test_from_80_changes_on_a_warning_is_shown_and_beyond_100_the_class_waits_until_eight(
    app: Flask, ada: Browser, world: SimulatedZoom
) -> None:
    ada.get("/meetings/new")
    assert "changes at Zoom used today" not in ada.text
    with time_machine.travel(NOW + timedelta(hours=2), tick=False):
        for _ in range(80):
            with write_transaction():
                assert host_quota.consume_host_write("ada@r1.deped.gov.ph")
        ada.get("/meetings/new")
        assert "80 of 100 changes at Zoom used today." in ada.text
        with write_transaction() as session:
            session.execute(update(ZoomQuota).values(writes_used=100))
        fill(ada, title="Cells", day="2026-11-24", start="10:00")
        run_jobs(app)
        assert zooms(world) == []
        ada.get(f"/meetings/{all_meetings()[0].id}")
        assert "Tue 24 Nov, 8:00 AM" in ada.text
    with time_machine.travel(NOW + timedelta(days=1, hours=1, minutes=1), tick=False):
        run_jobs(app)
        assert only(world).topic == "Cells"


def test_a_class_that_zoom_did_not_take_is_offered_again_once_its_details_are_changed(
    app: Flask, ada: Browser, world: SimulatedZoom, faults: Faults, at_ten: ZoomMeeting
) -> None:
    faults.refuse("POST", "/users/[^/]+/meetings$", 400, 300, "Invalid field.")
    run_jobs(app)
    assert again(at_ten).state == "failed"
    ada.get(f"/meetings/{at_ten.id}")
    ada.click("Change the details")
    ada.submit(FORM, title="Cells")
    run_jobs(app)
    assert only(world).topic == "Cells" and again(at_ten).state == "scheduled"


def test_a_page_that_is_older_than_a_cancellation_cannot_bring_the_class_back(
    app: Flask, people: People, ada: Browser, world: SimulatedZoom, at_ten: ZoomMeeting
) -> None:
    """Two windows: each has read the class before the other one writes."""
    run_jobs(app)
    stale = again(at_ten)
    with write_transaction() as session:
        session.execute(
            update(ZoomMeeting)
            .where(ZoomMeeting.id == at_ten.id)
            .values(state="cancelled", pending_action="delete")
            .execution_options(synchronize_session=False)
        )
    wish = service.MeetingDetails("Cells", "", stale.starts_at, 60)
    with pytest.raises(service.MeetingNotChangeable):
        service.update_meeting(people.ada, stale, wish)
    run_jobs(app)
    assert zooms(world) == [] and again(at_ten).state == "cancelled"


def test_strangers_do_not_see_that_a_schedule_is_there(
    people: People, browser: Browser, ada: Browser, section: Section
) -> None:
    fill(ada, **WEEKLY)
    address, path = ada.url, date_path(all_meetings()[0])
    browser.client.delete_cookie("session")
    browser.client.delete_cookie("__Host-session")
    people.sign_in(browser, people.bob)
    for one in (address, path):
        browser.get(one, status=404)


ENDLESS = ["9" * 20, "9" * 400, "-" + "9" * 20]


@pytest.mark.parametrize("minutes", ENDLESS)
@pytest.mark.parametrize("field", ["minutes", "minutes_1", "dates"])
def test_a_number_without_end_is_no_number(ada: Browser, field: str, minutes: str) -> None:
    fill(ada, status=422, **WEEKLY | {field: minutes})
    assert "Write a whole number." in ada.text
    assert value(ada, field) == minutes and not all_meetings()


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31", "1999-12-31"])
@pytest.mark.parametrize("start", ["00:00", "23:59"])
def test_a_day_of_no_school_year_is_no_day(ada: Browser, day: str, start: str) -> None:
    fill(ada, status=422, title="Cells", day=day, start=start)
    assert "Check the year: it has to be between 2000 and 2100." in ada.text
    fill(ada, status=422, **WEEKLY | {"until": day})
    assert "Check the year: it has to be between 2000 and 2100." in ada.text and not all_meetings()


@pytest.mark.parametrize(
    ("now", "start"),
    [
        ("2026-11-23 09:50", "2026-11-23 10:00"),
        ("2026-11-23 19:45", "2026-11-23 20:00"),
        ("2026-11-23 21:10", "2026-11-24 08:00"),
        ("2026-11-24 00:35", "2026-11-24 08:00"),
        ("2026-11-24 05:50", "2026-11-24 06:00"),
    ],
)
def test_who_plans_at_night_is_offered_the_next_morning(now: str, start: str) -> None:
    with time_machine.travel(datetime.fromisoformat(now).replace(tzinfo=clock.MANILA), tick=False):
        assert f"{suggested_start_time():%Y-%m-%d %H:%M}" == start
