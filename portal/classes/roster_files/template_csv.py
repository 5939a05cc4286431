"""Parser of the portal's roster template: as CSV, as a pasted table, or with the same columns in a workbook."""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence

from portal.classes.lis_names import EXTENSIONS, lis_name, split_lis_name
from portal.classes.roster_files.rows import (
    EMAIL_LIMIT,
    MAX_COLUMNS,
    MAX_ROWS,
    PENDING,
    Cell,
    RosterFile,
    RosterFileError,
    RosterRow,
    RowNotes,
    cell_text,
    check_name_cell,
    flag_duplicate_rows,
    parse_lrn_cell,
    parse_remark_cell,
    parse_sex_cell,
    quote_cell,
)
from portal.core import csv_tables

TEMPLATE_COLUMNS = ("LRN", "LastName", "FirstName", "MiddleName", "Extension", "Sex", "Email", "Remarks")
_REQUIRED = {"lrn": "LRN", "last": "LastName", "first": "FirstName", "sex": "Sex"}
_COLUMN_LABELS = {
    "lrn": {"lrn", "learnerreferencenumber"},
    "last": {"lastname", "surname", "familyname"},
    "first": {"firstname", "givenname", "givennames"},
    "middle": {"middlename"},
    "extension": {"extension", "nameextension", "extensionname", "suffix"},
    "name": {"name", "namelastnamefirstnamemiddlename"},
    "sex": {"sex", "sexmf", "gender"},
    "email": {"email", "emailaddress"},
    "remarks": {"remarks"},
}
_HEADING_LINES = 10


def roster_csv_template() -> str:
    """The empty template. Send it as `utf-8-sig`: Excel reads plain UTF-8 as Windows-1252."""
    return ",".join(TEMPLATE_COLUMNS) + "\r\n"


def parse_roster_csv(data: bytes) -> RosterFile:
    """Parse a CSV in UTF-8, UTF-16 or Windows-1252, separated by comma, semicolon or tab, with columns in any order.

    Raises RosterFileError if the encoding is unknown, quotes do not close, a column is missing or repeated, or there is
    no learner.
    """
    text = csv_tables.LINE_END.sub("\n", _decode(data))
    lines = _rows(text, _delimiter(text))
    for _, header in lines:
        if any(cell.strip() for cell in header) and not csv_tables.is_excel_separator_line(header):
            return parse_template_rows(header, lines)
    raise RosterFileError("empty")


def has_template_columns(header: Sequence[Cell]) -> bool:
    """True if the header row is the template's, not School Form 1's."""
    return {"lrn", "last", "first"} <= {_column_key(cell) for cell in header}


def parse_template_rows(header: Sequence[Cell], rows: Iterable[tuple[int, Sequence[Cell]]]) -> RosterFile:
    """Parse a table with the template's columns; `rows` are numbered as Excel shows them.

    Raises RosterFileError if a column is missing or repeated, there are too many rows, or there is no learner.
    """
    columns = _columns(header)
    width = len(header)
    parsed_rows = [_read_row(RowNotes(number), row, columns, width) for number, row in rows if any(map(cell_text, row))]
    if not parsed_rows:
        raise RosterFileError("no_learners")
    return RosterFile(
        source="csv",
        school_id=None,
        school_name=None,
        school_year=None,
        grade_level=None,
        section=None,
        rows=flag_duplicate_rows(parsed_rows),
        male_tally=None,
        female_tally=None,
        problems=(),
        warnings=(),
    )


# --- text to cells -----------------------------------------------------------------------------------------


def _decode(data: bytes) -> str:
    try:
        return csv_tables.decode_text(data)
    except csv_tables.CsvError as error:
        if error.code == "encoding":
            raise RosterFileError("encoding", line=error.facts["line"]) from error
        raise RosterFileError("not_spreadsheet") from error


def _delimiter(text: str) -> str:
    """The delimiter that splits the first line with letters into the most known columns."""
    lines = (
        line
        for line in text.split("\n")
        if any(map(str.isalpha, line)) and not csv_tables.is_excel_separator_line([line])
    )
    header = next(lines, "")
    return max(
        csv_tables.DELIMITERS, key=lambda sign: sum(_column_key(cell) is not None for cell in header.split(sign))
    )


def _rows(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """The rows, each with the number of its first line."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = 1
    try:
        for row in reader:
            if len(row) > MAX_COLUMNS or line > MAX_ROWS + _HEADING_LINES:
                raise RosterFileError("sheet_size", rows=str(MAX_ROWS), columns=str(MAX_COLUMNS))
            yield line, row
            line = reader.line_num + 1
    except csv.Error as error:
        raise RosterFileError("csv_quotes", line=str(line)) from error


# --- cells to rows -----------------------------------------------------------------------------------------


def _column_key(cell: Cell) -> str | None:
    label = re.sub(r"[^a-z]", "", cell_text(cell).lower())
    return next((key for key, labels in _COLUMN_LABELS.items() if label in labels), None)


def _columns(header: Sequence[Cell]) -> dict[str, int]:
    columns: dict[str, int] = {}
    for index, cell in enumerate(header):
        key = _column_key(cell)
        if key in columns:
            raise RosterFileError("column_twice", column=quote_cell(cell))
        if key:
            columns[key] = index
    missing = [label for key, label in _REQUIRED.items() if key not in columns]
    if "name" in columns:
        missing = [label for label in missing if label not in {"LastName", "FirstName"}]
    if missing:
        raise RosterFileError("columns_missing", columns=", ".join(missing))
    return columns


def _read_row(notes: RowNotes, row: Sequence[Cell], columns: dict[str, int], width: int) -> RosterRow:
    cells = {key: row[index] if index < len(row) else None for key, index in columns.items()}
    if any(map(cell_text, row[width:])):
        notes.problem(None, "cells_extra", expected=str(width))
    code, remark_date = parse_remark_cell(cells.get("remarks"), notes)
    name_text = _lis_name(cells, notes)
    name = split_lis_name(name_text)
    sex = parse_sex_cell(cells["sex"], notes)
    if not cell_text(cells["sex"]):
        notes.problem("SEX", "sex_missing")
    return RosterRow(
        row=notes.row,
        lrn=parse_lrn_cell(cells["lrn"], notes, may_be_pending=code == PENDING),
        lis_name=name_text,
        last_name=name.last,
        first_name=name.first,
        middle_name=name.middle,
        extension=name.extension,
        sex=sex,
        email=_read_email(cells.get("email"), notes),
        remark_code=code,
        remark_date=remark_date,
        problems=tuple(notes.problems),
        warnings=tuple(notes.warnings),
    )


def _lis_name(cells: dict[str, Cell], notes: RowNotes) -> str:
    """The name as LIS would print it, in capitals, from its parts or from a single NAME column."""
    last, first, middle, extension = (
        cell_text(cells.get(key)).upper() for key in ("last", "first", "middle", "extension")
    )
    full_name = cell_text(cells.get("name")).upper()
    if full_name and not last and not first:
        return _check_full_name(full_name, notes)
    for column, part in (("LASTNAME", last), ("FIRSTNAME", first)):
        if not part:
            notes.problem(column, "name_missing")
    if any("," in part for part in (last, first, middle)):
        notes.problem("NAME", "name_comma_inside")
    extension = _read_extension(extension, notes)
    # Extensions are often typed after the given names, so split the joined name again.
    name = split_lis_name(lis_name(last, first, "" if middle == "-" else middle, extension))
    if last and first:
        check_name_cell(name, notes, column="NAME")
    return lis_name(name.last, name.first, name.middle, name.extension)


def _check_full_name(full_name: str, notes: RowNotes) -> str:
    if "," not in full_name:
        notes.problem("NAME", "name_comma", value=quote_cell(full_name))
    else:
        check_name_cell(split_lis_name(full_name), notes, column="NAME")
    return full_name


def _read_extension(text: str, notes: RowNotes) -> str:
    bare = text.removesuffix(".")
    if bare in {"", "-"}:
        return ""
    if bare not in EXTENSIONS:
        notes.problem("EXTENSION", "extension_unknown", value=quote_cell(text))
        return ""
    return bare


def _read_email(cell: Cell, notes: RowNotes) -> str | None:
    """The address as written; `flag_foreign_addresses` removes those that may not join classes."""
    # Not `cell_text`: its NFC normalisation turns some other characters into ASCII letters.
    email = cell.strip() if isinstance(cell, str) else cell_text(cell)
    if len(email) > EMAIL_LIMIT:
        notes.problem("EMAIL", "email_long", limit=str(EMAIL_LIMIT))
        return None
    return email or None
