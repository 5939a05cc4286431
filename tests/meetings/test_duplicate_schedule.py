"""A meeting is scheduled once more: the form comes filled in, with the next date that makes sense."""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select

from portal.classes.models import SchoolClass
from portal.core import clock
from portal.core.db import db, write_transaction
from portal.meetings.models import ZoomMeeting
from portal.meetings.scheduling.duplicate import next_weekly_start
from portal.sandbox.simulation.simulated_zoom import SimulatedZoom
from tests.browser import Browser
from tests.meetings.conftest import dates_here, zooms
from tests.people import People, run_jobs

NOW = datetime(2026, 11, 23, 7, tzinfo=clock.MANILA)  # a Monday; Monday 30 is Bonifacio Day
FORM = "form:has([name=title])"


@pytest.fixture(autouse=True)
def monday_at_seven() -> Iterator[None]:
    with time_machine.travel(NOW, tick=False):
        yield


def values(browser: Browser, *names: str) -> list[str]:
    fields = [browser.page.select_one(f"[name={name}]") for name in names]
    return [str(field["value"] if field.name == "input" else field.get_text()).strip() for field in fields if field]


def test_a_class_comes_again_on_the_next_weekday_with_class_and_all_its_options(
    app: Flask, browser: Browser, people: People, biology: SchoolClass, world: SimulatedZoom
) -> None:
    meeting = people.meeting(people.ada, biology, NOW + timedelta(hours=3), minutes=45, waiting_room=False)
    run_jobs(app)
    people.sign_in(browser, people.ada).get(f"/meetings/{meeting.id}")
    browser.click("Schedule again")
    assert values(browser, "title", "day", "start", "minutes") == ["Biology lesson", "2026-12-07", "10:00", "45"]
    assert not browser.page.select_one("[name=waiting_room]").has_attr("checked")  # type: ignore[union-attr]
    browser.submit(FORM)
    run_jobs(app)
    assert len(zooms(world)) == 2
    second = db.session.scalars(select(ZoomMeeting).where(ZoomMeeting.id != meeting.id)).one()
    assert dates_here(second) == ["2026-12-07 10:00"] and not second.waiting_room
    assert second.client_key != meeting.client_key and second.marker != meeting.marker


def test_one_of_last_month_comes_in_the_coming_week(browser: Browser, people: People, biology: SchoolClass) -> None:
    with time_machine.travel(NOW - timedelta(days=27), tick=False):
        meeting = people.meeting(people.ada, biology, NOW - timedelta(days=27))
    people.sign_in(browser, people.ada).get(f"/meetings/new?like={meeting.id}")
    assert values(browser, "day", "start") == ["2026-11-24", "07:00"]


def test_where_that_time_is_taken_the_next_free_one_is_offered(
    browser: Browser, people: People, biology: SchoolClass
) -> None:
    meeting = people.meeting(people.ada, biology, NOW + timedelta(hours=27))
    people.meeting(people.ada, biology, NOW + timedelta(days=7, hours=27))
    people.sign_in(browser, people.ada).get(f"/meetings/new?like={meeting.id}")
    assert values(browser, "day", "start") == ["2026-12-01", "11:10"]


def test_a_schedule_begins_again_after_its_last_date_with_each_days_own_time(
    app: Flask, browser: Browser, people: People, biology: SchoolClass, world: SimulatedZoom
) -> None:
    people.sign_in(browser, people.ada).get("/meetings/new")
    browser.submit(
        FORM, title="Cells", day="2026-11-24", start="08:00", weekdays=["2", "4"], dates="4", start_4="13:30"
    )
    meeting = db.session.scalars(select(ZoomMeeting)).first()
    assert meeting is not None
    browser.get(f"/meetings/new?like={meeting.id}")
    assert values(browser, "title", "day", "start", "dates", "start_4") == [
        "Cells", "2026-12-08", "08:00", "4", "13:30",
    ]  # fmt: skip
    chosen = [box["value"] for box in browser.page.select("[name=weekdays][checked]")]
    assert chosen == ["2", "4"]


def test_a_cancelled_class_offers_it_too(browser: Browser, people: People, biology: SchoolClass) -> None:
    meeting = people.meeting(people.ada, biology, NOW + timedelta(hours=3))
    people.sign_in(browser, people.ada).get(f"/meetings/{meeting.id}/cancel")
    browser.submit("form:has([name=reason])", reason="Storm")
    browser.click("Schedule again")
    assert values(browser, "title") == ["Biology lesson"]


def test_a_meeting_with_colleagues_invites_the_same_people(browser: Browser, people: People) -> None:
    people.sign_in(browser, people.ada).get("/meetings/new/people")
    browser.submit(FORM, title="LAC session", day="2026-11-25", start="15:00", invited="bob@r1.deped.gov.ph")
    browser.click("Schedule again")
    assert browser.url.startswith("/meetings/new/people?like=")
    assert values(browser, "title", "day", "invited") == ["LAC session", "2026-12-02", "bob@r1.deped.gov.ph"]


def test_without_a_licence_then_registration_is_wished_for_again(
    browser: Browser, people: People, biology: SchoolClass
) -> None:
    meeting = people.meeting(people.ada, biology, NOW + timedelta(hours=3))
    with write_transaction():
        row = db.session.get_one(ZoomMeeting, meeting.id)
        row.open_mode, row.approval_type = True, 2
    page = people.sign_in(browser, people.ada).get(f"/meetings/new?like={meeting.id}")
    assert [option["value"] for option in page.select("[name=approval_type] option[selected]")] == ["1"]


def test_nobody_schedules_again_what_is_somebody_elses(browser: Browser, people: People, biology: SchoolClass) -> None:
    meeting = people.meeting(people.ada, biology, NOW + timedelta(hours=3))
    people.sign_in(browser, people.bob).get(f"/meetings/new?like={meeting.id}", status=404)
    browser.get("/meetings/new?like=nonsense", status=404)


@pytest.mark.parametrize(
    ("day", "off", "wanted"),
    [
        (date(2026, 11, 23), (), date(2026, 11, 30)),
        (date(2026, 11, 23), (date(2026, 11, 30), date(2026, 12, 7)), date(2026, 12, 14)),
        (date(2025, 11, 24), (), date(2026, 11, 30)),
        (date(2026, 11, 16), (), date(2026, 11, 30)),
        (date(2027, 1, 4), (), date(2027, 1, 11)),
    ],
)
def test_the_next_week_that_is_ahead_and_has_class(day: date, off: tuple[date, ...], wanted: date) -> None:
    assert next_weekly_start(day, time(6), off) == wanted
