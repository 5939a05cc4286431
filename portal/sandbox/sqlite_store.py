"""Persistence of the simulation's state over restarts: one SQLite table of JSON rows."""

import dataclasses
import json
import sqlite3
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from portal.sandbox.simulation import models as simulation_models

TIME_KEY, CLASS_KEY = "$time", "$class"


def encode_row(value: Any) -> str:
    """JSON of plain values, datetimes and the dataclasses of `simulation.models`."""

    def encode_other(obj: Any) -> Any:
        if isinstance(obj, datetime):
            return {TIME_KEY: obj.isoformat()}
        if dataclasses.is_dataclass(obj):
            return {CLASS_KEY: type(obj).__name__, **vars(obj)}
        raise TypeError(f"cannot keep a {type(obj).__name__}")

    return json.dumps(value, default=encode_other, ensure_ascii=False, separators=(",", ":"))


def decode_row(text: str) -> Any:
    """The value that `encode_row` wrote."""

    def revive(row: dict[str, Any]) -> Any:
        if TIME_KEY in row:
            return datetime.fromisoformat(row[TIME_KEY])
        if CLASS_KEY in row:
            return getattr(simulation_models, row.pop(CLASS_KEY))(**row)
        return row

    return json.loads(text, object_hook=revive)


class SqliteStore:
    """Rows of (kind, id, JSON). Not thread-safe: the simulation's lock is held around every call."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        # With WAL and synchronous OFF a killed process loses no commit; only a power cut may lose the last ones.
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=OFF")
        self._db.execute("CREATE TABLE IF NOT EXISTS state (kind TEXT, id TEXT, body TEXT, PRIMARY KEY (kind, id))")

    def load(self) -> Iterator[tuple[str, str, Any]]:
        """All rows as (kind, id, value), in order of insertion."""
        for kind, key, body in self._db.execute("SELECT kind, id, body FROM state ORDER BY rowid"):
            yield kind, key, decode_row(body)

    def write(self, rows: Iterable[tuple[str, str, Any]], deleted: Iterable[tuple[str, str]] = ()) -> None:
        """Upsert rows and delete others in one transaction."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._db.executemany("DELETE FROM state WHERE kind = ? AND id = ?", list(deleted))
            self._db.executemany(
                "INSERT INTO state VALUES (?, ?, ?) ON CONFLICT (kind, id) DO UPDATE SET body = excluded.body",
                [(kind, key, encode_row(value)) for kind, key, value in rows],
            )
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def clear(self) -> None:
        """Delete all rows."""
        self._db.execute("DELETE FROM state")

    def close(self) -> None:
        """Close the file."""
        self._db.close()
