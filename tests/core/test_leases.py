"""The delay between attempts doubles up to a maximum, however often something was tried."""

from datetime import timedelta

import pytest

from portal.core.db.leases import retry_backoff_delay


@pytest.mark.parametrize(
    ("attempts", "seconds"), [(0, 5), (1, 5), (2, 10), (3, 20), (8, 640), (9, 900), (5000, 900), (10**9, 900)]
)
def test_the_delay_doubles_up_to_a_quarter_of_an_hour(attempts: int, seconds: int) -> None:
    assert retry_backoff_delay(attempts) == timedelta(seconds=seconds)


def test_first_delay_and_maximum_may_be_others() -> None:
    quarter, most = timedelta(minutes=15), timedelta(hours=4)
    delays = [retry_backoff_delay(attempts, first=quarter, maximum=most) for attempts in (1, 2, 5, 6)]
    assert delays == [quarter, 2 * quarter, most, most]
