"""The state of the pretend Zoom, its lock, and how it is kept and told."""

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
    """Where Zoom differs between accounts, years or reports; the defaults follow its present pages."""

    revoke_old_on_issue: bool = False  # seen in 2022-23: a new token killed the former one
    strict_me: bool = False  # the pages forbid `me` to Server-to-Server apps, in practice it works
    missing_scope_is_invalid_json: bool = False  # seen: unescaped quotes in the message of 4711
    app_enabled: bool = True
    token_seconds: int = 3600
    id_as: str = "zoom"  # or "string" or "number": how webhooks write the meeting's id
    report_delay: timedelta = timedelta(0)  # after the end: 404/3001
    report_zero_for: timedelta = timedelta(0)  # after that: rows with duration 0
    over_closes_registration: bool = True
    capacity: int = 4_999
    admission_changes_user_id: bool = False  # whether leaving the waiting room is a new session is not documented


@dataclass
class _Changes:
    depth: int = 0
    rows: dict[tuple[str, str], Any] = field(default_factory=dict)
    gone: set[tuple[str, str]] = field(default_factory=set)


class SimulationState:
    """Everything the pretend Zoom knows. One lock guards it; `changing()` keeps what changed when it ends."""

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
        self.limits = RateLimits(plan, now=self.now, ticks=ticks, count=self._used_today, spend=self._use_today)
        self.public_url = ""
        self.woken: Callable[[], None] = lambda: None
        self.asks_for: Callable[[str], bool] = lambda event: False
        self._changes = _Changes()
        self._store = SqliteStore(store) if store else None
        self._forget()
        self._recall()

    def _forget(self) -> None:
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

    def _recall(self) -> None:
        if self._store is None:
            return
        for kind, key, value in self._store.load():
            self._place(kind, key, value)
        with self.changing():
            self.keep("setting", "signing_key", self.signing_key)

    def _place(self, kind: str, key: str, value: Any) -> None:
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
        """Hold the lock; when the outermost block ends, keep what changed and wake the sender."""
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
        """Have the row written when the change ends. Only inside `changing()`."""
        self._changes.rows[kind, key] = value

    def drop(self, kind: str, key: str) -> None:
        """Have the row deleted when the change ends."""
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
        """Forget users, meetings, calls, quotas and deliveries; switches stay as they are."""
        with self.lock:
            self._forget()
            self._changes = _Changes(depth=self._changes.depth)
            if self._store is not None:
                self._store.clear()
                self._store.write([("setting", "signing_key", self.signing_key)])

    def close(self) -> None:
        """Let go of the store."""
        with self.lock:
            if self._store is not None:
                self._store.close()
                self._store = None

    def next_number(self, counter: str) -> int:
        """1, 2, 3 and so on, kept over restarts."""
        self.counters[counter] = self.counters.get(counter, 0) + 1
        self.keep("counter", counter, self.counters[counter])
        return self.counters[counter]

    def _today(self, subject: str) -> str:
        return f"{self.now().astimezone(UTC).date().isoformat()}|{subject}"

    def _used_today(self, subject: str) -> int:
        return self.used.get(self._today(subject), 0)

    def _use_today(self, subject: str) -> None:
        key = self._today(subject)
        self.used[key] = self.used.get(key, 0) + 1
        self.keep("used", key, self.used[key])

    # People

    def add_user(
        self,
        email: str,
        first_name: str,
        last_name: str,
        *,
        licensed: bool = True,
        zoom_type: int | None = None,
    ) -> SimulatedUser:
        """Add a person to the account; who is there already gets the licence and name given.

        :param zoom_type: Zoom's number where neither Licensed (2) nor Basic (1) is meant, as 99 for "may not
            host".
        """
        kind = zoom_type if zoom_type is not None else (2 if licensed else 1)
        with self.changing():
            for known in self.users.values():
                if known.email.casefold() == email.casefold():
                    known.type, known.first_name, known.last_name = kind, first_name, last_name
                    self.keep("user", known.id, known)
                    return known
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

        :raises Refusal: 404/1001.
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
        """The meeting of that id, if it is not deleted.

        :raises Refusal: 404/3001.
        """
        meeting = self.meetings.get(meeting_id)
        if meeting is None or meeting.deleted_at is not None:
            raise meeting_not_found(meeting_id)
        return meeting

    # Telling

    def emit(self, event: str, meeting: SimulatedMeeting, payload: JSON, at: datetime) -> WebhookDelivery:
        """Say that something happened; the sender delivers it if the webhook's owner asked for this event."""
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
        """The webhook bodies emitted so far, of one meeting or of all, in the order they happened."""
        with self.lock:
            return [
                delivery.body
                for delivery in self.deliveries.values()
                if meeting_id is None or delivery.meeting_id == str(meeting_id)
            ]
