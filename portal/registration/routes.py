from uuid import UUID

from flask import Blueprint, Response, flash, jsonify, make_response, redirect, render_template, url_for
from flask_babel import gettext as _
from flask_babel import ngettext
from flask_login import current_user
from werkzeug.wrappers import Response as AnyResponse

from portal.classes.access import can_view_learners
from portal.core import audit_log
from portal.core.audit_codes import AuditAction, AuditSubject
from portal.meetings.access import meeting_or_404
from portal.registration import join_links, queries, service

bp = Blueprint("registration", __name__)


@bp.get("/meetings/<uuid:meeting_id>/registration.json")
def show_registration_progress(meeting_id: UUID) -> Response:
    """Progress as JSON: counts, and the estimated seconds left (null if none); `deferred` of `waiting` resume at
    `resumes_at`."""
    meeting = meeting_or_404(meeting_id)
    progress = queries.registration_progress_of(meeting.id)
    return jsonify(
        total=progress.total,
        done=progress.done,
        waiting=progress.waiting,
        failed=progress.failed,
        deferred=progress.deferred,
        resumes_at=progress.resumes_at.isoformat() if progress.resumes_at else None,
        seconds_left=progress.seconds_left,
    )


@bp.get("/meetings/<uuid:meeting_id>/registration")
def registration_progress_fragment(meeting_id: UUID) -> Response:
    """The progress block of the meeting's page, polled by htmx while the registration is running.

    When it has finished, `HX-Refresh` makes htmx reload the whole page, whose lists are out of date by then.
    """
    meeting = meeting_or_404(meeting_id)
    progress = queries.registration_progress_of(meeting.id)
    response = make_response(render_template("registration/progress.html", meeting=meeting, progress=progress))
    if not progress.running:
        response.headers["HX-Refresh"] = "true"
    return response


@bp.post("/meetings/<uuid:meeting_id>/registration/retry")
def retry_failed_registrations(meeting_id: UUID) -> AnyResponse:
    meeting = meeting_or_404(meeting_id, manage=True)
    count = service.retry_failed_registrants(current_user, meeting)
    flash(ngettext("%(num)d person gets another try.", "%(num)d people get another try.", count))
    return redirect(url_for("meeting_page.show_meeting_page", meeting_id=meeting.id))


@bp.post("/meetings/<uuid:meeting_id>/registration/<uuid:registrant_id>/lrn-address")
def use_lrn_address(meeting_id: UUID, registrant_id: UUID) -> AnyResponse:
    meeting = meeting_or_404(meeting_id, manage=True)
    if service.use_lrn_address(current_user, meeting, registrant_id):
        flash(_("The LRN address is used from now on."))
    else:
        flash(_("That cannot be done: there is no LRN, or the registration has changed meanwhile."), "bad")
    return redirect(url_for("meeting_page.show_meeting_page", meeting_id=meeting.id))


@bp.get("/meetings/<uuid:meeting_id>/links")
def print_zoom_links(meeting_id: UUID) -> AnyResponse | str:
    """Printable sheet of Zoom's personal join links, for a meeting that does not use the class's own join links."""
    meeting = meeting_or_404(meeting_id, manage=True)
    if join_links.uses_join_links(meeting):
        return redirect(url_for("class_links.show_class_links", class_id=meeting.class_id))
    people = queries.list_registrants(meeting.id) if can_view_learners(current_user) else []
    if people:
        audit_log.record_view(
            AuditAction.PRINTED_ZOOM_LINKS, AuditSubject.MEETING, meeting.id, by=current_user.id, people=len(people)
        )
    return render_template("registration/links.html", meeting=meeting, people=people)
