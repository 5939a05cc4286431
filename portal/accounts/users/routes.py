"""People, for admins: finding, inviting, roles, closing and opening accounts, requests."""

from uuid import UUID

from flask import Blueprint, abort, current_app, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_login import current_user
from werkzeug.wrappers import Response

from portal.accounts.email_domain import EmailDomainError
from portal.accounts.forms import InviteForm, RoleForm
from portal.accounts.models import AccountRequest, User
from portal.accounts.users import service
from portal.config import Settings

bp = Blueprint("users", __name__, url_prefix="/admin/people")
Answer = str | Response | tuple[str, int]
SHOWN = ("", "teachers", "admins", "off")


@bp.before_request
def require_user_admin() -> None:
    if current_user.is_authenticated and not current_user.is_admin:
        abort(403)


@bp.get("")
def list_users() -> Answer:
    words, show = request.args.get("q", "")[:100], request.args.get("show", "")
    show = show if show in SHOWN else ""
    user_page = service.search_users_in_scope(_me(), words, show, request.args.get("page", 1, type=int))
    return render_template(
        "accounts/people.html", found=user_page, q=words, show=show, waiting=service.list_pending_requests(_me())
    )


@bp.route("/invite", methods=["GET", "POST"])
def invite_user() -> Answer:
    form = InviteForm(school=current_user.school.deped_id if current_user.school else "")
    if form.validate_on_submit():
        try:
            row = service.invite_user(
                _me(),
                email=form.email.data or "",
                full_name=form.full_name.data or "",
                scope=form.scope,
                deped_id=form.school.data or "",
            )
        except EmailDomainError as refused:
            domains = " or ".join(f"@{d}" for d in refused.domains)
            form.email.errors = [_("Only addresses at %(domains)s can have an account.", domains=domains)]
        except service.UserChangeRefused as no:
            _explain(form, no)
        else:
            return _handed_over(*row)
    return render_template("accounts/invite.html", form=form), 422 if form.is_submitted() else 200


@bp.get("/<uuid:user_id>")
def show_user(user_id: UUID) -> Answer:
    someone = _person_or_404(user_id)
    return _person_page(someone, _role_form(someone), 200)


@bp.post("/<uuid:user_id>/role")
def edit_user_role(user_id: UUID) -> Answer:
    someone = _managed_or_403(user_id)
    form = RoleForm()
    if form.validate_on_submit():
        try:
            service.change_user_role(_me(), someone, form.scope, form.school.data or "")
        except service.UserChangeRefused as no:
            _explain(form, no)
        else:
            flash(_("Saved. The person was signed out and has the new rights at the next sign-in."))
            return redirect(url_for(".list_users"))
    return _person_page(someone, form, 422)


@bp.post("/<uuid:user_id>/link")
def issue_access_link(user_id: UUID) -> Answer:
    someone = _managed_or_403(user_id)
    if someone.deactivated_at:
        abort(403)
    return _handed_over(someone, service.send_access_link(_me(), someone))


@bp.post("/<uuid:user_id>/deactivate")
def deactivate_user(user_id: UUID) -> Answer:
    someone = _managed_or_403(user_id)
    try:
        service.deactivate_user(_me(), someone)
    except service.UserChangeRefused as no:
        flash(_why(no), "bad")
    else:
        flash(_("The account is closed, and the person is signed out everywhere."))
    return redirect(url_for(".show_user", user_id=user_id))


@bp.post("/<uuid:user_id>/reactivate")
def reactivate_user(user_id: UUID) -> Answer:
    service.reactivate_user(_me(), _managed_or_403(user_id))
    flash(_("The account is open again."))
    return redirect(url_for(".show_user", user_id=user_id))


@bp.post("/<uuid:user_id>/sign-out")
def end_user_sessions(user_id: UUID) -> Answer:
    service.end_user_sessions(_me(), _managed_or_403(user_id))
    flash(_("The person is signed out everywhere."))
    return redirect(url_for(".show_user", user_id=user_id))


@bp.post("/<uuid:user_id>/remove-codes")
def reset_user_totp(user_id: UUID) -> Answer:
    service.reset_user_totp(_me(), _managed_or_403(user_id))
    flash(_("One-time codes are off for this person."))
    return redirect(url_for(".show_user", user_id=user_id))


@bp.post("/requests/<uuid:request_id>/approve")
def approve_account_request(request_id: UUID) -> Answer:
    try:
        return _handed_over(*service.approve_account_request(_me(), _request_or_404(request_id)))
    except service.UserChangeRefused as no:
        flash(_why(no), "bad")
        return redirect(url_for(".list_users"))


@bp.post("/requests/<uuid:request_id>/refuse")
def reject_account_request(request_id: UUID) -> Answer:
    service.reject_account_request(_me(), _request_or_404(request_id))
    flash(_("The request is refused."))
    return redirect(url_for(".list_users"))


def _handed_over(someone: User, address: str) -> Answer:
    """With a mail server the link goes to the mailbox alone; without one the admin hands it over, this once."""
    settings: Settings = current_app.extensions["silid.settings"]
    if settings.mail_url:
        flash(_("A letter with the link is on its way to %(email)s.", email=someone.email))
        return redirect(url_for(".show_user", user_id=someone.id))
    return render_template("accounts/hand_over.html", person=someone, link=address)


def _person_page(someone: User, form: RoleForm, status: int) -> tuple[str, int]:
    manageable = service.can_manage_user(_me(), someone)
    return render_template("accounts/person.html", person=someone, form=form, manageable=manageable), status


def _role_form(someone: User) -> RoleForm:
    return RoleForm(role=someone.scope or "teacher", school=someone.school.deped_id if someone.school else "")


def _person_or_404(user_id: UUID) -> User:
    return service.get_user_in_scope(_me(), user_id) or abort(404)


def _managed_or_403(user_id: UUID) -> User:
    someone = _person_or_404(user_id)
    if not service.can_manage_user(_me(), someone):
        abort(403)
    return someone


def _request_or_404(request_id: UUID) -> AccountRequest:
    return service.get_pending_request(_me(), request_id) or abort(404)


def _explain(form: RoleForm, no: service.UserChangeRefused) -> None:
    """Put the reason at the field that it is about."""
    if no.reason in ("taken", "learner") and isinstance(form, InviteForm):
        form.email.errors = [_why(no)]
    elif no.reason == "school":
        form.school.errors = [_why(no)]
    else:
        form.form_errors.append(_why(no))


def _why(no: service.UserChangeRefused) -> str:
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
