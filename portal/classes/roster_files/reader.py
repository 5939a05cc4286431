"""The way in for an uploaded or pasted roster: bytes in, `RosterFile` out, and that as JSON for the preview.

Pure: it knows neither Flask nor the database, keeps nothing and evaluates nothing.
"""

from dataclasses import asdict
from datetime import date
from pathlib import PurePath
from typing import Any

from portal.classes.roster_files.rows import (
    RosterFile,
    RosterFileError,
    RosterRow,
    RowProblem,
)
from portal.classes.roster_files.sf1 import parse_sf1_workbook
from portal.classes.roster_files.template_csv import parse_roster_csv, roster_csv_template
from portal.classes.roster_files.xls import read_xls_workbook
from portal.classes.roster_files.xlsx import read_xlsx_workbook

__all__ = [
    "MAX_BYTES",
    "RosterFile",
    "RosterFileError",
    "RosterRow",
    "RowProblem",
    "parse_roster_file",
    "roster_csv_template",
    "roster_file_from_json",
    "roster_file_to_json",
]

MAX_BYTES = 5 * 1024 * 1024

_COMPOUND_FILE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ARCHIVE = b"PK"
_WEB_PAGE = (b"<!doctype", b"<html", b"<table", b"<?xml", b"<meta", b"<head", b"<style")
_NEVER_TEXT = (b"%PDF", b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"RIFF", b"Rar!", b"\x1f\x8b", b"7z\xbc\xaf")
_WORKBOOK_NAMES = {".xls", ".xlsx", ".xlsm", ".xlsb", ".ods"}


def parse_roster_file(data: bytes, filename: str) -> RosterFile:
    """Read a roster: School Form 1 (`.xls` as the LIS exports it, or `.xlsx`) or the CSV template.

    The format is told by the first bytes; the name only shows a file that pretends. Problems in rows do not
    raise: they are in the result, all of them at once, and `ok` says whether it may be imported.

    Raises:
        RosterUnreadable: there is nothing to preview; its code says why.
    """
    if not data.strip(b" \t\r\n\0"):
        raise RosterFileError("empty")
    if len(data) > MAX_BYTES:
        raise RosterFileError("too_large", limit=str(MAX_BYTES // 1024 // 1024))
    suffix = PurePath(filename).suffix.lower()
    if data.startswith(_COMPOUND_FILE):
        return parse_sf1_workbook(read_xls_workbook(data))
    if data.startswith(_ARCHIVE):
        if suffix == ".xlsm":
            raise RosterFileError("macros")
        return parse_sf1_workbook(read_xlsx_workbook(data))
    _refuse_what_is_no_csv(data, suffix)
    return parse_roster_csv(data)


def _refuse_what_is_no_csv(data: bytes, suffix: str) -> None:
    start = data[:200].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if start.startswith(_WEB_PAGE):
        raise RosterFileError("web_page")
    if data.startswith(_NEVER_TEXT):
        raise RosterFileError("not_spreadsheet")
    if suffix in _WORKBOOK_NAMES:
        raise RosterFileError("text_named_workbook", suffix=suffix)


def roster_file_to_json(roster: RosterFile) -> dict[str, Any]:
    """The roster as JSON keeps it: dates as ISO text, tuples as lists. Nothing else of the file is in it."""
    rows = [
        {**asdict(row), "remark_date": row.remark_date.isoformat() if row.remark_date else None} for row in roster.rows
    ]
    return _with_lists({**asdict(roster), "rows": rows})


def roster_file_from_json(values: dict[str, Any]) -> RosterFile:
    """The roster `roster_file_to_json` kept.

    Raises:
        KeyError, TypeError, ValueError: `kept` did not come from `roster_file_to_json`.
    """
    rows = tuple(_row(row) for row in values["rows"])
    return RosterFile(**{**values, "rows": rows, **_said(values)})


def _row(values: dict[str, Any]) -> RosterRow:
    on = values["remark_date"]
    return RosterRow(**{**values, "remark_date": date.fromisoformat(on) if on else None, **_said(values)})


def _said(values: dict[str, Any]) -> dict[str, tuple[RowProblem, ...]]:
    return {key: tuple(RowProblem(**problem) for problem in values[key]) for key in ("problems", "warnings")}


def _with_lists(values: Any) -> Any:
    if isinstance(values, dict):
        return {key: _with_lists(value) for key, value in values.items()}
    if isinstance(values, list | tuple):
        return [_with_lists(value) for value in values]
    return values
