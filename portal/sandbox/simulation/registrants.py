"""Registrants: added one by one or in batches of thirty, listed, approved, denied, cancelled."""

from collections.abc import Sequence
from typing import Any

from portal.sandbox.api.times import format_timestamp
from portal.sandbox.simulation.errors import ZoomApiError, invalid_field
from portal.sandbox.simulation.meeting_settings import parse_alternative_hosts
from portal.sandbox.simulation.meetings import MeetingService
from portal.sandbox.simulation.models import (
    APPROVE_AUTOMATICALLY,
    JSON,
    SCHEDULED,
    SimulatedMeeting,
    SimulatedRegistrant,
)

LONGEST_EMAIL, LONGEST_NAME, MOST_AT_ONCE = 128, 64, 30
DETAILS = [
    "address",
    "city",
    "state",
    "zip",
    "country",
    "phone",
    "comments",
    "industry",
    "org",
    "job_title",
    "no_of_employees",
    "purchasing_time_frame",
    "role_in_purchase_process",
    "language",
    "custom_questions",
]
STATUS_AFTER = {"approve": "approved", "deny": "denied", "cancel": "cancelled"}
ONLY_TYPE_2 = (
    "This API can only be used for scheduled meeting(meeting type: 2). Batch registration is not supported "
    "for other meeting types."
)


class RegistrationService(MeetingService):
    """Layer of the simulation: registration."""

    def register(self, meeting_id: str, values: JSON, occurrence_ids: Sequence[str] = ()) -> SimulatedRegistrant:
        """Add a registrant, or return the one with the same address, compared case-insensitively.

        :raises ZoomApiError: 404/3001; 400/200 unlicensed host; 404/300 registration off; 400/3038 over; 400/3027 for
        hosts; 400/3043 full; 400/300 naming the field; 429 at the fourth request of a day for one address.
        """
        with self.changing():
            meeting = self._open_for_registration(
                meeting_id, ZoomApiError(404, 300, self._registration_off_message(meeting_id))
            )
            email = _validated_email(values)
            self._count_post(meeting.id, email)
            self.limits.admit_registrant(meeting.id, email)
            self._require_not_host(meeting, email)
            for occurrence_id in occurrence_ids:
                self.occurrence(meeting, occurrence_id)
            return self._add_or_find_registrant(
                meeting, email, values, bool(values.get("auto_approve")), occurrence_ids
            )

    def register_many(self, meeting_id: str, values: JSON) -> list[SimulatedRegistrant]:
        """Add up to thirty registrants of a meeting of type 2, all or none.

        :return: in Zoom's own order: match them by address.
        :raises ZoomApiError: as `register`, with 400/404 if registration is off and 400/303 for other types.
        """
        with self.changing():
            meeting = self.usable_meeting(meeting_id)
            if meeting.type != SCHEDULED:
                raise ZoomApiError(400, 303, ONLY_TYPE_2)
            meeting = self._open_for_registration(
                meeting_id, ZoomApiError(400, 404, self._registration_off_message(meeting_id))
            )
            people = _registrants_of_body(values)
            emails = [_validated_email(person) for person in people]
            for email in emails:
                self._count_post(meeting.id, email)
                self._require_not_host(meeting, email)
            known_emails = {one.email.casefold() for one in self.active_registrants(meeting.id)}
            if len(known_emails | set(emails)) > self.switches.capacity:
                raise ZoomApiError(400, 3043, "Meeting has reached maximum attendee capacity.")
            approve = bool(values.get("auto_approve"))
            registrants = [
                self._add_or_find_registrant(meeting, email, person, approve, ())
                for email, person in zip(emails, people, strict=True)
            ]
            return sorted({one.id: one for one in registrants}.values(), key=lambda one: one.id)

    def _count_post(self, meeting_id: str, email: str) -> None:
        self._increment_today(f"posts|{meeting_id}|{email}")

    def registration_posts(self, meeting_id: str, email: str) -> int:
        """How often an address was sent for registration today, alone or in a batch."""
        with self.lock:
            return self._count_today(f"posts|{meeting_id}|{email.casefold()}")

    def _registration_off_message(self, meeting_id: str) -> str:
        return f"Registration has not been enabled for this meeting: {meeting_id}."

    def _open_for_registration(self, meeting_id: str, off_error: ZoomApiError) -> SimulatedMeeting:
        meeting = self.usable_meeting(meeting_id)
        self._require_licensed_host(meeting)
        if not meeting.takes_registrations:
            raise off_error
        if self._is_over(meeting):
            raise ZoomApiError(400, 3038, "Meeting is over, you can not register now.")
        return meeting

    def _require_licensed_host(self, meeting: SimulatedMeeting) -> None:
        host = self.users[meeting.host_id]
        if not host.licensed:
            raise ZoomApiError(400, 200, f"Only available for Paid users: {host.id}.")

    def _is_over(self, meeting: SimulatedMeeting) -> bool:
        if not self.switches.over_closes_registration or self.running(meeting.id) is not None:
            return False
        if meeting.type not in (SCHEDULED, 8):
            return False
        return not self._ends_in_future(meeting)

    def _ends_in_future(self, meeting: SimulatedMeeting) -> bool:
        ends = [one.start_time.timestamp() + one.minutes * 60 for one in meeting.occurrences]
        if meeting.start_time and not meeting.occurrences:
            ends = [meeting.start_time.timestamp() + meeting.minutes * 60]
        return any(end > self.now().timestamp() for end in ends)

    def _require_not_host(self, meeting: SimulatedMeeting, email: str) -> None:
        host = self.users[meeting.host_id]
        if email in {host.email.casefold(), *map(str.casefold, parse_alternative_hosts(meeting.settings))}:
            raise ZoomApiError(400, 3027, "Host can not register.")

    def _add_or_find_registrant(
        self, meeting: SimulatedMeeting, email: str, values: JSON, approve: bool, occurrence_ids: Sequence[str]
    ) -> SimulatedRegistrant:
        approve = approve or meeting.settings["approval_type"] == APPROVE_AUTOMATICALLY
        for existing in self.registrants.get(meeting.id, {}).values():
            if existing.email.casefold() == email and existing.status != "cancelled":
                return self._approve_if_pending(existing, approve)
        if len(self.active_registrants(meeting.id)) >= self.switches.capacity:
            raise ZoomApiError(400, 3043, "Meeting has reached maximum attendee capacity.")
        registrant = SimulatedRegistrant(
            id=self.ids.code(),
            meeting_id=meeting.id,
            email=str(values["email"]).strip(),
            first_name=values["first_name"],
            last_name=values.get("last_name") or "",
            status="approved" if approve else "pending",
            tk=self.ids.code(43),
            pin=self.ids.digits(6),
            created_at=self.now(),
            details={name: values[name] for name in DETAILS if values.get(name)},
            occurrence_ids=list(occurrence_ids),
        )
        self.keep_registrant(registrant)
        self._emit_registered(meeting, registrant)
        return registrant

    def _approve_if_pending(self, registrant: SimulatedRegistrant, approve: bool) -> SimulatedRegistrant:
        if registrant.status == "pending" and approve:
            self._set_status(registrant, "approved")
        return registrant

    def _emit_registered(self, meeting: SimulatedMeeting, registrant: SimulatedRegistrant) -> None:
        values = self.registrant_json(registrant)
        values = {name: values[name] for name in values if name != "create_time"}
        self._emit_registration("created", meeting, values | {"join_url": self.link_of(registrant)})

    def _emit_registration(self, action: str, meeting: SimulatedMeeting, registrant: JSON) -> None:
        start = format_timestamp(meeting.start_time or meeting.created_at)
        values = self._event_object(meeting) | {"start_time": start, "registrant": registrant}
        if meeting.occurrences:
            values["occurrences"] = [
                {"occurrence_id": occurrence.occurrence_id, "start_time": format_timestamp(occurrence.start_time)}
                for occurrence in meeting.occurrences
                if occurrence.status == "available"
            ]
        payload: JSON = {"object": values}
        if action != "created":
            payload |= self._operator_fields(self.users[meeting.host_id])
        self.emit(f"meeting.registration_{action}", meeting, payload, self.now())

    def active_registrants(self, meeting_id: str) -> list[SimulatedRegistrant]:
        """Approved and pending registrants, in order of registration."""
        with self.lock:
            return [one for one in self.registrants.get(meeting_id, {}).values() if one.active]

    def list_registrants(
        self, meeting_id: str, status: str = "approved", occurrence_id: str = ""
    ) -> list[SimulatedRegistrant]:
        """The registrants of that status: approved, pending or denied. Cancelled ones are never listed.

        :raises ZoomApiError: 404/3001; 400/300 for another status; 400/200 unlicensed host; 404/300 registration off.
        """
        if status not in ("approved", "pending", "denied"):
            raise invalid_field("status")
        with self.lock:
            meeting = self.usable_meeting(meeting_id)
            self._require_licensed_host(meeting)
            if not meeting.takes_registrations:
                raise ZoomApiError(404, 300, self._registration_off_message(meeting_id))
            return [
                registrant
                for registrant in self.registrants.get(meeting.id, {}).values()
                if registrant.status == status and _is_registered_for(registrant, occurrence_id)
            ]

    def registrant(self, meeting_id: str, registrant_id: str) -> SimulatedRegistrant:
        """One registrant that is not cancelled.

        :raises ZoomApiError: 404/3001; 400/300 for an unknown id.
        """
        with self.lock:
            self.usable_meeting(meeting_id)
            registrant = self.registrants.get(meeting_id, {}).get(registrant_id)
            if registrant is None or registrant.status == "cancelled":
                text = "The value that you entered for the Registrant ID field is invalid. Enter a valid value."
                raise ZoomApiError(400, 300, text)
            return registrant

    def by_tk(self, meeting_id: str, tk: str) -> SimulatedRegistrant | None:
        """The registrant of a personal link; None for a key that is unknown, pending, denied or cancelled."""
        with self.lock:
            for registrant in self.registrants.get(meeting_id, {}).values():
                if registrant.tk == tk and registrant.status == "approved":
                    return registrant
        return None

    def set_registrants_status(self, meeting_id: str, action: str, people: Sequence[JSON]) -> None:
        """Approve, deny or cancel up to thirty registrants, by id or address. Unknown ones are skipped.

        :raises ZoomApiError: 404/3001; 400/300 for another action or more than thirty; 429 after ten changes a day.
        """
        if action not in STATUS_AFTER:
            raise invalid_field("action")
        if not isinstance(people, list) or len(people) > MOST_AT_ONCE:
            raise invalid_field("registrants")
        with self.changing():
            meeting = self.usable_meeting(meeting_id)
            self._require_licensed_host(meeting)
            for person in people:
                registrant = self._find_registrant(meeting.id, person)
                if registrant is not None:
                    self.limits.admit_status(meeting.id, registrant.email.casefold())
                    self._set_status(registrant, STATUS_AFTER[action])

    def _find_registrant(self, meeting_id: str, person: object) -> SimulatedRegistrant | None:
        if not isinstance(person, dict):
            raise invalid_field("registrants")
        for registrant in self.registrants.get(meeting_id, {}).values():
            same_email = registrant.email.casefold() == str(person.get("email") or "").casefold()
            if registrant.status != "cancelled" and (
                registrant.id == person.get("id") or (not person.get("id") and same_email)
            ):
                return registrant
        return None

    def _set_status(self, registrant: SimulatedRegistrant, status: str) -> None:
        if registrant.status == status:
            return
        registrant.status = status
        self.keep_registrant(registrant)
        values: JSON = {
            "id": registrant.id,
            "first_name": registrant.first_name,
            "last_name": registrant.last_name,
            "email": registrant.email,
        }
        if status == "approved":
            values |= {"join_url": self.link_of(registrant), "participant_pin_code": registrant.pin}
        self._emit_registration(status, self.meetings[registrant.meeting_id], values)

    def delete_registrant(self, meeting_id: str, registrant_id: str) -> None:
        """Cancel one registration: its link stops working.

        :raises ZoomApiError: 404/3001; 400/300 for an unknown id or registration off; 400/200 unlicensed host.
        """
        with self.changing():
            meeting = self.usable_meeting(meeting_id)
            self._require_licensed_host(meeting)
            if not meeting.takes_registrations:
                raise ZoomApiError(400, 300, self._registration_off_message(meeting_id))
            self._set_status(self.registrant(meeting_id, registrant_id), "cancelled")


def _is_registered_for(registrant: SimulatedRegistrant, occurrence_id: str) -> bool:
    return not occurrence_id or not registrant.occurrence_ids or occurrence_id in registrant.occurrence_ids


def _registrants_of_body(values: JSON) -> list[Any]:
    people = values.get("registrants")
    if not isinstance(people, list) or not 1 <= len(people) <= MOST_AT_ONCE:
        raise invalid_field("registrants")
    return people


def _validated_email(values: Any) -> str:
    """The case-folded address of a registration request, after validating the request."""
    if not isinstance(values, dict):
        raise invalid_field("registrants")
    email, first, last = values.get("email"), values.get("first_name"), values.get("last_name")
    if not isinstance(email, str) or len(email) > LONGEST_EMAIL or email.strip().count("@") != 1:
        raise invalid_field("email")
    if not isinstance(first, str) or not 1 <= len(first) <= LONGEST_NAME:
        raise invalid_field("first_name")
    if last is not None and (not isinstance(last, str) or len(last) > LONGEST_NAME):
        raise invalid_field("last_name")
    return email.strip().casefold()
