"""Pages for people: see the meetings, start a class, let the learners walk in, drop, come back and leave."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from flask import Blueprint, abort, current_app, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from portal.sandbox import defaults
from portal.sandbox.simulation import class_script
from portal.sandbox.simulation.errors import Refusal
from portal.sandbox.simulation.models import (
    INSTANT,
    Instance,
    Meeting,
    Registrant,
    Stay,
)
from portal.sandbox.simulation.running_meetings import BEFORE_HOST
from portal.sandbox.simulation.simulated_zoom import World

pages = Blueprint("pages", __name__)
MANILA = ZoneInfo(defaults.TIMEZONE)
Answered = str | tuple[str, int] | BaseResponse


def world() -> World:
    """The world behind this app."""
    found: World = current_app.extensions["sandbox"].world
    return found


@dataclass(frozen=True)
class Listed:
    """A meeting in the list: `begins` is its next or nearest date, None for an instant one."""

    meeting: Meeting
    host: str
    begins: datetime | None
    registered: int
    state: str


@dataclass(frozen=True)
class Person:
    """Somebody in the list of a running class. `key` names the learner in forms."""

    key: str
    name: str
    stays: list[Stay]
    minutes: int
    inside: bool
    devices: int


# Words and times


@pages.app_template_filter("clock")
def clock(moment: datetime) -> str:
    """`8:00 AM` in Manila."""
    return moment.astimezone(MANILA).strftime("%I:%M %p").lstrip("0")


@pages.app_template_filter("day")
def day(moment: datetime) -> str:
    """`Mon 3 Nov` in Manila."""
    local = moment.astimezone(MANILA)
    return f"{local:%a} {local.day} {local:%b}"


@pages.app_context_processor
def around_every_page() -> dict[str, object]:
    """What the layout needs."""
    return {"portal_url": current_app.extensions["sandbox"].portal_url}


@pages.errorhandler(Refusal)
def refused(error: Refusal) -> tuple[str, int]:
    """A refusal in plain words; Zoom's own words small beneath."""
    gone = error.code == 3001
    title = "This meeting is not at Zoom" if gone else "Zoom said no"
    why = "It was deleted, has expired or never was." if gone else "What you asked for is not possible now."
    return render_template("sandbox/refused.html", title=title, why=why, details=error.message), error.status


@pages.app_errorhandler(403)
def forbidden(error: Exception) -> tuple[str, int]:
    """A form came from another site."""
    title, why = "This button was pressed on another page", "Open the class here and press it again."
    return render_template("sandbox/refused.html", title=title, why=why, details=""), 403


@pages.app_errorhandler(404)
def not_found(error: Exception) -> tuple[str, int]:
    """No such page."""
    title, why = "There is no such page", "The list of meetings shows what is here."
    return render_template("sandbox/refused.html", title=title, why=why, details=""), 404


# The list


@pages.get("/")
def index() -> str:
    """All meetings: today's first, then what comes, then what was."""
    with world().lock:
        found = [_listed(one) for one in world().meetings.values() if one.deleted_at is None]
        today = world().now().astimezone(MANILA).date()
    running = [one for one in found if one.state == "live"]
    rest = [one for one in found if one.state != "live"]
    groups = [
        ("Running now", running),
        ("Today", [one for one in rest if one.begins and _date(one.begins) == today]),
        ("Later", [one for one in rest if one.begins and _date(one.begins) > today]),
        ("Earlier", [one for one in rest if one.begins and _date(one.begins) < today][::-1]),
        ("At no fixed time", [one for one in rest if one.begins is None]),
    ]
    shown = [(title, sorted(group, key=_order, reverse=title == "Earlier")) for title, group in groups if group]
    return render_template("sandbox/index.html", groups=shown, today=today)


def _order(listed: Listed) -> float:
    return listed.begins.timestamp() if listed.begins else 0.0


def _date(moment: datetime) -> date:
    return moment.astimezone(MANILA).date()


def _listed(meeting: Meeting) -> Listed:
    host = world().users[meeting.host_id]
    begins = meeting.created_at if meeting.type == INSTANT else class_script.planned_start(world(), meeting.id)
    return Listed(meeting, host.name, begins, len(world().active_registrants(meeting.id)), _state(meeting))


def _state(meeting: Meeting) -> str:
    if world().running(meeting.id):
        return "live"
    return "ended" if meeting.ended_once else "scheduled"


# One class


@pages.get("/meetings/<meeting_id>")
def show(meeting_id: str) -> str:
    """The class: its clock, the buttons, who is in."""
    with world().lock:
        meeting = world().meeting_named(meeting_id)
        people = [_person(meeting_id, one) for one in class_script.learners_of(world(), meeting_id)]
        running = world().running(meeting_id)
        return render_template(
            "sandbox/meeting.html",
            meeting=meeting,
            listed=_listed(meeting),
            running=running,
            now=world().class_clock(meeting_id),
            people=people,
            others=_others(running, people),
            last=_last_ended(meeting_id),
            planned=class_script.planned_start(world(), meeting_id),
        )


def _person(meeting_id: str, learner: class_script.Learner) -> Person:
    stays = class_script.stays_now(world(), meeting_id, learner)
    return _shown(learner.registrant_id or learner.name, learner.name, stays, meeting_id)


def _shown(key: str, name: str, stays: list[Stay], meeting_id: str) -> Person:
    minutes = _together(stays, world().class_clock(meeting_id)) // 60
    return Person(key, name, stays, minutes, class_script.is_in(stays), sum(one.open for one in stays))


def _together(stays: list[Stay], now: datetime) -> int:
    """Seconds in the class: devices at the same time count once, the waiting room not at all."""
    seconds, covered = 0, datetime.fromtimestamp(0, MANILA)
    for stay in sorted(stays, key=lambda one: one.join_time):
        if stay.where != "meeting":
            continue
        begin, until = max(stay.join_time, covered), stay.leave_time or now
        seconds += max(0, int((until - begin).total_seconds()))
        covered = max(covered, until)
    return seconds


def _others(running: Instance | None, people: list[Person]) -> list[Person]:
    """The host and strangers."""
    if running is None:
        return []
    known = {stay.user_id for person in people for stay in person.stays}
    stays = world().stays_of(running.meeting_id, running.uuid)
    rest = [one for one in stays if one.user_id not in known]
    return [_shown(one.user_id, one.name, [one], running.meeting_id) for one in rest if one.open]


def _last_ended(meeting_id: str) -> Instance | None:
    ended = [one for one in world().instances_of(meeting_id) if not one.running]
    return ended[-1] if ended else None


def _start_now(meeting_id: str) -> None:
    class_script.open_class(world(), meeting_id)


def _start_as_planned(meeting_id: str) -> None:
    class_script.open_class(world(), meeting_id, class_script.planned_start(world(), meeting_id))


def _ten_minutes(meeting_id: str) -> None:
    world().advance(meeting_id, 10)


def _one_minute(meeting_id: str) -> None:
    world().advance(meeting_id, 1)


def _whole_class(meeting_id: str) -> None:
    class_script.run_whole_class(world(), meeting_id)


def _end(meeting_id: str) -> None:
    world().end(meeting_id)


def _with_world(verb: Callable[[World, str], object]) -> Callable[[str], None]:
    def act(meeting_id: str) -> None:
        verb(world(), meeting_id)

    return act


ACTIONS: dict[str, Callable[[str], None]] = {
    "start": _start_now,
    "start-as-planned": _start_as_planned,
    "ten-minutes": _ten_minutes,
    "one-minute": _one_minute,
    "walk-in": _with_world(class_script.walk_in),
    "drop": _with_world(class_script.somebody_drops),
    "come-back": _with_world(class_script.come_back),
    "stranger": _with_world(class_script.stranger_joins),
    "all-leave": _with_world(class_script.all_leave),
    "end": _end,
    "whole-class": _whole_class,
}


@pages.post("/meetings/<meeting_id>/<action>")
def act(meeting_id: str, action: str) -> Answered:
    """One of the buttons for the whole class."""
    if action not in ACTIONS:
        abort(404)
    world().meeting_named(meeting_id)
    ACTIONS[action](meeting_id)
    return redirect(url_for("pages.show", meeting_id=meeting_id))


@pages.post("/meetings/<meeting_id>/people/<action>")
def act_for_one(meeting_id: str, action: str) -> Answered:
    """A button beside a name: join, leave, or join on one more device."""
    learner = _learner(meeting_id, request.form.get("who", ""))
    if action == "leave":
        class_script.go_out(world(), meeting_id, learner)
    elif action == "join":
        class_script.enter(world(), meeting_id, learner)
    else:
        abort(404)
    return redirect(url_for("pages.show", meeting_id=meeting_id) + "#people")


def _learner(meeting_id: str, key: str) -> class_script.Learner:
    known = [one for one in class_script.learners_of(world(), meeting_id) if key in (one.registrant_id, one.name)]
    return known[0] if known else abort(404)


# What the links open


@pages.get("/s/<meeting_id>")
def host_link(meeting_id: str) -> Answered:
    """The host's start link: starts the meeting, as Zoom's does, and shows it."""
    owner = world().zak_owner(request.args.get("zak", ""))
    meeting = world().usable_meeting(meeting_id)
    if owner is None or owner.id != meeting.host_id:
        title, why = (
            "This start link has expired",
            "A start link works for two hours. Press Start class in the portal.",
        )
        return render_template("sandbox/refused.html", title=title, why=why, details=""), 403
    class_script.open_class(world(), meeting_id)
    return redirect(url_for("pages.show", meeting_id=meeting_id))


@pages.route("/w/<meeting_id>", methods=["GET", "POST"])
def personal_link(meeting_id: str) -> Answered:
    """A learner's own link: enter the class and leave it."""
    tk = request.args.get("tk", "")
    meeting, registrant = world().usable_meeting(meeting_id), world().by_tk(meeting_id, tk)
    if registrant is None:
        title, why = (
            "This link does not work",
            "It was cancelled or is not yet approved. Ask your teacher for your link.",
        )
        return render_template("sandbox/refused.html", title=title, why=why, details=""), 404
    if request.method == "POST":
        _come_or_go(registrant, request.form.get("do", ""))
        return redirect(url_for("pages.personal_link", meeting_id=meeting_id, tk=tk))
    with world().lock:
        stays = [one for one in world().stays_of(meeting_id) if one.registrant_id == registrant.id and one.open]
        return render_template(
            "sandbox/join.html",
            meeting=meeting,
            name=registrant.name,
            stays=stays,
            waiting=any(one.where == BEFORE_HOST for one in stays),
            running=world().running(meeting_id),
            now=world().class_clock(meeting_id),
        )


def _come_or_go(registrant: Registrant, do: str) -> None:
    with world().changing():
        mine = [one for one in world().stays_of(registrant.meeting_id) if one.registrant_id == registrant.id]
        if do == "leave":
            for stay in mine:
                world().leave(stay)
        elif not class_script.is_in(mine):
            class_script.enter(world(), registrant.meeting_id, class_script.Learner(registrant.name, registrant.id))


@pages.route("/j/<meeting_id>", methods=["GET", "POST"])
def common_link(meeting_id: str) -> Answered:
    """The meeting's common link, for meetings without registration: say a name and enter."""
    meeting = world().usable_meeting(meeting_id)
    if meeting.takes_registrations:
        title, why = (
            "This class takes its own learners only",
            "Open the link that is yours, or ask your teacher for it.",
        )
        return render_template("sandbox/refused.html", title=title, why=why, details=""), 403
    name = request.form.get("name", "").strip()[:64]
    if request.method == "POST" and name:
        world().join(meeting_id, name=name)
    return render_template(
        "sandbox/common.html",
        meeting=meeting,
        entered=name if request.method == "POST" else "",
        missing=request.method == "POST" and not name,
        running=world().running(meeting_id),
    )


@pages.route("/meeting/register/<code>", methods=["GET", "POST"])
def registration_form(code: str) -> Answered:
    """Zoom's own registration form, where a leaked link ends: whom the host must approve stays pending."""
    with world().lock:
        found = [one for one in world().meetings.values() if one.registration_code == code and not one.deleted_at]
    if not found:
        abort(404)
    fields = {name: request.form.get(name, "").strip() for name in ("first_name", "last_name", "email")}
    problem, registrant = "", None
    if request.method == "POST":
        try:
            registrant = world().register(found[0].id, fields)
        except Refusal as error:
            problem = ", ".join(field for field, _ in error.fields) or error.message
    return render_template(
        "sandbox/register.html", meeting=found[0], fields=fields, problem=problem, registrant=registrant
    )
