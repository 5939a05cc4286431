"""User administration: search, invite (one, or many from a CSV), roles, deactivate and reactivate, account requests."""

from uuid import UUID

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext
from flask_login import current_user
from werkzeug.wrappers import Response

from portal.accounts.email_domain import EmailDomainError
from portal.accounts.forms import InviteForm, RoleForm, UsersFileForm
from portal.accounts.models import AccountRequest, User
from portal.accounts.users import csv_import, service
from portal.core import csv_tables
from portal.core.settings import current_settings

bp = Blueprint("users", __name__, url_prefix="/admin/people")
Answer = str | Response | tuple[str, int]
SHOWN = ("", "teachers", "admins", "off")


@bp.before_request
def require_user_admin() -> None:
    """Only admins may open these pages."""
    if current_user.is_authenticated and not current_user.is_admin:
        abort(403)


@bp.get("")
def list_users() -> Answer:
    """Search users in scope; list pending account requests."""
    words, status = request.args.get("q", "")[:100], request.args.get("show", "")
    status = status if status in SHOWN else ""
    user_page = service.search_users_in_scope(_current_admin(), words, status, request.args.get("page", 1, type=int))
    return render_template(
        "accounts/people.html",
        found=user_page,
        q=words,
        show=status,
        waiting=service.list_pending_requests(_current_admin()),
    )


@bp.route("/invite", methods=["GET", "POST"])
def invite_user() -> Answer:
    """Invite a user."""
    form = InviteForm(school=current_user.school.deped_id if current_user.school else "")
    if form.validate_on_submit():
        try:
            invited = service.invite_user(
                _current_admin(),
                email=form.email.data or "",
                full_name=form.full_name.data or "",
                scope=form.scope,
                deped_id=form.school.data or "",
            )
        except EmailDomainError as error:
            domains = " or ".join(f"@{domain}" for domain in error.domains)
            form.email.errors = [_("Only addresses at %(domains)s can have an account.", domains=domains)]
        except service.UserChangeRefused as error:
            _show_error(form, error)
        else:
            return _deliver_link(*invited)
    return render_template("accounts/invite.html", form=form), 422 if form.is_submitted() else 200


@bp.get("/<uuid:user_id>")
def show_user(user_id: UUID) -> Answer:
    """Show a user."""
    user = _user_or_404(user_id)
    return _render_user_page(user, _role_form(user), 200)


@bp.post("/<uuid:user_id>/role")
def edit_user_role(user_id: UUID) -> Answer:
    """Change a user's role and school."""
    user = _manageable_user_or_403(user_id)
    form = RoleForm()
    if form.validate_on_submit():
        try:
            service.change_user_role(_current_admin(), user, form.scope, form.school.data or "")
        except service.UserChangeRefused as error:
            _show_error(form, error)
        else:
            flash(_("Saved. The person was signed out and has the new rights at the next sign-in."))
            return redirect(url_for(".list_users"))
    return _render_user_page(user, form, 422)


@bp.post("/<uuid:user_id>/link")
def issue_access_link(user_id: UUID) -> Answer:
    """Send an invitation or reset link."""
    user = _manageable_user_or_403(user_id)
    if user.deactivated_at:
        abort(403)
    return _deliver_link(user, service.send_access_link(_current_admin(), user))


@bp.post("/<uuid:user_id>/deactivate")
def deactivate_user(user_id: UUID) -> Answer:
    """Deactivate an account."""
    user = _manageable_user_or_403(user_id)
    try:
        service.deactivate_user(_current_admin(), user)
    except service.UserChangeRefused as error:
        flash(_refusal_message(error), "bad")
    else:
        flash(_("The account is closed, and the person is signed out everywhere."))
    return redirect(url_for(".show_user", user_id=user_id))


@bp.post("/<uuid:user_id>/reactivate")
def reactivate_user(user_id: UUID) -> Answer:
    """Reactivate an account."""
    service.reactivate_user(_current_admin(), _manageable_user_or_403(user_id))
    flash(_("The account is open again."))
    return redirect(url_for(".show_user", user_id=user_id))


@bp.post("/<uuid:user_id>/sign-out")
def end_user_sessions(user_id: UUID) -> Answer:
    """End all sessions of a user."""
    service.end_user_sessions(_current_admin(), _manageable_user_or_403(user_id))
    flash(_("The person is signed out everywhere."))
    return redirect(url_for(".show_user", user_id=user_id))


@bp.post("/<uuid:user_id>/remove-codes")
def reset_user_totp(user_id: UUID) -> Answer:
    """Disable one-time codes of a user who lost phone and recovery codes."""
    service.reset_user_totp(_current_admin(), _manageable_user_or_403(user_id))
    flash(_("One-time codes are off for this person."))
    return redirect(url_for(".show_user", user_id=user_id))


@bp.post("/requests/<uuid:request_id>/approve")
def approve_account_request(request_id: UUID) -> Answer:
    """Create the requested account."""
    try:
        return _deliver_link(*service.approve_account_request(_current_admin(), _request_or_404(request_id)))
    except service.UserChangeRefused as error:
        flash(_refusal_message(error), "bad")
        return redirect(url_for(".list_users"))


@bp.post("/requests/<uuid:request_id>/refuse")
def reject_account_request(request_id: UUID) -> Answer:
    """Reject a request for an account."""
    service.reject_account_request(_current_admin(), _request_or_404(request_id))
    flash(_("The request is refused."))
    return redirect(url_for(".list_users"))


def _deliver_link(user: User, link: str) -> Answer:
    """With a mail server the link goes to the mailbox only; without one it is shown to the admin, once."""
    settings = current_settings()
    if settings.mail_url:
        flash(_("A letter with the link is on its way to %(email)s.", email=user.email))
        return redirect(url_for(".show_user", user_id=user.id))
    return render_template("accounts/hand_over.html", person=user, link=link)


def _render_user_page(user: User, form: RoleForm, status: int) -> tuple[str, int]:
    manageable = service.can_manage_user(_current_admin(), user)
    return render_template("accounts/person.html", person=user, form=form, manageable=manageable), status


def _role_form(user: User) -> RoleForm:
    return RoleForm(role=user.scope or "teacher", school=user.school.deped_id if user.school else "")


def _user_or_404(user_id: UUID) -> User:
    return service.get_user_in_scope(_current_admin(), user_id) or abort(404)


def _manageable_user_or_403(user_id: UUID) -> User:
    user = _user_or_404(user_id)
    if not service.can_manage_user(_current_admin(), user):
        abort(403)
    return user


def _request_or_404(request_id: UUID) -> AccountRequest:
    return service.get_pending_request(_current_admin(), request_id) or abort(404)


def _show_error(form: RoleForm, error: service.UserChangeRefused) -> None:
    """Show the reason at the field it concerns."""
    if error.reason in ("taken", "learner") and isinstance(form, InviteForm):
        form.email.errors = [_refusal_message(error)]
    elif error.reason == "school":
        form.school.errors = [_refusal_message(error)]
    else:
        form.form_errors.append(_refusal_message(error))


def _refusal_message(error: service.UserChangeRefused) -> str:
    return {
        "taken": _("This address has an account already."),
        "learner": _("An address of 12 digits is a learner's. Learners need no account."),
        "school": _("No open school of yours has this ID."),
        "scope": _("This is above your own rights."),
        "self": _("You cannot do this to your own account."),
        "last": _("This is the last admin of the region. Make another one first."),
    }[error.reason]


def _current_admin() -> User:
    user: User = current_user._get_current_object()
    return user


@bp.route("/import", methods=["GET", "POST"])
def import_users_csv() -> Answer:
    """Preview the rows with their problems, then invite all. The file itself is not stored."""
    form = UsersFileForm()
    rows: list[csv_import.UserImportRow] = []
    text = ""
    if form.validate_on_submit():
        try:
            # the page shows the text, so that it can be corrected there
            text = form.pasted.data = csv_tables.decode_text(form.content())
            rows = csv_import.parse_users_csv(current_user, text.encode())
        except csv_tables.CsvError as error:
            form.file.errors = [csv_tables.csv_error_message(error)]
        if rows and "save" in request.form and all(row.invitation for row in rows):
            try:
                return _show_invited(csv_import.invite_parsed_users(current_user, rows))
            except service.UserChangeRefused:
                form.form_errors.append(
                    _("Somebody else invited one of them just now. Nobody was invited; look again.")
                )
                rows = csv_import.parse_users_csv(current_user, text.encode())
    has_problems = bool(form.errors) or not all(row.invitation for row in rows)
    page = render_template("accounts/import.html", form=form, rows=rows, text=text)
    return page, 422 if form.is_submitted() and has_problems else 200


def _show_invited(rows: list[tuple[service.User, str]]) -> Answer:
    settings = current_settings()
    if not settings.mail_url:
        return render_template("accounts/hand_over_many.html", made=rows)
    flash(ngettext("%(num)d invitation is on its way.", "%(num)d invitations are on their way.", len(rows)))
    return redirect(url_for(".list_users"))


@bp.get("/import/template.csv")
def users_import_template() -> Response:
    """The empty CSV template."""
    return Response(
        csv_import.TEMPLATE.encode("utf-8-sig"),
        mimetype="text/csv",
        headers={"Content-Disposition": 'attachment; filename="people.csv"'},
    )
