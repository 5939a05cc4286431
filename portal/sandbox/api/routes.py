"""The REST interface: `/oauth/token` and `/v2/...`."""

import json
import secrets
from collections.abc import Callable, Iterable
from datetime import timedelta
from functools import wraps
from typing import Any, TypeVar
from urllib.parse import unquote

from flask import Blueprint, Response, current_app, request

from portal.sandbox.api.scopes import GATES
from portal.sandbox.api.times import stamp
from portal.sandbox.simulation.errors import Refusal, invalid
from portal.sandbox.simulation.meeting_settings import DEFAULTS
from portal.sandbox.simulation.models import JSON
from portal.sandbox.simulation.oauth import TokenRefusal
from portal.sandbox.simulation.simulated_zoom import World

api = Blueprint("api", __name__)
PAGE_SIZE, LARGEST_PAGE, LARGEST_USERS_PAGE = 30, 300, 2_000
PAGE_TOKEN_LIFE = timedelta(minutes=15)
NO_ENDPOINT = "This API endpoint is not recognized."
BAD_TOKEN = "The next page token is invalid or expired."  # noqa: S105 - Zoom's message, not a secret

View = TypeVar("View", bound=Callable[..., Any])


def world() -> World:
    """The world behind this app."""
    found = current_app.extensions["sandbox"].world
    assert isinstance(found, World)
    return found


def answer(status: int, body: JSON | None = None, headers: dict[str, str] | None = None) -> Response:
    """Zoom's answer: JSON in UTF-8, or nothing at all with 204; always with a tracking id."""
    text = b"" if body is None else json.dumps(body, ensure_ascii=False).encode()
    response = Response(text, status, content_type="application/json;charset=UTF-8")
    if body is None:
        del response.headers["Content-Type"]
    response.headers["x-zm-trackingid"] = f"v=2.0;clid=us06;rid=WEB_{secrets.token_hex(16)}"
    response.headers.update(headers or {})
    return response


def endpoint(rule: str, gate_name: str, method: str) -> Callable[[View], View]:
    """Register a view that needs a token, a scope and room in the rate limits."""

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(**path: str) -> Response:
            world().let_through(request.headers.get("Authorization", ""), GATES[gate_name])
            result = view(**{name: named(value) for name, value in path.items()})
            return result if isinstance(result, Response) else answer(200, result)

        api.add_url_rule(f"/v2{rule}", gate_name, guarded, methods=[method])
        return view

    return decorate


def named(segment: str) -> str:
    """A path segment as the caller meant it: uuids with slashes arrive encoded once more."""
    return unquote(segment) if "%" in segment else segment


@api.errorhandler(Refusal)
def refused(error: Refusal) -> Response:
    """Zoom's error body. The message of a missing scope may be broken JSON, as seen in the wild."""
    response = answer(error.status, error.body(), error.headers)
    if error.code == 4711 and world().switches.missing_scope_is_invalid_json:
        response.set_data(f'{{"code":4711,"message":"Invalid access token, "scopes": {error.message}"}}')
    return response


# Tokens


@api.post("/oauth/token")
def token() -> Response:
    """Parameters in the form body or in the query, the client in the Basic header."""
    given = request.form if request.form else request.args
    try:
        body = world().issue_token(
            request.headers.get("Authorization", ""), given.get("grant_type", ""), given.get("account_id", "")
        )
    except TokenRefusal as error:
        return answer(400, error.body())
    return answer(200, body)


# Requests and pages


def body_of_request() -> JSON:
    """The JSON object of the request.

    :raises Refusal: 400/300 when it is not one.
    """
    try:
        body = json.loads(request.get_data() or b"{}")
    except ValueError as error:
        raise Refusal(400, 300, "Request Body should be a valid JSON object.") from error
    if not isinstance(body, dict):
        raise Refusal(400, 300, "Request Body should be a valid JSON object.")
    return body


def page(rows: list[JSON], name: str, *, largest: int = LARGEST_PAGE) -> JSON:
    """One page of rows, with an opaque token for the next one, bound to this query for 15 minutes.

    :raises Refusal: 400/300 for a bad `page_size` or a token that is unknown, expired or of another query.
    """
    size = _page_size(largest)
    query = {key: value for key, value in request.args.items() if key not in ("next_page_token", "page_number")}
    bound = json.dumps([request.path, sorted(query.items())])
    start = _page_start(bound)
    shown = rows[start : start + size]
    more = start + size < len(rows)
    return {
        "page_count": -(-len(rows) // size),
        "page_number": start // size + 1,
        "page_size": size,
        "total_records": len(rows),
        "next_page_token": _page_token(bound, start + size) if more else "",
        name: shown,
    }


def _page_size(largest: int) -> int:
    text = request.args.get("page_size", str(PAGE_SIZE))
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= largest:
        raise invalid("page_size")
    return int(text)


def _page_start(bound: str) -> int:
    given = request.args.get("next_page_token", "")
    if not given:
        return 0
    with world().lock:
        row = world().pages.get(given)
    if row is None or row["bound"] != bound or row["expires_at"] <= world().now():
        raise Refusal(400, 300, BAD_TOKEN)
    return int(row["start"])


def _page_token(bound: str, start: int) -> str:
    new = secrets.token_urlsafe(24)
    with world().lock:
        pages, now = world().pages, world().now()
        for old in [key for key, row in pages.items() if row["expires_at"] <= now]:
            del pages[old]
        pages[new] = {"bound": bound, "start": start, "expires_at": now + PAGE_TOKEN_LIFE}
    return new


def _listed(name: str) -> list[str]:
    return [part for part in request.args.get(name, "").split(",") if part]


# Users


@endpoint("/users", "list_users", "GET")
def list_users() -> JSON:
    status = request.args.get("status", "active")
    users = [world().user_json(user) for user in list(world().users.values()) if user.status == status]
    return page(users, "users", largest=LARGEST_USERS_PAGE)


@endpoint("/users/<user_id>", "get_user", "GET")
def get_user(user_id: str) -> JSON:
    user = world().find_user(user_id)
    more = {
        "role_name": "Member",
        "use_pmi": False,
        "personal_meeting_url": f"{world().public_url}/j/{user.pmi}",
    }
    return world().user_json(user) | more


@endpoint("/users/<user_id>/settings", "user_settings", "GET")
def user_settings(user_id: str) -> JSON:
    user = world().find_user(user_id)
    if request.args.get("option") == "meeting_authentication":
        profile = {"id": "signIn_SandboxProfile000000", "name": "Sign in to Zoom", "type": "enforce_login"}
        return {
            "meeting_authentication": False,
            "authentication_options": [profile | {"default_option": True}],
        }
    schedule = {name: DEFAULTS[name] for name in ("host_video", "participant_video", "join_before_host")}
    return {
        "schedule_meeting": schedule,
        "in_meeting": {"waiting_room": False, "breakout_room": True},
        "recording": {"local_recording": True, "cloud_recording": user.licensed},
        "feature": {"meeting_capacity": 300 if user.licensed else 100},
    }


@endpoint("/users/<user_id>/token", "user_token", "GET")
def user_token(user_id: str) -> JSON:
    user = world().find_user(user_id)
    if request.args.get("type") != "zak":
        raise invalid("type")
    return {"token": world().zak(user)}


# Meetings


@endpoint("/users/<user_id>/meetings", "create_meeting", "POST")
def create_meeting(user_id: str) -> Response:
    meeting = world().create_meeting(user_id, body_of_request())
    return answer(201, world().meeting_json(meeting))


@endpoint("/users/<user_id>/meetings", "list_meetings", "GET")
def list_meetings(user_id: str) -> JSON:
    return page(world().list_meetings(user_id, request.args.get("type", "scheduled")), "meetings")


@endpoint("/meetings/<meeting_id>", "get_meeting", "GET")
def get_meeting(meeting_id: str) -> JSON:
    meeting = world().usable_meeting(meeting_id)
    with_past = request.args.get("show_previous_occurrences", "").lower() == "true"
    body = world().meeting_json(meeting, with_past=with_past)
    if request.args.get("occurrence_id"):
        one = world().occurrence(meeting, request.args["occurrence_id"])
        body |= {"start_time": stamp(one.start_time), "duration": one.minutes}
    return body


@endpoint("/meetings/<meeting_id>", "update_meeting", "PATCH")
def update_meeting(meeting_id: str) -> Response:
    world().update_meeting(meeting_id, body_of_request(), request.args.get("occurrence_id", ""))
    return answer(204)


@endpoint("/meetings/<meeting_id>", "delete_meeting", "DELETE")
def delete_meeting(meeting_id: str) -> Response:
    world().delete_meeting(meeting_id, request.args.get("occurrence_id", ""))
    return answer(204)


@endpoint("/meetings/<meeting_id>/status", "meeting_status", "PUT")
def meeting_status(meeting_id: str) -> Response:
    match body_of_request().get("action"):
        case "end":
            world().usable_meeting(meeting_id)
            world().end(meeting_id)
        case "recover":
            world().recover_meeting(meeting_id)
        case _:
            raise invalid("action")
    return answer(204)


# Registrants


@endpoint("/meetings/<meeting_id>/registrants", "add_registrant", "POST")
def add_registrant(meeting_id: str) -> Response:
    registrant = world().register(meeting_id, body_of_request(), _listed("occurrence_ids"))
    meeting = world().usable_meeting(meeting_id)
    body: JSON = {
        "id": int(meeting.id),
        "registrant_id": registrant.id,
        "topic": meeting.topic,
        "start_time": stamp(meeting.start_time or meeting.created_at),
        "participant_pin_code": registrant.pin,
    }
    if registrant.status == "approved":
        body["join_url"] = world().link_of(registrant)
    if meeting.occurrences:
        body["occurrences"] = world().meeting_json(meeting)["occurrences"]
    return answer(201, body)


@endpoint("/meetings/<meeting_id>/batch_registrants", "add_registrants", "POST")
def add_registrants(meeting_id: str) -> Response:
    rows = [_batch_row(one) for one in world().register_many(meeting_id, body_of_request())]
    return answer(201, {"registrants": rows})


def _batch_row(registrant: Any) -> JSON:
    row = {
        "email": registrant.email,
        "registrant_id": registrant.id,
        "participant_pin_code": registrant.pin,
    }
    link = world().link_of(registrant)
    return row | {"join_url": link} if link else row


@endpoint("/meetings/<meeting_id>/registrants", "list_registrants", "GET")
def list_registrants(meeting_id: str) -> JSON:
    status, occurrence = request.args.get("status", "approved"), request.args.get("occurrence_id", "")
    found = world().list_registrants(meeting_id, status, occurrence)
    return page([world().registrant_json(one) for one in found], "registrants")


@endpoint("/meetings/<meeting_id>/registrants/<registrant_id>", "get_registrant", "GET")
def get_registrant(meeting_id: str, registrant_id: str) -> JSON:
    return world().registrant_json(world().registrant(meeting_id, registrant_id))


@endpoint("/meetings/<meeting_id>/registrants/<registrant_id>", "delete_registrant", "DELETE")
def delete_registrant(meeting_id: str, registrant_id: str) -> Response:
    world().delete_registrant(meeting_id, registrant_id)
    return answer(204)


@endpoint("/meetings/<meeting_id>/registrants/status", "registrant_status", "PUT")
def registrant_status(meeting_id: str) -> Response:
    body = body_of_request()
    world().set_registrants_status(meeting_id, str(body.get("action")), body.get("registrants") or [])
    return answer(204)


# The past


@endpoint("/past_meetings/<name>", "past_meeting", "GET")
def past_meeting(name: str) -> JSON:
    return world().past_meeting(name)


@endpoint("/past_meetings/<name>/instances", "past_instances", "GET")
def past_instances(name: str) -> JSON:
    return {"meetings": world().past_instances(name)}


@endpoint("/past_meetings/<name>/participants", "past_participants", "GET")
def past_participants(name: str) -> JSON:
    return page(world().past_participants(name), "participants")


@endpoint("/report/meetings/<name>", "report_meeting", "GET")
def report_meeting(name: str) -> JSON:
    return world().report_meeting(name)


@endpoint("/report/meetings/<name>/participants", "report_participants", "GET")
def report_participants(name: str) -> JSON:
    rows = world().report_participants(name, request.args.get("include_fields", ""))
    return page(rows, "participants")


EVERY_METHOD: Iterable[str] = ("GET", "POST", "PUT", "PATCH", "DELETE")


@api.route("/v2/<path:rest>", methods=list(EVERY_METHOD))
def unknown(rest: str) -> Response:
    """Everything else, a uuid with slashes encoded only once among it."""
    raise Refusal(404, 2300, NO_ENDPOINT)
