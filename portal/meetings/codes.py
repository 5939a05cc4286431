"""Codes kept in meeting rows: states, what is pending at Zoom, why it failed, lines of the history.

`messages` turns them into sentences, `states` says which state may follow which.
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
    """What the worker has yet to do at Zoom for a meeting."""

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
    """For whom a meeting is."""

    CLASS = "class"
    STUDENTS = "students"
    TEACHERS = "teachers"
    ALL = "all"
    PERSONAL = "personal"


class MeetingError(StrEnum):
    """Why a meeting waits or failed at Zoom."""

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
    """A line of a meeting's history."""

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
    """What an admin decided about one of Zoom's options."""

    FORCED_ON = "forced_on"
    DEFAULT_ON = "default_on"
    DEFAULT_OFF = "default_off"
    NOT_ALLOWED = "not_allowed"
