"""School Form 2 as a workbook, cell by cell where LIS has it (`school_form_2_ver2014.2.1.1`): columns A to AU, days in
25 merged slots from F to AL, learners from row 8, the summary below by its offsets from the row of combined totals.

It is a working copy: the form that is filed comes from LIS. The words are the form's own, in its own spelling.
"""

import io
from datetime import date
from fractions import Fraction

from openpyxl import Workbook
from openpyxl.comments import Comment
from openpyxl.styles import Alignment, Border, Font, GradientFill, PatternFill, Side
from openpyxl.utils import column_index_from_string as number_of
from openpyxl.utils import get_column_letter as letters_of
from openpyxl.worksheet.worksheet import Worksheet

from portal.classes.models import Section
from portal.reports import sf2

SHEET = "school_form_2_ver2014.2.1.1"
MONTHS = (
    "JANUARY", "FEBRUARY", "MARCH", "APRIL", "MAY", "JUNE", "JULY", "AUGUST", "SEPTEMBER", "OCTOBER", "NOVEMBER",
    "DECEMBER",
)  # fmt: skip
# The first columns of the 25 slots and, where a slot is wider, its last; widths in characters.
SLOTS = (
    "F:G", "H", "I", "J", "K", "L:M", "N", "O", "P", "Q", "R:S", "T", "U", "V:W", "X:Y", "Z:AA", "AB", "AC", "AD",
    "AE", "AF", "AG:AH", "AI", "AJ", "AK:AL",
)  # fmt: skip
WIDTHS = (
    "A1.7", "B1.3", "C14.1", "D8.7", "E.2", "F.8", "G2", "H2.9", "I2.9", "J2.9", "K2.9", "L2.5", "M.3", "N2.9",
    "O2.9", "P2.9", "Q2.9", "R.8", "S2", "T2.9", "U2.9", "V.7", "W2.2", "X1.2", "Y1.7", "Z1.7", "AA1.2", "AB2.9",
    "AC2.9", "AD2.9", "AE2.9", "AF2.9", "AG2.7", "AH.2", "AI2.9", "AJ2.9", "AK1.2", "AL1.7", "AM1.7", "AN5", "AO5",
    "AP1.7", "AQ10.1", "AR3.4", "AS3.4", "AT6.7", "AU.3",
)  # fmt: skip
HEADINGS = (
    ("A1:AU1", "School Form 2 (SF2) Daily Attendance Report of Learners"),
    ("A2:AU2", "(This replaces Form 1, Form 2 & STS Form 4 - Absenteeism and Dropout Profile)"),
    ("A3:D3", "School ID "),
    ("J3:L3", "School Year "),
    ("S3:Z3", "Report for the Month of"),
    ("A4:D4", "Name of School"),
    ("S4:Z4", "Grade Level"),
    ("AI4:AL4", "Section "),
    ("A5:B7", "No."),
    ("C5:E7", "NAME\n(Last Name, First Name, Middle Name)"),
    ("F5:AL5", "(1st row for date)"),
    ("AM5:AP6", "Total for the Month"),
    ("AM7:AN7", "ABSENT"),
    ("AO7:AP7", "PRESENT"),
    (
        "AQ5:AU7",
        "REMARKS (If DROPPED OUT, state reason, please refer to legend number 2. If TRANSFERRED IN/OUT, write the name "
        "of School.)",
    ),
)
CODES = "(blank) - Present; (x)- Absent; Tardy (half shaded= Upper for Late Commer, Lower for Cutting Classes)"
# Offset from the row of combined totals, column, words.
BELOW = (
    (1, "A", "GUIDELINES:"),
    (1, "Z", "1. CODES FOR CHECKING ATTENDANCE"),
    (1, "AR", "Summary"),
    (2, "A", "1. The attendance shall be accomplished daily. Refer to the codes for checking learners' attendance."),
    (3, "A", "2. Dates shall be written in the columns after Learner's Name."),
    (4, "A", "3. To compute the following:"),
    (2, "Z", CODES),
    (2, "AR", "M"),
    (2, "AS", "F"),
    (2, "AT", "TOTAL"),
    (3, "AM", "* Enrolment as of (1st Friday of the SY)"),
    (4, "Z", "2. REASONS/CAUSES FOR NLS"),
    (5, "AM", "Late enrolment "),
    (5, "AP", "during the month"),
    (7, "AP", "(beyond cut-off)"),
    (6, "A", "a. Percentage of Enrolment = Registered Learners as of end of the month / Enrolment as of 1st Friday of "
             "the school year x 100"),
    (9, "A", "b. Average Daily Attendance = Total Daily Attendance / Number of School Days in reporting month"),
    (11, "A", "c. Percentage of Attendance for the month = Average daily attendance / Registered Learners as of end of "
              "the month x 100"),
    (6, "Z", "a. Domestic-Related Factors"),
    (8, "Z", "a.1 Had to take care of siblings  a.2 Early marriage/pregnancy  a.3 Parents' attitude toward schooling  "
             "a.4 Family problems"),
    (12, "Z", "b. Individual-Related Factors"),
    (13, "Z", "b.1 Illness  b.2 Overage  b.3 Death  b.4 Drug Abuse  b.5 Poor academic performance  "
              "b.6 Lack of interest/Distractions  b.7 Hunger/Malnutrition"),
    (18, "Z", "c. School-Related Factors"),
    (20, "Z", "c.1 Teacher Factor  c.2 Physical condition of classroom  c.3 Peer influence"),
    (24, "Z", "d. Geographic/Environmental"),
    (25, "Z", "d.1 Distance between home and school  d.2 Armed conflict (incl. Tribal wars & clanfeuds)  "
              "d.3 Calamities/Disasters"),
    (27, "Z", "e. Financial-Related"),
    (28, "Z", "e.1 Child labor, work"),
    (29, "Z", "f. Others (Specify)"),
    (9, "AM", "Registered Learners as of end of month"),
    (11, "AM", "Percentage of Enrolment as of end of month"),
    (13, "AM", "Average Daily Attendance"),
    (15, "AM", "Percentage of Attendance for the month"),
    (16, "AM", "Number of students absent for 5 consecutive days"),
    (17, "AM", "Dropped out"),
    (19, "AM", "Transferred out"),
    (21, "AM", "Transferred in"),
    (14, "A", "4. Every end of the month, the class adviser will submit this form to the office of the principal for "
              "recording of summary table into School Form 4. Once signed by the principal, this form should be "
              "returned to the adviser."),
    (15, "A", "5. The adviser will provide neccessary interventions including but not limited to home visitation to "
              "learner/s who were absent for 5 consecutive days and/or those at risk of dropping out."),
    (16, "A", "6.  Attendance performance of learners will be reflected in Form 137 and Form 138 every grading "
              "period."),
    (18, "A", "*Beginning of School Year cut-off report is every 1st Friday of the School Year"),
    (24, "AM", "I certify that this is a true and correct report."),
    (28, "AN", "(Signature of Adviser over Printed Name)"),
    (30, "AM", "Attested by:"),
    (33, "AN", "(Signature of School Head over Printed Name)"),
)  # fmt: skip
THIN = Side(style="thin")
BOX = Border(left=THIN, right=THIN, top=THIN, bottom=THIN)
GREY = PatternFill("solid", fgColor="D9D9D9")
# A fill with a hard edge in the middle is the form's half shading.
SHADES = {
    "late": GradientFill(degree=90, stop=("7F7F7F", "7F7F7F", "FFFFFF", "FFFFFF")),
    "cutting": GradientFill(degree=90, stop=("FFFFFF", "FFFFFF", "7F7F7F", "7F7F7F")),
}
TARDY_WORDS = {"late": "Tardy: late", "cutting": "Tardy: left early", "both": "Tardy: late, and left early"}


def make(section: Section, form: sf2.Form, *, off: dict[date, str], head: str = "") -> bytes:
    """The workbook of a month, values only. Whatever the number of learners, rows are added, never left out."""
    book = Workbook()
    sheet = book.active
    assert isinstance(sheet, Worksheet)  # a new workbook has one
    sheet.title = SHEET
    _page(sheet)
    _headings(sheet, section, form)
    _days(sheet, form, off)
    row = 8
    males, females = form.of("M"), form.of("F")
    for lines, sex, title in (
        (males, "M", "<=== MALE | TOTAL Per Day ===>"),
        (females, "F", "<=== FEMALE | TOTAL Per Day ===>"),
    ):
        for number, line in enumerate(lines, start=1):
            _learner(sheet, row, number, line, form)
            row += 1
        per_day = {day: form.per_day[sex, day] for day in form.class_days}  # type: ignore[index]  # "M" or "F"
        _totals(sheet, row, len(lines), title, per_day, form, lines)
        row += 1
    both = {day: form.per_day["M", day] + form.per_day["F", day] for day in form.class_days}
    _totals(sheet, row, len(form.lines), "Combined TOTAL Per Day", both, form, list(form.lines))
    _below(sheet, row, section, form, head)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _page(sheet: Worksheet) -> None:
    for item in WIDTHS:
        name = item.rstrip("0123456789.")
        sheet.column_dimensions[name].width = float(item[len(name) :]) + 0.7
    for row, height in ((1, 30), (2, 20), (3, 20), (4, 20), (5, 10), (6, 15), (7, 15)):
        sheet.row_dimensions[row].height = height
    sheet.page_setup.orientation, sheet.page_setup.paperSize = "landscape", 9  # A4
    sheet.page_setup.fitToWidth, sheet.page_setup.fitToHeight = 1, 0
    sheet.sheet_properties.pageSetUpPr.fitToPage = True
    sheet.print_title_rows = "1:7"
    for side in ("left", "right", "top", "bottom"):
        setattr(sheet.page_margins, side, 0.28)


def _put(
    sheet: Worksheet, where: str, value: str | int | float | None, *, number: str = "", bold: bool = False
) -> None:
    """A value in a cell or in a merged range; text is always text, whatever it begins with."""
    if ":" in where:
        sheet.merge_cells(where)
    cell = sheet[where.split(":")[0]]
    cell.value = value
    if isinstance(value, str):
        cell.data_type = "s"
        cell.number_format = "@"
        cell.quotePrefix = True
    elif number:
        cell.number_format = number
    cell.font = Font(name="Arial Narrow", size=8, bold=bold)
    cell.alignment = Alignment(horizontal="center", vertical="center", wrap_text=True)


def _headings(sheet: Worksheet, section: Section, form: sf2.Form) -> None:
    for where, words in HEADINGS:
        _put(sheet, where, words, bold=True)
    sheet["A1"].font = Font(name="Arial Narrow", size=14, bold=True)
    values = {
        "F3:I3": section.school.deped_id,
        "M3:R3": section.school_year.replace("-", " - "),
        "AA3:AG3": MONTHS[form.first.month - 1],
        "F4:R4": section.school.name,
        "AA4:AG4": section.grade_level,
        "AM4:AU4": section.name,
    }
    for where, value in values.items():
        _put(sheet, where, value)


def _slots(row: int) -> list[str]:
    """The ranges of the 25 slots on a row: "F6:G6", "H6" ..."""
    return [":".join(f"{column}{row}" for column in slot.split(":")) for slot in SLOTS]


def _days(sheet: Worksheet, form: sf2.Form, off: dict[date, str]) -> None:
    """Dates in their own weekday's slot. A day without class keeps its date, in grey."""
    for at, (date_cell, letter_cell, day) in enumerate(zip(_slots(6), _slots(7), placed(form), strict=True)):
        name = ("M", "T", "W", "TH", "F", "S", "SU")[day.weekday() if day else at % 5]
        _put(sheet, date_cell, day.day if day else None)
        _put(sheet, letter_cell, name)
        if day and day in off and day not in form.class_days:
            sheet[date_cell.split(":")[0]].fill = GREY
            sheet[letter_cell.split(":")[0]].fill = GREY


def placed(form: sf2.Form) -> list[date | None]:
    """The date of each slot, make-up days on Saturdays and Sundays in spare ones."""
    columns = list(form.slots)
    spare = [at for at, day in enumerate(columns) if day is None]
    for day, at in zip(form.extra_days, spare, strict=False):
        columns[at] = day
    return columns


def _learner(sheet: Worksheet, row: int, number: int, line: sf2.Line, form: sf2.Form) -> None:
    _put(sheet, f"A{row}:B{row}", number)
    _put(sheet, f"C{row}:E{row}", line.learner.name)
    sheet[f"C{row}"].alignment = Alignment(horizontal="left", vertical="center")
    for where, day in zip(_slots(row), placed(form), strict=True):
        mark = line.cells.get(day, "") if day else ""
        _put(sheet, where, sf2.ABSENT if mark == sf2.ABSENT else None)
        first = sheet[where.split(":")[0]]
        tardy = line.tardy.get(day) if day else None
        if tardy:
            first.fill = SHADES.get(tardy, GREY)
            first.comment = Comment(TARDY_WORDS[tardy], "Silid")
        elif day and day not in form.class_days:
            first.fill = GREY
    _put(sheet, f"AM{row}:AN{row}", line.absent)
    _put(sheet, f"AO{row}:AP{row}", line.present)
    _put(sheet, f"AQ{row}:AU{row}", remarks(line) or None)


def remarks(line: sf2.Line) -> str:
    """As advisers write them: "T/O to Laoag Central 2026-11-13"."""
    said = []
    for code, day, detail in line.remarks:
        to = " to" if code == "T/O" and detail else ""
        said.append(f"{code}{to}{f' {detail}' if detail else ''} {day.isoformat()}")
    return "; ".join(said)


def _totals(
    sheet: Worksheet,
    row: int,
    people: int,
    title: str,
    per_day: dict[date, int],
    form: sf2.Form,
    lines: list[sf2.Line],
) -> None:
    _put(sheet, f"A{row}:B{row}", people, bold=True)
    _put(sheet, f"C{row}:E{row}", title, bold=True)
    for where, day in zip(_slots(row), placed(form), strict=True):
        _put(sheet, where, per_day.get(day) if day else None, bold=True)
    _put(sheet, f"AM{row}:AN{row}", sum(line.absent for line in lines), bold=True)
    _put(sheet, f"AO{row}:AP{row}", sum(line.present for line in lines), bold=True)
    for column in range(1, number_of("AU") + 1):
        sheet[f"{letters_of(column)}{row}"].border = BOX


def _below(sheet: Worksheet, row: int, section: Section, form: sf2.Form, head: str) -> None:
    for offset, column, words in BELOW:
        _put(sheet, f"{column}{row + offset}", words)
        sheet[f"{column}{row + offset}"].alignment = Alignment(vertical="top")
    _put(sheet, f"AM{row + 1}", f"Month : {MONTHS[form.first.month - 1]}")
    _put(sheet, f"AP{row + 1}", f"No. of Days of Classes: {len(form.class_days)}")
    for column, summary in (("AR", form.male), ("AS", form.female), ("AT", form.both)):
        for offset, value, number in (
            (3, summary.enrolment, "0"),
            (5, summary.late, "0"),
            (9, summary.registered, "0"),
            (11, summary.of_enrolment, "0%"),
            (13, summary.daily, "0"),
            (15, summary.of_attendance, "0%"),
            (16, summary.absent_in_a_row, "0"),
            (17, summary.left, "0"),
            (19, summary.transferred_out, "0"),
            (21, summary.transferred_in, "0"),
        ):
            shown = float(value) if isinstance(value, Fraction) else value
            _put(sheet, f"{column}{row + offset}", shown, number=number)
    adviser = section.adviser.full_name.upper() if section.adviser else ""
    _put(sheet, f"AN{row + 26}", adviser)
    _put(sheet, f"AN{row + 32}", head.upper())
