"""A delivery is stored once, durably, before it is answered; what cannot be stored is answered with 503."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from flask import Flask

from bench import events
from bench.load import send_all
from portal.core.db import db
from portal.webhooks.delivery_store import DeliveryNotStored, DeliveryStore, SignedDelivery
from portal.webhooks.models import ZoomEvent
from tests.webhooks.conftest import SECRET, Zoom, joined, served, stored


def test_the_same_delivery_five_times_is_one(zoom: Zoom) -> None:
    assert [zoom.sends(joined()).status_code for _ in range(5)] == [200] * 5
    assert stored() == 1


def test_the_same_delivery_from_32_lines_at_once_is_one(app: Flask) -> None:
    with served(app) as port:
        seen = send_all(port, [events.request(joined(), SECRET)] * 32, connections=32)
    assert seen.statuses == {200: 32}
    assert stored() == 1


def test_a_burst_over_32_lines_is_stored_whole(app: Flask) -> None:
    with served(app) as port:
        seen = send_all(port, [events.request(joined(number), SECRET) for number in range(320)], connections=32)
    assert seen.statuses == {200: 320}
    assert seen.at(1) < 3000
    assert stored() == 320


def test_bad_signatures_do_not_keep_good_ones_out(app: Flask) -> None:
    good = [events.request(joined(number), SECRET) for number in range(10)]
    bad = [events.request(joined(number), "somebody else's secret") for number in range(300)]
    mixed = bad[:150] + [request for pair in zip(good, bad[150:160], strict=True) for request in pair] + bad[160:]
    with served(app) as port:
        seen = send_all(port, mixed, connections=16)
    assert seen.statuses == {200: 10, 401: 300}
    assert stored() == 10


# What makes a delivery another one, and what does not.
def left(session: int = 1, **changes: Any) -> dict[str, Any]:
    body = joined(session, **({"leave_time": "2026-11-03T00:40:00Z"} | changes))
    return body | {"event": "meeting.participant_left"}


SAME: dict[str, dict[str, Any]] = {
    "sent later": left() | {"event_ts": 1793667777000},
    "with a reason": left(leave_reason="left the meeting"),
    "another account field": left() | {"payload": left()["payload"] | {"account_id": "b"}},
    "id as a number": left() | {"payload": {"object": left()["payload"]["object"] | {"id": 86123456789}}},
    "time with fractions": left(leave_time="2026-11-03T00:40:00.000Z"),
}
OTHER: dict[str, dict[str, Any]] = {
    "another person": left(2),
    "another time": left(leave_time="2026-11-03T00:41:00Z"),
    "the join": joined(),
    "another running": left() | {"payload": {"object": left()["payload"]["object"] | {"uuid": "u2"}}},
}


@pytest.mark.parametrize("how", SAME)
def test_a_delivery_that_means_the_same_is_the_same(zoom: Zoom, how: str) -> None:
    zoom.sends(left())
    zoom.sends(SAME[how])
    assert stored() == 1


@pytest.mark.parametrize("how", OTHER)
def test_a_delivery_that_means_something_else_is_another(zoom: Zoom, how: str) -> None:
    zoom.sends(left())
    zoom.sends(OTHER[how])
    assert stored() == 2


def test_a_slash_in_the_uuid_is_kept_as_it_is(zoom: Zoom) -> None:
    zoom.sends(joined(uuid="/aB//c=="))
    assert b'"/aB//c=="' in db.session.scalars(sa.select(ZoomEvent.body)).one()


@contextmanager
def locked_by_somebody_else(app: Flask) -> Iterator[None]:
    """The inbox locked on a connection of its own, as another program would."""
    where = sa.make_url(app.config["SQLALCHEMY_DATABASE_URI"])
    if where.get_backend_name() == "sqlite":
        connection: Any = sqlite3.connect(str(where.database), isolation_level=None)
        connection.execute("BEGIN EXCLUSIVE")
    else:
        connection = psycopg.connect(
            host=where.host, port=where.port, user=where.username, password=where.password, dbname=where.database
        )
        connection.execute("LOCK TABLE zoom_events IN ACCESS EXCLUSIVE MODE")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
        connection.close()


def test_while_the_table_is_locked_everybody_hears_503_in_time_and_the_resend_is_taken_once(app: Flask) -> None:
    db.session.rollback()
    requests = [events.request(joined(number), SECRET) for number in range(32)]
    with served(app) as port:
        with locked_by_somebody_else(app):
            seen = send_all(port, requests, connections=32)
        assert seen.statuses == {503: 32}
        assert seen.at(1) < 3000
        again = send_all(port, requests + requests, connections=16)
    assert again.statuses == {200: 64}
    assert stored() == 32


def test_without_a_database_it_answers_503(app: Flask, another_portal: Callable[..., Flask], tmp_path: Any) -> None:
    for url in (f"sqlite:///{tmp_path}/no/such/folder/x.sqlite3", "postgresql+psycopg://nobody@127.0.0.1:9/nothing"):
        answer = Zoom(another_portal(database_url=url)).sends(joined())
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")


class SlowWriter:
    """Commits after being told to, and fails when told to."""

    errors = (OSError,)

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.go = threading.Event()
        self.trouble: OSError | None = None

    def write(self, deliveries: list[SignedDelivery]) -> None:
        self.go.wait(5)
        if self.trouble:
            raise self.trouble
        self.batches.append([one.fingerprint for one in deliveries])


def delivery(name: str) -> SignedDelivery:
    return SignedDelivery(name, datetime(2026, 11, 3, tzinfo=UTC), "meeting.started", None, b"{}")


def put_all(store: DeliveryStore, names: list[str]) -> list[str]:
    """Put from one thread each, the first before the others; what became of them."""
    results: dict[str, str] = {}

    def put(name: str) -> None:
        try:
            store.store(delivery(name))
            results[name] = "stored"
        except DeliveryNotStored:
            results[name] = "refused"

    threads = [threading.Thread(target=put, args=(name,)) for name in names]
    for number, thread in enumerate(threads):
        thread.start()
        while number == 0 and not store.is_writing:
            time.sleep(0.001)
    while store.waiting < len(names) - 1:
        time.sleep(0.001)
    store.writer.go.set()  # type: ignore[attr-defined]  # the slow one
    for thread in threads:
        thread.join()
    return [results[name] for name in names]


def test_those_who_wait_are_written_in_one_commit() -> None:
    writer = SlowWriter()
    names = ["first", "b", "c", "d"]
    assert put_all(DeliveryStore(writer), names) == ["stored"] * 4
    assert [sorted(batch) for batch in writer.batches] == [["first"], ["b", "c", "d"]]


def test_those_who_waited_with_one_that_failed_are_refused_at_once() -> None:
    writer = SlowWriter()
    writer.trouble = OSError("disk full")
    assert put_all(DeliveryStore(writer), ["first", "b", "c"]) == ["refused"] * 3


def test_more_than_fit_in_one_commit_go_in_several() -> None:
    writer = SlowWriter()
    names = [f"{number:03}" for number in range(80)]
    assert put_all(DeliveryStore(writer), names) == ["stored"] * 80
    assert [len(batch) for batch in writer.batches] == [1, 64, 15]
