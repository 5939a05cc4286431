from collections.abc import Mapping, Sequence
from datetime import time
from uuid import UUID, uuid4

from flask import Blueprint, Response, abort, current_app, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext
from flask_login import current_user
from werkzeug.wrappers import Response as AnyResponse
from wtforms.fields.choices import SelectChoice

from portal.classes import access as classes_access
from portal.classes import queries as class_queries
from portal.classes.access import class_or_404
from portal.classes.models import SchoolClass
from portal.classes.queries import ClassRow
from portal.core import audit_log, clock
from portal.core.audit_codes import AuditAction, AuditSubject
from portal.core.date_format import format_day
from portal.core.settings import current_settings
from portal.meetings import (
    access,
    option_policies,
    queries,
    service,
)
from portal.meetings.codes import MeetingKind, MeetingState
from portal.meetings.forms import (
    WEEKDAYS,
    CancelForm,
    MeetingForm,
    OccurrenceForm,
    RecurringMeetingForm,
    set_time_field,
    suggested_start_time,
)
from portal.meetings.models import MeetingOccurrence, ZoomMeeting
from portal.meetings.option_policies import EffectivePolicies
from portal.meetings.scheduling import duplicate, preview, schedules
from portal.meetings.scheduling.host_assignment import ScheduleParties
from portal.meetings.scheduling.recurrence import TimeSlot
from portal.meetings.zoom_urls import is_zoom_link
from portal.zoom.errors import ZoomError
from portal.zoom_account import host_quota
from portal.zoom_account.client import get_zoom_client

bp = Blueprint("meetings", __name__)
FORM_WAIT = 1.5  # seconds to wait for the worker before the page says "waiting"


@bp.route("/meetings/new", methods=["GET", "POST"])
def new_meeting() -> str | AnyResponse | tuple[str, int]:
    """The form of a class or a schedule. Some of its buttons only preview the dates; nothing is saved then."""
    classes = class_queries.list_schedulable_classes(current_user)
    template = _template_meeting()
    if template and template.class_id is None:
        return redirect(url_for("staff_meetings.new_staff_meeting", like=template.id))
    values = duplicate.form_values_like(current_user, template) if template else {}
    form = MeetingForm(**values)
    form.class_id.choices = [
        SelectChoice(str(row.id), f"{row.subject}, {row.section_title} ({_learner_count_label(row.learners)})")
        for row in classes
    ]
    pressed = request.form
    if request.method == "GET":
        _prefill(form, classes, values)
    policies = _effective_policies(form, classes)
    form.apply_policies(policies, fresh=request.method == "GET" and not values)
    if "now" in pressed:
        form.start_now()
    if "except" in pressed:
        form.add_exception(pressed["except"])
    if "shift" in pressed:
        _set_start(form, pressed["shift"])
    schedule_preview = None
    if form.validate_on_submit():
        school_class = class_or_404(UUID(form.class_id.data), manage=True)
        schedule_preview = preview.preview_class_form(form, school_class)
        if not any(name in pressed for name in ("show", "except", "shift")) and schedule_preview.can_be_saved:
            try:
                return _save_and_redirect(form, school_class, schedule_preview)
            except service.SchedulingConflict as conflict:
                schedule_preview = schedule_preview.with_clashes(conflict.choice)
    page = render_template(
        "meetings/new.html",
        form=form,
        classes=classes,
        holding=policies,
        meeting=None,
        shown=schedule_preview,
        weekdays=WEEKDAYS,
        used=host_quota.writes_used_today(current_user.email),
        **_quota_context(),
    )
    return page, 422 if form.errors else 409 if schedule_preview and schedule_preview.needs_confirmation else 200


def _save_and_redirect(
    form: MeetingForm, school_class: SchoolClass, schedule_preview: preview.SchedulePreview
) -> AnyResponse:
    """Save the form. Raises SchedulingConflict if another class was booked since the preview."""
    check = service.ConflictCheck.IMPOSSIBLE if "anyway" in request.form else service.ConflictCheck.ALL
    details, client_key = form.details(), _client_key(form)
    if schedule_preview.rule is None:
        instant = "now" in request.form
        meeting = service.create_meeting(
            current_user, school_class, details, client_key=client_key, instant=instant, check=check
        )
    else:
        schedule = schedules.create_schedule(
            current_user,
            school_class,
            details,
            schedule_preview.rule,
            schedule_preview.plan,
            client_key=client_key,
            check=check,
        )
        first_meeting = queries.first_meeting_of_schedule(schedule.id)
        if len(schedule_preview.plan.blocks) > 1 or first_meeting is None:
            return redirect(url_for(".show_schedule", schedule_id=schedule.id))
        meeting = first_meeting
    service.wait_for_zoom(meeting.id, current_app.config.get("FORM_WAIT", FORM_WAIT))
    return redirect(url_for("meeting_page.show_meeting_page", meeting_id=meeting.id))


def _set_start(form: MeetingForm, start_text: str) -> None:
    """Move a single class to another time of its day that the page suggested."""
    try:
        set_time_field(form.start, time.fromisoformat(start_text))
    except ValueError:
        abort(400)


def _quota_context() -> dict[str, object]:
    return {"warn_from": host_quota.WARNING_THRESHOLD, "a_day": host_quota.WRITES_PER_DAY}


def _learner_count_label(count: int) -> str:
    return str(ngettext("%(num)d learner", "%(num)d learners", count))


def _effective_policies(form: MeetingForm, classes: Sequence[ClassRow]) -> EffectivePolicies:
    """The policies in effect for the chosen class."""
    class_id = next(
        (row.id for row in classes if str(row.id) == form.class_id.data), classes[0].id if classes else None
    )
    return option_policies.effective_policies(option_policies.policy_school_of(class_id, current_user))


def _template_meeting() -> ZoomMeeting | None:
    """The meeting to duplicate, on the first display of the form."""
    if request.method != "GET" or "like" not in request.args:
        return None
    try:
        return access.meeting_or_404(UUID(request.args["like"]), manage=True)
    except ValueError:
        abort(404)


def _prefill(form: MeetingForm, classes: Sequence[ClassRow], values: Mapping[str, object]) -> None:
    """Preset a start without conflicts for the first class in the list; `values` are those of a duplicated meeting."""
    form.client_key.data = str(uuid4())
    class_key = form.class_id.data if values else request.args.get("class")
    if class_key:
        form.class_id.data = class_key
    start = duplicate.single_start(values) if values else suggested_start_time()
    if start is None:
        return  # a schedule: the preview shows its dates before it is saved
    class_id = next((row.id for row in classes if str(row.id) == class_key), classes[0].id if classes else None)
    if class_id:
        parties = ScheduleParties.of_class(class_or_404(class_id, manage=True))
        start = preview.first_free_start(parties, TimeSlot(start, form.minutes.data or 60))
    local = clock.to_manila(start)
    form.day.data, form.start.data = local.date(), local.time()


def _client_key(form: MeetingForm) -> str:
    """The form's idempotency key, prefixed with the user's id, so that it cannot address another user's meeting."""
    return f"{current_user.id.hex}{(form.client_key.data or uuid4().hex).replace('-', '')[:32]}"


@bp.route("/meetings/<uuid:meeting_id>/change", methods=["GET", "POST"])
def edit_meeting(meeting_id: UUID) -> str | AnyResponse | tuple[str, int]:
    meeting = access.meeting_or_404(meeting_id, manage=True)
    if meeting.class_id is None:
        return redirect(url_for("staff_meetings.edit_staff_meeting", meeting_id=meeting.id))
    form_class = RecurringMeetingForm if meeting.kind == MeetingKind.RECURRING else MeetingForm
    form = form_class(**_form_values(meeting)) if request.method == "GET" else form_class()
    form.class_id.choices = [SelectChoice(str(meeting.class_id), _class_label(meeting))]
    policies = option_policies.effective_policies(option_policies.policy_school_of(meeting.class_id, current_user))
    form.apply_policies(policies, fresh=False)
    if form.day and "shift" in request.form:
        _set_start(form, request.form["shift"])
    schedule_preview = None
    if form.validate_on_submit():
        try:
            _save_changes(meeting, form)
        except service.MeetingNotChangeable:
            flash(_("This class is over or called off, so it cannot be changed."), "bad")
            return redirect(url_for("meeting_page.show_meeting_page", meeting_id=meeting.id))
        except service.SchedulingConflict as conflict:
            schedule_preview = preview.preview_moved_occurrence(conflict.choice)
        else:
            service.wait_for_zoom(meeting.id, current_app.config.get("FORM_WAIT", FORM_WAIT))
            flash(_("The change is saved."))
            return redirect(url_for("meeting_page.show_meeting_page", meeting_id=meeting.id))
    page = render_template(
        "meetings/new.html",
        form=form,
        classes=[],
        holding=policies,
        meeting=meeting,
        shown=schedule_preview,
        weekdays=(),
        used=host_quota.writes_used_today(meeting.host_email),
        **_quota_context(),
    )
    return page, 422 if form.errors else 409 if schedule_preview else 200


def _save_changes(meeting: ZoomMeeting, form: MeetingForm) -> None:
    """Save the change. Raises MeetingNotChangeable and SchedulingConflict."""
    if meeting.kind == MeetingKind.RECURRING:
        details = service.MeetingDetails(starts_at=meeting.starts_at, minutes=meeting.minutes, **form.options())
        service.update_meeting(current_user, meeting, details)
        return
    check = service.ConflictCheck.IMPOSSIBLE if "anyway" in request.form else service.ConflictCheck.ALL
    service.update_meeting(current_user, meeting, form.details(), check=check)


def _form_values(meeting: ZoomMeeting) -> dict[str, object]:
    local = clock.to_manila(meeting.starts_at)
    columns = {column.key for column in ZoomMeeting.__table__.columns}
    values = {name: getattr(meeting, name) for name in MeetingForm()._fields if name in columns}
    return values | {"day": local.date(), "start": local.time(), "class_id": str(meeting.class_id)}


def _class_label(meeting: ZoomMeeting) -> str:
    school_class = meeting.school_class
    return f"{school_class.subject}, {school_class.section.title}" if school_class else meeting.title


@bp.route("/meetings/<uuid:meeting_id>/cancel", methods=["GET", "POST"])
def cancel_meeting(meeting_id: UUID) -> str | AnyResponse | tuple[str, int]:
    meeting = access.meeting_or_404(meeting_id, manage=True)
    form = CancelForm()
    if form.validate_on_submit():
        try:
            service.cancel_meeting(current_user, meeting, form.reason.data or "")
        except service.MeetingNotChangeable:
            flash(_("This class is over or called off already."), "bad")
        else:
            flash(
                _("The class is cancelled. The links of the learners no longer open it.")
                if meeting.class_id
                else _("The meeting is cancelled. Nobody's link opens it any more.")
            )
        return redirect(url_for("meeting_page.show_meeting_page", meeting_id=meeting.id))
    return render_template("meetings/cancel.html", form=form, meeting=meeting), 422 if form.errors else 200


@bp.get("/schedules/<uuid:schedule_id>")
def show_schedule(schedule_id: UUID) -> str:
    """All dates of a schedule, over all its meetings at Zoom."""
    schedule = access.schedule_or_404(schedule_id)
    return render_template(
        "meetings/schedule.html",
        schedule=schedule,
        managed=classes_access.can_manage_class(schedule.school_class),
        lines=queries.list_schedule_occurrences(current_user, schedule_id),
        names={number: name for number, _short, name in WEEKDAYS},
        meetings=queries.count_meetings_of_schedule(schedule_id),
    )


@bp.route("/meetings/<uuid:meeting_id>/dates/<uuid:occurrence_id>", methods=["GET", "POST"])
def edit_occurrence(meeting_id: UUID, occurrence_id: UUID) -> str | AnyResponse | tuple[str, int]:
    """A new time for one date; the page also has the form that cancels it."""
    occurrence = _occurrence_of_meeting_or_404(meeting_id, occurrence_id)
    local = clock.to_manila(occurrence.starts_at)
    form = OccurrenceForm(day=local.date(), start=local.time(), minutes=occurrence.minutes)
    if "shift" in request.form:
        try:
            set_time_field(form.start, time.fromisoformat(request.form["shift"]))
        except ValueError:
            abort(400)
    schedule_preview = None
    if form.validate_on_submit():
        check = service.ConflictCheck.IMPOSSIBLE if "anyway" in request.form else service.ConflictCheck.ALL
        minutes = form.minutes.data or occurrence.minutes
        try:
            schedules.move_occurrence(current_user, occurrence, form.starts_at(), minutes, check=check)
        except service.MeetingNotChangeable:
            flash(_("This date is over or called off, so it cannot be moved."), "bad")
        except schedules.OccurrenceTimeTaken:
            form.start.errors = [_("Another date of this schedule has that very time.")]
        except service.SchedulingConflict as conflict:
            schedule_preview = preview.preview_moved_occurrence(conflict.choice)
        else:
            service.wait_for_zoom(meeting_id, current_app.config.get("FORM_WAIT", FORM_WAIT))
            flash(_("The date is moved. Tell your learners; their links stay the same."))
        if not form.errors and schedule_preview is None:
            return redirect(url_for("meeting_page.show_meeting_page", meeting_id=meeting_id))
    page = render_template(
        "meetings/date.html",
        form=form,
        meeting=occurrence.meeting,
        occurrence=occurrence,
        cancel=CancelForm(),
        shown=schedule_preview,
    )
    return page, 422 if form.errors else 409 if schedule_preview else 200


@bp.post("/meetings/<uuid:meeting_id>/dates/<uuid:occurrence_id>/cancel")
def cancel_occurrence(meeting_id: UUID, occurrence_id: UUID) -> AnyResponse:
    occurrence = _occurrence_of_meeting_or_404(meeting_id, occurrence_id)
    form = CancelForm()
    if form.validate_on_submit():
        try:
            schedules.cancel_occurrence(current_user, occurrence, form.reason.data or "")
        except service.MeetingNotChangeable:
            flash(_("This date is over or called off already."), "bad")
        else:
            service.wait_for_zoom(meeting_id, current_app.config.get("FORM_WAIT", FORM_WAIT))
            flash(_("No class on %(day)s. Nobody is marked absent.", day=format_day(occurrence.starts_at)))
    return redirect(url_for("meeting_page.show_meeting_page", meeting_id=meeting_id))


def _occurrence_of_meeting_or_404(meeting_id: UUID, occurrence_id: UUID) -> MeetingOccurrence:
    occurrence = access.manageable_occurrence_or_404(occurrence_id)
    if occurrence.meeting_id != meeting_id:
        abort(404)
    return occurrence


@bp.post("/meetings/<uuid:meeting_id>/make-again")
def recreate_meeting(meeting_id: UUID) -> AnyResponse:
    meeting = access.meeting_or_404(meeting_id, manage=True)
    try:
        schedules.recreate_meeting(current_user, meeting)
    except service.MeetingNotChangeable:
        flash(_("None of its dates is still to come. Schedule a new class."), "bad")
    else:
        service.wait_for_zoom(meeting.id, current_app.config.get("FORM_WAIT", FORM_WAIT))
        flash(_("The class is made again, and everybody gets a new link."))
    return redirect(url_for("meeting_page.show_meeting_page", meeting_id=meeting.id))


@bp.post("/meetings/<uuid:meeting_id>/run-open")
def switch_to_open_mode(meeting_id: UUID) -> AnyResponse:
    meeting = access.meeting_or_404(meeting_id, manage=True)
    try:
        service.switch_to_open_mode(current_user, meeting)
    except service.MeetingNotChangeable:
        flash(_("This class is over or called off already."), "bad")
    return redirect(url_for("meeting_page.show_meeting_page", meeting_id=meeting.id))


@bp.post("/meetings/<uuid:meeting_id>/try-now")
def retry_meeting_now(meeting_id: UUID) -> AnyResponse:
    meeting = access.meeting_or_404(meeting_id, manage=True)
    service.retry_meeting_now(current_user, meeting)
    service.wait_for_zoom(meeting.id, current_app.config.get("FORM_WAIT", FORM_WAIT))
    return redirect(url_for("meeting_page.show_meeting_page", meeting_id=meeting.id))


@bp.get("/meetings/<uuid:meeting_id>/start")
def start_meeting(meeting_id: UUID) -> AnyResponse | tuple[str, int]:
    """Redirect to the host's start link, fetched from Zoom on the click, used once and never stored.

    A plain link and not a form: the Content-Security-Policy's form-action forbids a form's redirect to another host.
    """
    meeting = access.meeting_or_404(meeting_id, manage=True)
    if "prefetch" in request.headers.get("Sec-Purpose", "") + request.headers.get("Purpose", ""):
        return Response(status=204)
    if meeting.zoom_id is None or meeting.state in (MeetingState.CANCELLED, MeetingState.DELETED):
        flash(_("This class has no room at Zoom, so it cannot be started."), "bad")
        return redirect(url_for("meeting_page.show_meeting_page", meeting_id=meeting.id))
    try:
        start_url = get_zoom_client().get_meeting(meeting.zoom_id).start_url
    except ZoomError as error:
        return render_template("meetings/start_failed.html", meeting=meeting, error=_(error.user_message)), 503
    if not start_url or not is_zoom_link(start_url, current_settings()):
        return render_template("meetings/start_failed.html", meeting=meeting, error=_("Zoom gave no start link.")), 503
    audit_log.record_action(AuditAction.STARTED, AuditSubject.MEETING, meeting.id, by=current_user.id)
    return redirect(start_url, code=303)
