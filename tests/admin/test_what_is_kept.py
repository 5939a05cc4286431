"""How long things are kept, and that marks do not change when raw deliveries go."""

import csv
import io
import re
from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from sqlalchemy import func, select

from portal.core import client_hash, clock
from portal.core.audit_log import AuditEntry
from portal.core.db import db
from portal.jobs.retention import delete_expired_rows
from portal.meetings.models import MeetingOccurrence
from portal.sandbox.simulation.simulated_zoom import SimulatedZoom
from portal.sandbox.webhook_sender import WebhookSender
from portal.webhooks.models import ZoomEvent
from tests.browser import Browser
from tests.people import People, run_jobs, soon


def test_marks_stay_when_raw_events_go(
    app: Flask, browser: Browser, people: People, world: SimulatedZoom, sender: WebhookSender
) -> None:
    section = people.section(people.ada)
    people.learners(section, 2)
    meeting = people.create_registered_meeting(people.ada, people.school_class(people.ada, section), soon())
    assert meeting.zoom_id
    world.start(meeting.zoom_id, meeting.starts_at)
    registrant = world.active_registrants(meeting.zoom_id)[0]
    stay = world.join(meeting.zoom_id, registrant_id=registrant.id, at=meeting.starts_at)
    world.leave(stay, meeting.starts_at + timedelta(minutes=20))
    world.end(meeting.zoom_id, meeting.starts_at + timedelta(minutes=60))
    sender.pump()
    run_jobs(app)
    occurrence = db.session.scalars(select(MeetingOccurrence.id)).one()
    people.sign_in(browser, people.ada)
    before = browser.client.get(f"/attendance/{occurrence}.csv").get_data(as_text=True)
    assert "1200" in {row["seconds"] for row in csv.DictReader(io.StringIO(before))}
    with time_machine.travel(clock.now() + timedelta(days=31), tick=False):
        told = delete_expired_rows(dry_run=True)
        assert told["webhook deliveries"] > 0 and delete_expired_rows() == told
        assert db.session.scalar(select(func.count()).select_from(ZoomEvent)) == 0
        run_jobs(app)
        people.sign_in(browser, people.ada)
        assert browser.client.get(f"/attendance/{occurrence}.csv").get_data(as_text=True) == before
        assert set(delete_expired_rows().values()) == {0}


def test_sign_ins_are_known_for_half_a_year_by_a_place_that_cannot_be_found_out(
    app: Flask, browser: Browser, people: People
) -> None:
    people.sign_in(browser, people.ada)
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "signed_in")).one()
    assert re.fullmatch("[0-9a-f]{32}", entry.details["place"])
    with time_machine.travel(clock.now() + timedelta(days=31), tick=False):
        assert delete_expired_rows()["keys of the day"] == 1
        assert db.session.scalar(select(func.count()).select_from(client_hash.IpHashKey)) == 0
        assert delete_expired_rows()["sign-in log"] == 0
    with time_machine.travel(clock.now() + timedelta(days=181), tick=False):
        assert delete_expired_rows()["sign-in log"] == 1


def test_the_same_place_has_another_name_every_day(app: Flask) -> None:
    today = client_hash.hash_client_ip("203.0.113.7")
    assert client_hash.hash_client_ip("203.0.113.7") == today != client_hash.hash_client_ip("203.0.113.8")
    with time_machine.travel(clock.now() + timedelta(days=1), tick=False):
        assert client_hash.hash_client_ip("203.0.113.7") != today


@pytest.mark.parametrize("portal", ["sqlite"], indirect=True)
def test_the_command_says_what_would_go(app: Flask) -> None:
    told = app.test_cli_runner().invoke(args=["data", "purge", "--dry-run"])
    assert told.exit_code == 0 and "webhook deliveries would go" in told.output
