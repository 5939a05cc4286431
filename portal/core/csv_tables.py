"""The one reader of delimited text, uploaded or pasted: encoding, delimiter, rows with their lines, columns. Pure."""

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice

from flask_babel import gettext as _

from portal.core.text_encoding import (
    INVISIBLE,
    LINE_END,
    UndecodableText,
    has_broken_letters,
)
from portal.core.text_encoding import decode_text as decode_bytes

DELIMITERS = ",;\t|"
_HEADING_LINES = 60  # the names of the columns stand among the first lines


class CsvError(ValueError):
    """The data cannot be parsed. `code` says why, `facts` are the message's parameters; see `csv_error_message`."""

    def __init__(self, code: str, **facts: str) -> None:
        super().__init__(f"{code} {facts}" if facts else code)
        self.code = code
        self.facts = facts


def decode_text(data: bytes, *, refuse_doubtful: bool = True) -> str:
    """The text in its encoding, see `portal.core.text_encoding`. Raises CsvError ("encoding", "binary")."""
    try:
        text = decode_bytes(data, refuse_doubtful=refuse_doubtful)
    except UndecodableText as error:
        raise CsvError("binary" if b"\0" in data else "encoding", line=str(error.line)) from error
    if "\0" in text:
        raise CsvError("binary")
    return text


def read_delimited_rows(
    text: str, is_column: Callable[[str], bool], *, strict: bool = True
) -> Iterator[tuple[int, list[str]]]:
    """All rows, each with the number of its first line; `sep=;`, which tells Excel the delimiter, is an empty
    one.

    The delimiter is the one with which a row among the first lines has the most cells that are known columns. With
    `strict`, quotes that do not match raise CsvError("quotes"); otherwise they are read as they stand.
    """
    text = LINE_END.sub("\n", text)
    counts = {sign: _count_columns(text, sign, is_column) for sign in DELIMITERS}
    delimiter = max(DELIMITERS, key=lambda sign: counts[sign])
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=strict, skipinitialspace=True)
    line, is_first = 1, True
    try:
        for row in reader:
            has_text = any(cell.strip() for cell in row)
            yield line, [] if is_first and is_excel_separator_line(row) else row
            is_first = is_first and not has_text
            line = reader.line_num + 1
    except csv.Error as error:
        raise CsvError("quotes", line=str(line)) from error


def _count_columns(text: str, delimiter: str, is_column: Callable[[str], bool]) -> int:
    """The most known columns that a row among the first lines has with this delimiter."""
    lines = (line for line in islice(io.StringIO(text, newline=""), _HEADING_LINES))
    try:
        return max(
            (sum(map(is_column, row)) for row in csv.reader(lines, delimiter=delimiter, skipinitialspace=True)),
            default=0,
        )
    except csv.Error:
        return 0


def is_excel_separator_line(row: Sequence[str]) -> bool:
    """True for `sep=;`, a first line that tells Excel the delimiter."""
    return re.fullmatch(r"sep=.?", ",".join(row).strip().lower()) is not None


def parse_delimited_table(
    data: bytes, columns: Mapping[str, set[str]], *, max_rows: int
) -> list[tuple[int, dict[str, str]]]:
    """The rows below the header: line number and cells by column name, without empty rows.

    `columns` has for each column its accepted labels, lower-case letters only; all columns are required, in any order,
    and others are ignored. At most `max_rows` rows.

    Raises CsvError: "encoding", "binary", "broken", "quotes", "columns", "twice", "rows" or "empty".
    """
    column_indexes: dict[str, int] = {}
    rows: list[tuple[int, dict[str, str]]] = []
    known = {label for labels in columns.values() for label in labels}
    for number, row in read_delimited_rows(decode_text(data), lambda cell: _label(cell) in known):
        if not any(cell.strip() for cell in row):
            continue
        if not column_indexes:
            column_indexes = _find_columns(row, columns)
            continue
        if len(rows) == max_rows:
            raise CsvError("rows", most=str(max_rows))
        cells = {name: _cell_text(row[index]) if index < len(row) else "" for name, index in column_indexes.items()}
        if any(map(has_broken_letters, cells.values())):
            raise CsvError("broken", line=str(number))
        rows.append((number, cells))
    if not rows:
        raise CsvError("empty")
    return rows


def _label(cell: str) -> str:
    return re.sub(r"[^a-z]", "", cell.lower())


def _cell_text(cell: str) -> str:
    """A cell with single spaces and without signs that nobody sees, unless its letters are broken."""
    return " ".join((cell if has_broken_letters(cell) else INVISIBLE.sub("", cell)).split())


def _find_columns(header: Sequence[str], columns: Mapping[str, set[str]]) -> dict[str, int]:
    indexes: dict[str, int] = {}
    for index, cell in enumerate(header):
        label = _label(cell)
        name = next((name for name, labels in columns.items() if label in labels), None)
        if name in indexes:
            raise CsvError("twice", column=" ".join(cell.split())[:40])
        if name:
            indexes[name] = index
    missing = [name.replace("_", " ") for name in columns if name not in indexes]
    if missing:
        raise CsvError("columns", missing=", ".join(missing))
    return indexes


def csv_error_message(error: CsvError) -> str:
    """The translated message: what is wrong, and what to do."""
    messages = {
        "encoding": _(
            "Line %(line)s has a sign that cannot be read. Save the file again as “CSV UTF-8”.",
            line=error.facts.get("line"),
        ),
        "broken": _(
            "Line %(line)s has letters that were broken when the file was saved. Write them again.",
            line=error.facts.get("line"),
        ),
        "binary": _("This is not a CSV file. In Excel choose “Save as”, then “CSV UTF-8”."),
        "quotes": _("A quotation mark that opens on line %(line)s does not close.", line=error.facts.get("line")),
        "columns": _(
            "These columns are missing: %(missing)s. The first line names the columns; take the template.",
            missing=error.facts.get("missing"),
        ),
        "twice": _("The column %(column)s is there twice. Take one of them out.", column=error.facts.get("column")),
        "rows": _("More than %(most)s rows. Bring them in several files.", most=error.facts.get("most")),
        "empty": _("There is no row under the names of the columns."),
    }
    return messages[error.code]
