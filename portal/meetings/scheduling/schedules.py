"""Schedules, and their single dates: moved, cancelled, made again after a deletion at Zoom."""

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
from portal.core.worker_signals import notify_worker
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

MAX_AHEAD = timedelta(days=21)  # how long before its first date a later block is made at Zoom


class OccurrenceTimeTaken(ValueError):
    """The meeting has another date at that very time."""


@dataclass(frozen=True)
class SchedulePlan:
    """What saving a schedule makes."""

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
    """Save a schedule with its meetings and dates, and hand them to the worker. The same key makes it once.

    `details` give the title and the options; times come from the plan. Raises Clashing.
    """
    details = option_policies.apply_policies_for_class(user, school_class.id, details)

    def known() -> Schedule | None:
        return db.session.scalar(select(Schedule).where(Schedule.client_key == client_key))

    def make() -> Schedule:
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

    schedule = get_or_create(known, make)
    notify_worker("meetings")
    return schedule


def _add_meetings(
    user: User,
    school_class: SchoolClass,
    details: MeetingDetails,
    plan: SchedulePlan,
    schedule_id: UUID,
    check: ConflictCheck,
) -> None:
    """One meeting a block. The first of each time goes to Zoom now, later ones three weeks before they are needed:
    registering for all of them on one day would use up what Zoom allows an address."""
    begun: set[object] = set()
    for block in plan.blocks:
        kind = (clock.to_manila(block.starts_at).time(), block.minutes)
        later = kind in begun
        begun.add(kind)
        first = block.slots[0]
        add_meeting(
            user,
            school_class,
            replace(details, starts_at=first.starts_at if block.is_single else block.starts_at, minutes=block.minutes),
            block.slots,
            assign_meeting_host(ScheduleParties.of_class(school_class), block.slots, check),
            client_key=uuid4().hex,
            kind="scheduled" if block.is_single else "recurring",
            schedule_id=schedule_id,
            recurrence=None if block.is_single else {"weekdays": list(block.weekdays), "dates": len(block.pattern)},
            not_before=block.starts_at - MAX_AHEAD if later else None,
        )


def move_occurrence(
    user: User,
    occurrence: MeetingOccurrence,
    starts_at: datetime,
    minutes: int,
    *,
    check: ConflictCheck = ConflictCheck.NOT,
) -> None:
    """Another time for one date (loaded with its meeting). Raises MeetingNotChangeable, OccurrenceTimeTaken and
    Clashing."""
    meeting = occurrence.meeting
    if meeting.kind != MeetingKind.RECURRING:
        update_meeting(user, meeting, _details(meeting, starts_at, minutes), check=check)
        return
    with write_transaction() as session:
        _hold_date(occurrence)
        if (occurrence.starts_at, occurrence.minutes) == (starts_at, minutes):
            return
        taken = session.scalar(
            select(MeetingOccurrence.id).where(
                MeetingOccurrence.meeting_id == meeting.id,
                MeetingOccurrence.starts_at == starts_at,
                MeetingOccurrence.id != occurrence.id,
            )
        )
        if taken:
            raise OccurrenceTimeTaken("another date of the meeting has that time")
        if check is not ConflictCheck.NOT:
            check_conflicts_of_move(meeting, TimeSlot(starts_at, minutes), check, except_date=occurrence.id)
        before = clock.to_manila(occurrence.starts_at)
        occurrence.starts_at, occurrence.minutes = starts_at, minutes
        occurrence.local_date = clock.to_manila(starts_at).date()
        request_meeting_update(meeting)
        add_meeting_history(
            meeting.id,
            MeetingEvent.OCCURRENCE_MOVED,
            by=user.id,
            occurrence_date=before.date(),
            moved_to=starts_at,
        )
        audit_log.record_action(AuditAction.MOVED, AuditSubject.OCCURRENCE, occurrence.id, by=user.id)
    notify_worker("meetings")


def cancel_occurrence(user: User, occurrence: MeetingOccurrence, reason: str = "") -> None:
    """No class on one date (loaded with its meeting); the last one that is left takes the meeting with it.

    Raises MeetingNotChangeable.
    """
    meeting = occurrence.meeting
    with write_transaction() as session:
        _hold_date(occurrence)
        others = session.scalar(
            select(MeetingOccurrence.id)
            .where(
                MeetingOccurrence.meeting_id == meeting.id,
                MeetingOccurrence.id != occurrence.id,
                MeetingOccurrence.state != OccurrenceState.CANCELLED,
            )
            .limit(1)
        )
        if others is None:
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
    notify_worker("meetings")


def recreate_meeting(user: User, meeting: ZoomMeeting) -> None:
    """Somebody deleted the meeting at Zoom: make it anew with the dates to come, and register everybody again.

    What was held stays, with its attendance. Raises MeetingNotChangeable where no date is left.
    """
    if meeting.state != MeetingState.DELETED:
        raise MeetingNotChangeable(meeting.state)
    with write_transaction() as session:
        lock_meeting_row(meeting)
        if meeting.state != MeetingState.DELETED:
            return  # another click has done it
        rows = list(session.scalars(select(MeetingOccurrence).where(MeetingOccurrence.meeting_id == meeting.id)))
        if not any(_to_come(row) for row in rows):
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
    notify_worker("meetings")


def update_meeting_recurrence(meeting: ZoomMeeting, rows: Sequence[MeetingOccurrence]) -> None:
    """Give a recurring meeting that is to be made the pattern of the dates that are left.

    The usual time is the one most of them have. A date on another weekday than the series keeps no place in it.
    """
    coming = sorted((row for row in rows if _to_come(row)), key=lambda row: row.starts_at)
    if not coming:
        return
    weekdays = set(recurrence_of(meeting)["weekdays"])
    [((usual, minutes), _)] = Counter(_time_of(row) for row in coming).most_common(1)
    places: set[datetime] = set()
    for row in coming:
        place = clock.from_manila(row.local_date, usual)
        fits = place > clock.now() and row.local_date.isoweekday() in weekdays and place not in places
        row.zoom_occurrence_id = None
        row.zoom_starts_at, row.zoom_minutes = (place, minutes) if fits else (None, None)
        if fits:
            places.add(place)
    if not places:
        return
    used = sorted({clock.to_manila(place).isoweekday() for place in places})
    meeting.starts_at, meeting.minutes = min(places), minutes
    meeting.recurrence = {"weekdays": used, "dates": len(weekly_starts(min(places), used, until=max(places)))}


def _time_of(row: MeetingOccurrence) -> tuple[time, int]:
    return clock.to_manila(row.starts_at).time(), row.minutes


def _to_come(row: MeetingOccurrence) -> bool:
    return row.is_scheduled and row.state == OccurrenceState.SCHEDULED and row.ends_at > clock.now()


def _hold_date(occurrence: MeetingOccurrence) -> None:
    """As `lock_editable_meeting`, for one date. Raises MeetingNotChangeable."""
    lock_editable_meeting(occurrence.meeting)
    db.session.refresh(occurrence)
    if occurrence.state != OccurrenceState.SCHEDULED:
        raise MeetingNotChangeable(occurrence.state)


def _details(meeting: ZoomMeeting, starts_at: datetime, minutes: int) -> MeetingDetails:
    names = (name for name in MeetingDetails.__dataclass_fields__ if name not in ("starts_at", "minutes"))
    return MeetingDetails(starts_at=starts_at, minutes=minutes, **{name: getattr(meeting, name) for name in names})
