"""A meeting while it runs: starting, joining, the waiting room, breakout rooms, leaving, ending.

Every running meeting has a class clock. It starts at the real now, or at the moment given to `start`, runs
with the real clock, and never stands before something that already happened. Where a verb gets no `at`, it
happens then.
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
    """The part of the world that runs classes."""

    def class_clock(self, meeting_id: str) -> datetime:
        """What time it is in the class; the real time when it does not run."""
        with self.lock:
            instance = self.running(meeting_id)
            ahead = instance.class_clock_ahead if instance else 0.0
            return whole_seconds(self.now() + timedelta(seconds=ahead))

    def advance(self, meeting_id: str, minutes: float) -> datetime:
        """Move the class clock on (never back); returns what it shows.

        :raises ZoomApiError: 400/3001 when the meeting does not run.
        """
        with self.changing():
            instance = self._must_run(meeting_id)
            instance.class_clock_ahead += max(0.0, minutes) * 60
            self.keep_instance(instance)
            return self.class_clock(meeting_id)

    def _must_run(self, meeting_id: str) -> SimulatedInstance:
        instance = self.running(meeting_id)
        if instance is None:
            raise ZoomApiError(400, 3001, f"Meeting {meeting_id} is not running.")
        return instance

    def _moment(self, instance: SimulatedInstance, at: datetime | None) -> datetime:
        """The moment something happens; the class clock follows it."""
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
        """Start a run of the meeting: a new uuid, `meeting.started`; who waited for the host comes in.

        :param at: when the class says it is; the real now if not given.
        :param uuid: the uuid to use, for a test that needs a certain one.
        :raises ZoomApiError: 404/3001; 400/3000 when it runs already.
        """
        with self.changing():
            meeting = self.usable_meeting(meeting_id)
            if self.running(meeting.id) is not None:
                raise ZoomApiError(400, 3000, f"Meeting {meeting_id} is already running.")
            nth = self.next_number("instance")
            begun = whole_seconds(at) if at else self.now()
            instance = SimulatedInstance(
                uuid=uuid or self.ids.meeting_uuid(nth),
                meeting_id=meeting.id,
                start_time=begun,
                class_clock_ahead=(begun - self.now()).total_seconds(),
                nth=nth,
            )
            meeting.last_used_at = max(begun, self.now())
            self.keep_meeting(meeting)
            self.keep_instance(instance)
            self.emit("meeting.started", meeting, {"object": self._object(meeting, instance)}, begun)
            for waiting in self._open_stays(meeting.id, BEFORE_HOST):
                self._let_in_after_host(waiting, begun)
            return instance

    def _let_in_after_host(self, waiting: SimulatedStay, at: datetime) -> None:
        meeting = self.meetings[waiting.meeting_id]
        values: JSON = {"id": waiting.zoom_user_id, "user_name": waiting.name}
        values |= {"registrant_id": waiting.registrant_id} if waiting.registrant_id else {}
        payload = {"object": self._object(meeting, None) | {"participant": values}}
        self.emit("meeting.participant_jbh_joined", meeting, payload, at)
        waiting.leave_time = at
        self.keep_stay(waiting)
        self._enter(self._must_run(meeting.id), waiting, at, IN_MEETING)

    def end(self, meeting_id: str, at: datetime | None = None) -> SimulatedInstance:
        """End the run: everybody still in gets `participant_left`, then `meeting.ended`.

        :raises ZoomApiError: 404/3001; 400/3001 when it does not run.
        """
        with self.changing():
            meeting = self.meeting_named(meeting_id)
            instance = self._must_run(meeting.id)
            moment = self._moment(instance, at)
            for stay in self._open_stays(meeting.id):
                self._leave(stay, max(moment, stay.join_time), ENDED_BY_HOST)
            instance.end_time = moment
            instance.ended_really_at = self.now()
            meeting.ended_once = True
            meeting.last_used_at = max(moment, self.now())
            self.keep_meeting(meeting)
            self.keep_instance(instance)
            values = self._object(meeting, instance) | {"end_time": format_timestamp(moment)}
            self.emit("meeting.ended", meeting, {"object": values}, moment)
            return instance

    # Coming and going

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
        """Somebody joins on some device; every join is a new session with its own `user_id`.

        Before the meeting runs, the host starts it, as does anyone where "join before host" is on; others
        wait (`where` is `before_host`) and come in when it starts.

        :param registrant_id: whose personal link is used; the name is the registrant's unless `name` is
            given.
        :param email: shown by Zoom only for people signed in to the account; a registrant's is always known.
        :param host: the host in person, recognised by the host's Zoom id.
        :raises ZoomApiError: 404/3001; 400/300 for a link that is unknown, pending, denied or cancelled.
        """
        with self.changing():
            meeting = self.usable_meeting(meeting_id)
            stay = self._person(meeting, registrant_id, name, email, zoom_user_id, host)
            stay.customer_key = customer_key or ""
            if self.running(meeting.id) is None:
                if not host and not self._open_before_host(meeting):
                    return self._wait_for_host(meeting, stay, at)
                self.start(meeting.id, at)
            instance = self._must_run(meeting.id)
            moment = self._moment(instance, at)
            return self._enter(instance, stay, moment, IN_WAITING_ROOM if waiting_room else IN_MEETING)

    def _open_before_host(self, meeting: SimulatedMeeting) -> bool:
        # The waiting room disables joining before the host.
        return bool(meeting.settings["join_before_host"]) and not meeting.settings["waiting_room"]

    def _person(
        self,
        meeting: SimulatedMeeting,
        registrant_id: str | None,
        name: str | None,
        email: str,
        zoom_user_id: str,
        host: bool,
    ) -> SimulatedStay:
        """A stay not yet begun, of the person the arguments of `join` describe."""
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

    def _new_session(self, like: SimulatedStay, instance_uuid: str, at: datetime, where: str) -> SimulatedStay:
        nth = self.next_number("stay")
        stay = SimulatedStay(
            user_id=str(FIRST_USER_ID + 1024 * nth),
            participant_uuid=self.ids.participant_uuid(),
            meeting_id=like.meeting_id,
            instance_uuid=instance_uuid,
            name=like.name,
            email=like.email,
            join_time=at,
            where=where,
            registrant_id=like.registrant_id,
            zoom_user_id=like.zoom_user_id,
            customer_key=like.customer_key,
            nth=nth,
        )
        self.stays.setdefault(like.meeting_id, []).append(stay)
        self.keep_stay(stay)
        return stay

    def _wait_for_host(self, meeting: SimulatedMeeting, like: SimulatedStay, at: datetime | None) -> SimulatedStay:
        stay = self._new_session(like, "", whole_seconds(at) if at else self.now(), BEFORE_HOST)
        told = {"id": stay.zoom_user_id, "user_name": stay.name}
        payload = {"object": self._object(meeting, None) | {"participant": told}}
        self.emit("meeting.participant_jbh_waiting", meeting, payload, stay.join_time)
        return stay

    def _enter(
        self, instance: SimulatedInstance, like: SimulatedStay, at: datetime, where: str, *, same: bool = False
    ) -> SimulatedStay:
        stay = self._new_session(like, instance.uuid, at, where)
        if same:
            stay.user_id, stay.participant_uuid = like.user_id, like.participant_uuid
        waiting = where == IN_WAITING_ROOM
        event = "participant_joined_waiting_room" if waiting else "participant_joined"
        self._tell(event, stay, "date_time" if waiting else "join_time", at)
        return stay

    def admit(self, stay: SimulatedStay | str, at: datetime | None = None) -> SimulatedStay:
        """The host lets somebody in from the waiting room; returns the stay in the meeting.

        :raises ZoomApiError: 400/3001 when it does not run or the person is not waiting.
        """
        with self.changing():
            waiting = self._open_stay(stay, IN_WAITING_ROOM)
            instance = self._must_run(waiting.meeting_id)
            moment = self._moment(instance, at)
            waiting.leave_time = moment
            self.keep_stay(waiting)
            self._tell("participant_admitted", waiting, "date_time", moment)
            same = not self.switches.admission_changes_user_id
            return self._enter(instance, waiting, moment, IN_MEETING, same=same)

    def put_in_waiting_room(self, stay: SimulatedStay | str, at: datetime | None = None) -> SimulatedStay:
        """The host moves somebody out into the waiting room; returns the stay there.

        :raises ZoomApiError: 400/3001 when it does not run or the person is not in the meeting.
        """
        with self.changing():
            inside = self._open_stay(stay, IN_MEETING)
            instance = self._must_run(inside.meeting_id)
            moment = self._moment(instance, at)
            self._leave(inside, moment, "Host moved the participant to the waiting room.")
            moved = self._new_session(inside, instance.uuid, moment, IN_WAITING_ROOM)
            self._tell("participant_put_in_waiting_room", moved, "date_time", moment)
            return moved

    def join_breakout_room(
        self, stay: SimulatedStay | str, at: datetime | None = None, *, room: str = "1"
    ) -> SimulatedStay:
        """Somebody in the meeting goes to a breakout room: a second, overlapping session; returns that one.

        :raises ZoomApiError: 400/3001 when it does not run or the person is not in the meeting.
        """
        with self.changing():
            inside = self._open_stay(stay, IN_MEETING)
            instance = self._must_run(inside.meeting_id)
            moment = self._moment(instance, at)
            visit = self._new_session(inside, instance.uuid, moment, IN_BREAKOUT)
            visit.parent_user_id = inside.user_id
            visit.room_uuid = f"{instance.uuid[:-2]}{int(room):02d}"
            self.keep_stay(visit)
            self._tell("participant_joined_breakout_room", visit, "join_time", moment)
            return visit

    def leave_breakout_room(self, stay: SimulatedStay | str, at: datetime | None = None) -> SimulatedStay:
        """Back from a breakout room to the meeting.

        :raises ZoomApiError: 400/3001 when it does not run or the person is not in such a room.
        """
        with self.changing():
            visit = self._open_stay(stay, IN_BREAKOUT)
            moment = self._moment(self._must_run(visit.meeting_id), at)
            return self._leave(visit, moment, "left the breakout room.")

    def leave(
        self, stay: SimulatedStay | str, at: datetime | None = None, reason: str = "left the meeting."
    ) -> SimulatedStay:
        """Somebody leaves, from wherever they are. A stay that has ended stays as it is.

        :param stay: the stay, or its `user_id`.
        :raises ZoomApiError: 400/300 for a session nobody has.
        """
        with self.changing():
            found = self._find_stay(stay)
            if not found.open:
                return found
            if found.where == BEFORE_HOST:
                return self._stop_waiting_for_host(found, at)
            moment = max(self._moment(self._must_run(found.meeting_id), at), found.join_time)
            if found.where == IN_MEETING:
                self._leave_rooms_of(found, moment)
            return self._leave(found, moment, reason)

    def _leave_rooms_of(self, stay: SimulatedStay, at: datetime) -> None:
        for visit in self._open_stays(stay.meeting_id, IN_BREAKOUT):
            if visit.parent_user_id == stay.user_id:
                self._leave(visit, at, "left the meeting.")

    def _leave(self, stay: SimulatedStay, at: datetime, reason: str) -> SimulatedStay:
        stay.leave_time = at
        stay.leave_reason = f"{stay.name} left the meeting.<br>Reason: {reason}"
        self.keep_stay(stay)
        event, key = {
            IN_WAITING_ROOM: ("participant_left_waiting_room", "date_time"),
            IN_BREAKOUT: ("participant_left_breakout_room", "leave_time"),
        }.get(stay.where, ("participant_left", "leave_time"))
        self._tell(event, stay, key, at)
        return stay

    def _stop_waiting_for_host(self, stay: SimulatedStay, at: datetime | None) -> SimulatedStay:
        meeting = self.meetings[stay.meeting_id]
        stay.leave_time = whole_seconds(at) if at else self.now()
        self.keep_stay(stay)
        values: JSON = {"id": stay.zoom_user_id, "user_name": stay.name, "registrant_id": stay.registrant_id}
        meeting_object = self._object(meeting, None) | {
            "id": self._id_as(meeting.id, "number"),
            "start_time": format_timestamp(meeting.start_time or meeting.created_at),
        }
        payload = {"object": meeting_object | {"participant": values}}
        self.emit("meeting.participant_jbh_waiting_left", meeting, payload, stay.leave_time)
        return stay

    # Looking

    def stays_of(self, meeting_id: str, instance_uuid: str | None = None) -> list[SimulatedStay]:
        """The stays of a meeting, or of one run of it, in the order they began."""
        with self.lock:
            stays = self.stays.get(meeting_id, [])
            return [one for one in stays if instance_uuid is None or one.instance_uuid == instance_uuid]

    def instances_of(self, meeting_id: str) -> list[SimulatedInstance]:
        """The runs of a meeting, first to last."""
        with self.lock:
            return [one for one in self.instances.values() if one.meeting_id == meeting_id]

    def _open_stays(self, meeting_id: str, where: str | None = None) -> list[SimulatedStay]:
        # Breakout rooms are younger than the stay they belong to, so they close first.
        stays = [one for one in self.stays.get(meeting_id, []) if one.open and where in (None, one.where)]
        return sorted(stays, key=lambda one: (one.where != IN_BREAKOUT, one.nth))

    def _find_stay(self, stay: SimulatedStay | str) -> SimulatedStay:
        session = stay.user_id if isinstance(stay, SimulatedStay) else str(stay)
        meetings = (
            [self.stays.get(stay.meeting_id, [])] if isinstance(stay, SimulatedStay) else list(self.stays.values())
        )
        found = [one for stays in meetings for one in stays if one.user_id == session]
        if not found:
            raise ZoomApiError(400, 300, "No participant has such a session.")
        # Waiting room and meeting may share a session: the last one is where the person is.
        return found[-1]

    def _open_stay(self, stay: SimulatedStay | str, where: str) -> SimulatedStay:
        found = self._find_stay(stay)
        if not found.open or found.where != where:
            raise ZoomApiError(400, 3001, f"This person is not in the {where.replace('_', ' ')}.")
        return found

    # Telling

    def _object(self, meeting: SimulatedMeeting, instance: SimulatedInstance | None) -> JSON:
        """The object of meeting.started, .ended and .participant_*: the id is text there."""
        begun = instance.start_time if instance else meeting.start_time
        values: JSON = {
            "id": self._id_as(meeting.id, "string"),
            "uuid": instance.uuid if instance else meeting.uuid,
            "host_id": meeting.host_id,
            "topic": meeting.topic,
            "type": meeting.type,
            "timezone": meeting.timezone,
            "duration": self._minutes_now(meeting, instance),
        }
        if begun:
            values["start_time"] = format_timestamp(begun)
        return values

    def _minutes_now(self, meeting: SimulatedMeeting, instance: SimulatedInstance | None) -> int:
        if meeting.type != RECURRING_FIXED or instance is None:
            return meeting.minutes
        nearest = min(meeting.occurrences, key=lambda one: abs(one.start_time - instance.start_time))
        return nearest.minutes

    def _tell(self, event: str, stay: SimulatedStay, time_key: str, at: datetime) -> WebhookDelivery:
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
        values = self._object(meeting, instance)
        if stay.room_uuid:
            values["breakout_room_uuid"] = stay.room_uuid
        return self.emit(f"meeting.{event}", meeting, {"object": values | {"participant": participant}}, at)
