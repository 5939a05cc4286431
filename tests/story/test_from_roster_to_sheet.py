"""The main job, through HTTP: import, schedule, register, hold the class, read and correct the sheet, report."""

import csv
import importlib.util
import io
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from types import ModuleType

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select

from portal.attendance.models import AttendanceSheet
from portal.core import clock
from portal.core.db import db
from portal.demo.school_data import EMERALD
from portal.meetings.models import MeetingOccurrence, ZoomMeeting
from portal.registration.models import MeetingRegistrant
from portal.sandbox.simulation.simulated_zoom import SimulatedZoom
from portal.sandbox.webhook_sender import WebhookSender
from tests.browser import Browser
from tests.people import People, run_jobs

MONDAY = datetime(2026, 11, 23, tzinfo=clock.MANILA)


@pytest.fixture
def sf1(fixtures: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_sf1", fixtures / "build_sf1.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def at(hour: int, minute: int = 0, second: int = 0) -> datetime:
    return MONDAY.replace(hour=hour, minute=minute, second=second)


def read_csv(text: str) -> dict[str, dict[str, str]]:
    """The rows of the sheet by LRN."""
    return {row["lrn"]: row for row in csv.DictReader(io.StringIO(text))}


def import_sf1(browser: Browser, data: bytes) -> None:
    browser.get("/classes/import")
    browser.submit("form[enctype]", file=(data, "SF1_2026_Grade 8 - EMERALD.xls"))
    assert "26" in browser.text and "22" in browser.text
    browser.submit("form[action$=confirm]")


def test_a_roster_becomes_an_attendance_sheet(
    app: Flask, browser: Browser, people: People, world: SimulatedZoom, sender: WebhookSender, sf1: ModuleType
) -> None:
    from portal.demo.school_data import JADEITE

    with time_machine.travel(at(7), tick=False) as moving:
        people.sign_in_by_form(browser, people.ada)
        import_sf1(browser, sf1.build(JADEITE))
        browser.submit("form[action$=classes]", subject="Science 8")
        browser.click("Schedule a class")
        browser.submit(
            "form:has([name=title])",
            title="Science 8: Typhoons",
            day="2026-11-23",
            start="08:00",
            minutes="60",
        )
        run_jobs(app)
        meeting = db.session.scalars(select(ZoomMeeting)).one()
        assert (meeting.state, meeting.starts_at) == ("scheduled", at(8))
        page = browser.get(f"/meetings/{meeting.id}")
        assert page.select_one("progress")["value"] == "48"  # type: ignore[index]
        registrants = {
            row.email.split("@")[0]: row.zoom_registrant_id for row in db.session.scalars(select(MeetingRegistrant))
        }
        assert len(registrants) == 48 and all(registrants.values())

        def stay(lrn: str, begins: datetime, ends: datetime | None, **options: str) -> None:
            one = world.join(str(meeting.zoom_id), registrant_id=registrants[lrn], at=begins, **options)
            if ends:
                world.leave(one, at=ends)

        hold_class(world, str(meeting.zoom_id), [one.lrn for one in JADEITE.learners], stay)
        moving.move_to(at(9, 1))
        sender.pump()
        run_jobs(app)

    with time_machine.travel(at(9, 5), tick=False):
        people.sign_in_by_form(browser, people.ada)
        occurrence = db.session.scalars(select(MeetingOccurrence)).one()
        browser.get(f"/attendance/{occurrence.id}.csv")
        assert browser.response
        rows = read_csv(browser.response.text)
    lrns = [one.lrn for one in JADEITE.learners]
    assert list(rows) == lrns, "one row per learner, in the order of the register"
    by_hand = {
        lrns[0]: ("present", 3600, 1),  # on time, to the end
        lrns[1]: ("present", 2700, 1),  # 08:15 late
        lrns[2]: ("present", 2400, 3),  # dropped and came back twice: 15 + 10 + 15 min
        lrns[3]: ("present", 3000, 2),  # phone 08:00-08:40 and laptop 08:10-08:50
        lrns[4]: ("partial", 899, 1),  # 14:59
        lrns[5]: ("present", 900, 1),  # 15:00
        lrns[6]: ("absent", 0, 0),  # never
    }
    seen = {lrn: (rows[lrn]["mark"], int(rows[lrn]["seconds"]), int(rows[lrn]["stays"])) for lrn in by_hand}
    assert seen == by_hand
    assert {rows[lrn]["mark"] for lrn in lrns[7:]} == {"present"}
    assert rows[lrns[4]]["minutes"] == "14"
    assert rows[lrns[4]]["first_join"] == "2026-11-23 08:00:00"


def hold_class(world: SimulatedZoom, zoom_id: str, lrns: list[str], stay: Callable[..., None]) -> None:
    """The scripted class of the by-hand table: 08:00 to 09:00."""
    world.start(zoom_id, at=at(7, 58))
    world.join(zoom_id, host=True, at=at(7, 58))
    stay(lrns[0], at(8), None)
    stay(lrns[1], at(8, 15), None)
    stay(lrns[2], at(8), at(8, 15))
    stay(lrns[2], at(8, 20), at(8, 30))
    stay(lrns[2], at(8, 45), None)
    stay(lrns[3], at(8), at(8, 40))
    stay(lrns[3], at(8, 10), at(8, 50))
    stay(lrns[4], at(8), at(8, 14, 59))
    stay(lrns[5], at(8), at(8, 15))
    for lrn in lrns[7:]:
        stay(lrn, at(8, 1), at(8, 59))
    world.end(zoom_id, at=at(9))


@pytest.fixture
def class_held(
    app: Flask, people: People, world: SimulatedZoom, sender: WebhookSender
) -> Callable[[], tuple[MeetingOccurrence, list[str]]]:
    """A class of three with marks present, partial and absent, over and provisional."""

    def hold() -> tuple[MeetingOccurrence, list[str]]:
        with time_machine.travel(at(7, 30), tick=False):
            section = people.section(people.ada)
            learners = people.learners(section, 3)
            meeting = people.create_registered_meeting(people.ada, people.school_class(people.ada, section), at(8))
        ids = {row.learner_id: row.zoom_registrant_id for row in db.session.scalars(select(MeetingRegistrant))}
        world.start(str(meeting.zoom_id), at=at(8))
        world.join(str(meeting.zoom_id), registrant_id=ids[learners[0].id], at=at(8))
        short = world.join(str(meeting.zoom_id), registrant_id=ids[learners[1].id], at=at(8))
        world.leave(short, at=at(8, 5))
        world.end(str(meeting.zoom_id), at=at(9))
        sender.pump()
        run_jobs(app)
        occurrence = db.session.scalars(select(MeetingOccurrence)).one()
        return occurrence, [str(learner.id) for learner in learners]

    return hold


def test_a_mark_is_changed_with_a_reason_and_the_sheet_says_so(
    browser: Browser, people: People, class_held: Callable[[], tuple[MeetingOccurrence, list[str]]]
) -> None:
    with time_machine.travel(at(9, 5), tick=False):
        occurrence, learners = class_held()
        people.sign_in_by_form(browser, people.ada)
        browser.get(f"/attendance/{occurrence.id}?change={learners[1]}")
        browser.submit(f"form[action*='learners/{learners[1]}']", mark="present", reason="Signal lost")
        assert "Signal lost" in browser.text
        browser.get(f"/attendance/{occurrence.id}.csv")
        assert browser.response
        row = list(csv.DictReader(io.StringIO(browser.response.text)))[1]
    assert (row["mark"], row["override"], row["reason"]) == ("present", "present", "Signal lost")
    assert row["seconds"] == "300"


def test_a_change_without_a_reason_is_refused_and_nothing_is_lost(
    browser: Browser, people: People, class_held: Callable[[], tuple[MeetingOccurrence, list[str]]]
) -> None:
    with time_machine.travel(at(9, 5), tick=False):
        occurrence, learners = class_held()
        people.sign_in_by_form(browser, people.ada)
        browser.get(f"/attendance/{occurrence.id}?change={learners[1]}")
        page = browser.submit(f"form[action*='learners/{learners[1]}']", mark="absent", reason=" ", status=422)
    assert "Write the reason" in page.text
    chosen = page.select_one("input[name=mark][checked]")
    assert chosen is not None and chosen["value"] == "absent"


def test_a_finalised_sheet_keeps_its_marks_until_it_is_opened_again(
    app: Flask,
    browser: Browser,
    people: People,
    world: SimulatedZoom,
    sender: WebhookSender,
    class_held: Callable[[], tuple[MeetingOccurrence, list[str]]],
) -> None:
    with time_machine.travel(at(9, 5), tick=False):
        occurrence, learners = class_held()
        people.sign_in_by_form(browser, people.ada)
        browser.get(f"/attendance/{occurrence.id}")
        browser.submit("form[action$=finalise]")
        assert "Finalised" in browser.text
        page = browser.post(f"/attendance/{occurrence.id}/learners/{learners[2]}", {"mark": "present", "reason": "x"})
        assert "Open it again first" in page.text
        browser.submit("form[action$=reopen]", reason="Wrong class")
        sheet = db.session.get_one(AttendanceSheet, occurrence.id, populate_existing=True)
    assert sheet.finalised_at is None


def test_the_head_sees_the_report_of_all_classes_and_a_stranger_nothing(
    app: Flask,
    browser: Browser,
    people: People,
    class_held: Callable[[], tuple[MeetingOccurrence, list[str]]],
) -> None:
    with time_machine.travel(at(9, 5), tick=False):
        occurrence, _ = class_held()
        people.sign_in_by_form(browser, people.head)
        page = browser.get("/reports?from=2026-11-01&to=2026-11-30")
        assert "Biology" in page.text and "66.7" in page.text
        bob = people.sign_in_by_form(Browser(app.test_client()), people.bob)
        page = bob.get("/reports?from=2026-11-01&to=2026-11-30")
        assert "Biology" not in page.text
        bob.get(f"/attendance/{occurrence.id}", status=404)
        bob.get(f"/attendance/{occurrence.id}.csv", status=404)
        bob.get(f"/meetings/{occurrence.meeting_id}", status=404)


def test_the_report_of_zoom_settles_the_sheet_after_half_an_hour(
    app: Flask,
    browser: Browser,
    people: People,
    class_held: Callable[[], tuple[MeetingOccurrence, list[str]]],
) -> None:
    with time_machine.travel(at(9, 5), tick=False) as moving:
        occurrence, _ = class_held()
        moving.shift(timedelta(minutes=31))
        run_jobs(app)
        sheet = db.session.get_one(AttendanceSheet, occurrence.id, populate_existing=True)
        people.sign_in_by_form(browser, people.ada)
        page = browser.get(f"/attendance/{occurrence.id}")
    assert sheet.state == "reconciled"
    assert "Reconciled" in page.text


def test_an_sf1_with_a_bad_row_saves_nothing_and_names_row_and_column(
    browser: Browser, people: People, sf1: ModuleType
) -> None:
    people.sign_in_by_form(browser, people.ada)
    browser.get("/classes/import")
    data = sf1.build(EMERALD, spoil={"A12": "13642514000"})
    browser.submit("form[enctype]", file=(data, "SF1.xls"))
    assert "12" in browser.text and "LRN" in browser.text
    assert not browser.page.select("form[action$=confirm]")
    browser.post(browser.url + "/confirm")
    assert db.session.scalar(select(MeetingRegistrant.id)) is None
    page = browser.get("/classes")
    assert "emerald" not in page.text.lower()
