"""Three-way comparison of a meeting's values: desired (the row), last sent to Zoom, and actual (what Zoom has).

All three are kept apart so that nothing is sent twice and no change made in Zoom itself is lost. A value that
differs between the row and `last_sent` was changed here; one that differs between `last_sent` and Zoom was changed
there. `overridden_settings`, for which Zoom has another value than the one sent, are neither.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from portal.core import clock
from portal.meetings.codes import MeetingKind
from portal.meetings.models import ZoomMeeting
from portal.meetings.scheduling.recurrence import weekly_starts
from portal.zoom.agenda_marker import strip_agenda_marker
from portal.zoom.json_values import as_datetime, as_object
from portal.zoom.models import RECURRING, SCHEDULED, Meeting, MeetingDraft, MeetingSettings, Recurrence

Values = dict[str, Any]
SETTINGS = (
    "host_video",
    "participant_video",
    "join_before_host",
    "mute_upon_entry",
    "waiting_room",
    "auto_recording",
    "meeting_authentication",
    "approval_type",
)
RECORDING = ("none", "local", "cloud")


def desired_meeting_draft(meeting: ZoomMeeting) -> MeetingDraft:
    """The desired meeting as a draft. A recurring one repeats by its pattern, whatever its single dates are."""
    return _draft(desired_meeting_values(meeting), meeting)


def desired_meeting_values(meeting: ZoomMeeting) -> Values:
    """The values that a person may change, by column; a recurring meeting's times belong to its dates."""
    values: Values = {"title": meeting.title, "description": _normalise_text(meeting.description)}
    if meeting.kind != MeetingKind.RECURRING:
        values |= {"starts_at": meeting.starts_at, "minutes": meeting.minutes}
    return values | {name: getattr(meeting, name) for name in SETTINGS}


def last_sent_values(meeting: ZoomMeeting) -> Values:
    """The values last sent to Zoom; empty before the first request."""
    values = dict(meeting.last_sent or {})
    if "starts_at" in values:
        values["starts_at"] = datetime.fromisoformat(values["starts_at"])
    return values


def last_sent_draft(meeting: ZoomMeeting) -> MeetingDraft:
    """The same as a draft, for comparison with the desired one."""
    return _draft(last_sent_values(meeting), meeting)


def serialise_meeting_values(values: Values) -> Values:
    """Values in the JSON form of the column `last_sent`."""
    return {name: value.astimezone(UTC).isoformat() if name == "starts_at" else value for name, value in values.items()}


def actual_meeting_values(meeting: Meeting, kind: str) -> Values:
    """The same values as Zoom has them; a start missing in the response is left out."""
    values: Values = {"title": meeting.topic, "description": _normalise_text(strip_agenda_marker(meeting.agenda))}
    if kind != "recurring" and meeting.start_time is not None and meeting.minutes is not None:
        values |= {"starts_at": meeting.start_time, "minutes": meeting.minutes}
    return values | {name: getattr(meeting.settings, name) for name in SETTINGS}


def list_overridden_values(sent_values: Values, values: Values, names: Iterable[str]) -> Values:
    """Values for which Zoom has another value than the one sent, among `names`, in the JSON form of the column."""
    return serialise_meeting_values(
        {name: values[name] for name in names if name in values and values[name] != sent_values.get(name)}
    )


def list_remote_changes(meeting: ZoomMeeting, remote_values: Values) -> Values:
    """Remote changes: values changed in Zoom itself and not here since.

    Values that the portal cannot store (an unknown kind of recording, no title) are left out.
    """
    sent_values, desired_values = last_sent_values(meeting), desired_meeting_values(meeting)
    expected_values = sent_values | {
        name: datetime.fromisoformat(value) if name == "starts_at" else value
        for name, value in (meeting.overridden_settings or {}).items()
    }
    return {
        name: value
        for name, value in remote_values.items()
        if name in sent_values
        and value != expected_values[name]
        and desired_values[name] == sent_values[name]
        and _is_storable(name, value)
    }


def _is_storable(name: str, value: Any) -> bool:
    match name:
        case "title":
            return bool(value) and len(value) <= 200
        case "minutes":
            return 1 <= int(value) <= 1440
        case "auto_recording":
            return value in RECORDING
        case "approval_type":
            return value in (0, 1, 2)
    return True


def is_remote_change(meeting: ZoomMeeting, changes: Mapping[str, Any]) -> bool:
    """True if the changed fields of a `meeting.updated` event differ from the values last sent."""
    sent_values = last_sent_values(meeting)
    known_fields = {"id", "uuid", "topic", "agenda", "start_time", "duration", "timezone", "settings"}
    if not sent_values or set(changes) - known_fields:
        return True
    event_values: Values = {}
    if "topic" in changes:
        event_values["title"] = changes["topic"]
    if "agenda" in changes:
        event_values["description"] = _normalise_text(strip_agenda_marker(str(changes["agenda"] or "")))
    if "start_time" in changes:
        event_values["starts_at"] = as_datetime(changes["start_time"])
    if "duration" in changes:
        event_values["minutes"] = changes["duration"]
    settings = as_object(changes.get("settings"))
    event_values |= {name: settings[name] for name in SETTINGS if name in settings}
    return any(sent_values.get(name) != value for name, value in event_values.items())


def pattern_starts(meeting: ZoomMeeting) -> list[datetime]:
    """The starts of a recurring meeting's pattern at Zoom, days without class included."""
    rule = recurrence_of(meeting)
    return weekly_starts(meeting.starts_at, rule["weekdays"], dates=rule["dates"])


def recurrence_of(meeting: ZoomMeeting) -> Values:
    """Weekdays and number of dates of a recurring meeting; by default its own day alone."""
    return meeting.recurrence or {"weekdays": [clock.to_manila(meeting.starts_at).isoweekday()], "dates": 1}


def _draft(values: Values, meeting: ZoomMeeting) -> MeetingDraft:
    recurring = meeting.kind == MeetingKind.RECURRING
    return MeetingDraft(
        topic=values["title"],
        type=RECURRING if recurring else SCHEDULED,
        starts_at=meeting.starts_at if recurring else values["starts_at"],
        minutes=meeting.minutes if recurring else values["minutes"],
        timezone=meeting.timezone,
        agenda=values["description"],
        marker=meeting.marker,
        settings=MeetingSettings(
            registration_type=meeting.registration_type, **{name: values[name] for name in SETTINGS}
        ),
        recurrence=_recurrence(meeting) if recurring else None,
    )


def _recurrence(meeting: ZoomMeeting) -> Recurrence:
    rule = recurrence_of(meeting)
    # Zoom's weekdays count from Sunday, which is 1.
    days = tuple(day % 7 + 1 for day in rule["weekdays"])
    return Recurrence(weekly_days=days, end_times=rule["dates"])


def _normalise_text(text: str) -> str:
    """Normalised line ends: forms and Zoom differ in them."""
    return text.replace("\r\n", "\n").strip()


def last_end_of(meeting: ZoomMeeting) -> datetime:
    return meeting.starts_at + timedelta(minutes=meeting.minutes)
