"""Zoom's report after class: it heals what the events lost, replaces what they said, and erases nothing."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import NoReturn

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select

from portal.attendance.models import AttendanceSheet
from portal.core import clock
from portal.core.db import db
from portal.meetings.models import MeetingOccurrence
from portal.registration.models import MeetingRegistrant
from portal.sandbox.simulation.simulated_zoom import SimulatedZoom
from portal.sandbox.webhook_sender import WebhookSender
from portal.zoom.errors import ZoomNotAuthorised, ZoomRateLimited, ZoomRefused, ZoomUnavailable
from tests.attendance.lesson import HOST_ID, Lesson, Says, at, row
from tests.browser import Browser
from tests.people import People, expire_orm_state, run_jobs

Make = Callable[..., Lesson]
UUID = Says().uuid


def sheet_of(lesson: Lesson) -> AttendanceSheet:
    expire_orm_state()
    return db.session.get_one(AttendanceSheet, lesson.occurrence.id)


def test_a_lost_leave_and_a_lost_end_are_healed_half_an_hour_after_the_planned_end(
    make_lesson: Make, sessions: Iterator[str]
) -> None:
    lesson, zoom, session = make_lesson(2), Says(), next(sessions)
    lesson.move(at("8:30"))
    lesson.deliver(zoom.started(), zoom.joined(session, at("8:00"), registrant_id="R1"))
    lesson.move(at("9:31"))
    assert lesson.verdicts() == [(0, "needs review"), (0, "needs review")]
    lesson.zoom.ends[UUID] = at("9:00")
    lesson.zoom.rows[UUID] = [row(session, at("8:00"), at("8:50"), registrant_id="R1")]
    lesson.reconcile()
    assert lesson.verdicts() == [(3000, "present"), (0, "absent")]
    assert lesson.occurrence.id == lesson.dates()[0].id
    assert lesson.dates()[0].state == "ended"
    assert "Reconciled" in lesson.sheet()


def test_a_class_of_which_no_event_came_gets_the_same_sheet_from_the_report(
    make_lesson: Make, sessions: Iterator[str]
) -> None:
    lesson, zoom = make_lesson(3), Says()
    one, two, three, host = (next(sessions) for _ in range(4))
    zoom_rows = [
        row(host, at("7:58"), at("9:00"), id=HOST_ID, user_email="ada@r1.deped.gov.ph"),
        row(one, at("8:00"), at("8:19"), registrant_id="R1"),
        row(two, at("8:20"), at("8:40"), registrant_id="R1"),
        row(three, at("8:00"), at("8:05"), status="in_waiting_room", registrant_id="R2"),
        row(three, at("8:05"), at("8:10"), registrant_id="R2"),
        row(three, at("8:05"), at("8:10"), registrant_id="R2"),
    ]
    lesson.zoom.runs[UUID], lesson.zoom.ends[UUID], lesson.zoom.rows[UUID] = at("7:58"), at("9:00"), zoom_rows
    lesson.move(at("9:31"))
    lesson.reconcile()
    alone = lesson.csv()
    assert lesson.verdicts() == [(2340, "present"), (300, "partial"), (0, "absent")]
    assert "Staff in the meeting Ada" not in alone
    assert "to_match" not in lesson.sheet()
    lesson.deliver(
        zoom.started(),
        zoom.host(host, at("7:58"), at("9:00")),
        zoom.stay(one, at("8:00"), at("8:19"), registrant_id="R1"),
        zoom.stay(two, at("8:20"), at("8:40"), registrant_id="R1"),
        zoom.waits(three, at("8:00"), registrant_id="R2"),
        zoom.admitted(three, at("8:05"), registrant_id="R2"),
        zoom.stay(three, at("8:05"), at("8:10"), registrant_id="R2"),
        zoom.ended(at("9:00")),
    )
    assert lesson.csv() == alone, "the late events say the same"


def test_report_rows_replace_the_same_session_and_join_the_others_in_either_order(
    make_lesson: Make, sessions: Iterator[str]
) -> None:
    lesson, zoom = make_lesson(2), Says()
    one, two, three = (next(sessions) for _ in range(3))
    lesson.deliver(
        zoom.started(),
        zoom.stay(one, at("8:00"), at("8:50"), registrant_id="R1"),
        zoom.stay(two, at("8:05"), at("8:15"), registrant_id="R2"),
        zoom.ended(at("9:00")),
    )
    lesson.zoom.rows[UUID] = [
        row(one, at("8:00"), at("8:10"), registrant_id="R1"),
        row(three, at("8:40"), at("8:50"), registrant_id="R2"),
    ]
    lesson.move(at("9:31"))
    lesson.reconcile()
    assert lesson.verdicts() == [(600, "partial"), (1200, "present")]
    lesson.deliver(zoom.left(one, at("8:55"), registrant_id="R1"))
    assert lesson.verdicts() == [(600, "partial"), (1200, "present")], "a late leave does not beat the report"


def test_an_empty_report_erases_nothing_and_the_sheet_says_so(make_lesson: Make, sessions: Iterator[str]) -> None:
    lesson, zoom = make_lesson(2), Says()
    lesson.deliver(
        zoom.started(), zoom.stay(next(sessions), at("8:00"), at("8:50"), registrant_id="R1"), zoom.ended(at("9:00"))
    )
    before = lesson.csv()
    lesson.zoom.rows[UUID] = []
    for hours in (0.6, 1.1, 7, 26):
        lesson.move(at("9:00") + timedelta(hours=hours))
        lesson.reconcile()
        assert lesson.csv() == before
    assert sheet_of(lesson).state == "unreported"
    assert "Zoom's report is empty" in lesson.sheet()


def test_a_report_that_zoom_still_works_on_is_no_answer(make_lesson: Make, sessions: Iterator[str]) -> None:
    lesson, zoom, one = make_lesson(2), Says(), next(sessions)
    lesson.deliver(zoom.started(), zoom.joined(one, at("8:00"), registrant_id="R1"))
    lesson.zoom.ends[UUID] = at("9:00")
    lesson.zoom.rows[UUID] = [row(one, at("8:00"), None, registrant_id="R1")]
    lesson.move(at("9:31"))
    lesson.reconcile()
    assert (sheet_of(lesson).state, sheet_of(lesson).report_error) == ("provisional", "not_ready")
    lesson.zoom.rows[UUID] = [row(one, at("8:00"), at("8:10"), registrant_id="R1")]
    lesson.move(at("10:02"))
    lesson.reconcile()
    assert lesson.verdicts() == [(600, "partial"), (0, "absent")]


def test_rows_without_a_session_are_told_apart_by_who_and_when(make_lesson: Make) -> None:
    lesson, zoom = make_lesson(2), Says()
    lesson.deliver(zoom.started(), zoom.ended(at("9:00")))
    lesson.zoom.rows[UUID] = [
        row(None, at("8:00"), at("8:10"), registrant_id="R1"),
        row(None, at("8:20"), at("8:40"), registrant_id="R1"),
        row(None, at("8:00"), at("8:05"), registrant_id="R2"),
        row(None, at("8:30"), at("8:20"), registrant_id="R2"),
    ]
    lesson.move(at("9:31"))
    lesson.reconcile()
    assert lesson.verdicts() == [(1800, "present"), (300, "partial")]


def test_it_asks_until_two_answers_are_equal(make_lesson: Make, sessions: Iterator[str]) -> None:
    lesson, zoom, one = make_lesson(1), Says(), next(sessions)
    lesson.deliver(zoom.started(), zoom.ended(at("9:00")))
    answers = [(at("8:05"), at("9:29"), 0), (at("8:05"), at("9:31"), 1), (at("8:20"), at("10:02"), 2)]
    answers += [(at("8:20"), at("15:10"), 3), (at("8:20"), at("23:59", 4), 3)]
    for left, moment, asked in answers:
        lesson.zoom.rows[UUID] = [row(one, at("8:00"), left, registrant_id="R1")]
        lesson.move(moment)
        lesson.reconcile()
        assert lesson.zoom.asked == asked, moment
    assert lesson.verdicts() == [(1200, "present")]


@pytest.mark.parametrize("portal", ["sqlite"], indirect=True)
def test_without_an_answer_it_asks_nightly_for_three_days_more(make_lesson: Make) -> None:
    lesson, zoom = make_lesson(1), Says()
    lesson.deliver(zoom.started(), zoom.ended(at("9:00")))
    lesson.zoom.error = ZoomUnavailable("down")
    asked_at = []
    for hour in range(24 * 6):
        lesson.moving.move_to(at("9:35") + timedelta(hours=hour))
        before = lesson.zoom.asked
        lesson.reconcile()
        if lesson.zoom.asked > before:
            asked_at.append(clock.to_manila(clock.now()).strftime("%d %H"))
    assert asked_at == ["03 09", "03 10", "03 15", "04 09", "05 02", "06 02", "07 02"]
    assert sheet_of(lesson).state == "unreported"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ZoomRefused(400, 200, "Only available for Paid user", resource="report"), "without a paid plan"),
        (ZoomNotAuthorised("4711", missing_scopes=("report:read",)), "missing scope"),
    ],
)
def test_where_the_report_is_not_to_be_had_the_sheet_says_so_at_once_and_offers_the_file(
    make_lesson: Make, sessions: Iterator[str], error: Exception, words: str
) -> None:
    lesson, zoom = make_lesson(2), Says()
    lesson.deliver(
        zoom.started(), zoom.stay(next(sessions), at("8:00"), at("8:50"), registrant_id="R1"), zoom.ended(at("9:00"))
    )
    lesson.zoom.error = error
    lesson.move(at("9:31"))
    lesson.reconcile()
    assert words in lesson.sheet()
    assert lesson.browser.page.select_one(f"a[href='/attendance/{lesson.occurrence.id}/file']")
    assert lesson.verdicts() == [(3000, "present"), (0, "absent")], "the events were complete"


def test_a_class_of_which_nothing_was_heard_and_nobody_can_tell_is_left_to_the_teacher(make_lesson: Make) -> None:
    lesson = make_lesson(2)
    lesson.zoom.past_instances = unavailable  # type: ignore[method-assign]  # down for long
    for hours in (0.6, 1.1, 7, 26, 50, 74, 98):
        lesson.move(at("9:00") + timedelta(hours=hours))
        lesson.reconcile()
        assert lesson.verdicts() == [(0, "needs review")] * 2
    assert "Zoom has not told us of this class" in lesson.sheet()
    lesson.browser.submit("form[action$=marks]", who=[str(lesson.learners[0].id)], to="present", reason="By chat")
    lesson.browser.submit("form[action$=finalise]")
    assert lesson.verdicts() == [(0, "present"), (0, "needs review")]


def test_a_meeting_that_nobody_opened_is_no_class_unless_a_teacher_marks_somebody(make_lesson: Make) -> None:
    """Zoom says that it knows of no running: a holiday, a sick teacher, or a class held by other means."""
    lesson = make_lesson(2)
    lesson.move(at("9:31"))
    lesson.reconcile()
    assert lesson.verdicts() == [(0, "pending")] * 2
    assert "nobody opened the meeting" in lesson.sheet()
    assert "Finalise sheet" not in lesson.browser.text
    lesson.browser.submit("form[action$=marks]", who=[str(lesson.learners[0].id)], to="present", reason="By chat")
    assert lesson.verdicts() == [(0, "present"), (0, "needs review")]
    lesson.browser.submit("form[action$=finalise]")
    assert "The sheet is finalised" in lesson.browser.text


def unavailable(_zoom_id: str) -> NoReturn:
    raise ZoomUnavailable("down")


def test_a_sheet_that_was_touched_before_a_class_of_which_nothing_is_heard_is_reconciled_too(
    make_lesson: Make, sessions: Iterator[str]
) -> None:
    lesson = make_lesson(2)
    lesson.move(at("8:01"))
    lesson.sheet()
    lesson.browser.submit("form[action$=marks]", who=[str(lesson.learners[1].id)], to="absent", reason="Excused")
    lesson.zoom.runs[UUID], lesson.zoom.ends[UUID] = at("8:00"), at("9:00")
    lesson.zoom.rows[UUID] = [row(next(sessions), at("8:00"), at("8:50"), registrant_id="R1")]
    lesson.move(at("9:31"))
    lesson.reconcile()
    assert lesson.verdicts() == [(3000, "present"), (0, "absent")]


def test_a_limit_of_zooms_only_moves_the_asking(make_lesson: Make) -> None:
    lesson, zoom = make_lesson(1), Says()
    lesson.deliver(zoom.started(), zoom.ended(at("9:00")))
    lesson.zoom.error = ZoomRateLimited("heavy", until=at("12:00"))
    lesson.move(at("9:31"))
    lesson.reconcile()
    sheet = sheet_of(lesson)
    assert (sheet.reconcile_at, sheet.reconcile_attempts, sheet.state) == (at("12:00"), 0, "provisional")


def test_a_restart_that_only_the_report_knows_of_is_part_of_the_class(
    make_lesson: Make, sessions: Iterator[str]
) -> None:
    lesson, zoom = make_lesson(1), Says()
    one, two = next(sessions), next(sessions)
    lesson.deliver(zoom.started(), zoom.stay(one, at("8:00"), at("8:10"), registrant_id="R1"), zoom.ended(at("8:10")))
    lesson.zoom.runs |= {UUID: at("7:58"), "second": at("8:12")}
    lesson.zoom.ends["second"] = at("9:00")
    lesson.zoom.rows[UUID] = [row(one, at("8:00"), at("8:10"), registrant_id="R1")]
    lesson.zoom.rows["second"] = [row(two, at("8:12"), at("8:20"), registrant_id="R1")]
    lesson.move(at("9:31"))
    lesson.reconcile()
    assert lesson.verdicts() == [(1080, "present")]


def test_an_outage_of_ours_keeps_everybody_from_being_absent_until_the_report_is_in(
    make_lesson: Make, sessions: Iterator[str]
) -> None:
    from portal.core.db import write_transaction
    from portal.webhooks.models import WebhookHeartbeat

    lesson, zoom, one = make_lesson(2), Says(), next(sessions)
    with write_transaction() as session:
        session.add(WebhookHeartbeat(started_at=at("6:00"), last_seen_at=at("8:20")))
        session.add(WebhookHeartbeat(started_at=at("8:30"), last_seen_at=at("9:31")))
    lesson.deliver(zoom.started(), zoom.stay(one, at("8:00"), at("8:10"), registrant_id="R1"), zoom.ended(at("9:00")))
    assert [mark for _, mark in lesson.verdicts()] == ["needs review", "needs review"]
    assert "Silid missed a part of this class" in lesson.sheet()
    lesson.zoom.rows[UUID] = [row(one, at("8:00"), at("8:10"), registrant_id="R1")]
    lesson.move(at("9:31"))
    lesson.reconcile()
    assert lesson.verdicts() == [(600, "partial"), (0, "absent")]


def test_the_pretend_zooms_own_report_after_half_of_the_events_were_lost(
    app: Flask, browser: Browser, people: People, world: SimulatedZoom, sender: WebhookSender
) -> None:
    """End to end, with the real client over HTTP."""
    with time_machine.travel(at("7:30"), tick=False) as moving:
        section = people.section(people.ada)
        learners = people.learners(section, 3)
        meeting = people.create_registered_meeting(people.ada, people.school_class(people.ada, section), at("8:00"))
        ids = {one.learner_id: one.zoom_registrant_id for one in db.session.scalars(select(MeetingRegistrant))}
        sender.faults.drop = lambda body: "left" in str(body) or "ended" in str(body)
        zoom_id = str(meeting.zoom_id)
        world.start(zoom_id, at=at("7:58"))
        world.join(zoom_id, host=True, at=at("7:58"))
        for learner, left in zip(learners[:2], (at("8:10"), at("8:50")), strict=True):
            stay = world.join(zoom_id, registrant_id=ids[learner.id], at=at("8:00"))
            world.leave(stay, at=left)
        moving.move_to(at("9:00"))
        world.end(zoom_id, at=at("9:00"))
        sender.pump()
        moving.move_to(at("9:31"))
        run_jobs(app)
        people.sign_in(browser, people.ada)
        occurrence = db.session.scalars(select(MeetingOccurrence)).one()
        browser.get(f"/attendance/{occurrence.id}")
        text = browser.text
        sheet = db.session.get_one(AttendanceSheet, occurrence.id)
    assert sheet.state == "reconciled"
    assert "Reconciled with Zoom" in text
    browser_counts = [" ".join(one.get_text(" ").split()) for one in browser.page.select(".tally a")]
    assert browser_counts == ["1 Present", "1 Partial", "1 Absent", "0 Review"]
