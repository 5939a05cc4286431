"""Kill the portal in the middle of a burst, again and again: what it acknowledged is on the sheet.

`python -m bench.kill [--rounds 200] [--events 1500] [--database sqlite|postgresql]`

Each round begins with the same database. 16 clients send a class's events in random order; after 0 to 1.5 s
the portal's process group gets SIGKILL. It is started again, nothing is sent again, and the CSV of the sheet
must hold all that was acknowledged. Then the rest is sent, and the CSV must be that of a run without a kill.
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
PATIENCE = 60  # seconds until the sheet must show what came


@dataclass(frozen=True)
class Stay:
    """A learner's stay in the class that is sent."""

    learner: int
    session: int
    joined: datetime
    left: datetime

    @property
    def seconds(self) -> int:
        return int((self.left - self.joined).total_seconds())


@dataclass
class Told:
    """What came of the rounds."""

    rounds: int = 0
    acknowledged: int = 0
    cut_off: int = 0
    wrong: list[str] = field(default_factory=list)


def stays_of(school_class: Class, count: int) -> list[Stay]:
    """`count` stays: each learner comes and goes, never twice at the same time, each time a little longer."""
    each = -(-count // LEARNERS)
    room = 3600 // each
    made = []
    for number in range(count):
        learner, nth = number % LEARNERS, number // LEARNERS
        joined = school_class.starts_at + timedelta(seconds=nth * room)
        length = 1 + (7 * learner + 11 * nth) % (room - 2)
        made.append(Stay(learner, 1000 + number, joined, joined + timedelta(seconds=length)))
    return made


def bodies_of(school_class: Class, stays: list[Stay]) -> list[dict[str, Any]]:
    """The start, two events a stay in the order of the stays, and the end."""
    zoom_id = school_class.zoom_id
    found = [events.started(zoom_id, UUID, at=school_class.starts_at)]
    for stay in stays:
        who = school_class.registrants[stay.learner]
        found.append(events.joined(zoom_id, UUID, stay.session, registrant_id=who, at=stay.joined))
        found.append(events.left(zoom_id, UUID, stay.session, registrant_id=who, at=stay.left))
    return [*found, events.ended(zoom_id, UUID, began=school_class.starts_at, at=school_class.ends_at)]


def send(port: int, requests: dict[int, bytes]) -> set[int]:
    """Send from 16 clients until all is sent or the line breaks; the numbers that were acknowledged."""
    waiting = iter(requests.items())
    acknowledged: set[int] = set()
    lock = threading.Lock()

    def client() -> None:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
                while True:
                    with lock:
                        number, request = next(waiting, (-1, b""))
                    if not request:
                        return
                    line.sendall(request)
                    if line.recv(65536).startswith(b"HTTP/1.1 200"):
                        acknowledged.add(number)
        except OSError:
            return

    clients = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for one in clients:
        one.start()
    for one in clients:
        one.join()
    return acknowledged


def drained(running: Running) -> None:
    """Wait until the portal says that nothing waits in its inbox."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        with urllib.request.urlopen(f"http://127.0.0.1:{running.port}/healthz", timeout=10) as answer:
            if json.load(answer)["inbox"]["waiting"] == 0:
                return
        time.sleep(0.05)
    raise RuntimeError("the inbox does not drain")


def run(kind: str, rounds: int, count: int, seed: int) -> Told:
    """The rounds on one database; what was wrong is said in words."""
    dice = random.Random(seed)
    told = Told()
    with fresh(kind) as url:
        school_class = fill(url, LEARNERS)
        stays = stays_of(school_class, count // 2)
        bodies = bodies_of(school_class, stays)
        with copy_of(url) as copy:
            unharmed = _undisturbed(copy, school_class, bodies)
        for number in range(rounds):
            with copy_of(url) as copy:
                _round(copy, school_class, stays, bodies, unharmed, dice, told)
            told.rounds += 1
            print(f"\r{kind}: round {number + 1}, {told.acknowledged} acknowledged, wrong: {told.wrong}", end="")
    print()
    return told


def _undisturbed(url: str, school_class: Class, bodies: list[dict[str, Any]]) -> str:
    """The sheet when nobody is killed."""
    running = launch("silid", url, worker=True)
    try:
        requests = {number: events.request(body) for number, body in enumerate(bodies)}
        if not _send_until_taken(running.port, requests):
            raise RuntimeError("not all was acknowledged")
        drained(running)
        reader = Reader(url, school_class)
        try:
            return reader.csv()
        finally:
            reader.close()
    finally:
        running.kill()


def _round(
    url: str,
    school_class: Class,
    stays: list[Stay],
    bodies: list[dict[str, Any]],
    unharmed: str,
    dice: random.Random,
    told: Told,
) -> None:
    order = list(range(1, len(bodies)))
    dice.shuffle(order)
    requests = {number: events.request(bodies[number]) for number in [0, *order]}  # it starts before all else
    running = launch("silid", url, worker=True)
    killer = threading.Timer(dice.uniform(0, 1.5), running.kill)
    killer.start()
    acknowledged = send(running.port, requests)
    killer.join()
    told.acknowledged += len(acknowledged)
    told.cut_off += len(bodies) - len(acknowledged)

    running = launch("silid", url, worker=True)
    reader = Reader(url, school_class)
    try:
        drained(running)
        told.wrong += missing_from(reader.csv(), stays, acknowledged) + _damage(url)
        rest = {number: request for number, request in requests.items() if number not in acknowledged}
        if not _send_until_taken(running.port, rest):
            told.wrong.append("the rest was not taken")
        drained(running)
        if reader.csv() != unharmed:
            told.wrong.append("the sheet is another one than without the kill")
    finally:
        reader.close()
        running.kill()


def _send_until_taken(port: int, requests: dict[int, bytes]) -> bool:
    """Send as Zoom does, which repeats what was answered with 503 (a busy machine); is all of it taken at last?"""
    until = time.monotonic() + PATIENCE
    while requests and time.monotonic() < until:
        taken = send(port, requests)
        requests = {number: request for number, request in requests.items() if number not in taken}
    return not requests


def missing_from(sheet: str, stays: list[Stay], acknowledged: set[int]) -> list[str]:
    """What was acknowledged and is not on the sheet, or is there more than once."""
    wrong = []
    for learner, row in enumerate(csv.DictReader(io.StringIO(sheet))):
        own = [(number, stay) for number, stay in enumerate(stays) if stay.learner == learner]
        whole = [stay for number, stay in own if {2 * number + 1, 2 * number + 2} <= acknowledged]
        joins = [stay for number, stay in own if 2 * number + 1 in acknowledged]
        if int(row["seconds"]) < sum(stay.seconds for stay in whole):
            wrong.append(f"learner {learner}: {row['seconds']} s")
        if not len(joins) <= int(row["stays"]) <= len(own):
            wrong.append(f"learner {learner}: {row['stays']} stays, {len(joins)} joins acknowledged")
    return wrong


def _damage(url: str) -> list[str]:
    where = sa.make_url(url)
    if where.get_backend_name() != "sqlite":
        return []
    with sqlite3.connect(str(where.database)) as connection:
        [(said,)] = connection.execute("PRAGMA integrity_check").fetchall()
    connection.close()
    return [] if said == "ok" else [f"integrity_check: {said}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--events", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--database", action="append", choices=["sqlite", "postgresql"])
    options = parser.parse_args()
    for kind in options.database or kinds():
        begun = time.monotonic()
        told = run(kind, options.rounds, options.events, options.seed)
        print(
            f"{kind}: {told.rounds} kills in {time.monotonic() - begun:.0f} s, {told.acknowledged} events acknowledged "
            f"before the kills, {told.cut_off} not; wrong: {told.wrong or 'nothing'}"
        )
        if told.wrong:
            raise SystemExit(1)


if __name__ == "__main__":
    main()
