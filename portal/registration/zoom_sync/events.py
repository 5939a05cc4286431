"""What Zoom's events say about registrants.

Events come in any order, twice, or not at all, so they are not believed word by word: where one says
something else than the row, the row is looked up at Zoom. Our own doings echo, and change nothing.
"""

from sqlalchemy import or_, select, update

from portal.core import clock
from portal.core.db import execute_rowcount
from portal.core.worker_signals import notify_worker
from portal.meetings.models import ZoomMeeting
from portal.registration.codes import RegistrantState
from portal.registration.models import MeetingRegistrant
from portal.zoom.webhooks.events import WebhookEvent

# What the row would say if the event were news.
_NEWS = {
    "meeting.registration_approved": (RegistrantState.PENDING_APPROVAL, RegistrantState.DENIED),
    "meeting.registration_cancelled": (RegistrantState.REGISTERED, RegistrantState.PENDING_APPROVAL),
    "meeting.registration_denied": (RegistrantState.REGISTERED, RegistrantState.PENDING_APPROVAL),
}


def apply_registration_event(event: WebhookEvent) -> bool:
    """Within the open transaction: have the registrant looked up where the event is news. True if it was."""
    states = _NEWS.get(event.event)
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
    notify_worker("registrants")
    return True
