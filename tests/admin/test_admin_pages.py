"""What an admin sees: how it stands, who looked at a class, what Zoom sent and what became of it."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select, update

from portal.core import clock
from portal.core.audit_log import AuditEntry
from portal.core.db import db, write_transaction
from portal.core.mail import outbox
from portal.sandbox import defaults
from portal.sandbox.simulation.simulated_zoom import SimulatedZoom
from portal.sandbox.webhook_sender import WebhookSender
from portal.webhooks.models import ZoomEvent
from tests.browser import Browser
from tests.classes.test_one_learner import statements
from tests.people import People, expire_orm_state, run_jobs, soon


@pytest.fixture
def chief(people: People) -> Any:
    return people.person("chief", "Corazon Chua", None, role="admin", scope="region")


def test_an_admin_begins_with_how_it_stands(browser: Browser, people: People, world: SimulatedZoom) -> None:
    people.sign_in(browser, people.head)
    browser.get("/admin")
    assert "All is well." in browser.text and "San Nicolas National High School" in browser.text
    browser.click("Zoom")
    assert "not yet" in browser.text
    browser.submit("[action='/admin/zoom/check']")
    assert "the app may do everything the portal needs" in browser.text


def test_who_looked_at_a_class_last_month_is_one_search(
    app: Flask, browser: Browser, people: People, world: SimulatedZoom
) -> None:
    section = people.section(people.ada)
    people.learners(section, 2)
    biology = people.school_class(people.ada, section)
    meeting = people.create_registered_meeting(people.ada, biology, soon())
    people.sign_in(browser, people.ada)
    occurrence = browser.get(f"/meetings/{meeting.id}") and db.session.execute(select(AuditEntry.id).limit(1)).first()
    assert occurrence is not None
    browser.get(f"/classes/sections/{section.id}")
    browser.get("/classes")
    browser.submit("form[action='/sign-out']")
    people.sign_in(browser, people.head)
    today = clock.today().isoformat()
    browser.get(f"/admin/audit?class={biology.id}&from={today}&to={today}&who=lovelace")
    assert "viewed the roster: Grade 8 - Jadeite" in browser.text and "scheduled: Biology lesson" in browser.text
    assert "LEARNER" not in browser.text and str(biology.id) not in browser.text
    browser.click("With ids")
    assert str(meeting.id) in browser.text
    browser.click("Without ids")
    assert str(meeting.id) not in browser.text
    browser.click("Biology lesson")
    assert browser.url == f"/meetings/{meeting.id}"
    browser.get(f"/admin/audit?class={biology.id}&to={(clock.today() - timedelta(days=1)).isoformat()}")
    assert "Nothing found" in browser.text
    browser.get("/admin/audit?class=nonsense", status=404)


def test_the_log_names_a_learner_to_her_school_and_to_no_office_above(
    browser: Browser, people: People, chief: Any
) -> None:
    section = people.section(people.ada)
    learner = people.learners(section, 1)[0]
    people.sign_in(browser, people.ada)
    browser.get(f"/classes/sections/{section.id}/learners/{learner.id}")
    browser.submit("form[action='/sign-out']")
    for admin, named in ((people.head, True), (chief, False)):
        people.sign_in(browser, admin)
        browser.get("/admin/audit?what=viewed")
        assert "viewed" in browser.text and ("LEARNER001, ANA" in browser.text) is named
        browser.submit("form[action='/sign-out']")


def test_a_page_of_the_log_names_all_its_subjects_in_one_statement(
    app: Flask, browser: Browser, people: People
) -> None:
    people.sign_in(browser, people.head)
    section = people.section(people.ada)
    people.school_class(people.ada, section)
    browser.get(f"/admin/learners/{people.learners(section, 1)[0].id}")
    before = len(statements(browser, "/admin/audit"))
    for number, name in enumerate(("Ruby", "Topaz", "Onyx")):
        section = people.section(people.ada, name)
        people.school_class(people.ada, section)
        learner = people.learners(section, 1, start=10 + number)[0]
        browser.get(f"/admin/learners/{learner.id}")
        browser.get(f"/classes/sections/{section.id}")
    assert len(statements(browser, "/admin/audit")) == before


def test_an_office_that_teaches_nobody_begins_with_its_schools(browser: Browser, people: People, chief: Any) -> None:
    people.sign_in(browser, chief).get("/")
    assert "The whole region" in browser.text and "In numbers" in browser.text
    assert browser.page.select_one("nav.tabs a[aria-current=page]")["href"] == "/"  # type: ignore[index]


def test_another_schools_class_cannot_be_searched(browser: Browser, people: People) -> None:
    from portal.accounts import service as accounts

    elsewhere = accounts.get_or_create_school("300999", "Elsewhere High School", "La Union")
    stranger = people.person("else", "Elsa Cruz", elsewhere, role="admin", scope="school")
    biology = people.school_class(people.ada, people.section(people.ada))
    people.sign_in(browser, stranger)
    browser.get(f"/admin/audit?class={biology.id}", status=404)
    browser.get("/admin/audit")
    assert "Ada" not in browser.text


def test_what_could_not_be_read_is_listed_without_its_content_and_read_again(
    app: Flask, browser: Browser, people: People, world: SimulatedZoom, sender: WebhookSender, chief: Any
) -> None:
    section = people.section(people.ada)
    people.learners(section, 1)
    meeting = people.create_registered_meeting(people.ada, people.school_class(people.ada, section), soon())
    assert meeting.zoom_id
    world.start(meeting.zoom_id)
    world.join(meeting.zoom_id, name="Secret Name")
    sender.pump()
    with write_transaction():
        db.session.execute(update(ZoomEvent).values(state="failed", attempts=5, error="ValueError: odd"))
    people.sign_in(browser, chief)
    browser.get("/admin")
    assert "deliveries from Zoom could not be read" in browser.text
    browser.get("/admin/webhooks?state=failed")
    assert "meeting.started" in browser.text and "ValueError: odd" in browser.text and "Secret" not in browser.text
    browser.submit("[action='/admin/webhooks/replay']")
    assert "are looked at again." in browser.text
    run_jobs(app)
    assert set(db.session.scalars(select(ZoomEvent.state))) <= {"done", "ignored"}


def test_one_delivery_is_read_again_by_its_button(
    app: Flask, browser: Browser, people: People, world: SimulatedZoom, sender: WebhookSender, chief: Any
) -> None:
    section = people.section(people.ada)
    people.learners(section, 1)
    meeting = people.create_registered_meeting(people.ada, people.school_class(people.ada, section), soon())
    assert meeting.zoom_id
    world.start(meeting.zoom_id)
    world.end(meeting.zoom_id)
    sender.pump()
    run_jobs(app)
    with write_transaction():
        db.session.execute(update(ZoomEvent).values(state="failed", attempts=5, error="ValueError: odd"))
    first, *others = db.session.scalars(select(ZoomEvent.id).order_by(ZoomEvent.id))
    people.sign_in(browser, chief)
    browser.get("/admin/webhooks?state=failed")
    browser.submit(f"form:has([name=delivery][value='{first}'])")
    assert "1 delivery is looked at again." in browser.text and browser.url.endswith("state=failed")
    rows = {row.id: row.state for row in db.session.scalars(select(ZoomEvent))}
    assert rows[first] == "pending" and {rows[one] for one in others} == {"failed"}
    run_jobs(app)
    assert db.session.scalar(select(ZoomEvent.state).where(ZoomEvent.id == first)) in ("done", "ignored")
    assert db.session.scalar(select(AuditEntry.subject_id).where(AuditEntry.action == "replayed_deliveries")) == str(
        first
    )


def test_letters_are_listed_without_addressee(browser: Browser, people: People, chief: Any) -> None:
    people.sign_in(browser, chief)
    browser.get("/admin/people/invite")
    browser.submit("form:has([name=full_name])", email="nova@r1.deped.gov.ph", full_name="Nova Reyes", school="300123")
    browser.get("/admin/mail")
    assert "Invitation" in browser.text and "nova" not in browser.text.lower()
    assert "There is no mail server yet." in browser.text


def test_letters_that_were_given_up_are_sent_after_all_by_a_button(
    app: Flask, browser: Browser, people: People, chief: Any, tmp_path: Path
) -> None:
    settings = app.extensions["silid.settings"]
    app.extensions["silid.settings"] = replace(settings, mail_url="smtp://127.0.0.1:9")
    letter_id = outbox.enqueue_mail(people.ada.email, "reset", "en", name="Ada", link="https://silid.test/x")
    with time_machine.travel(clock.now() + timedelta(days=4)):
        outbox.send_due_mail()
    expire_orm_state()
    row = db.session.get_one(outbox.OutboxMail, letter_id)
    assert row.state == "failed" and row.content_encrypted and "ada" not in row.content_encrypted
    people.sign_in(browser, chief).get("/admin/mail")
    assert "1 letter could not be sent so far." in browser.text
    app.extensions["silid.settings"] = replace(settings, instance=tmp_path)
    browser.submit("form[action='/admin/mail/send']")
    assert "1 letter is tried again." in browser.text
    outbox.send_due_mail()
    browser.get("/admin/mail")
    assert "could not be sent" not in browser.text and "1 sent" in browser.text
    assert [path.stem for path in (tmp_path / "mail").iterdir()] == [str(letter_id)]
    app.extensions["silid.settings"] = settings
    browser.post("/admin/mail/send")
    assert "0 letters are tried again." in browser.text, "what was sent is not sent again"


def test_a_school_admin_finds_no_page_of_the_whole_installation(browser: Browser, people: People) -> None:
    people.sign_in(browser, people.head)
    browser.get("/admin/webhooks", status=404)
    browser.get("/admin/mail", status=404)


def test_the_name_of_the_sandboxs_secret_is_nowhere_on_these_pages(
    browser: Browser, people: People, chief: Any
) -> None:
    people.sign_in(browser, chief)
    for path in ("/admin", "/admin/zoom", "/admin/webhooks", "/admin/mail", "/admin/audit"):
        browser.get(path)
        assert browser.response
        page = browser.response.get_data(as_text=True)
        assert defaults.CLIENT_SECRET not in page and defaults.WEBHOOK_SECRET not in page


@pytest.mark.parametrize(
    "asked", ["to=9999-12-31", "from=0001-01-01", "page=9999999999999999999", "page=-1", "page=" + "9" * 400]
)
def test_days_and_pages_that_cannot_be_are_as_if_not_asked_for(browser: Browser, people: People, asked: str) -> None:
    people.sign_in(browser, people.head)
    browser.get(f"/admin/audit?{asked}")
