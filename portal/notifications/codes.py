"""Codes of notifications."""

from enum import StrEnum


class NotificationKind(StrEnum):
    """The kind of a notification."""

    SCHEDULED = "scheduled"
    CHANGED = "changed"
    CANCELLED = "cancelled"
    SHEET_READY = "sheet_ready"
    TO_MATCH = "to_match"
    REGISTRATION_FAILED = "registration_failed"


class Channel(StrEnum):
    """The channel of a notification."""

    PORTAL = "portal"
    MAIL = "mail"
