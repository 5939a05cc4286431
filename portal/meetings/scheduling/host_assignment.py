"""Host assignment: which Zoom user hosts a meeting, the teacher's own or else a free one of the shared hosts."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select

from portal.accounts.models import User
from portal.classes.models import SchoolClass
from portal.core.db import db
from portal.meetings.models import ZoomMeeting
from portal.meetings.scheduling import conflicts
from portal.meetings.scheduling.conflicts import Conflict
from portal.meetings.scheduling.recurrence import TimeSlot
from portal.zoom_account import hosts
from portal.zoom_account.hosts import CachedHost


@dataclass(frozen=True)
class HostChoice:
    """The host for some dates, with its conflicts. `is_possible` is false where every host is booked."""

    host: str
    clashes: tuple[Conflict, ...]

    @property
    def is_possible(self) -> bool:
        return not any(clash.is_blocking for clash in self.clashes)

    @property
    def needs_confirmation(self) -> bool:
        return any(clash.needs_confirmation for clash in self.clashes)


@dataclass(frozen=True)
class ScheduleParties:
    """Who is busy during a meeting: the section, and the teacher, or the creator of a meeting without a class."""

    teacher_id: UUID
    section_id: UUID | None = None

    @classmethod
    def of_class(cls, school_class: SchoolClass) -> "ScheduleParties":
        return cls(school_class.teacher_id, school_class.section_id)


def parties_of_schedule(meeting: ZoomMeeting) -> ScheduleParties:
    """The parties of an existing meeting."""
    if meeting.class_id is None:
        return ScheduleParties(meeting.created_by)
    return ScheduleParties.of_class(db.session.get_one(SchoolClass, meeting.class_id))


def teacher_host_email(parties: ScheduleParties) -> str:
    """The teacher's e-mail address, which is that of their own Zoom user if they have one."""
    return db.session.scalars(select(User.email).where(User.id == parties.teacher_id)).one()


def list_candidate_hosts(preferred: str) -> list[str]:
    """Candidate hosts, the teacher first. Hosts unknown to Zoom are left out, unless there is nobody else."""
    cached_hosts = hosts.load_cached_hosts([preferred, *hosts.shared_host_emails()])
    usable = [email for email, host in cached_hosts.items() if host.exists_at_zoom is not False]
    return usable or [preferred]


def choose_meeting_host(
    parties: ScheduleParties,
    slots: Sequence[TimeSlot],
    *,
    except_meeting: UUID | None = None,
    except_occurrence: UUID | None = None,
    only: str | None = None,
) -> HostChoice:
    """The first candidate who is free at all these times, else the first one with its conflicts.

    `only` is the host of an existing meeting, which cannot change.
    """
    candidates = [only] if only else list_candidate_hosts(teacher_host_email(parties))
    party_ids = {"teacher_id": parties.teacher_id, "section_id": parties.section_id}
    booked_slots = conflicts.list_booked_slots(
        slots, hosts=candidates, except_meeting=except_meeting, except_occurrence=except_occurrence, **party_ids
    )
    choices = [
        HostChoice(host, tuple(conflicts.find_conflicts(slots, booked_slots, host=host, **party_ids)))
        for host in candidates
    ]
    chosen = next((candidate_choice for candidate_choice in choices if candidate_choice.is_possible), choices[0])
    # Bookings of other people on other shared hosts are no reason to suggest another start.
    relevant_slots = [
        slot
        for slot in booked_slots
        if slot.host == chosen.host
        or slot.teacher_id == parties.teacher_id
        or (parties.section_id is not None and slot.section_id == parties.section_id)
    ]
    return HostChoice(chosen.host, tuple(conflicts.with_next_free_start(chosen.clashes, relevant_slots)))


def lock_candidate_hosts(parties: ScheduleParties) -> None:
    """Lock the candidate hosts until the open transaction ends, so that no other meeting is assigned to them."""
    hosts.lock_zoom_hosts([teacher_host_email(parties), *hosts.shared_host_emails()])


def find_free_host(
    meeting: ZoomMeeting, candidates: Sequence[CachedHost], slots: Sequence[TimeSlot]
) -> CachedHost | None:
    """One of these hosts without conflicts at these times, or None; within the open transaction."""
    hosts.lock_zoom_hosts([host.email for host in candidates])
    booked_slots = conflicts.list_booked_slots(
        slots, hosts=[host.email for host in candidates], except_meeting=meeting.id
    )
    for host in candidates:
        host_conflicts = conflicts.find_conflicts(
            slots, booked_slots, host=host.email, teacher_id=None, section_id=None
        )
        if not any(conflict.is_blocking for conflict in host_conflicts):
            return host
    return None
