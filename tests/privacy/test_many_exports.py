"""A stolen account cannot empty a school: files with learners' rows are counted for each person and hour."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask import Flask
from sqlalchemy import select

from portal.classes.models import Section
from portal.core.audit_log import AuditEntry
from portal.core.db import db
from portal.meetings.models import MeetingOccurrence
from portal.sandbox.simulation.simulated_zoom import SimulatedZoom
from tests.browser import Browser
from tests.people import People, soon

HELD_BACK = "export_limited"


@pytest.fixture
def files(app: Flask, people: People, world: SimulatedZoom) -> Iterator[list[str]]:
    """Three files of Ada's, of three kinds, where two an hour are allowed."""
    settings = app.extensions["silid.settings"]
    app.extensions["silid.settings"] = replace(settings, exports_per_hour=2)
    section: Section = people.section(people.ada)
    people.learners(section, 1)
    people.create_registered_meeting(people.ada, people.school_class(people.ada, section), soon())
    date = db.session.scalars(select(MeetingOccurrence.id)).one()
    yield [
        f"/attendance/{date}.csv",
        f"/reports/sections/{section.id}/sf2/2026-11.xlsx",
        f"/reports/marks.csv?section={section.id}",
    ]
    app.extensions["silid.settings"] = settings


def test_the_third_file_of_the_hour_is_held_back_whatever_its_kind(
    browser: Browser, people: People, files: list[str]
) -> None:
    people.sign_in(browser, people.ada)
    assert [browser.client.get(file).status_code for file in files] == [200, 200, 429]
    browser.get(files[2], status=429)
    assert "at most 2 files" in browser.text and "Pages can be looked at meanwhile" in browser.text
    assert browser.response is not None and 0 < int(browser.response.headers["Retry-After"]) <= 3600
    browser.get("/classes")
    entries = db.session.scalars(select(AuditEntry).where(AuditEntry.action == HELD_BACK)).all()
    assert [(entry.user_id, entry.details) for entry in entries] == [(people.ada.id, {"most": 2})]


def test_what_is_refused_does_not_count_and_each_person_is_counted_alone(
    browser: Browser, people: People, files: list[str]
) -> None:
    people.sign_in(browser, people.bob)
    assert {browser.client.get(files[0]).status_code for _ in range(4)} == {404}
    browser.get("/classes")
    browser.submit("form[action='/sign-out']")
    people.sign_in(browser, people.head)
    assert [browser.client.get(file).status_code for file in files] == [200, 200, 429]
    browser.get("/classes")
    browser.submit("form[action='/sign-out']")
    people.sign_in(browser, people.ada)
    assert browser.client.get(files[0]).status_code == 200
