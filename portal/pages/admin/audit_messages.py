"""What an entry of the audit log is about, in words: the log itself holds ids only.

One statement names all subjects of a page of lines. A learner's name is told to those who see learners anyway.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from flask import url_for
from sqlalchemy import Select, String, cast, literal, null, select, union_all

from portal.accounts.models import School, User
from portal.classes.access import can_view_learners
from portal.classes.models import Learner, SchoolClass, Section
from portal.core.date_format import format_day
from portal.core.db import UTCDateTime, db
from portal.meetings.models import MeetingOccurrence, Schedule, ZoomMeeting

# of a subject's type: the view that shows it, and the name of its id in the address
_VIEWS = {
    "user": ("users.show_user", "user_id"),
    "school": ("schools.show_school", "school_id"),
    "section": ("classes.show_section", "section_id"),
    "class": ("pages.show_class_page", "class_id"),
    "meeting": ("pages.show_meeting_page", "meeting_id"),
    "class date": ("attendance.show_sheet", "occurrence_id"),
    "occurrence": ("attendance.show_sheet", "occurrence_id"),
    "learner": ("privacy.show_learner_data", "learner_id"),
}
_ID = re.compile(r"[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}|[0-9a-f]{32,}", re.IGNORECASE)
Subject = tuple[str, UUID]


def audit_subject_names(admin: User, subjects: Iterable[tuple[str, str]]) -> dict[Subject, str]:
    """The names of subjects, given as (type, id); those that are gone, or not to be named, are left out."""
    wanted: dict[str, set[UUID]] = {}
    for kind, key in subjects:
        if kind in _WAYS and (kind != "learner" or can_view_learners(admin)) and _ID.fullmatch(key):
            wanted.setdefault(kind, set()).add(UUID(key))
    if not wanted:
        return {}
    rows = db.session.execute(union_all(*(_WAYS[kind](kind, ids) for kind, ids in wanted.items())))
    return {(kind, key): _with_day(name, moment) for kind, key, name, moment in rows}


def audit_subject_url(kind: str, key: str, found: Mapping[Subject, str]) -> str | None:
    """Where a subject that was found can be looked at."""
    if kind not in _VIEWS or not _ID.fullmatch(key) or (kind, UUID(key)) not in found:
        return None
    view, name = _VIEWS[kind]
    values: dict[str, Any] = {name: UUID(key)}
    return url_for(view, **values)


def audit_detail_lines(details: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The details that are words and figures, as (name, value): no ids and hashes, and not the reason."""
    rows = []
    for name, value in details.items():
        text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        if name != "reason" and value not in ("", None, []) and not _ID.search(text):
            rows.append((name.replace("_", " "), text))
    return rows


def _with_day(name: str, moment: datetime | None) -> str:
    return f"{name}, {format_day(moment)}" if moment else name


def _select(kind: str, key: Any, name: Any, moment: Any = None) -> Select[Any]:
    when = cast(null(), UTCDateTime()) if moment is None else moment
    return select(literal(kind, String), key, name, when)


def _section() -> Any:
    return Section.grade_level + " - " + Section.name


def _users(kind: str, ids: set[UUID]) -> Select[Any]:
    return _select(kind, User.id, User.full_name).where(User.id.in_(ids))


def _schools(kind: str, ids: set[UUID]) -> Select[Any]:
    return _select(kind, School.id, School.name).where(School.id.in_(ids))


def _sections(kind: str, ids: set[UUID]) -> Select[Any]:
    return _select(kind, Section.id, _section() + ", " + Section.school_year).where(Section.id.in_(ids))


def _classes(kind: str, ids: set[UUID]) -> Select[Any]:
    named = _select(kind, SchoolClass.id, SchoolClass.subject + ", " + _section())
    return named.join(Section, Section.id == SchoolClass.section_id).where(SchoolClass.id.in_(ids))


def _schedules(kind: str, ids: set[UUID]) -> Select[Any]:
    named = _select(kind, Schedule.id, SchoolClass.subject + ", " + _section())
    classes = named.join(SchoolClass, SchoolClass.id == Schedule.class_id)
    return classes.join(Section, Section.id == SchoolClass.section_id).where(Schedule.id.in_(ids))


def _meetings(kind: str, ids: set[UUID]) -> Select[Any]:
    return _select(kind, ZoomMeeting.id, ZoomMeeting.title).where(ZoomMeeting.id.in_(ids))


def _dates(kind: str, ids: set[UUID]) -> Select[Any]:
    named = _select(kind, MeetingOccurrence.id, ZoomMeeting.title, MeetingOccurrence.starts_at)
    meetings = named.join(ZoomMeeting, ZoomMeeting.id == MeetingOccurrence.meeting_id)
    return meetings.where(MeetingOccurrence.id.in_(ids))


def _learners(kind: str, ids: set[UUID]) -> Select[Any]:
    return _select(kind, Learner.id, Learner.last_name + ", " + Learner.first_name).where(Learner.id.in_(ids))


_WAYS = {
    "user": _users,
    "school": _schools,
    "section": _sections,
    "class": _classes,
    "schedule": _schedules,
    "meeting": _meetings,
    "class date": _dates,
    "occurrence": _dates,
    "learner": _learners,
}
