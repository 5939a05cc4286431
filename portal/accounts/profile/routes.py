"""A person's own account: name, password, address, one-time codes, sessions."""

from uuid import UUID

from flask import abort, flash, redirect, render_template, url_for
from flask_babel import gettext as _
from flask_login import current_user
from markupsafe import Markup
from wtforms import Field

from portal.accounts import service
from portal.accounts.email_domain import NotSchoolEmail
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
    _settings,
    _wait,
    _wrong_domain,
    bp,
    words_about,
)
from portal.accounts.sso import service as sso_service

# What stands in a browser's own description, the telling one first: most say Chrome and Safari as well.
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
def settings() -> Answer:
    form = NameForm(obj=current_user)
    if form.validate_on_submit():
        service.set_name(me(), form.full_name.data or "")
        flash(_("Saved."))
        return redirect(url_for(".settings"))
    rows = [(row, device(row.user_agent), sessions.is_this_one(row)) for row in sessions.open_ones(me())]
    page = render_template("accounts/settings.html", form=form, sessions=rows, elsewhere=sso_service.providers())
    return page, 422 if form.is_submitted() else 200


@bp.route("/settings/password", methods=["GET", "POST"])
def change_password() -> Answer:
    form = ChangePasswordForm()
    form.about = words_about(me())
    try:
        if form.validate_on_submit() and is_me(form.current):
            user = me()
            service.change_password(user, form.password.data or "")
            sessions.begin(user, remember=False)
            flash(_("Your password is changed. All other devices were signed out."))
            return redirect(url_for(".settings"))
    except lockout.TooMany as wait:
        return _wait(wait)
    return render_template("accounts/change_password.html", form=form), 422 if form.is_submitted() else 200


@bp.route("/settings/address", methods=["GET", "POST"])
def change_address() -> Answer:
    form = ChangeAddressForm()
    try:
        if form.validate_on_submit() and is_me(form.current):
            service.ask_for_address(me(), form.email.data or "", _settings().email_domains)
            flash(_("If this address is free, a letter is on its way there. Confirm it with the link inside."))
            return redirect(url_for(".settings"))
    except NotSchoolEmail as refused:
        _wrong_domain(form.email, refused)
    except lockout.TooMany as wait:
        return _wait(wait)
    return render_template("accounts/change_address.html", form=form), 422 if form.is_submitted() else 200


@bp.get("/settings/codes")
def codes() -> Answer:
    """One-time codes: how to set them up, or what there is."""
    return _codes_page(SetUpCodesForm(), CurrentPasswordForm(), 200)


@bp.post("/settings/codes")
def codes_on() -> Answer:
    form = SetUpCodesForm()
    if not form.validate_on_submit() or current_user.has_codes:
        return _codes_page(form, CurrentPasswordForm(), 422)
    try:
        lockout.check_place()
    except lockout.TooMany as wait:
        return _wait(wait)
    recovery = one_time.switch_on(me(), form.secret.data or "", form.code.data or "")
    if recovery is None:
        lockout.failed(None)
        form.code.errors = [_("This code is not right. Is the clock of your phone right? Take the next code.")]
        return _codes_page(form, CurrentPasswordForm(), 422)
    user = me()
    sessions.end_all(user)
    sessions.begin(user, remember=False)
    return render_template("accounts/recovery.html", recovery=recovery)


@bp.post("/settings/codes/renew")
def codes_renew() -> Answer:
    """New recovery codes."""
    return _with_password("renew")


@bp.post("/settings/codes/off")
def codes_off() -> Answer:
    """No codes any more: not for an admin who has to have them."""
    if current_user.is_admin and _settings().codes_for_admins:
        abort(403)
    return _with_password("off")


@bp.post("/settings/sessions/<uuid:session_id>/end")
def end_session(session_id: UUID) -> Answer:
    if not sessions.end_one(me(), session_id):
        abort(404)
    flash(_("That device is signed out."))
    return redirect(url_for(".settings"))


@bp.post("/settings/sessions/end")
def end_sessions() -> Answer:
    sessions.end_all(me())
    sessions.end()
    return redirect(url_for(".sign_in"))


def device(user_agent: str) -> str:
    """What a browser says of itself, in two words that a person knows; "" if it says nothing known."""
    known = [next((name for sign, name in signs if sign in user_agent), "") for signs in (BROWSERS, SYSTEMS)]
    return ", ".join(name for name in known if name)


def _with_password(what: str) -> Answer:
    form = CurrentPasswordForm()
    try:
        if not (form.validate_on_submit() and is_me(form.current)) or not current_user.has_codes:
            return _codes_page(SetUpCodesForm(formdata=None), form, 422)
    except lockout.TooMany as wait:
        return _wait(wait)
    if what == "renew":
        return render_template("accounts/recovery.html", recovery=one_time.renew_recovery(me()))
    one_time.switch_off(me(), by=me())
    flash(_("One-time codes are off."))
    return redirect(url_for(".codes"))


def _codes_page(form: SetUpCodesForm, password: CurrentPasswordForm, status: int) -> tuple[str, int]:
    user = me()
    new = not user.has_codes
    secret, form.secret.data = one_time.offer(user, form.secret.data or "") if new else ("", "")
    # The picture is drawn by us from a secret of ours: nothing that anybody typed is in it.
    page = render_template(
        "accounts/codes.html",
        form=form,
        password=password,
        picture=Markup(one_time.picture(user, secret)) if new else "",  # noqa: S704  # nosec B704
        secret=secret,
        left=0 if new else one_time.recovery_left(user),
        required=user.is_admin and _settings().codes_for_admins,
    )
    return page, status


def is_me(field: Field) -> bool:
    """Is it the password of who is signed in? Wrong ones count as at the door. Raises TooMany."""
    lockout.check_place()
    user = me()
    if not lockout.closed_minutes(user.email) and passwords.verify(user.password_hash, field.data or ""):
        return True
    lockout.failed(user.email)
    field.errors = [_("This is not your password.")]
    return False


def me() -> User:
    user: User = current_user._get_current_object()
    return user
