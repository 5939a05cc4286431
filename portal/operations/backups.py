"""back_up(file), restore(file): the whole database in one file, and back again, on an empty host as well.

SQLite is copied by its own backup interface, which minds what is being written. PostgreSQL is dumped by pg_dump where
that is installed, else, or with `portable`, row by row in a form of our own that both databases take. Sealed values
stay sealed: the file is of no use for them without ENCRYPTION_KEYS, which are not in it.

Who was erased since an older backup was made is erased again: from the database that is replaced, from the list beside
it (`erased_list.list_file`), and from a list that is given.
"""

import base64
import json
import os
import shutil
import sqlite3
import subprocess  # nosec B404 - pg_dump and pg_restore, with arguments of our own
import tempfile
import zipfile
from collections.abc import Iterator
from datetime import date, datetime, time
from pathlib import Path
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import current_app
from flask_migrate import upgrade
from sqlalchemy.engine import URL, make_url

from portal.core import clock
from portal.core.crypto import DecryptionError, rotate_encryption
from portal.core.db import (
    Base,
    db,
    is_postgresql,
    write_transaction,
)
from portal.privacy import erased_list, erasure

ABOUT, ERASED = "silid.json", "erased.txt"
SQLITE, DUMP, TABLES = "database.sqlite3", "database.dump", "tables.jsonl"
BATCH_SIZE = 500


class BackupError(Exception):
    """The text says why and what to do."""


def create_backup(target: Path, *, portable: bool = False) -> str:
    """Write the backup, readable for its owner alone; what was written, in a word. Raises BackupError, OSError."""
    with tempfile.TemporaryDirectory(dir=target.resolve().parent) as folder:
        part = _take(Path(folder), portable)
        about = {"made_at": clock.now().isoformat(), "revision": _revision(), "part": part.name}
        whole = Path(folder) / "backup.zip"
        whole.touch(mode=0o600)
        with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(ABOUT, json.dumps(about))
            archive.writestr(ERASED, "\n".join(sorted(erasure.erased_entries_of_database())))
            archive.write(part, part.name)
        whole.replace(target)
    return part.name


def restore_backup(source: Path, *, replace: bool = False, erased: Path | None = None) -> int:
    """Put a backup back; how many learners were erased again. Raises BackupError before anything is changed."""
    entries = _entries(erased)
    if _has_people() and not replace:
        raise BackupError("This database is not empty. Add --replace to put the backup in its place.")
    try:
        archive = zipfile.ZipFile(source)
        about = json.loads(archive.read(ABOUT))
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        raise BackupError("This file is not a backup that the portal has made.") from None
    with archive, tempfile.TemporaryDirectory() as folder:
        entries |= erased_list.parse_erased_entries(archive.read(ERASED).decode())
        unknown = erased_list.has_unknown_keys(entries)
        if unknown:
            raise BackupError(
                "The list of erased learners was made with another SECRET_KEY: put it into SECRET_KEY_FALLBACKS."
            )
        part = Path(archive.extract(about["part"], folder))
        _put_back(part, about)
    upgrade()
    again = erasure.reapply_erasures(entries)
    erasure.refresh_erased_list()
    return again


def rotate_all_encryption() -> tuple[int, int]:
    """Seal everything anew with the first of ENCRYPTION_KEYS; how many values, and how many that no key opens."""
    done = broken = 0
    for table in Base.metadata.sorted_tables:
        keys = list(table.primary_key.columns)
        for column in (one for one in table.columns if one.name.endswith("_encrypted")):
            for *key, value in db.session.execute(sa.select(*keys, column).where(column.is_not(None))).all():
                here = sa.and_(*(one == wanted for one, wanted in zip(keys, key, strict=True)), column == value)
                try:
                    fresh = rotate_encryption(value)
                except DecryptionError:
                    broken += 1
                    continue
                with write_transaction() as session:
                    session.execute(sa.update(table).where(here).values({column.name: fresh}))
                done += 1
    erasure.refresh_erased_list()
    return done, broken


def _take(folder: Path, portable: bool) -> Path:
    if portable or (is_postgresql() and not shutil.which("pg_dump")):
        if _revision() != _head():
            raise BackupError("Bring the database up to date first: flask --app app db upgrade")
        path = folder / TABLES
        path.write_text("".join(f"{line}\n" for line in _lines()), encoding="utf-8")
        return path
    if is_postgresql():
        path = folder / DUMP
        _run("pg_dump", "--format=custom", "--no-owner", "--no-privileges", f"--file={path}")
        return path
    path = folder / SQLITE
    copy = sqlite3.connect(path)
    try:
        _raw_sqlite().backup(copy)
    finally:
        copy.close()
    return path


def _put_back(part: Path, about: dict[str, str]) -> None:
    kind = DUMP if is_postgresql() else SQLITE
    if part.name == TABLES:
        if about["revision"] != _head():
            raise BackupError("This backup was made by another version of the portal: restore it with that one.")
        upgrade()
        _fill(part)
    elif part.name != kind:
        raise BackupError("This backup is of another kind of database. Make one with backup --portable.")
    elif kind == DUMP:
        if not shutil.which("pg_restore"):
            raise BackupError("pg_restore is not installed here.")
        db.session.remove()
        db.engine.dispose()
        _run("pg_restore", "--clean", "--if-exists", "--no-owner", "--no-privileges", "--exit-on-error", str(part))
    else:
        db.session.remove()
        saved = sqlite3.connect(part)
        try:
            saved.backup(_raw_sqlite())
        finally:
            saved.close()
        db.engine.dispose()


def _raw_sqlite() -> sqlite3.Connection:
    db.session.remove()
    connection = db.engine.raw_connection().driver_connection
    if not isinstance(connection, sqlite3.Connection):
        raise BackupError("This is no SQLite database.")
    return connection


def _run(command: str, *arguments: str) -> None:
    """One of PostgreSQL's own programs; the password goes along in the environment, not on the command line."""
    url: URL = make_url(str(current_app.config["SQLALCHEMY_DATABASE_URI"]))
    name = url.set(drivername="postgresql", password=None).render_as_string(hide_password=False)
    secret = {"PGPASSWORD": str(url.password)} if url.password else {}
    try:
        subprocess.run(  # noqa: S603 # nosec B603 - a fixed program, no shell
            [str(shutil.which(command)), f"--dbname={name}", *arguments],
            env={**os.environ, **secret},
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
    except subprocess.CalledProcessError as error:
        raise BackupError(f"{command} failed with {error.returncode}; run it by hand to see why.") from None


def _entries(given: Path | None) -> set[str]:
    """Who is known as erased: in the present database, on the list beside it, on a given list."""
    entries: set[str] = set()
    if sa.inspect(db.engine).has_table("erasures"):
        entries |= erasure.erased_entries_of_database()
    for path in (erased_list.erased_list_path(), given):
        if path is not None and path.exists():
            entries |= erased_list.parse_erased_entries(path.read_text(encoding="ascii"))
    return entries


def _has_people() -> bool:
    return sa.inspect(db.engine).has_table("users") and bool(db.session.scalar(sa.text("SELECT count(*) FROM users")))


def _revision() -> str | None:
    with db.engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def _head() -> str | None:
    return ScriptDirectory(str(current_app.config["MIGRATIONS"])).get_current_head()


# Our own form: one JSON array a row, the table's name first


def _lines() -> Iterator[str]:
    for table in Base.metadata.sorted_tables:
        yield json.dumps({"table": table.name, "columns": [column.name for column in table.columns]})
        for row in db.session.execute(sa.select(table)):
            yield json.dumps([_plain(value) for value in row], ensure_ascii=False)


def _plain(value: Any) -> Any:
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    return {"bytes": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


def _typed(value: Any, column: sa.Column[Any]) -> Any:
    if value is None:
        return None
    told = column.type
    kind = (told.impl_instance if isinstance(told, sa.types.TypeDecorator) else told).python_type
    if kind in (datetime, date, time):
        return kind.fromisoformat(value)
    if kind is UUID:
        return UUID(value)
    return base64.b64decode(value["bytes"]) if kind is bytes else value


def _fill(path: Path) -> None:
    with write_transaction() as session, path.open(encoding="utf-8") as lines:
        for known in reversed(Base.metadata.sorted_tables):
            session.execute(known.delete())
        table: sa.Table | None = None
        columns: list[sa.Column[Any]] = []
        rows: list[dict[str, Any]] = []
        for line in lines:
            found = json.loads(line)
            if isinstance(found, dict):
                _insert(table, rows)
                table, rows = Base.metadata.tables[found["table"]], []
                columns = [table.columns[name] for name in found["columns"]]
                continue
            values = zip(columns, found, strict=True)
            rows.append({column.name: _typed(value, column) for column, value in values})
            if len(rows) == BATCH_SIZE:
                _insert(table, rows)
                rows = []
        _insert(table, rows)
        if is_postgresql():
            _set_counters()


def _insert(table: sa.Table | None, rows: list[dict[str, Any]]) -> None:
    if table is not None and rows:
        db.session.connection().execute(table.insert(), rows)


def _set_counters() -> None:
    """PostgreSQL counts on from the highest number that is there."""
    for table in Base.metadata.sorted_tables:
        for column in table.primary_key.columns:
            named = sa.func.pg_get_serial_sequence(table.name, column.name)
            if isinstance(column.type, sa.Integer) and db.session.scalar(sa.select(named)):
                highest = sa.select(sa.func.coalesce(sa.func.max(column), 0) + 1).scalar_subquery()
                db.session.execute(sa.select(sa.func.setval(named, highest, False)))
