"""Reconciliation of a recurring meeting's rows with Zoom's occurrences.

Stateless between attempts: each one reads Zoom's occurrences, adopts remote changes and returns what is still to
be sent. So it may be interrupted at any point.
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
    """What is to be sent: Zoom's occurrences to delete (`surplus`), and rows that Zoom has at another time (`moved`).
    `missing` are rows that Zoom never created; `news` is true if remote changes were adopted."""

    surplus: list[Occurrence] = field(default_factory=list)
    moved: list[Pair] = field(default_factory=list)
    missing: list[MeetingOccurrence] = field(default_factory=list)
    news: bool = False

    @property
    def in_step(self) -> bool:
        return not self.surplus and not self.moved


def diff_zoom_occurrences(meeting: ZoomMeeting, rows: list[MeetingOccurrence], zoom_meeting: Meeting) -> OccurrenceDiff:
    """Adopt remote changes, within the open transaction, and return what is to be sent.

    Dates that have begun are left unchanged.
    """
    now = clock.now()
    upcoming = [
        occurrence
        for occurrence in zoom_meeting.occurrences
        if occurrence.status != "deleted" and occurrence.start_time and occurrence.start_time > now
    ]
    scheduled_rows = [row for row in rows if row.is_scheduled]
    pairs, unmatched = _match(scheduled_rows, upcoming)
    diff = OccurrenceDiff()
    for row, occurrence in pairs:
        _adopt_occurrence(row, occurrence, rows, diff)
        if row.state == OccurrenceState.CANCELLED:
            diff.surplus.append(occurrence)
        elif row.starts_at > now and (row.starts_at, row.minutes) != (row.zoom_starts_at, row.zoom_minutes):
            diff.moved.append((row, occurrence))
    matched_ids = {row.id for row, _ in pairs}
    for row in scheduled_rows:
        if row.id not in matched_ids and _zoom_start(row) > now:
            _handle_missing_occurrence(row, diff)
    pattern_dates = {clock.to_manila(start).date() for start in pattern_starts(meeting)}
    for occurrence in unmatched:
        assert occurrence.start_time is not None  # `upcoming` has only occurrences with a start
        if clock.to_manila(occurrence.start_time).date() in pattern_dates:
            diff.surplus.append(occurrence)  # a day without class, which Zoom cannot leave out itself
        else:
            _add_remote_occurrence(meeting, rows, occurrence, occurrence.start_time, diff)
    return diff


def _match(rows: list[MeetingOccurrence], unmatched: list[Occurrence]) -> tuple[list[Pair], list[Occurrence]]:
    """Pairs by Zoom's id, else by the start at Zoom, else by the day; and Zoom's unmatched occurrences.

    Ids are not enough: they change when somebody changes the whole series in Zoom.
    """
    pairs: list[Pair] = []
    for is_same in (_same_id, _same_start, _same_day):
        paired_ids = {row.id for row, _ in pairs}
        for row in rows:
            occurrence = (
                next((candidate for candidate in unmatched if is_same(row, candidate)), None)
                if row.id not in paired_ids
                else None
            )
            if occurrence is not None:
                pairs.append((row, occurrence))
                unmatched = [candidate for candidate in unmatched if candidate is not occurrence]
    return pairs, unmatched


def _same_id(row: MeetingOccurrence, occurrence: Occurrence) -> bool:
    return row.zoom_occurrence_id is not None and row.zoom_occurrence_id == occurrence.id


def _same_start(row: MeetingOccurrence, occurrence: Occurrence) -> bool:
    return _zoom_start(row) == occurrence.start_time


def _same_day(row: MeetingOccurrence, occurrence: Occurrence) -> bool:
    return (
        occurrence.start_time is not None
        and clock.to_manila(_zoom_start(row)).date() == clock.to_manila(occurrence.start_time).date()
    )


def _zoom_start(row: MeetingOccurrence) -> datetime:
    """The start at Zoom, as far as known."""
    return row.zoom_starts_at or row.starts_at


def _adopt_occurrence(
    row: MeetingOccurrence, occurrence: Occurrence, rows: list[MeetingOccurrence], diff: OccurrenceDiff
) -> None:
    """Store Zoom's id and time; a time changed only there is adopted."""
    start, minutes = occurrence.start_time, occurrence.minutes or row.zoom_minutes or row.minutes
    changed_there = (start, minutes) != (row.zoom_starts_at, row.zoom_minutes)
    changed_here = (row.starts_at, row.minutes) != (row.zoom_starts_at, row.zoom_minutes)
    is_free = all(other_row is row or other_row.starts_at != start for other_row in rows)
    if start and changed_there and not changed_here and is_free and row.state == OccurrenceState.SCHEDULED:
        row.starts_at, row.minutes = start, minutes
        row.local_date = clock.to_manila(start).date()
        diff.news = True
    row.zoom_occurrence_id, row.zoom_starts_at, row.zoom_minutes = occurrence.id, start, minutes


def _handle_missing_occurrence(row: MeetingOccurrence, diff: OccurrenceDiff) -> None:
    """Handle a row without an occurrence: somebody deleted it at Zoom, or Zoom never created it."""
    if row.state == OccurrenceState.SCHEDULED:
        if row.zoom_occurrence_id is None:
            diff.missing.append(row)
            return
        row.state, diff.news = OccurrenceState.CANCELLED, True
    row.zoom_occurrence_id = None


def _add_remote_occurrence(
    meeting: ZoomMeeting, rows: list[MeetingOccurrence], occurrence: Occurrence, start: datetime, diff: OccurrenceDiff
) -> None:
    """Add a row for a date that was added in Zoom itself."""
    if any(row.starts_at == start for row in rows):
        return
    row = MeetingOccurrence(
        id=uuid4(),
        meeting_id=meeting.id,
        starts_at=start,
        minutes=occurrence.minutes or meeting.minutes,
        local_date=clock.to_manila(start).date(),
        zoom_occurrence_id=occurrence.id,
        zoom_starts_at=start,
        zoom_minutes=occurrence.minutes or meeting.minutes,
        state=OccurrenceState.SCHEDULED,
        is_scheduled=True,
    )
    db.session.add(row)
    rows.append(row)
    diff.news = True
