"""The database can be made and unmade on both kinds, and says the same as the models."""

from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from flask import Flask
from flask_migrate import downgrade, upgrade

from portal.attendance.models import AttendanceRecord
from portal.core.db import Base, db
from tests.people import People, soon
from tests.state_guard import without_state_guards


def test_the_migrations_make_what_the_models_say(app: Flask) -> None:
    with db.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_every_constraint_has_a_name() -> None:
    nameless = [
        f"{table.name}: {constraint!r}"
        for table in Base.metadata.tables.values()
        for constraint in table.constraints
        if not constraint.name
    ]
    assert not nameless, nameless


def test_a_filled_database_goes_down_and_up_again(app: Flask, people: People) -> None:
    section = people.section(people.ada)
    people.learners(section, 3)
    people.meeting(people.ada, people.school_class(people.ada, section), soon())
    db.session.remove()
    with without_state_guards(db.engine):
        try:
            downgrade(revision="base")
            with db.engine.connect() as connection:
                left = set(sa.inspect(connection).get_table_names()) - {"alembic_version"}
            assert not left
        finally:
            upgrade()
    assert sa.inspect(db.engine).has_table(AttendanceRecord.__tablename__)


def test_the_database_keeps_what_it_has_acknowledged(portal: Flask) -> None:
    if portal.config["SQLALCHEMY_DATABASE_URI"].startswith("postgresql"):
        with portal.app_context(), db.engine.connect() as connection:
            asked = "SELECT source FROM pg_settings WHERE name = 'synchronous_commit'"
            assert connection.exec_driver_sql(asked).scalar() in ("default", "configuration file", "database")
        return  # the server's own setting: the portal leaves it alone
    with portal.app_context(), db.engine.connect() as connection:
        asked = ("synchronous", "journal_mode", "foreign_keys")
        said = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in asked]
    assert said == [2, "wal", 1]


def test_each_migration_has_a_docstring_that_says_what_it_does() -> None:
    for path in (Path(__file__).parents[2] / "migrations" / "versions").glob("*.py"):
        assert path.read_text(encoding="utf-8").startswith('"""'), path


@pytest.mark.parametrize("portal", ["sqlite"], indirect=True)
def test_a_naive_time_cannot_be_stored(app: Flask) -> None:
    from datetime import datetime

    from portal.core.db import UTCDateTime

    with pytest.raises(ValueError, match="naive"):
        UTCDateTime().process_bind_param(datetime(2026, 11, 3, 8), db.engine.dialect)
