"""Webhook events about meetings: applies to the portal what was changed in Zoom itself.

A deletion is applied from the event. For a change the worker reads the meeting from Zoom, because events arrive
late and in any order, the portal's own changes among them, and a read is always current.
"""

from sqlalchemy import select

from portal.core import clock
from portal.core.db import db
from portal.core.worker_signals import Topic, notify_worker
from portal.meetings.codes import MeetingEvent, MeetingKind, MeetingState, OccurrenceState, PendingAction
from portal.meetings.models import MeetingOccurrence, ZoomMeeting
from portal.meetings.service import add_meeting_history
from portal.meetings.zoom_sync.desired_state import is_remote_change
from portal.zoom.webhooks.events import WebhookEvent

UPDATED = "meeting.updated"
RECOVERED = "meeting.recovered"
DELETED = ("meeting.deleted", "meeting.permanently_deleted")


def apply_meeting_event(event: WebhookEvent) -> bool:
    """Apply one event within the open transaction.

    True if it was such an event of a known meeting, whether or not it changed anything.
    """
    if event.event not in (UPDATED, RECOVERED, *DELETED) or event.meeting_id is None:
        return False
    meeting = db.session.scalar(select(ZoomMeeting).where(ZoomMeeting.zoom_id == event.meeting_id))
    if meeting is None:
        return False
    if event.event in DELETED:
        _apply_deletion(meeting, event)
    elif event.event == RECOVERED:
        _apply_recovery(meeting)
    elif is_remote_change(meeting, event.changes):
        _request_check(meeting)
    return True


def _apply_deletion(meeting: ZoomMeeting, event: WebhookEvent) -> None:
    if meeting.kind == MeetingKind.RECURRING and event.occurrence_ids and event.scope != "all":
        _cancel_deleted_occurrences(meeting, event.occurrence_ids)
    elif meeting.kind == MeetingKind.RECURRING and event.scope == "single":
        _request_check(meeting)  # a single date was deleted, but the event does not say which
    elif meeting.state == MeetingState.CANCELLED:
        meeting.pending_action = None  # deleted by the portal, or by somebody else first
    elif meeting.state in (MeetingState.SCHEDULED, MeetingState.STARTED):
        meeting.state, meeting.pending_action = MeetingState.DELETED, None
        add_meeting_history(meeting.id, MeetingEvent.FOUND_DELETED_AT_ZOOM)


def _cancel_deleted_occurrences(meeting: ZoomMeeting, ids: tuple[str, ...]) -> None:
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


def _apply_recovery(meeting: ZoomMeeting) -> None:
    if meeting.state == MeetingState.DELETED:
        meeting.state = MeetingState.SCHEDULED
        add_meeting_history(meeting.id, MeetingEvent.RECOVERED_AT_ZOOM)
        _request_check(meeting)


def _request_check(meeting: ZoomMeeting) -> None:
    """Queue a read of the meeting from Zoom, unless another action is pending anyway."""
    if meeting.pending_action is None and meeting.state in (MeetingState.SCHEDULED, MeetingState.STARTED):
        meeting.pending_action, meeting.next_attempt_at = PendingAction.CHECK, None
        notify_worker(Topic.MEETINGS)
