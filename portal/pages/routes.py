"""Pages that show several rooms of the house at once."""

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
from portal.accounts.sign_in.next_url import safe_next
from portal.attendance import staff_meetings
from portal.attendance.sheet import queries as attendance_queries
from portal.classes import queries as class_queries
from portal.classes.access import class_or_404, manages, sees_learners
from portal.config import Settings
from portal.core import audit_log, clock
from portal.meetings import access as meeting_access
from portal.meetings import messages as meeting_words
from portal.meetings import queries as meeting_queries
from portal.meetings.models import MeetingOccurrence, ZoomMeeting
from portal.meetings.school_calendar import service as school_calendar_service
from portal.meetings.zoom_urls import is_zoom_link
from portal.operations.metrics import health
from portal.operations.metrics import metrics as metrics_text
from portal.pages.admin.routes import overview
from portal.pages.join import state as join_state
from portal.registration import join_links
from portal.registration import messages as registration_words
from portal.registration import queries as registration_queries
from portal.web import AT_THE_DOOR, LANGUAGES, keep_choice, public
from portal.zoom_account import host_quota, write_block

bp = Blueprint("pages", __name__)


@bp.get("/")
def home() -> str:
    if not sees_learners(current_user):  # a division or region teaches nobody: it looks after schools
        return overview(at_home=True)
    today = clock.today()
    dates = meeting_queries.between(current_user, today, today + timedelta(days=1))
    past = meeting_queries.past(current_user, days=14)
    summaries = attendance_queries.summaries([line.occurrence_id for line in dates + past])
    now = clock.now()
    of_today = [line for line in dates if clock.local(line.starts_at).date() == today]
    coming = [line for line in of_today if line.shown_state in ("scheduled", "waiting") and line.ends_at > now]
    upcoming = next((line for line in coming if line.managed), coming[0] if coming else None)
    live = [line for line in of_today if line.shown_state == "started"]
    idle = not (upcoming or live)
    sheets = sees_learners(current_user)
    mine = [line for line in past if line.managed and sheets and line.shown_state != "started"]
    return render_template(
        "pages/home.html",
        today=today,
        live=live,
        day_off=school_calendar_service.known_to(current_user, today, today).get(today) if idle else None,
        next_one=meeting_queries.next_one(current_user) if idle else None,
        upcoming=upcoming,
        later=[line for line in of_today if line is not upcoming and line.shown_state != "started"],
        tomorrow=[line for line in dates if line not in of_today],
        to_match=[
            line for line in past if line.managed and sheets and _wants_matching(summaries.get(line.occurrence_id))
        ],
        to_finalise=[line for line in mine if _wants_signature(summaries.get(line.occurrence_id))],
        to_review=[line for line in mine if _wants_review(summaries.get(line.occurrence_id))],
        troubled=[line for line in dates if line.managed and (line.trouble or line.shown_state == "failed")],
        progress=registration_queries.progress_of([line.meeting_id for line in dates]),
        summaries=summaries,
        trouble=meeting_words.trouble,
        part_of_day=_part_of_day(),
        sheets=sheets,
        blocked=_blocked() if current_user.is_admin else "",
        has_classes=bool(dates or past or class_queries.managed_classes(current_user)),
    )


def _blocked() -> str:
    """Why nothing goes to Zoom at all, for those who can put it right."""
    found = write_block.current()
    return meeting_words.blocked(found.reason, found.detail) if found else ""


def _wants_signature(summary: attendance_queries.SheetSummary | None) -> bool:
    return bool(summary and summary.counts and not summary.finalised and summary.state in ("reconciled", "unreported"))


def _wants_matching(summary: attendance_queries.SheetSummary | None) -> bool:
    return bool(summary and summary.counts and not summary.finalised and summary.unmatched)


def _wants_review(summary: attendance_queries.SheetSummary | None) -> bool:
    return bool(summary and summary.counts and not summary.finalised and summary.review)


def _part_of_day() -> str:
    hour = clock.local(clock.now()).hour
    return "morning" if hour < 12 else "afternoon" if hour < 18 else "evening"


@bp.get("/classes/<uuid:class_id>")
def school_class(class_id: UUID) -> str:
    found = class_or_404(class_id)
    past = meeting_queries.of_class(current_user, class_id, past=True)
    return render_template(
        "classes/class.html",
        school_class=found,
        managed=manages(found),
        coming=meeting_queries.of_class(current_user, class_id, past=False),
        past=past,
        summaries=attendance_queries.summaries([line.occurrence_id for line in past]),
    )


@bp.get("/meetings/<uuid:meeting_id>")
def meeting(meeting_id: UUID) -> str:
    found = meeting_access.meeting_or_404(meeting_id)
    managed = meeting_access.manages(found)
    settings: Settings = current_app.extensions["silid.settings"]
    own_links = join_links.lead_into(found)
    token = join_links.class_token(found.class_id) if own_links and managed and found.class_id else None
    people = registration_queries.registrants(found.id) if sees_learners(current_user) or found.class_id is None else []
    if any(line.learner_id for line in people):
        audit_log.viewed("viewed the registrations", "meeting", found.id, by=current_user.id)
    return render_template(
        "meetings/meeting.html",
        own_links=own_links,
        class_address=join_state.address(token) if token else None,
        meeting=found,
        managed=managed,
        occurrence=_shown_occurrence(found),
        progress=registration_queries.progress(found.id),
        people=people,
        own_link=_own_link(found, people),
        reason=lambda code: registration_words.reason(code, settings.email_domains),
        trouble=meeting_words.trouble,
        history=meeting_queries.history(found.id),
        happened=meeting_words.happened,
        summaries=attendance_queries.summaries([occurrence.id for occurrence in found.occurrences]),
        setting=meeting_words.setting,
        setting_value=meeting_words.setting_value,
        used=host_quota.used(found.host) if managed else 0,
        warn_from=host_quota.WARN_FROM,
        a_day=host_quota.A_DAY,
    )


@bp.get("/meetings/<uuid:meeting_id>/who-came")
def who_came(meeting_id: UUID) -> str:
    """For the organiser of a meeting without a class: the invited with their time. A class has its sheet."""
    found = meeting_access.meeting_or_404(meeting_id, manage=True)
    occurrence = _shown_occurrence(found)
    if found.class_id is not None or occurrence is None:
        abort(404)
    audit_log.viewed("viewed who came", "meeting", found.id, by=current_user.id)
    return render_template(
        "meetings/who_came.html", meeting=found, occurrence=occurrence, came=staff_meetings.who_came(occurrence)
    )


def _own_link(meeting: ZoomMeeting, people: Sequence[registration_queries.RegistrantLine]) -> str | None:
    """The link by which the person who asks comes in, if they have one."""
    settings: Settings = current_app.extensions["silid.settings"]
    links = [line.join_url for line in people if line.user_id == current_user.id]
    if meeting.class_id is None and not meeting.has_registration:
        links.append(meeting.join_url)
    return next((link for link in links if link and is_zoom_link(link, settings)), None)


def _shown_occurrence(meeting: ZoomMeeting) -> MeetingOccurrence | None:
    """The date the page is about: the one that runs, else the next, else the last."""
    now = clock.now()
    running = [one for one in meeting.occurrences if one.state == "started"]
    ahead = [one for one in meeting.occurrences if one.state == "scheduled" and one.ends_at > now]
    return next(iter(running or ahead or list(reversed(meeting.occurrences))), None)


@bp.post("/language")
@public
def language() -> AnyResponse:
    chosen = request.form.get("to", "")
    response = redirect(safe_next(request.form.get("next"), url_for(".home")))
    if chosen in LANGUAGES:
        keep_choice(response, "language", chosen)
        if current_user.is_authenticated:
            accounts.set_language(current_user, chosen)
        else:
            session[AT_THE_DOOR] = chosen
    return response


@bp.post("/theme")
@public
def theme() -> AnyResponse:
    chosen = request.form.get("to", "")
    response = redirect(safe_next(request.form.get("next"), url_for(".home")))
    if chosen in ("light", "dark"):
        keep_choice(response, "theme", chosen)
    else:
        response.delete_cookie("theme")
    return response


@bp.get("/privacy")
@public
def privacy() -> str:
    return render_template("pages/privacy.html")


@bp.get("/help")
@public
def help() -> str:  # noqa: A001 - the address is /help
    return render_template("pages/help.html")


@bp.get("/healthz")
@public
def healthz() -> tuple[Response, int]:
    """Is the database there, how deep is the inbox, when did Zoom last speak. No names, no ids."""
    try:
        return jsonify(health(current_app)), 200
    except DBAPIError:
        return jsonify(status="database unavailable"), 503


@bp.get("/metrics")
@public
def metrics() -> Response:
    """The same for Prometheus, who shows the METRICS_TOKEN as a bearer token; without one there is no such page."""
    settings: Settings = current_app.extensions["silid.settings"]
    if not settings.metrics_token:
        abort(404)
    shown = request.headers.get("Authorization", "").encode()
    if not hmac.compare_digest(shown, f"Bearer {settings.metrics_token}".encode()):
        return Response(status=401, headers={"WWW-Authenticate": "Bearer"})
    try:
        return Response(metrics_text(current_app), content_type=CONTENT_TYPE_LATEST)
    except DBAPIError:
        return Response(status=503)
