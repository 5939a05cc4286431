"""The portal is killed in a burst: what it acknowledged is on the sheet. `python -m bench.kill` does many rounds."""

import pytest

from bench import kill
from bench.databases import kinds
from tests.conftest import need


@pytest.mark.parametrize(("kind", "rounds"), [("sqlite", 2), ("postgresql", 1)])
def test_what_was_acknowledged_before_a_kill_is_on_the_sheet(kind: str, rounds: int) -> None:
    if kind not in kinds():
        need("PostgreSQL", "no server at TEST_POSTGRES_URL")
    told = kill.run(kind, rounds=rounds, count=300, seed=7)
    assert told.wrong == []
    assert told.rounds == rounds and told.acknowledged > 0
