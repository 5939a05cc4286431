"""Meetings without a class: whom the organiser invites, and who that is at any moment.

People are users of the portal. For the audience `personal` they are named one by one; `teachers` are those of the
organiser's school, `all` its admins as well, as they are when somebody looks: who comes to the school later is
invited too.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from sqlalchemy import ColumnElement, CompoundSelect, delete, or_, select, union

from portal.accounts.email_domain import EmailDomainError, normalise_school_email
from portal.accounts.models import User
from portal.core import audit_log, clock
from portal.core.audit_codes import AuditAction, AuditSubject
from portal.core.db import bulk_insert_ignore, db, write_transaction
from portal.core.worker_signals import notify_worker
from portal.meetings import option_policies, service
from portal.meetings.codes import Audience, MeetingEvent
from portal.meetings.models import SCHOOL_AUDIENCES, MeetingInvitation, ZoomMeeting
from portal.meetings.scheduling.host_assignment import ScheduleParties
from portal.meetings.scheduling.recurrence import TimeSlot
from portal.meetings.service import ConflictCheck, MeetingDetails

MAX_INVITEES = 300  # people named for one meeting; Zoom's plans for schools hold as many


@dataclass(frozen=True)
class InvalidAddress:
    """A line of the list that cannot be used. `address` is as it was typed."""

    line: int
    address: str
    why: Literal["outside", "nobody"]


class NotInvitable(ValueError):
    """Some addresses name nobody who can be invited; none of them was taken."""

    def __init__(self, wrong: Sequence[InvalidAddress]) -> None:
        super().__init__(f"{len(wrong)} addresses cannot be invited")
        self.wrong = tuple(wrong)


def allowed_audiences_of(user: User) -> tuple[str, ...]:
    """Whom the person may invite: a school's admin all of the school, everybody else those they name."""
    return (*SCHOOL_AUDIENCES, "personal") if user.scope == "school" and user.school_id else ("personal",)


def resolve_invitees(text: str, domains: tuple[str, ...]) -> list[User]:
    """The users behind a list of addresses, on lines of their own or with commas between. Raises NotInvitable."""
    counts: dict[str, int] = {}
    wrong: list[InvalidAddress] = []
    for number, line in enumerate(text.splitlines(), 1):
        for typed in re.split(r"[,;\s]+", line.strip()):
            if not typed:
                continue
            try:
                counts.setdefault(normalise_school_email(typed, domains), number)
            except EmailDomainError:
                wrong.append(InvalidAddress(number, typed, "outside"))
    users = {user.email: user for user in db.session.scalars(select(User).where(User.email.in_(counts), _works()))}
    wrong += [InvalidAddress(number, address, "nobody") for address, number in counts.items() if address not in users]
    if wrong:
        raise NotInvitable(sorted(wrong, key=lambda one: one.line))
    return [users[address] for address in counts]


def create_staff_meeting(
    user: User,
    details: MeetingDetails,
    people: Sequence[User],
    *,
    client_key: str,
    instant: bool = False,
    check: ConflictCheck = ConflictCheck.NOT,
) -> ZoomMeeting:
    """Save a meeting without a class and hand it to the worker. The same `client_key` gives the same meeting.

    `people` are those named, for the audience `personal`. Raises Clashing, and ValueError for an audience that
    the person may not invite.
    """
    _must_be_allowed(user, details)
    details = option_policies.apply_policies_for_class(user, None, details)

    def known() -> ZoomMeeting | None:
        return db.session.scalar(select(ZoomMeeting).where(ZoomMeeting.client_key == client_key))

    def make() -> ZoomMeeting:
        slot = TimeSlot(details.starts_at, details.minutes)
        host = service.assign_meeting_host(ScheduleParties(user.id), [slot], check)
        kind = "instant" if instant else "scheduled"
        meeting = service.add_meeting(
            user, None, details, [slot], host, client_key=client_key, kind=kind, school_id=_school_of(user, details)
        )
        _invite(meeting.id, people)
        audit_log.record_action(
            AuditAction.SCHEDULED,
            AuditSubject.MEETING,
            meeting.id,
            by=user.id,
            audience=details.audience,
            invited=len(people),
        )
        return meeting

    meeting = service.get_or_create(known, make)
    notify_worker("meetings")
    notify_worker("registration")
    return meeting


def update_staff_meeting(
    user: User,
    meeting: ZoomMeeting,
    details: MeetingDetails,
    people: Sequence[User],
    *,
    check: ConflictCheck = ConflictCheck.NOT,
) -> None:
    """Save new details and the new list of people. Raises NotChangeable and Clashing, and ValueError as above."""
    _must_be_allowed(user, details)
    with write_transaction() as session:
        service.update_meeting(user, meeting, details, check=check)
        meeting.school_id = _school_of(user, details)
        before = set(named_invitee_ids(meeting.id))
        now = {person.id for person in people}
        session.execute(
            delete(MeetingInvitation).where(
                MeetingInvitation.meeting_id == meeting.id, MeetingInvitation.user_id.in_(before - now)
            )
        )
        _invite(meeting.id, [person for person in people if person.id not in before])
        if before != now:
            service.add_meeting_history(meeting.id, MeetingEvent.INVITATIONS_CHANGED, by=user.id)
            audit_log.record_action(
                AuditAction.CHANGED_INVITATIONS, AuditSubject.MEETING, meeting.id, by=user.id, invited=len(now)
            )
    notify_worker("meetings")
    notify_worker("registration")


def _must_be_allowed(user: User, details: MeetingDetails) -> None:
    if details.audience not in allowed_audiences_of(user):
        raise ValueError(f"{details.audience} is not for this person to invite")


def _school_of(user: User, details: MeetingDetails) -> UUID | None:
    return user.school_id if details.audience in SCHOOL_AUDIENCES else None


def _invite(meeting_id: UUID, people: Sequence[User]) -> None:
    now = clock.now()
    rows = [{"meeting_id": meeting_id, "user_id": person.id, "invited_at": now} for person in people]
    if rows:
        bulk_insert_ignore(MeetingInvitation, rows)


def named_invitee_ids(meeting_id: UUID) -> list[UUID]:
    """The ids of those who were named."""
    return list(db.session.scalars(select(MeetingInvitation.user_id).where(MeetingInvitation.meeting_id == meeting_id)))


def named_invitee_addresses(meeting_id: UUID) -> list[str]:
    """The addresses of those who were named, as the form lists them."""
    return list(
        db.session.scalars(
            select(User.email)
            .join(MeetingInvitation, MeetingInvitation.user_id == User.id)
            .where(MeetingInvitation.meeting_id == meeting_id)
            .order_by(User.email)
        )
    )


def _works() -> ColumnElement[bool]:
    return User.deactivated_at.is_(None)


def select_invitees(meetings: ColumnElement[bool]) -> CompoundSelect[tuple[UUID, UUID]]:
    """(meeting_id, user_id) of everybody invited to meetings without a class, their organisers too.

    `meetings` is a condition on ZoomMeeting.
    """
    mine = ZoomMeeting.class_id.is_(None) & meetings
    of_the_school = or_(User.role == "teacher", (ZoomMeeting.audience == Audience.ALL) & (User.scope == "school"))
    return union(
        select(ZoomMeeting.id.label("meeting_id"), ZoomMeeting.created_by.label("user_id")).where(mine),
        select(ZoomMeeting.id, MeetingInvitation.user_id)
        .join(MeetingInvitation, MeetingInvitation.meeting_id == ZoomMeeting.id)
        .where(mine),
        select(ZoomMeeting.id, User.id)
        .join(User, User.school_id == ZoomMeeting.school_id)
        .where(mine, ZoomMeeting.audience.in_(SCHOOL_AUDIENCES), of_the_school, _works()),
    )
