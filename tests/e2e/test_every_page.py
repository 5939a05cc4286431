"""Every page, found as a person finds it: by following the links from home. Nothing scrolls sideways, nothing
is asked of another host, axe has no findings, and every view that shows a page has been seen.

The looks (language, theme) take turns over the pages; SILID_ALL_LOOKS=1 shows each page in all four.
"""

import os
import re
from collections import deque
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from flask import Flask
from playwright.sync_api import Browser, Page
from werkzeug.exceptions import HTTPException

from portal import create_app
from portal.config import Settings, derive_secret_key
from portal.demo.fill import demo_suspended_day
from portal.demo.school_data import (
    DEMO_PASSWORD,
    HEAD,
    PENA,
    REGION,
    REYES,
    DemoPerson,
)
from tests.e2e.conftest import Watched

pytestmark = pytest.mark.browser

LOOKS = (("en", "light"), ("fil", "dark"), ("fil", "light"), ("en", "dark"))
ALL_LOOKS = os.environ.get("SILID_ALL_LOOKS", "") == "1"
SIZES = ((360, 740), (1280, 800))
MOST = 200  # pages for one person: beyond it the crawl goes in circles

# Views that a link does not lead to, or that lead out of the portal or to a file.
FILES = (".csv", ".ics", ".xlsx", ".json", ".zip")
NOT_BY_LINK = {
    "sso.request_account_after_sso": "from Google or Microsoft",
    "sso.handle_sso_callback": "from Google or Microsoft",
    "sso.link_own_identity": "leads to Google or Microsoft",
    "sso.start_sso_sign_in": "leads to Google or Microsoft",
    "sso.show_linked_identities": "where Google or Microsoft is set up",
    "classes.new_school_year": "from March to May",
    "join.join_in_browser": "where the Meeting SDK has its keys",
    "learners.readmit_learner": "for who has left",
    "privacy.show_learner_data": "after a search",
    "registration.print_zoom_links": "leads to the class's links",
    "disclosure.ask_disclosure_reason": "in place of a page that asks for a reason: seen there",
    "webhooks.receive_webhook": "Zoom's",
    "static": "files",
    "health.check_portal_health": "for machines",
    "health.export_prometheus_metrics": "for machines",
    "meetings.start_meeting": "leads to Zoom",
    "join.redirect_to_zoom": "leads to Zoom",
    "accounts.choose_new_password": "from a letter",
    "accounts.confirm_new_email": "from a letter",
    "accounts.ask_sign_in_code": "the second step of signing in",
    "attendance.show_live_attendance": "a part of a page, which renews itself",
    "registration.registration_progress_fragment": "a part of a page, which renews itself",
    "registration.show_registration_progress": "for scripts",
    "attendance.preview_participant_file": "after an upload",
    "classes.preview_roster_import": "after an upload",
}


@dataclass
class Seen:
    """What the crawl has found: the views it saw, and what was wrong with them."""

    pages: int = 0
    views: set[str] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    """An app to tell which view an address belongs to; it serves nobody."""
    return create_app(
        Settings(
            mode="live",
            secret_key="only to read the addresses, serves nobody",
            database_url=f"sqlite:///{tmp_path_factory.mktemp('rules') / 'none.sqlite3'}",
            base_url="http://127.0.0.1",
            encryption_keys=(derive_secret_key("rules"),),
        )
    )


def view_of(rules: Flask, path: str) -> str | None:
    try:
        endpoint, _arguments = rules.url_map.bind("127.0.0.1").match(path, method="GET")
    except HTTPException:
        return None
    return str(endpoint)


def sign_in(page: Page, address: str, person: DemoPerson) -> None:
    page.goto(f"{address}/sign-in")
    page.locator("input[type=email]").fill(person.email)
    page.locator("input[type=password]").fill(DEMO_PASSWORD)
    with page.expect_navigation():
        page.locator("input[type=password]").press("Enter")


class LookChooser:
    """Chooses language and theme as the portal remembers them, by its forms. What is chosen already is not chosen
    again, and the forms' token is read once: a crawl opens some two hundred pages."""

    def __init__(self, page: Page, address: str) -> None:
        self._page, self._address = page, address
        self._chosen: dict[str, str] = {}
        form = page.request.get(f"{address}/privacy").text()
        token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', form)
        assert token, "the notice has no form to choose the language with"
        self._token = token.group(1)

    def choose(self, look: tuple[str, str]) -> None:
        wanted = dict(zip(("language", "theme"), look, strict=True))
        for what, value in wanted.items():
            if self._chosen.get(what) != value:
                answer = self._page.request.post(
                    f"{self._address}/{what}",
                    form={"csrf_token": self._token, "to": value},
                    headers={"Referer": self._address},
                )
                assert answer.ok, (what, answer.status)
        self._chosen = wanted


def links_on(page: Page, address: str) -> list[str]:
    found = page.eval_on_selector_all(
        "a[href]:not([download])", "links => links.filter(a => !a.target || a.target == '_self').map(a => a.href)"
    )
    return [
        urlsplit(link).path + (f"?{urlsplit(link).query}" if urlsplit(link).query else "")
        for link in found
        if link.startswith(address)
    ]


def crawl(watched: Watched, rules: Flask, seen: Seen, beginnings: list[str], who: str) -> None:
    """Follow every link to a view that was not seen by this person yet."""
    page, mine = watched.page, set[str]()
    looks = LookChooser(page, watched.address)
    queue = deque(beginnings)
    while queue and len(mine) < MOST:
        path = queue.popleft()
        view = view_of(rules, urlsplit(path).path)
        if view is None or view in mine or view in NOT_BY_LINK or path.split("?")[0].endswith(FILES):
            continue
        mine.add(view)
        for number, look in enumerate(LOOKS):
            if ALL_LOOKS or number == seen.pages % len(LOOKS):
                looks.choose(look)
                visit(watched, seen, path, f"{who}-{view}", look)
        seen.pages += 1
        queue.extend(links_on(page, watched.address))
    seen.views |= mine


def visit(watched: Watched, seen: Seen, path: str, name: str, look: tuple[str, str]) -> None:
    page = watched.page
    answer = page.goto(watched.address + path)
    where = f"{name} ({path}, {look})"
    if answer is not None and answer.status == 403 and page.locator("textarea[name=reason]").count():
        # The browser's console notes every 403; here it is the answer that is wanted.
        watched.trouble = [one for one in watched.trouble if "403" not in one]
        inspect(watched, seen, f"{name}-why", f"{where}, asked why", look)
        page.locator("textarea[name=reason]").fill("A parent's complaint about absences")
        with page.expect_navigation():
            page.locator("main form button").first.click()
        answer = page.goto(watched.address + path)
    if answer is None or answer.status != 200:
        seen.wrong.append(f"{where}: status {answer.status if answer else 'none'}")
        return
    inspect(watched, seen, name, where, look)


def inspect(watched: Watched, seen: Seen, name: str, where: str, look: tuple[str, str]) -> None:
    page = watched.page
    if page.locator("h1").count() != 1 or not page.title().strip():
        seen.wrong.append(f"{where}: {page.locator('h1').count()} h1, title {page.title()!r}")
    shown = tuple(page.locator("html").get_attribute(name) for name in ("lang", "data-theme"))
    if shown != look:
        seen.wrong.append(f"{where}: shown as {shown}")
    for width, height in SIZES:
        page.set_viewport_size({"width": width, "height": height})
        try:
            watched.look()
        except AssertionError as error:
            seen.wrong.append(f"{where} at {width}: {error}")
            watched.trouble = []
        watched.shot(re.sub(r"[^a-z]+", "-", f"{name}-{look[0]}-{look[1]}"))
        if not ALL_LOOKS and width != SIZES[seen.pages // len(LOOKS) % 2][0]:
            continue
        for finding in Axe().run(page).response["violations"]:
            nodes = [node["html"][:160] for node in finding["nodes"]][:3]
            seen.wrong.append(f"{where} at {width}: {finding['id']}: {nodes}")


def test_every_page_is_fit_for_a_phone_and_for_everybody(chrome: Browser, demo: str, rules: Flask) -> None:
    seen = Seen()
    for who, person in (("visitor", None), ("teacher", REYES), ("colleague", PENA), ("head", HEAD), ("region", REGION)):
        context = chrome.new_context(viewport={"width": 360, "height": 740})
        context.set_default_timeout(15_000)
        watched = Watched(context.new_page(), demo)
        beginnings = ["/sign-in", "/forgot-password", "/ask-for-account", "/privacy", "/help"]
        if person:
            sign_in(watched.page, demo, person)
            beginnings = ["/", "/classes", "/attendance", "/reports", "/calendar", "/settings"]
            if person is REYES:
                beginnings += [a_join_page(watched), *pages_of_a_meeting_with_colleagues(watched)]
            if person.role == "admin":
                beginnings += ["/admin", a_day_without_class()]
        crawl(watched, rules, seen, beginnings, who)
        context.close()
    pages = {
        str(rule.endpoint)
        for rule in rules.url_map.iter_rules()
        if "GET" in (rule.methods or ()) and not rule.rule.endswith(FILES)
    }
    assert not seen.wrong, "\n".join(seen.wrong)
    unseen = sorted(pages - seen.views - set(NOT_BY_LINK))
    assert not unseen, f"no link leads to these views: {unseen}"


def a_join_page(watched: Watched) -> str:
    """A learner's page, from the teacher's list of links."""
    text = watched.page.request.get(f"{watched.address}/classes").text()
    section_class = re.search(r"/classes/[0-9a-f-]{36}", text)
    assert section_class
    links = watched.page.request.get(f"{watched.address}{section_class.group()}/links").text()
    found = re.search(r"/join/[A-Za-z0-9_-]{16,}", links)
    assert found, "the teacher's list shows no link"
    return found.group()


def pages_of_a_meeting_with_colleagues(watched: Watched) -> list[str]:
    """Another kind of meeting than the first that a link leads to."""
    text = watched.page.request.get(f"{watched.address}/calendar?view=month").text()
    text += watched.page.request.get(f"{watched.address}/calendar").text()
    found = re.search(r'href="(/meetings/[0-9a-f-]{36})"[^>]*>[^<]*Learning Action Cell', text)
    assert found, "the calendar shows no meeting with colleagues"
    return [found.group(1) + "/who-came", found.group(1) + "/change/people"]


def a_day_without_class() -> str:
    """The month in which the demo's school suspends a day."""
    return f"/class-days?month={demo_suspended_day():%Y-%m}"
