"""Who should be registered: the learners enrolled now and the class's teachers, or for a meeting without a class
the people invited to it, as rows to be worked on.

Everything here compares sets in the database, for all coming meetings at once: whatever happened to rosters
or meetings, the next look sees the difference. It looks without a lock; only where something differs it takes
one and looks again. Rows that the engine holds are left to the next time.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, Subquery, and_, exists, func, insert, or_, select, text, union
from sqlalchemy.orm import aliased

from portal.accounts.email_domain import EmailDomainError, normalise_school_email
from portal.accounts.models import User
from portal.classes.models import Enrolment, Learner, SchoolClass, co_teachers
from portal.classes.queries import expected_on_clause
from portal.core import clock
from portal.core.db import (
    bulk_insert_ignore,
    db,
    end_read_transaction,
    is_postgresql,
    write_transaction,
)
from portal.core.worker_signals import notify_worker
from portal.meetings.codes import Audience, MeetingState, OccurrenceState
from portal.meetings.models import MeetingOccurrence, ZoomMeeting
from portal.meetings.staff_meetings import service as staff_meetings_service
from portal.registration.codes import RegistrantState, RegistrationError
from portal.registration.models import FormerRegistrant, MeetingRegistrant

NAME_LIMIT = 64  # Zoom's limit for first and last names
BATCH_SIZE = 2000
NO_ADDRESS, OUTSIDE, SHARED = (
    RegistrationError.NO_ADDRESS,
    RegistrationError.OUTSIDE_DOMAIN,
    RegistrationError.SHARED_ADDRESS,
)
_LOCK = 7_301_948  # any number that no other part of the portal uses

Taken = dict[tuple[UUID, str], UUID | None]


@dataclass(frozen=True)
class DesiredRegistrant:
    """A person who should be registered for a meeting, and the row there is, if any."""

    meeting_id: UUID
    zoom_generation: int
    learner_id: UUID | None
    user_id: UUID | None
    address: str
    first_name: str
    last_name: str
    row: MeetingRegistrant | None = None


@dataclass(frozen=True)
class _Differences:
    missing: list[DesiredRegistrant]
    changed: list[DesiredRegistrant]
    leaving: list[UUID]
    returning: list[UUID]
    outdated: list[UUID]
    idle: list[UUID]

    def __bool__(self) -> bool:
        return bool(self.count)

    @property
    def count(self) -> int:
        people = len(self.missing) + len(self.changed)
        return people + len(self.leaving) + len(self.returning) + len(self.outdated) + len(self.idle)


def sync_registrant_rows(domains: tuple[str, ...]) -> int:
    """Bring the rows of every coming meeting in line with the rosters; the number of changed rows."""
    differences = _differences(domains)
    end_read_transaction()
    notify_worker("registrants")  # a meeting that Zoom has now may be all that was waited for
    if not differences:
        return 0
    with write_transaction():
        if is_postgresql():
            # Two processes at once could give twins their one address both.
            db.session.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        changes = _apply(_differences(domains), domains)
    notify_worker("registrants")
    return changes


def learner_registration_email(lrn: str | None, email: str | None, domains: tuple[str, ...]) -> str | None:
    """The address a learner is registered with: their own, else their LRN at the first domain, as DepEd's
    accounts are named. None without both."""
    if email:
        return email
    return f"{lrn}@{domains[0]}" if lrn else None


def _differences(domains: tuple[str, ...]) -> _Differences:
    coming = _coming()
    learners, staff = _learner_rows(coming, domains), _staff_rows(coming)
    return _Differences(
        missing=_missing_learners(coming, domains) + _missing_staff(coming),
        changed=[someone for someone, what in learners + staff if what == "changed"],
        leaving=[someone.row.id for someone, what in learners + staff if what == "leaving" and someone.row],
        returning=[someone.row.id for someone, what in learners + staff if what == "returning" and someone.row],
        outdated=_outdated(),
        idle=_idle(),
    )


def _coming() -> Subquery:
    """Meetings that are registered with Zoom and not over."""
    # A class of today may still run: late enrolment gets its link. Compared on the date, which both databases
    # can do without arithmetic on times.
    ahead = exists().where(
        MeetingOccurrence.meeting_id == ZoomMeeting.id,
        MeetingOccurrence.state.in_((OccurrenceState.SCHEDULED, OccurrenceState.STARTED)),
        or_(
            MeetingOccurrence.starts_at >= clock.now(),
            MeetingOccurrence.state == OccurrenceState.STARTED,
            MeetingOccurrence.local_date >= clock.today(),
        ),
    )
    return (
        select(
            ZoomMeeting.id,
            ZoomMeeting.class_id,
            ZoomMeeting.zoom_generation,
            ZoomMeeting.audience,
            ZoomMeeting.host_email,
            ZoomMeeting.starts_at,
            SchoolClass.section_id,
        )
        .outerjoin(SchoolClass, SchoolClass.id == ZoomMeeting.class_id)
        .where(
            ZoomMeeting.state.in_((MeetingState.PENDING_ZOOM, MeetingState.SCHEDULED, MeetingState.STARTED)),
            ZoomMeeting.approval_type != 2,
            ~ZoomMeeting.open_mode,
            or_(ZoomMeeting.class_id.is_(None), ZoomMeeting.audience.in_((Audience.CLASS, Audience.STUDENTS))),
            ahead,
        )
        .subquery("coming")
    )


def _address(domains: tuple[str, ...]) -> ColumnElement[str]:
    """`learner_registration_email` in SQL, empty for none."""
    return func.coalesce(func.nullif(Learner.email, ""), Learner.lrn + f"@{domains[0]}", "")


def _free() -> ColumnElement[bool]:
    """The engine is not at work on the row."""
    return or_(MeetingRegistrant.leased_until.is_(None), MeetingRegistrant.leased_until < clock.now())


def _missing_learners(coming: Subquery, domains: tuple[str, ...]) -> list[DesiredRegistrant]:
    rows = db.session.execute(
        select(
            coming.c.id, coming.c.zoom_generation, Learner.id, _address(domains), Learner.first_name, Learner.last_name
        )
        .join(Enrolment, Enrolment.section_id == coming.c.section_id)
        .join(Learner, Learner.id == Enrolment.learner_id)
        .where(
            expected_on_clause(clock.today()),
            ~exists().where(MeetingRegistrant.meeting_id == coming.c.id, MeetingRegistrant.learner_id == Learner.id),
        )
        .order_by(coming.c.starts_at, coming.c.id, Learner.lis_name, Learner.id)
        .limit(BATCH_SIZE)
    )
    return [
        DesiredRegistrant(meeting_id, generation, learner_id, None, address, first[:NAME_LIMIT], last[:NAME_LIMIT])
        for meeting_id, generation, learner_id, address, first, last in rows
    ]


def _learner_rows(coming: Subquery, domains: tuple[str, ...]) -> list[tuple[DesiredRegistrant, str]]:
    """Rows of learners that say something else than the roster, each with what is to happen."""
    enrolled = Enrolment.id.is_not(None)
    address = _address(domains)
    rows = db.session.execute(
        select(
            MeetingRegistrant, coming.c.zoom_generation, Enrolment.id, address, Learner.first_name, Learner.last_name
        )
        .join(coming, coming.c.id == MeetingRegistrant.meeting_id)
        .join(Learner, Learner.id == MeetingRegistrant.learner_id)
        .outerjoin(
            Enrolment,
            and_(
                Enrolment.section_id == coming.c.section_id,
                Enrolment.learner_id == MeetingRegistrant.learner_id,
                expected_on_clause(clock.today()),
            ),
        )
        .where(_free(), _differs(enrolled, address))
        .limit(BATCH_SIZE)
        .execution_options(populate_existing=True)
    )
    return [
        (
            DesiredRegistrant(
                row.meeting_id, generation, row.learner_id, None, address, first[:NAME_LIMIT], last[:NAME_LIMIT], row
            ),
            _what(row, enrolment_id is not None),
        )
        for row, generation, enrolment_id, address, first, last in rows
    ]


def _differs(expected: ColumnElement[bool], address: ColumnElement[Any]) -> ColumnElement[bool]:
    other_address = func.lower(MeetingRegistrant.email) != func.lower(address)
    return or_(
        expected != MeetingRegistrant.is_expected,
        and_(expected, MeetingRegistrant.is_expected, or_(other_address, _no_longer_shared())),
    )


def _no_longer_shared() -> ColumnElement[bool]:
    holder = aliased(MeetingRegistrant)
    return and_(
        MeetingRegistrant.reason == SHARED,
        ~exists().where(
            holder.meeting_id == MeetingRegistrant.meeting_id,
            holder.email == MeetingRegistrant.email,
            holder.id != MeetingRegistrant.id,
            holder.is_expected,
            or_(holder.reason.is_(None), holder.reason != SHARED),
        ),
    )


def _what(row: MeetingRegistrant, expected: bool) -> str:
    if not expected:
        return "leaving"
    return "changed" if row.is_expected else "returning"


def _teachers(coming: Subquery) -> Subquery:
    """Whom of the staff each coming meeting expects: the teacher and co-teachers, or those invited where there is
    no class; except who hosts it, since Zoom refuses to register a host (3027)."""
    of_a_class = coming.c.audience == "class"
    staff = union(
        select(coming.c.id.label("meeting_id"), SchoolClass.teacher_id.label("user_id"))
        .join(SchoolClass, SchoolClass.id == coming.c.class_id)
        .where(of_a_class),
        select(coming.c.id, co_teachers.c.user_id)
        .join(co_teachers, co_teachers.c.class_id == coming.c.class_id)
        .where(of_a_class),
        select(staff_meetings_service.select_invitees(ZoomMeeting.id.in_(select(coming.c.id))).subquery()),
    ).subquery()
    return (
        select(
            coming.c.id.label("meeting_id"),
            coming.c.zoom_generation,
            User.id.label("user_id"),
            User.email,
            User.full_name,
        )
        .select_from(coming)
        .join(staff, staff.c.meeting_id == coming.c.id)
        .join(User, User.id == staff.c.user_id)
        .where(User.email != coming.c.host_email, User.deactivated_at.is_(None))
        .subquery("teachers")
    )


def _missing_staff(coming: Subquery) -> list[DesiredRegistrant]:
    teachers = _teachers(coming)
    rows = db.session.execute(
        select(teachers)
        .where(
            ~exists().where(
                MeetingRegistrant.meeting_id == teachers.c.meeting_id, MeetingRegistrant.user_id == teachers.c.user_id
            )
        )
        .limit(BATCH_SIZE)
    )
    return [_teacher(*row) for row in rows]


def _staff_rows(coming: Subquery) -> list[tuple[DesiredRegistrant, str]]:
    teachers = _teachers(coming)
    same = and_(teachers.c.meeting_id == MeetingRegistrant.meeting_id, teachers.c.user_id == MeetingRegistrant.user_id)
    expected = teachers.c.user_id.is_not(None)
    rows = db.session.execute(
        select(MeetingRegistrant, coming.c.zoom_generation, User.email, User.full_name, teachers.c.user_id)
        .join(coming, coming.c.id == MeetingRegistrant.meeting_id)
        .join(User, User.id == MeetingRegistrant.user_id)
        .outerjoin(teachers, same)
        .where(_free(), _differs(expected, User.__table__.c.email))
        .limit(BATCH_SIZE)
        .execution_options(populate_existing=True)
    )
    return [
        (_teacher(row.meeting_id, generation, row.user_id, email, name, row), _what(row, found is not None))
        for row, generation, email, name, found in rows
    ]


def _teacher(
    meeting_id: UUID, generation: int, user_id: UUID, email: str, name: str, row: MeetingRegistrant | None = None
) -> DesiredRegistrant:
    first, _, last = name.rpartition(" ")
    return DesiredRegistrant(
        meeting_id, generation, None, user_id, email, (first or last)[:NAME_LIMIT], last[:NAME_LIMIT], row
    )


def _outdated() -> list[UUID]:
    """Rows about a meeting that was deleted at Zoom and has been made again since."""
    statement = select(ZoomMeeting.id).where(ZoomMeeting.zoom_generation > 0)
    return list(
        db.session.scalars(
            select(MeetingRegistrant.id)
            .join(ZoomMeeting, ZoomMeeting.id == MeetingRegistrant.meeting_id)
            .where(
                MeetingRegistrant.meeting_id.in_(statement),
                MeetingRegistrant.zoom_generation != ZoomMeeting.zoom_generation,
                _free(),
            )
            .limit(BATCH_SIZE)
        )
    )


def _idle() -> list[UUID]:
    """Rows to be worked on whose meeting is over or gone: they would be looked at every second for nothing."""
    return list(
        db.session.scalars(
            select(MeetingRegistrant.id)
            .join(ZoomMeeting, ZoomMeeting.id == MeetingRegistrant.meeting_id)
            .where(
                MeetingRegistrant.next_attempt_at <= clock.now(),
                ZoomMeeting.state.in_(
                    (MeetingState.ENDED, MeetingState.CANCELLED, MeetingState.DELETED, MeetingState.FAILED)
                ),
                _free(),
            )
            .limit(BATCH_SIZE)
        )
    )


# Writing


def _apply(differences: _Differences, domains: tuple[str, ...]) -> int:
    _update(differences.outdated, _begin_anew)
    _update(differences.leaving, _leave)
    _update(differences.returning, _return)
    _update(differences.idle, _rest)
    people = sorted(differences.changed, key=_order) + differences.missing
    new: list[dict[str, Any]] = []
    taken = _addresses_taken({one.meeting_id for one in people}, {one.row.id for one in people if one.row})
    for desired in people:
        address, reason = _check(desired.address, domains)
        if reason is None and taken.setdefault(
            (desired.meeting_id, address), desired.learner_id or desired.user_id
        ) != (desired.learner_id or desired.user_id):
            reason = SHARED
        if desired.row is None:
            new.append(_new_row(desired, address, reason))
        else:
            _change_address(desired.row, desired, address, reason)
    if new:
        bulk_insert_ignore(MeetingRegistrant, new)
    return differences.count


def _order(desired: DesiredRegistrant) -> tuple[str, str]:
    """Who had an address first keeps it: those who failed for sharing it come after the others."""
    return ("1" if desired.row and desired.row.reason == SHARED else "0", str(desired.row.id if desired.row else ""))


def _addresses_taken(meetings: set[UUID], except_rows: set[UUID]) -> Taken:
    """Addresses in use per meeting: Zoom gives one registrant per address, so twins need one each."""
    rows = db.session.execute(
        select(
            MeetingRegistrant.id,
            MeetingRegistrant.meeting_id,
            MeetingRegistrant.email,
            MeetingRegistrant.learner_id,
            MeetingRegistrant.user_id,
        ).where(
            MeetingRegistrant.meeting_id.in_(meetings),
            MeetingRegistrant.is_expected,
            or_(MeetingRegistrant.reason.is_(None), MeetingRegistrant.reason != SHARED),
        )
    )
    return {
        (meeting_id, email): learner_id or user_id
        for row_id, meeting_id, email, learner_id, user_id in rows
        if row_id not in except_rows and email
    }


def _check(address: str, domains: tuple[str, ...]) -> tuple[str, str | None]:
    """The address as it is kept, and why it cannot be used."""
    if not address:
        return "", NO_ADDRESS
    try:
        return normalise_school_email(address, domains), None
    except EmailDomainError:
        return address, OUTSIDE


def _new_row(desired: DesiredRegistrant, address: str, reason: str | None) -> dict[str, Any]:
    now = clock.now()
    return {
        "id": uuid4(),
        "meeting_id": desired.meeting_id,
        "learner_id": desired.learner_id,
        "user_id": desired.user_id,
        "email": address,
        "first_name": desired.first_name,
        "last_name": desired.last_name,
        "is_expected": True,
        "state": RegistrantState.FAILED if reason else RegistrantState.QUEUED,
        "reason": reason,
        "attempts": 0,
        "posts_today": 0,
        "outcome_unknown": False,
        "zoom_generation": desired.zoom_generation,
        "next_attempt_at": None if reason else now,
        "created_at": now,
        "updated_at": now,
    }


def _change_address(row: MeetingRegistrant, desired: DesiredRegistrant, address: str, reason: str | None) -> None:
    """Register anew by another address. The engine takes the old registration away first."""
    if address == row.email and reason == row.reason:
        return
    still_there = row.state in (RegistrantState.REGISTERED, RegistrantState.PENDING_APPROVAL) or row.outcome_unknown
    archive_former_registration(row, still_open=still_there)
    row.email, row.first_name, row.last_name = address, desired.first_name, desired.last_name
    row.state, row.reason = (RegistrantState.FAILED, reason) if reason else (RegistrantState.QUEUED, None)
    _begin(row)
    row.next_attempt_at = None if reason and not still_there else clock.now()


def archive_former_registration(row: MeetingRegistrant, *, still_open: bool) -> None:
    """Keep what the row was before it stands for another registration, within the open transaction."""
    if row.zoom_registrant_id is None and not still_open and not row.posts_today:
        return
    db.session.execute(
        insert(FormerRegistrant).values(
            id=uuid4(),
            meeting_id=row.meeting_id,
            learner_id=row.learner_id,
            user_id=row.user_id,
            email=row.email,
            zoom_registrant_id=row.zoom_registrant_id,
            posts_today=row.posts_today,
            posts_counted_since=row.posts_counted_since,
            still_at_zoom=still_open,
            created_at=clock.now(),
        )
    )


def _begin(row: MeetingRegistrant) -> None:
    row.zoom_registrant_id, row.join_url = None, None
    row.posts_today, row.posts_counted_since, row.attempts, row.outcome_unknown = 0, None, 0, False
    row.next_attempt_at = row.updated_at = clock.now()


def _update(ids: Iterable[UUID], change: Any) -> None:
    ids = list(ids)
    if ids:
        rows = db.session.scalars(
            select(MeetingRegistrant)
            .where(MeetingRegistrant.id.in_(ids), _free())
            .execution_options(populate_existing=True)
        )
        for row in rows.all():
            change(row)
            row.updated_at = clock.now()
        db.session.flush()


def _begin_anew(row: MeetingRegistrant) -> None:
    """The meeting at Zoom is another one now: nobody is registered there yet."""
    archive_former_registration(row, still_open=False)
    row.zoom_generation = db.session.get_one(ZoomMeeting, row.meeting_id, populate_existing=True).zoom_generation
    _begin(row)
    if not row.is_expected:
        row.state, row.next_attempt_at = RegistrantState.CANCELLED, None
    elif row.reason in (NO_ADDRESS, OUTSIDE, SHARED):
        row.next_attempt_at = None
    else:
        row.state, row.reason = RegistrantState.QUEUED, None


def _leave(row: MeetingRegistrant) -> None:
    row.is_expected, row.next_attempt_at, row.attempts = False, clock.now(), 0


def _return(row: MeetingRegistrant) -> None:
    """Back on the roster. A registration that was still to be taken away may or may not be there."""
    row.is_expected, row.next_attempt_at, row.attempts, row.reason = True, clock.now(), 0, None
    if row.state in (RegistrantState.REGISTERED, RegistrantState.PENDING_APPROVAL):
        row.outcome_unknown = True
    else:
        row.state = RegistrantState.QUEUED


def _rest(row: MeetingRegistrant) -> None:
    row.next_attempt_at = None
