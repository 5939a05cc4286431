"""What a learner sees who opens a link: the door of the class, in every case with a word that helps."""

import re
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
import time_machine
from flask import Flask
from sqlalchemy import func, select, update

from portal.classes.models import Enrolment, Learner, SchoolClass, Section
from portal.core import clock
from portal.core.db import db, write_transaction
from portal.meetings.models import MeetingOccurrence, ZoomMeeting
from portal.registration import join_links
from portal.registration.join_links import JoinLink, JoinLinkUse
from portal.registration.models import MeetingRegistrant
from portal.sandbox.simulation.simulated_zoom import SimulatedZoom
from tests.browser import Browser
from tests.people import People, run_jobs

MORNING = datetime(2026, 11, 24, 7, tzinfo=clock.MANILA)
EIGHT = MORNING + timedelta(hours=1)


@pytest.fixture
def traveller() -> Iterator[Any]:
    with time_machine.travel(MORNING, tick=False) as found:
        yield found


@pytest.fixture
def biology(traveller: Any, people: People) -> SchoolClass:
    section = people.section(people.ada)
    people.learners(section, 3)
    return people.school_class(people.ada, section)


@pytest.fixture
def meeting(people: People, biology: SchoolClass, world: SimulatedZoom) -> ZoomMeeting:
    return people.create_registered_meeting(people.ada, biology, EIGHT)


def link_to(learner: int | None = 1) -> str:
    """The address of a learner's link, by number; of the class's own for None."""
    rows = db.session.execute(select(JoinLink, Learner.lrn).outerjoin(Learner, Learner.id == JoinLink.learner_id))
    wanted = None if learner is None else f"3001232{learner:05d}"
    return next(f"/join/{link.token}" for link, lrn in rows if lrn == wanted)


def openings() -> int:
    return db.session.scalar(select(func.count()).select_from(JoinLinkUse)) or 0


def test_from_too_early_to_over_the_same_link_says_what_to_do(
    browser: Browser, meeting: ZoomMeeting, traveller: Any
) -> None:
    link = link_to()
    browser.get(link)
    assert "Your class opens at 7:50 AM" in browser.text and "50 minutes more." in browser.text
    assert not browser.page.select("a[href$='/go']")
    traveller.move_to(EIGHT - timedelta(minutes=10))
    browser.get(link)
    assert "Your class is open" in browser.text and "Biology" in browser.text and "Ada Lovelace" in browser.text
    assert "This link is for ANA L. only." in browser.text
    browser.get(f"{link}/go", status=302, follow=False)
    assert browser.response
    registered = db.session.scalars(select(MeetingRegistrant).where(MeetingRegistrant.learner_id.is_not(None)))
    assert browser.response.headers["Location"] in [row.join_url for row in registered]
    assert urlsplit(browser.response.headers["Location"]).hostname == "pretend.zoom.us"
    traveller.move_to(EIGHT + timedelta(minutes=80))
    browser.get(link)
    assert "This class has ended" in browser.text


def test_opening_the_page_leaves_no_trace_and_going_in_leaves_only_a_hashed_place(
    browser: Browser, meeting: ZoomMeeting, traveller: Any
) -> None:
    traveller.move_to(EIGHT)
    link = link_to()
    browser.get(link)
    assert openings() == 0
    browser.get(f"{link}/go", status=302, follow=False)
    row = db.session.scalars(select(JoinLinkUse)).one()
    assert re.fullmatch("[0-9a-f]{32}", row.client_hash) and "127" not in row.client_hash[:3]
    traveller.move_to(EIGHT + timedelta(days=1))
    with write_transaction():
        db.session.execute(update(MeetingOccurrence).values(starts_at=EIGHT + timedelta(days=1), state="scheduled"))
    browser.get(f"{link}/go", status=302, follow=False)
    first, second = db.session.scalars(select(JoinLinkUse.client_hash).order_by(JoinLinkUse.id))
    assert first != second, "the same place cannot be followed from day to day"


def test_the_page_shows_nobody_elses_name_and_no_lrn(browser: Browser, meeting: ZoomMeeting, traveller: Any) -> None:
    traveller.move_to(EIGHT)
    for link in (link_to(1), link_to(None)):
        browser.get(link)
        assert browser.response
        page = browser.response.get_data(as_text=True)
        assert "LEARNER" not in page and "3001232" not in page and "@r1.deped" not in page
        assert browser.response.headers["X-Robots-Tag"].startswith("noindex")
        assert browser.response.headers["Referrer-Policy"] == "no-referrer"
        assert not browser.page.select("script")


def test_the_class_link_asks_nothing_and_tells_how_to_get_ones_own(
    browser: Browser, meeting: ZoomMeeting, traveller: Any
) -> None:
    traveller.move_to(EIGHT)
    browser.get(link_to(None))
    assert "You need your own link" in browser.text and "private message" in browser.text
    assert not browser.page.select("main form, a[href$='/go']")


def test_a_class_with_one_link_for_all_lets_the_class_link_in(
    browser: Browser, meeting: ZoomMeeting, traveller: Any
) -> None:
    with write_transaction():
        db.session.execute(update(ZoomMeeting).values(approval_type=2, open_mode=True))
    traveller.move_to(EIGHT)
    browser.get(link_to(None))
    assert "Write your full name when Zoom asks." in browser.text
    browser.get(f"{link_to(None)}/go", status=302, follow=False)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda: update(ZoomMeeting).values(state="cancelled"), "This class is cancelled"),
        (lambda: update(ZoomMeeting).values(state="deleted"), "This class has to be made again"),
        (lambda: update(MeetingRegistrant).values(state="queued"), "Your way in is being prepared"),
        (lambda: update(MeetingRegistrant).values(state="failed"), "Your teacher has to help with this link"),
        (lambda: update(Enrolment).values(until_date=date(2026, 11, 20)), "Your name is not on this class's list"),
        (lambda: update(MeetingOccurrence).values(is_scheduled=False), "No class is planned"),
    ],
)
def test_where_one_cannot_go_in_a_kind_sentence_says_why(
    browser: Browser, meeting: ZoomMeeting, traveller: Any, spoil: Any, says: str
) -> None:
    traveller.move_to(EIGHT)
    link = link_to()
    with write_transaction():
        db.session.execute(spoil())
    browser.get(link)
    assert says in browser.text
    browser.get(f"{link}/go", status=302, follow=False)
    assert browser.response and browser.response.headers["Location"] == link
    assert openings() == 0


def test_a_link_is_only_ever_followed_to_zoom(browser: Browser, meeting: ZoomMeeting, traveller: Any) -> None:
    traveller.move_to(EIGHT)
    with write_transaction():
        for row in db.session.scalars(select(MeetingRegistrant)):
            row.join_url = "https://zoom.us.evil.example/w/1?tk=x"
    browser.get(f"{link_to()}/go", status=302, follow=False)
    assert browser.response and "evil" not in browser.response.headers["Location"]


def test_the_teacher_prints_renews_and_ends_links(
    app: Flask, browser: Browser, people: People, meeting: ZoomMeeting, biology: SchoolClass, traveller: Any
) -> None:
    traveller.move_to(EIGHT)
    old, class_link = link_to(), link_to(None)
    page = people.sign_in(browser, people.ada).get(f"/classes/{biology.id}/links")
    assert len(page.select(".slips li svg.qr")) == 3
    assert class_link in page.select_one("#share").text  # type: ignore[union-attr]  # it is there, or this fails
    browser.submit("[aria-label='Renew the link of ANA LEARNER001']")
    assert link_to() != old
    browser.get(old, status=404)
    assert "Ask your teacher for your link." in browser.text
    browser.get(f"/classes/{biology.id}/links")
    browser.submit("[aria-label='End the link of ANA LEARNER002']")
    assert "The link was ended." in browser.text
    before = [link.token for link in db.session.scalars(select(JoinLink))]
    browser.submit("[name=whose][value=all]")
    assert "3 links are new." in browser.text and "The link was ended." in browser.text
    after = {link.token for link in db.session.scalars(select(JoinLink))}
    assert len(after & set(before)) == 1, "the link that was ended on purpose stays ended"
    browser.get(f"/meetings/{meeting.id}")
    share = browser.page.select_one("#share[readonly]")
    assert share and link_to(None) in share.text and "Tue 24 Nov, 8:00 AM to 9:00 AM" in share.text
    assert "LEARNER" not in share.text


@pytest.mark.parametrize(
    ("headers", "counts", "leads"),
    [
        ({"User-Agent": "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)"}, 0, False),
        ({"User-Agent": "meta-externalagent/1.1 (+https://developers.facebook.com/docs/sharing/webmasters)"}, 0, False),
        ({"User-Agent": "WhatsApp/2.23.20.0 A"}, 0, False),
        ({"User-Agent": "TelegramBot (like TwitterBot)"}, 0, False),
        ({"User-Agent": "Mozilla/5.0 (Linux; Android 13) Chrome/120 Mobile", "Sec-Purpose": "prefetch"}, 0, True),
        ({"User-Agent": "Mozilla/5.0 (Linux; Android 9; CUBOT_X19) AppleWebKit/537.36 Chrome/87 Mobile"}, 1, True),
        (
            {"User-Agent": "Mozilla/5.0 (iPhone) AppleWebKit/605 [FBAN/MessengerForiOS;FBAV/440.0;FBDV/iPhone12,1]"},
            1,
            True,
        ),
        ({}, 1, True),
    ],
)
def test_only_a_person_who_goes_in_counts_as_a_use(
    browser: Browser, meeting: ZoomMeeting, traveller: Any, headers: dict[str, str], counts: int, leads: bool
) -> None:
    traveller.move_to(EIGHT)
    link = link_to()
    answer = browser.client.get(f"{link}/go", headers=headers)
    assert answer.status_code == 302 and openings() == counts
    assert (urlsplit(answer.headers["Location"]).hostname == "pretend.zoom.us") == leads
    browser.client.head(f"{link}/go", headers=headers)
    assert openings() == counts


def test_nobody_else_sees_or_renews_a_classes_links(
    browser: Browser, people: People, meeting: ZoomMeeting, biology: SchoolClass
) -> None:
    link = link_to()
    people.sign_in(browser, people.bob)
    browser.get(f"/classes/{biology.id}/links", status=404)
    browser.get("/classes")
    browser.post(f"/classes/{biology.id}/links/renew", {"whose": "all"}, status=404)
    assert link_to() == link


def test_a_learner_who_enrols_late_gets_a_link_by_itself(
    app: Flask, people: People, meeting: ZoomMeeting, biology: SchoolClass
) -> None:
    assert join_links.create_missing_links() == 0
    people.learners(db.session.get_one(Section, biology.section_id), 1, start=9, since=date(2026, 11, 24))
    run_jobs(app)
    assert link_to(9)


def test_guessing_links_is_stopped_and_good_ones_stay_open(app: Flask, browser: Browser, meeting: ZoomMeeting) -> None:
    from portal.web.rate_limits import limiter

    limiter.reset()
    for number in range(60):
        assert browser.client.get(f"/join/{'x' * 20}{number}").status_code == 404
    assert browser.client.get("/join/another").status_code == 429
    limiter.reset()
    for _ in range(100):
        assert browser.client.get(link_to()).status_code == 200


def test_one_who_guesses_shuts_no_door_for_others_behind_the_same_address(
    app: Flask, browser: Browser, meeting: ZoomMeeting
) -> None:
    """Learners on mobile data share an address with thousands; the limit is for whoever has no link."""
    answers = [browser.client.get(f"/join/{number}").status_code for number in range(62)]
    assert set(answers) == {404, 429}
    for page in ("", "/go"):
        assert browser.client.get(f"{link_to()}{page}").status_code in (200, 302)
