"""Data types of the simulation.

Ids are text, times aware UTC; `settings` and the like use Zoom's own names.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

JSON = dict[str, Any]

INSTANT, SCHEDULED, RECURRING, RECURRING_FIXED, SCREEN_SHARE = 1, 2, 3, 8, 10
BASIC, LICENSED = 1, 2
APPROVE_AUTOMATICALLY, APPROVE_BY_HAND, NO_REGISTRATION = 0, 1, 2


@dataclass
class SimulatedUser:
    """A user of the account. `type` 1 is Basic, 2 Licensed, 99 may not host."""

    id: str
    email: str
    first_name: str
    last_name: str
    type: int
    pmi: int
    timezone: str
    created_at: datetime
    status: str = "active"

    @property
    def name(self) -> str:
        return f"{self.first_name} {self.last_name}".strip()

    @property
    def licensed(self) -> bool:
        return self.type == LICENSED


@dataclass
class SimulatedOccurrence:
    """One occurrence of a recurring meeting, `minutes` long; status `available` or `deleted`."""

    occurrence_id: str
    start_time: datetime
    minutes: int
    status: str = "available"


@dataclass
class SimulatedMeeting:
    """A scheduled meeting; its instances are `SimulatedInstance`s."""

    id: str
    uuid: str
    host_id: str
    topic: str
    type: int
    minutes: int
    timezone: str
    agenda: str
    password: str
    settings: JSON
    created_at: datetime
    registration_code: str
    start_time: datetime | None = None
    recurrence: JSON | None = None
    occurrences: list[SimulatedOccurrence] = field(default_factory=list)
    tracking_fields: list[JSON] = field(default_factory=list)
    deleted_at: datetime | None = None
    last_used_at: datetime | None = None
    ended_once: bool = False

    @property
    def takes_registrations(self) -> bool:
        return self.settings["approval_type"] in (APPROVE_AUTOMATICALLY, APPROVE_BY_HAND)


@dataclass
class SimulatedRegistrant:
    """A registrant of a meeting; status `approved`, `pending`, `denied` or `cancelled`."""

    id: str
    meeting_id: str
    email: str
    first_name: str
    last_name: str
    status: str
    tk: str
    pin: int
    created_at: datetime
    details: JSON = field(default_factory=dict)
    occurrence_ids: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return f"{self.first_name} {self.last_name}".strip()

    @property
    def active(self) -> bool:
        return self.status in ("approved", "pending")


@dataclass
class SimulatedInstance:
    """One instance of a meeting. `class_clock_ahead` is how many seconds its clock is ahead of the real one.

    `ended_really_at` is the end on the real clock: the delay of reports counts from then.
    """

    uuid: str
    meeting_id: str
    start_time: datetime
    class_clock_ahead: float
    nth: int
    end_time: datetime | None = None
    ended_really_at: datetime | None = None

    @property
    def running(self) -> bool:
        return self.end_time is None


@dataclass
class SimulatedStay:
    """One person on one device, from join to leave.

    `where` is meeting, waiting_room, breakout_room or before_host. `user_id` and `participant_uuid` are new at every
    join. Learners have a `registrant_id`, people signed in to Zoom a `zoom_user_id`, unknown participants neither.
    `instance_uuid` is empty while waiting for the host.
    """

    user_id: str
    participant_uuid: str
    meeting_id: str
    instance_uuid: str
    name: str
    email: str
    join_time: datetime
    where: str = "meeting"
    registrant_id: str = ""
    zoom_user_id: str = ""
    customer_key: str = ""
    leave_time: datetime | None = None
    leave_reason: str = ""
    room_uuid: str = ""
    parent_user_id: str = ""
    nth: int = 0

    @property
    def open(self) -> bool:
        return self.leave_time is None

    def seconds(self, until: datetime) -> int:
        """Whole seconds of this stay, until `until` while it is open."""
        return max(0, int(((self.leave_time or until) - self.join_time).total_seconds()))

    @property
    def person(self) -> str:
        """The person's key, as far as Zoom can tell: registrant, else Zoom user, else this join only."""
        return self.registrant_id or self.zoom_user_id or self.user_id


@dataclass
class WebhookDelivery:
    """A webhook in the queue. State: `waiting`, `held`, `delivered`, `failed` (given up), `lost` (dropped by a fault)
    or `kept` (not subscribed to)."""

    id: int
    event: str
    meeting_id: str
    body: JSON
    due: datetime
    state: str = "waiting"
    attempts: int = 0
    answers: list[int] = field(default_factory=list)
    first_sent_at: datetime | None = None


@dataclass
class ApiCall:
    """One request to the API or for a token; `status` is 0 while it is in flight, or if it was not executed."""

    method: str
    path: str
    status: int
    at: datetime
