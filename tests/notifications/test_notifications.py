"""Those whom something concerns are told: once, in the portal and by letter, in their own language."""

from collections.abc import Callable
from datetime import date, time, timedelta
from email.message import EmailMessage
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select, update
from sqlalchemy.orm import joinedload

from portal.accounts import service as accounts
from portal.accounts.models import User
from portal.classes.models import SchoolClass, Section
from portal.core.db import db, write_transaction
from portal.core.mail import outbox
from portal.jobs import retention, worker
from portal.meetings import service as meetings
from portal.meetings.models import MeetingHistory, MeetingOccurrence, ZoomMeeting
from portal.meetings.scheduling import schedules
from portal.meetings.scheduling.recurrence import WeeklyRule, expand_weekly_rule
from portal.notifications.models import Notification
from portal.registration.models import MeetingRegistrant
from portal.sandbox.simulation.simulated_zoom import SimulatedZoom
from tests.browser import Browser, words
from tests.notifications.conftest import NOW, later
from tests.people import People, expire_orm_state, run_jobs

Letters = Callable[[], list[EmailMessage]]


def body(letter: EmailMessage) -> str:
    plain = letter.get_body(("plain",))
    assert plain is not None
    return str(plain.get_content())


def told() -> int:
    return db.session.scalar(select(func.count()).select_from(Notification)) or 0


def test_co_teacher_and_adviser_are_told_and_who_did_it_is_not(
    app: Flask, browser: Browser, people: People, biology: SchoolClass, letters: Letters, tuesday: Any
) -> None:
    meeting = people.create_registered_meeting(people.ada, biology, NOW + timedelta(hours=26))
    people.sign_in(browser, people.ada).get("/notifications")
    assert "Nothing new" in browser.text
    browser.submit("form[action='/sign-out']")
    people.sign_in(browser, people.bob).get("/")
    bell = browser.page.select_one("a.bell")
    assert bell and words(bell) == "Notifications, 1 unread 1"
    browser.get("/notifications")
    assert "Class scheduled: Biology, Grade 8 - Jadeite" in browser.text
    assert "Wed 25 Nov, 9:00 AM, by Ada Lovelace" in browser.text
    browser.submit(".notices form[action$=open]")
    assert browser.url == f"/meetings/{meeting.id}"
    bell = browser.page.select_one("a.bell")
    assert bell and words(bell) == "Notifications"
    later(tuesday, minutes=11)
    [to_adviser] = letters()
    assert to_adviser["To"] == "cora@r1.deped.gov.ph", "what was read in the portal is not mailed"
    assert to_adviser["Subject"] == "Class scheduled: Biology, Grade 8 - Jadeite"
    assert f"https://silid.test/meetings/{meeting.id}" in body(to_adviser)
    assert not letters()


def test_a_change_and_a_cancellation_come_soon_in_one_letter_and_in_the_readers_language(
    app: Flask, browser: Browser, people: People, biology: SchoolClass, letters: Letters, tuesday: Any
) -> None:
    meeting = people.create_registered_meeting(people.ada, biology, NOW + timedelta(hours=26))
    later(tuesday, minutes=11)
    assert len(letters()) == 2
    accounts.set_user_language(db.session.get_one(User, people.bob.id), "fil")
    people.sign_in(browser, people.ada).get(f"/meetings/{meeting.id}/change")
    browser.submit("form:has([name=title])", start="10:30")
    browser.get(f"/meetings/{meeting.id}/cancel")
    browser.submit("form:has([name=reason])", reason="Typhoon, says JUAN DELA CRUZ")
    assert not letters(), "a minute for what else is to be said"
    later(tuesday, minutes=2)
    to_bob, to_cora = letters()
    assert to_cora["Subject"] == "2 things about your classes"
    assert "Class changed: Biology" in body(to_cora) and "Class cancelled: Biology" in body(to_cora)
    assert "Wed 25 Nov, 10:30 AM" in body(to_cora)
    assert "JUAN" not in body(to_cora), "what was typed by hand may name a learner"
    html = to_bob.get_body(("html",))
    assert html is not None and '<html lang="fil">' in html.get_content()
    browser.submit("form[action='/sign-out']")
    people.sign_in(browser, people.bob).get("/notifications")
    assert "Typhoon, says JUAN DELA CRUZ" in browser.text


def test_a_repeat_tells_nothing_twice(
    app: Flask, people: People, biology: SchoolClass, letters: Letters, tuesday: Any
) -> None:
    people.create_registered_meeting(people.ada, biology, NOW + timedelta(hours=26))
    assert told() == 2
    with write_transaction():  # as if it had died before the mark was written
        db.session.execute(update(MeetingHistory).values(is_notified=False))
    run_jobs(app)
    assert told() == 2
    later(tuesday, minutes=11)
    assert len(letters()) == 2 and not letters()


def test_registrations_that_fail_are_told_once_a_day_to_those_who_can_help(
    app: Flask, browser: Browser, people: People, biology: SchoolClass, letters: Letters, tuesday: Any, faults: Any
) -> None:
    for _ in range(12):
        faults.refuse("POST", "registrants", 400, 300, "Validation Failed.")
    meeting = people.create_registered_meeting(people.ada, biology, NOW + timedelta(hours=26))
    failing = select(func.count()).select_from(MeetingRegistrant).where(MeetingRegistrant.state == "failed")
    number = db.session.scalar(failing)
    assert number
    later(tuesday, minutes=3)
    run_jobs(app)
    later(tuesday, minutes=11)
    found = {str(letter["To"]): body(letter) for letter in letters()}
    assert f"{number} not registered: Biology" in found["ada@r1.deped.gov.ph"]
    assert f"/meetings/{meeting.id}#help" in found["bob@r1.deped.gov.ph"]
    assert "not registered" not in found["cora@r1.deped.gov.ph"], "an adviser may only look"
    assert "LEARNER" not in "".join(found.values()) and "3001232" not in "".join(found.values())
    with write_transaction():
        db.session.execute(update(MeetingRegistrant).values(state="queued"))
    worker.create_due_notifications()
    with write_transaction():
        db.session.execute(update(MeetingRegistrant).values(state="failed"))
    later(tuesday, minutes=15)
    assert not letters(), "the same day again: once is enough"
    later(tuesday, days=1)
    with write_transaction():
        db.session.execute(update(MeetingRegistrant).values(failure_notified=False, updated_at=NOW))
    worker.create_due_notifications()
    later(tuesday, minutes=11)
    assert len(letters()) == 2


def test_each_kind_can_be_switched_off_for_portal_and_mail(
    app: Flask, browser: Browser, people: People, biology: SchoolClass, letters: Letters, tuesday: Any
) -> None:
    people.sign_in(browser, people.bob).get("/settings")
    browser.click("Choose what you are told")
    kinds = [str(box["value"]) for box in browser.page.select("input[name=mail][checked]")]
    assert len(kinds) == 6, "everything is on at first"
    browser.submit("form[action='/settings/notifications']", portal=["cancelled"], mail=["changed"])
    boxes = [(str(box["name"]), str(box["value"])) for box in browser.page.select("main input[checked]")]
    assert sorted(boxes) == [("mail", "changed"), ("portal", "cancelled")]
    meeting = people.create_registered_meeting(people.ada, biology, NOW + timedelta(hours=26))
    meetings.cancel_meeting(people.ada, meeting)
    run_jobs(app)
    later(tuesday, minutes=11)
    assert [letter["To"] for letter in letters()] == ["cora@r1.deped.gov.ph"]
    browser.get("/notifications")
    assert "Class cancelled" in browser.text and "Class scheduled" not in browser.text
    browser.post("/settings/notifications", {"mail": "nonsense", "portal": "'; --"})
    assert not browser.page.select("main input[checked]")


def test_mark_one_or_all_as_read_and_nobody_elses(
    app: Flask, browser: Browser, people: People, biology: SchoolClass, tuesday: Any, cora: User
) -> None:
    for hour in (26, 27, 28):
        people.create_registered_meeting(people.ada, biology, NOW + timedelta(hours=hour))
    hers = db.session.scalars(select(Notification.id).where(Notification.user_id == cora.id)).first()
    people.sign_in(browser, people.bob).get("/notifications")
    browser.submit(".notices form[action$=read]")
    assert len(browser.page.select("section[aria-labelledby=new] li")) == 2
    browser.submit("main form", button="Mark all as read")
    assert not browser.page.select("section[aria-labelledby=new]") and "marked as read" in browser.text
    for what in ("read", "open"):
        browser.get("/notifications")
        browser.post(f"/notifications/{hers}/{what}", status=404)
    expire_orm_state()
    assert db.session.get_one(Notification, hers).read_at is None


def test_a_schedule_of_several_meetings_is_told_as_one_thing_and_its_dates_one_by_one(
    app: Flask, browser: Browser, people: People, biology: SchoolClass, letters: Letters, tuesday: Any
) -> None:
    rule = WeeklyRule({3: (time(9), 60), 4: (time(13), 45)}, date(2026, 11, 25), dates=6)
    details = meetings.MeetingDetails(title="Cells", description="", starts_at=NOW, minutes=60)
    plan = schedules.plan_from_expansion(expand_weekly_rule(rule, off={}, now=NOW))
    schedules.create_schedule(people.ada, biology, details, rule, plan, client_key="cells")
    run_jobs(app)
    later(tuesday, minutes=11)
    to_bob, _to_cora = letters()
    assert to_bob["Subject"] == "Class scheduled: Biology, Grade 8 - Jadeite"
    assert "6 dates, first Wed 25 Nov, 9:00 AM, by Ada Lovelace" in body(to_bob)
    rows = select(MeetingOccurrence).options(joinedload(MeetingOccurrence.meeting))
    dates = db.session.scalars(rows.order_by(MeetingOccurrence.starts_at)).all()
    schedules.move_occurrence(people.ada, dates[0], dates[0].starts_at + timedelta(hours=2), 60)
    schedules.cancel_occurrence(people.ada, dates[1], "Intramurals")
    run_jobs(app)
    later(tuesday, minutes=11)
    to_bob, _to_cora = letters()
    assert "from Wed 25 Nov to Wed 25 Nov, 11:00 AM, by Ada" in body(to_bob)
    assert "One date cancelled: Biology, Grade 8 - Jadeite" in body(to_bob) and "Thu 26 Nov, by Ada" in body(to_bob)
    people.sign_in(browser, people.bob).get("/notifications")
    assert "Reason: Intramurals" in browser.text


@pytest.mark.parametrize("sign", ["\r\nBcc: x@evil.example", "\n\n", "\x0b", "\u2028", "\x00", " 300123200001 "])
def test_control_characters_and_numbers_in_names_reach_no_header(
    app: Flask, people: People, biology: SchoolClass, letters: Letters, tuesday: Any, sign: str
) -> None:
    with write_transaction() as session:
        if "\x00" not in sign:  # no database keeps that one
            session.get_one(SchoolClass, biology.id).subject = f"Bio{sign}logy"
            session.get_one(Section, biology.section_id).name = f"Jade{sign}ite"
        session.get_one(User, people.bob.id).full_name = f"Bob{sign if sign != chr(0) else ''} Santos"
    people.create_registered_meeting(people.ada, biology, NOW + timedelta(hours=26))
    later(tuesday, minutes=11)
    to_bob, to_cora = letters()
    assert str(to_bob["Subject"]).startswith("Class scheduled: Bio") and to_bob["Bcc"] is None
    assert "300123200001" not in str(to_bob) + str(to_cora)
    assert {letter["To"] for letter in (to_bob, to_cora)} == {"bob@r1.deped.gov.ph", "cora@r1.deped.gov.ph"}


def test_a_dead_mail_server_loses_and_doubles_nothing(
    app: Flask, people: People, biology: SchoolClass, letters: Letters, tuesday: Any
) -> None:
    from dataclasses import replace

    settings = app.extensions["silid.settings"]
    app.extensions["silid.settings"] = replace(settings, mail_url="smtp://127.0.0.1:9")
    people.create_registered_meeting(people.ada, biology, NOW + timedelta(hours=26))
    later(tuesday, minutes=11)
    assert not letters() and not letters()
    waiting = db.session.scalars(select(outbox.OutboxMail.state)).all()
    assert waiting == ["queued", "queued"], "one letter for each, written once"
    app.extensions["silid.settings"] = settings
    later(tuesday, hours=1)
    assert len(letters()) == 2 and not letters()


def test_somebody_who_left_is_not_written_to(
    app: Flask, people: People, biology: SchoolClass, letters: Letters, tuesday: Any, cora: User
) -> None:
    people.create_registered_meeting(people.ada, biology, NOW + timedelta(hours=26))
    with write_transaction() as session:
        session.get_one(User, people.bob.id).deactivated_at = NOW
    later(tuesday, minutes=11)
    assert [letter["To"] for letter in letters()] == ["cora@r1.deped.gov.ph"]
    meetings.cancel_meeting(people.ada, db.session.scalars(select(ZoomMeeting)).one())
    run_jobs(app)
    assert {row.user_id for row in db.session.scalars(select(Notification).filter_by(kind="cancelled"))} == {cora.id}


def test_old_news_is_shown_but_not_mailed_and_goes_after_ninety_days(
    app: Flask, people: People, biology: SchoolClass, letters: Letters, tuesday: Any, world: SimulatedZoom
) -> None:
    people.meeting(people.ada, biology, NOW + timedelta(hours=200))
    later(tuesday, days=5)
    run_jobs(app)
    later(tuesday, minutes=11)
    assert told() == 2 and not letters(), "the worker was away for days"
    later(tuesday, days=90)
    assert retention.delete_expired_rows(dry_run=True)["notifications"] == 2
    retention.delete_expired_rows()
    assert told() == 0
