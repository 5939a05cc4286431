"""Pages of meetings without a class: scheduling and editing, with the people invited."""

from datetime import time
from uuid import UUID, uuid4

from flask import Blueprint, abort, current_app, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_login import current_user
from werkzeug.wrappers import Response as AnyResponse

from portal.accounts.models import User
from portal.core import clock
from portal.core.settings import current_settings
from portal.meetings import access, option_policies, service
from portal.meetings.forms import StaffMeetingForm, set_time_field, suggested_start_time
from portal.meetings.models import ZoomMeeting
from portal.meetings.scheduling import duplicate, preview
from portal.meetings.scheduling.host_assignment import ScheduleParties
from portal.meetings.scheduling.preview import SchedulePreview
from portal.meetings.scheduling.recurrence import TimeSlot
from portal.meetings.staff_meetings import service as staff_meetings_service
from portal.meetings.staff_meetings.service import InvalidAddress, NotInvitable
from portal.zoom_account import host_quota

bp = Blueprint("staff_meetings", __name__)
FORM_WAIT = 1.5  # seconds to wait for the worker before the page says "waiting"


@bp.route("/meetings/new/people", methods=["GET", "POST"])
def new_staff_meeting() -> str | AnyResponse | tuple[str, int]:
    """Schedule a meeting of colleagues: without roster and sheet, with invitations."""
    values = _duplicate_values()
    form = _build_form(**values)
    if request.method == "GET":
        form.client_key.data = str(uuid4())
        suggested_start = (duplicate.single_start(values) if values else None) or suggested_start_time()
        start = preview.first_free_start(
            ScheduleParties(current_user.id), TimeSlot(suggested_start, form.minutes.data or 60)
        )
        local = clock.to_manila(start)
        form.day.data, form.start.data = local.date(), local.time()
    if "now" in request.form:
        form.start_now()
    schedule_preview = None
    is_valid = form.validate_on_submit()
    people = (
        _invited_people(form) if form.is_submitted() and not form.invited.errors else None
    )  # report all errors at once
    if is_valid and people is not None:
        schedule_preview = preview.preview_staff_form(form, ScheduleParties(current_user.id))
        client_key = f"{current_user.id.hex}{(form.client_key.data or uuid4().hex).replace('-', '')[:32]}"
        try:
            meeting = staff_meetings_service.create_staff_meeting(
                current_user,
                form.details(),
                people,
                client_key=client_key,
                instant="now" in request.form,
                check=_conflict_check(),
            )
        except service.SchedulingConflict as conflict:
            schedule_preview = schedule_preview.with_clashes(conflict.choice)
        else:
            service.wait_for_zoom(meeting.id, current_app.config.get("FORM_WAIT", FORM_WAIT))
            return redirect(url_for("meeting_page.show_meeting_page", meeting_id=meeting.id))
    return _render_page(form, None, schedule_preview)


@bp.route("/meetings/<uuid:meeting_id>/change/people", methods=["GET", "POST"])
def edit_staff_meeting(meeting_id: UUID) -> str | AnyResponse | tuple[str, int]:
    meeting = access.meeting_or_404(meeting_id, manage=True)
    if meeting.class_id is not None:
        abort(404)
    form = _build_form(**_meeting_form_values(meeting)) if request.method == "GET" else _build_form()
    schedule_preview = None
    is_valid = form.validate_on_submit()
    people = (
        _invited_people(form) if form.is_submitted() and not form.invited.errors else None
    )  # report all errors at once
    if is_valid and people is not None:
        try:
            staff_meetings_service.update_staff_meeting(
                current_user, meeting, form.details(), people, check=_conflict_check()
            )
        except service.MeetingNotChangeable:
            flash(_("This meeting is over or called off, so it cannot be changed."), "bad")
            return redirect(url_for("meeting_page.show_meeting_page", meeting_id=meeting.id))
        except service.SchedulingConflict as conflict:
            schedule_preview = preview.preview_moved_occurrence(conflict.choice)
        else:
            service.wait_for_zoom(meeting.id, current_app.config.get("FORM_WAIT", FORM_WAIT))
            flash(_("The change is saved."))
            return redirect(url_for("meeting_page.show_meeting_page", meeting_id=meeting.id))
    return _render_page(form, meeting, schedule_preview)


def _duplicate_values() -> dict[str, object]:
    """The initial form values, if a meeting is duplicated."""
    if request.method != "GET" or "like" not in request.args:
        return {}
    try:
        template = access.meeting_or_404(UUID(request.args["like"]), manage=True)
    except ValueError:
        abort(404)
    if template.class_id is not None:
        abort(404)
    return duplicate.form_values_like(current_user, template)


def _build_form(**values: object) -> StaffMeetingForm:
    form = StaffMeetingForm(**values)
    form.limit_audiences(staff_meetings_service.allowed_audiences_of(current_user))
    form.apply_policies(_effective_policies(), fresh=request.method == "GET" and not values)
    if "shift" in request.form:
        try:
            set_time_field(form.start, time.fromisoformat(request.form["shift"]))
        except ValueError:
            abort(400)
    return form


def _meeting_form_values(meeting: ZoomMeeting) -> dict[str, object]:
    local = clock.to_manila(meeting.starts_at)
    columns = {column.key for column in ZoomMeeting.__table__.columns}
    values = {name: getattr(meeting, name) for name in StaffMeetingForm()._fields if name in columns}
    invited = "\n".join(staff_meetings_service.named_invitee_addresses(meeting.id))
    return values | {"day": local.date(), "start": local.time(), "invited": invited}


def _conflict_check() -> service.ConflictCheck:
    return service.ConflictCheck.IMPOSSIBLE if "anyway" in request.form else service.ConflictCheck.ALL


def _invited_people(form: StaffMeetingForm) -> list[User] | None:
    """The named users, for the audience `personal`; None, with errors on the field, if the addresses are invalid."""
    if form.audience.data != "personal":
        return []
    settings = current_settings()
    try:
        people = staff_meetings_service.resolve_invitees(form.invited.data or "", settings.email_domains)
    except NotInvitable as error:
        form.invited.errors = [_invalid_address_message(invalid, settings.email_domains) for invalid in error.wrong]
        return None
    if not people:
        form.invited.errors = [_("Write at least one address.")]
    elif len(people) > staff_meetings_service.MAX_INVITEES:
        form.invited.errors = [_("At most %(num)d people can be named.", num=staff_meetings_service.MAX_INVITEES)]
    return None if form.invited.errors else people


def _invalid_address_message(invalid: InvalidAddress, domains: tuple[str, ...]) -> str:
    if invalid.why == "outside":
        return _(
            "Line %(line)d: %(address)s is no school address. Only %(domains)s email addresses can join.",
            line=invalid.line,
            address=invalid.address[:100],
            domains=_(" or ").join(f"@{domain}" for domain in domains),
        )
    return _(
        "Line %(line)d: nobody with the address %(address)s has an account here. Check the spelling, or ask your "
        "admin to invite the person first.",
        line=invalid.line,
        address=invalid.address[:100],
    )


def _effective_policies() -> option_policies.EffectivePolicies:
    return option_policies.effective_policies(current_user.school)


def _render_page(
    form: StaffMeetingForm, meeting: ZoomMeeting | None, schedule_preview: SchedulePreview | None
) -> tuple[str, int]:
    page = render_template(
        "meetings/people.html",
        form=form,
        holding=_effective_policies(),
        meeting=meeting,
        shown=schedule_preview,
        used=host_quota.writes_used_today(meeting.host_email if meeting else current_user.email),
        warn_from=host_quota.WARNING_THRESHOLD,
        a_day=host_quota.WRITES_PER_DAY,
    )
    return page, 422 if form.errors else 409 if schedule_preview and schedule_preview.needs_confirmation else 200
