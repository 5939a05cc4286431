from flask import Blueprint, current_app, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_login import current_user
from werkzeug.wrappers import Response

from portal.accounts import service, sessions
from portal.accounts.domain import NotSchoolEmail
from portal.accounts.forms import SignInForm
from portal.accounts.next_url import safe_next
from portal.config import Settings
from portal.web import public

bp = Blueprint("accounts", __name__)


@bp.route("/sign-in", methods=["GET", "POST"])
@public
def sign_in() -> str | Response | tuple[str, int]:
    if current_user.is_authenticated:
        return redirect(url_for("pages.home"))
    form = SignInForm()
    settings: Settings = current_app.extensions["silid.settings"]
    status = 200
    if form.validate_on_submit():
        try:
            user = service.check_password(form.email.data or "", form.password.data or "", settings.email_domains)
        except NotSchoolEmail as refused:
            form.email.errors = [
                _(
                    "Only %(domains)s addresses can sign in.",
                    domains=" or ".join(f"@{d}" for d in refused.domains),
                )
            ]
        else:
            if user:
                sessions.begin(user, remember=form.remember.data)
                return redirect(safe_next(request.args.get("next"), url_for("pages.home")))
            form.form_errors.append(_("The address or the password is not right, or the account is not open yet."))
        status = 422
    return render_template("accounts/sign_in.html", form=form, demo_accounts=_demo_accounts(settings)), status


@bp.post("/sign-out")
@public
def sign_out() -> Response:
    sessions.end()
    return redirect(url_for(".sign_in"))


def _demo_accounts(settings: Settings) -> list[tuple[str, str, str]]:
    if not settings.is_demo:
        return []
    from portal.demo_school import SIGN_INS

    return list(SIGN_INS)
