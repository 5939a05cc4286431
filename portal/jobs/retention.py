"""Retention: deletes rows past their retention period, `delete_expired_rows()` hourly, or `flask data purge` by hand.

Deleting raw deliveries does not change marks: these are computed from stays. Stays and marks are deleted after the
number of school years that their school sets (`privacy/attendance_retention.py`). The audit log of views is kept.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, delete, func, or_, select, update

from portal.accounts.models import OneTimeLink, PendingAuthRequest, SignInFailure, UsedOidcState, UserSession
from portal.classes.codes import ImportState
from portal.classes.disclosure.service import SectionDisclosure
from portal.classes.models import RosterImport
from portal.classes.roster_import.undo import UNDO_WINDOW
from portal.core import client_hash, clock
from portal.core.audit_codes import AuditAction
from portal.core.audit_log import AuditEntry
from portal.core.db import db, execute_rowcount, write_transaction
from portal.core.mail.codes import MailState
from portal.core.mail.outbox import OutboxMail
from portal.notifications.models import Notification
from portal.privacy import attendance_retention
from portal.registration.join_links import JoinLinkUse
from portal.webhooks.models import ZoomEvent

BATCH_SIZE = 5000
SIGN_IN_ACTIONS = (AuditAction.SIGNED_IN, AuditAction.REFUSED_SIGN_IN)


@dataclass(frozen=True)
class RetentionRule:
    """Rows of one table that are deleted after `days`; `old` is the condition for a given limit."""

    name: str
    table: Any
    key: Any
    days: int
    old: Callable[[datetime], ColumnElement[bool]]


RETENTION_RULES = (
    # Raw deliveries contain names and addresses. One that could not be projected within a month never will be.
    RetentionRule("webhook deliveries", ZoomEvent, ZoomEvent.id, 30, lambda limit: ZoomEvent.received_at < limit),
    RetentionRule("join link uses", JoinLinkUse, JoinLinkUse.id, 30, lambda limit: JoinLinkUse.opened_at < limit),
    RetentionRule(
        "failed sign-ins", SignInFailure, SignInFailure.id, 180, lambda limit: SignInFailure.failed_at < limit
    ),
    RetentionRule(
        "sign-in log",
        AuditEntry,
        AuditEntry.id,
        180,
        lambda limit: AuditEntry.action.in_(SIGN_IN_ACTIONS) & (AuditEntry.occurred_at < limit),
    ),
    RetentionRule(
        "sign-in requests",
        PendingAuthRequest,
        PendingAuthRequest.id,
        2,
        lambda limit: PendingAuthRequest.requested_at < limit,
    ),
    RetentionRule(
        "used OIDC states", UsedOidcState, UsedOidcState.state_hash, 1, lambda limit: UsedOidcState.used_at < limit
    ),
    RetentionRule("one-time links", OneTimeLink, OneTimeLink.id, 30, lambda limit: OneTimeLink.expires_at < limit),
    RetentionRule(
        "sessions",
        UserSession,
        UserSession.id,
        60,  # the longest session lasts 30 days
        lambda limit: or_(UserSession.ended_at < limit, UserSession.created_at < limit),
    ),
    RetentionRule(
        "section disclosures",
        SectionDisclosure,
        SectionDisclosure.id,
        1,
        lambda limit: SectionDisclosure.expires_at < limit,
    ),
    RetentionRule("notifications", Notification, Notification.id, 90, lambda limit: Notification.occurred_at < limit),
    RetentionRule(
        "e-mails",
        OutboxMail,
        OutboxMail.id,
        30,
        lambda limit: (OutboxMail.state != MailState.QUEUED) & (OutboxMail.created_at < limit),
    ),
)
UNDECIDED = timedelta(days=7)  # of a roster upload that was neither applied nor discarded


def delete_expired_rows(*, dry_run: bool = False) -> dict[str, int]:
    """Delete expired rows in small transactions; returns the number of rows by rule.

    With `dry_run` nothing is changed, and the numbers are what would be deleted.
    """
    now = clock.now()
    counts = {}
    for rule in RETENTION_RULES:
        expired = rule.old(now - timedelta(days=rule.days))
        counts[rule.name] = _count_rows(rule.table, expired) if dry_run else _delete_in_batches(rule, expired)
    undecided = (RosterImport.state == ImportState.PREVIEW) & (RosterImport.uploaded_at < now - UNDECIDED)
    too_old_to_undo = RosterImport.undo_journal.is_not(None) & (RosterImport.decided_at < now - UNDO_WINDOW)
    if dry_run:
        counts["undecided rosters"] = _count_rows(RosterImport, undecided)
        counts["journals of imports"] = _count_rows(RosterImport, too_old_to_undo)
        counts["keys of the day"] = _count_rows(
            client_hash.IpHashKey, client_hash.IpHashKey.day < clock.today() - client_hash.KEY_RETENTION
        )
    else:
        with write_transaction():
            counts["undecided rosters"] = execute_rowcount(
                update(RosterImport).where(undecided).values(state="discarded", preview_rows=None)
            )
        with write_transaction():
            counts["journals of imports"] = execute_rowcount(
                update(RosterImport).where(too_old_to_undo).values(undo_journal=None)
            )
        counts["keys of the day"] = client_hash.delete_expired_ip_keys()
    return counts | (
        attendance_retention.count_expired_attendance() if dry_run else attendance_retention.purge_expired_attendance()
    )


def _count_rows(table: Any, expired: ColumnElement[bool]) -> int:
    return db.session.scalar(select(func.count()).select_from(table).where(expired)) or 0


def _delete_in_batches(rule: RetentionRule, expired: ColumnElement[bool]) -> int:
    deleted_count = 0
    while ids := list(db.session.scalars(select(rule.key).where(expired).limit(BATCH_SIZE))):
        with write_transaction():
            db.session.execute(delete(rule.table).where(rule.key.in_(ids)).execution_options(synchronize_session=False))
        deleted_count += len(ids)
    return deleted_count
