"""Schedules and their single dates: creating, moving, cancelling, and recreating a meeting deleted at Zoom."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from uuid import UUID, uuid4

from sqlalchemy import select

from portal.accounts.models import User
from portal.classes.models import SchoolClass
from portal.core import audit_log, clock
from portal.core.audit_codes import AuditAction, AuditSubject
from portal.core.db import db, write_transaction
from portal.core.worker_signals import Topic, notify_worker
from portal.meetings import option_policies
from portal.meetings.codes import MeetingEvent, MeetingKind, MeetingState, OccurrenceState, PendingAction
from portal.meetings.models import MeetingOccurrence, Schedule, ScheduleTime, ZoomMeeting
from portal.meetings.scheduling.host_assignment import ScheduleParties
from portal.meetings.scheduling.recurrence import (
    MeetingBlock,
    RuleExpansion,
    TimeSlot,
    WeeklyRule,
    split_into_meetings,
    weekly_starts,
)
from portal.meetings.service import (
    ConflictCheck,
    MeetingDetails,
    MeetingNotChangeable,
    add_meeting,
    add_meeting_history,
    assign_meeting_host,
    cancel_meeting,
    check_conflicts_of_move,
    get_or_create,
    lock_editable_meeting,
    lock_meeting_row,
    request_meeting_update,
    update_meeting,
)
from portal.meetings.zoom_sync.desired_state import recurrence_of

MAX_AHEAD = timedelta(days=21)  # how long before its first date a later meeting of a schedule is created at Zoom


class OccurrenceTimeTaken(ValueError):
    """The meeting has another date with the same start."""


@dataclass(frozen=True)
class SchedulePlan:
    """The meetings that a schedule consists of."""

    expansion: RuleExpansion
    blocks: tuple[MeetingBlock, ...]

    @property
    def slots(self) -> tuple[TimeSlot, ...]:
        return self.expansion.slots


def plan_from_expansion(expansion: RuleExpansion) -> SchedulePlan:
    return SchedulePlan(expansion, tuple(split_into_meetings(expansion.slots)))


def create_schedule(
    user: User,
    school_class: SchoolClass,
    details: MeetingDetails,
    rule: WeeklyRule,
    plan: SchedulePlan,
    *,
    client_key: str,
    check: ConflictCheck = ConflictCheck.NOT,
) -> Schedule:
    """Save a schedule with its meetings and dates, and queue them for the worker. Idempotent by `client_key`.

    `details` give the title and the options; times come from the plan. Raises SchedulingConflict.
    """
    details = option_policies.apply_policies_for_class(user, school_class.id, details)

    def find_schedule() -> Schedule | None:
        return db.session.scalar(select(Schedule).where(Schedule.client_key == client_key))

    def make_schedule() -> Schedule:
        row = Schedule(
            id=uuid4(),
            client_key=client_key,
            class_id=school_class.id,
            created_by=user.id,
            title=details.title,
            from_date=rule.first,
            until_date=rule.until,
            occurrence_count=rule.dates,
            created_at=clock.now(),
        )
        db.session.add(row)
        db.session.flush()
        for weekday, (start, minutes) in rule.times.items():
            db.session.add(ScheduleTime(schedule_id=row.id, weekday=weekday, start=start, minutes=minutes))
        _add_meetings(user, school_class, details, plan, row.id, check)
        audit_log.record_action(
            AuditAction.SCHEDULED,
            AuditSubject.SCHEDULE,
            row.id,
            by=user.id,
            dates=len(plan.slots),
            meetings=len(plan.blocks),
        )
        return row

    schedule = get_or_create(find_schedule, make_schedule)
    notify_worker(Topic.MEETINGS)
    return schedule


def _add_meetings(
    user: User,
    school_class: SchoolClass,
    details: MeetingDetails,
    plan: SchedulePlan,
    schedule_id: UUID,
    check: ConflictCheck,
) -> None:
    """One meeting for each block. The first of each time of day is created at Zoom now, later ones three weeks before
    their first date: registering people for all of them on one day would exceed Zoom's daily limit per address."""
    started_times: set[object] = set()
    for block in plan.blocks:
        time_key = (clock.to_manila(block.starts_at).time(), block.minutes)
        is_later = time_key in started_times
        started_times.add(time_key)
        first_slot = block.slots[0]
        add_meeting(
            user,
            school_class,
            replace(
                details, starts_at=first_slot.starts_at if block.is_single else block.starts_at, minutes=block.minutes
            ),
            block.slots,
            assign_meeting_host(ScheduleParties.of_class(school_class), block.slots, check),
            client_key=uuid4().hex,
            kind="scheduled" if block.is_single else "recurring",
            schedule_id=schedule_id,
            recurrence=None if block.is_single else {"weekdays": list(block.weekdays), "dates": len(block.pattern)},
            not_before=block.starts_at - MAX_AHEAD if is_later else None,
        )


def move_occurrence(
    user: User,
    occurrence: MeetingOccurrence,
    starts_at: datetime,
    minutes: int,
    *,
    check: ConflictCheck = ConflictCheck.NOT,
) -> None:
    """Set a new time for one date (loaded with its meeting).

    Raises MeetingNotChangeable, OccurrenceTimeTaken and SchedulingConflict.
    """
    meeting = occurrence.meeting
    if meeting.kind != MeetingKind.RECURRING:
        update_meeting(user, meeting, _meeting_details(meeting, starts_at, minutes), check=check)
        return
    with write_transaction() as session:
        _lock_editable_occurrence(occurrence)
        if (occurrence.starts_at, occurrence.minutes) == (starts_at, minutes):
            return
        other_date = session.scalar(
            select(MeetingOccurrence.id).where(
                MeetingOccurrence.meeting_id == meeting.id,
                MeetingOccurrence.starts_at == starts_at,
                MeetingOccurrence.id != occurrence.id,
            )
        )
        if other_date:
            raise OccurrenceTimeTaken("another date of the meeting has that time")
        if check is not ConflictCheck.NOT:
            check_conflicts_of_move(meeting, TimeSlot(starts_at, minutes), check, except_occurrence=occurrence.id)
        old_start = clock.to_manila(occurrence.starts_at)
        occurrence.starts_at, occurrence.minutes = starts_at, minutes
        occurrence.local_date = clock.to_manila(starts_at).date()
        request_meeting_update(meeting)
        add_meeting_history(
            meeting.id,
            MeetingEvent.OCCURRENCE_MOVED,
            by=user.id,
            occurrence_date=old_start.date(),
            moved_to=starts_at,
        )
        audit_log.record_action(AuditAction.MOVED, AuditSubject.OCCURRENCE, occurrence.id, by=user.id)
    notify_worker(Topic.MEETINGS)


def cancel_occurrence(user: User, occurrence: MeetingOccurrence, reason: str = "") -> None:
    """Cancel one date (loaded with its meeting); if no other date is left, cancel the meeting.

    Raises MeetingNotChangeable.
    """
    meeting = occurrence.meeting
    with write_transaction() as session:
        _lock_editable_occurrence(occurrence)
        remaining_date = session.scalar(
            select(MeetingOccurrence.id)
            .where(
                MeetingOccurrence.meeting_id == meeting.id,
                MeetingOccurrence.id != occurrence.id,
                MeetingOccurrence.state != OccurrenceState.CANCELLED,
            )
            .limit(1)
        )
        if remaining_date is None:
            cancel_meeting(user, meeting, reason)
            return
        occurrence.state = OccurrenceState.CANCELLED
        request_meeting_update(meeting)
        add_meeting_history(
            meeting.id,
            MeetingEvent.OCCURRENCE_CANCELLED,
            by=user.id,
            occurrence_date=clock.to_manila(occurrence.starts_at).date(),
            reason=reason.strip(),
        )
        audit_log.record_action(AuditAction.CANCELLED, AuditSubject.OCCURRENCE, occurrence.id, by=user.id)
    notify_worker(Topic.MEETINGS)


def recreate_meeting(user: User, meeting: ZoomMeeting) -> None:
    """Recreate a meeting deleted at Zoom, with its upcoming dates; everybody is registered again.

    Past dates stay, with their attendance. Raises MeetingNotChangeable where no upcoming date is left.
    """
    if meeting.state != MeetingState.DELETED:
        raise MeetingNotChangeable(meeting.state)
    with write_transaction() as session:
        lock_meeting_row(meeting)
        if meeting.state != MeetingState.DELETED:
            return  # a concurrent request did it
        rows = list(session.scalars(select(MeetingOccurrence).where(MeetingOccurrence.meeting_id == meeting.id)))
        if not any(_is_upcoming(row) for row in rows):
            raise MeetingNotChangeable("over")
        meeting.zoom_id = meeting.join_url = meeting.passcode = meeting.last_sent = meeting.overridden_settings = None
        meeting.marker, meeting.outcome_unknown = str(uuid4()), False
        meeting.state, meeting.pending_action = MeetingState.PENDING_ZOOM, PendingAction.CREATE
        meeting.error_code = meeting.error_detail = meeting.next_attempt_at = None
        meeting.attempts, meeting.updated_at = 0, clock.now()
        meeting.zoom_generation += 1
        if meeting.kind == MeetingKind.RECURRING:
            update_meeting_recurrence(meeting, rows)
        add_meeting_history(meeting.id, MeetingEvent.RECREATED, by=user.id)
        audit_log.record_action(AuditAction.RECREATED_MEETING, AuditSubject.MEETING, meeting.id, by=user.id)
    notify_worker(Topic.MEETINGS)


def update_meeting_recurrence(meeting: ZoomMeeting, rows: Sequence[MeetingOccurrence]) -> None:
    """Derive the recurrence pattern of a meeting yet to be created from its remaining dates.

    The pattern's time is the most common one. A date on a weekday outside the series is not part of the pattern.
    """
    upcoming = sorted((row for row in rows if _is_upcoming(row)), key=lambda row: row.starts_at)
    if not upcoming:
        return
    weekdays = set(recurrence_of(meeting)["weekdays"])
    [((regular_time, minutes), _)] = Counter(_time_of(row) for row in upcoming).most_common(1)
    starts: set[datetime] = set()
    for row in upcoming:
        start = clock.from_manila(row.local_date, regular_time)
        is_in_pattern = start > clock.now() and row.local_date.isoweekday() in weekdays and start not in starts
        row.zoom_occurrence_id = None
        row.zoom_starts_at, row.zoom_minutes = (start, minutes) if is_in_pattern else (None, None)
        if is_in_pattern:
            starts.add(start)
    if not starts:
        return
    pattern_weekdays = sorted({clock.to_manila(start).isoweekday() for start in starts})
    meeting.starts_at, meeting.minutes = min(starts), minutes
    meeting.recurrence = {
        "weekdays": pattern_weekdays,
        "dates": len(weekly_starts(min(starts), pattern_weekdays, until=max(starts))),
    }


def _time_of(row: MeetingOccurrence) -> tuple[time, int]:
    return clock.to_manila(row.starts_at).time(), row.minutes


def _is_upcoming(row: MeetingOccurrence) -> bool:
    return row.is_scheduled and row.state == OccurrenceState.SCHEDULED and row.ends_at > clock.now()


def _lock_editable_occurrence(occurrence: MeetingOccurrence) -> None:
    """`lock_editable_meeting`, for one date. Raises MeetingNotChangeable."""
    lock_editable_meeting(occurrence.meeting)
    db.session.refresh(occurrence)
    if occurrence.state != OccurrenceState.SCHEDULED:
        raise MeetingNotChangeable(occurrence.state)


def _meeting_details(meeting: ZoomMeeting, starts_at: datetime, minutes: int) -> MeetingDetails:
    names = (name for name in MeetingDetails.__dataclass_fields__ if name not in ("starts_at", "minutes"))
    return MeetingDetails(starts_at=starts_at, minutes=minutes, **{name: getattr(meeting, name) for name in names})
