"""A class while it runs: who comes, waits, drops, comes back and leaves, and what Zoom says of it."""

from datetime import UTC, datetime, timedelta

import pytest

from portal.sandbox import ZoomApiError

ADA = "ada@r1.deped.gov.ph"
EIGHT = datetime(2026, 11, 3, 0, 0, tzinfo=UTC)


def minute(number):
    return EIGHT + timedelta(minutes=number)


@pytest.fixture
def science(world):
    """A meeting with two registered learners."""
    asked = {"topic": "Science 8", "start_time": "2026-11-03T08:00:00", "settings": {"approval_type": 1}}
    made = world.create_meeting(ADA, asked)
    for email, name in (("sam@b.ph", "Sam"), ("niño@b.ph", "Niño")):
        world.register(made.id, {"email": email, "first_name": name, "auto_approve": True})
    return made


@pytest.fixture
def sam(world, science):
    return world.active_registrants(science.id)[0]


def names(world, meeting):
    told = [body["event"].removeprefix("meeting.") for body in world.events(meeting.id)]
    return [name for name in told if not name.startswith(("created", "registration"))]


def participant(world, meeting, number=-1):
    return world.events(meeting.id)[number]["payload"]["object"]["participant"]


def test_every_start_is_a_new_instance_of_the_same_meeting(world, science):
    first = world.start(science.id, EIGHT)
    world.end(science.id, minute(60))
    second = world.start(science.id, minute(70))
    assert first.uuid != second.uuid
    assert [one.uuid for one in world.instances_of(science.id)] == [first.uuid, second.uuid]
    with pytest.raises(ZoomApiError):
        world.start(science.id)


def test_the_id_is_text_in_running_events_and_a_number_in_others(world, science):
    world.start(science.id, EIGHT)
    created, started = world.events(science.id)[0], world.events(science.id)[-1]
    assert created["payload"]["object"]["id"] == int(science.id)
    assert started["payload"]["object"]["id"] == science.id
    world.switches.id_as = "number"
    world.join(science.id, name="X")
    assert world.events(science.id)[-1]["payload"]["object"]["id"] == int(science.id)


def test_a_learner_is_known_by_registrant_id_and_nothing_else_stays(world, science, sam):
    world.start(science.id, EIGHT)
    first = world.join(science.id, registrant_id=sam.id, at=minute(1))
    told = participant(world, science)
    assert (told["registrant_id"], told["email"], told["id"]) == (sam.id, "sam@b.ph", "")
    assert told["join_time"] == "2026-11-03T00:01:00Z"
    world.leave(first, minute(20))
    again = world.join(science.id, registrant_id=sam.id, at=minute(22))
    assert again.user_id != first.user_id
    assert again.participant_uuid != first.participant_uuid


def test_a_stranger_has_a_name_and_nothing_more(world, science):
    world.start(science.id, EIGHT)
    world.join(science.id, name="OPPO A5s", at=minute(1))
    told = participant(world, science)
    assert (told["user_name"], told["email"], told["id"]) == ("OPPO A5s", "", "")
    assert "registrant_id" not in told


def test_the_host_is_known_by_the_zoom_id(world, science):
    world.start(science.id, EIGHT)
    world.join(science.id, host=True)
    told = participant(world, science)
    assert told["id"] == told["participant_user_id"] == science.host_id
    assert told["email"] == ADA


def test_a_customer_key_is_echoed(world, science, sam):
    world.start(science.id, EIGHT)
    world.join(science.id, registrant_id=sam.id, customer_key="k1")
    assert participant(world, science)["customer_key"] == "k1"


def test_a_cancelled_link_does_not_let_in(world, science, sam):
    world.start(science.id, EIGHT)
    world.set_registrants_status(science.id, "deny", [{"id": sam.id}])
    with pytest.raises(ZoomApiError):
        world.join(science.id, registrant_id=sam.id)


def test_ending_sends_everybody_out_first(world, science, sam):
    world.start(science.id, EIGHT)
    world.join(science.id, host=True)
    world.join(science.id, registrant_id=sam.id, at=minute(1))
    world.end(science.id, minute(60))
    assert names(world, science)[-3:] == ["participant_left", "participant_left", "ended"]
    ended = world.events(science.id)[-1]["payload"]["object"]
    assert (ended["start_time"], ended["end_time"]) == ("2026-11-03T00:00:00Z", "2026-11-03T01:00:00Z")
    assert "<br>Reason: Host ended the meeting." in participant(world, science, -2)["leave_reason"]
    with pytest.raises(ZoomApiError):
        world.end(science.id)


def test_waiting_for_the_host_and_coming_in_when_the_host_does(world, science, sam):
    waiting = world.join(science.id, registrant_id=sam.id, at=minute(-5))
    assert waiting.where == "before_host"
    world.start(science.id, EIGHT)
    assert names(world, science) == [
        "participant_jbh_waiting",
        "started",
        "participant_jbh_joined",
        "participant_joined",
    ]
    assert participant(world, science)["join_time"] == "2026-11-03T00:00:00Z"


def test_who_stops_waiting_for_the_host_is_told_too(world, science, sam):
    waiting = world.join(science.id, registrant_id=sam.id, at=minute(-5))
    world.leave(waiting, minute(-1))
    assert names(world, science)[-1] == "participant_jbh_waiting_left"
    world.start(science.id, EIGHT)
    assert names(world, science)[-1] == "started"


def test_joining_before_the_host_starts_the_meeting_where_it_is_allowed(world, science, sam):
    world.update_meeting(science.id, {"settings": {"join_before_host": True}})
    world.join(science.id, registrant_id=sam.id, at=minute(-3))
    assert names(world, science)[-2:] == ["started", "participant_joined"]


def test_through_the_waiting_room(world, science, sam):
    world.start(science.id, EIGHT)
    waiting = world.join(science.id, registrant_id=sam.id, at=minute(1), waiting_room=True)
    inside = world.admit(waiting, minute(3))
    moved = world.put_in_waiting_room(inside, minute(10))
    world.leave(moved, minute(12))
    assert names(world, science)[1:] == [
        "participant_joined_waiting_room",
        "participant_admitted",
        "participant_joined",
        "participant_left",
        "participant_put_in_waiting_room",
        "participant_left_waiting_room",
    ]
    assert inside.user_id == waiting.user_id
    assert "date_time" in participant(world, science)
    with pytest.raises(ZoomApiError):
        world.admit(inside)


def test_a_breakout_room_is_a_second_session_that_closes_with_the_first(world, science, sam):
    world.start(science.id, EIGHT)
    inside = world.join(science.id, registrant_id=sam.id, at=minute(1))
    visit = world.join_breakout_room(inside, minute(10))
    told = world.events(science.id)[-1]["payload"]["object"]
    assert told["participant"]["parent_user_id"] == inside.user_id
    assert told["breakout_room_uuid"] == visit.room_uuid
    world.leave_breakout_room(visit, minute(20))
    world.join_breakout_room(inside, minute(25))
    world.leave(inside, minute(30))
    assert names(world, science)[-2:] == ["participant_left_breakout_room", "participant_left"]


def test_the_class_clock_starts_now_moves_on_and_never_back(world, science, sam, clock):
    world.start(science.id)
    assert world.class_clock(science.id) == clock()
    world.advance(science.id, 10)
    world.join(science.id, registrant_id=sam.id)
    assert world.stays_of(science.id)[-1].join_time == clock() + timedelta(minutes=10)
    world.join(science.id, name="Late", at=clock() + timedelta(minutes=30))
    world.join(science.id, name="Told late", at=clock() + timedelta(minutes=5))
    assert world.class_clock(science.id) == clock() + timedelta(minutes=30)
    clock.move(minutes=1)
    assert world.class_clock(science.id) == clock() + timedelta(minutes=30)


def test_leaving_twice_is_leaving_once(world, science, sam):
    world.start(science.id, EIGHT)
    stay = world.join(science.id, registrant_id=sam.id, at=minute(1))
    world.leave(stay.user_id, minute(5))
    told = len(world.events(science.id))
    assert world.leave(stay, minute(9)).leave_time == minute(5)
    assert len(world.events(science.id)) == told


def test_a_running_meeting_is_not_deleted(world, science):
    world.start(science.id, EIGHT)
    with pytest.raises(ZoomApiError) as refused:
        world.delete_meeting(science.id)
    assert refused.value.code == 3002


def test_of_every_five_instances_one_uuid_begins_with_a_slash_and_one_has_two(world, science):
    uuids = []
    for hour in range(5):
        uuids.append(world.start(science.id, EIGHT + timedelta(hours=hour)).uuid)
        world.end(science.id, EIGHT + timedelta(hours=hour, minutes=30))
    assert sum(uuid.startswith("/") for uuid in uuids) == 1
    assert sum("//" in uuid for uuid in uuids) == 1
