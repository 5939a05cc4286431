"""Workbooks are read in a process of their own, which costs little whatever they hold."""

import io
import os
import struct
import subprocess
import sys
import threading
import time
import zipfile

import pytest
import xlwt

from portal.classes.roster_files.reader import RosterFileError, parse_roster_file
from portal.classes.workbook_reader import process
from portal.classes.workbook_reader.limits import CPU_SECONDS, TEXT_LIMIT, WorkbookRefused
from portal.demo.school_data import JADEITE

SHEET = (
    '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>{}</sheetData></worksheet>'
)


def saved(fill):
    book = xlwt.Workbook()
    fill(book.add_sheet("one"))
    kept = io.BytesIO()
    book.save(kept)
    return kept.getvalue()


def cells_of(data):
    [(_, rows)] = process.read_workbook(data)
    return {(r, c): cell for r, row in enumerate(rows) for c, cell in enumerate(row) if cell is not None}


def refusal_of(data):
    with pytest.raises(WorkbookRefused) as refused:
        process.read_workbook(data)
    return refused.value.code


def test_every_kind_of_cell_keeps_its_kind():
    values = ("text", "Ñandú 🌸", "00123", 1, -7, 2.5, 0.01, 136425140001.0, True, False)

    def fill(sheet):
        for row, value in enumerate(values):
            sheet.write(row + 2, row % 3 + 1, value)

    assert cells_of(saved(fill)) == {(row + 2, row % 3 + 1): value for row, value in enumerate(values)}


def test_text_stays_text_and_is_cut_off():
    cells = cells_of(saved(lambda sheet: [sheet.write(0, 0, "300123210001"), sheet.write(0, 1, "x" * 5_000)]))
    assert cells == {(0, 0): "300123210001", (0, 1): "x" * TEXT_LIMIT}


def test_a_cell_longer_than_any_name_stops_its_row(sf1):
    roster = parse_roster_file(sf1.build(JADEITE, spoil={"C12": "CABANILLA," + "X" * 30_000}), "SF1.xls")
    assert [(one.row, one.column, one.code) for row in roster.rows for one in row.problems] == [
        (12, "NAME", "cell_long")
    ]


def long_string_in_every_cell():
    """Some 84 kB: 3,000 cells point at one string of 32,000 characters."""
    return saved(lambda sheet: [sheet.write(n // 20, n % 20, "A" * 32_000) for n in range(3_000)])


def workbook_of(rows):
    kept = io.BytesIO()
    with zipfile.ZipFile(kept, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
        archive.writestr("xl/worksheets/sheet1.xml", SHEET.format(rows))
    return kept.getvalue()


@pytest.mark.skipif(sys.platform == "win32", reason="the system has no such figures")
@pytest.mark.parametrize(
    "build",
    [
        long_string_in_every_cell,
        lambda: saved(lambda sheet: sheet.write(65_535, 255, "far")),
        lambda: workbook_of("".join(f'<row r="{n % 5000}"/>' for n in range(900_000))),
        lambda: workbook_of("".join(f"<row><c><v>{n}</v></c></row>" for n in range(5_000)) + "<x/>" * 1_000_000),
    ],
    ids=["one string in every cell", "one cell far away", "rows without end", "elements without end"],
)
def test_whatever_a_file_holds_it_costs_two_seconds_at_most(build):
    import resource

    data = build()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with pytest.raises(WorkbookRefused):
        process.read_workbook(data)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < CPU_SECONDS + 0.5


@pytest.mark.parametrize("rows", [0xFFFFFFFF, 70_000])
def test_a_sheet_that_claims_billions_of_rows_ends_only_the_process(rows):
    data = bytearray(saved(lambda sheet: sheet.write(0, 0, "x")))
    dimensions = data.index(struct.pack("<HH", 0x0200, 14))
    struct.pack_into("<IIHH", data, dimensions + 4, 0, rows, 0, 256)
    assert refusal_of(bytes(data)) == "too_costly"


def test_cells_far_outside_are_refused():
    assert refusal_of(saved(lambda sheet: sheet.write(60_000, 0, "far"))) == "sheet_size"


def test_a_chain_of_sectors_that_bites_its_tail_is_damage():
    data = bytearray(saved(lambda sheet: [sheet.write(row, 0, f"row {row}") for row in range(99)]))
    [table] = struct.unpack_from("<I", data, 76)
    struct.pack_into("<I", data, 512 * (table + 1) + 4 * 3, 2)
    assert refusal_of(bytes(data)) in ("damaged", "too_costly")


def test_the_process_is_started_without_environment_or_fork(monkeypatch):
    started = []
    real = subprocess.Popen

    def popen(arguments, **options):
        started.append((arguments, options))
        return real(arguments, **options)

    monkeypatch.setattr(process.subprocess, "Popen", popen)
    monkeypatch.setattr(os, "fork", None, raising=False)
    cells_of(saved(lambda sheet: sheet.write(0, 0, "x")))
    [(arguments, options)] = started
    assert options["env"] == {} or sys.platform == "win32"
    assert "preexec_fn" not in options
    assert arguments[:2] == [sys.executable, "-I"]


@pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX")
def test_the_process_can_open_no_file_and_no_socket():
    probe = (
        "import sys; sys.path.append(sys.argv[1])\n"
        "import socket; from workbook_reader import child; child.limit_process()\n"
        "for act in (lambda: open('/dev/null'), socket.socket):\n"
        "    try: act(); print('opened')\n"
        "    except OSError: print('refused')\n"
    )
    arguments = [sys.executable, "-I", "-c", probe, process._CHILD[1]]
    assert subprocess.run(arguments, capture_output=True, check=True, env={}).stdout.split() == [b"refused"] * 2


def test_who_finds_too_many_reading_is_turned_away(monkeypatch):
    entered, leave = threading.Event(), threading.Event()

    def slow(_data):
        entered.set()
        leave.wait(10)
        return b""

    monkeypatch.setattr(process, "_run_child", slow)
    thread = threading.Thread(target=process.read_workbook, args=(b"",))
    thread.start()
    entered.wait(10)
    try:
        with pytest.raises(WorkbookRefused, match="reader_busy"):
            process.read_workbook(b"")
    finally:
        leave.set()
        thread.join()


def test_two_read_at_once_on_the_machine_and_the_third_waits(monkeypatch, tmp_path):
    monkeypatch.setattr(process.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(process, "_MOST_POLLS", 2)
    with (
        process._reader_slot(),
        process._reader_slot(),
        pytest.raises(WorkbookRefused, match="reader_busy"),
        process._reader_slot(),
    ):
        pass
    with process._reader_slot():
        pass


def test_a_page_asks_to_try_in_a_minute_and_keeps_what_was_written(browser, people, sf1, monkeypatch):
    people.sign_in(browser, people.ada)

    def busy(_data):
        raise WorkbookRefused("reader_busy")

    monkeypatch.setattr("portal.classes.roster_files.reader.read_workbook", busy)
    browser.get("/classes/import")
    browser.submit(button="Read the file", file=(sf1.build(JADEITE), "SF1.xls"), name="Jadeite", status=503)
    assert "Other files are being read just now. Nothing was changed: try again in a minute." in browser.text
    assert browser.page.select_one("[name=name]")["value"] == "Jadeite"


def test_a_process_that_hangs_is_ended(monkeypatch):
    monkeypatch.setattr(process, "WALL_SECONDS", 0.3)
    monkeypatch.setattr(process, "_CHILD", ("import time; time.sleep(60)", ""))
    started = time.perf_counter()
    with pytest.raises(RosterFileError, match="too_costly"):
        parse_roster_file(saved(lambda sheet: sheet.write(0, 0, "x")), "SF1.xls")
    assert time.perf_counter() - started < 10
