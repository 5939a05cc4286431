"""Parser of the portal's roster template: as CSV, as a pasted table, or with the same columns in a workbook."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict

from portal.classes.lis_names import EXTENSIONS, lis_name, split_lis_name
from portal.classes.roster_files.letters import has_broken_letters
from portal.classes.roster_files.remarks import PENDING, shows_day_first
from portal.classes.roster_files.rows import (
    Cell,
    RosterFile,
    RosterFileError,
    RosterRow,
    RowNotes,
    cell_text,
    check_name_cell,
    flag_duplicate_rows,
    is_cell_too_long,
    name_text,
    parse_email_cell,
    parse_lrn_cell,
    parse_remark_cell,
    parse_sex_cell,
    quote_cell,
    remark_text,
)

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
    "remarks": {"remarks", "remark", "indicator", "indicators"},
}
_LABEL_LIMIT = 200


def roster_csv_template() -> str:
    """The empty template. Send it as `utf-8-sig`: Excel reads plain UTF-8 as Windows-1252."""
    return ",".join(TEMPLATE_COLUMNS) + "\r\n"


def has_template_columns(header: Sequence[Cell]) -> bool:
    """True if the header row is the template's, not School Form 1's."""
    return {"lrn", "last", "first"} <= {find_column_key(cell) for cell in header}


def parse_template_rows(header: Sequence[Cell], rows: Iterable[tuple[int, Sequence[Cell]]]) -> RosterFile:
    """Parse a table with the template's columns; `rows` are numbered as Excel shows them.

    Raises RosterFileError if a column is missing or repeated, there are too many rows, or there is no learner.
    """
    columns = _columns(header)
    width = len(header)
    rows = [(number, row) for number, row in rows if any(map(cell_text, row)) and not _is_header_again(row, header)]
    remarks = columns.get("remarks", width)
    day_first_seen = shows_day_first(remark_text(row[remarks])[:_LABEL_LIMIT] for _, row in rows if len(row) > remarks)
    parsed_rows = [
        _read_row(RowNotes(number), row, columns, width, day_first_seen=day_first_seen) for number, row in rows
    ]
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


# --- cells to rows -----------------------------------------------------------------------------------------


def find_column_key(cell: Cell) -> str | None:
    """The key of the column that a label names, with or without a remark in brackets; None for other text."""
    if not isinstance(cell, str) or len(cell) > _LABEL_LIMIT:
        return None
    whole = cell_text(cell).lower()
    labels = {re.sub(r"[^a-z]", "", text) for text in (whole, whole.partition("(")[0])}
    return next((key for key, known in _COLUMN_LABELS.items() if labels & known), None)


def _is_header_again(row: Sequence[Cell], header: Sequence[Cell]) -> bool:
    return [cell_text(cell) for cell in row] == [cell_text(cell) for cell in header]


def _columns(header: Sequence[Cell]) -> dict[str, int]:
    columns: dict[str, int] = {}
    for index, cell in enumerate(header):
        key = find_column_key(cell)
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


def _read_row(
    notes: RowNotes, row: Sequence[Cell], columns: dict[str, int], width: int, *, day_first_seen: bool
) -> RosterRow:
    cells = {key: row[index] if index < len(row) else None for key, index in columns.items()}
    if any(map(cell_text, row[width:])):
        notes.problem(None, "cells_extra", expected=str(width))
    remark = parse_remark_cell(cells.get("remarks"), notes, day_first_seen=day_first_seen)
    lis_name = _lis_name(cells, notes)
    name = split_lis_name(lis_name)
    sex = parse_sex_cell(cells["sex"], notes)
    if not cell_text(cells["sex"]):
        notes.problem("SEX", "sex_missing")
    return RosterRow(
        row=notes.row,
        lrn=parse_lrn_cell(cells["lrn"], notes, may_be_pending=remark.remark_code == PENDING),
        lis_name=lis_name,
        last_name=name.last,
        first_name=name.first,
        middle_name=name.middle,
        extension=name.extension,
        sex=sex,
        email=parse_email_cell(cells.get("email"), notes),
        problems=tuple(notes.problems),
        warnings=tuple(notes.warnings),
        **asdict(remark),
    )


def _lis_name(cells: dict[str, Cell], notes: RowNotes) -> str:
    """The name as LIS would print it, in capitals, from its parts or from a single NAME column."""
    parts = {
        "LASTNAME": cells.get("last"), "FIRSTNAME": cells.get("first"), "MIDDLENAME": cells.get("middle"),
        "EXTENSION": cells.get("extension"), "NAME": cells.get("name"),
    }  # fmt: skip
    too_long = [column for column, value in parts.items() if is_cell_too_long(value, notes, column=column)]
    if too_long:
        return ""
    last, first, middle, extension, full_name = (_in_capitals(name_text(value)) for value in parts.values())
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


def _in_capitals(text: str) -> str:
    """As LIS prints; ß stays one letter, and broken letters stay as they are, to be found."""
    if has_broken_letters(text):
        return text
    return "".join(sign if sign == "ß" else sign.upper() for sign in text)


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
