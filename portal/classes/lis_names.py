"""Names as the Learner Information System (LIS) writes them, and names folded for comparing.

The LIS prints one string per learner, `LAST,FIRST, MIDDLE`: no space after the first comma, one after the
second, the extension (JR, III) at the head of the middle segment, `-` where there is no middle name.
"""

import unicodedata
from dataclasses import dataclass

EXTENSIONS = frozenset({"JR", "SR", "II", "III", "IV", "V", "VI"})
# "REYES,ANA, V." is far more often a middle initial than a fifth Ana.
_ALSO_AN_INITIAL = "V"
_NO_MIDDLE_NAME = "-"
_MEANS_THE_SAME = {
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
    """A name in its parts, as written (case, dots and Ñ kept); absent parts are empty strings."""

    last: str
    first: str
    middle: str = ""
    extension: str = ""


def normalise_text(text: str) -> str:
    """`text` in NFC, control characters turned into spaces, runs of white space into one, ends stripped."""
    printable = "".join(" " if unicodedata.category(sign) in {"Cc", "Zl", "Zp"} else sign for sign in text)
    return " ".join(unicodedata.normalize("NFC", printable).split())


def split_lis_name(raw: str) -> LisName:
    """The parts of a LIS name.

    With a single comma nobody can tell a second given name from a middle name, so all that follows the comma
    stays in `first`. Without a comma everything is `last`; callers that need a full name check for the comma.
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
    """The parts joined the way the LIS prints them: `CLASS,FIRST, JR MIDDLE`, `-` for no middle name."""
    tail = f"{extension} {middle or _NO_MIDDLE_NAME}".strip()
    return f"{last},{first}, {tail}"


def display_name_parts(name: LisName) -> tuple[str, str]:
    """The surname (pages print it bold) and what follows it: `("CORPUZ", "EMMANUEL JR., AGUSTIN")`."""
    given = f"{name.first} {name.extension}{'.' if name.extension in {'JR', 'SR'} else ''}".strip()
    return name.last, ", ".join(part for part in (given, name.middle) if part)


def name_tokens(text: str) -> tuple[str, ...]:
    """The words of a name, comparable: upper case, no accents (Ñ is N), no emoji or punctuation.

    MA. is MARIA, STA. and STO. are SANTA and SANTO, DELA is DE LA; D'ANGELO is one word, a hyphen parts two;
    an extension is a word of its own, without its dot. The order of the words is kept.
    """
    words = "".join(_letter(sign) for sign in _without_accents(text)).split()
    return tuple(part for word in words for part in _MEANS_THE_SAME.get(word, (word,)))


def fold_name(text: str) -> str:
    """The `name_tokens` of a name joined with spaces; folding twice changes nothing."""
    return " ".join(name_tokens(text))


def _split_middle(rest: list[str]) -> tuple[str, str]:
    """Middle name and extension from the segments after the given names."""
    if len(rest) > 1 and _as_extension(rest[0]):  # LAST, FIRST, JR, MIDDLE as senior high school forms print it
        return _no_dash(" ".join(rest[1:])), _as_extension(rest[0])
    words = " ".join(rest).split()
    if not words:
        return "", ""
    extension = _as_extension(words[0])
    if extension and not (extension == _ALSO_AN_INITIAL and len(words) == 1):
        return _no_dash(" ".join(words[1:])), extension
    return _no_dash(" ".join(words)), ""


def _split_first(first: str, *, has_middle: bool) -> tuple[str, str]:
    given, _, tail = first.rpartition(" ")
    extension = _as_extension(tail)
    if given and extension and (has_middle or extension != _ALSO_AN_INITIAL):
        return given, extension
    return first, ""


def _as_extension(word: str) -> str:
    bare = word.upper().removesuffix(".")
    return bare if bare in EXTENSIONS else ""


def _no_dash(middle: str) -> str:
    return "" if middle.strip("-–— ") == "" else middle


def _without_accents(text: str) -> str:
    upper = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).upper())
    return "".join(sign for sign in upper if unicodedata.category(sign)[0] != "M")


def _letter(sign: str) -> str:
    """What a sign becomes in a folded name: itself, nothing, or a gap between words."""
    if sign.isalnum():
        return sign
    if sign in _APOSTROPHES or unicodedata.category(sign) == "Cf":
        return ""
    return " "
