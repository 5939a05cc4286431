"""Cached results of formulas in a workbook: openpyxl writes formulas without results, and viewers that do not
calculate (a phone's preview, a mail program) would show empty cells."""

import io
import re
import zipfile
from html import escape

from openpyxl import Workbook

SHEET = "xl/worksheets/sheet1.xml"
_CELL = re.compile(r'<c r="([A-Z]+[0-9]+)"((?: s="[0-9]+")?)(?: t="[a-z]+")?><f>([^<]*)</f><v\s*(?:/>|></v>)</c>')


class FormulaResults:
    """The results of the formulas of a workbook's first sheet, by cell."""

    def __init__(self) -> None:
        self._results: dict[str, str | float | None] = {}

    def result(self, cell: str, value: str | float | None) -> None:
        self._results[cell] = value

    def save(self, book: Workbook) -> bytes:
        """The workbook's bytes. Excel recalculates it on opening."""
        if self._results and book.calculation:
            book.calculation.fullCalcOnLoad = True
        workbook_file = io.BytesIO()
        book.save(workbook_file)
        if not self._results:
            return workbook_file.getvalue()
        result_file = io.BytesIO()
        with zipfile.ZipFile(workbook_file) as old, zipfile.ZipFile(result_file, "w", zipfile.ZIP_DEFLATED) as new:
            for item in old.infolist():
                content = old.read(item)
                if item.filename == SHEET:
                    content = _CELL.sub(self._with_result, content.decode("utf-8")).encode("utf-8")
                new.writestr(item, content)
        return result_file.getvalue()

    def _with_result(self, match: re.Match[str]) -> str:
        cell, style, formula = match.groups()
        value = self._results.get(cell)
        if value is None:
            return match[0]
        if isinstance(value, str):
            return f'<c r="{cell}"{style} t="str"><f>{formula}</f><v>{escape(value, quote=False)}</v></c>'
        return f'<c r="{cell}"{style}><f>{formula}</f><v>{value!r}</v></c>'
