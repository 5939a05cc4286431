"""Names in the format of the Learner Information System (LIS), and folding of names for comparison.

The LIS prints one string per learner, `LAST,FIRST, MIDDLE`: no space after the first comma, one after the second, the
extension (JR, III) at the start of the middle segment, `-` where there is no middle name.
"""

import re
import unicodedata
from dataclasses import dataclass

EXTENSIONS = frozenset({"JR", "SR", "II", "III", "IV", "V", "VI"})
# "REYES,ANA, V." is far more often a middle initial than the extension V.
_AMBIGUOUS_EXTENSION = "V"
_NO_MIDDLE_NAME = "-"
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")  # the categories Cc, Zl and Zp
_EXPANSIONS = {
    "MA": ("MARIA",),
    "STA": ("SANTA",),
    "STO": ("SANTO",),
    "DELA": ("DE", "LA"),
    "DELAS": ("DE", "LAS"),
    "DELOS": ("DE", "LOS"),
}
_APOSTROPHES = frozenset("'’‘`´ʼ")


@dataclass(frozen=True)
class LisName:
    """The parts of a name as written (case, dots and Ñ kept); absent parts are empty strings."""

    last: str
    first: str
    middle: str = ""
    extension: str = ""


def normalise_text(text: str) -> str:
    """`text` in NFC, control characters replaced by spaces, white space collapsed and stripped."""
    return " ".join(unicodedata.normalize("NFC", _CONTROL.sub(" ", text)).split())


def split_lis_name(raw: str) -> LisName:
    """Split a LIS name into its parts.

    With a single comma a second given name cannot be told from a middle name, so everything after it stays in `first`.
    Without a comma everything is `last`; callers that need a full name check for the comma.
    """
    segments = [normalise_text(segment) for segment in raw.split(",")]
    while len(segments) > 1 and not segments[-1]:
        segments.pop()
    last, first, *rest = [*segments, ""] if len(segments) == 1 else segments
    middle, extension = _split_middle(rest)
    if not extension:
        first, extension = _split_first(first, has_middle=bool(rest))
    return LisName(last, first, middle, extension)


def lis_name(last: str, first: str, middle: str = "", extension: str = "") -> str:
    """Join the parts as the LIS prints them: `CLASS,FIRST, JR MIDDLE`, `-` for no middle name."""
    tail = f"{extension} {middle or _NO_MIDDLE_NAME}".strip()
    return f"{last},{first}, {tail}"


def display_name_parts(name: LisName) -> tuple[str, str]:
    """The surname (bold on pages) and the rest: `("CORPUZ", "EMMANUEL JR., AGUSTIN")`."""
    given = f"{name.first} {name.extension}{'.' if name.extension in {'JR', 'SR'} else ''}".strip()
    return name.last, ", ".join(part for part in (given, name.middle) if part)


def name_tokens(text: str) -> tuple[str, ...]:
    """The words of a name, normalised for comparison: upper case, no accents (Ñ is N), no emoji or punctuation.

    MA. becomes MARIA, STA. and STO. SANTA and SANTO, DELA becomes DE LA; D'ANGELO is one word, a hyphen separates two;
    an extension is a word of its own, without its dot. The order is kept.
    """
    words = "".join(_fold_character(char) for char in _strip_accents(text)).split()
    return tuple(part for word in words for part in _EXPANSIONS.get(word, (word,)))


def fold_name(text: str) -> str:
    """The `name_tokens` joined with spaces; idempotent."""
    return " ".join(name_tokens(text))


def _split_middle(rest: list[str]) -> tuple[str, str]:
    """Middle name and extension from the segments after the given names."""
    if len(rest) > 1 and _extension_or_empty(rest[0]):  # LAST, FIRST, JR, MIDDLE as senior high school forms print it
        return _dash_to_empty(" ".join(rest[1:])), _extension_or_empty(rest[0])
    words = " ".join(rest).split()
    if not words:
        return "", ""
    extension = _extension_or_empty(words[0])
    if extension and not (extension == _AMBIGUOUS_EXTENSION and len(words) == 1):
        return _dash_to_empty(" ".join(words[1:])), extension
    return _dash_to_empty(" ".join(words)), ""


def _split_first(first: str, *, has_middle: bool) -> tuple[str, str]:
    given, _, tail = first.rpartition(" ")
    extension = _extension_or_empty(tail)
    if given and extension and (has_middle or extension != _AMBIGUOUS_EXTENSION):
        return given, extension
    return first, ""


def _extension_or_empty(word: str) -> str:
    bare = word.upper().removesuffix(".")
    return bare if bare in EXTENSIONS else ""


def _dash_to_empty(middle: str) -> str:
    return "" if middle.strip("-–— ") == "" else middle


def _strip_accents(text: str) -> str:
    upper = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).upper())
    return "".join(char for char in upper if unicodedata.category(char)[0] != "M")


def _fold_character(char: str) -> str:
    """A character in a folded name: itself, nothing, or a space."""
    if char.isalnum():
        return char
    if char in _APOSTROPHES or unicodedata.category(char) == "Cf":
        return ""
    return " "
