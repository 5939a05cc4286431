"""Parser of binary Excel workbooks (`.xls`, BIFF8), the format the LIS exports.

Own code because a native parser aborts the whole process on a forged file (calamine: a DIMENSIONS record that claims
four billion rows), and uploads are untrusted. Formulas are never evaluated: the cached value is read. Formats: [MS-CFB]
for the container and [MS-XLS] for the records, both published by Microsoft.
"""

import struct
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from portal.classes.roster_files.rows import (
    MAX_COLUMNS,
    MAX_ROWS,
    MAX_SHEETS,
    Cell,
    RosterFileError,
    Rows,
)

MAX_RECORDS = 500_000  # limits the work: 5 MB of the smallest cells; several sheets may point at the same records
_MAX_REGULAR_SECTOR = 0xFFFFFFFA  # [MS-CFB] 2.1: greater numbers mark chain ends and free sectors
_MACRO_ENTRIES = {"_VBA_PROJECT_CUR", "MACROS", "VBA", "_VBA_PROJECT"}
_EOF, _BOF, _CONTINUE, _FILEPASS, _BOUNDSHEET, _SST = 0x0A, 0x0809, 0x3C, 0x2F, 0x85, 0xFC
_NUMBER, _LABEL, _BOOLERR, _STRING, _RK = 0x0203, 0x0204, 0x0205, 0x0207, 0x027E
_LABELSST, _MULRK, _FORMULA = 0xFD, 0xBD, 0x06
_CONTINUE_MARK = struct.pack("<H", _CONTINUE)
_BIFF8 = 0x0600
_WORKSHEET, _MACRO_SHEET = 0, 1


@dataclass(frozen=True)
class _Record:
    kind: int
    pieces: tuple[bytes, ...]  # the record's data, then that of each CONTINUE record after it

    @property
    def data(self) -> bytes:
        return self.pieces[0]


def read_xls_workbook(data: bytes) -> Iterator[tuple[str, Rows]]:
    """The first worksheets: name, and rows of str, float, bool or None (rows may be short).

    Raises RosterFileError if the file is damaged, encrypted, too large, older than Excel 97 or holds macros.
    """
    try:
        yield from _read_workbook(_Records(_workbook_stream(data)))
    except (struct.error, IndexError, OverflowError, ValueError) as error:
        raise RosterFileError("damaged") from error


# --- the container -----------------------------------------------------------------------------------------


class _Container:
    """The streams of a compound file. A sector chain is followed at most as far as the file is long."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._size = 1 << _u16(data, 30)
        if self._size not in {512, 4096}:
            raise ValueError("sector size")
        self._fat = self._sector_numbers(self._fat_sectors())
        self._entries = self._directory(_u32(data, 48))
        self._cutoff = _u32(data, 56)
        root = self._entries[0]
        self._mini_stream = self._chain(root[2])
        self._mini_fat = self._sector_numbers(self._chain_numbers(_u32(data, 60), self._fat))

    @property
    def names(self) -> list[str]:
        return [name for name, _, _, _ in self._entries]

    def stream(self, name: str) -> bytes | None:
        for entry_name, kind, start, size in self._entries:
            if entry_name == name and kind == 2:
                return self._mini_chain(start)[:size] if size < self._cutoff else self._chain(start)[:size]
        return None

    def _sector(self, number: int) -> bytes:
        start = (number + 1) * self._size
        if start >= len(self._data):
            raise ValueError("sector outside the file")
        return self._data[start : start + self._size].ljust(self._size, b"\0")

    def _fat_sectors(self) -> list[int]:
        numbers = [number for number in struct.unpack_from("<109I", self._data, 76) if _is_regular_sector(number)]
        next_sector, visited = _u32(self._data, 68), set[int]()
        while _is_regular_sector(next_sector):
            if next_sector in visited:
                raise ValueError("a chain that bites its tail")
            visited.add(next_sector)
            *sector_numbers, next_sector = struct.unpack(f"<{self._size // 4}I", self._sector(next_sector))
            numbers += [number for number in sector_numbers if _is_regular_sector(number)]
        if len(numbers) > len(self._data) // self._size:
            raise ValueError("more sectors than the file holds")
        return numbers

    def _sector_numbers(self, sectors: list[int]) -> list[int]:
        packed = b"".join(self._sector(number) for number in sectors)
        return list(struct.unpack(f"<{len(packed) // 4}I", packed))

    def _chain_numbers(self, start: int, table: list[int]) -> list[int]:
        numbers: list[int] = []
        while _is_regular_sector(start):
            numbers.append(start)
            if len(numbers) > len(table):
                raise ValueError("a chain that bites its tail")
            start = table[start]
        return numbers

    def _chain(self, start: int) -> bytes:
        return b"".join(self._sector(number) for number in self._chain_numbers(start, self._fat))

    def _mini_chain(self, start: int) -> bytes:
        numbers = self._chain_numbers(start, self._mini_fat)
        return b"".join(self._mini_stream[number * 64 : number * 64 + 64] for number in numbers)

    def _directory(self, start: int) -> list[tuple[str, int, int, int]]:
        """Entries as (name, kind, first sector, bytes); kind 2 is a stream, 5 the root."""
        packed = self._chain(start)
        return [_entry(packed[offset : offset + 128]) for offset in range(0, len(packed) - 127, 128)]


def _entry(packed: bytes) -> tuple[str, int, int, int]:
    name = packed[:64].decode("utf-16-le", "replace").partition("\0")[0]
    return name, packed[66], _u32(packed, 116), _u32(packed, 120)


def _workbook_stream(data: bytes) -> bytes:
    container = _Container(data)
    names = {name.upper() for name in container.names}
    if names & _MACRO_ENTRIES:
        raise RosterFileError("macros")
    if "ENCRYPTEDPACKAGE" in names:
        raise RosterFileError("encrypted")
    stream = container.stream("Workbook")
    if stream is None:
        raise RosterFileError("old_excel" if "BOOK" in names else "not_spreadsheet")
    return stream


# --- the records -------------------------------------------------------------------------------------------


class _Records:
    """Iterates over the records of a workbook stream, at most MAX_RECORDS in all."""

    def __init__(self, stream: bytes) -> None:
        self.stream = stream
        self._records_left = MAX_RECORDS

    def at(self, offset: int) -> Iterator[_Record]:
        """The records from `offset` to the next EOF record, each with its CONTINUE records."""
        while True:
            kind, data, offset = self._read_record(offset)
            pieces = [data]
            while kind != _CONTINUE and self.stream[offset : offset + 2] == _CONTINUE_MARK:
                _, piece, offset = self._read_record(offset)
                pieces.append(piece)
            if kind == _EOF:
                return
            yield _Record(kind, tuple(pieces))

    def _read_record(self, offset: int) -> tuple[int, bytes, int]:
        """Kind and data of the record at `offset`, and where the next begins."""
        self._records_left -= 1
        if not self._records_left:
            raise _size_error()
        kind, size = struct.unpack_from("<HH", self.stream, offset)
        end = offset + 4 + size
        if end > len(self.stream):
            raise ValueError("a record beyond the end")
        return kind, self.stream[offset + 4 : end], end


def _read_workbook(records: _Records) -> Iterator[tuple[str, Rows]]:
    if _u16(records.stream, 0) != _BOF or _u16(records.stream, 4) != _BIFF8:
        raise RosterFileError("old_excel")
    sheets: list[tuple[str, int]] = []
    strings: list[str] = []
    for record in records.at(0):
        if record.kind == _FILEPASS:
            raise RosterFileError("encrypted")
        if record.kind == _BOUNDSHEET and (sheet := _bound_sheet(record.data)):
            sheets.append(sheet)
        elif record.kind == _SST:
            strings = _shared_strings(record)
    for name, offset in sheets[:MAX_SHEETS]:
        yield name, _cells_to_rows(_read_sheet(records, offset, strings))


def _bound_sheet(data: bytes) -> tuple[str, int] | None:
    """Name and offset of a worksheet; None for a chart."""
    if data[5] == _MACRO_SHEET:
        raise RosterFileError("macros")
    if data[5] != _WORKSHEET:
        return None
    return _decode_characters(data[8:], data[6], data[7]), _u32(data, 0)


def _read_sheet(records: _Records, offset: int, strings: list[str]) -> dict[tuple[int, int], Cell]:
    cells: dict[tuple[int, int], Cell] = {}
    formula_at = (0, 0)
    for record in records.at(offset):
        data = record.data
        if record.kind == _STRING:  # the text result of a formula, in the record after it
            cells[formula_at] = _decode_characters(data[3:], _u16(data, 0), data[2])
        elif record.kind == _MULRK:
            for number, offset_in_record in enumerate(range(4, len(data) - 6, 6)):
                _set_cell(cells, _u16(data, 0), _u16(data, 2) + number, _decode_rk(data, offset_in_record + 2))
        elif record.kind in {_NUMBER, _LABEL, _BOOLERR, _RK, _LABELSST, _FORMULA}:
            formula_at = (_u16(data, 0), _u16(data, 2))
            _set_cell(cells, *formula_at, _cell_value(record.kind, data, strings))
    return cells


def _set_cell(cells: dict[tuple[int, int], Cell], row: int, column: int, value: Cell) -> None:
    if row >= MAX_ROWS or column >= MAX_COLUMNS:
        raise _size_error()
    cells[row, column] = value


def _size_error() -> RosterFileError:
    return RosterFileError("sheet_size", rows=str(MAX_ROWS), columns=str(MAX_COLUMNS))


def _cell_value(kind: int, data: bytes, strings: list[str]) -> Cell:
    if kind == _LABELSST:
        return strings[_u32(data, 6)]
    if kind == _NUMBER:
        return float(struct.unpack_from("<d", data, 6)[0])
    if kind == _RK:
        return _decode_rk(data, 6)
    if kind == _LABEL:
        return _decode_characters(data[9:], _u16(data, 6), data[8])
    if kind == _BOOLERR:
        return None if data[7] else bool(data[6])
    return _formula_result(data[6:14])


def _formula_result(result: bytes) -> Cell:
    """The cached value of a formula; a text result is in the next record ([MS-XLS] 2.5.133)."""
    if result[6:8] != b"\xff\xff":
        return float(struct.unpack("<d", result)[0])
    return bool(result[2]) if result[0] == 1 else None


def _decode_rk(data: bytes, at: int) -> float:
    """An RK number: 30 bits of an integer or of a double, perhaps hundredths ([MS-XLS] 2.5.217)."""
    packed = _u32(data, at)
    if packed & 2:
        value = float(struct.unpack_from("<i", data, at)[0] >> 2)
    else:
        value = float(struct.unpack("<d", struct.pack("<II", 0, packed & 0xFFFFFFFC))[0])
    return value / 100 if packed & 1 else value


def _decode_characters(packed: bytes, count: int, flags: int) -> str:
    """`count` characters: UTF-16 if the first flag bit is set, else the low bytes of UTF-16."""
    if flags & 1:
        return packed[: count * 2].decode("utf-16-le", "replace")
    return packed[:count].decode("latin-1")


def _to_utf16(packed: bytes) -> bytes:
    return packed.decode("latin-1").encode("utf-16-le")


def _cells_to_rows(cells: dict[tuple[int, int], Cell]) -> Rows:
    filled: dict[int, dict[int, Cell]] = defaultdict(dict)
    for (row, column), value in cells.items():
        filled[row][column] = value
    return [_cells_to_row(filled.get(row, {})) for row in range(max(filled, default=-1) + 1)]


def _cells_to_row(cells: dict[int, Cell]) -> list[Cell]:
    return [cells.get(column) for column in range(max(cells, default=-1) + 1)]


# --- the shared strings ------------------------------------------------------------------------------------


class _Pieces:
    """Reads across the boundary of a record into its CONTINUE records."""

    def __init__(self, pieces: tuple[bytes, ...]) -> None:
        self._pieces = pieces
        self._index = 0
        self._at = 0

    def take(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            part = self._pieces[self._index][self._at : self._at + size - len(data)]
            data += part
            self._at += len(part)
            if len(data) < size:
                self._index, self._at = self._index + 1, 0
        return bytes(data)

    def text(self, count: int, flags: int) -> str:
        """`count` characters; each CONTINUE record begins with its own width flag."""
        units_read = bytearray()  # UTF-16; a surrogate pair may be split between records
        while True:
            width = 2 if flags & 1 else 1
            remaining = self._pieces[self._index][self._at :]
            units = min(count, len(remaining) // width)
            units_read += remaining[: units * 2] if width == 2 else _to_utf16(remaining[:units])
            self._at += units * width
            count -= units
            if not count:
                return units_read.decode("utf-16-le", "replace")
            self._index, self._at = self._index + 1, 1
            flags = self._pieces[self._index][0]


def _shared_strings(record: _Record) -> list[str]:
    """The shared string table; its strings may run over into CONTINUE records ([MS-XLS] 2.4.265, 2.5.293)."""
    pieces = _Pieces(record.pieces)
    _, unique = struct.unpack("<II", pieces.take(8))
    return [_shared_string(pieces) for _ in range(unique)]


def _shared_string(pieces: _Pieces) -> str:
    count, flags = struct.unpack("<HB", pieces.take(3))
    runs = _u16(pieces.take(2), 0) if flags & 8 else 0
    phonetic = _u32(pieces.take(4), 0) if flags & 4 else 0
    text = pieces.text(count, flags)
    pieces.take(runs * 4 + phonetic)
    return text


def _is_regular_sector(number: int) -> bool:
    return number <= _MAX_REGULAR_SECTOR


def _u16(data: bytes, at: int) -> int:
    return int(struct.unpack_from("<H", data, at)[0])


def _u32(data: bytes, at: int) -> int:
    return int(struct.unpack_from("<I", data, at)[0])
