"""Changes made in Zoom itself: its events about meetings come back into the portal.

A deletion is what the event says. For a change the meeting is read from Zoom by the worker, because events
come late and in any order, our own changes among them, and the reading is always the latest.
"""

from sqlalchemy import select

from portal.core import clock
from portal.core.db import db
from portal.core.worker_signals import notify_worker
from portal.meetings.codes import MeetingEvent, MeetingKind, MeetingState, OccurrenceState, PendingAction
from portal.meetings.models import MeetingOccurrence, ZoomMeeting
from portal.meetings.service import add_meeting_history
from portal.meetings.zoom_sync.desired_state import is_remote_change
from portal.zoom.webhooks.events import WebhookEvent

UPDATED = "meeting.updated"
RECOVERED = "meeting.recovered"
DELETED = ("meeting.deleted", "meeting.permanently_deleted")


def apply_meeting_event(event: WebhookEvent) -> bool:
    """Apply one event within the transaction that is open.

    True where it was such an event of a meeting of ours, whether or not it said anything new.
    """
    if event.event not in (UPDATED, RECOVERED, *DELETED) or event.meeting_id is None:
        return False
    meeting = db.session.scalar(select(ZoomMeeting).where(ZoomMeeting.zoom_id == event.meeting_id))
    if meeting is None:
        return False
    if event.event in DELETED:
        _deleted(meeting, event)
    elif event.event == RECOVERED:
        _recovered(meeting)
    elif is_remote_change(meeting, event.changes):
        _look(meeting)
    return True


def _deleted(meeting: ZoomMeeting, event: WebhookEvent) -> None:
    if meeting.kind == MeetingKind.RECURRING and event.occurrence_ids and event.scope != "all":
        _dates_deleted(meeting, event.occurrence_ids)
    elif meeting.kind == MeetingKind.RECURRING and event.scope == "single":
        _look(meeting)  # a single date, but which one it does not say
    elif meeting.state == MeetingState.CANCELLED:
        meeting.pending_action = None  # by us, or by somebody who was quicker
    elif meeting.state in (MeetingState.SCHEDULED, MeetingState.STARTED):
        meeting.state, meeting.pending_action = MeetingState.DELETED, None
        add_meeting_history(meeting.id, MeetingEvent.FOUND_DELETED_AT_ZOOM)


def _dates_deleted(meeting: ZoomMeeting, ids: tuple[str, ...]) -> None:
    rows = db.session.scalars(
        select(MeetingOccurrence).where(
            MeetingOccurrence.meeting_id == meeting.id,
            MeetingOccurrence.zoom_occurrence_id.in_(ids),
            MeetingOccurrence.state == OccurrenceState.SCHEDULED,
            MeetingOccurrence.starts_at > clock.now(),
        )
    )
    for row in rows:
        row.state = OccurrenceState.CANCELLED
        add_meeting_history(meeting.id, MeetingEvent.OCCURRENCE_CANCELLED_AT_ZOOM, occurrence_date=row.local_date)


def _recovered(meeting: ZoomMeeting) -> None:
    if meeting.state == MeetingState.DELETED:
        meeting.state = MeetingState.SCHEDULED
        add_meeting_history(meeting.id, MeetingEvent.RECOVERED_AT_ZOOM)
        _look(meeting)


def _look(meeting: ZoomMeeting) -> None:
    """Have the worker read the meeting from Zoom, unless it is to be sent there anyway."""
    if meeting.pending_action is None and meeting.state in (MeetingState.SCHEDULED, MeetingState.STARTED):
        meeting.pending_action, meeting.next_attempt_at = PendingAction.CHECK, None
        notify_worker("meetings")
