"""Timing test: does the response time of the sign-in pages reveal who has an account? `python -m bench.sign_in
[--rounds 60]`

Every kind of failure is measured in turn, each time with another account from another IP address, so that lockout and
order have no influence: the wrong password of a teacher, of an admin with one-time codes, an unknown address, an
unconfirmed one, a deactivated account, one without a password; then a password reset and an account request, for known
and unknown addresses. Printed are the medians, their ratio to the first kind, and the share of pairs in which a
response of this kind took longer than one of the first: 0.50 means indistinguishable, 0.00 or 1.00 fully
distinguishable. Outside 0.35 to 0.65 it counts as a difference, and the exit code is 1.
"""

import argparse
import itertools
import logging
import re
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace

from flask import Flask
from flask.testing import FlaskClient
from flask_migrate import upgrade
from sqlalchemy import update

from bench.databases import fresh, kinds
from bench.server import settings_for
from portal import create_app
from portal.accounts.models import User
from portal.core import clock
from portal.core.db import db, write_transaction
from tests.people import People

LEAST, MOST = 0.35, 0.65


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--database", action="append", choices=["sqlite", "postgresql"])
    options = parser.parse_args()
    different = 0
    for kind in options.database or kinds():
        with fresh(kind) as url:
            logging.disable(logging.INFO)
            app = create_app(replace(settings_for(url), sign_ins_per_address=1_000_000))
            with app.app_context():
                upgrade()
                names = _create_accounts(app, options.rounds)
            different += measure(kind, app, names, options.rounds)
            with app.app_context():
                db.session.remove()
                db.engine.dispose()
    sys.exit(1 if different else 0)


def measure(kind: str, app: Flask, names: dict[str, Callable[[int], str]], rounds: int) -> int:
    """Measure all kinds of failure on one database; returns how many can be distinguished by time."""
    different = 0
    for title, path, failure_kinds in (
        (
            "Sign-in",
            "/sign-in",
            ("wrong password", "admin with codes", "nobody's", "not confirmed", "closed", "without"),
        ),
        ("Forgotten password", "/forgot-password", ("wrong password", "nobody's", "closed")),
        ("A wish for an account", "/ask-for-account", ("wrong password", "nobody's")),
    ):
        times: dict[str, list[float]] = {kind_name: [] for kind_name in failure_kinds}
        visitors = itertools.count(1)
        for number in range(rounds):
            # rotate the order, so that processor caches favour no kind
            for offset in range(len(failure_kinds)):
                kind_name = failure_kinds[(offset + number) % len(failure_kinds)]
                times[kind_name].append(_measure_response(app, path, names[kind_name](number), next(visitors)))
        different += _print_shares(f"{kind}: {title}", times)
    return different


def _create_accounts(app: Flask, rounds: int) -> dict[str, Callable[[int], str]]:
    """Create an account of each kind for each round; returns functions from round to address."""
    people = People(app)
    plain = people.ada
    with write_transaction() as session:
        for number in range(rounds):
            for word in ("plain", "admin", "unconfirmed", "closed", "without"):
                session.add(
                    User(
                        email=f"{word}.{number}@r1.deped.gov.ph",
                        full_name=f"{word.title()} Santos",
                        role="admin" if word == "admin" else "teacher",
                        scope="school" if word == "admin" else None,
                        school_id=people.school.id,
                        password_hash=None if word == "without" else plain.password_hash,
                        confirmed_at=None if word == "unconfirmed" else clock.now(),
                        deactivated_at=clock.now() if word == "closed" else None,
                        language="en",
                        created_at=clock.now(),
                    )
                )
        session.flush()
        session.execute(update(User).where(User.role == "admin").values(totp_enabled_at=clock.now()))
    return {
        "wrong password": lambda number: f"plain.{number}@r1.deped.gov.ph",
        "admin with codes": lambda number: f"admin.{number}@r1.deped.gov.ph",
        "nobody's": lambda number: f"nobody.{number}@r1.deped.gov.ph",
        "not confirmed": lambda number: f"unconfirmed.{number}@r1.deped.gov.ph",
        "closed": lambda number: f"closed.{number}@r1.deped.gov.ph",
        "without": lambda number: f"without.{number}@r1.deped.gov.ph",
    }


def _measure_response(app: Flask, path: str, email: str, visitor: int) -> float:
    """Milliseconds of one response."""
    client: FlaskClient = app.test_client()
    environ = {"REMOTE_ADDR": f"10.{visitor >> 16 & 255}.{visitor >> 8 & 255}.{visitor & 255}"}
    page = client.get(path, base_url="http://127.0.0.1", environ_base=environ).get_data(as_text=True)
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)
    assert token, path
    form = {"csrf_token": token.group(1), "email": email, "password": "not the password, whoever asks"}
    form |= {"full_name": "Juana Santos", "school": "300123", "school_id": "300123"}
    started_at = time.perf_counter()
    response = client.post(path, data=form, base_url="http://127.0.0.1", environ_base=environ)
    seconds = time.perf_counter() - started_at
    assert response.status_code in (200, 302, 401, 422), response.get_data(as_text=True)
    return seconds * 1000


def _print_shares(title: str, times: dict[str, list[float]]) -> int:
    baseline, *_ = times.values()
    print(f"\n{title}, {len(baseline)} of each: median, ratio to the first, share that took longer")
    different = 0
    for word, durations in times.items():
        share = _share_longer(durations, baseline) if durations is not baseline else 0.5
        is_different = not LEAST <= share <= MOST
        different += is_different
        median = statistics.median(durations)
        note = "  CAN BE TOLD" if is_different else ""
        print(f"  {word:<17} {median:7.2f} ms  {median / statistics.median(baseline):5.2f}  {share:5.2f}{note}")
    return different


def _share_longer(first: list[float], second: list[float]) -> float:
    """The share of all pairs in which the first is longer (Mann-Whitney U, divided by the number of pairs)."""
    pairs = [(a > b) + (a == b) / 2 for a in first for b in second]
    return sum(pairs) / len(pairs)


if __name__ == "__main__":
    main()
