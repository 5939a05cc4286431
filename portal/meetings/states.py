"""State machines of a meeting and of a class date: the allowed transitions. Any other transition is a fault.

A one-off meeting takes the state of its only date from Zoom's events; a recurring one stays `scheduled`.
The tests install a database trigger that refuses any other change; `docs/architecture.md` draws both machines.
"""

from portal.meetings.codes import MeetingState, OccurrenceState

_M, _O = MeetingState, OccurrenceState

MEETING_TRANSITIONS: dict[MeetingState, frozenset[MeetingState]] = {
    # saved, not yet created at Zoom: created there, failed, or cancelled before that
    _M.PENDING_ZOOM: frozenset({_M.SCHEDULED, _M.FAILED, _M.CANCELLED}),
    _M.SCHEDULED: frozenset({_M.STARTED, _M.ENDED, _M.CANCELLED, _M.DELETED}),
    _M.STARTED: frozenset({_M.ENDED, _M.SCHEDULED, _M.CANCELLED, _M.DELETED}),
    _M.ENDED: frozenset({_M.STARTED, _M.SCHEDULED, _M.DELETED}),
    _M.CANCELLED: frozenset(),
    # deleted in Zoom itself: recovered there, or recreated here
    _M.DELETED: frozenset({_M.SCHEDULED, _M.PENDING_ZOOM}),
    # creation failed for good: a person retries or cancels
    _M.FAILED: frozenset({_M.PENDING_ZOOM, _M.CANCELLED}),
}

OCCURRENCE_TRANSITIONS: dict[OccurrenceState, frozenset[OccurrenceState]] = {
    # derived from its instances alone, so a late event may move it backwards
    _O.SCHEDULED: frozenset({_O.STARTED, _O.ENDED, _O.CANCELLED}),
    _O.STARTED: frozenset({_O.ENDED, _O.SCHEDULED}),
    _O.ENDED: frozenset({_O.STARTED, _O.SCHEDULED}),
    _O.CANCELLED: frozenset(),
}
