"""Pages of the simulated Zoom: list meetings, start a class, and let learners join, disconnect, return and leave."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from flask import Blueprint, abort, current_app, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from portal.sandbox import defaults
from portal.sandbox.simulation import class_script
from portal.sandbox.simulation.errors import ZoomApiError
from portal.sandbox.simulation.models import (
    INSTANT,
    SimulatedInstance,
    SimulatedMeeting,
    SimulatedRegistrant,
    SimulatedStay,
)
from portal.sandbox.simulation.running_meetings import BEFORE_HOST
from portal.sandbox.simulation.simulated_zoom import SimulatedZoom

pages = Blueprint("pages", __name__)
MANILA = ZoneInfo(defaults.TIMEZONE)
Answered = str | tuple[str, int] | BaseResponse


def current_simulated_zoom() -> SimulatedZoom:
    """The simulation behind this app."""
    zoom: SimulatedZoom = current_app.extensions["sandbox"].world
    return zoom


@dataclass(frozen=True)
class MeetingListItem:
    """A meeting in the list: `begins` is its next or nearest start, None without fixed time."""

    meeting: SimulatedMeeting
    host: str
    begins: datetime | None
    registered: int
    state: str


@dataclass(frozen=True)
class ParticipantCard:
    """A participant in the list of a running class. `key` identifies the learner in forms."""

    key: str
    name: str
    stays: list[SimulatedStay]
    minutes: int
    inside: bool
    devices: int


# Words and times


@pages.app_template_filter("clock")
def format_clock_time(moment: datetime) -> str:
    """`8:00 AM` in Manila."""
    return moment.astimezone(MANILA).strftime("%I:%M %p").lstrip("0")


@pages.app_template_filter("day")
def format_card_date(moment: datetime) -> str:
    """`Mon 3 Nov` in Manila."""
    local = moment.astimezone(MANILA)
    return f"{local:%a} {local.day} {local:%b}"


@pages.app_context_processor
def template_context() -> dict[str, object]:
    """Variables of the layout."""
    return {"portal_url": current_app.extensions["sandbox"].portal_url}


@pages.errorhandler(ZoomApiError)
def render_refusal_page(error: ZoomApiError) -> tuple[str, int]:
    """An error of the simulated API as a page, with Zoom's own message below."""
    is_deleted = error.code == 3001
    title = "This meeting is not at Zoom" if is_deleted else "Zoom said no"
    why = "It was deleted, has expired or never was." if is_deleted else "What you asked for is not possible now."
    return render_template("sandbox/refused.html", title=title, why=why, details=error.message), error.status


@pages.app_errorhandler(403)
def render_forbidden_page(error: Exception) -> tuple[str, int]:
    """403: a form was submitted from another site."""
    title, why = "This button was pressed on another page", "Open the class here and press it again."
    return render_template("sandbox/refused.html", title=title, why=why, details=""), 403


@pages.app_errorhandler(404)
def render_not_found_page(error: Exception) -> tuple[str, int]:
    """404."""
    title, why = "There is no such page", "The list of meetings shows what is here."
    return render_template("sandbox/refused.html", title=title, why=why, details=""), 404


# List of meetings


@pages.get("/")
def list_meetings_page() -> str:
    """All meetings: running, today's, later and earlier ones."""
    with current_simulated_zoom().lock:
        meeting_list_items = [
            _to_list_item(one) for one in current_simulated_zoom().meetings.values() if one.deleted_at is None
        ]
        today = current_simulated_zoom().now().astimezone(MANILA).date()
    running = [one for one in meeting_list_items if one.state == "live"]
    not_running = [one for one in meeting_list_items if one.state != "live"]
    groups = [
        ("Running now", running),
        ("Today", [one for one in not_running if one.begins and _date(one.begins) == today]),
        ("Later", [one for one in not_running if one.begins and _date(one.begins) > today]),
        ("Earlier", [one for one in not_running if one.begins and _date(one.begins) < today][::-1]),
        ("At no fixed time", [one for one in not_running if one.begins is None]),
    ]
    sorted_groups = [
        (title, sorted(group, key=_sort_key, reverse=title == "Earlier")) for title, group in groups if group
    ]
    return render_template("sandbox/index.html", groups=sorted_groups, today=today)


def _sort_key(listed: MeetingListItem) -> float:
    return listed.begins.timestamp() if listed.begins else 0.0


def _date(moment: datetime) -> date:
    return moment.astimezone(MANILA).date()


def _to_list_item(meeting: SimulatedMeeting) -> MeetingListItem:
    host = current_simulated_zoom().users[meeting.host_id]
    begins = (
        meeting.created_at
        if meeting.type == INSTANT
        else class_script.planned_start_of(current_simulated_zoom(), meeting.id)
    )
    return MeetingListItem(
        meeting, host.name, begins, len(current_simulated_zoom().active_registrants(meeting.id)), _state(meeting)
    )


def _state(meeting: SimulatedMeeting) -> str:
    if current_simulated_zoom().running(meeting.id):
        return "live"
    return "ended" if meeting.ended_once else "scheduled"


# One class


@pages.get("/meetings/<meeting_id>")
def show_meeting_room(meeting_id: str) -> str:
    """A meeting: its class clock, the buttons, the participants."""
    with current_simulated_zoom().lock:
        meeting = current_simulated_zoom().meeting_named(meeting_id)
        people = [
            _learner_card(meeting_id, learner)
            for learner in class_script.learners_of_meeting(current_simulated_zoom(), meeting_id)
        ]
        running = current_simulated_zoom().running(meeting_id)
        return render_template(
            "sandbox/meeting.html",
            meeting=meeting,
            listed=_to_list_item(meeting),
            running=running,
            now=current_simulated_zoom().class_clock(meeting_id),
            people=people,
            others=_other_participants(running, people),
            last=_last_ended(meeting_id),
            planned=class_script.planned_start_of(current_simulated_zoom(), meeting_id),
        )


def _learner_card(meeting_id: str, learner: class_script.ScriptedLearner) -> ParticipantCard:
    stays = class_script.current_stays_of(current_simulated_zoom(), meeting_id, learner)
    return _to_card(learner.registrant_id or learner.name, learner.name, stays, meeting_id)


def _to_card(key: str, name: str, stays: list[SimulatedStay], meeting_id: str) -> ParticipantCard:
    minutes = _seconds_in_meeting(stays, current_simulated_zoom().class_clock(meeting_id)) // 60
    return ParticipantCard(key, name, stays, minutes, class_script.is_in_meeting(stays), sum(one.open for one in stays))


def _seconds_in_meeting(stays: list[SimulatedStay], now: datetime) -> int:
    """Seconds in the meeting: overlapping devices count once, the waiting room not at all."""
    seconds, covered = 0, datetime.fromtimestamp(0, MANILA)
    for stay in sorted(stays, key=lambda one: one.join_time):
        if stay.where != "meeting":
            continue
        begin, until = max(stay.join_time, covered), stay.leave_time or now
        seconds += max(0, int((until - begin).total_seconds()))
        covered = max(covered, until)
    return seconds


def _other_participants(running: SimulatedInstance | None, people: list[ParticipantCard]) -> list[ParticipantCard]:
    """The host and unknown participants."""
    if running is None:
        return []
    learner_sessions = {stay.user_id for person in people for stay in person.stays}
    stays = current_simulated_zoom().stays_of(running.meeting_id, running.uuid)
    other_stays = [one for one in stays if one.user_id not in learner_sessions]
    return [_to_card(one.user_id, one.name, [one], running.meeting_id) for one in other_stays if one.open]


def _last_ended(meeting_id: str) -> SimulatedInstance | None:
    ended = [one for one in current_simulated_zoom().instances_of(meeting_id) if not one.running]
    return ended[-1] if ended else None


def _start_now(meeting_id: str) -> None:
    class_script.start_class(current_simulated_zoom(), meeting_id)


def _start_as_planned(meeting_id: str) -> None:
    class_script.start_class(
        current_simulated_zoom(), meeting_id, class_script.planned_start_of(current_simulated_zoom(), meeting_id)
    )


def _advance_ten_minutes(meeting_id: str) -> None:
    current_simulated_zoom().advance(meeting_id, 10)


def _advance_one_minute(meeting_id: str) -> None:
    current_simulated_zoom().advance(meeting_id, 1)


def _run_whole_class(meeting_id: str) -> None:
    class_script.run_whole_class(current_simulated_zoom(), meeting_id)


def _end_meeting(meeting_id: str) -> None:
    current_simulated_zoom().end(meeting_id)


def _meeting_action(verb: Callable[[SimulatedZoom, str], object]) -> Callable[[str], None]:
    def act(meeting_id: str) -> None:
        verb(current_simulated_zoom(), meeting_id)

    return act


MEETING_ACTIONS: dict[str, Callable[[str], None]] = {
    "start": _start_now,
    "start-as-planned": _start_as_planned,
    "ten-minutes": _advance_ten_minutes,
    "one-minute": _advance_one_minute,
    "walk-in": _meeting_action(class_script.join_all_learners),
    "drop": _meeting_action(class_script.disconnect_some_learners),
    "come-back": _meeting_action(class_script.rejoin_all_learners),
    "stranger": _meeting_action(class_script.join_unknown_person),
    "all-leave": _meeting_action(class_script.end_class),
    "end": _end_meeting,
    "whole-class": _run_whole_class,
}


@pages.post("/meetings/<meeting_id>/<action>")
def perform_meeting_action(meeting_id: str, action: str) -> Answered:
    """A button for the whole class."""
    if action not in MEETING_ACTIONS:
        abort(404)
    current_simulated_zoom().meeting_named(meeting_id)
    MEETING_ACTIONS[action](meeting_id)
    return redirect(url_for("pages.show_meeting_room", meeting_id=meeting_id))


@pages.post("/meetings/<meeting_id>/people/<action>")
def perform_participant_action(meeting_id: str, action: str) -> Answered:
    """A button beside a name: join (also with another device) or leave."""
    learner = _learner_or_404(meeting_id, request.form.get("who", ""))
    if action == "leave":
        class_script.leave_meeting(current_simulated_zoom(), meeting_id, learner)
    elif action == "join":
        class_script.join_learner(current_simulated_zoom(), meeting_id, learner)
    else:
        abort(404)
    return redirect(url_for("pages.show_meeting_room", meeting_id=meeting_id) + "#people")


def _learner_or_404(meeting_id: str, key: str) -> class_script.ScriptedLearner:
    learners = [
        learner
        for learner in class_script.learners_of_meeting(current_simulated_zoom(), meeting_id)
        if key in (learner.registrant_id, learner.name)
    ]
    return learners[0] if learners else abort(404)


# Targets of links


@pages.get("/s/<meeting_id>")
def open_host_link(meeting_id: str) -> Answered:
    """The host's start link: starts the meeting, as Zoom's does, and shows it."""
    owner = current_simulated_zoom().zak_owner(request.args.get("zak", ""))
    meeting = current_simulated_zoom().usable_meeting(meeting_id)
    if owner is None or owner.id != meeting.host_id:
        title, why = (
            "This start link has expired",
            "A start link works for two hours. Press Start class in the portal.",
        )
        return render_template("sandbox/refused.html", title=title, why=why, details=""), 403
    class_script.start_class(current_simulated_zoom(), meeting_id)
    return redirect(url_for("pages.show_meeting_room", meeting_id=meeting_id))


@pages.route("/w/<meeting_id>", methods=["GET", "POST"])
def open_personal_link(meeting_id: str) -> Answered:
    """A learner's personal link: join and leave."""
    tk = request.args.get("tk", "")
    meeting, registrant = (
        current_simulated_zoom().usable_meeting(meeting_id),
        current_simulated_zoom().by_tk(meeting_id, tk),
    )
    if registrant is None:
        title, why = (
            "This link does not work",
            "It was cancelled or is not yet approved. Ask your teacher for your link.",
        )
        return render_template("sandbox/refused.html", title=title, why=why, details=""), 404
    if request.method == "POST":
        _join_or_leave(registrant, request.form.get("do", ""))
        return redirect(url_for("pages.open_personal_link", meeting_id=meeting_id, tk=tk))
    with current_simulated_zoom().lock:
        stays = [
            stay
            for stay in current_simulated_zoom().stays_of(meeting_id)
            if stay.registrant_id == registrant.id and stay.open
        ]
        return render_template(
            "sandbox/join.html",
            meeting=meeting,
            name=registrant.name,
            stays=stays,
            waiting=any(one.where == BEFORE_HOST for one in stays),
            running=current_simulated_zoom().running(meeting_id),
            now=current_simulated_zoom().class_clock(meeting_id),
        )


def _join_or_leave(registrant: SimulatedRegistrant, do: str) -> None:
    with current_simulated_zoom().changing():
        stays = [
            stay
            for stay in current_simulated_zoom().stays_of(registrant.meeting_id)
            if stay.registrant_id == registrant.id
        ]
        if do == "leave":
            for stay in stays:
                current_simulated_zoom().leave(stay)
        elif not class_script.is_in_meeting(stays):
            class_script.join_learner(
                current_simulated_zoom(),
                registrant.meeting_id,
                class_script.ScriptedLearner(registrant.name, registrant.id),
            )


@pages.route("/j/<meeting_id>", methods=["GET", "POST"])
def open_common_link(meeting_id: str) -> Answered:
    """The meeting's common link, for meetings without registration: enter a name and join."""
    meeting = current_simulated_zoom().usable_meeting(meeting_id)
    if meeting.takes_registrations:
        title, why = (
            "This class takes its own learners only",
            "Open the link that is yours, or ask your teacher for it.",
        )
        return render_template("sandbox/refused.html", title=title, why=why, details=""), 403
    name = request.form.get("name", "").strip()[:64]
    if request.method == "POST" and name:
        current_simulated_zoom().join(meeting_id, name=name)
    return render_template(
        "sandbox/common.html",
        meeting=meeting,
        entered=name if request.method == "POST" else "",
        missing=request.method == "POST" and not name,
        running=current_simulated_zoom().running(meeting_id),
    )


@pages.route("/meeting/register/<code>", methods=["GET", "POST"])
def show_registration_form(code: str) -> Answered:
    """Zoom's own registration form, which a leaked link opens: registrants stay pending until the host approves."""
    with current_simulated_zoom().lock:
        meetings = [
            meeting
            for meeting in current_simulated_zoom().meetings.values()
            if meeting.registration_code == code and not meeting.deleted_at
        ]
    if not meetings:
        abort(404)
    fields = {name: request.form.get(name, "").strip() for name in ("first_name", "last_name", "email")}
    problem, registrant = "", None
    if request.method == "POST":
        try:
            registrant = current_simulated_zoom().register(meetings[0].id, fields)
        except ZoomApiError as error:
            problem = ", ".join(field for field, _ in error.fields) or error.message
    return render_template(
        "sandbox/register.html", meeting=meetings[0], fields=fields, problem=problem, registrant=registrant
    )
