"""The workbook of School Form 2 is, cell by cell, the stored one: values, formulas with their results, formats, merged
ranges, sizes and print setup. The stored ones were written by another library, openpyxl, which also reads both.

A change of the form that is meant: `python -m tests.reports.sf2_examples` makes them anew."""

import io
from typing import Any

import pytest
from openpyxl import load_workbook
from openpyxl.cell.cell import Cell, MergedCell
from openpyxl.styles import Color
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.worksheet import Worksheet

from tests.reports.sf2_examples import EXAMPLES, STORED, build_example

BLACK = "theme 1"


@pytest.fixture(params=EXAMPLES, scope="module")
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def both(name: str, *, results: bool = False) -> tuple[Worksheet, Worksheet]:
    """The stored sheet and the one built now; `results`: formulas' stored results in their place."""
    sources = ((STORED / f"{name}.xlsx").read_bytes(), build_example(EXAMPLES[name]))
    stored, built = (load_workbook(io.BytesIO(data), data_only=results).active for data in sources)
    assert isinstance(stored, Worksheet) and isinstance(built, Worksheet)
    return stored, built


def cells(sheet: Worksheet) -> dict[str, Cell | MergedCell]:
    return {cell.coordinate: cell for line in sheet.iter_rows() for cell in line}


def value(cell: Cell | MergedCell) -> Any:
    """A number as precise as a spreadsheet keeps it, and no result as an empty one."""
    found = cell.value
    return round(found, 14) if isinstance(found, float) else "" if found is None else found


def colour(found: Color | None) -> str:
    if found is None or found.type == "theme":
        return BLACK
    return str(found.rgb)[-6:]


def look(cell: Cell | MergedCell) -> dict[str, Any]:
    """How the cell looks. Font, alignment and number format of a merged range are its first cell's."""
    sides = ("left", "right", "top", "bottom")
    found: dict[str, Any] = {side: getattr(getattr(cell.border, side), "style", None) for side in sides}
    if isinstance(cell, MergedCell) or not cell.has_style:
        return found
    font, align = cell.font, cell.alignment
    return found | {
        "font": (font.name, font.sz, bool(font.b), colour(font.color)),
        "align": (align.horizontal, align.vertical or "bottom", bool(align.wrap_text), bool(align.shrink_to_fit)),
        "number": cell.number_format,
        "fill": (cell.fill.fill_type, colour(cell.fill.fgColor) if cell.fill.fill_type else ""),
        "text": cell.quotePrefix or False,
        "comment": (cell.comment.text, cell.comment.author) if cell.comment else None,
    }


def merged(sheet: Worksheet) -> list[str]:
    """The merged ranges; the stored sheets also name single cells, which merge nothing."""
    return sorted(str(found) for found in sheet.merged_cells.ranges if found.size != {"rows": 1, "columns": 1})


@pytest.mark.parametrize("results", [False, True], ids=["formulas", "results"])
def test_values_formulas_and_their_results(name: str, results: bool) -> None:
    old, new = (cells(sheet) for sheet in both(name, results=results))
    assert {where: value(cell) for where, cell in new.items()} == {where: value(cell) for where, cell in old.items()}
    assert [where for where, cell in new.items() if old[where].data_type != cell.data_type and value(cell) != ""] == []


def test_every_formula_has_its_result(name: str) -> None:
    new, results = (cells(sheet) for sheet in (both(name)[1], both(name, results=True)[1]))
    formulas = [where for where, cell in new.items() if cell.data_type == "f"]
    assert bool(formulas) == EXAMPLES[name].live
    empty = [where for where in formulas if results[where].value is None]
    if EXAMPLES[name].days:
        assert [where for where in empty if new[where].value[:4] != "=IF("] == []
    assert len(empty) <= 9, "a percentage of nobody"


def test_looks_and_merged_ranges(name: str) -> None:
    old, new = both(name)
    assert merged(new) == merged(old)
    assert {where: look(cell) for where, cell in cells(new).items()} == {
        where: look(cell) for where, cell in cells(old).items()
    }


def test_sizes_and_hidden_columns(name: str) -> None:
    """To the pixel, as spreadsheets show them: 7 of them make a character of width, 4 of them 3 points of height."""
    old, new = both(name)
    for row in range(1, old.max_row + 1):
        heights = [int(sheet.row_dimensions[row].height * 4 / 3 + 0.5) for sheet in (old, new)]
        assert heights[0] == heights[1], row
    for column, dimension in widths(old).items():
        assert widths(new)[column] == dimension, column


def widths(sheet: Worksheet) -> dict[str, tuple[int, bool]]:
    """Each column's width in pixels, and whether it is hidden."""
    found = {}
    for dimension in sheet.column_dimensions.values():
        for column in range(dimension.min, dimension.max + 1):
            width = 0 if dimension.hidden else round(dimension.width * 7)
            found[get_column_letter(column)] = (width, dimension.hidden)
    return found


def test_print_setup_and_protection(name: str) -> None:
    old, new = both(name)
    for get in (
        lambda sheet: sheet.title,
        lambda sheet: sheet.print_area,
        lambda sheet: sheet.print_title_rows,
        lambda sheet: [one.id for one in sheet.row_breaks.brk],
        lambda sheet: (sheet.page_setup.orientation, sheet.page_setup.paperSize),
        lambda sheet: (sheet.page_setup.fitToWidth or 1, sheet.page_setup.fitToHeight),
        lambda sheet: sheet.sheet_properties.pageSetUpPr.fitToPage,
        lambda sheet: [getattr(sheet.page_margins, side) for side in ("left", "right", "top", "bottom")],
        lambda sheet: sheet.protection.sheet,
        lambda sheet: sheet.parent.calculation.fullCalcOnLoad,
    ):
        assert get(new) == get(old)
