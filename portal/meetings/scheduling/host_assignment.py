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
from portal.meetings.scheduling.conflicts import Clash
from portal.meetings.scheduling.recurrence import Slot
from portal.zoom_account import hosts
from portal.zoom_account.hosts import Host


@dataclass(frozen=True)
class Choice:
    """The host for some dates and what they clash with. `is_possible` is false where every host is taken."""

    host: str
    clashes: tuple[Clash, ...]

    @property
    def is_possible(self) -> bool:
        return not any(clash.is_impossible for clash in self.clashes)

    @property
    def needs_a_decision(self) -> bool:
        return any(clash.needs_a_decision for clash in self.clashes)


@dataclass(frozen=True)
class Whose:
    """Who is busy while it lasts: the teacher, or whoever made a meeting without a class, and the section."""

    teacher_id: UUID
    section_id: UUID | None = None

    @classmethod
    def of_class(cls, school_class: SchoolClass) -> "Whose":
        return cls(school_class.teacher_id, school_class.section_id)


def whose(meeting: ZoomMeeting) -> Whose:
    """The same of a meeting that is there already."""
    if meeting.class_id is None:
        return Whose(meeting.created_by)
    return Whose.of_class(db.session.get_one(SchoolClass, meeting.class_id))


def own_host(who: Whose) -> str:
    """The teacher by address: their own Zoom user, if they have one."""
    return db.session.scalars(select(User.email).where(User.id == who.teacher_id)).one()


def candidates(first: str) -> list[str]:
    """Who may be asked to host, the teacher first. Who Zoom does not know comes only when nobody else is there."""
    known = hosts.remembered([first, *hosts.pool()])
    usable = [email for email, host in known.items() if host.known is not False]
    return usable or [first]


def choose(
    who: Whose,
    slots: Sequence[Slot],
    *,
    except_meeting: UUID | None = None,
    except_date: UUID | None = None,
    only: str | None = None,
) -> Choice:
    """The first candidate who is free at all these times, else the first one with what is in the way.

    `only` is the host a meeting has already: it does not change any more.
    """
    able = [only] if only else candidates(own_host(who))
    them = {"teacher_id": who.teacher_id, "section_id": who.section_id}
    taken = conflicts.busy(slots, hosts=able, except_meeting=except_meeting, except_date=except_date, **them)
    choices = [Choice(host, tuple(conflicts.find(slots, taken, host=host, **them))) for host in able]
    chosen = next((one for one in choices if one.is_possible), choices[0])
    # Others' classes on other hosts of the pool are no reason to move.
    mine = [
        one
        for one in taken
        if one.host == chosen.host
        or one.teacher_id == who.teacher_id
        or (who.section_id is not None and one.section_id == who.section_id)
    ]
    return Choice(chosen.host, tuple(conflicts.with_alternatives(chosen.clashes, mine)))


def hold(who: Whose) -> None:
    """Within the transaction that is open: nobody else gives these hosts a class until it ends."""
    hosts.hold([own_host(who), *hosts.pool()])


def free_host(meeting: ZoomMeeting, able: Sequence[Host], slots: Sequence[Slot]) -> Host | None:
    """One of these hosts who has nothing else at these times, within the transaction that is open."""
    hosts.hold([host.email for host in able])
    taken = conflicts.busy(slots, hosts=[host.email for host in able], except_meeting=meeting.id)
    for host in able:
        found = conflicts.find(slots, taken, host=host.email, teacher_id=None, section_id=None)
        if not any(clash.is_impossible for clash in found):
            return host
    return None
