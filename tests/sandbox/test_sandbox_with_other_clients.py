"""Two clients that we did not write find in the pretend Zoom what they expect of the real one."""

import datetime

import pytest

from portal.sandbox import defaults

ADA = "ada@r1.deped.gov.ph"
EIGHT = datetime.datetime(2026, 11, 3, 0, 0, tzinfo=datetime.UTC)

# Both are older than the libraries they use; their warnings are not ours to mend.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::SyntaxWarning"),
]


@pytest.fixture
def zoomus(api):
    from zoomus import ZoomClient

    return ZoomClient(
        defaults.CLIENT_ID,
        defaults.CLIENT_SECRET,
        defaults.ACCOUNT_ID,
        base_uri=f"{api.base}/v2",
        oauth_uri=f"{api.base}/oauth/token",
    )


@pytest.fixture
def pyzoom(api):
    from pyzoom import ZoomClient

    return ZoomClient(api.mint().json()["access_token"], base_url=f"{api.base}/v2")


def test_zoomus_schedules_registers_and_reads_the_past(zoomus, world):
    made = zoomus.meeting.create(
        user_id=ADA, topic="Science 8", type=2, start_time=EIGHT, duration=60, settings={"approval_type": 0}
    )
    assert made.status_code == 201
    meeting_id = made.json()["id"]
    added = zoomus.meeting.add_registrant(id=meeting_id, email="a@b.ph", first_name="A", last_name="B")
    assert added.status_code == 201
    listed = zoomus.meeting.list_registrants(id=meeting_id).json()
    assert [row["id"] for row in listed["registrants"]] == [added.json()["registrant_id"]]
    assert zoomus.meeting.update(id=meeting_id, topic="Science 9").status_code == 204
    assert zoomus.meeting.get(id=meeting_id).json()["topic"] == "Science 9"
    assert zoomus.meeting.list(user_id=ADA).json()["total_records"] == 1
    denied = zoomus.meeting.update_registrant_status(
        id=meeting_id, action="deny", registrants=[{"id": added.json()["registrant_id"]}]
    )
    assert denied.status_code == 204
    uuid = world.start(str(meeting_id), EIGHT, uuid="/u2F0gUNSqqC7DT+08xKrw==").uuid
    world.join(str(meeting_id), host=True)
    world.join(str(meeting_id), name="OPPO A5s")
    assert zoomus.meeting.update_status(id=meeting_id, action="end").status_code == 204
    assert zoomus.past_meeting.get(meeting_id=uuid).json()["uuid"] == uuid
    assert zoomus.past_meeting.list(meeting_id=str(meeting_id)).json()["meetings"][0]["uuid"] == uuid
    assert zoomus.past_meeting.get_participants(meeting_id=uuid).json()["total_records"] == 2
    report = zoomus.report.get_meeting_participants_report(id=meeting_id).json()
    assert [row["name"] for row in report["participants"]] == ["Ada Reyes", "OPPO A5s"]
    assert zoomus.meeting.delete(id=meeting_id).status_code == 204
    assert zoomus.user.list().json()["users"][0]["email"] == ADA
    assert zoomus.user.get(id=ADA).json()["type"] == 2


def test_pyzoom_finds_every_field_its_strict_models_want(pyzoom, world):
    made = pyzoom.meetings.create_meeting("Science 8", start_time="2026-11-03T00:00:00Z", duration_min=60)
    assert pyzoom.meetings.get_meeting(made.id).topic == "Science 8"
    assert pyzoom.meetings.list_meetings().total_records == 1
    added = pyzoom.meetings.add_and_confirm_registrant(made.id, first_name="A", last_name="B", email="a@b.ph")
    listed = pyzoom.meetings.list_meeting_registrants(made.id)
    assert [row.id for row in listed.registrants] == [added.registrant_id]
    pyzoom.meetings.update_meeting("Other", start_time="2026-11-03T00:00:00Z", duration_min=30, meeting_id=made.id)
    pyzoom.meetings.cancel_registration(made.id, registrant_id=added.registrant_id, email="a@b.ph")
    world.start(str(made.id), EIGHT)
    world.join(str(made.id), host=True)
    world.join(str(made.id), name="Guest")
    world.end(str(made.id))
    assert len(pyzoom.meetings.past_meeting_participants(made.id)) == 2
    assert len(pyzoom.users.get_users("active").users) == 2
    assert pyzoom.meetings.delete_meeting(made.id)
    with pytest.raises(Exception, match="3001"):
        pyzoom.meetings.get_meeting(made.id)
