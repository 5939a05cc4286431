"""Backup and restore of the whole database as one file; restore also works on an empty host.

SQLite is copied by its online backup API, which is safe during writes. PostgreSQL is dumped by pg_dump where that is
installed, else, or with `portable`, row by row as JSON lines, which both databases can restore. Encrypted values stay
encrypted: they are useless without ENCRYPTION_KEYS, which are not in the file.

Learners erased since an older backup are erased again on restore: by the database that is replaced, by the list
beside it (`erased_list.erased_list_path`), and by a given list.
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
from portal.operations.schema_repairs import ACCEPT
from portal.privacy import erased_list, erasure

ABOUT, ERASED = "silid.json", "erased.txt"
SQLITE, DUMP, TABLES = "database.sqlite3", "database.dump", "tables.jsonl"
BATCH_SIZE = 500


class BackupError(Exception):
    """The message contains the cause and the remedy."""


def create_backup(target: Path, *, portable: bool = False) -> str:
    """Write the backup with mode 0600; returns the name of its main part. Raises BackupError, OSError."""
    with tempfile.TemporaryDirectory(dir=target.resolve().parent) as folder:
        dump = _dump_database(Path(folder), portable)
        metadata = {"made_at": clock.now().isoformat(), "revision": _revision(), "part": dump.name}
        archive_path = Path(folder) / "backup.zip"
        archive_path.touch(mode=0o600)
        with zipfile.ZipFile(archive_path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(ABOUT, json.dumps(metadata))
            archive.writestr(ERASED, "\n".join(sorted(_erased_entries_here())))
            archive.write(dump, dump.name)
        archive_path.replace(target)
    return dump.name


def restore_backup(source: Path, *, replace: bool = False, erased: Path | None = None, accept: bool = False) -> int:
    """Restore a backup and upgrade it; returns how many learners were erased again.

    Raises BackupError before anything is changed; or afterwards, where an old backup cannot be upgraded. Whoever has to
    be erased again is then on the list beside the database, where the next attempt finds them.
    """
    entries = _load_erased_entries(erased)
    if _has_users() and not replace:
        raise BackupError("This database is not empty. Add --replace to put the backup in its place.")
    try:
        archive = zipfile.ZipFile(source)
        metadata = json.loads(archive.read(ABOUT))
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        raise BackupError("This file is not a backup that the portal has made.") from None
    with archive, tempfile.TemporaryDirectory() as folder:
        entries |= erased_list.parse_erased_entries(archive.read(ERASED).decode())
        unknown_keys = erased_list.find_unknown_key_fingerprints(entries)
        if unknown_keys:
            raise BackupError(
                "The list of erased learners was made with another SECRET_KEY: put it into SECRET_KEY_FALLBACKS."
            )
        dump = Path(archive.extract(metadata["part"], folder))
        _restore_database(dump, metadata)
    _upgrade_restored(entries, accept)
    erased_count = erasure.reapply_erasures(entries)
    erasure.refresh_erased_list()
    return erased_count


def _upgrade_restored(entries: set[str], accept: bool) -> None:
    """Upgrade, and keep the erased entries where that is refused: Flask-Migrate prints why and ends the program."""
    try:
        upgrade(x_arg=[ACCEPT] if accept else None)
    except SystemExit:
        erased_list.append_erased_entries(entries)
        raise BackupError(
            "The backup is in its place, but could not be upgraded (see above). Run the same command again, with "
            "--replace, and with --accept where overlapping times on rosters are listed."
        ) from None


def rotate_all_encryption() -> tuple[int, int]:
    """Re-encrypt all values with the first of ENCRYPTION_KEYS; returns how many, and how many no key can decrypt."""
    rotated = undecryptable = 0
    for table in Base.metadata.sorted_tables:
        keys = list(table.primary_key.columns)
        for column in (sealed for sealed in table.columns if sealed.name.endswith("_encrypted")):
            for *key, value in db.session.execute(sa.select(*keys, column).where(column.is_not(None))).all():
                row_clause = sa.and_(
                    *(key_column == part for key_column, part in zip(keys, key, strict=True)), column == value
                )
                try:
                    rotated_value = rotate_encryption(value)
                except DecryptionError:
                    undecryptable += 1
                    continue
                with write_transaction() as session:
                    session.execute(sa.update(table).where(row_clause).values({column.name: rotated_value}))
                rotated += 1
    erasure.refresh_erased_list()
    return rotated, undecryptable


def _dump_database(folder: Path, portable: bool) -> Path:
    if portable or (is_postgresql() and not shutil.which("pg_dump")):
        if _revision() != _latest_revision():
            raise BackupError("Bring the database up to date first: flask --app app db upgrade")
        path = folder / TABLES
        path.write_text("".join(f"{line}\n" for line in _dump_lines()), encoding="utf-8")
        return path
    if is_postgresql():
        path = folder / DUMP
        _run_program("pg_dump", "--format=custom", "--no-owner", "--no-privileges", f"--file={path}")
        return path
    path = folder / SQLITE
    copy = sqlite3.connect(path)
    try:
        _raw_sqlite().backup(copy)
    finally:
        copy.close()
    return path


def _restore_database(dump: Path, metadata: dict[str, str]) -> None:
    native_name = DUMP if is_postgresql() else SQLITE
    if dump.name == TABLES:
        if metadata["revision"] != _latest_revision():
            raise BackupError("This backup was made by another version of the portal: restore it with that one.")
        upgrade()
        _load_lines(dump)
    elif dump.name != native_name:
        raise BackupError("This backup is of another kind of database. Make one with backup --portable.")
    elif native_name == DUMP:
        if not shutil.which("pg_restore"):
            raise BackupError("pg_restore is not installed here.")
        db.session.remove()
        db.engine.dispose()
        _run_program(
            "pg_restore", "--clean", "--if-exists", "--no-owner", "--no-privileges", "--exit-on-error", str(dump)
        )
    else:
        db.session.remove()
        source = sqlite3.connect(dump)
        try:
            source.backup(_raw_sqlite())
        finally:
            source.close()
        db.engine.dispose()


def _raw_sqlite() -> sqlite3.Connection:
    db.session.remove()
    connection = db.engine.raw_connection().driver_connection
    if not isinstance(connection, sqlite3.Connection):
        raise BackupError("This is no SQLite database.")
    return connection


def _run_program(command: str, *arguments: str) -> None:
    """Run one of PostgreSQL's programs; the password is passed in the environment, not on the command line."""
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


def _load_erased_entries(extra_list: Path | None) -> set[str]:
    """The known erased entries: of the present database, of the list beside it, and of a given list."""
    entries = _erased_entries_here()
    for path in (erased_list.erased_list_path(), extra_list):
        if path is not None and path.exists():
            entries |= erased_list.parse_erased_entries(path.read_text(encoding="ascii"))
    return entries


def _erased_entries_here() -> set[str]:
    """The erased entries of the present database; none where it is of an earlier release and has no table for them."""
    return erasure.erased_entries_of_database() if sa.inspect(db.engine).has_table("erasures") else set()


def _has_users() -> bool:
    return sa.inspect(db.engine).has_table("users") and bool(db.session.scalar(sa.text("SELECT count(*) FROM users")))


def _revision() -> str | None:
    with db.engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def _latest_revision() -> str | None:
    return ScriptDirectory(str(current_app.config["MIGRATIONS"])).get_current_head()


# The portable format: JSON lines, one array for each row, after an object with the table's name and columns


def _dump_lines() -> Iterator[str]:
    for table in Base.metadata.sorted_tables:
        yield json.dumps({"table": table.name, "columns": [column.name for column in table.columns]})
        for row in db.session.execute(sa.select(table)):
            yield json.dumps([_to_json_value(value) for value in row], ensure_ascii=False)


def _to_json_value(value: Any) -> Any:
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    return {"bytes": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


def _from_json_value(value: Any, column: sa.Column[Any]) -> Any:
    if value is None:
        return None
    column_type = column.type
    python_type = (
        column_type.impl_instance if isinstance(column_type, sa.types.TypeDecorator) else column_type
    ).python_type
    if python_type in (datetime, date, time):
        return python_type.fromisoformat(value)
    if python_type is UUID:
        return UUID(value)
    return base64.b64decode(value["bytes"]) if python_type is bytes else value


def _load_lines(path: Path) -> None:
    with write_transaction() as session, path.open(encoding="utf-8") as lines:
        for old_table in reversed(Base.metadata.sorted_tables):
            session.execute(old_table.delete())
        table: sa.Table | None = None
        columns: list[sa.Column[Any]] = []
        rows: list[dict[str, Any]] = []
        for line in lines:
            record = json.loads(line)
            if isinstance(record, dict):
                _insert_rows(table, rows)
                table, rows = Base.metadata.tables[record["table"]], []
                columns = [table.columns[name] for name in record["columns"]]
                continue
            values = zip(columns, record, strict=True)
            rows.append({column.name: _from_json_value(value, column) for column, value in values})
            if len(rows) == BATCH_SIZE:
                _insert_rows(table, rows)
                rows = []
        _insert_rows(table, rows)
        if is_postgresql():
            _reset_sequences()


def _insert_rows(table: sa.Table | None, rows: list[dict[str, Any]]) -> None:
    if table is not None and rows:
        db.session.connection().execute(table.insert(), rows)


def _reset_sequences() -> None:
    """Set PostgreSQL's sequences above the highest id of each table."""
    for table in Base.metadata.sorted_tables:
        for column in table.primary_key.columns:
            sequence_name = sa.func.pg_get_serial_sequence(table.name, column.name)
            if isinstance(column.type, sa.Integer) and db.session.scalar(sa.select(sequence_name)):
                highest = sa.select(sa.func.coalesce(sa.func.max(column), 0) + 1).scalar_subquery()
                db.session.execute(sa.select(sa.func.setval(sequence_name, highest, False)))
