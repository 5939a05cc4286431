"""Exceptions for Zoom's failures, each with a message for the log and one for the page.

Decisions use HTTP status and Zoom's error code, because Zoom may localise its messages to the account's language. The
three places that have to match text, as Zoom gives two meanings one code, say so. ``str(error)`` never contains text of
Zoom's, which can hold addresses and names.
"""

import re
from datetime import datetime


def N_(text: str) -> str:
    """Mark a text for translation where it is defined; the page translates it when it shows it."""
    return text


class ZoomError(Exception):
    """Base class of all errors of this package.

    ``str(error)`` is for the log, ``user_message`` (plain English, no personal data) for the page, and ``tracking_id``
    what Zoom's support asks for, if Zoom sent one.
    """

    user_message: str = N_("Zoom could not do this. Please try again, or ask your administrator.")

    def __init__(self, message: str = "", *, tracking_id: str | None = None) -> None:
        super().__init__(message or type(self).__name__)
        self.tracking_id = tracking_id


class ZoomNotConfigured(ZoomError):
    """The portal has no Zoom credentials."""

    user_message = N_("Zoom is not configured. Ask your administrator to enter the Zoom account.")


class ZoomUnavailable(ZoomError):
    """No usable response: Zoom is down, slow, unreachable, or sent something unreadable.

    ``maybe_done`` is true if a write may have been carried out anyway (read timeout, reset, 5xx, unreadable response):
    read before you write again.
    """

    user_message = N_("Zoom is not answering. Your work is saved; the portal tries again by itself.")

    def __init__(self, message: str = "", *, maybe_done: bool = False, tracking_id: str | None = None) -> None:
        super().__init__(message, tracking_id=tracking_id)
        self.maybe_done = maybe_done


class CircuitOpen(ZoomUnavailable):
    """Not sent, because the circuit breaker is open after several failures in a row."""


class ZoomNotAuthorised(ZoomError):
    """The token lacks scopes: ``missing_scopes`` names those missing in the app at Zoom (codes 4700, 4711)."""

    user_message = N_("The portal's Zoom app may not do this. Ask your administrator to add the missing permission.")

    def __init__(
        self, message: str = "", *, missing_scopes: tuple[str, ...] = (), tracking_id: str | None = None
    ) -> None:
        super().__init__(message, tracking_id=tracking_id)
        self.missing_scopes = missing_scopes


class ZoomBadCredentials(ZoomNotAuthorised):
    """Wrong account id, client id or secret, a deactivated app, or Zoom refuses even a new token."""

    user_message = N_("Zoom does not accept the portal's credentials. Ask your administrator to check them.")


class ZoomRateLimited(ZoomError):
    """One of Zoom's rate limits is reached.

    ``daily`` limits last until ``until`` (aware UTC); ``per`` is the limit's kind: ``second``, ``account-day``,
    ``host-day`` (100 creates and updates) or ``registrant-day`` (3 registrations).
    """

    user_message = N_("Zoom is busy. The portal tries again by itself.")
    _daily_message = N_("Zoom's limit for today is reached. The portal goes on by itself when Zoom allows it again.")

    def __init__(
        self,
        message: str = "",
        *,
        until: datetime | None = None,
        daily: bool = False,
        per: str = "second",
        tracking_id: str | None = None,
    ) -> None:
        super().__init__(message, tracking_id=tracking_id)
        self.until = until
        self.daily = daily
        self.per = per
        if daily:
            self.user_message = self._daily_message


# Two meanings under status 404, code 300 (or 400, code 300 without a field): only the text distinguishes them.
_DELETED_TEXT = re.compile(r"not found or has expired|does not exist", re.IGNORECASE)
_REGISTRATION_OFF_TEXT = re.compile(r"registration has not been enabled|has not registration", re.IGNORECASE)

_MESSAGES = {
    "is_deleted": N_("This meeting no longer exists at Zoom."),
    "is_host_unknown": N_("Zoom does not know this host. Ask your administrator to check the teacher's Zoom user."),
    "is_host_unlicensed": N_("This host's Zoom licence does not allow this. Ask your administrator for a licence."),
    "is_host_not_registrable": N_("This person hosts the meeting and cannot be registered for it."),
    "is_full": N_("This meeting has no room for more registrants."),
    "is_over": N_("This meeting is over, so nobody can be registered any more."),
    "is_registration_off": N_("Registration is switched off for this meeting at Zoom."),
    "is_batch_unsupported": N_("Zoom registers people for this kind of meeting only one by one."),
    "is_not_ready": N_("Zoom has no report of this meeting yet."),
    "is_too_old": N_("This meeting is more than a year old: Zoom no longer keeps its report."),
}
_OTHER_MESSAGE = N_("Zoom refused this request. Check what you entered, or ask your administrator.")


class ZoomRefused(ZoomError):
    """Zoom refused the request (a 4xx other than tokens and limits).

    ``status`` is the HTTP status, ``code`` Zoom's own number (None if absent), ``message`` Zoom's text (may hold
    personal data: never log it), ``fields`` its (field, message) pairs, ``resource`` what was requested: ``meeting``,
    ``registrants``, ``user``, ``past`` or ``report``.
    """

    def __init__(
        self,
        status: int,
        code: int | None,
        message: str = "",
        fields: tuple[tuple[str, str], ...] = (),
        *,
        resource: str = "meeting",
        tracking_id: str | None = None,
    ) -> None:
        names = "".join(f", field {name}" for name, _ in fields)
        super().__init__(f"refused with {status}, code {code}, on {resource}{names}", tracking_id=tracking_id)
        self.status = status
        self.code = code
        self.message = message
        self.fields = fields
        self.resource = resource
        self.user_message = next(
            (text for property_name, text in _MESSAGES.items() if getattr(self, property_name)), _OTHER_MESSAGE
        )

    @property
    def is_deleted(self) -> bool:
        """The meeting is deleted or expired (3001; 1001 where a registrant is added; some 300s)."""
        if self.resource not in ("meeting", "registrants"):
            return False
        if self.code == 3001 or (self.code == 1001 and self.resource == "registrants"):
            return True
        return self.code == 300 and not self.fields and bool(_DELETED_TEXT.search(self.message))

    @property
    def is_not_ready(self) -> bool:
        """Zoom has no such report: not ended, not processed yet, or expired (3001)."""
        return self.resource in ("past", "report") and self.code == 3001

    @property
    def is_too_old(self) -> bool:
        """Older than the year for which Zoom keeps reports (12702)."""
        return self.code == 12702

    @property
    def is_host_unknown(self) -> bool:
        """No such user in the account (1001, 1010), or one that has not accepted the invitation (1120)."""
        return self.resource != "registrants" and self.code in (1001, 1010, 1120)

    @property
    def is_host_unlicensed(self) -> bool:
        """The host's licence does not allow it: 3161, or code 200 "only available for paid users"."""
        return self.code in (200, 3161)

    @property
    def is_host_not_registrable(self) -> bool:
        """Hosts and alternative hosts cannot register (3027)."""
        return self.code == 3027

    @property
    def is_full(self) -> bool:
        """The maximum number of registrants is reached (3043)."""
        return self.code == 3043

    @property
    def is_over(self) -> bool:
        """The meeting is over (3038)."""
        return self.code == 3038

    @property
    def is_registration_off(self) -> bool:
        """Registration is not enabled: code 404, status 404 with code 300, or 400/300 with that text."""
        if self.code == 404:
            return True
        if self.resource != "registrants" or self.code != 300 or self.fields or self.is_deleted:
            return False
        return self.status == 404 or bool(_REGISTRATION_OFF_TEXT.search(self.message))

    @property
    def is_batch_unsupported(self) -> bool:
        """The batch call accepts only one-off meetings, type 2 (303)."""
        return self.code == 303
