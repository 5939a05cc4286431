"""The portal's roster template: a CSV from any program, a pasted table, or its columns in a workbook."""

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
_COLUMN_WORDS = {
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
    """The empty template to download. Send it as `utf-8-sig`: Excel takes plain UTF-8 for Windows-1252."""
    return ",".join(TEMPLATE_COLUMNS) + "\r\n"


def parse_roster_csv(data: bytes) -> RosterFile:
    """A roster from text in UTF-8, UTF-16 or Windows-1252; parted by comma, semicolon or tab.

    Line ends and the order of the columns do not matter.

    Raises:
        RosterUnreadable: the encoding is unknown, quotes do not close, a column is missing or named twice, or
            there is no learner.
    """
    text = csv_tables.LINE_END.sub("\n", _decode(data))
    lines = _rows(text, _delimiter(text))
    for _, header in lines:
        if any(cell.strip() for cell in header) and not csv_tables.is_excel_separator_line(header):
            return parse_template_rows(header, lines)
    raise RosterFileError("empty")


def has_template_columns(header: Sequence[Cell]) -> bool:
    """True when a header row is the template's rather than School Form 1's."""
    return {"lrn", "last", "first"} <= {_column_key(cell) for cell in header}


def parse_template_rows(header: Sequence[Cell], rows: Iterable[tuple[int, Sequence[Cell]]]) -> RosterFile:
    """The roster of a table with the template's columns; `rows` are numbered as a person sees them.

    Raises:
        RosterUnreadable: a column is missing or named twice, there are too many rows, or there is no learner.
    """
    columns = _columns(header)
    width = len(header)
    read = [_read_row(RowNotes(number), row, columns, width) for number, row in rows if any(map(cell_text, row))]
    if not read:
        raise RosterFileError("no_learners")
    return RosterFile(
        source="csv",
        school_id=None,
        school_name=None,
        school_year=None,
        grade_level=None,
        section=None,
        rows=flag_duplicate_rows(read),
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
    """The sign that parts the first line with letters into the most columns we know."""
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
    """The rows with the number of the line each begins on."""
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
    word = re.sub(r"[^a-z]", "", cell_text(cell).lower())
    return next((key for key, words in _COLUMN_WORDS.items() if word in words), None)


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
    code, on = parse_remark_cell(cells.get("remarks"), notes)
    written = _lis_name(cells, notes)
    name = split_lis_name(written)
    sex = parse_sex_cell(cells["sex"], notes)
    if not cell_text(cells["sex"]):
        notes.problem("SEX", "sex_missing")
    return RosterRow(
        row=notes.row,
        lrn=parse_lrn_cell(cells["lrn"], notes, may_be_pending=code == PENDING),
        lis_name=written,
        last_name=name.last,
        first_name=name.first,
        middle_name=name.middle,
        extension=name.extension,
        sex=sex,
        email=_read_email(cells.get("email"), notes),
        remark_code=code,
        remark_date=on,
        problems=tuple(notes.problems),
        warnings=tuple(notes.warnings),
    )


def _lis_name(cells: dict[str, Cell], notes: RowNotes) -> str:
    """The name as the LIS would print it, in capitals, from its parts or from a single NAME column."""
    last, first, middle, extension = (
        cell_text(cells.get(key)).upper() for key in ("last", "first", "middle", "extension")
    )
    whole = cell_text(cells.get("name")).upper()
    if whole and not last and not first:
        return _whole_name(whole, notes)
    for column, part in (("LASTNAME", last), ("FIRSTNAME", first)):
        if not part:
            notes.problem(column, "name_missing")
    if any("," in part for part in (last, first, middle)):
        notes.problem("NAME", "name_comma_inside")
    extension = _read_extension(extension, notes)
    # The extension is often typed after the given names, so the parts are read back from the joined name.
    name = split_lis_name(lis_name(last, first, "" if middle == "-" else middle, extension))
    if last and first:
        check_name_cell(name, notes, column="NAME")
    return lis_name(name.last, name.first, name.middle, name.extension)


def _whole_name(whole: str, notes: RowNotes) -> str:
    if "," not in whole:
        notes.problem("NAME", "name_comma", value=quote_cell(whole))
    else:
        check_name_cell(split_lis_name(whole), notes, column="NAME")
    return whole


def _read_extension(written: str, notes: RowNotes) -> str:
    bare = written.removesuffix(".")
    if bare in {"", "-"}:
        return ""
    if bare not in EXTENSIONS:
        notes.problem("EXTENSION", "extension_unknown", value=quote_cell(written))
        return ""
    return bare


def _read_email(cell: Cell, notes: RowNotes) -> str | None:
    """The address as it is written; `school_addresses_only` keeps those with which one may join classes."""
    # Not as `cell_text`, which makes an ASCII letter of some that are none.
    email = cell.strip() if isinstance(cell, str) else cell_text(cell)
    if len(email) > EMAIL_LIMIT:
        notes.problem("EMAIL", "email_long", limit=str(EMAIL_LIMIT))
        return None
    return email or None
