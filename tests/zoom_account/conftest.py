"""Stand-ins for what the account's rooms are given: mints of tokens."""

import threading
import time
from datetime import timedelta

import pytest

from portal.core import clock
from portal.zoom.api.token_store import AccessToken


class Mint:
    """Makes tokens, slowly where told to, and counts them."""

    def __init__(self) -> None:
        self.made = 0
        self.seconds = 0.0
        self.lives = timedelta(hours=1)
        self._lock = threading.Lock()

    def __call__(self) -> AccessToken:
        with self._lock:
            self.made += 1
            number = self.made
        time.sleep(self.seconds)
        return AccessToken(
            f"secret-token-{number}", clock.now() + self.lives, "https://api.zoom.us", frozenset({"a", "b"})
        )


@pytest.fixture
def mint() -> Mint:
    return Mint()
