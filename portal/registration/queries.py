"""How far the registration of a meeting is, and each person's state."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select

from portal.accounts.models import User
from portal.base.db import db
from portal.classes.models import Enrolment, Learner, SchoolClass
from portal.classes.queries import lis_order
from portal.meetings.models import ZoomMeeting
from portal.registration.models import MeetingRegistrant


@dataclass(frozen=True)
class Progress:
    """Counts of wanted registrants of one meeting. `done` of `total`; the rest waits or failed."""

    total: int = 0
    done: int = 0
    waiting: int = 0
    failed: int = 0

    @property
    def running(self) -> bool:
        return self.waiting > 0


def progress_of(meeting_ids: list[UUID]) -> dict[UUID, Progress]:
    """Progress of several meetings in one statement; meetings without rows are left out."""
    rows = db.session.execute(
        select(MeetingRegistrant.meeting_id, MeetingRegistrant.state, func.count())
        .where(
            MeetingRegistrant.meeting_id.in_(meeting_ids),
            MeetingRegistrant.wanted,
            MeetingRegistrant.learner_id.is_not(None),
        )
        .group_by(MeetingRegistrant.meeting_id, MeetingRegistrant.state)
    )
    counts: dict[UUID, dict[str, int]] = {}
    for meeting_id, state, number in rows:
        counts.setdefault(meeting_id, {})[state] = number
    return {meeting_id: _progress(states) for meeting_id, states in counts.items()}


def progress(meeting_id: UUID) -> Progress:
    return progress_of([meeting_id]).get(meeting_id, Progress())


def _progress(states: dict[str, int]) -> Progress:
    return Progress(
        total=sum(states.values()),
        done=states.get("registered", 0) + states.get("pending", 0),
        waiting=states.get("waiting", 0),
        failed=states.get("failed", 0) + states.get("denied", 0) + states.get("cancelled", 0),
    )


@dataclass(frozen=True)
class RegistrantLine:
    """A learner or, without `learner_id`, a teacher, with the state at Zoom and the personal link."""

    id: UUID
    learner_id: UUID | None
    last_name: str
    first_name: str
    middle_name: str
    extension: str
    sex: str | None
    email: str
    state: str
    reason: str | None
    join_url: str | None
    has_lrn: bool


def registrants(meeting_id: UUID) -> list[RegistrantLine]:
    """Everybody wanted at the meeting: learners in LIS order, then the staff."""
    rows = db.session.execute(
        select(MeetingRegistrant, Learner, User)
        .join(ZoomMeeting, ZoomMeeting.id == MeetingRegistrant.meeting_id)
        .outerjoin(SchoolClass, SchoolClass.id == ZoomMeeting.class_id)
        .outerjoin(Learner, Learner.id == MeetingRegistrant.learner_id)
        .outerjoin(
            Enrolment,
            (Enrolment.learner_id == Learner.id)
            & (Enrolment.section_id == SchoolClass.section_id)
            & Enrolment.until_date.is_(None),
        )
        .outerjoin(User, User.id == MeetingRegistrant.user_id)
        .where(MeetingRegistrant.meeting_id == meeting_id, MeetingRegistrant.wanted)
        .order_by(MeetingRegistrant.learner_id.is_(None), *lis_order)
    )
    return [_line(registrant, learner) for registrant, learner, _user in rows]


def _line(registrant: MeetingRegistrant, learner: Learner | None) -> RegistrantLine:
    return RegistrantLine(
        id=registrant.id,
        learner_id=registrant.learner_id,
        last_name=learner.last_name if learner else registrant.last_name,
        first_name=learner.first_name if learner else registrant.first_name,
        middle_name=learner.middle_name if learner else "",
        extension=learner.extension if learner else "",
        sex=learner.sex if learner else None,
        email=registrant.email,
        state=registrant.state,
        reason=registrant.reason,
        join_url=registrant.join_url,
        has_lrn=bool(learner and learner.lrn),
    )
