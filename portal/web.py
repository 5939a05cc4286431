"""What every page shares: access by default, headers, languages, template names, error pages."""

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from flask import Flask, Response, current_app, has_request_context, render_template, request, url_for
from flask_babel import Babel, get_locale
from flask_login import current_user
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as AnyResponse

from portal.accounts import refusals
from portal.base import clock
from portal.base.dates import clock_time, day, day_long, month, weekday, when
from portal.config import SANDBOX_MOUNT, Settings
from portal.logs import request_id

LANGUAGES = ("en", "fil")
AT_THE_DOOR = "language"  # in the session: chosen before signing in
YEAR = 365 * 24 * 3600
ERROR_PAGES = (400, 401, 403, 404, 405, 413, 429, 500, 503)
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
babel = Babel()
View = TypeVar("View", bound=Callable[..., Any])


def public(view: View) -> View:
    """Mark a view that needs no sign-in. A test pins the list of them."""
    view.is_public = True  # type: ignore[attr-defined]  # a mark on the function
    return view


def init_web(app: Flask, settings: Settings) -> None:
    babel.init_app(app, locale_selector=choose_language)
    app.jinja_env.add_extension("jinja2.ext.i18n")
    app.jinja_env.filters.update(
        clock=clock_time, weekday=weekday, day=day, day_long=day_long, when=when, month=month, minutes=whole_minutes
    )
    app.before_request(_require_sign_in)
    app.after_request(_headers)
    app.jinja_env.globals.update(_names_of_all_templates(app, settings))
    app.context_processor(_names_of_pages)
    app.register_error_handler(CSRFError, _csrf_error)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _unexpected)


def choose_language() -> str:
    """The signed-in person's, else the cookie's, else what the browser prefers of ours. English for the worker
    and at the command line, unless they force a language."""
    if not has_request_context():
        return "en"
    try:
        if current_user and current_user.is_authenticated:
            return str(current_user.language)
    except SQLAlchemyError:
        pass  # the page that says so must not fail for the same reason
    chosen = request.cookies.get("language")
    if chosen in LANGUAGES:
        return str(chosen)
    best = request.accept_languages.best_match(["en", "fil", "tl"], "en")
    return "en" if best == "en" else "fil"


def keep_choice(response: AnyResponse, name: str, value: str) -> None:
    """Keep how a person likes the pages ("language", "theme") in this browser, for those before signing in too."""
    settings: Settings = current_app.extensions["silid.settings"]
    response.set_cookie(name, value, max_age=YEAR, secure=settings.is_https, httponly=True, samesite="Lax", path="/")


def _require_sign_in() -> Any:
    """Deny by default: every view needs a signed-in person unless it is marked public."""
    if request.endpoint is None or request.endpoint == "static":
        return None
    view = current_app.view_functions[request.endpoint]
    if getattr(view, "is_public", False) or current_user.is_authenticated:
        return None
    return current_app.login_manager.unauthorized()  # type: ignore[attr-defined]  # set by Flask-Login


def _headers(response: Response) -> Response:
    headers = response.headers
    headers.setdefault("Content-Security-Policy", CSP)
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers.setdefault("Referrer-Policy", "no-referrer")
    headers.setdefault("X-Frame-Options", "DENY")
    headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
    headers.setdefault("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
    settings: Settings = current_app.extensions["silid.settings"]
    if settings.is_https:
        headers.setdefault("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
    if request.endpoint == "static":
        fresh = "v" in request.args
        headers["Cache-Control"] = "public, max-age=31536000, immutable" if fresh else "public, max-age=3600"
    else:
        headers.setdefault("Cache-Control", "no-store")
        response.vary.add("Cookie")
    return response


def _names_of_all_templates(app: Flask, settings: Settings) -> dict[str, Any]:
    """Names that macros may use as well: those do not depend on who asks."""
    return {
        "asset": asset,
        "has_endpoint": lambda name: name in app.view_functions,
        "practice": settings.is_demo,
        "sandbox_url": f"{SANDBOX_MOUNT}/" if settings.is_demo else None,
        "domains": settings.email_domains,
        "now": clock.now,
    }


def _names_of_pages() -> dict[str, Any]:
    theme = request.cookies.get("theme", "") if request else ""
    return {
        "language": str(get_locale() or "en"),
        "theme": theme if theme in ("light", "dark") else "",
    }


def asset(name: str) -> str:
    """The address of a static file, with the hash of its content, so that browsers may keep it for ever."""
    return url_for("static", filename=name, v=_digest(Path(str(current_app.static_folder)) / name))


@cache
def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:10]


def _csrf_error(_error: CSRFError) -> tuple[str, int]:
    return render_template("errors/400.html", reference=request_id(), expired=True), 400


def _http_error(error: HTTPException) -> Any:
    code = error.code or 500
    if error.response is not None or code < 400:
        return error.get_response()
    refusals.note(code)
    page = code if code in ERROR_PAGES else (500 if code >= 500 else 400)
    body = render_template(f"errors/{page}.html", reference=request_id(), expired=False)
    response = current_app.make_response((body, code))
    if code == 429:
        response.headers["Retry-After"] = "600"  # what is limited here is limited for ten minutes
    for name, value in error.get_headers():
        if name.lower() not in ("content-type", "content-length"):
            response.headers[name] = value
    return response


def _unexpected(error: Exception) -> tuple[str, int]:
    """A bug or a broken database: the person gets a reference, the log the trace without its values."""
    current_app.logger.error("request %s failed", request_id(), exc_info=error)
    return render_template("errors/500.html", reference=request_id(), expired=False), 500


def whole_minutes(seconds: int) -> int:
    """Whole minutes begun and finished: 899 s is 14."""
    return seconds // 60
