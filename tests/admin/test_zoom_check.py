"""`flask zoom check`: what is wrong between the portal and Zoom, in plain words, with an exit code."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from werkzeug.serving import make_server

from portal.config import Settings
from portal.core import clock
from portal.sandbox.simulation.simulated_zoom import SimulatedZoom
from portal.sandbox.webhook_sender import WebhookSender
from portal.zoom.webhooks import probe
from portal.zoom_account import host_quota
from portal.zoom_account.client import init_zoom
from tests.browser import Browser
from tests.faults import Faults
from tests.people import People, run_jobs, soon

SECRET = "a secret for tests alone"


def run(app: Flask, **changes: Any) -> tuple[int, str]:
    """The command, with other settings if wanted: exit code and what it said."""
    settings: Settings = app.extensions["silid.settings"]
    try:
        app.extensions["silid.settings"] = replace(settings, **changes)
        init_zoom(app, app.extensions["silid.settings"])
        result = app.test_cli_runner().invoke(args=["zoom", "check"])
    finally:
        app.extensions["silid.settings"] = settings
        init_zoom(app, settings)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


@pytest.fixture
def served(app: Flask) -> Iterator[str]:
    """The portal over real HTTP; its address."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_where_all_is_well_it_says_what_each_permission_is_for(app: Flask, world: SimulatedZoom, served: str) -> None:
    code, said = run(app, base_url=served)
    assert code == 0, said
    assert "The credentials are good." in said
    assert "meeting:write:batch_registrants:admin: register learners thirty at a time" in said
    assert "report:read:list_meeting_participants:admin: complete the attendance" in said
    assert "The address answers rightly, but only from here" in said
    assert "Last heard from Zoom: never." in said and "No meetings wait." in said


def test_a_missing_permission_is_named_with_what_it_is_for(app: Flask, world: SimulatedZoom, served: str) -> None:
    every = world.scopes
    world.scopes = every - {"meeting:write:registrant:admin", "report:read:list_meeting_participants:admin"}
    try:
        code, said = run(app, base_url=served)
    finally:
        world.scopes = every
    assert code == 1
    assert "meeting:write:registrant:admin is missing; needed to register learners one by one." in said
    assert "without it the portal cannot complete the attendance from Zoom's own report" in said


def test_wrong_credentials_and_none_at_all_end_with_exit_code_1(app: Flask, world: SimulatedZoom, served: str) -> None:
    code, said = run(app, base_url=served, zoom_client_secret="wrong")
    assert code == 1 and "wrong" not in said and "credentials" in said.lower()
    code, said = run(app, base_url=served, zoom_account_id="", zoom_client_id="", zoom_client_secret="")
    assert code == 1 and "No account is entered" in said


def test_an_address_where_nothing_answers_is_explained(app: Flask, world: SimulatedZoom) -> None:
    code, said = run(app, base_url="http://127.0.0.1:9")
    assert code == 1 and "Nothing answers there" in said and "PORTAL_BASE_URL" in said


def test_a_portal_with_another_secret_is_told_from_one_that_is_not_there(
    app: Flask, world: SimulatedZoom, served: str, zoom_server: Any
) -> None:
    url = f"{served}/api/zoom/webhook"
    assert probe.probe_webhook_url(url, SECRET, clock.now()).outcome == "other_secret"
    assert probe.probe_webhook_url(f"{zoom_server[1]}/nowhere", SECRET, clock.now()).outcome == "not_found"


def test_without_a_webhook_secret_the_report_is_named_and_that_is_no_error(app: Flask, world: SimulatedZoom) -> None:
    code, said = run(app, zoom_webhook_secrets=())
    assert code == 0 and "Attendance comes from Zoom's report after class." in said


def test_the_page_and_the_command_have_the_same_figures(
    app: Flask,
    browser: Browser,
    people: People,
    world: SimulatedZoom,
    sender: WebhookSender,
    faults: Faults,
    served: str,
) -> None:
    section = people.section(people.ada)
    people.learners(section, 2)
    biology = people.school_class(people.ada, section)
    people.create_registered_meeting(people.ada, biology, soon())
    sender.pump()
    for _ in range(host_quota.WRITES_PER_DAY):
        host_quota.mark_quota_exhausted(people.ada.email)
    waiting = people.meeting(people.ada, biology, soon() + timedelta(hours=3))
    run_jobs(app)
    assert waiting.id
    _, said = run(app, base_url=served)
    assert "ada@r1.deped.gov.ph: 100 of 100" in said
    assert "1 meetings wait, 1 of them until" in said and "8:00 AM" in said
    people.sign_in(browser, people.head)
    browser.get("/admin/zoom")
    host = browser.page.select_one("#hosts ~ ul .url")
    assert "100 of 100" in str(browser.page) and host is not None and host.get_text() == "ada@r1.deped.gov.ph"
    assert "1, 1 until" in browser.text and "8:00 AM" in browser.text
