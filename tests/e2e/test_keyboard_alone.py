"""The main story with the keyboard alone: where the focus is can always be seen, and nothing needs a mouse."""

import re
from datetime import timedelta

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from portal.core import clock
from portal.demo.school_data import DEMO_PASSWORD, PENA
from tests.e2e.conftest import open_until
from tests.e2e.test_main_job_in_chromium import A_MEETING, LATER

pytestmark = pytest.mark.browser
MOST_TABS = 150
IS_FOCUSED = "element => element === document.activeElement"
SHOWS_FOCUS = """element => {
    const ringed = one => {
        const style = getComputedStyle(one);
        return (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0) || style.boxShadow !== "none";
    };
    return [element, element.nextElementSibling, element.parentElement].some(one => one && ringed(one));
}"""


def tab_to(page: Page, wanted: Locator) -> Locator:
    """Press Tab until it has the focus, as somebody without a mouse does."""
    target = wanted.first
    target.wait_for(state="attached")
    for _ in range(MOST_TABS):
        if target.evaluate(IS_FOCUSED):
            assert target.evaluate(SHOWS_FOCUS), f"nobody sees that {target} has the focus"
            return target
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab never came to {target}")


def press(page: Page, wanted: Locator, key: str = "Enter") -> None:
    tab_to(page, wanted)
    page.keyboard.press(key)


def go(page: Page, wanted: Locator) -> None:
    """Press Enter on it and be on the next page."""
    tab_to(page, wanted)
    with page.expect_navigation():
        page.keyboard.press("Enter")


def write(page: Page, wanted: Locator, text: str) -> None:
    tab_to(page, wanted)
    page.keyboard.press("Control+A")
    page.keyboard.type(text)


def choose(page: Page, name: str, value: str) -> None:
    """Tab to a group of choices, which takes one press, then the arrows to the one that is meant."""
    for _ in range(MOST_TABS):
        if page.locator(f"input[type=radio][name={name}]:focus").count():
            break
        page.keyboard.press("Tab")
    page.keyboard.press("Space")
    for _ in range(10):
        if page.locator(f"input[type=radio][name={name}]:focus").get_attribute("value") == value:
            return
        page.keyboard.press("ArrowDown")
    raise AssertionError(f"no choice {value} in the group {name}")


def test_a_class_is_scheduled_held_and_corrected_with_the_keyboard_alone(chrome: Browser, demo: str) -> None:
    context = chrome.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(20_000)
    page = context.new_page()
    page.goto(f"{demo}/sign-in")
    write(page, page.locator("input[type=email]"), PENA.email)
    write(page, page.locator("input[type=password]"), DEMO_PASSWORD)
    with page.expect_navigation():
        page.keyboard.press("Enter")

    page.keyboard.press("Tab")
    skip = page.locator(":focus")
    assert (skip.get_attribute("href") or "").startswith("#"), "the first thing leads past the navigation"
    assert skip.is_visible()

    schedule(page)
    be_registered(page)
    meeting = page.url
    hold(page)
    correct(page, meeting)
    context.close()


def schedule(page: Page) -> None:
    go(page, page.locator("main").get_by_role("link", name=re.compile("Schedule")))
    start = clock.to_manila(clock.now()) + timedelta(minutes=15)
    choices = page.locator("select[name=class_id] option").all_inner_texts()
    tab_to(page, page.locator("select[name=class_id]"))
    page.keyboard.type(next(text for text in choices if "Mathematics" in text)[:11])
    write(page, page.locator("input[name=title]"), "Without a mouse")
    page.locator("input[name=day]").evaluate(f"element => {{ element.value = '{start:%Y-%m-%d}' }}")
    page.locator("input[name=start]").evaluate(f"element => {{ element.value = '{start:%H:%M}' }}")
    save = page.get_by_role("button", name=re.compile("^Schedule"))
    go(page, save.last)
    offer = page.get_by_role("button", name=re.compile("^Move it to"))
    if offer.count():
        go(page, offer)
        go(page, save.last)
    for minutes in LATER:  # in the evening no later time is offered: it is written in
        if A_MEETING.search(page.url):
            break
        start = clock.to_manila(clock.now()) + timedelta(minutes=minutes)
        page.locator("input[name=day]").evaluate(f"element => {{ element.value = '{start:%Y-%m-%d}' }}")
        page.locator("input[name=start]").evaluate(f"element => {{ element.value = '{start:%H:%M}' }}")
        page.locator("input[name=minutes]").evaluate("element => { element.value = '20' }")
        go(page, save.last)
    expect(page).to_have_url(re.compile(r"/meetings/[0-9a-f-]{36}$"))


def be_registered(page: Page) -> None:
    open_until(page, page.url, "48 of 48")


def hold(page: Page) -> None:
    go(page, page.get_by_role("link", name="Start class"))
    expect(page).to_have_url(re.compile(r"/zoom-sandbox/meetings/"))
    for button in ("Everybody walks in", "10 minutes later", "End class"):
        go(page, page.get_by_role("button", name=button))


def correct(page: Page, meeting: str) -> None:
    open_until(page, meeting, "Ended")
    go(page, page.locator("main a[href*='/attendance/']"))
    row = page.locator("table.sheet tbody tr", has_text=re.compile("Partial")).first
    row.wait_for()
    press(page, row.locator("summary"))
    press(page, row.get_by_role("link", name="Change"))
    page.locator("#change").wait_for(state="attached")
    choose(page, "mark", "present")
    write(page, page.locator("input[name=reason]:visible").last, "The line broke, the learner was there")
    with page.expect_response(re.compile("/attendance/")):
        page.keyboard.press("Enter")
    expect(page.locator("main")).to_contain_text("The line broke, the learner was there")
