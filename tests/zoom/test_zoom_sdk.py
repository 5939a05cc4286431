"""The Meeting SDK's signature, read back by a library of somebody else."""

from datetime import UTC, datetime

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from portal.zoom.sdk_signature import meeting_sdk_signature

NOW = datetime(2026, 11, 3, tzinfo=UTC)
SECRET = "a-secret-of-the-sdk-app-long-enough-for-hs256"


def claims(**changes):
    given = {"key": "sdk-key", "secret": SECRET, "meeting_number": "861 2345 6789", "role": 0, "now": NOW}
    signature = meeting_sdk_signature(**(given | changes))
    return jwt.decode(signature, OctKey.import_key(SECRET), algorithms=["HS256"]).claims


def test_it_says_who_may_join_what_and_until_when():
    issued = int(NOW.timestamp())
    assert claims() == {
        "appKey": "sdk-key",
        "sdkKey": "sdk-key",
        "mn": "86123456789",
        "role": 0,
        "iat": issued - 30,
        "exp": issued + 7200,
        "tokenExp": issued + 7200,
    }


@pytest.mark.parametrize("ttl", [1800, 7200, 172_800])
def test_it_ends_within_zooms_bounds(ttl):
    found = claims(ttl=ttl)
    assert 1800 <= found["exp"] - found["iat"] <= 172_800
    assert found["exp"] - NOW.timestamp() >= 1800


@pytest.mark.parametrize(
    "spoiled",
    [
        {"ttl": 1799},
        {"ttl": 172_801},
        {"role": 2},
        {"meeting_number": "86x"},
        {"meeting_number": ""},
        {"meeting_number": "８６１"},
        {"key": ""},
        {"secret": ""},
    ],
)
def test_it_refuses_what_zoom_would_refuse(spoiled):
    with pytest.raises(ValueError):
        claims(**spoiled)
