"""What every test may ask for: the portal on SQLite and PostgreSQL, a pretend Zoom over HTTP, people."""

import contextvars
import gc
import logging
import os
import shutil
import tempfile
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask, has_app_context
from flask.testing import FlaskClient
from flask_migrate import upgrade
from hypothesis import settings as hypothesis_settings
from werkzeug.serving import make_server

from portal import create_app
from portal.config import Settings, derive_secret_key
from portal.core.db import Base, db
from portal.extensions import limiter
from portal.sandbox import defaults
from portal.sandbox.app import create_sandbox
from portal.sandbox.simulation.simulated_zoom import SimulatedZoom
from portal.sandbox.webhook_sender import WebhookSender
from portal.zoom_account.client import init_zoom
from tests import examples  # noqa: F401 - registers the profiles of Hypothesis
from tests.browser import Browser
from tests.faults import Faults
from tests.people import BASE_URL, People, expire_orm_state
from tests.state_guard import install_state_guards

POSTGRES = os.environ.get("TEST_POSTGRES_URL", "postgresql+psycopg://postgres@127.0.0.1:5432/postgres")
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome") or ""
REQUIRED = os.environ.get("CI", "") not in ("", "0", "false")
DATABASES = ("sqlite", "postgresql")
LABELS = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
_missing: dict[str, str] = {}
hypothesis_settings.load_profile("quick")  # unless --hypothesis-profile names another


def pytest_configure() -> None:
    """Look for cycles less often: parsed pages and mapped rows are many objects, and the tests are short."""
    gc.set_threshold(100_000, 50, 100)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--databases",
        choices=("one", "both"),
        default="one",
        help="run each test of the database on one of the two, SQLite and PostgreSQL by turns, or on both",
    )


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Note at each test which database it runs on and, unless both are asked for, keep one of each pair.

    The checksum of a test's name chooses, so that a test stays on its database from run to run and in every
    process. A test that names its one database itself has no twin and always stays.
    """
    on_database = {item: kind for item in items if (kind := _database_of(item))}
    for item, kind in on_database.items():
        item.user_properties.append(("database", kind))
    if config.getoption("--databases") == "both":
        return
    by_name: dict[str, list[pytest.Item]] = {}
    for item, kind in on_database.items():
        by_name.setdefault(item.nodeid.replace(kind, "", 1), []).append(item)
    has_postgres = any(len(pair) > 1 for pair in by_name.values()) and _postgres_is_there()
    left_out = set()
    for name, pair in by_name.items():
        chosen = DATABASES[zlib.crc32(name.encode()) % 2] if has_postgres else "sqlite"
        if len(pair) > 1:
            left_out |= {item for item in pair if on_database[item] != chosen}
    config.hook.pytest_deselected(items=[item for item in items if item in left_out])
    items[:] = [item for item in items if item not in left_out]


def _database_of(item: pytest.Item) -> str | None:
    params = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
    return params.get("portal") or params.get("releases")


def _postgres_is_there() -> bool:
    try:
        engine = sa.create_engine(POSTGRES, connect_args={"connect_timeout": 3})
        with engine.connect():
            return True
    except sa.exc.SQLAlchemyError as error:
        _missing["PostgreSQL"] = f"no server at TEST_POSTGRES_URL ({type(error.orig or error).__name__})"
        return False
    finally:
        engine.dispose()


def need(name: str, why: str) -> None:
    """Something this machine lacks: named in the last lines, and a failure where everything is required."""
    _missing[name] = why
    if REQUIRED:
        pytest.fail(f"{name} is required here: {why}")
    pytest.skip(f"{name}: {why}")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    for report in terminalreporter.stats.get("skipped", []):
        reason = str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
        name, _, why = reason.removeprefix("Skipped: ").partition(": ")
        _missing.setdefault(name, why)
    for name, why in sorted(_missing.items()):
        terminalreporter.write_line(f"NOT TESTED: {name}: {why}", yellow=True)
    finished = [report for word in ("passed", "failed") for report in terminalreporter.stats.get(word, [])]
    kinds = [value for report in finished if report.when == "call" for key, value in report.user_properties]
    if not kinds:
        return
    counts = ", ".join(f"{kinds.count(kind)} on {LABELS[kind]}" for kind in DATABASES)
    terminalreporter.write_line(f"Tests of the database: {counts}")


@pytest.fixture(scope="session")
def chromium() -> str:
    """The browser's path; skipped, or failed where everything is required, without one."""
    if not CHROMIUM:
        need("Chromium", "no chromium on the PATH (set CHROMIUM to its path)")
    return CHROMIUM


class Client(FlaskClient):
    """Each request runs outside of the test's own application context, as it does in a real server: nothing
    that one request remembers (who is signed in, the form's token) reaches the next. The test's session then
    sees what the request wrote."""

    def open(self, *args: Any, **options: Any) -> Any:
        answer = contextvars.Context().run(super().open, *args, **options)
        if has_app_context():
            expire_orm_state()
        return answer


def _worker() -> str:
    return os.environ.get("PYTEST_XDIST_WORKER", "gw0")


@pytest.fixture(scope="session")
def zoom_server() -> Iterator[tuple[SimulatedZoom, str]]:
    """The pretend Zoom over real HTTP, one per test process; its world and its address."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    world = SimulatedZoom(plan="unlimited")
    application = create_sandbox(world, public_url="https://pretend.zoom.us")
    server = make_server("127.0.0.1", 0, application, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield world, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def world(zoom_server: tuple[SimulatedZoom, str]) -> SimulatedZoom:
    """The pretend Zoom's world, as new, with Ada, Bob and Cora as licensed hosts."""
    world = zoom_server[0]
    world.reset()
    for name in ("ada", "bob", "cora"):
        world.add_user(f"{name}@r1.deped.gov.ph", name.title(), "Host", licensed=True)
    return world


@pytest.fixture(scope="session", params=DATABASES)
def portal(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, zoom_server: tuple[SimulatedZoom, str]
) -> Iterator[Flask]:
    """The portal, migrated, once per database and test process."""
    kind: str = request.param
    if kind == "postgresql":
        if not _postgres_is_there():
            need("PostgreSQL", _missing["PostgreSQL"])
        run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))[:12]
        url = _fresh_postgres(f"silid_test_{run}_{_worker()}")
    else:
        url = f"sqlite:///{_quick_folder(tmp_path_factory) / 'silid.sqlite3'}"
    app = create_app(settings_for(url, zoom_server[1]))
    app.testing = True
    app.test_client_class = Client
    app.config["FORM_WAIT"] = 0
    app.config["HOSTS"] |= {"localhost"}  # what the test client calls its server
    with app.app_context():
        upgrade()
        install_state_guards(db.engine)
    yield app
    with app.app_context():
        db.session.remove()
        db.engine.dispose()
    if kind == "postgresql":
        _drop_postgres(url)
    else:
        shutil.rmtree(Path(sa.make_url(url).database or "").parent)


def _quick_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """In memory where there is room for it: no test pulls the plug, so none needs to wait for the disk."""
    memory = Path("/dev/shm")
    if os.access(memory, os.W_OK):
        return Path(tempfile.mkdtemp(prefix="silid-test-", dir=memory))
    return tmp_path_factory.mktemp("db")


def settings_for(database_url: str, zoom_url: str, **changes: Any) -> Settings:
    values: dict[str, Any] = {
        "mode": "live",
        "secret_key": "for tests, where nothing is secret at all",
        "database_url": database_url,
        "base_url": BASE_URL,
        "zoom_account_id": defaults.ACCOUNT_ID,
        "zoom_client_id": defaults.CLIENT_ID,
        "zoom_client_secret": defaults.CLIENT_SECRET,
        "zoom_webhook_secrets": (defaults.WEBHOOK_SECRET,),
        "zoom_api_url": f"{zoom_url}/v2",
        "zoom_oauth_url": f"{zoom_url}/oauth/token",
        "encryption_keys": (derive_secret_key("tests"),),
        "codes_for_admins": False,
        "argon2_time_cost": 1,  # each test makes accounts; the strength of live hashes has a test of its own
        "argon2_memory_kib": 8,
        "exports_per_hour": 10_000,  # a story reads its sheet after every step
    }
    return Settings(**(values | changes))


def _fresh_postgres(name: str) -> str:
    engine = sa.create_engine(POSTGRES, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f'CREATE DATABASE "{name}"')
        connection.exec_driver_sql(f'ALTER DATABASE "{name}" SET synchronous_commit = off')
    engine.dispose()
    return sa.make_url(POSTGRES).set(database=name).render_as_string(hide_password=False)


def _drop_postgres(url: str) -> None:
    engine = sa.create_engine(POSTGRES, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f'DROP DATABASE IF EXISTS "{sa.make_url(url).database}" WITH (FORCE)')
    engine.dispose()


@pytest.fixture
def app(portal: Flask) -> Iterator[Flask]:
    """The portal with an empty database, inside its application context."""
    init_zoom(portal, portal.extensions["silid.settings"])  # a client that remembers no earlier trouble
    with portal.app_context():
        limiter.reset()
        _empty()
        yield portal
        db.session.remove()


def _empty() -> None:
    """Delete all rows below SQLAlchemy, on PostgreSQL with one message: this runs before every test. A TRUNCATE of
    all tables takes ten times as long."""
    is_sqlite = db.engine.dialect.name == "sqlite"
    connection = db.session.connection(execution_options={"writing": True} if is_sqlite else None)
    deletes = [f'DELETE FROM "{table.name}"' for table in reversed(Base.metadata.sorted_tables)]
    cursor = connection.connection.cursor()
    for statement in deletes if is_sqlite else ["; ".join(deletes)]:
        cursor.execute(statement)
    cursor.close()
    db.session.commit()


@pytest.fixture
def faults(zoom_server: tuple[SimulatedZoom, str], world: SimulatedZoom) -> Iterator[Faults]:
    """Ways to break the pretend Zoom, whole again afterwards."""
    found = Faults(zoom_server[1])
    yield found
    found.heal()


@pytest.fixture
def sender(app: Flask, world: SimulatedZoom) -> WebhookSender:
    """The pretend Zoom's webhooks, delivered into the portal's own endpoint when a test says `pump()`."""
    client = app.test_client(use_cookies=False)

    def post(url: str, headers: dict[str, str], raw: bytes) -> int:
        answer = client.post("/api/zoom/webhook", data=raw, headers=headers)
        return answer.status_code

    return WebhookSender(world, f"{BASE_URL}/api/zoom/webhook", defaults.WEBHOOK_SECRET, post=post)


@pytest.fixture
def browser(app: Flask) -> Browser:
    return Browser(app.test_client())


@pytest.fixture
def people(app: Flask) -> People:
    """A school with Ada, Bob and the Head in it, and ways to make what else a story needs."""
    return People(app)


@pytest.fixture
def fixtures() -> Path:
    return Path(__file__).parent / "fixtures"
