"""Webhook events about registrants.

Events arrive in any order, twice, or not at all, so they are only a trigger: where one contradicts the row, the
registrant is looked up at Zoom. Echoes of the portal's own changes match the row and change nothing.
"""

from sqlalchemy import or_, select, update

from portal.core import clock
from portal.core.db import execute_rowcount
from portal.core.worker_signals import Topic, notify_worker
from portal.meetings.models import ZoomMeeting
from portal.registration.codes import RegistrantState
from portal.registration.models import MeetingRegistrant
from portal.zoom.webhooks.events import WebhookEvent

# The row states that an event contradicts.
_CONTRADICTED_STATES = {
    "meeting.registration_approved": (RegistrantState.PENDING_APPROVAL, RegistrantState.DENIED),
    "meeting.registration_cancelled": (RegistrantState.REGISTERED, RegistrantState.PENDING_APPROVAL),
    "meeting.registration_denied": (RegistrantState.REGISTERED, RegistrantState.PENDING_APPROVAL),
}


def apply_registration_event(event: WebhookEvent) -> bool:
    """Queue a lookup of the registrant if the event contradicts its row, in the open transaction. True if queued."""
    states = _CONTRADICTED_STATES.get(event.event)
    if states is None or event.registrant is None or event.registrant.id is None or event.meeting_id is None:
        return False
    now = clock.now()
    changed = execute_rowcount(
        update(MeetingRegistrant)
        .where(
            MeetingRegistrant.meeting_id.in_(select(ZoomMeeting.id).where(ZoomMeeting.zoom_id == event.meeting_id)),
            MeetingRegistrant.zoom_registrant_id == event.registrant.id,
            MeetingRegistrant.is_expected,
            MeetingRegistrant.state.in_(states),
            or_(MeetingRegistrant.leased_until.is_(None), MeetingRegistrant.leased_until < now),
        )
        .values(outcome_unknown=True, next_attempt_at=now, updated_at=now)
        .execution_options(synchronize_session=False)
    )
    if not changed:
        return False
    notify_worker(Topic.REGISTRATION)
    return True
