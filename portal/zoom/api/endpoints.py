"""Endpoints of Zoom's API that the portal uses: path, rate label, scope and the scope's purpose.

Labels and scopes are from Zoom's reference for Server-to-Server apps (granular scopes, admin form).
"""

from dataclasses import dataclass

from portal.zoom.api.rate_limiter import HEAVY, LIGHT, MEDIUM


@dataclass(frozen=True)
class ApiEndpoint:
    """One operation. ``personal`` is its daily limit beside the account's, ``resource`` the kind of object
    requested."""

    method: str
    path: str
    label: str
    scope: str
    classic: str
    resource: str = "meeting"
    personal: str | None = None

    @property
    def is_read(self) -> bool:
        """True for operations without side effects."""
        return self.method == "GET"


_MEETINGS = "/users/{}/meetings"
_MEETING = "/meetings/{}"
_REGISTRANTS = "/meetings/{}/registrants"
_READ, _WRITE = "meeting:read:admin", "meeting:write:admin"

CREATE_MEETING = ApiEndpoint(
    "POST", _MEETINGS, MEDIUM, "meeting:write:meeting:admin", _WRITE, "user", personal="host-day"
)
LIST_MEETINGS = ApiEndpoint("GET", _MEETINGS, MEDIUM, "meeting:read:list_meetings:admin", _READ, "user")
GET_MEETING = ApiEndpoint("GET", _MEETING, LIGHT, "meeting:read:meeting:admin", _READ)
UPDATE_MEETING = ApiEndpoint("PATCH", _MEETING, LIGHT, "meeting:update:meeting:admin", _WRITE, personal="host-day")
DELETE_MEETING = ApiEndpoint("DELETE", _MEETING, LIGHT, "meeting:delete:meeting:admin", _WRITE)
END_MEETING = ApiEndpoint("PUT", "/meetings/{}/status", LIGHT, "meeting:update:status:admin", _WRITE)

ADD_REGISTRANT = ApiEndpoint(
    "POST",
    _REGISTRANTS,
    LIGHT,
    "meeting:write:registrant:admin",
    _WRITE,
    "registrants",
    personal="registrant-day",
)
ADD_REGISTRANTS = ApiEndpoint(
    "POST",
    "/meetings/{}/batch_registrants",
    HEAVY,
    "meeting:write:batch_registrants:admin",
    _WRITE,
    "registrants",
    personal="registrant-day",
)
LIST_REGISTRANTS = ApiEndpoint("GET", _REGISTRANTS, MEDIUM, "meeting:read:list_registrants:admin", _READ, "registrants")
SET_REGISTRANTS_STATUS = ApiEndpoint(
    "PUT",
    "/meetings/{}/registrants/status",
    MEDIUM,
    "meeting:update:registrant_status:admin",
    _WRITE,
    "registrants",
    personal="registrant-day",
)
DELETE_REGISTRANT = ApiEndpoint(
    "DELETE",
    "/meetings/{}/registrants/{}",
    LIGHT,
    "meeting:delete:registrant:admin",
    _WRITE,
    "registrants",
)

PAST_INSTANCES = ApiEndpoint(
    "GET", "/past_meetings/{}/instances", MEDIUM, "meeting:read:list_past_instances:admin", _READ, "past"
)
PAST_MEETING = ApiEndpoint("GET", "/past_meetings/{}", LIGHT, "meeting:read:past_meeting:admin", _READ, "past")
PAST_PARTICIPANTS = ApiEndpoint(
    "GET",
    "/past_meetings/{}/participants",
    MEDIUM,
    "meeting:read:list_past_participants:admin",
    _READ,
    "past",
)
REPORT_PARTICIPANTS = ApiEndpoint(
    "GET",
    "/report/meetings/{}/participants",
    HEAVY,
    "report:read:list_meeting_participants:admin",
    "report:read:admin",
    "report",
)
REPORT_MEETING = ApiEndpoint(
    "GET", "/report/meetings/{}", HEAVY, "report:read:meeting:admin", "report:read:admin", "report"
)

LIST_USERS = ApiEndpoint("GET", "/users", MEDIUM, "user:read:list_users:admin", "user:read:admin", "user")
GET_USER = ApiEndpoint("GET", "/users/{}", LIGHT, "user:read:user:admin", "user:read:admin", "user")
USER_TOKEN = ApiEndpoint("GET", "/users/{}/token", LIGHT, "user:read:token:admin", "user:read:admin", "user")

_REQUIRED = {
    CREATE_MEETING: "schedule classes",
    LIST_MEETINGS: "find a meeting again after a lost answer",
    GET_MEETING: "start a class and compare settings; also the events of meetings",
    UPDATE_MEETING: "change a meeting",
    DELETE_MEETING: "cancel a meeting",
    END_MEETING: "end a meeting that is still running",
    ADD_REGISTRANT: "register learners one by one",
    ADD_REGISTRANTS: "register learners thirty at a time",
    LIST_REGISTRANTS: "see who is registered already",
    SET_REGISTRANTS_STATUS: "cancel the registration of a learner who left",
    DELETE_REGISTRANT: "remove a registrant",
    PAST_INSTANCES: "find every running of a class",
    LIST_USERS: "choose hosts",
    GET_USER: "see whether a host is licensed",
}
_OPTIONAL = {
    REPORT_PARTICIPANTS: "complete the attendance from Zoom's own report",
    REPORT_MEETING: "show Zoom's report of a meeting",
    PAST_MEETING: "see when a meeting ran",
    PAST_PARTICIPANTS: "see who took part where the report is not allowed",
    USER_TOKEN: "let a teacher host inside the page",
}
# Not the scope of a request: without it Zoom sends no participant events.
PARTICIPANT_EVENTS_SCOPE = "meeting:read:participant:admin"

REQUIRED_SCOPES: dict[str, str] = {
    **{endpoint.scope: why for endpoint, why in _REQUIRED.items()},
    PARTICIPANT_EVENTS_SCOPE: "receive joins and leaves",
}
OPTIONAL_SCOPES: dict[str, str] = {endpoint.scope: why for endpoint, why in _OPTIONAL.items()}
_CLASSIC = {endpoint.scope: endpoint.classic for endpoint in (*_REQUIRED, *_OPTIONAL)} | {
    PARTICIPANT_EVENTS_SCOPE: _READ
}


def find_missing_scopes(required: dict[str, str], granted: frozenset[str]) -> dict[str, str]:
    """Return the scopes of ``required`` that a token lacks, with the purpose of each.

    The user-level form (without ``:admin``) and the classic scope of apps made before 2024 are accepted too.
    """
    return {
        scope: purpose
        for scope, purpose in required.items()
        if granted.isdisjoint({scope, scope.removesuffix(":admin"), _CLASSIC[scope]})
    }
