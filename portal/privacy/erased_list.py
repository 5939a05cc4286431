"""The list of erased learners outside the database: `erased.txt` in the instance folder.

Restoring an older backup would bring an erased learner back. The list holds HMACs of ids, which identify nobody;
`erasure.reapply_erasures` erases the listed learners again.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable
from pathlib import Path
from uuid import UUID

from portal.core.settings import current_settings


def erased_list_path() -> Path:
    settings = current_settings()
    return settings.instance / "erased.txt"


def append_erased_entry(learner_ids: Iterable[UUID]) -> None:
    """Append the learners that are not listed yet, hashed with the present key."""
    append_erased_entries(map(erased_entry_for, learner_ids))


def append_erased_entries(entries: Iterable[str]) -> None:
    """Append entries that are not listed yet, whichever key they were made with."""
    path = erased_list_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="ascii") as file:
        file.seek(0)
        listed = parse_erased_entries(file.read())
        file.writelines(f"{entry}\n" for entry in entries if entry not in listed)


def parse_erased_entries(text: str) -> set[str]:
    """The entries of a list."""
    return {line.strip() for line in text.splitlines() if re.fullmatch(r"[0-9a-f]{8}:[0-9a-f]{64}", line.strip())}


def rewrite_erased_list(learner_ids: Iterable[UUID]) -> None:
    """Rewrite the whole list atomically, hashed with the present key."""
    new_path = erased_list_path().with_suffix(".new")
    new_path.parent.mkdir(parents=True, exist_ok=True)
    new_path.write_text("".join(f"{erased_entry_for(learner_id)}\n" for learner_id in learner_ids), encoding="ascii")
    new_path.replace(erased_list_path())


def find_unknown_key_fingerprints(entries: Iterable[str]) -> set[str]:
    """Fingerprints of the entries' keys that are neither SECRET_KEY nor in SECRET_KEY_FALLBACKS."""
    return {entry.partition(":")[0] for entry in entries} - {_key_fingerprint(key) for key in erased_list_secrets()}


def erased_entry_for(learner_id: UUID, key: bytes | None = None) -> str:
    """An entry of the list: the key's fingerprint and the HMAC of the id."""
    key = key or erased_list_secrets()[0]
    return f"{_key_fingerprint(key)}:{hmac.new(key, b'erased:' + learner_id.bytes, hashlib.sha256).hexdigest()}"


def erased_list_secrets() -> list[bytes]:
    """SECRET_KEY, then its predecessors (SECRET_KEY_FALLBACKS)."""
    settings = current_settings()
    return [key.encode() for key in (settings.secret_key, *settings.secret_key_fallbacks)]


def _key_fingerprint(key: bytes) -> str:
    return hmac.new(key, b"which key", hashlib.sha256).hexdigest()[:8]
