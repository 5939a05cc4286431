"""Data export for one learner or their parents: everything stored about the learner, in one file (RA 10173, sec. 18).

It contains no other people: staff appear as "teacher" or "admin", and a stay shared with a sibling without its
displayed name.
"""

import json
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, or_, select

from portal.accounts.models import School, User
from portal.attendance.models import (
    AttendanceHistory,
    AttendanceRecord,
    DailyAttendance,
    ParticipantAlias,
    ParticipantMatch,
    ZoomParticipant,
)
from portal.classes.models import Enrolment, Learner, SchoolClass, Section
from portal.core import clock
from portal.core.audit_log import AuditEntry
from portal.core.db import db
from portal.meetings.models import MeetingOccurrence, ZoomInstance, ZoomMeeting
from portal.registration.join_links import JoinLink, JoinLinkUse
from portal.registration.models import FormerRegistrant, MeetingRegistrant
from portal.webhooks.models import ZoomEvent

Rows = list[dict[str, Any]]


def learner_data_json(learner: Learner) -> str:
    """JSON, indented, with times in Manila; a fixed number of twelve statements."""
    return json.dumps(collect_learner_data(learner), ensure_ascii=False, indent=1, default=_to_json_value)


def collect_learner_data(learner: Learner) -> dict[str, Any]:
    """The content of `learner_data_json`, by category."""
    registrant_ids = _registrant_ids(learner.id)
    school = db.session.get_one(School, learner.school_id)
    return {
        "made_at": clock.now(),
        "learner": {
            "lrn": learner.lrn,
            "name_in_lis": learner.lis_name,
            "last_name": learner.last_name,
            "first_name": learner.first_name,
            "middle_name": learner.middle_name,
            "extension": learner.extension,
            "sex": learner.sex,
            "email": learner.email,
            "school": school.name,
            "kept_since": learner.created_at,
        },
        "rosters": collect_enrolment_history(learner.id),
        "attendance": _attendance_rows(learner.id),
        "daily_record": _rows(
            select(DailyAttendance.day, DailyAttendance.mark, DailyAttendance.tardy, DailyAttendance.reason)
            .where(DailyAttendance.learner_id == learner.id)
            .order_by(DailyAttendance.day)
        ),
        "changes_of_marks": _mark_history_rows(learner.id),
        "registrations_with_zoom": _registration_rows(learner.id),
        "earlier_registrations_with_zoom": _former_registration_rows(learner.id),
        "what_zoom_saw": _stay_rows(learner.id, learner.email, registrant_ids),
        "messages_of_zoom": _delivery_rows(learner.id, registrant_ids),
        "names_tied_to_the_learner": _rows(
            select(ParticipantAlias.folded_name.label("name"), ParticipantAlias.created_at).where(
                ParticipantAlias.learner_id == learner.id
            )
        ),
        "links": _rows(
            select(SchoolClass.subject, JoinLink.created_at, JoinLink.ended_at)
            .join(SchoolClass, SchoolClass.id == JoinLink.class_id)
            .where(JoinLink.learner_id == learner.id)
            .order_by(SchoolClass.subject)
        ),
        "uses_of_the_links": _rows(
            select(SchoolClass.subject, JoinLinkUse.opened_at)
            .join(JoinLink, JoinLink.id == JoinLinkUse.link_id)
            .join(SchoolClass, SchoolClass.id == JoinLink.class_id)
            .where(JoinLink.learner_id == learner.id)
            .order_by(JoinLinkUse.opened_at)
        ),
        "who_looked_at_this_learner_alone": _rows(
            select(AuditEntry.occurred_at, User.role.label("by"), AuditEntry.action)
            .outerjoin(User, User.id == AuditEntry.user_id)
            .where(AuditEntry.subject_type == "learner", AuditEntry.subject_id == str(learner.id))
            .order_by(AuditEntry.occurred_at)
        ),
    }


def collect_enrolment_history(learner_id: UUID) -> Rows:
    """The learner's enrolments, the latest first."""
    return _rows(
        select(
            Section.school_year,
            Section.grade_level,
            Section.name.label("section"),
            Enrolment.from_date,
            Enrolment.until_date,
            Enrolment.exit_reason,
        )
        .join(Section, Section.id == Enrolment.section_id)
        .where(Enrolment.learner_id == learner_id)
        .order_by(Enrolment.from_date.desc())
    )


_date_columns = (MeetingOccurrence.starts_at, SchoolClass.subject)


def _attendance_rows(learner_id: UUID) -> Rows:
    rows = db.session.execute(
        select(*_date_columns, AttendanceRecord)
        .join(MeetingOccurrence, MeetingOccurrence.id == AttendanceRecord.occurrence_id)
        .join(ZoomMeeting, ZoomMeeting.id == MeetingOccurrence.meeting_id)
        .outerjoin(SchoolClass, SchoolClass.id == ZoomMeeting.class_id)
        .where(AttendanceRecord.learner_id == learner_id)
        .order_by(MeetingOccurrence.starts_at)
    )
    return [
        {
            "class_at": starts_at,
            "subject": subject,
            "mark": record.mark,
            "computed_mark": record.computed_mark,
            "seconds": record.seconds,
            "first_join": record.first_join_at,
            "last_leave": record.last_leave_at,
            "stays": record.stay_count,
            "known_by": record.matched_by,
            "notes": record.flags,
            "set_by_hand": record.override_mark,
            "reason": record.override_reason,
            "signed_mark": record.final_mark,
        }
        for starts_at, subject, record in rows
    ]


def _mark_history_rows(learner_id: UUID) -> Rows:
    return _rows(
        select(
            MeetingOccurrence.starts_at.label("class_at"),
            AttendanceHistory.occurred_at,
            User.role.label("by"),
            AttendanceHistory.event,
            AttendanceHistory.from_mark,
            AttendanceHistory.to_mark,
            AttendanceHistory.reason,
        )
        .join(MeetingOccurrence, MeetingOccurrence.id == AttendanceHistory.occurrence_id)
        .outerjoin(User, User.id == AttendanceHistory.actor_id)
        .where(AttendanceHistory.learner_id == learner_id)
        .order_by(AttendanceHistory.occurred_at)
    )


def _registration_rows(learner_id: UUID) -> Rows:
    rows = db.session.execute(
        select(ZoomMeeting.title, MeetingRegistrant)
        .join(ZoomMeeting, ZoomMeeting.id == MeetingRegistrant.meeting_id)
        .where(MeetingRegistrant.learner_id == learner_id)
        .order_by(MeetingRegistrant.created_at)
    )
    return [
        {
            "meeting": title,
            "email": row.email,
            "first_name": row.first_name,
            "last_name": row.last_name,
            "state": row.state,
            "id_at_zoom": row.zoom_registrant_id,
            "personal_link": row.join_url,
            "since": row.created_at,
        }
        for title, row in rows
    ]


def _former_registration_rows(learner_id: UUID) -> Rows:
    return _rows(
        select(
            ZoomMeeting.title.label("meeting"),
            FormerRegistrant.email,
            FormerRegistrant.zoom_registrant_id.label("id_at_zoom"),
            FormerRegistrant.created_at.label("until"),
        )
        .join(ZoomMeeting, ZoomMeeting.id == FormerRegistrant.meeting_id)
        .where(FormerRegistrant.learner_id == learner_id)
        .order_by(FormerRegistrant.created_at)
    )


def _registrant_ids(learner_id: UUID) -> set[str]:
    tables = (MeetingRegistrant, FormerRegistrant)
    current, former = (select(table.zoom_registrant_id).where(table.learner_id == learner_id) for table in tables)
    return {registrant_id for registrant_id in db.session.scalars(current.union(former)) if registrant_id}


def _stay_rows(learner_id: UUID, email: str | None, registrant_ids: set[str]) -> Rows:
    """Zoom's participant rows of the learner: by registration, address, or manual match."""
    matched = select(ParticipantMatch.participant_id).where(ParticipantMatch.learner_id == learner_id)
    matched_to_others = select(ParticipantMatch.participant_id).where(ParticipantMatch.learner_id != learner_id)
    conditions: list[ColumnElement[bool]] = [
        ZoomParticipant.id.in_(matched),
        ZoomParticipant.registrant_id.in_(registrant_ids),
    ]
    if email:
        conditions.append(ZoomParticipant.email == email)
    rows = db.session.execute(
        select(ZoomParticipant, ZoomParticipant.id.in_(matched_to_others))
        .join(ZoomInstance, ZoomInstance.id == ZoomParticipant.instance_id)
        .where(ZoomInstance.meeting_id.in_(_meeting_ids(learner_id)), or_(*conditions))
        .order_by(ZoomParticipant.joined_at)
    )
    return [
        {
            "name_shown": None if is_shared else row.name,
            "email": None if is_shared else row.email,
            "joined": row.joined_at,
            "left": row.left_at,
            "room": row.room,
            "told_by": row.source,
            "shared_device": is_shared,
        }
        for row, is_shared in rows
    ]


def _delivery_rows(learner_id: UUID, registrant_ids: set[str]) -> Rows:
    """Raw deliveries with the learner's registrant id that are not deleted yet: only the part about the learner."""
    zoom_ids = select(ZoomMeeting.zoom_id).where(ZoomMeeting.id.in_(_meeting_ids(learner_id)))
    entries = []
    for event in db.session.scalars(
        select(ZoomEvent).where(ZoomEvent.zoom_meeting_id.in_(zoom_ids)).order_by(ZoomEvent.received_at)
    ):
        parts = _parts_about_learner(json.loads(event.body), registrant_ids)
        entries += [
            {"event": event.event, "received_at": event.received_at, "about_the_learner": part} for part in parts
        ]
    return entries


def _parts_about_learner(part: Any, registrant_ids: set[str]) -> list[dict[str, Any]]:
    if isinstance(part, list):
        return [found_part for item in part for found_part in _parts_about_learner(item, registrant_ids)]
    if not isinstance(part, dict):
        return []
    if {str(part.get("registrant_id") or ""), str(part.get("id") or "")} & registrant_ids:
        return [part]
    return [found_part for item in part.values() for found_part in _parts_about_learner(item, registrant_ids)]


def _meeting_ids(learner_id: UUID) -> Select[UUID]:
    section_ids = select(Enrolment.section_id).where(Enrolment.learner_id == learner_id)
    class_ids = select(SchoolClass.id).where(SchoolClass.section_id.in_(section_ids))
    registered_meeting_ids = select(MeetingRegistrant.meeting_id).where(MeetingRegistrant.learner_id == learner_id)
    return select(ZoomMeeting.id).where(
        or_(ZoomMeeting.class_id.in_(class_ids), ZoomMeeting.id.in_(registered_meeting_ids))
    )


def _rows(query: Any) -> Rows:
    return [dict(row._mapping) for row in db.session.execute(query)]


def _to_json_value(value: object) -> str:
    if isinstance(value, datetime):
        return clock.to_manila(value).isoformat(timespec="seconds")
    if isinstance(value, date):
        return value.isoformat()
    return str(value)
