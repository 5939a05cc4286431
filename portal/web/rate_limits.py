"""How often one place or person may ask. `limiter` counts in memory, or in Redis, which several processes may share."""

from datetime import timedelta

from flask import Response, current_app, make_response, render_template, request
from flask_limiter import Limiter, RequestLimit
from flask_login import current_user

from portal.config import Settings
from portal.core import audit_log, clock
from portal.core.audit_codes import AuditAction, AuditSubject
from portal.core.client_hash import client_network


def _place() -> str:
    return client_network(request.remote_addr)


limiter = Limiter(key_func=_place, default_limits=[], swallow_errors=True, headers_enabled=False)

# Guessing a secret link: only misses count, so that a school behind one address opens as many good ones as it likes.
# Good ones open after too many misses too: a whole school or mobile network may have one address.
MISS_LIMIT = "60 per 10 minutes"
EXPORT_WINDOW = timedelta(hours=1)


def is_not_found_response(response: object) -> bool:
    """For `deduct_when`: the link was not known, or is not good any more."""
    return getattr(response, "status_code", 200) in (404, 410)


def _exports_an_hour() -> str:
    settings: Settings = current_app.extensions["silid.settings"]
    return f"{settings.exports_per_hour} per hour"


def _user_or_client_key() -> str:
    return str(getattr(current_user, "id", None) or _place())


def _was_successful(response: Response) -> bool:
    return response.status_code == 200


def _export_limit_page(limit: RequestLimit) -> Response:
    """A page that says when it goes on, and one line an hour in the audit log."""
    seconds = max(1, int(limit.reset_at - clock.now().timestamp()))
    audit_log.record_view(
        AuditAction.EXPORT_LIMITED,
        AuditSubject.USER,
        current_user.id,
        by=current_user.id,
        one_look=EXPORT_WINDOW,
        most=_most(),
    )
    minutes = (seconds + 59) // 60
    answer = make_response(render_template("errors/exports.html", most=_most(), minutes=minutes), 429)
    answer.headers["Retry-After"] = str(seconds)
    return answer


def _most() -> int:
    settings: Settings = current_app.extensions["silid.settings"]
    return settings.exports_per_hour


# Files with learners' rows, all kinds together: what one person may take in an hour. Refused ones do not count.
learner_export_limit = limiter.shared_limit(
    _exports_an_hour,
    scope="learners' rows",
    key_func=_user_or_client_key,
    deduct_when=_was_successful,
    on_breach=_export_limit_page,
)
