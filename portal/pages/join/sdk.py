"""Joining inside the page with Zoom's Meeting SDK for the web, where its key and secret are configured.

The signature is computed here; the secret never leaves the server. A registered learner joins with `tk`, the token
of their own join link, so Zoom reports them by their registrant id as if they had joined in the app (Zoom's page on
joining a meeting that has registration).
"""

from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

from sqlalchemy import select

from portal.core import clock
from portal.core.db import db
from portal.core.settings import current_settings
from portal.meetings.models import ZoomMeeting
from portal.pages.join.state import JoinState
from portal.registration.join_links import JoinLink
from portal.registration.models import MeetingRegistrant
from portal.zoom.sdk_signature import (
    ATTENDEE,
    MAX_TTL_SECONDS,
    MIN_TTL_SECONDS,
    meeting_sdk_signature,
)

SOURCE = "https://source.zoom.us"
AFTER_THE_END = timedelta(hours=1)  # so that learners can rejoin a class that runs longer than planned

# Zoom's own list ("Content Security Policy header" of its SDKs), restricted: Zoom's code may connect to Zoom and not
# to the portal (no 'self' to connect to, no form), and only styles may be inline. WebAssembly and its workers need
# blob: and 'unsafe-eval'.
HEADERS = {
    "Content-Security-Policy": "; ".join(
        [
            "default-src 'none'",
            f"script-src 'self' {SOURCE} blob: 'unsafe-eval' 'wasm-unsafe-eval'",
            f"style-src 'self' {SOURCE} 'unsafe-inline'",
            "img-src 'self' https://*.zoom.us data: blob:",
            f"font-src 'self' {SOURCE} data:",
            f"media-src {SOURCE} blob:",
            "connect-src https://zoom.us https://*.zoom.us wss://*.zoom.us blob:",
            "worker-src blob:",
            "form-action 'none'",
            "base-uri 'none'",
            "object-src 'none'",
            "frame-ancestors 'none'",
        ]
    ),
    "Permissions-Policy": "camera=(self), microphone=(self), display-capture=(self), geolocation=()",
}


@dataclass(frozen=True)
class SdkJoinConfig:
    """The configuration passed to the SDK. `scripts` are the URLs to load, in this order."""

    signature: str
    key: str
    number: str
    passcode: str
    name: str
    email: str
    tk: str
    scripts: tuple[str, ...]


def is_sdk_configured() -> bool:
    return current_settings().zoom_sdk_is_configured


def sdk_join_config(link: JoinLink, join_state: JoinState) -> SdkJoinConfig | None:
    """The SDK configuration of a link's learner; None if the class cannot be joined now, or only with Zoom's own app.

    The class's own link has no name to join with, and the SDK does not support meetings for signed-in Zoom users.
    """
    if join_state.url is None or join_state.meeting_id is None or link.learner is None:
        return None
    meeting = db.session.get_one(ZoomMeeting, join_state.meeting_id)
    if meeting.zoom_id is None or meeting.meeting_authentication:
        return None
    name, email, tk = f"{link.learner.first_name} {link.learner.last_name}", "", ""
    if meeting.has_registration:
        tk = parse_qs(urlsplit(join_state.url).query).get("tk", [""])[0]
        email = _email(meeting, link)
        if not tk or not email:
            return None
    settings, now = current_settings(), clock.now()
    time_left = (join_state.ends_at or now) + AFTER_THE_END - now
    ttl = min(max(int(time_left.total_seconds()), 2 * MIN_TTL_SECONDS), MAX_TTL_SECONDS)
    return SdkJoinConfig(
        signature=meeting_sdk_signature(
            settings.zoom_sdk_key, settings.zoom_sdk_secret, meeting.zoom_id, ATTENDEE, now, ttl
        ),
        key=settings.zoom_sdk_key,
        number=meeting.zoom_id,
        passcode=meeting.passcode or "",
        name=name,
        email=email,
        tk=tk,
        scripts=_scripts(settings.zoom_sdk_version),
    )


def _scripts(version: str) -> tuple[str, ...]:
    """The client view and its dependencies, as Zoom's "Get started" lists them."""
    libraries = ("react", "react-dom", "redux", "redux-thunk", "lodash")
    vendor = tuple(f"{SOURCE}/{version}/lib/vendor/{name}.min.js" for name in libraries)
    return (*vendor, f"{SOURCE}/zoom-meeting-{version}.min.js")


def _email(meeting: ZoomMeeting, link: JoinLink) -> str:
    """The address of the learner's registration, which Zoom requires together with the token."""
    row = select(MeetingRegistrant.email).where(
        MeetingRegistrant.meeting_id == meeting.id, MeetingRegistrant.learner_id == link.learner_id
    )
    return db.session.scalar(row) or ""
