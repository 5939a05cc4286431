"""Which scope opens which endpoint, and how heavy the call is (Zoom's specifications of 2025-26)."""

from dataclasses import dataclass

from portal.sandbox.simulation.rate_limits import HEAVY, LIGHT, MEDIUM


@dataclass(frozen=True)
class Gate:
    """What a call needs: the granular or the classic scope, and its rate label."""

    granular: str
    classic: str
    label: str


GATES = {
    "create_meeting": Gate("meeting:write:meeting:admin", "meeting:write:admin", MEDIUM),
    "list_meetings": Gate("meeting:read:list_meetings:admin", "meeting:read:admin", MEDIUM),
    "get_meeting": Gate("meeting:read:meeting:admin", "meeting:read:admin", LIGHT),
    "update_meeting": Gate("meeting:update:meeting:admin", "meeting:write:admin", LIGHT),
    "delete_meeting": Gate("meeting:delete:meeting:admin", "meeting:write:admin", LIGHT),
    "meeting_status": Gate("meeting:update:status:admin", "meeting:write:admin", LIGHT),
    "list_registrants": Gate("meeting:read:list_registrants:admin", "meeting:read:admin", MEDIUM),
    "get_registrant": Gate("meeting:read:registrant:admin", "meeting:read:admin", LIGHT),
    "add_registrant": Gate("meeting:write:registrant:admin", "meeting:write:admin", LIGHT),
    "add_registrants": Gate("meeting:write:batch_registrants:admin", "meeting:write:admin", HEAVY),
    "registrant_status": Gate("meeting:update:registrant_status:admin", "meeting:write:admin", MEDIUM),
    "delete_registrant": Gate("meeting:delete:registrant:admin", "meeting:write:admin", LIGHT),
    "past_meeting": Gate("meeting:read:past_meeting:admin", "meeting:read:admin", LIGHT),
    "past_participants": Gate("meeting:read:list_past_participants:admin", "meeting:read:admin", MEDIUM),
    "past_instances": Gate("meeting:read:list_past_instances:admin", "meeting:read:admin", MEDIUM),
    "report_meeting": Gate("report:read:meeting:admin", "report:read:admin", HEAVY),
    "report_participants": Gate("report:read:list_meeting_participants:admin", "report:read:admin", HEAVY),
    "list_users": Gate("user:read:list_users:admin", "user:read:admin", MEDIUM),
    "get_user": Gate("user:read:user:admin", "user:read:admin", LIGHT),
    "user_settings": Gate("user:read:settings:admin", "user:read:admin", MEDIUM),
    "user_token": Gate("user:read:token:admin", "user:read:admin", LIGHT),
}
ALL_SCOPES = tuple(sorted({gate.granular for gate in GATES.values()} | {"meeting:read:participant:admin"}))
