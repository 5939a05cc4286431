"""Response bodies: the JSON of meetings, registrants, users and links."""

import base64
import hashlib
import hmac
import json
from datetime import datetime, timedelta

from portal.sandbox.api.times import format_timestamp
from portal.sandbox.simulation.models import (
    INSTANT,
    JSON,
    RECURRING_FIXED,
    SimulatedInstance,
    SimulatedMeeting,
    SimulatedRegistrant,
    SimulatedUser,
)
from portal.sandbox.simulation.state import SimulationState

AGENDA_IN_LISTS = 250
ZAK_LIFE = timedelta(hours=2)


class ResponseBodies(SimulationState):
    """Mixin of the simulation: builds response bodies."""

    def running(self, meeting_id: str) -> SimulatedInstance | None:
        """The meeting's running instance, or None."""
        for instance in self.instances.values():
            if instance.meeting_id == meeting_id and instance.running:
                return instance
        return None

    # Links

    def _link(self, tail: str) -> str:
        return f"{self.public_url.rstrip('/')}{tail}"

    def _join_url(self, meeting: SimulatedMeeting) -> str:
        tail = f"/j/{meeting.id}"
        return self._link(f"{tail}?pwd={self._hashed_password(meeting)}" if meeting.password else tail)

    def _hashed_password(self, meeting: SimulatedMeeting) -> str:
        digest = hashlib.sha256(f"{meeting.id}:{meeting.password}".encode()).digest()
        return base64.urlsafe_b64encode(digest)[:32].decode() + ".1"

    def link_of(self, registrant: SimulatedRegistrant) -> str:
        """The personal link `.../w/<meeting>?tk=...`; "" unless approved."""
        if registrant.status != "approved":
            return ""
        meeting = self.meetings[registrant.meeting_id]
        password = f"&pwd={self._hashed_password(meeting)}" if meeting.password else ""
        return self._link(f"/w/{meeting.id}?tk={registrant.tk}{password}")

    def zak(self, user: SimulatedUser) -> str:
        """A host's access key, valid for two hours (GET /users/{id}/token?type=zak)."""
        claims = {"uid": user.id, "exp": (self.now() + ZAK_LIFE).timestamp()}
        body = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
        return f"{body}.{self._hmac(body)}"

    def zak_owner(self, zak: str) -> SimulatedUser | None:
        """The user of an access key; None if it is forged or expired."""
        body, _, signature = zak.partition(".")
        if not hmac.compare_digest(self._hmac(body).encode(), signature.encode()):
            return None
        claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        return self.users.get(claims["uid"]) if claims["exp"] > self.now().timestamp() else None

    def _hmac(self, body: str) -> str:
        return hmac.new(self.signing_key.encode(), body.encode(), hashlib.sha256).hexdigest()

    # Meetings

    def meeting_json(self, meeting: SimulatedMeeting, *, with_past: bool = False) -> JSON:
        """The full response of create and get."""
        host = self.users[meeting.host_id]
        body: JSON = {
            "id": int(meeting.id),
            "uuid": meeting.uuid,
            "host_id": host.id,
            "host_email": host.email,
            "assistant_id": "",
            "topic": meeting.topic,
            "type": meeting.type,
            "status": "started" if self.running(meeting.id) else "waiting",
            "duration": meeting.minutes,
            "timezone": meeting.timezone,
            "agenda": meeting.agenda,
            "created_at": format_timestamp(meeting.created_at),
            "start_url": self._link(f"/s/{meeting.id}?zak={self.zak(host)}"),
            "join_url": self._join_url(meeting),
            "password": meeting.password,
            "h323_password": self._digits_of(meeting),
            "pstn_password": self._digits_of(meeting),
            "encrypted_password": self._hashed_password(meeting) if meeting.password else "",
            "pre_schedule": False,
            "creation_source": "open_api",
            "settings": dict(meeting.settings),
        }
        if meeting.start_time:
            body["start_time"] = format_timestamp(meeting.start_time)
        if meeting.tracking_fields:
            body["tracking_fields"] = meeting.tracking_fields
        if meeting.takes_registrations:
            body["registration_url"] = self._link(f"/meeting/register/{meeting.registration_code}")
        if meeting.type == RECURRING_FIXED:
            body["recurrence"] = meeting.recurrence
            body["occurrences"] = self._occurrences(meeting, with_past=with_past)
        return body

    def _digits_of(self, meeting: SimulatedMeeting) -> str:
        digest = hashlib.sha256(meeting.password.encode()).hexdigest()
        return str(int(digest, 16))[:6] if meeting.password else ""

    def _occurrences(self, meeting: SimulatedMeeting, *, with_past: bool = True) -> list[JSON]:
        now = self.now()
        return [
            {
                "occurrence_id": occurrence.occurrence_id,
                "start_time": format_timestamp(occurrence.start_time),
                "duration": occurrence.minutes,
                "status": occurrence.status,
            }
            for occurrence in meeting.occurrences
            if with_past or occurrence.start_time + timedelta(minutes=occurrence.minutes) > now
        ]

    def _list_row(self, meeting: SimulatedMeeting, start: datetime | None = None) -> JSON:
        row: JSON = {
            "id": int(meeting.id),
            "uuid": meeting.uuid,
            "host_id": meeting.host_id,
            "topic": meeting.topic,
            "type": meeting.type,
            "duration": meeting.minutes,
            "timezone": meeting.timezone,
            "agenda": meeting.agenda[:AGENDA_IN_LISTS],
            "created_at": format_timestamp(meeting.created_at),
            "join_url": self._join_url(meeting),
        }
        moment = start or meeting.start_time
        if moment:
            row["start_time"] = format_timestamp(moment)
        return row

    def _event_object(self, meeting: SimulatedMeeting) -> JSON:
        """The `object` of meeting.created, .deleted and .registration_*, in which the id is a number."""
        values: JSON = {
            "uuid": meeting.uuid,
            "id": self._format_meeting_id(meeting.id, "number"),
            "host_id": meeting.host_id,
            "topic": meeting.topic,
            "type": meeting.type,
            "duration": meeting.minutes,
            "timezone": meeting.timezone,
        }
        if meeting.start_time or meeting.type == INSTANT:
            values["start_time"] = format_timestamp(meeting.start_time or meeting.created_at)
        return values

    def _format_meeting_id(self, meeting_id: str, default: str) -> str | int:
        """The id as text or number, as Zoom sends it in that event, unless the flag `id_as` overrides it."""
        kind = default if self.switches.id_as == "zoom" else self.switches.id_as
        return int(meeting_id) if kind == "number" else meeting_id

    def _operator_fields(self, user: SimulatedUser) -> JSON:
        return {"operator": user.email, "operator_id": user.id}

    # Users

    def user_json(self, user: SimulatedUser) -> JSON:
        """A user in GET /users and GET /users/{id}."""
        return {
            "id": user.id,
            "email": user.email,
            "first_name": user.first_name,
            "last_name": user.last_name,
            "display_name": user.name,
            "type": user.type,
            "pmi": user.pmi,
            "timezone": user.timezone,
            "verified": 1,
            "dept": "",
            "created_at": format_timestamp(user.created_at),
            "last_login_time": format_timestamp(user.created_at),
            "status": user.status,
            "role_id": "2",
            "language": "en-US",
            "account_id": self.account_id,
            "group_ids": [],
        }

    def registrant_json(self, registrant: SimulatedRegistrant) -> JSON:
        """A registrant in the list; without link unless approved."""
        row: JSON = {
            **registrant.details,
            "id": registrant.id,
            "email": registrant.email,
            "first_name": registrant.first_name,
            "last_name": registrant.last_name,
            "status": registrant.status,
            "create_time": format_timestamp(registrant.created_at),
            "participant_pin_code": registrant.pin,
        }
        if registrant.status == "approved":
            row["join_url"] = self.link_of(registrant)
        return row
