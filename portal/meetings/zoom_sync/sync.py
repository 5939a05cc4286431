"""Bringing Zoom to what a meeting row wants: the only place that creates, changes or deletes at Zoom.

Before a create is sent the row says `unsure`. If the answer never comes, whoever takes the row next looks
for our marker among the host's meetings first, so there is exactly one meeting at Zoom whatever happens.
Changes and deletions may be repeated safely; after a lost answer the meeting is read before it is changed again,
because Zoom counts changes.
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
from portal.core.worker_signals import notify_worker
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
CIRCUIT_RETRY_AFTER = timedelta(seconds=30)  # a Zoom that is down is asked again this often
MEETING_IN_PROGRESS = 3002  # Zoom does not delete a meeting that is running


class MeetingNotCreatable(Exception):
    """The worker cannot make the meeting, and trying again changes nothing. `code` is for `words.trouble`."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def lease_due_meetings() -> list[UUID]:
    """Lease the meetings for which something is to be done at Zoom now."""
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
    """Do what the leased meeting wants, and write down how it went."""
    meeting = db.session.get(ZoomMeeting, meeting_id, populate_existing=True)
    if meeting is None:
        return
    try:
        if not write_block.is_writing_blocked():  # the one before may have found the credentials refused
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


def _nothing(meeting: ZoomMeeting, zoom: ZoomClient) -> None:
    """The wish was fulfilled or taken back while the row was being leased."""


def _create(meeting: ZoomMeeting, zoom: ZoomClient) -> None:
    found = zoom.find_by_marker(meeting.host_email, meeting.marker) if meeting.outcome_unknown else None
    if found is not None:
        values = desired_state.actual_meeting_values(found, meeting.kind)
    else:
        _drop_what_has_passed(meeting)
        _settle_host(meeting, zoom)
        draft, values = desired_state.desired_meeting_draft(meeting), desired_state.desired_meeting_values(meeting)
        with _counted(meeting):
            found = zoom.create_meeting(meeting.host_email, draft)
    with write_transaction():
        _refresh(meeting)
        meeting.zoom_id, meeting.created_at_zoom = found.id, clock.now()
        meeting.last_sent = desired_state.serialise_meeting_values(values)
        add_meeting_history(meeting.id, MeetingEvent.CREATED_AT_ZOOM)
        if meeting.state == MeetingState.PENDING_ZOOM:
            meeting.state = MeetingState.SCHEDULED
        _finish(meeting, _apply_zoom_state(meeting, found, values))
    notify_worker("registration")
    notify_worker("inbox")  # events of this meeting may have come before its id was known here


def _drop_what_has_passed(meeting: ZoomMeeting) -> None:
    """Zoom was away so long that dates have passed: only the others are made. Raises MeetingNotCreatable."""
    if meeting.kind == MeetingKind.RECURRING and meeting.starts_at <= clock.now():
        with write_transaction():
            _refresh(meeting)
            update_meeting_recurrence(meeting, _rows(meeting))
    if desired_state.last_end_of(meeting) <= clock.now():
        raise MeetingNotCreatable(MeetingError.TOO_LATE)


def _settle_host(meeting: ZoomMeeting, zoom: ZoomClient) -> None:
    """Who hosts: the user the meeting was given to, else a free one of the pool. Raises MeetingNotCreatable.

    Without a licence there is no registration (Zoom's rule), so the class runs in open mode.
    """
    host = hosts.fetch_zoom_host(zoom, meeting.host_email)
    if host.exists_at_zoom is False:
        others = [
            hosts.fetch_zoom_host(zoom, email) for email in hosts.shared_host_emails() if email != meeting.host_email
        ]
        with write_transaction():
            _refresh(meeting)
            slots = [
                TimeSlot(row.starts_at, row.minutes) for row in _rows(meeting) if row.state == OccurrenceState.SCHEDULED
            ]
            chosen = host_assignment.find_free_host(
                meeting, [one for one in others if one.exists_at_zoom is not False], slots
            )
            if chosen is None:
                raise MeetingNotCreatable(MeetingError.NO_FREE_HOST if others else MeetingError.HOST_UNKNOWN)
            add_meeting_history(meeting.id, MeetingEvent.HOST_CHANGED, host_email=chosen.email)
            meeting.host_email, host = chosen.email, chosen
    if (host.licensed is False) != meeting.open_mode and host.licensed is not None:
        with write_transaction():
            _open_mode(meeting, not host.licensed)


def _open_mode(meeting: ZoomMeeting, on: bool) -> None:
    if on and not meeting.has_registration:
        return  # a person chose it: then it is no matter of licences
    meeting.open_mode, meeting.approval_type = on, 2 if on else 1
    if on:
        add_meeting_history(meeting.id, MeetingEvent.OPEN_MODE)


def _update(meeting: ZoomMeeting, zoom: ZoomClient) -> None:
    """Send what differs from what Zoom was told, then read the meeting back."""
    if meeting.zoom_id is None:
        raise ZoomUnavailable("an update is wanted for a meeting without an id", maybe_done=False)
    seen = _read_first(meeting, zoom)
    draft, values = desired_state.desired_meeting_draft(meeting), desired_state.desired_meeting_values(meeting)
    told = desired_state.last_sent_values(meeting)
    body = diff_meeting_drafts(desired_state.last_sent_draft(meeting), draft)
    if body:
        with _counted(meeting):
            zoom.update_meeting(meeting.zoom_id, body)
        with write_transaction():
            _refresh(meeting)
            meeting.last_sent = desired_state.serialise_meeting_values(values)
            add_meeting_history(meeting.id, MeetingEvent.CHANGED_AT_ZOOM)
    sent_dates = seen is not None and meeting.kind == MeetingKind.RECURRING and _send_dates(meeting, seen, zoom)
    if seen is None or body or sent_dates:
        seen = zoom.get_meeting(meeting.zoom_id)
    sent = {name: value for name, value in values.items() if value != told.get(name)}
    with write_transaction():
        _refresh(meeting)
        _finish(meeting, _apply_zoom_state(meeting, seen, sent))


def _read_first(meeting: ZoomMeeting, zoom: ZoomClient) -> Meeting | None:
    """What Zoom has, where that decides what is to be sent: single dates, a lost answer, a change made there."""
    known = meeting.last_sent is not None and not meeting.outcome_unknown
    if known and meeting.kind != MeetingKind.RECURRING and meeting.pending_action != PendingAction.CHECK:
        return None
    seen = zoom.get_meeting(meeting.zoom_id or "")
    with write_transaction():
        _refresh(meeting)
        if not known:
            meeting.last_sent = desired_state.serialise_meeting_values(
                desired_state.actual_meeting_values(seen, meeting.kind)
            )
        _apply_zoom_state(meeting, seen)
    return seen


def _send_dates(meeting: ZoomMeeting, seen: Meeting, zoom: ZoomClient) -> bool:
    """Delete and move single dates at Zoom; True if there was anything to send."""
    zoom_id = meeting.zoom_id or ""
    with write_transaction():
        diff = diff_zoom_occurrences(meeting, _rows(meeting), seen)
    for theirs in diff.surplus:
        zoom.delete_meeting(zoom_id, occurrence_id=theirs.id)
    draft = desired_state.desired_meeting_draft(meeting)
    for row, theirs in diff.moved:
        single = replace(draft, starts_at=row.starts_at, minutes=row.minutes)
        starts_at, minutes = row.starts_at, row.minutes
        with _counted(meeting):
            zoom.update_meeting(zoom_id, single, occurrence_id=theirs.id)
        with write_transaction():
            row.zoom_starts_at, row.zoom_minutes = starts_at, minutes
    if diff.surplus or diff.moved:
        with write_transaction():
            add_meeting_history(
                meeting.id, MeetingEvent.OCCURRENCES_CHANGED_AT_ZOOM, number=len(diff.surplus) + len(diff.moved)
            )
    return not diff.in_step


def _apply_zoom_state(meeting: ZoomMeeting, seen: Meeting, sent: desired_state.Values | None = None) -> OccurrenceDiff:
    """Compare what Zoom has with what it was told, and take over what was changed there.

    `sent` are the values that were just sent: where Zoom has those otherwise, it has overridden them. Returns
    what is still to be done about single dates. Within the transaction that is open.
    """
    values = desired_state.actual_meeting_values(seen, meeting.kind)
    kept = {name: value for name, value in (meeting.overridden_settings or {}).items() if name not in (sent or {})}
    meeting.overridden_settings = (
        kept | desired_state.list_overridden_values(desired_state.last_sent_values(meeting), values, sent or {})
    ) or None
    news = desired_state.list_remote_changes(meeting, values)
    _take_over(meeting, news)
    if seen.join_url and seen.join_url != meeting.join_url:
        meeting.join_url = seen.join_url
    if seen.password and seen.password != meeting.passcode:
        meeting.passcode = seen.password
    dates = (
        diff_zoom_occurrences(meeting, _rows(meeting), seen)
        if meeting.kind == MeetingKind.RECURRING
        else OccurrenceDiff()
    )
    if news or dates.news:
        add_meeting_history(meeting.id, MeetingEvent.MOVED_AT_ZOOM)
    return dates


def _take_over(meeting: ZoomMeeting, news: desired_state.Values) -> None:
    for name, value in news.items():
        setattr(meeting, name, value)
    meeting.last_sent = (meeting.last_sent or {}) | desired_state.serialise_meeting_values(news)
    meeting.overridden_settings = {
        k: v for k, v in (meeting.overridden_settings or {}).items() if k not in news
    } or None
    if "starts_at" in news or "minutes" in news:
        row = next((row for row in _rows(meeting) if row.is_scheduled), None)
        if row is not None:
            row.starts_at, row.minutes = meeting.starts_at, meeting.minutes
            row.local_date = clock.to_manila(meeting.starts_at).date()


def _finish(meeting: ZoomMeeting, dates: OccurrenceDiff) -> None:
    """Zoom has it. What was changed or called off meanwhile is still wanted; the rest is done."""
    meeting.outcome_unknown = False
    _clear_error(meeting)
    if dates.missing:
        meeting.error_code = MeetingError.OCCURRENCES_MISSING
    if meeting.state == MeetingState.CANCELLED:
        meeting.pending_action = PendingAction.DELETE
    elif (
        diff_meeting_drafts(desired_state.last_sent_draft(meeting), desired_state.desired_meeting_draft(meeting))
        or not dates.in_step
    ):
        meeting.pending_action = PendingAction.UPDATE
    else:
        meeting.pending_action = None


def _delete(meeting: ZoomMeeting, zoom: ZoomClient) -> None:
    if meeting.zoom_id is None:
        found = zoom.find_by_marker(meeting.host_email, meeting.marker)
        if found:
            with write_transaction():
                meeting.zoom_id = found.id
    if meeting.zoom_id:
        zoom.delete_meeting(meeting.zoom_id)
    with write_transaction():
        _refresh(meeting)
        meeting.pending_action, meeting.outcome_unknown = None, False
        _clear_error(meeting)
        add_meeting_history(meeting.id, MeetingEvent.DELETED_AT_ZOOM)


_STEPS: dict[str | None, Callable[[ZoomMeeting, ZoomClient], None]] = {
    "create": _create,
    "update": _update,
    "check": _update,
    "delete": _delete,
    None: _nothing,
}


@contextmanager
def _counted(meeting: ZoomMeeting) -> Iterator[None]:
    """Around one create or update: it is counted before it is sent, and so is that it may have been done.

    Raises ZoomRateLimited where the host has none left today.
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


def _refresh(meeting: ZoomMeeting) -> None:
    db.session.refresh(meeting, with_for_update=True)


def _rows(meeting: ZoomMeeting) -> list[MeetingOccurrence]:
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
        _refresh(meeting)
        meeting.pending_action = None
        if meeting.state == MeetingState.CANCELLED:
            return  # called off meanwhile, and Zoom never had it
        meeting.state = MeetingState.FAILED
        meeting.error_code, meeting.error_detail = code, None
        add_meeting_history(meeting.id, MeetingEvent.ERROR, error_code=code)


def _record_error(meeting: ZoomMeeting, error: ZoomError) -> None:
    """Write down why, and when to try again. What Zoom will refuse again waits for a person."""
    until = _parked_until(meeting, error)
    with write_transaction():
        _refresh(meeting)
        code, first = error_code_of(error), meeting.error_code != error_code_of(error)
        if not isinstance(error, CircuitOpen):
            meeting.attempts += 1
        meeting.error_code, meeting.error_detail = code, _detail(error)
        meeting.next_attempt_at = until or next_attempt_at(meeting.attempts)
        if isinstance(error, ZoomRefused):
            _refused(meeting, error)
        if first:
            add_meeting_history(meeting.id, MeetingEvent.ERROR, error_code=meeting.error_code)


def _parked_until(meeting: ZoomMeeting, error: ZoomError) -> datetime | None:
    """When to try again, where that does not depend on how often it failed."""
    if write_block.write_block_reason(error):
        return write_block.set_write_block(error)
    if isinstance(error, CircuitOpen):
        return clock.now() + CIRCUIT_RETRY_AFTER
    if isinstance(error, ZoomRateLimited):
        if error.per == "host-day":
            host_quota.mark_quota_exhausted(meeting.host_email)
        return error.until
    return None


def _detail(error: ZoomError) -> str:
    """What the page adds to the sentence: the missing scopes by name."""
    if isinstance(error, ZoomNotAuthorised) and error.missing_scopes:
        return ", ".join(error.missing_scopes)[:400]
    return str(error)[:400]


def _refused(meeting: ZoomMeeting, error: ZoomRefused) -> None:
    if meeting.pending_action == PendingAction.CREATE:
        _refused_to_create(meeting, error)
    elif error.is_deleted and meeting.pending_action in (PendingAction.UPDATE, PendingAction.CHECK):
        meeting.state, meeting.pending_action = MeetingState.DELETED, None
        add_meeting_history(meeting.id, MeetingEvent.FOUND_DELETED_AT_ZOOM)
    elif meeting.pending_action == PendingAction.DELETE and error.code == MEETING_IN_PROGRESS:
        return  # the class is still running: it is deleted when it is over
    else:
        meeting.pending_action = None


def _refused_to_create(meeting: ZoomMeeting, error: ZoomRefused) -> None:
    """A host who may not register people can still run the class in open mode; one who may not host at all is
    looked for among the pool. Each is tried once."""
    if error.is_host_unlicensed and error.code != 3161 and meeting.has_registration:
        hosts.store_zoom_host(hosts.CachedHost(meeting.host_email, exists_at_zoom=True, licensed=False))
        _open_mode(meeting, True)
        meeting.next_attempt_at = None
    elif (error.is_host_unknown or error.code == 3161) and [
        one for one in hosts.shared_host_emails() if one != meeting.host_email
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
    """A word for what went wrong; `words.trouble` turns it into a sentence."""
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
