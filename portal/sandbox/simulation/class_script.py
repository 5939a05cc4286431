"""Scripted classes for the pages' buttons and the demo: learners who join, drop out, return and leave.

Reproducible: the same meeting with the same learners always gives the same class.
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
# Participants of a meeting without registration: names as learners and their phones write them.
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
    """A learner who may join: a registrant, or a name if there is no registration."""

    name: str
    registrant_id: str | None = None
    email: str = ""


@dataclass
class ScriptStep:
    """One action, `at` seconds after the start of the class."""

    at: int
    act: Callable[[], None] = field(compare=False)


def learners_of_meeting(world: SimulatedZoom, meeting_id: str) -> list[ScriptedLearner]:
    """The approved registrants by surname; without registration, the names of PASSERS_BY."""
    with world.lock:
        approved = [one for one in world.active_registrants(meeting_id) if one.status == "approved"]
        if not approved and not world.meeting_named(meeting_id).takes_registrations:
            return [ScriptedLearner(name) for name in PASSERS_BY]
    return [ScriptedLearner(one.name, one.id, one.email) for one in sorted(approved, key=_surname)]


def _surname(registrant: SimulatedRegistrant) -> tuple[str, str]:
    return registrant.last_name.casefold(), registrant.first_name.casefold()


def current_stays_of(world: SimulatedZoom, meeting_id: str, learner: ScriptedLearner) -> list[SimulatedStay]:
    """The learner's stays in the running instance, open and ended."""
    running = world.running(meeting_id)
    if running is None:
        return []
    stays = world.stays_of(meeting_id, running.uuid)
    if learner.registrant_id:
        return [one for one in stays if one.registrant_id == learner.registrant_id]
    return [one for one in stays if not one.registrant_id and not one.zoom_user_id and one.name == learner.name]


def is_in_meeting(stays: Sequence[SimulatedStay]) -> bool:
    """True if one of these stays is open."""
    return any(one.open for one in stays)


def start_class(world: SimulatedZoom, meeting_id: str, at: datetime | None = None) -> SimulatedInstance:
    """The host starts the class and joins; a running class continues."""
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
    """A learner joins; through the waiting room if it is on, admitted after 30 seconds."""
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
    """Learners who have not joined yet join: most within three minutes, a few six to twelve minutes late, one never."""
    with world.changing():
        start_class(world, meeting_id)
        rng, clock = _seeded_random(meeting_id), world.class_clock(meeting_id)
        absent_learners = [
            one for one in learners_of_meeting(world, meeting_id) if not current_stays_of(world, meeting_id, one)
        ]
        rng.shuffle(absent_learners)
        never_count = 1 if len(absent_learners) > 3 else 0
        steps = []
        for position, learner in enumerate(absent_learners[: len(absent_learners) - never_count]):
            is_late = position % 9 == 8
            seconds = rng.randrange(360, 720) if is_late else rng.randrange(0, 180)
            steps.append((clock + timedelta(seconds=seconds), learner))
        for moment, learner in sorted(steps, key=lambda step: step[0]):
            join_learner(world, meeting_id, learner, moment)


def disconnect_some_learners(world: SimulatedZoom, meeting_id: str, count: int = 3) -> None:
    """Some learners who are in (default three) lose their connection."""
    with world.changing():
        present = [
            learner
            for learner in learners_of_meeting(world, meeting_id)
            if is_in_meeting(current_stays_of(world, meeting_id, learner))
        ]
        dropped = _seeded_random(f"{meeting_id}{len(world.stays_of(meeting_id))}").sample(
            present, min(count, len(present))
        )
        for learner in dropped:
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
    """Learners who were in and are not now join again."""
    with world.changing():
        for learner in learners_of_meeting(world, meeting_id):
            stays = current_stays_of(world, meeting_id, learner)
            if stays and not is_in_meeting(stays):
                join_learner(world, meeting_id, learner)


def join_unknown_person(world: SimulatedZoom, meeting_id: str) -> SimulatedStay:
    """A participant joins under a device's name and without a personal link."""
    with world.changing():
        start_class(world, meeting_id)
        return world.join(meeting_id, name=STRANGER)


def end_class(world: SimulatedZoom, meeting_id: str) -> None:
    """Everybody but the host leaves, within a minute."""
    with world.changing():
        running = world.running(meeting_id)
        if running is None:
            return
        clock = world.class_clock(meeting_id)
        open_stays = [one for one in world.stays_of(meeting_id, running.uuid) if one.open and not one.zoom_user_id]
        rng = _seeded_random(meeting_id)
        for stay in open_stays:
            # A breakout stay ends with the meeting stay it belongs to.
            if stay.open and stay.where == IN_MEETING:
                world.leave(stay, clock + timedelta(seconds=rng.randrange(0, 60)))


def planned_start_of(world: SimulatedZoom, meeting_id: str) -> datetime | None:
    """The planned start: of a recurring meeting, that of the occurrence nearest to now; None without a time."""
    meeting = world.meeting_named(meeting_id)
    starts = [one.start_time for one in meeting.occurrences if one.status == "available"]
    if starts:
        return min(starts, key=lambda date: abs(date - world.now()))
    return meeting.start_time


def run_whole_class(world: SimulatedZoom, meeting_id: str, at: datetime | None = None) -> SimulatedInstance:
    """A class from start to end: learners on time, late, disconnected and back, on two devices, absent, and an unknown
    participant.

    :param at: start; default: as planned, or now if nothing is planned.
    :raises ZoomApiError: if the meeting is unknown, or running already.
    """
    with world.changing():
        starts_at = whole_seconds(at or planned_start_of(world, meeting_id) or world.now())
        minutes = world.meeting_named(meeting_id).minutes
        instance = world.start(meeting_id, starts_at - timedelta(minutes=2))
        world.join(meeting_id, host=True)
        for step in sorted(_script(world, meeting_id, starts_at, minutes), key=lambda one: one.at):
            step.act()
        world.end(meeting_id, starts_at + timedelta(minutes=minutes))
        return instance


def _script(world: SimulatedZoom, meeting_id: str, starts_at: datetime, minutes: int) -> list[ScriptStep]:
    rng, length = _seeded_random(meeting_id), minutes * 60
    learners = learners_of_meeting(world, meeting_id)
    rng.shuffle(learners)
    steps: list[ScriptStep] = []

    def visit(learner: ScriptedLearner, join_second: int, leave_second: int | None) -> None:
        """Add a stay from second `join_second` to `leave_second` (None: to the end), shortened to fit a short class."""
        join_second = min(join_second, length - 2)
        leave_second = leave_second and min(max(leave_second, join_second + 1), length)
        stays: list[SimulatedStay] = []
        joins_at = starts_at + timedelta(seconds=join_second)
        steps.append(ScriptStep(join_second, lambda: stays.append(join_learner(world, meeting_id, learner, joins_at))))
        if leave_second is not None:
            leaves_at = starts_at + timedelta(seconds=leave_second)
            steps.append(ScriptStep(leave_second, lambda: _end_stay(world, stays[0], leaves_at)))

    for position, learner in enumerate(learners):
        for comes, goes in _visits(position, rng, length):
            visit(learner, comes, goes)
    visit(ScriptedLearner(STRANGER), rng.randrange(200, 400), length - 90)
    return steps


def _end_stay(world: SimulatedZoom, stay: SimulatedStay, at: datetime) -> None:
    world.leave(stay, at, LOST_SIGNAL)


def _visits(position: int, rng: random.Random, length: int) -> list[tuple[int, int | None]]:
    """When the learner at this position joins and leaves, in seconds after the start; None is the end."""
    join_second = rng.randrange(0, 150)
    leave_second = length - rng.randrange(5, 90) if rng.random() < 0.6 else None
    match position % 16:
        case 0:
            return []  # absent
        case 2 | 10:
            return [(rng.randrange(length // 5, length // 3), leave_second)]  # late
        case 4 | 12:  # connection lost, once or twice
            first_drop, second_drop = length // 4 + rng.randrange(60), length // 2 + rng.randrange(120)
            rejoin = first_drop + 90 + rng.randrange(120)
            return [
                (join_second, first_drop),
                (rejoin, second_drop),
                (second_drop + 60 + rng.randrange(60), leave_second),
            ]
        case 6:
            return [(join_second, leave_second), (length // 6, length // 2)]  # a phone and a laptop
        case 8:
            return [(join_second, join_second + min(length // 4, 400))]  # a short visit
    return [(join_second, leave_second)]


def _seeded_random(key: str) -> random.Random:
    return random.Random(key)  # noqa: S311 - reproducible, no secret
