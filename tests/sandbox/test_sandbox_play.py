"""The buttons play classes that behave like classes, the same each time."""

from datetime import timedelta

import pytest

from portal.sandbox import SimulatedZoom
from portal.sandbox.simulation import class_script

ADA = "ada@r1.deped.gov.ph"


def a_class(world, learners=32, **settings):
    asked = {
        "topic": "Science 8",
        "start_time": "2026-11-03T08:00:00",
        "settings": {"approval_type": 1} | settings,
    }
    made = world.create_meeting(ADA, asked)
    for number in range(learners):
        person = {"email": f"learner{number}@b.ph", "first_name": f"Learner {number}", "auto_approve": True}
        world.register(made.id, person)
    return made


def by_person(world, meeting):
    found = {one.id: [] for one in world.active_registrants(meeting.id)}
    for stay in world.stays_of(meeting.id):
        if stay.registrant_id:
            found[stay.registrant_id].append(stay)
    return found


def test_a_whole_class_has_every_kind_of_learner_and_ends_as_planned(world):
    made = a_class(world)
    class_script.run_whole_class(world, made.id)
    [instance] = world.instances_of(made.id)
    assert instance.end_time == made.start_time + timedelta(hours=1)
    stays = by_person(world, made)
    late = made.start_time + timedelta(minutes=10)
    assert sum(not one for one in stays.values()) == 2, "never"
    assert sum(bool(one) and one[0].join_time > late for one in stays.values()) == 4, "late"
    assert sum(len(one) == 3 for one in stays.values()) == 4, "dropped and back"
    assert sum(len(one) == 2 and one[1].join_time < one[0].leave_time for one in stays.values()) == 2, "devices"
    short = [one for one in stays.values() if len(one) == 1 and one[0].seconds(instance.end_time) < 900]
    assert len(short) == 2, "short visits"
    assert all(not stay.open for one in stays.values() for stay in one)
    strangers = [one for one in world.stays_of(made.id) if one.name == class_script.STRANGER]
    assert [(one.registrant_id, one.email) for one in strangers] == [("", "")]


def test_joins_and_leaves_are_told_in_the_order_they_happen(world):
    made = a_class(world)
    class_script.run_whole_class(world, made.id)
    times = [body["event_ts"] for body in world.events(made.id) if "participant" in body["event"]]
    assert times == sorted(times)


def test_the_same_class_plays_the_same_again(clock):
    plays = []
    for _ in range(2):
        world = SimulatedZoom(now=clock, seed=1)
        world.add_user(ADA, "Ada", "Reyes")
        made = a_class(world)
        class_script.run_whole_class(world, made.id)
        plays.append([(one.name, one.join_time, one.leave_time) for one in world.stays_of(made.id)])
    assert plays[0] == plays[1]


@pytest.mark.parametrize("learners", [0, 1, 3])
@pytest.mark.parametrize("minutes", [1, 5, 60])
def test_small_and_short_classes_play_too(world, learners, minutes):
    made = a_class(world, learners)
    world.update_meeting(made.id, {"duration": minutes})
    class_script.run_whole_class(world, made.id)
    assert world.running(made.id) is None


def test_everybody_walks_in_but_one(world):
    made = a_class(world, 20)
    class_script.join_all_learners(world, made.id)
    came = [one for one in by_person(world, made).values() if one]
    assert len(came) == 19
    begun = world.instances_of(made.id)[0].start_time
    assert sum(one[0].join_time - begun > timedelta(minutes=5) for one in came) == 2
    class_script.join_all_learners(world, made.id)
    assert len([one for one in by_person(world, made).values() if one]) == 20


def test_three_drop_and_come_back_and_all_leave(world):
    made = a_class(world, 20)
    class_script.join_all_learners(world, made.id)

    def inside():
        return sum(class_script.is_in_meeting(one) for one in by_person(world, made).values())

    class_script.disconnect_some_learners(world, made.id)
    assert inside() == 16
    class_script.rejoin_all_learners(world, made.id)
    assert inside() == 19
    class_script.end_class(world, made.id)
    assert inside() == 0
    assert world.running(made.id) is not None


def test_where_there_is_a_waiting_room_learners_pass_through_it(world):
    made = a_class(world, 2, waiting_room=True)
    class_script.start_class(world, made.id)
    learner = class_script.learners_of_meeting(world, made.id)[0]
    class_script.join_learner(world, made.id, learner)
    waited, inside = class_script.current_stays_of(world, made.id, learner)
    assert (waited.where, waited.open) == ("waiting_room", False)
    assert (inside.where, inside.open) == ("meeting", True)


def test_without_registration_passers_by_come(world):
    made = world.create_meeting(ADA, {"type": 1})
    class_script.join_all_learners(world, made.id)
    names = {one.name for one in world.stays_of(made.id) if not one.zoom_user_id}
    assert names < set(class_script.PASSERS_BY)
    assert len(names) == len(class_script.PASSERS_BY) - 1
