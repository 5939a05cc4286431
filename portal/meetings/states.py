"""Which state of a meeting, and of a class date, may follow which. Whatever is not listed is a fault.

A one-off meeting shows the state of its only date once Zoom has told of it; a recurring one stays `scheduled`.
The tests install a guard in the database that refuses any other change; `docs/architecture.md` draws both tables.
"""

from portal.meetings.codes import MeetingState, OccurrenceState

_M, _O = MeetingState, OccurrenceState

MEETING_TRANSITIONS: dict[MeetingState, frozenset[MeetingState]] = {
    # saved here, not yet at Zoom: made there, given up, or cancelled before
    _M.PENDING_ZOOM: frozenset({_M.SCHEDULED, _M.FAILED, _M.CANCELLED}),
    _M.SCHEDULED: frozenset({_M.STARTED, _M.ENDED, _M.CANCELLED, _M.DELETED, _M.FAILED}),
    _M.STARTED: frozenset({_M.ENDED, _M.SCHEDULED, _M.CANCELLED, _M.DELETED}),
    _M.ENDED: frozenset({_M.STARTED, _M.SCHEDULED, _M.CANCELLED, _M.DELETED}),
    _M.CANCELLED: frozenset(),
    # deleted in Zoom itself: brought back there, made again here, or cancelled
    _M.DELETED: frozenset({_M.SCHEDULED, _M.PENDING_ZOOM, _M.CANCELLED}),
    # the worker gave up: a person tries again, or cancels
    _M.FAILED: frozenset({_M.PENDING_ZOOM, _M.CANCELLED}),
}

OCCURRENCE_TRANSITIONS: dict[OccurrenceState, frozenset[OccurrenceState]] = {
    # it follows from its instances alone, so a late event may take it back
    _O.SCHEDULED: frozenset({_O.STARTED, _O.ENDED, _O.CANCELLED}),
    _O.STARTED: frozenset({_O.ENDED, _O.SCHEDULED, _O.CANCELLED}),
    _O.ENDED: frozenset({_O.STARTED, _O.SCHEDULED, _O.CANCELLED}),
    _O.CANCELLED: frozenset(),
}
