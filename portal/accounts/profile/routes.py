"""Account pages of the signed-in user: name, password, address, one-time codes, sessions."""

from uuid import UUID

from flask import Blueprint, abort, flash, redirect, render_template, url_for
from flask_babel import gettext as _
from flask_login import current_user
from markupsafe import Markup
from wtforms import Field

from portal.accounts import service
from portal.accounts.email_domain import EmailDomainError
from portal.accounts.forms import (
    ChangeAddressForm,
    ChangePasswordForm,
    CurrentPasswordForm,
    NameForm,
    SetUpCodesForm,
)
from portal.accounts.models import User
from portal.accounts.sign_in import lockout, passwords, sessions
from portal.accounts.sign_in import totp as one_time
from portal.accounts.sign_in.routes import (
    Answer,
    guessable_words_of,
    render_too_many_attempts,
    show_domain_error,
)
from portal.accounts.sso import service as sso_service
from portal.core.settings import current_settings

bp = Blueprint("profile", __name__)
# Tokens of the User-Agent header, the specific ones first: most also contain Chrome and Safari.
BROWSERS = (
    ("Edg", "Edge"),
    ("SamsungBrowser", "Samsung Internet"),
    ("OPR", "Opera"),
    ("Firefox", "Firefox"),
    ("Chrome", "Chrome"),
    ("Safari", "Safari"),
)
SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("CrOS", "Chromebook"),
    ("Mac OS", "Mac"),
    ("Linux", "Linux"),
)


@bp.route("/settings", methods=["GET", "POST"])
def show_account_settings() -> Answer:
    """Show the account settings; change the name."""
    form = NameForm(obj=current_user)
    if form.validate_on_submit():
        service.set_user_name(current_user_account(), form.full_name.data or "")
        flash(_("Saved."))
        return redirect(url_for(".show_account_settings"))
    rows = [
        (row, device_label_of(row.user_agent), sessions.is_current_session(row))
        for row in sessions.list_active_sessions(current_user_account())
    ]
    page = render_template(
        "accounts/settings.html", form=form, sessions=rows, elsewhere=sso_service.list_configured_providers()
    )
    return page, 422 if form.is_submitted() else 200


@bp.route("/settings/password", methods=["GET", "POST"])
def change_own_password() -> Answer:
    """Change the password; all other sessions end."""
    form = ChangePasswordForm()
    form.about = guessable_words_of(current_user_account())
    try:
        if form.validate_on_submit() and check_current_password(form.current):
            user = current_user_account()
            service.change_password(user, form.password.data or "")
            sessions.start_user_session(user, remember=False)
            flash(_("Your password is changed. All other devices were signed out."))
            return redirect(url_for(".show_account_settings"))
    except lockout.TooManyAttempts as error:
        return render_too_many_attempts(error)
    return render_template("accounts/change_password.html", form=form), 422 if form.is_submitted() else 200


@bp.route("/settings/address", methods=["GET", "POST"])
def change_own_email() -> Answer:
    """Mail a confirmation link to a new address."""
    form = ChangeAddressForm()
    try:
        if form.validate_on_submit() and check_current_password(form.current):
            service.request_email_change(
                current_user_account(), form.email.data or "", current_settings().email_domains
            )
            flash(_("If this address is free, a letter is on its way there. Confirm it with the link inside."))
            return redirect(url_for(".show_account_settings"))
    except EmailDomainError as error:
        show_domain_error(form.email, error)
    except lockout.TooManyAttempts as error:
        return render_too_many_attempts(error)
    return render_template("accounts/change_address.html", form=form), 422 if form.is_submitted() else 200


@bp.get("/settings/codes")
def show_totp_settings() -> Answer:
    """Show how to enable one-time codes, or their state."""
    return _render_totp_page(SetUpCodesForm(), CurrentPasswordForm(), 200)


@bp.post("/settings/codes")
def turn_on_totp() -> Answer:
    """Enable one-time codes and show the recovery codes; all other sessions end."""
    form = SetUpCodesForm()
    if not form.validate_on_submit() or current_user.has_codes:
        return _render_totp_page(form, CurrentPasswordForm(), 422)
    try:
        lockout.check_client_limit()
    except lockout.TooManyAttempts as error:
        return render_too_many_attempts(error)
    recovery_codes = one_time.enable_totp_codes(current_user_account(), form.secret.data or "", form.code.data or "")
    if recovery_codes is None:
        lockout.record_sign_in_failure(None)
        form.code.errors = [_("This code is not right. Is the clock of your phone right? Take the next code.")]
        return _render_totp_page(form, CurrentPasswordForm(), 422)
    user = current_user_account()
    sessions.end_all_sessions(user)
    sessions.start_user_session(user, remember=False)
    return render_template("accounts/recovery.html", recovery=recovery_codes)


@bp.post("/settings/codes/renew")
def renew_recovery_codes() -> Answer:
    """Replace the recovery codes."""
    return _change_totp_with_password("renew")


@bp.post("/settings/codes/off")
def turn_off_totp() -> Answer:
    """Disable one-time codes; forbidden for admins who must have them."""
    if current_user.is_admin and current_settings().codes_for_admins:
        abort(403)
    return _change_totp_with_password("off")


@bp.post("/settings/sessions/<uuid:session_id>/end")
def end_one_session(session_id: UUID) -> Answer:
    """End one of the user's sessions."""
    if not sessions.end_session_by_id(current_user_account(), session_id):
        abort(404)
    flash(_("That device is signed out."))
    return redirect(url_for(".show_account_settings"))


@bp.post("/settings/sessions/end")
def end_other_sessions() -> Answer:
    """End all sessions of the user, this one included."""
    sessions.end_all_sessions(current_user_account())
    sessions.end_current_session()
    return redirect(url_for("accounts.sign_in"))


def device_label_of(user_agent: str) -> str:
    """ "Chrome, Android" from a User-Agent header; "" for an unknown one."""
    labels = [next((name for token, name in tokens if token in user_agent), "") for tokens in (BROWSERS, SYSTEMS)]
    return ", ".join(name for name in labels if name)


def _change_totp_with_password(action: str) -> Answer:
    form = CurrentPasswordForm()
    try:
        if not (form.validate_on_submit() and check_current_password(form.current)) or not current_user.has_codes:
            return _render_totp_page(SetUpCodesForm(formdata=None), form, 422)
    except lockout.TooManyAttempts as error:
        return render_too_many_attempts(error)
    if action == "renew":
        return render_template(
            "accounts/recovery.html", recovery=one_time.regenerate_recovery_codes(current_user_account())
        )
    one_time.disable_totp_codes(current_user_account(), by=current_user_account())
    flash(_("One-time codes are off."))
    return redirect(url_for(".show_totp_settings"))


def _render_totp_page(form: SetUpCodesForm, password: CurrentPasswordForm, status: int) -> tuple[str, int]:
    user = current_user_account()
    is_new = not user.has_codes
    secret, form.secret.data = one_time.new_totp_secret(user, form.secret.data or "") if is_new else ("", "")
    # Safe markup: the SVG is drawn from a secret of ours and contains no user input.
    page = render_template(
        "accounts/codes.html",
        form=form,
        password=password,
        picture=Markup(one_time.totp_qr_svg(user, secret)) if is_new else "",  # noqa: S704  # nosec B704
        secret=secret,
        left=0 if is_new else one_time.count_unused_recovery_codes(user),
        required=user.is_admin and current_settings().codes_for_admins,
    )
    return page, status


def check_current_password(field: Field) -> bool:
    """True if it is the signed-in user's password; a wrong one counts as a sign-in failure. Raises TooManyAttempts."""
    lockout.check_client_limit()
    user = current_user_account()
    if not lockout.remaining_lockout_minutes(user.email) and passwords.verify_password(
        user.password_hash, field.data or ""
    ):
        return True
    lockout.record_sign_in_failure(user.email)
    field.errors = [_("This is not your password.")]
    return False


def current_user_account() -> User:
    """The signed-in `User` itself rather than Flask-Login's proxy."""
    user: User = current_user._get_current_object()
    return user
