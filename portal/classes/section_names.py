"""Names of sections and grade levels: kept as written, and folded for comparison, so that one section has one row
whether LIS prints it or a teacher types it."""

import re
import unicodedata

from portal.classes.lis_names import normalise_text

_ROMAN = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII")
_GRADE_NUMBERS = {str(number): number for number in range(1, 13)} | {
    numeral: number for number, numeral in enumerate(_ROMAN, start=1)
}
# "8", "Gr. 8", "G8", "Grade-8", "GRADE VIII", "Baitang 8", "Grade 8 (Year II)"
_GRADE = re.compile(r"(?:GRADE|BAITANG|GR|G)?[\s.:-]*0?([0-9]{1,2}|[IVX]+)\.?\s*(?:\(.*)?", re.DOTALL)
_KINDER = re.compile(r"K|KINDER(?:GARTEN)?\.?")
_ONE_FORM = str.maketrans(dict.fromkeys("’‘`´ʼ", "'") | dict.fromkeys("‐‑‒–—−", "-"))


def fold_section_name(name: str) -> str:
    """The name without case, white space, dots and accents: "St. John Paul II" and "ST JOHN PAUL II" are one section.
    Other signs distinguish ("A+" from "A"), in whichever of their typographic forms."""
    decomposed = unicodedata.normalize("NFKD", name.translate(_ONE_FORM)).casefold()
    return "".join(
        char for char in decomposed if not char.isspace() and char != "." and unicodedata.category(char)[0] not in "MC"
    )


def normalise_grade_level(text: str) -> str:
    """ "8", "Gr. 8" and "VIII" as "Grade 8"; what is no single grade from 1 to 12 stays as written,
    with white space collapsed."""
    written = normalise_text(text)
    if _KINDER.fullmatch(written.upper()):
        return "Kindergarten"
    found = _GRADE.fullmatch(written.upper())
    number = _GRADE_NUMBERS.get(found[1]) if found else None
    return f"Grade {number}" if number else written


def fold_grade_level(text: str) -> str:
    """The normalised grade level, folded like a section's name."""
    return fold_section_name(normalise_grade_level(text))


def fold_section(grade_level: str, name: str) -> tuple[str, str]:
    """Grade level and name, folded: equal for two spellings of one section of a school year."""
    return fold_grade_level(grade_level), fold_section_name(name)
