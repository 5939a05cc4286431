"""The whole story in a real browser, on SQLite, against the pretend Zoom: as a newcomer would play it."""

import csv
import io
import re
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from portal.core import clock
from portal.demo.school_data import (
    BANEZ,
    DEMO_PASSWORD,
    EMERALD,
    HEAD,
    PENA,
    REYES,
    DemoPerson,
)
from tests.e2e.conftest import ROOT, Watched, open_until

pytestmark = pytest.mark.browser
SF1 = ROOT / "static" / "samples" / "SF1_2026_Grade 8 (Year II) - EMERALD.xls"


def sign_in(watched: Watched, person: DemoPerson) -> Page:
    page = watched.open("/sign-in")
    page.locator("input[type=email]").fill(person.email)
    page.locator("input[type=password]").fill(DEMO_PASSWORD)
    page.locator("input[type=password]").press("Enter")
    expect(page.locator("nav.tabs")).to_be_visible()
    watched.look()
    return page


def test_from_an_sf1_to_a_finished_sheet(watched: Watched) -> None:
    phone = (watched.page.viewport_size or {})["width"] < 500
    teacher = BANEZ if phone else PENA
    page = sign_in(watched, teacher)
    watched.shot("01-home")
    if phone:
        import_the_register(watched)
        add_the_subject(watched, "Science 8")
    schedule(watched, "Science 8" if phone else "Mathematics 8")
    register_everybody(watched, len(EMERALD.learners) if phone else 48)
    hold_the_class(watched)
    read_and_change_the_sheet(watched)
    page.context.clear_cookies()
    read_the_report_as_head(watched)


def import_the_register(watched: Watched) -> None:
    page = watched.open("/classes/import")
    page.locator("input[type=file]").set_input_files(SF1)
    watched.shot("02-import")
    page.get_by_role("button", name="Read the file").click()
    expect(page.locator("main")).to_contain_text("IBAÑEZ" if "IBAÑEZ" in all_names() else all_names().split(",")[0])
    watched.look()
    watched.shot("03-preview")
    page.locator("button[form='answers']").first.click()
    expect(page.locator("h1")).to_contain_text("EMERALD")
    watched.look()
    watched.shot("04-section")


def all_names() -> str:
    return ",".join(learner.last for learner in EMERALD.learners)


def add_the_subject(watched: Watched, subject: str) -> None:
    page = watched.page
    page.locator("input[name=subject]").fill(subject)
    page.locator("form[action$='/classes'] button").click()
    expect(page.locator("h1")).to_contain_text(subject)
    watched.look()


def schedule(watched: Watched, subject: str) -> None:
    page = watched.open("/meetings/new")
    choices = page.locator("select[name=class_id] option")
    label = next(text for text in choices.all_inner_texts() if subject in text)
    page.locator("select[name=class_id]").select_option(label=label)
    start = clock.to_manila(clock.now()) + timedelta(minutes=10)
    page.locator("input[name=title]").fill("Typhoons and the PAR, with a long title to see how it wraps")
    page.locator("input[name=day]").fill(f"{start:%Y-%m-%d}")
    page.locator("input[name=start]").fill(f"{start:%H:%M}")
    watched.shot("05-schedule")
    save_the_schedule(page)
    expect(page).to_have_url(re.compile(r"/meetings/[0-9a-f-]{36}$"))
    watched.trouble = [one for one in watched.trouble if "409 (CONFLICT)" not in one]  # the offer of another time
    watched.look()


A_MEETING = re.compile(r"/meetings/[0-9a-f-]{36}$")
LATER = (80, 105, 130, 155)  # minutes from now, after the class with which the demo begins


def save_the_schedule(page: Page) -> None:
    """Another story of this demo may hold that time: then the portal offers the next free one."""
    save = page.get_by_role("button", name=re.compile("^Schedule"))
    with page.expect_navigation():
        save.last.click()
    offer = page.get_by_role("button", name=re.compile("^Move it to"))
    if offer.count():
        with page.expect_navigation():
            offer.first.click()
        with page.expect_navigation():
            save.last.click()
    for minutes in LATER:  # in the evening no later time is offered: it is written in
        if A_MEETING.search(page.url):
            break
        start = clock.to_manila(clock.now()) + timedelta(minutes=minutes)
        page.locator("input[name=day]").fill(f"{start:%Y-%m-%d}")
        page.locator("input[name=start]").fill(f"{start:%H:%M}")
        page.locator("input[name=minutes]").fill("20")
        with page.expect_navigation():
            save.last.click()


def register_everybody(watched: Watched, count: int) -> None:
    """Look again until the worker has registered the roster."""
    open_until(watched.page, watched.page.url, f"{count} of {count}")
    watched.look()
    watched.shot("06-meeting")


def hold_the_class(watched: Watched) -> None:
    page = watched.page
    portal_page = page.url
    page.get_by_role("link", name="Start class").first.click()
    expect(page).to_have_url(re.compile(r"/zoom-sandbox/meetings/"))
    for button in (
        "Everybody walks in",
        "10 minutes later",
        "Somebody drops",
        "10 minutes later",
        "They come back",
        "A stranger joins",
        "10 minutes later",
    ):
        page.get_by_role("button", name=button, exact=False).first.click()
    watched.shot("07-pretend-zoom")
    page.get_by_role("button", name="End class").first.click()
    open_until(page, portal_page, "Ended")  # the webhooks are on their way


def read_and_change_the_sheet(watched: Watched) -> None:
    page = watched.page
    page.locator("a[href*='/attendance/']").first.click()
    expect(page.locator("h1")).to_contain_text("Attendance")
    expect(page.locator("table.sheet")).to_have_count(2)
    expect(page.locator("main")).to_contain_text("OPPO")
    watched.look()
    watched.shot("08-sheet")
    address = page.url.split("#")[0].split("?")[0]
    row = page.locator("table.sheet tbody tr", has_text="Absent").first
    row.locator("summary").click()
    row.get_by_role("link", name="Change").click()
    page.locator("#change").wait_for(state="attached")
    page.locator("label", has=page.locator("input[name=mark][value=present]")).first.click()
    page.locator("input[name=reason]:visible").last.fill("Brownout at home, sent their work by chat")
    watched.shot("09-change")
    page.get_by_role("button", name="Save change").click()
    expect(page.locator("main")).to_contain_text("Brownout at home")
    watched.look()
    with page.expect_download() as download:
        page.evaluate("address => { location.href = address }", f"{address}.csv")
    rows = list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text(encoding="utf-8"))))
    changed = [one for one in rows if one["override"]]
    assert [one["reason"] for one in changed] == ["Brownout at home, sent their work by chat"]
    assert {one["mark"] for one in rows} <= {"present", "partial", "absent", "needs review"}


def read_the_report_as_head(watched: Watched) -> None:
    page = sign_in(watched, HEAD)
    watched.open("/reports")
    expect(page.locator("main")).to_contain_text("Science 8")
    watched.shot("10-report")


def test_the_main_pages_have_no_accessibility_findings(watched: Watched) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page = sign_in(watched, REYES)
    sheet = page.request.get(f"{watched.address}/attendance").text()
    occurrence = re.search(r"/attendance/[0-9a-f-]{36}", sheet)
    meeting = re.search(r"/meetings/[0-9a-f-]{36}", page.request.get(f"{watched.address}/").text())
    assert occurrence and meeting
    for path in ("/", "/classes", "/meetings/new", meeting.group(), "/attendance", occurrence.group(), "/reports"):
        watched.open(path)
        found = Axe().run(page).response["violations"]
        assert not found, (path, [(one["id"], [node["html"][:120] for node in one["nodes"]][:3]) for one in found])


def test_the_story_works_without_javascript(chrome: object, demo: str) -> None:
    context = chrome.new_context(java_script_enabled=False, viewport={"width": 360, "height": 740})  # type: ignore[attr-defined]
    page = context.new_page()
    page.goto(f"{demo}/sign-in")
    page.locator("input[type=email]").fill(REYES.email)
    page.locator("input[type=password]").fill(DEMO_PASSWORD)
    page.locator("input[type=password]").press("Enter")
    page.goto(f"{demo}/meetings/new")
    page.locator("input[name=title]").fill("Without a script")
    save_the_schedule(page)
    expect(page).to_have_url(re.compile(r"/meetings/[0-9a-f-]{36}$"))
    meeting = page.url
    open_until(page, meeting, "48 of 48")
    page.get_by_role("link", name="Start class").first.click()
    for button in ("Everybody walks in", "10 minutes later", "End class"):
        page.get_by_role("button", name=button).first.click()
    open_until(page, meeting, "Ended")
    page.locator("main a[href*='/attendance/']").first.click()
    row = page.locator("table.sheet tbody tr", has_text="Partial").first
    row.locator("summary").click()
    row.get_by_role("link", name="Change").click()
    page.locator("label", has=page.locator("input[name=mark][value=present]")).first.click()
    page.locator("input[name=reason]:visible").last.fill("No script, no signal, but the learner was there")
    page.get_by_role("button", name="Save change").click()
    expect(page.locator("main")).to_contain_text("No script, no signal, but the learner was there")
    context.close()
