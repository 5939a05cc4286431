"""Entry point of the roster parsers: uploaded bytes to `RosterFile`, and `RosterFile` to and from JSON.

No Flask, no database. Workbooks are read in a process of their own; formulas are never evaluated.
"""

from dataclasses import asdict
from datetime import date
from pathlib import PurePath
from typing import Any

from portal.classes.roster_files.roster_csv import parse_roster_csv
from portal.classes.roster_files.rows import (
    RosterFile,
    RosterFileError,
    RosterRow,
    RowProblem,
)
from portal.classes.roster_files.sf1 import parse_sf1_workbook
from portal.classes.roster_files.template_csv import roster_csv_template
from portal.classes.workbook_reader.limits import MAX_BYTES, WorkbookRefused
from portal.classes.workbook_reader.process import read_workbook

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

_COMPOUND_FILE_MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ZIP_MAGIC = b"PK"
_HTML_STARTS = (b"<!doctype", b"<html", b"<table", b"<?xml", b"<meta", b"<head", b"<style")
_BINARY_MAGIC = (b"%PDF", b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"RIFF", b"Rar!", b"\x1f\x8b", b"7z\xbc\xaf")
_DATES = ("remark_date", "entry_date")
_WORKBOOK_NAMES = {".xls", ".xlsx", ".xlsm", ".xlsb", ".ods"}


def parse_roster_file(data: bytes, filename: str) -> RosterFile:
    """Parse a roster: School Form 1 (`.xls` as the LIS exports it, or `.xlsx`) or the CSV template.

    The format is detected by magic bytes, the file name only refuses mismatches. Problems of rows are collected in the
    result, and its `ok` says whether it may be imported. Raises RosterFileError if there is nothing to preview; its
    code says why.
    """
    if not data.strip(b" \t\r\n\0"):
        raise RosterFileError("empty")
    if len(data) > MAX_BYTES:
        raise RosterFileError("too_large", limit=str(MAX_BYTES // 1024 // 1024))
    suffix = PurePath(filename).suffix.lower()
    if data.startswith(_COMPOUND_FILE_MAGIC):
        return _parse_workbook(data)
    if data.startswith(_ZIP_MAGIC):
        if suffix == ".xlsm":
            raise RosterFileError("macros")
        return _parse_workbook(data)
    _check_is_text(data, suffix)
    return parse_roster_csv(data)


def _parse_workbook(data: bytes) -> RosterFile:
    try:
        sheets = read_workbook(data)
    except WorkbookRefused as refused:
        raise RosterFileError(refused.code, **refused.params) from refused
    return parse_sf1_workbook(sheets)


def _check_is_text(data: bytes, suffix: str) -> None:
    start = data[:200].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if start.startswith(_HTML_STARTS):
        raise RosterFileError("web_page")
    if data.startswith(_BINARY_MAGIC):
        raise RosterFileError("not_spreadsheet")
    if suffix in _WORKBOOK_NAMES:
        raise RosterFileError("text_named_workbook", suffix=suffix)


def roster_file_to_json(roster: RosterFile) -> dict[str, Any]:
    """JSON-compatible values of the roster: dates as ISO text, tuples as lists."""
    rows = [
        {**asdict(row), **{name: day.isoformat() if (day := getattr(row, name)) else None for name in _DATES}}
        for row in roster.rows
    ]
    return _tuples_to_lists({**asdict(roster), "rows": rows})


def roster_file_from_json(values: dict[str, Any]) -> RosterFile:
    """Rebuild a roster from `roster_file_to_json`. Raises KeyError, TypeError, ValueError for other values."""
    rows = tuple(_row_from_json(row) for row in values["rows"])
    return RosterFile(**{**values, "rows": rows, **_problems_from_json(values)})


def _row_from_json(values: dict[str, Any]) -> RosterRow:
    days = {name: date.fromisoformat(text) if (text := values.get(name)) else None for name in _DATES}
    return RosterRow(**{**values, **days, **_problems_from_json(values)})


def _problems_from_json(values: dict[str, Any]) -> dict[str, tuple[RowProblem, ...]]:
    return {key: tuple(RowProblem(**problem) for problem in values[key]) for key in ("problems", "warnings")}


def _tuples_to_lists(values: Any) -> Any:
    if isinstance(values, dict):
        return {key: _tuples_to_lists(value) for key, value in values.items()}
    if isinstance(values, list | tuple):
        return [_tuples_to_lists(value) for value in values]
    return values
