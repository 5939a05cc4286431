"""What the page of School Form 2 says of a computed month, without a portal."""

from dataclasses import replace
from datetime import date

import pytest

from portal.reports.sf2 import calculation
from portal.reports.sf2.calculation import EnrolmentPeriod, RecordDay
from portal.reports.sf2.page import Sf2Page, build_sf2_page
from portal.reports.sf2.queries import Sf2Month

JUNE = date(2026, 6, 8)
HOLIDAY = date(2026, 11, 30)


def november(day: int) -> date:
    return date(2026, 11, day)


def a_month(*class_days: int, register: dict[tuple[str, int], RecordDay] | None = None, **changes: object) -> Sf2Month:
    """Two boys and a girl; the second boy left after the 3rd. All are present, but for the register."""
    days = [november(day) for day in class_days]
    learners = [
        EnrolmentPeriod("abad", "ABAD,JUAN, CRUZ", "M", JUNE),
        EnrolmentPeriod("basa", "BASA", "M", JUNE, november(3), left_by="T/O", detail="Laoag Central"),
        EnrolmentPeriod("diaz", "DIAZ", "F", JUNE),
    ]
    present = {(one.key, day): RecordDay("present") for one in learners for day in days}
    other = {(key, november(day)): entry for (key, day), entry in (register or {}).items()}
    form = calculation.compute_sf2(
        *calculation.days_of_month(2026, 11),
        class_days=days,
        before=[],
        learners=learners,
        register=present | other,
        cut_off=date(2026, 6, 12),
    )
    month = Sf2Month(
        form,
        {HOLIDAY: "Bonifacio Day"},
        (),
        date(2026, 6, 12),
        adrift=0,
        head="Rosa Lim",
        kind="present",
        prescribed=201,
    )
    return replace(month, **changes)  # type: ignore[arg-type]  # fields of Sf2Month


NOVEMBER_12 = november(12)


def page_of(month: Sf2Month, today: date = NOVEMBER_12) -> Sf2Page:
    return build_sf2_page(month, first_day=date(2026, 6, 1), last_day=today, today=today, adviser="Ada Lovelace")


def test_days_up_to_today_lead_to_their_record_unless_there_was_no_class() -> None:
    columns = {column.day: column for column in page_of(a_month(3, 4), today=HOLIDAY).columns}
    assert columns[november(27)].has_record_link
    assert not columns[HOLIDAY].has_record_link
    assert (columns[HOLIDAY].off, columns[HOLIDAY].style) == ("Bonifacio Day", "c off")
    assert [day.day for day, column in columns.items() if not column.has_record_link] == [30]


def test_today_leads_to_its_record_and_tomorrow_does_not() -> None:
    columns = {column.day: column for column in page_of(a_month(3), today=november(12)).columns}
    assert columns[november(12)].has_record_link
    assert not columns[november(13)].has_record_link


def test_class_on_a_holiday_is_not_shaded() -> None:
    [column] = [one for one in page_of(a_month(30), today=november(29)).columns if one.day == HOLIDAY]
    assert (column.style, column.has_record_link) == ("c", True)


@pytest.mark.parametrize(
    ("entry", "mark", "words", "style"),
    [
        (RecordDay("present"), "", "", "c"),
        (RecordDay("absent"), "x", "absent", "c"),
        (RecordDay("unknown"), "?", "not known: decide", "c"),
        (RecordDay("present", "late"), "", "late", "c late"),
        (RecordDay("present", "cutting"), "", "left early", "c cutting"),
        (RecordDay("present", "both"), "", "late, left early", "c late cutting"),
    ],
)
def test_a_cell_says_what_happened(entry: RecordDay, mark: str, words: str, style: str) -> None:
    page = page_of(a_month(3, register={("abad", 3): entry}))
    cell = page.groups[0].lines[0].cells[1]  # the 2nd is the first column
    assert (cell.mark, cell.words, cell.style) == (mark, words, style)


def test_who_left_has_dashes_from_then_on_and_a_remark() -> None:
    line = page_of(a_month(3, 4)).groups[0].lines[1]
    assert [cell.mark for cell in line.cells[:4]] == ["", "", "-", ""]
    assert line.remarks == "T/O to Laoag Central 2026-11-03"


def test_totals_count_who_was_present_on_class_days() -> None:
    page = page_of(a_month(3, 4, register={("abad", 4): RecordDay("absent")}))
    assert page.groups[0].total.per_day[:4] == ("", "2", "0", "")
    assert page.total.per_day[:4] == ("", "3", "1", "")
    assert (page.total.learners, page.total.absent, page.total.counted) == (3, 1, 4)


def test_the_form_of_2014_counts_who_was_tardy() -> None:
    month = a_month(3, register={("abad", 3): RecordDay("present", "late")}, kind="tardy")
    assert page_of(month).counted_title == "Tardy"
    assert page_of(month).total.counted == 1


def test_percentages_are_whole_and_empty_where_nothing_can_be_divided() -> None:
    lines = {line.title: line.values for line in page_of(a_month()).summary}
    assert lines["Average daily attendance"] == ("", "", "")
    lines = {line.title: line.values for line in page_of(a_month(3, 4)).summary}
    assert lines["Percentage of enrolment"] == ("50%", "100%", "67%")


def test_months_beside_it_stay_within_the_school_year() -> None:
    page = page_of(a_month(3))
    assert (page.earlier, page.later) == ("2026-10", None)
    assert page_of(a_month(3), today=date(2026, 12, 1)).later == "2026-12"
    assert build_sf2_page(
        a_month(3), first_day=november(1), last_day=HOLIDAY, today=HOLIDAY, adviser=""
    ).earlier is None  # fmt: skip


def test_what_is_odd_is_said_above_the_form() -> None:
    assert page_of(a_month(3)).notices == ()
    odd = a_month(7, register={("abad", 7): RecordDay("unknown")}, adrift=-2)  # a Saturday
    assert [(notice.kind, notice.title) for notice in page_of(odd).notices] == [
        ("warm", "1 mark is not known."),
        ("warm", "The registered do not add up."),
        ("", ""),
    ]
    assert "by -2." in page_of(odd).notices[1].text


def test_more_than_five_days_without_a_record_are_folded() -> None:
    days = tuple(november(day) for day in (3, 4, 5, 6, 9, 10))
    assert not page_of(a_month(unrecorded=days[:5])).folds_unrecorded
    assert page_of(a_month(unrecorded=days)).folds_unrecorded


def test_who_is_often_absent_is_told_of_in_sentences() -> None:
    away = {("abad", day): RecordDay("absent") for day in (9, 10, 11, 12, 13)}
    [watched] = page_of(a_month(9, 10, 11, 12, 13, register=away)).watched
    assert watched.name == "ABAD, JUAN, CRUZ"
    assert watched.sentences == (
        ("5 class days in a row absent, from Mon 9 Nov to Fri 13 Nov.", ""),
        ("Absent on 5 of 5 class days so far, 100%.", "5 of the 201 of the school year."),
    )
    [watched] = page_of(a_month(9, 10, 11, 12, 13, register=away, prescribed=None)).watched
    assert watched.sentences[1][1] == ""


def test_the_adviser_and_the_school_head_sign() -> None:
    assert page_of(a_month(3)).signatures == (("ADA LOVELACE", "Adviser"), ("ROSA LIM", "School head"))
