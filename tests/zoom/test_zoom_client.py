"""The operations: what goes over the wire and what comes back."""

import base64
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from portal.zoom.api.endpoints import find_missing_scopes
from portal.zoom.api.rate_limiter import HEAVY, LIGHT, MEDIUM
from portal.zoom.api.token_store import InMemoryTokenStore
from portal.zoom.client import OPTIONAL_SCOPES, REQUIRED_SCOPES, ZoomClient
from portal.zoom.errors import ZoomNotConfigured, ZoomRefused, ZoomUnavailable
from portal.zoom.models import MeetingDraft, RegistrantInput

HOST = "ada@r1.deped.gov.ph"
ID = "86123456789"
EIGHT = datetime(2026, 11, 3, 8, 0, tzinfo=ZoneInfo("Asia/Manila"))
MEETING = {
    "id": 86123456789,
    "uuid": "/aB//c==",
    "host_id": "h1",
    "host_email": HOST,
    "topic": "Biology",
    "type": 8,
    "status": "waiting",
    "start_time": "2026-11-03T00:00:00Z",
    "duration": 60,
    "timezone": "Asia/Manila",
    "agenda": "[silid:m-1] Cells",
    "created_at": "2026-10-01T00:00:00Z",
    "join_url": "https://zoom.us/j/86123456789?pwd=x",
    "start_url": "https://zoom.us/s/86123456789?zak=x",
    "password": "pass1",
    "registration_url": "https://zoom.us/meeting/register/x",
    "occurrences": [
        {
            "occurrence_id": "1793664000000",
            "start_time": "2026-11-03T00:00:00Z",
            "duration": 60,
            "status": "available",
        }
    ],
    "settings": {"waiting_room": True, "approval_type": 1, "registration_type": 1, "auto_recording": "cloud"},
}


def test_a_token_is_asked_for_once_and_as_zoom_wants_it(server, zoom, reply):
    server.on(f"GET /v2/meetings/{ID}", reply(200, MEETING))
    for _ in range(5):
        zoom.get_meeting(ID)
    [asked] = server.asked("POST /oauth/token")
    assert asked.raw == b"grant_type=account_credentials&account_id=acc-id"
    assert asked.target == "/oauth/token"
    basic = base64.b64decode(asked.headers["authorization"].removeprefix("Basic "))
    assert basic == b"client-id:s3cr3t-of-the-app"
    used = {one.headers["authorization"] for one in server.asked(f"GET /v2/meetings/{ID}")}
    assert used == {"Bearer tok-1"}


def test_a_meeting_is_created_and_read_back(server, zoom, reply):
    server.on(f"POST /v2/users/{HOST.replace('@', '%40')}/meetings", reply(201, MEETING))
    meeting = zoom.create_meeting(HOST, MeetingDraft("Biology", starts_at=EIGHT, marker="m-1"))
    sent = server.requests[-1].json
    assert (sent["start_time"], sent["timezone"]) == ("2026-11-03T08:00:00", "Asia/Manila")
    assert (meeting.id, meeting.uuid, meeting.marker) == (ID, "/aB//c==", "m-1")
    assert meeting.start_time == EIGHT.astimezone(UTC)
    assert meeting.occurrences[0].id == "1793664000000"
    assert (meeting.settings.waiting_room, meeting.settings.auto_recording) == (True, "cloud")


def test_an_answer_without_an_id_may_have_been_carried_out(server, zoom, reply):
    server.on("POST /v2/users/h1/meetings", reply(201, {"topic": "Biology"}))
    with pytest.raises(ZoomUnavailable) as caught:
        zoom.create_meeting("h1", MeetingDraft("Biology", starts_at=EIGHT))
    assert caught.value.maybe_done


def test_one_occurrence_is_asked_for(server, zoom, reply):
    server.on(f"GET /v2/meetings/{ID}", reply(200, MEETING))
    zoom.get_meeting(ID, occurrence_id="1793664000000")
    assert server.requests[-1].target.endswith("?occurrence_id=1793664000000")


def test_an_update_sends_only_what_it_is_given(server, zoom, reply):
    server.on(f"PATCH /v2/meetings/{ID}", reply(204))
    zoom.update_meeting(ID, {"topic": "Chemistry"})
    assert server.requests[-1].json == {"topic": "Chemistry"}
    zoom.update_meeting(ID, {})
    assert len(server.asked(f"PATCH /v2/meetings/{ID}")) == 1


def test_a_whole_draft_may_be_an_update(server, zoom, reply):
    server.on(f"PATCH /v2/meetings/{ID}", reply(204))
    zoom.update_meeting(ID, MeetingDraft("Biology", starts_at=EIGHT))
    assert server.requests[-1].json["start_time"] == "2026-11-03T08:00:00"


def test_an_update_of_one_occurrence_goes_in_utc(server, zoom, reply):
    server.on(f"PATCH /v2/meetings/{ID}", reply(204))
    zoom.update_meeting(ID, MeetingDraft("Biology", starts_at=EIGHT), occurrence_id="17")
    assert server.requests[-1].json["start_time"] == "2026-11-03T00:00:00Z"
    assert server.requests[-1].target.endswith("?occurrence_id=17")


def test_deleting_what_is_gone_is_done(server, zoom, reply):
    server.on(f"DELETE /v2/meetings/{ID}", reply(204), reply(404, {"code": 3001, "message": "Gone."}))
    zoom.delete_meeting(ID)
    zoom.delete_meeting(ID)
    assert len(server.asked(f"DELETE /v2/meetings/{ID}")) == 2


def test_a_refused_delete_is_told(server, zoom, reply):
    server.on(f"DELETE /v2/meetings/{ID}", reply(400, {"code": 3002, "message": "In progress."}))
    with pytest.raises(ZoomRefused) as caught:
        zoom.delete_meeting(ID)
    assert caught.value.code == 3002


def test_ending_tells_whether_the_meeting_ran(server, zoom, reply):
    server.on(f"PUT /v2/meetings/{ID}/status", reply(204), reply(400, {"code": 3001}), reply(400, {"code": 3063}))
    assert zoom.end_meeting(ID) is True
    assert server.requests[-1].json == {"action": "end"}
    assert zoom.end_meeting(ID) is False
    with pytest.raises(ZoomRefused):
        zoom.end_meeting(ID)


def test_a_list_is_read_to_its_last_page(server, zoom, reply):
    rows = [{"id": number, "agenda": "", "topic": "T"} for number in (1, 2, 3)]
    server.on(
        "GET /v2/users/h1/meetings",
        reply(200, {"meetings": rows[:2], "next_page_token": "t/1"}),
        reply(200, {"meetings": [*rows[2:], "rubbish", {"topic": "no id"}], "next_page_token": ""}),
    )
    assert [row.id for row in zoom.list_meetings("h1")] == ["1", "2", "3"]
    first, second = [one.target for one in server.asked("GET /v2/users/h1/meetings")]
    assert first.endswith("?type=scheduled&page_size=300")
    assert second.endswith("?type=scheduled&page_size=300&next_page_token=t%2F1")


def test_a_list_whose_pages_do_not_end_is_no_list(server, zoom, reply):
    server.on("GET /v2/users/h1/meetings", reply(200, {"meetings": [], "next_page_token": "same"}))
    with pytest.raises(ZoomUnavailable):
        list(zoom.list_meetings("h1"))
    assert len(server.asked("GET /v2/users/h1/meetings")) == 2


def test_an_answer_without_its_list_is_not_an_empty_list(server, zoom, reply):
    server.on(f"GET /v2/meetings/{ID}/registrants", reply(200, {"total_records": 0}))
    with pytest.raises(ZoomUnavailable):
        list(zoom.list_registrants(ID))


def test_the_oldest_meeting_with_our_marker_is_found(server, zoom, reply):
    def row(number, marker, created):
        return {"id": number, "agenda": f"[silid:{marker}] x", "created_at": created}

    rows = [
        row(11, "m-1", "2026-10-02T00:00:00Z"),
        row(12, "m-1", "2026-10-01T00:00:00Z"),
        row(13, "m-2", "2026-09-01T00:00:00Z"),
    ]
    server.on("GET /v2/users/h1/meetings", reply(200, {"meetings": rows}))
    server.on("GET /v2/meetings/12", reply(200, MEETING | {"id": 12}))
    assert zoom.find_by_marker("h1", "m-1").id == "12"
    assert zoom.find_by_marker("h1", "m-3") is None


def test_a_marked_meeting_that_goes_away_meanwhile_is_passed_over(server, zoom, reply):
    rows = [{"id": number, "agenda": "[silid:m-1]"} for number in (11, 12)]
    server.on("GET /v2/users/h1/meetings", reply(200, {"meetings": rows}))
    server.on("GET /v2/meetings/11", reply(404, {"code": 3001}))
    server.on("GET /v2/meetings/12", reply(200, MEETING | {"id": 12}))
    assert zoom.find_by_marker("h1", "m-1").id == "12"


def test_a_search_that_is_refused_is_not_a_meeting_that_is_missing(server, zoom, reply):
    server.on("GET /v2/users/h1/meetings", reply(200, {"meetings": [{"id": 11, "agenda": "[silid:m-1]"}]}))
    server.on("GET /v2/meetings/11", reply(400, {"code": 3000}))
    with pytest.raises(ZoomRefused):
        zoom.find_by_marker("h1", "m-1")


def test_a_learner_is_registered(server, zoom, reply):
    server.on(
        f"POST /v2/meetings/{ID}/registrants",
        reply(201, {"id": 86123456789, "registrant_id": "R7", "join_url": "https://zoom.us/w/1?tk=x"}),
    )
    found = zoom.add_registrant(ID, RegistrantInput("L7@r1.deped.gov.ph", "Niño", "Cruz"), occurrence_ids=("1", "2"))
    assert (found.registrant_id, found.email) == ("R7", "l7@r1.deped.gov.ph")
    asked = server.requests[-1]
    assert asked.target.endswith("?occurrence_ids=1%2C2")
    assert asked.json == {
        "email": "L7@r1.deped.gov.ph",
        "first_name": "Niño",
        "last_name": "Cruz",
        "auto_approve": True,
    }


def test_a_pending_registrant_has_no_link(server, zoom, reply):
    server.on(f"POST /v2/meetings/{ID}/registrants", reply(201, {"registrant_id": "R7"}))
    assert zoom.add_registrant(ID, RegistrantInput("a@x.ph", "A"), auto_approve=False).join_url is None


def test_a_batch_is_registered_and_answered_by_address(server, zoom, reply):
    rows = [
        {"email": "B@x.ph", "registrant_id": "R2", "join_url": "https://zoom.us/w/2"},
        {"email": "a@x.ph", "registrant_id": "R1"},
        {"email": "c@x.ph"},
    ]
    server.on(f"POST /v2/meetings/{ID}/batch_registrants", reply(201, {"registrants": rows}))
    people = [RegistrantInput(f"{name}@x.ph", name) for name in "abc"]
    found = zoom.add_registrants(ID, people)
    assert [(one.email, one.registrant_id) for one in found] == [("b@x.ph", "R2"), ("a@x.ph", "R1")]
    sent = server.requests[-1].json
    assert (sent["auto_approve"], sent["registrants_confirmation_email"]) == (True, False)
    assert [one["email"] for one in sent["registrants"]] == ["a@x.ph", "b@x.ph", "c@x.ph"]


@pytest.mark.parametrize("count", [0, 31])
def test_a_batch_of_another_size_is_never_sent(server, zoom, count):
    with pytest.raises(ValueError):
        zoom.add_registrants(ID, [RegistrantInput("a@x.ph", "A")] * count)
    assert server.requests == []


def test_registrants_are_listed_by_status(server, zoom, reply):
    rows = [{"id": "R1", "email": "A@x.ph", "status": "pending", "create_time": "2026-11-01T00:00:00Z"}]
    server.on(f"GET /v2/meetings/{ID}/registrants", reply(200, {"registrants": rows}))
    [found] = zoom.list_registrants(ID, status="pending")
    assert (found.id, found.email, found.status, found.join_url) == ("R1", "a@x.ph", "pending", None)
    assert "status=pending" in server.requests[-1].target


def test_statuses_are_set_thirty_at_a_time(server, zoom, reply):
    server.on(f"PUT /v2/meetings/{ID}/registrants/status", reply(204))
    zoom.set_registrants_status(ID, "cancel", [(f"R{n}", f"l{n}@x.ph") for n in range(31)])
    sizes = [len(one.json["registrants"]) for one in server.asked(f"PUT /v2/meetings/{ID}/registrants/status")]
    assert sizes == [30, 1]
    assert server.requests[-1].json == {
        "action": "cancel",
        "registrants": [{"id": "R30", "email": "l30@x.ph"}],
    }


def test_a_registrant_is_removed(server, zoom, reply):
    server.on(f"DELETE /v2/meetings/{ID}/registrants/R-7_x", reply(204), reply(404, {"code": 3001}))
    zoom.delete_registrant(ID, "R-7_x")
    zoom.delete_registrant(ID, "R-7_x")
    assert len(server.asked(f"DELETE /v2/meetings/{ID}/registrants/R-7_x")) == 2


def test_every_running_of_a_meeting_is_found_in_order(server, zoom, reply):
    rows = [
        {"uuid": "w==", "start_time": "2026-11-05T00:00:00Z"},
        {"uuid": "m==", "start_time": "2026-11-03T00:00:00Z"},
        {"uuid": "?=="},
    ]
    server.on(f"GET /v2/past_meetings/{ID}/instances", reply(200, {"meetings": rows}))
    assert [one.uuid for one in zoom.past_instances(ID)] == ["m==", "w==", "?=="]


def test_the_report_is_asked_for_with_registrants_and_read_to_its_end(server, zoom, reply):
    path = "/v2/report/meetings/%252FaB%252F%252Fc%253D%253D/participants"
    row = {
        "user_id": "1",
        "name": "Jo",
        "join_time": "2026-11-03T00:00:00Z",
        "duration": 60,
        "registrant_id": "R1",
    }
    server.on(
        f"GET {path}",
        reply(200, {"participants": [row], "next_page_token": "t", "page_count": "2"}),
        reply(200, {"participants": [row | {"user_id": "2", "status": "in_waiting_room"}]}),
    )
    one, two = zoom.report_participants("/aB//c==")
    assert (one.session, one.registrant_id, one.status) == ("1", "R1", "in_meeting")
    assert (two.session, two.status) == ("2", "in_waiting_room")
    assert all("include_fields=registrant_id" in asked.target for asked in server.asked(f"GET {path}"))


def test_a_report_that_is_not_there_yet_is_not_a_deleted_meeting(server, zoom, reply):
    server.on("GET /v2/report/meetings/m%3D%3D/participants", reply(404, {"code": 3001}))
    with pytest.raises(ZoomRefused) as caught:
        zoom.report_participants("m==")
    assert caught.value.is_not_ready
    assert not caught.value.is_deleted


def test_an_ended_meeting_is_read(server, zoom, reply):
    found = {
        "id": 86123456789,
        "uuid": "m==",
        "start_time": "2026-11-03T00:00:00Z",
        "end_time": "2026-11-03T01:00:00Z",
        "duration": "60",
        "total_minutes": 2700,
        "participants_count": 45,
    }
    server.on("GET /v2/past_meetings/m%3D%3D", reply(200, found))
    server.on("GET /v2/report/meetings/m%3D%3D", reply(200, found))
    server.on("GET /v2/past_meetings/m%3D%3D/participants", reply(200, {"participants": []}))
    past = zoom.past_meeting("m==")
    assert past == zoom.report_meeting("m==")
    assert (past.id, past.minutes, past.participants) == (ID, 60, 45)
    assert (past.end_time - past.start_time).seconds == 3600
    assert zoom.past_participants("m==") == []


def test_users_are_listed_and_found(server, zoom, reply):
    user = {"id": "u1", "email": "Ada@x.ph", "type": 2, "status": "active"}
    server.on("GET /v2/users", reply(200, {"users": [user, user | {"id": "u2", "type": 1}]}))
    server.on("GET /v2/users/ada%40x.ph", reply(200, user))
    assert [(one.id, one.is_licensed) for one in zoom.list_users()] == [("u1", True), ("u2", False)]
    assert zoom.get_user("ada@x.ph").email == "ada@x.ph"


def test_a_hosts_key_is_fetched(server, zoom, reply):
    server.on("GET /v2/users/u1/token", reply(200, {"token": "zak-1"}))
    assert zoom.host_zak("u1") == "zak-1"
    assert server.requests[-1].target.endswith("?type=zak")


def test_a_probe_names_the_scopes_that_are_missing(server, zoom):
    probe = zoom.probe()
    assert "meeting:write:meeting:admin" not in probe.missing
    assert probe.missing["meeting:write:registrant:admin"] == "register learners one by one"
    assert set(probe.missing_optional) == set(OPTIONAL_SCOPES)
    assert probe.api_url == server.url + "/v2"
    assert [one.path for one in server.requests] == ["/oauth/token"]


def test_user_level_and_classic_scopes_count_too():
    assert "meeting:read:meeting:admin" not in find_missing_scopes(REQUIRED_SCOPES, frozenset({"meeting:read:meeting"}))
    classic = frozenset({"meeting:read:admin", "meeting:write:admin", "user:read:admin", "report:read:admin"})
    assert find_missing_scopes(REQUIRED_SCOPES | OPTIONAL_SCOPES, classic) == {}


def test_without_credentials_nothing_is_sent(clock, server, credentials):
    for given in (None, type(credentials)("acc", "", "secret")):
        zoom = ZoomClient(given, tokens=InMemoryTokenStore(clock.now), api_url=server.url, oauth_url=server.url)
        assert not zoom.is_configured
        with pytest.raises(ZoomNotConfigured):
            zoom.get_meeting(ID)
    assert server.requests == []


def test_each_request_waits_for_its_turn(server, new_client, reply):
    class Pace:
        def __init__(self):
            self.labels = []

        def wait(self, label):
            self.labels.append(label)

    pace = Pace()
    zoom = new_client(pace=pace)
    server.on(f"GET /v2/meetings/{ID}", reply(500), reply(200, MEETING))
    server.on(f"POST /v2/meetings/{ID}/batch_registrants", reply(201, {"registrants": []}))
    server.on("GET /v2/users", reply(200, {"users": []}))
    zoom.get_meeting(ID)
    zoom.add_registrants(ID, [RegistrantInput("a@x.ph", "A")])
    list(zoom.list_users())
    assert pace.labels == [LIGHT, LIGHT, HEAVY, MEDIUM]


def test_a_cookie_is_never_sent_back(server, zoom, reply):
    server.on(f"GET /v2/meetings/{ID}", reply(200, MEETING, {"Set-Cookie": "a=b; Path=/"}))
    zoom.get_meeting(ID)
    zoom.get_meeting(ID)
    assert "cookie" not in server.requests[-1].headers


def test_the_secret_is_not_in_the_repr(credentials):
    assert "s3cr3t" not in repr(credentials)
