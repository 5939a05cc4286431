"""Remarks as LIS and teachers write them: every form of code and date."""

from datetime import date

import pytest

from portal.classes.roster_files.remarks import parse_remark, shows_day_first

AUGUST_3 = date(2026, 8, 3)
JUNE_8 = date(2026, 6, 8)
FORMS_OF_THE_DATE = (
    "2026-08-03", "2026/08/03", "2026-8-3", "2026 - 08 - 03", "20260803", "2026.08.03", "08/03/2026", "8/3/2026",
    "08-03-2026", "8-3-26", "Aug 3, 2026", "Aug. 3, 2026", "August 3 2026", "AUGUST 3RD, 2026", "3 August 2026",
    "3-Aug-2026", "03-Aug-26", "3rd of August, 2026", "Agosto 3, 2026", "2026-08-03T00:00:00",
)  # fmt: skip


@pytest.mark.parametrize("written", FORMS_OF_THE_DATE)
@pytest.mark.parametrize("between", [" DATE:", " DATE: ", "-DATE:", " DATE : ", " ", ": ", " - ", " (P) Laoag NHS, "])
@pytest.mark.parametrize("code", ["T/O", "DRP", "NLS", "LE", "T/I"])
def test_every_form_of_the_date_is_read_behind_every_code(code, between, written):
    remark = parse_remark(f"{code}{between}{written}")
    assert (remark.code, remark.day) == (code, AUGUST_3)


@pytest.mark.parametrize(
    ("cell", "code", "day"),
    [
        ("T/O Laoag NHS (P) 08/03/2026", "T/O", AUGUST_3),
        ("T/O to Laoag NHS, Ilocos Norte\nDATE:2026-08-03", "T/O", AUGUST_3),
        ("T/O Transferred Out DATE:2026-08-03", "T/O", AUGUST_3),
        ("Transferred to Laoag NHS on August 3, 2026", "T/O", AUGUST_3),
        ("transferred out 8/3/2026", "T/O", AUGUST_3),
        ("TO DATE:2026-08-03", "T/O", AUGUST_3),
        ("T.O. 8/3/26", "T/O", AUGUST_3),
        ("t / o 2026-08-03", "T/O", AUGUST_3),
        ("DATE:2026-08-03 T/O", "T/O", AUGUST_3),
        ("2026-06-08 T/I 2026-08-03 T/O", "T/O", AUGUST_3),
        ("T/ODATE:2026-08-03", "T/O", AUGUST_3),
        ("CCT/T/O DATE:2026-08-03", "T/O", AUGUST_3),
        ("LWD<br>T/O DATE:2026/08/03", "T/O", AUGUST_3),
        ("CCT<br/>T/O DATE:2026/08/03", "T/O", AUGUST_3),
        ("Dropped out: illness, 2026-08-03", "DRP", AUGUST_3),
        ("NLPA DATE:2026-08-03", "NLS", AUGUST_3),
        ("No longer in school 8/3/2026", "NLS", AUGUST_3),
        ("Late enrollee 08/03/2026", "LE", AUGUST_3),
        ("T/O 25/08/2026", "T/O", date(2026, 8, 25)),
        ("T/O", "T/O", None),
        ("T/O Laoag NHS", "T/O", None),
        ("T/O DATE:2026-02-30", "T/O", None),
        ("T/O DATE:", "T/O", None),
        ("T/O last August", "T/O", None),
        ("DRP", "DRP", None),
        ("NLPA", "NLS", None),
        ("T/O T/I DATE:2026-09-09", "T/O", None),
        ("Pending TI ", "PENDING", None),
        ("B/A", "B/A", None),
        ("CCT", None, None),
        ("SNED", None, None),
        ("PT/OT sessions", None, None),
        ("LA TO Elementary School", None, None),
        ("", None, None),
    ],
)
def test_the_code_and_its_day(cell, code, day):
    remark = parse_remark(cell)
    assert (remark.code, remark.day) == (code, day)


@pytest.mark.parametrize("parted_by", ["", " ", "\n", "\r\n", "<br>", "<BR />", "; ", ", ", " / "])
def test_the_last_code_by_date_decides_and_the_entry_keeps_its_day(parted_by):
    first, second = "T/I DATE:2026-06-08", "T/O DATE:2026/08/03"
    for cell in (f"{first}{parted_by}{second}", f"{second}{parted_by}{first}"):
        remark = parse_remark(cell)
        assert (remark.code, remark.day, remark.entry_code, remark.entry_day) == ("T/O", AUGUST_3, "T/I", JUNE_8)


def test_who_came_back_is_there():
    remark = parse_remark("T/I DATE:2026-06-08;T/O DATE:2026-08-03;T/I DATE:2026-10-01")
    assert (remark.code, remark.day) == ("T/I", date(2026, 10, 1))


@pytest.mark.parametrize("cell", ["Moved to Manila", "Transferee?", "withdrawn", "Left for Laoag", "deceased"])
def test_words_of_leaving_without_a_code_are_said(cell):
    remark = parse_remark(cell)
    assert remark.may_leave or remark.code


def test_where_the_file_writes_the_day_first_a_date_of_two_meanings_is_not_guessed():
    assert shows_day_first(["T/I 15/06/2026", "T/O 03/08/2026"])
    assert not shows_day_first(["T/I 06/15/2026", "T/O 03/08/2026"])
    assert parse_remark("T/O 03/08/2026", day_first_seen=True).day is None
    assert parse_remark("T/O 08/08/2026", day_first_seen=True).day == date(2026, 8, 8)
    assert parse_remark("T/O 25/08/2026", day_first_seen=True).day == date(2026, 8, 25)
