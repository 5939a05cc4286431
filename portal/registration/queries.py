"""SELECTs on registrants: a meeting's progress, and each person's state."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import ceil
from uuid import UUID

from sqlalchemy import and_, case, func, or_, select, union_all
from sqlalchemy.orm import aliased

from portal.accounts.models import User
from portal.classes.models import Enrolment, Learner, SchoolClass
from portal.classes.queries import lis_order
from portal.core import clock
from portal.core.db import UTCDateTime, db
from portal.meetings.codes import Audience, MeetingState, OccurrenceState
from portal.meetings.models import MeetingOccurrence, ZoomMeeting
from portal.registration.codes import RegistrantState
from portal.registration.models import FAILURES, FormerRegistrant, MeetingRegistrant

BATCHES_A_SECOND, SINGLES_A_SECOND = 6, 25  # throughput that Zoom's rate limits and the pauses between calls allow
SOON_WINDOW = timedelta(minutes=2)


@dataclass(frozen=True)
class RegistrationProgress:
    """Counts of a meeting's expected learners, or of its invitees where there is no class: `done` of `total`, the
    others are waiting or failed.

    Of those waiting, `deferred` are postponed until `resumes_at` or later; `seconds_left` is an estimate for the
    others, including the queue before them, or None if nothing is running.
    """

    total: int = 0
    done: int = 0
    waiting: int = 0
    failed: int = 0
    deferred: int = 0
    resumes_at: datetime | None = None
    seconds_left: int | None = None

    @property
    def running(self) -> bool:
        return self.waiting > self.deferred


def progress_of_meetings(meeting_ids: list[UUID]) -> dict[UUID, RegistrationProgress]:
    """Progress of several meetings in one statement, without estimates; meetings without rows are left out."""
    soon_until = clock.now() + SOON_WINDOW
    deferred_until = case((MeetingRegistrant.next_attempt_at > soon_until, MeetingRegistrant.next_attempt_at))
    rows = db.session.execute(
        select(
            MeetingRegistrant.meeting_id,
            MeetingRegistrant.state,
            func.count(),
            func.count(deferred_until),
            func.min(deferred_until, type_=UTCDateTime()),
        )
        .join(ZoomMeeting, ZoomMeeting.id == MeetingRegistrant.meeting_id)
        .where(
            MeetingRegistrant.meeting_id.in_(meeting_ids),
            MeetingRegistrant.is_expected,
            or_(MeetingRegistrant.learner_id.is_not(None), ZoomMeeting.class_id.is_(None)),
        )
        .group_by(MeetingRegistrant.meeting_id, MeetingRegistrant.state)
    )
    states_by_meeting: dict[UUID, dict[str, tuple[int, int, datetime | None]]] = {}
    for meeting_id, state, count, deferred, resumes_at in rows:
        states_by_meeting.setdefault(meeting_id, {})[state] = (count, deferred, resumes_at)
    return {meeting_id: _progress_of_states(states) for meeting_id, states in states_by_meeting.items()}


def _progress_of_states(states: dict[str, tuple[int, int, datetime | None]]) -> RegistrationProgress:
    counts = {state: count for state, (count, _, _) in states.items()}
    waiting = [states[state] for state in (RegistrantState.QUEUED, RegistrantState.PENDING_APPROVAL) if state in states]
    return RegistrationProgress(
        total=sum(counts.values()),
        done=counts.get(RegistrantState.REGISTERED, 0),
        waiting=sum(count for count, _, _ in waiting),
        failed=sum(counts.get(state, 0) for state in FAILURES),
        deferred=sum(deferred for _, deferred, _ in waiting),
        resumes_at=min((resume_time for _, _, resume_time in waiting if resume_time), default=None),
    )


def registration_progress_of(meeting_id: UUID) -> RegistrationProgress:
    """Progress of one meeting, with an estimate of the remaining time while it is running."""
    progress = progress_of_meetings([meeting_id]).get(meeting_id, RegistrationProgress())
    return replace(progress, seconds_left=_estimate_seconds_left(meeting_id)) if progress.running else progress


def _estimate_seconds_left(meeting_id: UUID) -> int:
    """Estimate: the due calls of this meeting and of those with an earlier start, at the account's rate limit."""
    target_meeting = aliased(ZoomMeeting)
    due_rows = db.session.execute(
        select(ZoomMeeting.kind, func.count())
        .join(MeetingRegistrant, MeetingRegistrant.meeting_id == ZoomMeeting.id)
        .join(target_meeting, and_(target_meeting.id == meeting_id, ZoomMeeting.starts_at <= target_meeting.starts_at))
        .where(
            MeetingRegistrant.next_attempt_at <= clock.now() + SOON_WINDOW,
            ZoomMeeting.state.in_((MeetingState.PENDING_ZOOM, MeetingState.SCHEDULED, MeetingState.STARTED)),
        )
        .group_by(ZoomMeeting.id, ZoomMeeting.kind)
    )
    seconds = 1.0
    for kind, row_count in due_rows:
        seconds += row_count / SINGLES_A_SECOND if kind == "recurring" else ceil(row_count / 30) / BATCHES_A_SECOND
    return ceil(seconds)


def registrant_ids_by_person(meeting_id: UUID) -> list[tuple[UUID | None, UUID | None, str]]:
    """All registrant ids of a meeting's people, past and present: (learner id or None, user id or None, registrant id).

    Those of former addresses and of a meeting deleted at Zoom and recreated are included: stays of past dates are
    matched by them.
    """
    current, former = MeetingRegistrant, FormerRegistrant
    rows = db.session.execute(
        union_all(
            *(
                select(table.learner_id, table.user_id, table.zoom_registrant_id).where(
                    table.meeting_id == meeting_id, table.zoom_registrant_id.is_not(None)
                )
                for table in (current, former)
            )
        )
    )
    return [(learner_id, user_id, str(registrant_id)) for learner_id, user_id, registrant_id in rows]


@dataclass(frozen=True)
class RegistrantView:
    """A learner or, without `learner_id`, a staff member, with the state at Zoom and the personal join link."""

    id: UUID
    learner_id: UUID | None
    user_id: UUID | None
    last_name: str
    first_name: str
    middle_name: str
    extension: str
    sex: str | None
    email: str
    state: str
    reason: str | None
    resumes_at: datetime | None  # when the portal retries a waiting person
    join_url: str | None
    has_lrn: bool


def list_registrants(meeting_id: UUID) -> list[RegistrantView]:
    """Everybody expected at the meeting: learners in LIS order, then the staff."""
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
        .where(MeetingRegistrant.meeting_id == meeting_id, MeetingRegistrant.is_expected)
        .order_by(
            MeetingRegistrant.learner_id.is_(None),
            *lis_order,
            MeetingRegistrant.last_name,
            MeetingRegistrant.first_name,
            MeetingRegistrant.id,
        )
    )
    return [_registrant_view(registrant, learner) for registrant, learner, _user in rows]


def _registrant_view(registrant: MeetingRegistrant, learner: Learner | None) -> RegistrantView:
    return RegistrantView(
        id=registrant.id,
        learner_id=registrant.learner_id,
        user_id=registrant.user_id,
        last_name=learner.last_name if learner else registrant.last_name,
        first_name=learner.first_name if learner else registrant.first_name,
        middle_name=learner.middle_name if learner else "",
        extension=learner.extension if learner else "",
        sex=learner.sex if learner else None,
        email=registrant.email,
        state=registrant.state,
        reason=registrant.reason,
        resumes_at=registrant.next_attempt_at if registrant.reason else None,
        join_url=registrant.join_url,
        has_lrn=bool(learner and learner.lrn),
    )


@dataclass(frozen=True)
class UpcomingRegistration:
    """A class date of a learner's section, with their registration; `state` is None if there is none."""

    meeting_id: UUID
    title: str
    subject: str
    starts_at: datetime
    minutes: int
    has_registration: bool
    state: str | None
    reason: str | None


def list_upcoming_registrations(learner_id: UUID, section_id: UUID, limit: int = 10) -> list[UpcomingRegistration]:
    """The next dates of the section's classes, with the state of the learner's registration for each."""
    rows = db.session.execute(
        select(
            ZoomMeeting.id.label("meeting_id"),
            ZoomMeeting.title,
            SchoolClass.subject,
            MeetingOccurrence.starts_at,
            MeetingOccurrence.minutes,
            and_(~ZoomMeeting.open_mode, ZoomMeeting.approval_type != 2).label("has_registration"),
            MeetingRegistrant.state,
            MeetingRegistrant.reason,
        )
        .join(ZoomMeeting, ZoomMeeting.id == MeetingOccurrence.meeting_id)
        .join(SchoolClass, SchoolClass.id == ZoomMeeting.class_id)
        .outerjoin(
            MeetingRegistrant,
            and_(
                MeetingRegistrant.meeting_id == ZoomMeeting.id,
                MeetingRegistrant.learner_id == learner_id,
                MeetingRegistrant.is_expected,
            ),
        )
        .where(
            SchoolClass.section_id == section_id,
            ZoomMeeting.audience.in_((Audience.CLASS, Audience.STUDENTS)),
            ZoomMeeting.state.in_((MeetingState.PENDING_ZOOM, MeetingState.SCHEDULED, MeetingState.STARTED)),
            MeetingOccurrence.state.in_((OccurrenceState.SCHEDULED, OccurrenceState.STARTED)),
            MeetingOccurrence.starts_at >= clock.now(),
        )
        .order_by(MeetingOccurrence.starts_at, ZoomMeeting.id)
        .limit(limit)
    )
    return [UpcomingRegistration(**row._mapping) for row in rows]
