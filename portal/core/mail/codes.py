"""Codes stored in outbox rows."""

from enum import StrEnum


class MailState(StrEnum):
    """State of a mail in the outbox."""

    QUEUED = "queued"
    SENT = "sent"
    FAILED = "failed"
