"""Pages for signed-out visitors: sign in and out, request an account, choose a password by a link."""

from uuid import UUID

from flask import Blueprint, Flask, current_app, flash, redirect, render_template, request, session, url_for
from flask_babel import get_locale
from flask_babel import gettext as _
from flask_login import current_user, login_url
from werkzeug.wrappers import Response
from wtforms import Field

from portal.accounts import auth_requests, one_time_links, service
from portal.accounts.email_domain import EmailDomainError
from portal.accounts.forms import (
    AccountRequestForm,
    ForgotPasswordForm,
    NewPasswordForm,
    SignInCodeForm,
    SignInForm,
    TokenForm,
)
from portal.accounts.models import User
from portal.accounts.sign_in import (
    authentication,
    lockout,
    resubmit,
    sessions,
)
from portal.accounts.sign_in.next_url import safe_next_url
from portal.accounts.sso import service as sso_service
from portal.core import clock
from portal.core.db import db
from portal.core.settings import current_settings
from portal.extensions import limiter, login_manager
from portal.web import LANGUAGES, PRE_LOGIN_LANGUAGE_KEY, mark_endpoint_public, set_preference_cookie
from portal.web.rate_limits import MISS_LIMIT, is_not_found_response

bp = Blueprint("accounts", __name__)
Answer = str | Response | tuple[str, int]
AWAITING_CODE_KEY = "awaiting_code"  # session key: the user whose password was correct and whose code is pending
AWAITING_CODE_SECONDS = 300
# What an admin who must enable one-time codes may open before that.
TOTP_EXEMPT_ENDPOINTS = {
    "profile.show_totp_settings",
    "profile.turn_on_totp",
    "accounts.sign_out",
    "information.show_help_page",
    "preferences.choose_language",
    "information.show_privacy_notice",
    "preferences.choose_theme",
    "health.check_portal_health",
    "webhooks.receive_webhook",
    "static",
}


def init_sign_in(app: Flask) -> None:
    """Set up Flask-Login: sessions are rows, and a request without one gets the sign-in page."""
    login_manager.login_view = "accounts.sign_in"
    login_manager.login_message = None
    login_manager.session_protection = None  # it binds the session to the IP address, which changes on mobile data
    login_manager.user_loader(sessions.load_session_user)
    login_manager.unauthorized_handler(handle_unauthorized)
    login_manager.init_app(app)


@bp.before_app_request
def require_totp_for_admins() -> Response | None:
    """Redirect admins to the set-up of one-time codes until these are enabled (not in the demo)."""
    if not current_settings().codes_for_admins or request.endpoint in TOTP_EXEMPT_ENDPOINTS or request.endpoint is None:
        return None
    if current_user.is_authenticated and current_user.is_admin and not current_user.has_codes:
        return redirect(url_for("profile.show_totp_settings"))
    return None


@bp.route("/sign-in", methods=["GET", "POST"])
@mark_endpoint_public
def sign_in() -> Answer:
    """The sign-in page."""
    if current_user.is_authenticated:
        return redirect(url_for("home.show_home_page"))
    form = SignInForm()
    settings = current_settings()
    status = 200
    if form.validate_on_submit():
        status = 422
        try:
            result = authentication.authenticate_password(
                form.email.data or "", form.password.data or "", settings.email_domains
            )
        except EmailDomainError as error:
            show_domain_error(form.email, error)
        except lockout.TooManyAttempts as error:
            return render_too_many_attempts(error)
        else:
            if result.user:
                typed = form.again.data or ""
                return continue_sign_in(result.user, remember=form.remember.data, typed=typed, target=_next_target())
            form.form_errors.append(_failed_password_message(result.locked_minutes))
    elif form.is_submitted():
        status = 422
    return _render_sign_in_page(form, status, form_url=request.full_path if request.query_string else request.path)


def handle_unauthorized() -> Answer:
    """For requests that need a user: redirect to the sign-in page, or show it with the encrypted form if a session
    expired before a POST."""
    if request.method != "POST":
        return redirect(login_url(url_for("accounts.sign_in"), request.url))
    sealed_form = resubmit.seal_submitted_form() if "HX-Request" not in request.headers else ""
    if not sealed_form:
        return redirect(url_for("accounts.sign_in"))
    return _render_sign_in_page(SignInForm(formdata=None, again=sealed_form), 401, form_url=url_for("accounts.sign_in"))


def _render_sign_in_page(form: SignInForm, status: int, *, form_url: str) -> tuple[str, int]:
    page = render_template(
        "accounts/sign_in.html",
        form=form,
        here=form_url,
        demo_accounts=current_app.config["DEMO_SIGN_INS"],
        providers=sso_service.list_configured_providers(),
        target=safe_next_url(request.args.get("next"), ""),
    )
    return page, status


@bp.route("/sign-in/code", methods=["GET", "POST"])
@mark_endpoint_public
def ask_sign_in_code() -> Answer:
    """The second step for users with one-time codes."""
    user_id, remember, expires_at = session.get(AWAITING_CODE_KEY, ("", False, 0))
    user = db.session.get(User, UUID(user_id)) if user_id and expires_at > clock.now().timestamp() else None
    if user is None or current_user.is_authenticated:
        return redirect(url_for("accounts.sign_in"))
    form = SignInCodeForm()
    status = 200
    if form.validate_on_submit():
        try:
            result = authentication.authenticate_code(user, form.code.data or "")
        except lockout.TooManyAttempts as error:
            return render_too_many_attempts(error)
        if result.user:
            return _complete_sign_in(result.user, remember=remember, typed=form.again.data or "", target=_next_target())
        form.code.errors = [_failed_code_message(result.locked_minutes)]
        status = 422
    form_url = request.full_path if request.query_string else request.path
    return render_template("accounts/code.html", form=form, here=form_url), status


@bp.post("/sign-out")
@mark_endpoint_public
def sign_out() -> Response:
    """End the session."""
    sessions.end_current_session()
    return redirect(url_for("accounts.sign_in"))


@bp.route("/ask-for-account", methods=["GET", "POST"])
@mark_endpoint_public
def request_account() -> Answer:
    """Request an account; the response is the same for known addresses."""
    form = AccountRequestForm()
    if form.validate_on_submit():
        try:
            auth_requests.store_account_request(
                form.email.data or "", form.full_name.data or "", form.school.data or "", str(get_locale() or "en")
            )
        except lockout.TooManyAttempts as error:
            return render_too_many_attempts(error)
        except EmailDomainError as error:
            show_domain_error(form.email, error)
        else:
            return render_template("accounts/asked.html")
    return render_template("accounts/ask.html", form=form), 422 if form.is_submitted() else 200


@bp.route("/forgot-password", methods=["GET", "POST"])
@mark_endpoint_public
def forgot_password() -> Answer:
    """Request a reset link; the response is the same for unknown addresses."""
    form = ForgotPasswordForm()
    if form.validate_on_submit():
        try:
            auth_requests.store_password_reset_request(form.email.data or "")
        except lockout.TooManyAttempts as error:
            return render_too_many_attempts(error)
        except EmailDomainError as error:
            show_domain_error(form.email, error)
        else:
            return render_template("accounts/sent.html", by_mail=bool(current_settings().mail_url))
    return render_template("accounts/forgot.html", form=form), 422 if form.is_submitted() else 200


def _link_token() -> str:
    """The one-time link's token, from the URL or the form."""
    return (request.form if request.method == "POST" else request.args).get("token", "")


def _has_valid_link() -> bool:
    """True if the request has a valid link, so that it is not counted as guessing."""
    return one_time_links.find_valid_link(_link_token(), (*one_time_links.PASSWORD_PURPOSES, "email")) is not None


@bp.route("/choose-password", methods=["GET", "POST"])
@mark_endpoint_public
@limiter.limit(MISS_LIMIT, deduct_when=is_not_found_response, exempt_when=_has_valid_link)
def choose_new_password() -> Answer:
    """Set a password by an invitation or reset link. GET changes nothing."""
    form = NewPasswordForm()
    token = _link_token()
    row = one_time_links.find_valid_link(token, one_time_links.PASSWORD_PURPOSES)
    if row is None:
        return render_template("accounts/link_over.html"), 410
    form.token.data = token
    form.about = guessable_words_of(row[1])
    if form.validate_on_submit():
        if service.set_password_by_link(token, form.password.data or "") is None:
            return render_template("accounts/link_over.html"), 410
        flash(_("Your password is set. Sign in with it."))
        return redirect(url_for("accounts.sign_in"))
    page = render_template("accounts/choose_password.html", form=form, email=row[1].email)
    return page, 422 if form.is_submitted() else 200


@bp.route("/confirm-address", methods=["GET", "POST"])
@mark_endpoint_public
@limiter.limit(MISS_LIMIT, deduct_when=is_not_found_response, exempt_when=_has_valid_link)
def confirm_new_email() -> Answer:
    """Confirm a new address by a link. GET changes nothing."""
    form = TokenForm()
    token = _link_token()
    row = one_time_links.find_valid_link(token, ("email",))
    if row is None:
        return render_template("accounts/link_over.html"), 410
    form.token.data = token
    if form.validate_on_submit():
        if not service.confirm_email_change(token):
            return render_template("accounts/link_over.html"), 410
        flash(_("Your new address is set. Sign in with it."))
        return redirect(url_for("accounts.sign_in"))
    return render_template("accounts/confirm_address.html", form=form, email=row[0].new_email)


def guessable_words_of(user: User) -> tuple[str, ...]:
    """Words that anybody could guess for the user and that a password must not consist of."""
    return (user.full_name, user.email.partition("@")[0], user.school_name)


def continue_sign_in(user: User, *, remember: bool, typed: str = "", target: str) -> Answer:
    """Sign in an authenticated user, after their one-time code if enabled. `target` is a path of the portal, `typed`
    the encrypted form of an expired session."""
    if not user.has_codes:
        return _complete_sign_in(user, remember=remember, typed=typed, target=target)
    session[AWAITING_CODE_KEY] = (str(user.id), bool(remember), clock.now().timestamp() + AWAITING_CODE_SECONDS)
    if not typed:
        return redirect(url_for("accounts.ask_sign_in_code", next=target or None))
    # the form must be carried on, so the code page is rendered instead of redirected to
    form = SignInCodeForm(formdata=None, again=typed)
    return render_template("accounts/code.html", form=form, here=url_for("accounts.ask_sign_in_code"))


def _complete_sign_in(user: User, *, remember: bool, typed: str, target: str) -> Answer:
    chosen_language = session.get(PRE_LOGIN_LANGUAGE_KEY)
    sessions.start_user_session(user, remember=remember)
    if chosen_language in LANGUAGES and chosen_language != user.language:
        service.set_user_language(user, chosen_language)
    saved_form = resubmit.open_submitted_form(typed, user) if typed else None
    home = safe_next_url(target, url_for("home.show_home_page"))
    response = current_app.make_response(
        render_template("accounts/again.html", typed=saved_form) if saved_form else redirect(home)
    )
    set_preference_cookie(response, "language", user.language)
    return response


def _next_target() -> str:
    return request.args.get("next", "")


def show_domain_error(field: Field, error: EmailDomainError) -> None:
    """Set the error of an e-mail field whose domain may not sign in."""
    domains = _(" or ").join(f"@{domain}" for domain in error.domains)
    field.errors = [_("Only staff addresses at %(domains)s can sign in.", domains=domains)]


def _failed_password_message(minutes: int) -> str:
    message = _("The address or the password is not right, or the account is not open yet.")
    return f"{message} {_lockout_message(minutes)}" if minutes else message


def _failed_code_message(minutes: int) -> str:
    message = _("This code is not right, or it was used before. Wait for the next one.")
    return f"{message} {_lockout_message(minutes)}" if minutes else message


def _lockout_message(minutes: int) -> str:
    return _("After too many tries this address has to wait: try again in %(minutes)s min.", minutes=minutes)


def render_too_many_attempts(error: lockout.TooManyAttempts) -> Response:
    """A 429 page that says how long the account stays locked."""
    minutes = -(-error.seconds // 60)
    response = current_app.make_response((render_template("accounts/wait.html", minutes=minutes), 429))
    response.headers["Retry-After"] = str(error.seconds)
    return response
