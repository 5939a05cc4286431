"""Every page that a teacher and a school head come to says in Filipino what has a Filipino, on both databases."""

import re
from datetime import date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import flask
import pytest
import time_machine
from babel.messages.pofile import read_po
from bs4 import BeautifulSoup, NavigableString
from flask_babel import Babel

from portal.core import clock
from portal.core.date_format import (
    format_datetime,
    format_day,
    format_day_long,
    format_month,
    format_weekday,
)
from portal.core.db import db
from portal.sandbox.simulation.simulated_zoom import SimulatedZoom
from tests.browser import Browser
from tests.people import People

ROOT = Path(__file__).parents[2]
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
NOON = datetime(2026, 11, 24, 12, tzinfo=clock.MANILA)
ATTRIBUTES = ("aria-label", "placeholder", "title", "alt")
DOORS = ("/sign-in", "/ask-for-account", "/forgot-password", "/help", "/privacy", "/nowhere", "/join/nobody")


def pattern(text: str) -> re.Pattern[str]:
    """Anything may stand where something is filled in."""
    parts = re.split(r"%\(\w+\)[sd]", text.strip().replace("%%", "%"))
    return re.compile(".+".join(map(re.escape, parts)), re.DOTALL)


def english() -> tuple[set[str], list[tuple[re.Pattern[str], re.Pattern[str]]]]:
    """What has another wording in Filipino: whole texts, and patterns (English, Filipino) of those with a gap.

    Short words that the two languages may share are left out.
    """
    with (ROOT / "portal/translations/fil/LC_MESSAGES/messages.po").open("rb") as file:
        messages = [message for message in read_po(file) if message.id]
    whole, filled = set[str](), list[tuple[re.Pattern[str], re.Pattern[str]]]()
    for message in messages:
        ids = [message.id] if isinstance(message.id, str) else message.id
        said = [message.string] if isinstance(message.string, str) else message.string
        for text, other in zip(ids, said, strict=True):
            if text in said or len(re.sub(r"%\(\w+\)[sd]|\W", "", text)) <= 3:
                continue
            if "%(" in text:
                filled.append((pattern(text), pattern(other)))
            else:
                whole.add(text)
    return whole, filled


WHOLE, FILLED = english()


def spoken(page: BeautifulSoup) -> list[str]:
    """The texts of a page, each between two tags, and what is read out or shown from attributes."""
    texts = [
        str(text)
        for text in page.find_all(string=True)
        if type(text) is NavigableString and text.find_parent(["script", "style", "svg"]) is None
    ]
    texts += [
        str(tag[name]) for name in ("aria-label", "placeholder", "title", "alt") for tag in page.select(f"[{name}]")
    ]
    # What is marked as English is meant to be: the other language's name, the log's own words.
    marked = {str(text) for tag in page.select("body [lang=en]") for text in tag.find_all(string=True)}
    return [" ".join(text.split()) for text in texts if text not in marked]


def english_in(page: BeautifulSoup) -> set[str]:
    texts = set(spoken(page)) - {""}
    return {
        text
        for text in texts
        if text in WHOLE or any(ours.fullmatch(text) and not theirs.fullmatch(text) for ours, theirs in FILLED)
    }


def left_in_english(browser: Browser, start: tuple[str, ...], most: int = 60) -> dict[str, str]:
    """English texts with the page each was found on, on all pages of each kind that links lead to."""
    waiting, kinds, found = list(start), set[str](), dict[str, str]()
    while waiting and len(kinds) < most:
        url = waiting.pop(0)
        kind = UUID.sub("id", url.partition("?")[0])
        if kind in kinds or kind.endswith((".csv", ".ics", ".xlsx", ".xls", "/start")):
            continue
        kinds.add(kind)
        answer = browser.client.get(url, follow_redirects=True)
        if answer.mimetype != "text/html":
            continue
        page = BeautifulSoup(answer.text, "html.parser")
        if answer.status_code != 405:
            html = page.select_one("html")
            assert html is not None and html["lang"] == "fil", url
        found |= dict.fromkeys(english_in(page), url)
        links = [urlsplit(urljoin(url, str(link["href"]))) for link in page.select("a[href]")]
        waiting += [f"{to.path}?{to.query}" if to.query else to.path for to in links if not to.netloc]
    return found


def speak_filipino(people: People) -> None:
    for person in (people.ada, people.head):
        person.language = "fil"
    db.session.commit()


def test_the_rule_about_pages_finds_what_it_should(browser: Browser) -> None:
    found = english_in(browser.get("/sign-in"))
    assert {"I forgot my password", "I have no account", "Help"} <= found
    browser.get("/sign-in", headers={"Accept-Language": "fil"})
    assert english_in(browser.page) == set()


@pytest.mark.usefixtures("world")
def test_no_page_is_left_in_english(browser: Browser, people: People, world: SimulatedZoom) -> None:
    with time_machine.travel(NOON, tick=False) as clock_now:
        section = people.section(people.ada)
        people.learners(section, 3, since=date(2026, 6, 8))
        school_class = people.school_class(people.ada, section)
        people.create_registered_meeting(people.ada, school_class, NOON.replace(hour=13))
        people.create_registered_meeting(people.ada, school_class, NOON.replace(hour=15))
        speak_filipino(people)
        clock_now.move_to(NOON.replace(hour=14, minute=40))
        people.sign_in_by_form(browser, people.ada)
        assert left_in_english(browser, ("/", "/calendar?view=month", *DOORS)) == {}
        browser.get("/")
        browser.submit("form[action='/sign-out']")
        assert left_in_english(browser, DOORS) == {}
        people.sign_in_by_form(browser, people.head)
        assert left_in_english(browser, ("/", "/admin", "/admin/people", "/admin/people/invite")) == {}


def test_what_a_form_does_not_understand_is_said_in_filipino(browser: Browser, people: People) -> None:
    section = people.section(people.ada)
    people.school_class(people.ada, section)
    speak_filipino(people)
    people.sign_in_by_form(browser, people.ada)
    browser.get("/meetings/new")
    browser.post("/meetings/new", {"day": "some day", "start": "eight", "minutes": "many"}, status=422)
    for sentence in ("Isulat ang petsa, hal. 2026-11-03.", "Isulat ang oras, hal. 08:00.", "Isulat ang buong numero."):
        assert sentence in browser.text


def test_a_holiday_has_its_filipino_name(browser: Browser, people: People) -> None:
    section = people.section(people.ada)
    people.school_class(people.ada, section)
    speak_filipino(people)
    with time_machine.travel(NOON, tick=False):
        people.sign_in_by_form(browser, people.ada)
        browser.get("/calendar?view=month&on=2026-11-24")
    assert "Araw ni Bonifacio" in browser.text


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", ["Tue 3 Nov", "Tue", "Tuesday 3 November 2026", "November 2026", "Tue 3 Nov, 8:00 AM"]),
        ("fil", ["Mar, Nob 3", "Mar", "Martes, Nobyembre 3, 2026", "Nobyembre 2026", "Mar, Nob 3, 8:00 AM"]),
    ],
)
def test_dates_are_written_as_people_write_them(language: str, said: list[str]) -> None:
    app = flask.Flask("dates")
    Babel(app, locale_selector=lambda: language)
    moment: Any = datetime(2026, 11, 3, 8, tzinfo=clock.MANILA)
    with app.test_request_context():
        assert [
            tell(moment) for tell in (format_day, format_weekday, format_day_long, format_month, format_datetime)
        ] == said


def test_all_forms_say_what_is_wrong_in_our_words() -> None:
    """A form that does not inherit ours would speak WTForms' English."""
    own = ROOT / "portal" / "core" / "forms.py"
    others = [path for path in (ROOT / "portal").rglob("*.py") if "FlaskForm" in path.read_text(encoding="utf-8")]
    assert others == [own]
