"""Uploads that are refused before or while they are opened, each for a reason a teacher can act on."""

import io
import struct
import time
import tracemalloc
import zipfile

import openpyxl
import pytest
import xlwt

from portal.classes.roster_files.reader import MAX_BYTES, parse_roster_file
from portal.demo.school_data import JADEITE

SHEET = "xl/worksheets/sheet1.xml"


@pytest.fixture
def xlsx(workbook):
    return workbook([["LRN", "NAME", "SEX"], ["300123210001", "ABAD,ANA, LAZO", "F"]])


def repacked(data, *, add=None, replace=None):
    """The archive with entries added or replaced."""
    kept = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(kept, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            new.writestr(entry.filename, (replace or {}).get(entry.filename, old.read(entry)))
        for name, content in (add or {}).items():
            new.writestr(name, content)
    return kept.getvalue()


def sheet_with(cell):
    return (
        '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
        f"{cell}</sheetData></worksheet>"
    )


def test_the_workbook_that_the_others_spoil_is_read(xlsx):
    assert parse_roster_file(repacked(xlsx), "roster.xlsx").ok


@pytest.mark.parametrize(
    ("data", "filename", "code"),
    [
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "roster.xlsx", "not_spreadsheet"),
        (b"%PDF-1.7\n%\xe2\xe3", "SF1.xls", "not_spreadsheet"),
        (b"\xff\xd8\xff\xe0JFIF", "SF1.csv", "not_spreadsheet"),
        (b"LRN,LastName\x00\x00\n\x01", "SF1.csv", "not_spreadsheet"),
        (b"LRN,LastName,FirstName,Sex\n300123210001,A,B,F\n", "roster.xlsx", "text_named_workbook"),
        (b"<html><table><tr><td>LRN</td></tr></table></html>", "SF1.xls", "web_page"),
        (b"\xef\xbb\xbf\r\n<!DOCTYPE html><p>Sign in to the LIS", "SF1.xls", "web_page"),
        (b'<?xml version="1.0"?><Workbook/>', "SF1.xls", "web_page"),
        (b"PK\x03\x04nonsense", "roster.xlsx", "damaged"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "SF1.xls", "damaged"),
        (b"", "SF1.xls", "empty"),
        (bytes(4096), "SF1.xls", "empty"),
        (b"x" * (MAX_BYTES + 1), "SF1.csv", "too_large"),
    ],
)
def test_a_file_that_pretends_is_refused(refusal, data, filename, code):
    assert refusal(data, filename) == code


def test_a_legacy_workbook_over_the_limit_is_refused(refusal, sf1):
    assert refusal(sf1.build(JADEITE).ljust(MAX_BYTES + 1, b"\0")) == "too_large"


@pytest.mark.parametrize("entry", ["_VBA_PROJECT_CUR", "Macros"])
def test_a_legacy_workbook_with_macros_is_refused(refusal, sf1, entry):
    data = bytearray(sf1.build(JADEITE))
    unused = data.index(b"Root Entry".decode().encode("utf-16-le")) + 2 * 128
    data[unused : unused + 64] = entry.encode("utf-16-le").ljust(64, b"\0")
    assert refusal(bytes(data)) == "macros"


def test_a_legacy_workbook_with_a_macro_sheet_is_refused(refusal):
    assert refusal(_spoiled_record(0x85, at=5, value=1)) == "macros"


def test_a_legacy_workbook_with_a_password_is_refused(refusal):
    codepage = 0x42  # any record can be turned into the one that announces encryption
    data = bytearray(_legacy())
    struct.pack_into("<H", data, data.index(struct.pack("<HH", codepage, 2)), 0x2F)
    assert refusal(bytes(data)) == "encrypted"


def test_a_document_that_is_no_workbook_is_refused(refusal, sf1):
    word = sf1.build(JADEITE).replace("Workbook".encode("utf-16-le"), "WordDocu".encode("utf-16-le"))
    assert refusal(word, "letter.doc") == "not_spreadsheet"


def test_a_workbook_with_a_password_is_refused(refusal, sf1):
    """Excel packs an encrypted .xlsx into a compound file with a stream of this name."""
    locked = bytearray(sf1.build(JADEITE))
    unused = locked.index("Root Entry".encode("utf-16-le")) + 2 * 128
    locked[unused : unused + 64] = "EncryptedPackage".encode("utf-16-le").ljust(64, b"\0")
    assert refusal(bytes(locked), "roster.xlsx") == "encrypted"


def test_an_archive_with_a_password_is_refused(refusal, xlsx):
    locked = bytearray(xlsx)
    at = locked.index(b"PK\x01\x02")
    locked[at + 8] |= 1
    assert refusal(bytes(locked), "roster.xlsx") == "encrypted"


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("xl/vbaProject.bin", "macros"),
        ("xl/macrosheets/sheet1.xml", "macros"),
        ("xl/embeddings/other.xlsx", "zip_nested"),
    ],
)
def test_an_archive_with_a_forbidden_part_is_refused(refusal, xlsx, name, code):
    assert refusal(repacked(xlsx, add={name: b"<x/>"}), "roster.xlsx") == code


def test_macros_by_name_alone_are_refused(refusal, xlsx):
    assert refusal(xlsx, "roster.xlsm") == "macros"


def test_an_archive_inside_under_an_innocent_name_is_refused(refusal, xlsx):
    assert refusal(repacked(xlsx, add={"xl/media/image1.png": xlsx}), "roster.xlsx") == "zip_nested"


def test_a_plain_archive_is_refused(refusal):
    kept = io.BytesIO()
    with zipfile.ZipFile(kept, "w") as archive:
        archive.writestr("holiday.txt", "photos")
    assert refusal(kept.getvalue(), "roster.xlsx") == "not_spreadsheet"


def test_too_many_entries_are_refused(refusal, xlsx):
    many = {f"xl/media/{number}.xml": "<x/>" for number in range(200)}
    assert refusal(repacked(xlsx, add=many), "roster.xlsx") == "zip_too_big"


@pytest.mark.parametrize("size", [2 * 1024 * 1024, 51 * 1024 * 1024])
def test_a_bomb_is_refused_quickly_and_without_unpacking(refusal, xlsx, size):
    bomb = repacked(xlsx, add={"xl/media/big.xml": b"<x>" + b" " * size + b"</x>"})
    tracemalloc.start()
    started = time.perf_counter()
    assert refusal(bomb, "roster.xlsx") == "zip_too_big"
    spent, (_, peak) = time.perf_counter() - started, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert spent < 1
    assert peak < 10 * 1024 * 1024


@pytest.mark.parametrize("claimed", [10, 100_000_000])
def test_a_directory_that_lies_about_sizes_is_refused(refusal, xlsx, claimed):
    lying = bytearray(repacked(xlsx, add={"xl/media/big.xml": b"<x>" + b" " * 900_000 + b"</x>"}))
    central = lying.rindex(b"PK\x01\x02")
    struct.pack_into("<I", lying, central + 24, claimed)
    assert refusal(bytes(lying), "roster.xlsx") in {"damaged", "zip_too_big"}


@pytest.mark.parametrize(
    "cell",
    [
        '<row r="5001"><c r="A5001"><v>1</v></c></row>',
        '<row r="1"><c r="IW1"><v>1</v></c></row>',
        '<row r="1"><c x=">" r="XFD1048576"><v>1</v></c></row>',
        '<row r="1048576"><c><v>1</v></c></row>',
        "<row/>" * 5_001 + "<row><c><v>1</v></c></row>",
        '<row r="1">' + "<c><v>1</v></c>" * 257 + "</row>",
    ],
)
def test_cells_outside_the_limits_are_refused_wherever_they_hide(refusal, xlsx, cell):
    far = repacked(xlsx, replace={SHEET: sheet_with(cell)})
    assert refusal(far, "roster.xlsx") == "sheet_size"


def test_empty_rows_and_styled_cells_far_outside_do_no_harm(xlsx):
    with zipfile.ZipFile(io.BytesIO(xlsx)) as archive:
        sheet = archive.read(SHEET).decode()
    far = '<row r="1048576" hidden="1"><c r="XFD1048576" s="0"/></row></sheetData>'
    styled = repacked(xlsx, replace={SHEET: sheet.replace("</sheetData>", far)})
    assert parse_roster_file(styled, "roster.xlsx").ok


def test_one_long_string_in_a_thousand_cells_is_refused(refusal, xlsx):
    rows = "".join(f'<row r="{n}"><c r="A{n}" t="s"><v>0</v></c></row>' for n in range(1, 4_000))
    strings = f"<sst><si><t>{'long ' * 2_000}</t></si></sst>"
    bomb = repacked(xlsx, replace={SHEET: sheet_with(rows)}, add={"xl/moreStrings.xml": strings})
    assert refusal(bomb, "roster.xlsx") == "zip_too_big"


@pytest.mark.parametrize(
    "sheet",
    [
        '<!DOCTYPE x [<!ENTITY a "aaaa">]><worksheet>&a;</worksheet>',
        "<worksheet><unclosed></worksheet>",
        '<worksheet><row r="1"><c r="!!"><v>1</v></c></row></worksheet>',
    ],
)
def test_a_sheet_that_is_no_honest_xml_is_damage(refusal, xlsx, sheet):
    assert refusal(repacked(xlsx, replace={SHEET: sheet}), "roster.xlsx") == "damaged"


def test_formulas_give_their_stored_value_and_are_never_worked_out(xlsx):
    book = openpyxl.load_workbook(io.BytesIO(xlsx))
    book.active["B2"] = '=HYPERLINK("http://example.org","ABAD")&",ANA, LAZO"'
    kept = io.BytesIO()
    book.save(kept)  # openpyxl stores no result beside the formula
    [row] = parse_roster_file(kept.getvalue(), "roster.xlsx").rows
    assert row.lis_name == ""
    assert [problem.code for problem in row.problems] == ["name_missing"]


def _legacy():
    book = xlwt.Workbook()
    book.add_sheet("one").write(0, 0, "LRN")
    kept = io.BytesIO()
    book.save(kept)
    return kept.getvalue()


def _spoiled_record(kind, *, at, value):
    data = bytearray(_legacy())
    record = data.index(struct.pack("<H", kind), data.index(struct.pack("<HH", 0x42, 2)))
    data[record + 4 + at] = value
    return bytes(data)
