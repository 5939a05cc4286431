"""Synchronisation of meetings to Zoom: the only module that creates, changes or deletes meetings there.

Before a create request the row is marked `outcome_unknown`. If no answer arrives, the next attempt first searches
the host's meetings for the row's marker, so exactly one meeting exists at Zoom. Updates and deletions are
idempotent; after a lost answer the meeting is read before it is updated again, because Zoom counts updates
towards its daily limit.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import or_, select

from portal.core import clock
from portal.core.db import db, write_transaction
from portal.core.db.leases import acquire_leases, next_attempt_at
from portal.core.worker_signals import Topic, notify_worker
from portal.meetings.codes import MeetingError, MeetingEvent, MeetingKind, MeetingState, OccurrenceState, PendingAction
from portal.meetings.models import MeetingOccurrence, ZoomMeeting
from portal.meetings.scheduling import host_assignment
from portal.meetings.scheduling.recurrence import TimeSlot
from portal.meetings.scheduling.schedules import update_meeting_recurrence
from portal.meetings.service import add_meeting_history
from portal.meetings.zoom_sync import desired_state
from portal.meetings.zoom_sync.occurrences import OccurrenceDiff, diff_zoom_occurrences
from portal.zoom.client import ZoomClient
from portal.zoom.errors import (
    CircuitOpen,
    ZoomBadCredentials,
    ZoomError,
    ZoomNotAuthorised,
    ZoomNotConfigured,
    ZoomRateLimited,
    ZoomRefused,
    ZoomUnavailable,
)
from portal.zoom.models import Meeting, diff_meeting_drafts
from portal.zoom_account import host_quota, hosts, write_block

log = logging.getLogger("portal.meetings")
BATCH_SIZE = 3
CIRCUIT_RETRY_AFTER = timedelta(seconds=30)  # retry interval while Zoom is down
MEETING_IN_PROGRESS = 3002  # Zoom's error code: a meeting in progress cannot be deleted


class MeetingNotCreatable(Exception):
    """The meeting cannot be created, and retrying does not help. `code` is a MeetingError."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def lease_due_meetings() -> list[UUID]:
    """Lease meetings with a pending action that is due."""
    if write_block.is_writing_blocked():
        return []
    now = clock.now()
    return acquire_leases(
        ZoomMeeting,
        ZoomMeeting.pending_action.is_not(None)
        & or_(ZoomMeeting.next_attempt_at.is_(None), ZoomMeeting.next_attempt_at <= now),
        limit=BATCH_SIZE,
        order=ZoomMeeting.starts_at,
    )


def sync_meeting_with_zoom(meeting_id: UUID, zoom: ZoomClient) -> None:
    """Carry out the leased meeting's pending action, and store the result."""
    meeting = db.session.get(ZoomMeeting, meeting_id, populate_existing=True)
    if meeting is None:
        return
    try:
        if not write_block.is_writing_blocked():  # the previous meeting may have set the block
            _STEPS[meeting.pending_action](meeting, zoom)
            write_block.clear_write_block()
    except MeetingNotCreatable as problem:
        _mark_failed(meeting, problem.code)
    except ZoomError as error:
        log.warning("meeting %s: %s: %s", meeting.id, meeting.pending_action, error)
        _record_error(meeting, error)
    finally:
        with write_transaction():
            meeting.leased_until = None


def _do_nothing(meeting: ZoomMeeting, zoom: ZoomClient) -> None:
    """No-op: the pending action was cleared before the lease was taken."""


def _create(meeting: ZoomMeeting, zoom: ZoomClient) -> None:
    zoom_meeting = zoom.find_by_marker(meeting.host_email, meeting.marker) if meeting.outcome_unknown else None
    if zoom_meeting is not None:
        values = desired_state.actual_meeting_values(zoom_meeting, meeting.kind)
    else:
        _drop_past_dates(meeting)
        _assign_host(meeting, zoom)
        draft, values = desired_state.desired_meeting_draft(meeting), desired_state.desired_meeting_values(meeting)
        with _counted_write(meeting):
            zoom_meeting = zoom.create_meeting(meeting.host_email, draft)
    with write_transaction():
        _lock_meeting(meeting)
        meeting.zoom_id, meeting.created_at_zoom = zoom_meeting.id, clock.now()
        meeting.last_sent = desired_state.serialise_meeting_values(values)
        add_meeting_history(meeting.id, MeetingEvent.CREATED_AT_ZOOM)
        if meeting.state == MeetingState.PENDING_ZOOM:
            meeting.state = MeetingState.SCHEDULED
        _complete_action(meeting, _apply_zoom_state(meeting, zoom_meeting, values))
    notify_worker(Topic.ROSTERS)
    notify_worker(Topic.DELIVERIES)  # events of this meeting may have arrived before its id was stored


def _drop_past_dates(meeting: ZoomMeeting) -> None:
    """Drop dates that passed during an outage of Zoom. Raises MeetingNotCreatable if none is left."""
    if meeting.kind == MeetingKind.RECURRING and meeting.starts_at <= clock.now():
        with write_transaction():
            _lock_meeting(meeting)
            update_meeting_recurrence(meeting, _load_occurrences(meeting))
    if desired_state.last_end_of(meeting) <= clock.now():
        raise MeetingNotCreatable(MeetingError.TOO_LATE)


def _assign_host(meeting: ZoomMeeting, zoom: ZoomClient) -> None:
    """Assign the host: the row's own, else a free shared host. Raises MeetingNotCreatable.

    Without a licence Zoom has no registration, so the meeting runs in open mode.
    """
    host = hosts.fetch_zoom_host(zoom, meeting.host_email)
    if host.exists_at_zoom is False:
        other_hosts = [
            hosts.fetch_zoom_host(zoom, email) for email in hosts.shared_host_emails() if email != meeting.host_email
        ]
        with write_transaction():
            _lock_meeting(meeting)
            slots = [
                TimeSlot(row.starts_at, row.minutes)
                for row in _load_occurrences(meeting)
                if row.state == OccurrenceState.SCHEDULED
            ]
            free_host = host_assignment.find_free_host(
                meeting, [other_host for other_host in other_hosts if other_host.exists_at_zoom is not False], slots
            )
            if free_host is None:
                raise MeetingNotCreatable(MeetingError.NO_FREE_HOST if other_hosts else MeetingError.HOST_UNKNOWN)
            add_meeting_history(meeting.id, MeetingEvent.HOST_CHANGED, host_email=free_host.email)
            meeting.host_email, host = free_host.email, free_host
    if (host.licensed is False) != meeting.open_mode and host.licensed is not None:
        with write_transaction():
            _set_open_mode(meeting, not host.licensed)


def _set_open_mode(meeting: ZoomMeeting, on: bool) -> None:
    if on and not meeting.has_registration:
        return  # a person chose it, regardless of licences
    meeting.open_mode, meeting.approval_type = on, 2 if on else 1
    if on:
        add_meeting_history(meeting.id, MeetingEvent.OPEN_MODE)


def _update(meeting: ZoomMeeting, zoom: ZoomClient) -> None:
    """Send the difference to the values last sent, then read the meeting back."""
    if meeting.zoom_id is None:
        raise ZoomUnavailable("an update is wanted for a meeting without an id", maybe_done=False)
    zoom_meeting = _read_before_update(meeting, zoom)
    draft, values = desired_state.desired_meeting_draft(meeting), desired_state.desired_meeting_values(meeting)
    last_sent = desired_state.last_sent_values(meeting)
    changes = diff_meeting_drafts(desired_state.last_sent_draft(meeting), draft)
    if changes:
        with _counted_write(meeting):
            zoom.update_meeting(meeting.zoom_id, changes)
        with write_transaction():
            _lock_meeting(meeting)
            meeting.last_sent = desired_state.serialise_meeting_values(values)
            add_meeting_history(meeting.id, MeetingEvent.CHANGED_AT_ZOOM)
    dates_sent = (
        zoom_meeting is not None
        and meeting.kind == MeetingKind.RECURRING
        and _send_occurrence_changes(meeting, zoom_meeting, zoom)
    )
    if zoom_meeting is None or changes or dates_sent:
        zoom_meeting = zoom.get_meeting(meeting.zoom_id)
    sent_values = {name: value for name, value in values.items() if value != last_sent.get(name)}
    with write_transaction():
        _lock_meeting(meeting)
        _complete_action(meeting, _apply_zoom_state(meeting, zoom_meeting, sent_values))


def _read_before_update(meeting: ZoomMeeting, zoom: ZoomClient) -> Meeting | None:
    """Read the meeting first where the request depends on it: single dates, a lost answer, a remote change."""
    is_state_known = meeting.last_sent is not None and not meeting.outcome_unknown
    if is_state_known and meeting.kind != MeetingKind.RECURRING and meeting.pending_action != PendingAction.CHECK:
        return None
    zoom_meeting = zoom.get_meeting(meeting.zoom_id or "")
    with write_transaction():
        _lock_meeting(meeting)
        if not is_state_known:
            meeting.last_sent = desired_state.serialise_meeting_values(
                desired_state.actual_meeting_values(zoom_meeting, meeting.kind)
            )
        _apply_zoom_state(meeting, zoom_meeting)
    return zoom_meeting


def _send_occurrence_changes(meeting: ZoomMeeting, zoom_meeting: Meeting, zoom: ZoomClient) -> bool:
    """Delete and move single dates at Zoom; True if anything was sent."""
    zoom_id = meeting.zoom_id or ""
    with write_transaction():
        diff = diff_zoom_occurrences(meeting, _load_occurrences(meeting), zoom_meeting)
    for zoom_occurrence in diff.surplus:
        zoom.delete_meeting(zoom_id, occurrence_id=zoom_occurrence.id)
    draft = desired_state.desired_meeting_draft(meeting)
    for row, zoom_occurrence in diff.moved:
        occurrence_draft = replace(draft, starts_at=row.starts_at, minutes=row.minutes)
        starts_at, minutes = row.starts_at, row.minutes
        with _counted_write(meeting):
            zoom.update_meeting(zoom_id, occurrence_draft, occurrence_id=zoom_occurrence.id)
        with write_transaction():
            row.zoom_starts_at, row.zoom_minutes = starts_at, minutes
    if diff.surplus or diff.moved:
        with write_transaction():
            add_meeting_history(
                meeting.id, MeetingEvent.OCCURRENCES_CHANGED_AT_ZOOM, number=len(diff.surplus) + len(diff.moved)
            )
    return not diff.in_step


def _apply_zoom_state(
    meeting: ZoomMeeting, zoom_meeting: Meeting, sent: desired_state.Values | None = None
) -> OccurrenceDiff:
    """Compare Zoom's values with those last sent, and adopt remote changes; within the open transaction.

    `sent` are the values just sent: where Zoom has others, it has overridden them. Returns what is still to be sent
    about single dates.
    """
    values = desired_state.actual_meeting_values(zoom_meeting, meeting.kind)
    still_overridden = {
        name: value for name, value in (meeting.overridden_settings or {}).items() if name not in (sent or {})
    }
    meeting.overridden_settings = (
        still_overridden
        | desired_state.list_overridden_values(desired_state.last_sent_values(meeting), values, sent or {})
    ) or None
    remote_changes = desired_state.list_remote_changes(meeting, values)
    _adopt_remote_changes(meeting, remote_changes)
    if zoom_meeting.join_url and zoom_meeting.join_url != meeting.join_url:
        meeting.join_url = zoom_meeting.join_url
    if zoom_meeting.password and zoom_meeting.password != meeting.passcode:
        meeting.passcode = zoom_meeting.password
    occurrence_diff = (
        diff_zoom_occurrences(meeting, _load_occurrences(meeting), zoom_meeting)
        if meeting.kind == MeetingKind.RECURRING
        else OccurrenceDiff()
    )
    if remote_changes or occurrence_diff.news:
        add_meeting_history(meeting.id, MeetingEvent.MOVED_AT_ZOOM)
    return occurrence_diff


def _adopt_remote_changes(meeting: ZoomMeeting, remote_changes: desired_state.Values) -> None:
    for name, value in remote_changes.items():
        setattr(meeting, name, value)
    meeting.last_sent = (meeting.last_sent or {}) | desired_state.serialise_meeting_values(remote_changes)
    meeting.overridden_settings = {
        k: v for k, v in (meeting.overridden_settings or {}).items() if k not in remote_changes
    } or None
    if "starts_at" in remote_changes or "minutes" in remote_changes:
        row = next((row for row in _load_occurrences(meeting) if row.is_scheduled), None)
        if row is not None:
            row.starts_at, row.minutes = meeting.starts_at, meeting.minutes
            row.local_date = clock.to_manila(meeting.starts_at).date()


def _complete_action(meeting: ZoomMeeting, occurrence_diff: OccurrenceDiff) -> None:
    """Clear or keep the pending action: what was changed or cancelled during the request is still to be sent."""
    meeting.outcome_unknown = False
    _clear_error(meeting)
    if occurrence_diff.missing:
        meeting.error_code = MeetingError.OCCURRENCES_MISSING
    if meeting.state == MeetingState.CANCELLED:
        meeting.pending_action = PendingAction.DELETE
    elif (
        diff_meeting_drafts(desired_state.last_sent_draft(meeting), desired_state.desired_meeting_draft(meeting))
        or not occurrence_diff.in_step
    ):
        meeting.pending_action = PendingAction.UPDATE
    else:
        meeting.pending_action = None


def _delete(meeting: ZoomMeeting, zoom: ZoomClient) -> None:
    if meeting.zoom_id is None:
        zoom_meeting = zoom.find_by_marker(meeting.host_email, meeting.marker)
        if zoom_meeting:
            with write_transaction():
                meeting.zoom_id = zoom_meeting.id
    if meeting.zoom_id:
        zoom.delete_meeting(meeting.zoom_id)
    with write_transaction():
        _lock_meeting(meeting)
        meeting.pending_action, meeting.outcome_unknown = None, False
        _clear_error(meeting)
        add_meeting_history(meeting.id, MeetingEvent.DELETED_AT_ZOOM)


_STEPS: dict[str | None, Callable[[ZoomMeeting, ZoomClient], None]] = {
    "create": _create,
    "update": _update,
    "check": _update,
    "delete": _delete,
    None: _do_nothing,
}


@contextmanager
def _counted_write(meeting: ZoomMeeting) -> Iterator[None]:
    """Wrap one create or update: before it is sent, count it towards the host's quota and mark its outcome unknown.

    Raises ZoomRateLimited if the host's quota of the day is used up.
    """
    with write_transaction():
        if not host_quota.consume_host_write(meeting.host_email):
            raise ZoomRateLimited(
                "100 writes of this host today", until=host_quota.quota_resets_at(), daily=True, per="host-day"
            )
        meeting.outcome_unknown = True
    try:
        yield
    except ZoomError as error:
        if not (isinstance(error, ZoomUnavailable) and error.maybe_done):
            with write_transaction():
                meeting.outcome_unknown = False
            if not isinstance(error, ZoomRefused):
                host_quota.refund_host_write(meeting.host_email)
        raise


def _lock_meeting(meeting: ZoomMeeting) -> None:
    db.session.refresh(meeting, with_for_update=True)


def _load_occurrences(meeting: ZoomMeeting) -> list[MeetingOccurrence]:
    return list(
        db.session.scalars(
            select(MeetingOccurrence)
            .where(MeetingOccurrence.meeting_id == meeting.id)
            .order_by(MeetingOccurrence.starts_at)
            .execution_options(populate_existing=True)
        )
    )


def _clear_error(meeting: ZoomMeeting) -> None:
    meeting.attempts, meeting.next_attempt_at, meeting.error_code, meeting.error_detail = 0, None, None, None


def _mark_failed(meeting: ZoomMeeting, code: str) -> None:
    with write_transaction():
        _lock_meeting(meeting)
        meeting.pending_action = None
        if meeting.state == MeetingState.CANCELLED:
            return  # cancelled during the attempt, and never created at Zoom
        meeting.state = MeetingState.FAILED
        meeting.error_code, meeting.error_detail = code, None
        add_meeting_history(meeting.id, MeetingEvent.ERROR, error_code=code)


def _record_error(meeting: ZoomMeeting, error: ZoomError) -> None:
    """Store the error and the time of the next attempt. What Zoom refuses for good waits for a person."""
    retry_at = _fixed_retry_time(meeting, error)
    with write_transaction():
        _lock_meeting(meeting)
        code, is_new_error = error_code_of(error), meeting.error_code != error_code_of(error)
        if not isinstance(error, CircuitOpen):
            meeting.attempts += 1
        meeting.error_code, meeting.error_detail = code, _error_detail(error)
        meeting.next_attempt_at = retry_at or next_attempt_at(meeting.attempts)
        if isinstance(error, ZoomRefused):
            _handle_refusal(meeting, error)
        if is_new_error:
            add_meeting_history(meeting.id, MeetingEvent.ERROR, error_code=meeting.error_code)


def _fixed_retry_time(meeting: ZoomMeeting, error: ZoomError) -> datetime | None:
    """The next attempt, where it does not depend on the number of attempts."""
    if write_block.write_block_reason(error):
        return write_block.set_write_block(error)
    if isinstance(error, CircuitOpen):
        return clock.now() + CIRCUIT_RETRY_AFTER
    if isinstance(error, ZoomRateLimited):
        if error.per == "host-day":
            host_quota.mark_quota_exhausted(meeting.host_email)
        return error.until
    return None


def _error_detail(error: ZoomError) -> str:
    """What the page adds to the message: the missing scopes by name. At most 400 characters."""
    if isinstance(error, ZoomNotAuthorised) and error.missing_scopes:
        return ", ".join(error.missing_scopes)[:400]
    return str(error)[:400]


def _handle_refusal(meeting: ZoomMeeting, error: ZoomRefused) -> None:
    if meeting.pending_action == PendingAction.CREATE:
        _handle_create_refusal(meeting, error)
    elif error.is_deleted and meeting.pending_action in (PendingAction.UPDATE, PendingAction.CHECK):
        meeting.state, meeting.pending_action = MeetingState.DELETED, None
        add_meeting_history(meeting.id, MeetingEvent.FOUND_DELETED_AT_ZOOM)
    elif meeting.pending_action == PendingAction.DELETE and error.code == MEETING_IN_PROGRESS:
        return  # the class is in progress: it is deleted when it is over
    else:
        meeting.pending_action = None


def _handle_create_refusal(meeting: ZoomMeeting, error: ZoomRefused) -> None:
    """Fall back once: a host who cannot have registration runs the class in open mode; one who cannot host at all is
    replaced by a shared host."""
    if error.is_host_unlicensed and error.code != 3161 and meeting.has_registration:
        hosts.store_zoom_host(hosts.CachedHost(meeting.host_email, exists_at_zoom=True, licensed=False))
        _set_open_mode(meeting, True)
        meeting.next_attempt_at = None
    elif (error.is_host_unknown or error.code == 3161) and [
        email for email in hosts.shared_host_emails() if email != meeting.host_email
    ]:
        hosts.store_zoom_host(hosts.CachedHost(meeting.host_email, exists_at_zoom=False))
        meeting.next_attempt_at = None
    else:
        meeting.state, meeting.pending_action = MeetingState.FAILED, None


_REFUSAL_CODES = {
    "is_deleted": MeetingError.DELETED_AT_ZOOM,
    "is_host_unknown": MeetingError.HOST_UNKNOWN,
    "is_host_unlicensed": MeetingError.HOST_UNLICENSED,
    "is_registration_off": MeetingError.REGISTRATION_OFF,
    "is_full": "full",
    "is_over": "over",
}


def error_code_of(error: ZoomError) -> str:
    """The MeetingError of an exception; see `messages.meeting_error_message`."""
    if isinstance(error, ZoomNotConfigured):
        return MeetingError.NOT_CONFIGURED
    if isinstance(error, ZoomBadCredentials):
        return MeetingError.CREDENTIALS
    if isinstance(error, ZoomNotAuthorised):
        return MeetingError.NOT_AUTHORISED
    if isinstance(error, ZoomRateLimited):
        return {"host-day": MeetingError.HOST_LIMIT, "account-day": MeetingError.ACCOUNT_LIMIT}.get(
            error.per, MeetingError.RATE_LIMITED
        )
    if isinstance(error, ZoomUnavailable):
        return MeetingError.UNAVAILABLE
    if isinstance(error, ZoomRefused):
        return next((code for name, code in _REFUSAL_CODES.items() if getattr(error, name)), MeetingError.REFUSED)
    return MeetingError.REFUSED
