"""Rate limits per client and user. `limiter` counts in memory, or in Redis, which several processes may share."""

from datetime import timedelta

from flask import Response, make_response, render_template
from flask_limiter import RequestLimit
from flask_login import current_user

from portal.core import audit_log, clock
from portal.core.audit_codes import AuditAction, AuditSubject
from portal.core.settings import current_settings
from portal.extensions import client_network_of_request, limiter

# Guessing of secret links: only misses count, so that a school behind one IP address can open any number of valid
# links. Valid links stay open after too many misses too, as a school or mobile network may share one address.
MISS_LIMIT = "60 per 10 minutes"
EXPORT_WINDOW = timedelta(hours=1)


def is_not_found_response(response: object) -> bool:
    """For `deduct_when`: the link is unknown or not valid any more."""
    return getattr(response, "status_code", 200) in (404, 410)


def _export_limit() -> str:
    settings = current_settings()
    return f"{settings.exports_per_hour} per hour"


def _user_or_client_key() -> str:
    return str(getattr(current_user, "id", None) or client_network_of_request())


def _was_successful(response: Response) -> bool:
    return response.status_code == 200


def _export_limit_page(limit: RequestLimit) -> Response:
    """The 429 page with the waiting time, and one audit entry an hour."""
    seconds = max(1, int(limit.reset_at - clock.now().timestamp()))
    audit_log.record_view(
        AuditAction.EXPORT_LIMITED,
        AuditSubject.USER,
        current_user.id,
        by=current_user.id,
        dedup_window=EXPORT_WINDOW,
        most=_exports_per_hour(),
    )
    minutes = (seconds + 59) // 60
    response = make_response(render_template("errors/exports.html", most=_exports_per_hour(), minutes=minutes), 429)
    response.headers["Retry-After"] = str(seconds)
    return response


def _exports_per_hour() -> int:
    settings = current_settings()
    return settings.exports_per_hour


# Exports of learners' rows, all formats together, per user and hour. Failed ones do not count.
learner_export_limit = limiter.shared_limit(
    _export_limit,
    scope="learners' rows",
    key_func=_user_or_client_key,
    deduct_when=_was_successful,
    on_breach=_export_limit_page,
)
