"""A meeting row in Zoom's words and back: what we want, what Zoom was told, what Zoom has.

Three versions are kept apart so that nothing is sent twice and no change made in Zoom itself is lost: the row
(wanted here), `told` (what Zoom was last asked for) and what Zoom answers. A value that differs between the
row and `told` was changed here; one that differs between `told` and Zoom was changed there. Settings that Zoom
has otherwise than it was asked are in `list_overridden_values`: they are neither.
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
    """The meeting as it is wanted. A recurring one repeats by its pattern, whatever its single dates say."""
    return _draft(desired_meeting_values(meeting), meeting)


def desired_meeting_values(meeting: ZoomMeeting) -> Values:
    """What a person may change, by column; of a recurring meeting the times belong to its dates."""
    values: Values = {"title": meeting.title, "description": _plain(meeting.description)}
    if meeting.kind != MeetingKind.RECURRING:
        values |= {"starts_at": meeting.starts_at, "minutes": meeting.minutes}
    return values | {name: getattr(meeting, name) for name in SETTINGS}


def last_sent_values(meeting: ZoomMeeting) -> Values:
    """What Zoom was last asked for; empty before it was asked for anything."""
    values = dict(meeting.last_sent or {})
    if "starts_at" in values:
        values["starts_at"] = datetime.fromisoformat(values["starts_at"])
    return values


def last_sent_draft(meeting: ZoomMeeting) -> MeetingDraft:
    """The same as a draft, to be compared with the one wanted now."""
    return _draft(last_sent_values(meeting), meeting)


def serialise_meeting_values(values: Values) -> Values:
    """Values in the form that the column `told` keeps."""
    return {name: value.astimezone(UTC).isoformat() if name == "starts_at" else value for name, value in values.items()}


def actual_meeting_values(meeting: Meeting, kind: str) -> Values:
    """The same values as Zoom has them; a start it did not name is left out."""
    values: Values = {"title": meeting.topic, "description": _plain(strip_agenda_marker(meeting.agenda))}
    if kind != "recurring" and meeting.start_time is not None and meeting.minutes is not None:
        values |= {"starts_at": meeting.start_time, "minutes": meeting.minutes}
    return values | {name: getattr(meeting.settings, name) for name in SETTINGS}


def list_overridden_values(asked: Values, values: Values, names: Iterable[str]) -> Values:
    """What Zoom has otherwise than it was asked, among `names`, in the form that the column keeps."""
    return serialise_meeting_values(
        {name: values[name] for name in names if name in values and values[name] != asked.get(name)}
    )


def list_remote_changes(meeting: ZoomMeeting, seen: Values) -> Values:
    """What somebody changed in Zoom itself and nobody changed here since: it is taken over.

    Values that the portal could not keep (an unknown kind of recording, no title) are left out.
    """
    values, mine = last_sent_values(meeting), desired_meeting_values(meeting)
    known = values | {
        name: datetime.fromisoformat(value) if name == "starts_at" else value
        for name, value in (meeting.overridden_settings or {}).items()
    }
    return {
        name: value
        for name, value in seen.items()
        if name in values and value != known[name] and mine[name] == values[name] and _fits(name, value)
    }


def _fits(name: str, value: Any) -> bool:
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
    """Whether the changed fields of a `meeting.updated` event say something that Zoom was not told by us."""
    values = last_sent_values(meeting)
    plain = {"id", "uuid", "topic", "agenda", "start_time", "duration", "timezone", "settings"}
    if not values or set(changes) - plain:
        return True
    said: Values = {}
    if "topic" in changes:
        said["title"] = changes["topic"]
    if "agenda" in changes:
        said["description"] = _plain(strip_agenda_marker(str(changes["agenda"] or "")))
    if "start_time" in changes:
        said["starts_at"] = as_datetime(changes["start_time"])
    if "duration" in changes:
        said["minutes"] = changes["duration"]
    settings = as_object(changes.get("settings"))
    said |= {name: settings[name] for name in SETTINGS if name in settings}
    return any(values.get(name) != value for name, value in said.items())


def pattern_starts(meeting: ZoomMeeting) -> list[datetime]:
    """The starts that a recurring meeting's pattern makes at Zoom, days without class included."""
    rule = recurrence_of(meeting)
    return weekly_starts(meeting.starts_at, rule["weekdays"], dates=rule["dates"])


def recurrence_of(meeting: ZoomMeeting) -> Values:
    """Weekdays and number of dates of a recurring meeting; its own day alone where nothing else was said."""
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
    # Zoom counts weekdays from Sunday, which is 1.
    days = tuple(day % 7 + 1 for day in rule["weekdays"])
    return Recurrence(weekly_days=days, end_times=rule["dates"])


def _plain(text: str) -> str:
    """Without the differences that forms and Zoom make between line ends."""
    return text.replace("\r\n", "\n").strip()


def last_end_of(meeting: ZoomMeeting) -> datetime:
    return meeting.starts_at + timedelta(minutes=meeting.minutes)
