"""Everything that the portal says has its Filipino: read from the sources, as `make words` reads them."""

from functools import cache
from pathlib import Path

from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.pofile import read_po

ROOT = Path(__file__).parents[2]
FILIPINO = ROOT / "portal" / "translations" / "fil" / "LC_MESSAGES" / "messages.po"
Words = str | tuple[str, ...]


def first(message: Words) -> str:
    """What names a message in a catalogue: a plural is one with its singular."""
    return message if isinstance(message, str) else message[0]


@cache
def said() -> dict[tuple[str | None, str], str]:
    """Each message of sources and templates, with a place that says it."""
    found: dict[tuple[str | None, str], str] = {}
    with (ROOT / "babel.cfg").open(encoding="utf-8") as file:
        methods, options = parse_mapping_cfg(file)
    for folder in ("portal", "templates"):
        own = [
            (pattern.removeprefix(f"{folder}/"), method) for pattern, method in methods if pattern.startswith(folder)
        ]
        their = {pattern.removeprefix(f"{folder}/"): value for pattern, value in options.items()}
        for name, line, message, _, context in extract_from_dir(
            str(ROOT / folder), own, their, {**DEFAULT_KEYWORDS, "_l": None}
        ):
            found[context, first(message)] = f"{folder}/{name}:{line}"
    return found


def test_every_message_is_said_in_filipino() -> None:
    with FILIPINO.open("rb") as file:
        known = {(message.context, first(message.id)): message for message in read_po(file) if message.id}
    missing = {}
    for message, where in said().items():
        found = known.get(message)
        forms = () if found is None or found.fuzzy else found.string
        if not forms or not all([forms] if isinstance(forms, str) else forms):
            missing[message] = where
    assert missing == {}, "translate these in messages.po (`make words` adds them there)"


def test_no_translation_is_kept_that_nothing_says_any_more() -> None:
    with FILIPINO.open("rb") as file:
        known = {(message.context, first(message.id)) for message in read_po(file) if message.id}
    assert known - said().keys() == set()
