"""Access control: loaders of meetings and occurrences for the signed-in user, and SQL conditions on them."""

from functools import lru_cache
from uuid import UUID

from flask import abort
from flask_login import current_user
from sqlalchemy import ColumnElement, Select, bindparam, exists, or_, select
from sqlalchemy.orm import joinedload, selectinload

from portal.accounts.access import STATEMENT_CACHE_SIZE, AccessScope, access_scope_of
from portal.accounts.models import User
from portal.classes.access import (
    can_view_learners,
    manageable_classes_clause,
    require_section_disclosure,
    visible_classes_clause,
)
from portal.classes.models import SchoolClass, Section
from portal.core.db import db
from portal.meetings.models import SCHOOL_AUDIENCES, MeetingInvitation, MeetingOccurrence, Schedule, ZoomMeeting


def visible_meetings_clause(user: User | AccessScope) -> ColumnElement[bool]:
    """Condition on ZoomMeeting: of a class the user sees; without a class, created by the user or invited to."""
    visible_class_ids = select(SchoolClass.id).where(visible_classes_clause(user)).correlate(None)
    own_or_invited = or_(ZoomMeeting.created_by == user.id, invited_meetings_clause(user))
    return or_(ZoomMeeting.class_id.in_(visible_class_ids), ZoomMeeting.class_id.is_(None) & own_or_invited)


def invited_meetings_clause(user: User | AccessScope) -> ColumnElement[bool]:
    """Condition on ZoomMeeting: one without a class to which the user is invited."""
    named_meeting_ids = select(MeetingInvitation.meeting_id).where(MeetingInvitation.user_id == user.id).correlate(None)
    invitation_clauses: list[ColumnElement[bool]] = [ZoomMeeting.id.in_(named_meeting_ids)]
    if user.school_id and user.scope in (None, "school"):
        audiences = ("all",) if user.is_admin else SCHOOL_AUDIENCES
        invitation_clauses.append((ZoomMeeting.school_id == user.school_id) & ZoomMeeting.audience.in_(audiences))
    return ZoomMeeting.class_id.is_(None) & or_(*invitation_clauses)


def manageable_meetings_clause(user: User | AccessScope) -> ColumnElement[bool]:
    """Condition on ZoomMeeting: of a class the user manages, or created by the user without a class."""
    manageable_class_ids = select(SchoolClass.id).where(manageable_classes_clause(user)).correlate(None)
    return or_(
        ZoomMeeting.class_id.in_(manageable_class_ids),
        (ZoomMeeting.class_id.is_(None)) & (ZoomMeeting.created_by == user.id),
    )


def can_manage_meeting(meeting: ZoomMeeting) -> bool:
    if meeting.class_id is None:
        return bool(meeting.created_by == current_user.id)
    return bool(db.session.scalar(_select_is_managed(access_scope_of(current_user)), {"meeting_id": meeting.id}))


@lru_cache(STATEMENT_CACHE_SIZE)
def _select_is_managed(scope: AccessScope) -> Select[bool]:
    return select(exists().where(ZoomMeeting.id == bindparam("meeting_id"), manageable_meetings_clause(scope)))


_with_class = (
    joinedload(ZoomMeeting.school_class).joinedload(SchoolClass.section).joinedload(Section.school),
    joinedload(ZoomMeeting.school_class).joinedload(SchoolClass.teacher),
    joinedload(ZoomMeeting.creator),
)
_with_co_teachers = joinedload(ZoomMeeting.school_class).selectinload(SchoolClass.co_teachers)


def meeting_or_404(meeting_id: UUID, *, manage: bool = False) -> ZoomMeeting:
    """The meeting with its class and occurrences; 404 if not visible, 403 if `manage` and not managed."""
    meeting = db.session.scalar(
        select(ZoomMeeting)
        .where(ZoomMeeting.id == meeting_id, visible_meetings_clause(current_user))
        .options(*_with_class, _with_co_teachers, selectinload(ZoomMeeting.occurrences))
    )
    if meeting is None:
        abort(404)
    if manage and not can_manage_meeting(meeting):
        abort(403)
    return meeting


def can_edit_sheet(meeting: ZoomMeeting) -> bool:
    """True for users who may change the sheets: they manage the meeting and see learners without giving a reason."""
    return can_view_learners(current_user) and can_manage_meeting(meeting)


def occurrence_or_404(occurrence_id: UUID, *, manage: bool = False) -> MeetingOccurrence:
    """The class date with its meeting and class, for its attendance sheet; 404 if not visible or without a class,
    403 if `manage` and the user may not edit the sheet, 410 if the attendance was deleted by retention.

    Division and region users are asked for a disclosure reason.
    """
    occurrence = _visible_occurrence(occurrence_id)
    if occurrence is None or occurrence.meeting.class_id is None:
        abort(404)
    if manage and not can_edit_sheet(occurrence.meeting):
        abort(403)
    _require_disclosure_reason(occurrence.meeting)
    _abort_if_attendance_deleted(occurrence.meeting)
    return occurrence


def _visible_occurrence(occurrence_id: UUID) -> MeetingOccurrence | None:
    return db.session.scalar(
        _select_visible_occurrence(access_scope_of(current_user)), {"occurrence_id": occurrence_id}
    )


@lru_cache(STATEMENT_CACHE_SIZE)
def _select_visible_occurrence(scope: AccessScope) -> Select[MeetingOccurrence]:
    return (
        select(MeetingOccurrence)
        .join(ZoomMeeting, ZoomMeeting.id == MeetingOccurrence.meeting_id)
        .where(MeetingOccurrence.id == bindparam("occurrence_id"), visible_meetings_clause(scope))
        .options(*(joinedload(MeetingOccurrence.meeting).options(option) for option in _with_class))
    )


def participants_occurrence_or_404(occurrence_id: UUID) -> MeetingOccurrence:
    """The class date with its meeting, for its participants: as for the sheet; without a class, its creator only."""
    occurrence = _visible_occurrence(occurrence_id)
    if occurrence is None:
        abort(404)
    if occurrence.meeting.class_id is None and not can_manage_meeting(occurrence.meeting):
        abort(403)
    _require_disclosure_reason(occurrence.meeting)
    _abort_if_attendance_deleted(occurrence.meeting)
    return occurrence


def _abort_if_attendance_deleted(meeting: ZoomMeeting) -> None:
    """Abort with 410 if the school deleted the attendance of that school year."""
    if meeting.school_class is not None and meeting.school_class.section.attendance_deleted_at:
        abort(410)


def _require_disclosure_reason(meeting: ZoomMeeting) -> None:
    if meeting.school_class is not None:
        require_section_disclosure(meeting.school_class.section)


def manageable_occurrence_or_404(occurrence_id: UUID) -> MeetingOccurrence:
    """The class date with its meeting and class, for a user who manages it; 404 if not visible, 403 otherwise."""
    occurrence = _visible_occurrence(occurrence_id)
    if occurrence is None:
        abort(404)
    if not can_manage_meeting(occurrence.meeting):
        abort(403)
    return occurrence


def schedule_or_404(schedule_id: UUID) -> Schedule:
    """The schedule with its times and class; 404 if not visible."""
    visible_class_ids = select(SchoolClass.id).where(visible_classes_clause(current_user)).correlate(None)
    schedule = db.session.scalar(
        select(Schedule)
        .where(Schedule.id == schedule_id, Schedule.class_id.in_(visible_class_ids))
        .options(
            selectinload(Schedule.times),
            joinedload(Schedule.school_class).joinedload(SchoolClass.section),
            joinedload(Schedule.school_class).joinedload(SchoolClass.teacher),
        )
    )
    if schedule is None:
        abort(404)
    return schedule
