"""Parser of School Form 1 as the LIS exports it, and of workbooks in the same form.

Columns are located by their labels, as their positions differ between exports and in teachers' own workbooks. Only LRN,
NAME, SEX, REMARKS and the heading are read; birth date, mother tongue, ethnic group, religion, address, parents and
contact number are on the form too and are never read.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Literal

from portal.classes.lis_names import LisName, split_lis_name
from portal.classes.roster_files.rows import (
    PENDING,
    Cell,
    RosterFile,
    RosterFileError,
    RosterRow,
    RowNotes,
    RowProblem,
    Rows,
    Sex,
    cell_text,
    check_name_cell,
    flag_duplicate_rows,
    parse_lrn_cell,
    parse_remark_cell,
    parse_sex_cell,
    quote_cell,
)
from portal.classes.roster_files.template_csv import has_template_columns, parse_template_rows

Block = Literal["male", "female", "combined"]

_HEADER_ROWS = 15
_HEADING_LIMIT = 80  # characters of a section or school name
_COLUMNS = {"lrn": r"LRN$", "name": r"NAME\b", "sex": r"SEX\b", "remarks": r"REMARKS\b"}
_LABELS = {
    "school_id": r"SCHOOL ID$",
    "school_name": r"(SCHOOL NAME|NAME OF SCHOOL)$",
    "school_year": r"SCHOOL YEAR$",
    "grade_level": r"GRADE( LEVEL)?$",
    "section": r"SECTION$",
    "not kept": r"(REGION|DIVISION|DISTRICT)$",
}
_TOTALS: dict[Block, str] = {
    "male": r"\W*TOTAL\s+MALE\b",
    "female": r"\W*TOTAL\s+FEMALE\b",
    "combined": r"\W*(TOTAL\s+)?COMBINED\b",
}
_SEX_OF_BLOCK: dict[Block | None, Sex] = {"male": "M", "female": "F"}
_FOOTER = re.compile(r"LIST AND CODE OF INDICATORS|GENERATED THRU LIS")
_NOT_A_LEARNER = re.compile(r".*\bLAST NAME\b.*|(FE)?MALES?|BOYS|GIRLS")


@dataclass
class _Learner:
    """A learner's row before its sex is known: the total that ends its block comes after it."""

    notes: RowNotes
    lrn: str | None
    lis_name: str
    name: LisName
    sex: Sex | None
    remark_code: str | None
    remark_date: date | None
    block: Block | None = None


@dataclass
class _Total:
    row: int
    number: int | None


@dataclass
class _ParsedRows:
    """Learners, printed totals and warnings of a sheet."""

    learners: list[_Learner] = field(default_factory=list)
    totals: dict[Block, _Total] = field(default_factory=dict)
    warnings: list[RowProblem] = field(default_factory=list)


def parse_sf1_workbook(sheets: Iterable[tuple[str, Rows]]) -> RosterFile:
    """Parse the first sheet with an LRN column: School Form 1, or the template saved in Excel.

    Raises RosterFileError if no sheet has a roster, a required column is missing, or there is no learner.
    """
    roster: RosterFile | None = None
    unread_sheets: list[RowProblem] = []
    for name, rows in sheets:
        header = _header_row(rows)
        if header is None:
            continue
        if roster is None:
            roster = _read_sheet(rows, header)
        else:
            unread_sheets.append(RowProblem(None, None, "sheet_not_read", {"sheet": quote_cell(name)}))
    if roster is None:
        raise RosterFileError("header_missing")
    return replace(roster, warnings=(*roster.warnings, *unread_sheets))


def _header_row(rows: Rows) -> int | None:
    for index, row in enumerate(rows[:_HEADER_ROWS]):
        if any(_label(cell) == "LRN" for cell in row):
            return index
    return None


def _read_sheet(rows: Rows, header: int) -> RosterFile:
    if has_template_columns(rows[header]):
        return parse_template_rows(rows[header], enumerate(rows[header + 1 :], start=header + 2))
    columns = _find_columns(rows[header : header + 2])
    heading = _read_heading(rows[:header])
    kinder = (heading["grade_level"] or "").startswith("Kinder")
    parsed = _parse_rows(rows, header, columns, kinder=kinder)
    if not parsed.learners:
        raise RosterFileError("no_learners")
    learners = flag_duplicate_rows(_finish_row(learner, blocks="male" in parsed.totals) for learner in parsed.learners)
    return RosterFile(
        source="sf1",
        **heading,
        rows=learners,
        male_tally=_printed_total(parsed, "male"),
        female_tally=_printed_total(parsed, "female"),
        problems=tuple(_compare_totals(parsed, learners)),
        warnings=(*parsed.warnings, *_warn_without_totals(parsed)),
    )


# --- the heading and the columns ---------------------------------------------------------------------------


def _find_columns(header: Rows) -> dict[str, int]:
    """Column index by key; the second header row fills what the first lacks. The leftmost match wins, as the guardian's
    column is called Name too."""
    columns: dict[str, int] = {}
    for row in header:
        for column, cell in enumerate(row):
            for key, pattern in _COLUMNS.items():
                if key not in columns and re.match(pattern, _label(cell)):
                    columns[key] = column
    if "name" not in columns:
        raise RosterFileError("columns_missing", columns="NAME")
    return columns


def _read_heading(rows: Rows) -> dict[str, str | None]:
    text_by_key: dict[str, str] = {}
    for row in rows:
        for column, cell in enumerate(row):
            key = _label_key(cell)
            if key and key not in text_by_key:
                text_by_key[key] = _value_beside(row, column)
    return {
        "school_id": _school_id(text_by_key.get("school_id", "")),
        "school_name": text_by_key.get("school_name") or None,
        "school_year": _school_year(text_by_key.get("school_year", "")),
        "grade_level": _grade_level(text_by_key.get("grade_level", "")),
        "section": text_by_key.get("section") or None,
    }


def _value_beside(row: list[Cell], column: int) -> str:
    """The next non-empty cell right of a label, unless that is a label itself."""
    for cell in row[column + 1 :]:
        if cell_text(cell):
            return "" if _label_key(cell) else cell_text(cell)[:_HEADING_LIMIT]
    return ""


def _label_key(cell: Cell) -> str | None:
    label = _label(cell)
    return next((key for key, pattern in _LABELS.items() if re.match(pattern, label)), None)


def _label(cell: Cell) -> str:
    return cell_text(cell).upper().rstrip(" :") if isinstance(cell, str) else ""


def _school_id(text: str) -> str | None:
    """Six digits; LIS stores the id as a number, which `cell_text` shows without its `.0`."""
    return text if re.fullmatch(r"[0-9]{6}", text) else None


def _school_year(text: str) -> str | None:
    years = re.search(r"([0-9]{4})\s*[-–]\s*([0-9]{4})", text)
    return f"{years[1]}-{years[2]}" if years else None


def _grade_level(text: str) -> str | None:
    """LIS truncates `Grade 8 (Year II)` to `Grade 8 (Year `; SNED and ALS stay as written."""
    grade = re.match(r"GRADE\s*([0-9]{1,2})(?:\s*(?:&|AND)\s*([0-9]{1,2}))?", text.upper())
    if grade:
        return f"Grade {grade[1]}" + (f" & {grade[2]}" if grade[2] else "")
    return "Kindergarten" if text.upper().startswith("KINDER") else text[:40] or None


# --- the learners' rows ------------------------------------------------------------------------------------


def _parse_rows(rows: Rows, header: int, columns: dict[str, int], *, kinder: bool) -> _ParsedRows:
    """Parse rows down to the list of indicators or the combined total; the total of the males does not end the list."""
    parsed = _ParsedRows()
    for number, row in enumerate(rows[header + 1 :], start=header + 2):
        if any(_FOOTER.search(text) for text in _upper_texts(row)):
            break
        block = _find_total_block(row[: columns["name"] + 1])
        if block:
            parsed.totals.setdefault(block, _Total(number, _whole_number(row[: columns["name"]])))
            for learner in parsed.learners:
                learner.block = learner.block or block
            if block == "combined":
                break
        else:
            _read_row(parsed, number, {key: _cell_at(row, column) for key, column in columns.items()}, kinder=kinder)
    return parsed


def _find_total_block(cells: list[Cell]) -> Block | None:
    for text in _upper_texts(cells):
        for block, pattern in _TOTALS.items():
            if "," not in text and re.match(pattern, text):
                return block
    return None


def _read_row(parsed: _ParsedRows, number: int, cells: dict[str, Cell], *, kinder: bool) -> None:
    """Append one row's learner to `parsed`; other text is skipped with a warning."""
    name, lrn = cell_text(cells["name"]), cell_text(cells["lrn"])
    has_digits = any(char.isdigit() for char in lrn)
    if (not name and not lrn) or (not has_digits and _NOT_A_LEARNER.fullmatch(name.upper())):
        return
    if not has_digits and "," not in name and not cell_text(cells.get("sex")):
        parsed.warnings.append(RowProblem(number, "NAME", "row_ignored", {"value": quote_cell(name or lrn)}))
        return
    parsed.learners.append(_read_learner(RowNotes(number), cells, kinder=kinder))


def _read_learner(notes: RowNotes, cells: dict[str, Cell], *, kinder: bool) -> _Learner:
    name_text = cell_text(cells["name"])
    code, remark_date = parse_remark_cell(cells.get("remarks"), notes)
    lrn = parse_lrn_cell(cells["lrn"], notes, may_be_pending=kinder or code == PENDING)
    name = split_lis_name(name_text)
    if not name_text:
        notes.problem("NAME", "name_missing")
    elif "," not in name_text:
        notes.problem("NAME", "name_comma", value=quote_cell(name_text))
    else:
        check_name_cell(name, notes, column="NAME")
    return _Learner(notes, lrn, name_text, name, parse_sex_cell(cells.get("sex"), notes), code, remark_date)


def _finish_row(learner: _Learner, *, blocks: bool) -> RosterRow:
    """The finished row: sex from the column, or from the block the row is in."""
    sex_of_block = _SEX_OF_BLOCK.get(learner.block) if blocks else None
    sex = learner.sex or sex_of_block
    notes = learner.notes
    if sex is None and not any(problem.column == "SEX" for problem in notes.problems):
        notes.problem("SEX", "sex_missing")
    elif sex_of_block and sex != sex_of_block:
        notes.problem("SEX", "sex_conflict", sex=str(sex), block=sex_of_block)
    return RosterRow(
        row=notes.row,
        lrn=learner.lrn,
        lis_name=learner.lis_name,
        last_name=learner.name.last,
        first_name=learner.name.first,
        middle_name=learner.name.middle,
        extension=learner.name.extension,
        sex=sex,
        email=None,
        remark_code=learner.remark_code,
        remark_date=learner.remark_date,
        problems=tuple(notes.problems),
        warnings=tuple(notes.warnings),
    )


# --- the totals --------------------------------------------------------------------------------------------


def _compare_totals(parsed: _ParsedRows, rows: tuple[RosterRow, ...]) -> Iterator[RowProblem]:
    """A printed total that differs from the parsed rows means a lost or added row."""
    for block, total in parsed.totals.items():
        count = _count_rows(parsed, rows, block)
        if total.number is not None and total.number != count:
            label = "COMBINED" if block == "combined" else f"TOTAL {block.upper()}"
            yield RowProblem(total.row, label, "total_differs", {"stated": str(total.number), "found": str(count)})


def _count_rows(parsed: _ParsedRows, rows: tuple[RosterRow, ...], block: Block) -> int:
    if block == "combined":
        return len(rows)
    if "male" in parsed.totals:
        return sum(learner.block == block for learner in parsed.learners)
    return sum(row.sex == _SEX_OF_BLOCK[block] for row in rows)


def _printed_total(parsed: _ParsedRows, block: Block) -> int | None:
    total = parsed.totals.get(block)
    return total.number if total else None


def _warn_without_totals(parsed: _ParsedRows) -> Iterator[RowProblem]:
    if all(total.number is None for total in parsed.totals.values()):
        yield RowProblem(None, None, "totals_missing", {})


# --- cells -------------------------------------------------------------------------------------------------


def _cell_at(row: list[Cell], column: int) -> Cell:
    return row[column] if column < len(row) else None


def _upper_texts(row: list[Cell]) -> list[str]:
    return [cell_text(cell).upper() for cell in row if isinstance(cell, str)]


def _whole_number(cells: list[Cell]) -> int | None:
    """The count printed left of a total's label."""
    return next((int(text) for text in map(cell_text, cells) if re.fullmatch(r"[0-9]{1,5}", text)), None)
