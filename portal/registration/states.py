"""State machine of a registrant: the allowed transitions. Any other transition is a fault.

`is_expected` is the desired state (the person belongs to the meeting), `state` the one at Zoom; the engine brings
the second in line with the first. The tests install a database trigger that refuses any other change.
"""

from portal.registration.codes import RegistrantState

_S = RegistrantState

REGISTRANT_TRANSITIONS: dict[RegistrantState, frozenset[RegistrantState]] = {
    _S.QUEUED: frozenset({_S.REGISTERED, _S.PENDING_APPROVAL, _S.FAILED, _S.DENIED, _S.CANCELLED}),
    # registered at Zoom, and waiting for the host's approval there
    _S.PENDING_APPROVAL: frozenset({_S.REGISTERED, _S.DENIED, _S.CANCELLED, _S.FAILED, _S.QUEUED}),
    # cancelled here or in Zoom; queued again after a change of address or the recreation of the meeting
    _S.REGISTERED: frozenset({_S.CANCELLED, _S.DENIED, _S.QUEUED, _S.FAILED, _S.PENDING_APPROVAL}),
    _S.CANCELLED: frozenset({_S.QUEUED, _S.REGISTERED, _S.FAILED}),
    _S.DENIED: frozenset({_S.QUEUED, _S.CANCELLED, _S.REGISTERED, _S.FAILED, _S.PENDING_APPROVAL}),
    _S.FAILED: frozenset({_S.QUEUED, _S.CANCELLED, _S.REGISTERED, _S.DENIED, _S.PENDING_APPROVAL}),
}
