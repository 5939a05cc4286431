"""Grade levels as LIS and people write them."""

import re

HIGHEST_GRADE = 12
_ROMAN = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII")
_NUMBER = rf"([0-9]{{1,2}}|{'|'.join(sorted(_ROMAN, key=len, reverse=True))})(?![0-9A-Z])"
_GRADE = re.compile(rf"(?:GRADES?|GR|G)?[\s.:\-]*{_NUMBER}(?:\s*(?:&|AND|/|-)\s*{_NUMBER})?(?P<rest>.*)")
_YEAR_BEHIND = re.compile(r"\s*(?:[(\-].*)?")


def normalise_grade_level(text: str) -> str:
    """`Grade 8` for `8`, `Gr. 8`, `G8`, `VIII` and `Grade 8 (Year II)`, which LIS cuts off; `Grade 1 & 2` for a class
    of two grades; `Kindergarten` for Kinder. Other text (SNED, ALS) stays as written."""
    text = " ".join(text.split())
    upper = text.upper()
    if upper.startswith("KINDER"):
        return "Kindergarten"
    match = _GRADE.fullmatch(upper)
    if not match:
        return text
    numbers = [_to_number(part) for part in match.groups()[:2] if part]
    names_grade = upper.startswith("G") or _YEAR_BEHIND.fullmatch(match["rest"])
    if not names_grade or not all(1 <= number <= HIGHEST_GRADE for number in numbers):
        return text
    return "Grade " + " & ".join(map(str, numbers))


def _to_number(part: str) -> int:
    return int(part) if part.isdigit() else _ROMAN.index(part) + 1
