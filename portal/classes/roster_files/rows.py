"""Data types of a parsed roster, and the cell parsers and checks shared by all file formats."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal

from portal.accounts.email_domain import EmailDomainError, normalise_school_email
from portal.classes.lis_names import LisName, fold_name, normalise_text

MAX_ROWS = 5_000
MAX_COLUMNS = 50  # School Form 1 has 47
MAX_SHEETS = 12  # of a workbook are read; an LIS export has one
NAME_LIMIT = 120
EMAIL_LIMIT = 254
SHOWN_LIMIT = 40

Sex = Literal["M", "F"]
Cell = object  # what a cell holds: str, int, float, bool, a date or None
Rows = list[list[Cell]]

# The codes of the list printed at the foot of School Form 1, less CCT and SNED: those hint at welfare and
# health, which attendance has no use for.
_REMARK = re.compile(r"(T/I|T/O|DRP|LE|B/A|ACL)\b")
_PENDING = re.compile(r"PENDING\b")
_REMARK_DATE = re.compile(r"DATE:\s*(\d{4})-(\d\d)-(\d\d)")
_SCIENTIFIC = re.compile(r"\d+(?:\.\d+)?E[+-]?\d+", re.IGNORECASE)
PENDING = "PENDING"


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
    """A cell as normalised text: whole numbers without a decimal point, None as ""."""
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return normalise_text(str(value))


def quote_cell(value: Cell) -> str:
    """A cell's text, truncated to 40 characters for use in a message."""
    text = cell_text(value)
    return text if len(text) <= SHOWN_LIMIT else text[: SHOWN_LIMIT - 1] + "…"


def parse_lrn_cell(value: Cell, notes: RowNotes, *, may_be_pending: bool) -> str | None:
    """The 12-digit Learner Reference Number of a cell, or None with a problem or warning in `notes`.

    Excel shows a long number as 1.36425E+11; in a CSV saved from it the last digits are lost, so that is refused. The
    first digits are not compared with the school: learners keep their LRN when they transfer.
    """
    text = cell_text(value).lstrip("'")
    bare = re.sub(r"[\s-]", "", text).removesuffix(".0")
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


def parse_sex_cell(value: Cell, notes: RowNotes) -> Sex | None:
    """M or F from a cell (also Male, Female); None if it is blank, or unreadable with a problem noted."""
    text = cell_text(value).upper().removesuffix(".")
    if text in {"M", "MALE"}:
        return "M"
    if text in {"F", "FEMALE"}:
        return "F"
    if text:
        notes.problem("SEX", "sex_unknown", value=quote_cell(value))
    return None


def parse_remark_cell(value: Cell, notes: RowNotes) -> tuple[str | None, date | None]:
    """The code of a remark (T/I, T/O, DRP, LE, B/A, ACL, PENDING) and its date; other text is dropped.

    Some exports separate several remarks of a cell with `<br>` tags.
    """
    for part in re.split(r"<[^>]{0,20}>|[;\r\n]", str(value or "").upper()):
        part = part.strip()
        match = _REMARK.match(part)
        if not match and not _PENDING.match(part):
            continue
        return (match.group(1) if match else PENDING), _remark_date(part, notes)
    return None, None


def check_name_cell(name: LisName, notes: RowNotes, *, column: str) -> None:
    """Note a problem for a name without last or first name, or with a part over 120 characters."""
    if not name.last or not name.first:
        notes.problem(column, "name_half")
    if any(len(part) > NAME_LIMIT for part in (name.last, name.first, name.middle)):
        notes.problem(column, "name_long", limit=str(NAME_LIMIT))


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


def _remark_date(part: str, notes: RowNotes) -> date | None:
    match = _REMARK_DATE.search(part)
    if not match:
        return None
    try:
        return date(*(int(number) for number in match.groups()))
    except ValueError:
        notes.warn("REMARKS", "remark_date")
        return None
