"""From what happened to what each person is told. The sweeps here find what nobody has been told of yet.

Each batch is one transaction: the rows are locked (those that another worker has are skipped), the notifications
written, the rows marked as told. Whoever dies meanwhile has told nothing, and a repeat finds its own rows there.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Select, and_, func, literal, select, union_all, update
from sqlalchemy.orm import aliased, joinedload

from portal.accounts.models import User
from portal.attendance.calculation.marks import compute_sheet
from portal.attendance.models import NOT_NOTIFIED as SHEET_UNTOLD
from portal.attendance.models import AttendanceSheet
from portal.attendance.sheet import queries as attendance_queries
from portal.attendance.sheet.compute import load_sheet_evidence
from portal.classes.models import SchoolClass, Section, co_teachers
from portal.core import clock
from portal.core.db import (
    bulk_insert_ignore,
    db,
    is_postgresql,
    write_transaction,
)
from portal.meetings.codes import MeetingEvent, MeetingState
from portal.meetings.models import MeetingHistory, MeetingOccurrence, ZoomMeeting
from portal.meetings.queries import OCCURRENCE_EVENTS
from portal.meetings.staff_meetings import service as staff_meetings_service
from portal.notifications.codes import NotificationKind
from portal.notifications.models import Notification, NotificationOptOut
from portal.registration.models import FAILURES, MeetingRegistrant
from portal.registration.models import NOT_NOTIFIED as FAILURE_UNTOLD

BATCH_SIZE = 100
SHEETS_PER_BATCH = 10
SETTLE_DELAY = timedelta(minutes=2)  # registrations fail one after the other: they are told together
MAX_EVENT_AGE = timedelta(days=3)  # told in the portal alone: nobody wants letters about last week
SOON, LATER = timedelta(minutes=1), timedelta(minutes=10)  # how long a letter waits for more to say
URGENT_KINDS = (NotificationKind.CHANGED, NotificationKind.CANCELLED)

# What of a meeting's history is told, as which kind; the rest concerns nobody but the page.
KIND_OF_EVENT: dict[str, NotificationKind] = {
    MeetingEvent.SCHEDULED: NotificationKind.SCHEDULED,
    MeetingEvent.CHANGED: NotificationKind.CHANGED,
    MeetingEvent.RECREATED: NotificationKind.CHANGED,
    MeetingEvent.OCCURRENCE_MOVED: NotificationKind.CHANGED,
    MeetingEvent.MOVED_AT_ZOOM: NotificationKind.CHANGED,
    MeetingEvent.RECOVERED_AT_ZOOM: NotificationKind.CHANGED,
    MeetingEvent.CANCELLED: NotificationKind.CANCELLED,
    MeetingEvent.FOUND_DELETED_AT_ZOOM: NotificationKind.CANCELLED,
    MeetingEvent.OCCURRENCE_CANCELLED: NotificationKind.CANCELLED,
    MeetingEvent.OCCURRENCE_CANCELLED_AT_ZOOM: NotificationKind.CANCELLED,
}
CHANGED_IN_ZOOM_ITSELF = (
    MeetingEvent.MOVED_AT_ZOOM,
    MeetingEvent.RECOVERED_AT_ZOOM,
    MeetingEvent.FOUND_DELETED_AT_ZOOM,
    MeetingEvent.OCCURRENCE_CANCELLED_AT_ZOOM,
)
ONLY_ONCE = (
    MeetingEvent.SCHEDULED,
    MeetingEvent.CANCELLED,
    MeetingEvent.FOUND_DELETED_AT_ZOOM,
)  # for a whole meeting, however often it is noted


@dataclass(frozen=True)
class NotificationEvent:
    """One thing to tell. `by` did it and is not told; `adviser`: the section's adviser, or who is invited to a
    meeting without a class, is told as well."""

    kind: str
    dedup_key: str
    meeting_id: UUID
    occurred_at: datetime
    payload: dict[str, Any]
    occurrence_id: UUID | None = None
    actor_id: UUID | None = None
    adviser: bool = False


@dataclass
class _Recipients:
    """Who looks after a meeting: those who manage it; and who may look, the adviser or those invited."""

    managers: set[UUID] = field(default_factory=set)
    lookers: set[UUID] = field(default_factory=set)


def notify_meeting_changes() -> int:
    """Scheduled, changed, cancelled: what is new in the meetings' histories; how many lines."""
    untold = ~MeetingHistory.is_notified
    if db.session.scalar(select(MeetingHistory.id).where(untold).limit(1)) is None:
        return 0
    with write_transaction() as session:
        lines = list(session.scalars(_mine(select(MeetingHistory).where(untold).order_by(MeetingHistory.id))))
        news = [line for line in lines if line.event in KIND_OF_EVENT]
        meetings = _meetings({line.meeting_id for line in news})
        doers = _names({line.actor_id for line in news if line.actor_id})
        create_due_notifications(
            _of_history(line, *meetings[line.meeting_id], doers.get(line.actor_id) if line.actor_id else None)
            for line in news
        )
        session.execute(
            update(MeetingHistory).where(MeetingHistory.id.in_([line.id for line in lines])).values(is_notified=True)
        )
    return len(lines)


def _of_history(line: MeetingHistory, meeting: ZoomMeeting, facts: dict[str, Any], by: str | None) -> NotificationEvent:
    about_one = line.event in OCCURRENCE_EVENTS
    values = {**facts, "by": by, "at_zoom": line.event in CHANGED_IN_ZOOM_ITSELF, "one_date": about_one}
    if about_one and line.occurrence_date:
        values |= {
            "before": line.occurrence_date.isoformat(),
            "starts_at": None,
            "moved_to": clock.to_manila(line.moved_to).isoformat() if line.moved_to else "",
            "reason": line.reason or "",
        }
    elif line.event == MeetingEvent.CANCELLED:
        values["reason"] = line.reason
    whole = f"meeting/{meeting.id}/{meeting.zoom_generation}"
    if line.event == MeetingEvent.SCHEDULED and meeting.schedule_id:  # of one schedule all meetings are told as one
        whole = f"schedule/{meeting.schedule_id}"
        values["dates"] = facts["dates_of_schedule"]
    return NotificationEvent(
        kind=KIND_OF_EVENT[line.event],
        dedup_key=whole if line.event in ONLY_ONCE else f"history/{line.id}",
        meeting_id=meeting.id,
        occurred_at=line.occurred_at,
        payload=values,
        actor_id=line.actor_id,
        adviser=True,
    )


def notify_registration_failures() -> int:
    """Meetings for which Zoom could not register somebody: once a day each, when nothing new has failed for a while."""
    failed = and_(MeetingRegistrant.is_expected, MeetingRegistrant.state.in_(FAILURES))
    rows = db.session.execute(
        select(MeetingRegistrant.meeting_id, func.max(MeetingRegistrant.updated_at))
        .where(FAILURE_UNTOLD)
        .group_by(MeetingRegistrant.meeting_id)
        .having(func.max(MeetingRegistrant.updated_at) <= clock.now() - SETTLE_DELAY)
        .limit(BATCH_SIZE)
    )
    ids = [meeting_id for meeting_id, _latest in rows]
    condition = and_(MeetingRegistrant.failure_notified, ~failed)
    better = db.session.scalar(select(MeetingRegistrant.id).where(condition).limit(1)) is not None
    if not ids and not better:
        return 0
    now = clock.now()
    with write_transaction() as session:
        if better:  # who fails anew is told anew
            session.execute(update(MeetingRegistrant).where(condition).values(failure_notified=False))
        counted = select(MeetingRegistrant.meeting_id, func.count()).where(
            MeetingRegistrant.meeting_id.in_(ids), failed
        )
        numbers = dict(session.execute(counted.group_by(MeetingRegistrant.meeting_id)).all())
        meetings = _meetings(set(ids))
        coming = [
            pair
            for pair in meetings.values()
            if pair[0].state in (MeetingState.PENDING_ZOOM, MeetingState.SCHEDULED, MeetingState.STARTED)
        ]
        create_due_notifications(
            NotificationEvent(
                kind=NotificationKind.REGISTRATION_FAILED,
                dedup_key=f"meeting/{meeting.id}/{clock.today().isoformat()}",
                meeting_id=meeting.id,
                occurred_at=now,
                payload={**facts, "number": numbers.get(meeting.id, 0)},
            )
            for meeting, facts in coming
            if numbers.get(meeting.id)
        )
        session.execute(
            update(MeetingRegistrant).where(MeetingRegistrant.meeting_id.in_(ids), failed).values(failure_notified=True)
        )
    return len(ids)


def notify_sheets_ready() -> int:
    """Sheets of classes that are over and of which Zoom has said all, and the people on them to match; how many."""
    ready = db.session.scalars(
        select(AttendanceSheet.occurrence_id)
        .where(SHEET_UNTOLD)
        .order_by(AttendanceSheet.occurrence_id)
        .limit(SHEETS_PER_BATCH)
    )
    return sum(_tell_of_sheet(occurrence_id) for occurrence_id in ready.all())


def _tell_of_sheet(occurrence_id: UUID) -> int:
    occurrence = db.session.scalar(
        select(MeetingOccurrence)
        .where(MeetingOccurrence.id == occurrence_id)
        .options(joinedload(MeetingOccurrence.meeting))
        .execution_options(populate_existing=True)
    )
    if occurrence is None:
        return 0
    number = len(compute_sheet(load_sheet_evidence(occurrence, occurrence.meeting).input).unmatched)
    summary = attendance_queries.load_sheet_summaries([occurrence_id]).get(occurrence_id)
    with write_transaction() as session:
        row = session.scalar(_mine(select(AttendanceSheet).where(AttendanceSheet.occurrence_id == occurrence_id), 1))
        if row is None or row.is_notified:
            return 0
        row.is_notified = True
        # A meeting without a class has evidence of who came, but no sheet.
        if row.finalised_at is None and occurrence.meeting.class_id is not None:
            [(meeting, facts)] = _meetings({occurrence.meeting_id}).values()
            values = {**facts, "starts_at": occurrence.starts_at.isoformat(), "dates": 1}
            counts = {name: getattr(summary, name, 0) for name in ("present", "partial", "absent", "review")}
            kinds = [(NotificationKind.SHEET_READY, counts)] + (
                [(NotificationKind.TO_MATCH, {"number": number})] if number else []
            )
            create_due_notifications(
                NotificationEvent(
                    kind=kind,
                    dedup_key=f"occurrence/{occurrence.id}",
                    meeting_id=meeting.id,
                    occurrence_id=occurrence.id,
                    occurred_at=clock.now(),
                    payload=values | more,
                )
                for kind, more in kinds
            )
    return 1


def create_due_notifications(happenings: Iterable[NotificationEvent]) -> None:
    """Write what each of the people concerned is told, within the open transaction. Told twice is told once."""
    news = list(happenings)
    staff = _staff({one.meeting_id for one in news})
    people = {user for recipients in staff.values() for user in recipients.managers | recipients.lookers}
    off = _switched_off(people)
    rows = []
    for event in news:
        recipients = staff[event.meeting_id]
        told = recipients.managers | (recipients.lookers if event.adviser else set())
        for user_id in sorted(told - {event.actor_id}):
            shown = (user_id, event.kind, "portal") not in off
            mailed = (user_id, event.kind, "mail") not in off and event.occurred_at > clock.now() - MAX_EVENT_AGE
            if shown or mailed:
                rows.append(_row(event, user_id, shown=shown, mailed=mailed))
    if rows:
        bulk_insert_ignore(Notification, rows)


def _row(event: NotificationEvent, user_id: UUID, *, shown: bool, mailed: bool) -> dict[str, Any]:
    wait = SOON if event.kind in URGENT_KINDS else LATER
    return {
        "id": uuid4(),
        "user_id": user_id,
        "kind": event.kind,
        "dedup_key": event.dedup_key,
        "meeting_id": event.meeting_id,
        "occurrence_id": event.occurrence_id,
        "payload": event.payload,
        "occurred_at": event.occurred_at,
        "in_portal": shown,
        "read_at": None,
        "mail_due_at": clock.now() + wait if mailed else None,
    }


def _mine(rows: Select[Any], most: int = BATCH_SIZE) -> Select[Any]:
    """Up to `most` of the rows, locked; without those that another worker is just telling of."""
    rows = rows.limit(most).execution_options(populate_existing=True)
    return rows.with_for_update(skip_locked=True) if is_postgresql() else rows


def _meetings(ids: set[UUID]) -> dict[UUID, tuple[ZoomMeeting, dict[str, Any]]]:
    """Meetings, each with the facts that every sentence about it needs."""
    dates = select(func.count()).select_from(MeetingOccurrence).where(MeetingOccurrence.is_scheduled)
    other = aliased(ZoomMeeting)
    of_schedule = dates.join(other, other.id == MeetingOccurrence.meeting_id)
    rows = db.session.execute(
        select(
            ZoomMeeting,
            SchoolClass.subject,
            Section,
            dates.where(MeetingOccurrence.meeting_id == ZoomMeeting.id).correlate(ZoomMeeting).scalar_subquery(),
            of_schedule.where(other.schedule_id == ZoomMeeting.schedule_id).correlate(ZoomMeeting).scalar_subquery(),
        )
        .outerjoin(SchoolClass, SchoolClass.id == ZoomMeeting.class_id)
        .outerjoin(Section, Section.id == SchoolClass.section_id)
        .where(ZoomMeeting.id.in_(ids))
        .execution_options(populate_existing=True)
    )
    return {
        meeting.id: (
            meeting,
            {
                "title": meeting.title,
                "subject": subject,
                "section": section.title if section else None,
                "starts_at": meeting.starts_at.isoformat(),
                "dates": number,
                "dates_of_schedule": in_all,
            },
        )
        for meeting, subject, section, number, in_all in rows
    }


def _names(people: set[UUID]) -> dict[UUID, str]:
    rows = db.session.execute(select(User.id, User.full_name).where(User.id.in_(people)))
    return dict(rows.all())


def _staff(meeting_ids: set[UUID]) -> dict[UUID, _Recipients]:
    """Teacher, co-teachers and adviser of each meeting's class; of one without a class, who made it and is invited."""
    of = ZoomMeeting.id.in_(meeting_ids)
    teacher = (
        select(ZoomMeeting.id, SchoolClass.teacher_id, literal("manager"))
        .join(SchoolClass, SchoolClass.id == ZoomMeeting.class_id)
        .where(of)
    )
    others = (
        select(ZoomMeeting.id, co_teachers.c.user_id, literal("manager"))
        .join(co_teachers, co_teachers.c.class_id == ZoomMeeting.class_id)
        .where(of)
    )
    adviser = (
        select(ZoomMeeting.id, Section.adviser_id, literal("looker"))
        .join(SchoolClass, SchoolClass.id == ZoomMeeting.class_id)
        .join(Section, Section.id == SchoolClass.section_id)
        .where(of, Section.adviser_id.is_not(None))
    )
    maker = select(ZoomMeeting.id, ZoomMeeting.created_by, literal("manager")).where(of, ZoomMeeting.class_id.is_(None))
    people = staff_meetings_service.select_invitees(of).subquery()
    invited = select(people.c.meeting_id, people.c.user_id, literal("looker"))
    everybody = union_all(teacher, others, adviser, maker, invited).subquery()
    rows = db.session.execute(
        select(everybody).join(User, User.id == everybody.c[1]).where(User.deactivated_at.is_(None))
    )
    recipientses: dict[UUID, _Recipients] = {meeting_id: _Recipients() for meeting_id in meeting_ids}
    for meeting_id, user_id, role in rows:
        (recipientses[meeting_id].managers if role == "manager" else recipientses[meeting_id].lookers).add(user_id)
    return recipientses


def _switched_off(people: set[UUID]) -> set[tuple[UUID, str, str]]:
    rows = select(NotificationOptOut.user_id, NotificationOptOut.kind, NotificationOptOut.channel).where(
        NotificationOptOut.user_id.in_(people)
    )
    return {(user_id, kind, channel) for user_id, kind, channel in db.session.execute(rows)}
