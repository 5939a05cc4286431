"""An INSERT that does nothing where the row is there says which of both it was, on both databases."""

from flask import Flask

from portal.accounts.models import UsedOidcState
from portal.core import clock
from portal.core.db import insert_if_absent, write_transaction


def test_the_first_is_new_and_the_second_is_not(app: Flask) -> None:
    said = []
    for _ in range(2):
        with write_transaction():
            said.append(
                insert_if_absent(UsedOidcState, {"state_hash": "a" * 64, "used_at": clock.now()}, ["state_hash"])
            )
    assert said == [True, False]
