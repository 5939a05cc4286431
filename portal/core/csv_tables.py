"""CSV parsing: text decoding, delimiter detection and tables with named columns, for uploaded or pasted data. Pure."""

import codecs
import csv
import io
import re
from collections.abc import Mapping, Sequence

from flask_babel import gettext as _

LINE_END = re.compile(r"\r\n?|\n")
DELIMITERS = ",;\t"


class CsvError(ValueError):
    """The data cannot be parsed. `code` says why, `facts` are the message's parameters; see `csv_error_message`."""

    def __init__(self, code: str, **facts: str) -> None:
        super().__init__(f"{code} {facts}" if facts else code)
        self.code = code
        self.facts = facts


def decode_text(data: bytes) -> str:
    """Text in UTF-8, UTF-16 or Windows-1252. Raises CsvError ("encoding", "binary")."""
    encoding = _detect_encoding(data)
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        before = data[: error.start].decode(encoding, "ignore")
        raise CsvError("encoding", line=str(len(LINE_END.findall(before)) + 1)) from error
    if "\0" in text:
        raise CsvError("binary")
    return text


def _detect_encoding(data: bytes) -> str:
    """The encoding by byte order mark or content; Windows-1252, which Excel writes here, for what is not UTF-8."""
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
        return "cp1252"
    return "utf-8"


def is_excel_separator_line(row: Sequence[str]) -> bool:
    """True for `sep=;`, a first line that tells Excel the delimiter."""
    return re.fullmatch(r"sep=.?", ",".join(row).strip().lower()) is not None


def parse_delimited_table(
    data: bytes, columns: Mapping[str, set[str]], *, max_rows: int
) -> list[tuple[int, dict[str, str]]]:
    """The rows below the header: line number and cells by column name, without empty rows.

    `columns` has for each column its accepted labels, lower-case letters only; all columns are required, in any order,
    and others are ignored. At most `max_rows` rows.

    Raises CsvError: "encoding", "binary", "quotes", "columns", "twice", "rows" or "empty".
    """
    text = LINE_END.sub("\n", decode_text(data))
    column_indexes: dict[str, int] = {}
    rows: list[tuple[int, dict[str, str]]] = []
    for number, row in _rows(text):
        if not any(cell.strip() for cell in row) or (not column_indexes and is_excel_separator_line(row)):
            continue
        if not column_indexes:
            column_indexes = _find_columns(row, columns)
            continue
        if len(rows) == max_rows:
            raise CsvError("rows", most=str(max_rows))
        cells = {
            name: " ".join(row[index].split()) if index < len(row) else "" for name, index in column_indexes.items()
        }
        rows.append((number, cells))
    if not rows:
        raise CsvError("empty")
    return rows


def _rows(text: str) -> list[tuple[int, list[str]]]:
    first_line = next((line for line in text.split("\n") if line.strip() and not is_excel_separator_line([line])), "")
    reader = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=max(DELIMITERS, key=first_line.count),
        strict=True,
        skipinitialspace=True,
    )
    rows, line = [], 1
    try:
        for row in reader:
            rows.append((line, row))
            line = reader.line_num + 1
    except csv.Error as error:
        raise CsvError("quotes", line=str(line)) from error
    return rows


def _find_columns(header: Sequence[str], columns: Mapping[str, set[str]]) -> dict[str, int]:
    indexes: dict[str, int] = {}
    for index, cell in enumerate(header):
        label = re.sub(r"[^a-z]", "", cell.lower())
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
