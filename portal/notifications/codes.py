"""Codes of notifications."""

from enum import StrEnum


class NotificationKind(StrEnum):
    """What somebody is notified of."""

    SCHEDULED = "scheduled"
    CHANGED = "changed"
    CANCELLED = "cancelled"
    SHEET_READY = "sheet_ready"
    TO_MATCH = "to_match"
    REGISTRATION_FAILED = "registration_failed"


class Channel(StrEnum):
    """Where a notification is shown."""

    PORTAL = "portal"
    MAIL = "mail"
