"""The report as CSV and XLSX: the same figures, text that stays text, LRNs intact."""

import csv
import io
import string
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import load_workbook
from openpyxl.worksheet.worksheet import Worksheet
from sqlalchemy import delete

from portal.attendance.models import AttendanceHistory
from portal.classes.models import Learner
from portal.core.db import write_transaction
from portal.reports import xlsx_writer
from tests.browser import Browser
from tests.examples import count_examples
from tests.reports.conftest import ALL, Month

NAMES = ["=HYPERLINK(1),ANA, CRUZ", "+63917,BEN, -", "@SUM,CEL, _x0041_B", 'DE LA CRUZ,ÑINO & <SON>, "JR"']


def workbook(browser: Browser, url: str) -> Worksheet:
    browser.get(url)
    assert browser.response
    sheet = load_workbook(io.BytesIO(browser.response.data)).active
    assert isinstance(sheet, Worksheet)
    return sheet


def lines(browser: Browser, url: str) -> list[list[str]]:
    browser.get(url)
    assert browser.response
    return list(csv.reader(io.StringIO(browser.response.text)))


def rename(learners: list[Learner], names: list[str]) -> None:
    with write_transaction() as session:
        for learner, name in zip(learners, names, strict=False):
            session.merge(learner).lis_name = name


def test_figures_are_those_of_the_page(ada: Browser) -> None:
    heading, art, biology = lines(ada, f"/reports.csv?{ALL}")
    assert heading[:3] == ["class", "teacher", "classes_planned"]
    assert dict(zip(heading, biology, strict=True)) == {
        "class": "Biology, Grade 8 - Jadeite",
        "teacher": "Ada Lovelace",
        "classes_planned": "2",
        "classes_held": "2",
        "learners": "4",
        "invited": "8",
        "present": "4",
        "partial": "1",
        "absent": "3",
        "needs_review": "0",
        "rate": "0.6250",
        "average_minutes": "0",
        "class_minutes": "0",
        "not_final": "0",
    }
    assert art[0] == "Art, Grade 8 - Jadeite"
    sheet = workbook(ada, f"/reports.xlsx?{ALL}")
    assert [cell.value for cell in sheet[1]] == heading
    figures = [cell.value for cell in sheet[3]]
    assert figures == ["Biology, Grade 8 - Jadeite", "Ada Lovelace", 2, 2, 4, 8, 4, 1, 3, 0, 0.625, 0, 0, 0]


def test_marks_have_a_line_for_each_learner_and_a_column_for_each_day(ada: Browser, month: Month) -> None:
    heading, *rows = lines(ada, f"/reports/marks.csv?{ALL}&class={month.biology.id}")
    assert heading[-2:] == ["2026-11-03", "2026-11-10"]
    assert [row[2] for row in rows] == [f"30012320000{n}" for n in (1, 2, 3, 4)]
    assert [row[-2:] for row in rows] == [
        ["present", "present"],
        ["present", "absent"],
        ["partial", "present"],
        ["absent", "absent"],
    ]
    assert rows[1][5:9] == ["1", "0", "1", "0"]
    sheet = workbook(ada, f"/reports/marks.xlsx?{ALL}&class={month.biology.id}")
    assert [[str(cell.value) for cell in row] for row in sheet.iter_rows()] == [heading, *rows]


def test_names_are_text_whatever_they_begin_with(ada: Browser, month: Month) -> None:
    rename(month.learners, NAMES)
    sheet = workbook(ada, f"/reports/marks.xlsx?{ALL}")
    assert {str(row[3].value) for row in sheet.iter_rows(min_row=2)} == set(NAMES)
    texts = [cell for row in sheet.iter_rows() for cell in row if isinstance(cell.value, str)]
    assert texts
    for cell in texts:
        assert (cell.data_type, cell.quotePrefix, cell.number_format) == ("s", True, "@"), cell.coordinate
    in_csv = {row[3] for row in lines(ada, f"/reports/marks.csv?{ALL}")[1:]}
    assert in_csv == {f"'{name}" if name[0] in "=+-@" else name for name in NAMES}


def test_lrns_keep_their_zeros_and_their_twelve_digits(ada: Browser, month: Month) -> None:
    with write_transaction() as session:
        session.merge(month.learners[0]).lrn = "000000000012"
    sheet = workbook(ada, f"/reports/marks.xlsx?{ALL}")
    found = next(row[2] for row in sheet.iter_rows(min_row=2) if row[2].value == "000000000012")
    assert (found.data_type, found.number_format) == ("s", "@")


def test_a_class_of_nobody_has_its_heading_only(ada: Browser, month: Month) -> None:
    empty = month.people.school_class(month.people.ada, month.people.section(month.people.ada, name="Opal"), "Music")
    for name in ("/reports", "/reports/marks"):
        assert len(lines(ada, f"{name}.csv?{ALL}&class={empty.id}")) == 1
        assert workbook(ada, f"{name}.xlsx?{ALL}&class={empty.id}").max_row == 1


def test_a_file_is_rather_not_made_than_of_other_days(ada: Browser) -> None:
    ada.get("/reports.xlsx?from=2026-11-xx&to=2026-11-30", status=422)
    assert "“2026-11-xx” is no day that we can read" in ada.text


def test_who_took_a_file_is_written_down(ada: Browser, head: Browser, month: Month) -> None:
    ada.get(f"/reports/marks.xlsx?{ALL}&class={month.biology.id}")
    with write_transaction() as session:
        session.execute(delete(AttendanceHistory))
    head.get("/admin/audit?q=exported")
    assert "exported marks" in head.text


@settings(max_examples=count_examples(60), deadline=None)
@given(
    st.lists(
        st.lists(
            st.one_of(
                st.text(max_size=40),
                st.text(alphabet=string.whitespace + "=+-@_x0041&<>\"'", max_size=12),
                st.integers(-(10**9), 10**9),
                st.none(),
            ),
            min_size=1,
            max_size=30,
        ),
        min_size=1,
        max_size=8,
    )
)
def test_any_cells_come_back_as_they_were(table: list[list[str | int | None]]) -> None:
    out = io.BytesIO()
    xlsx_writer.write_xlsx_workbook(out, "a/b: [c]", table)
    sheet = load_workbook(out).active
    assert isinstance(sheet, Worksheet)
    for row_number, row in enumerate(table, start=1):
        for column, value in enumerate(row, start=1):
            cell = sheet.cell(row_number, column)
            wanted = readable(value) if isinstance(value, str) else value
            assert (cell.value or "") == (wanted or "")
            assert not isinstance(value, str) or cell.data_type in ("s", "n"), "never a formula"


def readable(text: str) -> str:
    """As XML hands it over: without what it cannot hold, every end of a line the same."""
    held = (one for one in text if one in "\t\n\r" or (ord(one) > 31 and one not in "\ufffe\uffff"))
    return "".join(held).replace("\r\n", "\n").replace("\r", "\n")


def test_a_sheet_has_its_limits() -> None:
    with pytest.raises(xlsx_writer.TooLarge):
        xlsx_writer.write_xlsx_workbook(io.BytesIO(), "wide", [["x"] * (xlsx_writer.MOST_COLUMNS + 1)])
    out = io.BytesIO()
    xlsx_writer.write_xlsx_workbook(out, "", [["x" * 40_000]])
    sheet = load_workbook(out).active
    assert isinstance(sheet, Worksheet)
    assert len(str(sheet["A1"].value)) == xlsx_writer.MOST_CHARACTERS


def test_the_column_after_z_is_aa() -> None:
    out = io.BytesIO()
    xlsx_writer.write_xlsx_workbook(out, "letters", [[str(n) for n in range(800)]])
    text = zipfile.ZipFile(out).read("xl/worksheets/sheet1.xml").decode()
    for cell in ('r="Z1"', 'r="AA1"', 'r="AZ1"', 'r="BA1"', 'r="ZZ1"', 'r="AAA1"'):
        assert cell in text
