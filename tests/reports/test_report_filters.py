"""The filters of the report stand in its address; what is wrong there is named, and the rest is kept."""

from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask

from portal.accounts import service as accounts
from portal.attendance.models import AttendanceTally
from portal.classes import service as classes
from portal.core.db import db
from tests.attendance.lesson import add_meeting, at
from tests.browser import Browser, words
from tests.reports.conftest import ALL, Month


def rows(browser: Browser) -> dict[str, list[str]]:
    """The table of the page: title of the line, then its cells."""
    lines = browser.page.select("table.sheet tbody tr")
    return {words(line.select("th")[0]): [words(cell) for cell in line.select("td")] for line in lines}


def chosen(browser: Browser, name: str) -> str:
    field = browser.page.select_one(f"form.filters [name={name}]")
    assert field is not None
    if field.name == "input":
        return str(field["value"])
    option = field.select_one("option[selected]")
    return str(option["value"]) if option else ""


def test_a_teacher_sees_her_own_classes(ada: Browser) -> None:
    ada.get(f"/reports?{ALL}")
    assert rows(ada) == {
        "Art, Grade 8 - Jadeite": ["100.0%", "4", "1", "1", "4", "4", "0", "0", "0", "0", "0", "0", "Ada Lovelace"],
        "Biology, Grade 8 - Jadeite": ["62.5%", "4", "2", "2", "8", "4", "1", "3", "0", "0", "0", "0", "Ada Lovelace"],
    }
    assert "75.0%" in ada.text, "9 of 12"


def test_dates_and_class_narrow_it(ada: Browser, month: Month) -> None:
    ada.get(f"/reports?from=2026-11-03&to=2026-11-03&class={month.biology.id}")
    assert rows(ada)["Biology, Grade 8 - Jadeite"][:6] == ["75.0%", "4", "1", "1", "4", "2"]
    assert list(rows(ada)) == ["Biology, Grade 8 - Jadeite"]
    assert chosen(ada, "class") == str(month.biology.id)
    assert "3 of 4 came" in ada.text
    assert ada.page.select_one(f"a[href='/reports/occurrences/{month.dates(month.biology)[0].id}']")


def test_a_head_narrows_by_section_teacher_and_subject(head: Browser, month: Month) -> None:
    head.get(f"/reports?{ALL}")
    assert len(rows(head)) == 3
    head.submit("form.filters", teacher=str(month.people.bob.id))
    assert list(rows(head)) == ["Biology, Grade 8 - Ruby"]
    assert chosen(head, "from") == "2026-11-01"
    head.get(f"/reports?{ALL}&section={month.section.id}&subject=Art")
    assert list(rows(head)) == ["Art, Grade 8 - Jadeite"]


def test_a_class_to_come_is_planned_and_not_held(ada: Browser, month: Month) -> None:
    add_meeting(month.people.ada, month.biology, [(at("8:00", day=20), 60)], zoom_id="9")
    ada.get(f"/reports?{ALL}")
    assert rows(ada)["Biology, Grade 8 - Jadeite"][2:4] == ["3", "2"]
    assert "3 of 4" in ada.text


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("from=2026-13-01&to=2026-11-30", "From: “2026-13-01” is no day that we can read. Write it like 2026-11-24."),
        ("from=1026-11-01&to=2026-11-30", "From: check the year, 1026. It has to be between 2000 and 2100."),
        ("from=2026-11-01&to=tomorrow", "To: “tomorrow” is no day that we can read."),
        ("from=2026-11-30&to=2026-11-01", "The first day was after the last one; they are exchanged."),
        ("from=1999-01-01&to=2026-11-30", "From: check the year, 1999."),
        ("from=2020-01-01&to=2026-11-30", "A report covers at most 400 days."),
        (f"{ALL}&section=x", "Section: there is none like that for you to look at, so it is left out."),
        (f"{ALL}&class=8f14e45f-ceea-467f-a0e6-2f1d3a9b7c55", "Class: there is none like that"),
        (f"{ALL}&subject=Alchemy", "Subject: there is none like that"),
        (f"{ALL}&school=8f14e45f-ceea-467f-a0e6-2f1d3a9b7c55", "School: there is none like that"),
        (f"{ALL}&division=Ilocos%20Norte", "Division: there is none like that"),
    ],
)
def test_a_bad_value_is_named_and_the_rest_kept(ada: Browser, month: Month, query: str, said: str) -> None:
    ada.get(f"/reports?{query}&teacher={month.people.ada.id}")
    assert said in ada.text
    assert "Art, Grade 8 - Jadeite" in rows(ada)


def test_somebody_elses_class_reads_like_one_that_never_was(ada: Browser, month: Month) -> None:
    ada.get(f"/reports?{ALL}&class={month.bobs.id}")
    assert "Class: there is none like that for you to look at, so it is left out." in ada.text
    for path in ("/reports.csv", "/reports.xlsx", "/reports/marks.csv", "/reports/marks.xlsx"):
        ada.get(f"{path}?{ALL}&class={month.bobs.id}", status=404)


def test_a_class_of_another_teacher_than_the_one_chosen_is_left_out(head: Browser, month: Month) -> None:
    head.get(f"/reports?{ALL}&teacher={month.people.bob.id}&class={month.biology.id}")
    assert "The class is not one of the section and teacher chosen" in head.text
    assert list(rows(head)) == ["Biology, Grade 8 - Ruby"]


def test_the_region_goes_down_from_division_to_section_and_no_further(app: Flask, month: Month) -> None:
    people = month.people
    other = accounts.get_or_create_school("300777", "Vigan National High School", "Vigan City")
    cora = people.person("cora", "Cora Diaz", other)
    classes.create_class(cora, people.section(cora, name="Opal"), subject="Biology")
    browser = people.sign_in(
        Browser(app.test_client()), people.person("far", "Fe Ramos", None, role="admin", scope="region")
    )
    browser.get(f"/reports?{ALL}")
    assert list(rows(browser)) == ["Ilocos Norte"]
    browser.click("Ilocos Norte")
    assert list(rows(browser)) == ["San Nicolas National High School"]
    assert chosen(browser, "division") == "Ilocos Norte"
    browser.click("San Nicolas National High School")
    assert {title: cells[:2] for title, cells in rows(browser).items()} == {
        "Grade 8 - Jadeite": ["75.0%", "4"],
        "Grade 8 - Ruby": ["0.0%", "2"],
    }
    assert not browser.page.select("table.sheet tbody a")
    browser.get(f"/reports?{ALL}&section={month.section.id}")
    assert chosen(browser, "division") == "Ilocos Norte", "a section has said its school and division"
    assert list(rows(browser)) == ["Grade 8 - Jadeite"]
    browser.get(f"/reports?{ALL}&section={month.section.id}&school={other.id}")
    assert "The section is not of the school chosen" in browser.text
    browser.get(f"/reports?{ALL}&division=Vigan City&school={people.school.id}")
    assert "The school is not in the division chosen" in browser.text
    browser.get(f"/reports?{ALL}&class={month.biology.id}")
    assert "Class: there is none like that for you" in browser.text
    browser.get(f"/reports/marks.csv?{ALL}", status=404)


def test_a_division_sees_its_schools_alone(app: Flask, month: Month) -> None:
    other = accounts.get_or_create_school("300777", "Vigan National High School", "Vigan City")
    person = month.people.person("far", "Fe Ramos", other, role="admin", scope="division")
    browser = month.people.sign_in(Browser(app.test_client()), person)
    browser.get(f"/reports?{ALL}")
    assert "No class in these days" in browser.text
    browser.get(f"/reports?{ALL}&school={month.people.school.id}")
    assert "School: there is none like that for you" in browser.text
    browser.get(f"/reports.csv?{ALL}&section={month.section.id}", status=404)


def test_the_chart_says_in_words_what_it_draws(ada: Browser) -> None:
    ada.get(f"/reports?{ALL}")
    for drawing in ada.page.select("svg.chart"):
        title, description = (drawing.find(id=one) for one in str(drawing["aria-labelledby"]).split())
        assert title and words(title) == "Attendance by week"
        assert description and words(description) == (
            "Attendance by week, 2 Nov to 9 Nov: between 50.0% and 87.5%, now 50.0%."
        )


def test_exports_ask_for_what_the_page_shows(ada: Browser, month: Month) -> None:
    ada.get(f"/reports?{ALL}&class={month.biology.id}")
    links = [str(link["href"]) for link in ada.page.select(".menu a") if "/reports" in str(link["href"])]
    assert len(links) == 5
    for link in links:
        assert parse_qs(urlsplit(link).query)["class"] == [str(month.biology.id)]
        ada.get(link)


def test_tallies_say_what_the_records_say(ada: Browser, month: Month) -> None:
    first = month.dates(month.biology)[0]
    tally = db.session.get_one(AttendanceTally, first.id)
    assert (tally.present, tally.partial, tally.absent, tally.needs_review, tally.pending) == (2, 1, 1, 0, 0)
    ada.get(f"/attendance/{first.id}")
    ada.post(f"/attendance/{first.id}/reopen", {"reason": "a mistake"})
    ada.get(f"/attendance/{first.id}")
    ada.post(f"/attendance/{first.id}/marks", {"who": [str(month.learners[3].id)], "to": "present", "reason": "was in"})
    tally = db.session.get_one(AttendanceTally, first.id)
    assert (tally.present, tally.partial, tally.absent) == (3, 1, 0)
