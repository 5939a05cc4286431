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
from portal.core.db import db, writing
from portal.core.worker_signals import wake
from portal.meetings import option_policies
from portal.meetings.models import MeetingOccurrence, Schedule, ScheduleTime, ZoomMeeting
from portal.meetings.scheduling.host_assignment import Whose
from portal.meetings.scheduling.recurrence import (
    Block,
    Expansion,
    Rule,
    Slot,
    blocks,
    pattern,
)
from portal.meetings.service import (
    Check,
    Details,
    NotChangeable,
    add_meeting,
    cancel,
    change,
    check_move,
    hold,
    hold_open,
    host_for,
    note,
    once,
    want_update,
)
from portal.meetings.zoom_sync.desired_state import rhythm

AHEAD = timedelta(days=21)  # how long before its first date a later block is made at Zoom


class DateTaken(ValueError):
    """The meeting has another date at that very time."""


@dataclass(frozen=True)
class Plan:
    """What saving a schedule makes."""

    expansion: Expansion
    blocks: tuple[Block, ...]

    @property
    def slots(self) -> tuple[Slot, ...]:
        return self.expansion.slots


def plan_of(expansion: Expansion) -> Plan:
    return Plan(expansion, tuple(blocks(expansion.slots)))


def schedule(
    user: User,
    school_class: SchoolClass,
    details: Details,
    rule: Rule,
    plan: Plan,
    *,
    client_key: str,
    check: Check = Check.NOT,
) -> Schedule:
    """Save a schedule with its meetings and dates, and hand them to the worker. The same key makes it once.

    `details` give the title and the options; times come from the plan. Raises Clashing.
    """
    details = option_policies.for_class(user, school_class.id, details)

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
            dates=rule.dates,
            created_at=clock.now(),
        )
        db.session.add(row)
        db.session.flush()
        for weekday, (start, minutes) in rule.times.items():
            db.session.add(ScheduleTime(schedule_id=row.id, weekday=weekday, start=start, minutes=minutes))
        _add_meetings(user, school_class, details, plan, row.id, check)
        audit_log.record("scheduled", "schedule", row.id, by=user.id, dates=len(plan.slots), meetings=len(plan.blocks))
        return row

    made = once(known, make)
    wake("meetings")
    return made


def _add_meetings(
    user: User, school_class: SchoolClass, details: Details, plan: Plan, schedule_id: UUID, check: Check
) -> None:
    """One meeting a block. The first of each time goes to Zoom now, later ones three weeks before they are needed:
    registering for all of them on one day would use up what Zoom allows an address."""
    begun: set[object] = set()
    for block in plan.blocks:
        kind = (clock.local(block.starts_at).time(), block.minutes)
        later = kind in begun
        begun.add(kind)
        first = block.slots[0]
        add_meeting(
            user,
            school_class,
            replace(details, starts_at=first.starts_at if block.is_single else block.starts_at, minutes=block.minutes),
            block.slots,
            host_for(Whose.of_class(school_class), block.slots, check),
            client_key=uuid4().hex,
            kind="scheduled" if block.is_single else "recurring",
            schedule_id=schedule_id,
            recurrence=None if block.is_single else {"weekdays": list(block.weekdays), "dates": len(block.pattern)},
            not_before=block.starts_at - AHEAD if later else None,
        )


def move_date(
    user: User, occurrence: MeetingOccurrence, starts_at: datetime, minutes: int, *, check: Check = Check.NOT
) -> None:
    """Another time for one date (loaded with its meeting). Raises NotChangeable, DateTaken and Clashing."""
    meeting = occurrence.meeting
    if meeting.kind != "recurring":
        change(user, meeting, _details(meeting, starts_at, minutes), check=check)
        return
    with writing() as session:
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
            raise DateTaken("another date of the meeting has that time")
        if check is not Check.NOT:
            check_move(meeting, Slot(starts_at, minutes), check, except_date=occurrence.id)
        before = clock.local(occurrence.starts_at)
        occurrence.starts_at, occurrence.minutes = starts_at, minutes
        occurrence.local_date = clock.local(starts_at).date()
        want_update(meeting)
        moved = f"{before.date().isoformat()} {clock.local(starts_at).isoformat()}"
        note(meeting.id, "date moved", by=user.id, detail=moved)
        audit_log.record("moved", "class date", occurrence.id, by=user.id)
    wake("meetings")


def cancel_date(user: User, occurrence: MeetingOccurrence, reason: str = "") -> None:
    """No class on one date (loaded with its meeting); the last one that is left takes the meeting with it.

    Raises NotChangeable.
    """
    meeting = occurrence.meeting
    with writing() as session:
        _hold_date(occurrence)
        others = session.scalar(
            select(MeetingOccurrence.id)
            .where(
                MeetingOccurrence.meeting_id == meeting.id,
                MeetingOccurrence.id != occurrence.id,
                MeetingOccurrence.state != "cancelled",
            )
            .limit(1)
        )
        if others is None:
            cancel(user, meeting, reason)
            return
        occurrence.state = "cancelled"
        want_update(meeting)
        day = clock.local(occurrence.starts_at).date().isoformat()
        note(meeting.id, "date cancelled", by=user.id, detail=f"{day} {reason}".strip())
        audit_log.record("cancelled", "class date", occurrence.id, by=user.id)
    wake("meetings")


def make_again(user: User, meeting: ZoomMeeting) -> None:
    """Somebody deleted the meeting at Zoom: make it anew with the dates to come, and register everybody again.

    What was held stays, with its attendance. Raises NotChangeable where no date is left.
    """
    if meeting.state != "deleted":
        raise NotChangeable(meeting.state)
    with writing() as session:
        hold(meeting)
        if meeting.state != "deleted":
            return  # another click has done it
        rows = list(session.scalars(select(MeetingOccurrence).where(MeetingOccurrence.meeting_id == meeting.id)))
        if not any(_to_come(row) for row in rows):
            raise NotChangeable("over")
        meeting.zoom_id = meeting.join_url = meeting.password = meeting.told = meeting.overridden = None
        meeting.marker, meeting.unsure = str(uuid4()), False
        meeting.state, meeting.wanted = "waiting", "create"
        meeting.trouble = meeting.trouble_detail = meeting.next_try_at = None
        meeting.attempts, meeting.updated_at = 0, clock.now()
        meeting.generation += 1
        if meeting.kind == "recurring":
            follow_the_dates(meeting, rows)
        note(meeting.id, "made again", by=user.id)
        audit_log.record("made again", "meeting", meeting.id, by=user.id)
    wake("meetings")


def follow_the_dates(meeting: ZoomMeeting, rows: Sequence[MeetingOccurrence]) -> None:
    """Give a recurring meeting that is to be made the pattern of the dates that are left.

    The usual time is the one most of them have. A date on another weekday than the series keeps no place in it.
    """
    coming = sorted((row for row in rows if _to_come(row)), key=lambda row: row.starts_at)
    if not coming:
        return
    weekdays = set(rhythm(meeting)["weekdays"])
    [((usual, minutes), _)] = Counter(_time_of(row) for row in coming).most_common(1)
    places: set[datetime] = set()
    for row in coming:
        place = clock.from_local(row.local_date, usual)
        fits = place > clock.now() and row.local_date.isoweekday() in weekdays and place not in places
        row.zoom_occurrence_id = None
        row.zoom_starts_at, row.zoom_minutes = (place, minutes) if fits else (None, None)
        if fits:
            places.add(place)
    if not places:
        return
    used = sorted({clock.local(place).isoweekday() for place in places})
    meeting.starts_at, meeting.minutes = min(places), minutes
    meeting.recurrence = {"weekdays": used, "dates": len(pattern(min(places), used, until=max(places)))}


def _time_of(row: MeetingOccurrence) -> tuple[time, int]:
    return clock.local(row.starts_at).time(), row.minutes


def _to_come(row: MeetingOccurrence) -> bool:
    return row.scheduled and row.state == "scheduled" and row.ends_at > clock.now()


def _hold_date(occurrence: MeetingOccurrence) -> None:
    """As `hold_open`, for one date. Raises NotChangeable."""
    hold_open(occurrence.meeting)
    db.session.refresh(occurrence)
    if occurrence.state != "scheduled":
        raise NotChangeable(occurrence.state)


def _details(meeting: ZoomMeeting, starts_at: datetime, minutes: int) -> Details:
    names = (name for name in Details.__dataclass_fields__ if name not in ("starts_at", "minutes"))
    return Details(starts_at=starts_at, minutes=minutes, **{name: getattr(meeting, name) for name in names})
