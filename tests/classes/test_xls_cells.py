"""The reader of legacy workbooks, held against calamine's on workbooks both can trust."""

import io
import struct

import pytest
import python_calamine
import xlwt

from portal.classes.roster_files.rows import RosterFileError
from portal.classes.roster_files.xls import _Pieces, read_xls_workbook
from portal.demo.school_data import JADEITE


def saved(fill):
    book = xlwt.Workbook()
    fill(book.add_sheet("one"))
    kept = io.BytesIO()
    book.save(kept)
    return kept.getvalue()


def by_calamine(data):
    sheet = python_calamine.load_workbook(io.BytesIO(data)).get_sheet_by_index(0)
    rows = sheet.to_python(skip_empty_area=False)
    return {(r, c): cell for r, row in enumerate(rows) for c, cell in enumerate(row) if cell != ""}


def by_us(data):
    [(_, rows)] = read_xls_workbook(data)
    return {(r, c): cell for r, row in enumerate(rows) for c, cell in enumerate(row) if cell not in (None, "")}


def test_it_reads_the_cells_of_a_school_form(sf1):
    data = sf1.build(JADEITE)
    assert by_us(data) == by_calamine(data)


def test_it_reads_every_kind_of_cell():
    def fill(sheet):
        values = ("text", "Ñandú 🌸", 1, -7, 2.5, 0.01, 1e300, -123456789.0, 136425140001.0, True, False)
        for row, value in enumerate(values):
            sheet.write(row, row % 3, value)
        sheet.write_merge(20, 21, 0, 5, "merged")

    data = saved(fill)
    assert by_us(data) == by_calamine(data)


def test_it_reads_strings_that_run_over_into_further_records():
    def fill(sheet):
        for row in range(300):
            sheet.write(row, 0, f"{row} " + "plain " * 40)
            sheet.write(row, 1, f"{row} " + "Ñ→wide " * 40)
        sheet.write(0, 2, "long " * 6000)
        sheet.write(1, 2, "Ñ→" * 9000)

    data = saved(fill)
    cells = by_us(data)
    assert cells == by_calamine(data)
    assert cells[1, 2] == "Ñ→" * 9000


def test_it_reads_what_a_formula_gave_and_never_works_it_out():
    stream = _without_padding(_workbook_stream(saved(lambda sheet: sheet.write(0, 0, xlwt.Formula("1+1")))))
    no_result = b"\x03\x00\x00\x00\x00\x00\xff\xff"  # as xlwt writes it: an empty text
    results = {
        struct.pack("<d", 41.5): {(0, 0): 41.5},
        b"\x01\x00\x01\x00\x00\x00\xff\xff": {(0, 0): True},
        b"\x02\x00\x07\x00\x00\x00\xff\xff": {},  # division by zero
        no_result: {},
    }
    for result, cells in results.items():
        assert by_us(_in_short_sectors(stream.replace(no_result, result))) == cells
    formula = stream.index(no_result) + 23  # the end of the record
    text = struct.pack("<HHHB", 0x0207, 7, 4, 0) + b"ABAD"
    assert by_us(_in_short_sectors(stream[:formula] + text + stream[formula:])) == {(0, 0): "ABAD"}


def test_a_sign_beyond_the_basic_plane_survives_being_cut_in_two():
    """A string runs over where its record is full, even between the halves of an emoji."""
    flower = "🌸".encode("utf-16-le")
    pieces = _Pieces((b"\x41" + flower[:2], b"\x01" + flower[2:] + b"Z\x00"))
    assert pieces.take(1) == b"A"
    assert pieces.text(3, 1) == "🌸Z"


def test_it_reads_a_workbook_small_enough_for_the_short_sectors():
    """Workbooks under 4,096 bytes live in sectors of 64 bytes; Excel never makes one, other programs do."""
    whole = saved(lambda sheet: sheet.write(0, 0, "small"))
    stream = _workbook_stream(whole)
    assert by_us(_in_short_sectors(_without_padding(stream))) == {(0, 0): "small"}


@pytest.mark.parametrize("rows", [0xFFFFFFFF, 70_000])
def test_a_sheet_that_claims_billions_of_rows_costs_nothing(rows):
    data = bytearray(saved(lambda sheet: sheet.write(0, 0, "x")))
    dimensions = data.index(struct.pack("<HH", 0x0200, 14))
    struct.pack_into("<IIHH", data, dimensions + 4, 0, rows, 0, 256)
    assert by_us(bytes(data)) == {(0, 0): "x"}


def test_strings_that_are_promised_and_not_there_are_damage():
    data = bytearray(saved(lambda sheet: sheet.write(0, 0, "x")))
    table = data.index(struct.pack("<H", 0xFC) + struct.pack("<H", 12))
    struct.pack_into("<II", data, table + 4, 0x7FFFFFFF, 0x7FFFFFFF)
    with pytest.raises(RosterFileError, match="damaged"):
        by_us(bytes(data))


def test_a_chain_of_sectors_that_bites_its_tail_is_damage():
    data = bytearray(saved(lambda sheet: [sheet.write(row, 0, f"row {row}") for row in range(99)]))
    [table] = struct.unpack_from("<I", data, 76)
    struct.pack_into("<I", data, 512 * (table + 1) + 4 * 3, 2)
    with pytest.raises(RosterFileError, match="damaged"):
        by_us(bytes(data))


def test_cells_far_outside_are_refused_before_they_cost_memory():
    data = saved(lambda sheet: sheet.write(60_000, 0, "far"))
    with pytest.raises(RosterFileError, match="sheet_size"):
        by_us(data)


def _workbook_stream(data):
    """xlwt puts the stream into the sectors that follow the header, one after the other."""
    start = data.index(struct.pack("<HHHH", 0x0809, 16, 0x0600, 5))
    return data[start:]


def _without_padding(stream):
    """The stream up to the end of its one sheet: the second EOF record."""
    at, ends = 0, 0
    while ends < 2:
        kind, size = struct.unpack_from("<HH", stream, at)
        at, ends = at + 4 + size, ends + (kind == 0x0A)
    return stream[:at]


def _in_short_sectors(stream):
    """A compound file: FAT, directory and short FAT in a sector each, then the stream in short sectors."""
    assert len(stream) < 4096
    short, end = -(-len(stream) // 64), 0xFFFFFFFE
    packed = stream.ljust(-(-len(stream) // 512) * 512, b"\0")
    sectors = len(packed) // 512
    chain = [number + 4 for number in range(sectors - 1)] + [end]
    fat = [0xFFFFFFFD, end, end, *chain]
    short_fat = [number + 1 for number in range(short - 1)] + [end]
    versions = (0x3E, 3, 0xFFFE, 9, 6)  # minor, major, little-endian, sectors of 2**9 and 2**6 bytes
    places = (0, 1, 1, 0, 4096, 2, 1, end, 0, 0)  # directory in sector 1, short FAT in 2, FAT in 0
    header = struct.pack("<8s16x5H6x10I", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", *versions, *places)
    header += struct.pack("<108I", *[0xFFFFFFFF] * 108)
    return b"".join((header, _sector(fat), _directory(sectors, len(stream)), _sector(short_fat), packed))


def _sector(numbers):
    return struct.pack("<128I", *numbers, *[0xFFFFFFFF] * (128 - len(numbers)))


def _directory(sectors, size):
    entries = [_entry("Root Entry", 5, 3, sectors * 512), _entry("Workbook", 2, 0, size)]
    return b"".join(entries).ljust(512, b"\0")


def _entry(name, kind, start, size):
    text = name.encode("utf-16-le")
    return struct.pack("<64sHB49xIQ", text, len(text) + 2, kind, start, size)
