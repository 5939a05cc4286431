"""Zoom's rates are kept by all processes together: each request books a moment in the database."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask
from sqlalchemy import select

from portal.core.db import db, end_read_transaction
from portal.zoom.api.rate_limiter import HEAVY, LIGHT, MEDIUM
from portal.zoom_account.rate_limiter import (
    CATEGORY_RATES,
    DatabaseRateLimiter,
    RateLimit,
    ZoomRateSlots,
    reserve_rate_slots,
)

RATE = RateLimit(10, 0.2)


class Slept:
    """Keeps what was slept instead of sleeping."""

    def __init__(self) -> None:
        self.pauses: list[float] = []

    def __call__(self, seconds: float) -> None:
        self.pauses.append(seconds)


def most_within(moments: list[float], seconds: float) -> int:
    return max(sum(begin <= moment < begin + seconds for moment in moments) for begin in moments)


def test_what_is_booked_together_keeps_the_rate(app: Flask) -> None:
    starts = reserve_rate_slots("acc/light", RATE, 35)
    assert starts[:10] == [0.0] * 10
    assert most_within(starts, 0.199) == 10
    assert starts[-1] == pytest.approx(0.6)


def test_bookings_after_each_other_keep_the_rate_too(app: Flask) -> None:
    begin = time.monotonic()
    moments = []
    for count in (7, 7, 7, 3):
        now = time.monotonic() - begin
        moments += [now + pause for pause in reserve_rate_slots("acc/light", RATE, count)]
    assert most_within(moments, 0.15) <= 10
    time.sleep(0.65)
    assert reserve_rate_slots("acc/light", RATE, 1) == [0.0]


def test_labels_do_not_wait_for_each_other(app: Flask) -> None:
    reserve_rate_slots("acc/light", RATE, 50)
    assert reserve_rate_slots("acc/heavy", RATE, 1) == [0.0]


def test_three_processes_together_send_no_more_than_one_could(app: Flask) -> None:
    end_read_transaction()
    sent: list[float] = []
    paces = [DatabaseRateLimiter("acc", app.app_context, {LIGHT: RATE}) for _ in range(3)]

    def send(number: int) -> None:
        paces[number % 3].wait(LIGHT)
        sent.append(time.monotonic())

    begin = time.monotonic()
    with ThreadPoolExecutor(12) as pool:
        list(pool.map(send, range(45)))
    took = time.monotonic() - begin
    assert took >= 0.8, "four times ten, after the first ten"
    assert most_within(sent, 0.1) <= 10 + 2, "a thread may wake late"


def test_who_waits_at_the_same_time_books_together(app: Flask) -> None:
    """While one booking is on its way, the others of the process gather; they then cost one transaction."""
    end_read_transaction()
    slept = Slept()
    bookings: list[int] = []
    contexts = app.app_context

    def counted() -> object:
        bookings.append(1)
        time.sleep(0.02)
        return contexts()

    pace = DatabaseRateLimiter("acc", counted, {LIGHT: RateLimit(1000, 1)}, slept)  # type: ignore[arg-type]
    ready = threading.Barrier(20)

    def wait() -> None:
        ready.wait()
        pace.wait(LIGHT)

    threads = [threading.Thread(target=wait) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(bookings) <= 10
    assert len(db.session.scalars(select(ZoomRateSlots.reserved_at)).one()) == 20


def test_a_clock_that_was_set_back_stops_nothing(app: Flask) -> None:
    reserve_rate_slots("acc/light", RATE, 40)
    with app.app_context():
        from portal.core.db import write_transaction

        with write_transaction() as session:
            found = session.scalars(select(ZoomRateSlots)).one()
            found.reserved_at = [moment + 3600 for moment in found.reserved_at]
    assert reserve_rate_slots("acc/light", RATE, 1) == [0.0]


@pytest.mark.parametrize("portal", ["sqlite"], indirect=True)
def test_without_the_database_a_process_keeps_a_pace_of_its_own(app: Flask) -> None:
    from sqlalchemy.exc import OperationalError

    def broken() -> object:
        raise OperationalError("SELECT 1", {}, Exception("no database"))

    slept = Slept()
    pace = DatabaseRateLimiter("acc", broken, sleep=slept)  # type: ignore[arg-type]
    for _ in range(20):
        pace.wait(HEAVY)
    assert len(slept.pauses) >= 15


@pytest.mark.parametrize("plan", ["pro", "business"])
def test_the_rates_are_below_what_zoom_allows(plan: str) -> None:
    allowed = {"pro": (30, 20, 10), "business": (80, 60, 40)}[plan]
    for label, most in zip((LIGHT, MEDIUM, HEAVY), allowed, strict=True):
        rate = CATEGORY_RATES[plan][label]
        assert rate.requests < most and rate.seconds > 1
