"""Corrections of a roster's rows before it is saved, by the same checks as the file's own cells. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date

from portal.classes.grade_levels import normalise_grade_level
from portal.classes.lis_names import split_lis_name
from portal.classes.roster_files.remarks import ENTRY_CODES, LEAVING_CODES, PENDING
from portal.classes.roster_files.rows import (
    KEPT_CODES,
    RosterFile,
    RosterRow,
    RowNotes,
    cell_text,
    check_name_cell,
    flag_duplicate_rows,
    flag_foreign_addresses,
    is_cell_too_long,
    name_text,
    parse_email_cell,
    parse_lrn_cell,
    parse_sex_cell,
    quote_cell,
)

_FOUND_BY_COMPARISON = frozenset({"lrn_twice", "name_twice", "email_twice"})
_HEADING_LIMIT = 80
_COLUMN_OF_FIELD = {"lrn": "LRN", "sex": "SEX", "email": "EMAIL"}


@dataclass(frozen=True)
class RowCorrection:
    """The texts of one row as a person wrote them. `remark_date` is empty or ISO."""

    lrn: str
    name: str
    sex: str
    email: str
    remark_code: str
    remark_date: str


def correct_rows(file: RosterFile, corrections: Mapping[int, RowCorrection], *, domains: tuple[str, ...]) -> RosterFile:
    """The roster with the rows of these numbers read again from the corrections; others stay. Rows that are the same as
    another are found anew."""
    kinder = file.grade_level == "Kindergarten"
    rows = [
        _correct_row(row, corrections[row.row], kinder=kinder) if row.row in corrections else _without_comparison(row)
        for row in file.rows
    ]
    return flag_foreign_addresses(replace(file, rows=flag_duplicate_rows(rows)), domains)


def name_section(file: RosterFile, grade_level: str, section: str) -> RosterFile:
    """The roster as that of this section, where the file names none."""
    grade, name = normalise_grade_level(grade_level)[:40], cell_text(section)[:_HEADING_LIMIT]
    return replace(file, grade_level=file.grade_level or grade or None, section=file.section or name or None)


def written_text(row: RosterRow, field: str) -> str:
    """What a row's LRN, sex or address is corrected from: its value, or the text that could not be read."""
    if value := getattr(row, field):
        return str(value)
    column = _COLUMN_OF_FIELD[field]
    notes = (note for note in (*row.problems, *row.warnings) if note.column == column)
    return next((note.params["value"] for note in notes if "value" in note.params), "")


def _correct_row(row: RosterRow, correction: RowCorrection, *, kinder: bool) -> RosterRow:
    notes = RowNotes(row.row)
    code = correction.remark_code if correction.remark_code in KEPT_CODES else None
    is_too_long = is_cell_too_long(correction.name, notes, column="NAME")
    written_name = "" if is_too_long else name_text(correction.name)
    name = split_lis_name(written_name)
    if not written_name and not is_too_long:
        notes.problem("NAME", "name_missing")
    elif written_name and "," not in written_name:
        notes.problem("NAME", "name_comma", value=quote_cell(written_name))
    elif written_name:
        check_name_cell(name, notes, column="NAME")
    sex = parse_sex_cell(correction.sex, notes)
    if not cell_text(correction.sex):
        notes.problem("SEX", "sex_missing")
    return replace(
        row,
        lrn=parse_lrn_cell(correction.lrn, notes, may_be_pending=kinder or code == PENDING),
        lis_name=written_name,
        last_name=name.last,
        first_name=name.first,
        middle_name=name.middle,
        extension=name.extension,
        sex=sex,
        email=parse_email_cell(correction.email, notes),
        remark_code=code,
        remark_date=_parse_day(correction.remark_date) if code in (*LEAVING_CODES, *ENTRY_CODES) else None,
        entry_code=row.entry[0] if code in LEAVING_CODES else None,
        entry_date=row.entry[1] if code in LEAVING_CODES else None,
        problems=tuple(notes.problems),
        warnings=tuple(notes.warnings),
    )


def _parse_day(text: str) -> date | None:
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        return None


def _without_comparison(row: RosterRow) -> RosterRow:
    problems = tuple(problem for problem in row.problems if problem.code not in _FOUND_BY_COMPARISON)
    warnings = tuple(warning for warning in row.warnings if warning.code not in _FOUND_BY_COMPARISON)
    return replace(row, problems=problems, warnings=warnings)
