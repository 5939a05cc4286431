"""From what the sources say to stays: which leave belongs to which join, and whose word counts.

Pure, and deaf to the order in which anything came: moments are sorted, sources ranked, repeats dropped. A
session (Zoom's `user_id`, new with each join) can come and go several times when the host sends somebody
back to the waiting room and lets them in again, so joins and leaves are paired by their times. Zoom's report
replaces what the events say of the same session and room; a leave it does not know yet is the events'.
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

# Two events of one departure (admitted, and left the waiting room) are stamped this close to each other.
SAME_MOMENT = timedelta(seconds=5)


class SourceRow(NamedTuple):
    """What one source says of one session. Of a webhook the two moments need not belong together."""

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
    """A join with its leave. Where one is not known, its bounds may be: not before, not after."""

    joined_at: datetime | None
    left_at: datetime | None
    joined_after: datetime | None = None
    left_before: datetime | None = None


@dataclass(frozen=True)
class StayList:
    """The stays, and for each row's id the stay in which a person's decision about the row is kept."""

    stays: tuple[Stay, ...]
    stay_of_row: Mapping[str, str]


def pair_joins_and_leaves(
    joins: Iterable[datetime], leaves: Iterable[datetime], waits: Sequence[datetime] = ()
) -> tuple[JoinLeavePair, ...]:
    """The visits of one session to one room, in order.

    `waits` are the times at which the session was sent to the waiting room meanwhile: where one lies between
    two joins, Zoom sent no leave for it, and the wait itself says what is to be taken out.
    """
    visits: list[JoinLeavePair] = []
    opened: datetime | None = None
    last_join: datetime | None = None
    last_leave: datetime | None = None
    for moment, is_join in _in_turn(set(joins), set(leaves)):
        if is_join:
            repeated = opened is not None and last_join is not None and moment - last_join <= SAME_MOMENT
            if opened is None:
                opened = moment
            elif not repeated and not any(opened < wait <= moment for wait in waits):
                visits.append(JoinLeavePair(opened, None, left_before=moment))
                opened = moment
            last_join = moment
        elif opened is not None:
            visits.append(JoinLeavePair(opened, moment))
            opened, last_leave = None, moment
        else:
            if last_leave is None or moment - last_leave > SAME_MOMENT:
                visits.append(JoinLeavePair(None, moment, joined_after=last_leave))
            last_leave = moment
    if opened is not None:
        visits.append(JoinLeavePair(opened, None))
    return _reversed_ones(visits)


def _in_turn(joins: set[datetime], leaves: set[datetime]) -> Iterator[tuple[datetime, bool]]:
    """The moments in order. At one and the same, whoever is in leaves first and then comes back."""
    inside = False
    for moment in sorted(joins | leaves):
        kinds = [True] * (moment in joins) + [False] * (moment in leaves)
        for is_join in reversed(kinds) if inside else kinds:
            yield moment, is_join
            inside = is_join


def _reversed_ones(visits: Sequence[JoinLeavePair]) -> tuple[JoinLeavePair, ...]:
    """A leave without its join right before a join without its leave: one visit whose times are reversed."""
    pairs: list[JoinLeavePair] = []
    for visit in visits:
        before = pairs[-1] if pairs else None
        open_end = visit.left_at is None and visit.left_before is None
        if before is not None and before.joined_at is None and open_end:
            pairs[-1] = JoinLeavePair(visit.joined_at, before.left_at)
        else:
            pairs.append(visit)
    return tuple(pairs)


def build_stays_from_rows(rows: Iterable[SourceRow], host_email: str | None = None) -> StayList:
    """The stays that the rows of one sheet add up to."""
    hosts = _Hosts(rows := list(rows), host_email)
    sessions: dict[tuple[str, str], list[SourceRow]] = defaultdict(list)
    for row in rows:
        sessions[row.instance, row.session].append(row)
    stays: list[Stay] = []
    stay_of_row: dict[str, str] = {}
    for key in sorted(sessions):
        found, kept_in = _session(sorted(sessions[key], key=_rank), hosts)
        stays += found
        stay_of_row |= kept_in
    return StayList(_with_rooms_closed(stays), stay_of_row)


class _Hosts:
    """Who hosts: the account that an event named as the host's, or the one with the host's address."""

    def __init__(self, rows: Iterable[SourceRow], host_email: str | None) -> None:
        self._accounts = {row.zoom_user_id for row in rows if row.is_host and row.zoom_user_id}
        self._email = fold_email(host_email)

    def include(self, row: SourceRow) -> bool:
        """Zoom registers no hosts, so whoever has a registrant id is none."""
        if row.registrant_id:
            return False
        by_email = self._email is not None and fold_email(row.email) == self._email
        return row.is_host or row.zoom_user_id in self._accounts or by_email


def _rank(row: SourceRow) -> tuple[bool, bool, float, str, str]:
    """Rows in an order that does not depend on how they came: joins before lone leaves, by their time."""
    moment = row.joined_at or row.left_at
    return row.source != "webhook", row.joined_at is None, moment.timestamp() if moment else 0.0, row.name, row.id


def _session(rows: Sequence[SourceRow], hosts: _Hosts) -> tuple[list[Stay], dict[str, str]]:
    stays: list[Stay] = []
    kept_in: dict[str, str] = {}
    waits = [row.joined_at for row in rows if row.room == "waiting" and row.joined_at]
    is_host = any(hosts.include(row) for row in rows)
    for room in ("meeting", "waiting", "breakout"):
        here = [row for row in rows if row.room == room]
        if not here:
            continue
        found = _room(here, waits if room == "meeting" else (), is_host)
        stays += found
        kept_in |= {row.id: found[0].id for row in here}
    return stays, kept_in


def _room(rows: Sequence[SourceRow], waits: Sequence[datetime], is_host: bool) -> list[Stay]:
    """The stays of one session in one room."""
    events = [row for row in rows if row.source == "webhook"]
    told = [row for row in rows if row.source != "webhook"]
    leaves = {row.left_at for row in events if row.left_at}
    name = _first(row.name for row in rows) or ""
    made = partial(
        Stay,
        instance=rows[0].instance,
        session=_first(row.parent_session for row in rows) or rows[0].session,
        registrant_id=_first(row.registrant_id for row in rows),
        email=_first(row.email for row in rows),
        zoom_user_id=_first(row.zoom_user_id for row in rows),
        room="waiting" if rows[0].room == "waiting" else "meeting",
        is_host=is_host,
        breakout=rows[0].room == "breakout",
    )
    ids = _ids(rows)
    if told:
        return [_as_told(row, leaves, partial(made, name=name), next(ids)) for row in _once(told)]
    visits = pair_joins_and_leaves({row.joined_at for row in events if row.joined_at}, leaves, waits)
    names = {row.joined_at: row.name for row in events if row.joined_at and row.name}
    return [
        made(
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


def _as_told(row: SourceRow, leaves: Iterable[datetime], made: Callable[..., Stay], stay_id: str) -> Stay:
    """A stay of the report or of an uploaded file. A leave that it does not know is the events', if they do."""
    left, by = row.left_at, row.source
    if left is None and row.joined_at is not None and row.duration_seconds is None:
        left = min((moment for moment in leaves if moment >= row.joined_at), default=None)
        by = "webhook"
    return made(
        id=stay_id,
        joined_at=row.joined_at,
        left_at=left,
        source=row.source,
        leave_source=None if left is None else "event" if by == "webhook" else by,
        lasted=row.duration_seconds,
    )


def _once(rows: Sequence[SourceRow]) -> list[SourceRow]:
    """Reports repeat rows: of those with one join the longest counts."""
    best: dict[tuple[str, datetime | None, int | None], SourceRow] = {}
    for row in rows:
        key = row.source, row.joined_at, row.duration_seconds
        known = best.get(key)
        if known is None or (row.left_at and (known.left_at is None or row.left_at > known.left_at)):
            best[key] = row
    return list(best.values())


def _with_rooms_closed(stays: Sequence[Stay]) -> tuple[Stay, ...]:
    """Who leaves the meeting leaves its breakout rooms: a visit without a leave ends with the stay it is of."""
    ends: dict[tuple[str, str], list[datetime]] = defaultdict(list)
    for stay in stays:
        if stay.room == "meeting" and not stay.breakout and stay.left_at:
            ends[stay.instance, stay.session].append(stay.left_at)
    closed = []
    for stay in stays:
        joined = stay.joined_at
        if stay.breakout and joined and stay.left_at is None and stay.left_before is None:
            end = min((moment for moment in ends[stay.instance, stay.session] if moment > joined), default=None)
            stay = replace(stay, left_at=end, leave_source="event" if end else None)
        closed.append(stay)
    return tuple(closed)


def _ids(rows: Sequence[SourceRow]) -> Iterator[str]:
    """The n-th stay bears the n-th row's id; if there are more stays than rows, the last one's and a number."""
    ids = [row_id for _, _, row_id in sorted({(row.source != "webhook", row.sequence, row.id) for row in rows})]
    yield from ids
    for at in count(len(ids)):
        yield f"{ids[-1]}.{at}"


def _first(values: Iterable[str | None]) -> str | None:
    return next((value for value in values if value), None)
