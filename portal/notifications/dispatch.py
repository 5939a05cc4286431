"""Fan-out of events into notifications per recipient. Sweeps find events that were not dispatched yet.

Each batch is one transaction: rows are locked (those locked by another worker are skipped), notifications inserted,
rows marked as notified. A crash rolls everything back, and a repetition is ignored by the unique key.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Select, and_, func, literal, select, union_all, update
from sqlalchemy.orm import aliased, joinedload

from portal.accounts.models import User
from portal.attendance.models import NOT_NOTIFIED as SHEET_UNTOLD
from portal.attendance.models import AttendanceSheet
from portal.attendance.sheet import queries as attendance_queries
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
SETTLE_DELAY = timedelta(minutes=2)  # registrations fail one after the other: they are collected into one notification
MAX_EVENT_AGE = timedelta(days=3)  # older events are shown in the portal only, without a mail
SOON, LATER = timedelta(minutes=1), timedelta(minutes=10)  # how long a mail is held back to collect more
URGENT_KINDS = (NotificationKind.CHANGED, NotificationKind.CANCELLED)

# Which events of a meeting's history are notified, as which kind; the others are shown on the page only.
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
)  # once for a whole meeting, however often it is recorded


@dataclass(frozen=True)
class NotificationEvent:
    """One event to dispatch. `actor_id` did it and is not notified; with `adviser`, the section's adviser, or the
    invitees of a meeting without a class, are notified as well."""

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
    """Recipients of a meeting: its managers, and those who only view it (adviser or invitees)."""

    managers: set[UUID] = field(default_factory=set)
    lookers: set[UUID] = field(default_factory=set)


def notify_meeting_changes() -> int:
    """Dispatch new events of the meetings' histories: scheduled, changed, cancelled; returns the number of rows."""
    not_notified = ~MeetingHistory.is_notified
    if db.session.scalar(select(MeetingHistory.id).where(not_notified).limit(1)) is None:
        return 0
    with write_transaction() as session:
        rows = list(
            session.scalars(_lock_batch(select(MeetingHistory).where(not_notified).order_by(MeetingHistory.id)))
        )
        relevant = [row for row in rows if row.event in KIND_OF_EVENT]
        meetings = _load_meeting_payloads({row.meeting_id for row in relevant})
        actor_names = _load_names({row.actor_id for row in relevant if row.actor_id})
        create_due_notifications(
            _history_event(row, *meetings[row.meeting_id], actor_names.get(row.actor_id) if row.actor_id else None)
            for row in relevant
        )
        session.execute(
            update(MeetingHistory).where(MeetingHistory.id.in_([row.id for row in rows])).values(is_notified=True)
        )
    return len(rows)


def _history_event(
    row: MeetingHistory, meeting: ZoomMeeting, payload: dict[str, Any], actor_name: str | None
) -> NotificationEvent:
    is_about_one_date = row.event in OCCURRENCE_EVENTS
    values = {
        **payload,
        "by": actor_name,
        "at_zoom": row.event in CHANGED_IN_ZOOM_ITSELF,
        "one_date": is_about_one_date,
    }
    if is_about_one_date and row.occurrence_date:
        values |= {
            "before": row.occurrence_date.isoformat(),
            "starts_at": None,
            "moved_to": clock.to_manila(row.moved_to).isoformat() if row.moved_to else "",
            "reason": row.reason or "",
        }
    elif row.event == MeetingEvent.CANCELLED:
        values["reason"] = row.reason
    dedup_key = f"meeting/{meeting.id}/{meeting.zoom_generation}"
    if (
        row.event == MeetingEvent.SCHEDULED and meeting.schedule_id
    ):  # all meetings of one schedule give one notification
        dedup_key = f"schedule/{meeting.schedule_id}"
        values["dates"] = payload["dates_of_schedule"]
    return NotificationEvent(
        kind=KIND_OF_EVENT[row.event],
        dedup_key=dedup_key if row.event in ONLY_ONCE else f"history/{row.id}",
        meeting_id=meeting.id,
        occurred_at=row.occurred_at,
        payload=values,
        actor_id=row.actor_id,
        adviser=True,
    )


def notify_registration_failures() -> int:
    """Dispatch failed registrations: once a day for each meeting, after a settling time without new failures."""
    failed = and_(MeetingRegistrant.is_expected, MeetingRegistrant.state.in_(FAILURES))
    rows = db.session.execute(
        select(MeetingRegistrant.meeting_id, func.max(MeetingRegistrant.updated_at))
        .where(FAILURE_UNTOLD)
        .group_by(MeetingRegistrant.meeting_id)
        .having(func.max(MeetingRegistrant.updated_at) <= clock.now() - SETTLE_DELAY)
        .limit(BATCH_SIZE)
    )
    meeting_ids = [meeting_id for meeting_id, _latest in rows]
    recovered = and_(MeetingRegistrant.failure_notified, ~failed)
    has_recovered = db.session.scalar(select(MeetingRegistrant.id).where(recovered).limit(1)) is not None
    if not meeting_ids and not has_recovered:
        return 0
    now = clock.now()
    with write_transaction() as session:
        if has_recovered:  # a new failure is notified again
            session.execute(update(MeetingRegistrant).where(recovered).values(failure_notified=False))
        failure_counts = select(MeetingRegistrant.meeting_id, func.count()).where(
            MeetingRegistrant.meeting_id.in_(meeting_ids), failed
        )
        counts_by_meeting = dict(session.execute(failure_counts.group_by(MeetingRegistrant.meeting_id)).all())
        meetings = _load_meeting_payloads(set(meeting_ids))
        upcoming = [
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
                payload={**payload, "number": counts_by_meeting.get(meeting.id, 0)},
            )
            for meeting, payload in upcoming
            if counts_by_meeting.get(meeting.id)
        )
        session.execute(
            update(MeetingRegistrant)
            .where(MeetingRegistrant.meeting_id.in_(meeting_ids), failed)
            .values(failure_notified=True)
        )
    return len(meeting_ids)


def notify_sheets_ready() -> int:
    """Dispatch sheets that are complete, and their unmatched participants; returns the number of sheets."""
    ready = db.session.scalars(
        select(AttendanceSheet.occurrence_id)
        .where(SHEET_UNTOLD)
        .order_by(AttendanceSheet.occurrence_id)
        .limit(SHEETS_PER_BATCH)
    )
    return sum(_notify_sheet(occurrence_id) for occurrence_id in ready.all())


def _notify_sheet(occurrence_id: UUID) -> int:
    occurrence = db.session.scalar(
        select(MeetingOccurrence)
        .where(MeetingOccurrence.id == occurrence_id)
        .options(joinedload(MeetingOccurrence.meeting))
        .execution_options(populate_existing=True)
    )
    if occurrence is None:
        return 0
    summary = attendance_queries.load_sheet_summaries([occurrence_id]).get(occurrence_id)
    with write_transaction() as session:
        row = session.scalar(
            _lock_batch(select(AttendanceSheet).where(AttendanceSheet.occurrence_id == occurrence_id), 1)
        )
        if row is None or row.is_notified:
            return 0
        row.is_notified = True
        # A meeting without a class has evidence of attendance, but no sheet.
        if row.finalised_at is None and occurrence.meeting.class_id is not None:
            [(meeting, payload)] = _load_meeting_payloads({occurrence.meeting_id}).values()
            values = {**payload, "starts_at": occurrence.starts_at.isoformat(), "dates": 1}
            kinds = [(NotificationKind.SHEET_READY, _counts_of_marks(summary))]
            if row.unmatched_count:
                kinds.append((NotificationKind.TO_MATCH, {"number": row.unmatched_count}))
            create_due_notifications(
                NotificationEvent(
                    kind=kind,
                    dedup_key=f"occurrence/{occurrence.id}",
                    meeting_id=meeting.id,
                    occurrence_id=occurrence.id,
                    occurred_at=clock.now(),
                    payload=values | extra,
                )
                for kind, extra in kinds
            )
    return 1


def _counts_of_marks(summary: attendance_queries.SheetSummary | None) -> dict[str, int]:
    """The counts that the sentence of a ready sheet names; "review" is the key that it has always been kept under."""
    if summary is None:
        return {}
    return {
        "present": summary.present,
        "partial": summary.partial,
        "absent": summary.absent,
        "review": summary.needs_review,
    }


def create_due_notifications(occurred_events: Iterable[NotificationEvent]) -> None:
    """Insert the recipients' notifications of these events, in the open transaction. Idempotent by the unique key."""
    events = list(occurred_events)
    recipients_by_meeting = _load_recipients({due_event.meeting_id for due_event in events})
    all_recipients = {
        user for recipients in recipients_by_meeting.values() for user in recipients.managers | recipients.lookers
    }
    opt_outs = _load_opt_outs(all_recipients)
    rows = []
    for event in events:
        recipients = recipients_by_meeting[event.meeting_id]
        user_ids = recipients.managers | (recipients.lookers if event.adviser else set())
        for user_id in sorted(user_ids - {event.actor_id}):
            in_portal = (user_id, event.kind, "portal") not in opt_outs
            by_mail = (user_id, event.kind, "mail") not in opt_outs and event.occurred_at > clock.now() - MAX_EVENT_AGE
            if in_portal or by_mail:
                rows.append(_notification_values(event, user_id, in_portal=in_portal, by_mail=by_mail))
    if rows:
        bulk_insert_ignore(Notification, rows)


def _notification_values(event: NotificationEvent, user_id: UUID, *, in_portal: bool, by_mail: bool) -> dict[str, Any]:
    delay = SOON if event.kind in URGENT_KINDS else LATER
    return {
        "id": uuid4(),
        "user_id": user_id,
        "kind": event.kind,
        "dedup_key": event.dedup_key,
        "meeting_id": event.meeting_id,
        "occurrence_id": event.occurrence_id,
        "payload": event.payload,
        "occurred_at": event.occurred_at,
        "in_portal": in_portal,
        "read_at": None,
        "mail_due_at": clock.now() + delay if by_mail else None,
    }


def _lock_batch(rows: Select[Any], most: int = BATCH_SIZE) -> Select[Any]:
    """Up to `most` of the rows, locked; rows locked by another worker are skipped."""
    rows = rows.limit(most).execution_options(populate_existing=True)
    return rows.with_for_update(skip_locked=True) if is_postgresql() else rows


def _load_meeting_payloads(ids: set[UUID]) -> dict[UUID, tuple[ZoomMeeting, dict[str, Any]]]:
    """Meetings, each with the payload that all its notifications share."""
    count_dates = select(func.count()).select_from(MeetingOccurrence).where(MeetingOccurrence.is_scheduled)
    sibling = aliased(ZoomMeeting)
    of_schedule = count_dates.join(sibling, sibling.id == MeetingOccurrence.meeting_id)
    rows = db.session.execute(
        select(
            ZoomMeeting,
            SchoolClass.subject,
            Section,
            count_dates.where(MeetingOccurrence.meeting_id == ZoomMeeting.id).correlate(ZoomMeeting).scalar_subquery(),
            of_schedule.where(sibling.schedule_id == ZoomMeeting.schedule_id).correlate(ZoomMeeting).scalar_subquery(),
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
                "dates": date_count,
                "dates_of_schedule": schedule_date_count,
            },
        )
        for meeting, subject, section, date_count, schedule_date_count in rows
    }


def _load_names(people: set[UUID]) -> dict[UUID, str]:
    rows = db.session.execute(select(User.id, User.full_name).where(User.id.in_(people)))
    return dict(rows.all())


def _load_recipients(meeting_ids: set[UUID]) -> dict[UUID, _Recipients]:
    """Recipients by meeting: teacher, co-teachers and adviser of its class; without one, its creator and invitees."""
    meetings_clause = ZoomMeeting.id.in_(meeting_ids)
    teacher_rows = (
        select(ZoomMeeting.id, SchoolClass.teacher_id, literal("manager"))
        .join(SchoolClass, SchoolClass.id == ZoomMeeting.class_id)
        .where(meetings_clause)
    )
    co_teacher_rows = (
        select(ZoomMeeting.id, co_teachers.c.user_id, literal("manager"))
        .join(co_teachers, co_teachers.c.class_id == ZoomMeeting.class_id)
        .where(meetings_clause)
    )
    adviser_rows = (
        select(ZoomMeeting.id, Section.adviser_id, literal("looker"))
        .join(SchoolClass, SchoolClass.id == ZoomMeeting.class_id)
        .join(Section, Section.id == SchoolClass.section_id)
        .where(meetings_clause, Section.adviser_id.is_not(None))
    )
    creator_rows = select(ZoomMeeting.id, ZoomMeeting.created_by, literal("manager")).where(
        meetings_clause, ZoomMeeting.class_id.is_(None)
    )
    invitees = staff_meetings_service.select_invitees(meetings_clause).subquery()
    invitee_rows = select(invitees.c.meeting_id, invitees.c.user_id, literal("looker"))
    recipient_rows = union_all(teacher_rows, co_teacher_rows, adviser_rows, creator_rows, invitee_rows).subquery()
    rows = db.session.execute(
        select(recipient_rows).join(User, User.id == recipient_rows.c[1]).where(User.deactivated_at.is_(None))
    )
    recipients_by_meeting: dict[UUID, _Recipients] = {meeting_id: _Recipients() for meeting_id in meeting_ids}
    for meeting_id, user_id, role in rows:
        (
            recipients_by_meeting[meeting_id].managers
            if role == "manager"
            else recipients_by_meeting[meeting_id].lookers
        ).add(user_id)
    return recipients_by_meeting


def _load_opt_outs(people: set[UUID]) -> set[tuple[UUID, str, str]]:
    rows = select(NotificationOptOut.user_id, NotificationOptOut.kind, NotificationOptOut.channel).where(
        NotificationOptOut.user_id.in_(people)
    )
    return {(user_id, kind, channel) for user_id, kind, channel in db.session.execute(rows)}
