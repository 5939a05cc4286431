"""Parser of rosters as delimited text: the template, a pasted table, or School Form 1 saved as CSV."""

from portal.classes.roster_files.rows import RosterFile, RosterFileError, Rows
from portal.classes.roster_files.sf1 import find_header_row, parse_sf1_rows
from portal.classes.roster_files.template_csv import find_column_key, has_template_columns, parse_template_rows
from portal.classes.workbook_reader.limits import MAX_COLUMNS, MAX_ROWS
from portal.core import csv_tables

_HEADING_LINES = 60  # above and below the learners of School Form 1


def parse_roster_csv(data: bytes) -> RosterFile:
    """Parse text in any encoding and with any delimiter that spreadsheet programs write, with columns in any order.

    Raises RosterFileError if the encoding is doubtful, quotes do not close, a column is missing or repeated, or there
    is no learner.
    """
    try:
        rows = _to_sheet(csv_tables.decode_text(data))
    except csv_tables.CsvError as error:
        if error.code == "encoding":
            raise RosterFileError("encoding", line=error.facts["line"]) from error
        if error.code == "quotes":
            raise RosterFileError("csv_quotes", line=error.facts["line"]) from error
        raise RosterFileError("not_spreadsheet") from error
    first = next((index for index, row in enumerate(rows) if any(str(cell).strip() for cell in row)), None)
    if first is None:
        raise RosterFileError("empty")
    header = find_header_row(rows)
    if header is None or header == first or has_template_columns(rows[header]):
        start = first if header is None else header
        return parse_template_rows(rows[start], enumerate(rows[start + 1 :], start=start + 2))
    return parse_sf1_rows(rows, header)


def _to_sheet(text: str) -> Rows:
    """The rows, each at the place of its first line, so that a row's number is that of its line."""
    rows: Rows = []
    for line, row in csv_tables.read_delimited_rows(text, lambda cell: find_column_key(cell) is not None):
        if len(row) > MAX_COLUMNS or line > MAX_ROWS + _HEADING_LINES:
            raise RosterFileError("sheet_size", rows=str(MAX_ROWS), columns=str(MAX_COLUMNS))
        rows.extend([] for _ in range(line - 1 - len(rows)))
        rows.append(list(row))
    return rows
