"""Duration and number of calls of registering a class with Zoom, compared with two simple ways, in one run.

`python -m bench.registration [--learners 45 500] [--latency 150] [--batch-latency 250]`

The simple ways have no rate limiter: sequential calls, and ten in parallel with a pause of 100 ms between the tens (as
the earlier system did). All use the same HTTP client and the same simulated Zoom, with the limits of the given plan.
"Ours" is everything from the roster to the stored rows.
"""

import argparse
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count

from flask import Flask

from bench.databases import fresh
from bench.pretend_zoom import DOMAINS, Pretend, School, portal_at, pretending
from portal.registration import desired_registrants
from portal.registration.queries import registration_progress_of
from portal.registration.zoom_sync import engine
from portal.sandbox import defaults
from portal.zoom.api.rate_limiter import NullRateLimiter
from portal.zoom.client import ApiCredentials, ZoomClient
from portal.zoom.models import MeetingDraft, RegistrantInput
from portal.zoom_account.client import TransactionGuardLimiter
from portal.zoom_account.rate_limiter import CATEGORY_RATES, DatabaseRateLimiter
from portal.zoom_account.token_store import DatabaseTokenStore

_numbers = count(1)


@dataclass
class Way:
    name: str
    seconds: float
    calls: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--learners", type=int, nargs="+", default=[45, 500])
    parser.add_argument("--latency", type=int, default=150, help="milliseconds of every answer")
    parser.add_argument("--batch-latency", type=int, default=250, help="milliseconds of a batch's answer")
    parser.add_argument("--plan", nargs="+", choices=["pro", "business"], default=["pro", "business"])
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    options = parser.parse_args()
    for plan in options.plan:
        for learners in options.learners:
            compare(plan, learners, options)


def compare(plan: str, learners: int, options: argparse.Namespace) -> None:
    with fresh(options.database) as database_url, pretending(plan) as pretend:
        app = portal_at(database_url, pretend)
        with app.app_context():
            zoom = client(app, pretend, plan)
            school = School()
            plain = ZoomClient(
                ApiCredentials(defaults.ACCOUNT_ID, defaults.CLIENT_ID, defaults.CLIENT_SECRET),
                tokens=DatabaseTokenStore(defaults.ACCOUNT_ID, app.app_context),
                api_url=f"{pretend.url}/v2",
                oauth_url=f"{pretend.url}/oauth/token",
                pace=NullRateLimiter(),
            )
            for kind in ("scheduled", "recurring"):  # warm up
                ours(app, zoom, pretend, school, 12, kind, options)
            plainly("warm", tens, plain, pretend, 12, options)
            ways = [ours(app, zoom, pretend, school, learners, kind, options) for kind in ("scheduled", "recurring")]
            ways.append(plainly("10 in parallel, 100 ms pause", tens, plain, pretend, learners, options))
            if learners <= 100:
                ways.append(plainly("one after the other", singly, plain, pretend, learners, options))
    say(plan, learners, ways, options)


def client(app: Flask, pretend: Pretend, plan: str) -> ZoomClient:
    """The portal's own client, with the rate limiter of the plan."""
    return ZoomClient(
        ApiCredentials(defaults.ACCOUNT_ID, defaults.CLIENT_ID, defaults.CLIENT_SECRET),
        tokens=DatabaseTokenStore(defaults.ACCOUNT_ID, app.app_context),
        api_url=f"{pretend.url}/v2",
        oauth_url=f"{pretend.url}/oauth/token",
        pace=TransactionGuardLimiter(DatabaseRateLimiter(defaults.ACCOUNT_ID, app.app_context, CATEGORY_RATES[plan])),
    )


def ours(
    app: Flask,
    zoom: ZoomClient,
    pretend: Pretend,
    school: School,
    learners: int,
    kind: str,
    options: argparse.Namespace,
) -> Way:
    meeting = school.meeting(school.section(learners), pretend, app, kind)
    slow(pretend, options)
    started_at = time.perf_counter()
    desired_registrants.sync_registrant_rows(DOMAINS)
    while engine.process_meeting_registrations(meeting.id, zoom):
        pass
    seconds = time.perf_counter() - started_at
    calls = pretend.calls(path="registrants")
    quick(pretend)
    assert registration_progress_of(meeting.id).done == learners, "somebody was skipped"
    assert len(pretend.registrants(str(meeting.zoom_id))) == learners
    return Way("ours, one-off" if kind == "scheduled" else "ours, recurring", seconds, calls)


def plainly(
    name: str,
    send: Callable[[ZoomClient, str, list[RegistrantInput]], None],
    zoom: ZoomClient,
    pretend: Pretend,
    learners: int,
    options: argparse.Namespace,
) -> Way:
    from portal.core import clock

    meeting = zoom.create_meeting("me", MeetingDraft(topic="x", starts_at=clock.now().replace(year=2030)))
    people = [RegistrantInput(f"learner{next(_numbers)}@r1.deped.gov.ph", "ANA", "CRUZ") for _ in range(learners)]
    slow(pretend, options)
    started_at = time.perf_counter()
    send(zoom, meeting.id, people)
    seconds = time.perf_counter() - started_at
    calls = pretend.calls(path="registrants")
    quick(pretend)
    assert len(pretend.registrants(meeting.id)) == learners
    return Way(name, seconds, calls)


def singly(zoom: ZoomClient, meeting_id: str, people: list[RegistrantInput]) -> None:
    for person in people:
        zoom.add_registrant(meeting_id, person)


def tens(zoom: ZoomClient, meeting_id: str, people: list[RegistrantInput]) -> None:
    with ThreadPoolExecutor(10) as pool:
        for first in range(0, len(people), 10):
            if first:
                time.sleep(0.1)
            list(pool.map(lambda person: zoom.add_registrant(meeting_id, person), people[first : first + 10]))


def slow(pretend: Pretend, options: argparse.Namespace) -> None:
    pretend.tell("latency", ms=options.latency)
    extra_seconds = max(0, options.batch_latency - options.latency) / 1000
    pretend.tell("faults", method="POST", path="batch_registrants$", kind="hang", seconds=extra_seconds, times=1000)
    pretend.forget_calls()
    time.sleep(1.1)  # until the per-second limits have reset


def quick(pretend: Pretend) -> None:
    import requests

    requests.delete(f"{pretend.url}/_sim/faults", timeout=5).raise_for_status()


def say(plan: str, learners: int, ways: list[Way], options: argparse.Namespace) -> None:
    tens_way = next(way for way in ways if way.name.startswith("10"))
    print(
        f"\n{learners} learners, plan {plan}, {options.latency} ms (batch {options.batch_latency} ms), "
        f"{options.database}"
    )
    for way in ways:
        ratio = way.seconds / tens_way.seconds
        print(f"  {way.name:<30} {way.seconds:7.2f} s {way.calls:5d} calls   {ratio:.2f} of the tens")
    print("  budget: one-off at most 0.30, recurring at most 1.00")


if __name__ == "__main__":
    main()
