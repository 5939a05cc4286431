"""Meetings without a class: whom the organiser may invite, and who is invited at any moment.

Invitees are portal users. For the audience `personal` they are named one by one; `teachers` are those of the
organiser's school, `all` its admins as well. Both are evaluated on each query: somebody who joins the school later
is invited too.
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
from portal.core.worker_signals import Topic, notify_worker
from portal.meetings import option_policies, service
from portal.meetings.codes import Audience, MeetingEvent
from portal.meetings.models import SCHOOL_AUDIENCES, MeetingInvitation, ZoomMeeting
from portal.meetings.scheduling.host_assignment import ScheduleParties
from portal.meetings.scheduling.recurrence import TimeSlot
from portal.meetings.service import ConflictCheck, MeetingDetails

MAX_INVITEES = 300  # people named for one meeting; Zoom's school plans hold as many


@dataclass(frozen=True)
class InvalidAddress:
    """An entry of the address list that cannot be used. `address` is as typed."""

    line: int
    address: str
    why: Literal["outside", "nobody"]


class NotInvitable(ValueError):
    """Some addresses cannot be invited; none was accepted."""

    def __init__(self, invalid: Sequence[InvalidAddress]) -> None:
        super().__init__(f"{len(invalid)} addresses cannot be invited")
        self.wrong = tuple(invalid)


def allowed_audiences_of(user: User) -> tuple[str, ...]:
    """The audiences a user may invite: a school's admin all of the school, everybody else people they name."""
    return (*SCHOOL_AUDIENCES, "personal") if user.scope == "school" and user.school_id else ("personal",)


def resolve_invitees(text: str, domains: tuple[str, ...]) -> list[User]:
    """The users of a list of addresses, separated by lines, spaces or commas. Raises NotInvitable."""
    line_numbers: dict[str, int] = {}
    invalid: list[InvalidAddress] = []
    for number, line in enumerate(text.splitlines(), 1):
        for address in re.split(r"[,;\s]+", line.strip()):
            if not address:
                continue
            try:
                line_numbers.setdefault(normalise_school_email(address, domains), number)
            except EmailDomainError:
                invalid.append(InvalidAddress(number, address, "outside"))
    users = {
        user.email: user
        for user in db.session.scalars(select(User).where(User.email.in_(line_numbers), _active_users_clause()))
    }
    invalid += [
        InvalidAddress(number, normalised, "nobody")
        for normalised, number in line_numbers.items()
        if normalised not in users
    ]
    if invalid:
        raise NotInvitable(sorted(invalid, key=lambda entry: entry.line))
    return [users[normalised] for normalised in line_numbers]


def create_staff_meeting(
    user: User,
    details: MeetingDetails,
    people: Sequence[User],
    *,
    client_key: str,
    instant: bool = False,
    check: ConflictCheck = ConflictCheck.NOT,
) -> ZoomMeeting:
    """Save a meeting without a class and queue it for the worker. Idempotent by `client_key`.

    `people` are those named, for the audience `personal`. Raises SchedulingConflict, and ValueError for an audience
    that the user may not invite.
    """
    _require_allowed_audience(user, details)
    details = option_policies.apply_policies_for_class(user, None, details)

    def find_meeting() -> ZoomMeeting | None:
        return db.session.scalar(select(ZoomMeeting).where(ZoomMeeting.client_key == client_key))

    def make_meeting() -> ZoomMeeting:
        slot = TimeSlot(details.starts_at, details.minutes)
        host = service.assign_meeting_host(ScheduleParties(user.id), [slot], check)
        kind = "instant" if instant else "scheduled"
        meeting = service.add_meeting(
            user,
            None,
            details,
            [slot],
            host,
            client_key=client_key,
            kind=kind,
            school_id=_audience_school_id(user, details),
        )
        _add_invitations(meeting.id, people)
        audit_log.record_action(
            AuditAction.SCHEDULED,
            AuditSubject.MEETING,
            meeting.id,
            by=user.id,
            audience=details.audience,
            invited=len(people),
        )
        return meeting

    meeting = service.get_or_create(find_meeting, make_meeting)
    notify_worker(Topic.MEETINGS)
    notify_worker(Topic.ROSTERS)
    return meeting


def update_staff_meeting(
    user: User,
    meeting: ZoomMeeting,
    details: MeetingDetails,
    people: Sequence[User],
    *,
    check: ConflictCheck = ConflictCheck.NOT,
) -> None:
    """Save new details and invitees. Raises MeetingNotChangeable, SchedulingConflict, and ValueError as above."""
    _require_allowed_audience(user, details)
    with write_transaction() as session:
        service.update_meeting(user, meeting, details, check=check)
        meeting.school_id = _audience_school_id(user, details)
        old_ids = set(named_invitee_ids(meeting.id))
        new_ids = {person.id for person in people}
        session.execute(
            delete(MeetingInvitation).where(
                MeetingInvitation.meeting_id == meeting.id, MeetingInvitation.user_id.in_(old_ids - new_ids)
            )
        )
        _add_invitations(meeting.id, [person for person in people if person.id not in old_ids])
        if old_ids != new_ids:
            service.add_meeting_history(meeting.id, MeetingEvent.INVITATIONS_CHANGED, by=user.id)
            audit_log.record_action(
                AuditAction.CHANGED_INVITATIONS, AuditSubject.MEETING, meeting.id, by=user.id, invited=len(new_ids)
            )
    notify_worker(Topic.MEETINGS)
    notify_worker(Topic.ROSTERS)


def _require_allowed_audience(user: User, details: MeetingDetails) -> None:
    if details.audience not in allowed_audiences_of(user):
        raise ValueError(f"{details.audience} is not for this person to invite")


def _audience_school_id(user: User, details: MeetingDetails) -> UUID | None:
    return user.school_id if details.audience in SCHOOL_AUDIENCES else None


def _add_invitations(meeting_id: UUID, people: Sequence[User]) -> None:
    now = clock.now()
    rows = [{"meeting_id": meeting_id, "user_id": person.id, "invited_at": now} for person in people]
    if rows:
        bulk_insert_ignore(MeetingInvitation, rows)


def named_invitee_ids(meeting_id: UUID) -> list[UUID]:
    """The ids of the named users."""
    return list(db.session.scalars(select(MeetingInvitation.user_id).where(MeetingInvitation.meeting_id == meeting_id)))


def named_invitee_addresses(meeting_id: UUID) -> list[str]:
    """The addresses of the named users, as the form lists them."""
    return list(
        db.session.scalars(
            select(User.email)
            .join(MeetingInvitation, MeetingInvitation.user_id == User.id)
            .where(MeetingInvitation.meeting_id == meeting_id)
            .order_by(User.email)
        )
    )


def _active_users_clause() -> ColumnElement[bool]:
    return User.deactivated_at.is_(None)


def select_invitees(meetings: ColumnElement[bool]) -> CompoundSelect[tuple[UUID, UUID]]:
    """(meeting_id, user_id) of everybody invited to meetings without a class, organisers included.

    `meetings` is a condition on ZoomMeeting.
    """
    staff_meetings_only = ZoomMeeting.class_id.is_(None) & meetings
    school_members = or_(User.role == "teacher", (ZoomMeeting.audience == Audience.ALL) & (User.scope == "school"))
    return union(
        select(ZoomMeeting.id.label("meeting_id"), ZoomMeeting.created_by.label("user_id")).where(staff_meetings_only),
        select(ZoomMeeting.id, MeetingInvitation.user_id)
        .join(MeetingInvitation, MeetingInvitation.meeting_id == ZoomMeeting.id)
        .where(staff_meetings_only),
        select(ZoomMeeting.id, User.id)
        .join(User, User.school_id == ZoomMeeting.school_id)
        .where(staff_meetings_only, ZoomMeeting.audience.in_(SCHOOL_AUDIENCES), school_members, _active_users_clause()),
    )
