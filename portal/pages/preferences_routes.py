"""The language and the colours of the pages, also before signing in."""

from flask import Blueprint, redirect, request, session, url_for
from flask_login import current_user
from werkzeug.wrappers import Response as AnyResponse

from portal.accounts import service as accounts
from portal.accounts.sign_in.next_url import safe_next_url
from portal.web import LANGUAGES, PRE_LOGIN_LANGUAGE_KEY, mark_endpoint_public, set_preference_cookie

bp = Blueprint("preferences", __name__)


@bp.post("/language")
@mark_endpoint_public
def choose_language() -> AnyResponse:
    chosen = request.form.get("to", "")
    response = redirect(safe_next_url(request.form.get("next"), url_for("home.show_home_page")))
    if chosen in LANGUAGES:
        set_preference_cookie(response, "language", chosen)
        if current_user.is_authenticated:
            accounts.set_user_language(current_user, chosen)
        else:
            session[PRE_LOGIN_LANGUAGE_KEY] = chosen
    return response


@bp.post("/theme")
@mark_endpoint_public
def choose_theme() -> AnyResponse:
    chosen = request.form.get("to", "")
    response = redirect(safe_next_url(request.form.get("next"), url_for("home.show_home_page")))
    if chosen in ("light", "dark"):
        set_preference_cookie(response, "theme", chosen)
    else:
        response.delete_cookie("theme")
    return response
