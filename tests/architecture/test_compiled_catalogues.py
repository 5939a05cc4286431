"""The compiled words in the repository are those of the catalogue, so that a plain clone speaks Filipino."""

import io
import re
from pathlib import Path

import pytest
from babel.messages import Catalog, Message
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

FOLDERS = sorted(Path(__file__).parents[2].joinpath("portal", "translations").glob("*/LC_MESSAGES"))
# What is filled in, what is markup, and the doubled sign of a per cent: all the same in every language.
KEPT = re.compile(r"%\(\w+\)[sd]|%%|\{\w*\}|<[^>]+>|&#?\w+;")


def catalogue(folder: Path) -> Catalog:
    with (folder / "messages.po").open("rb") as file:
        return read_po(file)


def forms(value: str | tuple[str, ...] | list[str]) -> list[str]:
    """One form, or those of a plural."""
    return [value] if isinstance(value, str) else list(value)


def unlike(message: Message) -> bool:
    """Whether a translation fills in something else than its original does."""
    said = [sorted(KEPT.findall(form)) for form in forms(message.id)]
    return any(sorted(KEPT.findall(form)) not in said for form in forms(message.string))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.parent.name)
def test_the_compiled_words_are_those_of_the_catalogue(folder: Path) -> None:
    compiled = io.BytesIO()
    write_mo(compiled, catalogue(folder))
    assert (folder / "messages.mo").read_bytes() == compiled.getvalue(), "run `make words`"


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.parent.name)
def test_what_is_translated_is_meant_and_fills_in_the_same(folder: Path) -> None:
    words = catalogue(folder)
    assert not words.obsolete
    assert [message.id for message in words if message.id and message.fuzzy] == []
    assert [message.id for message in words if message.id and any(forms(message.string)) and unlike(message)] == []


def test_the_rule_about_what_is_filled_in_finds_what_it_should() -> None:
    assert unlike(Message("%(num)d of %(all)d", "%(num)d sa %(lahat)d"))
    assert unlike(Message(("%(num)d row", "%(num)d rows"), ("%(num)d hilera", "mga hilera")))
    assert not unlike(Message(("one of <b>%(all)d</b>", "%(num)d rows"), ("isa sa <b>%(all)d</b>", "%(num)d hilera")))
