"""What the pages of a class and of a section decide, without a portal."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from portal.attendance.sheet.queries import SheetSummary
from portal.classes.section_page import SectionPage, build_section_page
from portal.core import clock
from portal.meetings.queries import OccurrenceRow
from portal.pages.class_page import ClassDescription, ClassPage, build_class_page

NINE = datetime(2026, 11, 24, 9, tzinfo=clock.MANILA)
OPEN = ClassDescription("Ada Lovelace", ["Bob", "Cora"], is_closed=False, is_open=True)
SHEET = SheetSummary("reconciled", False, present=2, partial=1, absent=0, needs_review=0, pending=0)


def a_date(hours: float, **changes: Any) -> OccurrenceRow:
    row = OccurrenceRow(
        uuid4(), uuid4(), uuid4(), "Cells", "Biology", "Grade 8", "Jadeite", "Ada Lovelace",
        NINE + timedelta(hours=hours), 60, "scheduled", "scheduled", None, "1", managed=True,
    )  # fmt: skip
    return replace(row, **changes)


def page_of(
    *begun: OccurrenceRow, described: ClassDescription = OPEN, coming: int = 0, sheets: Any = None, **changes: Any
) -> ClassPage:
    rights = {"can_manage": True, "can_view_learners": True} | changes
    return build_class_page(
        described, [a_date(24 + day) for day in range(coming)], begun, sheets or {}, now=NINE, **rights
    )


def test_a_class_that_runs_is_neither_coming_nor_past() -> None:
    running, could_begin, cut_short = a_date(-0.5, state="started"), a_date(-0.2), a_date(-0.5, state="ended")
    page = page_of(running, could_begin, cut_short, a_date(-24, state="ended"))
    assert page.current == (running, could_begin)
    assert len(page.past) == 2


def test_six_dates_are_shown_and_the_others_folded() -> None:
    page = page_of(*(a_date(-24 * day, state="ended") for day in range(1, 9)), coming=7)
    assert (len(page.coming), len(page.coming_later)) == (6, 1)
    assert (len(page.past), len(page.past_earlier)) == (6, 2)


def test_a_past_date_leads_to_its_sheet_unless_there_was_no_class() -> None:
    held, cancelled = a_date(-24, state="ended"), a_date(-24, meeting_state="cancelled")
    [line] = page_of(held, sheets={held.occurrence_id: SHEET}).past
    assert (line.text, line.counted, line.told, line.stamp) == ("Sheet of Mon 23 Nov", SHEET, "", "reconciled")
    [line] = page_of(cancelled).past
    assert (line.text, line.link, line.told, line.stamp) == ("Cells", None, "", "cancelled")


def test_a_date_without_marks_says_so() -> None:
    row = a_date(-24, state="ended")
    [line] = page_of(row).past
    assert (line.told, line.stamp, line.stamp_words) == (
        "Zoom has not told us of this class", "not_started", "No class seen yet",
    )  # fmt: skip
    [line] = page_of(
        row, sheets={row.occurrence_id: replace(SHEET, state="live", pending=9, present=0, partial=0)}
    ).past
    assert (line.counted, line.stamp, line.stamp_words) == (None, "not_started", "")


def test_what_can_be_done_follows_from_rights_and_state() -> None:
    page = page_of()
    assert (page.can_schedule, page.can_hand_out_links, page.has_dates) == (True, True, False)
    assert not page_of(described=replace(OPEN, is_open=False)).can_schedule
    assert not page_of(can_manage=False).can_schedule
    assert not page_of(can_view_learners=False).can_hand_out_links, "division and region have no slips"


def test_co_teachers_are_named() -> None:
    assert page_of().teachers == "Ada Lovelace, with Bob, Cora"
    assert page_of(described=replace(OPEN, co_teachers=[])).teachers == "Ada Lovelace"


@dataclass
class Line:
    sex: str
    lrn: str | None = "123456789012"


def section(*roster: Line, **changes: bool) -> SectionPage:
    facts = {
        "is_past": False, "is_deleted": False, "has_classes": False,
        "can_manage": True, "is_admin": False, "can_view_learners": True,
    }  # fmt: skip
    return build_section_page(roster, **(facts | changes))


def test_a_roster_is_listed_by_sex_and_an_empty_group_is_left_out() -> None:
    page = section(Line("F"), Line("F", None))
    assert [(group.title, len(group.lines)) for group in page.groups] == [("Female", 2)]
    assert (page.learners, page.without_lrn) == (2, 1)


@pytest.mark.parametrize(
    ("changes", "rights"),
    [
        ({}, (True, True, True)),
        ({"is_past": True}, (False, False, True)),
        ({"is_admin": True}, (True, False, True)),
        ({"can_manage": False}, (False, False, False)),
        ({"can_manage": False, "is_admin": True, "can_view_learners": False}, (False, False, True)),
    ],
)
def test_who_can_do_what_with_a_section(changes: dict[str, bool], rights: tuple[bool, ...]) -> None:
    page = section(Line("M"), **changes)
    assert (page.can_change, page.can_open_class, page.can_see_forms) == rights


def test_a_section_is_renamed_until_its_attendance_is_deleted() -> None:
    assert section(is_past=True).can_rename
    assert not section(is_deleted=True).can_rename
    assert not section(can_manage=False).can_rename


def test_an_empty_roster_says_what_to_do() -> None:
    assert not section().can_see_forms
    assert section().without_learners[1].startswith("Bring in the School Form 1")
    assert section(can_manage=False).without_learners[1] == "The adviser of this section brings in the roster."
    assert section(is_past=True).without_learners == ("No learners", "Nobody was on this roster.")
