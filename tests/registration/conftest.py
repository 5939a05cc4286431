"""What the tests of registration share: faults at the pretend Zoom, and looks at what it has."""

from collections.abc import Iterator
from typing import Any

import pytest

from portal.sandbox.simulation.simulated_zoom import SimulatedZoom


@pytest.fixture
def limits(world: SimulatedZoom) -> Iterator[Any]:
    """The pretend Zoom's limits, put back afterwards."""
    limits = world.limits
    before = (limits.registrant_per_day, limits.registrant_counts_over_all_meetings, world.switches.capacity)
    yield limits
    limits.registrant_per_day, limits.registrant_counts_over_all_meetings, world.switches.capacity = before
