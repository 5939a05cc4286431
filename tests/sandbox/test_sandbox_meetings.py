"""Meetings as Zoom's interface makes, changes, lists and deletes them."""

import pytest

ADA, BOB = "ada@r1.deped.gov.ph", "bob@r1.deped.gov.ph"


def test_eight_in_manila_is_midnight_in_utc_and_reads_back_so(api):
    made = api.schedule(start_time="2026-11-03T08:00:00", timezone="Asia/Manila")
    read = api("GET", f"/meetings/{made['id']}").json()
    assert read["start_time"] == made["start_time"] == "2026-11-03T00:00:00Z"
    assert read["timezone"] == "Asia/Manila"


def test_a_time_with_z_is_gmt_whatever_the_zone(api):
    made = api.schedule(start_time="2026-11-03T08:00:00Z", timezone="Asia/Manila")
    assert made["start_time"] == "2026-11-03T08:00:00Z"


def test_ids_have_eleven_digits_and_links_begin_with_the_public_address(api):
    made = api.schedule()
    assert made["id"] > 2**31
    assert len(str(made["id"])) == 11
    assert made["join_url"].startswith(f"{api.base}/j/{made['id']}?pwd=")
    assert made["start_url"].startswith(f"{api.base}/s/{made['id']}?zak=")
    assert made["registration_url"].startswith(f"{api.base}/meeting/register/")


def test_a_scheduled_meeting_without_a_time_becomes_an_instant_one(api):
    made = api("POST", f"/users/{ADA}/meetings", json={"topic": "Now"}).json()
    assert made["type"] == 1


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"type": 9}, "type"),
        ({"topic": "x" * 201}, "topic"),
        ({"agenda": "x" * 2001}, "agenda"),
        ({"password": "12345678901"}, "password"),
        ({"duration": "60"}, "duration"),
        ({"start_time": "3 November"}, "start_time"),
        ({"timezone": "Asia/Vigan"}, "timezone"),
        ({"settings": {"approval_type": 3}}, "settings.approval_type"),
        ({"settings": {"host_video": "yes"}}, "settings.host_video"),
        ({"settings": {"auto_recording": "tape"}}, "settings.auto_recording"),
    ],
)
def test_a_bad_field_is_named(api, change, named):
    body = {"topic": "T", "type": 2, "start_time": "2026-11-03T08:00:00"} | change
    answer = api("POST", f"/users/{ADA}/meetings", json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, 300)
    assert answer.json()["errors"] == [{"field": named, "message": "Invalid field."}]


def test_unknown_fields_are_ignored(api):
    made = api.schedule(moon="full", settings={"moon": True, "approval_type": 0})
    assert "moon" not in made["settings"]


def test_a_body_that_is_no_object_is_refused(api):
    for raw in (b"{", b"[]", b"\xff"):
        answer = api("POST", f"/users/{ADA}/meetings", data=raw)
        assert answer.json()["message"] == "Request Body should be a valid JSON object."


def test_the_waiting_room_is_forced_where_nothing_else_guards_the_door(api):
    bare = api.schedule(default_password=False, settings={"waiting_room": False})
    assert bare["settings"]["waiting_room"] is True
    guarded = api.schedule(settings={"waiting_room": False})
    assert guarded["settings"]["waiting_room"] is False
    assert guarded["password"]


def test_alternative_hosts_must_be_licensed(api, world):
    world.add_user("basic@r1.deped.gov.ph", "Basic", "User", licensed=False)
    ok = {"settings": {"alternative_hosts": BOB}}
    assert api.schedule(**ok)["settings"]["alternative_hosts"] == BOB
    for name in ("basic@r1.deped.gov.ph", "stranger@example.com"):
        body = {"topic": "T", "settings": {"alternative_hosts": name}}
        assert api("POST", f"/users/{ADA}/meetings", json=body).status_code == 400


def test_an_unknown_host_is_1001_and_one_who_may_not_host_3161(api, world):
    world.add_user("off@r1.deped.gov.ph", "Off", "Duty", zoom_type=99)
    answer = api("POST", "/users/nobody@r1.deped.gov.ph/meetings", json={})
    assert (answer.status_code, answer.json()["code"]) == (404, 1001)
    answer = api("POST", "/users/off@r1.deped.gov.ph/meetings", json={})
    assert (answer.status_code, answer.json()["code"]) == (400, 3161)


def test_a_change_answers_204_without_a_body_and_tells_what_changed(api, world):
    made = api.schedule()
    answer = api("PATCH", f"/meetings/{made['id']}", json={"topic": "Science 9"})
    assert (answer.status_code, answer.content) == (204, b"")
    assert "Content-Type" not in answer.headers
    told = world.events(str(made["id"]))[-1]
    assert told["event"] == "meeting.updated"
    assert told["payload"]["object"] == {"id": made["id"], "topic": "Science 9"}
    assert told["payload"]["old_object"] == {"id": made["id"], "topic": "Science 8"}


def test_a_change_to_the_past_is_ignored(api):
    made = api.schedule()
    api("PATCH", f"/meetings/{made['id']}", json={"start_time": "2020-01-01T08:00:00"})
    assert api("GET", f"/meetings/{made['id']}").json()["start_time"] == made["start_time"]


def test_a_refused_change_changes_nothing(api):
    made = api.schedule()
    body = {"topic": "Other", "settings": {"approval_type": 7}}
    assert api("PATCH", f"/meetings/{made['id']}", json=body).status_code == 400
    assert api("GET", f"/meetings/{made['id']}").json()["topic"] == "Science 8"


def test_a_deleted_meeting_is_3001_everywhere_until_recovered(api):
    made = api.schedule()
    assert api("DELETE", f"/meetings/{made['id']}").status_code == 204
    for method, path, body in [
        ("GET", "", None),
        ("PATCH", "", {}),
        ("DELETE", "", None),
        ("POST", "/registrants", {"email": "a@b.c", "first_name": "A"}),
        ("GET", "/registrants", None),
    ]:
        answer = api(method, f"/meetings/{made['id']}{path}", json=body)
        assert (answer.status_code, answer.json()["code"]) == (404, 3001), (method, path)
    recovered = api("PUT", f"/meetings/{made['id']}/status", json={"action": "recover"})
    assert recovered.status_code == 204
    assert api("GET", f"/meetings/{made['id']}").status_code == 200


def test_a_one_off_meeting_expires_thirty_days_after_its_date(api, clock):
    made = api.schedule()
    clock.move(days=30)
    api.token = ""
    assert api("GET", f"/meetings/{made['id']}").status_code == 200
    clock.move(days=2)
    api.token = ""
    assert api("GET", f"/meetings/{made['id']}").json()["code"] == 3001


def test_a_weekly_meeting_lists_its_dates_with_the_same_time_in_manila(api):
    rule = {"type": 2, "weekly_days": "2,4", "end_times": 4}  # Mondays and Wednesdays
    made = api.schedule(type=8, recurrence=rule, start_time="2026-11-03T08:00:00")
    starts = [one["start_time"] for one in made["occurrences"]]
    assert starts == [f"2026-11-{day:02d}T00:00:00Z" for day in (4, 9, 11, 16)]
    assert [one["status"] for one in made["occurrences"]] == ["available"] * 4
    assert all(isinstance(one["occurrence_id"], str) for one in made["occurrences"])


@pytest.mark.parametrize(
    ("rule", "days"),
    [
        ({"type": 1, "repeat_interval": 2, "end_times": 3}, ["2026-11-03", "2026-11-05", "2026-11-07"]),
        ({"type": 2, "repeat_interval": 2, "end_times": 2}, ["2026-11-03", "2026-11-17"]),
        ({"type": 3, "monthly_day": 5, "end_times": 2}, ["2026-11-05", "2026-12-05"]),
        ({"type": 3, "monthly_week": -1, "monthly_week_day": 6, "end_times": 1}, ["2026-11-27"]),
        ({"type": 3, "monthly_week": 2, "monthly_week_day": 3, "end_times": 1}, ["2026-11-10"]),
        ({"type": 1, "end_date_time": "2026-11-04T23:59:59Z"}, ["2026-11-03", "2026-11-04"]),
    ],
)
def test_other_patterns_fall_on_the_days_they_name(api, rule, days):
    made = api.schedule(type=8, recurrence=rule, start_time="2026-11-03T12:00:00")
    assert [one["start_time"][:10] for one in made["occurrences"]] == days


@pytest.mark.parametrize(
    "rule",
    [
        {"type": 2, "end_times": 51},
        {"type": 2, "end_times": 5, "end_date_time": "2026-12-01T00:00:00Z"},
        {"type": 4},
        {"type": 2, "weekly_days": "0"},
        {"type": 1, "repeat_interval": 100},
        "weekly",
        None,
    ],
)
def test_an_impossible_pattern_is_refused(api, rule):
    body = {"topic": "T", "type": 8, "start_time": "2026-11-03T08:00:00", "recurrence": rule}
    answer = api("POST", f"/users/{ADA}/meetings", json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, 300)


def test_one_date_can_be_moved_and_one_dropped(api):
    made = api.schedule(type=8, recurrence={"type": 2, "end_times": 3})
    first, second, _ = (one["occurrence_id"] for one in made["occurrences"])
    where = f"/meetings/{made['id']}"
    moved = {"start_time": "2026-11-05T10:00:00", "duration": 30}
    assert api("PATCH", f"{where}?occurrence_id={first}", json=moved).status_code == 204
    assert api("DELETE", f"{where}?occurrence_id={second}").status_code == 204
    read = {one["occurrence_id"]: one for one in api("GET", where).json()["occurrences"]}
    assert (read[first]["start_time"], read[first]["duration"]) == ("2026-11-05T02:00:00Z", 30)
    assert read[second]["status"] == "deleted"
    assert api("DELETE", f"{where}?occurrence_id=1").json()["code"] == 300


def test_the_list_cuts_the_agenda_and_knows_no_settings(api):
    api.schedule(agenda="x" * 300)
    [row] = api("GET", f"/users/{ADA}/meetings").json()["meetings"]
    assert len(row["agenda"]) == 250
    assert "settings" not in row


def test_the_lists_by_kind(api, world):
    made = api.schedule()
    api.schedule(host=BOB)
    series = api.schedule(type=8, recurrence={"type": 2, "end_times": 3})
    world.start(str(made["id"]))

    def listed(kind):
        rows = api("GET", f"/users/{ADA}/meetings?type={kind}").json()["meetings"]
        return [row["id"] for row in rows]

    assert listed("scheduled") == [made["id"], series["id"]]
    assert listed("live") == [made["id"]]
    assert listed("upcoming").count(series["id"]) == 3
    assert listed("previous_meetings") == []


def test_pages_follow_an_opaque_token_bound_to_its_query(api, clock):
    ids = [api.schedule()["id"] for _ in range(5)]
    where = f"/users/{ADA}/meetings?page_size=2"
    seen, token = [], ""
    while True:
        page = api("GET", f"{where}&next_page_token={token}").json()
        seen += [row["id"] for row in page["meetings"]]
        token = page["next_page_token"]
        if not token:
            break
    assert seen == ids
    first = api("GET", where).json()["next_page_token"]
    other = api("GET", f"/users/{ADA}/meetings?page_size=3&next_page_token={first}")
    assert (other.status_code, other.json()["code"]) == (400, 300)
    clock.move(minutes=15)
    assert api("GET", f"{where}&next_page_token={first}").json()["message"].startswith("The next page token")


def test_too_large_a_page_is_refused(api):
    assert api("GET", f"/users/{ADA}/meetings?page_size=301").json()["code"] == 300


def test_me_is_the_owner_unless_strict(api, world):
    assert api("GET", "/users/me").json()["email"] == ADA
    world.switches.strict_me = True
    assert api("GET", "/users/me").json()["code"] == 1001


def test_a_start_key_is_given_for_a_host(api, world):
    zak = api("GET", f"/users/{ADA}/token?type=zak").json()["token"]
    assert world.zak_owner(zak).email == ADA
    assert world.zak_owner(zak[:-1] + ("0" if zak[-1] != "0" else "1")) is None
    assert world.zak_owner("") is None


def test_unknown_endpoints_are_2300(api):
    for method, path in [("GET", "/nothing"), ("PUT", "/users"), ("GET", "/metrics/meetings")]:
        answer = api(method, path)
        assert (answer.status_code, answer.json()["code"]) == (404, 2300)


def test_every_answer_has_a_tracking_id(api):
    assert api("GET", "/users").headers["x-zm-trackingid"].startswith("v=2.0;")
