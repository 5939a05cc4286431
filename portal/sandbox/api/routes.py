"""REST routes: `/oauth/token` and `/v2/...`."""

import json
import secrets
from collections.abc import Callable, Iterable
from datetime import timedelta
from functools import wraps
from typing import Any, TypeVar
from urllib.parse import unquote

from flask import Blueprint, Response, current_app, request

from portal.sandbox.api.scopes import GATES
from portal.sandbox.api.times import format_timestamp
from portal.sandbox.simulation.errors import ZoomApiError, invalid_field
from portal.sandbox.simulation.meeting_settings import DEFAULTS
from portal.sandbox.simulation.models import JSON
from portal.sandbox.simulation.oauth import TokenRefusal
from portal.sandbox.simulation.simulated_zoom import SimulatedZoom

api = Blueprint("api", __name__)
PAGE_SIZE, LARGEST_PAGE, LARGEST_USERS_PAGE = 30, 300, 2_000
PAGE_TOKEN_LIFE = timedelta(minutes=15)
NO_ENDPOINT = "This API endpoint is not recognized."
BAD_TOKEN = "The next page token is invalid or expired."  # noqa: S105 - Zoom's message, not a secret

View = TypeVar("View", bound=Callable[..., Any])


def current_simulated_zoom() -> SimulatedZoom:
    """The simulation behind this app."""
    zoom = current_app.extensions["sandbox"].world
    assert isinstance(zoom, SimulatedZoom)
    return zoom


def json_response(status: int, body: JSON | None = None, headers: dict[str, str] | None = None) -> Response:
    """A response as Zoom sends it: UTF-8 JSON, or an empty body with 204; always with a tracking id."""
    text = b"" if body is None else json.dumps(body, ensure_ascii=False).encode()
    response = Response(text, status, content_type="application/json;charset=UTF-8")
    if body is None:
        del response.headers["Content-Type"]
    response.headers["x-zm-trackingid"] = f"v=2.0;clid=us06;rid=WEB_{secrets.token_hex(16)}"
    response.headers.update(headers or {})
    return response


def api_endpoint(rule: str, gate_name: str, method: str) -> Callable[[View], View]:
    """Decorator: register a view that requires a token, a scope and a free slot in the rate limits."""

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(**path: str) -> Response:
            current_simulated_zoom().let_through(request.headers.get("Authorization", ""), GATES[gate_name])
            result = view(**{name: decode_path_segment(value) for name, value in path.items()})
            return result if isinstance(result, Response) else json_response(200, result)

        api.add_url_rule(f"/v2{rule}", gate_name, guarded, methods=[method])
        return view

    return decorate


def decode_path_segment(segment: str) -> str:
    """A decoded path segment: uuids with slashes arrive encoded twice."""
    return unquote(segment) if "%" in segment else segment


@api.errorhandler(ZoomApiError)
def render_api_error(error: ZoomApiError) -> Response:
    """Zoom's error response. That of a missing scope may be invalid JSON, as Zoom's was seen to be."""
    response = json_response(error.status, error.body(), error.headers)
    if error.code == 4711 and current_simulated_zoom().switches.missing_scope_is_invalid_json:
        response.set_data(f'{{"code":4711,"message":"Invalid access token, "scopes": {error.message}"}}')
    return response


# Tokens


@api.post("/oauth/token")
def issue_access_token() -> Response:
    """Issue a token: parameters in the form body or the query, client credentials in the Basic header."""
    parameters = request.form if request.form else request.args
    try:
        body = current_simulated_zoom().issue_token(
            request.headers.get("Authorization", ""), parameters.get("grant_type", ""), parameters.get("account_id", "")
        )
    except TokenRefusal as error:
        return json_response(400, error.body())
    return json_response(200, body)


# Requests and pages


def request_json_body() -> JSON:
    """The JSON object of the request.

    :raises ZoomApiError: 400/300 when it is not one.
    """
    try:
        body = json.loads(request.get_data() or b"{}")
    except ValueError as error:
        raise ZoomApiError(400, 300, "Request Body should be a valid JSON object.") from error
    if not isinstance(body, dict):
        raise ZoomApiError(400, 300, "Request Body should be a valid JSON object.")
    return body


def paginate_rows(rows: list[JSON], name: str, *, largest: int = LARGEST_PAGE) -> JSON:
    """One page of rows, with an opaque token for the next, which is bound to this query and valid for 15 minutes.

    :raises ZoomApiError: 400/300 for an invalid `page_size`, or a token that is unknown, expired or of another query.
    """
    size = _page_size(largest)
    query = {key: value for key, value in request.args.items() if key not in ("next_page_token", "page_number")}
    query_key = json.dumps([request.path, sorted(query.items())])
    start = _page_start(query_key)
    page_rows = rows[start : start + size]
    has_more = start + size < len(rows)
    return {
        "page_count": -(-len(rows) // size),
        "page_number": start // size + 1,
        "page_size": size,
        "total_records": len(rows),
        "next_page_token": _page_token(query_key, start + size) if has_more else "",
        name: page_rows,
    }


def _page_size(largest: int) -> int:
    text = request.args.get("page_size", str(PAGE_SIZE))
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= largest:
        raise invalid_field("page_size")
    return int(text)


def _page_start(query_key: str) -> int:
    token = request.args.get("next_page_token", "")
    if not token:
        return 0
    with current_simulated_zoom().lock:
        row = current_simulated_zoom().pages.get(token)
    if row is None or row["bound"] != query_key or row["expires_at"] <= current_simulated_zoom().now():
        raise ZoomApiError(400, 300, BAD_TOKEN)
    return int(row["start"])


def _page_token(query_key: str, start: int) -> str:
    token = secrets.token_urlsafe(24)
    with current_simulated_zoom().lock:
        pages, now = current_simulated_zoom().pages, current_simulated_zoom().now()
        for expired in [key for key, row in pages.items() if row["expires_at"] <= now]:
            del pages[expired]
        pages[token] = {"bound": query_key, "start": start, "expires_at": now + PAGE_TOKEN_LIFE}
    return token


def _comma_separated_arg(name: str) -> list[str]:
    return [part for part in request.args.get(name, "").split(",") if part]


# Users


@api_endpoint("/users", "list_users", "GET")
def list_users() -> JSON:
    status = request.args.get("status", "active")
    users = [
        current_simulated_zoom().user_json(user)
        for user in list(current_simulated_zoom().users.values())
        if user.status == status
    ]
    return paginate_rows(users, "users", largest=LARGEST_USERS_PAGE)


@api_endpoint("/users/<user_id>", "get_user", "GET")
def get_user(user_id: str) -> JSON:
    user = current_simulated_zoom().find_user(user_id)
    details = {
        "role_name": "Member",
        "use_pmi": False,
        "personal_meeting_url": f"{current_simulated_zoom().public_url}/j/{user.pmi}",
    }
    return current_simulated_zoom().user_json(user) | details


@api_endpoint("/users/<user_id>/settings", "user_settings", "GET")
def get_user_settings(user_id: str) -> JSON:
    user = current_simulated_zoom().find_user(user_id)
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


@api_endpoint("/users/<user_id>/token", "user_token", "GET")
def get_user_token(user_id: str) -> JSON:
    user = current_simulated_zoom().find_user(user_id)
    if request.args.get("type") != "zak":
        raise invalid_field("type")
    return {"token": current_simulated_zoom().zak(user)}


# Meetings


@api_endpoint("/users/<user_id>/meetings", "create_meeting", "POST")
def create_meeting(user_id: str) -> Response:
    meeting = current_simulated_zoom().create_meeting(user_id, request_json_body())
    return json_response(201, current_simulated_zoom().meeting_json(meeting))


@api_endpoint("/users/<user_id>/meetings", "list_meetings", "GET")
def list_meetings(user_id: str) -> JSON:
    return paginate_rows(
        current_simulated_zoom().list_meetings(user_id, request.args.get("type", "scheduled")), "meetings"
    )


@api_endpoint("/meetings/<meeting_id>", "get_meeting", "GET")
def get_meeting(meeting_id: str) -> JSON:
    meeting = current_simulated_zoom().usable_meeting(meeting_id)
    with_past = request.args.get("show_previous_occurrences", "").lower() == "true"
    body = current_simulated_zoom().meeting_json(meeting, with_past=with_past)
    if request.args.get("occurrence_id"):
        occurrence = current_simulated_zoom().occurrence(meeting, request.args["occurrence_id"])
        body |= {"start_time": format_timestamp(occurrence.start_time), "duration": occurrence.minutes}
    return body


@api_endpoint("/meetings/<meeting_id>", "update_meeting", "PATCH")
def update_meeting(meeting_id: str) -> Response:
    current_simulated_zoom().update_meeting(meeting_id, request_json_body(), request.args.get("occurrence_id", ""))
    return json_response(204)


@api_endpoint("/meetings/<meeting_id>", "delete_meeting", "DELETE")
def delete_meeting(meeting_id: str) -> Response:
    current_simulated_zoom().delete_meeting(meeting_id, request.args.get("occurrence_id", ""))
    return json_response(204)


@api_endpoint("/meetings/<meeting_id>/status", "meeting_status", "PUT")
def update_meeting_status(meeting_id: str) -> Response:
    match request_json_body().get("action"):
        case "end":
            current_simulated_zoom().usable_meeting(meeting_id)
            current_simulated_zoom().end(meeting_id)
        case "recover":
            current_simulated_zoom().recover_meeting(meeting_id)
        case _:
            raise invalid_field("action")
    return json_response(204)


# Registrants


@api_endpoint("/meetings/<meeting_id>/registrants", "add_registrant", "POST")
def add_registrant(meeting_id: str) -> Response:
    registrant = current_simulated_zoom().register(
        meeting_id, request_json_body(), _comma_separated_arg("occurrence_ids")
    )
    meeting = current_simulated_zoom().usable_meeting(meeting_id)
    body: JSON = {
        "id": int(meeting.id),
        "registrant_id": registrant.id,
        "topic": meeting.topic,
        "start_time": format_timestamp(meeting.start_time or meeting.created_at),
        "participant_pin_code": registrant.pin,
    }
    if registrant.status == "approved":
        body["join_url"] = current_simulated_zoom().link_of(registrant)
    if meeting.occurrences:
        body["occurrences"] = current_simulated_zoom().meeting_json(meeting)["occurrences"]
    return json_response(201, body)


@api_endpoint("/meetings/<meeting_id>/batch_registrants", "add_registrants", "POST")
def add_registrants(meeting_id: str) -> Response:
    rows = [_batch_row(one) for one in current_simulated_zoom().register_many(meeting_id, request_json_body())]
    return json_response(201, {"registrants": rows})


def _batch_row(registrant: Any) -> JSON:
    row = {
        "email": registrant.email,
        "registrant_id": registrant.id,
        "participant_pin_code": registrant.pin,
    }
    link = current_simulated_zoom().link_of(registrant)
    return row | {"join_url": link} if link else row


@api_endpoint("/meetings/<meeting_id>/registrants", "list_registrants", "GET")
def list_registrants(meeting_id: str) -> JSON:
    status, occurrence = request.args.get("status", "approved"), request.args.get("occurrence_id", "")
    registrants = current_simulated_zoom().list_registrants(meeting_id, status, occurrence)
    return paginate_rows([current_simulated_zoom().registrant_json(one) for one in registrants], "registrants")


@api_endpoint("/meetings/<meeting_id>/registrants/<registrant_id>", "get_registrant", "GET")
def get_registrant(meeting_id: str, registrant_id: str) -> JSON:
    return current_simulated_zoom().registrant_json(current_simulated_zoom().registrant(meeting_id, registrant_id))


@api_endpoint("/meetings/<meeting_id>/registrants/<registrant_id>", "delete_registrant", "DELETE")
def delete_registrant(meeting_id: str, registrant_id: str) -> Response:
    current_simulated_zoom().delete_registrant(meeting_id, registrant_id)
    return json_response(204)


@api_endpoint("/meetings/<meeting_id>/registrants/status", "registrant_status", "PUT")
def update_registrant_status(meeting_id: str) -> Response:
    body = request_json_body()
    current_simulated_zoom().set_registrants_status(meeting_id, str(body.get("action")), body.get("registrants") or [])
    return json_response(204)


# Past meetings


@api_endpoint("/past_meetings/<name>", "past_meeting", "GET")
def get_past_meeting(name: str) -> JSON:
    return current_simulated_zoom().past_meeting(name)


@api_endpoint("/past_meetings/<name>/instances", "past_instances", "GET")
def list_past_instances(name: str) -> JSON:
    return {"meetings": current_simulated_zoom().past_instances(name)}


@api_endpoint("/past_meetings/<name>/participants", "past_participants", "GET")
def list_past_participants(name: str) -> JSON:
    return paginate_rows(current_simulated_zoom().past_participants(name), "participants")


@api_endpoint("/report/meetings/<name>", "report_meeting", "GET")
def get_meeting_report(name: str) -> JSON:
    return current_simulated_zoom().report_meeting(name)


@api_endpoint("/report/meetings/<name>/participants", "report_participants", "GET")
def list_report_participants(name: str) -> JSON:
    rows = current_simulated_zoom().report_participants(name, request.args.get("include_fields", ""))
    return paginate_rows(rows, "participants")


EVERY_METHOD: Iterable[str] = ("GET", "POST", "PUT", "PATCH", "DELETE")


@api.route("/v2/<path:rest>", methods=list(EVERY_METHOD))
def refuse_unknown_endpoint(rest: str) -> Response:
    """404 for all other paths, including a uuid with slashes that is encoded only once."""
    raise ZoomApiError(404, 2300, NO_ENDPOINT)
