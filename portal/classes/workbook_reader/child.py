"""Reads one workbook from standard input and writes its cells to standard output as lines of JSON.

Runs in a process of its own, started by `process`: a forged record can end the process of the native reader, and a
small file can ask for any amount of memory and time. The process limits itself before it reads a byte, is given no
environment, opens no file or socket afterwards and writes none: uploaded bytes never reach a disk.

Lines: `{"sheet": name}`, then an array for each row; or a single `{"refused": code, "params": {...}}`. Text stays text,
numbers are numbers; dates are ISO text; empty cells are null.
"""

import codecs
import io
import json
import math
import sys
from collections.abc import Iterator
from typing import Any

from python_calamine import CalamineError, load_workbook

from .limits import (
    CPU_SECONDS,
    MAX_BYTES,
    MAX_CELLS,
    MAX_COLUMNS,
    MAX_ROWS,
    MAX_SHEETS,
    MAX_TEXT,
    MEMORY_BYTES,
    TEXT_LIMIT,
    WorkbookRefused,
)
from .xls_checks import check_xls
from .xlsx_checks import check_and_repack


def limit_process() -> None:
    """Limits of memory, CPU time, files and core dumps, where the system has them. Elsewhere the parent watches."""
    try:
        import resource
    except ImportError:  # Windows
        return
    for encoding in ("utf-16-le", "cp437"):  # of names in the containers: codecs are files too
        codecs.lookup(encoding)
    limits = {
        resource.RLIMIT_AS: MEMORY_BYTES,
        resource.RLIMIT_CPU: CPU_SECONDS,
        resource.RLIMIT_FSIZE: 0,  # standard output is a pipe, which this does not limit
        resource.RLIMIT_CORE: 0,  # a core dump would put the bytes on disk
        resource.RLIMIT_NOFILE: 3,  # the three that are open: no file, no socket
    }
    for name, most in limits.items():
        resource.setrlimit(name, (most, most))


def read_workbook(data: bytes) -> Iterator[Any]:
    """The lines to write. Raises WorkbookRefused."""
    is_archive = data.startswith(b"PK")
    if is_archive:
        data = check_and_repack(data)
    else:
        check_xls(data)
    count = length = 0
    with load_workbook(io.BytesIO(data)) as workbook:
        for name in workbook.sheet_names[:MAX_SHEETS]:
            yield {"sheet": name[:TEXT_LIMIT]}
            sheet = workbook.get_sheet_by_name(name)
            first_row, first_column = sheet.start or (0, 0)
            if first_row + sheet.height > MAX_ROWS or first_column + sheet.width > MAX_COLUMNS:
                raise WorkbookRefused("sheet_size", rows=str(MAX_ROWS), columns=str(MAX_COLUMNS))
            for row in sheet.iter_rows():  # from the first row of the sheet, but from its first column with a cell
                cells = [None] * first_column + [_to_json(value) for value in row]
                while cells and cells[-1] is None:
                    cells.pop()
                count += sum(cell is not None for cell in cells)
                length += sum(len(cell) for cell in cells if isinstance(cell, str))
                if count > MAX_CELLS or length > MAX_TEXT:
                    raise WorkbookRefused("zip_too_big")
                yield cells


def _to_json(value: object) -> str | int | float | bool | None:
    if isinstance(value, str):
        return value[:TEXT_LIMIT] or None
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, bool | int | float):
        return value
    return str(value)[:TEXT_LIMIT]  # dates and times, as Python's ISO text


def write_cells() -> None:
    """Read the workbook on standard input and write its lines, within the limits."""
    limit_process()
    output = sys.stdout.buffer
    try:
        for line in read_workbook(sys.stdin.buffer.read(MAX_BYTES + 1)):
            output.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
    except WorkbookRefused as refused:
        output.write(json.dumps({"refused": refused.code, "params": refused.params}).encode() + b"\n")
    except MemoryError:
        output.write(b'{"refused": "too_costly", "params": {}}\n')
    except (CalamineError, ValueError, OverflowError):
        output.write(b'{"refused": "damaged", "params": {}}\n')
    except BaseException as error:
        # A panic in the native reader arrives as this class of PyO3, which derives from BaseException alone.
        if type(error).__name__ != "PanicException":
            raise
        output.write(b'{"refused": "damaged", "params": {}}\n')
    output.flush()
