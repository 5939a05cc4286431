"""How Zoom writes things down: the JSON of meetings, registrants, people and links."""

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
    """The part of the world that writes answers."""

    def running(self, meeting_id: str) -> SimulatedInstance | None:
        """The run of that meeting that has not ended, or None."""
        for instance in self.instances.values():
            if instance.meeting_id == meeting_id and instance.running:
                return instance
        return None

    # Links

    def _link(self, tail: str) -> str:
        return f"{self.public_url.rstrip('/')}{tail}"

    def _join_url(self, meeting: SimulatedMeeting) -> str:
        tail = f"/j/{meeting.id}"
        return self._link(f"{tail}?pwd={self._folded_password(meeting)}" if meeting.password else tail)

    def _folded_password(self, meeting: SimulatedMeeting) -> str:
        digest = hashlib.sha256(f"{meeting.id}:{meeting.password}".encode()).digest()
        return base64.urlsafe_b64encode(digest)[:32].decode() + ".1"

    def link_of(self, registrant: SimulatedRegistrant) -> str:
        """The personal link: `.../w/<meeting>?tk=...`; empty unless approved."""
        if registrant.status != "approved":
            return ""
        meeting = self.meetings[registrant.meeting_id]
        password = f"&pwd={self._folded_password(meeting)}" if meeting.password else ""
        return self._link(f"/w/{meeting.id}?tk={registrant.tk}{password}")

    def zak(self, user: SimulatedUser) -> str:
        """A host's key, good for two hours (GET /users/{id}/token?type=zak)."""
        claims = {"uid": user.id, "exp": (self.now() + ZAK_LIFE).timestamp()}
        body = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
        return f"{body}.{self._sign(body)}"

    def zak_owner(self, zak: str) -> SimulatedUser | None:
        """Whose key this is; None when it is forged or over two hours old."""
        body, _, signature = zak.partition(".")
        if not hmac.compare_digest(self._sign(body).encode(), signature.encode()):
            return None
        claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        return self.users.get(claims["uid"]) if claims["exp"] > self.now().timestamp() else None

    def _sign(self, body: str) -> str:
        return hmac.new(self.signing_key.encode(), body.encode(), hashlib.sha256).hexdigest()

    # Meetings

    def meeting_json(self, meeting: SimulatedMeeting, *, with_past: bool = False) -> JSON:
        """The full answer of create and get."""
        host = self.users[meeting.host_id]
        answer: JSON = {
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
            "encrypted_password": self._folded_password(meeting) if meeting.password else "",
            "pre_schedule": False,
            "creation_source": "open_api",
            "settings": dict(meeting.settings),
        }
        if meeting.start_time:
            answer["start_time"] = format_timestamp(meeting.start_time)
        if meeting.tracking_fields:
            answer["tracking_fields"] = meeting.tracking_fields
        if meeting.takes_registrations:
            answer["registration_url"] = self._link(f"/meeting/register/{meeting.registration_code}")
        if meeting.type == RECURRING_FIXED:
            answer["recurrence"] = meeting.recurrence
            answer["occurrences"] = self._occurrences(meeting, with_past=with_past)
        return answer

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

    def _row(self, meeting: SimulatedMeeting, start: datetime | None = None) -> JSON:
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

    def _short(self, meeting: SimulatedMeeting) -> JSON:
        """The object of meeting.created, .deleted and .registration_*: the id is a number there."""
        values: JSON = {
            "uuid": meeting.uuid,
            "id": self._id_as(meeting.id, "number"),
            "host_id": meeting.host_id,
            "topic": meeting.topic,
            "type": meeting.type,
            "duration": meeting.minutes,
            "timezone": meeting.timezone,
        }
        if meeting.start_time or meeting.type == INSTANT:
            values["start_time"] = format_timestamp(meeting.start_time or meeting.created_at)
        return values

    def _id_as(self, meeting_id: str, usual: str) -> str | int:
        """Text or number, as Zoom writes it in that event, unless the switch `id_as` says otherwise."""
        kind = usual if self.switches.id_as == "zoom" else self.switches.id_as
        return int(meeting_id) if kind == "number" else meeting_id

    def _operator(self, user: SimulatedUser) -> JSON:
        return {"operator": user.email, "operator_id": user.id}

    # People

    def user_json(self, user: SimulatedUser) -> JSON:
        """A user as GET /users and GET /users/{id} give it."""
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
        """A registrant as the list gives it; no link unless approved."""
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
