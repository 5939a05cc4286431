"""The sheet's view model, without a browser and without a database."""

from dataclasses import replace
from datetime import date, datetime
from uuid import UUID

import pytest

from portal.attendance.calculation.marks import LearnerResult, SheetResult, StaffPresence, UnmatchedParticipant
from portal.attendance.calculation.suggestions import MatchSuggestion
from portal.attendance.codes import Mark, RecordFlag, ReportError, SheetEvent, SuggestionReason
from portal.attendance.models import AttendanceSheet
from portal.attendance.sheet.live_page import build_live_page
from portal.attendance.sheet.messages import history_message, suggestion_message
from portal.attendance.sheet.page import SheetPage, SheetQuery, Viewer, build_sheet_page
from portal.attendance.sheet.queries import SheetData, SheetHistoryEntry, SheetRow
from portal.classes.queries import RosterEntry
from portal.meetings.models import MeetingOccurrence, ZoomMeeting
from tests.attendance.lesson import at

TEACHER = Viewer(can_edit=True, can_set_grace=True)
READER = Viewer(can_edit=False, can_set_grace=False)


def row(number: int, mark: Mark = Mark.PRESENT, *, sex: str = "M", **computed: object) -> SheetRow:
    learner_id = UUID(int=number)
    entry = RosterEntry(
        learner_id, learner_id, None, "", f"SURNAME{number}", "ANA", "", "", sex, None, number, date(2026, 6, 8), None
    )
    seconds = 3000 if mark == Mark.PRESENT else 0
    result = LearnerResult(str(learner_id), seconds, mark, None, None, int(seconds > 0), (), ())
    return SheetRow(
        learner=entry,
        computed=replace(result, **computed),  # type: ignore[arg-type]  # by name
        mark=mark,
        by_hand=False,
        reason="",
        override=None,
        final_mark=None,
    )


def data(
    *rows: SheetRow, state: str = "provisional", sheet: AttendanceSheet | None = None, **more: object
) -> SheetData:
    occurrence = MeetingOccurrence(
        starts_at=at("8:00"), minutes=60, threshold_seconds=900, is_scheduled=True, state="ended"
    )
    occurrence.meeting = ZoomMeeting(state="ended")
    flags = more.pop("flags", ())
    unmatched = more.pop("unmatched", ())
    result = SheetResult((), (), (), {}, flags, None)  # type: ignore[arg-type]
    found = SheetData(
        lines=rows,
        unmatched=unmatched,  # type: ignore[arg-type]
        result=result,
        state=state,
        row=sheet,
        matched_by_hand=(),
        ended_at=at("9:00"),
        uploaded=False,
        has_no_instances=False,
        grace_minutes=None,
        version="",
        signer=None,
        occurrence=occurrence,
    )
    return replace(found, **more)  # type: ignore[arg-type]


def page(found: SheetData, viewer: Viewer = TEACHER, now: datetime | None = None, **query: object) -> SheetPage:
    asked = SheetQuery(address="/attendance/1", **query)  # type: ignore[arg-type]
    return build_sheet_page(found, viewer, asked, now or at("9:05"))


@pytest.mark.parametrize(
    ("state", "time", "phase", "allowed"),
    [
        ("not_started", "7:00", "upcoming", set()),
        ("live", "8:30", "live", {"start"}),
        ("not_started", "8:30", "unheard", {"edit", "set_grace"}),
        ("provisional", "9:05", "provisional", {"edit", "finalise", "set_grace"}),
        ("unreported", "9:05", "unreported", {"edit", "finalise", "set_grace"}),
        ("reconciled", "9:05", "reconciled", {"edit", "finalise", "set_grace"}),
        ("finalised", "9:05", "finalised", {"reopen"}),
    ],
)
def test_what_the_teacher_may_do_follows_from_the_phase_and_a_reader_may_nothing(
    state: str, time: str, phase: str, allowed: set[str]
) -> None:
    found = data(row(1), state=state)
    assert (page(found, now=at(time)).phase, page(found, now=at(time)).can) == (phase, allowed)
    assert page(found, READER, at(time)).can == set()


def test_grace_is_for_those_who_govern_the_section_and_for_scheduled_dates() -> None:
    found = data(row(1))
    assert "set_grace" not in page(found, Viewer(can_edit=True, can_set_grace=False)).can
    found.occurrence.is_scheduled = False
    assert "set_grace" not in page(found).can


def test_who_signed_stands_in_the_timeline() -> None:
    sheet = AttendanceSheet(finalised_at=at("10:00"), reconciled_at=at("9:30"))
    signed = data(row(1), state="finalised", sheet=sheet, signer="Ada Lovelace")
    assert page(signed).timeline == (
        ("Ended 9:00 AM", "done"),
        ("Reconciled with Zoom 9:30 AM", "done"),
        ("Finalised by Ada Lovelace, Tue 3 Nov, 10:00 AM", "done", "lock"),
    )
    assert page(replace(signed, signer=None)).timeline[-1][0] == "Finalised Tue 3 Nov, 10:00 AM"


def test_a_missing_report_is_explained_unless_it_is_only_late() -> None:
    sheet = AttendanceSheet(report_error=ReportError.HOST_UNLICENSED)
    [notice] = page(data(row(1), state="unreported", sheet=sheet)).notices
    assert notice.title == "Zoom's report did not come."
    assert notice.text.startswith("Zoom gives no report to an account without a paid plan. The marks come from")
    assert notice.leads_to_upload
    sheet.report_error = ReportError.NOT_READY
    [notice] = page(data(row(1), state="unreported", sheet=sheet), READER).notices
    assert notice.text.startswith("The marks come from")
    assert not notice.leads_to_upload


def test_evidence_after_the_signature_opens_the_form_that_reopens() -> None:
    sheet = AttendanceSheet(finalised_at=at("10:00"), evidence_changed=True)
    shown = page(data(row(1), state="finalised", sheet=sheet))
    assert [notice.title for notice in shown.notices] == ["Evidence changed since: reopen?", "This sheet is locked."]
    assert shown.reopen and shown.reopen.is_open
    assert page(data(row(1), state="finalised", sheet=sheet), READER).reopen is None


def test_a_short_class_offers_one_click_for_those_who_were_in() -> None:
    found = data(row(1, Mark.PARTIAL), row(2, Mark.ABSENT), flags=(RecordFlag.SHORT_MEETING,))
    assert [notice.form for notice in page(found).notices] == ["", "short"]
    short = page(found).short
    assert short and short.learner_ids == (str(UUID(int=1)),)
    assert [notice.form for notice in page(found, READER).notices] == ["", ""]


def test_a_filter_keeps_the_numbers_of_the_list_and_the_open_row() -> None:
    rows = [row(1), row(2, Mark.ABSENT), row(3), row(4, Mark.ABSENT), row(5, sex="F")]
    shown = page(data(*rows), show="absent", open_row=str(UUID(int=3)))
    [group] = shown.groups
    assert [(line.number, line.css) for line in group.lines] == [(2, ""), (3, "is-open"), (4, "")]
    assert (group.caption, group.summary, shown.filter_text) == ("Male", "4 learners", "Only those absent.")
    assert group.lines[0].change_url == f"/attendance/1?show=absent&change={UUID(int=2)}#l-{UUID(int=2)}"
    assert shown.change and shown.change.learner_id == str(UUID(int=3))
    assert page(data(*rows), READER, open_row=str(UUID(int=3))).change is None


def test_totals_are_counted_and_said_in_words() -> None:
    totals = page(data(row(1), row(2), row(3, Mark.ABSENT), row(4, Mark.NEEDS_REVIEW))).totals
    assert totals and totals.label == "2 present, 1 absent, 1 needs review"
    assert [count for _css, count in totals.segments] == [2, 0, 1, 1, 0]


@pytest.mark.parametrize(
    ("flags", "remark"),
    [
        ((RecordFlag.WAITING_ROOM_ONLY,), "Seen in the waiting room only"),
        ((RecordFlag.TIMES_REVERSED,), "Zoom's times contradict each other"),
        ((RecordFlag.NO_LEAVE_SEEN,), "When this learner left is not known"),
        ((RecordFlag.NO_JOIN_SEEN,), "When this learner came is not known"),
        ((), "Zoom's data is incomplete"),
    ],
)
def test_a_row_to_review_says_why(flags: tuple[str, ...], remark: str) -> None:
    [group] = page(data(row(1, Mark.NEEDS_REVIEW, flags=flags, stay_count=1))).groups
    assert (group.lines[0].remark, group.lines[0].css) == (remark, "is-review")


def test_people_to_match_come_with_their_suggestions_as_sentences() -> None:
    suggestions = (
        MatchSuggestion(str(UUID(int=1)), (SuggestionReason.SAME_NAME,), "strong", True),
        MatchSuggestion("gone from the roster", (), "weak", False),
    )
    person = UnmatchedParticipant(
        "key", ("Ana", "Ana 2"), None, ("s1",), 600, at("8:00"), at("8:10"), 1, False, (), True, suggestions, ()
    )
    people = page(data(row(1, sex="F"), row(2, Mark.ABSENT), unmatched=(person,))).people
    [card] = people.cards
    assert (card.names, card.times) == ("“Ana”, “Ana 2”", "10 min, 8:00 to 8:10 AM")
    [one] = card.suggestions
    assert (one.why, one.button) == ("the same name, seen already today", "Yes, it is her")
    assert [(label, len(learners)) for label, learners in people.choices] == [
        ("Not seen today", 1),
        ("Seen already", 1),
    ]
    assert people.heading == "1 person to match"
    assert page(data(row(1), unmatched=(person,)), READER).people.heading == "Not matched"


def test_staff_are_listed_with_their_time() -> None:
    found = data(row(1))
    staff = StaffPresence(None, (), 60, at("8:00"), None, 1, False, ())
    people = page(replace(found, result=replace(found.result, staff=(staff,)))).people
    assert people.staff == (("No name", "1 min, since 8:00 AM"),)


@pytest.mark.parametrize("event", [*SheetEvent, "an event of later versions"])
def test_every_event_of_the_history_is_a_sentence(event: str) -> None:
    entry = SheetHistoryEntry(at("9:00"), event, "Ada", "Cruz", "Ana", "absent", "present", "Brownout")
    sentence = history_message(entry)
    assert sentence.endswith(": Brownout")
    assert "%(" not in sentence
    assert "Ada" in sentence or "became" in sentence


@pytest.mark.parametrize("reason", SuggestionReason)
def test_every_reason_of_a_suggestion_is_a_sentence(reason: SuggestionReason) -> None:
    assert suggestion_message(MatchSuggestion("1", (reason,), "weak", False)).endswith(", not seen today")


def test_the_live_page_puts_those_who_dropped_last_first() -> None:
    def dropped(number: int, left: datetime | None) -> SheetRow:
        return row(number, Mark.PENDING, last_leave=left, stay_count=1, seconds=120)

    rows = [dropped(1, None), dropped(2, at("8:10")), dropped(3, at("8:20")), row(4, Mark.PENDING)]
    live = build_live_page(data(*rows, state="live"), at("8:30"))
    assert [line.id[-1] for line in live.dropped] == ["3", "2", "1"]
    assert [line.away for line in live.dropped] == ["10 min", "20 min", ""]
    assert live.missing_names == "SURNAME4, ANA"
    assert live.label == "0 in, 3 dropped, 1 not yet"
    assert live.is_everybody_in is False
