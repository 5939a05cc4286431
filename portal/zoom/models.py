"""What Zoom's API takes and gives, as frozen values. Ids are text, times are aware UTC.

Links, passcodes, names and addresses stay out of every ``repr``.
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
# The only settings Zoom lets a single occurrence have for itself.
_OF_ONE_OCCURRENCE = (
    "host_video",
    "participant_video",
    "join_before_host",
    "mute_upon_entry",
    "waiting_room",
    "auto_recording",
)


@dataclass(frozen=True)
class MeetingSettings:
    """Settings of a meeting, in Zoom's own names. People approve by hand, the portal's registrants are
    approved as they are added, and Zoom mails nobody: the portal does."""

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
        """Return the settings as Zoom takes them for a type of meeting."""
        sent = asdict(self)
        if meeting_type != RECURRING or self.approval_type == NO_REGISTRATION:
            del sent["registration_type"]
        return sent

    @classmethod
    def read(cls, answer: Mapping[str, Any]) -> "MeetingSettings":
        """Return the settings of an answer; what it leaves out has Zoom's defaults."""
        approval = as_int(answer.get("approval_type"))
        return cls(
            host_video=as_bool(answer.get("host_video")),
            participant_video=as_bool(answer.get("participant_video")),
            join_before_host=as_bool(answer.get("join_before_host")),
            mute_upon_entry=as_bool(answer.get("mute_upon_entry")),
            waiting_room=as_bool(answer.get("waiting_room")),
            auto_recording=as_text(answer.get("auto_recording")) or "none",
            meeting_authentication=as_bool(answer.get("meeting_authentication")),
            registration_type=as_int(answer.get("registration_type")) or ONCE_FOR_ALL,
            approval_type=NO_REGISTRATION if approval is None else approval,
            registrants_email_notification=as_bool(answer.get("registrants_email_notification"), True),
            registrants_confirmation_email=as_bool(answer.get("registrants_confirmation_email"), True),
            allow_multiple_devices=as_bool(answer.get("allow_multiple_devices")),
            email_notification=as_bool(answer.get("email_notification"), True),
        )


@dataclass(frozen=True)
class Recurrence:
    """How often a meeting repeats. ``type`` 1 daily, 2 weekly, 3 monthly; ``weekly_days`` 1 is Sunday.

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
        """Return the recurrence as Zoom takes it."""
        sent: dict[str, Any] = {"type": self.type, "repeat_interval": self.repeat_interval}
        if self.weekly_days:
            sent["weekly_days"] = ",".join(str(day) for day in sorted(set(self.weekly_days)))
        if self.monthly_day is not None:
            sent["monthly_day"] = self.monthly_day
        if self.end_times is not None:
            sent["end_times"] = self.end_times
        if self.end_at is not None:
            sent["end_date_time"] = to_utc(self.end_at)
        return sent


@dataclass(frozen=True)
class MeetingDraft:
    """A meeting as we want it. ``starts_at`` is aware, ``minutes`` the planned length, ``marker`` ours.

    The marker goes first into the agenda. Give meetings a start: one without becomes an instant meeting,
    which Zoom's list leaves out, so its marker could not be looked for.
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
        sent: dict[str, Any] = {
            "topic": self.topic[:TOPIC_LIMIT],
            "type": self.type,
            "duration": self.minutes,
            "timezone": self.timezone,
            "agenda": agenda[:AGENDA_LIMIT],
            "settings": self.settings.payload(self.type),
        }
        if self.starts_at is not None:
            sent["start_time"] = to_time_zone(self.starts_at, self.timezone)
        if self.password is not None:
            sent["password"] = self.password
        if self.recurrence is not None:
            sent["recurrence"] = self.recurrence.payload()
        return sent

    def occurrence_payload(self) -> dict[str, Any]:
        """Return the body that updates one occurrence, for which Zoom takes only some fields.

        A time zone is not among them, so the start goes as UTC.
        """
        agenda = add_agenda_marker(self.marker, self.agenda) if self.marker else self.agenda
        settings = asdict(self.settings)
        sent: dict[str, Any] = {
            "duration": self.minutes,
            "agenda": agenda[:AGENDA_LIMIT],
            "settings": {name: settings[name] for name in _OF_ONE_OCCURRENCE},
        }
        if self.starts_at is not None:
            sent["start_time"] = to_utc(self.starts_at)
        return sent


def diff_meeting_drafts(before: MeetingDraft, after: MeetingDraft) -> dict[str, Any]:
    """Return the body of an update with only what differs; empty when nothing does.

    Zoom counts 100 creates and updates per host and day, so nothing is sent that did not change.
    """
    old, new = before.payload(), after.payload()
    sent = {name: value for name, value in new.items() if name != "settings" and old.get(name) != value}
    settings = {name: value for name, value in new["settings"].items() if old["settings"].get(name) != value}
    if settings:
        sent["settings"] = settings
    if "start_time" in sent or "timezone" in sent:  # a local time means nothing without its zone
        sent.update({name: new[name] for name in ("start_time", "timezone") if name in new})
    return sent


@dataclass(frozen=True)
class Occurrence:
    """One date of a recurring meeting; ``status`` is ``available`` or ``deleted``."""

    id: str
    start_time: datetime | None
    minutes: int | None
    status: str | None

    @classmethod
    def read(cls, row: Mapping[str, Any]) -> "Occurrence":
        """Return an occurrence of an answer."""
        return cls(
            id=as_id(row.get("occurrence_id")) or "",
            start_time=as_datetime(row.get("start_time")),
            minutes=as_int(row.get("duration")),
            status=as_text(row.get("status")),
        )


@dataclass(frozen=True)
class Meeting:
    """A meeting as Zoom has it. ``start_url`` makes anybody host for two hours: never keep it."""

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
        """Our marker, if the agenda starts with one."""
        return find_agenda_marker(self.agenda)

    @classmethod
    def read(cls, answer: Mapping[str, Any]) -> "Meeting | None":
        """Return the meeting of an answer, or None where it has no id."""
        meeting_id = as_id(answer.get("id"))
        if meeting_id is None:
            return None
        occurrences = (Occurrence.read(row) for row in as_object_list(answer.get("occurrences")))
        return cls(
            id=meeting_id,
            uuid=as_id(answer.get("uuid")),
            host_id=as_id(answer.get("host_id")),
            host_email=as_email(answer.get("host_email")),
            topic=as_text(answer.get("topic")) or "",
            type=as_int(answer.get("type")),
            status=as_text(answer.get("status")),
            start_time=as_datetime(answer.get("start_time")),
            minutes=as_int(answer.get("duration")),
            timezone=as_text(answer.get("timezone")),
            agenda=as_text(answer.get("agenda")) or "",
            created_at=as_datetime(answer.get("created_at")),
            join_url=as_text(answer.get("join_url")),
            start_url=as_text(answer.get("start_url")),
            password=as_text(answer.get("password")),
            registration_url=as_text(answer.get("registration_url")),
            occurrences=tuple(occurrence for occurrence in occurrences if occurrence.id),
            settings=MeetingSettings.read(as_object(answer.get("settings"))),
        )


@dataclass(frozen=True)
class MeetingSummary:
    """A row of a host's meetings; the agenda is cut at 250 characters."""

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
        """Our marker, if the agenda starts with one."""
        return find_agenda_marker(self.agenda)

    @classmethod
    def read(cls, row: Mapping[str, Any]) -> "MeetingSummary | None":
        """Return a row of the list, or None where it has no id."""
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
    """Somebody to register. Zoom wants an address of at most 128 characters and a first name."""

    email: str = field(repr=False)
    first_name: str = field(repr=False)
    last_name: str = field(default="", repr=False)

    def payload(self) -> dict[str, Any]:
        """Return the person as Zoom takes them, names cut at 64 characters."""
        first, last = self.first_name.strip(), self.last_name.strip()
        if not first:
            first, last = last, ""
        sent = {"email": self.email, "first_name": (first or self.email.partition("@")[0])[:NAME_LIMIT]}
        if last:
            sent["last_name"] = last[:NAME_LIMIT]
        return sent


@dataclass(frozen=True)
class RegistrationResult:
    """The answer to a registration. ``join_url`` is personal, and None while approval is pending."""

    registrant_id: str
    email: str = field(repr=False)
    join_url: str | None = field(repr=False)

    @classmethod
    def read(cls, row: Mapping[str, Any], email: str | None = None) -> "RegistrationResult | None":
        """Return a registration; a single answer names no address, so it is given. None without an id."""
        registrant_id = as_id(row.get("registrant_id"))
        found = as_email(row.get("email")) or as_email(email)
        if registrant_id is None or found is None:
            return None
        return cls(registrant_id=registrant_id, email=found, join_url=as_text(row.get("join_url")))


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
        """Return a row of the list, or None where it has no id."""
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
    """One ended running of a meeting."""

    uuid: str
    start_time: datetime | None

    @classmethod
    def read(cls, row: Mapping[str, Any]) -> "PastInstance | None":
        """Return a row of the list, or None where it has no uuid."""
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
    def read(cls, answer: Mapping[str, Any]) -> "PastMeeting":
        """Return the meeting of an answer."""
        return cls(
            id=as_id(answer.get("id")),
            uuid=as_id(answer.get("uuid")),
            host_id=as_id(answer.get("host_id")),
            host_email=as_email(answer.get("user_email")),
            topic=as_text(answer.get("topic")),
            start_time=as_datetime(answer.get("start_time")),
            end_time=as_datetime(answer.get("end_time")),
            minutes=as_int(answer.get("duration")),
            total_minutes=as_int(answer.get("total_minutes")),
            participants=as_int(answer.get("participants_count")),
        )


@dataclass(frozen=True)
class ReportRow:
    """One stay in the participants report: one row per join, so a rejoin is another row.

    ``session`` is the webhooks' ``user_id``; ``seconds`` 0 or a missing ``leave_time`` mean that Zoom is not
    done yet; ``status`` is ``in_meeting`` or ``in_waiting_room``; ``breakout_id`` is set for breakout rooms.
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
        """Return a row of the report, the past participants or the dashboard: they spell fields apart."""
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
        """Tell whether the user holds a licence."""
        return self.type == 2

    @classmethod
    def read(cls, row: Mapping[str, Any]) -> "ZoomUser | None":
        """Return a user of an answer, or None where it has no id."""
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
    """What `ZoomClient.probe` found: scopes the token has, and those it lacks with what each is for."""

    api_url: str
    scopes: frozenset[str]
    missing: Mapping[str, str]
    missing_optional: Mapping[str, str]
    expires_at: datetime


def to_time_zone(when: datetime, timezone: str) -> str:
    """Return an aware time as ``yyyy-MM-ddTHH:mm:ss`` on the clocks of ``timezone``."""
    return when.astimezone(ZoneInfo(timezone)).strftime("%Y-%m-%dT%H:%M:%S")


def to_utc(when: datetime) -> str:
    """Return an aware time as ``yyyy-MM-ddTHH:mm:ssZ``."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
