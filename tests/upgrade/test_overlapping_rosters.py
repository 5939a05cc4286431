"""Before migration 0007 overlapping times on rosters are listed by section, and ended once somebody accepts that."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet
from flask import Flask
from flask_migrate import upgrade
from hypothesis import given
from hypothesis import strategies as st

from portal.core.db import db
from portal.operations.schema_repairs import EnrolmentStretch, Mark, plan_ended_stretches
from portal.privacy import erased_list
from tests.fixtures.releases.build_rows import uid
from tests.upgrade.conftest import Releases
from tests.upgrade.test_release_0_1_0 import revision, run
from tests.upgrade.test_released_schemas import all_rows

ROOT = Path(__file__).parents[2]
JADEITE, RUBY = "Grade 8 Jadeite, 2026-2027", "Grade 8 Ruby, 2026-2027"
SCHOOL = "San Nicolas National High School (300123)"
FIRST_ID, LAST_ID = "0" * 31 + "1", "f" * 32
ENROLMENTS = sa.table(
    "enrolments",
    sa.column("id", sa.Uuid),
    sa.column("learner_id", sa.Uuid),
    sa.column("section_id", sa.Uuid),
    sa.column("position", sa.Integer),
    sa.column("from_date", sa.Date),
    sa.column("until_date", sa.Date),
)


@contextmanager
def overlapping_database(releases: Releases, kept: Path, at: str = "0006") -> Iterator[Flask]:
    """Three learners of Jadeite are on Ruby's roster at the same time.

    The first moved on the day of a class, and nobody ended the former time; Jadeite has marks of them of 22 and 23
    November. The second was on both rosters until the same day; the third is on both from the same day, with marks of
    Jadeite.
    """
    added: list[tuple[str, int, int, str, str | None]] = [
        (LAST_ID, 0, 1, "2026-11-23", None),
        ("a" * 32, 3, 1, "2026-08-01", "2026-08-31"),
        (FIRST_ID, 4, 1, "2026-06-08", None),
        ("b" * 32, 4, 0, "2026-06-08", None),
    ]
    rows = [
        {
            "id": UUID(key),
            "learner_id": UUID(uid("learners", learner)),
            "section_id": UUID(uid("sections", section)),
            "position": 9,
            "from_date": date.fromisoformat(since),
            "until_date": date.fromisoformat(until) if until else None,
        }
        for key, learner, section, since, until in added
    ]
    with releases.filled(at, kept / "rows" / f"{at}.sql.gz") as app:
        with db.engine.begin() as connection:
            connection.execute(ENROLMENTS.insert(), rows)
        yield app


def stretches_of(learner: int) -> list[tuple[str, str, str | None]]:
    sections = {UUID(uid("sections")): "Jadeite", UUID(uid("sections", 1)): "Ruby"}
    of_learner = ENROLMENTS.c.learner_id == UUID(uid("learners", learner))
    rows = db.session.execute(sa.select(ENROLMENTS).where(of_learner).order_by(ENROLMENTS.c.from_date))
    return [
        (sections[row.section_id], str(row.from_date), str(row.until_date) if row.until_date else None) for row in rows
    ]


def test_an_upgrade_lists_the_sections_and_the_marks_and_changes_nothing(releases: Releases, kept: Path) -> None:
    with overlapping_database(releases, kept) as app:
        rows = all_rows()
        refused = run(app, "db", "upgrade")
        assert refused.exit_code == 1
        assert f"  {SCHOOL}, {JADEITE}: 1 learner, 1 mark\n  {SCHOOL}, {RUBY}: 2 learners, no marks\n" in refused.output
        assert "db upgrade --accept" in refused.output
        assert not any(name in refused.output for name in ("AQUINO", "DIZON", "ERASED", "30012320000"))
        assert (revision(), all_rows()) == ("0006", rows)


def test_accepted_overlaps_end_in_the_same_way_on_both_databases(releases: Releases, kept: Path) -> None:
    with overlapping_database(releases, kept) as app:
        done = run(app, "db", "upgrade", "--accept")
        assert (done.exit_code, f"{SCHOOL}, {JADEITE}: 1 learner, 1 mark" in done.output) == (0, True)
        assert stretches_of(0) == [("Jadeite", "2026-06-08", "2026-11-22"), ("Ruby", "2026-11-23", None)]
        assert stretches_of(3) == [("Jadeite", "2026-07-01", "2026-08-31")], "begun first, until the same day"
        assert stretches_of(4) == [("Jadeite", "2026-06-08", None)], "where the marks are"


def test_the_first_account_of_a_host_is_refused_in_the_same_way(releases: Releases, kept: Path) -> None:
    with overlapping_database(releases, kept) as app:
        account = ["--email", "it@r1.deped.gov.ph", "--name", "Ivy Torres", "--password", "violet ladder 7 monsoon"]
        refused = run(app, "users", "create", *account)
        assert (refused.exit_code, revision()) == (1, "0006")
        assert "db upgrade --accept" in refused.output


def test_an_upgrade_that_stops_before_0007_asks_nothing(releases: Releases, kept: Path) -> None:
    with overlapping_database(releases, kept, at="0005"):
        upgrade(revision="0006")
        assert revision() == "0006"


@pytest.mark.parametrize("releases", ["sqlite"], indirect=True)
def test_the_command_line_offers_to_accept(releases: Releases, kept: Path) -> None:
    with overlapping_database(releases, kept) as app:
        settings = {
            "DATABASE_URL": app.config["SQLALCHEMY_DATABASE_URI"],
            "SILID_MODE": "live",
            "SECRET_KEY": "only of this test, and long enough for it",
            "ENCRYPTION_KEYS": Fernet.generate_key().decode(),
            "PORTAL_BASE_URL": "http://localhost:8000",
        }
        command = [sys.executable, "-m", "flask", "--app", "app", "db", "upgrade", "--accept"]
        done = subprocess.run(command, cwd=ROOT, env=os.environ | settings, capture_output=True, text=True, check=False)
        assert (done.returncode, f"{JADEITE}: 1 learner" in done.stdout) == (0, True), done.stderr


def test_rosters_without_an_overlap_ask_nothing(releases: Releases, kept: Path) -> None:
    with releases.filled("0006", kept / "rows" / "0006.sql.gz") as app:
        done = run(app, "db", "upgrade")
        assert (done.exit_code, done.output) == (0, "")


@pytest.mark.parametrize("releases", ["sqlite"], indirect=True)
def test_a_backup_with_overlaps_is_restored_once_they_are_accepted(
    releases: Releases, kept: Path, tmp_path: Path
) -> None:
    file = str(tmp_path / "silid.backup")
    with overlapping_database(releases, kept) as app:
        run(app, "backup", file)
        bea = UUID(uid("learners", 1))
        erased_list.append_erased_entry([bea])
        erased = tmp_path / "erased.txt"
        erased_list.erased_list_path().rename(erased)
        refused = run(app, "restore", file, "--replace", "--erased", str(erased))
        assert refused.exit_code == 1 and "--accept" in refused.output
        assert erased_list.erased_list_path().read_text() == erased.read_text(), "kept for the next attempt"
        done = run(app, "restore", file, "--replace", "--accept")
        assert (done.exit_code, "1 learners were erased again" in done.output) == (0, True)


days = st.integers(0, 12).map(lambda number: date(2026, 11, 1) + timedelta(days=number))


@st.composite
def stretches(draw: Any) -> list[EnrolmentStretch]:
    made = []
    for number in range(draw(st.integers(0, 6))):
        first, length = draw(days), draw(st.none() | st.integers(0, 6))
        made.append(
            EnrolmentStretch(
                UUID(int=draw(st.integers(0, 2**64)) * 16 + number),
                UUID(int=draw(st.integers(1, 2))),
                UUID(int=draw(st.integers(1, 3))),
                first,
                None if length is None else first + timedelta(days=length),
                None,
            )
        )
    return made


keys = st.integers(1, 3).map(lambda number: UUID(int=number))
marks = st.lists(st.builds(Mark, keys, keys, days))


@given(stretches(), marks, st.randoms())
def test_ended_stretches_never_overlap_whatever_the_order_of_the_rows(
    made: list[EnrolmentStretch], marked: list[Mark], dice: Any
) -> None:
    ended = plan_ended_stretches(made, marked)
    shuffled = dice.sample(made, len(made))
    assert plan_ended_stretches(shuffled, marked) == ended
    after = {one.id: one for one in made} | {change.before.id: change.after for change in ended}
    left = [one for one in after.values() if one]
    for one in left:
        others = [other for other in left if other.learner_id == one.learner_id and other.id != one.id]
        assert not any(other.from_date <= one.last_day and one.from_date <= other.last_day for other in others)
    assert plan_ended_stretches(left, marked) == [], "nothing is left for the migration itself"
