"""The portal knows when it was not there, and then calls nobody absent."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
import time_machine
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from portal.core.db import db
from portal.webhooks.delivery_store import SignedDelivery
from portal.webhooks.health import get_webhook_receiver
from portal.webhooks.heartbeat import MAX_REMEMBERED, Heartbeat
from portal.webhooks.models import MissedDelivery, WebhookHeartbeat
from portal.webhooks.outages import LATE_HEARTBEAT, had_delivery_gap, list_gaps_between
from tests.people import expire_orm_state, run_jobs
from tests.webhooks.conftest import MEETING, Zoom, joined

EIGHT = datetime(2026, 11, 3, tzinfo=UTC)
NINE = EIGHT + timedelta(hours=1)


def minute(number: int) -> datetime:
    return EIGHT + timedelta(minutes=number)


@pytest.fixture
def moving() -> Iterator[Any]:
    with time_machine.travel(EIGHT, tick=False) as moving:
        yield moving


def up(*spans: tuple[int, int]) -> list[tuple[datetime, datetime]]:
    return [(minute(begin), minute(end)) for begin, end in spans]


@pytest.mark.parametrize(
    ("was_up", "holes"),
    [
        (up(), up()),
        (up((-60, 120)), up()),
        (up((-60, 10), (12, 120)), up((10, 12))),
        (up((-60, 10), (10, 120)), up()),
        (up((-60, 30), (20, 120)), up()),
        (up((-60, 100), (10, 20), (30, 120)), up()),
        (up((-60, -30), (-10, 120)), up()),
        (up((-60, -30), (10, 120)), up((0, 10))),
        (up((-60, 50)), up((50, 60))),
        (up((20, 120)), up()),
    ],
    ids=[
        "nothing known",
        "always up",
        "down two minutes",
        "one goes as the other comes",
        "two side by side",
        "one within another",
        "down before",
        "up late",
        "down since",
        "before the first beat ever",
    ],
)
def test_outages_are_what_nobody_was_up_in(was_up: list[Any], holes: list[Any]) -> None:
    assert list_gaps_between(was_up, EIGHT, NINE, now=minute(120)) == holes


def test_a_process_that_beat_lately_is_there_still() -> None:
    now = minute(30)
    assert list_gaps_between([(EIGHT, now - LATE_HEARTBEAT)], EIGHT, NINE, now) == []
    late = now - LATE_HEARTBEAT - timedelta(seconds=1)
    assert list_gaps_between([(EIGHT, late)], EIGHT, NINE, now) == [(late, now)]


@given(st.lists(st.tuples(st.integers(-5, 65), st.integers(0, 30)), max_size=6))
def test_outages_and_uptimes_together_are_the_time_since_the_first_beat(spans: list[tuple[int, int]]) -> None:
    was_up = sorted(up(*((begin, begin + length) for begin, length in spans)))
    holes = list_gaps_between(was_up, EIGHT, NINE, now=minute(200))
    for number in range(60):
        moment = minute(number) + timedelta(seconds=30)
        is_up = any(begin <= moment < end for begin, end in was_up)
        is_known = any(begin <= moment for begin, _ in was_up)
        assert any(begin <= moment < end for begin, end in holes) == (is_known and not is_up)


def test_a_restart_leaves_a_hole_from_the_last_beat_to_the_new_start(app: Flask, moving: Any) -> None:
    first = Heartbeat(app, up_since=EIGHT)
    for _ in range(4):
        first.write()
        moving.shift(15)
    moving.shift(300)
    second = Heartbeat(app, up_since=minute(6))
    moving.move_to(minute(7))
    second.write()
    expire_orm_state()
    assert had_delivery_gap(MEETING, EIGHT, minute(7))
    assert not had_delivery_gap(MEETING, EIGHT, EIGHT + timedelta(seconds=45))
    assert had_delivery_gap(MEETING, EIGHT + timedelta(seconds=45), EIGHT + timedelta(seconds=46))
    assert had_delivery_gap(MEETING, minute(6) - timedelta(seconds=1), minute(7))
    assert not had_delivery_gap(MEETING, minute(6), minute(7))


def test_two_processes_cover_for_each_other(app: Flask, moving: Any) -> None:
    old, new = Heartbeat(app, up_since=EIGHT), Heartbeat(app, up_since=minute(1))
    for _ in range(5):
        moving.shift(30)
        old.write()
    moving.move_to(minute(4))
    new.write()
    expire_orm_state()
    assert not had_delivery_gap(MEETING, EIGHT, minute(4))


def test_a_process_that_slept_was_not_there(app: Flask, moving: Any) -> None:
    beats = Heartbeat(app, up_since=EIGHT)
    beats.write()
    moving.shift(600)
    beats.write()
    expire_orm_state()
    assert had_delivery_gap(MEETING, EIGHT, minute(10))
    assert had_delivery_gap(MEETING, minute(4), minute(5))
    assert db.session.scalar(sa.select(sa.func.count()).select_from(WebhookHeartbeat)) == 2


def test_old_beats_and_old_misses_are_forgotten(app: Flask, moving: Any) -> None:
    beats = Heartbeat(app, up_since=EIGHT)
    beats.record_missed(delivery("a"))
    beats.write()
    moving.shift(timedelta(days=401))
    beats.write()
    expire_orm_state()
    assert db.session.scalar(sa.select(sa.func.count()).select_from(WebhookHeartbeat)) == 1
    assert db.session.scalar(sa.select(MissedDelivery.fingerprint)) is None


def delivery(name: str, meeting: str | None = MEETING) -> SignedDelivery:
    return SignedDelivery(name, EIGHT, "meeting.participant_joined", meeting, b"{}")


def test_a_refused_delivery_is_a_gap_in_its_meeting_until_it_comes_again(app: Flask, moving: Any) -> None:
    zoom = Zoom(app)
    beats = Heartbeat(app, up_since=EIGHT)
    taker = get_webhook_receiver(app)
    zoom.sends(joined())
    run_jobs(app)
    assert not had_delivery_gap(MEETING, EIGHT, NINE)

    class Full:
        errors = (OSError,)

        def write(self, _deliveries: list[SignedDelivery]) -> None:
            raise OSError("disk full")

    whole, taker._store.writer = taker._store.writer, Full()
    usual, taker._heartbeat = taker._heartbeat, beats
    try:
        answer = zoom.sends(joined(2))
    finally:
        taker._store.writer, taker._heartbeat = whole, usual
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")
    beats.write()
    run_jobs(app)
    assert had_delivery_gap(MEETING, EIGHT, NINE)
    assert not had_delivery_gap("another", EIGHT, NINE)
    assert not had_delivery_gap(MEETING, NINE + timedelta(hours=1), NINE + timedelta(hours=2))
    moving.shift(30)
    assert zoom.sends(joined(2)).status_code == 200
    run_jobs(app)
    assert not had_delivery_gap(MEETING, EIGHT, NINE)
    beats.write()
    expire_orm_state()
    assert db.session.scalar(sa.select(MissedDelivery.fingerprint)) is None


def test_more_refusals_than_can_be_remembered_are_a_gap_in_every_meeting(app: Flask, moving: Any) -> None:
    beats = Heartbeat(app, up_since=EIGHT)
    for number in range(MAX_REMEMBERED + 2):
        beats.record_missed(delivery(f"{number}"))
    beats.write()
    expire_orm_state()
    assert had_delivery_gap("any", EIGHT, NINE)
    assert not had_delivery_gap("any", minute(60 * 24), minute(60 * 25))


def test_a_delivery_that_is_not_projected_yet_is_a_gap(app: Flask, moving: Any) -> None:
    zoom = Zoom(app)
    zoom.sends(joined())
    assert had_delivery_gap(MEETING, EIGHT, NINE)
    run_jobs(app)
    assert not had_delivery_gap(MEETING, EIGHT, NINE)
    zoom.sends(joined() | {"event": "meeting.participant_feedback"})
    assert not had_delivery_gap(MEETING, EIGHT, NINE), "it says nothing of who was there"


def test_nobody_is_absent_in_a_class_with_an_outage(
    app: Flask, a_class: Callable[..., Any], monday: Any, zoom: Zoom
) -> None:
    biology = a_class(2)
    start = biology.meeting.starts_at
    beats = Heartbeat(app, up_since=start - timedelta(hours=1))
    monday.move_to(start + timedelta(minutes=10))
    beats.write()
    monday.move_to(start + timedelta(minutes=61))
    Heartbeat(app, up_since=start + timedelta(minutes=12)).write()
    for body in biology.whole(range(1)):
        zoom.sends(body)
    run_jobs(app)
    assert biology.marks() == [("present", 2100), ("needs review", 0)]


def test_a_sheet_that_was_complete_learns_of_a_refused_delivery(
    app: Flask, a_class: Callable[..., Any], monday: Any, zoom: Zoom
) -> None:
    biology = a_class(2)
    monday.move_to(biology.meeting.starts_at + timedelta(minutes=61))
    for body in biology.whole(range(1)):
        zoom.sends(body)
    run_jobs(app)
    assert biology.marks()[1] == ("absent", 0)
    beats = Heartbeat(app, up_since=biology.meeting.starts_at)
    during = biology.meeting.starts_at + timedelta(minutes=30)
    beats.record_missed(delivery("a", biology.zoom_id)._replace(received_at=during))
    beats.write()
    run_jobs(app)
    assert biology.marks()[1] == ("needs review", 0)
