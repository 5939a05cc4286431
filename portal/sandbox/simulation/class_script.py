"""What the buttons of the pages do: a class that behaves like a class.

Everything is repeatable: the same meeting with the same learners plays the same class.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from portal.sandbox.api.times import whole_seconds
from portal.sandbox.simulation.models import SimulatedInstance, SimulatedRegistrant, SimulatedStay
from portal.sandbox.simulation.running_meetings import IN_MEETING, IN_WAITING_ROOM
from portal.sandbox.simulation.simulated_zoom import SimulatedZoom

STRANGER = "OPPO A5s"
LOST_SIGNAL = "network connection error."
# Who walks in where nobody is registered: names as learners and their phones write them.
PASSERS_BY = (
    "Juan Miguel Dela Cruz",
    "Ma. Cristina",
    "niño ibañez",
    "ABAD JUSTINE KYLE",
    "Redmi 9A",
    "Trisha Mae M.",
    "Galaxy A03",
    "Peña, Jerome",
)


@dataclass(frozen=True)
class ScriptedLearner:
    """Somebody who may walk in: a registrant, or a name where there is no registration."""

    name: str
    registrant_id: str | None = None
    email: str = ""


@dataclass
class ScriptStep:
    """One thing somebody does, `at` seconds after the start of the class."""

    at: int
    act: Callable[[], None] = field(compare=False)


def learners_of_meeting(world: SimulatedZoom, meeting_id: str) -> list[ScriptedLearner]:
    """The approved registrants by surname; where nobody may register, some passers-by."""
    with world.lock:
        approved = [one for one in world.active_registrants(meeting_id) if one.status == "approved"]
        if not approved and not world.meeting_named(meeting_id).takes_registrations:
            return [ScriptedLearner(name) for name in PASSERS_BY]
    return [ScriptedLearner(one.name, one.id, one.email) for one in sorted(approved, key=_surname)]


def _surname(registrant: SimulatedRegistrant) -> tuple[str, str]:
    return registrant.last_name.casefold(), registrant.first_name.casefold()


def current_stays_of(world: SimulatedZoom, meeting_id: str, learner: ScriptedLearner) -> list[SimulatedStay]:
    """This learner's stays in the running class, open or over."""
    running = world.running(meeting_id)
    if running is None:
        return []
    stays = world.stays_of(meeting_id, running.uuid)
    if learner.registrant_id:
        return [one for one in stays if one.registrant_id == learner.registrant_id]
    return [one for one in stays if not one.registrant_id and not one.zoom_user_id and one.name == learner.name]


def is_in_meeting(stays: Sequence[SimulatedStay]) -> bool:
    """Whether one of these stays is open."""
    return any(one.open for one in stays)


def start_class(world: SimulatedZoom, meeting_id: str, at: datetime | None = None) -> SimulatedInstance:
    """The host starts the class and is in it; a class that runs goes on."""
    with world.changing():
        running = world.running(meeting_id)
        if running is None:
            running = world.start(meeting_id, at)
        if not any(one.open and one.zoom_user_id for one in world.stays_of(meeting_id, running.uuid)):
            world.join(meeting_id, host=True)
        return running


def join_learner(
    world: SimulatedZoom, meeting_id: str, learner: ScriptedLearner, at: datetime | None = None
) -> SimulatedStay:
    """A learner comes in; through the waiting room where there is one, admitted half a minute later."""
    waiting_room = bool(world.meeting_named(meeting_id).settings["waiting_room"])
    stay = world.join(
        meeting_id,
        registrant_id=learner.registrant_id,
        name=None if learner.registrant_id else learner.name,
        at=at,
        waiting_room=waiting_room,
    )
    return world.admit(stay, stay.join_time + timedelta(seconds=30)) if stay.where == IN_WAITING_ROOM else stay


def join_all_learners(world: SimulatedZoom, meeting_id: str) -> None:
    """Those not yet seen come: most within three minutes, a few six to twelve minutes late, one never."""
    with world.changing():
        start_class(world, meeting_id)
        dice, clock = _dice(meeting_id), world.class_clock(meeting_id)
        coming = [one for one in learners_of_meeting(world, meeting_id) if not current_stays_of(world, meeting_id, one)]
        dice.shuffle(coming)
        never = 1 if len(coming) > 3 else 0
        steps = []
        for place, learner in enumerate(coming[: len(coming) - never]):
            late = place % 9 == 8
            seconds = dice.randrange(360, 720) if late else dice.randrange(0, 180)
            steps.append((clock + timedelta(seconds=seconds), learner))
        for moment, learner in sorted(steps, key=lambda step: step[0]):
            join_learner(world, meeting_id, learner, moment)


def disconnect_some_learners(world: SimulatedZoom, meeting_id: str, how_many: int = 3) -> None:
    """Three learners who are in lose the signal."""
    with world.changing():
        inside = [
            learner
            for learner in learners_of_meeting(world, meeting_id)
            if is_in_meeting(current_stays_of(world, meeting_id, learner))
        ]
        chosen = _dice(f"{meeting_id}{len(world.stays_of(meeting_id))}").sample(inside, min(how_many, len(inside)))
        for learner in chosen:
            leave_meeting(world, meeting_id, learner, LOST_SIGNAL)


def leave_meeting(
    world: SimulatedZoom, meeting_id: str, learner: ScriptedLearner, reason: str = "left the meeting."
) -> None:
    """A learner leaves with every device."""
    with world.changing():
        for stay in current_stays_of(world, meeting_id, learner):
            if stay.open:
                world.leave(stay, reason=reason)


def rejoin_all_learners(world: SimulatedZoom, meeting_id: str) -> None:
    """Those who were in and are not now come in again."""
    with world.changing():
        for learner in learners_of_meeting(world, meeting_id):
            stays = current_stays_of(world, meeting_id, learner)
            if stays and not is_in_meeting(stays):
                join_learner(world, meeting_id, learner)


def join_unknown_person(world: SimulatedZoom, meeting_id: str) -> SimulatedStay:
    """Somebody with a device's name and nobody's link."""
    with world.changing():
        start_class(world, meeting_id)
        return world.join(meeting_id, name=STRANGER)


def end_class(world: SimulatedZoom, meeting_id: str) -> None:
    """Everybody but the host goes, within a minute."""
    with world.changing():
        running = world.running(meeting_id)
        if running is None:
            return
        clock = world.class_clock(meeting_id)
        inside = [one for one in world.stays_of(meeting_id, running.uuid) if one.open and not one.zoom_user_id]
        dice = _dice(meeting_id)
        for stay in inside:
            # A breakout room's stay closes with the one it belongs to.
            if stay.open and stay.where == IN_MEETING:
                world.leave(stay, clock + timedelta(seconds=dice.randrange(0, 60)))


def planned_start_of(world: SimulatedZoom, meeting_id: str) -> datetime | None:
    """When the class is planned: the date of a recurring one that is nearest to now; None without a time."""
    meeting = world.meeting_named(meeting_id)
    dates = [one.start_time for one in meeting.occurrences if one.status == "available"]
    if dates:
        return min(dates, key=lambda date: abs(date - world.now()))
    return meeting.start_time


def run_whole_class(world: SimulatedZoom, meeting_id: str, at: datetime | None = None) -> SimulatedInstance:
    """A class from start to end: on time, late, dropped and back, two devices, a stranger, never.

    :param at: when it begins; as planned if not given, now where nothing is planned.
    :raises Refusal: when the meeting is unknown, or runs already.
    """
    with world.changing():
        begins = whole_seconds(at or planned_start_of(world, meeting_id) or world.now())
        minutes = world.meeting_named(meeting_id).minutes
        instance = world.start(meeting_id, begins - timedelta(minutes=2))
        world.join(meeting_id, host=True)
        for step in sorted(_script(world, meeting_id, begins, minutes), key=lambda one: one.at):
            step.act()
        world.end(meeting_id, begins + timedelta(minutes=minutes))
        return instance


def _script(world: SimulatedZoom, meeting_id: str, begins: datetime, minutes: int) -> list[ScriptStep]:
    dice, length = _dice(meeting_id), minutes * 60
    learners = learners_of_meeting(world, meeting_id)
    dice.shuffle(learners)
    steps: list[ScriptStep] = []

    def visit(learner: ScriptedLearner, comes: int, goes: int | None) -> None:
        """One stay from second `comes` to second `goes`, or to the end; squeezed into a short class."""
        comes = min(comes, length - 2)
        goes = goes and min(max(goes, comes + 1), length)
        stays: list[SimulatedStay] = []
        come_at = begins + timedelta(seconds=comes)
        steps.append(ScriptStep(comes, lambda: stays.append(join_learner(world, meeting_id, learner, come_at))))
        if goes is not None:
            go_at = begins + timedelta(seconds=goes)
            steps.append(ScriptStep(goes, lambda: _leave(world, stays[0], go_at)))

    for place, learner in enumerate(learners):
        for comes, goes in _visits(place, dice, length):
            visit(learner, comes, goes)
    visit(ScriptedLearner(STRANGER), dice.randrange(200, 400), length - 90)
    return steps


def _leave(world: SimulatedZoom, stay: SimulatedStay, at: datetime) -> None:
    world.leave(stay, at, LOST_SIGNAL)


def _visits(place: int, dice: random.Random, length: int) -> list[tuple[int, int | None]]:
    """When the learner at this place comes and goes, in seconds after the start; None is the end."""
    on_time = dice.randrange(0, 150)
    leaves = length - dice.randrange(5, 90) if dice.random() < 0.6 else None
    match place % 16:
        case 0:
            return []  # never comes
        case 2 | 10:
            return [(dice.randrange(length // 5, length // 3), leaves)]  # late
        case 4 | 12:  # the signal drops, once or twice
            first, second = length // 4 + dice.randrange(60), length // 2 + dice.randrange(120)
            back = first + 90 + dice.randrange(120)
            return [(on_time, first), (back, second), (second + 60 + dice.randrange(60), leaves)]
        case 6:
            return [(on_time, leaves), (length // 6, length // 2)]  # a phone and a laptop
        case 8:
            return [(on_time, on_time + min(length // 4, 400))]  # a short visit
    return [(on_time, leaves)]


def _dice(key: str) -> random.Random:
    return random.Random(key)  # noqa: S311 - a class must play the same again, nothing secret
