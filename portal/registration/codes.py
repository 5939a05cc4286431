"""Enums of the codes stored in registrant rows: state of the registration, and the reason of a failure or delay.

`messages` turns them into sentences, `states` has the allowed transitions.
"""

from enum import StrEnum


class RegistrantState(StrEnum):
    """State of one person's registration for one meeting."""

    QUEUED = "queued"
    REGISTERED = "registered"
    PENDING_APPROVAL = "pending_approval"
    CANCELLED = "cancelled"
    DENIED = "denied"
    FAILED = "failed"


class RegistrationError(StrEnum):
    """Why a person is not registered."""

    NO_ADDRESS = "no_address"
    OUTSIDE_DOMAIN = "outside_domain"
    SHARED_ADDRESS = "shared_address"
    DAILY_LIMIT = "daily_limit"
    ACCOUNT_LIMIT = "account_limit"
    RATE_LIMITED = "rate_limited"
    UNAVAILABLE = "unavailable"
    APPROVAL = "approval"
    NOT_CONFIGURED = "not_configured"
    NOT_AUTHORISED = "not_authorised"
    CREDENTIALS = "credentials"
    DENIED_AT_ZOOM = "denied_at_zoom"
    CANCELLED_AT_ZOOM = "cancelled_at_zoom"
    HOST = "host"
    DELETED_AT_ZOOM = "deleted_at_zoom"
    HOST_UNLICENSED = "host_unlicensed"
    REGISTRATION_OFF = "registration_off"
    OVER = "over"
    FULL = "full"
    REFUSED = "refused"
