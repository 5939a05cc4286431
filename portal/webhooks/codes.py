"""Codes kept in delivery rows."""

from enum import StrEnum


class DeliveryState(StrEnum):
    """What became of a stored delivery."""

    PENDING = "pending"
    DONE = "done"
    IGNORED = "ignored"
    UNMATCHED = "unmatched"
    FAILED = "failed"
