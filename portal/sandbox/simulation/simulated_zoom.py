"""The pretend Zoom without HTTP: its state and Zoom's rules.

`SimulatedZoom` is assembled from floors, each in its own file: state, answers, scheduling, registering, classroom,
reporting, oauth. Tests, the demo and the pages call its verbs; the API calls the same ones.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from portal.sandbox.simulation.models import JSON
from portal.sandbox.simulation.oauth import OAuthServer


@dataclass(frozen=True)
class CallCount:
    """Calls that matched, and how many were under way at the same time at most, ever."""

    calls: int
    most_in_flight: int


class SimulatedZoom(OAuthServer):
    """A Zoom account with its users, meetings, runs, reports, quotas and tokens; safe in many threads.

    :param store: an SQLite file that keeps the state over restarts; in memory only without.
    :param now: the calendar, aware; quotas, tokens and class clocks follow it.
    :param plan: free, pro, business or unlimited: which rate limits hold, and whether there are reports.
    :param seed: makes the ids repeatable.
    :param ticks: seconds for the per-second limits; a monotonic clock unless a test brings its own.
    """

    def count(self, method: str = "", path: str = "") -> CallCount:
        """How many calls had this method and a path that the regular expression matches somewhere."""
        with self.lock:
            calls = [call for call in self.calls if method in ("", call.method) and re.search(path, call.path)]
            return CallCount(len(calls), self.most_in_flight)

    def forget_calls(self) -> None:
        """Begin the calls log anew."""
        with self.lock:
            self.calls.clear()
            self.most_in_flight = self.in_flight

    def summary(self) -> JSON:
        """What there is, in figures and short rows; for the control plane."""
        with self.lock:
            return {
                "now": self.now().isoformat(),
                "plan": self.limits.plan,
                "users": [self.user_json(user) for user in self.users.values()],
                "meetings": [self._meeting_summary(meeting_id) for meeting_id in self.meetings],
                "deliveries": self._by_state(),
                "tokens_minted": self.tokens_minted,
                "calls": len(self.calls),
            }

    def _meeting_summary(self, meeting_id: str) -> JSON:
        meeting, running = self.meetings[meeting_id], self.running(meeting_id)
        return {
            "id": meeting.id,
            "topic": meeting.topic,
            "type": meeting.type,
            "deleted": meeting.deleted_at is not None,
            "running": running.uuid if running else None,
            "clock": self.class_clock(meeting_id).isoformat(),
            "registrants": len(self.active_registrants(meeting_id)),
            "instances": [instance.uuid for instance in self.instances_of(meeting_id)],
        }

    def _by_state(self) -> dict[str, int]:
        states: Sequence[str] = [delivery.state for delivery in self.deliveries.values()]
        return {state: states.count(state) for state in sorted(set(states))}
