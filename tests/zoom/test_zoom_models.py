"""What is sent to Zoom and what is read from it."""

import json
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.zoom.agenda_marker import add_agenda_marker, find_agenda_marker, strip_agenda_marker
from portal.zoom.api.paths import (
    api_base_url,
    encode_path_meeting,
    encode_path_name,
    encode_path_uuid,
    oauth_token_url,
    regional_base_url,
)
from portal.zoom.json_values import as_datetime, as_int
from portal.zoom.models import (
    MANUAL,
    NO_REGISTRATION,
    RECURRING,
    Meeting,
    MeetingDraft,
    MeetingSettings,
    Recurrence,
    RegistrantInput,
    ReportRow,
    diff_meeting_drafts,
)

MANILA = ZoneInfo("Asia/Manila")
EIGHT = datetime(2026, 11, 3, 8, 0, tzinfo=MANILA)


def test_eight_in_manila_is_sent_as_eight_in_manila():
    sent = MeetingDraft("Biology", starts_at=EIGHT.astimezone(UTC)).payload()
    assert (sent["start_time"], sent["timezone"]) == ("2026-11-03T08:00:00", "Asia/Manila")


@given(st.datetimes(datetime(2024, 1, 1), datetime(2040, 1, 1)), st.sampled_from(["Asia/Manila", "UTC"]))
def test_a_start_comes_back_as_it_was_sent(naive, zone):
    starts_at = naive.replace(microsecond=0, tzinfo=UTC)
    sent = MeetingDraft("Biology", starts_at=starts_at, timezone=zone).payload()
    at_zoom = datetime.fromisoformat(sent["start_time"]).replace(tzinfo=ZoneInfo(sent["timezone"]))
    assert as_datetime(at_zoom.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")) == starts_at


def test_a_naive_start_is_refused():
    with pytest.raises(ValueError):
        MeetingDraft("Biology", starts_at=datetime(2026, 11, 3, 8, 0))


def test_a_draft_is_sent_with_everything_the_portal_decides():
    draft = MeetingDraft("B" * 300, starts_at=EIGHT, minutes=45, agenda="A" * 3000, password="pass1", marker="m-1")
    sent = draft.payload()
    assert (sent["type"], sent["duration"], sent["password"]) == (2, 45, "pass1")
    assert (len(sent["topic"]), len(sent["agenda"])) == (200, 2000)
    assert sent["agenda"].startswith("[silid:m-1] AAA")
    assert sent["settings"] == {
        "host_video": True,
        "participant_video": False,
        "join_before_host": False,
        "mute_upon_entry": True,
        "waiting_room": False,
        "auto_recording": "none",
        "meeting_authentication": False,
        "approval_type": MANUAL,
        "registrants_email_notification": False,
        "registrants_confirmation_email": False,
        "allow_multiple_devices": True,
        "email_notification": False,
    }


def test_a_password_is_only_sent_when_there_is_one():
    assert "password" not in MeetingDraft("Biology", starts_at=EIGHT).payload()


def test_a_weekly_schedule_is_registered_once_for_all():
    recurrence = Recurrence(weekly_days=(4, 2, 2), end_times=50)
    sent = MeetingDraft("Biology", type=RECURRING, starts_at=EIGHT, recurrence=recurrence).payload()
    assert sent["recurrence"] == {"type": 2, "repeat_interval": 1, "weekly_days": "2,4", "end_times": 50}
    assert sent["settings"]["registration_type"] == 1


def test_open_mode_asks_for_no_registration():
    settings = MeetingSettings(approval_type=NO_REGISTRATION)
    sent = MeetingDraft("Biology", type=RECURRING, starts_at=EIGHT, settings=settings).payload()
    assert sent["settings"]["approval_type"] == NO_REGISTRATION
    assert "registration_type" not in sent["settings"]


def test_a_recurrence_may_end_at_a_date():
    assert Recurrence(end_at=EIGHT).payload()["end_date_time"] == "2026-11-03T00:00:00Z"


@pytest.mark.parametrize(
    "spoiled",
    [
        {},
        {"end_times": 51},
        {"end_times": 0},
        {"end_times": 3, "end_at": EIGHT},
        {"weekly_days": (0,), "end_times": 3},
    ],
)
def test_an_impossible_recurrence_is_refused(spoiled):
    with pytest.raises(ValueError):
        Recurrence(**spoiled)


def test_one_occurrence_is_moved_in_utc_and_keeps_its_registration():
    sent = MeetingDraft("Biology", starts_at=EIGHT, marker="m-1").occurrence_payload()
    assert sent["start_time"] == "2026-11-03T00:00:00Z"
    assert "timezone" not in sent
    assert "topic" not in sent
    assert "approval_type" not in sent["settings"]


def test_a_meeting_lasts_a_minute_at_least():
    with pytest.raises(ValueError):
        MeetingDraft("Biology", starts_at=EIGHT, minutes=0)


def test_only_what_changed_is_sent():
    before = MeetingDraft("Biology", starts_at=EIGHT, marker="m-1")
    after = MeetingDraft("Chemistry", starts_at=EIGHT, marker="m-1", settings=MeetingSettings(waiting_room=True))
    assert diff_meeting_drafts(before, before) == {}
    assert diff_meeting_drafts(before, after) == {"topic": "Chemistry", "settings": {"waiting_room": True}}


def test_a_moved_start_travels_with_its_zone():
    before = MeetingDraft("Biology", starts_at=EIGHT)
    after = MeetingDraft("Biology", starts_at=EIGHT + timedelta(hours=1))
    assert diff_meeting_drafts(before, after) == {"start_time": "2026-11-03T09:00:00", "timezone": "Asia/Manila"}


@given(st.text(max_size=3000))
def test_the_marker_is_found_in_what_the_list_of_meetings_leaves(text):
    agenda = add_agenda_marker("0f8fad5b-d9cb-469f-a165-70867728950e", text)
    assert len(agenda) <= 2000
    assert find_agenda_marker(agenda[:250]) == "0f8fad5b-d9cb-469f-a165-70867728950e"


@given(st.text(max_size=100))
def test_the_marker_replaces_an_older_one(text):
    again = add_agenda_marker("new", add_agenda_marker("old", text))
    assert find_agenda_marker(again) == "new"
    assert "[silid:old]" not in again or "[silid:old]" in text


def test_a_long_agenda_is_cut_behind_the_marker():
    assert len(add_agenda_marker("m-1", "A" * 3000)) == 2000


def test_an_agenda_without_a_marker_stays_as_it_is():
    for agenda in ["Bring [silid:x] books", "", None]:
        assert find_agenda_marker(agenda) is None
        assert strip_agenda_marker(agenda) == (agenda or "")
    assert strip_agenda_marker(add_agenda_marker("m-1", "Read page 7")) == "Read page 7"


def test_a_marker_that_could_not_be_found_again_is_refused():
    with pytest.raises(ValueError):
        add_agenda_marker("a] b", "text")


@pytest.mark.parametrize(
    ("uuid", "path"),
    [
        ("aDYlohsHRtCd4ii1uC2+hA==", "aDYlohsHRtCd4ii1uC2%2BhA%3D%3D"),
        ("/u2F0gUNSqqC7DT+08xKrw==", "%252Fu2F0gUNSqqC7DT%252B08xKrw%253D%253D"),
        ("/aB//c==", "%252FaB%252F%252Fc%253D%253D"),
        ("Ahqu+zVcQpO//RcAUUWkNA==", "Ahqu%252BzVcQpO%252F%252FRcAUUWkNA%253D%253D"),
        ("ab/cd==", "ab%2Fcd%3D%3D"),
        ("86123456789", "86123456789"),
    ],
)
def test_a_uuid_is_encoded_twice_where_zoom_wants_it(uuid, path):
    assert encode_path_uuid(uuid) == path


@pytest.mark.parametrize("meeting_id", ["", "..", "12/34", "８６１２", "1?x=2", "a" * 9])
def test_only_digits_are_a_meeting_id(meeting_id):
    with pytest.raises(ValueError):
        encode_path_meeting(meeting_id)


def test_a_meeting_id_may_be_written_as_people_write_it():
    assert encode_path_meeting("861 2345-6789") == "86123456789"


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_a_path_is_never_climbed(name):
    with pytest.raises(ValueError):
        encode_path_name(name)
    assert encode_path_name("a/../b@c") == "a%2F..%2Fb%40c"


def test_addresses_without_a_path_get_zooms():
    assert api_base_url("https://api.zoom.us") == api_base_url("https://api.zoom.us/v2/") == "https://api.zoom.us/v2"
    assert oauth_token_url("http://127.0.0.1:9/") == "http://127.0.0.1:9/oauth/token"
    assert oauth_token_url("https://zoom.us/oauth/token") == "https://zoom.us/oauth/token"
    for nonsense in ["zoom.us", "ftp://zoom.us", ""]:
        with pytest.raises(ValueError):
            api_base_url(nonsense)


@pytest.mark.parametrize(
    ("configured", "answered", "used"),
    [
        ("https://api.zoom.us/v2", "https://api-eu.zoom.us", "https://api-eu.zoom.us/v2"),
        ("https://api.zoom.us/v2", "", "https://api.zoom.us/v2"),
        ("https://api.zoom.us/v2", "https://zoom.us.evil.example", "https://api.zoom.us/v2"),
        ("https://api.zoom.us/v2", "https://evilzoom.us", "https://api.zoom.us/v2"),
        ("https://api.zoom.us/v2", "http://api-eu.zoom.us", "https://api.zoom.us/v2"),
        ("https://api.zoom.us/v2", "https://x@api-eu.zoom.us:8443/p", "https://api-eu.zoom.us/v2"),
        ("https://sandbox.example/v2", "https://api.zoom.us", "https://sandbox.example/v2"),
        ("http://127.0.0.1:8765/v2", "https://api.zoom.us", "http://127.0.0.1:8765/v2"),
        ("http://127.0.0.1:8765/v2", "http://127.0.0.1:8765", "http://127.0.0.1:8765/v2"),
    ],
)
def test_a_regional_address_is_followed_only_from_zoom_to_zoom(configured, answered, used):
    assert regional_base_url(configured, answered) == used


def test_names_are_cut_and_never_empty():
    long = RegistrantInput("x@r1.deped.gov.ph", "A" * 70, "B" * 70).payload()
    assert (len(long["first_name"]), len(long["last_name"])) == (64, 64)
    assert RegistrantInput("x@r1.deped.gov.ph", " ", "Cruz").payload() == {
        "email": "x@r1.deped.gov.ph",
        "first_name": "Cruz",
    }
    assert RegistrantInput("x@r1.deped.gov.ph", "").payload()["first_name"] == "x"


def test_every_spelling_of_a_report_row_is_read():
    one = ReportRow.read(
        {
            "user_id": "27423744",
            "id": "30R7kT7",
            "user_name": "SMITH# JOE",
            "email": "Joe@Example.com",
            "join_time": "2026-11-03T00:34:12.660Z",
            "leave_time": "",
            "duration": "20",
        }
    )
    assert (one.session, one.zoom_user_id, one.name, one.email) == (
        "27423744",
        "30R7kT7",
        "SMITH# JOE",
        "joe@example.com",
    )
    assert one.join_time == datetime(2026, 11, 3, 0, 34, 12, 660000, tzinfo=UTC)
    assert (one.leave_time, one.seconds, one.status) == (None, 20, "in_meeting")
    two = ReportRow.read(
        {
            "user_id": 5,
            "participant_user_id": "P",
            "id": "old",
            "name": "Jo",
            "user_email": "j@x.ph",
            "duration": 259,
        }
    )
    assert (two.session, two.zoom_user_id, two.name, two.email, two.seconds) == (
        "5",
        "P",
        "Jo",
        "j@x.ph",
        259,
    )


def test_secrets_and_people_stay_out_of_every_repr():
    meeting = Meeting.read(
        {
            "id": 86123456789,
            "host_email": "ada@x.ph",
            "topic": "Secret",
            "join_url": "https://zoom.us/j/1?pwd=hush",
            "start_url": "https://zoom.us/s/1?zak=hush",
            "password": "hush",
            "registration_url": "https://zoom.us/hush",
        }
    )
    person = RegistrantInput("hush@x.ph", "hush", "hush")
    draft = MeetingDraft("Biology", starts_at=EIGHT, password="hush")
    for shown in (repr(meeting), repr(person), repr(draft)):
        assert "hush" not in shown
    assert "ada@x.ph" not in repr(meeting)


@pytest.mark.parametrize(
    "value",
    [
        None,
        5,
        "",
        "tomorrow",
        "2026-13-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "20261103",
        "2026-11-03",
        [],
        {},
    ],
)
def test_what_is_no_time_is_none(value):
    assert as_datetime(value) is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
MEETING_FIELDS = [
    "uuid",
    "topic",
    "start_time",
    "duration",
    "settings",
    "occurrences",
    "type",
    "created_at",
    "agenda",
]


@given(st.dictionaries(st.sampled_from(MEETING_FIELDS), json_values))
def test_no_answer_breaks_reading_it(answer):
    meeting = Meeting.read(answer | {"id": 1})
    assert meeting.id == "1"
    assert json.dumps([meeting.topic, meeting.agenda])
    assert ReportRow.read(answer).status == "in_meeting"


def test_numbers_come_as_numbers_or_digits():
    assert [as_int(value) for value in (20, "20", " 20 ", 20.0, True, "2e1", "٢٠", 10**30, None)] == [
        20,
        20,
        20,
        20,
        None,
        None,
        None,
        None,
        None,
    ]
