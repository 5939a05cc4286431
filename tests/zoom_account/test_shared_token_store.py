"""One access token for all: in the database, sealed, renewed by one process at a time."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select, update

from portal.core import clock
from portal.core.db import db, end_read_transaction, write_transaction
from portal.sandbox.simulation.simulated_zoom import SimulatedZoom
from portal.zoom.errors import ZoomBadCredentials
from portal.zoom_account.client import get_zoom_client
from portal.zoom_account.models import ZoomToken
from portal.zoom_account.token_store import LEASE_TIME, WAIT_SECONDS, DatabaseTokenStore
from tests.zoom_account.conftest import Mint

HOST = "ada@r1.deped.gov.ph"


def tokens(app: Flask) -> DatabaseTokenStore:
    """A new one each time, as another process has it."""
    return DatabaseTokenStore("acc", app.app_context)


def row() -> ZoomToken:
    found = db.session.scalars(select(ZoomToken).execution_options(populate_existing=True)).one()
    end_read_transaction()
    return found


@pytest.fixture
def revoking(world: SimulatedZoom) -> Iterator[SimulatedZoom]:
    """A Zoom where each new token ends the one before it."""
    world.switches.revoke_old_on_issue = True
    yield world
    world.switches.revoke_old_on_issue = False
    world.switches.token_seconds = 3600


def test_a_hundred_calls_take_one_token(app: Flask, world: SimulatedZoom) -> None:
    for _ in range(100):
        get_zoom_client().get_user(HOST)
    assert world.count("POST", "oauth").calls == 1


@pytest.mark.parametrize("portal", ["sqlite"], indirect=True)
def test_a_token_that_runs_out_on_the_way_is_renewed_before_and_no_call_fails(app: Flask, world: SimulatedZoom) -> None:
    for number in range(90):
        with time_machine.travel(clock.now() + timedelta(minutes=number), tick=False):
            get_zoom_client().get_user(HOST)
    assert world.count("POST", "oauth").calls == 2
    assert world.count("GET", "users").calls == 90, "none was refused and repeated"


def test_processes_share_the_token(app: Flask, mint: Mint) -> None:
    assert {tokens(app).token(mint).value for _ in range(5)} == {"secret-token-1"}


def test_many_threads_of_many_processes_mint_once(app: Flask, mint: Mint) -> None:
    mint.seconds = 0.2
    end_read_transaction()
    sources = [tokens(app) for _ in range(3)]
    with ThreadPoolExecutor(12) as pool:
        found = list(pool.map(lambda number: sources[number % 3].token(mint).value, range(24)))
    assert set(found) == {"secret-token-1"} and mint.made == 1


def test_the_row_is_sealed(app: Flask, mint: Mint) -> None:
    tokens(app).token(mint)
    assert "secret-token" not in str(row().token_encrypted)
    assert repr(tokens(app).token(mint)).count("secret") == 0


def test_a_token_sealed_with_a_lost_key_is_replaced(app: Flask, mint: Mint) -> None:
    tokens(app).token(mint)
    with write_transaction() as session:
        session.execute(update(ZoomToken).values(token_encrypted="what no key opens"))
    assert tokens(app).token(mint).value == "secret-token-2"


def test_a_refused_token_is_read_anew_and_minted_only_if_nobody_has(app: Flask, mint: Mint) -> None:
    one, other = tokens(app), tokens(app)
    first = one.token(mint)
    other.token(mint)
    second = one.token(mint, rejected=first.value)
    assert (second.value, mint.made) == ("secret-token-2", 2)
    assert other.token(mint, rejected=first.value) == second
    assert mint.made == 2


def test_a_replacement_that_is_refused_too_is_not_replaced_for_five_minutes(app: Flask, mint: Mint) -> None:
    source = tokens(app)
    second = source.token(mint, rejected=source.token(mint).value)
    with pytest.raises(ZoomBadCredentials):
        tokens(app).token(mint, rejected=second.value)
    assert mint.made == 2
    with time_machine.travel(clock.now() + timedelta(minutes=5, seconds=1)):
        assert tokens(app).token(mint, rejected=second.value).value == "secret-token-3"


def test_wrong_credentials_are_tried_once_in_five_minutes(app: Flask) -> None:
    asked: list[int] = []

    def refuse() -> None:
        asked.append(1)
        raise ZoomBadCredentials("invalid_client")

    source = tokens(app)
    for _ in range(5):
        with pytest.raises(ZoomBadCredentials):
            source.token(refuse)  # type: ignore[arg-type]
    assert len(asked) == 1
    with time_machine.travel(clock.now() + timedelta(minutes=5, seconds=1)), pytest.raises(ZoomBadCredentials):
        source.token(refuse)  # type: ignore[arg-type]
    assert len(asked) == 2


def test_when_the_process_that_renews_dies_another_takes_over(app: Flask, mint: Mint) -> None:
    assert LEASE_TIME.total_seconds() < WAIT_SECONDS, "who waits must still be there"
    tokens(app).token(mint)
    with write_transaction() as session:  # as it lies there after a kill in the middle of minting
        session.execute(
            update(ZoomToken).values(token_encrypted=None, expires_at=None, leased_until=clock.now() + LEASE_TIME)
        )
    begin = clock.now()
    with time_machine.travel(begin, tick=False) as moving:
        threading.Timer(0.3, lambda: moving.move_to(begin + LEASE_TIME + timedelta(seconds=1))).start()
        assert tokens(app).token(mint).value == "secret-token-2"
    assert row().leased_until is None


def test_a_mint_that_took_longer_than_its_lease_does_not_overwrite_the_newer_token(app: Flask, mint: Mint) -> None:
    source = tokens(app)

    def slow() -> object:
        with time_machine.travel(clock.now() + LEASE_TIME * 2):
            tokens(app).token(mint)
        return Mint()()

    source.token(slow)  # type: ignore[arg-type]
    assert tokens(app).token(mint).value == "secret-token-1" and mint.made == 1


@pytest.mark.skipif(sys.platform == "win32", reason="processes are forked here")
def test_three_processes_with_twelve_calls_each_lose_none_though_each_token_ends_the_one_before(
    app: Flask, revoking: SimulatedZoom, zoom_server: tuple[SimulatedZoom, str]
) -> None:
    get_zoom_client().get_user(HOST)
    revoking.revoke_tokens()  # so that all of them find it dead
    minted = revoking.count("POST", "oauth").calls
    end_read_transaction()
    database = app.config["SQLALCHEMY_DATABASE_URI"]
    command = [sys.executable, "-m", "tests.zoom_account.calling_process", database, zoom_server[1], HOST, "3", "12"]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    assert said == "done\n"
    assert revoking.count("POST", "oauth").calls - minted <= 2
