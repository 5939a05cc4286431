"""What `flask zoom check` says, line by line, for whoever runs the portal. In plain words, without a browser."""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from flask import current_app

from portal.config import Settings
from portal.core import clock
from portal.meetings import messages as meeting_words
from portal.pages.admin.zoom_status import Waiting, ZoomStatus, zoom_status
from portal.registration import messages as registration_words
from portal.web import when
from portal.zoom.api.endpoints import OPTIONAL_SCOPES, REQUIRED_SCOPES
from portal.zoom.errors import ZoomError
from portal.zoom.webhooks.probe import Reach, call_webhook
from portal.zoom_account.client import zoom


class Line(NamedTuple):
    """`bad` is what has to be repaired, `warm` what would be better otherwise, `head` begins a part."""

    kind: Literal["head", "good", "warm", "bad", "plain"]
    text: str


def lines() -> Iterator[Line]:
    """Credentials, scopes, webhook, limits, what waits. Calls Zoom once and the portal's own address once."""
    settings: Settings = current_app.extensions["silid.settings"]
    status = zoom_status()
    yield Line("head", "Zoom account")
    yield from _account(status)
    yield Line("head", "Webhooks")
    yield from _webhook(settings, status)
    yield Line("head", "Changes at Zoom today")
    yield from _quota(status)
    yield Line("head", "Work for Zoom")
    yield from _work("meetings", status.meetings, meeting_words.trouble)
    yield from _work(
        "registrations", status.registrations, lambda code: registration_words.reason(code, settings.email_domains)
    )


def _account(status: ZoomStatus) -> Iterator[Line]:
    if not status.configured:
        yield Line("bad", "No account is entered: set ZOOM_ACCOUNT_ID, ZOOM_CLIENT_ID and ZOOM_CLIENT_SECRET.")
        return
    try:
        probe = zoom().probe()
    except ZoomError as error:
        yield Line("bad", f"{error.for_teachers} ({error})")
        return
    yield Line("good", "The credentials are good.")
    for scope, purpose in REQUIRED_SCOPES.items():
        if scope in probe.missing:
            yield Line("bad", f"{scope} is missing; needed to {purpose}. Add it to the Zoom app.")
        else:
            yield Line("good", f"{scope}: {purpose}")
    for scope, purpose in OPTIONAL_SCOPES.items():
        if scope in probe.missing_optional:
            yield Line("warm", f"{scope} is missing; without it the portal cannot {purpose}.")
        else:
            yield Line("good", f"{scope}: {purpose}")
    if status.blocked:
        words = meeting_words.blocked(status.blocked.reason, status.blocked.detail)
        yield Line("warm", f"Since {when(status.blocked.since)} nothing went to Zoom. {words}")
        yield Line("plain", f"Next try {when(status.blocked.until)}.")


def _webhook(settings: Settings, status: ZoomStatus) -> Iterator[Line]:
    if not settings.zoom_webhook_secrets:
        yield Line("plain", "Switched off: no ZOOM_WEBHOOK_SECRET. Attendance comes from Zoom's report after class.")
        return
    yield Line("plain", f"Zoom has to send them to {status.webhook_url}")
    yield _reached(call_webhook(status.webhook_url, settings.zoom_webhook_secrets[0], clock.now()))
    heard = when(status.last_event_at) if status.last_event_at else "never"
    yield Line("plain", f"Last heard from Zoom: {heard}.")


def _reached(reach: Reach) -> Line:
    match reach.outcome:
        case "good":
            return Line("good", "The address answers as Zoom wants it.")
        case "private":
            text = (
                "The address answers rightly, but only from here: Zoom needs https and a public name. Set "
                "PORTAL_BASE_URL to that, or do without webhooks: attendance then comes from Zoom's report."
            )
            return Line("warm", text)
        case "certificate":
            return Line("bad", "The address has no certificate that is valid for its name, so Zoom will not use it.")
        case "unreachable":
            text = f"Nothing answers there ({reach.detail}). Is the portal running, and is PORTAL_BASE_URL its address?"
            return Line("bad", text)
        case "redirected":
            text = (
                "The address sends the caller elsewhere, which Zoom does not follow. PORTAL_BASE_URL must be the last."
            )
            return Line("bad", text)
        case "other secret":
            text = (
                "The portal that answers there has another ZOOM_WEBHOOK_SECRET than this command, or the clocks of the "
                "two differ by minutes."
            )
            return Line("bad", text)
        case "switched off":
            return Line("bad", "The portal that answers there has no ZOOM_WEBHOOK_SECRET. Start it again with it.")
        case "not there":
            return Line("bad", "Something else answers there, not the portal. Check PORTAL_BASE_URL and the proxy.")
    return Line("bad", f"The address answers with status {reach.detail}. See the portal's log.")


def _quota(status: ZoomStatus) -> Iterator[Line]:
    for host in status.hosts:
        words = f"{host.email}: {host.used} of {status.a_day}" + (", no licence" if host.licensed is False else "")
        yield Line("warm" if host.used >= status.warn_from else "plain", words)
    if not status.hosts:
        yield Line("plain", "None yet.")
    yield Line("plain", f"Counting starts again {when(status.resumes_at)}.")


def _work(what: str, waiting: Waiting, words: object) -> Iterator[Line]:
    if not waiting.number:
        yield Line("plain", f"No {what} wait.")
        return
    until = f", {waiting.parked} of them until {when(waiting.resumes_at)} or later" if waiting.resumes_at else ""
    yield Line("plain", f"{waiting.number} {what} wait{until}.")
    for code, number in waiting.reasons:
        yield Line("plain", f"  {number}: {words(code)}")  # type: ignore[operator]  # a function of the two above
