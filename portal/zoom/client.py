"""Client for the operations of Zoom's API that the portal uses.

Every operation raises the exceptions of `portal.zoom.errors`: not configured, unavailable, rate limited, not
authorised, refused. Ids are text. A write that raised `ZoomUnavailable` with ``maybe_done`` may have been carried out.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from portal.zoom.api import endpoints as at
from portal.zoom.api.endpoints import (
    OPTIONAL_SCOPES,
    REQUIRED_SCOPES,
    ApiEndpoint,
    find_missing_scopes,
)
from portal.zoom.api.paths import (
    api_base_url,
    encode_path_meeting,
    encode_path_name,
    encode_path_uuid,
    oauth_token_url,
    regional_base_url,
)
from portal.zoom.api.rate_limiter import NullRateLimiter, RateLimiter
from portal.zoom.api.requests import ApiCredentials, AuthenticatedApi, current_utc_time
from portal.zoom.api.responses import rows_of_response
from portal.zoom.api.token_store import TokenStore
from portal.zoom.errors import ZoomRefused, ZoomUnavailable
from portal.zoom.json_values import as_text
from portal.zoom.models import (
    CredentialCheck,
    Meeting,
    MeetingDraft,
    MeetingSummary,
    PastInstance,
    PastMeeting,
    Registrant,
    RegistrantInput,
    RegistrationResult,
    ReportRow,
    ZoomUser,
)

__all__ = ["OPTIONAL_SCOPES", "REGISTRANT_BATCH_SIZE", "REQUIRED_SCOPES", "ApiCredentials", "ZoomClient"]

REGISTRANT_BATCH_SIZE = 30
NOT_RUNNING_CODES = (3001, 3007)
Value = TypeVar("Value")


class ZoomClient:
    """Zoom's API for one account; safe for threads.

    ``now`` returns aware UTC; ``timeout`` is (connect, read) in seconds; an ``api_url`` without a path gets ``/v2``, an
    ``oauth_url`` without one ``/oauth/token``. Raises ValueError for invalid URLs.
    """

    def __init__(
        self,
        credentials: ApiCredentials | None,
        *,
        tokens: TokenStore,
        api_url: str = "https://api.zoom.us/v2",
        oauth_url: str = "https://zoom.us/oauth/token",
        pace: RateLimiter | None = None,
        now: Callable[[], datetime] = current_utc_time,
        sleep: Callable[[float], None] = time.sleep,
        timeout: tuple[float, float] = (3.05, 8),
    ) -> None:
        self._api = AuthenticatedApi(
            credentials,
            tokens=tokens,
            base=api_base_url(api_url),
            oauth=oauth_token_url(oauth_url),
            pace=pace or NullRateLimiter(),
            now=now,
            sleep=sleep,
            timeout=timeout,
        )

    @property
    def is_configured(self) -> bool:
        """True if there are credentials."""
        return self._api.credentials is not None and self._api.credentials.are_complete

    @property
    def is_resting(self) -> bool:
        """True while the circuit breaker is open and requests are held back."""
        return self._api.circuit.is_open

    # Meetings

    def create_meeting(self, host: str, draft: MeetingDraft) -> Meeting:
        """Create a meeting for a host (user id or address).

        After ``maybe_done`` search with `find_by_marker` before creating again.
        """
        values = self._api.call(at.CREATE_MEETING, encode_path_name(host), body=draft.payload())
        return _require_value(Meeting.read(values), at.CREATE_MEETING)

    def get_meeting(self, meeting_id: str, *, occurrence_id: str | None = None) -> Meeting:
        """Return a meeting with a fresh ``start_url``. Raises `ZoomRefused` with ``is_deleted`` if it was deleted."""
        values = self._api.call(at.GET_MEETING, encode_path_meeting(meeting_id), query=_occurrence_query(occurrence_id))
        return _require_value(Meeting.read(values), at.GET_MEETING)

    def update_meeting(
        self, meeting_id: str, changes: MeetingDraft | Mapping[str, Any], *, occurrence_id: str | None = None
    ) -> None:
        """Update a meeting, or one occurrence of it.

        ``changes`` is a whole draft, or a partial body as `portal.zoom.models.diff_meeting_drafts` returns it; an empty
        one is not sent.
        """
        if isinstance(changes, MeetingDraft):
            body: Mapping[str, Any] = changes.occurrence_payload() if occurrence_id else changes.payload()
        else:
            body = changes
        if body:
            path, query = encode_path_meeting(meeting_id), _occurrence_query(occurrence_id)
            self._api.call(at.UPDATE_MEETING, path, query=query, body=body)

    def delete_meeting(self, meeting_id: str, *, occurrence_id: str | None = None) -> None:
        """Delete a meeting, or one occurrence of it; a no-op if it is deleted already."""
        path, query = encode_path_meeting(meeting_id), _occurrence_query(occurrence_id)
        _ignore_deleted(lambda: self._api.call(at.DELETE_MEETING, path, query=query))

    def end_meeting(self, meeting_id: str) -> bool:
        """End a running meeting; False when it was not running."""
        try:
            self._api.call(at.END_MEETING, encode_path_meeting(meeting_id), body={"action": "end"})
        except ZoomRefused as refusal:
            if refusal.code not in NOT_RUNNING_CODES:
                raise
            return False
        return True

    def list_meetings(self, host: str, *, type: str = "scheduled") -> Iterator[MeetingSummary]:  # noqa: A002 - Zoom's word
        """Yield a host's meetings (``scheduled``, ``live``, ``upcoming``, ``previous_meetings``).

        Zoom never lists instant meetings.
        """
        rows = self._api.paginate(at.LIST_MEETINGS, encode_path_name(host), key="meetings", query={"type": type})
        return _without_none(map(MeetingSummary.read, rows))

    def find_by_marker(self, host: str, marker: str) -> Meeting | None:
        """Return the host's meeting whose agenda starts with the marker, or None.

        A meeting copied in Zoom has the marker too, so the oldest match is ours.
        """
        created_by_id = {row.id: row.created_at for row in self.list_meetings(host) if row.marker == marker}
        for meeting_id in sorted(
            created_by_id, key=lambda key: (created_by_id[key] is None, created_by_id[key] or 0, key)
        ):
            try:
                return self.get_meeting(meeting_id)
            except ZoomRefused as refusal:
                if not refusal.is_deleted:
                    raise
        return None

    # Registrants

    def add_registrant(
        self,
        meeting_id: str,
        person: RegistrantInput,
        *,
        auto_approve: bool = True,
        occurrence_ids: Sequence[str] = (),
    ) -> RegistrationResult:
        """Register a person. Idempotent at Zoom, but each call counts against 3 a day."""
        query = {"occurrence_ids": ",".join(occurrence_ids)} if occurrence_ids else None
        body = {**person.payload(), "auto_approve": auto_approve}
        values = self._api.call(at.ADD_REGISTRANT, encode_path_meeting(meeting_id), query=query, body=body)
        return _require_value(RegistrationResult.read(values, person.email), at.ADD_REGISTRANT)

    def add_registrants(self, meeting_id: str, people: Sequence[RegistrantInput]) -> list[RegistrationResult]:
        """Register 1 to 30 people for a one-off meeting (type 2).

        The results come in any order and may be fewer: match them by address (lower case).
        """
        if not 1 <= len(people) <= REGISTRANT_BATCH_SIZE:
            raise ValueError(f"a batch has 1 to {REGISTRANT_BATCH_SIZE} people")
        body = {
            "auto_approve": True,
            "registrants_confirmation_email": False,
            "registrants": [person.payload() for person in people],
        }
        values = self._api.call(at.ADD_REGISTRANTS, encode_path_meeting(meeting_id), body=body)
        rows = rows_of_response(values, "registrants", at.ADD_REGISTRANTS)
        return list(_without_none(RegistrationResult.read(row) for row in rows))

    def list_registrants(self, meeting_id: str, *, status: str = "approved") -> Iterator[Registrant]:
        """Yield a meeting's registrants that are ``approved``, ``pending`` or ``denied``."""
        path = encode_path_meeting(meeting_id)
        rows = self._api.paginate(at.LIST_REGISTRANTS, path, key="registrants", query={"status": status})
        return _without_none(map(Registrant.read, rows))

    def delete_registrant(self, meeting_id: str, registrant_id: str, *, occurrence_id: str | None = None) -> None:
        """Remove a registrant; a no-op if the meeting is deleted."""
        parts, query = (
            (encode_path_meeting(meeting_id), encode_path_name(registrant_id)),
            _occurrence_query(occurrence_id),
        )
        _ignore_deleted(lambda: self._api.call(at.DELETE_REGISTRANT, *parts, query=query))

    def set_registrants_status(
        self,
        meeting_id: str,
        action: str,
        registrants: Sequence[tuple[str, str]],
        *,
        occurrence_id: str | None = None,
    ) -> None:
        """``approve``, ``cancel`` or ``deny`` registrants, each given as (registrant id, address)."""
        path, query = encode_path_meeting(meeting_id), _occurrence_query(occurrence_id)
        for first in range(0, len(registrants), REGISTRANT_BATCH_SIZE):
            batch = [
                {"id": registrant_id, "email": email}
                for registrant_id, email in registrants[first : first + REGISTRANT_BATCH_SIZE]
            ]
            body = {"action": action, "registrants": batch}
            self._api.call(at.SET_REGISTRANTS_STATUS, path, query=query, body=body)

    # Past meetings

    def past_instances(self, meeting_id: str) -> list[PastInstance]:
        """Return the ended instances of a meeting, oldest first."""
        values = self._api.call(at.PAST_INSTANCES, encode_path_meeting(meeting_id))
        rows = rows_of_response(values, "meetings", at.PAST_INSTANCES)
        instances = _without_none(PastInstance.read(row) for row in rows)
        return sorted(
            instances, key=lambda instance: (instance.start_time is None, instance.start_time or 0, instance.uuid)
        )

    def past_meeting(self, uuid: str) -> PastMeeting:
        """Return an ended instance (a meeting id means its latest)."""
        return PastMeeting.read(self._api.call(at.PAST_MEETING, encode_path_uuid(uuid)))

    def past_participants(self, uuid: str) -> list[ReportRow]:
        """Return the stays of an ended instance; Zoom has none if only one person was there."""
        rows = self._api.paginate(at.PAST_PARTICIPANTS, encode_path_uuid(uuid), key="participants")
        return [ReportRow.read(row) for row in rows]

    def report_participants(self, uuid: str) -> list[ReportRow]:
        """Return the stays of an ended instance from Zoom's report (Pro plan, report scope).

        Raises `ZoomRefused` with ``is_not_ready`` before Zoom has it, ``is_too_old`` after a year.
        """
        query = {"include_fields": "registrant_id"}
        rows = self._api.paginate(at.REPORT_PARTICIPANTS, encode_path_uuid(uuid), key="participants", query=query)
        return [ReportRow.read(row) for row in rows]

    def report_meeting(self, uuid: str) -> PastMeeting:
        """Return the summary of an ended instance from Zoom's report."""
        return PastMeeting.read(self._api.call(at.REPORT_MEETING, encode_path_uuid(uuid)))

    # People and the account

    def list_users(self, *, status: str = "active") -> Iterator[ZoomUser]:
        """Yield the account's users that are ``active``, ``inactive`` or ``pending``."""
        return _without_none(
            map(ZoomUser.read, self._api.paginate(at.LIST_USERS, key="users", query={"status": status}))
        )

    def get_user(self, user: str) -> ZoomUser:
        """Return a user by id or address. Raises `ZoomRefused` with ``is_host_unknown``."""
        return _require_value(ZoomUser.read(self._api.call(at.GET_USER, encode_path_name(user))), at.GET_USER)

    def host_zak(self, user: str) -> str:
        """Return a host's access key (ZAK), which starts meetings for two hours: use it at once, do not store it."""
        values = self._api.call(at.USER_TOKEN, encode_path_name(user), query={"type": "zak"})
        return _require_value(as_text(values.get("token")), at.USER_TOKEN)

    def probe(self) -> CredentialCheck:
        """Check the credentials: return the token's scopes and those missing, with no request but for the token."""
        token = self._api.token()
        return CredentialCheck(
            api_url=regional_base_url(self._api.base, token.api_url),
            scopes=token.scopes,
            missing=find_missing_scopes(REQUIRED_SCOPES, token.scopes),
            missing_optional=find_missing_scopes(OPTIONAL_SCOPES, token.scopes),
            expires_at=token.expires_at,
        )


def _occurrence_query(occurrence_id: str | None) -> dict[str, str] | None:
    return {"occurrence_id": occurrence_id} if occurrence_id else None


def _ignore_deleted(call: Callable[[], object]) -> None:
    try:
        call()
    except ZoomRefused as refusal:
        if not refusal.is_deleted:
            raise


def _without_none(values: Iterable[Value | None]) -> Iterator[Value]:
    return (value for value in values if value is not None)


def _require_value(value: Value | None, endpoint: ApiEndpoint) -> Value:
    """Return the value; a response without its id counts as unreadable. Raises `ZoomUnavailable`."""
    if value is None:
        message = f"{endpoint.method} {endpoint.path}: no id in the answer"
        raise ZoomUnavailable(message, maybe_done=not endpoint.is_read)
    return value
