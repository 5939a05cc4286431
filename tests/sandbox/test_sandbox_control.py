"""The control plane drives everything that the verbs and faults can."""

import pytest

from portal.sandbox import WebhookSender, create_sandbox

ADA = "ada@r1.deped.gov.ph"


@pytest.fixture
def sim(world, endpoint):
    sender = WebhookSender(world, "http://portal.test/hook", "s3cret", post=endpoint)
    client = create_sandbox(world, sender, public_url="http://zoom.test").test_client()

    def call(verb, where, expected=200, /, **body):
        answer = client.open(f"/_sim{where}", method=verb, json=body or None)
        assert answer.status_code == expected, answer.text
        return answer.json

    call.client = client
    return call


def test_a_class_by_remote_control(sim, world, endpoint):
    user = sim("POST", "/users", email="cora@r1.deped.gov.ph", first_name="Cora")
    made = world.create_meeting(user["id"], {"settings": {"approval_type": 0}})
    world.register(made.id, {"email": "Sam@b.ph", "first_name": "Sam"})
    sim("POST", "/start", meeting_id=made.id, at="2026-11-03T08:00:00+08:00", uuid="/x//y==")
    stay = sim("POST", "/join", meeting_id=made.id, registrant="sam@b.ph", waiting_room=True)
    stay = sim("POST", "/admit", user_id=stay["user_id"])
    room = sim("POST", "/breakout/join", user_id=stay["user_id"])
    sim("POST", "/breakout/leave", user_id=room["user_id"])
    assert sim("POST", "/advance", meeting_id=made.id, minutes=10)["clock"] == "2026-11-03T00:10:00+00:00"
    moved = sim("POST", "/waiting_room", user_id=stay["user_id"])
    sim("POST", "/leave", user_id=moved["user_id"], reason="enough.")
    sim("POST", "/end", meeting_id=made.id)
    assert len(sim("GET", f"/meetings/{made.id}")["stays"]) == 4
    assert sim("GET", f"/events?meeting_id={made.id}")["events"][-1]["event"] == "meeting.ended"
    assert sim("GET", "/state")["meetings"][0]["instances"] == ["/x//y=="]
    assert sim("POST", "/webhook/pump")["sent"] == len(endpoint.got) > 8


def test_nonsense_is_refused_in_words(sim):
    assert sim("POST", "/start", 400)["error"] == "meeting_id is missing"
    assert sim("POST", "/start", 404, meeting_id="1")["code"] == 3001
    assert "offset" in sim("POST", "/end", 400, meeting_id="1", at="2026-11-03T08:00:00")["error"]
    assert "ISO" in sim("POST", "/end", 400, meeting_id="1", at="eight")["error"]
    assert "earthquake" in sim("POST", "/faults", 400, kind="earthquake")["error"]
    assert "switch" in sim("POST", "/switches", 400, moon=True)["error"]
    assert "plans" in sim("POST", "/plan", 400, plan="gold")["error"]
    assert sim.client.post("/_sim/end", data="{").status_code == 400
    assert sim.client.post("/_sim/end", data="[]").status_code == 400


def test_faults_plans_and_switches(sim, world):
    sim("POST", "/faults", method="GET", path="/users", status=429, json={"code": 429}, headers={"a": "b"})
    assert len(sim("GET", "/faults")["faults"]) == 1
    answer = sim.client.get("/v2/users")
    assert (answer.status_code, answer.json, answer.headers["a"]) == (429, {"code": 429}, "b")
    assert sim("GET", "/calls?method=GET&path=users$")["calls"] == 1
    sim("DELETE", "/calls")
    assert sim("GET", "/calls")["calls"] == 0
    sim("POST", "/latency", ms=1)
    sim("DELETE", "/faults")
    sim("POST", "/plan", plan="free", per_day={"Light": 5}, host_per_day=9)
    assert (world.limits.plan, world.limits.per_day["Light"], world.limits.host_per_day) == ("free", 5, 9)
    sim("POST", "/switches", report_delay=60, strict_me=True)
    assert (world.switches.report_delay.total_seconds(), world.switches.strict_me) == (60.0, True)
    sim("POST", "/tokens/revoke")


def test_webhook_faults_by_remote_control(sim, world, endpoint):
    sim("POST", "/webhook/faults", hold=r"meeting\.created", age=60, shuffle_seed=1)
    world.create_meeting(ADA, {"type": 1})
    assert sim("POST", "/webhook/pump")["sent"] == 0
    assert sim("POST", "/webhook/release")["released"] == 1
    assert sim("POST", "/webhook/pump")["sent"] == 1
    assert sim("GET", "/webhook")["deliveries"][0]["state"] == "delivered"
    assert sim("POST", "/webhook/validate")["valid"] is False
    assert sim("POST", "/webhook", url="http://other.test/")["url"] == "http://other.test/"


def test_a_reset_empties_the_account(sim, world):
    sim("POST", "/reset")
    assert world.users == {}


def test_a_sandbox_without_webhook_says_so(world):
    client = create_sandbox(world, public_url="http://zoom.test").test_client()
    assert client.get("/_sim/webhook").status_code == 400


def test_other_sites_cannot_drive_it(sim):
    answer = sim.client.post("/_sim/reset", headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403
