"""Rate limits and daily quotas, with the headers as Zoom sends them."""

import pytest

from portal.sandbox import SimulatedZoom, ZoomApiError
from portal.sandbox.simulation.rate_limits import HEAVY, LIGHT

ADA, BOB = "ada@r1.deped.gov.ph", "bob@r1.deped.gov.ph"


class Ticks:
    """Seconds that pass only when told."""

    def __init__(self):
        self.at = 100.0

    def __call__(self):
        return self.at


def person(email):
    return {"email": email, "first_name": "Juan", "auto_approve": True}


def test_pro_allows_thirty_light_calls_a_second(clock):
    ticks = Ticks()
    limits = SimulatedZoom(now=clock, plan="pro", ticks=ticks).limits
    for _ in range(30):
        limits.admit(LIGHT)
    with pytest.raises(ZoomApiError) as refused:
        limits.admit(LIGHT)
    assert refused.value.status == refused.value.code == 429
    assert refused.value.headers == {"X-RateLimit-Category": "Light", "X-RateLimit-Type": "QPS"}
    ticks.at += 1
    limits.admit(LIGHT)


def test_the_daily_cap_says_until_when_in_iso(clock):
    limits = SimulatedZoom(now=clock, plan="pro").limits
    limits.per_day[HEAVY] = 2
    limits.admit(HEAVY)
    limits.admit(HEAVY)
    with pytest.raises(ZoomApiError) as refused:
        limits.admit(HEAVY)
    headers = refused.value.headers
    assert headers["Retry-After"] == "2026-11-03T00:00:00Z"
    assert (headers["X-RateLimit-Type"], headers["X-RateLimit-Remaining"]) == ("Daily-limit", "0")
    clock.move(hours=1)
    limits.admit(HEAVY)


def test_the_hundred_and_first_write_for_a_host_is_refused_without_a_date(api, world, clock):
    world.limits.host_per_day = 3
    made = api.schedule()
    api.schedule()
    api("PATCH", f"/meetings/{made['id']}", json={"topic": "Other"})
    answer = api("POST", f"/users/{ADA}/meetings", json={"topic": "One too many"})
    assert (answer.status_code, answer.json()["code"]) == (429, 429)
    assert "Retry-After" not in answer.headers
    assert "X-RateLimit-Type" not in answer.headers
    assert answer.headers["X-RateLimit-Category"] == "Light"
    api.schedule(host=BOB)
    assert api("DELETE", f"/meetings/{made['id']}").status_code == 204
    clock.move(hours=1)
    api.token = ""
    api.schedule()


def test_a_learner_may_be_posted_three_times_a_day_for_a_meeting(api, world, clock):
    made, other = api.schedule(start_time="2026-11-05T08:00:00"), api.schedule()
    where = f"/meetings/{made['id']}/registrants"
    for _ in range(3):
        assert api("POST", where, json=person("a@b.ph")).status_code == 201
    answer = api("POST", where, json=person("A@b.ph"))
    assert (answer.status_code, answer.headers["X-RateLimit-Limit"]) == (429, "3")
    assert "GMT 00:00:00" in answer.json()["message"]
    assert world.registration_posts(str(made["id"]), "a@b.ph") == 4
    api.register(other["id"], "a@b.ph")
    clock.move(hours=1)
    api.token = ""
    assert api("POST", where, json=person("a@b.ph")).status_code == 201


def test_the_three_a_day_may_be_counted_over_all_meetings(api, world):
    world.limits.registrant_counts_over_all_meetings = True
    meetings = [api.schedule()["id"] for _ in range(4)]
    for meeting_id in meetings[:3]:
        api.register(meeting_id, "a@b.ph")
    answer = api("POST", f"/meetings/{meetings[3]}/registrants", json=person("a@b.ph"))
    assert answer.status_code == 429


def test_a_registrants_status_changes_ten_times_a_day(world):
    made = world.create_meeting(ADA, {"type": 1, "settings": {"approval_type": 0}})
    one = world.register(made.id, person("a@b.ph"))
    for turn in range(10):
        world.set_registrants_status(made.id, "deny" if turn % 2 == 0 else "approve", [{"id": one.id}])
    with pytest.raises(ZoomApiError) as refused:
        world.set_registrants_status(made.id, "deny", [{"id": one.id}])
    assert refused.value.status == 429


def test_a_free_plan_has_no_reports(world):
    made = world.create_meeting(ADA, {"type": 1})
    instance = world.start(made.id)
    world.end(made.id)
    world.limits.plan = "free"
    for look in (world.report_participants, world.past_participants, world.report_meeting):
        with pytest.raises(ZoomApiError) as refused:
            look(instance.uuid)
        assert (refused.value.status, refused.value.code) == (400, 200)
