"""The view model of a meeting's page, without a browser and without a database."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from portal.accounts.models import User
from portal.meetings.codes import MeetingError
from portal.meetings.models import MeetingOccurrence, ZoomMeeting
from portal.meetings.queries import MeetingHistoryEntry
from portal.pages.meeting_page import MeetingData, MeetingPage, MeetingViewer, build_meeting_page, meeting_phase
from portal.registration.codes import RegistrantState, RegistrationError
from portal.registration.queries import RegistrantView, RegistrationProgress

NOW = datetime(2026, 11, 3, 0, 0, tzinfo=UTC)
CREATOR = UUID(int=1)


def meeting(**changes: object) -> ZoomMeeting:
    values: dict[str, object] = {
        "id": uuid4(),
        "title": "Staff meeting",
        "class_id": None,
        "audience": "teachers",
        "created_by": CREATOR,
        "host_email": "ada@r1.deped.gov.ph",
        "kind": "scheduled",
        "starts_at": NOW + timedelta(hours=1),
        "minutes": 60,
        "approval_type": 1,
        "state": "scheduled",
        "zoom_id": "861",
        **changes,
    }
    made = ZoomMeeting(**values)
    made.creator = User(id=CREATOR, full_name="Ada Lovelace")
    return made


def page(one: ZoomMeeting, *, can_manage: bool = True, **more: object) -> MeetingPage:
    values: dict[str, object] = {
        "meeting": one,
        "occurrence": None,
        "progress": RegistrationProgress(),
        "people": (),
        "history": (),
        "summaries": {},
        "own_link": None,
        "has_class_links": False,
        "class_address": None,
        "quota": (0, 80, 100),
        "domains": ("r1.deped.gov.ph",),
        **more,
    }
    return build_meeting_page(MeetingData(**values), MeetingViewer(CREATOR, can_manage), NOW)  # type: ignore[arg-type]


def registrant(state: RegistrantState, reason: str | None = None, **changes: object) -> RegistrantView:
    values: dict[str, object] = {
        "id": uuid4(),
        "learner_id": uuid4(),
        "user_id": None,
        "last_name": "Cruz",
        "first_name": "Ana",
        "middle_name": "",
        "extension": "",
        "sex": "F",
        "email": "ana@gmail.com",
        "state": state,
        "reason": reason,
        "resumes_at": None,
        "join_url": None,
        "has_lrn": True,
        **changes,
    }
    return RegistrantView(**values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "phase", "actions"),
    [
        ({"state": "pending_zoom", "next_attempt_at": NOW + timedelta(days=9)}, "planned", ["retry"]),
        ({"state": "pending_zoom"}, "waiting", ["page"]),
        ({"state": "pending_zoom", "error_code": "unavailable"}, "waiting", ["retry", "page"]),
        ({"state": "failed"}, "failed", ["retry", "edit"]),
        ({"state": "cancelled"}, "cancelled", ["again"]),
        ({"state": "deleted"}, "deleted", ["again"]),
        ({"error_code": "unavailable"}, "trouble", ["retry"]),
        ({"pending_action": "update"}, "updating", []),
        ({}, "settled", None),
    ],
)
def test_each_phase_has_its_notice_and_only_managers_its_actions(
    changes: dict[str, object], phase: str, actions: list[str] | None
) -> None:
    one = meeting(**changes)
    assert meeting_phase(one, NOW) == phase
    shown = [[action.target for action in notice.actions] for notice in page(one).notices]
    assert shown == ([] if actions is None else [actions])
    for_readers = [action.target for notice in page(one, can_manage=False).notices for action in notice.actions]
    assert for_readers == [target for target in actions or [] if target == "page"]


def test_a_deleted_meeting_with_dates_left_can_be_made_again() -> None:
    one = meeting(state="deleted")
    one.occurrences = [
        MeetingOccurrence(starts_at=NOW + timedelta(days=1), minutes=60, is_scheduled=True, state="scheduled")
    ]
    [notice] = page(one).notices
    assert [action.target for action in notice.actions] == ["recreate"]
    assert notice.hint.startswith("The room is made anew at Zoom")


def test_the_page_is_loaded_anew_while_zoom_has_not_answered() -> None:
    assert page(meeting(state="pending_zoom")).refresh_seconds == 3
    assert page(meeting(state="pending_zoom", error_code="unavailable")).refresh_seconds == 30
    later = {"state": "pending_zoom", "next_attempt_at": NOW + timedelta(days=9)}
    assert page(meeting(**later)).refresh_seconds is None
    assert page(meeting()).refresh_seconds is None


def test_missing_scopes_and_the_next_try_are_told() -> None:
    one = meeting(
        error_code=MeetingError.NOT_AUTHORISED, error_detail="meeting:write", next_attempt_at=NOW + timedelta(hours=1)
    )
    [notice] = page(one).notices
    assert notice.details == ("Missing at the Zoom app: meeting:write", "Next try Tue 3 Nov, 9:00 AM.")


def test_the_large_button_starts_for_managers_and_joins_for_others() -> None:
    button = page(meeting()).primary
    assert button and (button.target, button.label) == ("start", "Start meeting")
    button = page(meeting(), can_manage=False, own_link="https://zoom.us/j/1").primary
    assert button and button.target == "join"
    assert page(meeting(), can_manage=False).primary is None


def test_people_who_need_help_are_grouped_by_common_reasons_and_have_remedies() -> None:
    failed = RegistrantState.FAILED
    people = [
        registrant(failed, RegistrationError.HOST_UNLICENSED),
        registrant(failed, RegistrationError.HOST_UNLICENSED),
        registrant(failed, RegistrationError.OUTSIDE_DOMAIN),
        registrant(RegistrantState.DENIED),
    ]
    shown = page(meeting(), people=people)
    assert shown.help and shown.help.heading == "4 need your help"
    assert [(count, len(some)) for count, _why, some in shown.help.groups] == [("2 people", 2)]
    outside, denied = shown.help.people
    assert (outside.address, outside.after_address, outside.remedy) == (
        "ana@gmail.com",
        " is outside the school.",
        "lrn_address",
    )
    assert (denied.text, denied.remedy) == ("Zoom took this registration away.", "")
    assert [notice.actions[0].target for notice in shown.notices] == ["open_mode"]
    assert {one.remedy for one in page(meeting(), can_manage=False, people=people).help.people} == {""}  # type: ignore[union-attr]
    assert shown.people_text == "Nobody is registered yet."


def test_links_are_shown_to_managers_only() -> None:
    people = [registrant(RegistrantState.REGISTERED, join_url="https://zoom.us/w/1")]
    [group] = page(meeting(), people=people).people_folds
    assert (group.title, group.lines[0].link) == ("1 registered", "https://zoom.us/w/1")
    [group] = page(meeting(), people=people, can_manage=False).people_folds
    assert (group.has_links, group.lines[0].link) == (False, "")


def test_the_history_tells_one_detail_of_each_event() -> None:
    def entry(**changes: object) -> MeetingHistoryEntry:
        nothing = dict.fromkeys(
            ("occurrence_date", "moved_to", "reason", "error_code", "host_email", "number", "who"), None
        )
        return MeetingHistoryEntry(**{"occurred_at": NOW, "event": "changed", **nothing, **changes})  # type: ignore[arg-type]

    entries = [
        entry(event="registration_started", number=2),
        entry(occurrence_date=NOW.date(), moved_to=NOW, reason="Typhoon"),
        entry(occurrence_date=NOW.date(), reason="Typhoon"),
        entry(reason="Ill", who="Ada"),
        entry(),
    ]
    assert [line[3:] for line in page(meeting(), history=entries).history] == [
        ("", "2 people"),
        ("", "from Tue 3 Nov to Tue 3 Nov, 8:00 AM"),
        ("", "Tue 3 Nov: Typhoon"),
        ("Ada", "Ill"),
        ("", ""),
    ]
