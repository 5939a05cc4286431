"""Division and region work with figures: learners' rows open with a reason, for a while, to look at."""

from datetime import timedelta
from typing import NamedTuple

import pytest
import time_machine
from flask import Flask
from sqlalchemy import delete, select

from portal.accounts import service as accounts
from portal.accounts.models import User
from portal.classes.disclosure.service import DISCLOSURE_ACTION, SectionDisclosure
from portal.classes.models import Enrolment, Learner, SchoolClass, Section
from portal.core import clock
from portal.core.audit_log import AuditEntry
from portal.core.db import db, write_transaction
from portal.jobs.retention import delete_expired_rows
from portal.meetings.models import MeetingOccurrence
from portal.privacy import erasure
from portal.sandbox.simulation.simulated_zoom import SimulatedZoom
from tests.browser import Browser
from tests.people import People, expire_orm_state, soon

WHY = "A parent's complaint about absences"


class Story(NamedTuple):
    section: Section
    school_class: SchoolClass
    learners: list[Learner]
    date: MeetingOccurrence
    chief: User


@pytest.fixture
def story(app: Flask, people: People, world: SimulatedZoom) -> Story:
    section = people.section(people.ada)
    learners = people.learners(section, 2)
    school_class = people.school_class(people.ada, section)
    people.create_registered_meeting(people.ada, school_class, soon())
    chief = people.person("chief", "Corazon Chua", None, role="admin", scope="region")
    return Story(section, school_class, learners, db.session.scalars(select(MeetingOccurrence)).one(), chief)


def pages(story: Story) -> list[str]:
    section, month = story.section.id, f"{clock.today():%Y-%m}"
    return [
        f"/classes/sections/{section}",
        f"/classes/sections/{section}/learners/{story.learners[0].id}",
        f"/attendance/{story.date.id}",
        f"/attendance/{story.date.id}/history",
        f"/attendance/{story.date.id}.csv",
        f"/reports/occurrences/{story.date.id}",
        f"/reports/sections/{section}/sf2/{month}",
        f"/reports/sections/{section}/sf2/{month}.xlsx",
        f"/attendance/sections/{section}/days/{clock.today().isoformat()}",
        f"/reports/marks.csv?section={section}",
        f"/reports/marks.xlsx?section={section}",
    ]


def give_reason(browser: Browser, story: Story, reason: str = WHY) -> None:
    browser.get(f"/classes/sections/{story.section.id}", status=403)
    browser.submit(reason=reason)


def test_every_page_with_learners_asks_why_and_shows_nobody(browser: Browser, people: People, story: Story) -> None:
    people.sign_in(browser, story.chief)
    for address in pages(story):
        browser.get(address, status=403)
        assert "Why do you need to see this?" in browser.text, address
        assert "LEARNER0" not in browser.text and "3001232" not in browser.text, address
        field = browser.page.select_one("input[name=next]")
        assert field and field["value"] == address


def test_with_a_reason_the_page_asked_for_opens_and_so_do_the_others_of_the_section(
    browser: Browser, people: People, story: Story
) -> None:
    people.sign_in(browser, story.chief)
    sheet = f"/attendance/{story.date.id}"
    browser.get(sheet, status=403)
    browser.submit(reason=WHY)
    assert browser.url == sheet and "LEARNER001" in browser.text
    assert "to look at" in browser.page.get_text()
    for address in pages(story):
        browser.get(address)


def test_what_is_open_can_only_be_looked_at(browser: Browser, people: People, story: Story) -> None:
    people.sign_in(browser, story.chief)
    give_reason(browser, story)
    section, learner, date = story.section.id, story.learners[0].id, story.date.id
    for address in pages(story):
        browser.get(address)
        for form in browser.page.select("main form[method=post]"):
            raise AssertionError(f"{address} has a form: {form}")
    for address in (
        f"/attendance/{date}/learners/{learner}",
        f"/attendance/{date}/finalise",
        f"/attendance/sections/{section}/days/{clock.today().isoformat()}",
        f"/attendance/sections/{section}/grace",
        f"/classes/sections/{section}/learners/new",
        f"/classes/sections/{section}/classes",
        f"/reports/sections/{section}/sf2/{clock.today():%Y-%m}/settings",
    ):
        assert browser.client.post(address, data={"csrf_token": browser._token()}).status_code == 403, address


@pytest.mark.parametrize(
    ("reason", "said"), [("", "Write the reason"), ("too short", "at least 10"), ("x" * 301, "at most 300")]
)
def test_a_reason_that_says_nothing_opens_nothing_and_is_kept_on_the_form(
    browser: Browser, people: People, story: Story, reason: str, said: str
) -> None:
    people.sign_in(browser, story.chief)
    sheet = f"/attendance/{story.date.id}"
    browser.get(sheet, status=403)
    browser.submit(reason=reason, status=422)
    assert said in browser.text
    kept = browser.page.select_one("textarea[name=reason]")
    assert kept and kept.get_text().strip() == reason
    browser.submit(reason=WHY)
    assert browser.url == sheet


def test_it_is_closed_again_after_eight_hours_and_in_another_session(
    browser: Browser, people: People, story: Story
) -> None:
    people.sign_in(browser, story.chief)
    give_reason(browser, story)
    roster = f"/classes/sections/{story.section.id}"
    begun = clock.now()
    for minutes in range(25, 8 * 60, 25):  # an admin's session ends when they do nothing for half an hour
        with time_machine.travel(begun + timedelta(minutes=minutes)):
            browser.get(roster)
    with time_machine.travel(begun + timedelta(hours=8, minutes=1)):
        browser.get(roster, status=403)
        assert browser.client.get(f"/attendance/{story.date.id}/live").status_code == 403
        browser.submit("form[action='/sign-out']")
        people.sign_in(browser, story.chief)
        browser.get(roster, status=403)
    with time_machine.travel(begun + timedelta(days=2)):
        assert delete_expired_rows()["section disclosures"] == 1
    expire_orm_state()
    assert db.session.scalars(select(SectionDisclosure)).all() == []


def test_one_learner_found_by_her_lrn_asks_too(browser: Browser, people: People, story: Story) -> None:
    learner = story.learners[0]
    people.sign_in(browser, story.chief)
    browser.get("/admin/learners")
    browser.submit(who=learner.lrn, status=403)
    assert "Why do you need to see this?" in browser.text and "LEARNER0" not in browser.text
    token = browser._token()
    for what in ("copy", "erase"):
        answer = browser.client.post(f"/admin/learners/{learner.id}/{what}", data={"csrf_token": token})
        assert answer.status_code == 403 and b"LEARNER0" not in answer.data
    browser.submit(reason=WHY)
    assert browser.url == f"/admin/learners/{learner.id}" and "LEARNER001" in browser.text


def test_a_learner_on_no_roster_is_for_her_own_school(browser: Browser, people: People, story: Story) -> None:
    with write_transaction() as session:
        session.execute(delete(Enrolment).where(Enrolment.learner_id == story.learners[0].id))
    learner = story.learners[0]
    people.sign_in(browser, story.chief)
    browser.get(f"/admin/learners/{learner.id}", status=404)
    browser.get("/admin/learners")
    browser.submit(who=learner.lrn, status=422)
    browser.post("/sign-out")
    people.sign_in(browser, people.head)
    browser.get(f"/admin/learners/{learner.id}")
    assert "LEARNER001" in browser.text


def test_one_section_does_not_open_another(browser: Browser, people: People, story: Story) -> None:
    other = people.section(people.ada, "Topaz")
    people.sign_in(browser, story.chief)
    give_reason(browser, story)
    browser.get(f"/classes/sections/{other.id}", status=403)


def test_only_who_has_the_section_in_her_scope_is_asked(browser: Browser, people: People, story: Story) -> None:
    far = accounts.get_or_create_school("300999", "Elsewhere High School", "La Union")
    elsewhere = people.person("far", "Fe Ramos", far, role="admin", scope="division")
    people.sign_in(browser, elsewhere)
    for address in (*pages(story), f"/classes/sections/{story.section.id}/why"):
        assert browser.client.get(address).status_code == 404, address
    browser.get("/classes")
    why = {"csrf_token": browser._token(), "reason": WHY}
    assert browser.client.post(f"/classes/sections/{story.section.id}/why", data=why).status_code == 404
    assert db.session.scalars(select(SectionDisclosure)).all() == []


def test_the_answer_goes_to_a_page_of_the_portal_only(browser: Browser, people: People, story: Story) -> None:
    people.sign_in(browser, story.chief)
    browser.get(f"/classes/sections/{story.section.id}/why?next=//evil.example/")
    browser.submit(reason=WHY)
    assert browser.url == f"/classes/sections/{story.section.id}"


def test_the_head_of_the_school_reads_who_opened_what_and_why(browser: Browser, people: People, story: Story) -> None:
    people.sign_in(browser, story.chief)
    give_reason(browser, story)
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.action == DISCLOSURE_ACTION)).one()
    assert (entry.user_id, entry.section_id, entry.details) == (story.chief.id, story.section.id, {"reason": WHY})
    browser.submit("form[action='/sign-out']")
    people.sign_in(browser, people.head)
    browser.get("/admin/audit?what=opened")
    assert "Corazon Chua opened learners' rows: Grade 8 - Jadeite, 2026-2027" in browser.text
    assert f"Reason: {WHY}" in browser.text


def test_an_erased_learner_is_not_named_in_a_reason(browser: Browser, people: People, story: Story) -> None:
    people.sign_in(browser, story.chief)
    give_reason(browser, story, "The mother of Learner001 asks about absences")
    erasure.request_learner_erasure(db.session.get_one(Learner, story.learners[0].id), "asked", by=people.head)
    erasure.process_due_erasures()
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.action == DISCLOSURE_ACTION)).one()
    assert entry.details == {"reason": "The mother of ... asks about absences"}
