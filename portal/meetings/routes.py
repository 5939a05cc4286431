from uuid import UUID, uuid4

from flask import Blueprint, Response, current_app, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext
from flask_login import current_user
from werkzeug.wrappers import Response as AnyResponse
from wtforms.fields.choices import SelectChoice

from portal.base import audit, clock
from portal.classes import queries as class_queries
from portal.classes.access import class_or_404
from portal.meetings import access, service
from portal.meetings.forms import CancelForm, MeetingForm, suggested_start
from portal.meetings.links import is_zoom_link
from portal.meetings.models import ZoomMeeting
from portal.zoom.errors import ZoomError
from portal.zoom_account.service import zoom

bp = Blueprint("meetings", __name__)
FORM_WAIT = 1.5  # seconds to wait for Zoom before the page says "waiting"


@bp.route("/meetings/new", methods=["GET", "POST"])
def new() -> str | AnyResponse | tuple[str, int]:
    classes = class_queries.managed_classes(current_user)
    form = MeetingForm()
    form.class_id.choices = [
        SelectChoice(str(line.id), f"{line.subject}, {line.section_title} ({_learners(line.learners)})")
        for line in classes
    ]
    if request.method == "GET":
        _prefill(form)
    if form.validate_on_submit():
        school_class = class_or_404(UUID(form.class_id.data), manage=True)
        meeting = service.schedule(current_user, school_class, form.details(), client_key=_client_key(form))
        service.wait_for_zoom(meeting.id, current_app.config.get("FORM_WAIT", FORM_WAIT))
        return redirect(url_for("pages.meeting", meeting_id=meeting.id))
    page = render_template("meetings/new.html", form=form, classes=classes, meeting=None)
    return page, 422 if form.errors else 200


def _learners(count: int) -> str:
    return str(ngettext("%(num)d learner", "%(num)d learners", count))


def _prefill(form: MeetingForm) -> None:
    start = suggested_start()
    form.client_key.data = str(uuid4())
    form.day.data, form.start.data = start.date(), start.time()
    if wanted := request.args.get("class"):
        form.class_id.data = wanted


def _client_key(form: MeetingForm) -> str:
    """The form's own key, bound to the person, so that a key from elsewhere opens nothing."""
    return f"{current_user.id.hex}{(form.client_key.data or uuid4().hex).replace('-', '')[:32]}"


@bp.route("/meetings/<uuid:meeting_id>/change", methods=["GET", "POST"])
def change(meeting_id: UUID) -> str | AnyResponse | tuple[str, int]:
    meeting = access.meeting_or_404(meeting_id, manage=True)
    form = MeetingForm(**_values(meeting)) if request.method == "GET" else MeetingForm()
    form.class_id.choices = [SelectChoice(str(meeting.class_id), _class_title(meeting))]
    if form.validate_on_submit():
        try:
            service.change(current_user, meeting, form.details())
        except service.NotChangeable:
            flash(_("This class is over or called off, so it cannot be changed."), "bad")
        else:
            service.wait_for_zoom(meeting.id, current_app.config.get("FORM_WAIT", FORM_WAIT))
            flash(_("The change is saved."))
        return redirect(url_for("pages.meeting", meeting_id=meeting.id))
    page = render_template("meetings/new.html", form=form, classes=[], meeting=meeting)
    return page, 422 if form.errors else 200


def _values(meeting: ZoomMeeting) -> dict[str, object]:
    local = clock.local(meeting.starts_at)
    names = [name for name in MeetingForm()._fields if hasattr(meeting, name)]
    values = {name: getattr(meeting, name) for name in names}
    return values | {"day": local.date(), "start": local.time(), "class_id": str(meeting.class_id)}


def _class_title(meeting: ZoomMeeting) -> str:
    school_class = meeting.school_class
    return f"{school_class.subject}, {school_class.section.title}" if school_class else meeting.title


@bp.route("/meetings/<uuid:meeting_id>/cancel", methods=["GET", "POST"])
def cancel(meeting_id: UUID) -> str | AnyResponse | tuple[str, int]:
    meeting = access.meeting_or_404(meeting_id, manage=True)
    form = CancelForm()
    if form.validate_on_submit():
        try:
            service.cancel(current_user, meeting, form.reason.data or "")
        except service.NotChangeable:
            flash(_("This class is over or called off already."), "bad")
        else:
            flash(_("The class is cancelled. The links of the learners no longer open it."))
        return redirect(url_for("pages.meeting", meeting_id=meeting.id))
    return render_template("meetings/cancel.html", form=form, meeting=meeting), 422 if form.errors else 200


@bp.post("/meetings/<uuid:meeting_id>/try-now")
def try_now(meeting_id: UUID) -> AnyResponse:
    meeting = access.meeting_or_404(meeting_id, manage=True)
    service.try_now(current_user, meeting)
    service.wait_for_zoom(meeting.id, current_app.config.get("FORM_WAIT", FORM_WAIT))
    return redirect(url_for("pages.meeting", meeting_id=meeting.id))


@bp.get("/meetings/<uuid:meeting_id>/start")
def start(meeting_id: UUID) -> AnyResponse | tuple[str, int]:
    """A plain link: the start link is fetched from Zoom on the click, used once, and never stored.

    A form cannot do this, since our own policy forbids a form's redirect to another host.
    """
    meeting = access.meeting_or_404(meeting_id, manage=True)
    if "prefetch" in request.headers.get("Sec-Purpose", "") + request.headers.get("Purpose", ""):
        return Response(status=204)
    if meeting.zoom_id is None or meeting.state in ("cancelled", "deleted"):
        flash(_("This class has no room at Zoom, so it cannot be started."), "bad")
        return redirect(url_for("pages.meeting", meeting_id=meeting.id))
    try:
        start_url = zoom().get_meeting(meeting.zoom_id).start_url
    except ZoomError as error:
        return render_template("meetings/start_failed.html", meeting=meeting, error=_(error.for_teachers)), 503
    if not start_url or not is_zoom_link(start_url, current_app.extensions["silid.settings"]):
        return render_template("meetings/start_failed.html", meeting=meeting, error=_("Zoom gave no start link.")), 503
    audit.record("started", "meeting", meeting.id, by=current_user.id)
    return redirect(start_url, code=303)
