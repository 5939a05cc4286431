"""The list of erased learners outside of the database, `erased.txt` in the instance folder.

Whoever restores an older backup would bring an erased learner back. The list holds keyed hashes of ids, from which
nobody can tell whom they mean; `erasure.again` erases those on it anew.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable
from pathlib import Path
from uuid import UUID

from flask import current_app

from portal.config import Settings


def erased_list_path() -> Path:
    settings: Settings = current_app.extensions["silid.settings"]
    return settings.instance / "erased.txt"


def append_erased_entry(learner_ids: Iterable[UUID]) -> None:
    """Write them on the list, with the present key, where they are not on it yet."""
    path = erased_list_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="ascii") as file:
        file.seek(0)
        known = parse_erased_entries(file.read())
        file.writelines(f"{one}\n" for one in map(erased_entry_for, learner_ids) if one not in known)


def parse_erased_entries(text: str) -> set[str]:
    """The entries of a list."""
    return {line.strip() for line in text.splitlines() if re.fullmatch(r"[0-9a-f]{8}:[0-9a-f]{64}", line.strip())}


def rewrite_erased_list(learner_ids: Iterable[UUID]) -> None:
    """The whole list anew, with the present key."""
    fresh = erased_list_path().with_suffix(".new")
    fresh.parent.mkdir(parents=True, exist_ok=True)
    fresh.write_text("".join(f"{erased_entry_for(one)}\n" for one in learner_ids), encoding="ascii")
    fresh.replace(erased_list_path())


def has_unknown_keys(entries: Iterable[str]) -> set[str]:
    """Marks of keys that entries were made with and that are in neither SECRET_KEY nor SECRET_KEY_FALLBACKS."""
    return {entry.partition(":")[0] for entry in entries} - {_mark_of(key) for key in erased_list_secrets()}


def erased_entry_for(learner_id: UUID, key: bytes | None = None) -> str:
    """An entry of the list: which key, and the id hashed with it."""
    key = key or erased_list_secrets()[0]
    return f"{_mark_of(key)}:{hmac.new(key, b'erased:' + learner_id.bytes, hashlib.sha256).hexdigest()}"


def erased_list_secrets() -> list[bytes]:
    """SECRET_KEY, then those that it replaced (SECRET_KEY_FALLBACKS)."""
    settings: Settings = current_app.extensions["silid.settings"]
    return [key.encode() for key in (settings.secret_key, *settings.secret_key_fallbacks)]


def _mark_of(key: bytes) -> str:
    return hmac.new(key, b"which key", hashlib.sha256).hexdigest()[:8]
