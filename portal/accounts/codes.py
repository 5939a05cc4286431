"""Codes kept in account rows."""

from enum import StrEnum


class AccountRequestState(StrEnum):
    """What became of a request for an account."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
