"""Audit entries of denied requests: a signed-in user asked for something that is not theirs, or does not exist.

One entry per user and subject in ten minutes, and a limited number per user, so that probing URLs cannot fill the
table.
"""

from uuid import UUID

from flask import current_app, request
from flask_login import current_user
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from portal.core import audit_log, clock
from portal.core.audit_codes import AuditAction
from portal.core.audit_log import AuditEntry
from portal.core.db import db, write_transaction

DENIED_ACTION = AuditAction.DENIED
MAX_ENTRIES = 50  # per user within VIEW_DEDUP_WINDOW
LOCK_WAIT_MS = 500  # the refusal itself must not be delayed


def log_access_denied(code: int) -> None:
    """Record a refusal (403 or 404) of this request's view, in a transaction of its own; public views are not recorded.

    Never raises for a database error: the user gets the refusal anyway.
    """
    if code not in (403, 404) or request.endpoint is None or request.endpoint == "static":
        return
    if getattr(current_app.view_functions[request.endpoint], "is_public", False):
        return
    try:
        db.session.rollback()  # discard what the view had begun
        if current_user.is_authenticated:
            _record_once(current_user.id, *_requested_subject(), code)
    except SQLAlchemyError as error:
        current_app.logger.warning("access denial not audited: %s", type(error).__name__)


def _requested_subject() -> tuple[str, UUID | str]:
    """The id in the URL, or the endpoint if there is none."""
    for name, value in (request.view_args or {}).items():
        if isinstance(value, UUID):
            return name.removesuffix("_id"), value
    return "page", str(request.endpoint)


def _record_once(user_id: UUID, kind: str, subject_id: UUID | str, code: int) -> None:
    recent_entries = db.session.execute(
        select(AuditEntry.subject_type, AuditEntry.subject_id)
        .where(
            AuditEntry.user_id == user_id,
            AuditEntry.occurred_at > clock.now() - audit_log.VIEW_DEDUP_WINDOW,
            AuditEntry.action == DENIED_ACTION,
        )
        .limit(MAX_ENTRIES)
    ).all()
    if len(recent_entries) < MAX_ENTRIES and (kind, str(subject_id)) not in {
        (row.subject_type, row.subject_id) for row in recent_entries
    }:
        with write_transaction(LOCK_WAIT_MS):
            audit_log.record_action(
                DENIED_ACTION, kind, subject_id, by=user_id, page=request.endpoint, method=request.method, code=code
            )
