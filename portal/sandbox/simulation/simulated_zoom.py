"""The simulated Zoom without HTTP: its state and Zoom's rules.

`SimulatedZoom` is built in layers of classes, each in its own file: state, response bodies, meetings, registrants,
running meetings, reports, OAuth. Tests, the demo, the pages and the API call the same methods.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from portal.sandbox.simulation.models import JSON
from portal.sandbox.simulation.oauth import OAuthServer


@dataclass(frozen=True)
class CallCount:
    """Number of matching calls, and the maximum of calls in flight so far."""

    calls: int
    most_in_flight: int


class SimulatedZoom(OAuthServer):
    """A Zoom account with its users, meetings, instances, reports, quotas and tokens; safe for threads.

    :param store: SQLite file for the state; without it, in memory only.
    :param now: clock for dates, aware; quotas, tokens and class clocks follow it.
    :param plan: free, pro, business or unlimited: rate limits, and whether there are reports.
    :param seed: makes ids reproducible.
    :param ticks: clock for the per-second limits, in seconds; monotonic unless a test passes its own.
    """

    def count(self, method: str = "", path: str = "") -> CallCount:
        """Count the calls of this method whose path the regular expression matches anywhere."""
        with self.lock:
            calls = [call for call in self.calls if method in ("", call.method) and re.search(path, call.path)]
            return CallCount(len(calls), self.most_in_flight)

    def forget_calls(self) -> None:
        """Clear the log of calls."""
        with self.lock:
            self.calls.clear()
            self.most_in_flight = self.in_flight

    def summary(self) -> JSON:
        """Summary of the state, for the control plane."""
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
