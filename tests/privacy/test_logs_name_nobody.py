"""Logs: one JSON object a line, the request's id, and no name, address, LRN, password, token or link in any of them."""

import io
import json
import logging
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy import insert, select

from portal.classes.models import Learner
from portal.core.db import db, is_postgresql, write_transaction
from portal.core.gunicorn_logs import GunicornLogger
from portal.core.logs import JsonFormatter, redact_log_text
from portal.meetings.models import MeetingOccurrence, ZoomMeeting
from portal.registration.join_links import JoinLink, get_calendar_token, rotate_calendar_link
from portal.registration.models import MeetingRegistrant
from portal.sandbox import defaults
from portal.sandbox.simulation.simulated_zoom import SimulatedZoom
from portal.sandbox.webhook_sender import WebhookSender
from tests.browser import Browser
from tests.faults import Faults
from tests.people import PASSWORD, People, run_jobs, soon


class Captured:
    """What was written, as text and line by line."""

    def __init__(self, stream: io.StringIO) -> None:
        self._stream = stream

    @property
    def text(self) -> str:
        return self._stream.getvalue()

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]


@pytest.fixture
def logs(app: Flask) -> Iterator[Captured]:
    """Everything that this process writes to standard error, at the most talkative level."""
    root, portal = logging.getLogger(), logging.getLogger("portal")
    ours = next(handler for handler in root.handlers if isinstance(handler.formatter, JsonFormatter))
    stream, level = io.StringIO(), portal.level
    handler = logging.StreamHandler(stream)
    handler.setFormatter(ours.formatter)
    root.addHandler(handler)
    portal.setLevel(logging.DEBUG)
    yield Captured(stream)
    portal.setLevel(level)
    root.removeHandler(handler)


def secrets_of() -> list[str]:
    """Every name, address, number and secret that the story below touches."""
    learners = list(db.session.scalars(select(Learner)))
    meeting = db.session.scalars(select(ZoomMeeting)).one()
    found = [PASSWORD, defaults.CLIENT_SECRET, defaults.WEBHOOK_SECRET, "Lovelace", "ada@", "zak=", "Zorro"]
    found += [str(learner.lrn) for learner in learners] + [learner.last_name for learner in learners]
    found += [link.token for link in db.session.scalars(select(JoinLink))]
    found += [str(row.join_url).partition("?")[2] for row in db.session.scalars(select(MeetingRegistrant))]
    found += [str(meeting.passcode), str(meeting.join_url).partition("?")[2]]
    return [one for one in found if one]


def test_a_whole_story_is_logged_without_anybody_in_it(
    app: Flask,
    browser: Browser,
    people: People,
    world: SimulatedZoom,
    sender: WebhookSender,
    faults: Faults,
    logs: Captured,
) -> None:
    section = people.section(people.ada)
    people.learners(section, 3)
    biology = people.school_class(people.ada, section)
    meeting = people.create_registered_meeting(people.ada, biology, soon())
    people.sign_in_by_form(browser, people.ada)
    rotate_calendar_link(people.ada)
    calendar = str(get_calendar_token(people.ada))
    date = db.session.scalars(select(MeetingOccurrence.id)).one()
    for url in (
        f"/classes/sections/{section.id}",
        f"/meetings/{meeting.id}",
        f"/classes/{biology.id}/links",
        f"/attendance/{date}",
    ):
        browser.get(url)
    link = db.session.scalars(select(JoinLink).where(JoinLink.learner_id.is_not(None))).first()
    assert link is not None
    browser.client.get(f"/join/{link.token}")
    browser.client.get(f"/join/{link.token}/calendar.ics")
    browser.client.get(f"/join/{link.token}x")
    browser.client.get(f"/jion/{link.token}")
    browser.client.get(f"/calendar/{calendar}.ics")
    browser.client.get(f"/meetings/{meeting.id}/start")
    browser.client.get("/reset?token=" + "A" * 43)
    browser.client.get("/sign-in?next=/classes/300123200001&email=ada@r1.deped.gov.ph")
    browser.client.post("/sign-in", data={"email": "ada@r1.deped.gov.ph", "password": PASSWORD})
    assert meeting.zoom_id
    world.start(meeting.zoom_id, meeting.starts_at)
    registrant = world.active_registrants(meeting.zoom_id)[0]
    stay = world.join(meeting.zoom_id, registrant_id=registrant.id, at=meeting.starts_at)
    world.join(meeting.zoom_id, name="Zorro\n\x1b[31mforged line", at=meeting.starts_at)
    world.leave(stay, meeting.starts_at + timedelta(minutes=20))
    world.end(meeting.zoom_id, meeting.starts_at + timedelta(minutes=60))
    sender.pump()
    run_jobs(app)
    browser.client.post("/api/zoom/webhook", data=b'{"event": "Zorro"}')
    known = secrets_of()
    text = logs.text
    assert len(logs.lines) > 20, "the story is told"
    assert not [one for one in [*known, calendar] if one in text]
    assert "/join/<token>" in text and "/calendar/<token>.ics" in text
    assert "forged" not in text and "\x1b" not in text


def test_each_request_has_one_id_in_its_lines_its_header_and_on_the_error_page(
    browser: Browser, people: People, logs: Captured
) -> None:
    people.sign_in_by_form(browser, people.ada)
    browser.get("/no-such-page", status=404, headers={"X-Request-ID": "forged"})
    assert browser.response is not None
    reference = browser.response.headers["X-Request-ID"]
    assert re.fullmatch("[0-9a-f]{12}", reference) and reference in browser.text
    line = next(line for line in logs.lines if line.get("request") == reference)
    assert (line["status"], line["path"], line["user"]) == (404, "/no-such-page", str(people.ada.id))
    assert line["at"].endswith("+00:00") and line["ms"] >= 0
    browser.post("/theme", {"csrf_token": "wrong"}, status=400)
    assert browser.response.headers["X-Request-ID"] in browser.text


def test_an_error_is_logged_by_its_kind_and_place_and_the_page_says_only_the_reference(
    app: Flask, browser: Browser, people: People, logs: Captured
) -> None:
    people.learners(people.section(people.ada), 1)
    people.sign_in_by_form(browser, people.ada)
    whole = app.view_functions["classes.list_classes"]

    def broken() -> str:
        raise ValueError(f"Lovelace {PASSWORD} 300123200001")

    app.view_functions["classes.list_classes"] = broken
    try:
        browser.get("/classes", status=500)
    finally:
        app.view_functions["classes.list_classes"] = whole
    assert browser.response is not None
    reference = browser.response.headers["X-Request-ID"]
    assert reference in browser.text and "Lovelace" not in browser.response.get_data(as_text=True)
    line = next(line for line in logs.lines if line["level"] == "ERROR")
    assert line["request"] == reference and line["error"] == ["ValueError"]
    assert any("broken" in place for place in line["where"])
    assert "Lovelace" not in logs.text and PASSWORD not in logs.text


def test_a_database_that_quotes_the_row_is_not_quoted(app: Flask, people: People, logs: Captured) -> None:
    learner = people.learners(people.section(people.ada), 1)[0]
    values = {column.key: getattr(learner, column.key) for column in Learner.__table__.columns if column.key != "id"}
    with pytest.raises(sa.exc.IntegrityError) as refused, write_transaction() as session:
        session.execute(insert(Learner).values(**values))
    logging.getLogger("portal").error("refused: %s", refused.value, exc_info=refused.value)
    assert str(learner.lrn) not in str(refused.value) + str(refused.value.orig) + logs.text
    line = logs.lines[-1]
    assert "IntegrityError" in line["error"][0]
    if is_postgresql():
        assert (line["sqlstate"], line["constraint"]) == ("23505", "uq_learners_lrn")
        with pytest.raises(sa.exc.DBAPIError) as odd:
            db.session.execute(sa.text("SELECT CAST(:x AS date)"), {"x": "Lovelace"})
        db.session.rollback()
        assert "Lovelace" not in str(odd.value)


def test_what_has_the_shape_of_a_secret_is_hidden_wherever_it_slips_in() -> None:
    told = redact_log_text(
        "ada@r1.deped.gov.ph 300123200001 https://zoom.us/j/1?tk=abc&pwd=x1 zak=eyJ0.e30.x Bearer abc.def "
        f"/join/{'a' * 43} 0b6f5c0e-9c4f-4a49-8a52-123456789012"
    )
    assert told == (
        "[address] [LRN] https://zoom.us/j/1?tk=[hidden]&pwd=[hidden] zak=[hidden] Bearer [hidden] "
        "/join/[token] 0b6f5c0e-9c4f-4a49-8a52-123456789012"
    )


def test_gunicorn_writes_the_same_lines_and_no_access_lines(
    capsys: pytest.CaptureFixture[str],
) -> None:
    from gunicorn.config import Config

    config = Config()
    config.set("accesslog", "-")
    lines = GunicornLogger(config)
    lines.access(None, None, {}, None)
    assert all(isinstance(handler.formatter, JsonFormatter) for handler in lines.error_log.handlers)
    record = logging.LogRecord("gunicorn.error", 40, "", 0, "Error handling request /join/" + "b" * 43, None, None)
    assert json.loads(lines.error_log.handlers[0].format(record))["message"] == "Error handling request /join/[token]"
    for handler in list(lines.error_log.handlers + lines.access_log.handlers):
        lines.error_log.removeHandler(handler)
        lines.access_log.removeHandler(handler)
    assert capsys.readouterr().out == ""
