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
from portal.meetings.forms import PeopleForm, put_time, suggested_start
from portal.meetings.models import ZoomMeeting
from portal.meetings.scheduling import duplicate, preview
from portal.meetings.scheduling.host_assignment import Whose
from portal.meetings.scheduling.preview import Preview
from portal.meetings.scheduling.recurrence import Slot
from portal.meetings.staff_meetings import service as staff_meetings_service
from portal.meetings.staff_meetings.service import NotInvitable, Wrong
from portal.zoom_account import host_quota

bp = Blueprint("invitations", __name__)
FORM_WAIT = 1.5  # seconds to wait for Zoom before the page says "waiting"


@bp.route("/meetings/new/people", methods=["GET", "POST"])
def new() -> str | AnyResponse | tuple[str, int]:
    """A meeting of colleagues: no roster, no sheet, but invitations."""
    values = _values_like()
    form = _form(**values)
    if request.method == "GET":
        form.client_key.data = str(uuid4())
        wanted = (duplicate.start_of(values) if values else None) or suggested_start()
        start = preview.free_start(Whose(current_user.id), Slot(wanted, form.minutes.data or 60))
        local = clock.local(start)
        form.day.data, form.start.data = local.date(), local.time()
    if "now" in request.form:
        form.start_now()
    shown = None
    is_valid = form.validate_on_submit()
    people = _people(form) if form.is_submitted() and not form.invited.errors else None  # all that is wrong at once
    if is_valid and people is not None:
        shown = preview.of_people(form, Whose(current_user.id))
        key = f"{current_user.id.hex}{(form.client_key.data or uuid4().hex).replace('-', '')[:32]}"
        try:
            meeting = staff_meetings_service.schedule(
                current_user, form.details(), people, client_key=key, instant="now" in request.form, check=_check()
            )
        except service.Clashing as clash:
            shown = shown.with_clashes(clash.choice)
        else:
            service.wait_for_zoom(meeting.id, current_app.config.get("FORM_WAIT", FORM_WAIT))
            return redirect(url_for("pages.meeting", meeting_id=meeting.id))
    return _page(form, None, shown)


@bp.route("/meetings/<uuid:meeting_id>/change/people", methods=["GET", "POST"])
def change(meeting_id: UUID) -> str | AnyResponse | tuple[str, int]:
    meeting = access.meeting_or_404(meeting_id, manage=True)
    if meeting.class_id is not None:
        abort(404)
    form = _form(**_values(meeting)) if request.method == "GET" else _form()
    shown = None
    is_valid = form.validate_on_submit()
    people = _people(form) if form.is_submitted() and not form.invited.errors else None  # all that is wrong at once
    if is_valid and people is not None:
        try:
            staff_meetings_service.change(current_user, meeting, form.details(), people, check=_check())
        except service.NotChangeable:
            flash(_("This meeting is over or called off, so it cannot be changed."), "bad")
            return redirect(url_for("pages.meeting", meeting_id=meeting.id))
        except service.Clashing as clash:
            shown = preview.of_clash(clash.choice)
        else:
            service.wait_for_zoom(meeting.id, current_app.config.get("FORM_WAIT", FORM_WAIT))
            flash(_("The change is saved."))
            return redirect(url_for("pages.meeting", meeting_id=meeting.id))
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
    return duplicate.like(current_user, model)


def _form(**values: object) -> PeopleForm:
    form = PeopleForm(**values)
    form.offer(staff_meetings_service.audiences(current_user))
    form.heed(_holding(), fresh=request.method == "GET" and not values)
    if "shift" in request.form:
        try:
            put_time(form.start, time.fromisoformat(request.form["shift"]))
        except ValueError:
            abort(400)
    return form


def _values(meeting: ZoomMeeting) -> dict[str, object]:
    local = clock.local(meeting.starts_at)
    columns = {column.key for column in ZoomMeeting.__table__.columns}
    values = {name: getattr(meeting, name) for name in PeopleForm()._fields if name in columns}
    invited = "\n".join(staff_meetings_service.addresses(meeting.id))
    return values | {"day": local.date(), "start": local.time(), "invited": invited}


def _check() -> service.Check:
    return service.Check.IMPOSSIBLE if "anyway" in request.form else service.Check.ALL


def _people(form: PeopleForm) -> list[User] | None:
    """Those named, for the audience that names them; None, with the errors on the field, where that cannot be."""
    if form.audience.data != "personal":
        return []
    settings: Settings = current_app.extensions["silid.settings"]
    try:
        people = staff_meetings_service.named(form.invited.data or "", settings.email_domains)
    except NotInvitable as refused:
        form.invited.errors = [_words(one, settings.email_domains) for one in refused.wrong]
        return None
    if not people:
        form.invited.errors = [_("Write at least one address.")]
    elif len(people) > staff_meetings_service.MOST:
        form.invited.errors = [_("At most %(num)d people can be named.", num=staff_meetings_service.MOST)]
    return None if form.invited.errors else people


def _words(wrong: Wrong, domains: tuple[str, ...]) -> str:
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


def _holding() -> option_policies.Rulings:
    return option_policies.rulings(current_user.school)


def _page(form: PeopleForm, meeting: ZoomMeeting | None, shown: Preview | None) -> tuple[str, int]:
    page = render_template(
        "meetings/people.html",
        form=form,
        holding=_holding(),
        meeting=meeting,
        shown=shown,
        used=host_quota.used(meeting.host if meeting else current_user.email),
        warn_from=host_quota.WARN_FROM,
        a_day=host_quota.A_DAY,
    )
    return page, 422 if form.errors else 409 if shown and shown.stops else 200
