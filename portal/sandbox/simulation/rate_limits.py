"""Zoom's rate limits and daily quotas (developers.zoom.us, "Rate limits", February 2026).

Per-second limits use a monotonic clock of their own, so that a test that stops the calendar clock does not stop them;
daily limits reset at 00:00 UTC of the simulation's calendar.
"""

from collections import deque
from collections.abc import Callable
from datetime import datetime

from portal.sandbox.api.times import format_timestamp, next_midnight
from portal.sandbox.simulation.errors import ZoomApiError

LIGHT, MEDIUM, HEAVY = "Light", "Medium", "Heavy"

PER_SECOND: dict[str, dict[str, int]] = {
    "free": {LIGHT: 4, MEDIUM: 2, HEAVY: 1},
    "pro": {LIGHT: 30, MEDIUM: 20, HEAVY: 10},
    "business": {LIGHT: 80, MEDIUM: 60, HEAVY: 40},
    "unlimited": {},
}
PER_DAY: dict[str, dict[str, int]] = {
    "free": {LIGHT: 6_000, MEDIUM: 2_000, HEAVY: 1_000},
    "pro": {HEAVY: 30_000},
    "business": {HEAVY: 60_000},
    "unlimited": {},
}

SECOND_MESSAGE = "You have reached the maximum per-second rate limit for this API. Try again later."
DAY_MESSAGE = (
    "You have reached the maximum daily rate limit for this API. Refer to the response header for details on "
    "when you can make another request."
)
HOST_MESSAGE = (
    "You have exceeded the daily rate limit ({limit}) of Meeting Create/Update API requests permitted for "
    "this particular user. You may resume these requests at GMT 00:00:00."
)
REGISTRANT_MESSAGE = (
    "You have exceeded the daily rate limit of ({limit}) for Add a meeting registrant API requests for the "
    "registrant ({email}). You can resume these API requests at GMT 00:00:00."
)
STATUS_MESSAGE = (
    "You have exceeded the daily rate limit ({limit}) of registrant status updates for the registrant "
    "({email}). You can resume these API requests at GMT 00:00:00."
)


class RateLimits:
    """Counters per second and per UTC day. `plan` is free, pro, business or unlimited.

    `per_second` and `per_day` may be changed per label; `count` reads and `spend` increments a daily counter.
    """

    def __init__(
        self,
        plan: str,
        *,
        now: Callable[[], datetime],
        ticks: Callable[[], float],
        count: Callable[[str], int],
        spend: Callable[[str], None],
    ) -> None:
        self._now, self._ticks, self._count, self._spend = now, ticks, count, spend
        self._recent: dict[str, deque[float]] = {}
        self.plan = plan
        self.host_per_day = 100
        self.registrant_per_day = 3
        self.status_per_day = 10
        # One user reported the three a day as counted over all meetings; Zoom's documentation says per meeting.
        self.registrant_counts_over_all_meetings = False

    @property
    def plan(self) -> str:
        return self._plan

    @plan.setter
    def plan(self, plan: str) -> None:
        self._plan = plan
        self.per_second = dict(PER_SECOND[plan])
        self.per_day = dict(PER_DAY[plan])

    def admit(self, label: str) -> None:
        """Count one request with that label.

        :raises ZoomApiError: 429, per second (`X-RateLimit-Type: QPS`) or per day (with an ISO `Retry-After`).
        """
        self._admit_second(label)
        self._admit_day(label)

    def _admit_second(self, label: str) -> None:
        allowed = self.per_second.get(label)
        if allowed is None:
            return
        recent, tick = self._recent.setdefault(label, deque()), self._ticks()
        while recent and recent[0] <= tick - 1:
            recent.popleft()
        if len(recent) >= allowed:
            headers = {"X-RateLimit-Category": label, "X-RateLimit-Type": "QPS"}
            raise ZoomApiError(429, 429, SECOND_MESSAGE, headers=headers)
        recent.append(tick)

    def _admit_day(self, label: str) -> None:
        allowed = self.per_day.get(label)
        if allowed is None:
            return
        if self._count(f"label|{label}") >= allowed:
            headers = {
                "X-RateLimit-Category": label,
                "X-RateLimit-Type": "Daily-limit",
                "X-RateLimit-Limit": str(allowed),
                "X-RateLimit-Remaining": "0",
                "Retry-After": format_timestamp(next_midnight(self._now())),
            }
            raise ZoomApiError(429, 429, DAY_MESSAGE, headers=headers)
        self._spend(f"label|{label}")

    def admit_host(self, host_id: str) -> None:
        """Count one create or update for that host.

        :raises ZoomApiError: 429 after 100 a day; without Type and Retry-After, as observed at Zoom.
        """
        self._admit_subject(f"host|{host_id}", self.host_per_day, HOST_MESSAGE, "")

    def admit_registrant(self, meeting_id: str, email: str) -> None:
        """Count one registration request for that case-folded address.

        :raises ZoomApiError: 429 after three a day.
        """
        scope = "*" if self.registrant_counts_over_all_meetings else meeting_id
        self._admit_subject(f"registrant|{scope}|{email}", self.registrant_per_day, REGISTRANT_MESSAGE, email)

    def admit_status(self, meeting_id: str, email: str) -> None:
        """Count one change of a registrant's status.

        :raises ZoomApiError: 429 after ten a day.
        """
        self._admit_subject(f"status|{meeting_id}|{email}", self.status_per_day, STATUS_MESSAGE, email)

    def _admit_subject(self, subject: str, allowed: int, message: str, email: str) -> None:
        if self._count(subject) >= allowed:
            headers = {
                "X-RateLimit-Category": LIGHT,
                "X-RateLimit-Limit": str(allowed),
                "X-RateLimit-Remaining": "0",
            }
            if subject.startswith("host|"):
                # Zoom's response carried the category's figures, not the host's.
                headers |= {"X-RateLimit-Limit": "6000", "X-RateLimit-Remaining": "5893"}
            raise ZoomApiError(429, 429, message.format(limit=allowed, email=email), headers=headers)
        self._spend(subject)
