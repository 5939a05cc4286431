"""Reads the cells of an `.xlsx` workbook after measuring it: what unpacks to too much is never parsed.

The measured parts are packed anew for the reader, so that what was measured is what is read, whatever the
archive's directory claims.
"""

import io
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from xml.parsers import expat

from python_calamine import CalamineError, load_workbook

from portal.classes.roster_files.rows import (
    MAX_COLUMNS,
    MAX_ROWS,
    MAX_SHEETS,
    RosterFileError,
    Rows,
)

MAX_ENTRIES = 200
MAX_UNPACKED = 50 * 1024 * 1024
MAX_RATIO = 100
RATIO_FROM = 1024 * 1024  # small parts may pack well: only big ones are suspicious
MAX_TEXT = 20_000_000  # characters in all cells together, a shared string counted at each use
_CHUNK = 64 * 1024
_ARCHIVES = (".zip", ".xlsx", ".xlsm", ".xlsb", ".docx", ".pptx", ".jar", ".ods")
_BROKEN_ARCHIVE = (
    zipfile.BadZipFile, zlib.error, struct.error, NotImplementedError, RuntimeError,
    EOFError, OSError, ValueError, KeyError,
)  # fmt: skip


def read_xlsx_workbook(data: bytes) -> Iterator[tuple[str, Rows]]:
    """The first worksheets of a workbook: name and rows of cells, cached values where formulas stand.

    Raises:
        RosterUnreadable: the file is damaged, encrypted, holds macros or another archive, or is too large.
    """
    measured = _measured(data)
    try:
        yield from _read_cells(measured)
    except (CalamineError, ValueError, OverflowError) as error:
        raise RosterFileError("damaged") from error
    except BaseException as error:
        # A panic in the native reader arrives as this class of PyO3, which derives from BaseException alone.
        if type(error).__name__ == "PanicException":
            raise RosterFileError("damaged") from error
        raise


def _read_cells(data: bytes) -> Iterator[tuple[str, Rows]]:
    with load_workbook(io.BytesIO(data)) as workbook:
        for name in workbook.sheet_names[:MAX_SHEETS]:
            sheet = workbook.get_sheet_by_name(name)
            yield name, [list(row) for row in sheet.to_python(skip_empty_area=False)]


# --- the archive -------------------------------------------------------------------------------------------


def _measured(data: bytes) -> bytes:
    """The workbook's XML parts in a new archive, each unpacked within the limits and looked through."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            _check_directory(entries)
            return _repack(archive, entries)
    except _BROKEN_ARCHIVE as error:
        raise RosterFileError("damaged") from error


def _check_directory(entries: list[zipfile.ZipInfo]) -> None:
    names = [entry.filename for entry in entries]
    if len(entries) > MAX_ENTRIES:
        raise RosterFileError("zip_too_big")
    if any(entry.flag_bits & 1 for entry in entries):
        raise RosterFileError("encrypted")
    if any("vbaproject" in name.lower() or "/macrosheets/" in name.lower() for name in names):
        raise RosterFileError("macros")
    if any(name.lower().endswith(_ARCHIVES) for name in names):
        raise RosterFileError("zip_nested")
    if "xl/workbook.xml" not in names:
        raise RosterFileError("not_spreadsheet")
    if len(set(names)) != len(names):
        raise RosterFileError("damaged")
    if sum(entry.file_size for entry in entries) > MAX_UNPACKED or any(map(_packs_too_well, entries)):
        raise RosterFileError("zip_too_big")


def _packs_too_well(entry: zipfile.ZipInfo) -> bool:
    return entry.file_size > RATIO_FROM and entry.file_size > MAX_RATIO * max(entry.compress_size, 1)


def _repack(archive: zipfile.ZipFile, entries: list[zipfile.ZipInfo]) -> bytes:
    kept = io.BytesIO()
    text = _TextUsed()
    with zipfile.ZipFile(kept, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as clean:
        for entry in entries:
            parts = _unpack(archive, entry)
            if entry.filename.endswith((".xml", ".rels")):
                look = _PartLook(text)
                with clean.open(entry.filename, "w") as sink:
                    for part in parts:
                        look.feed(part)
                        sink.write(part)
                look.close()
            else:
                for _ in parts:  # pictures are measured, not kept
                    pass
    text.check()
    return kept.getvalue()


def _unpack(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Iterator[bytes]:
    """The entry in pieces. A directory that lies about sizes shows here: too short, or a bad checksum."""
    size = 0
    with archive.open(entry) as packed:
        while piece := packed.read(_CHUNK):
            if size == 0 and piece.startswith(b"PK\x03\x04"):
                raise RosterFileError("zip_nested")
            size += len(piece)
            yield piece
    if size != entry.file_size:
        raise RosterFileError("damaged")


# --- what the parts claim ----------------------------------------------------------------------------------


class _TextUsed:
    """How much text the cells would hold if each shared string were copied to each of its uses."""

    def __init__(self) -> None:
        self.strings: list[int] = []
        self.uses: Counter[int] = Counter()

    def check(self) -> None:
        used = sum(self.strings[index] * times for index, times in self.uses.items() if index < len(self.strings))
        if used > MAX_TEXT:
            raise RosterFileError("zip_too_big")


class _PartLook:
    """Looks through one XML part for cells outside the limits; any part may claim to be a sheet."""

    def __init__(self, text: _TextUsed) -> None:
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
            raise RosterFileError("damaged") from error

    def _doctype(self, *_: object) -> None:
        raise RosterFileError("damaged")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        name = name.rpartition(":")[2]
        if name == "row":
            number = attributes.get("r", "")
            self._row = int(number) if number.isdecimal() else self._row + 1
            self._column = 0
        elif name == "c":
            self._in_cell = True
            self._shared = attributes.get("t") == "s"
            self._place(attributes.get("r"))
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

    def _place(self, reference: str | None) -> None:
        """Where a cell stands: from its reference, `AB12`, or after the cell before it."""
        self._column += 1
        if not reference:
            return
        letters = reference.rstrip("0123456789").upper()
        digits = reference[len(letters) :]
        if not (letters.isascii() and letters.isalpha() and digits and len(reference) < 12):
            raise RosterFileError("damaged")
        self._row = int(digits)
        self._column = 0
        for letter in letters:
            self._column = self._column * 26 + ord(letter) - 64

    def _count_cell(self) -> None:
        self._cells += 1
        if self._row > MAX_ROWS or self._column > MAX_COLUMNS or self._cells > MAX_ROWS * MAX_COLUMNS:
            raise RosterFileError("sheet_size", rows=str(MAX_ROWS), columns=str(MAX_COLUMNS))
