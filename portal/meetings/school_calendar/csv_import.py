"""CSV import of calendar days: columns date, kind and name. Pure, except for the translated messages."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date

from flask_babel import gettext as _

from portal.core import csv_tables
from portal.meetings.school_calendar.service import CalendarEntry

MAX_ROWS = 400
NAME_LIMIT = 120
COLUMNS = {"date": {"date", "day"}, "kind": {"kind", "type"}, "name": {"name", "title", "holiday", "description"}}
KINDS = {
    "holiday": {"holiday", "regular holiday", "special holiday", "local holiday"},
    "suspended": {"suspended", "suspension", "no class", "classes suspended"},
    "class": {"class", "make-up class", "make-up", "makeup", "make-up class day"},
}
TEMPLATE = "date,kind,name\r\n2026-12-18,holiday,Foundation day\r\n2027-01-09,class,Make-up class\r\n"


@dataclass(frozen=True)
class CalendarImportRow:
    """One row of the file. `entry` is set if the row is valid; `problems` are sentences."""

    number: int
    written: str
    entry: CalendarEntry | None
    problems: tuple[str, ...]


def parse_calendar_csv(data: bytes, is_allowed: Callable[[date], bool]) -> list[CalendarImportRow]:
    """All rows, with all their problems. `is_allowed` says whether a date may be declared.

    Raises:
        CsvError: the file is no readable table; see `csv_tables.csv_error_message`.
    """
    rows = [
        _parse_row(number, cells, is_allowed)
        for number, cells in csv_tables.parse_delimited_table(data, COLUMNS, max_rows=MAX_ROWS)
    ]
    first_row_numbers: dict[date, int] = {}
    return [_reject_duplicate_date(row, first_row_numbers) for row in rows]


def _parse_row(number: int, cells: dict[str, str], is_allowed: Callable[[date], bool]) -> CalendarImportRow:
    problems = []
    day = parse_calendar_date(cells["date"])
    if day is None:
        problems.append(
            _("Row %(row)s: “%(value)s” is not a date. Write it as 2026-12-25.", row=number, value=cells["date"][:40])
        )
    elif not is_allowed(day):
        problems.append(
            _("Row %(row)s: %(value)s is too far away. Correct the year.", row=number, value=day.isoformat())
        )
    kind = next((kind for kind, words in KINDS.items() if cells["kind"].lower() in words), None)
    if kind is None:
        problems.append(
            _(
                "Row %(row)s: the kind “%(value)s” is not known. Write holiday, suspended or class.",
                row=number,
                value=cells["kind"][:40],
            )
        )
    if not cells["name"]:
        problems.append(_("Row %(row)s has no name. Write what day it is.", row=number))
    elif len(cells["name"]) > NAME_LIMIT:
        problems.append(_("Row %(row)s: the name is too long. At most %(most)s letters.", row=number, most=NAME_LIMIT))
    entry = CalendarEntry(day, kind, cells["name"]) if day and kind and not problems else None
    return CalendarImportRow(
        number, " ".join((cells["date"], cells["kind"], cells["name"]))[:80], entry, tuple(problems)
    )


def _reject_duplicate_date(row: CalendarImportRow, first_row_numbers: dict[date, int]) -> CalendarImportRow:
    if row.entry is None:
        return row
    first_number = first_row_numbers.setdefault(row.entry.date, row.number)
    if first_number == row.number:
        return row
    problem = _(
        "Row %(row)s: %(value)s is in row %(before)s already. Take one of them out.",
        row=row.number,
        value=row.entry.date.isoformat(),
        before=first_number,
    )
    return replace(row, entry=None, problems=(problem,))


def parse_calendar_date(text: str) -> date | None:
    """2026-12-25, or 12/25/2026 as Excel writes it (month first, as in the Philippine locale of Windows)."""
    if match := re.fullmatch(r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})", text, re.ASCII):
        year, month, day = match.groups()
    elif match := re.fullmatch(r"([0-9]{1,2})/([0-9]{1,2})/([0-9]{4})", text, re.ASCII):
        month, day, year = match.groups()
    else:
        return None
    try:
        return date(int(year), int(month), int(day))
    except ValueError:
        return None
