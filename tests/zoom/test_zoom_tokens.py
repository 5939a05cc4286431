"""The shared token: one mint for everybody, renewed early, replaced once when Zoom refuses it."""

import threading
from datetime import timedelta

import pytest

from portal.zoom.api.token_store import AccessToken, InMemoryTokenStore
from portal.zoom.errors import ZoomBadCredentials, ZoomUnavailable


class Mint:
    def __init__(self, clock):
        self.clock = clock
        self.count = 0
        self.problem = None

    def __call__(self):
        if self.problem:
            raise self.problem
        self.count += 1
        return AccessToken(f"tok-{self.count}", self.clock.now() + timedelta(hours=1))


@pytest.fixture
def mint(clock):
    return Mint(clock)


@pytest.fixture
def tokens(clock):
    return InMemoryTokenStore(clock.now)


def test_a_token_is_kept_until_five_minutes_before_its_end(clock, mint, tokens):
    assert tokens.token(mint).value == "tok-1"
    clock.move(minutes=55)
    assert tokens.token(mint).value == "tok-1"
    clock.move(seconds=1)
    assert tokens.token(mint).value == "tok-2"


def test_a_refused_token_is_replaced(mint, tokens):
    tokens.token(mint)
    assert tokens.token(mint, rejected="tok-1").value == "tok-2"
    assert tokens.token(mint).value == "tok-2"


def test_whoever_was_refused_with_an_older_token_gets_the_stored_one(mint, tokens):
    tokens.token(mint)
    tokens.token(mint, rejected="tok-1")
    assert tokens.token(mint, rejected="tok-1").value == "tok-2"
    assert mint.count == 2


def test_a_refused_replacement_is_not_replaced_for_five_minutes(clock, mint, tokens):
    tokens.token(mint)
    tokens.token(mint, rejected="tok-1")
    clock.move(seconds=299)
    with pytest.raises(ZoomBadCredentials):
        tokens.token(mint, rejected="tok-2")
    assert mint.count == 2
    clock.move(seconds=1)
    assert tokens.token(mint, rejected="tok-2").value == "tok-3"


def test_a_failed_mint_keeps_nothing(mint, tokens):
    mint.problem = ZoomUnavailable("down")
    with pytest.raises(ZoomUnavailable):
        tokens.token(mint)
    mint.problem = None
    assert tokens.token(mint).value == "tok-1"


def test_a_failed_replacement_may_be_tried_again_at_once(mint, tokens):
    tokens.token(mint)
    mint.problem = ZoomUnavailable("down")
    with pytest.raises(ZoomUnavailable):
        tokens.token(mint, rejected="tok-1")
    mint.problem = None
    assert tokens.token(mint, rejected="tok-1").value == "tok-2"


def test_fifty_threads_share_one_mint(mint, tokens):
    found, ready = [], threading.Barrier(50)

    def ask():
        ready.wait(5)
        found.append(tokens.token(mint).value)

    threads = [threading.Thread(target=ask) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)
    assert found == ["tok-1"] * 50
    assert mint.count == 1


def test_the_value_is_not_in_the_repr(mint, tokens):
    assert "tok-1" not in repr(tokens.token(mint))
