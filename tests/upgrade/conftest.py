"""Databases as earlier releases left them: a schema of any revision, with rows that were kept of it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import Flask
from flask_migrate import upgrade

from portal import create_app
from portal.core.db import db, is_postgresql
from portal.sandbox.simulation.simulated_zoom import SimulatedZoom
from tests import conftest
from tests.conftest import Client, need, settings_for
from tests.fixtures.releases.sql_rows import load_rows, read_rows


class Releases:
    """One database that is put back to an empty schema of any revision."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self._made: dict[str, bytes] = {}

    @contextmanager
    def schema(self, revision: str) -> Iterator[Flask]:
        """The portal on an empty database of that revision, inside its application context."""
        with self.app.app_context():
            self._empty()
            if is_postgresql():
                upgrade(revision=revision)
            else:
                self._make_file(revision)
            yield self.app
            db.session.remove()

    @contextmanager
    def filled(self, revision: str, rows: Path) -> Iterator[Flask]:
        """The same with rows in it."""
        with self.schema(revision) as app:
            with db.engine.begin() as connection:
                load_rows(connection, read_rows(rows))
            yield app

    def _make_file(self, revision: str) -> None:
        """A file of a schema is made once, from the one before it."""
        path = Path(str(db.engine.url.database))
        if revision not in self._made:
            lower = max((one for one in self._made if one < revision), default=None)
            if lower:
                path.write_bytes(self._made[lower])
            upgrade(revision=revision)
            db.session.remove()
            db.engine.dispose()
            self._made[revision] = path.read_bytes()
        path.write_bytes(self._made[revision])

    def _empty(self) -> None:
        db.session.remove()
        db.engine.dispose()
        if is_postgresql():
            with db.engine.begin() as connection:  # a fresh database would wait for the disk
                connection.exec_driver_sql("DROP SCHEMA public CASCADE")
                connection.exec_driver_sql("CREATE SCHEMA public")
            return
        for path in Path(str(db.engine.url.database)).parent.glob("silid.sqlite3*"):
            path.unlink()


@pytest.fixture(scope="session", params=conftest.DATABASES)
def releases(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, zoom_server: tuple[SimulatedZoom, str]
) -> Iterator[Releases]:
    """Earlier releases' databases, of both kinds."""
    if request.param == "postgresql":
        if not conftest._postgres_is_there():
            need("PostgreSQL", conftest._missing["PostgreSQL"])
        url = conftest._fresh_postgres(f"silid_old_{conftest._worker()}_{tmp_path_factory.getbasetemp().name[-12:]}")
    else:
        url = f"sqlite:///{conftest._quick_folder(tmp_path_factory) / 'silid.sqlite3'}"
    app = create_app(settings_for(url, zoom_server[1], instance=tmp_path_factory.mktemp("instance")))
    app.testing = True
    app.test_client_class = Client
    app.config["FORM_WAIT"] = 0
    app.config["HOSTS"] |= {"localhost"}
    yield Releases(app)
    with app.app_context():
        db.session.remove()
        db.engine.dispose()
    if request.param == "postgresql":
        conftest._drop_postgres(url)
    else:
        shutil.rmtree(Path(sa.make_url(url).database or "").parent)


@pytest.fixture
def kept(fixtures: Path) -> Path:
    """Where the rows of earlier releases are kept."""
    return fixtures / "releases"
