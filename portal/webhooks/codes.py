"""Codes stored in delivery rows."""

from enum import StrEnum


class DeliveryState(StrEnum):
    """State of a stored delivery, see `ZoomEvent`."""

    PENDING = "pending"
    DONE = "done"
    IGNORED = "ignored"
    UNMATCHED = "unmatched"
    FAILED = "failed"
