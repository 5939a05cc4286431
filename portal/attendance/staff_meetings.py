"""Who came to a meeting without a class: the invited with their time, and whoever else was in. No marks, no sheet."""

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import select

from portal.accounts.models import User
from portal.attendance.calculation.marks import SheetResult, UnmatchedParticipant, compute_sheet
from portal.attendance.calculation.matching import StaffMember
from portal.attendance.sheet.compute import SheetEvidence, load_sheet_evidence
from portal.core.db import db
from portal.meetings.models import MeetingOccurrence, ZoomMeeting
from portal.meetings.staff_meetings import service as staff_meetings_service
from portal.registration.queries import registrant_ids_by_person


@dataclass(frozen=True)
class InviteePresence:
    """One person and their time in the meeting, in whole seconds; `stays` is 0 for who never came."""

    user_id: UUID
    name: str
    email: str
    organiser: bool
    seconds: int = 0
    first_join: datetime | None = None
    last_leave: datetime | None = None
    stays: int = 0
    inside: bool = False  # at this moment


@dataclass(frozen=True)
class StaffMeetingAttendance:
    """`others` were in without being known: no registration, no address of anybody invited."""

    people: tuple[InviteePresence, ...]
    others: tuple[UnmatchedParticipant, ...]
    has_instances: bool  # some running of the meeting is known
    is_over: bool

    @property
    def joined(self) -> int:
        return sum(1 for one in self.people if one.stays)

    @property
    def rate(self) -> float:
        """Joined of invited, from 0 to 1."""
        return self.joined / len(self.people) if self.people else 0.0

    @property
    def average_seconds(self) -> int:
        """Of those who came."""
        return round(self.total_seconds / self.joined) if self.joined else 0

    @property
    def total_seconds(self) -> int:
        return sum(one.seconds for one in self.people)


@dataclass(frozen=True)
class InviteeEvidence:
    """The invited in the order of their names, and what they were found by: the evidence and whose each stay is."""

    people: tuple[InviteePresence, ...]
    loaded: SheetEvidence
    result: SheetResult


def load_invitee_evidence(occurrence: MeetingOccurrence) -> InviteeEvidence:
    """The invited of the date's meeting with their time; six to eight statements whatever their number."""
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
    ids: dict[UUID, set[str]] = {}
    for _learner, user_id, registrant_id in registrant_ids_by_person(meeting.id):
        if user_id:
            ids.setdefault(user_id, set()).add(registrant_id)
    loaded = load_sheet_evidence(occurrence, meeting)
    lines = tuple(StaffMember(str(key), frozenset(ids.get(key, ())), email, (name,)) for key, name, email in people)
    result = compute_sheet(replace(loaded.input, staff=lines))
    presences = {one.user_id: one for one in result.staff}
    found = []
    for user_id, name, email in people:
        here = InviteePresence(user_id, name, email, organiser=user_id == meeting.created_by)
        if stays := presences.get(str(user_id)):
            here = replace(
                here,
                seconds=stays.seconds,
                first_join=stays.first_join,
                last_leave=stays.last_leave,
                stays=stays.stay_count,
                inside=stays.is_in_meeting,
            )
        found.append(here)
    return InviteeEvidence(tuple(found), loaded, result)


def staff_meeting_attendance(occurrence: MeetingOccurrence) -> StaffMeetingAttendance:
    """The invited of the date's meeting, those who came first."""
    gathered = load_invitee_evidence(occurrence)
    return StaffMeetingAttendance(
        people=tuple(sorted(gathered.people, key=lambda one: (not one.stays, one.name))),
        others=gathered.result.unmatched,
        has_instances=gathered.loaded.has_instances,
        is_over=gathered.loaded.input.knowledge.is_over,
    )
