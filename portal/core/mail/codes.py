"""Codes kept in outbox rows."""

from enum import StrEnum


class MailState(StrEnum):
    """What became of a mail in the outbox."""

    QUEUED = "queued"
    SENT = "sent"
    FAILED = "failed"
