"""What Zoom reports of a class that has ended, and under which names it can be asked."""

from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest
import requests

ADA = "ada@r1.deped.gov.ph"
EIGHT = datetime(2026, 11, 3, 0, 0, tzinfo=UTC)


def minute(number):
    return EIGHT + timedelta(minutes=number)


def twice(uuid):
    return quote(quote(uuid, safe=""), safe="")


@pytest.fixture
def science(api, world):
    """A meeting held at eight: the host, Sam twice, Niño on two devices, one who never got past the door."""
    made = api.schedule()
    meeting_id = str(made["id"])
    sam, nino = api.register(meeting_id, "sam@b.ph", "nino@b.ph")
    world.start(meeting_id, EIGHT, uuid="/aB//c==")
    world.join(meeting_id, host=True)
    stay = world.join(meeting_id, registrant_id=sam, at=minute(1))
    world.leave(stay, minute(11))
    world.join(meeting_id, registrant_id=sam, at=minute(12))
    world.join(meeting_id, registrant_id=nino, at=minute(13))
    world.join(meeting_id, registrant_id=nino, at=minute(14))
    world.join(meeting_id, name="OPPO A5s", at=minute(15), waiting_room=True)
    world.end(meeting_id, minute(60))
    return meeting_id


def test_the_report_has_a_row_per_session_with_seconds(api, science):
    body = api("GET", f"/report/meetings/{science}/participants?include_fields=registrant_id").json()
    rows = body["participants"]
    assert body["total_records"] == len(rows) == 6
    assert [row["duration"] for row in rows] == [3600, 600, 2880, 2820, 2760, 2700]
    assert [row["status"] for row in rows] == ["in_meeting"] * 5 + ["in_waiting_room"]
    assert rows[1]["registrant_id"] == rows[2]["registrant_id"] != rows[3]["registrant_id"]
    assert rows[1]["user_id"] != rows[2]["user_id"]
    assert (rows[1]["join_time"], rows[1]["leave_time"]) == ("2026-11-03T00:01:00Z", "2026-11-03T00:11:00Z")


def test_the_registrant_is_in_the_report_only_when_asked_for(api, science):
    report = api("GET", f"/report/meetings/{science}/participants").json()["participants"]
    past = api("GET", f"/past_meetings/{science}/participants").json()["participants"]
    assert "registrant_id" not in report[1]
    assert past[1]["registrant_id"]
    assert [row["internal_user"] for row in past[:2]] == [True, False]


def test_a_uuid_with_slashes_must_be_encoded_twice(api, science):
    for path in ("/past_meetings/{}", "/past_meetings/{}/participants", "/report/meetings/{}/participants"):
        assert api("GET", path.format(twice("/aB//c=="))).status_code == 200
        once = requests.get(
            f"{api.base}/v2" + path.format(quote("/aB//c==", safe="")),
            headers={"Authorization": f"Bearer {api.token}"},
            timeout=5,
            allow_redirects=False,
        )
        assert (once.status_code, once.json()["code"]) == (404, 2300)


def test_another_uuid_may_be_encoded_once_or_twice_or_hardly(api, world):
    made = str(api.schedule()["id"])
    world.start(made, EIGHT, uuid="ab/c+d==")
    world.end(made, minute(60))
    for name in (quote("ab/c+d==", safe=""), twice("ab/c+d==")):
        assert api("GET", f"/past_meetings/{name}").json()["uuid"] == "ab/c+d=="
    world.start(made, minute(70), uuid="abc+d==")
    world.end(made, minute(90))
    assert api("GET", "/past_meetings/abc+d==").json()["uuid"] == "abc+d=="


def test_by_number_only_the_latest_run_is_seen(api, world, science):
    second = world.start(science, minute(70)).uuid
    running = api("GET", f"/past_meetings/{science}").json()
    assert running["uuid"] == "/aB//c=="
    world.end(science, minute(80))
    assert api("GET", f"/past_meetings/{science}").json()["uuid"] == second
    instances = api("GET", f"/past_meetings/{science}/instances").json()["meetings"]
    assert {one["uuid"] for one in instances} == {"/aB//c==", second}


def test_a_run_that_goes_on_or_never_was_is_3001(api, world):
    made = str(api.schedule()["id"])
    uuid = world.start(made).uuid
    for name in (made, twice(uuid), "12345"):
        answer = api("GET", f"/report/meetings/{name}/participants")
        assert (answer.status_code, answer.json()["code"]) == (404, 3001)


def test_the_report_is_ready_after_a_while_with_zeros_first(api, world, clock, science):
    world.switches.report_delay = timedelta(minutes=10)
    world.switches.report_zero_for = timedelta(minutes=5)
    where = f"/report/meetings/{science}/participants"
    assert api("GET", where).json()["code"] == 3001
    clock.move(minutes=10)
    assert {row["duration"] for row in api("GET", where).json()["participants"]} == {0}
    clock.move(minutes=5)
    assert api("GET", where).json()["participants"][0]["duration"] == 3600


def test_a_meeting_with_one_person_has_an_empty_report(api, world):
    made = str(api.schedule()["id"])
    world.start(made, EIGHT)
    world.join(made, host=True)
    world.join(made, host=True)
    world.end(made, minute(60))
    assert api("GET", f"/report/meetings/{made}/participants").json()["participants"] == []
    assert api("GET", f"/past_meetings/{made}/participants").json()["total_records"] == 0


def test_over_a_year_ago_is_12702(api, clock, science):
    clock.move(days=367)
    api.token = ""
    answer = api("GET", f"/report/meetings/{twice('/aB//c==')}/participants")
    assert (answer.status_code, answer.json()["code"]) == (400, 12702)


def test_the_meeting_report_has_the_figures(api, science):
    body = api("GET", f"/report/meetings/{science}").json()
    assert (body["duration"], body["participants_count"], body["user_email"]) == (60, 4, ADA)
    assert body["end_time"] == "2026-11-03T01:00:00Z"
