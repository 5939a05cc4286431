"""Meetings: create, update, delete and list, by Zoom's documentation."""

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
    """Layer of the simulation: scheduling."""

    def create_meeting(self, user_name: str, values: JSON) -> SimulatedMeeting:
        """Create a meeting for that host from a request body; unknown fields are ignored.

        :raises ZoomApiError: 404/1001, 400/3161, 400/300 naming the field, 429 after 100 a day.
        """
        with self.changing():
            host = self._find_schedulable_host(user_name, values)
            self.limits.admit_host(host.id)
            meeting = self._new_meeting(host, values)
            self._apply_values(meeting, values, host)
            self.keep_meeting(meeting)
            self._emit_created(meeting, host)
            return meeting

    def _find_schedulable_host(self, user_name: str, values: JSON) -> SimulatedUser:
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

    def _new_meeting(self, host: SimulatedUser, values: JSON) -> SimulatedMeeting:
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

    def _apply_values(self, meeting: SimulatedMeeting, values: JSON, host: SimulatedUser) -> None:
        """Apply the requested values. All checks come before anything is stored."""
        for name, limit in TEXT_LIMITS.items():
            if values.get(name) is not None:
                if not isinstance(values[name], str) or len(values[name]) > limit:
                    raise invalid_field(name)
                setattr(meeting, name, values[name])
        if values.get("timezone"):
            parse_time_zone(values["timezone"])
            meeting.timezone = values["timezone"]
        meeting.minutes = _parse_minutes(values, meeting.minutes)
        if isinstance(values.get("tracking_fields"), list):
            meeting.tracking_fields = values["tracking_fields"]
        chosen = meeting_settings.merge_meeting_settings(meeting.settings, values.get("settings"))
        meeting_settings.check_alternative_hosts(chosen, self._is_licensed)
        meeting.settings = meeting_settings.apply_forced_settings(chosen, meeting.password)
        self._apply_times(meeting, values)

    def _apply_times(self, meeting: SimulatedMeeting, values: JSON) -> None:
        if meeting.type in (SCHEDULED, RECURRING_FIXED) and values.get("start_time"):
            start = parse_start_time(values["start_time"], meeting.timezone)
            is_change_to_past = meeting.start_time is not None and start < self.now()
            meeting.start_time = meeting.start_time if is_change_to_past else start
        if meeting.type != RECURRING_FIXED:
            return
        if meeting.start_time is None:
            raise invalid_field("start_time")
        if not meeting.occurrences or any(values.get(name) for name in ("recurrence", "start_time", "duration")):
            rule = values.get("recurrence") or meeting.recurrence
            self._set_occurrences(meeting, rule)

    def _set_occurrences(self, meeting: SimulatedMeeting, rule: Any) -> None:
        assert meeting.start_time is not None
        starts = recurrence.recurrence_starts(rule, meeting.start_time, parse_time_zone(meeting.timezone))
        if not starts:
            raise invalid_field("recurrence")
        now = self.now()
        # Past occurrences keep their ids when the series changes.
        occurrences = [occurrence for occurrence in meeting.occurrences if occurrence.start_time < now]
        past_ids = {occurrence.occurrence_id for occurrence in occurrences}
        new_occurrences = [SimulatedOccurrence(str(to_milliseconds(start)), start, meeting.minutes) for start in starts]
        meeting.occurrences = occurrences + [one for one in new_occurrences if one.occurrence_id not in past_ids]
        meeting.recurrence = dict(rule)

    def _is_licensed(self, name: str) -> bool:
        try:
            return self.find_user(name).licensed
        except ZoomApiError:
            return False

    def _emit_created(self, meeting: SimulatedMeeting, host: SimulatedUser) -> None:
        values = self._event_object(meeting) | {
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
            self._operator_fields(host) | {"operation": operation, "object": values},
            self.now(),
        )

    def usable_meeting(self, meeting_id: str) -> SimulatedMeeting:
        """The meeting, unless it is deleted or expired.

        :raises ZoomApiError: 404/3001.
        """
        with self.lock:
            meeting = self.meeting_named(meeting_id)
            if self._is_expired(meeting):
                raise meeting_not_found(meeting_id)
            return meeting

    def _is_expired(self, meeting: SimulatedMeeting) -> bool:
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
        """Update a meeting, or one occurrence. Emits `meeting.updated` if anything changed.

        :raises ZoomApiError: as `create_meeting`, and 404/3001; 400/300 for an unknown occurrence.
        """
        with self.changing():
            meeting = self.usable_meeting(meeting_id)
            host = self.users[meeting.host_id]
            self.limits.admit_host(host.id)
            before = self.meeting_json(meeting)
            if occurrence_id:
                changed = self._replace_occurrence(meeting, occurrence_id, values)
            else:
                changed = replace(meeting, occurrences=list(meeting.occurrences))
                self._apply_values(changed, values, host)
            self.keep_meeting(changed)
            self._emit_updated(changed, before, host)
            return changed

    def _replace_occurrence(self, meeting: SimulatedMeeting, occurrence_id: str, values: JSON) -> SimulatedMeeting:
        old_occurrence = self.occurrence(meeting, occurrence_id)
        start = old_occurrence.start_time
        if values.get("start_time"):
            start = parse_start_time(values["start_time"], values.get("timezone") or meeting.timezone)
        new_occurrence = replace(
            old_occurrence, start_time=start, minutes=_parse_minutes(values, old_occurrence.minutes)
        )
        others = [one for one in meeting.occurrences if one is not old_occurrence]
        return replace(meeting, occurrences=sorted([*others, new_occurrence], key=lambda one: one.start_time))

    def occurrence(self, meeting: SimulatedMeeting, occurrence_id: str) -> SimulatedOccurrence:
        """The occurrence with that id, unless it is deleted.

        :raises ZoomApiError: 400/300.
        """
        for occurrence in meeting.occurrences:
            if occurrence.occurrence_id == occurrence_id and occurrence.status == "available":
                return occurrence
        raise ZoomApiError(400, 300, "Invalid parameter: `occurrence_id`.")

    def _emit_updated(self, meeting: SimulatedMeeting, before: JSON, host: SimulatedUser) -> None:
        after = self.meeting_json(meeting)
        compared_fields = ("topic", "type", "start_time", "duration", "timezone", "agenda", "password", "occurrences")
        changed = [name for name in compared_fields if after.get(name) != before.get(name)]
        changed_settings = [name for name, value in after["settings"].items() if value != before["settings"][name]]
        if not changed and not changed_settings:
            return
        new_object: JSON = {"id": int(meeting.id)} | {name: after[name] for name in changed if name in after}
        old_object: JSON = {"id": int(meeting.id)} | {name: before[name] for name in changed if name in before}
        if changed_settings:
            new_object["settings"] = {name: after["settings"][name] for name in changed_settings}
            old_object["settings"] = {name: before["settings"][name] for name in changed_settings}
        payload = self._operator_fields(host) | {
            "scope": "single",
            "time_stamp": to_milliseconds(self.now()),
            "object": new_object,
            "old_object": old_object,
        }
        self.emit("meeting.updated", meeting, payload, self.now())

    def delete_meeting(self, meeting_id: str, occurrence_id: str = "") -> None:
        """Delete a meeting, or one occurrence.

        :raises ZoomApiError: 404/3001; 400/3002 while it is running; 400/300 for an unknown occurrence.
        """
        with self.changing():
            meeting = self.usable_meeting(meeting_id)
            if self.running(meeting.id) is not None:
                raise ZoomApiError(400, 3002, "Cannot delete a meeting that is in progress.")
            values = self._event_object(meeting)
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
            payload = self._operator_fields(self.users[meeting.host_id]) | {"operation": operation, "object": values}
            self.emit("meeting.deleted", meeting, payload, self.now())

    def recover_meeting(self, meeting_id: str) -> None:
        """Recover a deleted meeting, within 30 days.

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
            values = self._event_object(meeting) | {
                "start_time": format_timestamp(meeting.start_time or meeting.created_at)
            }
            payload = self._operator_fields(self.users[meeting.host_id]) | {"operation": "single", "object": values}
            self.emit("meeting.recovered", meeting, payload, self.now())

    def list_meetings(self, user_name: str, kind: str = "scheduled") -> list[JSON]:
        """A host's meetings as Zoom lists them: agenda truncated to 250 characters, no settings.

        :param kind: scheduled, live, upcoming, upcoming_meetings or previous_meetings.
        :raises ZoomApiError: 404/1001; 400/300 for another kind.
        """
        with self.lock:
            host = self.find_user(user_name)
            meetings = [
                meeting
                for meeting in self.meetings.values()
                if meeting.host_id == host.id and meeting.deleted_at is None and not self._is_expired(meeting)
            ]
            return [row for meeting in meetings for row in self._list_rows(meeting, kind)]

    def _list_rows(self, meeting: SimulatedMeeting, kind: str) -> Iterable[JSON]:
        is_live = self.running(meeting.id) is not None
        match kind:
            case "scheduled":
                return [self._list_row(meeting)] if meeting.type != INSTANT or is_live else []
            case "live":
                return [self._list_row(meeting)] if is_live else []
            case "previous_meetings":
                return [self._list_row(meeting)] if meeting.ended_once else []
            case "upcoming" | "upcoming_meetings":
                return [self._list_row(meeting, start) for start in self._upcoming_starts(meeting)]
        raise invalid_field("type")

    def _upcoming_starts(self, meeting: SimulatedMeeting) -> list[datetime]:
        horizon = self.now() + timedelta(days=183)
        starts = [one.start_time for one in meeting.occurrences if one.status == "available"]
        if meeting.type == SCHEDULED and meeting.start_time:
            starts = [meeting.start_time]
        duration = timedelta(minutes=meeting.minutes)
        return [start for start in starts if self.now() < start + duration and start < horizon]


def _parse_minutes(values: JSON, default: int) -> int:
    value = values.get("duration")
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise invalid_field("duration")
    return value
