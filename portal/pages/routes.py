"""Pages that combine several packages: home, class, meeting, and the public pages."""

import hmac
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from flask import Blueprint, Response, abort, current_app, jsonify, redirect, render_template, request, session, url_for
from flask_login import current_user
from prometheus_client import CONTENT_TYPE_LATEST
from sqlalchemy.exc import DBAPIError
from werkzeug.wrappers import Response as AnyResponse

from portal.accounts import service as accounts
from portal.accounts.sign_in.next_url import safe_next_url
from portal.attendance import staff_meetings
from portal.attendance.sheet import queries as attendance_queries
from portal.classes import queries as class_queries
from portal.classes.access import can_manage_class, can_view_learners, class_or_404
from portal.config import Settings
from portal.core import audit_log, clock
from portal.core.audit_codes import AuditAction, AuditSubject
from portal.meetings import access as meeting_access
from portal.meetings import messages as meeting_words
from portal.meetings import queries as meeting_queries
from portal.meetings.codes import OccurrenceState
from portal.meetings.models import MeetingOccurrence, ZoomMeeting
from portal.meetings.school_calendar import service as school_calendar_service
from portal.meetings.zoom_urls import is_zoom_link
from portal.operations.metrics import portal_health_state
from portal.operations.metrics import render_prometheus_metrics as metrics_text
from portal.pages.admin.routes import show_admin_overview
from portal.pages.class_page import ClassDescription, build_class_page
from portal.pages.home_page import HomeData, HomeViewer, build_home_page, sort_todays_dates
from portal.pages.join import state as join_state
from portal.registration import join_links
from portal.registration import messages as registration_words
from portal.registration import queries as registration_queries
from portal.web import LANGUAGES, PRE_LOGIN_LANGUAGE_KEY, mark_endpoint_public, set_preference_cookie
from portal.zoom_account import host_quota, write_block

bp = Blueprint("pages", __name__)


@bp.get("/")
def show_home_page() -> str:
    if not can_view_learners(
        current_user
    ):  # division and region users teach no class: their home is the admin overview
        return show_admin_overview(at_home=True)
    now, today = clock.now(), clock.today()
    dates = meeting_queries.list_occurrences_between(current_user, today, today + timedelta(days=1))
    recent = meeting_queries.list_recent_occurrences(current_user, days=14)
    is_idle = sort_todays_dates(dates, now).is_idle
    data = HomeData(
        dates=dates,
        recent=recent,
        sheets=attendance_queries.load_sheet_summaries([row.occurrence_id for row in dates + recent]),
        registrations=registration_queries.progress_of_meetings([row.meeting_id for row in dates]),
        next_one=meeting_queries.find_next_occurrence(current_user) if is_idle else None,
        day_off=school_calendar_service.days_off_for_user(current_user, today, today).get(today) if is_idle else None,
        blocked=_write_block_message() if current_user.is_admin else "",
        has_classes=bool(dates or recent or class_queries.list_schedulable_classes(current_user)),
    )
    viewer = HomeViewer(current_user.full_name, current_user.is_admin, has_school=bool(current_user.school_name))
    page = build_home_page(data, viewer, now)
    tasks = [(task.count, task.what, task.where, task.link.url) for task in page.tasks]
    return render_template("pages/home.html", page=page, tasks=tasks)


def _write_block_message() -> str:
    """Why all writes to Zoom are blocked, for admins; empty if they are not."""
    block = write_block.current_write_block()
    return meeting_words.write_block_message(block.reason, block.detail) if block else ""


@bp.get("/classes/<uuid:class_id>")
def show_class_page(class_id: UUID) -> str:
    school_class = class_or_404(class_id)
    coming = meeting_queries.list_class_occurrences(current_user, class_id, past=False)
    begun = meeting_queries.list_class_occurrences(current_user, class_id, past=True)
    described = ClassDescription(
        teacher=school_class.teacher.full_name,
        co_teachers=[teacher.full_name for teacher in school_class.co_teachers],
        is_closed=school_class.closed_at is not None,
        is_open=school_class.closed_at is None and not school_class.section.is_past,
    )
    page = build_class_page(
        described,
        coming,
        begun,
        attendance_queries.load_sheet_summaries([row.occurrence_id for row in begun]),
        can_manage=can_manage_class(school_class),
        can_view_learners=can_view_learners(current_user),
        now=clock.now(),
    )
    return render_template("classes/class.html", school_class=school_class, page=page)


@bp.get("/meetings/<uuid:meeting_id>")
def show_meeting_page(meeting_id: UUID) -> str:
    meeting = meeting_access.meeting_or_404(meeting_id)
    managed = meeting_access.can_manage_meeting(meeting)
    settings: Settings = current_app.extensions["silid.settings"]
    own_links = join_links.uses_join_links(meeting)
    token = join_links.class_link_token(meeting.class_id) if own_links and managed and meeting.class_id else None
    people = (
        registration_queries.list_registrants(meeting.id)
        if can_view_learners(current_user) or meeting.class_id is None
        else []
    )
    if any(person.learner_id for person in people):
        audit_log.record_view(AuditAction.VIEWED_REGISTRATIONS, AuditSubject.MEETING, meeting.id, by=current_user.id)
    return render_template(
        "meetings/meeting.html",
        own_links=own_links,
        class_address=join_state.join_page_url(token) if token else None,
        meeting=meeting,
        managed=managed,
        occurrence=_shown_occurrence(meeting),
        progress=registration_queries.registration_progress_of(meeting.id),
        people=people,
        own_link=_own_link(meeting, people),
        reason=lambda code: registration_words.failure_reason_message(code, settings.email_domains),
        trouble=meeting_words.meeting_error_message,
        history=meeting_queries.list_meeting_history(meeting.id),
        happened=meeting_words.meeting_history_message,
        summaries=attendance_queries.load_sheet_summaries([occurrence.id for occurrence in meeting.occurrences]),
        setting=meeting_words.setting_label,
        setting_value=meeting_words.setting_value_label,
        used=host_quota.writes_used_today(meeting.host_email) if managed else 0,
        warn_from=host_quota.WARNING_THRESHOLD,
        a_day=host_quota.WRITES_PER_DAY,
    )


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
    settings: Settings = current_app.extensions["silid.settings"]
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


@bp.post("/language")
@mark_endpoint_public
def choose_language() -> AnyResponse:
    chosen = request.form.get("to", "")
    response = redirect(safe_next_url(request.form.get("next"), url_for(".show_home_page")))
    if chosen in LANGUAGES:
        set_preference_cookie(response, "language", chosen)
        if current_user.is_authenticated:
            accounts.set_user_language(current_user, chosen)
        else:
            session[PRE_LOGIN_LANGUAGE_KEY] = chosen
    return response


@bp.post("/theme")
@mark_endpoint_public
def choose_theme() -> AnyResponse:
    chosen = request.form.get("to", "")
    response = redirect(safe_next_url(request.form.get("next"), url_for(".show_home_page")))
    if chosen in ("light", "dark"):
        set_preference_cookie(response, "theme", chosen)
    else:
        response.delete_cookie("theme")
    return response


@bp.get("/privacy")
@mark_endpoint_public
def show_privacy_notice() -> str:
    return render_template("pages/privacy.html")


@bp.get("/help")
@mark_endpoint_public
def show_help_page() -> str:
    return render_template("pages/help.html")


@bp.get("/healthz")
@mark_endpoint_public
def check_portal_health() -> tuple[Response, int]:
    """Health check: database, inbox backlog, last event from Zoom. No names, no ids."""
    try:
        return jsonify(portal_health_state(current_app)), 200
    except DBAPIError:
        return jsonify(status="database unavailable"), 503


@bp.get("/metrics")
@mark_endpoint_public
def export_prometheus_metrics() -> Response:
    """The same for Prometheus, which sends METRICS_TOKEN as a bearer token; 404 if no token is configured."""
    settings: Settings = current_app.extensions["silid.settings"]
    if not settings.metrics_token:
        abort(404)
    authorization = request.headers.get("Authorization", "").encode()
    if not hmac.compare_digest(authorization, f"Bearer {settings.metrics_token}".encode()):
        return Response(status=401, headers={"WWW-Authenticate": "Bearer"})
    try:
        return Response(metrics_text(current_app), content_type=CONTENT_TYPE_LATEST)
    except DBAPIError:
        return Response(status=503)
