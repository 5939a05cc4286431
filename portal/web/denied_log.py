"""note(code): a signed-in person asked for what is somebody else's, or not there. The audit log says so.

Written once for a person and a thing in ten minutes, and at most so often for one person that trying addresses out
cannot fill the table.
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
MAX_ENTRIES = 50  # entries about one person within the time of one look
LOCK_WAIT_MS = 500  # the refusal itself must not wait for long


def log_access_denied(code: int) -> None:
    """Write down a refusal (403 or 404) of this request's view, in a transaction of its own; a public page's is none.

    Never raises for the database's sake: the person gets the refusal all the same.
    """
    if code not in (403, 404) or request.endpoint is None or request.endpoint == "static":
        return
    if getattr(current_app.view_functions[request.endpoint], "is_public", False):
        return
    try:
        db.session.rollback()  # whatever the view had begun is not to be
        if current_user.is_authenticated:
            _write(current_user.id, *_subject(), code)
    except SQLAlchemyError as error:
        current_app.logger.warning("a refusal was not written down: %s", type(error).__name__)


def _subject() -> tuple[str, UUID | str]:
    """What was asked for: the id in the address, or the page itself where there is none."""
    for name, value in (request.view_args or {}).items():
        if isinstance(value, UUID):
            return name.removesuffix("_id"), value
    return "page", str(request.endpoint)


def _write(user_id: UUID, kind: str, subject_id: UUID | str, code: int) -> None:
    before = db.session.execute(
        select(AuditEntry.subject_type, AuditEntry.subject_id)
        .where(
            AuditEntry.user_id == user_id,
            AuditEntry.occurred_at > clock.now() - audit_log.VIEW_DEDUP_WINDOW,
            AuditEntry.action == DENIED_ACTION,
        )
        .limit(MAX_ENTRIES)
    ).all()
    if len(before) < MAX_ENTRIES and (kind, str(subject_id)) not in {
        (row.subject_type, row.subject_id) for row in before
    }:
        with write_transaction(LOCK_WAIT_MS):
            audit_log.record_action(
                DENIED_ACTION, kind, subject_id, by=user_id, page=request.endpoint, method=request.method, code=code
            )
