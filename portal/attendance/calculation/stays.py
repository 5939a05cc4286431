"""Builds stays from the sources' rows: pairs joins with leaves, and ranks the sources.

Pure, and independent of the order of arrival: times are sorted, sources ranked, duplicates dropped. A session
(Zoom's `user_id`, new with each join) can join and leave several times when the host moves a participant to the
waiting room and back, so joins and leaves are paired by time. Rows of Zoom's report replace the events of the same
session and room; a leave missing in the report is taken from the events.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import count
from typing import Literal, NamedTuple

from portal.attendance.calculation.matching import Stay, fold_email

Room = Literal["meeting", "waiting", "breakout"]
Source = Literal["webhook", "report", "csv"]

# Two events of one departure (admitted, and left the waiting room) differ by at most this much.
SAME_MOMENT = timedelta(seconds=5)


class SourceRow(NamedTuple):
    """One source's row for one session. In a webhook row the join and the leave need not belong together."""

    id: str
    instance: str
    session: str
    room: Room
    source: Source
    sequence: int = 0
    joined_at: datetime | None = None
    left_at: datetime | None = None
    registrant_id: str | None = None
    email: str | None = None
    zoom_user_id: str | None = None
    name: str = ""
    is_host: bool = False
    parent_session: str | None = None
    duration_seconds: int | None = None


@dataclass(frozen=True)
class JoinLeavePair:
    """A join with its leave. Where one is missing, a bound may be known: `joined_after` or `left_before`."""

    joined_at: datetime | None
    left_at: datetime | None
    joined_after: datetime | None = None
    left_before: datetime | None = None


@dataclass(frozen=True)
class StayList:
    """The stays, and for each row's id the stay that manual matches of the row apply to."""

    stays: tuple[Stay, ...]
    stay_of_row: Mapping[str, str]


def pair_joins_and_leaves(
    joins: Iterable[datetime], leaves: Iterable[datetime], waits: Sequence[datetime] = ()
) -> tuple[JoinLeavePair, ...]:
    """The visits of one session to one room, in order.

    `waits` are the times at which the session was moved to the waiting room: if one lies between two joins, Zoom sent
    no leave for it, and the wait itself is subtracted later.
    """
    visits: list[JoinLeavePair] = []
    open_since: datetime | None = None
    last_join: datetime | None = None
    last_leave: datetime | None = None
    for time, is_join in _ordered_joins_and_leaves(set(joins), set(leaves)):
        if is_join:
            is_repeat = open_since is not None and last_join is not None and time - last_join <= SAME_MOMENT
            if open_since is None:
                open_since = time
            elif not is_repeat and not any(open_since < wait <= time for wait in waits):
                visits.append(JoinLeavePair(open_since, None, left_before=time))
                open_since = time
            last_join = time
        elif open_since is not None:
            visits.append(JoinLeavePair(open_since, time))
            open_since, last_leave = None, time
        else:
            if last_leave is None or time - last_leave > SAME_MOMENT:
                visits.append(JoinLeavePair(None, time, joined_after=last_leave))
            last_leave = time
    if open_since is not None:
        visits.append(JoinLeavePair(open_since, None))
    return _merge_reversed(visits)


def _ordered_joins_and_leaves(joins: set[datetime], leaves: set[datetime]) -> Iterator[tuple[datetime, bool]]:
    """The times in order, with True for a join. At equal times an open visit is closed before the next one opens."""
    inside = False
    for time in sorted(joins | leaves):
        kinds_at_time = [True] * (time in joins) + [False] * (time in leaves)
        for is_join in reversed(kinds_at_time) if inside else kinds_at_time:
            yield time, is_join
            inside = is_join


def _merge_reversed(visits: Sequence[JoinLeavePair]) -> tuple[JoinLeavePair, ...]:
    """Merge a leave without a join, directly followed by a join without a leave, into one visit with reversed times."""
    pairs: list[JoinLeavePair] = []
    for visit in visits:
        previous = pairs[-1] if pairs else None
        has_no_end = visit.left_at is None and visit.left_before is None
        if previous is not None and previous.joined_at is None and has_no_end:
            pairs[-1] = JoinLeavePair(visit.joined_at, previous.left_at)
        else:
            pairs.append(visit)
    return tuple(pairs)


def build_stays_from_rows(rows: Iterable[SourceRow], host_email: str | None = None) -> StayList:
    """All stays of one sheet's rows."""
    hosts = _Hosts(rows := list(rows), host_email)
    sessions: dict[tuple[str, str], list[SourceRow]] = defaultdict(list)
    for row in rows:
        sessions[row.instance, row.session].append(row)
    stays: list[Stay] = []
    stay_of_row: dict[str, str] = {}
    for key in sorted(sessions):
        session_stays, session_stay_of_row = _session_stays(sorted(sessions[key], key=_rank), hosts)
        stays += session_stays
        stay_of_row |= session_stay_of_row
    return StayList(_close_breakout_stays(stays), stay_of_row)


class _Hosts:
    """The hosts: accounts marked as host by an event, and the account with the host's address."""

    def __init__(self, rows: Iterable[SourceRow], host_email: str | None) -> None:
        self._accounts = {row.zoom_user_id for row in rows if row.is_host and row.zoom_user_id}
        self._email = fold_email(host_email)

    def include(self, row: SourceRow) -> bool:
        """True if the row is a host's. Zoom does not register hosts, so a row with a registrant id never is."""
        if row.registrant_id:
            return False
        by_email = self._email is not None and fold_email(row.email) == self._email
        return row.is_host or row.zoom_user_id in self._accounts or by_email


def _rank(row: SourceRow) -> tuple[bool, bool, float, str, str]:
    """Sort key independent of the order of arrival: joins before lone leaves, by time."""
    time = row.joined_at or row.left_at
    return row.source != "webhook", row.joined_at is None, time.timestamp() if time else 0.0, row.name, row.id


def _session_stays(rows: Sequence[SourceRow], hosts: _Hosts) -> tuple[list[Stay], dict[str, str]]:
    stays: list[Stay] = []
    stay_of_row: dict[str, str] = {}
    waits = [row.joined_at for row in rows if row.room == "waiting" and row.joined_at]
    is_host = any(hosts.include(row) for row in rows)
    for room in ("meeting", "waiting", "breakout"):
        room_rows = [row for row in rows if row.room == room]
        if not room_rows:
            continue
        room_stays = _room_stays(room_rows, waits if room == "meeting" else (), is_host)
        stays += room_stays
        stay_of_row |= {row.id: room_stays[0].id for row in room_rows}
    return stays, stay_of_row


def _room_stays(rows: Sequence[SourceRow], waits: Sequence[datetime], is_host: bool) -> list[Stay]:
    """The stays of one session in one room."""
    events = [row for row in rows if row.source == "webhook"]
    reported_rows = [row for row in rows if row.source != "webhook"]
    leaves = {row.left_at for row in events if row.left_at}
    name = _first_non_empty(row.name for row in rows) or ""
    new_stay = partial(
        Stay,
        instance=rows[0].instance,
        session=_first_non_empty(row.parent_session for row in rows) or rows[0].session,
        registrant_id=_first_non_empty(row.registrant_id for row in rows),
        email=_first_non_empty(row.email for row in rows),
        zoom_user_id=_first_non_empty(row.zoom_user_id for row in rows),
        room="waiting" if rows[0].room == "waiting" else "meeting",
        is_host=is_host,
        breakout=rows[0].room == "breakout",
    )
    ids = _stay_ids(rows)
    if reported_rows:
        return [
            _reported_stay(row, leaves, partial(new_stay, name=name), next(ids))
            for row in _deduplicate_rows(reported_rows)
        ]
    visits = pair_joins_and_leaves({row.joined_at for row in events if row.joined_at}, leaves, waits)
    names = {row.joined_at: row.name for row in events if row.joined_at and row.name}
    return [
        new_stay(
            id=next(ids),
            name=names.get(visit.joined_at, name) if visit.joined_at else name,
            joined_at=visit.joined_at,
            left_at=visit.left_at,
            joined_after=visit.joined_after,
            left_before=visit.left_before,
            source="webhook",
            leave_source="event" if visit.left_at else None,
        )
        for visit in visits or [JoinLeavePair(None, None)]
    ]


def _reported_stay(row: SourceRow, leaves: Iterable[datetime], new_stay: Callable[..., Stay], stay_id: str) -> Stay:
    """A stay from the report or an uploaded file. A leave missing there is taken from the events."""
    left_at, leave_source = row.left_at, row.source
    if left_at is None and row.joined_at is not None and row.duration_seconds is None:
        left_at = min((leave for leave in leaves if leave >= row.joined_at), default=None)
        leave_source = "webhook"
    return new_stay(
        id=stay_id,
        joined_at=row.joined_at,
        left_at=left_at,
        source=row.source,
        leave_source=None if left_at is None else "event" if leave_source == "webhook" else leave_source,
        lasted=row.duration_seconds,
    )


def _deduplicate_rows(rows: Sequence[SourceRow]) -> list[SourceRow]:
    """Deduplicate: reports repeat rows; of those with the same join the longest is used."""
    longest: dict[tuple[str, datetime | None, int | None], SourceRow] = {}
    for row in rows:
        key = row.source, row.joined_at, row.duration_seconds
        previous = longest.get(key)
        if previous is None or (row.left_at and (previous.left_at is None or row.left_at > previous.left_at)):
            longest[key] = row
    return list(longest.values())


def _close_breakout_stays(stays: Sequence[Stay]) -> tuple[Stay, ...]:
    """Close breakout stays without a leave at the end of the main-room stay they belong to."""
    ends: dict[tuple[str, str], list[datetime]] = defaultdict(list)
    for stay in stays:
        if stay.room == "meeting" and not stay.breakout and stay.left_at:
            ends[stay.instance, stay.session].append(stay.left_at)
    closed = []
    for stay in stays:
        joined_at = stay.joined_at
        if stay.breakout and joined_at and stay.left_at is None and stay.left_before is None:
            end = min((leave for leave in ends[stay.instance, stay.session] if leave > joined_at), default=None)
            stay = replace(stay, left_at=end, leave_source="event" if end else None)
        closed.append(stay)
    return tuple(closed)


def _stay_ids(rows: Sequence[SourceRow]) -> Iterator[str]:
    """Stable ids: the n-th stay gets the n-th row's id; surplus stays get the last row's id with a number."""
    row_ids = [row_id for _, _, row_id in sorted({(row.source != "webhook", row.sequence, row.id) for row in rows})]
    yield from row_ids
    for index in count(len(row_ids)):
        yield f"{row_ids[-1]}.{index}"


def _first_non_empty(values: Iterable[str | None]) -> str | None:
    return next((value for value in values if value), None)
