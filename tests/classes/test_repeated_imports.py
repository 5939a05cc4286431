"""A roster brought in again: what is different, who is missing and why, and taking it all back."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select

from portal.classes.models import Enrolment, Learner, RosterImport, Section
from portal.core import clock
from portal.core.audit_log import AuditEntry
from portal.core.db import db, write_transaction
from portal.jobs import retention
from portal.registration.models import MeetingRegistrant
from portal.sandbox.simulation.simulated_zoom import SimulatedZoom
from tests.browser import Browser
from tests.classes.test_one_learner import counted, statements
from tests.people import People, expire_orm_state, name_in_letters, run_jobs

TODAY = date(2026, 11, 24)
HEADER = "LRN\tLastName\tFirstName\tMiddleName\tExtension\tSex\tRemarks"
pytestmark = pytest.mark.usefixtures("names_in_letters")
NOW = datetime(2026, 11, 24, 9, tzinfo=clock.MANILA)


@pytest.fixture(autouse=True)
def tuesday() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def jadeite(people: People) -> Section:
    return people.section(people.ada)


@pytest.fixture
def ada(browser: Browser, people: People) -> Browser:
    return people.sign_in(browser, people.ada)


def row(number: int, first: str = "ANA", remark: str = "") -> str:
    return f"3001232{number:05d}\t{name_in_letters(number)}\t{first}\tCRUZ\t\tM\t{remark}"


def upload(browser: Browser, section: Section, *rows: str) -> None:
    browser.get(f"/classes/sections/{section.id}/import")
    browser.submit(button="Read the file", pasted="\n".join([HEADER, *rows]))


def save(
    browser: Browser, status: int = 200, button: str = "Save the roster", follow: bool = True, **answers: str
) -> None:
    browser.submit("#answers", button=button, status=status, follow=follow, **answers)


def picture() -> list[tuple[object, ...]]:
    """Everything the database says of learners and where they are."""
    expire_orm_state()
    people = select(Learner.id, Learner.lrn, Learner.lis_name, Learner.first_name, Learner.email).order_by(Learner.id)
    times = select(
        Enrolment.id, Enrolment.learner_id, Enrolment.section_id, Enrolment.position, Enrolment.from_date,
        Enrolment.until_date, Enrolment.exit_reason,
    ).order_by(Enrolment.id)  # fmt: skip
    return [tuple(one) for one in db.session.execute(people)] + [tuple(one) for one in db.session.execute(times)]


def times_of(learner: Learner) -> list[tuple[date, date | None, str | None]]:
    expire_orm_state()
    found = select(Enrolment).where(Enrolment.learner_id == learner.id).order_by(Enrolment.from_date)
    return [(one.from_date, one.until_date, one.exit_reason) for one in db.session.scalars(found)]


def test_the_difference_is_shown_before_anything_is_saved(ada: Browser, people: People, jadeite: Section) -> None:
    people.learners(jadeite, 3)
    before = picture()
    upload(ada, jadeite, row(1), row(2, "BEA"), row(9))
    assert "1 learner is on the roster but not in the file" in ada.text
    assert [one.get_text(" ", strip=True) for one in ada.page.select("td.st")] == ["Same", "Changed", "New"]
    assert picture() == before


def test_whoever_is_missing_is_asked_about(ada: Browser, people: People, jadeite: Section) -> None:
    learners = people.learners(jadeite, 4)
    upload(ada, jadeite, row(1))
    before = picture()
    save(ada, 422, **{f"what-{learners[1].id}": "T/O", f"day-{learners[1].id}": "2026-11-20"})
    assert "Nothing is saved yet: 2 answers are to be given or corrected." in ada.text
    assert ada.page.select_one(f"#day-{learners[1].id}")["value"] == "2026-11-20"  # type: ignore[index]
    assert picture() == before
    save(ada, **{f"what-{learners[2].id}": "NLS", f"what-{learners[3].id}": "keep"})
    assert [times_of(one)[-1][1:] for one in learners] == [
        (None, None), (date(2026, 11, 20), "T/O"), (TODAY, "NLS"), (None, None),
    ]  # fmt: skip
    assert len(db.session.scalars(select(Learner)).all()) == 4
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "imported_roster")).one()
    assert entry.details == {"added": 0, "changed": 0, "withdrawn": 2}


@pytest.mark.parametrize("day", ["2026-06-07", "2026-11-25", "", "soon"])
def test_a_last_day_must_be_one_of_her_days(ada: Browser, people: People, jadeite: Section, day: str) -> None:
    _, gone = people.learners(jadeite, 2)
    upload(ada, jadeite, row(1))
    save(ada, 422, **{f"what-{gone.id}": "T/O", f"day-{gone.id}": day})
    assert "Choose a day from Monday 8 June 2026 to Tuesday 24 November 2026." in ada.text
    assert times_of(gone) == [(date(2026, 6, 8), None, None)]


def test_one_button_keeps_all_who_are_missing(ada: Browser, people: People, jadeite: Section) -> None:
    learners = people.learners(jadeite, 3)
    upload(ada, jadeite, row(1))
    save(ada, button="keep them all")
    assert [times_of(one)[0][1] for one in learners] == [None, None, None]


def test_one_who_is_kept_stands_where_lis_would_print_her(ada: Browser, people: People, jadeite: Section) -> None:
    people.learners(jadeite, 4)
    upload(ada, jadeite, row(2), row(4))
    save(ada, button="keep them all")
    names = [cell.get_text().split(",")[0].strip() for cell in ada.page.select("table.roster th.name a")]
    assert names == ["LEARNEROOA", "LEARNEROOB", "LEARNEROOC", "LEARNEROOD"]


def test_the_register_itself_says_who_left(ada: Browser, people: People, jadeite: Section) -> None:
    first, second = people.learners(jadeite, 2)
    upload(ada, jadeite, row(1), row(2, remark="T/O DATE:2026-10-02"))
    assert "Leaves" in ada.text
    save(ada)
    assert times_of(second) == [(date(2026, 6, 8), date(2026, 10, 2), "T/O")]
    assert times_of(first)[0][1] is None
    upload(ada, jadeite, row(1), row(2, remark="T/O DATE:2026-10-02"))
    assert "Left already" in ada.text
    save(ada)
    assert len(times_of(second)) == 1


def test_a_register_pulls_nobody_back_who_left_it_for_another_section(
    ada: Browser, people: People, jadeite: Section
) -> None:
    ruby = people.section(people.bob, "Ruby")
    [there] = people.learners(ruby, 1)
    upload(ada, jadeite, row(1, remark="T/O DATE:2026-10-02"))
    save(ada)
    assert times_of(there) == [(date(2026, 6, 8), None, None)]


def test_an_import_is_undone_as_a_whole(
    app: Flask, ada: Browser, people: People, jadeite: Section, world: SimulatedZoom
) -> None:
    ruby = people.section(people.bob, "Ruby")
    people.learners(jadeite, 3)
    people.learners(ruby, 1, start=7)
    people.create_registered_meeting(
        people.ada, people.school_class(people.ada, jadeite), clock.now() + timedelta(hours=3)
    )
    before = picture()
    upload(ada, jadeite, row(2, "BEA"), row(1), row(7), row(9))
    missing = db.session.scalars(select(Learner).where(Learner.lrn == "300123200003")).one()
    save(ada, **{f"what-{missing.id}": "T/O", f"day-{missing.id}": "2026-11-02"})
    assert picture() != before
    ada.submit("form[action$='/undo']")
    assert "The import is undone" in ada.page.text
    assert picture() == before
    run_jobs(app)
    waiting = select(MeetingRegistrant.state).where(MeetingRegistrant.learner_id.is_not(None))
    assert set(db.session.scalars(waiting)) == {"registered"}
    assert not ada.page.select("form[action$='/undo']")


def test_a_learner_who_is_registered_stays_known_when_her_import_is_undone_and_is_found_again(
    app: Flask, ada: Browser, people: People, jadeite: Section, world: SimulatedZoom
) -> None:
    people.learners(jadeite, 1)
    people.create_registered_meeting(
        people.ada, people.school_class(people.ada, jadeite), clock.now() + timedelta(hours=3)
    )
    pending = "\tABAD\tBEA\tCRUZ\t\tF\tPending TI"
    upload(ada, jadeite, row(1), row(9), pending)
    save(ada)
    run_jobs(app)
    ada.get(f"/classes/sections/{jadeite.id}")
    ada.submit("form[action$='/undo']")
    run_jobs(app)
    cancelled = select(MeetingRegistrant.state).join(Learner).where(Learner.lrn == "300123200009")
    assert db.session.scalars(cancelled).one() == "cancelled"
    upload(ada, jadeite, row(1), row(9), pending)
    save(ada)
    expire_orm_state()
    assert len(db.session.scalars(select(Learner)).all()) == 3


def test_nothing_is_undone_where_later_changes_stand_on_it(ada: Browser, people: People, jadeite: Section) -> None:
    people.learners(jadeite, 2)
    upload(ada, jadeite, row(1, "BEA"), row(2, "BEA"), row(9))
    save(ada)
    fresh = db.session.scalars(select(Learner).where(Learner.lrn == "300123200009")).one()
    ada.get(f"/classes/sections/{jadeite.id}/learners/{fresh.id}/withdraw")
    ada.submit(reason="NLS")
    before = picture()
    ada.get(f"/classes/sections/{jadeite.id}")
    ada.submit("form[action$='/undo']")
    assert "Nothing was undone: LEARNEROOI,ANA, CRUZ was changed since." in ada.page.text
    assert picture() == before


def test_after_a_day_an_import_stays_and_its_journal_goes(
    ada: Browser, people: People, jadeite: Section, tuesday: time_machine.Traveller
) -> None:
    upload(ada, jadeite, row(1))
    save(ada)
    address = str(ada.page.select_one("form[action$='/undo']")["action"])  # type: ignore[index]
    tuesday.move_to(NOW + timedelta(hours=24, minutes=1))
    people.sign_in(ada, people.ada).get(f"/classes/sections/{jadeite.id}")
    assert not ada.page.select("form[action$='/undo']")
    ada.post(address)
    assert "cannot be undone any more" in ada.page.text
    retention.delete_expired_rows()
    expire_orm_state()
    assert db.session.scalars(select(RosterImport)).one().undo_journal is None
    assert len(picture()) == 2


def test_nobody_else_undoes_it(app: Flask, ada: Browser, people: People, jadeite: Section) -> None:
    upload(ada, jadeite, row(1))
    save(ada)
    address = str(ada.page.select_one("form[action$='/undo']")["action"])  # type: ignore[index]
    for person in (people.bob, people.head):
        other = people.sign_in(Browser(app.test_client()), person)
        other.get("/classes")
        other.post(address, status=404)


def test_a_form_of_a_year_that_is_over_is_not_taken(ada: Browser, people: People, jadeite: Section) -> None:
    with time_machine.travel(datetime(2027, 6, 7, 9, tzinfo=clock.MANILA), tick=False):
        people.sign_in(ada, people.ada).get(f"/classes/sections/{jadeite.id}/import", follow=True)
        assert "The school year 2026-2027 is over" in ada.page.text


@pytest.mark.parametrize("count", [4, 48])
def test_check_and_save_take_the_same_statements_for_four_and_for_a_class(
    ada: Browser, people: People, jadeite: Section, count: int
) -> None:
    gone, stays, *_ = people.learners(jadeite, count)
    ruby = people.section(people.ada, "Ruby")
    people.learners(ruby, 3, start=200)  # they move here
    listed = [*(row(number, "BEA") for number in range(3, count + 1)), *(row(100 + n) for n in range(20))]
    upload(ada, jadeite, *listed, *(row(200 + n) for n in range(3)))
    seen = statements(ada, ada.url)
    assert len(seen) <= 10, "\n\n".join(seen)
    answers = {f"what-{gone.id}": "T/O", f"what-{stays.id}": "keep"}
    with counted() as seen:
        save(ada, 302, follow=False, **answers)
    # Learners and enrolments are read to be matched, and once more in the short transaction that saves.
    assert len(seen) <= 16, "\n\n".join(seen)


def test_a_file_with_guessed_lrns_tells_nothing_of_another_teachers_learners(
    browser: Browser, people: People, jadeite: Section
) -> None:
    """Whoever types 12 digits in a row must neither read whose they are nor take the child off their roster."""
    learners = people.learners(jadeite, 3)
    before = picture()
    people.sign_in(browser, people.bob)
    ruby = people.section(people.bob, "Ruby")
    guessed = [f"{one.lrn}\tSANTOS\tJUAN\t\t\tM\t" for one in learners]
    upload(browser, ruby, *guessed)
    assert browser.text.count("belongs to a learner of your school with another name") >= 3
    assert "LEARNEROO" not in browser.text and "ANA" not in browser.text and "Jadeite" not in browser.text
    assert not browser.page.select("#answers")
    upload_id = browser.url.rpartition("/")[2]
    browser.post(f"/classes/imports/{upload_id}/confirm", {})
    assert picture() == before


def test_half_of_the_name_is_not_enough_to_take_a_learner_off_a_roster_of_this_year(
    browser: Browser, people: People, jadeite: Section
) -> None:
    people.learners(jadeite, 1)
    people.sign_in(browser, people.bob)
    upload(browser, people.section(people.bob, "Ruby"), row(1, "BEA"))
    assert "another name" in browser.text and "ANA" not in browser.text


def test_who_moves_here_comes_without_what_the_other_roster_said(
    browser: Browser, people: People, jadeite: Section
) -> None:
    learner = people.learners(jadeite, 1)[0]
    with write_transaction():
        db.session.get_one(Learner, learner.id).email = "old.address@r1.deped.gov.ph"
    people.sign_in(browser, people.bob)
    ruby = people.section(people.bob, "Ruby")
    columns = f"{HEADER}\tEmail"
    browser.get(f"/classes/sections/{ruby.id}/import")
    moved = "300123200001\tLearnerooa\tAna\tReyes\t\tM\t\tnew.address@r1.deped.gov.ph"
    browser.submit(button="Read the file", pasted=f"{columns}\n{moved}")
    assert "Moves here" in browser.text and "new.address@" in browser.text
    assert "old.address@" not in browser.text and "CRUZ" not in browser.text
    save(browser)
    assert times_of(learner)[-1] == (TODAY, None, None)


def test_the_schools_head_corrects_a_name_with_a_file(browser: Browser, people: People, jadeite: Section) -> None:
    people.learners(jadeite, 1)
    ruby = people.section(people.bob, "Ruby")
    people.sign_in(browser, people.head)
    upload(browser, ruby, row(1, "BEA"))
    assert "Moves here" in browser.text and "ANA" in browser.text
