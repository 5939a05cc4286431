"""State of the simulated Zoom, its lock, persistence and emitted events."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from portal.sandbox import defaults
from portal.sandbox.api.scopes import ALL_SCOPES
from portal.sandbox.api.times import real_utc_now, to_milliseconds, whole_seconds
from portal.sandbox.simulation.errors import meeting_not_found, user_not_found
from portal.sandbox.simulation.ids import IdGenerator, derive_secret
from portal.sandbox.simulation.models import (
    JSON,
    ApiCall,
    SimulatedInstance,
    SimulatedMeeting,
    SimulatedRegistrant,
    SimulatedStay,
    SimulatedUser,
    WebhookDelivery,
)
from portal.sandbox.simulation.rate_limits import RateLimits
from portal.sandbox.sqlite_store import SqliteStore

KEPT_CALLS = 20_000


@dataclass
class BehaviourFlags:
    """Behaviours in which Zoom differs between accounts, years or reports; the defaults follow its current
    documentation."""

    revoke_old_on_issue: bool = False  # seen in 2022-23: a new token invalidated the previous one
    strict_me: bool = False  # the documentation forbids `me` to Server-to-Server apps, in practice it works
    missing_scope_is_invalid_json: bool = False  # seen: unescaped quotes in the message of 4711
    app_enabled: bool = True
    token_seconds: int = 3600
    id_as: str = "zoom"  # or "string" or "number": type of the meeting id in webhooks
    report_delay: timedelta = timedelta(0)  # after the end of the meeting: 404/3001
    report_zero_for: timedelta = timedelta(0)  # after that: rows with duration 0
    over_closes_registration: bool = True
    capacity: int = 4_999
    admission_changes_user_id: bool = False  # whether leaving the waiting room starts a new session is undocumented


@dataclass
class _Changes:
    depth: int = 0
    rows: dict[tuple[str, str], Any] = field(default_factory=dict)
    gone: set[tuple[str, str]] = field(default_factory=set)


class SimulationState:
    """All state of the simulation, guarded by one lock; `changing()` persists the changes at its end."""

    def __init__(
        self,
        store: Path | None = None,
        *,
        now: Callable[[], datetime] = real_utc_now,
        plan: str = "pro",
        account_id: str = defaults.ACCOUNT_ID,
        client_id: str = defaults.CLIENT_ID,
        client_secret: str = defaults.CLIENT_SECRET,
        scopes: Iterable[str] = ALL_SCOPES,
        seed: int | None = None,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self.now = lambda: whole_seconds(now())
        self.account_id, self.client_id, self.client_secret = account_id, client_id, client_secret
        self.scopes = frozenset(scopes)
        self.lock = threading.RLock()
        self.switches = BehaviourFlags()
        self.ids = IdGenerator(seed)
        self.limits = RateLimits(plan, now=self.now, ticks=ticks, count=self._count_today, spend=self._increment_today)
        self.public_url = ""
        self.woken: Callable[[], None] = lambda: None
        self.asks_for: Callable[[str], bool] = lambda event: False
        self._changes = _Changes()
        self._store = SqliteStore(store) if store else None
        self._init_collections()
        self._load_state()

    def _init_collections(self) -> None:
        self.users: dict[str, SimulatedUser] = {}
        self.meetings: dict[str, SimulatedMeeting] = {}
        self.registrants: dict[str, dict[str, SimulatedRegistrant]] = {}
        self.instances: dict[str, SimulatedInstance] = {}
        self.stays: dict[str, list[SimulatedStay]] = {}
        self.deliveries: dict[int, WebhookDelivery] = {}
        self.waiting: dict[int, WebhookDelivery] = {}
        self.tokens: dict[str, JSON] = {}
        self.pages: dict[str, JSON] = {}
        self.used: dict[str, int] = {}
        self.counters: dict[str, int] = {}
        self.calls: list[ApiCall] = []
        self.most_in_flight = 0
        self.in_flight = 0
        self.signing_key = derive_secret()

    def _load_state(self) -> None:
        if self._store is None:
            return
        for kind, key, value in self._store.load():
            self._restore_row(kind, key, value)
        with self.changing():
            self.keep("setting", "signing_key", self.signing_key)

    def _restore_row(self, kind: str, key: str, value: Any) -> None:
        match kind:
            case "registrant":
                self.registrants.setdefault(value.meeting_id, {})[value.id] = value
            case "stay":
                self.stays.setdefault(value.meeting_id, []).append(value)
            case "delivery":
                self.deliveries[value.id] = value
                if value.state == "waiting":
                    self.waiting[value.id] = value
            case "setting":
                self.signing_key = value
            case _:
                getattr(self, f"{kind}s" if kind != "used" else "used")[key] = value

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Hold the lock; at the end of the outermost block write the changes and wake the sender."""
        with self.lock:
            self._changes.depth += 1
            try:
                yield
            finally:
                self._changes.depth -= 1
                if self._changes.depth == 0:
                    self._write()

    def _write(self) -> None:
        changes, self._changes = self._changes, _Changes()
        if not changes.rows and not changes.gone:
            return
        if self._store is not None:
            self._store.write(((kind, key, value) for (kind, key), value in changes.rows.items()), changes.gone)
        if any(kind == "delivery" for kind, _ in changes.rows):
            self.woken()

    def keep(self, kind: str, key: str, value: Any) -> None:
        """Mark a row to be written at the end of the change. Only inside `changing()`."""
        self._changes.rows[kind, key] = value

    def drop(self, kind: str, key: str) -> None:
        """Mark a row to be deleted at the end of the change. Only inside `changing()`."""
        self._changes.rows.pop((kind, key), None)
        self._changes.gone.add((kind, key))

    def keep_meeting(self, meeting: SimulatedMeeting) -> None:
        self.meetings[meeting.id] = meeting
        self.keep("meeting", meeting.id, meeting)

    def keep_registrant(self, registrant: SimulatedRegistrant) -> None:
        self.registrants.setdefault(registrant.meeting_id, {})[registrant.id] = registrant
        self.keep("registrant", registrant.id, registrant)

    def keep_stay(self, stay: SimulatedStay) -> None:
        self.keep("stay", f"{stay.meeting_id}|{stay.nth}", stay)

    def keep_instance(self, instance: SimulatedInstance) -> None:
        self.instances[instance.uuid] = instance
        self.keep("instance", instance.uuid, instance)

    def keep_delivery(self, delivery: WebhookDelivery) -> None:
        self.deliveries[delivery.id] = delivery
        if delivery.state == "waiting":
            self.waiting[delivery.id] = delivery
        else:
            self.waiting.pop(delivery.id, None)
        self.keep("delivery", str(delivery.id), delivery)

    def reset(self) -> None:
        """Delete users, meetings, calls, quotas and deliveries; flags stay as they are."""
        with self.lock:
            self._init_collections()
            self._changes = _Changes(depth=self._changes.depth)
            if self._store is not None:
                self._store.clear()
                self._store.write([("setting", "signing_key", self.signing_key)])

    def close(self) -> None:
        """Close the store."""
        with self.lock:
            if self._store is not None:
                self._store.close()
                self._store = None

    def next_number(self, counter: str) -> int:
        """The counter's next number, from 1; persisted."""
        self.counters[counter] = self.counters.get(counter, 0) + 1
        self.keep("counter", counter, self.counters[counter])
        return self.counters[counter]

    def _today_key(self, subject: str) -> str:
        return f"{self.now().astimezone(UTC).date().isoformat()}|{subject}"

    def _count_today(self, subject: str) -> int:
        return self.used.get(self._today_key(subject), 0)

    def _increment_today(self, subject: str) -> None:
        key = self._today_key(subject)
        self.used[key] = self.used.get(key, 0) + 1
        self.keep("used", key, self.used[key])

    # Users

    def add_user(
        self,
        email: str,
        first_name: str,
        last_name: str,
        *,
        licensed: bool = True,
        zoom_type: int | None = None,
    ) -> SimulatedUser:
        """Add a user to the account, or update the licence and name of an existing one.

        :param zoom_type: Zoom's number for other types than Licensed (2) and Basic (1), e.g. 99 for "may not host".
        """
        kind = zoom_type if zoom_type is not None else (2 if licensed else 1)
        with self.changing():
            for existing in self.users.values():
                if existing.email.casefold() == email.casefold():
                    existing.type, existing.first_name, existing.last_name = kind, first_name, last_name
                    self.keep("user", existing.id, existing)
                    return existing
            user = SimulatedUser(
                id=self.ids.code(),
                email=email,
                first_name=first_name,
                last_name=last_name,
                type=kind,
                pmi=self.ids.digits(10),
                timezone=defaults.TIMEZONE,
                created_at=self.now(),
            )
            self.users[user.id] = user
            self.keep("user", user.id, user)
            return user

    def find_user(self, name: str) -> SimulatedUser:
        """The user with that id or address; `me` is the first one, unless `strict_me`.

        :raises ZoomApiError: 404/1001.
        """
        with self.lock:
            if name == "me" and self.users and not self.switches.strict_me:
                return next(iter(self.users.values()))
            if name in self.users:
                return self.users[name]
            for user in self.users.values():
                if user.email.casefold() == name.casefold():
                    return user
        raise user_not_found(name)

    def meeting_named(self, meeting_id: str) -> SimulatedMeeting:
        """The meeting with that id, unless it is deleted.

        :raises ZoomApiError: 404/3001.
        """
        meeting = self.meetings.get(meeting_id)
        if meeting is None or meeting.deleted_at is not None:
            raise meeting_not_found(meeting_id)
        return meeting

    # Events

    def emit(self, event: str, meeting: SimulatedMeeting, payload: JSON, at: datetime) -> WebhookDelivery:
        """Queue a webhook; the sender delivers it if the webhook is subscribed to this event."""
        body: JSON = {
            "event": event,
            "event_ts": to_milliseconds(at),
            "payload": {"account_id": self.account_id, **payload},
        }
        with self.changing():
            delivery = WebhookDelivery(
                id=self.next_number("delivery"),
                event=event,
                meeting_id=meeting.id,
                body=body,
                due=self.now(),
                state="waiting" if self.asks_for(event) else "kept",
            )
            self.keep_delivery(delivery)
        return delivery

    def events(self, meeting_id: str | None = None) -> list[JSON]:
        """The bodies of all emitted webhooks, of one meeting or of all, in order."""
        with self.lock:
            return [
                delivery.body
                for delivery in self.deliveries.values()
                if meeting_id is None or delivery.meeting_id == str(meeting_id)
            ]
