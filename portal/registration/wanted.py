"""Who should be registered: the learners enrolled now and the class's teachers, as rows to be worked on.

Everything here compares sets in the database, for all coming meetings at once: whatever happened to rosters
or meetings, the next sweep sees the difference.
"""

from dataclasses import dataclass
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, and_, exists, or_, select, union_all, update

from portal.accounts.domain import NotSchoolEmail, school_email
from portal.accounts.models import User
from portal.base import clock
from portal.base.db import db, insert_once, writing
from portal.classes.models import Enrolment, Learner, SchoolClass, co_teachers
from portal.classes.queries import enrolled_on
from portal.meetings.models import MeetingOccurrence, ZoomMeeting
from portal.registration.models import MeetingRegistrant

NAME = 64  # Zoom's limit for first and last names


@dataclass(frozen=True)
class _Someone:
    """A person who should be registered for a meeting and has no row yet."""

    meeting_id: UUID
    learner_id: UUID | None
    user_id: UUID | None
    email: str | None
    reason: str | None  # why Zoom must not be asked: the person is listed with the remedy
    first_name: str
    last_name: str


def refresh(domains: tuple[str, ...]) -> int:
    """Bring the rows of every coming meeting in line with the rosters; the number of changed rows."""
    with writing():
        people = _missing_learners(domains) + _missing_staff(domains)
        for someone in people:
            _insert(someone)
        return len(people) + _no_longer_enrolled() + _enrolled_again()


def learner_address(lrn: str | None, email: str | None, domains: tuple[str, ...]) -> str | None:
    """The address a learner is registered with: her own, else her LRN at the first domain, as DepEd's
    accounts are named. None without both."""
    if email:
        return email
    return f"{lrn}@{domains[0]}" if lrn else None


def _coming() -> ColumnElement[bool]:
    """A condition on ZoomMeeting: of a class, registered with Zoom, not over."""
    now = clock.now()
    ahead = exists().where(
        MeetingOccurrence.meeting_id == ZoomMeeting.id,
        MeetingOccurrence.state.in_(("scheduled", "started")),
        or_(MeetingOccurrence.starts_at >= now, MeetingOccurrence.state == "started", _just_begun()),
    )
    return and_(
        ZoomMeeting.class_id.is_not(None),
        ZoomMeeting.state.in_(("waiting", "scheduled", "started")),
        ZoomMeeting.approval_type != 2,
        ZoomMeeting.audience.in_(("class", "students")),
        ahead,
    )


def _just_begun() -> ColumnElement[bool]:
    """A class that should be running: late enrolment still gets its link. Compared on the date, which both
    databases can do without arithmetic on times."""
    return MeetingOccurrence.local_date >= clock.today()


def _missing_learners(domains: tuple[str, ...]) -> list[_Someone]:
    rows = db.session.execute(
        select(ZoomMeeting.id, Learner.id, Learner.lrn, Learner.email, Learner.first_name, Learner.last_name)
        .join(SchoolClass, SchoolClass.id == ZoomMeeting.class_id)
        .join(Enrolment, Enrolment.section_id == SchoolClass.section_id)
        .join(Learner, Learner.id == Enrolment.learner_id)
        .where(
            _coming(),
            enrolled_on(clock.today()),
            ~exists().where(MeetingRegistrant.meeting_id == ZoomMeeting.id, MeetingRegistrant.learner_id == Learner.id),
        )
        .order_by(ZoomMeeting.starts_at, ZoomMeeting.id, Learner.lis_name, Learner.id)
        .limit(2000)
    ).all()
    taken = _addresses_taken({row[0] for row in rows})
    people = []
    for meeting_id, learner_id, lrn, email, first, last in rows:
        address, reason = _check(learner_address(lrn, email, domains), domains)
        if reason is None and (meeting_id, address) in taken:
            reason = "shared address"
        taken.add((meeting_id, address or ""))
        people.append(_Someone(meeting_id, learner_id, None, address, reason, first[:NAME], last[:NAME]))
    return people


def _addresses_taken(meetings: set[UUID]) -> set[tuple[UUID, str]]:
    """Addresses in use per meeting: Zoom gives one registrant per address, so twins need one each."""
    rows = db.session.execute(
        select(MeetingRegistrant.meeting_id, MeetingRegistrant.email).where(
            MeetingRegistrant.meeting_id.in_(meetings), MeetingRegistrant.wanted
        )
    )
    return {(meeting_id, email) for meeting_id, email in rows}


def _missing_staff(domains: tuple[str, ...]) -> list[_Someone]:
    """The teacher and co-teachers, except who hosts the meeting: Zoom refuses to register a host (3027)."""
    teachers = union_all(
        select(SchoolClass.id.label("class_id"), SchoolClass.teacher_id.label("user_id")),
        select(co_teachers.c.class_id, co_teachers.c.user_id),
    ).subquery()
    rows = db.session.execute(
        select(ZoomMeeting.id, User.id, User.email, User.full_name)
        .join(teachers, teachers.c.class_id == ZoomMeeting.class_id)
        .join(User, User.id == teachers.c.user_id)
        .where(
            _coming(),
            ZoomMeeting.audience == "class",
            User.email != ZoomMeeting.host,
            User.deactivated_at.is_(None),
            ~exists().where(MeetingRegistrant.meeting_id == ZoomMeeting.id, MeetingRegistrant.user_id == User.id),
        )
        .distinct()
    )
    people = []
    for meeting_id, user_id, email, full_name in rows:
        first, _, last = full_name.rpartition(" ")
        address, reason = _check(email, domains)
        people.append(_Someone(meeting_id, None, user_id, address, reason, (first or last)[:NAME], last[:NAME]))
    return people


def _check(address: str | None, domains: tuple[str, ...]) -> tuple[str | None, str | None]:
    if address is None:
        return None, "no address"
    try:
        return school_email(address, domains), None
    except NotSchoolEmail:
        return address, "outside the domain"


def _insert(someone: _Someone) -> None:
    now = clock.now()
    values = {
        "id": uuid4(),
        "meeting_id": someone.meeting_id,
        "learner_id": someone.learner_id,
        "user_id": someone.user_id,
        "email": someone.email or "",
        "first_name": someone.first_name,
        "last_name": someone.last_name,
        "wanted": True,
        "state": "failed" if someone.reason else "waiting",
        "reason": someone.reason,
        "attempts": 0,
        "posts": 0,
        "created_at": now,
        "updated_at": now,
    }
    unique = ["meeting_id", "learner_id"] if someone.learner_id else ["meeting_id", "user_id"]
    insert_once(MeetingRegistrant, values, unique)


def _still_enrolled() -> ColumnElement[bool]:
    return exists().where(
        ZoomMeeting.id == MeetingRegistrant.meeting_id,
        SchoolClass.id == ZoomMeeting.class_id,
        Enrolment.section_id == SchoolClass.section_id,
        Enrolment.learner_id == MeetingRegistrant.learner_id,
        enrolled_on(clock.today()),
    )


def _of_coming_meeting() -> ColumnElement[bool]:
    return MeetingRegistrant.meeting_id.in_(select(ZoomMeeting.id).where(_coming()))


def _no_longer_enrolled() -> int:
    """Learners who left: their registration is to be cancelled at Zoom; one never made just ends."""
    gone = and_(
        MeetingRegistrant.learner_id.is_not(None),
        MeetingRegistrant.wanted,
        ~_still_enrolled(),
        _of_coming_meeting(),
    )
    return _set(gone, wanted=False, next_try_at=None)


def _enrolled_again() -> int:
    """Learners who came back after their registration was taken away."""
    back = and_(
        MeetingRegistrant.learner_id.is_not(None),
        ~MeetingRegistrant.wanted,
        _still_enrolled(),
        _of_coming_meeting(),
    )
    return _set(back, wanted=True, state="waiting", next_try_at=None)


def _set(condition: ColumnElement[bool], **values: object) -> int:
    changed = db.session.execute(
        update(MeetingRegistrant)
        .where(condition)
        .values(updated_at=clock.now(), **values)
        .execution_options(synchronize_session=False)
    )
    return int(changed.rowcount)  # type: ignore[attr-defined]  # CursorResult at run time
