"""Use cases on meetings: scheduling, changing and cancelling.

A person's action is saved with a `pending_action`; only the worker writes to Zoom (see `zoom_sync.sync`), so
that saving never depends on whether Zoom answers.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import date, datetime
from enum import Enum, auto
from typing import Any, TypeVar
from uuid import UUID, uuid4

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from portal.accounts.models import User
from portal.classes.models import SchoolClass
from portal.core import audit_log, clock
from portal.core.audit_codes import AuditAction, AuditSubject
from portal.core.db import db, end_read_transaction, write_transaction
from portal.core.worker_signals import Topic, notify_worker
from portal.meetings import option_policies
from portal.meetings.codes import MeetingEvent, MeetingKind, MeetingState, OccurrenceState, PendingAction
from portal.meetings.meeting_details import MeetingDetails as MeetingDetails
from portal.meetings.models import MeetingHistory, MeetingOccurrence, ZoomMeeting
from portal.meetings.scheduling import host_assignment
from portal.meetings.scheduling.host_assignment import HostChoice, ScheduleParties
from portal.meetings.scheduling.recurrence import TimeSlot
from portal.zoom_account import hosts


class MeetingNotChangeable(ValueError):
    """The meeting is over, cancelled or deleted."""


class SchedulingConflict(ValueError):
    """The times conflict with another class. `choice` says which one, and whether a person may schedule anyway."""

    def __init__(self, choice: HostChoice) -> None:
        super().__init__("another class is in the way")
        self.choice = choice


class ConflictCheck(Enum):
    """Which conflicts refuse a change. Checked within the service's own transaction: no race."""

    NOT = auto()
    IMPOSSIBLE = auto()  # refuse only what Zoom cannot run
    ALL = auto()  # refuse whatever needs a person's confirmation


def create_meeting(
    user: User,
    school_class: SchoolClass,
    details: MeetingDetails,
    *,
    client_key: str,
    instant: bool = False,
    check: ConflictCheck = ConflictCheck.NOT,
) -> ZoomMeeting:
    """Save a meeting of the class and queue it for the worker. Idempotent by `client_key`.

    Raises SchedulingConflict.
    """
    details = option_policies.apply_policies_for_class(user, school_class.id, details)

    def find_meeting() -> ZoomMeeting | None:
        return db.session.scalar(select(ZoomMeeting).where(ZoomMeeting.client_key == client_key))

    def make_meeting() -> ZoomMeeting:
        slot = TimeSlot(details.starts_at, details.minutes)
        host = assign_meeting_host(ScheduleParties.of_class(school_class), [slot], check)
        meeting = add_meeting(
            user, school_class, details, [slot], host, client_key=client_key, kind="instant" if instant else "scheduled"
        )
        audit_log.record_action(
            AuditAction.SCHEDULED, AuditSubject.MEETING, meeting.id, by=user.id, school_class=str(school_class.id)
        )
        return meeting

    meeting = get_or_create(find_meeting, make_meeting)
    notify_worker(Topic.MEETINGS)
    notify_worker(Topic.ROSTERS)  # the desired registrants are listed while Zoom is still creating the meeting
    return meeting


CreatedMeeting = TypeVar("CreatedMeeting")


def get_or_create(find: Callable[[], CreatedMeeting | None], create: Callable[[], CreatedMeeting]) -> CreatedMeeting:
    """Get or create the row of a unique key in one transaction (idempotency).

    On PostgreSQL two requests may create it at the same time: the second one fails on the unique key or on a
    scheduling conflict with the first, and then reads the first one's row.
    """
    try:
        with write_transaction():
            return find() or create()
    except (IntegrityError, SchedulingConflict):
        existing = find()
        if existing is None:
            raise
        return existing


def assign_meeting_host(parties: ScheduleParties, slots: Sequence[TimeSlot], check: ConflictCheck) -> str:
    """The Zoom user for these times, locked until the open transaction ends. Raises SchedulingConflict."""
    host_assignment.lock_candidate_hosts(parties)
    choice = host_assignment.choose_meeting_host(parties, slots)
    if (check is not ConflictCheck.NOT and not choice.is_possible) or (
        check is ConflictCheck.ALL and choice.needs_confirmation
    ):
        raise SchedulingConflict(choice)
    return choice.host


def add_meeting(
    user: User,
    school_class: SchoolClass | None,
    details: MeetingDetails,
    slots: Sequence[TimeSlot],
    host: str,
    *,
    client_key: str,
    kind: str,
    schedule_id: UUID | None = None,
    recurrence: dict[str, Any] | None = None,
    not_before: datetime | None = None,
    school_id: UUID | None = None,
) -> ZoomMeeting:
    """Add a meeting with its dates, to be created at Zoom from `not_before` on; within the open transaction.

    `school_id` is set for a meeting without a class whose audience is a school.
    """
    now = clock.now()
    meeting = ZoomMeeting(
        id=uuid4(),
        client_key=client_key,
        marker=str(uuid4()),
        class_id=school_class.id if school_class else None,
        schedule_id=schedule_id,
        school_id=school_id,
        created_by=user.id,
        host_email=host,
        kind=kind,
        recurrence=recurrence,
        next_attempt_at=not_before,
        created_at=now,
        updated_at=now,
        **asdict(details),
    )
    db.session.add(meeting)
    db.session.flush()
    for slot in slots:
        db.session.add(
            MeetingOccurrence(
                meeting_id=meeting.id,
                starts_at=slot.starts_at,
                minutes=slot.minutes,
                local_date=clock.to_manila(slot.starts_at).date(),
                zoom_starts_at=slot.pattern if recurrence else None,
                zoom_minutes=slot.minutes if recurrence else None,
            )
        )
    db.session.flush()
    add_meeting_history(meeting.id, MeetingEvent.SCHEDULED, by=user.id)
    return meeting


def update_meeting(
    user: User, meeting: ZoomMeeting, details: MeetingDetails, *, check: ConflictCheck = ConflictCheck.NOT
) -> None:
    """Save new details and queue the update for the worker. A recurring meeting keeps its times: each date has its own.

    Raises MeetingNotChangeable and SchedulingConflict.
    """
    details = option_policies.apply_policies_for_class(user, meeting.class_id, details)
    with write_transaction() as session:
        lock_editable_meeting(meeting)
        changed = _changed_values(meeting, details)
        if not changed:
            return
        is_moved = "starts_at" in changed or "minutes" in changed
        if is_moved and check is not ConflictCheck.NOT:
            check_conflicts_of_move(meeting, TimeSlot(details.starts_at, details.minutes), check)
        for name, value in changed.items():
            setattr(meeting, name, value)
        occurrence = session.scalar(
            select(MeetingOccurrence)
            .where(MeetingOccurrence.meeting_id == meeting.id, MeetingOccurrence.is_scheduled)
            .order_by(MeetingOccurrence.starts_at)
            .limit(1)
        )
        if is_moved and occurrence:
            occurrence.starts_at, occurrence.minutes = meeting.starts_at, meeting.minutes
            occurrence.local_date = clock.to_manila(meeting.starts_at).date()
        request_meeting_update(meeting)
        add_meeting_history(meeting.id, MeetingEvent.CHANGED, by=user.id)
        audit_log.record_action(
            AuditAction.CHANGED, AuditSubject.MEETING, meeting.id, by=user.id, fields=sorted(changed)
        )
    notify_worker(Topic.MEETINGS)


def _changed_values(meeting: ZoomMeeting, details: MeetingDetails) -> dict[str, Any]:
    values = asdict(details)
    if meeting.kind == MeetingKind.RECURRING:
        values.pop("starts_at")
        values.pop("minutes")
    if meeting.open_mode:
        values.pop("approval_type")
    return {name: value for name, value in values.items() if getattr(meeting, name) != value}


def check_conflicts_of_move(
    meeting: ZoomMeeting, slot: TimeSlot, check: ConflictCheck, *, except_occurrence: UUID | None = None
) -> None:
    """Raise SchedulingConflict if the new time conflicts. The host stays: a meeting at Zoom cannot change its host."""
    hosts.lock_zoom_hosts([meeting.host_email])
    choice = host_assignment.choose_meeting_host(
        host_assignment.parties_of_schedule(meeting),
        [slot],
        only=meeting.host_email,
        except_meeting=None if except_occurrence else meeting.id,
        except_occurrence=except_occurrence,
    )
    if not choice.is_possible or (check is ConflictCheck.ALL and choice.needs_confirmation):
        raise SchedulingConflict(choice)


def request_meeting_update(meeting: ZoomMeeting) -> None:
    """Queue an update at Zoom, due at once; within the open transaction.

    A pending create sends the new values anyway, and a failed create is tried again with them.
    """
    now = clock.now()
    if meeting.state == MeetingState.FAILED:
        _reset_failed_creation(meeting)
    elif meeting.pending_action != PendingAction.CREATE:
        meeting.pending_action = PendingAction.UPDATE
        meeting.next_attempt_at = None
    elif meeting.error_code:
        meeting.next_attempt_at = None
    meeting.updated_at, meeting.attempts = now, 0


def _reset_failed_creation(meeting: ZoomMeeting) -> None:
    meeting.state, meeting.pending_action = MeetingState.PENDING_ZOOM, PendingAction.CREATE
    meeting.next_attempt_at = meeting.error_code = meeting.error_detail = None


def cancel_meeting(user: User, meeting: ZoomMeeting, reason: str = "") -> None:
    """Cancel the meeting, here at once and at Zoom by the worker. Past dates stay. Raises MeetingNotChangeable."""
    with write_transaction():
        lock_editable_meeting(meeting)
        meeting.state = MeetingState.CANCELLED
        # A create request without an answer may have created a meeting: the worker has to search for it.
        meeting.pending_action = PendingAction.DELETE if meeting.zoom_id or meeting.outcome_unknown else None
        meeting.updated_at, meeting.next_attempt_at, meeting.attempts = clock.now(), None, 0
        for occurrence in db.session.scalars(
            select(MeetingOccurrence).where(
                MeetingOccurrence.meeting_id == meeting.id, MeetingOccurrence.state == OccurrenceState.SCHEDULED
            )
        ):
            occurrence.state = OccurrenceState.CANCELLED
        add_meeting_history(meeting.id, MeetingEvent.CANCELLED, by=user.id, reason=reason)
        audit_log.record_action(AuditAction.CANCELLED, AuditSubject.MEETING, meeting.id, by=user.id)
    notify_worker(Topic.MEETINGS)


def retry_meeting_now(user: User, meeting: ZoomMeeting) -> None:
    """Make the pending action due now, without waiting for the next attempt: its cause was repaired."""
    with write_transaction():
        lock_meeting_row(meeting)
        if meeting.state == MeetingState.FAILED:
            _reset_failed_creation(meeting)
        meeting.next_attempt_at, meeting.attempts, meeting.error_code = None, 0, None
        add_meeting_history(meeting.id, MeetingEvent.RETRIED, by=user.id)
    notify_worker(Topic.MEETINGS)


def switch_to_open_mode(user: User, meeting: ZoomMeeting) -> None:
    """Open mode: one join link for all, without registration, for a host without a licence.

    Raises MeetingNotChangeable.
    """
    with write_transaction():
        lock_editable_meeting(meeting)
        if not meeting.has_registration:
            return
        meeting.approval_type, meeting.open_mode = 2, True
        request_meeting_update(meeting)
        add_meeting_history(meeting.id, MeetingEvent.OPEN_MODE, by=user.id)
        audit_log.record_action(
            AuditAction.CHANGED, AuditSubject.MEETING, meeting.id, by=user.id, fields=["approval_type"]
        )
    notify_worker(Topic.MEETINGS)


def lock_meeting_row(meeting: ZoomMeeting) -> None:
    """Row lock: refresh the meeting and lock it until the open transaction ends."""
    # FOR UPDATE OF the meeting's table alone: PostgreSQL cannot lock the nullable side of the class's outer join.
    db.session.refresh(meeting, with_for_update={"of": ZoomMeeting})


def lock_editable_meeting(meeting: ZoomMeeting) -> None:
    """`lock_meeting_row`, then check the state again: it may have changed since the page was loaded.

    Raises MeetingNotChangeable.
    """
    lock_meeting_row(meeting)
    if meeting.state in (MeetingState.ENDED, MeetingState.CANCELLED, MeetingState.DELETED):
        raise MeetingNotChangeable(meeting.state)


def add_meeting_history(
    meeting_id: UUID,
    event: MeetingEvent,
    *,
    by: UUID | None = None,
    occurrence_date: date | None = None,
    moved_to: datetime | None = None,
    reason: str | None = None,
    error_code: str | None = None,
    host_email: str | None = None,
    number: int | None = None,
) -> None:
    """Add an event to the meeting's history, in the open transaction."""
    db.session.execute(
        insert(MeetingHistory).values(
            meeting_id=meeting_id,
            occurred_at=clock.now(),
            actor_id=by,
            event=event,
            occurrence_date=occurrence_date,
            moved_to=moved_to,
            reason=reason or None,
            error_code=error_code,
            host_email=host_email,
            number=number,
        )
    )


def wait_for_zoom(meeting_id: UUID, seconds: float) -> None:
    """Poll for up to `seconds` until the worker has processed the meeting: most people then see the result."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        row = db.session.execute(
            select(ZoomMeeting.pending_action, ZoomMeeting.error_code).where(ZoomMeeting.id == meeting_id)
        ).one_or_none()
        end_read_transaction()  # a new snapshot, so that the next poll sees the worker's commit
        if row is None or row.pending_action is None or row.error_code is not None:
            return
        time.sleep(0.1)
