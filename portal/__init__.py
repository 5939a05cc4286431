"""Silid: the portal where DepEd teachers run their Zoom classes."""

from typing import Any

from environs import Env
from flask import Flask
from jinja2 import StrictUndefined
from werkzeug.middleware.proxy_fix import ProxyFix

from portal.config import ROOT, Settings, read_environment, read_mode, read_settings
from portal.core.crypto import init_crypto
from portal.core.db import init_db
from portal.core.logs import init_logging
from portal.extensions import compress, csrf, limiter
from portal.web.request_guards import init_request_guards

UPLOAD_LIMIT = 6 * 1024 * 1024  # an SF1 has at most 5 MB, plus the form around it


def load_settings(env: Env | None = None) -> Settings:
    """Settings of the mode that SILID_MODE names, from the environment and `.env`. Raises BadSettings."""
    env = env or read_environment()
    if read_mode(env) == "demo":
        from portal.demo.settings import read_demo_settings

        return read_demo_settings(env)
    return read_settings(env)


def create_app(settings: Settings | None = None) -> Flask:
    """Create the WSGI application, with settings from the environment unless given. Raises BadSettings."""
    settings = settings or load_settings()
    app = Flask("portal", template_folder=str(ROOT / "templates"), static_folder=str(ROOT / "static"))
    app.config.update(_flask_config(settings))
    app.extensions["silid.settings"] = settings
    app.jinja_env.undefined = StrictUndefined
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    if settings.trusted_proxies:
        hops = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops)  # type: ignore[method-assign]  # Flask's way

    init_logging(app, settings.log_level)
    init_crypto(app, settings.encryption_keys)
    init_db(app)
    init_request_guards(app, settings)
    csrf.init_app(app)
    compress.init_app(app)
    limiter.init_app(app)
    _init_packages(app, settings)
    _register_blueprints(app)
    return app


def _flask_config(settings: Settings) -> dict[str, Any]:
    return {
        "SECRET_KEY": settings.secret_key,
        "SECRET_KEY_FALLBACKS": list(settings.secret_key_fallbacks),
        "SQLALCHEMY_DATABASE_URI": settings.database_url,
        "SQLALCHEMY_ENGINE_OPTIONS": _engine_options(settings.database_url),
        "MIGRATIONS": ROOT / "migrations",
        "MAX_CONTENT_LENGTH": UPLOAD_LIMIT,
        "MAX_FORM_MEMORY_SIZE": 1024 * 1024,
        "MAX_FORM_PARTS": 1000,
        "PREFERRED_URL_SCHEME": "https" if settings.is_https else "http",
        "SESSION_COOKIE_NAME": "__Host-session" if settings.is_https else "session",
        "SESSION_COOKIE_SECURE": settings.is_https,
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "SESSION_COOKIE_PATH": "/",
        "WTF_CSRF_TIME_LIMIT": 12 * 3600,  # as long as a session: a form may stay open all day
        "WTF_CSRF_SSL_STRICT": False,  # we send Referrer-Policy: no-referrer on pages with tokens
        "RATELIMIT_STORAGE_URI": settings.redis_url or "memory://",
        "BABEL_DEFAULT_LOCALE": "en",
        "BABEL_DEFAULT_TIMEZONE": "Asia/Manila",
        "BABEL_TRANSLATION_DIRECTORIES": str(ROOT / "portal" / "translations"),
        "COMPRESS_MIMETYPES": [
            "text/html",
            "text/css",
            "text/csv",
            "text/calendar",
            "application/javascript",
            "text/javascript",
            "application/json",
            "image/svg+xml",
        ],
        "COMPRESS_ALGORITHM": ["br", "gzip"],
    }


def _engine_options(url: str) -> dict[str, Any]:
    options = {"hide_parameters": True}  # an error's text would otherwise write names and addresses to the log
    if url.startswith("sqlite"):
        return options
    return {**options, "pool_pre_ping": True, "pool_size": 10, "max_overflow": 10}


def _init_packages(app: Flask, settings: Settings) -> None:
    """What packages set up at start. Imported here: they import the extensions, which are bound above."""
    from portal import cli
    from portal.accounts.sign_in.passwords import init_passwords
    from portal.accounts.sign_in.routes import init_sign_in
    from portal.accounts.sso.service import init_sso_providers
    from portal.attendance.messages import mark_label_filter
    from portal.classes.models import register_audit_scopes as register_class_scopes
    from portal.meetings.models import register_audit_scopes as register_meeting_scopes
    from portal.notifications.queries import unread_count_of_request
    from portal.web import init_web
    from portal.webhooks.routes import install_webhook_middleware
    from portal.zoom_account.client import init_zoom

    init_passwords(app, settings)
    init_zoom(app, settings)
    init_sso_providers(app, settings)
    init_web(app, settings)
    init_sign_in(app)
    install_webhook_middleware(app)
    register_class_scopes()
    register_meeting_scopes()
    app.jinja_env.globals["unread_notifications"] = unread_count_of_request
    app.config["DEMO_SIGN_INS"] = _demo_sign_ins() if settings.is_demo else ()
    app.jinja_env.filters["mark_label"] = mark_label_filter
    cli.init_cli(app)


def _demo_sign_ins() -> tuple[tuple[str, str, str], ...]:
    from portal.demo.school_data import SIGN_INS

    return SIGN_INS


def _register_blueprints(app: Flask) -> None:
    """Every blueprint, by package in the order of the layers; docs/architecture.md lists their addresses."""
    from portal.accounts.profile.routes import bp as profile
    from portal.accounts.sign_in.routes import bp as accounts
    from portal.accounts.sso.routes import bp as sso
    from portal.accounts.users.routes import bp as users
    from portal.attendance.record.routes import bp as record
    from portal.attendance.sheet.routes import bp as attendance
    from portal.classes.disclosure.routes import bp as disclosure
    from portal.classes.learners.routes import bp as learners
    from portal.classes.routes import bp as classes
    from portal.classes.teachers.routes import bp as teachers
    from portal.meetings.routes import bp as meetings
    from portal.meetings.school_calendar.routes import bp as school_calendar
    from portal.meetings.staff_meetings.routes import bp as staff_meetings
    from portal.notifications.routes import bp as notifications
    from portal.pages.admin.routes import bp as admin
    from portal.pages.calendar.routes import bp as calendar
    from portal.pages.class_links_routes import bp as class_links
    from portal.pages.class_page_routes import bp as class_page
    from portal.pages.close_class_routes import bp as close_class
    from portal.pages.health_routes import bp as health
    from portal.pages.home_routes import bp as home
    from portal.pages.information_routes import bp as information
    from portal.pages.join.routes import bp as join
    from portal.pages.learner_routes import bp as learner_page
    from portal.pages.meeting_page_routes import bp as meeting_page
    from portal.pages.preferences_routes import bp as preferences
    from portal.pages.schools.routes import bp as schools
    from portal.privacy.routes import bp as privacy
    from portal.registration.routes import bp as registration
    from portal.reports.routes import bp as reports
    from portal.reports.sf2.routes import bp as sf2
    from portal.webhooks.routes import bp as webhooks

    blueprints = (
        *(webhooks, accounts, sso, profile, users),
        *(classes, learners, teachers, disclosure),
        *(meetings, school_calendar, staff_meetings, registration),
        *(attendance, record, reports, sf2, privacy, notifications),
        *(home, class_page, meeting_page, preferences, information, health),
        *(admin, calendar, class_links, close_class, join, learner_page, schools),
    )
    for blueprint in blueprints:
        app.register_blueprint(blueprint)
