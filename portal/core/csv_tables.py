"""Tables that people bring as CSV from any program, or paste: bytes to text, text to rows. Pure."""

import codecs
import csv
import io
import re
from collections.abc import Mapping, Sequence

from flask_babel import gettext as _

LINE_END = re.compile(r"\r\n?|\n")
DELIMITERS = ",;\t"


class CsvError(ValueError):
    """Nothing can be made of it. `code` says why, `facts` what was found; `csv_error_message` puts them into words."""

    def __init__(self, code: str, **facts: str) -> None:
        super().__init__(f"{code} {facts}" if facts else code)
        self.code = code
        self.facts = facts


def decode_text(data: bytes) -> str:
    """Text in UTF-8, UTF-16 or Windows-1252. Raises CsvError ("encoding", "binary")."""
    encoding = _encoding(data)
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        before = data[: error.start].decode(encoding, "ignore")
        raise CsvError("encoding", line=str(len(LINE_END.findall(before)) + 1)) from error
    if "\0" in text:
        raise CsvError("binary")
    return text


def _encoding(data: bytes) -> str:
    """What the bytes say they are; Windows-1252, which Excel writes here, for what is not UTF-8."""
    if data.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    start = data[:400]
    if start[1::2].count(0) * 3 > len(start):  # every other byte is zero: UTF-16 without its mark
        return "utf-16-le"
    if start[::2].count(0) * 3 > len(start):
        return "utf-16-be"
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8"


def is_excel_separator_line(row: Sequence[str]) -> bool:
    """`sep=;` as a first line tells Excel how to read the rest."""
    return re.fullmatch(r"sep=.?", ",".join(row).strip().lower()) is not None


def parse_delimited_table(
    data: bytes, columns: Mapping[str, set[str]], *, most: int
) -> list[tuple[int, dict[str, str]]]:
    """The rows under the header, each with the number of its line and its cells by column, without empty rows.

    `columns` gives each column the words that may head it, in letters only and small; all of them must be there,
    in any order, and others are passed over. At most `most` rows.

    Raises:
        TableUnreadable: "encoding", "binary", "quotes", "columns", "twice", "rows" or "empty".
    """
    text = LINE_END.sub("\n", decode_text(data))
    places: dict[str, int] = {}
    rows: list[tuple[int, dict[str, str]]] = []
    for number, row in _rows(text):
        if not any(cell.strip() for cell in row) or (not places and is_excel_separator_line(row)):
            continue
        if not places:
            places = _places(row, columns)
            continue
        if len(rows) == most:
            raise CsvError("rows", most=str(most))
        cells = {name: " ".join(row[at].split()) if at < len(row) else "" for name, at in places.items()}
        rows.append((number, cells))
    if not rows:
        raise CsvError("empty")
    return rows


def _rows(text: str) -> list[tuple[int, list[str]]]:
    first = next((line for line in text.split("\n") if line.strip() and not is_excel_separator_line([line])), "")
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=max(DELIMITERS, key=first.count), strict=True, skipinitialspace=True
    )
    rows, line = [], 1
    try:
        for row in reader:
            rows.append((line, row))
            line = reader.line_num + 1
    except csv.Error as error:
        raise CsvError("quotes", line=str(line)) from error
    return rows


def _places(header: Sequence[str], columns: Mapping[str, set[str]]) -> dict[str, int]:
    places: dict[str, int] = {}
    for at, cell in enumerate(header):
        word = re.sub(r"[^a-z]", "", cell.lower())
        name = next((name for name, words in columns.items() if word in words), None)
        if name in places:
            raise CsvError("twice", column=" ".join(cell.split())[:40])
        if name:
            places[name] = at
    missing = [name.replace("_", " ") for name in columns if name not in places]
    if missing:
        raise CsvError("columns", missing=", ".join(missing))
    return places


def csv_error_message(error: CsvError) -> str:
    """Why nothing can be made of it, and what to do."""
    words = {
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
    return words[error.code]
