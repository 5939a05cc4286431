"""Two hundred School Forms 1, each put together by chance: all learners come through, or their row is refused.

Heads and feet, totals, remarks, letters, shapes and file formats are shuffled by a seed; nobody in them exists.
"""

import io
import random
from dataclasses import dataclass
from datetime import date, timedelta

import openpyxl
import pytest
import xlwt

from portal.classes.roster_files.reader import RosterFileError, parse_roster_file

FORMS = 200
LAST = [
    "DE LA PEÑA",
    "IBAÑEZ",
    "MUÑOZ",
    "O'CAMPO",
    "STO. DOMINGO",
    "MANGLAL-LAN",
    "CRUZ",
    "ABAD",
    "NUÑEZ",
    "DELOS REYES",
    "GARCÍA",
    "AÑONUEVO",
    "TAN",
    "UY",
]
FIRST = ["ANA", "MA. LOURDES", "JOSÉ", "CARLO MIGUEL", "JOHN-PAUL", "PRINCESS JOY", "RENZ", "HEART", "ÁNGEL", "X-ERES"]
MIDDLE = ["-", "LAZO", "DE GUZMAN", "PEÑA", "JR AGUSTIN", "III QUIAMAS", "V.", "STA. MARIA"]
BROKEN = ("PE?A", "PE¥A", "PeÃ±a", "PE\ufffdA", "CRUZ1", "REYES*")
GRADES = ("Grade 8 (Year ", "8", "Gr. 8", "VIII", "GRADE 8", "Grade 8 (Year II)")
REMARK_HEADS = ("REMARKS", "Remarks", "REMARKS (Please refer to the legend on last page)", "REMARK")
DATES = ("%Y-%m-%d", "%Y/%m/%d", "%m/%d/%Y", "%m-%d-%Y", "%b %d, %Y", "%d %B %Y", "%B %d, %Y", "%m/%d/%y")
FOOT = (
    "List and Code of Indicators under REMARKS column",
    "T/O Transferred Out, T/I Transferred In, DRP Dropped, LE Late Enrollment",
    "Prepared by: NOBODY, ADVISER",
    "Certified Correct: NOBODY, HEAD",
    "Generated thru LIS",
)


@dataclass(frozen=True)
class Made:
    """A learner as generated: what must be read, unless the row is spoiled."""

    lrn: str
    name: str
    sex: str
    remark: str
    code: str | None
    day: date | None
    is_spoiled: bool


@dataclass(frozen=True)
class Form:
    data: bytes
    filename: str
    learners: tuple[Made, ...]
    totals_are_wrong: bool


def make_learner(dice: random.Random, number: int, sex: str, may_spoil: bool) -> Made:
    lrn = f"{dice.choice(('300123', '036425', '136425'))}{number:06}"
    last = dice.choice(LAST)
    is_spoiled = may_spoil and dice.random() < 0.1
    if is_spoiled:
        last = dice.choice(BROKEN)
    name = f"{last},{dice.choice(FIRST)}, {dice.choice(MIDDLE)}"
    remark, code, day = make_remark(dice)
    return Made(lrn, name, sex, remark, code, day, is_spoiled)


def make_remark(dice: random.Random) -> tuple[str, str | None, date | None]:
    kind = dice.random()
    if kind < 0.6:
        return "", None, None
    if kind < 0.7:
        return dice.choice(("CCT", "SNED", "LWD")), None, None
    code, day = dice.choice(("T/O", "DRP", "NLS", "T/I", "LE")), date(2026, 7, 1) + timedelta(days=dice.randrange(120))
    if code in ("T/O", "DRP", "NLS") and dice.random() < 0.2:
        return code, code, None
    said = f"{code}{dice.choice((' DATE:', ' DATE: ', ' ', '-DATE:', ' Laoag NHS '))}{day.strftime(dice.choice(DATES))}"
    if dice.random() < 0.3:
        said = f"{dice.choice(('T/I DATE:2026-06-08', 'LWD', 'CCT'))}{dice.choice(('<br>', chr(10), '; '))}{said}"
    return said, code, day


def disguise_lrn(dice: random.Random, lrn: str) -> str:
    sign = dice.choice(("", "", "", "\u00a0", "\u200b", "'", " "))
    return f"{sign}{lrn}{dice.choice(('', '', ' ', chr(0x202C)))}"


def make_form(seed: int) -> Form:
    dice = random.Random(seed)
    kind = dice.choice(("xls", "xls", "xlsx", "csv"))
    may_spoil = dice.random() < 0.3
    males = [make_learner(dice, n, "M", may_spoil) for n in range(1, dice.randrange(1, 25))]
    females = [make_learner(dice, 500 + n, "F", may_spoil) for n in range(1, dice.randrange(2, 25))]
    places = {
        "lrn": 0,
        "name": dice.choice((1, 2, 3)),
        "sex": dice.choice((6, 8, 10)),
        "remarks": dice.choice((12, 44, 54, 70)),
    }
    width = places["remarks"] + 2
    rows: list[dict[int, object]] = [{} for _ in range(dice.randrange(0, 6))]
    heading = [
        {0: "School Form 1 (SF 1) School Register"},
        {0: "School ID ", 5: "300123", 8: "Region I", 10: "Division ", 11: "Ilocos Norte"},
        {0: "School Name", 5: "San Nicolas NHS", 7: "School Year", 9: "2026 - 2027"},
        {0: "Grade Level", 3: dice.choice(GRADES), 7: "Section", 9: "EMERALD"},
    ]
    label = dice.choice(REMARK_HEADS)
    head = {
        0: dice.choice(("LRN", "LRN ", "Learner Reference Number (LRN)")),
        places["name"]: "NAME\n(Last Name, First Name, Middle Name)",
        places["sex"]: "Sex (M/F)",
        places["remarks"]: label,
    }
    under = {places["sex"] + 1: "Barangay"}
    foot = [{0: line} for line in FOOT]
    is_paged = dice.random() < 0.3
    page = dice.randrange(5, 20)
    totals_are_wrong = dice.random() < 0.1
    rows += [*heading, *([{}] * dice.randrange(0, 8)), head, under]
    since_head = 0
    for block, word in ((males, "MALE"), (females, "FEMALE")):
        for one in block:
            if is_paged and since_head == page:
                rows += [*foot, {}, *heading, head, under]
                since_head = 0
            sex = dice.choice((one.sex, one.sex, {"M": "Male", "F": "female"}[one.sex]))
            cells = {0: disguise_lrn(dice, one.lrn), places["name"]: one.name, places["sex"]: sex}
            rows.append(cells | {places["remarks"]: one.remark})
            since_head += 1
        count = len(block) + (1 if totals_are_wrong and word == "MALE" else 0)
        rows.append({0: count if kind != "csv" else str(count), places["name"]: f"<=== TOTAL {word}"})
    rows.append({0: len(males) + len(females), places["name"]: "<=== COMBINED"})
    rows += [{}, *foot]
    return Form(write(kind, rows, width, dice), f"SF1.{kind}", (*males, *females), totals_are_wrong)


def write(kind: str, rows: list[dict[int, object]], width: int, dice: random.Random) -> bytes:
    kept = io.BytesIO()
    if kind == "csv":
        delimiter = dice.choice((",", ";", "\t"))
        lines = [delimiter.join(f'"{row.get(column, "")}"' for column in range(width)) for row in rows]
        text = dice.choice(("\r\n", "\n")).join(lines)
        return text.encode(dice.choice(("utf-8", "utf-8-sig", "utf-16")))
    if kind == "xls":
        book = xlwt.Workbook()
        sheet = book.add_sheet("school_form_1")
        for number, row in enumerate(rows):
            for column, value in row.items():
                sheet.write(number, column, value)
        book.save(kept)
        return kept.getvalue()
    book = openpyxl.Workbook()
    for number, row in enumerate(rows, 1):
        for column, value in row.items():
            book.active.cell(number, column + 1, value)
    book.save(kept)
    return kept.getvalue()


@pytest.mark.parametrize("first", range(0, FORMS, 20))
def test_learners_in_are_learners_out_or_their_row_is_refused(first):
    for seed in range(first, first + 20):
        form = make_form(seed)
        try:
            roster = parse_roster_file(form.data, form.filename)
        except RosterFileError as refused:
            pytest.fail(f"form {seed} is refused: {refused}")
        assert (roster.grade_level, roster.section) == ("Grade 8", "EMERALD"), seed
        assert bool(roster.problems) == form.totals_are_wrong, (seed, roster.problems)
        assert len(roster.rows) == len(form.learners), seed
        for row, made in zip(roster.rows, form.learners, strict=True):
            assert bool(row.problems) == made.is_spoiled, (seed, row)
            read = (row.lrn, row.lis_name, row.sex, row.remark_code, row.remark_date)
            if not made.is_spoiled:
                assert read == (made.lrn, made.name, made.sex, made.code, made.day), (seed, made.remark)
