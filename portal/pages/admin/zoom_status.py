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
from portal.registration.models import MeetingRegistrant
from portal.webhooks.models import ZoomEvent
from portal.zoom_account import host_quota, write_block
from portal.zoom_account.client import zoom
from portal.zoom_account.models import ZoomHost, ZoomQuota
from portal.zoom_account.write_block import Block

MOST_HOSTS = 50


@dataclass(frozen=True)
class HostToday:
    """A host's creates and updates since 00:00 UTC. `licensed` is None where Zoom was not asked."""

    email: str
    used: int
    licensed: bool | None


@dataclass(frozen=True)
class Waiting:
    """Work that is to go to Zoom: how much in all, how much of it only from a later time on, the first of which
    is `resumes_at`, and why (a code of the page's words, the most frequent first)."""

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
    blocked: Block | None
    last_event_at: datetime | None
    meetings: Waiting
    registrations: Waiting
    hosts: tuple[HostToday, ...]
    a_day: int
    warn_from: int
    resumes_at: datetime


def zoom_status() -> ZoomStatus:
    """Five statements, no call to Zoom."""
    settings: Settings = current_app.extensions["silid.settings"]
    return ZoomStatus(
        configured=zoom().is_configured,
        webhooks=bool(settings.zoom_webhook_secrets),
        webhook_url=f"{settings.base_url}/api/zoom/webhook",
        blocked=write_block.current(),
        last_event_at=db.session.scalar(select(ZoomEvent.received_at).order_by(ZoomEvent.id.desc()).limit(1)),
        meetings=_waiting(ZoomMeeting.trouble, ZoomMeeting.next_try_at, ZoomMeeting.wanted.is_not(None)),
        registrations=_waiting(
            MeetingRegistrant.reason,
            MeetingRegistrant.next_try_at,
            MeetingRegistrant.wanted & MeetingRegistrant.state.in_(("waiting", "pending")),
        ),
        hosts=_hosts(),
        a_day=host_quota.A_DAY,
        warn_from=host_quota.WARN_FROM,
        resumes_at=host_quota.resumes_at(),
    )


def _waiting(
    reason: InstrumentedAttribute[str | None],
    next_try_at: InstrumentedAttribute[datetime | None],
    condition: ColumnElement[bool],
) -> Waiting:
    later = case((next_try_at > clock.now(), next_try_at))
    rows = db.session.execute(
        select(reason, func.count(), func.count(later), func.min(later, type_=UTCDateTime()))
        .where(condition)
        .group_by(reason)
    ).all()
    named = sorted(((code, number) for code, number, _, _ in rows if code), key=lambda one: (-one[1], one[0]))
    return Waiting(
        number=sum(number for _, number, _, _ in rows),
        parked=sum(parked for _, _, parked, _ in rows),
        resumes_at=min((moment for *_, moment in rows if moment), default=None),
        reasons=tuple(named),
    )


def _hosts() -> tuple[HostToday, ...]:
    rows = db.session.execute(
        select(ZoomQuota.host, ZoomQuota.writes, ZoomHost.licensed)
        .outerjoin(ZoomHost, ZoomHost.email == ZoomQuota.host)
        .where(ZoomQuota.day == host_quota.today())
        .order_by(ZoomQuota.writes.desc(), ZoomQuota.host)
        .limit(MOST_HOSTS)
    )
    return tuple(HostToday(*row) for row in rows)
