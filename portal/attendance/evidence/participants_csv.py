"""Reading the participants file that Zoom lets a host download, whatever its layout and column order.

Two layouts are known. The report of one meeting begins with a block about it (Meeting ID, Topic, Start Time,
End Time ...) and has a row for each stay: "Name (Original Name),User Email,Join Time,Leave Time,Duration
(Minutes),Guest,Recording Consent,In Waiting Room". The one of "unique users" has only how long each was in:
"Name (Original Name),User Email,Total Duration (Minutes),Guest". Dates are written as the account's country
does, "11/03/2026 08:01:09 AM" or "03/11/2026 08:01:09", or as ISO; no zone is named, so it is Manila's.

Pure: bytes in, frozen values out. Nothing in a file raises; what cannot be read is a `FileProblem`.
"""

import csv
import io
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from itertools import pairwise
from typing import Literal

from portal.attendance.codes import FileErrorCode
from portal.core.clock import MANILA

MAX_ROWS = 5000
MAX_BYTES = 2 * 1024 * 1024
_LONGEST_CELL = 300

_COLUMNS = {
    "name": re.compile(r"(user |display |participant )?name( original name)?|participants?|nombre.*"),
    "email": re.compile(r"(user )?e ?mail( address)?"),
    "join": re.compile(r"join(ed)?( time)?( local)?"),
    "leave": re.compile(r"(leave|left)( time)?( local)?"),
    "minutes": re.compile(r"(total )?duration( minutes?| min)?"),
    "waiting": re.compile(r"(in )?waiting room"),
    "registrant": re.compile(r"registrant( id)?"),
}
_ABOUT = {
    "meeting_id": re.compile(r"meeting id"),
    "start": re.compile(r"(actual )?start time"),
    "end": re.compile(r"(actual )?end time"),
}
_TIME = r"(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:\.[0-9]+)?)? ?(?P<half>[AP]\.?M\.?)?"
_NUMBERS = re.compile(
    rf"(?P<one>[0-9]{{1,2}})[/.-](?P<two>[0-9]{{1,2}})[/.-](?P<year>[0-9]{{4}}),? {_TIME}", re.IGNORECASE
)
_ISO = re.compile(
    rf"(?P<year>[0-9]{{4}})[/.-](?P<one>[0-9]{{1,2}})[/.-](?P<two>[0-9]{{1,2}})[ T]{_TIME}"
    r"(?P<zone>Z|[+-][0-9]{2}:?[0-9]{2})?",
    re.IGNORECASE,
)
_WORDS = re.compile(rf"(?P<month>[A-Z]{{3,9}}) (?P<day>[0-9]{{1,2}}),? (?P<year>[0-9]{{4}}),? {_TIME}", re.IGNORECASE)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_ORIGINAL = re.compile(r"(.*\S)\s*\(([^()]*[^()0-9\s][^()]*)\)")
_YES = {"yes", "y", "true", "1", "oo"}


@dataclass(frozen=True)
class FileProblem:
    """Why a file or a row cannot be used: a code for the page's words, and the line in the file."""

    code: FileErrorCode
    line: int | None = None
    what: str = ""


@dataclass(frozen=True)
class ParticipantFileRow:
    """One row. Either `joined_at` is known, aware, or only `seconds`."""

    line: int
    name: str
    email: str | None
    registrant_id: str | None
    joined_at: datetime | None
    left_at: datetime | None
    seconds: int | None
    waiting: bool


@dataclass(frozen=True)
class ParticipantFile:
    """What a file says. `layout` "times" has joins and leaves, "minutes" only lengths; None: not readable."""

    layout: Literal["times", "minutes"] | None
    rows: tuple[ParticipantFileRow, ...] = ()
    meeting_id: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    problems: tuple[FileProblem, ...] = ()


def parse_participants_csv(data: bytes, *, near: date) -> ParticipantFile:
    """The participants in the file. `near` is the day of the class: it tells 3 November from 11 March."""
    text = _text(data)
    if isinstance(text, FileProblem):
        return ParticipantFile(None, problems=(text,))
    table = _table(text)
    header = next((at for at, cells in enumerate(table) if _is_header(cells)), None)
    if header is None:
        return ParticipantFile(None, problems=(FileProblem(FileErrorCode.NO_COLUMNS),))
    columns = _columns(table[header], _COLUMNS)
    body = [(line, cells) for line, cells in enumerate(table, start=1) if line > header + 1 and any(cells)]
    if len(body) > MAX_ROWS:
        return ParticipantFile(None, problems=(FileProblem(FileErrorCode.TOO_LONG),))
    about = _about(table[:header])
    timed = "join" in columns
    times = [_cell(cells, columns, name) for _, cells in body for name in ("join", "leave")]
    read = _reader([*times, about.get("start", ""), about.get("end", "")], near)
    rows: list[ParticipantFileRow] = []
    problems: list[FileProblem] = []
    for line, cells in body:
        row = _row(line, cells, columns, read if timed else None)
        (rows if isinstance(row, ParticipantFileRow) else problems).append(row)  # type: ignore[arg-type]  # told apart here
    if not rows and not problems:
        problems.append(FileProblem(FileErrorCode.NO_ROWS))
    return ParticipantFile(
        layout="times" if timed else "minutes",
        rows=tuple(rows),
        meeting_id=re.sub(r"\D", "", about.get("meeting_id", ""))[:20] or None,
        started_at=read(about.get("start", "")),
        ended_at=read(about.get("end", "")),
        problems=tuple(problems),
    )


def _text(data: bytes) -> str | FileProblem:
    if not data.strip():
        return FileProblem(FileErrorCode.EMPTY)
    if len(data) > MAX_BYTES:
        return FileProblem(FileErrorCode.TOO_LARGE)
    if data[:4] == b"PK\x03\x04" or data[:8] == b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1":
        return FileProblem(FileErrorCode.EXCEL)
    for encoding in ("utf-16",) if data[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8-sig", "cp1252"):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        return FileProblem(FileErrorCode.NOT_TEXT) if "\x00" in text else text
    return FileProblem(FileErrorCode.NOT_TEXT)


def _table(text: str) -> list[list[str]]:
    """The cells, read with the delimiter that shows the most columns we know."""
    tables = [_cells(text, delimiter) for delimiter in (",", ";", "\t")]
    return max(tables, key=lambda table: max((len(_columns(cells, _COLUMNS)) for cells in table[:50]), default=0))


def _cells(text: str, delimiter: str) -> list[list[str]]:
    lines = io.StringIO(text, newline="")
    try:
        rows = list(csv.reader(lines, delimiter=delimiter))
    except csv.Error:
        return []
    return [[" ".join(cell.split())[:_LONGEST_CELL] for cell in row] for row in rows[: 2 * MAX_ROWS]]


def _columns(cells: Sequence[str], wanted: dict[str, re.Pattern[str]]) -> dict[str, int]:
    """Which known column stands where, the first of each kind."""
    counts: dict[str, int] = {}
    for at, cell in enumerate(cells[:60]):
        words = " ".join(re.findall(r"[a-z0-9]+", cell.lower()))
        for name, pattern in wanted.items():
            if name not in counts and pattern.fullmatch(words):
                counts[name] = at
                break
    return counts


def _is_header(cells: Sequence[str]) -> bool:
    counts = _columns(cells, _COLUMNS)
    return "name" in counts and ("join" in counts or "minutes" in counts) and not _columns(cells, _ABOUT)


def _about(table: Sequence[Sequence[str]]) -> dict[str, str]:
    """The block about the meeting above the participants."""
    for cells, values in pairwise(table):
        counts = _columns(cells, _ABOUT)
        if "meeting_id" in counts:
            return {name: values[at] for name, at in counts.items() if at < len(values)}
    return {}


def _cell(cells: Sequence[str], columns: dict[str, int], name: str) -> str:
    at = columns.get(name)
    return cells[at] if at is not None and at < len(cells) else ""


def _row(
    line: int, cells: Sequence[str], columns: dict[str, int], read: Callable[[str], datetime | None] | None
) -> ParticipantFileRow | FileProblem:
    name = _cell(cells, columns, "name")
    renamed = _ORIGINAL.fullmatch(name)
    email = _cell(cells, columns, "email")
    joined = left = None
    seconds = None
    if read:
        joined, left = read(_cell(cells, columns, "join")), read(_cell(cells, columns, "leave"))
        if joined is None:
            return FileProblem(FileErrorCode.BAD_TIME, line, _cell(cells, columns, "join"))
        minutes = _minutes(_cell(cells, columns, "minutes"))
        if left is None and minutes is not None:
            left = joined + timedelta(minutes=minutes)
    else:
        minutes = _minutes(_cell(cells, columns, "minutes"))
        if minutes is None:
            return FileProblem(FileErrorCode.BAD_MINUTES, line, _cell(cells, columns, "minutes"))
        seconds = minutes * 60
    return ParticipantFileRow(
        line=line,
        name=renamed.group(1) if renamed else name,
        email=email.lower() if "@" in email and len(email) <= 254 else None,
        registrant_id=_cell(cells, columns, "registrant")[:128] or None,
        joined_at=joined,
        left_at=left,
        seconds=seconds,
        waiting=_cell(cells, columns, "waiting").lower() in _YES,
    )


def _minutes(cell: str) -> int | None:
    return int(cell) if re.fullmatch(r"[0-9]{1,4}", cell, re.ASCII) else None


def _reader(cells: Iterable[str], near: date) -> Callable[[str], datetime | None]:
    """Reads the times of one file: month first or day first, as brings its dates nearest to the class."""

    def distance(month_first: bool) -> tuple[int, int]:
        days = [_moment(cell, month_first) for cell in cells if cell]
        unread = sum(day is None for day in days)
        return unread, sum(abs((day.astimezone(MANILA).date() - near).days) for day in days if day)

    cells = list(cells)
    month_first = distance(True) <= distance(False)
    return lambda cell: _moment(cell, month_first)


def _moment(cell: str, month_first: bool) -> datetime | None:
    for pattern in (_NUMBERS, _ISO, _WORDS):
        match = pattern.fullmatch(cell)
        if match:
            return _made(match.groupdict(), month_first or pattern is _ISO)
    return None


def _made(part: dict[str, str | None], month_first: bool) -> datetime | None:
    hour, half = int(part["hour"] or 0), (part["half"] or "").upper().replace(".", "")
    if half and not 1 <= hour <= 12:
        return None
    hour = hour % 12 + (12 if half == "PM" else 0) if half else hour
    if part.get("month"):
        month = next((at for at, name in enumerate(_MONTHS, 1) if part["month"].lower().startswith(name)), 0)  # type: ignore[union-attr]  # just seen
        day = int(part["day"] or 0)
    else:
        one, two = int(part["one"] or 0), int(part["two"] or 0)
        month, day = (one, two) if month_first else (two, one)
    year, zone = int(part["year"] or 0), _zone(part.get("zone"))
    if not 2000 <= year < 2200:
        return None
    try:
        moment = datetime(year, month, day, hour, int(part["minute"] or 0), int(part["second"] or 0), tzinfo=zone)
        return moment.astimezone(UTC)
    except ValueError:
        return None


def _zone(text: str | None) -> tzinfo:
    if not text:
        return MANILA
    if text in ("Z", "z"):
        return UTC
    hours, minutes = int(text[1:3]), int(text[-2:])
    offset = min(timedelta(hours=hours, minutes=minutes), timedelta(hours=23))
    return timezone(-offset if text[0] == "-" else offset)
