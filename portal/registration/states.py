"""Which state of a registrant may follow which. Whatever is not listed is a fault.

`is_expected` says whether the person belongs to the meeting, `state` how far Zoom is; the engine brings the second
to the first. The tests install a guard in the database that refuses any other change.
"""

from portal.registration.codes import RegistrantState

_S = RegistrantState

REGISTRANT_TRANSITIONS: dict[RegistrantState, frozenset[RegistrantState]] = {
    _S.QUEUED: frozenset({_S.REGISTERED, _S.PENDING_APPROVAL, _S.FAILED, _S.DENIED, _S.CANCELLED}),
    # Zoom has the person, and waits for the host's approval
    _S.PENDING_APPROVAL: frozenset({_S.REGISTERED, _S.DENIED, _S.CANCELLED, _S.FAILED, _S.QUEUED}),
    # taken away here or in Zoom; queued anew after another address, or when the meeting was made again
    _S.REGISTERED: frozenset({_S.CANCELLED, _S.DENIED, _S.QUEUED, _S.FAILED, _S.PENDING_APPROVAL}),
    _S.CANCELLED: frozenset({_S.QUEUED, _S.REGISTERED, _S.FAILED}),
    _S.DENIED: frozenset({_S.QUEUED, _S.CANCELLED, _S.REGISTERED, _S.FAILED, _S.PENDING_APPROVAL}),
    _S.FAILED: frozenset({_S.QUEUED, _S.CANCELLED, _S.REGISTERED, _S.DENIED, _S.PENDING_APPROVAL}),
}
