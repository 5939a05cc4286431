"""Meetings: created, changed, deleted, listed, as Zoom's pages describe it."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from portal.sandbox.api.response_bodies import ResponseBodies
from portal.sandbox.api.times import (
    format_timestamp,
    parse_start_time,
    parse_time_zone,
    to_milliseconds,
)
from portal.sandbox.simulation import meeting_settings, recurrence
from portal.sandbox.simulation.errors import ZoomApiError, invalid_field, meeting_not_found
from portal.sandbox.simulation.models import (
    INSTANT,
    JSON,
    RECURRING,
    RECURRING_FIXED,
    SCHEDULED,
    SCREEN_SHARE,
    SimulatedMeeting,
    SimulatedOccurrence,
    SimulatedUser,
)

TYPES = (INSTANT, SCHEDULED, RECURRING, RECURRING_FIXED, SCREEN_SHARE)
KEPT_AFTER = {
    SCHEDULED: timedelta(days=30),
    RECURRING: timedelta(days=365),
    RECURRING_FIXED: timedelta(days=365),
}
TEXT_LIMITS = {"topic": 200, "agenda": 2000, "password": 10}
NOT_ALLOWED = "Your user account is not allowed meeting hosting and scheduling capabilities."


class MeetingService(ResponseBodies):
    """The part of the world that schedules."""

    def create_meeting(self, user_name: str, values: JSON) -> SimulatedMeeting:
        """Create a meeting for that host from the body of a request; unknown fields are ignored.

        :raises ZoomApiError: 404/1001, 400/3161, 400/300 naming the field, 429 after 100 a day.
        """
        with self.changing():
            host = self._host(user_name, values)
            self.limits.admit_host(host.id)
            meeting = self._draft(host, values)
            self._apply(meeting, values, host)
            self.keep_meeting(meeting)
            self._tell_created(meeting, host)
            return meeting

    def _host(self, user_name: str, values: JSON) -> SimulatedUser:
        host = self.find_user(user_name)
        if values.get("schedule_for"):
            if values.get("type") == INSTANT:
                raise ZoomApiError(400, 3000, f"You cannot schedule a meeting for {values['schedule_for']}.")
            try:
                host = self.find_user(str(values["schedule_for"]))
            except ZoomApiError as error:
                raise invalid_field("schedule_for") from error
        if host.type not in (1, 2) or host.status != "active":
            raise ZoomApiError(400, 3161, NOT_ALLOWED)
        return host

    def _draft(self, host: SimulatedUser, values: JSON) -> SimulatedMeeting:
        kind = values.get("type", SCHEDULED)
        if isinstance(kind, bool) or kind not in TYPES:
            raise invalid_field("type")
        if kind == SCHEDULED and not values.get("start_time"):
            kind = INSTANT
        password = ""
        if values.get("default_password") is not False and not values.get("password"):
            password = self.ids.passcode()
        meeting_id = self.ids.meeting_id()
        while meeting_id in self.meetings:
            meeting_id = self.ids.meeting_id()
        return SimulatedMeeting(
            id=meeting_id,
            uuid=self.ids.meeting_uuid(1),
            host_id=host.id,
            topic="Zoom Meeting",
            type=kind,
            minutes=60,
            timezone=host.timezone,
            agenda="",
            password=password,
            settings=dict(meeting_settings.DEFAULTS),
            created_at=self.now(),
            registration_code=self.ids.code(32),
            start_time=self.now() if kind == INSTANT else None,
        )

    def _apply(self, meeting: SimulatedMeeting, values: JSON, host: SimulatedUser) -> None:
        """Put what was asked for into the meeting. All checks come before any of it is kept."""
        for name, longest in TEXT_LIMITS.items():
            if values.get(name) is not None:
                if not isinstance(values[name], str) or len(values[name]) > longest:
                    raise invalid_field(name)
                setattr(meeting, name, values[name])
        if values.get("timezone"):
            parse_time_zone(values["timezone"])
            meeting.timezone = values["timezone"]
        meeting.minutes = _minutes(values, meeting.minutes)
        if isinstance(values.get("tracking_fields"), list):
            meeting.tracking_fields = values["tracking_fields"]
        chosen = meeting_settings.merge_meeting_settings(meeting.settings, values.get("settings"))
        meeting_settings.check_alternative_hosts(chosen, self._is_licensed)
        meeting.settings = meeting_settings.apply_forced_settings(chosen, meeting.password)
        self._apply_times(meeting, values)

    def _apply_times(self, meeting: SimulatedMeeting, values: JSON) -> None:
        if meeting.type in (SCHEDULED, RECURRING_FIXED) and values.get("start_time"):
            start = parse_start_time(values["start_time"], meeting.timezone)
            in_the_past_on_change = meeting.start_time is not None and start < self.now()
            meeting.start_time = meeting.start_time if in_the_past_on_change else start
        if meeting.type != RECURRING_FIXED:
            return
        if meeting.start_time is None:
            raise invalid_field("start_time")
        if not meeting.occurrences or any(values.get(name) for name in ("recurrence", "start_time", "duration")):
            rule = values.get("recurrence") or meeting.recurrence
            self._expand(meeting, rule)

    def _expand(self, meeting: SimulatedMeeting, rule: Any) -> None:
        assert meeting.start_time is not None
        starts = recurrence.recurrence_starts(rule, meeting.start_time, parse_time_zone(meeting.timezone))
        if not starts:
            raise invalid_field("recurrence")
        now = self.now()
        # Occurrences of the past keep their ids when the series changes.
        occurrences = [occurrence for occurrence in meeting.occurrences if occurrence.start_time < now]
        ids = {occurrence.occurrence_id for occurrence in occurrences}
        coming = [SimulatedOccurrence(str(to_milliseconds(start)), start, meeting.minutes) for start in starts]
        meeting.occurrences = occurrences + [one for one in coming if one.occurrence_id not in ids]
        meeting.recurrence = dict(rule)

    def _is_licensed(self, name: str) -> bool:
        try:
            return self.find_user(name).licensed
        except ZoomApiError:
            return False

    def _tell_created(self, meeting: SimulatedMeeting, host: SimulatedUser) -> None:
        values = self._short(meeting) | {
            "join_url": self._join_url(meeting),
            "password": meeting.password,
            "settings": {"use_pmi": False, "alternative_hosts": meeting.settings["alternative_hosts"]},
        }
        if meeting.type == RECURRING_FIXED:
            values |= {"occurrences": self._occurrences(meeting), "recurrence": meeting.recurrence}
        operation = "all" if meeting.type == RECURRING_FIXED else "single"
        self.emit(
            "meeting.created",
            meeting,
            self._operator(host) | {"operation": operation, "object": values},
            self.now(),
        )

    def usable_meeting(self, meeting_id: str) -> SimulatedMeeting:
        """The meeting, if it neither was deleted nor has expired.

        :raises ZoomApiError: 404/3001.
        """
        with self.lock:
            meeting = self.meeting_named(meeting_id)
            if self._expired(meeting):
                raise meeting_not_found(meeting_id)
            return meeting

    def _expired(self, meeting: SimulatedMeeting) -> bool:
        if self.running(meeting.id) is not None:
            return False
        if meeting.type == INSTANT:
            return meeting.ended_once or self.now() > meeting.created_at + timedelta(days=30)
        if meeting.type not in KEPT_AFTER:
            return False
        used = [meeting.created_at, meeting.last_used_at, meeting.start_time]
        used += [occurrence.start_time for occurrence in meeting.occurrences]
        return self.now() > max(moment for moment in used if moment) + KEPT_AFTER[meeting.type]

    def update_meeting(self, meeting_id: str, values: JSON, occurrence_id: str = "") -> SimulatedMeeting:
        """Change a meeting, or one occurrence of it. Fires `meeting.updated` if anything changed.

        :raises ZoomApiError: as `create_meeting`, and 404/3001; 400/300 for an unknown occurrence.
        """
        with self.changing():
            meeting = self.usable_meeting(meeting_id)
            host = self.users[meeting.host_id]
            self.limits.admit_host(host.id)
            before = self.meeting_json(meeting)
            if occurrence_id:
                changed = self._with_occurrence(meeting, occurrence_id, values)
            else:
                changed = replace(meeting, occurrences=list(meeting.occurrences))
                self._apply(changed, values, host)
            self.keep_meeting(changed)
            self._tell_updated(changed, before, host)
            return changed

    def _with_occurrence(self, meeting: SimulatedMeeting, occurrence_id: str, values: JSON) -> SimulatedMeeting:
        old = self.occurrence(meeting, occurrence_id)
        start = old.start_time
        if values.get("start_time"):
            start = parse_start_time(values["start_time"], values.get("timezone") or meeting.timezone)
        new = replace(old, start_time=start, minutes=_minutes(values, old.minutes))
        rest = [one for one in meeting.occurrences if one is not old]
        return replace(meeting, occurrences=sorted([*rest, new], key=lambda one: one.start_time))

    def occurrence(self, meeting: SimulatedMeeting, occurrence_id: str) -> SimulatedOccurrence:
        """The occurrence of that id that was not deleted.

        :raises ZoomApiError: 400/300.
        """
        for occurrence in meeting.occurrences:
            if occurrence.occurrence_id == occurrence_id and occurrence.status == "available":
                return occurrence
        raise ZoomApiError(400, 300, "Invalid parameter: `occurrence_id`.")

    def _tell_updated(self, meeting: SimulatedMeeting, before: JSON, host: SimulatedUser) -> None:
        after = self.meeting_json(meeting)
        named = ("topic", "type", "start_time", "duration", "timezone", "agenda", "password", "occurrences")
        changed = [name for name in named if after.get(name) != before.get(name)]
        switched = [name for name, value in after["settings"].items() if value != before["settings"][name]]
        if not changed and not switched:
            return
        new: JSON = {"id": int(meeting.id)} | {name: after[name] for name in changed if name in after}
        old: JSON = {"id": int(meeting.id)} | {name: before[name] for name in changed if name in before}
        if switched:
            new["settings"] = {name: after["settings"][name] for name in switched}
            old["settings"] = {name: before["settings"][name] for name in switched}
        payload = self._operator(host) | {
            "scope": "single",
            "time_stamp": to_milliseconds(self.now()),
            "object": new,
            "old_object": old,
        }
        self.emit("meeting.updated", meeting, payload, self.now())

    def delete_meeting(self, meeting_id: str, occurrence_id: str = "") -> None:
        """Delete a meeting, or one occurrence of it.

        :raises ZoomApiError: 404/3001; 400/3002 while it runs; 400/300 for an unknown occurrence.
        """
        with self.changing():
            meeting = self.usable_meeting(meeting_id)
            if self.running(meeting.id) is not None:
                raise ZoomApiError(400, 3002, "Cannot delete a meeting that is in progress.")
            values = self._short(meeting)
            if occurrence_id:
                occurrence = self.occurrence(meeting, occurrence_id)
                occurrence.status = "deleted"
                values["occurrences"] = [
                    {"occurrence_id": occurrence.occurrence_id, "start_time": format_timestamp(occurrence.start_time)}
                ]
            else:
                meeting.deleted_at = self.now()
            self.keep_meeting(meeting)
            operation = "all" if meeting.type == RECURRING_FIXED and not occurrence_id else "single"
            payload = self._operator(self.users[meeting.host_id]) | {"operation": operation, "object": values}
            self.emit("meeting.deleted", meeting, payload, self.now())

    def recover_meeting(self, meeting_id: str) -> None:
        """Bring a deleted meeting back, within 30 days.

        :raises ZoomApiError: 404/3001.
        """
        with self.changing():
            meeting = self.meetings.get(meeting_id)
            if meeting is None or meeting.deleted_at is None:
                raise meeting_not_found(meeting_id)
            if self.now() > meeting.deleted_at + timedelta(days=30):
                raise meeting_not_found(meeting_id)
            meeting.deleted_at = None
            self.keep_meeting(meeting)
            values = self._short(meeting) | {"start_time": format_timestamp(meeting.start_time or meeting.created_at)}
            payload = self._operator(self.users[meeting.host_id]) | {"operation": "single", "object": values}
            self.emit("meeting.recovered", meeting, payload, self.now())

    def list_meetings(self, user_name: str, kind: str = "scheduled") -> list[JSON]:
        """A host's meetings as Zoom lists them: agenda cut at 250, no settings.

        :param kind: scheduled, live, upcoming, upcoming_meetings or previous_meetings.
        :raises ZoomApiError: 404/1001; 400/300 for another kind.
        """
        with self.lock:
            host = self.find_user(user_name)
            meetings = [
                meeting
                for meeting in self.meetings.values()
                if meeting.host_id == host.id and meeting.deleted_at is None and not self._expired(meeting)
            ]
            return [row for meeting in meetings for row in self._listed(meeting, kind)]

    def _listed(self, meeting: SimulatedMeeting, kind: str) -> Iterable[JSON]:
        live = self.running(meeting.id) is not None
        match kind:
            case "scheduled":
                return [self._row(meeting)] if meeting.type != INSTANT or live else []
            case "live":
                return [self._row(meeting)] if live else []
            case "previous_meetings":
                return [self._row(meeting)] if meeting.ended_once else []
            case "upcoming" | "upcoming_meetings":
                return [self._row(meeting, start) for start in self._coming(meeting)]
        raise invalid_field("type")

    def _coming(self, meeting: SimulatedMeeting) -> list[datetime]:
        half_a_year = self.now() + timedelta(days=183)
        dates = [one.start_time for one in meeting.occurrences if one.status == "available"]
        if meeting.type == SCHEDULED and meeting.start_time:
            dates = [meeting.start_time]
        over = timedelta(minutes=meeting.minutes)
        return [start for start in dates if self.now() < start + over and start < half_a_year]


def _minutes(values: JSON, default: int) -> int:
    value = values.get("duration")
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise invalid_field("duration")
    return value
