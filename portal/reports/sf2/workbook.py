"""School Form 2 as a workbook with the cell layout of LIS: days in 25 merged slots from F to AL, learners from row 8,
the summary below. With formulas, so that a mark corrected in Excel corrects the totals, or with figures only.

It is a working copy: the form that is submitted comes from LIS.
"""

import io
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction

import xlsxwriter
from xlsxwriter.utility import xl_cell_to_rowcol

from portal.classes.models import Section
from portal.reports.sf2 import calculation
from portal.reports.sf2 import labels as sf2_labels
from portal.reports.sf2.queries import Sf2Month

# Properties of XlsxWriter's formats.
Format = Mapping[str, str | int | float | bool]
BOX: Format = {"border": 1}
LINE: Format = {"bottom": 1}
GREY: Format = {"bg_color": "#D9D9D9"}
LEFT: Format = {"align": "left", "valign": "vcenter", "text_wrap": True}
TOP: Format = {"align": "left", "valign": "top", "text_wrap": True}
CENTRE: Format = {"align": "center", "valign": "vcenter", "text_wrap": True}
SHRUNK: Format = {"align": "center", "valign": "bottom", "shrink": True}
FAINT = "#A6A6A6"
# The form's half shading as a block character: a two-colour fill is displayed by Excel only.
SHADES = {"late": "\N{UPPER HALF BLOCK}", "cutting": "\N{LOWER HALF BLOCK}", "both": "\N{FULL BLOCK}"}
SHADE = "#7F7F7F"
HEIGHTS: dict[int, float] = {1: 30, 2: 20, 3: 20, 4: 20, 5: 10, 6: 15, 7: 15}  # points
A_LEARNER, A_TOTAL, BELOW = 20, 15, 12.75  # heights of rows in points: learners, totals, and the part below
A_PAGE = 720  # points of rows on a page of paper at the scale to fit the width, with a margin
PAPERS = {"a4": 9, "long": 14}  # Excel's paper size codes; long is 8.5 by 13 inches
FIRST = 8  # row of the first learner
ROWS_BELOW = 33  # from the row of combined totals to the last signature
CLASS_DAYS, TARDIES = "AW", "AX"  # hidden helper columns, outside the print area
PIXELS_OF_A_CHARACTER = 7  # of Calibri 11, in which widths of columns are counted
COMMENT_SIZE = {"width": 144, "height": 79}  # in pixels


def build_sf2_workbook(section: Section, month: Sf2Month, *, live: bool = True) -> bytes:
    """Build the workbook of a month. `live`: totals are formulas, whose cached results are the portal's counts, and
    days outside a learner's enrolment are marked "-". Rows are added for any number of learners."""
    return _SheetBuilder(section, month, live=live).bytes()


def dates_by_column(form: calculation.Sf2Form) -> list[date | None]:
    """The date of each slot, with make-up days on Saturdays and Sundays in spare slots."""
    columns = list(form.slots)
    spare_slots = [index for index, day in enumerate(columns) if day is None]
    for day, index in zip(form.extra_days, spare_slots, strict=False):
        columns[index] = day
    return columns


def format_sf2_remarks(line: calculation.Sf2Line) -> str:
    """Remarks in the advisers' format: "T/O to Laoag Central 2026-11-13"."""
    remarks = []
    for code, day, detail in line.remarks:
        to = " to" if code == "T/O" and detail else ""
        remarks.append(f"{code}{to}{f' {detail}' if detail else ''} {day.isoformat()}")
    return "; ".join(remarks)


@dataclass
class _Cell:
    """What a cell is to hold. `value` is the formula's result, if there is a formula."""

    value: str | float | None = None
    formula: str = ""
    comment: str = ""
    format: dict[str, str | int | float | bool] = field(default_factory=dict)


class _SheetBuilder:
    """Builder of the sheet: its cells are collected, as some are filled or framed after they were written, and then
    written at once, since XlsxWriter's formats belong to the whole cell."""

    def __init__(self, section: Section, month: Sf2Month, *, live: bool) -> None:
        self.section, self.month, self.form = section, month, month.form
        self.shs, self.tardy = month.kind == "shs", month.kind in ("tardy", "shs")
        self.days = dates_by_column(self.form)
        # A class day without even a spare column cannot be counted by a formula.
        self.live = live and set(self.form.class_days) <= set(self.days)
        self.cells: dict[tuple[int, int], _Cell] = {}  # by row and column, from 0
        self.merged: dict[str, None] = {}  # ranges, in the order in which they were written
        males, females = self.form.of("M"), self.form.of("F")
        self.rows = {"M": FIRST + len(males)}  # of the totals per day
        self.rows["F"] = self.rows["M"] + 1 + len(females)
        self.rows["both"] = self.rows["F"] + 1

    def bytes(self) -> bytes:
        """The workbook's bytes. Excel recalculates it on opening; what calculates nothing shows the stored results."""
        self._write_headings()
        self._write_dates()
        self._write_learners()
        self._write_combined_totals()
        self._write_below()
        if self.live:
            self._cell(f"{CLASS_DAYS}1").value = len(self.form.class_days)
        workbook_file = io.BytesIO()
        book = xlsxwriter.Workbook(workbook_file, {"in_memory": True})
        sheet = book.add_worksheet(sf2_labels.SHEET)
        self._set_up_page(sheet)
        self._write_cells(book, sheet)
        book.close()
        return workbook_file.getvalue()

    def _set_up_page(self, sheet: xlsxwriter.worksheet.Worksheet) -> None:
        for item in sf2_labels.WIDTHS:
            name = item.rstrip("0123456789.")
            width = float(item[len(name) :]) + 0.7
            sheet.set_column_pixels(f"{name}:{name}", round(width * PIXELS_OF_A_CHARACTER))
        sheet.set_default_row(BELOW)  # a height equal to XlsxWriter's own default, 15, would be left out
        for row, height in self._row_heights().items():
            sheet.set_row(row - 1, height)
        if self._needs_a_page():
            sheet.set_h_pagebreaks([self.rows["both"]])
        sheet.set_landscape()
        sheet.set_paper(PAPERS[self.section.sf2_paper])
        sheet.fit_to_pages(1, 0)
        sheet.repeat_rows(0, 6)
        sheet.print_area(f"A1:AU{self.rows['both'] + ROWS_BELOW}")
        sheet.set_margins(0.28, 0.28, 0.28, 0.28)
        if self.live:
            sheet.set_column(f"{CLASS_DAYS}:{TARDIES}", None, None, {"hidden": True})

    def _write_cells(self, book: xlsxwriter.Workbook, sheet: xlsxwriter.worksheet.Worksheet) -> None:
        """Write all cells. Text is written as text, whatever it begins with."""
        for where in self.merged:
            sheet.merge_range(where, "")
        formats: dict[frozenset[tuple[str, str | int | float | bool]], xlsxwriter.format.Format] = {}
        for (row, column), cell in self.cells.items():
            properties = frozenset(cell.format.items())
            if properties and properties not in formats:
                formats[properties] = book.add_format(cell.format)
            cell_format = formats.get(properties)
            if cell.formula:
                sheet.write_formula(row, column, f"={cell.formula}", cell_format, cell.value)
            elif isinstance(cell.value, str):
                sheet.write_string(row, column, cell.value, cell_format)
            elif cell.value is not None:
                sheet.write_number(row, column, cell.value, cell_format)
            else:
                sheet.write_blank(row, column, None, cell_format)
            if cell.comment:
                sheet.write_comment(row, column, cell.comment, {"author": "SF2", **COMMENT_SIZE})

    def _cell(self, where: str) -> _Cell:
        """The cell, or a range's first one."""
        return self.cells.setdefault(xl_cell_to_rowcol(where.split(":", maxsplit=1)[0]), _Cell())

    def _row_heights(self) -> dict[int, float]:
        """The height of every row, in points."""
        totals = set(self.rows.values())
        lines: dict[int, float] = {
            row: A_TOTAL if row in totals else A_LEARNER for row in range(FIRST, self.rows["both"] + 1)
        }
        below = {self.rows["both"] + offset: BELOW for offset in range(1, ROWS_BELOW + 1)}
        return {**HEIGHTS, **lines, **below}

    def _needs_a_page(self) -> bool:
        """True if the summary does not fit below the last learners. It is not split over pages: it is signed."""
        page_height, heights = A_PAGE - sum(HEIGHTS.values()), self._row_heights()
        remaining: float = page_height
        for row in range(FIRST, self.rows["both"] + 1):
            height = heights[row]
            remaining = remaining - height if remaining >= height else page_height - height
        return remaining < ROWS_BELOW * BELOW

    def put(
        self,
        where: str,
        value: str | float | None,
        formula: str = "",
        *,
        number: str = "",
        bold: bool = False,
        size: float = 8,
        colour: str = "",
        align: Format = CENTRE,
        border: Format | None = None,
    ) -> None:
        """Put a value into a cell or merged range, with the formula that yields it."""
        corners = where.split(":")
        if corners[0] != corners[-1]:
            self.merged[where] = None
        cell = self._cell(where)
        cell.value, cell.formula = value, formula if self.live else ""
        cell.format = {"font_name": "Arial Narrow", "font_size": size, **align}
        if isinstance(value, str) and not cell.formula:
            cell.format |= {"num_format": "@", "quote_prefix": True}
        if number:
            cell.format["num_format"] = number
        if bold:
            cell.format["bold"] = True
        if colour:
            cell.format["font_color"] = colour
        if border:
            self._draw_border(where, border)

    def _draw_border(self, where: str, border: Format) -> None:
        """Draw lines around each cell of a range."""
        first, last = (xl_cell_to_rowcol(corner) for corner in (where.split(":")[0], where.split(":")[-1]))
        for row in range(first[0], last[0] + 1):
            for column in range(first[1], last[1] + 1):
                self.cells.setdefault((row, column), _Cell()).format |= border

    def _write_headings(self) -> None:
        form, section = self.form, self.section
        for where, text in sf2_labels.SHS_HEADINGS if self.shs else sf2_labels.HEADINGS:
            is_table_cell = where.split(":")[1][-1] == "7" or where[-1] in "56"
            self.put(
                where,
                text,
                bold=True,
                size=6 if where.startswith(("AQ5", "F5")) else 8,
                border=BOX if is_table_cell else None,
            )
        self.put("AM7:AN7", "ABSENT", bold=True, size=6, border=BOX)
        self.put("AO7:AP7", "TARDY" if self.tardy else "PRESENT", bold=True, size=6, border=BOX)
        self._cell("A1").format["font_size"] = 14
        school, school_year, months = section.school, section.school_year.replace("-", " - "), sf2_labels.MONTHS
        values: Mapping[str, str] = {
            "F3:I3": school.deped_id,
            "M3:R3": school_year,
            "AA3:AG3": months[form.first.month - 1],
            "F4:R4": school.name,
            "AA4:AG4": section.grade_level,
            "AM4:AU4": section.name,
        }
        if self.shs:
            values = {
                "D2:T2": school.name,
                "X2:AA2": school.deped_id,
                "AD2:AH2": "",
                "AL2:AQ2": school.division,
                "AT2:AU2": school.region,
                "D3:E3": "",
                "J3:M3": school_year,
                "Q3:T3": section.grade_level,
                "Y3:AU3": "",
                "D4:M4": section.name,
                "U4:AH4": "",
                "AO4:AU4": months[form.first.month - 1],
            }
        for where, value in values.items():
            self.put(where, value or None, border=BOX)

    def _slot_ranges(self, row: int) -> list[tuple[str, date | None]]:
        """The ranges of the 25 slots on a row, "F6:G6", "H6" ..., each with its date."""
        ranges = [":".join(f"{column}{row}" for column in slot.split(":")) for slot in sf2_labels.SLOTS]
        return list(zip(ranges, self.days, strict=True))

    def _write_dates(self) -> None:
        """Dates in their weekday's slot. A day without class keeps its date, in grey."""
        for index, ((date_cell, day), (letter_cell, _day)) in enumerate(
            zip(self._slot_ranges(6), self._slot_ranges(7), strict=True)
        ):
            weekday = ("M", "T", "W", "TH", "F", "S", "SU")[day.weekday() if day else index % 5]
            self.put(date_cell, day.day if day else None, border=BOX)
            self.put(letter_cell, weekday, size=7, border=BOX)
            if day and day in self.month.off and day not in self.form.class_days:
                for where in (date_cell, letter_cell):
                    self._cell(where).format |= GREY

    def _write_learners(self) -> None:
        row = FIRST
        for sex, title in (("M", "<=== MALE | TOTAL Per Day ===>"), ("F", "<=== FEMALE | TOTAL Per Day ===>")):
            lines = self.form.of(sex)  # type: ignore[arg-type]  # "M" or "F"
            start = row
            for number, line in enumerate(lines, start=1):
                self._write_learner(row, number, line)
                row += 1
            self._write_totals(row, start, title, lines, {d: self.form.per_day[sex, d] for d in self.form.class_days})  # type: ignore[index]
            row += 1

    def _write_learner(self, row: int, number: int, line: calculation.Sf2Line) -> None:
        self.put(f"A{row}:B{row}", number, border=BOX)
        self.put(f"C{row}:E{row}", line.learner.name, align=LEFT, border=BOX)
        for where, day in self._slot_ranges(row):
            mark = line.cells.get(day, "") if day else ""
            tardy = line.tardy.get(day) if day else None
            if tardy:
                self.put(where, SHADES[tardy], size=12, colour=SHADE, border=BOX)
                self._cell(where).comment = sf2_labels.TARDY_WORDS[tardy]
                continue
            displayed = mark if mark == calculation.ABSENT or (mark and self.live) else None
            self.put(where, displayed, colour=FAINT if mark == calculation.NOT_ENROLLED else "", border=BOX)
            if day and day not in self.form.class_days:
                self._cell(where).format |= GREY
        days = f"F{row}:AL{row}"
        self.put(f"AM{row}:AN{row}", line.absent, f'COUNTIF({days},"{calculation.ABSENT}")', border=BOX)
        present = f'${CLASS_DAYS}$1-COUNTIF({days},"{calculation.NOT_ENROLLED}")-AM{row}'
        if self.tardy:
            self.put(f"AO{row}:AP{row}", line.tardies, border=BOX)
        else:
            self.put(f"AO{row}:AP{row}", line.present, present, border=BOX)
        self.put(f"AQ{row}:AU{row}", format_sf2_remarks(line) or None, size=7, align=LEFT, border=BOX)
        if self.live:
            self._cell(f"{TARDIES}{row}").value = line.tardies

    def _second_total(self, line: calculation.Sf2Line) -> int:
        """The value of the second column of totals."""
        return line.tardies if self.tardy else line.present

    def _write_totals(
        self, row: int, start: int, title: str, lines: list[calculation.Sf2Line], per_day: dict[date, int]
    ) -> None:
        """The totals of one sex; its learners start at row `start`."""

        def column_formula(column: str, formula: str) -> str:
            """A formula over a column of the block; empty if the block is."""
            return formula.format(f"{column}{start}:{column}{row - 1}") if lines else ""

        self.put(f"A{row}:B{row}", len(lines), column_formula("C", "COUNTA({0})"), bold=True, border=BOX)
        self.put(f"C{row}:E{row}", title, bold=True, size=7, align=LEFT, border=BOX)
        for where, day in self._slot_ranges(row):
            is_class_day = day in per_day
            column = where.split(":", maxsplit=1)[0].rstrip("0123456789")
            learner_count = f"COUNTA($C${start}:$C${row - 1})"
            present_formula = (
                f'{learner_count}-COUNTIF({{0}},"{calculation.ABSENT}")-COUNTIF({{0}},"{calculation.NOT_ENROLLED}")'
            )
            formula = column_formula(column, present_formula) if is_class_day else ""
            self.put(where, per_day[day] if day and is_class_day else None, formula, size=7, bold=True, border=BOX)
        sums = ((("AM", "AN"), sum(line.absent for line in lines)), (("AO", "AP"), sum(map(self._second_total, lines))))
        for (column, last_column), value in sums:
            self.put(
                f"{column}{row}:{last_column}{row}", value, column_formula(column, "SUM({0})"), bold=True, border=BOX
            )
        self.put(f"AQ{row}:AU{row}", None, border=BOX)

    def _write_combined_totals(self) -> None:
        row, male, female = (self.rows[name] for name in ("both", "M", "F"))
        form = self.form

        def sum_of_sexes(column: str) -> str:
            return f"{column}{male}+{column}{female}"

        self.put(f"A{row}:B{row}", len(form.lines), sum_of_sexes("A"), bold=True, border=BOX)
        self.put(f"C{row}:E{row}", "Combined TOTAL Per Day", bold=True, size=7, align=LEFT, border=BOX)
        for where, day in self._slot_ranges(row):
            class_day = day if day in form.class_days else None
            value = form.per_day["M", class_day] + form.per_day["F", class_day] if class_day else None
            column = where.split(":", maxsplit=1)[0].rstrip("0123456789")
            self.put(where, value, sum_of_sexes(column) if class_day else "", size=7, bold=True, border=BOX)
        absent, second_total = sum(line.absent for line in form.lines), sum(map(self._second_total, form.lines))
        self.put(f"AM{row}:AN{row}", absent, sum_of_sexes("AM"), bold=True, border=BOX)
        self.put(f"AO{row}:AP{row}", second_total, sum_of_sexes("AO"), bold=True, border=BOX)
        self.put(f"AQ{row}:AU{row}", None, border=BOX)

    def _write_below(self) -> None:
        base = self.rows["both"]

        def resolve(where: str) -> str:
            """ "AM{24}:AU{24}" with the row numbers filled in."""
            return re.sub(r"\{(\d+)\}", lambda match: str(base + int(match[1])), where)

        for where, words in sf2_labels.BELOW:
            start = where.split(":", maxsplit=1)[0]
            align = CENTRE if start in sf2_labels.CENTRED else TOP
            self.put(resolve(where), self._with_term(words), size=7, align=align, bold=start in sf2_labels.BOLD)
        name = sf2_labels.MONTHS[self.form.first.month - 1]
        words = "No. of Days of Classes: "
        day_count = len(self.form.class_days)
        self.put(resolve("AM{1}:AO{2}"), f"Month : {name}", bold=True, size=7, border=BOX)
        self.put(
            resolve("AP{1}:AQ{2}"), f"{words}{day_count}", f'"{words}"&${CLASS_DAYS}$1', bold=True, size=7, border=BOX
        )
        for where in ("AR{1}:AU{1}", "AR{2}", "AS{2}", "AT{2}:AU{2}"):
            self._draw_border(resolve(where), BOX)
        self._write_summary(base)
        adviser = self.section.adviser.full_name.upper() if self.section.adviser else ""
        for where, signatory in (("AN{26}:AT{27}", adviser), ("AN{32}:AT{32}", self.month.head.upper())):
            self.put(resolve(where), signatory or None, bold=True, align=SHRUNK)
            self._draw_border(resolve(where).replace(str(base + int(where[3:5])), str(base + int(where[-3:-1]))), LINE)

    def _write_summary(self, base: int) -> None:
        """The lines of the summary. Counts are numbers; derived figures are formulas."""
        days = f"${CLASS_DAYS}$1"
        formulas: dict[str, Callable[[str, int], str]] = {
            "enrolment_rate": lambda c, _row: f'IF({c}{base + 3}=0,"",{c}{base + 9}/{c}{base + 3})',
            "average_daily_attendance": lambda _c, row: f'IF({days}=0,"",SUM(F{row}:AL{row})/{days})',
            "attendance_rate": lambda c, _row: f'IF(OR({c}{base + 9}=0,{days}=0),"",{c}{base + 13}/{c}{base + 9})',
        }
        columns = (
            ("AR", "AR", self.form.male, self.rows["M"]),
            ("AS", "AS", self.form.female, self.rows["F"]),
            ("AT", "AU", self.form.both, base),
        )
        for first, last, labels, attribute in sf2_labels.SUMMARY:
            for start, end, text in labels:
                where = f"{start}{base + first}:{end}{base + last}"
                self.put(where, self._with_term(text), size=7, align=LEFT, border=BOX)
            for column, last_column, summary, row in columns:
                value = getattr(summary, attribute)
                displayed = float(value) if isinstance(value, Fraction) else value
                if attribute in formulas:
                    formula, number = (
                        formulas[attribute](column, row),
                        "0" if attribute == "average_daily_attendance" else "0%",
                    )
                    displayed = "" if displayed is None and self.live else displayed
                else:
                    formula, number = (f"AR{base + first}+AS{base + first}" if column == "AT" else ""), "0"
                self.put(
                    f"{column}{base + first}:{last_column}{base + last}", displayed, formula, number=number, border=BOX
                )
        for offset, text in sf2_labels.SHIFTED if self.shs else ():
            self.put(f"AM{base + offset}:AQ{base + offset}", text, size=7, align=LEFT, border=BOX)
            for column, last_column, _summary, _row in columns:
                self.put(f"{column}{base + offset}:{last_column}{base + offset}", None, border=BOX)

    def _with_term(self, words: str) -> str:
        return words.replace("of the SY", "of the semester") if self.shs else words
