"""State machine of a sheet: the allowed transitions. Any other transition is a fault.

The state is derived from the evidence, so late evidence may move it backwards; finalisation is a separate column.
The tests install a database trigger that refuses any other change.
"""

from portal.attendance.codes import SheetState

_S = SheetState

SHEET_TRANSITIONS: dict[SheetState, frozenset[SheetState]] = {
    _S.NOT_STARTED: frozenset({_S.LIVE, _S.PROVISIONAL, _S.RECONCILED}),
    _S.LIVE: frozenset({_S.PROVISIONAL, _S.RECONCILED, _S.NOT_STARTED}),
    # over, waiting for Zoom's report: received, or given up
    _S.PROVISIONAL: frozenset({_S.RECONCILED, _S.UNREPORTED, _S.LIVE, _S.NOT_STARTED}),
    _S.RECONCILED: frozenset({_S.PROVISIONAL, _S.LIVE, _S.NOT_STARTED}),
    _S.UNREPORTED: frozenset({_S.RECONCILED, _S.LIVE, _S.NOT_STARTED}),
}
