"""Parser of School Form 1's REMARKS cells: codes with their dates, in the forms that LIS and teachers write them.

A cell may hold several remarks, parted by line ends, `<br>`, semicolons or by nothing at all
(`T/I DATE:2026-06-08T/O DATE:2026/09/09`). The code with the latest date decides. Codes: the list printed at the foot
of School Form 1 (DO 4, s. 2014), with NLS and NLPA, which later forms print for DRP.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

LEAVING_CODES = ("T/O", "DRP", "NLS")
ENTRY_CODES = ("T/I", "LE")
PENDING = "PENDING"

_DATE_BEHIND = r"(?=[\s:\-–.,(]*(?:DATE|ON\b|[0-9]|JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC|$))"
_PART_START = r"(?:^|(?<=[\n;|,/]))\s*"
# Two letters are a code only where nothing else is meant by them: "TO" and "LE" also stand in names of schools.
_ALONE = r"(?<![A-Z])"
_END = r"(?=$|[^A-Z]|DATE|T\s*/|DRP|NL[SP]|LE\b)"  # glued to the next remark, or to nothing
_CODES: tuple[tuple[str, str], ...] = (
    (PENDING, r"PENDING(?:\s+T\s*/?\s*I\b)?"),
    ("T/O", rf"T\s*[/\\|]\s*O{_END}|{_ALONE}T\s*[.\-]\s*O\b\.?|{_ALONE}TRANSFER(?:RED|S)?[\s\-]*(?:OUT|TO)\b"),
    ("T/O", rf"{_PART_START}T\.?O\b{_DATE_BEHIND}"),
    (
        "T/I",
        rf"T\s*[/\\|]\s*I{_END}|{_ALONE}T\s*[.\-]\s*I\b\.?|{_ALONE}TRANSFER(?:RED|S)?[\s\-]*(?:IN|FROM)\b|TRANSFEREE\b",
    ),
    ("T/I", rf"{_PART_START}T\.?I\b{_DATE_BEHIND}"),
    ("DRP", rf"DRP{_END}|{_ALONE}DROP(?:PED)?[\s\-]*(?:OUT)?\b"),
    ("NLS", rf"NLS{_END}|NLPA{_END}|{_ALONE}N\.L\.S\b\.?|{_ALONE}NO\s+LONGER\s+(?:IN|PARTICIPATING)\b"),
    ("LE", rf"{_PART_START}L\.?E\b\.?|{_ALONE}LE\b{_DATE_BEHIND}|{_ALONE}LE(?=DATE|[0-9])|{_ALONE}LATE\s+ENROL\w*"),
    ("B/A", rf"{_ALONE}B\s*/\s*A\b|BALIK[\s\-]*ARAL\b"),
    ("ACL", rf"{_ALONE}ACL\b|ACCELERATED\b"),
)
_CODE = re.compile("|".join(f"(?P<c{number}>{pattern})" for number, (_, pattern) in enumerate(_CODES)), re.ASCII)
# Words of leaving without a code; a reader must not take them for "no remark".
_LEAVING_WORD = re.compile(r"\b(?:MOVED|TRANSFER\w*|WITHDR[AE]W\w*|LEFT|DECEASED|DIED|DROPS)\b")
_MONTHS = (
    ("JAN", "ENE"), ("FEB", "PEB"), ("MAR",), ("APR", "ABR"), ("MAY",), ("JUN", "HUN"), ("JUL", "HUL"),
    ("AUG", "AGO"), ("SEP", "SET"), ("OCT", "OKT"), ("NOV", "NOB"), ("DEC", "DIS"),
)  # fmt: skip
_MONTH_NUMBERS = {name: number for number, names in enumerate(_MONTHS, 1) for name in names}
_MONTH_NAME = rf"(?P<month>{'|'.join(_MONTH_NUMBERS)})[A-Z]{{0,7}}\.?"
_SEPARATOR = r"\s*[-/.–]\s*"
_DATES = (
    re.compile(rf"(?<![0-9])(?P<year>20[0-9]{{2}}){_SEPARATOR}(?P<m>[0-9]{{1,2}}){_SEPARATOR}(?P<d>[0-9]{{1,2}})(?![0-9])"),
    re.compile(rf"(?<![0-9])(?P<m>[0-9]{{1,2}}){_SEPARATOR}(?P<d>[0-9]{{1,2}}){_SEPARATOR}(?P<year>20[0-9]{{2}}|[0-9]{{2}})(?![0-9])"),
    re.compile(rf"\b{_MONTH_NAME}[\s\-/.]*(?P<d>[0-9]{{1,2}})(?:ST|ND|RD|TH)?[\s,\-/.]+(?P<year>20[0-9]{{2}})(?![0-9])"),
    re.compile(
        rf"(?<![0-9])(?P<d>[0-9]{{1,2}})(?:ST|ND|RD|TH)?[\s\-/.]*(?:OF\s+)?{_MONTH_NAME}[\s,\-/.]*(?P<year>20[0-9]{{2}}|[0-9]{{2}})(?![0-9])"
    ),
    re.compile(r"(?<![0-9])(?P<year>20[0-9]{2})(?P<m>[0-9]{2})(?P<d>[0-9]{2})(?![0-9])"),
)  # fmt: skip
_NUMBERS_ONLY = _DATES[1]


@dataclass(frozen=True)
class Remark:
    """What a cell says. `code` and `day` are those that decide (`day` None: no readable date); `entry_code` and
    `entry_day` those of a T/I or LE beside them. `bad_date`: a date is written that cannot be read. `may_leave`: words
    of leaving, but no code."""

    code: str | None = None
    day: date | None = None
    entry_code: str | None = None
    entry_day: date | None = None
    bad_date: bool = False
    may_leave: bool = False


@dataclass(frozen=True)
class _Found:
    code: str
    day: date | None


def parse_remark(text: str, *, day_first_seen: bool = False) -> Remark:
    """The codes and dates of a whole cell.

    Dates in figures are read month first, as in the Philippine locale of Excel, unless only the other order is
    possible. With `day_first_seen`, where another cell of the file shows that it writes the day first, a date that
    could be either is not read at all.
    """
    text = _normalise(text)
    found = _find_codes(text, day_first_seen=day_first_seen)
    bad_date = any(one.day is None for one in found if one.code != PENDING) and re.search(r"[0-9]", text) is not None
    if not found:
        return Remark(may_leave=_LEAVING_WORD.search(text) is not None)
    deciding = _choose_deciding(found)
    entries = [one for one in found if one.code in ENTRY_CODES]
    entry = max(entries, key=lambda one: one.day or date.min) if entries else None
    return Remark(
        deciding.code,
        deciding.day,
        entry.code if entry else None,
        entry.day if entry else None,
        bad_date=bad_date,
        may_leave=deciding.code not in LEAVING_CODES and _LEAVING_WORD.search(_CODE.sub(" ", text)) is not None,
    )


def shows_day_first(texts: Iterable[str]) -> bool:
    """True if any date in figures has a first number above 12, so that only day, month, year can be meant."""
    matches = (match for text in texts for match in _NUMBERS_ONLY.finditer(_normalise(text)))
    return any(int(match["m"]) > 12 and int(match["d"]) <= 12 for match in matches)


def _normalise(text: str) -> str:
    text = re.sub(r"<[^<>]{0,20}>", "\n", text.upper().replace("\u00a0", " "))
    return re.sub(r"[\r\n\v\f\u2028\u2029]+", "\n", text).strip()


def _choose_deciding(found: list[_Found]) -> _Found:
    """A leaving code without a date first, as only a person can say when it was; else the latest date, of the same date
    the later in the cell; else the first code, as LIS writes it."""
    for one in found:
        if one.code in LEAVING_CODES and one.day is None:
            return one
    dated = [one for one in found if one.day and one.code != PENDING]
    if any(one.code == PENDING for one in found) and not any(one.code in LEAVING_CODES for one in dated):
        return next(one for one in found if one.code == PENDING)  # excuses a blank LRN; the entry keeps its date
    if not dated:
        return next((one for one in found if one.code in ENTRY_CODES), found[0])
    return max(enumerate(dated), key=lambda pair: (pair[1].day or date.min, pair[0]))[1]


def _find_codes(text: str, *, day_first_seen: bool) -> list[_Found]:
    """The codes in their order, each with the first date behind it; where dates stand before the codes, with the last
    one before it."""
    codes = list(_CODE.finditer(text))
    if not codes:
        return []
    starts = [*(match.start() for match in codes[1:]), len(text)]
    gaps = [text[match.end() : start] for match, start in zip(codes, starts, strict=True)]
    before = text[: codes[0].start()]
    dates = [_read_dates(gap, day_first_seen=day_first_seen) for gap in (before, *gaps)]
    dates_lead = bool(dates[0]) and not dates[-1]
    days = dates[:-1] if dates_lead else dates[1:]
    pick = -1 if dates_lead else 0
    found = [_Found(_code_of(match), day[pick] if day else None) for match, day in zip(codes, days, strict=True)]
    # "T/O Transferred Out DATE:..." says one thing twice
    said_twice = {index for index, (one, after) in enumerate(pairwise(found)) if one.code == after.code and not one.day}
    return [one for index, one in enumerate(found) if index not in said_twice]


def _code_of(match: re.Match[str]) -> str:
    return _CODES[int((match.lastgroup or "c0")[1:])][0]


def _read_dates(text: str, *, day_first_seen: bool) -> list[date | None]:
    """The dates of a text in their order; None for one that is no day of the calendar, or could be two."""
    found: list[tuple[int, date | None]] = []
    taken: list[range] = []
    for pattern in _DATES:
        for match in pattern.finditer(text):
            if not any(match.start() in span or match.end() - 1 in span for span in taken):
                taken.append(range(*match.span()))
                found.append((match.start(), _to_date(match, day_first_seen=day_first_seen)))
    return [day for _, day in sorted(found, key=lambda pair: pair[0])]


def _to_date(match: re.Match[str], *, day_first_seen: bool) -> date | None:
    values = match.groupdict()
    year, day = int(values["year"]), int(values["d"])
    month = _MONTH_NUMBERS[values["month"]] if values.get("month") else int(values["m"])
    if match.re is _NUMBERS_ONLY:
        if month > 12 and day <= 12:
            month, day = day, month
        elif day_first_seen and month != day and day <= 12:
            return None
    try:
        return date(year + 2000 if year < 100 else year, month, day)
    except ValueError:
        return None
