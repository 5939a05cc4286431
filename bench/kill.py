"""Crash test: kill the portal during a burst of events, repeatedly; everything acknowledged must be on the sheet.

`python -m bench.kill [--rounds 200] [--events 1500] [--database sqlite|postgresql]`

Each round starts from the same database. 16 clients send a class's events in random order; after 0 to 1.5 s the
portal's process group gets SIGKILL. It is started again without resending, and the sheet's CSV must contain all that
was acknowledged. Then the rest is sent, and the CSV must equal that of a run without a kill.
"""

import argparse
import csv
import io
import json
import random
import socket
import sqlite3
import threading
import time
import urllib.request
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from bench import events
from bench.databases import copy_of, fresh, kinds
from bench.school import Class, Reader, fill
from bench.server import Running, launch

LEARNERS = 45
CLIENTS = 16
UUID = "/kill//me=="
PATIENCE = 60  # timeout in seconds for the sheet to show the events


@dataclass(frozen=True)
class Stay:
    """A learner's stay in the simulated class."""

    learner: int
    session: int
    joined: datetime
    left: datetime

    @property
    def seconds(self) -> int:
        return int((self.left - self.joined).total_seconds())


@dataclass
class Told:
    """Results of the rounds."""

    rounds: int = 0
    acknowledged: int = 0
    cut_off: int = 0
    wrong: list[str] = field(default_factory=list)


def stays_of(school_class: Class, count: int) -> list[Stay]:
    """`count` stays: each learner joins and leaves repeatedly, without overlap, each time a little longer."""
    per_learner = -(-count // LEARNERS)
    slot = 3600 // per_learner
    stays = []
    for number in range(count):
        learner, nth = number % LEARNERS, number // LEARNERS
        joined = school_class.starts_at + timedelta(seconds=nth * slot)
        length = 1 + (7 * learner + 11 * nth) % (slot - 2)
        stays.append(Stay(learner, 1000 + number, joined, joined + timedelta(seconds=length)))
    return stays


def bodies_of(school_class: Class, stays: list[Stay]) -> list[dict[str, Any]]:
    """Event bodies: the start, two events per stay in the order of `stays`, and the end."""
    zoom_id = school_class.zoom_id
    bodies = [events.started(zoom_id, UUID, at=school_class.starts_at)]
    for stay in stays:
        registrant_id = school_class.registrants[stay.learner]
        bodies.append(events.joined(zoom_id, UUID, stay.session, registrant_id=registrant_id, at=stay.joined))
        bodies.append(events.left(zoom_id, UUID, stay.session, registrant_id=registrant_id, at=stay.left))
    return [*bodies, events.ended(zoom_id, UUID, began=school_class.starts_at, at=school_class.ends_at)]


def send(port: int, requests: dict[int, bytes]) -> set[int]:
    """Send from 16 clients until all is sent or the connection breaks; returns the acknowledged numbers."""
    queue = iter(requests.items())
    acknowledged: set[int] = set()
    lock = threading.Lock()

    def client() -> None:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
                while True:
                    with lock:
                        number, request = next(queue, (-1, b""))
                    if not request:
                        return
                    connection.sendall(request)
                    if connection.recv(65536).startswith(b"HTTP/1.1 200"):
                        acknowledged.add(number)
        except OSError:
            return

    clients = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for thread in clients:
        thread.start()
    for thread in clients:
        thread.join()
    return acknowledged


def drained(running: Running) -> None:
    """Wait until the portal's queue of deliveries is empty."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with urllib.request.urlopen(f"http://127.0.0.1:{running.port}/healthz", timeout=10) as response:
            if json.load(response)["inbox"]["waiting"] == 0:
                return
        time.sleep(0.05)
    raise RuntimeError("the inbox does not drain")


def run(kind: str, rounds: int, count: int, seed: int) -> Told:
    """Run the rounds on one database."""
    rng = random.Random(seed)
    results = Told()
    with fresh(kind) as url:
        school_class = fill(url, LEARNERS)
        stays = stays_of(school_class, count // 2)
        bodies = bodies_of(school_class, stays)
        with copy_of(url) as copy:
            expected_csv = _csv_without_kill(copy, school_class, bodies)
        for number in range(rounds):
            with copy_of(url) as copy:
                _run_round(copy, school_class, stays, bodies, expected_csv, rng, results)
            results.rounds += 1
            print(f"\r{kind}: round {number + 1}, {results.acknowledged} acknowledged, wrong: {results.wrong}", end="")
    print()
    return results


def _csv_without_kill(url: str, school_class: Class, bodies: list[dict[str, Any]]) -> str:
    """The sheet's CSV of a run without a kill."""
    running = launch("silid", url, worker=True)
    try:
        requests = {number: events.request(body) for number, body in enumerate(bodies)}
        if not _send_with_retries(running.port, requests):
            raise RuntimeError("not all was acknowledged")
        drained(running)
        reader = Reader(url, school_class)
        try:
            return reader.csv()
        finally:
            reader.close()
    finally:
        running.kill()


def _run_round(
    url: str,
    school_class: Class,
    stays: list[Stay],
    bodies: list[dict[str, Any]],
    expected_csv: str,
    rng: random.Random,
    results: Told,
) -> None:
    order = list(range(1, len(bodies)))
    rng.shuffle(order)
    requests = {number: events.request(bodies[number]) for number in [0, *order]}  # the start event first
    running = launch("silid", url, worker=True)
    killer = threading.Timer(rng.uniform(0, 1.5), running.kill)
    killer.start()
    acknowledged = send(running.port, requests)
    killer.join()
    results.acknowledged += len(acknowledged)
    results.cut_off += len(bodies) - len(acknowledged)

    running = launch("silid", url, worker=True)
    reader = Reader(url, school_class)
    try:
        drained(running)
        results.wrong += missing_from(reader.csv(), stays, acknowledged) + _integrity_errors(url)
        remaining = {number: request for number, request in requests.items() if number not in acknowledged}
        if not _send_with_retries(running.port, remaining):
            results.wrong.append("the rest was not taken")
        drained(running)
        if reader.csv() != expected_csv:
            results.wrong.append("the sheet is another one than without the kill")
    finally:
        reader.close()
        running.kill()


def _send_with_retries(port: int, requests: dict[int, bytes]) -> bool:
    """Send and retry what was answered with 503, as Zoom does; True if all was acknowledged in time."""
    deadline = time.monotonic() + PATIENCE
    while requests and time.monotonic() < deadline:
        acknowledged = send(port, requests)
        requests = {number: request for number, request in requests.items() if number not in acknowledged}
    return not requests


def missing_from(sheet: str, stays: list[Stay], acknowledged: set[int]) -> list[str]:
    """Acknowledged events that are missing from the sheet, or counted twice."""
    errors = []
    for learner, row in enumerate(csv.DictReader(io.StringIO(sheet))):
        learner_stays = [(number, stay) for number, stay in enumerate(stays) if stay.learner == learner]
        complete_stays = [stay for number, stay in learner_stays if {2 * number + 1, 2 * number + 2} <= acknowledged]
        acknowledged_joins = [stay for number, stay in learner_stays if 2 * number + 1 in acknowledged]
        if int(row["seconds"]) < sum(stay.seconds for stay in complete_stays):
            errors.append(f"learner {learner}: {row['seconds']} s")
        if not len(acknowledged_joins) <= int(row["stays"]) <= len(learner_stays):
            errors.append(f"learner {learner}: {row['stays']} stays, {len(acknowledged_joins)} joins acknowledged")
    return errors


def _integrity_errors(url: str) -> list[str]:
    database_url = sa.make_url(url)
    if database_url.get_backend_name() != "sqlite":
        return []
    with sqlite3.connect(str(database_url.database)) as connection:
        [(result,)] = connection.execute("PRAGMA integrity_check").fetchall()
    connection.close()
    return [] if result == "ok" else [f"integrity_check: {result}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--events", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--database", action="append", choices=["sqlite", "postgresql"])
    options = parser.parse_args()
    for kind in options.database or kinds():
        started_at = time.monotonic()
        results = run(kind, options.rounds, options.events, options.seed)
        print(
            f"{kind}: {results.rounds} kills in {time.monotonic() - started_at:.0f} s, "
            f"{results.acknowledged} events acknowledged before the kills, {results.cut_off} not; "
            f"wrong: {results.wrong or 'nothing'}"
        )
        if results.wrong:
            raise SystemExit(1)


if __name__ == "__main__":
    main()
