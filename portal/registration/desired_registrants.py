"""Desired registrants: enrolled learners and the class's teachers, or the invitees of a meeting without a class,
reconciled with the registrant rows.

A set comparison in the database over all upcoming meetings, so any change of rosters or meetings is detected by the
next run. It compares without a lock; only if something differs it takes one and compares again. Rows leased by
the engine are left to the next run.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, Subquery, and_, exists, func, insert, or_, select, text, true, union
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
from portal.core.worker_signals import Topic, notify_worker
from portal.meetings.codes import Audience, MeetingState, OccurrenceState
from portal.meetings.models import MeetingOccurrence, ZoomMeeting
from portal.meetings.staff_meetings import service as staff_meetings_service
from portal.registration.codes import RegistrantState, RegistrationError
from portal.registration.models import FormerRegistrant, MeetingRegistrant

NAME_LIMIT = 64  # Zoom's limit for first and last names
FIND_LIMIT = 2000  # differences of each kind that one call finds
WRITE_BATCH = 150  # differences of each kind per transaction: 0.1 s of SQLite's write lock
NO_ADDRESS, OUTSIDE, SHARED = (
    RegistrationError.NO_ADDRESS,
    RegistrationError.OUTSIDE_DOMAIN,
    RegistrationError.SHARED_ADDRESS,
)
_LOCK = 7_301_948  # key of the PostgreSQL advisory lock, used by no other part of the portal

Taken = dict[tuple[UUID, str], UUID | None]


@dataclass(frozen=True)
class DesiredRegistrant:
    """A person who should be registered for a meeting, and their present row, if any."""

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
    leaving: dict[UUID, UUID]  # of rows: id to meeting, as the following
    returning: dict[UUID, UUID]
    outdated: dict[UUID, UUID]
    idle: dict[UUID, UUID]

    @property
    def count(self) -> int:
        return self.counts_by_meeting.total()

    @property
    def counts_by_meeting(self) -> Counter[UUID]:
        """The number of differences of each meeting, the earliest meetings with missing people first."""
        people = [person.meeting_id for person in self.missing + self.changed]
        rows = (*self.leaving.values(), *self.returning.values(), *self.outdated.values(), *self.idle.values())
        return Counter([*people, *rows])


@dataclass(frozen=True)
class _Extent:
    """How much is compared: at most `limit` differences of each kind, of some meetings or of all."""

    limit: int
    meeting_ids: tuple[UUID, ...] | None = None

    def of_meetings(self, meeting_id: Any) -> ColumnElement[bool]:
        """Condition on a column with a meeting's id."""
        return true() if self.meeting_ids is None else meeting_id.in_(self.meeting_ids)


def sync_registrant_rows(domains: tuple[str, ...]) -> int:
    """Reconcile the rows of all upcoming meetings with the rosters; returns the number of changed rows, per call
    limited.

    Meetings with differences are found outside of the write transaction. It computes the differences of a few of them
    again, and writes at most WRITE_BATCH rows of each kind: SQLite's one writer must soon be free for deliveries.
    """
    differences = _compute_differences(domains, _Extent(FIND_LIMIT))
    end_read_transaction()
    notify_worker(Topic.REGISTRATION)  # rows may be due because Zoom has their meeting now
    changes = 0
    for meeting_ids, count in _meeting_batches(differences):
        for _ in range(0, count, WRITE_BATCH):
            changes += _write_differences(domains, _Extent(WRITE_BATCH, meeting_ids))
    if changes:
        notify_worker(Topic.REGISTRATION)
    return changes


def _write_differences(domains: tuple[str, ...], extent: _Extent) -> int:
    with write_transaction():
        if is_postgresql():
            # Two processes at once could assign one shared address to two learners.
            db.session.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        return _apply_differences(_compute_differences(domains, extent), domains)


def _meeting_batches(differences: _Differences) -> Iterator[tuple[tuple[UUID, ...], int]]:
    """The meetings with differences, in order, so many at a time that about WRITE_BATCH rows differ; and the number of
    those rows."""
    batch: list[UUID] = []
    row_count = 0
    for meeting_id, count in differences.counts_by_meeting.items():
        if batch and row_count + count > WRITE_BATCH:
            yield tuple(batch), row_count
            batch, row_count = [], 0
        batch.append(meeting_id)
        row_count += count
    if batch:
        yield tuple(batch), row_count


def learner_registration_email(lrn: str | None, email: str | None, domains: tuple[str, ...]) -> str | None:
    """The address for a learner's registration: their own, else LRN at the first domain, as DepEd's accounts are named.
    None without both."""
    if email:
        return email
    return f"{lrn}@{domains[0]}" if lrn else None


def _compute_differences(domains: tuple[str, ...], extent: _Extent) -> _Differences:
    upcoming = _upcoming_meetings(extent)
    rows = _learner_rows(upcoming, domains, extent.limit) + _staff_rows(upcoming, extent.limit)
    return _Differences(
        missing=_missing_learners(upcoming, domains, extent.limit) + _missing_staff(upcoming, extent.limit),
        changed=[desired for desired, kind in rows if kind == "changed"],
        leaving={desired.row.id: desired.meeting_id for desired, kind in rows if kind == "leaving" and desired.row},
        returning={desired.row.id: desired.meeting_id for desired, kind in rows if kind == "returning" and desired.row},
        outdated=_outdated_row_ids(extent),
        idle=_idle_row_ids(extent),
    )


def _upcoming_meetings(extent: _Extent) -> Subquery:
    """Upcoming or running meetings with registration."""
    # Meetings of today count as upcoming, so that late enrolments get a link. Compared by date, which needs no
    # arithmetic on times (the two databases differ in that).
    has_upcoming_date = exists().where(
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
            has_upcoming_date,
            extent.of_meetings(ZoomMeeting.id),
        )
        .subquery("coming")
    )


def _registration_email(domains: tuple[str, ...]) -> ColumnElement[str]:
    """`learner_registration_email` in SQL; empty for None."""
    return func.coalesce(func.nullif(Learner.email, ""), Learner.lrn + f"@{domains[0]}", "")


def _not_leased_clause() -> ColumnElement[bool]:
    """Condition: the row is not leased by the engine."""
    return or_(MeetingRegistrant.leased_until.is_(None), MeetingRegistrant.leased_until < clock.now())


def _missing_learners(upcoming: Subquery, domains: tuple[str, ...], limit: int) -> list[DesiredRegistrant]:
    rows = db.session.execute(
        select(
            upcoming.c.id,
            upcoming.c.zoom_generation,
            Learner.id,
            _registration_email(domains),
            Learner.first_name,
            Learner.last_name,
        )
        .join(Enrolment, Enrolment.section_id == upcoming.c.section_id)
        .join(Learner, Learner.id == Enrolment.learner_id)
        .where(
            expected_on_clause(clock.today()),
            ~exists().where(MeetingRegistrant.meeting_id == upcoming.c.id, MeetingRegistrant.learner_id == Learner.id),
        )
        .order_by(upcoming.c.starts_at, upcoming.c.id, Learner.lis_name, Learner.id)
        .limit(limit)
    )
    return [
        DesiredRegistrant(
            meeting_id, generation, learner_id, None, address, first_name[:NAME_LIMIT], last_name[:NAME_LIMIT]
        )
        for meeting_id, generation, learner_id, address, first_name, last_name in rows
    ]


def _learner_rows(upcoming: Subquery, domains: tuple[str, ...], limit: int) -> list[tuple[DesiredRegistrant, str]]:
    """Learners' rows that differ from the roster, each with the kind of the difference."""
    enrolled = Enrolment.id.is_not(None)
    address = _registration_email(domains)
    rows = db.session.execute(
        select(
            MeetingRegistrant, upcoming.c.zoom_generation, Enrolment.id, address, Learner.first_name, Learner.last_name
        )
        .join(upcoming, upcoming.c.id == MeetingRegistrant.meeting_id)
        .join(Learner, Learner.id == MeetingRegistrant.learner_id)
        .outerjoin(
            Enrolment,
            and_(
                Enrolment.learner_id == MeetingRegistrant.learner_id,
                # Not by the section's index, which SQLite would take: the whole roster for each of its learners.
                func.coalesce(Enrolment.section_id, Enrolment.section_id) == upcoming.c.section_id,
                expected_on_clause(clock.today()),
            ),
        )
        .where(_not_leased_clause(), _differs_clause(enrolled, address))
        .limit(limit)
        .execution_options(populate_existing=True)
    )
    return [
        (
            DesiredRegistrant(
                row.meeting_id,
                generation,
                row.learner_id,
                None,
                address,
                first_name[:NAME_LIMIT],
                last_name[:NAME_LIMIT],
                row,
            ),
            _difference_kind(row, enrolment_id is not None),
        )
        for row, generation, enrolment_id, address, first_name, last_name in rows
    ]


def _differs_clause(expected: ColumnElement[bool], address: ColumnElement[Any]) -> ColumnElement[bool]:
    other_address = func.lower(MeetingRegistrant.email) != func.lower(address)
    return or_(
        expected != MeetingRegistrant.is_expected,
        and_(expected, MeetingRegistrant.is_expected, or_(other_address, _address_now_free_clause())),
    )


def _address_now_free_clause() -> ColumnElement[bool]:
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


def _difference_kind(row: MeetingRegistrant, expected: bool) -> str:
    if not expected:
        return "leaving"
    return "changed" if row.is_expected else "returning"


def _expected_staff(upcoming: Subquery) -> Subquery:
    """Expected staff of each upcoming meeting: teacher and co-teachers, or invitees where there is no class; without
    the host, whom Zoom refuses to register (error 3027)."""
    includes_teachers = upcoming.c.audience == "class"
    staff_ids = union(
        select(upcoming.c.id.label("meeting_id"), SchoolClass.teacher_id.label("user_id"))
        .join(SchoolClass, SchoolClass.id == upcoming.c.class_id)
        .where(includes_teachers),
        select(upcoming.c.id, co_teachers.c.user_id)
        .join(co_teachers, co_teachers.c.class_id == upcoming.c.class_id)
        .where(includes_teachers),
        select(staff_meetings_service.select_invitees(ZoomMeeting.id.in_(select(upcoming.c.id))).subquery()),
    ).subquery()
    return (
        select(
            upcoming.c.id.label("meeting_id"),
            upcoming.c.zoom_generation,
            User.id.label("user_id"),
            User.email,
            User.full_name,
        )
        .select_from(upcoming)
        .join(staff_ids, staff_ids.c.meeting_id == upcoming.c.id)
        .join(User, User.id == staff_ids.c.user_id)
        .where(User.email != upcoming.c.host_email, User.deactivated_at.is_(None))
        .subquery("teachers")
    )


def _missing_staff(upcoming: Subquery, limit: int) -> list[DesiredRegistrant]:
    teachers = _expected_staff(upcoming)
    rows = db.session.execute(
        select(teachers)
        .where(
            ~exists().where(
                MeetingRegistrant.meeting_id == teachers.c.meeting_id, MeetingRegistrant.user_id == teachers.c.user_id
            )
        )
        .limit(limit)
    )
    return [_desired_staff(*row) for row in rows]


def _staff_rows(upcoming: Subquery, limit: int) -> list[tuple[DesiredRegistrant, str]]:
    teachers = _expected_staff(upcoming)
    same_person = and_(
        teachers.c.meeting_id == MeetingRegistrant.meeting_id, teachers.c.user_id == MeetingRegistrant.user_id
    )
    expected = teachers.c.user_id.is_not(None)
    rows = db.session.execute(
        select(MeetingRegistrant, upcoming.c.zoom_generation, User.email, User.full_name, teachers.c.user_id)
        .join(upcoming, upcoming.c.id == MeetingRegistrant.meeting_id)
        .join(User, User.id == MeetingRegistrant.user_id)
        .outerjoin(teachers, same_person)
        .where(_not_leased_clause(), _differs_clause(expected, User.__table__.c.email))
        .limit(limit)
        .execution_options(populate_existing=True)
    )
    return [
        (
            _desired_staff(row.meeting_id, generation, row.user_id, email, name, row),
            _difference_kind(row, expected_id is not None),
        )
        for row, generation, email, name, expected_id in rows
    ]


def _desired_staff(
    meeting_id: UUID, generation: int, user_id: UUID, email: str, name: str, row: MeetingRegistrant | None = None
) -> DesiredRegistrant:
    first_name, _, last_name = name.rpartition(" ")
    return DesiredRegistrant(
        meeting_id,
        generation,
        None,
        user_id,
        email,
        (first_name or last_name)[:NAME_LIMIT],
        last_name[:NAME_LIMIT],
        row,
    )


def _outdated_row_ids(extent: _Extent) -> dict[UUID, UUID]:
    """Rows of an earlier generation: their meeting was deleted at Zoom and recreated since."""
    statement = select(ZoomMeeting.id).where(ZoomMeeting.zoom_generation > 0)
    rows = db.session.execute(
        select(MeetingRegistrant.id, MeetingRegistrant.meeting_id)
        .join(ZoomMeeting, ZoomMeeting.id == MeetingRegistrant.meeting_id)
        .where(
            MeetingRegistrant.meeting_id.in_(statement),
            MeetingRegistrant.zoom_generation != ZoomMeeting.zoom_generation,
            _not_leased_clause(),
            extent.of_meetings(MeetingRegistrant.meeting_id),
        )
        .limit(extent.limit)
    )
    return {row.id: row.meeting_id for row in rows}


def _idle_row_ids(extent: _Extent) -> dict[UUID, UUID]:
    """Due rows whose meeting is over or deleted: they would be selected every second for nothing."""
    rows = db.session.execute(
        select(MeetingRegistrant.id, MeetingRegistrant.meeting_id)
        .join(ZoomMeeting, ZoomMeeting.id == MeetingRegistrant.meeting_id)
        .where(
            MeetingRegistrant.next_attempt_at <= clock.now(),
            ZoomMeeting.state.in_(
                (MeetingState.ENDED, MeetingState.CANCELLED, MeetingState.DELETED, MeetingState.FAILED)
            ),
            _not_leased_clause(),
            extent.of_meetings(MeetingRegistrant.meeting_id),
        )
        .limit(extent.limit)
    )
    return {row.id: row.meeting_id for row in rows}


# Writes


def _apply_differences(differences: _Differences, domains: tuple[str, ...]) -> int:
    _update_rows(differences.outdated, _reset_for_generation)
    _update_rows(differences.leaving, _mark_leaving)
    _update_rows(differences.returning, _mark_returning)
    _update_rows(differences.idle, _mark_idle)
    people = sorted(differences.changed, key=_address_priority) + differences.missing
    new_rows: list[dict[str, Any]] = []
    checked = [(desired, *_validate_address(desired.address, domains)) for desired in people]
    used_addresses = _addresses_taken(
        {person.meeting_id for person in people},
        {address for _desired, address, _reason in checked},
        {person.row.id for person in people if person.row},
    )
    for desired, address, reason in checked:
        if reason is None and used_addresses.setdefault(
            (desired.meeting_id, address), desired.learner_id or desired.user_id
        ) != (desired.learner_id or desired.user_id):
            reason = SHARED
        if desired.row is None:
            new_rows.append(_new_row(desired, address, reason))
        else:
            _change_address(desired.row, desired, address, reason)
    if new_rows:
        bulk_insert_ignore(MeetingRegistrant, new_rows)
    return differences.count


def _address_priority(desired: DesiredRegistrant) -> tuple[str, str]:
    """Sort key: rows that failed for a shared address come last, so that the first holder keeps it."""
    return ("1" if desired.row and desired.row.reason == SHARED else "0", str(desired.row.id if desired.row else ""))


def _addresses_taken(meetings: set[UUID], addresses: set[str], except_rows: set[UUID]) -> Taken:
    """Those of the addresses that are in use, by meeting: Zoom has one registrant per address, so siblings cannot
    share one."""
    rows = db.session.execute(
        select(
            MeetingRegistrant.id,
            MeetingRegistrant.meeting_id,
            MeetingRegistrant.email,
            MeetingRegistrant.learner_id,
            MeetingRegistrant.user_id,
        ).where(
            MeetingRegistrant.meeting_id.in_(meetings),
            MeetingRegistrant.email.in_(addresses),
            MeetingRegistrant.is_expected,
            or_(MeetingRegistrant.reason.is_(None), MeetingRegistrant.reason != SHARED),
        )
    )
    return {
        (meeting_id, email): learner_id or user_id
        for row_id, meeting_id, email, learner_id, user_id in rows
        if row_id not in except_rows and email
    }


def _validate_address(address: str, domains: tuple[str, ...]) -> tuple[str, str | None]:
    """The normalised address, and the reason if it cannot be used."""
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
    """Set another address and queue the row. The engine cancels the former registration first."""
    if address == row.email and reason == row.reason:
        return
    maybe_at_zoom = row.state in (RegistrantState.REGISTERED, RegistrantState.PENDING_APPROVAL) or row.outcome_unknown
    archive_former_registration(row, still_open=maybe_at_zoom)
    row.email, row.first_name, row.last_name = address, desired.first_name, desired.last_name
    row.state, row.reason = (RegistrantState.FAILED, reason) if reason else (RegistrantState.QUEUED, None)
    _reset_registration(row)
    row.next_attempt_at = None if reason and not maybe_at_zoom else clock.now()


def archive_former_registration(row: MeetingRegistrant, *, still_open: bool) -> None:
    """Archive the row's registration before the row is reused for another one, within the open transaction."""
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


def _reset_registration(row: MeetingRegistrant) -> None:
    row.zoom_registrant_id, row.join_url = None, None
    row.posts_today, row.posts_counted_since, row.attempts, row.outcome_unknown = 0, None, 0, False
    row.next_attempt_at = row.updated_at = clock.now()


def _update_rows(ids: Iterable[UUID], change: Any) -> None:
    ids = list(ids)
    if ids:
        rows = db.session.scalars(
            select(MeetingRegistrant)
            .where(MeetingRegistrant.id.in_(ids), _not_leased_clause())
            .execution_options(populate_existing=True)
        )
        for row in rows.all():
            change(row)
            row.updated_at = clock.now()
        db.session.flush()


def _reset_for_generation(row: MeetingRegistrant) -> None:
    """Reset a row for the recreated meeting, where nobody is registered yet."""
    archive_former_registration(row, still_open=False)
    row.zoom_generation = db.session.get_one(ZoomMeeting, row.meeting_id, populate_existing=True).zoom_generation
    _reset_registration(row)
    if not row.is_expected:
        row.state, row.next_attempt_at = RegistrantState.CANCELLED, None
    elif row.reason in (NO_ADDRESS, OUTSIDE, SHARED):
        row.next_attempt_at = None
    else:
        row.state, row.reason = RegistrantState.QUEUED, None


def _mark_leaving(row: MeetingRegistrant) -> None:
    row.is_expected, row.next_attempt_at, row.attempts = False, clock.now(), 0


def _mark_returning(row: MeetingRegistrant) -> None:
    """Expect the person again. A registration that was due for cancellation may still exist."""
    row.is_expected, row.next_attempt_at, row.attempts, row.reason = True, clock.now(), 0, None
    if row.state in (RegistrantState.REGISTERED, RegistrantState.PENDING_APPROVAL):
        row.outcome_unknown = True
    else:
        row.state = RegistrantState.QUEUED


def _mark_idle(row: MeetingRegistrant) -> None:
    row.next_attempt_at = None
