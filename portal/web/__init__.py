"""Web setup for all pages: sign-in by default, security headers, languages, template globals, error pages."""

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from flask import (
    Flask,
    Response,
    current_app,
    flash,
    has_request_context,
    render_template,
    request,
    session,
    url_for,
)
from flask_babel import get_locale
from flask_babel import gettext as _
from flask_login import current_user
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as AnyResponse

from portal.config import SANDBOX_MOUNT, Settings
from portal.core import clock
from portal.core.date_format import (
    format_datetime,
    format_day,
    format_day_long,
    format_month,
    format_time,
    format_time_range,
    format_weekday,
)
from portal.core.logs import current_request_id
from portal.core.settings import current_settings
from portal.extensions import babel
from portal.web import denied_log
from portal.zoom.errors import ZoomUnavailable

LANGUAGES = ("en", "fil")
PRE_LOGIN_LANGUAGE_KEY = "language"  # session key: language chosen before signing in
ONE_YEAR = 365 * 24 * 3600
ERROR_PAGES = (400, 401, 403, 404, 405, 410, 413, 429, 500, 503)
CSP = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "font-src 'self'",
        "connect-src 'self'",
        "manifest-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "object-src 'none'",
        "frame-ancestors 'none'",
    ]
)
View = TypeVar("View", bound=Callable[..., Any])


def mark_endpoint_public(view: View) -> View:
    """Decorator for views that need no sign-in; a test pins the list of them."""
    view.is_public = True  # type: ignore[attr-defined]  # attribute on the function
    return view


def init_web(app: Flask, settings: Settings) -> None:
    """Register filters, globals, request hooks and error handlers."""
    babel.init_app(app, locale_selector=select_request_locale)
    app.jinja_env.filters.update(
        time=format_time,
        time_range=format_time_range,
        weekday=format_weekday,
        day=format_day,
        day_long=format_day_long,
        datetime=format_datetime,
        month=format_month,
        minutes=whole_minutes,
    )
    app.before_request(_require_sign_in)
    app.after_request(_set_security_headers)
    app.jinja_env.globals.update(_template_globals(app, settings))
    app.context_processor(_template_context)
    app.register_error_handler(CSRFError, _csrf_error)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _handle_unexpected_error)


def select_request_locale() -> str:
    """The user's language, else the cookie's, else the browser's preference. English for the worker and the command
    line, unless they force a language."""
    if not has_request_context():
        return "en"
    try:
        if current_user and current_user.is_authenticated:
            return str(current_user.language)
    except SQLAlchemyError:
        pass  # the error page itself must not fail for the same reason
    cookie_language = request.cookies.get("language")
    if cookie_language in LANGUAGES:
        return str(cookie_language)
    preferred = request.accept_languages.best_match(["en", "fil", "tl"], "en")
    return "en" if preferred == "en" else "fil"


def set_preference_cookie(response: AnyResponse, name: str, value: str) -> None:
    """Store a preference ("language", "theme") in a cookie, which also applies before signing in."""
    settings = current_settings()
    response.set_cookie(
        name, value, max_age=ONE_YEAR, secure=settings.is_https, httponly=True, samesite="Lax", path="/"
    )


def _require_sign_in() -> Any:
    """Deny by default: every view needs a signed-in user unless it is marked public."""
    if request.endpoint is None or request.endpoint == "static":
        return None
    view = current_app.view_functions[request.endpoint]
    if getattr(view, "is_public", False) or current_user.is_authenticated:
        return None
    if "HX-Request" in request.headers:  # an HTMX fragment: reload the whole page
        return Response(status=401, headers={"HX-Refresh": "true"})
    response = current_app.login_manager.unauthorized()  # type: ignore[attr-defined]  # set by Flask-Login
    if current_app.make_response(response).status_code in (302, 303):  # otherwise the page itself says what was saved
        _flash_session_expired()
    return response


def _flash_session_expired() -> None:
    """Explain the sign-in page to a user whose session on this browser has ended."""
    if session.pop("_user_id", None) is None:
        return
    if request.method == "POST":
        flash(_("You were signed out, so your last step was not saved. Sign in, then repeat it."), "warm")
    else:
        flash(_("You were signed out, as happens after a while without a tap. Sign in to go on."), "warm")


def safe_retry_url() -> str | None:
    """The URL of a submitted form, if it can be opened with GET; else None."""
    adapter = current_app.url_map.bind_to_environ(request.environ)
    if request.method != "POST" or not adapter.test(method="GET"):
        return None
    return request.full_path if request.query_string else request.path


def _set_security_headers(response: Response) -> Response:
    headers = response.headers
    headers.setdefault("Content-Security-Policy", CSP)
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers.setdefault("Referrer-Policy", "no-referrer")
    headers.setdefault("X-Frame-Options", "DENY")
    headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
    headers.setdefault("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
    settings = current_settings()
    if settings.is_https:
        headers.setdefault("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
    if request.endpoint == "static":
        is_versioned = "v" in request.args
        headers["Cache-Control"] = "public, max-age=31536000, immutable" if is_versioned else "public, max-age=3600"
    else:
        headers.setdefault("Cache-Control", "no-store")
        response.vary.add("Cookie")
    return response


def _template_globals(app: Flask, settings: Settings) -> dict[str, Any]:
    """Names that macros may use too, as they do not depend on the user."""
    return {
        "asset": asset_url,
        "has_endpoint": lambda name: name in app.view_functions,
        "practice": settings.is_demo,
        "sandbox_url": f"{SANDBOX_MOUNT}/" if settings.is_demo else None,
        "domains": settings.email_domains,
        "now": clock.now,
    }


def _template_context() -> dict[str, Any]:
    theme = request.cookies.get("theme", "") if request else ""
    return {
        "language": str(get_locale() or "en"),
        "theme": theme if theme in ("light", "dark") else "",
    }


def asset_url(name: str) -> str:
    """The URL of a static file with the hash of its content, so that browsers may cache it indefinitely."""
    return url_for("static", filename=name, v=_file_digest(Path(str(current_app.static_folder)) / name))


@cache
def _file_digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:10]


def _csrf_error(_error: CSRFError) -> tuple[str, int]:
    return _render_error_page(400, expired=True), 400


def _http_error(error: HTTPException) -> Any:
    code = error.code or 500
    if error.response is not None or code < 400:
        return error.get_response()
    denied_log.log_access_denied(code)
    page = code if code in ERROR_PAGES else (500 if code >= 500 else 400)
    body = _render_error_page(page)
    response = current_app.make_response((body, code))
    if code == 429:
        response.headers["Retry-After"] = "600"  # all limits of pages are per ten minutes
    for name, value in error.get_headers():
        if name.lower() not in ("content-type", "content-length"):
            response.headers[name] = value
    return response


def _handle_unexpected_error(error: Exception) -> tuple[str, int]:
    """An unhandled exception: the page shows a reference, the log has the stack without values. Temporary failures
    answer 503."""
    current_app.logger.error("request %s failed", current_request_id(), exc_info=error)
    code = 503 if isinstance(error, (OperationalError, ZoomUnavailable)) else 500
    return _render_error_page(code), code


def _render_error_page(code: int, *, expired: bool = False) -> str:
    return render_template(
        f"errors/{code}.html", reference=current_request_id(), expired=expired, way_back=safe_retry_url()
    )


def whole_minutes(seconds: int) -> int:
    """Completed minutes: 899 s is 14."""
    return seconds // 60
