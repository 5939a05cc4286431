"""Holidays, suspensions and make-up class days: who declares them for whom, and the classes they concern."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import event, select

from portal.accounts import service as accounts
from portal.accounts.models import User
from portal.classes.models import SchoolClass
from portal.core import clock
from portal.core.audit_log import AuditEntry
from portal.core.db import db, write_transaction
from portal.meetings.models import CalendarDay, MeetingOccurrence, ZoomMeeting
from portal.meetings.school_calendar import affected_classes
from portal.meetings.school_calendar import service as school_calendar_service
from portal.meetings.school_calendar.service import CalendarEntry, CalendarScope
from portal.sandbox.simulation.simulated_zoom import SimulatedZoom
from tests.browser import Browser
from tests.meetings.conftest import dates_at_zoom, zooms
from tests.people import People, run_jobs

NOW = datetime(2026, 11, 23, 7, tzinfo=clock.MANILA)
FORM = "form:has([name=weekdays])"
WEDNESDAY = date(2026, 11, 25)


@pytest.fixture(autouse=True)
def monday_at_seven() -> Iterator[None]:
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def chief(people: People) -> User:
    return people.person("chief", "Corazon Chua", None, role="admin", scope="region")


@pytest.fixture
def weekly(app: Flask, browser: Browser, people: People, world: SimulatedZoom, biology: SchoolClass) -> ZoomMeeting:
    """Ada's Biology on Monday, Wednesday and Friday at 8:00 AM, for two weeks, made at Zoom; nobody signed in."""
    people.sign_in(browser, people.ada)
    browser.get("/meetings/new")
    browser.submit(
        "form:has([name=title])",
        title="Cells",
        day="2026-11-23",
        start="08:00",
        weekdays=["1", "3", "5"],
        until="2026-12-04",
    )
    browser.submit("form[action='/sign-out']")
    run_jobs(app)
    return db.session.scalars(select(ZoomMeeting)).one()


def declare(browser: Browser, status: int = 200, **fields: Any) -> None:
    browser.get("/class-days/new")
    browser.submit(FORM, status=status, **{"name": "Typhoon signal no. 2", "day": WEDNESDAY.isoformat(), **fields})


def said_of() -> set[tuple[str, str, str]]:
    return {(row.date.isoformat(), row.scope, row.kind) for row in db.session.scalars(select(CalendarDay))}


def cancelled() -> list[str]:
    rows = db.session.scalars(select(MeetingOccurrence.local_date).where(MeetingOccurrence.state == "cancelled"))
    return sorted(day.isoformat() for day in rows)


def test_a_suspension_shows_the_classes_it_concerns_and_one_button_cancels_them(
    app: Flask, browser: Browser, people: People, world: SimulatedZoom, weekly: ZoomMeeting
) -> None:
    people.sign_in(browser, people.head)
    declare(browser, last="2026-11-27")
    assert "2 classes are still scheduled. Nothing is cancelled yet." in browser.text
    assert "Wed 25 Nov, 8:00 AM, Typhoon signal no. 2, Ada Lovelace" in browser.text
    assert cancelled() == []
    browser.submit("[action='/class-days/classes/cancel']")
    assert "2 classes are cancelled. Zoom is told now" in browser.text
    assert cancelled() == ["2026-11-25", "2026-11-27"]
    run_jobs(app)
    assert [day[:10] for day in dates_at_zoom(zooms(world)[0])] == [
        "2026-11-23",
        "2026-12-02",
        "2026-12-04",
    ]
    browser.get("/class-days/classes")
    assert "Wed 25 Nov" not in browser.text


def test_a_date_whose_tick_is_taken_away_is_held(
    browser: Browser, people: People, world: SimulatedZoom, weekly: ZoomMeeting
) -> None:
    people.sign_in(browser, people.head)
    declare(browser, last="2026-11-27")
    ticks = [str(box["value"]) for box in browser.page.select("[name=date]")]
    browser.submit("[action='/class-days/classes/cancel']", date=ticks[:1])
    assert cancelled() == ["2026-11-25"]
    browser.get("/class-days")
    assert "1 class is still scheduled on a day without class" in browser.text


def test_only_dates_on_days_without_class_can_be_cancelled_there(
    browser: Browser, people: People, world: SimulatedZoom, weekly: ZoomMeeting
) -> None:
    other = db.session.scalars(
        select(MeetingOccurrence.id).where(MeetingOccurrence.local_date == date(2026, 11, 27))
    ).one()
    people.sign_in(browser, people.head)
    declare(browser)
    token = browser.page.select_one("[name=csrf_token]")
    assert token
    browser.post("/class-days/classes/cancel", {"date": str(other), "first": "2026-11-23", "last": "2026-12-31"})
    assert cancelled() == [] and "Nothing was cancelled" in browser.text


def test_a_teacher_cancels_her_own_and_nobody_elses(
    browser: Browser, people: People, world: SimulatedZoom, weekly: ZoomMeeting
) -> None:
    school_calendar_service.add_calendar_days(
        people.head, CalendarScope("region"), [CalendarEntry(WEDNESDAY, "suspended", "Typhoon")]
    )
    people.sign_in(browser, people.bob)
    browser.get("/class-days/classes")
    assert "Nothing of yours is scheduled" in browser.text and "Biology" not in browser.text
    occurrence = db.session.scalars(select(MeetingOccurrence.id).where(MeetingOccurrence.local_date == WEDNESDAY)).one()
    browser.post("/class-days/classes/cancel", {"date": str(occurrence)})
    assert cancelled() == []
    browser.submit("form[action='/sign-out']")
    people.sign_in(browser, people.ada)
    browser.get("/class-days/classes")
    browser.submit("[action='/class-days/classes/cancel']")
    assert cancelled() == ["2026-11-25"]


def test_an_adviser_sees_the_classes_of_others_in_her_section_but_leaves_them_to_them(
    browser: Browser, people: People, world: SimulatedZoom, biology: SchoolClass
) -> None:
    english = people.school_class(people.bob, people.section(people.bob, "Opal"), "English")
    with write_transaction() as session:
        session.get_one(SchoolClass, english.id).section_id = biology.section_id
    people.meeting(people.bob, english, NOW + timedelta(days=2, hours=2))
    people.sign_in(browser, people.ada)
    declare(browser)
    assert "Nothing of yours is scheduled" in browser.text and "Bob Santos" in browser.text
    assert not browser.page.select("[name=date]")


def test_a_section_may_have_class_on_a_holiday(
    browser: Browser, people: People, world: SimulatedZoom, weekly: ZoomMeeting
) -> None:
    school_calendar_service.add_calendar_days(
        people.head, CalendarScope("region"), [CalendarEntry(WEDNESDAY, "suspended", "Typhoon")]
    )
    people.sign_in(browser, people.ada)
    browser.get("/class-days/classes")
    assert "Wed 25 Nov" in browser.text
    declare(browser, kind="class", name="Make-up class")
    browser.get("/class-days/classes")
    assert "Wed 25 Nov" not in browser.text


@pytest.mark.parametrize(
    ("who", "offered"),
    [
        ("chief", ["All schools of the region", "Division: Ilocos Norte", "One school, by its ID"]),
        ("division", ["Division: Ilocos Norte", "One school, by its ID"]),
        ("head", ["The whole school: San Nicolas National High School", "Grade 8 - Jadeite"]),
        ("ada", ["Grade 8 - Jadeite"]),
    ],
)
def test_everybody_declares_for_whom_she_looks_after(
    browser: Browser, people: People, chief: User, who: str, offered: list[str]
) -> None:
    people.section(people.ada)
    division = people.person("div", "Dina Vera", people.school, role="admin", scope="division")
    person = {"chief": chief, "division": division, "head": people.head, "ada": people.ada}[who]
    people.sign_in(browser, person)
    browser.get("/class-days/new")
    assert [option.text for option in browser.page.select("[name=place] option")] == offered


def test_a_teacher_without_a_section_looks_only(browser: Browser, people: People) -> None:
    school_calendar_service.add_calendar_days(
        people.head, CalendarScope("region"), [CalendarEntry(WEDNESDAY, "suspended", "Typhoon")]
    )
    people.sign_in(browser, people.bob)
    browser.get("/calendar")
    browser.click("Days without class")
    assert (
        "Typhoon" in browser.text
        and "Add days" not in browser.text
        and not browser.page.select("main a.btn[href*='-days/0']")
    )
    browser.get("/class-days/new", status=403)
    browser.get(f"/class-days/{db.session.scalars(select(CalendarDay.id)).one()}", status=403)


def test_one_school_is_named_by_its_id_and_must_be_in_scope(browser: Browser, people: People) -> None:
    accounts.get_or_create_school("300999", "Elsewhere High School", "La Union")
    people.sign_in(browser, people.person("div", "Dina Vera", people.school, role="admin", scope="division"))
    declare(browser, status=422, place="school", school="300999")
    assert "No school of yours has this ID." in browser.text and said_of() == set()
    browser.submit(FORM, place="school", school="300123")
    assert said_of() == {("2026-11-25", "school", "suspended")}


def test_a_span_leaves_out_the_week_end_and_says_it_again_without_doubling(
    browser: Browser, people: People, chief: User
) -> None:
    people.sign_in(browser, chief)
    declare(browser, day="2026-12-18", last="2026-12-22", kind="holiday", name="Break")
    assert said_of() == {(day, "region", "holiday") for day in ("2026-12-18", "2026-12-21", "2026-12-22")}
    declare(browser, day="2026-12-21", kind="suspended", name="Flood")
    assert len(said_of()) == 3 and ("2026-12-21", "region", "suspended") in said_of()


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"name": ""}, "Write its name."),
        ({"day": "2036-11-25"}, "This is too far away. Correct the year."),
        ({"last": "2026-11-20"}, "The last day comes after the first"),
        ({"day": "2026-11-28", "last": "2026-11-29"}, "Then no day is left"),
        ({"day": ""}, "Choose the day."),
    ],
)
def test_what_is_wrong_is_said_at_the_field_and_nothing_is_lost(
    browser: Browser, people: People, chief: User, fields: dict[str, str], says: str
) -> None:
    people.sign_in(browser, chief)
    declare(browser, status=422, **fields)
    assert says in browser.text and said_of() == set()
    if fields.get("name") != "":
        assert browser.page.select_one("[name=name][value='Typhoon signal no. 2']")


def test_a_day_is_changed_and_removed_and_cancelled_classes_stay_cancelled(
    browser: Browser, people: People, world: SimulatedZoom, weekly: ZoomMeeting
) -> None:
    people.sign_in(browser, people.head)
    declare(browser)
    browser.submit("[action='/class-days/classes/cancel']")
    browser.click("Change")
    browser.submit("form:has([name=name])", name="Typhoon Nika", kind="holiday")
    [row] = db.session.scalars(select(CalendarDay))
    assert (row.name, row.kind) == ("Typhoon Nika", "holiday")
    browser.click("Change")
    browser.submit("[action$='/remove']")
    assert "do not come back by themselves" in browser.text
    assert said_of() == set() and cancelled() == ["2026-11-25"]
    actions = db.session.scalars(
        select(AuditEntry.action).where(AuditEntry.subject_type == "calendar_day").order_by(AuditEntry.id)
    )
    assert list(actions) == ["declared", "changed", "removed"]


def test_a_day_cannot_be_moved_onto_another_of_the_same_place(browser: Browser, people: People, chief: User) -> None:
    school_calendar_service.add_calendar_days(
        chief,
        CalendarScope("region"),
        [CalendarEntry(WEDNESDAY, "suspended", "A"), CalendarEntry(date(2026, 11, 26), "holiday", "B")],
    )
    people.sign_in(browser, chief)
    browser.get("/class-days")
    browser.click("Change")
    browser.submit("form:has([name=name])", status=422, day="2026-11-26")
    assert "Something is said of this day already." in browser.text


def test_a_file_is_looked_at_and_saved_as_a_whole(browser: Browser, people: People, chief: User) -> None:
    people.sign_in(browser, chief)
    browser.get("/class-days/import")
    content = "date,kind,name\n2026-12-18,holiday,Foundation day\n1/9/2027,class,Make-up class\n".encode("utf-8-sig")
    browser.submit("form:has([type=file])", file=(content, "days.csv"))
    assert "2 days are ready." in browser.text and "Sat 9 Jan" in browser.text and said_of() == set()
    browser.submit("form:has([name=save])")
    assert said_of() == {("2026-12-18", "region", "holiday"), ("2027-01-09", "region", "class")}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("date,kind,name\n2026-13-01,holiday,A\n", "Row 2: “2026-13-01” is not a date."),
        ("date,kind,name\n2026-12-01,fiesta,A\n", "Row 2: the kind “fiesta” is not known."),
        ("date,kind,name\n2026-12-01,holiday,\n", "Row 2 has no name."),
        ("date,kind,name\n2026-12-01,holiday,A\n12/1/2026,holiday,B\n", "Row 3: 2026-12-01 is in row 2 already."),
        ("date,kind,name\n2062-12-01,holiday,A\n", "Row 2: 2062-12-01 is too far away."),
        ("date,name\n2026-12-01,A\n", "These columns are missing: kind."),
        ("date,kind,name\n", "There is no row under the names of the columns."),
        ('date,kind,name\n"2026-12-01,holiday,A\n', "A quotation mark that opens on line 2 does not close."),
        ("\0\1\2", "This is not a CSV file."),
        ("", "There is no row"),
    ],
)
def test_a_file_with_one_wrong_row_is_saved_not_at_all(
    browser: Browser, people: People, chief: User, content: str, says: str
) -> None:
    people.sign_in(browser, chief)
    browser.get("/class-days/import")
    if content.startswith("date,kind,name\n2026"):
        content += "2026-12-18,holiday,Good\n"
    browser.submit("form:has([type=file])", status=422, file=(content.encode(), "days.csv"))
    assert says in browser.text and not browser.page.select("[name=save]")
    pasted = 400 if "\0" in content else 422  # no form of the portal takes a zero byte
    browser.post("/class-days/import", {"pasted": content, "place": "region", "save": "yes"}, status=pasted)
    assert said_of() == set()


def test_the_template_can_be_imported_as_it_is(browser: Browser, people: People, chief: User) -> None:
    people.sign_in(browser, chief)
    browser.get("/class-days/template.csv")
    assert browser.response
    content = browser.response.get_data()
    browser.get("/class-days/import")
    browser.submit("form:has([type=file])", file=(content, "days.csv"))
    assert "2 days are ready." in browser.text


def test_the_page_asks_the_database_the_same_whatever_there_is(
    app: Flask, browser: Browser, people: People, world: SimulatedZoom, weekly: ZoomMeeting, chief: User
) -> None:
    days = [date(2026, 11, 1) + timedelta(days=number) for number in range(60)]
    school_calendar_service.add_calendar_days(
        chief, CalendarScope("region"), [CalendarEntry(day, "suspended", "Flood") for day in days]
    )
    people.sign_in(browser, people.head)
    statements: list[str] = []
    event.listen(db.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    browser.get("/class-days")
    asked = [text for text in statements if text.startswith("SELECT") and "user_sessions" not in text]
    assert len(asked) <= 10, asked


def test_many_dates_are_cancelled_in_one_go(
    app: Flask, people: People, world: SimulatedZoom, weekly: ZoomMeeting, chief: User
) -> None:
    dates = list(db.session.scalars(select(MeetingOccurrence).where(MeetingOccurrence.state == "scheduled")))
    school_calendar_service.add_calendar_days(
        chief, CalendarScope("region"), [CalendarEntry(row.local_date, "suspended", "Flood") for row in dates]
    )
    done = affected_classes.cancel_listed_occurrences(
        people.head, date(2026, 11, 23), date(2026, 12, 31), [row.id for row in dates]
    )
    assert done == len(dates) and len(cancelled()) == done
    run_jobs(app)
    assert db.session.get_one(ZoomMeeting, weekly.id).state == "cancelled"


def test_holy_week_follows_from_easter() -> None:
    from portal.meetings.school_calendar.national_holidays import national_holidays

    days = national_holidays(date(2027, 3, 1), date(2027, 4, 30))
    assert list(days) == [date(2027, 3, 25), date(2027, 3, 26)], "Maundy Thursday and Good Friday, Easter is the 28th"
