"""The first release, of 24 November 2026, had empty migrations 0002 and 0003: its databases are repaired first."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
import time_machine
from alembic.script import ScriptDirectory
from click.testing import Result
from flask import Flask
from flask_migrate import upgrade

from portal.core import clock
from portal.core.db import db
from portal.jobs.worker import recompute_due_sheets
from portal.meetings.models import MeetingOccurrence
from tests.browser import Browser
from tests.fixtures.releases.sql_rows import load_rows, read_rows
from tests.people import PASSWORD
from tests.upgrade.conftest import Releases
from tests.upgrade.test_released_schemas import all_rows, broken_foreign_keys, difference_from_the_models

REPAIRED = "This is a database of release 0.1.0"
WEDNESDAY = datetime(2026, 11, 25, 10, 45, tzinfo=clock.MANILA)  # when its attendance was written to the CSV files


@contextmanager
def database_of_24_november(releases: Releases, kept: Path) -> Iterator[Flask]:
    """The tables of 0001, filled by that release's own code, and the revision that it left."""
    with releases.schema("0001") as app:
        with db.engine.begin() as connection:
            load_rows(connection, read_rows(kept / "0.1.0" / "rows.sql.gz"))
            connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0003'")
        yield app


def run(app: Flask, *command: str) -> Result:
    return app.test_cli_runner().invoke(args=command)


def revision() -> str | None:
    with db.engine.connect() as connection:
        return connection.scalar(sa.text("SELECT version_num FROM alembic_version"))


def newest(app: Flask) -> str | None:
    return ScriptDirectory(str(app.config["MIGRATIONS"])).get_current_head()


def attendance_files(app: Flask) -> dict[str, bytes]:
    """The attendance CSV of each date, as Ada downloads it."""
    browser = Browser(app.test_client())
    browser.get("/sign-in")
    browser.submit(email="ada@r1.deped.gov.ph", password=PASSWORD)
    occurrences = db.session.scalars(sa.select(MeetingOccurrence)).all()
    return {f"{one.local_date}.csv": browser.client.get(f"/attendance/{one.id}.csv").get_data() for one in occurrences}


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.csv")}


def test_a_database_of_24_november_is_upgraded_and_the_command_says_why(releases: Releases, kept: Path) -> None:
    with database_of_24_november(releases, kept) as app:
        done = run(app, "db", "upgrade")
        assert (done.exit_code, REPAIRED in done.output) == (0, True)
        assert revision() == newest(app)
        assert difference_from_the_models() == [] and broken_foreign_keys() == []


def test_an_upgrade_done_twice_repairs_once(releases: Releases, kept: Path) -> None:
    with database_of_24_november(releases, kept) as app:
        run(app, "db", "upgrade")
        rows = all_rows()
        again = run(app, "db", "upgrade")
        assert (again.exit_code, again.output) == (0, "")
        assert all_rows() == rows


def test_the_first_account_of_a_new_host_upgrades_such_a_database_too(releases: Releases, kept: Path) -> None:
    with database_of_24_november(releases, kept) as app:
        account = ["--email", "it@r1.deped.gov.ph", "--name", "Ivy Torres", "--password", "violet ladder 7 monsoon"]
        done = run(app, "users", "create", *account)
        assert done.exit_code == 0 and REPAIRED in done.output
        assert revision() == newest(app)


@pytest.mark.parametrize("releases", ["sqlite"], indirect=True)
def test_a_backup_of_such_a_database_can_be_made_and_restored(releases: Releases, kept: Path, tmp_path: Path) -> None:
    with database_of_24_november(releases, kept) as app:
        made = run(app, "backup", str(tmp_path / "silid.backup"))
        restored = run(app, "restore", str(tmp_path / "silid.backup"), "--replace")
        assert (made.exit_code, restored.exit_code, revision()) == (0, 0, newest(app))


def test_looking_at_such_a_database_changes_nothing(releases: Releases, kept: Path) -> None:
    with database_of_24_november(releases, kept) as app:
        run(app, "db", "current")
        assert revision() == "0003"


def test_a_later_database_of_revision_0003_is_left_as_it_is(releases: Releases, kept: Path) -> None:
    with releases.filled("0003", kept / "rows" / "0003.sql.gz") as app:
        done = run(app, "db", "upgrade")
        assert done.exit_code == 0 and REPAIRED not in done.output


def test_the_attendance_of_24_november_is_the_same_file_after_the_upgrade(releases: Releases, kept: Path) -> None:
    with database_of_24_november(releases, kept) as app, time_machine.travel(WEDNESDAY, tick=False):
        upgrade()
        assert attendance_files(app) == files_of(kept / "0.1.0")
        recompute_due_sheets()
        assert attendance_files(app) == files_of(kept / "0.1.0"), "computed anew it says the same"


def test_the_attendance_of_revision_0022_is_the_same_file_after_the_upgrade(releases: Releases, kept: Path) -> None:
    with releases.filled("0022", kept / "0022" / "rows.sql.gz") as app, time_machine.travel(WEDNESDAY, tick=False):
        upgrade()
        assert attendance_files(app) == files_of(kept / "0022")
        recompute_due_sheets()
        assert attendance_files(app) == files_of(kept / "0022"), "computed anew it says the same"
