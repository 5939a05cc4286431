"""Which state of a sheet may follow which. Whatever is not listed is a fault.

The state is computed from the evidence, so late evidence may take a sheet back; whether it is finalised is a column
of its own. The tests install a guard in the database that refuses any other change.
"""

from portal.attendance.codes import SheetState

_S = SheetState

SHEET_TRANSITIONS: dict[SheetState, frozenset[SheetState]] = {
    _S.NOT_STARTED: frozenset({_S.LIVE, _S.PROVISIONAL, _S.RECONCILED}),
    _S.LIVE: frozenset({_S.PROVISIONAL, _S.RECONCILED, _S.NOT_STARTED}),
    # over, Zoom's report is awaited: it comes, or is given up
    _S.PROVISIONAL: frozenset({_S.RECONCILED, _S.UNREPORTED, _S.LIVE, _S.NOT_STARTED}),
    _S.RECONCILED: frozenset({_S.PROVISIONAL, _S.LIVE, _S.NOT_STARTED}),
    _S.UNREPORTED: frozenset({_S.RECONCILED, _S.PROVISIONAL, _S.LIVE, _S.NOT_STARTED}),
}
