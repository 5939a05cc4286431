"""Health figures of the portal, for people at /healthz and for Prometheus at /metrics. No names, no ids.

Figures from the database cover all processes; delivery counters and clock skew are those of the process that
answers, and restart with it.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from flask import Flask
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import func, select

from portal.attendance.models import AttendanceSheet
from portal.core import clock
from portal.core.db import db
from portal.core.mail.codes import MailState
from portal.core.mail.outbox import OutboxMail
from portal.meetings.models import ZoomMeeting
from portal.registration.codes import RegistrantState
from portal.registration.models import MeetingRegistrant
from portal.webhooks.health import webhook_health as inbox_health
from portal.zoom_account import write_block
from portal.zoom_account.client import get_zoom_client


def portal_health_state(app: Flask) -> dict[str, Any]:
    """The JSON of /healthz. Raises DBAPIError without a database."""
    now = clock.now()
    reports, oldest_due = db.session.execute(
        select(func.count(), func.min(AttendanceSheet.reconcile_at)).where(AttendanceSheet.reconcile_at <= now)
    ).one()
    waiting = _count(ZoomMeeting.pending_action.is_not(None))
    return {
        "status": "ok",
        "zoom": "configured" if get_zoom_client().is_configured else "not configured",
        **inbox_health(app),
        "jobs_blocked": {
            "zoom": write_block.current_write_block() is not None,
            "meetings": _count(ZoomMeeting.error_code.is_not(None), ZoomMeeting.pending_action.is_not(None)),
            "registrants": _count(MeetingRegistrant.state == RegistrantState.FAILED),
            "mail": _count(OutboxMail.state == MailState.FAILED),
        },
        "reconcile": {"due": reports, "lag_seconds": _seconds_since(oldest_due, now)},
        "meetings_waiting_for_zoom": waiting,
    }


def _count(*conditions: Any) -> int:
    return db.session.scalar(select(func.count()).where(*conditions)) or 0


def _seconds_since(moment: datetime | None, now: datetime) -> int:
    return round((now - moment).total_seconds()) if moment else 0


def render_prometheus_metrics(app: Flask) -> bytes:
    """The same in Prometheus's text format. Raises DBAPIError without a database."""
    registry = CollectorRegistry()
    registry.register(_Health(portal_health_state(app)))
    return generate_latest(registry)


class _Health(Collector):
    """One result of `portal_health_state` as metrics."""

    def __init__(self, state: dict[str, Any]) -> None:
        self._state = state

    def collect(self) -> Iterator[Metric]:
        values, inbox = self._state, self._state["inbox"]
        last_event = values["last_event_at"]
        yield _gauge("inbox_waiting", "Deliveries that are stored and not yet on a sheet.", inbox["waiting"])
        yield _gauge("inbox_oldest_seconds", "How long the oldest of them waits.", inbox["oldest_seconds"])
        yield _gauge("inbox_set_aside", "Deliveries that could not be understood.", inbox["set_aside"])
        yield _gauge("webhooks_configured", "1 where a webhook secret is set.", values["webhooks"] == "configured")
        if last_event:
            timestamp = datetime.fromisoformat(last_event).timestamp()
            yield _gauge("last_event_timestamp_seconds", "When the last event was accepted.", timestamp)
        if values["clock_skew_seconds"] is not None:
            yield _gauge("clock_skew_seconds", "Our clock less Zoom's, at most.", values["clock_skew_seconds"])
        yield _gauge("durable_sync", "1 where a commit is on the disk.", values["durable"])
        yield _gauge("reconcile_due", "Sheets whose report should have been asked.", values["reconcile"]["due"])
        yield _gauge("reconcile_lag_seconds", "How long the oldest of them waits.", values["reconcile"]["lag_seconds"])
        yield _gauge("meetings_waiting", "Meetings with something to do at Zoom.", values["meetings_waiting_for_zoom"])
        blocked = GaugeMetricFamily("silid_jobs_blocked", "What waits for a person.", labels=["kind"])
        for kind, number in values["jobs_blocked"].items():
            blocked.add_metric([kind], float(number))
        yield blocked
        deliveries = CounterMetricFamily("silid_deliveries", "Deliveries to this process.", labels=["outcome"])
        for outcome, number in values["deliveries"].items():
            deliveries.add_metric([outcome], float(number))
        yield deliveries


def _gauge(name: str, help_text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"silid_{name}", help_text, value=float(value))
