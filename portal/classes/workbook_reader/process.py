"""Workbooks read in a process of their own, two at once for the whole machine.

The process is started by `subprocess` with an empty environment, gets the bytes on its standard input and answers with
lines of JSON (see `child`). A file in the user's temporary folder is locked for each of the two, so that several server
processes share them; the locks end with their process.
"""

import json
import os
import subprocess  # nosec B404 - starts only this package's script, with no argument from outside
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from portal.classes.workbook_reader.limits import CPU_SECONDS, MEMORY_BYTES, WorkbookRefused

READERS = 2
WALL_SECONDS = 20  # on a machine whose processor is busy with other things
MAX_OUTPUT = 40 * 1024 * 1024
_CHUNK = 64 * 1024
_POLL_SECONDS = 0.1
_MOST_POLLS = 100  # counted, not timed
# Isolated from the environment and the working directory, and without `portal` itself, which would load the server.
_CHILD = (
    "import sys; sys.path.append(sys.argv[1]); from workbook_reader.child import write_cells; write_cells()",
    str(Path(__file__).parents[1]),
)
_DEFAULT_THREADS = 4


class _Waiters:
    """How many threads of this process may be in here at once; the others are turned away."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self.most = max(1, _DEFAULT_THREADS // 4)

    @contextmanager
    def enter(self) -> Iterator[None]:
        with self._lock:
            if self._inside >= self.most:
                raise WorkbookRefused("reader_busy")
            self._inside += 1
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1


_waiters = _Waiters()


def share_web_threads(threads: int) -> None:
    """Let a quarter of the server's threads, at least one, read workbooks or wait for it."""
    _waiters.most = max(1, threads // 4)


def read_workbook(data: bytes) -> list[tuple[str, list[list[Any]]]]:
    """The first sheets with their names; rows of str, int, float, bool or None (rows may be short).

    Raises WorkbookRefused: "damaged", "encrypted", "macros", "old_excel", "not_spreadsheet", "sheet_size",
    "zip_too_big", "zip_nested", "too_costly", or "reader_busy" where too many are being read.
    """
    with _waiters.enter(), _reader_slot():
        return _parse_lines(_run_child(data))


# --- one of two --------------------------------------------------------------------------------------------


@contextmanager
def _reader_slot() -> Iterator[None]:
    """Hold one of the machine's slots. Raises WorkbookRefused("reader_busy") after ten seconds without one."""
    pause, folder = threading.Event(), _lock_folder()
    if folder is None:  # somebody else's, or no disk: the limit of this process's threads remains
        yield
        return
    for _ in range(_MOST_POLLS):
        for number in range(READERS):
            if file := _lock_slot(folder, number):
                try:
                    yield
                finally:
                    file.close()  # ends the lock
                return
        pause.wait(_POLL_SECONDS)
    raise WorkbookRefused("reader_busy")


def _lock_folder() -> Path | None:
    """The folder of the locks, if it can be written."""
    folder = Path(tempfile.gettempdir()) / f"silid-readers-{os.getuid() if hasattr(os, 'getuid') else 'all'}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        for number in range(READERS):
            (folder / f"{number}.lock").open("ab").close()
    except OSError:
        return None
    return folder


def _lock_slot(folder: Path, number: int) -> IO[bytes] | None:
    file = (folder / f"{number}.lock").open("ab")
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    return file


# --- the process -------------------------------------------------------------------------------------------


def _run_child(data: bytes) -> bytes:
    process = subprocess.Popen(  # noqa: S603  # nosec B603 - our own program, with no argument from outside
        [sys.executable, "-I", "-c", *_CHILD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=_empty_environment(),
        close_fds=True,
    )
    assert process.stdin and process.stdout
    timer = threading.Timer(WALL_SECONDS, process.kill)
    timer.daemon = True
    timer.start()
    threads = [threading.Thread(target=_send, args=(process.stdin, data), daemon=True)]
    if sys.platform == "win32":
        threads.append(threading.Thread(target=_watch, args=(process,), daemon=True))
    for thread in threads:
        thread.start()
    try:
        output = bytearray()
        while piece := process.stdout.read(_CHUNK):
            output += piece
            if len(output) > MAX_OUTPUT:
                raise WorkbookRefused("too_costly")
        code = process.wait()
    finally:
        process.kill()
        process.wait()
        timer.cancel()
        for thread in threads:
            thread.join()
        process.stdout.close()
    if code:  # killed by a limit, or ended by the native reader
        raise WorkbookRefused("too_costly")
    return bytes(output)


def _send(pipe: IO[bytes], data: bytes) -> None:
    with suppress(OSError):  # the process has ended already
        pipe.write(data)
    with suppress(OSError):
        pipe.close()


def _empty_environment() -> dict[str, str]:
    """Nothing but what Windows needs to start a process."""
    return {name: os.environ[name] for name in ("SYSTEMROOT",) if sys.platform == "win32" and name in os.environ}


def _watch(process: "subprocess.Popen[bytes]") -> None:
    """End the process when it has had its CPU time or memory, where the system has no such limits. Written after
    Microsoft's documentation of GetProcessTimes and GetProcessMemoryInfo; not tried on Windows."""
    if sys.platform != "win32":
        return
    import ctypes
    from ctypes import wintypes

    class Counters(ctypes.Structure):
        _fields_ = [
            ("cb", wintypes.DWORD),
            ("PageFaultCount", wintypes.DWORD),
            *((name, ctypes.c_size_t) for name in (
                "PeakWorkingSetSize", "WorkingSetSize", "QuotaPeakPagedPoolUsage", "QuotaPagedPoolUsage",
                "QuotaPeakNonPagedPoolUsage", "QuotaNonPagedPoolUsage", "PagefileUsage", "PeakPagefileUsage",
            )),
        ]  # fmt: skip

    handle, pause = int(process._handle), threading.Event()
    while process.poll() is None:
        created, ended, kernel, user = (wintypes.FILETIME() for _ in range(4))
        counters = Counters()
        ctypes.windll.kernel32.GetProcessTimes(
            handle, ctypes.byref(created), ctypes.byref(ended), ctypes.byref(kernel), ctypes.byref(user)
        )
        ctypes.windll.psapi.GetProcessMemoryInfo(handle, ctypes.byref(counters), ctypes.sizeof(counters))
        ticks = sum((time.dwHighDateTime << 32) + time.dwLowDateTime for time in (kernel, user))  # of 100 ns
        if ticks > CPU_SECONDS * 10_000_000 or counters.PagefileUsage > MEMORY_BYTES:
            process.kill()
        pause.wait(0.05)


def _parse_lines(output: bytes) -> list[tuple[str, list[list[Any]]]]:
    sheets: list[tuple[str, list[list[Any]]]] = []
    for line in output.splitlines():
        value = json.loads(line)
        if isinstance(value, list):
            sheets[-1][1].append(value)
        elif "refused" in value:
            raise WorkbookRefused(value["refused"], **value["params"])
        else:
            sheets.append((value["sheet"], []))
    return sheets
