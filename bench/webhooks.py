"""Throughput of the webhook, compared with a minimal app on the same server and database, in one run.

`python -m bench.webhooks [--events 3200] [--connections 32] [--rounds 3]`

Then the latency from event to sheet, with the worker in the same process: at 50 events a second, and in a burst. Last,
on SQLite, the number of disk flushes for 100 acknowledgements (if strace is installed).
"""

import argparse
import csv
import io
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

from bench import events
from bench.databases import fresh, kinds
from bench.load import Measured, send_all
from bench.school import Class, Reader, fill
from bench.server import migrate, serving

LEARNERS = 45
SCHOOL_LOAD = 50  # events per second: 60 classes that end on the hour


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=3200)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--server", action="append", choices=["waitress", "gunicorn"])
    parser.add_argument("--database", action="append", choices=["sqlite", "postgresql"])
    parser.add_argument("--only", choices=["rate", "sheet", "flushes"])
    options = parser.parse_args()
    databases = options.database or kinds()
    if options.only in (None, "rate"):
        for kind in databases:
            for server in options.server or ["waitress", "gunicorn"]:
                compare(kind, server, options.events, options.connections, options.rounds)
    if options.only in (None, "sheet"):
        for kind in databases:
            to_the_sheet(kind, seconds=10)
    if options.only in (None, "flushes") and "sqlite" in databases:
        flushes()


def compare(kind: str, server: str, count: int, connections: int, rounds: int) -> None:
    """The minimal app and the portal, alternating; the best round of each."""
    best: dict[str, Measured] = {}
    with fresh(kind) as url:
        migrate(url)
        for number in range(rounds):
            for name in ("bare", "silid"):
                with serving(name, url, server=server) as running:
                    send_all(running.port, _requests(200, f"warm{number}{name}"), connections=connections)
                    measured = send_all(running.port, _requests(count, f"{number}{name}"), connections=connections)
                if name not in best or measured.rate > best[name].rate:
                    best[name] = measured
    print(f"\n{kind} behind {server}, {connections} connections, {count} events, best of {rounds}")
    for name, measured in best.items():
        print(f"  {name:<6} {measured.line()}")
    ratio = best["silid"].rate / best["bare"].rate
    tail = best["silid"].at(0.99) / best["bare"].at(0.99)
    print(f"  rate {ratio:.2f} of the bare app's (at least 0.7), p99 {tail:.2f} of its p99 (at most 1.5)")


def _requests(count: int, uuid: str) -> list[bytes]:
    return [
        events.request(events.joined("86123456789", uuid, 16778240 + number, registrant_id=f"R{number % 45}"))
        for number in range(count)
    ]


def to_the_sheet(kind: str, seconds: int) -> None:
    """Latency from the acknowledgement of a join to its stay in the CSV."""
    count = SCHOOL_LOAD * seconds
    for load, interval in (("50 a second", 1 / SCHOOL_LOAD), ("at once", 0.0)):
        with fresh(kind) as url:
            school_class = fill(url, LEARNERS)
            with serving("silid", url, worker=True) as running:
                reader = Reader(url, school_class)
                send_all(running.port, [events.request(_start_event(school_class))], connections=1)
                waits, answers = _measure_latencies(reader, running.port, _join_requests(school_class, count), interval)
                reader.close()
        waits.sort()
        print(f"\n{kind}, {count} joins {load}, projected by the same process")
        print(f"  answered  {answers.line()}")
        print(
            f"  on the sheet after p50 {waits[len(waits) // 2]:.2f}, p95 {waits[int(len(waits) * 0.95)]:.2f}, "
            f"max {waits[-1]:.2f} s (budget 2 s at 50 a second, p95 10 s in a burst; the look itself takes part)"
        )


def _start_event(school_class: Class) -> dict[str, Any]:
    return events.started(school_class.zoom_id, "u", at=school_class.starts_at)


def _join_requests(school_class: Class, count: int) -> list[bytes]:
    return [
        events.request(
            events.joined(
                school_class.zoom_id,
                "u",
                1000 + number,
                registrant_id=school_class.registrants[number % LEARNERS],
                at=school_class.starts_at + timedelta(seconds=number),
            )
        )
        for number in range(count)
    ]


def _measure_latencies(
    reader: Reader, port: int, requests: list[bytes], interval: float
) -> tuple[list[float], Measured]:
    """Send the requests while polling the sheet; returns the latency of each, and the responses."""
    sent_at: list[float] = []
    responses = Measured()

    def send() -> None:
        if not interval:
            sent_at.extend([time.perf_counter()] * len(requests))
            responses.add(send_all(port, requests, connections=32))
            return
        with ThreadPoolExecutor(8) as pool:
            begun, running = time.perf_counter(), []
            for number, request in enumerate(requests):
                time.sleep(max(0.0, begun + number * interval - time.perf_counter()))
                sent_at.append(time.perf_counter())
                running.append(pool.submit(send_all, port, [request], connections=1))
            for future in running:
                responses.add(future.result())
            responses.seconds = time.perf_counter() - begun

    sender = threading.Thread(target=send)
    sender.start()
    latencies: list[float] = []
    deadline = time.monotonic() + 120
    while len(latencies) < len(requests) and time.monotonic() < deadline:
        rows = list(csv.DictReader(io.StringIO(reader.csv())))
        now = time.perf_counter()
        stay_count = sum(int(row["stays"]) for row in rows)
        latencies += [now - when for when in sent_at[len(latencies) : stay_count]]
        time.sleep(0.2)
    sender.join()
    if len(latencies) < len(requests):
        raise RuntimeError("the sheet does not show all")
    return latencies, responses


def flushes() -> None:
    """Count fdatasync for 100 acknowledgements, sequentially and 32 at a time."""
    if shutil.which("strace") is None:
        print("\nNo strace here: flushes of the disk are not counted.")
        return
    with fresh("sqlite") as url, tempfile.TemporaryDirectory() as folder:
        migrate(url)
        for connections in (1, 32):
            with serving("silid", url) as running:
                send_all(running.port, _requests(20, f"warm {connections}"), connections=1)
                log = Path(folder) / f"{connections}"
                tracer = _start_strace(running.process.pid, log)
                measured = send_all(running.port, _requests(100, f"flush {connections}"), connections=connections)
                tracer.send_signal(signal.SIGINT)
                tracer.wait(timeout=10)
            count = len(re.findall(r"(?:fdatasync|fsync)\(", log.read_text()))
            print(
                f"\nsqlite: {count} flushes of the disk for {measured.statuses[200]} answers, {connections} at a time"
            )


def _start_strace(pid: int, log: Path) -> "subprocess.Popen[bytes]":
    command = ["strace", "-f", "-e", "trace=fdatasync,fsync", "-o", str(log), "-p", str(pid)]
    tracer = subprocess.Popen(command, stderr=subprocess.PIPE, env=os.environ | {"LC_ALL": "C"})
    assert tracer.stderr
    while b"attached" not in tracer.stderr.readline():
        pass
    return tracer


if __name__ == "__main__":
    main()
