"""Limits: reading a 429, the pace that avoids one, and the circuit."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from requests.structures import CaseInsensitiveDict

from portal.zoom.api.rate_limit_errors import next_utc_midnight, parse_retry_after, rate_limit_error
from portal.zoom.api.rate_limiter import (
    HEAVY,
    LIGHT,
    PRO_RATES,
    RESOURCE,
    CircuitBreaker,
    LocalRateLimiter,
)
from portal.zoom.errors import CircuitOpen, ZoomRefused, ZoomUnavailable

NOW = datetime(2026, 11, 3, 1, 0, tzinfo=UTC)
MIDNIGHT = datetime(2026, 11, 4, tzinfo=UTC)


def limited(message="", personal=None, **headers):
    sent = CaseInsensitiveDict({name.replace("_", "-"): value for name, value in headers.items()})
    return rate_limit_error(sent, message, NOW, personal=personal)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2", NOW + timedelta(seconds=2)),
        ("0", NOW),
        ("1.5", NOW + timedelta(seconds=1.5)),
        ("2026-11-04T00:00:00Z", MIDNIGHT),
        ("2026-11-04T08:00:00+08:00", MIDNIGHT),
        ("Wed, 04 Nov 2026 00:00:00 GMT", MIDNIGHT),
    ],
)
def test_retry_after_is_read_in_every_form(value, expected):
    assert parse_retry_after({"Retry-After": value}, NOW) == expected


@pytest.mark.parametrize(
    "value", ["", "soon", "-5", "99999999", "2019-01-01T00:00:00Z", "2099-01-01T00:00:00Z", "nan", "²"]
)
def test_a_nonsensical_retry_after_is_ignored(value):
    assert parse_retry_after({"Retry-After": value}, NOW) is None


@given(st.text(max_size=40))
def test_no_retry_after_breaks_reading_it(value):
    found = parse_retry_after({"Retry-After": value}, NOW)
    assert found is None or found.tzinfo is not None


def test_a_limit_per_second_is_told_by_its_type():
    found = limited(X_RateLimit_Type="QPS", X_RateLimit_Category="Light")
    assert (found.per, found.daily, found.until) == ("second", False, None)


def test_a_daily_limit_ends_when_zoom_says():
    found = limited(X_RateLimit_Type="Daily-limit", X_RateLimit_Limit="30000", Retry_After="2026-11-04T00:00:00Z")
    assert (found.per, found.daily, found.until) == ("account-day", True, MIDNIGHT)


def test_a_daily_limit_without_a_date_ends_at_midnight_utc():
    found = limited(x_ratelimit_type="daily-limit", retry_after="when it is over")
    assert (found.daily, found.until) == (True, MIDNIGHT)


def test_the_hundred_of_a_host_come_without_a_type():
    seen = {"x_ratelimit_category": "Light", "x_ratelimit_limit": "6000", "x_ratelimit_remaining": "5893"}
    text = "You have exceeded the daily rate limit (100) of Meeting Create/Update API requests."
    assert limited(text, "host-day", **seen).per == "host-day"
    assert limited("Localised.", "host-day", **seen).per == "host-day"


def test_the_three_of_a_registrant_are_told_by_the_limit():
    found = limited("Localised.", "registrant-day", x_ratelimit_limit="3")
    assert (found.per, found.daily, found.until) == ("registrant-day", True, MIDNIGHT)


def test_words_decide_where_nothing_else_does():
    assert limited("You have reached the maximum per-second rate limit for this API.").per == "second"
    assert limited("You have reached the maximum daily rate limit for this API.").per == "account-day"
    assert limited("").per == "second"


def test_a_day_is_told_by_how_far_away_the_next_try_is():
    assert limited(Retry_After="7200").per == "account-day"
    assert limited(Retry_After="45").per == "second"


def test_daily_limits_start_again_at_eight_in_manila():
    assert next_utc_midnight(NOW) == MIDNIGHT
    assert next_utc_midnight(MIDNIGHT) == MIDNIGHT + timedelta(days=1)


@given(st.lists(st.floats(0, 0.4), min_size=1, max_size=120), st.sampled_from([LIGHT, HEAVY]))
def test_no_second_sees_more_requests_than_a_pro_plan_allows(gaps, label):
    class Time:
        at = 1000.0

        def sleep(self, seconds):
            self.at += seconds

    time, sent = Time(), []
    pace = LocalRateLimiter(now=lambda: time.at, sleep=time.sleep)
    for gap in gaps:
        time.at += gap
        pace.wait(label)
        sent.append(time.at)
    limit = {LIGHT: 30, HEAVY: 10}[label]
    assert max(sum(start <= one < start + 1 for one in sent) for start in sent) <= limit


def test_dashboards_keep_to_ten_a_minute(clock):
    pace = LocalRateLimiter(now=clock.seconds, sleep=clock.sleep)
    for _ in range(11):
        pace.wait(RESOURCE)
    assert sum(clock.sleeps) >= 60
    assert PRO_RATES[RESOURCE] < 10 / 60


def test_a_label_without_a_rate_never_waits(clock):
    LocalRateLimiter({}, now=clock.seconds, sleep=clock.sleep).wait(LIGHT)
    assert clock.sleeps == []


def fail(circuit, problem=None):
    with pytest.raises((ZoomUnavailable, ZoomRefused)) as caught, circuit.watch():
        raise problem or ZoomUnavailable("down")
    return caught.value


def test_five_failures_in_a_row_open_the_circuit(clock):
    circuit = CircuitBreaker(clock.now)
    for _ in range(5):
        assert not isinstance(fail(circuit), CircuitOpen)
    assert isinstance(fail(circuit), CircuitOpen)
    assert circuit.is_open


def test_an_open_circuit_lets_one_probe_through_every_half_minute(clock):
    circuit = CircuitBreaker(clock.now)
    for _ in range(5):
        fail(circuit)
    probes = 0
    for _ in range(120):
        clock.move(seconds=1)
        probes += not isinstance(fail(circuit), CircuitOpen)
    assert probes == 4


def test_nobody_joins_a_probe_that_is_under_way(clock):
    circuit = CircuitBreaker(clock.now)
    for _ in range(5):
        fail(circuit)
    clock.move(seconds=30)
    with circuit.watch():
        assert isinstance(fail(circuit), CircuitOpen)


def test_a_good_probe_closes_the_circuit(clock):
    circuit = CircuitBreaker(clock.now)
    for _ in range(5):
        fail(circuit)
    clock.move(seconds=30)
    with circuit.watch():
        pass
    assert not circuit.is_open
    assert not isinstance(fail(circuit), CircuitOpen)


def test_a_refusal_shows_that_zoom_is_there(clock):
    circuit = CircuitBreaker(clock.now)
    for _ in range(4):
        fail(circuit)
    fail(circuit, ZoomRefused(404, 3001))
    for _ in range(4):
        assert not isinstance(fail(circuit), CircuitOpen)
    assert not circuit.is_open


def test_a_clock_set_back_does_not_keep_the_circuit_open(clock):
    circuit = CircuitBreaker(clock.now)
    for _ in range(5):
        fail(circuit)
    clock.move(hours=-1)
    assert not isinstance(fail(circuit), CircuitOpen)
