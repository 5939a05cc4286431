"""What home decides, without a portal: which class is next, what needs the teacher, and how it is said."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from portal.attendance.sheet.queries import SheetSummary
from portal.core import clock
from portal.meetings.queries import OccurrenceRow
from portal.pages.home_page import HomeData, HomePage, HomeViewer, build_home_page, sort_todays_dates
from portal.registration.queries import RegistrationProgress

NINE = datetime(2026, 11, 24, 9, tzinfo=clock.MANILA)
ADA = HomeViewer("Ada Lovelace", is_admin=False, has_school=True)
HEAD = HomeViewer("Grace Hopper", is_admin=True, has_school=True)
SHEET = SheetSummary("reconciled", False, present=2, partial=1, absent=0, needs_review=0, pending=0)


def a_date(hours: float = 0, **changes: Any) -> OccurrenceRow:
    """An hour of Ada's Biology, so many hours after nine."""
    row = OccurrenceRow(
        occurrence_id=uuid4(),
        meeting_id=uuid4(),
        class_id=uuid4(),
        title="Biology",
        subject="Biology",
        grade_level="Grade 8",
        section_name="Jadeite",
        teacher="Ada Lovelace",
        starts_at=NINE + timedelta(hours=hours),
        minutes=60,
        state="scheduled",
        meeting_state="scheduled",
        error_code=None,
        zoom_id="1",
        managed=True,
    )
    return replace(row, **changes)


def home(*dates: OccurrenceRow, viewer: HomeViewer = ADA, now: datetime = NINE, **loaded: Any) -> HomePage:
    values: dict[str, Any] = {
        "dates": dates, "recent": (), "sheets": {}, "registrations": {}, "next_one": None, "day_off": None,
        "blocked": "", "has_classes": True,
    }  # fmt: skip
    return build_home_page(HomeData(**(values | loaded)), viewer, now)


def a_meeting(**changes: Any) -> OccurrenceRow:
    return a_date(class_id=None, subject=None, title="Staff meeting", **changes)


def test_ones_own_class_comes_before_an_earlier_one_of_others() -> None:
    others, own = a_date(1, managed=False), a_date(2)
    assert sort_todays_dates([others, own], NINE).upcoming is own
    assert sort_todays_dates([others], NINE).upcoming is others
    assert sort_todays_dates([a_date(-2)], NINE).upcoming is None, "it is over"


def test_a_day_is_manilas() -> None:
    early = NINE.replace(hour=7)  # yesterday in UTC
    sorted_dates = sort_todays_dates([a_date(1), a_date(24)], early)
    assert sorted_dates.upcoming and [row.starts_at.day for row in sorted_dates.tomorrow] == [25]


@pytest.mark.parametrize(
    ("hour", "greeting"), [(0, "Good morning"), (11, "Good morning"), (12, "Good afternoon"), (18, "Good evening")]
)
def test_the_greeting_follows_the_time_in_manila(hour: int, greeting: str) -> None:
    assert home(now=NINE.replace(hour=hour)).greeting == f"{greeting}, Ada Lovelace"


@pytest.mark.parametrize(
    ("hours", "said"),
    [(0, "It is time"), (1 / 60, "Next, in 1 minute"), (1.5, "Next, in 90 minutes"), (2, "Next"), (-0.5, "It is time")],
)
def test_the_board_counts_down_from_ninety_minutes(hours: float, said: str) -> None:
    upcoming = home(a_date(hours)).upcoming
    assert upcoming and upcoming.when == said


def test_the_board_starts_what_is_ones_own() -> None:
    def button(row: OccurrenceRow, viewer: HomeViewer) -> str:
        upcoming = home(row, viewer=viewer).upcoming
        assert upcoming
        return upcoming.button.text if upcoming.button else ""

    assert button(a_date(1), ADA) == "Start class"
    assert button(a_date(1), HEAD) == "", "an admin starts others' classes on their page alone"
    assert button(a_date(1, zoom_id=None), ADA) == ""
    assert button(a_meeting(), ADA) == "Start meeting"
    assert button(a_meeting(managed=False), ADA) == "Open the meeting"


def test_the_board_says_how_far_the_registration_is() -> None:
    row = a_date(1)

    def details(progress: RegistrationProgress | None, **changes: Any) -> str:
        changed = replace(row, **changes)
        upcoming = home(changed, registrations={row.meeting_id: progress} if progress else {}).upcoming
        return upcoming.details if upcoming else ""

    assert details(None) == "60 min"
    assert details(RegistrationProgress(3, 3)) == "60 min, all 3 learners registered"
    assert details(RegistrationProgress(3, 1, failed=2)) == "60 min, 1 of 3 registered, 2 failed"
    assert details(RegistrationProgress(2, 2), class_id=None) == "60 min, all 2 people registered"
    assert details(RegistrationProgress(3, 3), meeting_state="pending_zoom") == "60 min, waiting for Zoom"


def test_who_is_in_is_counted_and_nobody_is_said() -> None:
    row = a_date(state="started")
    [live] = home(row, sheets={row.occurrence_id: replace(SHEET, in_meeting_count=2, unmatched_count=1)}).live
    assert (live.count, live.unmatched, live.nobody) == ("2 of 3 in", ", 1 person to match", "")
    [live] = home(row).live
    assert (live.count, live.nobody, live.total) == ("", "Nobody has come in yet.", 0)


def test_three_live_classes_are_large_and_the_others_are_listed() -> None:
    page = home(*(a_date(state="started") for _ in range(5)))
    assert (len(page.live), len(page.also_live), page.idle) == (3, 2, None)


def test_an_idle_day_says_why() -> None:
    def title(*dates: OccurrenceRow, **loaded: Any) -> str:
        idle = home(*dates, **loaded).idle
        return idle.title if idle else ""

    assert title() == "No class today"
    assert title(day_off="Bonifacio Day") == "No class today: Bonifacio Day"
    assert title(a_date(-2)) == "No more classes today"
    idle = home(next_one=a_date(48, teacher="Bob")).idle
    assert idle and idle.next_when == "Thu 26 Nov, 9:00 AM, Bob"


def test_what_ended_early_is_over_and_leads_to_its_sheet() -> None:
    row = a_date(-0.5, state="ended")
    page = home(row, sheets={row.occurrence_id: SHEET})
    [line] = page.earlier
    assert (page.ahead, line.name.link.endpoint, line.stamp) == ((), "attendance.show_sheet", "reconciled")
    assert line.remarks == ("2 present, 1 partial, 0 absent",)
    [line] = home(a_meeting(hours=-0.5, state="ended")).earlier
    assert (line.name.link.endpoint, line.stamp) == ("meeting_page.show_meeting_page", "ended")


def test_a_line_names_its_title_and_another_teacher() -> None:
    [line] = home(a_date(24, title="Cells", teacher="Bob", meeting_state="cancelled")).tomorrow
    assert (line.remarks, line.is_off, line.stamp) == (("Cells", "Bob"), True, "cancelled")


def tasks(page: HomePage) -> list[tuple[int, str]]:
    return [(task.count, task.what) for task in page.tasks]


def test_a_sheet_is_asked_for_once() -> None:
    rows = [a_date(-hours, state="ended") for hours in (25, 26, 27, 28)]
    sheets: dict[UUID, SheetSummary] = {
        rows[0].occurrence_id: replace(SHEET, unmatched_count=2, needs_review=1),
        rows[1].occurrence_id: replace(SHEET, needs_review=1),
        rows[2].occurrence_id: SHEET,
        rows[3].occurrence_id: replace(SHEET, state="finalised", finalised=True),
    }
    assert tasks(home(recent=rows, sheets=sheets)) == [
        (2, "people to match"),
        (1, "learner to review"),
        (1, "sheet to finalise"),
    ]
    assert tasks(home(recent=[replace(row, managed=False) for row in rows], sheets=sheets)) == []


def test_a_running_class_is_not_to_be_reviewed_yet() -> None:
    row = a_date(state="started")
    assert tasks(home(recent=[row], sheets={row.occurrence_id: replace(SHEET, needs_review=1)})) == []


def test_trouble_at_zoom_comes_first_and_once_a_meeting() -> None:
    trouble = a_date(1, error_code="host_limit", meeting_state="pending_zoom")
    again = replace(trouble, occurrence_id=uuid4(), starts_at=trouble.starts_at + timedelta(days=1))
    refused, broken = a_date(2, meeting_state="failed"), a_date(3)
    progress = {row.meeting_id: RegistrationProgress(3, 2, failed=1) for row in (trouble, broken)}
    assert tasks(home(trouble, again, refused, broken, registrations=progress)) == [
        (1, "class waiting for Zoom"),
        (1, "class that Zoom refused"),
        (1, "registration failed"),
    ]


def test_more_than_five_tasks_are_summed_up() -> None:
    rows = [a_date(-24 - hours, state="ended") for hours in range(7)]
    page = home(recent=rows, sheets={row.occurrence_id: SHEET for row in rows})
    assert len(page.tasks) == 6
    assert (page.tasks[-1].count, page.tasks[-1].what) == (2, "more things")
    assert len(home(recent=rows[:6], sheets={row.occurrence_id: SHEET for row in rows}).tasks) == 6, "one more is named"


def test_a_task_says_the_time_today_and_else_the_day() -> None:
    def where(row: OccurrenceRow) -> str:
        return home(recent=[row], sheets={row.occurrence_id: SHEET}).tasks[0].where

    assert where(a_date(-1, state="ended")) == "Biology, Jadeite, today 8:00 AM"
    assert where(a_date(-24, state="ended")) == "Biology, Jadeite, Mon 23 Nov"
