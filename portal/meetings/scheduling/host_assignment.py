"""Which Zoom user hosts a class or a meeting: the teacher's own, else a free one of the pool."""

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
    """The host for some dates and what they clash with. `is_possible` is false where every host is taken."""

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
    """Who is busy while it lasts: the teacher, or whoever made a meeting without a class, and the section."""

    teacher_id: UUID
    section_id: UUID | None = None

    @classmethod
    def of_class(cls, school_class: SchoolClass) -> "ScheduleParties":
        return cls(school_class.teacher_id, school_class.section_id)


def parties_of_schedule(meeting: ZoomMeeting) -> ScheduleParties:
    """The same of a meeting that is there already."""
    if meeting.class_id is None:
        return ScheduleParties(meeting.created_by)
    return ScheduleParties.of_class(db.session.get_one(SchoolClass, meeting.class_id))


def teacher_host_email(who: ScheduleParties) -> str:
    """The teacher by address: their own Zoom user, if they have one."""
    return db.session.scalars(select(User.email).where(User.id == who.teacher_id)).one()


def list_candidate_hosts(first: str) -> list[str]:
    """Who may be asked to host, the teacher first. Who Zoom does not know comes only when nobody else is there."""
    known = hosts.load_cached_hosts([first, *hosts.shared_host_emails()])
    usable = [email for email, host in known.items() if host.exists_at_zoom is not False]
    return usable or [first]


def choose_meeting_host(
    who: ScheduleParties,
    slots: Sequence[TimeSlot],
    *,
    except_meeting: UUID | None = None,
    except_date: UUID | None = None,
    only: str | None = None,
) -> HostChoice:
    """The first candidate who is free at all these times, else the first one with what is in the way.

    `only` is the host a meeting has already: it does not change any more.
    """
    able = [only] if only else list_candidate_hosts(teacher_host_email(who))
    them = {"teacher_id": who.teacher_id, "section_id": who.section_id}
    taken = conflicts.list_booked_slots(
        slots, hosts=able, except_meeting=except_meeting, except_date=except_date, **them
    )
    choices = [HostChoice(host, tuple(conflicts.find_conflicts(slots, taken, host=host, **them))) for host in able]
    chosen = next((one for one in choices if one.is_possible), choices[0])
    # Others' classes on other hosts of the pool are no reason to move.
    mine = [
        slot
        for slot in taken
        if slot.host == chosen.host
        or slot.teacher_id == who.teacher_id
        or (who.section_id is not None and slot.section_id == who.section_id)
    ]
    return HostChoice(chosen.host, tuple(conflicts.with_next_free_start(chosen.clashes, mine)))


def lock_candidate_hosts(who: ScheduleParties) -> None:
    """Within the transaction that is open: nobody else gives these hosts a class until it ends."""
    hosts.lock_zoom_hosts([teacher_host_email(who), *hosts.shared_host_emails()])


def find_free_host(meeting: ZoomMeeting, able: Sequence[CachedHost], slots: Sequence[TimeSlot]) -> CachedHost | None:
    """One of these hosts who has nothing else at these times, within the transaction that is open."""
    hosts.lock_zoom_hosts([host.email for host in able])
    taken = conflicts.list_booked_slots(slots, hosts=[host.email for host in able], except_meeting=meeting.id)
    for host in able:
        found = conflicts.find_conflicts(slots, taken, host=host.email, teacher_id=None, section_id=None)
        if not any(clash.is_blocking for clash in found):
            return host
    return None
