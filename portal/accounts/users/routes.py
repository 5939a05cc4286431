"""People, for admins: finding, inviting, roles, closing and opening accounts, requests."""

from uuid import UUID

from flask import Blueprint, abort, current_app, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_login import current_user
from werkzeug.wrappers import Response

from portal.accounts.email_domain import NotSchoolEmail
from portal.accounts.forms import InviteForm, RoleForm
from portal.accounts.models import AccountRequest, User
from portal.accounts.users import service
from portal.config import Settings

bp = Blueprint("people", __name__, url_prefix="/admin/people")
Answer = str | Response | tuple[str, int]
SHOWN = ("", "teachers", "admins", "off")


@bp.before_request
def only_admins() -> None:
    if current_user.is_authenticated and not current_user.is_admin:
        abort(403)


@bp.get("")
def index() -> Answer:
    words, show = request.args.get("q", "")[:100], request.args.get("show", "")
    show = show if show in SHOWN else ""
    found = service.find(_me(), words, show, request.args.get("page", 1, type=int))
    return render_template("accounts/people.html", found=found, q=words, show=show, waiting=service.waiting(_me()))


@bp.route("/invite", methods=["GET", "POST"])
def invite() -> Answer:
    form = InviteForm(school=current_user.school.deped_id if current_user.school else "")
    if form.validate_on_submit():
        try:
            made = service.invite(
                _me(),
                email=form.email.data or "",
                full_name=form.full_name.data or "",
                scope=form.scope,
                deped_id=form.school.data or "",
            )
        except NotSchoolEmail as refused:
            domains = " or ".join(f"@{d}" for d in refused.domains)
            form.email.errors = [_("Only addresses at %(domains)s can have an account.", domains=domains)]
        except service.Refused as no:
            _explain(form, no)
        else:
            return _handed_over(*made)
    return render_template("accounts/invite.html", form=form), 422 if form.is_submitted() else 200


@bp.get("/<uuid:user_id>")
def person(user_id: UUID) -> Answer:
    someone = _person_or_404(user_id)
    return _person_page(someone, _role_form(someone), 200)


@bp.post("/<uuid:user_id>/role")
def role(user_id: UUID) -> Answer:
    someone = _managed_or_403(user_id)
    form = RoleForm()
    if form.validate_on_submit():
        try:
            service.set_scope(_me(), someone, form.scope, form.school.data or "")
        except service.Refused as no:
            _explain(form, no)
        else:
            flash(_("Saved. The person was signed out and has the new rights at the next sign-in."))
            return redirect(url_for(".index"))
    return _person_page(someone, form, 422)


@bp.post("/<uuid:user_id>/link")
def link(user_id: UUID) -> Answer:
    someone = _managed_or_403(user_id)
    if someone.deactivated_at:
        abort(403)
    return _handed_over(someone, service.send_link(_me(), someone))


@bp.post("/<uuid:user_id>/deactivate")
def deactivate(user_id: UUID) -> Answer:
    someone = _managed_or_403(user_id)
    try:
        service.deactivate(_me(), someone)
    except service.Refused as no:
        flash(_why(no), "bad")
    else:
        flash(_("The account is closed, and the person is signed out everywhere."))
    return redirect(url_for(".person", user_id=user_id))


@bp.post("/<uuid:user_id>/reactivate")
def reactivate(user_id: UUID) -> Answer:
    service.reactivate(_me(), _managed_or_403(user_id))
    flash(_("The account is open again."))
    return redirect(url_for(".person", user_id=user_id))


@bp.post("/<uuid:user_id>/sign-out")
def sign_out(user_id: UUID) -> Answer:
    service.sign_out(_me(), _managed_or_403(user_id))
    flash(_("The person is signed out everywhere."))
    return redirect(url_for(".person", user_id=user_id))


@bp.post("/<uuid:user_id>/remove-codes")
def remove_codes(user_id: UUID) -> Answer:
    service.remove_codes(_me(), _managed_or_403(user_id))
    flash(_("One-time codes are off for this person."))
    return redirect(url_for(".person", user_id=user_id))


@bp.post("/requests/<uuid:request_id>/approve")
def approve(request_id: UUID) -> Answer:
    try:
        return _handed_over(*service.approve(_me(), _request_or_404(request_id)))
    except service.Refused as no:
        flash(_why(no), "bad")
        return redirect(url_for(".index"))


@bp.post("/requests/<uuid:request_id>/refuse")
def refuse(request_id: UUID) -> Answer:
    service.refuse(_me(), _request_or_404(request_id))
    flash(_("The request is refused."))
    return redirect(url_for(".index"))


def _handed_over(someone: User, address: str) -> Answer:
    """With a mail server the link goes to the mailbox alone; without one the admin hands it over, this once."""
    settings: Settings = current_app.extensions["silid.settings"]
    if settings.mail_url:
        flash(_("A letter with the link is on its way to %(email)s.", email=someone.email))
        return redirect(url_for(".person", user_id=someone.id))
    return render_template("accounts/hand_over.html", person=someone, link=address)


def _person_page(someone: User, form: RoleForm, status: int) -> tuple[str, int]:
    manageable = service.may_manage(_me(), someone)
    return render_template("accounts/person.html", person=someone, form=form, manageable=manageable), status


def _role_form(someone: User) -> RoleForm:
    return RoleForm(role=someone.scope or "teacher", school=someone.school.deped_id if someone.school else "")


def _person_or_404(user_id: UUID) -> User:
    return service.one(_me(), user_id) or abort(404)


def _managed_or_403(user_id: UUID) -> User:
    someone = _person_or_404(user_id)
    if not service.may_manage(_me(), someone):
        abort(403)
    return someone


def _request_or_404(request_id: UUID) -> AccountRequest:
    return service.one_request(_me(), request_id) or abort(404)


def _explain(form: RoleForm, no: service.Refused) -> None:
    """Put the reason at the field that it is about."""
    if no.reason in ("taken", "learner") and isinstance(form, InviteForm):
        form.email.errors = [_why(no)]
    elif no.reason == "school":
        form.school.errors = [_why(no)]
    else:
        form.form_errors.append(_why(no))


def _why(no: service.Refused) -> str:
    return {
        "taken": _("This address has an account already."),
        "learner": _("An address of 12 digits is a learner's. Learners need no account."),
        "school": _("No open school of yours has this ID."),
        "scope": _("This is above your own rights."),
        "self": _("You cannot do this to your own account."),
        "last": _("This is the last admin of the region. Make another one first."),
    }[no.reason]


def _me() -> User:
    user: User = current_user._get_current_object()
    return user
