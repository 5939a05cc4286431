"""The dates of a recurring meeting: bringing our rows and Zoom's occurrences together.

Nothing is remembered between tries: each looks at what Zoom has, takes over what was changed there, and says
what is still to be sent. So it may be broken off anywhere.
"""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import uuid4

from portal.core import clock
from portal.core.db import db
from portal.meetings.codes import OccurrenceState
from portal.meetings.models import MeetingOccurrence, ZoomMeeting
from portal.meetings.zoom_sync.desired_state import pattern_starts
from portal.zoom.models import Meeting, Occurrence

Pair = tuple[MeetingOccurrence, Occurrence]


@dataclass
class OccurrenceDiff:
    """What is to be sent: Zoom's dates to delete, and ours that Zoom has at another time. `missing` are dates that
    Zoom never made; `news` is true where something was changed in Zoom itself."""

    surplus: list[Occurrence] = field(default_factory=list)
    moved: list[Pair] = field(default_factory=list)
    missing: list[MeetingOccurrence] = field(default_factory=list)
    news: bool = False

    @property
    def in_step(self) -> bool:
        return not self.surplus and not self.moved


def diff_zoom_occurrences(meeting: ZoomMeeting, rows: list[MeetingOccurrence], seen: Meeting) -> OccurrenceDiff:
    """Take over what was changed in Zoom itself, within the transaction that is open, and say what to send.

    Dates that have begun are left alone.
    """
    now = clock.now()
    coming = [one for one in seen.occurrences if one.status != "deleted" and one.start_time and one.start_time > now]
    ours = [row for row in rows if row.is_scheduled]
    pairs, extra = _match(ours, coming)
    diff = OccurrenceDiff()
    for row, theirs in pairs:
        _learn(row, theirs, rows, diff)
        if row.state == OccurrenceState.CANCELLED:
            diff.surplus.append(theirs)
        elif row.starts_at > now and (row.starts_at, row.minutes) != (row.zoom_starts_at, row.zoom_minutes):
            diff.moved.append((row, theirs))
    matched = {row.id for row, _ in pairs}
    for row in ours:
        if row.id not in matched and _place(row) > now:
            _gone(row, diff)
    planned = {clock.to_manila(start).date() for start in pattern_starts(meeting)}
    for theirs in extra:
        assert theirs.start_time is not None  # `coming` has only those with a start
        if clock.to_manila(theirs.start_time).date() in planned:
            diff.surplus.append(theirs)  # a day without class, which Zoom cannot leave out by itself
        else:
            _new(meeting, rows, theirs, theirs.start_time, diff)
    return diff


def _match(rows: list[MeetingOccurrence], coming: list[Occurrence]) -> tuple[list[Pair], list[Occurrence]]:
    """Pairs by Zoom's id, else by the time that Zoom has it at, else by the day; and what is left of Zoom's.

    Ids change when somebody changes the whole series in Zoom, so they are not enough.
    """
    pairs: list[Pair] = []
    for same in (_same_id, _same_start, _same_day):
        taken = {row.id for row, _ in pairs}
        for row in rows:
            occurrence = next((one for one in coming if same(row, one)), None) if row.id not in taken else None
            if occurrence is not None:
                pairs.append((row, occurrence))
                coming = [one for one in coming if one is not occurrence]
    return pairs, coming


def _same_id(row: MeetingOccurrence, theirs: Occurrence) -> bool:
    return row.zoom_occurrence_id is not None and row.zoom_occurrence_id == theirs.id


def _same_start(row: MeetingOccurrence, theirs: Occurrence) -> bool:
    return _place(row) == theirs.start_time


def _same_day(row: MeetingOccurrence, theirs: Occurrence) -> bool:
    return (
        theirs.start_time is not None
        and clock.to_manila(_place(row)).date() == clock.to_manila(theirs.start_time).date()
    )


def _place(row: MeetingOccurrence) -> datetime:
    """When Zoom has the date, as far as we know."""
    return row.zoom_starts_at or row.starts_at


def _learn(row: MeetingOccurrence, theirs: Occurrence, rows: list[MeetingOccurrence], diff: OccurrenceDiff) -> None:
    """Note what Zoom has; a time that was changed there and not here is taken over."""
    start, minutes = theirs.start_time, theirs.minutes or row.zoom_minutes or row.minutes
    changed_there = (start, minutes) != (row.zoom_starts_at, row.zoom_minutes)
    changed_here = (row.starts_at, row.minutes) != (row.zoom_starts_at, row.zoom_minutes)
    free = all(other is row or other.starts_at != start for other in rows)
    if start and changed_there and not changed_here and free and row.state == OccurrenceState.SCHEDULED:
        row.starts_at, row.minutes = start, minutes
        row.local_date = clock.to_manila(start).date()
        diff.news = True
    row.zoom_occurrence_id, row.zoom_starts_at, row.zoom_minutes = theirs.id, start, minutes


def _gone(row: MeetingOccurrence, diff: OccurrenceDiff) -> None:
    """Zoom does not have this date: somebody deleted it there, or Zoom never made it."""
    if row.state == OccurrenceState.SCHEDULED:
        if row.zoom_occurrence_id is None:
            diff.missing.append(row)
            return
        row.state, diff.news = OccurrenceState.CANCELLED, True
    row.zoom_occurrence_id = None


def _new(
    meeting: ZoomMeeting, rows: list[MeetingOccurrence], theirs: Occurrence, start: datetime, diff: OccurrenceDiff
) -> None:
    """A date that was added in Zoom itself."""
    if any(row.starts_at == start for row in rows):
        return
    row = MeetingOccurrence(
        id=uuid4(),
        meeting_id=meeting.id,
        starts_at=start,
        minutes=theirs.minutes or meeting.minutes,
        local_date=clock.to_manila(start).date(),
        zoom_occurrence_id=theirs.id,
        zoom_starts_at=start,
        zoom_minutes=theirs.minutes or meeting.minutes,
        state=OccurrenceState.SCHEDULED,
        is_scheduled=True,
    )
    db.session.add(row)
    rows.append(row)
    diff.news = True
