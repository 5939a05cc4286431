"""Parser of the participants file that hosts download from Zoom, in any layout and column order.

Two layouts are known. The report of one meeting begins with a block about it (Meeting ID, Topic, Start Time,
End Time ...) and has a row for each stay: "Name (Original Name),User Email,Join Time,Leave Time,Duration
(Minutes),Guest,Recording Consent,In Waiting Room". The one of "unique users" has only each person's total:
"Name (Original Name),User Email,Total Duration (Minutes),Guest". Dates are in the format of the account's country,
"11/03/2026 08:01:09 AM" or "03/11/2026 08:01:09", or ISO; without a time zone, so Manila's is assumed.

Pure: bytes in, frozen values out. No content raises an exception; unreadable content gives a `FileProblem`.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from itertools import pairwise
from typing import Literal

from portal.attendance.codes import FileErrorCode
from portal.core import csv_tables
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
_MEETING_COLUMNS = {
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
_RENAMED_NAME = re.compile(r"(.*\S)\s*\(([^()]*[^()0-9\s][^()]*)\)")
_TRUE_VALUES = {"yes", "y", "true", "1", "oo"}


@dataclass(frozen=True)
class FileProblem:
    """Why a file or a row cannot be used: an error code, and the line in the file."""

    code: FileErrorCode
    line: int | None = None
    what: str = ""


@dataclass(frozen=True)
class ParticipantFileRow:
    """One row. Either `joined_at` is known (aware), or only `seconds`."""

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
    """The content of a file. `layout` "times" has joins and leaves, "minutes" only lengths; None: unreadable."""

    layout: Literal["times", "minutes"] | None
    rows: tuple[ParticipantFileRow, ...] = ()
    meeting_id: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    problems: tuple[FileProblem, ...] = ()


def parse_participants_csv(data: bytes, *, near: date) -> ParticipantFile:
    """Parse the file. `near` is the day of the class; it decides between day-first and month-first dates."""
    text = _decode_text(data)
    if isinstance(text, FileProblem):
        return ParticipantFile(None, problems=(text,))
    table = _parse_table(text)
    header = next((index for index, cells in enumerate(table) if _is_header(cells)), None)
    if header is None:
        return ParticipantFile(None, problems=(FileProblem(FileErrorCode.NO_COLUMNS),))
    columns = _columns(table[header], _COLUMNS)
    body = [(line, cells) for line, cells in enumerate(table, start=1) if line > header + 1 and any(cells)]
    if len(body) > MAX_ROWS:
        return ParticipantFile(None, problems=(FileProblem(FileErrorCode.TOO_LONG),))
    meeting_block = _meeting_block(table[:header])
    has_times = "join" in columns
    times = [_cell_of(cells, columns, name) for _, cells in body for name in ("join", "leave")]
    parse_time = _time_parser([*times, meeting_block.get("start", ""), meeting_block.get("end", "")], near)
    rows: list[ParticipantFileRow] = []
    problems: list[FileProblem] = []
    for line, cells in body:
        row = _parse_row(line, cells, columns, parse_time if has_times else None)
        (rows if isinstance(row, ParticipantFileRow) else problems).append(row)  # type: ignore[arg-type]  # the type selects the list
    if not rows and not problems:
        problems.append(FileProblem(FileErrorCode.NO_ROWS))
    return ParticipantFile(
        layout="times" if has_times else "minutes",
        rows=tuple(rows),
        meeting_id=re.sub(r"\D", "", meeting_block.get("meeting_id", ""))[:20] or None,
        started_at=parse_time(meeting_block.get("start", "")),
        ended_at=parse_time(meeting_block.get("end", "")),
        problems=tuple(problems),
    )


def _decode_text(data: bytes) -> str | FileProblem:
    if not data.strip():
        return FileProblem(FileErrorCode.EMPTY)
    if len(data) > MAX_BYTES:
        return FileProblem(FileErrorCode.TOO_LARGE)
    if data[:4] == b"PK\x03\x04" or data[:8] == b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1":
        return FileProblem(FileErrorCode.EXCEL)
    try:
        return csv_tables.decode_text(data, refuse_doubtful=False)
    except csv_tables.CsvError:
        return FileProblem(FileErrorCode.NOT_TEXT)


def _parse_table(text: str) -> list[list[str]]:
    """The cells of each row, blank ones included."""
    try:
        rows = [row for _, row in csv_tables.read_delimited_rows(text, _is_known_column, strict=False)]
    except csv_tables.CsvError:
        return []
    return [[" ".join(cell.split())[:_LONGEST_CELL] for cell in row] for row in rows[: 2 * MAX_ROWS]]


def _is_known_column(cell: str) -> bool:
    return bool(_columns([cell], _COLUMNS) or _columns([cell], _MEETING_COLUMNS))


def _columns(cells: Sequence[str], patterns: dict[str, re.Pattern[str]]) -> dict[str, int]:
    """Position of each known column, the first of each kind."""
    positions: dict[str, int] = {}
    for index, cell in enumerate(cells[:60]):
        words = " ".join(re.findall(r"[a-z0-9]+", cell.lower()))
        for name, pattern in patterns.items():
            if name not in positions and pattern.fullmatch(words):
                positions[name] = index
                break
    return positions


def _is_header(cells: Sequence[str]) -> bool:
    positions = _columns(cells, _COLUMNS)
    return (
        "name" in positions
        and ("join" in positions or "minutes" in positions)
        and not _columns(cells, _MEETING_COLUMNS)
    )


def _meeting_block(table: Sequence[Sequence[str]]) -> dict[str, str]:
    """The values of the block about the meeting, above the participants."""
    for cells, values in pairwise(table):
        positions = _columns(cells, _MEETING_COLUMNS)
        if "meeting_id" in positions:
            return {name: values[index] for name, index in positions.items() if index < len(values)}
    return {}


def _cell_of(cells: Sequence[str], columns: dict[str, int], name: str) -> str:
    index = columns.get(name)
    return cells[index] if index is not None and index < len(cells) else ""


def _parse_row(
    line: int, cells: Sequence[str], columns: dict[str, int], parse_time: Callable[[str], datetime | None] | None
) -> ParticipantFileRow | FileProblem:
    name = _cell_of(cells, columns, "name")
    renaming = _RENAMED_NAME.fullmatch(name)
    email = _cell_of(cells, columns, "email")
    joined_at = left_at = None
    seconds = None
    if parse_time:
        joined_at, left_at = parse_time(_cell_of(cells, columns, "join")), parse_time(_cell_of(cells, columns, "leave"))
        if joined_at is None:
            return FileProblem(FileErrorCode.BAD_TIME, line, _cell_of(cells, columns, "join"))
        minutes = _parse_minutes(_cell_of(cells, columns, "minutes"))
        if left_at is None and minutes is not None:
            left_at = joined_at + timedelta(minutes=minutes)
    else:
        minutes = _parse_minutes(_cell_of(cells, columns, "minutes"))
        if minutes is None:
            return FileProblem(FileErrorCode.BAD_MINUTES, line, _cell_of(cells, columns, "minutes"))
        seconds = minutes * 60
    return ParticipantFileRow(
        line=line,
        name=renaming.group(1) if renaming else name,
        email=email.lower() if "@" in email and len(email) <= 254 else None,
        registrant_id=_cell_of(cells, columns, "registrant")[:128] or None,
        joined_at=joined_at,
        left_at=left_at,
        seconds=seconds,
        waiting=_cell_of(cells, columns, "waiting").lower() in _TRUE_VALUES,
    )


def _parse_minutes(cell: str) -> int | None:
    return int(cell) if re.fullmatch(r"[0-9]{1,4}", cell, re.ASCII) else None


def _time_parser(cells: Iterable[str], near: date) -> Callable[[str], datetime | None]:
    """A parser of the file's times: month first or day first, whichever brings its dates closer to the class."""

    def distance_to_class(month_first: bool) -> tuple[int, int]:
        days = [_parse_time(cell, month_first) for cell in cells if cell]
        unparsed = sum(day is None for day in days)
        return unparsed, sum(abs((day.astimezone(MANILA).date() - near).days) for day in days if day)

    cells = list(cells)
    month_first = distance_to_class(True) <= distance_to_class(False)
    return lambda cell: _parse_time(cell, month_first)


def _parse_time(cell: str, month_first: bool) -> datetime | None:
    for pattern in (_NUMBERS, _ISO, _WORDS):
        match = pattern.fullmatch(cell)
        if match:
            return _build_datetime(match.groupdict(), month_first or pattern is _ISO)
    return None


def _build_datetime(parts: dict[str, str | None], month_first: bool) -> datetime | None:
    hour, half = int(parts["hour"] or 0), (parts["half"] or "").upper().replace(".", "")
    if half and not 1 <= hour <= 12:
        return None
    hour = hour % 12 + (12 if half == "PM" else 0) if half else hour
    if parts.get("month"):
        month = next((number for number, name in enumerate(_MONTHS, 1) if parts["month"].lower().startswith(name)), 0)  # type: ignore[union-attr]  # just seen
        day = int(parts["day"] or 0)
    else:
        first_number, second_number = int(parts["one"] or 0), int(parts["two"] or 0)
        month, day = (first_number, second_number) if month_first else (second_number, first_number)
    year, zone = int(parts["year"] or 0), _parse_zone(parts.get("zone"))
    if not 2000 <= year < 2200:
        return None
    try:
        local_time = datetime(year, month, day, hour, int(parts["minute"] or 0), int(parts["second"] or 0), tzinfo=zone)
        return local_time.astimezone(UTC)
    except ValueError:
        return None


def _parse_zone(text: str | None) -> tzinfo:
    if not text:
        return MANILA
    if text in ("Z", "z"):
        return UTC
    hours, minutes = int(text[1:3]), int(text[-2:])
    offset = min(timedelta(hours=hours, minutes=minutes), timedelta(hours=23))
    return timezone(-offset if text[0] == "-" else offset)
