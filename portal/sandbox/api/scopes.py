"""Required scope and rate label of each endpoint (Zoom's specifications of 2025-26)."""

from dataclasses import dataclass

from portal.sandbox.simulation.rate_limits import HEAVY, LIGHT, MEDIUM


@dataclass(frozen=True)
class ScopeGate:
    """An endpoint's granular and classic scope, either of which suffices, and its rate label."""

    granular: str
    classic: str
    label: str


GATES = {
    "create_meeting": ScopeGate("meeting:write:meeting:admin", "meeting:write:admin", MEDIUM),
    "list_meetings": ScopeGate("meeting:read:list_meetings:admin", "meeting:read:admin", MEDIUM),
    "get_meeting": ScopeGate("meeting:read:meeting:admin", "meeting:read:admin", LIGHT),
    "update_meeting": ScopeGate("meeting:update:meeting:admin", "meeting:write:admin", LIGHT),
    "delete_meeting": ScopeGate("meeting:delete:meeting:admin", "meeting:write:admin", LIGHT),
    "meeting_status": ScopeGate("meeting:update:status:admin", "meeting:write:admin", LIGHT),
    "list_registrants": ScopeGate("meeting:read:list_registrants:admin", "meeting:read:admin", MEDIUM),
    "get_registrant": ScopeGate("meeting:read:registrant:admin", "meeting:read:admin", LIGHT),
    "add_registrant": ScopeGate("meeting:write:registrant:admin", "meeting:write:admin", LIGHT),
    "add_registrants": ScopeGate("meeting:write:batch_registrants:admin", "meeting:write:admin", HEAVY),
    "registrant_status": ScopeGate("meeting:update:registrant_status:admin", "meeting:write:admin", MEDIUM),
    "delete_registrant": ScopeGate("meeting:delete:registrant:admin", "meeting:write:admin", LIGHT),
    "past_meeting": ScopeGate("meeting:read:past_meeting:admin", "meeting:read:admin", LIGHT),
    "past_participants": ScopeGate("meeting:read:list_past_participants:admin", "meeting:read:admin", MEDIUM),
    "past_instances": ScopeGate("meeting:read:list_past_instances:admin", "meeting:read:admin", MEDIUM),
    "report_meeting": ScopeGate("report:read:meeting:admin", "report:read:admin", HEAVY),
    "report_participants": ScopeGate("report:read:list_meeting_participants:admin", "report:read:admin", HEAVY),
    "list_users": ScopeGate("user:read:list_users:admin", "user:read:admin", MEDIUM),
    "get_user": ScopeGate("user:read:user:admin", "user:read:admin", LIGHT),
    "user_settings": ScopeGate("user:read:settings:admin", "user:read:admin", MEDIUM),
    "user_token": ScopeGate("user:read:token:admin", "user:read:admin", LIGHT),
}
ALL_SCOPES = tuple(sorted({gate.granular for gate in GATES.values()} | {"meeting:read:participant:admin"}))
