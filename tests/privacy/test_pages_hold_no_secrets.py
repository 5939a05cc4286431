"""Pages, files and letters: no token, secret, passcode or start link, and a personal link on its owner's row alone."""

import io
import re
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from portal.config import Settings
from portal.core.db import db
from portal.meetings.models import ZoomMeeting
from portal.registration.models import MeetingRegistrant
from portal.sandbox import defaults
from portal.sandbox.simulation.simulated_zoom import SimulatedZoom
from tests.access.matrix import MATRIX, OWN, THING
from tests.access.test_role_matrix import ids, rules, tuesday  # noqa: F401 - fixtures of one of everything
from tests.browser import Browser
from tests.people import People, run_jobs

STARTS = "meetings.start_meeting"  # leads on to Zoom with the start link fetched on this click, by design
WITH_LINKS = {
    "meeting_page.show_meeting_page",
    "registration.print_zoom_links",
}  # what shows a personal link, to who may hand it out
EXPORTS = ("attendance.download_sheet_csv", "reports.download_report_csv", "calendar.download_meeting_ics")


def _text_of(body: bytes) -> str:
    """A page as it is; a workbook as all its parts."""
    if not body.startswith(b"PK"):
        return body.decode()
    with zipfile.ZipFile(io.BytesIO(body)) as parts:
        return "\n".join(parts.read(name).decode() for name in parts.namelist())


def bodies(app: Flask, browser: Browser, ids: dict[str, Any]) -> dict[str, str]:  # noqa: F811 - the fixture
    """Every page and file of a teacher, by its view; the link that starts a meeting is a redirect, so it has none."""
    found = {}
    for rule, method in rules(app, OWN, THING):
        if method == "GET":
            url = app.url_map.bind("").build(rule.endpoint, {name: ids[name] for name in rule.arguments})
            found[rule.endpoint] = _text_of(browser.client.get(url).get_data())
    return found


@pytest.mark.parametrize("portal", ["sqlite"], indirect=True)
def test_no_page_file_or_letter_holds_a_secret_of_zooms(
    app: Flask,
    browser: Browser,
    people: People,
    world: SimulatedZoom,
    ids: dict[str, Any],  # noqa: F811
    tmp_path: Path,
) -> None:
    settings: Settings = app.extensions["silid.settings"]
    people.sign_in(browser, people.ada).get("/forgot-password")
    browser.client.post("/forgot-password", data={"email": people.bob.email, "csrf_token": browser._token()})
    browser.get("/classes")
    seen = bodies(app, browser, ids)
    assert len(seen) > 30 and set(EXPORTS) <= set(seen) <= set(MATRIX)
    meeting = db.session.scalars(select(ZoomMeeting)).one()
    secrets = [defaults.CLIENT_SECRET, defaults.WEBHOOK_SECRET, *world.tokens, "zak=", str(meeting.passcode)]
    assert world.tokens and meeting.passcode
    assert all(len(one) > 3 for one in secrets)
    leaks = [(view, one[:6]) for view, body in seen.items() for one in secrets if one in body and view != STARTS]
    assert leaks == []
    links = [str(row.join_url) for row in db.session.scalars(select(MeetingRegistrant)) if row.join_url]
    keys = [re.sub(r".*[?&]tk=([^&]+).*", r"\1", link) for link in links]
    assert len(keys) == 2 and all(len(key) > 10 for key in keys)
    assert {view for view, body in seen.items() for key in keys if key in body} <= WITH_LINKS
    app.extensions["silid.settings"] = replace(settings, instance=tmp_path)
    try:
        run_jobs(app)  # letters become files where there is no mail server
    finally:
        app.extensions["silid.settings"] = settings
    letters = [file.read_text(encoding="utf-8") for file in tmp_path.rglob("*.eml")]
    assert letters
    assert not [one[:6] for letter in letters for one in (*secrets, *keys) if one in letter]
