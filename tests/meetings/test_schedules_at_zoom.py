"""A schedule becomes recurring meetings: holidays taken out, single dates moved and cancelled, here and there."""

from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import uuid4

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from portal.classes.models import SchoolClass
from portal.core import clock
from portal.core.db import db
from portal.meetings import service
from portal.meetings.models import MeetingOccurrence, ZoomMeeting
from portal.meetings.scheduling import schedules
from portal.meetings.scheduling.recurrence import WeeklyRule, expand_weekly_rule
from portal.meetings.school_calendar.national_holidays import NATIONAL_HOLIDAYS
from portal.registration.models import MeetingRegistrant
from portal.sandbox.simulation.simulated_zoom import SimulatedZoom
from portal.sandbox.webhook_sender import WebhookSender
from tests.faults import Faults
from tests.meetings.conftest import again, dates_at_zoom, dates_here, only, zooms
from tests.people import People, run_jobs

MONDAY = datetime(2026, 11, 23, 7, tzinfo=clock.MANILA)
MONDAYS = ["2026-11-23 08:00", "2026-12-07 08:00", "2026-12-14 08:00"]  # the 30th is Bonifacio Day


def details(title: str = "Biology") -> service.MeetingDetails:
    return service.MeetingDetails(title, "", MONDAY, 60)


def scheduled(people: People, school_class: SchoolClass, rule: WeeklyRule) -> list[ZoomMeeting]:
    plan = schedules.plan_from_expansion(expand_weekly_rule(rule, off=NATIONAL_HOLIDAYS, now=clock.now()))
    made = schedules.create_schedule(people.ada, school_class, details(), rule, plan, client_key=uuid4().hex)
    return list(
        db.session.scalars(
            select(ZoomMeeting).where(ZoomMeeting.schedule_id == made.id).order_by(ZoomMeeting.starts_at)
        )
    )


def three_mondays(people: People, school_class: SchoolClass) -> ZoomMeeting:
    [meeting] = scheduled(people, school_class, WeeklyRule({1: (time(8), 60)}, date(2026, 11, 23), dates=3))
    return meeting


def occurrence(meeting: ZoomMeeting, day: str) -> MeetingOccurrence:
    """The date with its meeting, as a page loads it."""
    return db.session.scalars(
        select(MeetingOccurrence)
        .where(MeetingOccurrence.meeting_id == meeting.id, MeetingOccurrence.local_date == date.fromisoformat(day))
        .options(joinedload(MeetingOccurrence.meeting))
    ).one()


def test_holidays_are_taken_out_of_the_recurring_meeting(
    app: Flask, people: People, world: SimulatedZoom, biology: SchoolClass
) -> None:
    with time_machine.travel(MONDAY, tick=False):
        meeting = three_mondays(people, biology)
        run_jobs(app)
        made = only(world)
        assert made.type == 8 and made.settings["registration_type"] == 1
        assert dates_at_zoom(made) == MONDAYS == dates_here(meeting)
        assert again(meeting).pending_action is None and again(meeting).error_code is None
    ids = {one.occurrence_id: one.start_time for one in made.occurrences if one.status == "available"}
    rows = db.session.scalars(select(MeetingOccurrence).where(MeetingOccurrence.meeting_id == meeting.id))
    assert {row.zoom_occurrence_id: row.starts_at for row in rows} == ids
    assert len(world.active_registrants(made.id)) == 3, "everybody once, for all dates"


def test_a_worker_broken_off_over_the_holidays_goes_on(
    app: Flask,
    people: People,
    world: SimulatedZoom,
    biology: SchoolClass,
    faults: Faults,
    impatient: Callable[..., Any],
) -> None:
    impatient()
    with time_machine.travel(MONDAY, tick=False) as moving:
        [meeting] = scheduled(
            people, biology, WeeklyRule({2: (time(8), 60)}, date(2026, 11, 24), until=date(2026, 12, 15))
        )
        faults.add("DELETE", "/meetings/", "reset")
        run_jobs(app)
        moving.shift(timedelta(seconds=30))
        run_jobs(app)
        assert (
            dates_at_zoom(only(world))
            == dates_here(meeting)
            == [
                "2026-11-24 08:00",
                "2026-12-01 08:00",
                "2026-12-15 08:00",
            ]
        )
        assert again(meeting).pending_action is None


def test_one_date_is_moved_and_one_cancelled(
    app: Flask, people: People, world: SimulatedZoom, biology: SchoolClass
) -> None:
    with time_machine.travel(MONDAY, tick=False):
        meeting = three_mondays(people, biology)
        run_jobs(app)
        to = clock.from_manila(date(2026, 12, 8), time(10))
        schedules.move_occurrence(people.ada, occurrence(meeting, "2026-12-07"), to, 45)
        schedules.cancel_occurrence(people.ada, occurrence(meeting, "2026-12-14"), "Intramurals")
        run_jobs(app)
        assert dates_at_zoom(only(world)) == ["2026-11-23 08:00", "2026-12-08 10:00"] == dates_here(meeting)
        assert again(meeting).pending_action is None
    assert world.count("PATCH").calls == 1, "Zoom counts changes, and only one date changed"


def test_dates_changed_before_zoom_has_them_arrive_changed(
    app: Flask, people: People, world: SimulatedZoom, biology: SchoolClass
) -> None:
    with time_machine.travel(MONDAY, tick=False):
        meeting = three_mondays(people, biology)
        to = clock.from_manila(date(2026, 12, 7), time(10))
        schedules.move_occurrence(people.ada, occurrence(meeting, "2026-12-07"), to, 60)
        schedules.cancel_occurrence(people.ada, occurrence(meeting, "2026-12-14"))
        run_jobs(app)
        assert dates_at_zoom(only(world)) == ["2026-11-23 08:00", "2026-12-07 10:00"]


def test_the_last_date_takes_the_meeting_with_it(
    app: Flask, people: People, world: SimulatedZoom, biology: SchoolClass
) -> None:
    with time_machine.travel(MONDAY, tick=False):
        meeting = three_mondays(people, biology)
        run_jobs(app)
        for day in ("2026-11-23", "2026-12-07", "2026-12-14"):
            schedules.cancel_occurrence(people.ada, occurrence(meeting, day))
        run_jobs(app)
    assert again(meeting).state == "cancelled"
    assert zooms(world) == []


@pytest.mark.parametrize("portal", ["sqlite"], indirect=True)
def test_later_blocks_wait_until_three_weeks_before_they_are_needed(
    app: Flask, people: People, world: SimulatedZoom, biology: SchoolClass
) -> None:
    every_day = WeeklyRule({day: (time(8), 50) for day in range(1, 6)}, date(2026, 11, 23), until=date(2027, 3, 12))
    with time_machine.travel(MONDAY, tick=False) as moving:
        first, second = scheduled(people, biology, every_day)
        run_jobs(app)
        assert (again(first).state, again(second).state) == ("scheduled", "pending_zoom")
        assert second.starts_at == clock.from_manila(date(2027, 2, 1), time(8))
        moving.move_to(second.starts_at - timedelta(days=21))
        run_jobs(app)
        assert again(second).state == "scheduled"
        for meeting in (first, second):
            at_zoom = next(one for one in zooms(world) if one.id == again(meeting).zoom_id)
            now = clock.to_manila(clock.now()).strftime("%Y-%m-%d %H:%M")
            assert [day for day in dates_at_zoom(at_zoom) if day > now] == [d for d in dates_here(meeting) if d > now]


def deleted_by_somebody(
    world: SimulatedZoom, sender: WebhookSender, meeting: ZoomMeeting, occurrence_id: str = ""
) -> None:
    world.delete_meeting(str(again(meeting).zoom_id), occurrence_id)
    sender.pump()


def test_a_meeting_deleted_in_zoom_is_made_again_for_everybody(
    app: Flask, people: People, world: SimulatedZoom, sender: WebhookSender, biology: SchoolClass
) -> None:
    with time_machine.travel(MONDAY, tick=False) as moving:
        meeting = three_mondays(people, biology)
        run_jobs(app)
        old = only(world).id
        moving.move_to(MONDAY + timedelta(days=1))
        deleted_by_somebody(world, sender, meeting)
        run_jobs(app)
        assert again(meeting).state == "deleted"
        schedules.recreate_meeting(people.ada, again(meeting))
        run_jobs(app)
        made = only(world)
        assert made.id != old
        assert dates_at_zoom(made) == MONDAYS[1:]
        assert again(meeting).state == "scheduled" and again(meeting).zoom_generation == 1
        assert len(world.active_registrants(made.id)) == 3
        links = {row.join_url for row in db.session.scalars(select(MeetingRegistrant))}
        assert all(made.id in str(link) for link in links)


def test_a_change_that_finds_the_meeting_gone_says_so(
    app: Flask, people: People, world: SimulatedZoom, biology: SchoolClass
) -> None:
    with time_machine.travel(MONDAY, tick=False):
        meeting = people.create_registered_meeting(people.ada, biology, MONDAY + timedelta(hours=3))
        world.delete_meeting(str(meeting.zoom_id))
        world.forget_calls()
        service.update_meeting(people.ada, meeting, service.MeetingDetails("Cells", "", meeting.starts_at, 60))
        run_jobs(app)
    assert (again(meeting).state, again(meeting).pending_action) == ("deleted", None)
    assert world.count("PATCH").calls == 1


def test_changes_made_in_zoom_come_back(
    app: Flask, people: People, world: SimulatedZoom, sender: WebhookSender, biology: SchoolClass
) -> None:
    with time_machine.travel(MONDAY, tick=False):
        meeting = people.create_registered_meeting(people.ada, biology, MONDAY + timedelta(hours=3))
        changed = {"topic": "Cells", "start_time": "2026-11-23T13:00:00", "duration": 45, "agenda": "Bring a pencil"}
        world.update_meeting(
            str(meeting.zoom_id), changed | {"timezone": "Asia/Manila", "settings": {"mute_upon_entry": False}}
        )
        sender.pump()
        run_jobs(app)
        row = again(meeting)
        assert (row.title, row.description, row.minutes, row.mute_upon_entry) == ("Cells", "Bring a pencil", 45, False)
        assert dates_here(meeting) == ["2026-11-23 13:00"]
        assert world.count("PATCH").calls == 0


def test_dates_changed_in_zoom_come_back(
    app: Flask, people: People, world: SimulatedZoom, sender: WebhookSender, biology: SchoolClass
) -> None:
    with time_machine.travel(MONDAY, tick=False):
        meeting = three_mondays(people, biology)
        run_jobs(app)
        first, second, third = (occurrence(meeting, day[:10]).zoom_occurrence_id for day in MONDAYS)
        world.update_meeting(only(world).id, {"start_time": "2026-12-07T01:00:00Z", "duration": 30}, str(second))
        deleted_by_somebody(world, sender, meeting, str(third))
        run_jobs(app)
        assert dates_here(meeting) == ["2026-11-23 08:00", "2026-12-07 09:00"]
        assert occurrence(meeting, "2026-12-07").minutes == 30
        assert first is not None


def test_a_series_moved_in_zoom_moves_here_and_keeps_its_holidays(
    app: Flask, people: People, world: SimulatedZoom, sender: WebhookSender, biology: SchoolClass
) -> None:
    with time_machine.travel(MONDAY, tick=False):
        meeting = three_mondays(people, biology)
        run_jobs(app)
        world.update_meeting(only(world).id, {"start_time": "2026-11-23T02:00:00Z"})
        sender.pump()
        run_jobs(app)
        assert dates_here(meeting) == [day.replace("08:00", "10:00") for day in MONDAYS] == dates_at_zoom(only(world))


def test_our_own_changes_come_back_and_change_nothing(
    app: Flask, people: People, world: SimulatedZoom, sender: WebhookSender, biology: SchoolClass
) -> None:
    """Even when an old echo arrives after a newer change."""
    with time_machine.travel(MONDAY, tick=False):
        meeting = people.create_registered_meeting(people.ada, biology, MONDAY + timedelta(hours=3))
        for title in ("Cells", "Plants"):
            service.update_meeting(people.ada, again(meeting), service.MeetingDetails(title, "", meeting.starts_at, 60))
            run_jobs(app)
        sender.pump()
        run_jobs(app)
        assert again(meeting).title == only(world).topic == "Plants"
        assert world.count("PATCH").calls == 2
        service.cancel_meeting(people.ada, again(meeting))
        run_jobs(app)
        sender.pump()
        run_jobs(app)
    assert again(meeting).state == "cancelled"


@pytest.mark.parametrize("portal", ["sqlite"], indirect=True)
def test_a_change_here_and_another_in_zoom_both_stay(
    app: Flask, people: People, world: SimulatedZoom, biology: SchoolClass
) -> None:
    with time_machine.travel(MONDAY, tick=False):
        meeting = people.create_registered_meeting(people.ada, biology, MONDAY + timedelta(hours=3))
        world.update_meeting(str(meeting.zoom_id), {"topic": "Cells"})
        later = meeting.starts_at + timedelta(hours=1)
        service.update_meeting(people.ada, meeting, service.MeetingDetails(meeting.title, "", later, 60))
        run_jobs(app)
        assert again(meeting).title == only(world).topic == "Cells"
        assert only(world).start_time == later


@pytest.mark.parametrize("portal", ["sqlite"], indirect=True)
def test_a_meeting_brought_back_in_zoom_is_there_again(
    app: Flask, people: People, world: SimulatedZoom, sender: WebhookSender, biology: SchoolClass
) -> None:
    with time_machine.travel(MONDAY, tick=False):
        meeting = people.create_registered_meeting(people.ada, biology, MONDAY + timedelta(hours=3))
        deleted_by_somebody(world, sender, meeting)
        run_jobs(app)
        world.recover_meeting(str(meeting.zoom_id))
        sender.pump()
        run_jobs(app)
    assert (again(meeting).state, again(meeting).pending_action) == ("scheduled", None)


@pytest.mark.parametrize("portal", ["sqlite"], indirect=True)
def test_settings_that_zoom_overrides_are_shown_and_not_sent_again(
    app: Flask, people: People, world: SimulatedZoom, biology: SchoolClass
) -> None:
    """Without a passcode Zoom turns the waiting room on (its security rule)."""
    with time_machine.travel(MONDAY, tick=False):
        meeting = people.meeting(people.ada, biology, MONDAY + timedelta(hours=3), waiting_room=False)
        run_jobs(app)
        world.update_meeting(str(again(meeting).zoom_id), {"password": ""})
        service.update_meeting(
            people.ada, again(meeting), service.MeetingDetails("Cells", "", meeting.starts_at, 60, waiting_room=False)
        )
        run_jobs(app)
        row = again(meeting)
        assert row.pending_action is None
        assert row.waiting_room, "Zoom's own change is taken over where nobody asked for anything else"
