"""Silid: the portal where DepEd teachers run their Zoom classes."""

from typing import Any

from flask import Flask
from flask_compress import Compress
from flask_wtf.csrf import CSRFProtect
from jinja2 import StrictUndefined
from werkzeug.middleware.proxy_fix import ProxyFix

from portal.config import ROOT, Settings, read_settings
from portal.core.crypto import init_crypto
from portal.core.db import init_db
from portal.core.logs import init_logging
from portal.web.request_guards import init_request_guards

csrf = CSRFProtect()
compress = Compress()
UPLOAD_LIMIT = 6 * 1024 * 1024  # an SF1 has at most 5 MB, plus the form around it


def create_app(settings: Settings | None = None) -> Flask:
    """Create the WSGI application, with settings from the environment unless given. Raises BadSettings."""
    settings = settings or read_settings()
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
    _register_packages(app, settings)
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


def _register_packages(app: Flask, settings: Settings) -> None:
    """Register blueprints and hooks. Imported here, as these modules import the extensions above."""
    from portal import cli, web
    from portal.accounts.profile import routes as profile_routes  # noqa: F401 - on the blueprint of accounts
    from portal.accounts.sign_in.passwords import init_passwords
    from portal.accounts.sign_in.routes import bp as accounts
    from portal.accounts.sign_in.sessions import login_manager
    from portal.accounts.sso import routes as sso_routes  # noqa: F401 - on the blueprint of accounts
    from portal.accounts.sso.service import init_sso_providers
    from portal.accounts.users import csv_import_routes  # noqa: F401 - on these blueprints
    from portal.accounts.users.routes import bp as people
    from portal.attendance.record import routes as record_routes  # noqa: F401 - on the blueprint of attendance
    from portal.attendance.sheet.routes import bp as attendance
    from portal.classes.disclosure.routes import bp as opening
    from portal.classes.learners.routes import bp as learners
    from portal.classes.routes import bp as classes
    from portal.classes.teachers.routes import bp as teachers
    from portal.meetings.routes import bp as meetings
    from portal.meetings.school_calendar.routes import bp as class_days
    from portal.meetings.staff_meetings.routes import bp as invitations
    from portal.notifications.queries import unread_count_of_request
    from portal.notifications.routes import bp as notifications
    from portal.pages.admin.routes import bp as admin
    from portal.pages.calendar.routes import bp as calendar
    from portal.pages.class_links_routes import bp as class_links
    from portal.pages.close_class_routes import bp as closing
    from portal.pages.join.routes import bp as join
    from portal.pages.learner_routes import bp as learner_page
    from portal.pages.routes import bp as pages
    from portal.pages.schools.routes import bp as schools
    from portal.privacy.routes import bp as one_learner
    from portal.registration.routes import bp as registration
    from portal.reports.routes import bp as reports
    from portal.reports.sf2 import routes as sf2_routes  # noqa: F401 - on the blueprint of reports
    from portal.web.rate_limits import limiter
    from portal.webhooks.routes import bp as inbox
    from portal.zoom_account.client import init_zoom

    login_manager.init_app(app)
    init_passwords(app, settings)
    init_zoom(app, settings)
    init_sso_providers(app, settings)
    limiter.init_app(app)
    package_blueprints = (
        accounts,
        people,
        attendance,
        classes,
        class_days,
        inbox,
        meetings,
        pages,
        registration,
        reports,
    )
    for blueprint in (
        *package_blueprints,
        admin,
        calendar,
        class_links,
        join,
        learners,
        closing,
        learner_page,
        opening,
        schools,
        teachers,
        one_learner,
    ):
        app.register_blueprint(blueprint)
    app.register_blueprint(invitations)
    app.register_blueprint(notifications)
    web.init_web(app, settings)
    app.jinja_env.globals["unread_notifications"] = unread_count_of_request
    cli.init_cli(app)
