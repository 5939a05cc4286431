"""The report of `flask zoom check`, line by line, for whoever operates the portal."""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from portal.config import Settings
from portal.core import clock
from portal.core.settings import current_settings
from portal.meetings import messages as meeting_words
from portal.pages.admin.zoom_status import PendingWork, ZoomStatus, load_zoom_status
from portal.registration import messages as registration_words
from portal.web import format_datetime
from portal.zoom.api.endpoints import OPTIONAL_SCOPES, REQUIRED_SCOPES
from portal.zoom.errors import ZoomError
from portal.zoom.webhooks.probe import WebhookProbe, probe_webhook_url
from portal.zoom_account.client import get_zoom_client


class CheckLine(NamedTuple):
    """One line: `bad` has to be repaired, `warm` should be improved, `head` starts a section."""

    kind: Literal["head", "good", "warm", "bad", "plain"]
    text: str


def zoom_connection_report() -> Iterator[CheckLine]:
    """Credentials, scopes, webhook, quota, pending work. Calls Zoom once and the portal's own URL once."""
    settings = current_settings()
    status = load_zoom_status()
    yield CheckLine("head", "Zoom account")
    yield from _account_lines(status)
    yield CheckLine("head", "Webhooks")
    yield from _webhook_lines(settings, status)
    yield CheckLine("head", "Changes at Zoom today")
    yield from _quota_lines(status)
    yield CheckLine("head", "Work for Zoom")
    yield from _pending_work_lines("meetings", status.meetings, meeting_words.meeting_error_message)
    yield from _pending_work_lines(
        "registrations",
        status.registrations,
        lambda code: registration_words.failure_reason_message(code, settings.email_domains),
    )


def _account_lines(status: ZoomStatus) -> Iterator[CheckLine]:
    if not status.configured:
        yield CheckLine("bad", "No account is entered: set ZOOM_ACCOUNT_ID, ZOOM_CLIENT_ID and ZOOM_CLIENT_SECRET.")
        return
    try:
        probe = get_zoom_client().probe()
    except ZoomError as error:
        yield CheckLine("bad", f"{error.user_message} ({error})")
        return
    yield CheckLine("good", "The credentials are good.")
    for scope, purpose in REQUIRED_SCOPES.items():
        if scope in probe.missing:
            yield CheckLine("bad", f"{scope} is missing; needed to {purpose}. Add it to the Zoom app.")
        else:
            yield CheckLine("good", f"{scope}: {purpose}")
    for scope, purpose in OPTIONAL_SCOPES.items():
        if scope in probe.missing_optional:
            yield CheckLine("warm", f"{scope} is missing; without it the portal cannot {purpose}.")
        else:
            yield CheckLine("good", f"{scope}: {purpose}")
    if status.blocked:
        message = meeting_words.write_block_message(status.blocked.reason, status.blocked.detail)
        yield CheckLine("warm", f"Since {format_datetime(status.blocked.since)} nothing went to Zoom. {message}")
        yield CheckLine("plain", f"Next try {format_datetime(status.blocked.retry_at)}.")


def _webhook_lines(settings: Settings, status: ZoomStatus) -> Iterator[CheckLine]:
    if not settings.zoom_webhook_secrets:
        yield CheckLine(
            "plain", "Switched off: no ZOOM_WEBHOOK_SECRET. Attendance comes from Zoom's report after class."
        )
        return
    yield CheckLine("plain", f"Zoom has to send them to {status.webhook_url}")
    yield _webhook_probe_line(probe_webhook_url(status.webhook_url, settings.zoom_webhook_secrets[0], clock.now()))
    last_event = format_datetime(status.last_event_at) if status.last_event_at else "never"
    yield CheckLine("plain", f"Last heard from Zoom: {last_event}.")


def _webhook_probe_line(probe: WebhookProbe) -> CheckLine:
    match probe.outcome:
        case "good":
            return CheckLine("good", "The address answers as Zoom wants it.")
        case "private":
            text = (
                "The address answers rightly, but only from here: Zoom needs https and a public name. Set "
                "PORTAL_BASE_URL to that, or do without webhooks: attendance then comes from Zoom's report."
            )
            return CheckLine("warm", text)
        case "certificate":
            return CheckLine(
                "bad", "The address has no certificate that is valid for its name, so Zoom will not use it."
            )
        case "unreachable":
            text = f"Nothing answers there ({probe.detail}). Is the portal running, and is PORTAL_BASE_URL its address?"
            return CheckLine("bad", text)
        case "redirected":
            text = (
                "The address sends the caller elsewhere, which Zoom does not follow. PORTAL_BASE_URL must be the last."
            )
            return CheckLine("bad", text)
        case "other_secret":
            text = (
                "The portal that answers there has another ZOOM_WEBHOOK_SECRET than this command, or the clocks of the "
                "two differ by minutes."
            )
            return CheckLine("bad", text)
        case "disabled":
            return CheckLine("bad", "The portal that answers there has no ZOOM_WEBHOOK_SECRET. Start it again with it.")
        case "not_found":
            return CheckLine(
                "bad", "Something else answers there, not the portal. Check PORTAL_BASE_URL and the proxy."
            )
    return CheckLine("bad", f"The address answers with status {probe.detail}. See the portal's log.")


def _quota_lines(status: ZoomStatus) -> Iterator[CheckLine]:
    for host in status.hosts:
        text = f"{host.email}: {host.used} of {status.a_day}" + (", no licence" if host.licensed is False else "")
        yield CheckLine("warm" if host.used >= status.warn_from else "plain", text)
    if not status.hosts:
        yield CheckLine("plain", "None yet.")
    yield CheckLine("plain", f"Counting starts again {format_datetime(status.resumes_at)}.")


def _pending_work_lines(kind: str, pending: PendingWork, message_of: object) -> Iterator[CheckLine]:
    if not pending.number:
        yield CheckLine("plain", f"No {kind} wait.")
        return
    resumption = (
        f", {pending.parked} of them until {format_datetime(pending.resumes_at)} or later" if pending.resumes_at else ""
    )
    yield CheckLine("plain", f"{pending.number} {kind} wait{resumption}.")
    for code, number in pending.reasons:
        yield CheckLine("plain", f"  {number}: {message_of(code)}")  # type: ignore[operator]  # a function of the two above
