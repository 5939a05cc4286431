"""Codes stored in account rows."""

from enum import StrEnum


class AccountRequestState(StrEnum):
    """State of a request for an account."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
