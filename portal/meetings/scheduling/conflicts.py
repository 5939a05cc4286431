"""Scheduling conflicts: two classes at once of the same Zoom host, the same teacher or the same section.

A Zoom user runs one meeting at a time, so an overlap of one host is blocking; an overlap of a teacher or a section
needs a person's confirmation. So does a gap of less than ten minutes between two classes of one host: the first
has to be ended in time.
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
FIRST_START, LAST_START = time(6, 0), time(20, 0)  # the earliest and the latest start that is suggested


@dataclass(frozen=True)
class BookedSlot:
    """An occurrence that is scheduled already."""

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
    """A requested slot in conflict with a booked one. `free_at`: the next start that day without conflicts, if any."""

    slot: TimeSlot
    other: BookedSlot
    same_host: bool
    same_teacher: bool
    same_section: bool
    overlaps: bool
    free_at: datetime | None = None

    @property
    def is_blocking(self) -> bool:
        """Zoom cannot run both."""
        return self.same_host and self.overlaps

    @property
    def usual_day(self) -> str:
        """The regular date of the slot, before any exception, in the format that forms send."""
        return clock.to_manila(self.slot.pattern).date().isoformat()

    @property
    def free_time(self) -> str:
        """`free_at` in Manila time, in the format that forms send."""
        return clock.to_manila(self.free_at).strftime("%H:%M") if self.free_at else ""

    @property
    def needs_confirmation(self) -> bool:
        """True for an overlap, and for one host with less than the buffer in between."""
        return self.overlaps or self.same_host


def list_booked_slots(
    slots: Sequence[TimeSlot],
    *,
    hosts: Collection[str],
    teacher_id: UUID | None = None,
    section_id: UUID | None = None,
    except_meeting: UUID | None = None,
    except_occurrence: UUID | None = None,
) -> list[BookedSlot]:
    """All bookings of these hosts, this teacher and this section around the slots' dates, in one statement."""
    if not slots:
        return []
    party_clauses: list[ColumnElement[bool]] = [ZoomMeeting.host_email.in_(hosts)]
    busy_teacher = func.coalesce(SchoolClass.teacher_id, ZoomMeeting.created_by)  # without a class: the creator
    if teacher_id is not None:
        party_clauses.append(busy_teacher == teacher_id)
    if section_id is not None:
        party_clauses.append(SchoolClass.section_id == section_id)
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
            or_(*party_clauses),
            *([ZoomMeeting.id != except_meeting] if except_meeting else []),
            *([MeetingOccurrence.id != except_occurrence] if except_occurrence else []),
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
            section_id=booked_section_id,
            teacher_id=booked_teacher_id,
            teacher=name,
        )
        for (
            starts_at,
            minutes,
            meeting_id,
            host,
            title,
            subject,
            grade,
            section,
            booked_section_id,
            booked_teacher_id,
            name,
        ) in rows
    ]


def find_conflicts(
    slots: Sequence[TimeSlot],
    booked_slots: Sequence[BookedSlot],
    *,
    host: str,
    teacher_id: UUID | None,
    section_id: UUID | None,
) -> list[Conflict]:
    """All conflicts of the slots with the booked ones, in the order of the slots."""
    by_day: dict[object, list[BookedSlot]] = {}
    for booked in booked_slots:
        by_day.setdefault(clock.to_manila(booked.starts_at).date(), []).append(booked)
    conflicts = []
    for slot in slots:
        day = clock.to_manila(slot.starts_at).date()
        nearby_slots = [booked for shift in (-1, 0, 1) for booked in by_day.get(day + timedelta(days=shift), [])]
        for booked in nearby_slots:
            conflict = _compare_slots(slot, booked, host, teacher_id, section_id)
            if conflict:
                conflicts.append(conflict)
    return conflicts


def with_next_free_start(conflicts_found: Sequence[Conflict], booked_slots: Sequence[BookedSlot]) -> list[Conflict]:
    """The same conflicts, each with the next start of that day that has none."""
    return [
        Conflict(
            conflict.slot,
            conflict.other,
            conflict.same_host,
            conflict.same_teacher,
            conflict.same_section,
            conflict.overlaps,
            next_free_start(conflict.slot, booked_slots),
        )
        for conflict in conflicts_found
    ]


def next_free_start(slot: TimeSlot, booked_slots: Sequence[BookedSlot]) -> datetime | None:
    """The next start on the slot's day that keeps the buffer to all booked slots."""
    duration = timedelta(minutes=slot.minutes)
    day = clock.to_manila(slot.starts_at).date()
    latest_start = clock.from_manila(day, LAST_START)
    start = max(slot.starts_at, clock.now())
    for booked in sorted(booked_slots, key=lambda booked_slot: booked_slot.starts_at):
        if booked.starts_at < start + duration + BUFFER and booked.ends_at > start - BUFFER:
            start = _round_up(booked.ends_at + BUFFER)
    return start if slot.starts_at < start <= latest_start else None


def _round_up(moment: datetime) -> datetime:
    remainder = moment.timestamp() % SLOT_STEP.total_seconds()
    return moment if not remainder else moment + SLOT_STEP - timedelta(seconds=remainder)


def _compare_slots(
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
