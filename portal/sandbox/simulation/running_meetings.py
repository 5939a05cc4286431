"""Running meetings: start, join, waiting room, breakout rooms, leave, end.

Every instance has a class clock. It starts at the real time, or at the `at` given to `start`, runs with the real clock,
and is never before an event that already happened. Methods without `at` use its time.
"""

from datetime import datetime, timedelta

from portal.sandbox.api.times import format_timestamp, whole_seconds
from portal.sandbox.simulation.errors import ZoomApiError
from portal.sandbox.simulation.models import (
    JSON,
    RECURRING_FIXED,
    SimulatedInstance,
    SimulatedMeeting,
    SimulatedStay,
    WebhookDelivery,
)
from portal.sandbox.simulation.registrants import RegistrationService

IN_MEETING, IN_WAITING_ROOM, IN_BREAKOUT, BEFORE_HOST = (
    "meeting",
    "waiting_room",
    "breakout_room",
    "before_host",
)
ENDED_BY_HOST = "Host ended the meeting."
FIRST_USER_ID = 16_778_240


class RunningMeetings(RegistrationService):
    """Layer of the simulation: running meetings."""

    def class_clock(self, meeting_id: str) -> datetime:
        """The time of the class clock; the real time if the meeting is not running."""
        with self.lock:
            instance = self.running(meeting_id)
            ahead = instance.class_clock_ahead if instance else 0.0
            return whole_seconds(self.now() + timedelta(seconds=ahead))

    def advance(self, meeting_id: str, minutes: float) -> datetime:
        """Move the class clock forward (never back); returns its time.

        :raises ZoomApiError: 400/3001 if the meeting is not running.
        """
        with self.changing():
            instance = self._running_or_error(meeting_id)
            instance.class_clock_ahead += max(0.0, minutes) * 60
            self.keep_instance(instance)
            return self.class_clock(meeting_id)

    def _running_or_error(self, meeting_id: str) -> SimulatedInstance:
        instance = self.running(meeting_id)
        if instance is None:
            raise ZoomApiError(400, 3001, f"Meeting {meeting_id} is not running.")
        return instance

    def _advance_clock_to(self, instance: SimulatedInstance, at: datetime | None) -> datetime:
        """The time of an event; the class clock is moved forward to it."""
        if at is None:
            return self.class_clock(instance.meeting_id)
        moment = whole_seconds(at)
        ahead = (moment - self.now()).total_seconds()
        if ahead > instance.class_clock_ahead:
            instance.class_clock_ahead = ahead
            self.keep_instance(instance)
        return moment

    # Start and end

    def start(self, meeting_id: str, at: datetime | None = None, *, uuid: str | None = None) -> SimulatedInstance:
        """Start an instance: a new uuid, `meeting.started`; those waiting for the host are let in.

        :param at: time of the start; default: the real time.
        :param uuid: a fixed uuid, for tests.
        :raises ZoomApiError: 404/3001; 400/3000 if it is running already.
        """
        with self.changing():
            meeting = self.usable_meeting(meeting_id)
            if self.running(meeting.id) is not None:
                raise ZoomApiError(400, 3000, f"Meeting {meeting_id} is already running.")
            nth = self.next_number("instance")
            start_time = whole_seconds(at) if at else self.now()
            instance = SimulatedInstance(
                uuid=uuid or self.ids.meeting_uuid(nth),
                meeting_id=meeting.id,
                start_time=start_time,
                class_clock_ahead=(start_time - self.now()).total_seconds(),
                nth=nth,
            )
            meeting.last_used_at = max(start_time, self.now())
            self.keep_meeting(meeting)
            self.keep_instance(instance)
            self.emit("meeting.started", meeting, {"object": self._instance_object(meeting, instance)}, start_time)
            for waiting in self._open_stays(meeting.id, BEFORE_HOST):
                self._admit_after_host(waiting, start_time)
            return instance

    def _admit_after_host(self, waiting: SimulatedStay, at: datetime) -> None:
        meeting = self.meetings[waiting.meeting_id]
        values: JSON = {"id": waiting.zoom_user_id, "user_name": waiting.name}
        values |= {"registrant_id": waiting.registrant_id} if waiting.registrant_id else {}
        payload = {"object": self._instance_object(meeting, None) | {"participant": values}}
        self.emit("meeting.participant_jbh_joined", meeting, payload, at)
        waiting.leave_time = at
        self.keep_stay(waiting)
        self._join_instance(self._running_or_error(meeting.id), waiting, at, IN_MEETING)

    def end(self, meeting_id: str, at: datetime | None = None) -> SimulatedInstance:
        """End the instance: `participant_left` for everybody still in, then `meeting.ended`.

        :raises ZoomApiError: 404/3001; 400/3001 if it is not running.
        """
        with self.changing():
            meeting = self.meeting_named(meeting_id)
            instance = self._running_or_error(meeting.id)
            moment = self._advance_clock_to(instance, at)
            for stay in self._open_stays(meeting.id):
                self._end_stay(stay, max(moment, stay.join_time), ENDED_BY_HOST)
            instance.end_time = moment
            instance.ended_really_at = self.now()
            meeting.ended_once = True
            meeting.last_used_at = max(moment, self.now())
            self.keep_meeting(meeting)
            self.keep_instance(instance)
            values = self._instance_object(meeting, instance) | {"end_time": format_timestamp(moment)}
            self.emit("meeting.ended", meeting, {"object": values}, moment)
            return instance

    # Joining and leaving

    def join(
        self,
        meeting_id: str,
        *,
        registrant_id: str | None = None,
        name: str | None = None,
        email: str = "",
        at: datetime | None = None,
        waiting_room: bool = False,
        zoom_user_id: str = "",
        customer_key: str | None = None,
        host: bool = False,
    ) -> SimulatedStay:
        """Somebody joins on a device; every join is a new session with its own `user_id`.

        If the meeting is not running, the host starts it, as does anyone if "join before host" is on; others wait
        (`where` is `before_host`) and are let in when it starts.

        :param registrant_id: whose personal link is used; `name` overrides the registrant's name.
        :param email: shown by Zoom only for people signed in to the account; a registrant's is always known.
        :param host: the host, identified by their Zoom user id.
        :raises ZoomApiError: 404/3001; 400/300 for a link that is unknown, pending, denied or cancelled.
        """
        with self.changing():
            meeting = self.usable_meeting(meeting_id)
            stay = self._describe_participant(meeting, registrant_id, name, email, zoom_user_id, host)
            stay.customer_key = customer_key or ""
            if self.running(meeting.id) is None:
                if not host and not self._allows_join_before_host(meeting):
                    return self._wait_for_host(meeting, stay, at)
                self.start(meeting.id, at)
            instance = self._running_or_error(meeting.id)
            moment = self._advance_clock_to(instance, at)
            return self._join_instance(instance, stay, moment, IN_WAITING_ROOM if waiting_room else IN_MEETING)

    def _allows_join_before_host(self, meeting: SimulatedMeeting) -> bool:
        # The waiting room disables joining before the host.
        return bool(meeting.settings["join_before_host"]) and not meeting.settings["waiting_room"]

    def _describe_participant(
        self,
        meeting: SimulatedMeeting,
        registrant_id: str | None,
        name: str | None,
        email: str,
        zoom_user_id: str,
        host: bool,
    ) -> SimulatedStay:
        """A stay without session, of the participant described by the arguments of `join`."""
        if host:
            user = self.users[meeting.host_id]
            name, email, zoom_user_id, registrant_id = name or user.name, user.email, user.id, None
        if registrant_id:
            registrant = self.registrant(meeting.id, registrant_id)
            if registrant.status != "approved":
                raise ZoomApiError(400, 300, "This link is not valid.")
            name, email = name or registrant.name, registrant.email
        return SimulatedStay(
            user_id="",
            participant_uuid="",
            meeting_id=meeting.id,
            instance_uuid="",
            name=name or "Guest",
            email=email,
            join_time=self.now(),
            registrant_id=registrant_id or "",
            zoom_user_id=zoom_user_id,
        )

    def _new_session(self, template: SimulatedStay, instance_uuid: str, at: datetime, where: str) -> SimulatedStay:
        nth = self.next_number("stay")
        stay = SimulatedStay(
            user_id=str(FIRST_USER_ID + 1024 * nth),
            participant_uuid=self.ids.participant_uuid(),
            meeting_id=template.meeting_id,
            instance_uuid=instance_uuid,
            name=template.name,
            email=template.email,
            join_time=at,
            where=where,
            registrant_id=template.registrant_id,
            zoom_user_id=template.zoom_user_id,
            customer_key=template.customer_key,
            nth=nth,
        )
        self.stays.setdefault(template.meeting_id, []).append(stay)
        self.keep_stay(stay)
        return stay

    def _wait_for_host(self, meeting: SimulatedMeeting, template: SimulatedStay, at: datetime | None) -> SimulatedStay:
        stay = self._new_session(template, "", whole_seconds(at) if at else self.now(), BEFORE_HOST)
        participant = {"id": stay.zoom_user_id, "user_name": stay.name}
        payload = {"object": self._instance_object(meeting, None) | {"participant": participant}}
        self.emit("meeting.participant_jbh_waiting", meeting, payload, stay.join_time)
        return stay

    def _join_instance(
        self,
        instance: SimulatedInstance,
        template: SimulatedStay,
        at: datetime,
        where: str,
        *,
        keep_session: bool = False,
    ) -> SimulatedStay:
        stay = self._new_session(template, instance.uuid, at, where)
        if keep_session:
            stay.user_id, stay.participant_uuid = template.user_id, template.participant_uuid
        in_waiting_room = where == IN_WAITING_ROOM
        event = "participant_joined_waiting_room" if in_waiting_room else "participant_joined"
        self._emit_participant_event(event, stay, "date_time" if in_waiting_room else "join_time", at)
        return stay

    def admit(self, stay: SimulatedStay | str, at: datetime | None = None) -> SimulatedStay:
        """The host admits somebody from the waiting room; returns the stay in the meeting.

        :raises ZoomApiError: 400/3001 if it is not running or the person is not waiting.
        """
        with self.changing():
            waiting = self._open_stay(stay, IN_WAITING_ROOM)
            instance = self._running_or_error(waiting.meeting_id)
            moment = self._advance_clock_to(instance, at)
            waiting.leave_time = moment
            self.keep_stay(waiting)
            self._emit_participant_event("participant_admitted", waiting, "date_time", moment)
            keep_session = not self.switches.admission_changes_user_id
            return self._join_instance(instance, waiting, moment, IN_MEETING, keep_session=keep_session)

    def put_in_waiting_room(self, stay: SimulatedStay | str, at: datetime | None = None) -> SimulatedStay:
        """The host moves somebody to the waiting room; returns the stay there.

        :raises ZoomApiError: 400/3001 if it is not running or the person is not in the meeting.
        """
        with self.changing():
            meeting_stay = self._open_stay(stay, IN_MEETING)
            instance = self._running_or_error(meeting_stay.meeting_id)
            moment = self._advance_clock_to(instance, at)
            self._end_stay(meeting_stay, moment, "Host moved the participant to the waiting room.")
            waiting_stay = self._new_session(meeting_stay, instance.uuid, moment, IN_WAITING_ROOM)
            self._emit_participant_event("participant_put_in_waiting_room", waiting_stay, "date_time", moment)
            return waiting_stay

    def join_breakout_room(
        self, stay: SimulatedStay | str, at: datetime | None = None, *, room: str = "1"
    ) -> SimulatedStay:
        """Somebody in the meeting joins a breakout room: a second, overlapping session, which is returned.

        :raises ZoomApiError: 400/3001 if it is not running or the person is not in the meeting.
        """
        with self.changing():
            meeting_stay = self._open_stay(stay, IN_MEETING)
            instance = self._running_or_error(meeting_stay.meeting_id)
            moment = self._advance_clock_to(instance, at)
            room_stay = self._new_session(meeting_stay, instance.uuid, moment, IN_BREAKOUT)
            room_stay.parent_user_id = meeting_stay.user_id
            room_stay.room_uuid = f"{instance.uuid[:-2]}{int(room):02d}"
            self.keep_stay(room_stay)
            self._emit_participant_event("participant_joined_breakout_room", room_stay, "join_time", moment)
            return room_stay

    def leave_breakout_room(self, stay: SimulatedStay | str, at: datetime | None = None) -> SimulatedStay:
        """Somebody returns from a breakout room to the meeting.

        :raises ZoomApiError: 400/3001 if it is not running or the person is not in a breakout room.
        """
        with self.changing():
            room_stay = self._open_stay(stay, IN_BREAKOUT)
            moment = self._advance_clock_to(self._running_or_error(room_stay.meeting_id), at)
            return self._end_stay(room_stay, moment, "left the breakout room.")

    def leave(
        self, stay: SimulatedStay | str, at: datetime | None = None, reason: str = "left the meeting."
    ) -> SimulatedStay:
        """Somebody leaves, wherever they are. A no-op for a stay that has ended.

        :param stay: the stay, or its `user_id`.
        :raises ZoomApiError: 400/300 for an unknown session.
        """
        with self.changing():
            current_stay = self._find_stay(stay)
            if not current_stay.open:
                return current_stay
            if current_stay.where == BEFORE_HOST:
                return self._leave_before_host(current_stay, at)
            moment = max(
                self._advance_clock_to(self._running_or_error(current_stay.meeting_id), at), current_stay.join_time
            )
            if current_stay.where == IN_MEETING:
                self._end_breakout_stays(current_stay, moment)
            return self._end_stay(current_stay, moment, reason)

    def _end_breakout_stays(self, stay: SimulatedStay, at: datetime) -> None:
        for room_stay in self._open_stays(stay.meeting_id, IN_BREAKOUT):
            if room_stay.parent_user_id == stay.user_id:
                self._end_stay(room_stay, at, "left the meeting.")

    def _end_stay(self, stay: SimulatedStay, at: datetime, reason: str) -> SimulatedStay:
        stay.leave_time = at
        stay.leave_reason = f"{stay.name} left the meeting.<br>Reason: {reason}"
        self.keep_stay(stay)
        event, key = {
            IN_WAITING_ROOM: ("participant_left_waiting_room", "date_time"),
            IN_BREAKOUT: ("participant_left_breakout_room", "leave_time"),
        }.get(stay.where, ("participant_left", "leave_time"))
        self._emit_participant_event(event, stay, key, at)
        return stay

    def _leave_before_host(self, stay: SimulatedStay, at: datetime | None) -> SimulatedStay:
        meeting = self.meetings[stay.meeting_id]
        stay.leave_time = whole_seconds(at) if at else self.now()
        self.keep_stay(stay)
        values: JSON = {"id": stay.zoom_user_id, "user_name": stay.name, "registrant_id": stay.registrant_id}
        meeting_object = self._instance_object(meeting, None) | {
            "id": self._format_meeting_id(meeting.id, "number"),
            "start_time": format_timestamp(meeting.start_time or meeting.created_at),
        }
        payload = {"object": meeting_object | {"participant": values}}
        self.emit("meeting.participant_jbh_waiting_left", meeting, payload, stay.leave_time)
        return stay

    # Queries

    def stays_of(self, meeting_id: str, instance_uuid: str | None = None) -> list[SimulatedStay]:
        """The stays of a meeting, or of one instance, in order of their start."""
        with self.lock:
            stays = self.stays.get(meeting_id, [])
            return [one for one in stays if instance_uuid is None or one.instance_uuid == instance_uuid]

    def instances_of(self, meeting_id: str) -> list[SimulatedInstance]:
        """The instances of a meeting, oldest first."""
        with self.lock:
            return [one for one in self.instances.values() if one.meeting_id == meeting_id]

    def _open_stays(self, meeting_id: str, where: str | None = None) -> list[SimulatedStay]:
        # Breakout stays first, as they end before the stay they belong to.
        stays = [one for one in self.stays.get(meeting_id, []) if one.open and where in (None, one.where)]
        return sorted(stays, key=lambda one: (one.where != IN_BREAKOUT, one.nth))

    def _find_stay(self, stay: SimulatedStay | str) -> SimulatedStay:
        session = stay.user_id if isinstance(stay, SimulatedStay) else str(stay)
        meetings = (
            [self.stays.get(stay.meeting_id, [])] if isinstance(stay, SimulatedStay) else list(self.stays.values())
        )
        matching_stays = [one for stays in meetings for one in stays if one.user_id == session]
        if not matching_stays:
            raise ZoomApiError(400, 300, "No participant has such a session.")
        # Waiting room and meeting may share a session: the last stay is the current one.
        return matching_stays[-1]

    def _open_stay(self, stay: SimulatedStay | str, where: str) -> SimulatedStay:
        current_stay = self._find_stay(stay)
        if not current_stay.open or current_stay.where != where:
            raise ZoomApiError(400, 3001, f"This person is not in the {where.replace('_', ' ')}.")
        return current_stay

    # Events

    def _instance_object(self, meeting: SimulatedMeeting, instance: SimulatedInstance | None) -> JSON:
        """The `object` of meeting.started, .ended and .participant_*, in which the id is text."""
        start_time = instance.start_time if instance else meeting.start_time
        values: JSON = {
            "id": self._format_meeting_id(meeting.id, "string"),
            "uuid": instance.uuid if instance else meeting.uuid,
            "host_id": meeting.host_id,
            "topic": meeting.topic,
            "type": meeting.type,
            "timezone": meeting.timezone,
            "duration": self._planned_minutes(meeting, instance),
        }
        if start_time:
            values["start_time"] = format_timestamp(start_time)
        return values

    def _planned_minutes(self, meeting: SimulatedMeeting, instance: SimulatedInstance | None) -> int:
        if meeting.type != RECURRING_FIXED or instance is None:
            return meeting.minutes
        nearest = min(meeting.occurrences, key=lambda one: abs(one.start_time - instance.start_time))
        return nearest.minutes

    def _emit_participant_event(self, event: str, stay: SimulatedStay, time_key: str, at: datetime) -> WebhookDelivery:
        participant: JSON = {
            "user_id": stay.user_id,
            "user_name": stay.name,
            "id": stay.zoom_user_id,
            "participant_uuid": stay.participant_uuid,
            "email": stay.email,
            "participant_user_id": stay.zoom_user_id,
            time_key: format_timestamp(at),
        }
        optional = {
            "registrant_id": stay.registrant_id,
            "customer_key": stay.customer_key,
            "parent_user_id": stay.parent_user_id,
            "leave_reason": stay.leave_reason if time_key == "leave_time" else "",
        }
        participant |= {name: value for name, value in optional.items() if value}
        meeting, instance = self.meetings[stay.meeting_id], self.instances[stay.instance_uuid]
        values = self._instance_object(meeting, instance)
        if stay.room_uuid:
            values["breakout_room_uuid"] = stay.room_uuid
        return self.emit(f"meeting.{event}", meeting, {"object": values | {"participant": participant}}, at)
