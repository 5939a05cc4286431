"""What is not needed any more goes, by itself: `purge()` hourly, and `flask data purge` by hand.

Marks do not change when raw deliveries go: they follow from the stays, which remain. Those go with the marks, after
the school years that their school keeps them for (`privacy/attendance_retention.py`). The audit of who looked stays.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, delete, func, or_, select, update

from portal.accounts.models import DoorWish, OneTimeLink, SignInFailure, SpentState, UserSession
from portal.classes.disclosure.service import OpenedSection
from portal.classes.models import RosterImport
from portal.classes.roster_import.undo import UNDO_WITHIN
from portal.core import client_hash, clock
from portal.core.audit_log import AuditEntry
from portal.core.db import db, rows_changed, writing
from portal.core.mail.outbox import Mail
from portal.notifications.models import Notification
from portal.privacy import attendance_retention
from portal.registration.join_links import JoinOpening
from portal.webhooks.models import ZoomEvent

AT_ONCE = 5000
SIGN_INS = ("signed in", "refused a sign-in")


@dataclass(frozen=True)
class Rule:
    """Rows of one table that go when they are `days` old, as `old` tells from that moment."""

    name: str
    table: Any
    key: Any
    days: int
    old: Callable[[datetime], ColumnElement[bool]]


RULES = (
    # Raw deliveries hold names and addresses. One that could not be projected in a month will not be.
    Rule("raw events", ZoomEvent, ZoomEvent.id, 30, lambda limit: ZoomEvent.received_at < limit),
    Rule("join openings", JoinOpening, JoinOpening.id, 30, lambda limit: JoinOpening.at < limit),
    Rule("failed sign-ins", SignInFailure, SignInFailure.id, 180, lambda limit: SignInFailure.at < limit),
    Rule(
        "sign-in log",
        AuditEntry,
        AuditEntry.id,
        180,
        lambda limit: AuditEntry.action.in_(SIGN_INS) & (AuditEntry.at < limit),
    ),
    Rule("wishes at the door", DoorWish, DoorWish.id, 2, lambda limit: DoorWish.at < limit),
    Rule("sign-ins elsewhere", SpentState, SpentState.state_hash, 1, lambda limit: SpentState.at < limit),
    Rule("one-time links", OneTimeLink, OneTimeLink.id, 30, lambda limit: OneTimeLink.expires_at < limit),
    Rule(
        "sessions",
        UserSession,
        UserSession.id,
        60,  # the longest lives 30 days
        lambda limit: or_(UserSession.ended_at < limit, UserSession.created_at < limit),
    ),
    Rule("opened sections", OpenedSection, OpenedSection.id, 1, lambda limit: OpenedSection.until < limit),
    Rule("notifications", Notification, Notification.id, 90, lambda limit: Notification.at < limit),
    Rule("letters", Mail, Mail.id, 30, lambda limit: (Mail.state != "waiting") & (Mail.created_at < limit)),
)
UNDECIDED = timedelta(days=7)  # a roster that was uploaded and neither taken nor thrown away


def purge(*, dry_run: bool = False) -> dict[str, int]:
    """Delete what is too old, in small transactions; the number of rows by what they are.

    With `dry_run` nothing changes, and the numbers say what would go.
    """
    now = clock.now()
    found = {}
    for rule in RULES:
        old = rule.old(now - timedelta(days=rule.days))
        found[rule.name] = _number(rule.table, old) if dry_run else _delete(rule, old)
    undecided = (RosterImport.state == "preview") & (RosterImport.uploaded_at < now - UNDECIDED)
    too_old_to_undo = RosterImport.journal.is_not(None) & (RosterImport.decided_at < now - UNDO_WITHIN)
    if dry_run:
        found["undecided rosters"] = _number(RosterImport, undecided)
        found["journals of imports"] = _number(RosterImport, too_old_to_undo)
        found["keys of the day"] = _number(
            client_hash.IpDayKey, client_hash.IpDayKey.day < clock.today() - client_hash.KEPT
        )
    else:
        with writing():
            found["undecided rosters"] = rows_changed(
                update(RosterImport).where(undecided).values(state="discarded", rows=None)
            )
        with writing():
            found["journals of imports"] = rows_changed(
                update(RosterImport).where(too_old_to_undo).values(journal=None)
            )
        found["keys of the day"] = client_hash.forget_old_keys()
    return found | (attendance_retention.would_go() if dry_run else attendance_retention.take_away())


def _number(table: Any, old: ColumnElement[bool]) -> int:
    return db.session.scalar(select(func.count()).select_from(table).where(old)) or 0


def _delete(rule: Rule, old: ColumnElement[bool]) -> int:
    done = 0
    while ids := list(db.session.scalars(select(rule.key).where(old).limit(AT_ONCE))):
        with writing():
            db.session.execute(delete(rule.table).where(rule.key.in_(ids)).execution_options(synchronize_session=False))
        done += len(ids)
    return done
