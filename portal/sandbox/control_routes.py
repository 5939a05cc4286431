"""The control plane, `/_sim/...`: JSON for tests and developers, no token needed.

GET  /_sim/state                     users, meetings, deliveries, tokens minted, number of calls
POST /_sim/reset                     forget everything but the switches
POST /_sim/users                     {email, first_name, last_name, licensed=true, type?}
POST /_sim/start                     {meeting_id, at?, uuid?}
POST /_sim/join                      {meeting_id, registrant_id?, email?, name?, at?, waiting_room?, host?,
                                      zoom_user_id?, customer_key?}; a registrant may be named by its
                                      `registrant` address instead of its id
POST /_sim/admit, /_sim/waiting_room, /_sim/breakout/join, /_sim/breakout/leave, /_sim/leave
                                     {user_id, at?}, leave also {reason?}
POST /_sim/end                       {meeting_id, at?}
POST /_sim/advance                   {meeting_id, minutes}
GET  /_sim/meetings/<id>             the stays, runs and registrants of one meeting
GET  /_sim/events?meeting_id=        the webhook bodies emitted
GET  /_sim/calls?method=&path=       the API calls logged (path is a regular expression), and how many were
                                     under way at once at most
DELETE /_sim/calls                   begin the log anew
POST /_sim/faults                    {method?, path?, kind, times=1, skip=0, status?, body?, json?, headers?,
                                      seconds?}; kinds: answer, html, truncate, hang, reset, reset_before
GET  /_sim/faults, DELETE /_sim/faults   what is still to go wrong; heal everything
POST /_sim/latency                   {ms}: every call takes at least that long
POST /_sim/plan                      {plan?, per_second?, per_day?, host_per_day?, registrant_per_day?,
                                      status_per_day?, registrant_counts_over_all_meetings?}
POST /_sim/switches                  any of `Switches`, durations in seconds
POST /_sim/tokens/revoke             every token is invalid from now on
GET  /_sim/webhook                   address, validity, deliveries
POST /_sim/webhook                   {url?, secret?}
POST /_sim/webhook/validate, /pump, /release
POST /_sim/webhook/faults            {drop?, hold?, duplicate?, bad_signature?, delayed?: regular expression
                                      of the event's name or null; delay?, age?: seconds; shuffle_seed?,
                                      restamp_repeats?}
Times are ISO 8601 with an offset. Errors are `{"error": "..."}` with 400 or 404; refusals as in the API.
"""

import dataclasses
import json
from datetime import datetime, timedelta
from typing import Any

from flask import Blueprint, Response, current_app, jsonify, request

from portal.sandbox.fault_injection import Fault, Wire
from portal.sandbox.simulation.errors import Refusal
from portal.sandbox.simulation.models import JSON, Delivery
from portal.sandbox.simulation.rate_limits import PER_SECOND
from portal.sandbox.simulation.simulated_zoom import World
from portal.sandbox.webhook_sender import Sender, named, never

control = Blueprint("control", __name__, url_prefix="/_sim")


class BadRequest(Exception):
    """The request to the control plane makes no sense."""


@control.errorhandler(BadRequest)
def bad_request(error: BadRequest) -> tuple[Response, int]:
    """400 with the reason."""
    return jsonify(error=str(error)), 400


@control.errorhandler(Refusal)
def refused(error: Refusal) -> tuple[Response, int]:
    """The refusal as the API would word it."""
    return jsonify(error=error.message, **error.body()), error.status


def world() -> World:
    """The world behind this app."""
    found: World = current_app.extensions["sandbox"].world
    return found


def wire() -> Wire:
    """The wire in front of this app."""
    found: Wire = current_app.extensions["sandbox"].wire
    return found


def sender() -> Sender:
    """The sender of this app.

    :raises BadRequest: where no webhook was set up.
    """
    found: Sender | None = current_app.extensions["sandbox"].sender
    if found is None:
        raise BadRequest("this sandbox sends no webhooks")
    return found


def given() -> JSON:
    """The JSON object of the request; an empty body is an empty object.

    :raises BadRequest: for anything else.
    """
    try:
        body = json.loads(request.get_data() or b"{}")
    except ValueError as error:
        raise BadRequest("the body is not JSON") from error
    if not isinstance(body, dict):
        raise BadRequest("the body is not a JSON object")
    return body


def needed(body: JSON, name: str) -> Any:
    """One field that must be there.

    :raises BadRequest: when it is not.
    """
    if body.get(name) in (None, ""):
        raise BadRequest(f"{name} is missing")
    return body[name]


def moment(body: JSON) -> datetime | None:
    """The field `at`.

    :raises BadRequest: for a time without an offset.
    """
    if not body.get("at"):
        return None
    try:
        at = datetime.fromisoformat(str(body["at"]))
    except ValueError as error:
        raise BadRequest("at is not an ISO 8601 time") from error
    if at.tzinfo is None:
        raise BadRequest("at has no offset")
    return at


def shown(thing: Any) -> Any:
    """A dataclass, or a list of them, as JSON values; times as ISO 8601."""
    plain = [dataclasses.asdict(one) for one in thing] if isinstance(thing, list) else dataclasses.asdict(thing)
    return json.loads(json.dumps(plain, default=_plain))


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value.decode("utf-8", "replace")


# State and verbs


@control.get("/state")
def state() -> Response:
    return jsonify(world().summary())


@control.post("/reset")
def reset() -> Response:
    world().reset()
    wire().heal()
    return jsonify(ok=True)


@control.post("/users")
def add_user() -> Response:
    body = given()
    user = world().add_user(
        needed(body, "email"),
        needed(body, "first_name"),
        body.get("last_name", ""),
        licensed=body.get("licensed", True),
        zoom_type=body.get("type"),
    )
    return jsonify(world().user_json(user))


@control.post("/start")
def start() -> Response:
    body = given()
    instance = world().start(str(needed(body, "meeting_id")), moment(body), uuid=body.get("uuid"))
    return jsonify(shown(instance))


@control.post("/join")
def join() -> Response:
    body = given()
    meeting_id = str(needed(body, "meeting_id"))
    stay = world().join(
        meeting_id,
        registrant_id=body.get("registrant_id") or _registrant_id(meeting_id, body.get("registrant", "")),
        name=body.get("name"),
        email=body.get("email", ""),
        at=moment(body),
        waiting_room=bool(body.get("waiting_room")),
        zoom_user_id=body.get("zoom_user_id", ""),
        customer_key=body.get("customer_key"),
        host=bool(body.get("host")),
    )
    return jsonify(shown(stay))


def _registrant_id(meeting_id: str, email: str) -> str | None:
    if not email:
        return None
    for one in world().active_registrants(meeting_id):
        if one.email.casefold() == email.casefold():
            return one.id
    raise BadRequest("nobody registered with that address")


@control.post("/admit")
def admit() -> Response:
    body = given()
    return jsonify(shown(world().admit(str(needed(body, "user_id")), moment(body))))


@control.post("/waiting_room")
def waiting_room() -> Response:
    body = given()
    return jsonify(shown(world().put_in_waiting_room(str(needed(body, "user_id")), moment(body))))


@control.post("/breakout/join")
def join_breakout_room() -> Response:
    body = given()
    return jsonify(shown(world().join_breakout_room(str(needed(body, "user_id")), moment(body))))


@control.post("/breakout/leave")
def leave_breakout_room() -> Response:
    body = given()
    return jsonify(shown(world().leave_breakout_room(str(needed(body, "user_id")), moment(body))))


@control.post("/leave")
def leave() -> Response:
    body = given()
    reason = body.get("reason", "left the meeting.")
    return jsonify(shown(world().leave(str(needed(body, "user_id")), moment(body), reason)))


@control.post("/end")
def end() -> Response:
    body = given()
    return jsonify(shown(world().end(str(needed(body, "meeting_id")), moment(body))))


@control.post("/advance")
def advance() -> Response:
    body = given()
    clock = world().advance(str(needed(body, "meeting_id")), float(needed(body, "minutes")))
    return jsonify(clock=clock.isoformat())


@control.get("/meetings/<meeting_id>")
def meeting(meeting_id: str) -> Response:
    with world().lock:
        world().meeting_named(meeting_id)
        return jsonify(
            stays=shown(world().stays_of(meeting_id)),
            instances=shown(world().instances_of(meeting_id)),
            registrants=shown(list(world().registrants.get(meeting_id, {}).values())),
        )


@control.get("/events")
def events() -> Response:
    return jsonify(events=world().events(request.args.get("meeting_id")))


@control.get("/calls")
def calls() -> Response:
    count = world().count(request.args.get("method", ""), request.args.get("path", ""))
    with world().lock:
        log = shown(list(world().calls[-1000:]))
    return jsonify(calls=count.calls, most_in_flight=count.most_in_flight, last=log)


@control.delete("/calls")
def forget_calls() -> Response:
    world().forget_calls()
    return jsonify(ok=True)


# Faults, limits, switches


@control.post("/faults")
def add_fault() -> Response:
    body = given()
    known = {field.name for field in dataclasses.fields(Fault)} - {"hits"}
    details = {name: value for name, value in body.items() if name in known}
    if "json" in body:
        details["body"] = json.dumps(body["json"])
    details["body"] = str(details.get("body", "")).encode()
    try:
        fault = wire().break_next(**details)
    except (TypeError, ValueError) as error:
        raise BadRequest(str(error)) from error
    return jsonify(shown(fault))


@control.get("/faults")
def faults() -> Response:
    return jsonify(faults=shown([fault for fault in wire().faults if fault.times > 0]))


@control.delete("/faults")
def heal() -> Response:
    wire().heal()
    return jsonify(ok=True)


@control.post("/latency")
def latency() -> Response:
    wire().latency = float(needed(given(), "ms")) / 1000
    return jsonify(ok=True)


@control.post("/plan")
def plan() -> Response:
    body, limits = given(), world().limits
    if "plan" in body:
        if body["plan"] not in PER_SECOND:
            raise BadRequest(f"plans are {', '.join(PER_SECOND)}")
        limits.plan = body["plan"]
    limits.per_second |= body.get("per_second", {})
    limits.per_day |= body.get("per_day", {})
    for name in (
        "host_per_day",
        "registrant_per_day",
        "status_per_day",
        "registrant_counts_over_all_meetings",
    ):
        if name in body:
            setattr(limits, name, body[name])
    return jsonify(plan=limits.plan, per_second=limits.per_second, per_day=limits.per_day)


@control.post("/switches")
def switches() -> Response:
    body = given()
    for name, value in body.items():
        if not hasattr(world().switches, name):
            raise BadRequest(f"no such switch: {name}")
        is_duration = isinstance(getattr(world().switches, name), timedelta)
        setattr(world().switches, name, timedelta(seconds=value) if is_duration else value)
    return jsonify(ok=True)


@control.post("/tokens/revoke")
def revoke_tokens() -> Response:
    world().revoke_tokens()
    return jsonify(ok=True)


# Webhooks


@control.get("/webhook")
def webhook() -> Response:
    with world().lock:
        deliveries = [_delivery_row(one) for one in list(world().deliveries.values())[-500:]]
    found = sender()
    return jsonify(url=found.url, valid=found.subscription.valid, deliveries=deliveries)


def _delivery_row(one: Delivery) -> JSON:
    return {
        "id": one.id,
        "event": one.event,
        "meeting_id": one.meeting_id,
        "state": one.state,
        "answers": one.answers,
        "due": one.due.isoformat(),
    }


@control.post("/webhook")
def set_webhook() -> Response:
    body, found = given(), sender()
    found.url = body.get("url", found.url)
    found.secret = body.get("secret", found.secret)
    return jsonify(url=found.url)


@control.post("/webhook/validate")
def validate() -> Response:
    return jsonify(valid=sender().validate())


@control.post("/webhook/pump")
def pump() -> Response:
    return jsonify(sent=sender().pump())


@control.post("/webhook/release")
def release() -> Response:
    return jsonify(released=sender().release())


@control.post("/webhook/faults")
def webhook_faults() -> Response:
    body, chosen = given(), sender().faults
    for name in ("drop", "hold", "duplicate", "bad_signature", "delayed"):
        if name in body:
            setattr(chosen, name, named(body[name]) if body[name] else never)
    for name in ("delay", "age"):
        if name in body:
            setattr(chosen, name, timedelta(seconds=body[name]))
    for name in ("shuffle_seed", "restamp_repeats"):
        if name in body:
            setattr(chosen, name, body[name])
    return jsonify(ok=True)
