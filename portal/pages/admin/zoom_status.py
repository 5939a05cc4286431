"""State of the connection to Zoom: the same figures for the admin's page and for `flask zoom check`."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, case, func, select
from sqlalchemy.orm import InstrumentedAttribute

from portal.core import clock
from portal.core.db import UTCDateTime, db
from portal.core.settings import current_settings
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
    """A host's creates and updates since 00:00 UTC. `licensed` is None if unknown."""

    email: str
    used: int
    licensed: bool | None


@dataclass(frozen=True)
class PendingWork:
    """Pending work for Zoom: the total, how much of it is parked until `resumes_at` or later, and the error codes
    with their counts, the most frequent first."""

    number: int
    parked: int
    resumes_at: datetime | None
    reasons: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class ZoomStatus:
    """`blocked` is why writes are blocked, if they are. `hosts` are those with writes today, busiest first."""

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
    """Load all figures: five statements, no call to Zoom."""
    settings = current_settings()
    return ZoomStatus(
        configured=get_zoom_client().is_configured,
        webhooks=bool(settings.zoom_webhook_secrets),
        webhook_url=f"{settings.base_url}/api/zoom/webhook",
        blocked=write_block.current_write_block(),
        last_event_at=db.session.scalar(select(ZoomEvent.received_at).order_by(ZoomEvent.id.desc()).limit(1)),
        meetings=_load_pending_work(
            ZoomMeeting.error_code, ZoomMeeting.next_attempt_at, ZoomMeeting.pending_action.is_not(None)
        ),
        registrations=_load_pending_work(
            MeetingRegistrant.reason,
            MeetingRegistrant.next_attempt_at,
            MeetingRegistrant.is_expected
            & MeetingRegistrant.state.in_((RegistrantState.QUEUED, RegistrantState.PENDING_APPROVAL)),
        ),
        hosts=_load_host_usage(),
        a_day=host_quota.WRITES_PER_DAY,
        warn_from=host_quota.WARNING_THRESHOLD,
        resumes_at=host_quota.quota_resets_at(),
    )


def _load_pending_work(
    reason: InstrumentedAttribute[str | None],
    next_attempt_at: InstrumentedAttribute[datetime | None],
    condition: ColumnElement[bool],
) -> PendingWork:
    later_attempt = case((next_attempt_at > clock.now(), next_attempt_at))
    rows = db.session.execute(
        select(reason, func.count(), func.count(later_attempt), func.min(later_attempt, type_=UTCDateTime()))
        .where(condition)
        .group_by(reason)
    ).all()
    reason_counts = sorted(
        ((code, number) for code, number, _, _ in rows if code), key=lambda item: (-item[1], item[0])
    )
    return PendingWork(
        number=sum(number for _, number, _, _ in rows),
        parked=sum(parked for _, _, parked, _ in rows),
        resumes_at=min((moment for *_, moment in rows if moment), default=None),
        reasons=tuple(reason_counts),
    )


def _load_host_usage() -> tuple[HostUsage, ...]:
    rows = db.session.execute(
        select(ZoomQuota.host, ZoomQuota.writes_used, ZoomHost.licensed)
        .outerjoin(ZoomHost, ZoomHost.email == ZoomQuota.host)
        .where(ZoomQuota.day == host_quota.zoom_quota_day())
        .order_by(ZoomQuota.writes_used.desc(), ZoomQuota.host)
        .limit(MAX_HOSTS)
    )
    return tuple(HostUsage(*row) for row in rows)
