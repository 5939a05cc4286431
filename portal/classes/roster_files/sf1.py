"""Parser of School Form 1 as the LIS exports it, and of workbooks in the same form.

Columns are located by their labels, as their positions differ between exports and in teachers' own workbooks. Only LRN,
NAME, SEX, REMARKS and the heading are read; birth date, mother tongue, ethnic group, religion, address, parents and
contact number are on the form too and are never read.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Literal

from portal.classes.grade_levels import normalise_grade_level
from portal.classes.lis_names import LisName, split_lis_name
from portal.classes.roster_files.remarks import PENDING, shows_day_first
from portal.classes.roster_files.rows import (
    Cell,
    RemarkValues,
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
    is_cell_too_long,
    name_text,
    parse_lrn_cell,
    parse_remark_cell,
    parse_sex_cell,
    quote_cell,
    remark_text,
)
from portal.classes.roster_files.template_csv import has_template_columns, parse_template_rows

Block = Literal["male", "female", "combined"]

_HEADING_LIMIT = 80  # characters of a section or school name
_LABEL_LIMIT = 200  # characters of the longest label of a column, REMARKS with its instructions
_LRN_LABEL = r"(LRN|LEARNER'?S?\s+REFERENCE\s+NUMBER)(\s*(NO|NUMBER|#)\.?)?(\s*\(.*\))?$"
_COLUMNS = {
    "lrn": _LRN_LABEL,
    "name": r"(LEARNER'?S?\s+|FULL\s+)?NAME\b",
    "sex": r"(SEX|GENDER)\b",
    "remarks": r"(REMARKS?|INDICATORS?)\b",
}
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
    "combined": r"\W*((GRAND\s+)?TOTAL\s+)?COMBINED\b",
}
_SEX_OF_BLOCK: dict[Block | None, Sex] = {"male": "M", "female": "F"}
_FOOTER = re.compile(r"LIST AND CODE OF INDICATORS|GENERATED THRU LIS|^PREPARED BY|^CERTIFIED CORRECT|^LEGEND\b")
_LRN_LIKE = re.compile(r"[0-9]{6,}")
_NOT_A_LEARNER = re.compile(r".*\bLAST NAME\b.*|(FE)?MALES?|BOYS|GIRLS")


@dataclass
class _Learner:
    """A learner's row before its sex is known: the total that ends its block comes after it."""

    notes: RowNotes
    lrn: str | None
    lis_name: str
    name: LisName
    sex: Sex | None
    remark: RemarkValues
    block: Block | None = None


@dataclass
class _Total:
    """A printed total with what was found above it: since the total before of its kind, and in all."""

    row: int
    block: Block
    number: int | None
    since: int
    in_all: int


@dataclass
class _ParsedRows:
    """Learners, printed totals and warnings of a sheet."""

    learners: list[_Learner] = field(default_factory=list)
    totals: list[_Total] = field(default_factory=list)
    warnings: list[RowProblem] = field(default_factory=list)

    def has_total(self, block: Block) -> bool:
        return any(total.block == block for total in self.totals)


def parse_sf1_workbook(sheets: Iterable[tuple[str, Rows]]) -> RosterFile:
    """Parse the first sheet with an LRN column: School Form 1, or the template saved in Excel.

    Raises RosterFileError if no sheet has a roster, a required column is missing, or there is no learner.
    """
    roster: RosterFile | None = None
    unread_sheets: list[RowProblem] = []
    for name, rows in sheets:
        header = find_header_row(rows)
        if header is None:
            continue
        if roster is None:
            roster = parse_sf1_rows(rows, header)
        else:
            unread_sheets.append(RowProblem(None, None, "sheet_not_read", {"sheet": quote_cell(name)}))
    if roster is None:
        raise RosterFileError("header_missing")
    return replace(roster, warnings=(*roster.warnings, *unread_sheets))


def find_header_row(rows: Rows) -> int | None:
    """The first row with a cell that is the label of the LRN column, wherever it stands."""
    return next((index for index, row in enumerate(rows) if _is_header(row)), None)


def _is_header(row: list[Cell]) -> bool:
    return any(re.match(_LRN_LABEL, _label(cell)) for cell in row)


def parse_sf1_rows(rows: Rows, header: int) -> RosterFile:
    """Parse a sheet whose columns are labelled in the row of index `header`."""
    if has_template_columns(rows[header]):
        return parse_template_rows(rows[header], enumerate(rows[header + 1 :], start=header + 2))
    heading = _read_heading(rows[:header])
    kinder = heading["grade_level"] == "Kindergarten"
    parsed = _parse_rows(rows, header, kinder=kinder)
    if not parsed.learners:
        raise RosterFileError("no_learners")
    blocks = parsed.has_total("male")
    learners = flag_duplicate_rows(_finish_row(learner, blocks=blocks) for learner in parsed.learners)
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
        "grade_level": normalise_grade_level(text_by_key.get("grade_level", ""))[:40] or None,
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
    return cell_text(cell).upper().rstrip(" :") if isinstance(cell, str) and len(cell) <= _LABEL_LIMIT else ""


def _school_id(text: str) -> str | None:
    """Six digits; LIS stores the id as a number, which `cell_text` shows without its `.0`."""
    return text if re.fullmatch(r"[0-9]{6}", text) else None


def _school_year(text: str) -> str | None:
    years = re.search(r"([0-9]{4})\s*[-–]\s*([0-9]{4})", text)
    return f"{years[1]}-{years[2]}" if years else None


# --- the learners' rows ------------------------------------------------------------------------------------


def _parse_rows(rows: Rows, header: int, *, kinder: bool) -> _ParsedRows:
    """Parse all rows below the header.

    Totals and the foot end the learners of a page, not the list: some printouts repeat head and foot on each page.
    Below a foot or the combined total only a row with an LRN and a name is a learner's, until the next header.
    """
    parsed = _ParsedRows()
    columns = _find_columns(rows[header : header + 2])
    day_first_seen = shows_day_first(_column_texts(rows, columns.get("remarks")))
    is_outside = False
    for number, row in enumerate(rows[header + 1 :], start=header + 2):
        if _is_header(row):
            columns = _find_columns(rows[number - 1 : number + 1])
            is_outside = False
            continue
        cells = {key: _cell_at(row, column) for key, column in columns.items()}
        if _is_footer(row):
            is_outside = True
        elif block := _find_total_block(row[: columns["name"] + 1]):
            _add_total(parsed, number, block, _find_count(row, columns["name"]))
            is_outside = is_outside or block == "combined"
        elif not is_outside or _is_surely_learner(cells):
            _read_row(parsed, number, cells, kinder=kinder, day_first_seen=day_first_seen)
    return parsed


def _column_texts(rows: Rows, column: int | None) -> Iterator[str]:
    if column is not None:
        yield from (remark_text(row[column])[:_LABEL_LIMIT] for row in rows if column < len(row) and row[column])


def _is_footer(row: list[Cell]) -> bool:
    return any(_FOOTER.search(text) for text in _upper_texts(row))


def _is_surely_learner(cells: dict[str, Cell]) -> bool:
    return _LRN_LIKE.search(cell_text(cells["lrn"])) is not None and "," in cell_text(cells["name"])


def _add_total(parsed: _ParsedRows, number: int, block: Block, count: int | None) -> None:
    """Close the block of the learners above, and note how many they are."""
    for learner in parsed.learners:
        learner.block = learner.block or block
    in_all = sum(block in ("combined", learner.block) for learner in parsed.learners)
    before = max((total.in_all for total in parsed.totals if total.block == block), default=0)
    parsed.totals.append(_Total(number, block, count, in_all - before, in_all))


def _find_total_block(cells: list[Cell]) -> Block | None:
    for text in _upper_texts(cells):
        for block, pattern in _TOTALS.items():
            if "," not in text and re.match(pattern, text):
                return block
    return None


def _read_row(parsed: _ParsedRows, number: int, cells: dict[str, Cell], *, kinder: bool, day_first_seen: bool) -> None:
    """Append one row's learner to `parsed`; other text is skipped with a warning."""
    name, lrn = cell_text(cells["name"]), cell_text(cells["lrn"])
    has_digits = any(char.isdigit() for char in lrn)
    if (not name and not lrn) or (not has_digits and _NOT_A_LEARNER.fullmatch(name.upper())):
        return
    if not has_digits and "," not in name and not cell_text(cells.get("sex")):
        if _label_key(cells["lrn"]) is None and _label_key(cells["name"]) is None:  # else a heading repeated
            parsed.warnings.append(RowProblem(number, "NAME", "row_ignored", {"value": quote_cell(name or lrn)}))
        return
    notes = RowNotes(number)
    remark = parse_remark_cell(cells.get("remarks"), notes, day_first_seen=day_first_seen)
    parsed.learners.append(_read_learner(notes, cells, remark, may_be_pending=kinder or remark.remark_code == PENDING))


def _read_learner(notes: RowNotes, cells: dict[str, Cell], remark: RemarkValues, *, may_be_pending: bool) -> _Learner:
    lrn = parse_lrn_cell(cells["lrn"], notes, may_be_pending=may_be_pending)
    written_name = ""
    if not is_cell_too_long(cells["name"], notes, column="NAME"):
        written_name = name_text(cells["name"])
        if not written_name:
            notes.problem("NAME", "name_missing")
        elif "," not in written_name:
            notes.problem("NAME", "name_comma", value=quote_cell(written_name))
        else:
            check_name_cell(split_lis_name(written_name), notes, column="NAME")
    name = split_lis_name(written_name)
    return _Learner(notes, lrn, written_name, name, parse_sex_cell(cells.get("sex"), notes), remark)


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
        problems=tuple(notes.problems),
        warnings=tuple(notes.warnings),
        **asdict(learner.remark),
    )


# --- the totals --------------------------------------------------------------------------------------------


def _compare_totals(parsed: _ParsedRows, rows: tuple[RosterRow, ...]) -> Iterator[RowProblem]:
    """A printed total that differs from the parsed rows means a lost or added row. A total repeated on each page may
    count the page or all above it."""
    for total in parsed.totals:
        since, in_all = total.since, total.in_all
        if total.block != "combined" and not parsed.has_total("male"):
            since = in_all = sum(row.sex == _SEX_OF_BLOCK[total.block] for row in rows)
        if total.number is not None and total.number not in (since, in_all):
            label = "COMBINED" if total.block == "combined" else f"TOTAL {total.block.upper()}"
            found = since if since != in_all and abs(total.number - since) < abs(total.number - in_all) else in_all
            yield RowProblem(total.row, label, "total_differs", {"stated": str(total.number), "found": str(found)})


def _printed_total(parsed: _ParsedRows, block: Block) -> int | None:
    """The number that the form gives: of several pages the last, or their sum where each counts its own."""
    totals = [total for total in parsed.totals if total.block == block and total.number is not None]
    if not totals:
        return None
    if len(totals) > 1 and totals[-1].number != totals[-1].in_all:
        return sum(total.number or 0 for total in totals)
    return totals[-1].number


def _warn_without_totals(parsed: _ParsedRows) -> Iterator[RowProblem]:
    if all(total.number is None for total in parsed.totals):
        yield RowProblem(None, None, "totals_missing", {})


# --- cells -------------------------------------------------------------------------------------------------


def _cell_at(row: list[Cell], column: int) -> Cell:
    return row[column] if column < len(row) else None


def _upper_texts(row: list[Cell]) -> list[str]:
    return [cell_text(cell).upper() for cell in row if isinstance(cell, str) and len(cell) <= _LABEL_LIMIT]


def _find_count(row: list[Cell], name_column: int) -> int | None:
    """The count printed left of a total's label, behind its words, or in the next cell right of it."""
    left = [cell_text(cell) for cell in row[:name_column]]
    behind = [
        match[1] for text in _upper_texts(row[: name_column + 1]) if (match := re.search(r"([0-9]{1,5})\W*$", text))
    ]
    right = next((cell_text(cell) for cell in row[name_column + 1 :] if cell_text(cell)), "")
    for text in (*left, *behind, right):
        if re.fullmatch(r"[0-9]{1,5}", text):
            return int(text)
    return None
