"""Data types of a parsed roster, and the cell parsers and checks shared by all file formats."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Literal

from portal.accounts.email_domain import EmailDomainError, normalise_school_email
from portal.classes.lis_names import LisName, fold_name, normalise_text
from portal.classes.roster_files.letters import (
    find_foreign_sign,
    has_broken_letters,
    remove_invisible,
    write_plain_punctuation,
)
from portal.classes.roster_files.remarks import ENTRY_CODES, PENDING, parse_remark

NAME_LIMIT = 120
CELL_LIMIT = 200  # characters of an LRN, name or sex; no real one is longer
REMARK_LIMIT = 600
EMAIL_LIMIT = 254
SHOWN_LIMIT = 40

Sex = Literal["M", "F"]
Cell = object  # what a cell holds: str, int, float, bool, a date or None
Rows = list[list[Cell]]

_NUMBER = re.compile(r"([0-9]+)(?:[.,]([0-9]+))?(?:E\+?([0-9]{1,2}))?", re.IGNORECASE)
_SCIENTIFIC = re.compile(r"[0-9]+(?:[.,][0-9]+)?E[+-]?[0-9]+", re.IGNORECASE)
_THOUSANDS = re.compile(r"[0-9]{1,3}(?:,[0-9]{3})+(?:\.0+)?")
_FORMULA_TEXT = re.compile(r'="?([^"=]*)"?')  # ="300123230001" keeps Excel from turning it into a number
_QUOTES_AROUND = "'\"`\u2018\u2019\u201c\u201d"
_MALE, _FEMALE = {"M", "MALE", "BOY", "LALAKI"}, {"F", "FEMALE", "GIRL", "BABAE"}
# School Form 1's other codes (CCT, SNED) hint at welfare and health, which attendance has no use for.
KEPT_CODES = frozenset({"T/I", "T/O", "DRP", "NLS", "LE", "B/A", "ACL", PENDING})


@dataclass(frozen=True)
class RowProblem:
    """A problem or warning of a file; `messages.problem_message` makes the sentence.

    `row` is the row number shown in Excel, or the line of a CSV; `column` its label.
    """

    row: int | None
    column: str | None
    code: str
    params: dict[str, str]


@dataclass(frozen=True)
class RosterRow:
    """One learner of the file. `lrn` is 12 digits or None; `problems` block the import, `warnings` do not."""

    row: int
    lrn: str | None
    lis_name: str
    last_name: str
    first_name: str
    middle_name: str
    extension: str
    sex: Sex | None
    email: str | None
    remark_code: str | None
    remark_date: date | None
    problems: tuple[RowProblem, ...]
    warnings: tuple[RowProblem, ...]
    # T/I or LE with its date, where the remark that decides is another one
    entry_code: str | None = None
    entry_date: date | None = None

    @property
    def entry(self) -> tuple[str | None, date | None]:
        """T/I or LE with its date, whether or not a later remark decides."""
        if self.remark_code in ENTRY_CODES:
            return self.remark_code, self.remark_date
        return self.entry_code, self.entry_date


@dataclass(frozen=True)
class RosterFile:
    """What is kept of an uploaded roster; the file itself is not."""

    source: Literal["sf1", "csv"]
    school_id: str | None
    school_name: str | None
    school_year: str | None
    grade_level: str | None
    section: str | None
    rows: tuple[RosterRow, ...]
    male_tally: int | None
    female_tally: int | None
    problems: tuple[RowProblem, ...]
    warnings: tuple[RowProblem, ...]

    @property
    def ok(self) -> bool:
        """True if neither the file nor any row has a problem, so that it may be imported."""
        return not self.problems and not any(row.problems for row in self.rows)


class RosterFileError(Exception):
    """The file cannot be parsed as a roster; `code` and `params` select the message, as in RowProblem."""

    def __init__(self, code: str, **params: str) -> None:
        super().__init__(code)
        self.code = code
        self.params = params


class RowNotes:
    """Collects problems and warnings of one row while it is parsed."""

    def __init__(self, row: int) -> None:
        self.row = row
        self.problems: list[RowProblem] = []
        self.warnings: list[RowProblem] = []

    def problem(self, column: str | None, code: str, **params: str) -> None:
        """Add a problem, which blocks the import."""
        self.problems.append(RowProblem(self.row, column, code, params))

    def warn(self, column: str | None, code: str, **params: str) -> None:
        """Add a warning."""
        self.warnings.append(RowProblem(self.row, column, code, params))


def cell_text(value: Cell) -> str:
    """A cell as normalised text: whole numbers without a decimal point, None as "", no signs that nobody sees."""
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return normalise_text(remove_invisible(str(value)))


def name_text(value: Cell) -> str:
    """A cell of a name: as `cell_text`, with plain apostrophes and hyphens. Broken letters stay, for `check_name_cell`
    to find: without its soft hyphen `GARCÃ\u00adA` would look like a name."""
    text = str(value) if isinstance(value, str) and has_broken_letters(value) else cell_text(value)
    return write_plain_punctuation(text) if not has_broken_letters(text) else text.strip()


def quote_cell(value: Cell) -> str:
    """A cell's text, truncated to 40 characters for use in a message."""
    text = cell_text(value)
    return text if len(text) <= SHOWN_LIMIT else text[: SHOWN_LIMIT - 1] + "…"


def is_cell_too_long(value: Cell, notes: RowNotes, *, column: str, limit: int = CELL_LIMIT) -> bool:
    """Note a problem for a cell that is longer than any real one, and say so."""
    if isinstance(value, str) and len(value) > limit:
        notes.problem(column, "cell_long", limit=str(limit))
        return True
    return False


def parse_lrn_cell(value: Cell, notes: RowNotes, *, may_be_pending: bool) -> str | None:
    """The 12-digit Learner Reference Number of a cell, or None with a problem or warning in `notes`.

    Excel shows a long number as 1.36425E+11; in a CSV saved from it the last digits are lost, so that is refused unless
    all twelve digits are written. The first digits are not compared with the school: learners keep their LRN when they
    transfer.
    """
    if is_cell_too_long(value, notes, column="LRN"):
        return None
    text = cell_text(value)
    if formula := _FORMULA_TEXT.fullmatch(text):
        text = formula[1]
    text = text.strip(_QUOTES_AROUND + " ")
    bare = _whole_number_text(re.sub(r"[\s\-\u2010-\u2015]", "", text) if not _SCIENTIFIC.fullmatch(text) else text)
    if not bare:
        if may_be_pending:
            notes.warn("LRN", "lrn_pending")
        else:
            notes.problem("LRN", "lrn_missing")
        return None
    if _SCIENTIFIC.fullmatch(bare):
        notes.problem("LRN", "lrn_scientific", value=quote_cell(bare))
    elif not (bare.isascii() and bare.isdigit()):
        notes.problem("LRN", "lrn_letters", value=quote_cell(text))
    elif len(bare) != 12:
        notes.problem("LRN", "lrn_length", value=quote_cell(bare), digits=str(len(bare)))
    else:
        return bare
    return None


def _whole_number_text(text: str) -> str:
    """The digits of a number that writes them all: 300123230001.0, 300,123,230,001, 3.00123230001E+11. Other text as it
    is."""
    if _THOUSANDS.fullmatch(text):
        text = text.replace(",", "")
    match = _NUMBER.fullmatch(text)
    if not match or not (match[2] or match[3]):
        return text
    whole, fraction, exponent = match[1], match[2] or "", int(match[3] or 0)
    if exponent and len(whole) + len(fraction) < len(whole) + exponent:
        return text  # digits were lost
    number = Decimal(f"{whole}.{fraction or 0}").scaleb(exponent)
    return str(int(number)).zfill(len(whole)) if number == int(number) else text


def parse_sex_cell(value: Cell, notes: RowNotes) -> Sex | None:
    """M or F from a cell (also Male, Female); None if it is blank, or unreadable with a problem noted."""
    if is_cell_too_long(value, notes, column="SEX"):
        return None
    text = cell_text(value).upper().removesuffix(".")
    if text in _MALE:
        return "M"
    if text in _FEMALE:
        return "F"
    if text:
        notes.problem("SEX", "sex_unknown", value=quote_cell(value))
    return None


def parse_email_cell(value: Cell, notes: RowNotes) -> str | None:
    """The address as written; `flag_foreign_addresses` removes those that may not join classes."""
    # Not `cell_text`: its NFC normalisation turns some other characters into ASCII letters.
    email = remove_invisible(value).strip() if isinstance(value, str) else cell_text(value)
    if len(email) > EMAIL_LIMIT:
        notes.problem("EMAIL", "email_long", limit=str(EMAIL_LIMIT))
        return None
    return email or None


@dataclass(frozen=True)
class RemarkValues:
    """The kept values of a remark, by the names of RosterRow's fields."""

    remark_code: str | None = None
    remark_date: date | None = None
    entry_code: str | None = None
    entry_date: date | None = None


def parse_remark_cell(value: Cell, notes: RowNotes, *, day_first_seen: bool) -> RemarkValues:
    """The code that decides and its date, and the T/I or LE beside it; other text is dropped.

    A leaving code without a date is no problem yet: whether a last day is missing depends on the roster.
    """
    if is_cell_too_long(value, notes, column="REMARKS", limit=REMARK_LIMIT):
        return RemarkValues()
    remark = parse_remark(remark_text(value), day_first_seen=day_first_seen)
    if remark.bad_date:
        notes.warn("REMARKS", "remark_date")
    if remark.may_leave:
        notes.warn("REMARKS", "remark_may_leave")
    has_other_entry = remark.entry_code is not None and remark.code not in ENTRY_CODES
    return RemarkValues(
        remark.code if remark.code in KEPT_CODES else None,
        remark.day,
        remark.entry_code if has_other_entry else None,
        remark.entry_day if has_other_entry else None,
    )


def remark_text(value: Cell) -> str:
    """A remark with its line ends, which part its codes."""
    return remove_invisible(value) if isinstance(value, str) else cell_text(value)


def check_name_cell(name: LisName, notes: RowNotes, *, column: str) -> None:
    """Note a problem for a name without last or first name, with a part over 120 characters, or with a sign that no
    name holds."""
    parts = (name.last, name.first, name.middle)
    if any(map(has_broken_letters, parts)):
        notes.problem(column, "name_broken", value=quote_cell(", ".join(part for part in parts if part)))
        return
    if not _has_letter(name.last) or not _has_letter(name.first):
        notes.problem(column, "name_half")
    if any(len(part) > NAME_LIMIT for part in parts):
        notes.problem(column, "name_long", limit=str(NAME_LIMIT))
    if sign := find_foreign_sign(" ".join(parts)):
        notes.problem(column, "name_sign", sign=sign if sign.isprintable() else f"U+{ord(sign):04X}")


def _has_letter(text: str) -> bool:
    return any(unicodedata.category(sign).startswith("L") for sign in text)


def flag_duplicate_rows(rows: Iterable[RosterRow]) -> tuple[RosterRow, ...]:
    """Flag repeats within the file: an LRN twice is a problem, a name or address twice a warning."""
    rows = list(rows)
    lrns = _first_row_by_key((row.lrn, row.row) for row in rows)
    names = _first_row_by_key((_name_key(row), row.row) for row in rows)
    emails = _first_row_by_key(((row.email or "").lower(), row.row) for row in rows)
    return tuple(_with_duplicate_flags(row, lrns, names, emails) for row in rows)


def _with_duplicate_flags(
    row: RosterRow, lrns: dict[str, int], names: dict[str, int], emails: dict[str, int]
) -> RosterRow:
    problems, warnings = list(row.problems), list(row.warnings)
    if row.lrn and lrns[row.lrn] != row.row:
        problems.append(RowProblem(row.row, "LRN", "lrn_twice", {"first": str(lrns[row.lrn]), "value": row.lrn}))
    elif (key := _name_key(row)) and names[key] != row.row:
        warnings.append(RowProblem(row.row, "NAME", "name_twice", {"first": str(names[key])}))
    if row.email and (first_row := emails[row.email.lower()]) != row.row:
        warnings.append(RowProblem(row.row, "EMAIL", "email_twice", {"first": str(first_row)}))
    return replace(row, problems=tuple(problems), warnings=tuple(warnings))


def flag_foreign_addresses(roster: RosterFile, domains: tuple[str, ...]) -> RosterFile:
    """Remove addresses outside `domains` and lower-case the others. The row stays, with a warning that says which
    address the learner joins with instead."""
    return replace(roster, rows=tuple(_with_school_address(row, domains) for row in roster.rows))


def _with_school_address(row: RosterRow, domains: tuple[str, ...]) -> RosterRow:
    if not row.email:
        return row
    try:
        return replace(row, email=normalise_school_email(row.email, domains))
    except EmailDomainError:
        notes, value, allowed = RowNotes(row.row), quote_cell(row.email), ", ".join(f"@{domain}" for domain in domains)
        if row.lrn:
            instead = f"{row.lrn}@{domains[0]}"
            notes.warn("EMAIL", "email_outside", value=value, domains=allowed, instead=instead)
        else:
            notes.warn("EMAIL", "email_outside_pending", value=value, domains=allowed)
        other_warnings = (warning for warning in row.warnings if warning.code != "email_twice")
        return replace(row, email=None, warnings=(*other_warnings, *notes.warnings))


def _first_row_by_key(pairs: Iterable[tuple[str | None, int]]) -> dict[str, int]:
    first_rows: dict[str, int] = {}
    for key, row in pairs:
        if key:
            first_rows.setdefault(key, row)
    return first_rows


def _name_key(row: RosterRow) -> str:
    return fold_name(f"{row.last_name} {row.first_name} {row.middle_name} {row.extension}")
