"""The page of a meeting, and who came to one without a class."""

from collections.abc import Sequence
from uuid import UUID

from flask import Blueprint, abort, render_template
from flask_login import current_user

from portal.attendance import staff_meetings
from portal.attendance.sheet import queries as attendance_queries
from portal.classes.access import can_view_learners
from portal.core import audit_log, clock
from portal.core.audit_codes import AuditAction, AuditSubject
from portal.core.settings import current_settings
from portal.meetings import access as meeting_access
from portal.meetings import queries as meeting_queries
from portal.meetings.codes import OccurrenceState
from portal.meetings.models import MeetingOccurrence, ZoomMeeting
from portal.meetings.zoom_urls import is_zoom_link
from portal.pages.join import state as join_state
from portal.pages.meeting_page import MeetingData, MeetingViewer, build_meeting_page
from portal.registration import join_links
from portal.registration import queries as registration_queries
from portal.zoom_account import host_quota

bp = Blueprint("meeting_page", __name__)


@bp.get("/meetings/<uuid:meeting_id>")
def show_meeting_page(meeting_id: UUID) -> str:
    meeting = meeting_access.meeting_or_404(meeting_id)
    managed = meeting_access.can_manage_meeting(meeting)
    settings = current_settings()
    own_links = join_links.uses_join_links(meeting)
    token = join_links.class_link_token(meeting.class_id) if own_links and managed and meeting.class_id else None
    people = (
        registration_queries.list_registrants(meeting.id)
        if can_view_learners(current_user) or meeting.class_id is None
        else []
    )
    if any(person.learner_id for person in people):
        audit_log.record_view(AuditAction.VIEWED_REGISTRATIONS, AuditSubject.MEETING, meeting.id, by=current_user.id)
    occurrence = _shown_occurrence(meeting)
    progress = registration_queries.registration_progress_of(meeting.id)
    own_link = _own_link(meeting, people)
    writes_used = host_quota.writes_used_today(meeting.host_email) if managed else 0
    data = MeetingData(
        meeting=meeting,
        occurrence=occurrence,
        progress=progress,
        people=people,
        history=meeting_queries.list_meeting_history(meeting.id),
        summaries=attendance_queries.load_sheet_summaries([one.id for one in meeting.occurrences]),
        own_link=own_link,
        has_class_links=own_links,
        class_address=join_state.join_page_url(token) if token else None,
        quota=(writes_used, host_quota.WARNING_THRESHOLD, host_quota.WRITES_PER_DAY),
        domains=settings.email_domains,
    )
    page = build_meeting_page(data, MeetingViewer(current_user.id, managed), clock.now())
    return render_template("meetings/meeting.html", meeting=meeting, page=page, progress=progress, own_link=own_link)


@bp.get("/meetings/<uuid:meeting_id>/who-came")
def staff_meeting_attendance(meeting_id: UUID) -> str:
    """Attendance of a meeting without a class, for its organiser: each invitee's time. A class has its sheet."""
    meeting = meeting_access.meeting_or_404(meeting_id, manage=True)
    occurrence = _shown_occurrence(meeting)
    if meeting.class_id is not None or occurrence is None:
        abort(404)
    audit_log.record_view(AuditAction.VIEWED_ATTENDANCE_OF_STAFF, AuditSubject.MEETING, meeting.id, by=current_user.id)
    return render_template(
        "meetings/who_came.html",
        meeting=meeting,
        occurrence=occurrence,
        came=staff_meetings.staff_meeting_attendance(occurrence),
    )


def _own_link(meeting: ZoomMeeting, people: Sequence[registration_queries.RegistrantView]) -> str | None:
    """The signed-in user's own join link, if they have one."""
    settings = current_settings()
    links = [registrant.join_url for registrant in people if registrant.user_id == current_user.id]
    if meeting.class_id is None and not meeting.has_registration:
        links.append(meeting.join_url)
    return next((link for link in links if link and is_zoom_link(link, settings)), None)


def _shown_occurrence(meeting: ZoomMeeting) -> MeetingOccurrence | None:
    """The date that the page shows: a running one, else the next, else the last."""
    now = clock.now()
    running = [occurrence for occurrence in meeting.occurrences if occurrence.state == OccurrenceState.STARTED]
    upcoming = [
        occurrence
        for occurrence in meeting.occurrences
        if occurrence.state == OccurrenceState.SCHEDULED and occurrence.ends_at > now
    ]
    return next(iter(running or upcoming or list(reversed(meeting.occurrences))), None)
