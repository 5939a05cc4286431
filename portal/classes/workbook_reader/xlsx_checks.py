"""Checks of an `.xlsx` workbook before the library parses it: what unpacks to too much is never parsed.

The checked parts are repacked for the library, so that it reads exactly what was checked, whatever the archive's
directory claims. Run inside the process that reads workbooks, so it imports nothing of ours but the limits.
"""

import io
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from xml.parsers import expat

from .limits import (
    MAX_CELLS,
    MAX_COLUMNS,
    MAX_ROWS,
    WorkbookRefused,
)

MAX_ENTRIES = 200
MAX_UNPACKED = 50 * 1024 * 1024
MAX_RATIO = 100
RATIO_FROM = 1024 * 1024  # the ratio applies to larger parts only, as small parts may compress well
MAX_TEXT = 20_000_000  # characters in all cells, none cut off; a shared string counts at each use
_CHUNK = 64 * 1024
_ARCHIVE_SUFFIXES = (".zip", ".xlsx", ".xlsm", ".xlsb", ".docx", ".pptx", ".jar", ".ods")
_BROKEN_ARCHIVE = (
    zipfile.BadZipFile, zlib.error, struct.error, NotImplementedError, RuntimeError,
    EOFError, OSError, ValueError, KeyError,
)  # fmt: skip


# --- the archive -------------------------------------------------------------------------------------------


def check_and_repack(data: bytes) -> bytes:
    """Unpack the XML parts within the limits, check them, and repack them into a new archive.

    Raises WorkbookRefused if the archive is damaged, encrypted, holds macros or another archive, or is too large.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            _check_directory(entries)
            return _repack(archive, entries)
    except _BROKEN_ARCHIVE as error:
        raise WorkbookRefused("damaged") from error


def _check_directory(entries: list[zipfile.ZipInfo]) -> None:
    names = [entry.filename for entry in entries]
    if len(entries) > MAX_ENTRIES:
        raise WorkbookRefused("zip_too_big")
    if any(entry.flag_bits & 1 for entry in entries):
        raise WorkbookRefused("encrypted")
    if any("vbaproject" in name.lower() or "/macrosheets/" in name.lower() for name in names):
        raise WorkbookRefused("macros")
    if any(name.lower().endswith(_ARCHIVE_SUFFIXES) for name in names):
        raise WorkbookRefused("zip_nested")
    if "xl/workbook.xml" not in names:
        raise WorkbookRefused("not_spreadsheet")
    if len(set(names)) != len(names):
        raise WorkbookRefused("damaged")
    if sum(entry.file_size for entry in entries) > MAX_UNPACKED or any(map(_is_zip_bomb, entries)):
        raise WorkbookRefused("zip_too_big")


def _is_zip_bomb(entry: zipfile.ZipInfo) -> bool:
    return entry.file_size > RATIO_FROM and entry.file_size > MAX_RATIO * max(entry.compress_size, 1)


def _repack(archive: zipfile.ZipFile, entries: list[zipfile.ZipInfo]) -> bytes:
    buffer = io.BytesIO()
    text_size = _TextSize()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as output:
        for entry in entries:
            chunks = _unpack(archive, entry)
            if entry.filename.endswith((".xml", ".rels")):
                checker = _PartChecker(text_size)
                with output.open(entry.filename, "w") as sink:
                    for chunk in chunks:
                        checker.feed(chunk)
                        sink.write(chunk)
                checker.close()
            else:
                for _ in chunks:  # other parts, such as pictures, are measured only
                    pass
    text_size.check()
    return buffer.getvalue()


def _unpack(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Iterator[bytes]:
    """The entry in chunks. Raises WorkbookRefused if the size or checksum differs from the directory."""
    size = 0
    with archive.open(entry) as packed:
        while piece := packed.read(_CHUNK):
            if size == 0 and piece.startswith(b"PK\x03\x04"):
                raise WorkbookRefused("zip_nested")
            size += len(piece)
            yield piece
    if size != entry.file_size:
        raise WorkbookRefused("damaged")


# --- what the parts claim ----------------------------------------------------------------------------------


class _TextSize:
    """Total text of all cells, counting each shared string at each of its uses."""

    def __init__(self) -> None:
        self.strings: list[int] = []
        self.uses: Counter[int] = Counter()

    def check(self) -> None:
        used = sum(self.strings[index] * times for index, times in self.uses.items() if index < len(self.strings))
        if used > MAX_TEXT:
            raise WorkbookRefused("zip_too_big")


class _PartChecker:
    """Checks one XML part for cells outside the limits; any part may turn out to be a sheet."""

    def __init__(self, text: _TextSize) -> None:
        self._text = text
        self._row = self._column = 0
        self._cells = 0
        self._shared = self._in_cell = self._in_value = False
        self._string_length: int | None = None
        self._value = ""
        self._parser = expat.ParserCreate()
        self._parser.StartDoctypeDeclHandler = self._doctype
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters

    def feed(self, piece: bytes) -> None:
        self._parse(piece, last=False)

    def close(self) -> None:
        self._parse(b"", last=True)

    def _parse(self, piece: bytes, *, last: bool) -> None:
        try:
            self._parser.Parse(piece, last)
        except expat.ExpatError as error:
            raise WorkbookRefused("damaged") from error

    def _doctype(self, *_: object) -> None:
        raise WorkbookRefused("damaged")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        name = name.rpartition(":")[2]
        if name == "row":
            number = attributes.get("r", "")
            self._row = int(number) if number.isdecimal() else self._row + 1
            self._column = 0
        elif name == "c":
            self._in_cell = True
            self._shared = attributes.get("t") == "s"
            self._set_position(attributes.get("r"))
        elif name == "si":
            self._string_length = 0
        elif self._in_cell:
            self._count_cell()
            self._in_value, self._value = name == "v" and self._shared, ""

    def _end(self, name: str) -> None:
        name = name.rpartition(":")[2]
        if name == "c":
            self._in_cell = False
        elif name == "v" and self._in_value:
            self._in_value = False
            if self._value.strip().isdecimal():
                self._text.uses[int(self._value)] += 1
        elif name == "si" and self._string_length is not None:
            self._text.strings.append(self._string_length)
            self._string_length = None

    def _characters(self, text: str) -> None:
        if self._in_value:
            self._value = (self._value + text)[:20]
        elif self._string_length is not None:
            self._string_length += len(text)

    def _set_position(self, reference: str | None) -> None:
        """Where a cell stands: from its reference, `AB12`, or after the cell before it."""
        self._column += 1
        if not reference:
            return
        letters = reference.rstrip("0123456789").upper()
        digits = reference[len(letters) :]
        if not (letters.isascii() and letters.isalpha() and digits and len(reference) < 12):
            raise WorkbookRefused("damaged")
        self._row = int(digits)
        self._column = 0
        for letter in letters:
            self._column = self._column * 26 + ord(letter) - 64

    def _count_cell(self) -> None:
        self._cells += 1
        if self._row > MAX_ROWS or self._column > MAX_COLUMNS or self._cells > MAX_CELLS:
            raise WorkbookRefused("sheet_size", rows=str(MAX_ROWS), columns=str(MAX_COLUMNS))
