"""Temporary databases for benchmarks: SQLite in a temporary directory, PostgreSQL if a server is reachable."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

POSTGRES = os.environ.get("TEST_POSTGRES_URL", "postgresql+psycopg://postgres@127.0.0.1:5432/postgres")


def kinds() -> list[str]:
    """The databases available here."""
    engine = sa.create_engine(POSTGRES, connect_args={"connect_timeout": 3})
    try:
        with engine.connect():
            return ["sqlite", "postgresql"]
    except sa.exc.OperationalError:
        print("No PostgreSQL at TEST_POSTGRES_URL: SQLite alone is measured.")
        return ["sqlite"]
    finally:
        engine.dispose()


@contextmanager
def copy_of(url: str) -> Iterator[str]:
    """Copy a database without open connections; deleted afterwards."""
    database_url = sa.make_url(url)
    if database_url.get_backend_name() == "sqlite":
        with tempfile.TemporaryDirectory(prefix="silid-bench-") as folder:
            path = Path(folder) / "copy.sqlite3"
            shutil.copy(str(database_url.database), path)
            yield f"sqlite:///{path}"
        return
    with _create_postgres_database(f"{database_url.database}_copy", template=database_url.database) as copy:
        yield copy


@contextmanager
def fresh(kind: str) -> Iterator[str]:
    """URL of a new, empty database of this kind; deleted afterwards."""
    if kind == "sqlite":
        with tempfile.TemporaryDirectory(prefix="silid-bench-") as folder:
            yield f"sqlite:///{Path(folder) / 'bench.sqlite3'}"
        return
    with _create_postgres_database(f"silid_bench_{os.getpid()}") as url:
        yield url


@contextmanager
def _create_postgres_database(name: str, template: str | None = None) -> Iterator[str]:
    engine = sa.create_engine(POSTGRES, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        connection.exec_driver_sql(f'CREATE DATABASE "{name}"' + (f' TEMPLATE "{template}"' if template else ""))
    try:
        yield sa.make_url(POSTGRES).set(database=name).render_as_string(hide_password=False)
    finally:
        with engine.connect() as connection:
            connection.exec_driver_sql(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        engine.dispose()
