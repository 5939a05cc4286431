"""Decoding of text files whose encoding nobody states, and detection of letters that an earlier program broke. Pure.

Spreadsheet programs write "CSV" in UTF-8, UTF-16, Windows-1252 (Excel on Windows), Mac Roman (Excel on a Mac) or, as
"CSV (MS-DOS)", code page 850 or 437. The one-byte encodings cannot be told apart by their bytes, only by the words that
they give: 0x96 is ñ on a Mac and a dash on Windows. The mapping of each is Unicode's (unicode.org/Public/MAPPINGS).
"""

import codecs
import re
from collections.abc import Iterator
from itertools import islice

LINE_END = re.compile(r"\r\n?|\n")
# Signs that are not seen, and are not part of any word: zero-width spaces and joiners, byte order marks, soft hyphens,
# marks of writing direction.
INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff]"
)

_ONE_BYTE = ("cp1252", "mac_roman", "cp850", "cp437")
_HANDICAP = {"cp1252": 0, "mac_roman": 0, "cp850": 2, "cp437": 2}  # MS-DOS is written only where somebody chooses it
_MARGIN = 2  # a reading must be this much more likely than the next, or nobody knows
_HOME_LETTERS = frozenset("ñÑáéíóúüÁÉÍÓÚÜ")
_NON_ASCII = re.compile(r"[^\x00-\x7f]")
_NON_ASCII_RUN = re.compile(r"[^\x00-\x7f]{2,4}")
_MOST_PER_SIGN = 5  # letters of other languages cost 4
_MOST_SIGNS = 5_000  # are looked at, so that a large file costs little
_IMPOSSIBLE = 1_000


class UndecodableText(ValueError):
    """No reading of the bytes is sure. `line`: the first that holds such a letter."""

    def __init__(self, line: int) -> None:
        super().__init__(f"line {line}")
        self.line = line


def decode_text(data: bytes, *, refuse_doubtful: bool = True) -> str:
    """The text in its most likely encoding, without a byte order mark.

    UTF-8 and UTF-16 are certain. Otherwise the one-byte encoding is taken whose words look most like names: a letter of
    Filipino names in a fitting case costs nothing, other letters more, a dash or currency sign inside a word most.
    Raises UndecodableText where no reading is possible or, with `refuse_doubtful`, two are nearly as likely.
    """
    encoding = _detect_unicode(data)
    if encoding is None:
        return _decode_one_byte(data, refuse_doubtful=refuse_doubtful)
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise UndecodableText(_count_lines(data[: error.start].decode(encoding, "ignore"))) from error


def has_broken_letters(text: str) -> bool:
    """True for the replacement sign, and for letters read in a wrong encoding before (`PeÃ±a`, `PEÃ‘A`, `Pe√±a`).

    Several signs in a row that give one Latin letter when they are written in Windows-1252 or Mac Roman and read as
    UTF-8 cannot have been typed.
    """
    return "\ufffd" in text or any(_is_utf8_read_otherwise(match.group()) for match in _NON_ASCII_RUN.finditer(text))


def _is_utf8_read_otherwise(run: str) -> bool:
    for start in range(len(run) - 1):
        for encoding in ("cp1252", "mac_roman", "cp850"):
            for size in (2, 3):
                if _reads_as_letter(run[start : start + size], encoding):
                    return True
    return False


def _reads_as_letter(signs: str, encoding: str) -> bool:
    try:
        packed = b"".join(_encode_sign(sign, encoding) for sign in signs)
        letter = packed.decode("utf-8")
    except UnicodeError:
        return False
    return len(letter) == 1 and ("\u00a0" <= letter <= "\u024f" or "\u2010" <= letter <= "\u2026")


def _encode_sign(sign: str, encoding: str) -> bytes:
    """The byte of a sign; programs keep the five bytes that Windows-1252 leaves undefined as control characters."""
    if "\x80" <= sign <= "\x9f":
        return sign.encode("latin-1")
    return sign.encode(encoding)


def _detect_unicode(data: bytes) -> str | None:
    """The Unicode encoding by byte order mark or content; None for a one-byte encoding."""
    if data.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    start = data[:400]
    if start[1::2].count(0) * 3 > len(start):  # every other byte is zero: UTF-16 without a byte order mark
        return "utf-16-le"
    if start[::2].count(0) * 3 > len(start):
        return "utf-16-be"
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return "utf-8"


def _decode_one_byte(data: bytes, *, refuse_doubtful: bool) -> str:
    readings = sorted(_list_readings(data), key=lambda reading: reading[0])
    cost, text = readings[0]  # code pages 850 and 437 read any byte
    signs = min(len(_NON_ASCII.findall(text)), _MOST_SIGNS)
    if refuse_doubtful and cost > _MOST_PER_SIGN * signs:
        raise UndecodableText(_first_line_of_non_ascii(data))
    others = [other for other_cost, other in readings[1:] if other_cost < cost + _MARGIN and other != text]
    if others and refuse_doubtful:
        first = next(index for index, pair in enumerate(zip(text, others[0], strict=True)) if pair[0] != pair[1])
        raise UndecodableText(_count_lines(text[:first]))
    return text


def _list_readings(data: bytes) -> Iterator[tuple[int, str]]:
    for encoding in _ONE_BYTE:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        counted = islice(_NON_ASCII.finditer(text), _MOST_SIGNS)
        yield _HANDICAP[encoding] + sum(_cost_of_sign(text, match.start()) for match in counted), text


def _cost_of_sign(text: str, at: int) -> int:
    """How unlikely a sign is where it stands, from 0."""
    sign = text[at]
    left, right = _word_around(text, at)
    if sign.isalpha() and "\u00c0" <= sign <= "\u024f":
        foreign = 0 if sign in _HOME_LETTERS else 4
        return foreign + _cost_of_case(sign, left, right)
    if sign in "\u00a0\u2026\u201c\u201d\u2013\u2014\u2018\u2019\u2022":
        return _cost_of_punctuation(sign, left, right)
    return _IMPOSSIBLE if left or right else 20


def _word_around(text: str, at: int) -> tuple[str, str]:
    start, end = at, at + 1
    while start and text[start - 1].isalpha() and at - start < 40:
        start -= 1
    while end < len(text) and text[end].isalpha() and end - at < 40:
        end += 1
    return text[start:at], text[at + 1 : end]


def _cost_of_case(sign: str, left: str, right: str) -> int:
    """A capital inside a word in small letters is misread; a small letter among capitals may have been typed so."""
    if sign.isupper():
        return 0 if not left or left[-1].isupper() else 8
    others = left + right
    if not others or not left or not left[-1].isupper():
        return 0 if not (right and right[0].isupper()) else 6
    if len(left) == 1 and right and right[0].islower():  # the second letter of a word with a capital
        return 0
    return 2 if others.isupper() else 6


def _cost_of_punctuation(sign: str, left: str, right: str) -> int:
    if sign in "\u2018\u2019" and left and right:  # D’Angelo, O’Brien, Ana’s
        return 0 if len(left) == 1 or right == "s" else 6
    if left and right:
        return 8 if sign not in "\u2013\u2014" else 6
    stands_wrong = (sign in "\u201d\u2026\u2013\u2014\u2022" and right) or (
        sign in "\u201c\u2026\u2013\u2014\u2022" and left
    )
    return 6 if stands_wrong else 1


def _count_lines(before: str) -> int:
    return len(LINE_END.findall(before)) + 1


def _first_line_of_non_ascii(data: bytes) -> int:
    first = next((index for index, byte in enumerate(data) if byte > 127), 0)
    return _count_lines(data[:first].decode("ascii"))
