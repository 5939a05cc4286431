"""Meetings without a class: made and changed with the people who are invited."""

from datetime import time
from uuid import UUID, uuid4

from flask import Blueprint, abort, current_app, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_login import current_user
from werkzeug.wrappers import Response as AnyResponse

from portal.accounts.models import User
from portal.config import Settings
from portal.core import clock
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
FORM_WAIT = 1.5  # seconds to wait for Zoom before the page says "waiting"


@bp.route("/meetings/new/people", methods=["GET", "POST"])
def new_staff_meeting() -> str | AnyResponse | tuple[str, int]:
    """A meeting of colleagues: no roster, no sheet, but invitations."""
    values = _values_like()
    form = _form(**values)
    if request.method == "GET":
        form.client_key.data = str(uuid4())
        moment = (duplicate.single_start(values) if values else None) or suggested_start_time()
        start = preview.first_free_start(ScheduleParties(current_user.id), TimeSlot(moment, form.minutes.data or 60))
        local = clock.to_manila(start)
        form.day.data, form.start.data = local.date(), local.time()
    if "now" in request.form:
        form.start_now()
    shown = None
    is_valid = form.validate_on_submit()
    people = _people(form) if form.is_submitted() and not form.invited.errors else None  # all that is wrong at once
    if is_valid and people is not None:
        shown = preview.preview_staff_form(form, ScheduleParties(current_user.id))
        key = f"{current_user.id.hex}{(form.client_key.data or uuid4().hex).replace('-', '')[:32]}"
        try:
            meeting = staff_meetings_service.create_staff_meeting(
                current_user, form.details(), people, client_key=key, instant="now" in request.form, check=_check()
            )
        except service.SchedulingConflict as clash:
            shown = shown.with_clashes(clash.choice)
        else:
            service.wait_for_zoom(meeting.id, current_app.config.get("FORM_WAIT", FORM_WAIT))
            return redirect(url_for("pages.show_meeting_page", meeting_id=meeting.id))
    return _page(form, None, shown)


@bp.route("/meetings/<uuid:meeting_id>/change/people", methods=["GET", "POST"])
def edit_staff_meeting(meeting_id: UUID) -> str | AnyResponse | tuple[str, int]:
    meeting = access.meeting_or_404(meeting_id, manage=True)
    if meeting.class_id is not None:
        abort(404)
    form = _form(**_values(meeting)) if request.method == "GET" else _form()
    shown = None
    is_valid = form.validate_on_submit()
    people = _people(form) if form.is_submitted() and not form.invited.errors else None  # all that is wrong at once
    if is_valid and people is not None:
        try:
            staff_meetings_service.update_staff_meeting(current_user, meeting, form.details(), people, check=_check())
        except service.MeetingNotChangeable:
            flash(_("This meeting is over or called off, so it cannot be changed."), "bad")
            return redirect(url_for("pages.show_meeting_page", meeting_id=meeting.id))
        except service.SchedulingConflict as clash:
            shown = preview.preview_moved_occurrence(clash.choice)
        else:
            service.wait_for_zoom(meeting.id, current_app.config.get("FORM_WAIT", FORM_WAIT))
            flash(_("The change is saved."))
            return redirect(url_for("pages.show_meeting_page", meeting_id=meeting.id))
    return _page(form, meeting, shown)


def _values_like() -> dict[str, object]:
    """What the form begins with where a meeting is scheduled once more."""
    if request.method != "GET" or "like" not in request.args:
        return {}
    try:
        model = access.meeting_or_404(UUID(request.args["like"]), manage=True)
    except ValueError:
        abort(404)
    if model.class_id is not None:
        abort(404)
    return duplicate.form_values_like(current_user, model)


def _form(**values: object) -> StaffMeetingForm:
    form = StaffMeetingForm(**values)
    form.limit_audiences(staff_meetings_service.allowed_audiences_of(current_user))
    form.apply_policies(_holding(), fresh=request.method == "GET" and not values)
    if "shift" in request.form:
        try:
            set_time_field(form.start, time.fromisoformat(request.form["shift"]))
        except ValueError:
            abort(400)
    return form


def _values(meeting: ZoomMeeting) -> dict[str, object]:
    local = clock.to_manila(meeting.starts_at)
    columns = {column.key for column in ZoomMeeting.__table__.columns}
    values = {name: getattr(meeting, name) for name in StaffMeetingForm()._fields if name in columns}
    invited = "\n".join(staff_meetings_service.named_invitee_addresses(meeting.id))
    return values | {"day": local.date(), "start": local.time(), "invited": invited}


def _check() -> service.ConflictCheck:
    return service.ConflictCheck.IMPOSSIBLE if "anyway" in request.form else service.ConflictCheck.ALL


def _people(form: StaffMeetingForm) -> list[User] | None:
    """Those named, for the audience that names them; None, with the errors on the field, where that cannot be."""
    if form.audience.data != "personal":
        return []
    settings: Settings = current_app.extensions["silid.settings"]
    try:
        people = staff_meetings_service.resolve_invitees(form.invited.data or "", settings.email_domains)
    except NotInvitable as refused:
        form.invited.errors = [_words(one, settings.email_domains) for one in refused.wrong]
        return None
    if not people:
        form.invited.errors = [_("Write at least one address.")]
    elif len(people) > staff_meetings_service.MAX_INVITEES:
        form.invited.errors = [_("At most %(num)d people can be named.", num=staff_meetings_service.MAX_INVITEES)]
    return None if form.invited.errors else people


def _words(wrong: InvalidAddress, domains: tuple[str, ...]) -> str:
    if wrong.why == "outside":
        return _(
            "Line %(line)d: %(address)s is no school address. Only %(domains)s email addresses can join.",
            line=wrong.line,
            address=wrong.address[:100],
            domains=_(" or ").join(f"@{domain}" for domain in domains),
        )
    return _(
        "Line %(line)d: nobody with the address %(address)s has an account here. Check the spelling, or ask your "
        "admin to invite the person first.",
        line=wrong.line,
        address=wrong.address[:100],
    )


def _holding() -> option_policies.EffectivePolicies:
    return option_policies.effective_policies(current_user.school)


def _page(form: StaffMeetingForm, meeting: ZoomMeeting | None, shown: SchedulePreview | None) -> tuple[str, int]:
    page = render_template(
        "meetings/people.html",
        form=form,
        holding=_holding(),
        meeting=meeting,
        shown=shown,
        used=host_quota.writes_used_today(meeting.host_email if meeting else current_user.email),
        warn_from=host_quota.WARNING_THRESHOLD,
        a_day=host_quota.WRITES_PER_DAY,
    )
    return page, 422 if form.errors else 409 if shown and shown.needs_confirmation else 200
