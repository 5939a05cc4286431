"""Empty databases for measurements: SQLite in a folder of its own, PostgreSQL where a server is found."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

POSTGRES = os.environ.get("TEST_POSTGRES_URL", "postgresql+psycopg://postgres@127.0.0.1:5432/postgres")


def kinds() -> list[str]:
    """The databases that can be measured here."""
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
    """A copy of a database that nobody uses at the moment, gone afterwards."""
    where = sa.make_url(url)
    if where.get_backend_name() == "sqlite":
        with tempfile.TemporaryDirectory(prefix="silid-bench-") as folder:
            path = Path(folder) / "copy.sqlite3"
            shutil.copy(str(where.database), path)
            yield f"sqlite:///{path}"
        return
    with _new_postgres(f"{where.database}_copy", template=where.database) as copy:
        yield copy


@contextmanager
def fresh(kind: str) -> Iterator[str]:
    """The address of a new, empty database of this kind, gone afterwards."""
    if kind == "sqlite":
        with tempfile.TemporaryDirectory(prefix="silid-bench-") as folder:
            yield f"sqlite:///{Path(folder) / 'bench.sqlite3'}"
        return
    with _new_postgres(f"silid_bench_{os.getpid()}") as url:
        yield url


@contextmanager
def _new_postgres(name: str, template: str | None = None) -> Iterator[str]:
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
