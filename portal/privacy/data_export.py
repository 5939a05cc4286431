"""Everything that is kept of one learner, as one file, for the learner or their parents (RA 10173, section 18).

Of others there is nothing in it: staff appear as "teacher" or "admin", a stay that was shared with a brother or sister
without the name it showed.
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
    """JSON, indented, with times in Manila; twelve statements, whatever there is."""
    return json.dumps(collect_learner_data(learner), ensure_ascii=False, indent=1, default=_plain)


def collect_learner_data(learner: Learner) -> dict[str, Any]:
    """What `learner_data_json` writes, by what it is."""
    ids = _registrant_ids(learner.id)
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
        "attendance": _attendance(learner.id),
        "daily_register": _rows(
            select(DailyAttendance.day, DailyAttendance.mark, DailyAttendance.tardy, DailyAttendance.reason)
            .where(DailyAttendance.learner_id == learner.id)
            .order_by(DailyAttendance.day)
        ),
        "changes_of_marks": _history(learner.id),
        "registrations_with_zoom": _registrations(learner.id),
        "earlier_registrations_with_zoom": _former_registrations(learner.id),
        "what_zoom_saw": _stays(learner.id, learner.email, ids),
        "messages_of_zoom": _deliveries(learner.id, ids),
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
    """Where the learner was and is, the latest first."""
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


_of_a_date = (MeetingOccurrence.starts_at, SchoolClass.subject)


def _attendance(learner_id: UUID) -> Rows:
    rows = db.session.execute(
        select(*_of_a_date, AttendanceRecord)
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


def _history(learner_id: UUID) -> Rows:
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


def _registrations(learner_id: UUID) -> Rows:
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


def _former_registrations(learner_id: UUID) -> Rows:
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
    now, before = (select(table.zoom_registrant_id).where(table.learner_id == learner_id) for table in tables)
    return {one for one in db.session.scalars(now.union(before)) if one}


def _stays(learner_id: UUID, email: str | None, registrant_ids: set[str]) -> Rows:
    """What Zoom told of the learner: by the registration, the address, or a teacher's word."""
    statement = select(ParticipantMatch.participant_id).where(ParticipantMatch.learner_id == learner_id)
    shared = select(ParticipantMatch.participant_id).where(ParticipantMatch.learner_id != learner_id)
    conditions: list[ColumnElement[bool]] = [
        ZoomParticipant.id.in_(statement),
        ZoomParticipant.registrant_id.in_(registrant_ids),
    ]
    if email:
        conditions.append(ZoomParticipant.email == email)
    rows = db.session.execute(
        select(ZoomParticipant, ZoomParticipant.id.in_(shared))
        .join(ZoomInstance, ZoomInstance.id == ZoomParticipant.instance_id)
        .where(ZoomInstance.meeting_id.in_(_meetings(learner_id)), or_(*conditions))
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


def _deliveries(learner_id: UUID, registrant_ids: set[str]) -> Rows:
    """Raw messages that name the learner's registration, of those not deleted yet: the part about the learner."""
    zoom_ids = select(ZoomMeeting.zoom_id).where(ZoomMeeting.id.in_(_meetings(learner_id)))
    valueses = []
    for event in db.session.scalars(
        select(ZoomEvent).where(ZoomEvent.zoom_meeting_id.in_(zoom_ids)).order_by(ZoomEvent.received_at)
    ):
        about = _about(json.loads(event.body), registrant_ids)
        valueses += [
            {"event": event.event, "received_at": event.received_at, "about_the_learner": one} for one in about
        ]
    return valueses


def _about(part: Any, registrant_ids: set[str]) -> list[dict[str, Any]]:
    if isinstance(part, list):
        return [one for item in part for one in _about(item, registrant_ids)]
    if not isinstance(part, dict):
        return []
    if {str(part.get("registrant_id") or ""), str(part.get("id") or "")} & registrant_ids:
        return [part]
    return [one for item in part.values() for one in _about(item, registrant_ids)]


def _meetings(learner_id: UUID) -> Select[UUID]:
    sections = select(Enrolment.section_id).where(Enrolment.learner_id == learner_id)
    classes = select(SchoolClass.id).where(SchoolClass.section_id.in_(sections))
    registered = select(MeetingRegistrant.meeting_id).where(MeetingRegistrant.learner_id == learner_id)
    return select(ZoomMeeting.id).where(or_(ZoomMeeting.class_id.in_(classes), ZoomMeeting.id.in_(registered)))


def _rows(query: Any) -> Rows:
    return [dict(row._mapping) for row in db.session.execute(query)]


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return clock.to_manila(value).isoformat(timespec="seconds")
    if isinstance(value, date):
        return value.isoformat()
    return str(value)
