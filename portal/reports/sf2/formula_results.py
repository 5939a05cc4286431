"""Formulas with their results beside them: openpyxl writes formulas only, and what draws a workbook without
calculating it (a phone's preview, a mail program) would show empty cells."""

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
        """The workbook's bytes. It is calculated anew when it is opened in Excel."""
        if self._results and book.calculation:
            book.calculation.fullCalcOnLoad = True
        drawn = io.BytesIO()
        book.save(drawn)
        if not self._results:
            return drawn.getvalue()
        out = io.BytesIO()
        with zipfile.ZipFile(drawn) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
            for item in old.infolist():
                content = old.read(item)
                if item.filename == SHEET:
                    content = _CELL.sub(self._with_result, content.decode("utf-8")).encode("utf-8")
                new.writestr(item, content)
        return out.getvalue()

    def _with_result(self, match: re.Match[str]) -> str:
        cell, style, formula = match.groups()
        value = self._results.get(cell)
        if value is None:
            return match[0]
        if isinstance(value, str):
            return f'<c r="{cell}"{style} t="str"><f>{formula}</f><v>{escape(value, quote=False)}</v></c>'
        return f'<c r="{cell}"{style}><f>{formula}</f><v>{value!r}</v></c>'
