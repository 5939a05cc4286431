"""Two classes at once: of the same Zoom host, the same teacher or the same section.

A Zoom user runs one meeting at a time, so an overlap there cannot be scheduled; a teacher or a section in two
places is a person's decision. Less than ten minutes between two classes of one host needs a look as well: the
first has to be ended in time.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import aliased

from portal.accounts.models import User
from portal.classes.models import SchoolClass, Section
from portal.core import clock
from portal.core.db import db
from portal.meetings.codes import MeetingState, OccurrenceState
from portal.meetings.models import MeetingOccurrence, ZoomMeeting
from portal.meetings.scheduling.recurrence import TimeSlot

BUFFER = timedelta(minutes=10)
SLOT_STEP = timedelta(minutes=5)
FIRST_START, LAST_START = time(6, 0), time(20, 0)  # nobody is offered a class that begins earlier, or later


@dataclass(frozen=True)
class BookedSlot:
    """A class that is scheduled already."""

    starts_at: datetime
    minutes: int
    meeting_id: UUID
    host: str
    title: str
    subject: str | None
    section_title: str
    section_id: UUID | None
    teacher_id: UUID | None
    teacher: str | None

    @property
    def ends_at(self) -> datetime:
        return self.starts_at + timedelta(minutes=self.minutes)


@dataclass(frozen=True)
class Conflict:
    """A wanted class that meets another one. `free_at` is the next start that day without any clash, if any."""

    slot: TimeSlot
    other: BookedSlot
    same_host: bool
    same_teacher: bool
    same_section: bool
    overlaps: bool
    free_at: datetime | None = None

    @property
    def is_blocking(self) -> bool:
        """Zoom could not run both."""
        return self.same_host and self.overlaps

    @property
    def usual_day(self) -> str:
        """The day of the rhythm it belongs to, as forms send it."""
        return clock.to_manila(self.slot.pattern).date().isoformat()

    @property
    def free_time(self) -> str:
        """`free_at` on the clock in Manila, as forms send it."""
        return clock.to_manila(self.free_at).strftime("%H:%M") if self.free_at else ""

    @property
    def needs_confirmation(self) -> bool:
        """Worth stopping for: an overlap, or one host with too little time between."""
        return self.overlaps or self.same_host


def list_booked_slots(
    slots: Sequence[TimeSlot],
    *,
    hosts: Collection[str],
    teacher_id: UUID | None = None,
    section_id: UUID | None = None,
    except_meeting: UUID | None = None,
    except_date: UUID | None = None,
) -> list[BookedSlot]:
    """Everything of these hosts, this teacher and this section around the slots' dates, in one statement."""
    if not slots:
        return []
    whose: list[ColumnElement[bool]] = [ZoomMeeting.host_email.in_(hosts)]
    busy_teacher = func.coalesce(SchoolClass.teacher_id, ZoomMeeting.created_by)  # who made it, without a class
    if teacher_id is not None:
        whose.append(busy_teacher == teacher_id)
    if section_id is not None:
        whose.append(SchoolClass.section_id == section_id)
    teacher = aliased(User)
    first = min(slot.starts_at for slot in slots) - timedelta(days=1)
    last = max(slot.starts_at for slot in slots) + timedelta(days=1)
    rows = db.session.execute(
        select(
            MeetingOccurrence.starts_at,
            MeetingOccurrence.minutes,
            ZoomMeeting.id,
            ZoomMeeting.host_email,
            ZoomMeeting.title,
            SchoolClass.subject,
            Section.grade_level,
            Section.name,
            SchoolClass.section_id,
            busy_teacher,
            teacher.full_name,
        )
        .join(ZoomMeeting, ZoomMeeting.id == MeetingOccurrence.meeting_id)
        .outerjoin(SchoolClass, SchoolClass.id == ZoomMeeting.class_id)
        .outerjoin(Section, Section.id == SchoolClass.section_id)
        .outerjoin(teacher, teacher.id == busy_teacher)
        .where(
            MeetingOccurrence.local_date.between(clock.to_manila(first).date(), clock.to_manila(last).date()),
            MeetingOccurrence.state.in_((OccurrenceState.SCHEDULED, OccurrenceState.STARTED)),
            MeetingOccurrence.is_scheduled,
            ZoomMeeting.state.in_((MeetingState.PENDING_ZOOM, MeetingState.SCHEDULED, MeetingState.STARTED)),
            or_(*whose),
            *([ZoomMeeting.id != except_meeting] if except_meeting else []),
            *([MeetingOccurrence.id != except_date] if except_date else []),
        )
        .order_by(MeetingOccurrence.starts_at, MeetingOccurrence.id)
    )
    return [
        BookedSlot(
            starts_at=starts_at,
            minutes=minutes,
            meeting_id=meeting_id,
            host=host,
            title=title,
            subject=subject,
            section_title=f"{grade} - {section}" if section else "",
            section_id=section_of,
            teacher_id=teacher_of,
            teacher=name,
        )
        for starts_at, minutes, meeting_id, host, title, subject, grade, section, section_of, teacher_of, name in rows
    ]


def find_conflicts(
    slots: Sequence[TimeSlot],
    taken: Sequence[BookedSlot],
    *,
    host: str,
    teacher_id: UUID | None,
    section_id: UUID | None,
) -> list[Conflict]:
    """Every clash of the slots with what is scheduled, in the order of the slots."""
    by_day: dict[object, list[BookedSlot]] = {}
    for one in taken:
        by_day.setdefault(clock.to_manila(one.starts_at).date(), []).append(one)
    conflicts = []
    for slot in slots:
        day = clock.to_manila(slot.starts_at).date()
        near = [one for shift in (-1, 0, 1) for one in by_day.get(day + timedelta(days=shift), [])]
        for one in near:
            clash = _meet(slot, one, host, teacher_id, section_id)
            if clash:
                conflicts.append(clash)
    return conflicts


def with_next_free_start(clashes: Sequence[Conflict], taken: Sequence[BookedSlot]) -> list[Conflict]:
    """The same, each with the next start of that day at which nothing clashes."""
    return [
        Conflict(
            clash.slot,
            clash.other,
            clash.same_host,
            clash.same_teacher,
            clash.same_section,
            clash.overlaps,
            next_free_start(clash.slot, taken),
        )
        for clash in clashes
    ]


def next_free_start(slot: TimeSlot, taken: Sequence[BookedSlot]) -> datetime | None:
    """The next start on the slot's day that leaves the buffer to everything in `taken`."""
    length = timedelta(minutes=slot.minutes)
    day = clock.to_manila(slot.starts_at).date()
    last = clock.from_manila(day, LAST_START)
    start = max(slot.starts_at, clock.now())
    for one in sorted(taken, key=lambda busy: busy.starts_at):
        if one.starts_at < start + length + BUFFER and one.ends_at > start - BUFFER:
            start = _round_up(one.ends_at + BUFFER)
    return start if slot.starts_at < start <= last else None


def _round_up(moment: datetime) -> datetime:
    rest = moment.timestamp() % SLOT_STEP.total_seconds()
    return moment if not rest else moment + SLOT_STEP - timedelta(seconds=rest)


def _meet(
    slot: TimeSlot, one: BookedSlot, host: str, teacher_id: UUID | None, section_id: UUID | None
) -> Conflict | None:
    if one.starts_at >= slot.ends_at + BUFFER or one.ends_at + BUFFER <= slot.starts_at:
        return None
    same = (
        one.host == host,
        teacher_id is not None and one.teacher_id == teacher_id,
        section_id is not None and one.section_id == section_id,
    )
    if not any(same):
        return None
    overlaps = one.starts_at < slot.ends_at and one.ends_at > slot.starts_at
    return Conflict(slot, one, *same, overlaps)
