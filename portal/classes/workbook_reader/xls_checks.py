"""Checks of a binary Excel workbook (`.xls`, BIFF8, the format the LIS exports) before the library parses it: macros,
password, age.

Formats: [MS-CFB] for the container and [MS-XLS] for the records, both published by Microsoft. Run inside the process
that reads workbooks, so it imports nothing of ours but the limits.
"""

import struct

from .limits import WorkbookRefused

MAX_RECORDS = 100_000  # of the workbook's globals, before its first sheet
_MAX_REGULAR_SECTOR = 0xFFFFFFFA  # [MS-CFB] 2.1: greater numbers mark chain ends and free sectors
_MACRO_ENTRIES = {"_VBA_PROJECT_CUR", "MACROS", "VBA", "_VBA_PROJECT"}
_EOF, _BOF, _FILEPASS, _BOUNDSHEET = 0x0A, 0x0809, 0x2F, 0x85
_BIFF8 = 0x0600
_MACRO_SHEET = 1


def check_xls(data: bytes) -> None:
    """Raise WorkbookRefused if the file is damaged, encrypted, older than Excel 97, holds macros, or is no workbook."""
    try:
        _check_globals(_workbook_stream(data))
    except (struct.error, IndexError, OverflowError, ValueError) as error:
        raise WorkbookRefused("damaged") from error


def _check_globals(stream: bytes) -> None:
    """Check the records from the beginning to the first EOF: those of the workbook as a whole."""
    if _u16(stream, 0) != _BOF or _u16(stream, 4) != _BIFF8:
        raise WorkbookRefused("old_excel")
    offset = 0
    for _ in range(MAX_RECORDS):
        kind, size = struct.unpack_from("<HH", stream, offset)
        if kind == _EOF:
            return
        if kind == _FILEPASS:
            raise WorkbookRefused("encrypted")
        if kind == _BOUNDSHEET and stream[offset + 9] == _MACRO_SHEET:
            raise WorkbookRefused("macros")
        offset += 4 + size
    raise ValueError("too many records")


def _workbook_stream(data: bytes) -> bytes:
    container = _Container(data)
    names = {name.upper() for name in container.names}
    if names & _MACRO_ENTRIES:
        raise WorkbookRefused("macros")
    if "ENCRYPTEDPACKAGE" in names:
        raise WorkbookRefused("encrypted")
    stream = container.stream("Workbook")
    if stream is None:
        raise WorkbookRefused("old_excel" if "BOOK" in names else "not_spreadsheet")
    return stream


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


def _is_regular_sector(number: int) -> bool:
    return number <= _MAX_REGULAR_SECTOR


def _u16(data: bytes, at: int) -> int:
    return int(struct.unpack_from("<H", data, at)[0])


def _u32(data: bytes, at: int) -> int:
    return int(struct.unpack_from("<I", data, at)[0])
