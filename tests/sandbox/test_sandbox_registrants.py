"""Registrants: once per address, thirty at a time, pending until approved."""

import pytest

ADA, BOB = "ada@r1.deped.gov.ph", "bob@r1.deped.gov.ph"


def person(email, **more):
    return {"email": email, "first_name": "Juan", "last_name": "Dela Cruz"} | more


def post(api, meeting, body):
    return api("POST", f"/meetings/{meeting['id']}/registrants", json=body)


def batch(api, meeting, people, **more):
    return api("POST", f"/meetings/{meeting['id']}/batch_registrants", json={"registrants": people} | more)


def test_with_automatic_approval_the_link_comes_at_once(api):
    made = api.schedule(settings={"approval_type": 0})
    body = post(api, made, person("a@r1.deped.gov.ph")).json()
    assert body["id"] == made["id"]
    assert body["join_url"].startswith(f"{api.base}/w/{made['id']}?tk=")


def test_with_approval_by_hand_there_is_no_link_until_approved(api):
    made = api.schedule(settings={"approval_type": 1})
    body = post(api, made, person("a@r1.deped.gov.ph")).json()
    assert "join_url" not in body
    change = {"action": "approve", "registrants": [{"id": body["registrant_id"]}]}
    assert api("PUT", f"/meetings/{made['id']}/registrants/status", json=change).status_code == 204
    [row] = api("GET", f"/meetings/{made['id']}/registrants").json()["registrants"]
    assert (row["id"], row["status"]) == (body["registrant_id"], "approved")
    assert "tk=" in row["join_url"]


def test_what_is_pushed_with_auto_approve_is_approved(api):
    made = api.schedule(settings={"approval_type": 1})
    assert "join_url" in post(api, made, person("a@r1.deped.gov.ph", auto_approve=True)).json()


def test_the_same_address_in_another_case_is_the_same_registrant(api):
    made = api.schedule()
    first = post(api, made, person("Juan@R1.deped.gov.ph")).json()["registrant_id"]
    assert post(api, made, person("juan@r1.deped.gov.ph")).json()["registrant_id"] == first
    assert len(api("GET", f"/meetings/{made['id']}/registrants?status=pending").json()["registrants"]) == 1


def test_hosts_cannot_register(api):
    made = api.schedule(settings={"approval_type": 1, "alternative_hosts": BOB})
    for email in (ADA.upper(), BOB):
        answer = post(api, made, person(email))
        assert (answer.status_code, answer.json()["code"]) == (400, 3027)


def test_an_unlicensed_host_takes_no_registrants(api, world):
    world.add_user("basic@r1.deped.gov.ph", "Basic", "User", licensed=False)
    made = api.schedule(host="basic@r1.deped.gov.ph")
    for answer in (post(api, made, person("a@b.ph")), batch(api, made, [person("a@b.ph")])):
        assert (answer.status_code, answer.json()["code"]) == (400, 200)


def test_without_registration_the_codes_differ_by_endpoint(api):
    made = api.schedule(settings={"approval_type": 2})
    single, many = post(api, made, person("a@b.ph")), batch(api, made, [person("a@b.ph")])
    assert (single.status_code, single.json()["code"]) == (404, 300)
    assert (many.status_code, many.json()["code"]) == (400, 404)


def test_after_the_class_nobody_registers(api, clock):
    made = api.schedule()
    clock.move(hours=2, seconds=1)
    api.token = ""
    assert post(api, made, person("a@b.ph")).json()["code"] == 3038


def test_a_full_meeting_says_3043_and_still_knows_its_own(api, world):
    made = api.schedule()
    api.register(made["id"], "a@b.ph", "b@b.ph")
    world.switches.capacity = 2
    assert post(api, made, person("c@b.ph")).json()["code"] == 3043
    assert batch(api, made, [person("c@b.ph")]).json()["code"] == 3043
    assert post(api, made, person("a@b.ph")).status_code == 201


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"email": "not an address"}, "email"),
        ({"email": f"{'x' * 128}@b.ph"}, "email"),
        ({"email": None}, "email"),
        ({"first_name": ""}, "first_name"),
        ({"last_name": "x" * 65}, "last_name"),
    ],
)
def test_a_bad_registrant_is_named(api, change, named):
    answer = post(api, api.schedule(), person("a@b.ph") | change)
    assert answer.json()["errors"][0]["field"] == named


def test_thirty_at_once_and_not_one_more(api):
    made = api.schedule()
    people = [person(f"learner{number}@b.ph") for number in range(31)]
    assert batch(api, made, people).json()["code"] == 300
    rows = batch(api, made, people[:30], auto_approve=True).json()["registrants"]
    assert {row["email"] for row in rows} == {one["email"] for one in people[:30]}
    assert all("tk=" in row["join_url"] for row in rows)
    assert [row["email"] for row in rows] != [one["email"] for one in people[:30]], "order is not promised"


def test_a_batch_with_one_bad_row_registers_nobody(api):
    made = api.schedule()
    assert batch(api, made, [person("a@b.ph"), person("nonsense")]).status_code == 400
    assert batch(api, made, [person("a@b.ph"), person(ADA)]).json()["code"] == 3027
    assert api("GET", f"/meetings/{made['id']}/registrants?status=pending").json()["total_records"] == 0


def test_a_batch_is_for_one_off_meetings_only(api):
    made = api.schedule(type=8, recurrence={"type": 2, "end_times": 3})
    answer = batch(api, made, [person("a@b.ph")])
    assert (answer.status_code, answer.json()["code"]) == (400, 303)


def test_a_deleted_registrant_is_in_no_list_and_comes_back_as_another(api):
    made = api.schedule()
    [first] = api.register(made["id"], "a@b.ph")
    assert api("DELETE", f"/meetings/{made['id']}/registrants/{first}").status_code == 204
    for status in ("approved", "pending", "denied"):
        where = f"/meetings/{made['id']}/registrants?status={status}"
        assert api("GET", where).json()["registrants"] == []
    answer = api("DELETE", f"/meetings/{made['id']}/registrants/{first}")
    assert (answer.status_code, answer.json()["code"]) == (400, 300)
    assert api.register(made["id"], "a@b.ph") != [first]


def test_one_registrant_can_be_read(api):
    made = api.schedule()
    [one] = api.register(made["id"], "a@b.ph")
    assert api("GET", f"/meetings/{made['id']}/registrants/{one}").json()["email"] == "a@b.ph"


def test_denied_registrants_have_no_link(api):
    made = api.schedule()
    api.register(made["id"], "a@b.ph")
    change = {"action": "deny", "registrants": [{"email": "A@b.ph"}]}
    api("PUT", f"/meetings/{made['id']}/registrants/status", json=change)
    [row] = api("GET", f"/meetings/{made['id']}/registrants?status=denied").json()["registrants"]
    assert "join_url" not in row


def test_a_bad_action_or_status_is_refused(api):
    made = api.schedule()
    where = f"/meetings/{made['id']}/registrants"
    assert api("PUT", f"{where}/status", json={"action": "bless", "registrants": []}).json()["code"] == 300
    assert api("GET", f"{where}?status=cancelled").json()["code"] == 300


def test_names_with_enye_survive(api):
    made = api.schedule(settings={"approval_type": 0})
    post(api, made, person("a@b.ph", first_name="Niño", last_name="Ibañez 😀"))
    [row] = api("GET", f"/meetings/{made['id']}/registrants").json()["registrants"]
    assert (row["first_name"], row["last_name"]) == ("Niño", "Ibañez 😀")
