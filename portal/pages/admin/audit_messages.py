"""Messages: labels of audit entries and their subjects; the log itself holds ids only.

One statement resolves all subjects of a page. A learner's name is shown only to users who may see learners.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from flask import url_for
from flask_babel import gettext
from sqlalchemy import Select, String, cast, literal, null, select, union_all

from portal.accounts.models import School, User
from portal.classes.access import can_view_learners
from portal.classes.models import Learner, SchoolClass, Section
from portal.core.audit_codes import AuditAction, AuditSubject
from portal.core.date_format import format_day
from portal.core.db import UTCDateTime, db
from portal.core.translations import N_
from portal.meetings.models import MeetingOccurrence, Schedule, ZoomMeeting

# by subject type: the endpoint that shows it, and the name of its id parameter
_VIEWS = {
    "user": ("users.show_user", "user_id"),
    "school": ("schools.show_school", "school_id"),
    "section": ("classes.show_section", "section_id"),
    "class": ("class_page.show_class_page", "class_id"),
    "meeting": ("meeting_page.show_meeting_page", "meeting_id"),
    "occurrence": ("attendance.show_sheet", "occurrence_id"),
    "learner": ("privacy.show_learner_data", "learner_id"),
}
_ID = re.compile(r"[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}|[0-9a-f]{32,}", re.IGNORECASE)
Subject = tuple[str, UUID]

_ACTIONS: dict[str, str] = {
    AuditAction.ADDED: N_("added"),
    AuditAction.ADDED_CO_TEACHER: N_("added a co-teacher"),
    AuditAction.CANCELLED: N_("cancelled"),
    AuditAction.CHANGED: N_("changed"),
    AuditAction.CHANGED_MARKS: N_("changed marks"),
    AuditAction.CHANGED_OWN_EMAIL: N_("changed their own address"),
    AuditAction.CHANGED_LEARNER_EMAIL: N_("changed the address of"),
    AuditAction.CHANGED_INVITATIONS: N_("changed the invitations of"),
    AuditAction.CHANGED_OWN_NAME: N_("changed their own name"),
    AuditAction.CHANGED_POLICIES: N_("changed the policies of"),
    AuditAction.CHANGED_ROLE: N_("changed the role"),
    AuditAction.CHECKED_ZOOM: N_("checked Zoom"),
    AuditAction.SET_PASSWORD: N_("chose a password"),
    AuditAction.CLOSED: N_("closed"),
    AuditAction.LINKED_IDENTITY: N_("connected a sign-in"),
    AuditAction.CREATED: N_("created"),
    AuditAction.DEACTIVATED: N_("deactivated"),
    AuditAction.DELETED_ATTENDANCE: N_("deleted the attendance"),
    AuditAction.DENIED: N_("was refused"),
    AuditAction.DISCARDED_PARTICIPANTS_FILE: N_("discarded a participants file"),
    AuditAction.UNLINKED_IDENTITY: N_("disconnected a sign-in"),
    AuditAction.REVOKED_JOIN_LINK: N_("ended a join link"),
    AuditAction.REVOKED_CALENDAR_LINK: N_("ended the calendar link"),
    AuditAction.ERASED: N_("erased"),
    AuditAction.EXPORTED: N_("exported"),
    AuditAction.EXPORTED_SF2: N_("exported School Form 2"),
    AuditAction.EXPORTED_MARKS: N_("exported marks"),
    AuditAction.EXPORTED_REPORT: N_("exported the report"),
    AuditAction.EXPORTED_SHEET: N_("exported the sheet"),
    AuditAction.FINALISED_SHEET: N_("finalised the sheet"),
    AuditAction.TRANSFERRED_CLASSES: N_("handed over"),
    AuditAction.IMPORTED_ROSTER: N_("imported a roster"),
    AuditAction.INVITED: N_("invited"),
    AuditAction.EXCLUDED_FROM_REPORTS: N_("left the date out"),
    AuditAction.INCLUDED_IN_REPORTS: N_("let the date count"),
    AuditAction.RECREATED_MEETING: N_("made the meeting again"),
    AuditAction.MATCHED_PARTICIPANT: N_("matched a participant"),
    AuditAction.MERGED: N_("merged"),
    AuditAction.MOVED: N_("moved"),
    AuditAction.OPENED: N_("opened"),
    AuditAction.CREATED_SCHOOL_YEAR: N_("opened a school year"),
    AuditAction.DISCLOSED_LEARNERS: N_("opened learners' rows"),
    AuditAction.PRINTED_ZOOM_LINKS: N_("printed the links"),
    AuditAction.REACTIVATED: N_("reactivated"),
    AuditAction.RECORDED_DAY: N_("recorded the day"),
    AuditAction.REFUSED: N_("refused"),
    AuditAction.REFUSED_SIGN_IN: N_("refused a sign-in"),
    AuditAction.REMOVED_CO_TEACHER: N_("removed a co-teacher"),
    AuditAction.RENAMED: N_("renamed"),
    AuditAction.ROTATED_JOIN_LINK: N_("renewed a join link"),
    AuditAction.ROTATED_ALL_JOIN_LINKS: N_("renewed all join links"),
    AuditAction.REGENERATED_RECOVERY_CODES: N_("renewed recovery codes"),
    AuditAction.ROTATED_CALENDAR_LINK: N_("renewed the calendar link"),
    AuditAction.REOPENED: N_("reopened"),
    AuditAction.REOPENED_SHEET: N_("reopened the sheet"),
    AuditAction.REPLAYED_DELIVERIES: N_("replayed deliveries"),
    AuditAction.RETRIED_REGISTRATION: N_("retried registration"),
    AuditAction.VIEWED_JOIN_LINKS: N_("saw the join links"),
    AuditAction.SCHEDULED: N_("scheduled"),
    AuditAction.SEARCHED_AUDIT_LOG: N_("searched the audit log"),
    AuditAction.SENT_ACCESS_LINK: N_("sent a link"),
    AuditAction.REQUEUED_MAIL: N_("sent failed e-mails again"),
    AuditAction.SET_ATTENDANCE_RETENTION: N_("set how long attendance is kept"),
    AuditAction.SET_GRACE_MINUTES: N_("set the minutes of grace"),
    AuditAction.SET_SF2_OPTIONS: N_("set up School Form 2"),
    AuditAction.SIGNED_IN: N_("signed in"),
    AuditAction.SIGNED_OUT_EVERYWHERE: N_("signed out everywhere"),
    AuditAction.STARTED: N_("started"),
    AuditAction.DISABLED_TOTP: N_("switched codes off"),
    AuditAction.ENABLED_TOTP: N_("switched codes on"),
    AuditAction.READMITTED: N_("put back on the roster"),
    AuditAction.UNDID_MATCH: N_("took back a match"),
    AuditAction.REVOKED_PARTICIPANTS_FILE: N_("took back a participants file"),
    AuditAction.CONFIRMED_PARTICIPANTS_FILE: N_("took in a participants file"),
    AuditAction.UNDID_IMPORT: N_("undid an import"),
    AuditAction.UPLOADED_PARTICIPANTS_FILE: N_("uploaded a participants file"),
    AuditAction.USED_RECOVERY_CODE: N_("used a recovery code"),
    AuditAction.VIEWED: N_("viewed"),
    AuditAction.VIEWED_SF2: N_("viewed School Form 2"),
    AuditAction.VIEWED_PARTICIPANTS_FILE: N_("viewed a participants file"),
    AuditAction.VIEWED_ROSTER_IMPORT: N_("viewed a roster to import"),
    AuditAction.VIEWED_DAY: N_("viewed the day"),
    AuditAction.VIEWED_HISTORY: N_("viewed the history"),
    AuditAction.VIEWED_PARTICIPANTS: N_("viewed the participants"),
    AuditAction.VIEWED_REGISTRATIONS: N_("viewed the registrations"),
    AuditAction.VIEWED_ROSTER: N_("viewed the roster"),
    AuditAction.VIEWED_SHEET: N_("viewed the sheet"),
    AuditAction.VIEWED_ATTENDANCE_OF_STAFF: N_("viewed who came"),
    AuditAction.EXPORT_LIMITED: N_("was held back from exporting"),
    AuditAction.WITHDREW: N_("withdrew"),
}


_SUBJECTS: dict[str, str] = {
    AuditSubject.ACCOUNT_REQUEST: N_("a request for an account"),
    AuditSubject.AUDIT: N_("the log of who did what"),
    AuditSubject.CLASS: N_("a class"),
    AuditSubject.OCCURRENCE: N_("a class date"),
    AuditSubject.CALENDAR_DAY: N_("a day of the school calendar"),
    AuditSubject.DELIVERIES: N_("deliveries from Zoom"),
    AuditSubject.LEARNER: N_("a learner"),
    AuditSubject.MAIL: N_("e-mails"),
    AuditSubject.MEETING: N_("a meeting"),
    AuditSubject.PROVIDER: N_("a sign-in elsewhere"),
    AuditSubject.REPORT: N_("a report"),
    AuditSubject.ROSTER_IMPORT: N_("an uploaded roster"),
    AuditSubject.SCHEDULE: N_("a schedule"),
    AuditSubject.SCHOOL: N_("a school"),
    AuditSubject.SECTION: N_("a section"),
    AuditSubject.USER: N_("a person"),
    AuditSubject.ZOOM: N_("the Zoom account"),
    AuditSubject.DIVISION: N_("a division"),
    AuditSubject.REGION: N_("the region"),
    AuditSubject.PAGE: N_("a page"),
}


def audit_subject_label(subject_type: str) -> str:
    """The label of a subject type, for subjects whose name is not resolved."""
    return gettext(_SUBJECTS[subject_type]) if subject_type in _SUBJECTS else subject_type.replace("_", " ")


def audit_action_label(action: str) -> str:
    """The label of an action as a phrase in the reader's language: "viewed the sheet"."""
    return gettext(_ACTIONS[action]) if action in _ACTIONS else action.replace("_", " ")


def find_audit_actions(words: str) -> list[str]:
    """The actions whose label, in English or in the reader's language, or whose code contains these words."""
    search_text = words.casefold()
    return [
        action
        for action, text in _ACTIONS.items()
        if any(search_text in name.casefold() for name in (text, gettext(text), action.replace("_", " ")))
    ]


def audit_subject_names(admin: User, subjects: Iterable[tuple[str, str]]) -> dict[Subject, str]:
    """The names of subjects, given as (type, id); deleted ones and those not to be named are left out."""
    ids_by_kind: dict[str, set[UUID]] = {}
    for kind, subject_id in subjects:
        if kind in _NAME_SELECTS and (kind != "learner" or can_view_learners(admin)) and _ID.fullmatch(subject_id):
            ids_by_kind.setdefault(kind, set()).add(UUID(subject_id))
    if not ids_by_kind:
        return {}
    rows = db.session.execute(union_all(*(_NAME_SELECTS[kind](kind, ids) for kind, ids in ids_by_kind.items())))
    return {(kind, subject_id): _with_day(name, starts_at) for kind, subject_id, name, starts_at in rows}


def audit_subject_url(kind: str, key: str, names: Mapping[Subject, str]) -> str | None:
    """The URL of a subject whose name was resolved; None if there is no page."""
    if kind not in _VIEWS or not _ID.fullmatch(key) or (kind, UUID(key)) not in names:
        return None
    view, name = _VIEWS[kind]
    values: dict[str, Any] = {name: UUID(key)}
    return url_for(view, **values)


def audit_detail_lines(details: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The details that are words or numbers, as (name, value): without ids, hashes and the reason."""
    rows = []
    for name, value in details.items():
        text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        if name != "reason" and value not in ("", None, []) and not _ID.search(text):
            rows.append((name.replace("_", " "), text))
    return rows


def _with_day(name: str, starts_at: datetime | None) -> str:
    return f"{name}, {format_day(starts_at)}" if starts_at else name


def _select(kind: str, key: Any, name: Any, moment: Any = None) -> Select[Any]:
    starts_at = cast(null(), UTCDateTime()) if moment is None else moment
    return select(literal(kind, String), key, name, starts_at)


def _section_name_expression() -> Any:
    return Section.grade_level + " - " + Section.name


def _users(kind: str, ids: set[UUID]) -> Select[Any]:
    return _select(kind, User.id, User.full_name).where(User.id.in_(ids))


def _schools(kind: str, ids: set[UUID]) -> Select[Any]:
    return _select(kind, School.id, School.name).where(School.id.in_(ids))


def _sections(kind: str, ids: set[UUID]) -> Select[Any]:
    return _select(kind, Section.id, _section_name_expression() + ", " + Section.school_year).where(Section.id.in_(ids))


def _classes(kind: str, ids: set[UUID]) -> Select[Any]:
    statement = _select(kind, SchoolClass.id, SchoolClass.subject + ", " + _section_name_expression())
    return statement.join(Section, Section.id == SchoolClass.section_id).where(SchoolClass.id.in_(ids))


def _schedules(kind: str, ids: set[UUID]) -> Select[Any]:
    statement = _select(kind, Schedule.id, SchoolClass.subject + ", " + _section_name_expression())
    with_class = statement.join(SchoolClass, SchoolClass.id == Schedule.class_id)
    return with_class.join(Section, Section.id == SchoolClass.section_id).where(Schedule.id.in_(ids))


def _meetings(kind: str, ids: set[UUID]) -> Select[Any]:
    return _select(kind, ZoomMeeting.id, ZoomMeeting.title).where(ZoomMeeting.id.in_(ids))


def _occurrences(kind: str, ids: set[UUID]) -> Select[Any]:
    statement = _select(kind, MeetingOccurrence.id, ZoomMeeting.title, MeetingOccurrence.starts_at)
    with_meeting = statement.join(ZoomMeeting, ZoomMeeting.id == MeetingOccurrence.meeting_id)
    return with_meeting.where(MeetingOccurrence.id.in_(ids))


def _learners(kind: str, ids: set[UUID]) -> Select[Any]:
    return _select(kind, Learner.id, Learner.last_name + ", " + Learner.first_name).where(Learner.id.in_(ids))


_NAME_SELECTS = {
    "user": _users,
    "school": _schools,
    "section": _sections,
    "class": _classes,
    "schedule": _schedules,
    "meeting": _meetings,
    "occurrence": _occurrences,
    "learner": _learners,
}
