"""Enums of the codes stored in meeting rows: states, pending action at Zoom, error codes, history events.

`messages` turns them into sentences, `states` has the allowed transitions.
"""

from enum import StrEnum


class MeetingState(StrEnum):
    """State of a meeting."""

    PENDING_ZOOM = "pending_zoom"
    SCHEDULED = "scheduled"
    STARTED = "started"
    ENDED = "ended"
    CANCELLED = "cancelled"
    DELETED = "deleted"
    FAILED = "failed"


class OccurrenceState(StrEnum):
    """State of one class date."""

    SCHEDULED = "scheduled"
    STARTED = "started"
    ENDED = "ended"
    CANCELLED = "cancelled"


class PendingAction(StrEnum):
    """The worker's next action at Zoom for a meeting."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    CHECK = "check"


class MeetingKind(StrEnum):
    """Kind of a meeting."""

    INSTANT = "instant"
    SCHEDULED = "scheduled"
    RECURRING = "recurring"


class Audience(StrEnum):
    """Who is invited to a meeting."""

    CLASS = "class"
    STUDENTS = "students"
    TEACHERS = "teachers"
    ALL = "all"
    PERSONAL = "personal"


class MeetingError(StrEnum):
    """Why a meeting could not be created or updated at Zoom."""

    NOT_CONFIGURED = "not_configured"
    NOT_AUTHORISED = "not_authorised"
    CREDENTIALS = "credentials"
    HOST_LIMIT = "host_limit"
    ACCOUNT_LIMIT = "account_limit"
    RATE_LIMITED = "rate_limited"
    UNAVAILABLE = "unavailable"
    DELETED_AT_ZOOM = "deleted_at_zoom"
    HOST_UNKNOWN = "host_unknown"
    NO_FREE_HOST = "no_free_host"
    TOO_LATE = "too_late"
    OCCURRENCES_MISSING = "occurrences_missing"
    HOST_UNLICENSED = "host_unlicensed"
    REGISTRATION_OFF = "registration_off"
    FULL = "full"
    OVER = "over"
    REFUSED = "refused"


class MeetingEvent(StrEnum):
    """An event in a meeting's history."""

    SCHEDULED = "scheduled"
    CHANGED = "changed"
    CANCELLED = "cancelled"
    RETRIED = "retried"
    CREATED_AT_ZOOM = "created_at_zoom"
    CHANGED_AT_ZOOM = "changed_at_zoom"
    DELETED_AT_ZOOM = "deleted_at_zoom"
    ERROR = "error"
    REGISTRATION_STARTED = "registration_started"
    REGISTRATION_COMPLETE = "registration_complete"
    STARTED = "started"
    ENDED = "ended"
    MOVED_AT_ZOOM = "moved_at_zoom"
    FOUND_DELETED_AT_ZOOM = "found_deleted_at_zoom"
    RECOVERED_AT_ZOOM = "recovered_at_zoom"
    RECREATED = "recreated"
    INVITATIONS_CHANGED = "invitations_changed"
    OPEN_MODE = "open_mode"
    HOST_CHANGED = "host_changed"
    OCCURRENCE_MOVED = "occurrence_moved"
    OCCURRENCE_CANCELLED = "occurrence_cancelled"
    OCCURRENCE_CANCELLED_AT_ZOOM = "occurrence_cancelled_at_zoom"
    OCCURRENCES_CHANGED_AT_ZOOM = "occurrences_changed_at_zoom"


class PolicyRule(StrEnum):
    """An admin's rule for one of Zoom's options."""

    FORCED_ON = "forced_on"
    DEFAULT_ON = "default_on"
    DEFAULT_OFF = "default_off"
    NOT_ALLOWED = "not_allowed"
