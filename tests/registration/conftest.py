"""What the tests of registration share: faults at the pretend Zoom, and looks at what it has."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from portal.sandbox.world import World


class Faults:
    """What is to go wrong at the pretend Zoom, told over its control plane."""

    def __init__(self, url: str) -> None:
        self._url = url

    def add(self, method: str, path: str, kind: str, **details: Any) -> None:
        self._post("faults", {"method": method, "path": path, "kind": kind, **details})

    def refuse(self, method: str, path: str, status: int, code: int, message: str = "", **details: Any) -> None:
        body = {"code": code, "message": message}
        self.add(method, path, "answer", status=status, json=body, **details)

    def latency(self, ms: int) -> None:
        self._post("latency", {"ms": ms})

    def heal(self) -> None:
        requests.delete(f"{self._url}/_sim/faults", timeout=5).raise_for_status()

    def _post(self, what: str, body: dict[str, Any]) -> None:
        requests.post(f"{self._url}/_sim/{what}", json=body, timeout=5).raise_for_status()


@pytest.fixture
def faults(zoom_server: tuple[World, str], world: World) -> Iterator[Faults]:
    found = Faults(zoom_server[1])
    yield found
    found.heal()


@pytest.fixture
def limits(world: World) -> Iterator[Any]:
    """The pretend Zoom's limits, put back afterwards."""
    limits = world.limits
    before = (limits.registrant_per_day, limits.registrant_counts_over_all_meetings, world.switches.capacity)
    yield limits
    limits.registrant_per_day, limits.registrant_counts_over_all_meetings, world.switches.capacity = before
