"""Attendance of a meeting without a class: each invitee's time, and the unmatched participants. No marks, no sheet."""

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import select

from portal.accounts.models import User
from portal.attendance.calculation.marks import SheetResult, UnmatchedParticipant, compute_sheet
from portal.attendance.calculation.matching import StaffMember
from portal.attendance.sheet.evidence_loader import SheetEvidence, load_sheet_evidence
from portal.core.db import db
from portal.meetings.models import MeetingOccurrence, ZoomMeeting
from portal.meetings.staff_meetings import service as staff_meetings_service
from portal.registration.queries import registrant_ids_by_person


@dataclass(frozen=True)
class InviteePresence:
    """One invitee and their time in the meeting, in whole seconds; `stays` is 0 for who never joined."""

    user_id: UUID
    name: str
    email: str
    organiser: bool
    seconds: int = 0
    first_join: datetime | None = None
    last_leave: datetime | None = None
    stays: int = 0
    inside: bool = False  # in the meeting now


@dataclass(frozen=True)
class StaffMeetingAttendance:
    """`others` are unmatched participants: neither registrant id nor address is an invitee's."""

    people: tuple[InviteePresence, ...]
    others: tuple[UnmatchedParticipant, ...]
    has_instances: bool  # at least one instance of the meeting is known
    is_over: bool

    @property
    def joined(self) -> int:
        return sum(1 for invitee in self.people if invitee.stays)

    @property
    def rate(self) -> float:
        """Joined of invited, from 0 to 1."""
        return self.joined / len(self.people) if self.people else 0.0

    @property
    def average_seconds(self) -> int:
        """Of those who joined."""
        return round(self.total_seconds / self.joined) if self.joined else 0

    @property
    def total_seconds(self) -> int:
        return sum(invitee.seconds for invitee in self.people)


@dataclass(frozen=True)
class InviteeEvidence:
    """The invitees by name, with the loaded evidence and the matched result."""

    people: tuple[InviteePresence, ...]
    loaded: SheetEvidence
    result: SheetResult


def load_invitee_evidence(occurrence: MeetingOccurrence) -> InviteeEvidence:
    """The invitees of the date's meeting with their time; six to eight statements, whatever their number."""
    meeting = occurrence.meeting
    people = db.session.execute(
        select(User.id, User.full_name, User.email)
        .where(
            User.id.in_(
                select(staff_meetings_service.select_invitees(ZoomMeeting.id == meeting.id).subquery().c.user_id)
            )
        )
        .order_by(User.full_name, User.id)
    ).all()
    registrant_ids: dict[UUID, set[str]] = {}
    for _learner, user_id, registrant_id in registrant_ids_by_person(meeting.id):
        if user_id:
            registrant_ids.setdefault(user_id, set()).add(registrant_id)
    evidence = load_sheet_evidence(occurrence, meeting)
    staff_members = tuple(
        StaffMember(str(key), frozenset(registrant_ids.get(key, ())), email, (name,)) for key, name, email in people
    )
    result = compute_sheet(replace(evidence.input, staff=staff_members))
    presences = {presence.user_id: presence for presence in result.staff}
    invitees = []
    for user_id, name, email in people:
        invitee = InviteePresence(user_id, name, email, organiser=user_id == meeting.created_by)
        if stays := presences.get(str(user_id)):
            invitee = replace(
                invitee,
                seconds=stays.seconds,
                first_join=stays.first_join,
                last_leave=stays.last_leave,
                stays=stays.stay_count,
                inside=stays.is_in_meeting,
            )
        invitees.append(invitee)
    return InviteeEvidence(tuple(invitees), evidence, result)


def staff_meeting_attendance(occurrence: MeetingOccurrence) -> StaffMeetingAttendance:
    """The invitees of the date's meeting, those who joined first."""
    invitee_evidence = load_invitee_evidence(occurrence)
    return StaffMeetingAttendance(
        people=tuple(sorted(invitee_evidence.people, key=lambda invitee: (not invitee.stays, invitee.name))),
        others=invitee_evidence.result.unmatched,
        has_instances=invitee_evidence.loaded.has_instances,
        is_over=invitee_evidence.loaded.input.knowledge.is_over,
    )
