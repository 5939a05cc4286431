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

from portal.sandbox.fault_injection import FaultInjector, InjectedFault
from portal.sandbox.simulation.errors import ZoomApiError
from portal.sandbox.simulation.models import JSON, WebhookDelivery
from portal.sandbox.simulation.rate_limits import PER_SECOND
from portal.sandbox.simulation.simulated_zoom import SimulatedZoom
from portal.sandbox.webhook_sender import WebhookSender, match_event_name, match_no_event

control = Blueprint("control", __name__, url_prefix="/_sim")


class BadRequest(Exception):
    """The control request is invalid."""


@control.errorhandler(BadRequest)
def render_bad_request(error: BadRequest) -> tuple[Response, int]:
    """400 with the reason."""
    return jsonify(error=str(error)), 400


@control.errorhandler(ZoomApiError)
def render_control_error(error: ZoomApiError) -> tuple[Response, int]:
    """The simulated API's error, as JSON."""
    return jsonify(error=error.message, **error.body()), error.status


def get_simulated_zoom() -> SimulatedZoom:
    """The simulation behind this app."""
    zoom: SimulatedZoom = current_app.extensions["sandbox"].world
    return zoom


def get_fault_injector() -> FaultInjector:
    """The fault injector in front of this app."""
    injector: FaultInjector = current_app.extensions["sandbox"].wire
    return injector


def get_webhook_sender() -> WebhookSender:
    """The webhook sender of this app.

    :raises BadRequest: if the app has none.
    """
    sender: WebhookSender | None = current_app.extensions["sandbox"].sender
    if sender is None:
        raise BadRequest("this sandbox sends no webhooks")
    return sender


def json_of_request() -> JSON:
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


def require_body_field(body: JSON, name: str) -> Any:
    """A required field.

    :raises BadRequest: if it is missing or empty.
    """
    if body.get(name) in (None, ""):
        raise BadRequest(f"{name} is missing")
    return body[name]


def parse_optional_moment(body: JSON) -> datetime | None:
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


def to_plain_json(obj: Any) -> Any:
    """A dataclass, or a list of them, as JSON values; times as ISO 8601."""
    values = [dataclasses.asdict(one) for one in obj] if isinstance(obj, list) else dataclasses.asdict(obj)
    return json.loads(json.dumps(values, default=_json_value))


def _json_value(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value.decode("utf-8", "replace")


# State and participants


@control.get("/state")
def show_simulation_state() -> Response:
    return jsonify(get_simulated_zoom().summary())


@control.post("/reset")
def reset_simulation_state() -> Response:
    get_simulated_zoom().reset()
    get_fault_injector().heal()
    return jsonify(ok=True)


@control.post("/users")
def add_simulated_user() -> Response:
    body = json_of_request()
    user = get_simulated_zoom().add_user(
        require_body_field(body, "email"),
        require_body_field(body, "first_name"),
        body.get("last_name", ""),
        licensed=body.get("licensed", True),
        zoom_type=body.get("type"),
    )
    return jsonify(get_simulated_zoom().user_json(user))


@control.post("/start")
def start_meeting_instance() -> Response:
    body = json_of_request()
    instance = get_simulated_zoom().start(
        str(require_body_field(body, "meeting_id")), parse_optional_moment(body), uuid=body.get("uuid")
    )
    return jsonify(to_plain_json(instance))


@control.post("/join")
def join_meeting() -> Response:
    body = json_of_request()
    meeting_id = str(require_body_field(body, "meeting_id"))
    stay = get_simulated_zoom().join(
        meeting_id,
        registrant_id=body.get("registrant_id") or _registrant_id(meeting_id, body.get("registrant", "")),
        name=body.get("name"),
        email=body.get("email", ""),
        at=parse_optional_moment(body),
        waiting_room=bool(body.get("waiting_room")),
        zoom_user_id=body.get("zoom_user_id", ""),
        customer_key=body.get("customer_key"),
        host=bool(body.get("host")),
    )
    return jsonify(to_plain_json(stay))


def _registrant_id(meeting_id: str, email: str) -> str | None:
    if not email:
        return None
    for registrant in get_simulated_zoom().active_registrants(meeting_id):
        if registrant.email.casefold() == email.casefold():
            return registrant.id
    raise BadRequest("nobody registered with that address")


@control.post("/admit")
def admit_participant() -> Response:
    body = json_of_request()
    return jsonify(
        to_plain_json(get_simulated_zoom().admit(str(require_body_field(body, "user_id")), parse_optional_moment(body)))
    )


@control.post("/waiting_room")
def put_in_waiting_room() -> Response:
    body = json_of_request()
    return jsonify(
        to_plain_json(
            get_simulated_zoom().put_in_waiting_room(
                str(require_body_field(body, "user_id")), parse_optional_moment(body)
            )
        )
    )


@control.post("/breakout/join")
def join_breakout_room() -> Response:
    body = json_of_request()
    return jsonify(
        to_plain_json(
            get_simulated_zoom().join_breakout_room(
                str(require_body_field(body, "user_id")), parse_optional_moment(body)
            )
        )
    )


@control.post("/breakout/leave")
def leave_breakout_room() -> Response:
    body = json_of_request()
    return jsonify(
        to_plain_json(
            get_simulated_zoom().leave_breakout_room(
                str(require_body_field(body, "user_id")), parse_optional_moment(body)
            )
        )
    )


@control.post("/leave")
def leave_meeting_instance() -> Response:
    body = json_of_request()
    reason = body.get("reason", "left the meeting.")
    return jsonify(
        to_plain_json(
            get_simulated_zoom().leave(str(require_body_field(body, "user_id")), parse_optional_moment(body), reason)
        )
    )


@control.post("/end")
def end_meeting_instance() -> Response:
    body = json_of_request()
    return jsonify(
        to_plain_json(
            get_simulated_zoom().end(str(require_body_field(body, "meeting_id")), parse_optional_moment(body))
        )
    )


@control.post("/advance")
def advance_class_clock() -> Response:
    body = json_of_request()
    clock = get_simulated_zoom().advance(
        str(require_body_field(body, "meeting_id")), float(require_body_field(body, "minutes"))
    )
    return jsonify(clock=clock.isoformat())


@control.get("/meetings/<meeting_id>")
def show_simulated_meeting(meeting_id: str) -> Response:
    with get_simulated_zoom().lock:
        get_simulated_zoom().meeting_named(meeting_id)
        return jsonify(
            stays=to_plain_json(get_simulated_zoom().stays_of(meeting_id)),
            instances=to_plain_json(get_simulated_zoom().instances_of(meeting_id)),
            registrants=to_plain_json(list(get_simulated_zoom().registrants.get(meeting_id, {}).values())),
        )


@control.get("/events")
def list_sent_events() -> Response:
    return jsonify(events=get_simulated_zoom().events(request.args.get("meeting_id")))


@control.get("/calls")
def list_recorded_calls() -> Response:
    count = get_simulated_zoom().count(request.args.get("method", ""), request.args.get("path", ""))
    with get_simulated_zoom().lock:
        log = to_plain_json(list(get_simulated_zoom().calls[-1000:]))
    return jsonify(calls=count.calls, most_in_flight=count.most_in_flight, last=log)


@control.delete("/calls")
def delete_recorded_calls() -> Response:
    get_simulated_zoom().forget_calls()
    return jsonify(ok=True)


# Faults, limits, flags


@control.post("/faults")
def add_injected_fault() -> Response:
    body = json_of_request()
    field_names = {field.name for field in dataclasses.fields(InjectedFault)} - {"hits"}
    details = {name: value for name, value in body.items() if name in field_names}
    if "json" in body:
        details["body"] = json.dumps(body["json"])
    details["body"] = str(details.get("body", "")).encode()
    try:
        fault = get_fault_injector().break_next(**details)
    except (TypeError, ValueError) as error:
        raise BadRequest(str(error)) from error
    return jsonify(to_plain_json(fault))


@control.get("/faults")
def list_injected_faults() -> Response:
    return jsonify(faults=to_plain_json([fault for fault in get_fault_injector().faults if fault.times > 0]))


@control.delete("/faults")
def clear_injected_faults() -> Response:
    get_fault_injector().heal()
    return jsonify(ok=True)


@control.post("/latency")
def set_response_latency() -> Response:
    get_fault_injector().latency = float(require_body_field(json_of_request(), "ms")) / 1000
    return jsonify(ok=True)


@control.post("/plan")
def set_account_plan() -> Response:
    body, limits = json_of_request(), get_simulated_zoom().limits
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
def set_behaviour_flags() -> Response:
    body = json_of_request()
    for name, value in body.items():
        if not hasattr(get_simulated_zoom().switches, name):
            raise BadRequest(f"no such switch: {name}")
        is_duration = isinstance(getattr(get_simulated_zoom().switches, name), timedelta)
        setattr(get_simulated_zoom().switches, name, timedelta(seconds=value) if is_duration else value)
    return jsonify(ok=True)


@control.post("/tokens/revoke")
def revoke_all_tokens() -> Response:
    get_simulated_zoom().revoke_tokens()
    return jsonify(ok=True)


# Webhooks


@control.get("/webhook")
def show_webhook_state() -> Response:
    with get_simulated_zoom().lock:
        deliveries = [_delivery_row(one) for one in list(get_simulated_zoom().deliveries.values())[-500:]]
    sender = get_webhook_sender()
    return jsonify(url=sender.url, valid=sender.subscription.valid, deliveries=deliveries)


def _delivery_row(delivery: WebhookDelivery) -> JSON:
    return {
        "id": delivery.id,
        "event": delivery.event,
        "meeting_id": delivery.meeting_id,
        "state": delivery.state,
        "answers": delivery.answers,
        "due": delivery.due.isoformat(),
    }


@control.post("/webhook")
def set_webhook_subscription() -> Response:
    body, sender = json_of_request(), get_webhook_sender()
    sender.url = body.get("url", sender.url)
    sender.secret = body.get("secret", sender.secret)
    return jsonify(url=sender.url)


@control.post("/webhook/validate")
def validate_webhook_url() -> Response:
    return jsonify(valid=get_webhook_sender().validate())


@control.post("/webhook/pump")
def send_due_webhooks() -> Response:
    return jsonify(sent=get_webhook_sender().pump())


@control.post("/webhook/release")
def release_held_webhooks() -> Response:
    return jsonify(released=get_webhook_sender().release())


@control.post("/webhook/faults")
def set_webhook_faults() -> Response:
    body, faults = json_of_request(), get_webhook_sender().faults
    for name in ("drop", "hold", "duplicate", "bad_signature", "delayed"):
        if name in body:
            setattr(faults, name, match_event_name(body[name]) if body[name] else match_no_event)
    for name in ("delay", "age"):
        if name in body:
            setattr(faults, name, timedelta(seconds=body[name]))
    for name in ("shuffle_seed", "restamp_repeats"):
        if name in body:
            setattr(faults, name, body[name])
    return jsonify(ok=True)
