"""Who asks for what is somebody else's is refused, and the audit log says who, when and what."""

from datetime import timedelta
from uuid import uuid4

import pytest
import time_machine
from sqlalchemy import select

from portal.classes.models import SchoolClass
from portal.core import clock
from portal.core.audit_log import AuditEntry
from portal.core.db import db
from portal.web import denied_log
from tests.browser import Browser
from tests.people import People


@pytest.fixture
def biology(people: People) -> SchoolClass:
    return people.school_class(people.ada, people.section(people.ada))


def denied() -> list[AuditEntry]:
    rows = select(AuditEntry).where(AuditEntry.action == denied_log.DENIED_ACTION).order_by(AuditEntry.id)
    return list(db.session.scalars(rows))


def test_a_strangers_look_is_written_down(browser: Browser, people: People, biology: SchoolClass) -> None:
    people.sign_in(browser, people.bob)
    browser.get(f"/classes/{biology.id}", status=404)
    [entry] = denied()
    assert (entry.user_id, entry.subject_type, entry.subject_id) == (people.bob.id, "class", str(biology.id))
    assert (entry.class_id, entry.section_id) == (biology.id, biology.section_id)
    assert entry.details == {"page": "class_page.show_class_page", "method": "GET", "code": 404}


def test_what_may_be_seen_but_not_changed_counts_too(browser: Browser, people: People) -> None:
    section = people.section(people.ada)
    people.school_class(people.bob, section)
    people.sign_in(browser, people.bob)
    browser.get(f"/classes/sections/{section.id}")
    browser.get(f"/classes/sections/{section.id}/import", status=403)
    [entry] = denied()
    assert (entry.subject_type, entry.details["code"], entry.section_id) == ("section", 403, section.id)


def test_an_admins_page_without_an_id_is_named(browser: Browser, people: People) -> None:
    people.sign_in(browser, people.ada)
    browser.get("/admin/people", status=403)
    [entry] = denied()
    assert (entry.subject_type, entry.subject_id) == ("page", "users.list_users")


def test_the_same_again_is_written_once_in_ten_minutes(browser: Browser, people: People, biology: SchoolClass) -> None:
    people.sign_in(browser, people.bob)
    for _ in range(3):
        browser.get(f"/classes/{biology.id}", status=404)
    assert len(denied()) == 1
    with time_machine.travel(clock.now() + timedelta(minutes=11)):
        browser.get(f"/classes/{biology.id}", status=404)
    assert len(denied()) == 2


def test_trying_many_addresses_does_not_fill_the_table(browser: Browser, people: People) -> None:
    people.sign_in(browser, people.bob)
    for _ in range(denied_log.MAX_ENTRIES + 10):
        browser.get(f"/classes/{uuid4()}", status=404)
    assert len(denied()) == denied_log.MAX_ENTRIES


def test_strangers_public_pages_and_slips_in_the_address_are_none(
    browser: Browser, people: People, biology: SchoolClass
) -> None:
    browser.get(f"/classes/{biology.id}", status=302)
    browser.get("/join/nothing-of-ours", status=404)
    people.sign_in(browser, people.bob)
    browser.get("/no/such/page", status=404)
    browser.get("/join/nothing-of-ours", status=404)
    assert not denied()


def test_the_log_shows_it_to_the_head(browser: Browser, other: Browser, people: People, biology: SchoolClass) -> None:
    people.sign_in(other, people.bob)
    other.get(f"/classes/{biology.id}", status=404)
    people.sign_in(browser, people.head)
    browser.get("/admin/audit?what=refused")
    assert "Bob Santos" in browser.text and "was refused: Biology, Grade 8 - Jadeite" in browser.text
