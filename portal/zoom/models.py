"""Zoom's request and response values as frozen dataclasses. Ids are text, times are aware UTC.

Links, passcodes, names and addresses are excluded from every ``repr``.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from portal.zoom.agenda_marker import AGENDA_LIMIT, add_agenda_marker, find_agenda_marker
from portal.zoom.json_values import (
    as_bool,
    as_datetime,
    as_email,
    as_id,
    as_int,
    as_object,
    as_object_list,
    as_text,
)

INSTANT, SCHEDULED, RECURRING_ANY_TIME, RECURRING = 1, 2, 3, 8
AUTOMATIC, MANUAL, NO_REGISTRATION = 0, 1, 2
ONCE_FOR_ALL, EACH_OCCURRENCE, ONCE_THEN_CHOOSE = 1, 2, 3
TOPIC_LIMIT = 200
NAME_LIMIT = 64
MAX_OCCURRENCES = 50
# The only settings that Zoom allows per occurrence.
_OCCURRENCE_SETTINGS = (
    "host_video",
    "participant_video",
    "join_before_host",
    "mute_upon_entry",
    "waiting_room",
    "auto_recording",
)


@dataclass(frozen=True)
class MeetingSettings:
    """Settings of a meeting, under Zoom's own names. Registrants need manual approval, those added by the portal are
    approved at once, and Zoom sends no mail: the portal does."""

    host_video: bool = True
    participant_video: bool = False
    join_before_host: bool = False
    mute_upon_entry: bool = True
    waiting_room: bool = False
    auto_recording: str = "none"
    meeting_authentication: bool = False
    registration_type: int = ONCE_FOR_ALL
    approval_type: int = MANUAL
    registrants_email_notification: bool = False
    registrants_confirmation_email: bool = False
    allow_multiple_devices: bool = True
    email_notification: bool = False

    def payload(self, meeting_type: int) -> dict[str, Any]:
        """Return the settings for a request; Zoom rejects some fields for some meeting types."""
        body = asdict(self)
        if meeting_type != RECURRING or self.approval_type == NO_REGISTRATION:
            del body["registration_type"]
        return body

    @classmethod
    def read(cls, response: Mapping[str, Any]) -> "MeetingSettings":
        """Return the settings of a response; absent ones get Zoom's defaults."""
        approval = as_int(response.get("approval_type"))
        return cls(
            host_video=as_bool(response.get("host_video")),
            participant_video=as_bool(response.get("participant_video")),
            join_before_host=as_bool(response.get("join_before_host")),
            mute_upon_entry=as_bool(response.get("mute_upon_entry")),
            waiting_room=as_bool(response.get("waiting_room")),
            auto_recording=as_text(response.get("auto_recording")) or "none",
            meeting_authentication=as_bool(response.get("meeting_authentication")),
            registration_type=as_int(response.get("registration_type")) or ONCE_FOR_ALL,
            approval_type=NO_REGISTRATION if approval is None else approval,
            registrants_email_notification=as_bool(response.get("registrants_email_notification"), True),
            registrants_confirmation_email=as_bool(response.get("registrants_confirmation_email"), True),
            allow_multiple_devices=as_bool(response.get("allow_multiple_devices")),
            email_notification=as_bool(response.get("email_notification"), True),
        )


@dataclass(frozen=True)
class Recurrence:
    """Recurrence of a meeting. ``type`` 1 daily, 2 weekly, 3 monthly; ``weekly_days`` 1 is Sunday.

    Ends after ``end_times`` occurrences (at most 50) or at ``end_at`` (aware); exactly one of the two.
    """

    type: int = 2
    repeat_interval: int = 1
    weekly_days: tuple[int, ...] = ()
    monthly_day: int | None = None
    end_times: int | None = None
    end_at: datetime | None = None

    def __post_init__(self) -> None:
        if (self.end_times is None) == (self.end_at is None):
            raise ValueError("a recurrence ends by a count or by a date")
        if self.end_times is not None and not 1 <= self.end_times <= MAX_OCCURRENCES:
            raise ValueError(f"a recurrence has 1 to {MAX_OCCURRENCES} occurrences")
        if not all(1 <= day <= 7 for day in self.weekly_days):
            raise ValueError("weekdays are 1 (Sunday) to 7 (Saturday)")

    def payload(self) -> dict[str, Any]:
        """Return the recurrence for a request."""
        body: dict[str, Any] = {"type": self.type, "repeat_interval": self.repeat_interval}
        if self.weekly_days:
            body["weekly_days"] = ",".join(str(day) for day in sorted(set(self.weekly_days)))
        if self.monthly_day is not None:
            body["monthly_day"] = self.monthly_day
        if self.end_times is not None:
            body["end_times"] = self.end_times
        if self.end_at is not None:
            body["end_date_time"] = to_utc(self.end_at)
        return body


@dataclass(frozen=True)
class MeetingDraft:
    """The desired state of a meeting. ``starts_at`` is aware, ``minutes`` the planned length, ``marker`` see
    `agenda_marker`.

    Give every draft a start: without one it becomes an instant meeting, which Zoom does not list, so that it cannot be
    found by its marker.
    """

    topic: str
    type: int = SCHEDULED
    starts_at: datetime | None = None
    minutes: int = 60
    timezone: str = "Asia/Manila"
    agenda: str = field(default="", repr=False)
    password: str | None = field(default=None, repr=False)
    settings: MeetingSettings = field(default_factory=MeetingSettings)
    recurrence: Recurrence | None = None
    marker: str | None = None

    def __post_init__(self) -> None:
        if self.starts_at is not None and self.starts_at.tzinfo is None:
            raise ValueError("the start must know its time zone")
        if self.minutes < 1:
            raise ValueError("a meeting lasts a minute at least")

    def payload(self) -> dict[str, Any]:
        """Return the body of a create or update."""
        agenda = add_agenda_marker(self.marker, self.agenda) if self.marker else self.agenda
        body: dict[str, Any] = {
            "topic": self.topic[:TOPIC_LIMIT],
            "type": self.type,
            "duration": self.minutes,
            "timezone": self.timezone,
            "agenda": agenda[:AGENDA_LIMIT],
            "settings": self.settings.payload(self.type),
        }
        if self.starts_at is not None:
            body["start_time"] = to_time_zone(self.starts_at, self.timezone)
        if self.password is not None:
            body["password"] = self.password
        if self.recurrence is not None:
            body["recurrence"] = self.recurrence.payload()
        return body

    def occurrence_payload(self) -> dict[str, Any]:
        """Return the body that updates one occurrence; Zoom accepts only some fields.

        A time zone is not among them, so the start is sent as UTC.
        """
        agenda = add_agenda_marker(self.marker, self.agenda) if self.marker else self.agenda
        settings = asdict(self.settings)
        body: dict[str, Any] = {
            "duration": self.minutes,
            "agenda": agenda[:AGENDA_LIMIT],
            "settings": {name: settings[name] for name in _OCCURRENCE_SETTINGS},
        }
        if self.starts_at is not None:
            body["start_time"] = to_utc(self.starts_at)
        return body


def diff_meeting_drafts(before: MeetingDraft, after: MeetingDraft) -> dict[str, Any]:
    """Return the body of an update with only the fields that differ; empty if none does.

    Zoom counts 100 creates and updates per host and day, so unchanged meetings must not be sent.
    """
    old_body, new_body = before.payload(), after.payload()
    body = {name: value for name, value in new_body.items() if name != "settings" and old_body.get(name) != value}
    settings = {name: value for name, value in new_body["settings"].items() if old_body["settings"].get(name) != value}
    if settings:
        body["settings"] = settings
    if "start_time" in body or "timezone" in body:  # a local time has no meaning without its zone
        body.update({name: new_body[name] for name in ("start_time", "timezone") if name in new_body})
    return body


@dataclass(frozen=True)
class Occurrence:
    """One occurrence of a recurring meeting; ``status`` is ``available`` or ``deleted``."""

    id: str
    start_time: datetime | None
    minutes: int | None
    status: str | None

    @classmethod
    def read(cls, row: Mapping[str, Any]) -> "Occurrence":
        """Return an occurrence of a response."""
        return cls(
            id=as_id(row.get("occurrence_id")) or "",
            start_time=as_datetime(row.get("start_time")),
            minutes=as_int(row.get("duration")),
            status=as_text(row.get("status")),
        )


@dataclass(frozen=True)
class Meeting:
    """A meeting at Zoom. Its ``start_url`` lets anybody host for two hours: do not store it."""

    id: str
    uuid: str | None
    host_id: str | None
    host_email: str | None = field(repr=False)
    topic: str = field(repr=False)
    type: int | None
    status: str | None
    start_time: datetime | None
    minutes: int | None
    timezone: str | None
    agenda: str = field(repr=False)
    created_at: datetime | None
    join_url: str | None = field(repr=False)
    start_url: str | None = field(repr=False)
    password: str | None = field(repr=False)
    registration_url: str | None = field(repr=False)
    occurrences: tuple[Occurrence, ...]
    settings: MeetingSettings

    @property
    def marker(self) -> str | None:
        """The marker of the agenda, or None."""
        return find_agenda_marker(self.agenda)

    @classmethod
    def read(cls, response: Mapping[str, Any]) -> "Meeting | None":
        """Return the meeting of a response, or None if it has no id."""
        meeting_id = as_id(response.get("id"))
        if meeting_id is None:
            return None
        occurrences = (Occurrence.read(row) for row in as_object_list(response.get("occurrences")))
        return cls(
            id=meeting_id,
            uuid=as_id(response.get("uuid")),
            host_id=as_id(response.get("host_id")),
            host_email=as_email(response.get("host_email")),
            topic=as_text(response.get("topic")) or "",
            type=as_int(response.get("type")),
            status=as_text(response.get("status")),
            start_time=as_datetime(response.get("start_time")),
            minutes=as_int(response.get("duration")),
            timezone=as_text(response.get("timezone")),
            agenda=as_text(response.get("agenda")) or "",
            created_at=as_datetime(response.get("created_at")),
            join_url=as_text(response.get("join_url")),
            start_url=as_text(response.get("start_url")),
            password=as_text(response.get("password")),
            registration_url=as_text(response.get("registration_url")),
            occurrences=tuple(occurrence for occurrence in occurrences if occurrence.id),
            settings=MeetingSettings.read(as_object(response.get("settings"))),
        )


@dataclass(frozen=True)
class MeetingSummary:
    """A row of a host's meeting list; the agenda is truncated at 250 characters."""

    id: str
    uuid: str | None
    host_id: str | None
    topic: str = field(repr=False)
    type: int | None
    start_time: datetime | None
    minutes: int | None
    timezone: str | None
    agenda: str = field(repr=False)
    created_at: datetime | None
    join_url: str | None = field(repr=False)

    @property
    def marker(self) -> str | None:
        """The marker of the agenda, or None."""
        return find_agenda_marker(self.agenda)

    @classmethod
    def read(cls, row: Mapping[str, Any]) -> "MeetingSummary | None":
        """Return a row of the list, or None if it has no id."""
        meeting_id = as_id(row.get("id"))
        if meeting_id is None:
            return None
        return cls(
            id=meeting_id,
            uuid=as_id(row.get("uuid")),
            host_id=as_id(row.get("host_id")),
            topic=as_text(row.get("topic")) or "",
            type=as_int(row.get("type")),
            start_time=as_datetime(row.get("start_time")),
            minutes=as_int(row.get("duration")),
            timezone=as_text(row.get("timezone")),
            agenda=as_text(row.get("agenda")) or "",
            created_at=as_datetime(row.get("created_at")),
            join_url=as_text(row.get("join_url")),
        )


@dataclass(frozen=True)
class RegistrantInput:
    """A person to register. Zoom requires an address of at most 128 characters and a first name."""

    email: str = field(repr=False)
    first_name: str = field(repr=False)
    last_name: str = field(default="", repr=False)

    def payload(self) -> dict[str, Any]:
        """Return the person for a request, names truncated to 64 characters."""
        first, last = self.first_name.strip(), self.last_name.strip()
        if not first:
            first, last = last, ""
        body = {"email": self.email, "first_name": (first or self.email.partition("@")[0])[:NAME_LIMIT]}
        if last:
            body["last_name"] = last[:NAME_LIMIT]
        return body


@dataclass(frozen=True)
class RegistrationResult:
    """The result of a registration. ``join_url`` is personal, and None while approval is pending."""

    registrant_id: str
    email: str = field(repr=False)
    join_url: str | None = field(repr=False)

    @classmethod
    def read(cls, row: Mapping[str, Any], email: str | None = None) -> "RegistrationResult | None":
        """Return a registration, or None without an id. A single response names no address, so it is passed."""
        registrant_id = as_id(row.get("registrant_id"))
        address = as_email(row.get("email")) or as_email(email)
        if registrant_id is None or address is None:
            return None
        return cls(registrant_id=registrant_id, email=address, join_url=as_text(row.get("join_url")))


@dataclass(frozen=True)
class Registrant:
    """A row of a meeting's registrants; ``status`` is approved, pending or denied, ``email`` lower case."""

    id: str
    email: str | None = field(repr=False)
    first_name: str | None = field(repr=False)
    last_name: str | None = field(repr=False)
    status: str | None
    join_url: str | None = field(repr=False)
    created_at: datetime | None

    @classmethod
    def read(cls, row: Mapping[str, Any]) -> "Registrant | None":
        """Return a row of the list, or None if it has no id."""
        registrant_id = as_id(row.get("id")) or as_id(row.get("registrant_id"))
        if registrant_id is None:
            return None
        return cls(
            id=registrant_id,
            email=as_email(row.get("email")),
            first_name=as_text(row.get("first_name")),
            last_name=as_text(row.get("last_name")),
            status=as_text(row.get("status")),
            join_url=as_text(row.get("join_url")),
            created_at=as_datetime(row.get("create_time")),
        )


@dataclass(frozen=True)
class PastInstance:
    """One ended instance of a meeting."""

    uuid: str
    start_time: datetime | None

    @classmethod
    def read(cls, row: Mapping[str, Any]) -> "PastInstance | None":
        """Return a row of the list, or None if it has no uuid."""
        uuid = as_id(row.get("uuid"))
        return cls(uuid, as_datetime(row.get("start_time"))) if uuid else None


@dataclass(frozen=True)
class PastMeeting:
    """An ended meeting, from ``past_meetings`` or from ``report``; minutes are Zoom's whole minutes."""

    id: str | None
    uuid: str | None
    host_id: str | None
    host_email: str | None = field(repr=False)
    topic: str | None = field(repr=False)
    start_time: datetime | None
    end_time: datetime | None
    minutes: int | None
    total_minutes: int | None
    participants: int | None

    @classmethod
    def read(cls, response: Mapping[str, Any]) -> "PastMeeting":
        """Return the meeting of a response."""
        return cls(
            id=as_id(response.get("id")),
            uuid=as_id(response.get("uuid")),
            host_id=as_id(response.get("host_id")),
            host_email=as_email(response.get("user_email")),
            topic=as_text(response.get("topic")),
            start_time=as_datetime(response.get("start_time")),
            end_time=as_datetime(response.get("end_time")),
            minutes=as_int(response.get("duration")),
            total_minutes=as_int(response.get("total_minutes")),
            participants=as_int(response.get("participants_count")),
        )


@dataclass(frozen=True)
class ReportRow:
    """One stay in the participants report: one row per join, so a rejoin is another row.

    ``session`` is the webhooks' ``user_id``; ``seconds`` 0 or a missing ``leave_time`` mean that Zoom has not finished
    the report; ``status`` is ``in_meeting`` or ``in_waiting_room``; ``breakout_id`` is set for breakout rooms.
    """

    session: str | None
    zoom_user_id: str | None
    name: str | None = field(repr=False)
    email: str | None = field(repr=False)
    registrant_id: str | None
    customer_key: str | None
    join_time: datetime | None
    leave_time: datetime | None
    seconds: int | None
    status: str
    breakout_id: str | None

    @classmethod
    def read(cls, row: Mapping[str, Any]) -> "ReportRow":
        """Return a row of the report, of past participants or of the dashboard, which name fields differently."""
        return cls(
            session=as_id(row.get("user_id")) or as_id(row.get("participant_uuid")),
            zoom_user_id=as_id(row.get("participant_user_id")) or as_id(row.get("id")),
            name=as_text(row.get("name")) or as_text(row.get("user_name")),
            email=as_email(row.get("user_email")) or as_email(row.get("email")),
            registrant_id=as_id(row.get("registrant_id")),
            customer_key=as_id(row.get("customer_key")),
            join_time=as_datetime(row.get("join_time")),
            leave_time=as_datetime(row.get("leave_time")),
            seconds=as_int(row.get("duration")),
            status=as_text(row.get("status")) or "in_meeting",
            breakout_id=as_id(row.get("bo_mtg_id")),
        )


@dataclass(frozen=True)
class ZoomUser:
    """A user of the account. ``type`` 1 is Basic, 2 Licensed (registration and reports need it)."""

    id: str
    email: str | None = field(repr=False)
    first_name: str | None = field(repr=False)
    last_name: str | None = field(repr=False)
    type: int | None
    status: str | None
    timezone: str | None

    @property
    def is_licensed(self) -> bool:
        """True if the user has a licence."""
        return self.type == 2

    @classmethod
    def read(cls, row: Mapping[str, Any]) -> "ZoomUser | None":
        """Return a user of a response, or None if it has no id."""
        user_id = as_id(row.get("id"))
        if user_id is None:
            return None
        return cls(
            id=user_id,
            email=as_email(row.get("email")),
            first_name=as_text(row.get("first_name")),
            last_name=as_text(row.get("last_name")),
            type=as_int(row.get("type")),
            status=as_text(row.get("status")),
            timezone=as_text(row.get("timezone")),
        )


@dataclass(frozen=True)
class CredentialCheck:
    """Result of `ZoomClient.probe`: the token's scopes, and those it lacks with the purpose of each."""

    api_url: str
    scopes: frozenset[str]
    missing: Mapping[str, str]
    missing_optional: Mapping[str, str]
    expires_at: datetime


def to_time_zone(moment: datetime, timezone: str) -> str:
    """Return an aware time as ``yyyy-MM-ddTHH:mm:ss`` local time of ``timezone``."""
    return moment.astimezone(ZoneInfo(timezone)).strftime("%Y-%m-%dT%H:%M:%S")


def to_utc(moment: datetime) -> str:
    """Return an aware time as ``yyyy-MM-ddTHH:mm:ssZ``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
