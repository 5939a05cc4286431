"""How it stands between the portal and Zoom: the same figures for the admin's page and for `flask zoom check`."""

from dataclasses import dataclass
from datetime import datetime

from flask import current_app
from sqlalchemy import ColumnElement, case, func, select
from sqlalchemy.orm import InstrumentedAttribute

from portal.config import Settings
from portal.core import clock
from portal.core.db import UTCDateTime, db
from portal.meetings.models import ZoomMeeting
from portal.registration.codes import RegistrantState
from portal.registration.models import MeetingRegistrant
from portal.webhooks.models import ZoomEvent
from portal.zoom_account import host_quota, write_block
from portal.zoom_account.client import get_zoom_client
from portal.zoom_account.models import ZoomHost, ZoomQuota
from portal.zoom_account.write_block import WriteBlock

MAX_HOSTS = 50


@dataclass(frozen=True)
class HostUsage:
    """A host's creates and updates since 00:00 UTC. `licensed` is None where Zoom was not asked."""

    email: str
    used: int
    licensed: bool | None


@dataclass(frozen=True)
class PendingWork:
    """Work that is to go to Zoom: how much in all, how much of it only from a later time on, the first of which
    is `quota_resets_at`, and why (a code of the page's words, the most frequent first)."""

    number: int
    parked: int
    resumes_at: datetime | None
    reasons: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class ZoomStatus:
    """`blocked` says why nothing goes out at all. Of the hosts those who changed something today, busiest first."""

    configured: bool
    webhooks: bool
    webhook_url: str
    blocked: WriteBlock | None
    last_event_at: datetime | None
    meetings: PendingWork
    registrations: PendingWork
    hosts: tuple[HostUsage, ...]
    a_day: int
    warn_from: int
    resumes_at: datetime


def load_zoom_status() -> ZoomStatus:
    """Five statements, no call to Zoom."""
    settings: Settings = current_app.extensions["silid.settings"]
    return ZoomStatus(
        configured=get_zoom_client().is_configured,
        webhooks=bool(settings.zoom_webhook_secrets),
        webhook_url=f"{settings.base_url}/api/zoom/webhook",
        blocked=write_block.current_write_block(),
        last_event_at=db.session.scalar(select(ZoomEvent.received_at).order_by(ZoomEvent.id.desc()).limit(1)),
        meetings=_waiting(ZoomMeeting.error_code, ZoomMeeting.next_attempt_at, ZoomMeeting.pending_action.is_not(None)),
        registrations=_waiting(
            MeetingRegistrant.reason,
            MeetingRegistrant.next_attempt_at,
            MeetingRegistrant.is_expected
            & MeetingRegistrant.state.in_((RegistrantState.QUEUED, RegistrantState.PENDING_APPROVAL)),
        ),
        hosts=_hosts(),
        a_day=host_quota.WRITES_PER_DAY,
        warn_from=host_quota.WARNING_THRESHOLD,
        resumes_at=host_quota.quota_resets_at(),
    )


def _waiting(
    reason: InstrumentedAttribute[str | None],
    next_attempt_at: InstrumentedAttribute[datetime | None],
    condition: ColumnElement[bool],
) -> PendingWork:
    later = case((next_attempt_at > clock.now(), next_attempt_at))
    rows = db.session.execute(
        select(reason, func.count(), func.count(later), func.min(later, type_=UTCDateTime()))
        .where(condition)
        .group_by(reason)
    ).all()
    named = sorted(((code, number) for code, number, _, _ in rows if code), key=lambda one: (-one[1], one[0]))
    return PendingWork(
        number=sum(number for _, number, _, _ in rows),
        parked=sum(parked for _, _, parked, _ in rows),
        resumes_at=min((moment for *_, moment in rows if moment), default=None),
        reasons=tuple(named),
    )


def _hosts() -> tuple[HostUsage, ...]:
    rows = db.session.execute(
        select(ZoomQuota.host, ZoomQuota.writes_used, ZoomHost.licensed)
        .outerjoin(ZoomHost, ZoomHost.email == ZoomQuota.host)
        .where(ZoomQuota.day == host_quota.zoom_quota_day())
        .order_by(ZoomQuota.writes_used.desc(), ZoomQuota.host)
        .limit(MAX_HOSTS)
    )
    return tuple(HostUsage(*row) for row in rows)
