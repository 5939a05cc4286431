"""School Form 2 as a workbook, cell by cell where LIS has it: days in 25 merged slots from F to AL, learners from
row 8, the summary below. With formulas, so that a mark corrected in Excel corrects the totals, or figures only.

It is a working copy: the form that is filed comes from LIS.
"""

import re
from collections.abc import Callable, Mapping
from datetime import date
from fractions import Fraction

from openpyxl import Workbook
from openpyxl.comments import Comment
from openpyxl.styles import Alignment, Border, Font, PatternFill, Side
from openpyxl.worksheet.pagebreak import Break
from openpyxl.worksheet.worksheet import Worksheet

from portal.classes.models import Section
from portal.reports.sf2 import calculation
from portal.reports.sf2 import labels as sf2_labels
from portal.reports.sf2.formula_results import FormulaResults
from portal.reports.sf2.queries import Sf2Month

THIN = Side(style="thin")
BOX = Border(left=THIN, right=THIN, top=THIN, bottom=THIN)
LINE = Border(bottom=THIN)
GREY = PatternFill("solid", fgColor="D9D9D9")
FAINT = "A6A6A6"
# The form's half shading, as a character: a fill with two colours shows in Excel only.
SHADES = {"late": "\N{UPPER HALF BLOCK}", "cutting": "\N{LOWER HALF BLOCK}", "both": "\N{FULL BLOCK}"}
SHADE = "7F7F7F"
HEIGHTS: dict[int, float] = {1: 30, 2: 20, 3: 20, 4: 20, 5: 10, 6: 15, 7: 15}  # points
A_LEARNER, A_TOTAL, BELOW = 20, 15, 12.5  # height of a row of each, in points
A_PAGE = 720  # points of rows on a page of paper, as the width scales them, with some to spare
PAPERS = {"a4": 9, "long": 14}  # as Excel numbers them; long is 8.5 by 13 inches
FIRST = 8  # row of the first learner
ROWS_BELOW = 33  # from the row of combined totals to the last signature
CLASS_DAYS, TARDIES = "AW", "AX"  # hidden helper columns, outside the printed form
LEFT = Alignment(horizontal="left", vertical="center", wrap_text=True)
TOP = Alignment(horizontal="left", vertical="top", wrap_text=True)


def build_sf2_workbook(section: Section, month: Sf2Month, *, live: bool = True) -> bytes:
    """The workbook of a month. `live`: totals are formulas, which show what the portal counted until a mark is
    changed, and days before and after a learner's time are marked "-". Whatever the number of learners, rows are
    added, never left out."""
    return _Form(section, month, live=live).bytes()


def dates_by_column(form: calculation.Sf2Form) -> list[date | None]:
    """The date of each slot, make-up days on Saturdays and Sundays in spare ones."""
    columns = list(form.slots)
    spare = [at for at, day in enumerate(columns) if day is None]
    for day, at in zip(form.extra_days, spare, strict=False):
        columns[at] = day
    return columns


def format_sf2_remarks(line: calculation.Sf2Line) -> str:
    """As advisers write them: "T/O to Laoag Central 2026-11-13"."""
    said = []
    for code, day, detail in line.remarks:
        to = " to" if code == "T/O" and detail else ""
        said.append(f"{code}{to}{f' {detail}' if detail else ''} {day.isoformat()}")
    return "; ".join(said)


class _Form:
    """The sheet while it is drawn."""

    def __init__(self, section: Section, month: Sf2Month, *, live: bool) -> None:
        self.section, self.month, self.form = section, month, month.form
        self.shs, self.tardy = month.kind == "shs", month.kind in ("tardy", "shs")
        self.days = dates_by_column(self.form)
        # A class day for which not even a spare column is left cannot be counted by a formula.
        self.live = live and set(self.form.class_days) <= set(self.days)
        self.book = Workbook()
        sheet = self.book.active
        assert isinstance(sheet, Worksheet)  # a new workbook has one
        self.sheet = sheet
        self.formulas = FormulaResults()
        males, females = self.form.of("M"), self.form.of("F")
        self.rows = {"M": FIRST + len(males)}  # of the totals per day
        self.rows["F"] = self.rows["M"] + 1 + len(females)
        self.rows["both"] = self.rows["F"] + 1

    def bytes(self) -> bytes:
        self._page()
        self._headings()
        self._dates()
        self._learners()
        self._combined()
        self._below()
        return self.formulas.save(self.book)

    def _page(self) -> None:
        sheet = self.sheet
        sheet.title = sf2_labels.SHEET
        for item in sf2_labels.WIDTHS:
            name = item.rstrip("0123456789.")
            sheet.column_dimensions[name].width = float(item[len(name) :]) + 0.7
        for row, height in self._heights().items():
            sheet.row_dimensions[row].height = height
        if self._needs_a_page():
            sheet.row_breaks.append(Break(id=self.rows["both"]))
        sheet.page_setup.orientation = "landscape"
        sheet.page_setup.paperSize = PAPERS[self.section.sf2_paper]
        sheet.page_setup.fitToWidth, sheet.page_setup.fitToHeight = 1, 0
        sheet.sheet_properties.pageSetUpPr.fitToPage = True
        sheet.print_title_rows = "1:7"
        sheet.print_area = f"A1:AU{self.rows['both'] + ROWS_BELOW}"
        for side in ("left", "right", "top", "bottom"):
            setattr(sheet.page_margins, side, 0.28)
        if self.live:
            sheet[f"{CLASS_DAYS}1"] = len(self.form.class_days)
            for column in (CLASS_DAYS, TARDIES):
                sheet.column_dimensions[column].hidden = True

    def _heights(self) -> dict[int, float]:
        """The height of every row, in points."""
        totals = set(self.rows.values())
        lines: dict[int, float] = {
            row: A_TOTAL if row in totals else A_LEARNER for row in range(FIRST, self.rows["both"] + 1)
        }
        below = {self.rows["both"] + offset: BELOW for offset in range(1, ROWS_BELOW + 1)}
        return {**HEIGHTS, **lines, **below}

    def _needs_a_page(self) -> bool:
        """Does the summary not fit below the last learners? It is not parted, for it is signed."""
        room, heights = A_PAGE - sum(HEIGHTS.values()), self._heights()
        left: float = room
        for row in range(FIRST, self.rows["both"] + 1):
            height = heights[row]
            left = left - height if left >= height else room - height
        return left < ROWS_BELOW * BELOW

    def put(
        self,
        where: str,
        value: str | float | None,
        formula: str = "",
        *,
        number: str = "",
        bold: bool = False,
        size: float = 8,
        align: Alignment | None = None,
        border: Border | None = None,
    ) -> None:
        """A value in a cell or a merged range, and the formula that gives it; text is always text, whatever it
        begins with."""
        if ":" in where:
            self.sheet.merge_cells(where)
        cell = self.sheet[where.split(":", maxsplit=1)[0]]
        if formula and self.live:
            cell.value = f"={formula}"
            self.formulas.result(cell.coordinate, value)
        else:
            cell.value = value
            if isinstance(value, str):
                cell.data_type = "s"
                cell.number_format = "@"
                cell.quotePrefix = True
        if number:
            cell.number_format = number
        cell.font = Font(name="Arial Narrow", size=size, bold=bold)
        cell.alignment = align or Alignment(horizontal="center", vertical="center", wrap_text=True)
        if border:
            self._frame(where, border)

    def _frame(self, where: str, border: Border) -> None:
        for line in self.sheet[where if ":" in where else f"{where}:{where}"]:
            for cell in line:
                cell.border = border

    def _headings(self) -> None:
        form, section = self.form, self.section
        for where, words in sf2_labels.SHS_HEADINGS if self.shs else sf2_labels.HEADINGS:
            table = where.split(":")[1][-1] == "7" or where[-1] in "56"
            self.put(
                where, words, bold=True, size=6 if where.startswith(("AQ5", "F5")) else 8, border=BOX if table else None
            )
        self.put("AM7:AN7", "ABSENT", bold=True, size=6, border=BOX)
        self.put("AO7:AP7", "TARDY" if self.tardy else "PRESENT", bold=True, size=6, border=BOX)
        self.sheet["A1"].font = Font(name="Arial Narrow", size=14, bold=True)
        school, year, name = section.school, section.school_year.replace("-", " - "), sf2_labels.MONTHS
        values: Mapping[str, str] = {
            "F3:I3": school.deped_id,
            "M3:R3": year,
            "AA3:AG3": name[form.first.month - 1],
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
                "J3:M3": year,
                "Q3:T3": section.grade_level,
                "Y3:AU3": "",
                "D4:M4": section.name,
                "U4:AH4": "",
                "AO4:AU4": name[form.first.month - 1],
            }
        for where, value in values.items():
            self.put(where, value or None, border=BOX)

    def _slots(self, row: int) -> list[tuple[str, date | None]]:
        """The ranges of the 25 slots on a row, "F6:G6", "H6" ..., each with its date."""
        ranges = [":".join(f"{column}{row}" for column in slot.split(":")) for slot in sf2_labels.SLOTS]
        return list(zip(ranges, self.days, strict=True))

    def _dates(self) -> None:
        """Dates in their own weekday's slot. A day without class keeps its date, in grey."""
        for at, ((date_cell, day), (letter_cell, _day)) in enumerate(zip(self._slots(6), self._slots(7), strict=True)):
            name = ("M", "T", "W", "TH", "F", "S", "SU")[day.weekday() if day else at % 5]
            self.put(date_cell, day.day if day else None, border=BOX)
            self.put(letter_cell, name, size=7, border=BOX)
            if day and day in self.month.off and day not in self.form.class_days:
                for where in (date_cell, letter_cell):
                    self.sheet[where.split(":", maxsplit=1)[0]].fill = GREY

    def _learners(self) -> None:
        row = FIRST
        for sex, title in (("M", "<=== MALE | TOTAL Per Day ===>"), ("F", "<=== FEMALE | TOTAL Per Day ===>")):
            lines = self.form.of(sex)  # type: ignore[arg-type]  # "M" or "F"
            start = row
            for number, line in enumerate(lines, start=1):
                self._learner(row, number, line)
                row += 1
            self._totals(row, start, title, lines, {d: self.form.per_day[sex, d] for d in self.form.class_days})  # type: ignore[index]
            row += 1

    def _learner(self, row: int, number: int, line: calculation.Sf2Line) -> None:
        self.put(f"A{row}:B{row}", number, border=BOX)
        self.put(f"C{row}:E{row}", line.learner.name, align=LEFT, border=BOX)
        for where, day in self._slots(row):
            mark = line.cells.get(day, "") if day else ""
            self.put(where, mark if mark == calculation.ABSENT or (mark and self.live) else None, border=BOX)
            cell = self.sheet[where.split(":", maxsplit=1)[0]]
            tardy = line.tardy.get(day) if day else None
            if mark == calculation.NOT_ENROLLED:
                cell.font = Font(name="Arial Narrow", size=8, color=FAINT)
            if tardy:
                self.put(where, SHADES[tardy], size=12, border=BOX)
                cell.font = Font(name="Arial Narrow", size=12, color=SHADE)
                cell.comment = Comment(sf2_labels.TARDY_WORDS[tardy], "SF2")
            elif day and day not in self.form.class_days:
                cell.fill = GREY
        days = f"F{row}:AL{row}"
        self.put(f"AM{row}:AN{row}", line.absent, f'COUNTIF({days},"{calculation.ABSENT}")', border=BOX)
        present = f'${CLASS_DAYS}$1-COUNTIF({days},"{calculation.NOT_ENROLLED}")-AM{row}'
        if self.tardy:
            self.put(f"AO{row}:AP{row}", line.tardies, border=BOX)
        else:
            self.put(f"AO{row}:AP{row}", line.present, present, border=BOX)
        self.put(f"AQ{row}:AU{row}", format_sf2_remarks(line) or None, size=7, align=LEFT, border=BOX)
        if self.live:
            self.sheet[f"{TARDIES}{row}"] = line.tardies

    def _second(self, line: calculation.Sf2Line) -> int:
        """What the second column of totals counts."""
        return line.tardies if self.tardy else line.present

    def _totals(
        self, row: int, start: int, title: str, lines: list[calculation.Sf2Line], per_day: dict[date, int]
    ) -> None:
        """The line below the learners of a sex, who stand from row `start` on."""

        def over(column: str, formula: str) -> str:
            """A formula over a column of the block; none where the block is empty."""
            return formula.format(f"{column}{start}:{column}{row - 1}") if lines else ""

        self.put(f"A{row}:B{row}", len(lines), over("C", "COUNTA({0})"), bold=True, border=BOX)
        self.put(f"C{row}:E{row}", title, bold=True, size=7, align=LEFT, border=BOX)
        for where, day in self._slots(row):
            counted = day in per_day
            column = where.split(":", maxsplit=1)[0].rstrip("0123456789")
            names = f"COUNTA($C${start}:$C${row - 1})"
            there = f'{names}-COUNTIF({{0}},"{calculation.ABSENT}")-COUNTIF({{0}},"{calculation.NOT_ENROLLED}")'
            formula = over(column, there) if counted else ""
            self.put(where, per_day[day] if day and counted else None, formula, size=7, bold=True, border=BOX)
        sums = ((("AM", "AN"), sum(one.absent for one in lines)), (("AO", "AP"), sum(map(self._second, lines))))
        for (column, to), value in sums:
            self.put(f"{column}{row}:{to}{row}", value, over(column, "SUM({0})"), bold=True, border=BOX)
        self.put(f"AQ{row}:AU{row}", None, border=BOX)

    def _combined(self) -> None:
        row, male, female = (self.rows[name] for name in ("both", "M", "F"))
        form = self.form

        def both(column: str) -> str:
            return f"{column}{male}+{column}{female}"

        self.put(f"A{row}:B{row}", len(form.lines), both("A"), bold=True, border=BOX)
        self.put(f"C{row}:E{row}", "Combined TOTAL Per Day", bold=True, size=7, align=LEFT, border=BOX)
        for where, day in self._slots(row):
            counted = day if day in form.class_days else None
            value = form.per_day["M", counted] + form.per_day["F", counted] if counted else None
            column = where.split(":", maxsplit=1)[0].rstrip("0123456789")
            self.put(where, value, both(column) if counted else "", size=7, bold=True, border=BOX)
        absent, second = sum(one.absent for one in form.lines), sum(map(self._second, form.lines))
        self.put(f"AM{row}:AN{row}", absent, both("AM"), bold=True, border=BOX)
        self.put(f"AO{row}:AP{row}", second, both("AO"), bold=True, border=BOX)
        self.put(f"AQ{row}:AU{row}", None, border=BOX)

    def _below(self) -> None:
        base = self.rows["both"]

        def at(where: str) -> str:
            """ "AM{24}:AU{24}" with the rows in it."""
            return re.sub(r"\{(\d+)\}", lambda found: str(base + int(found[1])), where)

        for where, words in sf2_labels.BELOW:
            start = where.split(":", maxsplit=1)[0]
            align = None if start in sf2_labels.CENTRED else TOP
            self.put(at(where), self._semester(words), size=7, align=align, bold=start in sf2_labels.BOLD)
        name = sf2_labels.MONTHS[self.form.first.month - 1]
        words = "No. of Days of Classes: "
        count = len(self.form.class_days)
        self.put(at("AM{1}:AO{2}"), f"Month : {name}", bold=True, size=7, border=BOX)
        self.put(at("AP{1}:AQ{2}"), f"{words}{count}", f'"{words}"&${CLASS_DAYS}$1', bold=True, size=7, border=BOX)
        for where in ("AR{1}:AU{1}", "AR{2}", "AS{2}", "AT{2}:AU{2}"):
            self._frame(at(where), BOX)
        self._summary(base)
        adviser = self.section.adviser.full_name.upper() if self.section.adviser else ""
        for where, signs in (("AN{26}:AT{27}", adviser), ("AN{32}:AT{32}", self.month.head.upper())):
            align = Alignment(horizontal="center", vertical="bottom", shrink_to_fit=True)
            self.put(at(where), signs or None, bold=True, align=align)
            self._frame(at(where).replace(str(base + int(where[3:5])), str(base + int(where[-3:-1]))), LINE)

    def _summary(self, base: int) -> None:
        """The lines of the summary. What the portal counts is a number; what follows from it is a formula."""
        days = f"${CLASS_DAYS}$1"
        formulas: dict[str, Callable[[str, int], str]] = {
            "of_enrolment": lambda c, _row: f'IF({c}{base + 3}=0,"",{c}{base + 9}/{c}{base + 3})',
            "daily": lambda _c, row: f'IF({days}=0,"",SUM(F{row}:AL{row})/{days})',
            "of_attendance": lambda c, _row: f'IF(OR({c}{base + 9}=0,{days}=0),"",{c}{base + 13}/{c}{base + 9})',
        }
        columns = (
            ("AR", "AR", self.form.male, self.rows["M"]),
            ("AS", "AS", self.form.female, self.rows["F"]),
            ("AT", "AU", self.form.both, base),
        )
        for first, last, labels, what in sf2_labels.SUMMARY:
            for start, end, words in labels:
                where = f"{start}{base + first}:{end}{base + last}"
                self.put(where, self._semester(words), size=7, align=LEFT, border=BOX)
            for column, to, summary, row in columns:
                value = getattr(summary, what)
                shown = float(value) if isinstance(value, Fraction) else value
                if what in formulas:
                    formula, number = formulas[what](column, row), "0" if what == "daily" else "0%"
                    shown = "" if shown is None and self.live else shown
                else:
                    formula, number = (f"AR{base + first}+AS{base + first}" if column == "AT" else ""), "0"
                self.put(f"{column}{base + first}:{to}{base + last}", shown, formula, number=number, border=BOX)
        for offset, words in sf2_labels.SHIFTED if self.shs else ():
            self.put(f"AM{base + offset}:AQ{base + offset}", words, size=7, align=LEFT, border=BOX)
            for column, to, _summary, _row in columns:
                self.put(f"{column}{base + offset}:{to}{base + offset}", None, border=BOX)

    def _semester(self, words: str) -> str:
        return words.replace("of the SY", "of the semester") if self.shs else words
