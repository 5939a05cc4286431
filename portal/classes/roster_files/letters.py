"""Checks of the letters of names, and removal of signs that nobody sees. Pure.

A name that was broken on its way (`PeÃ±a`, `PE?A`, `DE LA PE¥A`) looks right to no one and would be printed on School
Form 2, so a name holds Latin letters with their marks, `'`, `-`, `.` and blanks; anything else stops its row.
"""

import re
import unicodedata

from portal.core.text_encoding import INVISIBLE, has_broken_letters

__all__ = ["find_foreign_sign", "has_broken_letters", "remove_invisible", "write_plain_punctuation"]

# Latin-1, Latin Extended-A and Additional; of Extended-B what Romanian, Vietnamese and Pinyin write
_LATIN_LETTERS = re.compile(
    "[A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u017f\u01a0\u01a1\u01af\u01b0\u01cd-\u01dc\u0218-\u021b\u1e00-\u1eff]"
)
_PUNCTUATION = frozenset("'-. ")
_MOST_MARKS = 2  # on one letter
_APOSTROPHES = re.compile("[\u2018\u2019\u201b\u02bc\u02b9\u02bb`\u00b4\u2032]")
_HYPHENS = re.compile("[\u2010-\u2015\u2212]")


def remove_invisible(text: str) -> str:
    """The text without zero-width signs, soft hyphens, byte order marks and marks of direction."""
    return INVISIBLE.sub("", text)


def write_plain_punctuation(text: str) -> str:
    """The text with the apostrophes and dashes of word processors as `'` and `-`."""
    return _HYPHENS.sub("-", _APOSTROPHES.sub("'", text))


def find_foreign_sign(name: str) -> str | None:
    """The first sign that no name holds, or None. `name` is in NFC; commas are for the caller to remove."""
    marks = _MOST_MARKS
    for sign in name:
        if _LATIN_LETTERS.fullmatch(sign):
            marks = 0
        elif unicodedata.category(sign) == "Mn" and marks < _MOST_MARKS:
            marks += 1
        elif sign in _PUNCTUATION:
            marks = _MOST_MARKS
        else:
            return sign
    return None
