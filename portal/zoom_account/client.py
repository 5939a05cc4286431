"""The Zoom client of this application, with the shared token and the rule "no call inside a transaction"."""

from flask import Flask, current_app, has_app_context

from portal.config import Settings
from portal.core.db import end_reading
from portal.zoom.client import Credentials, ZoomClient
from portal.zoom_account.rate_limiter import SharedPace
from portal.zoom_account.token_store import DatabaseTokens


class PolitePace:
    """Zoom's pace, and before each call the reading transaction is let go (inside a writing one it raises)."""

    def __init__(self, pace: SharedPace) -> None:
        self._pace = pace

    def wait(self, label: str) -> None:
        if has_app_context():
            end_reading()
        self._pace.wait(label)


def init_zoom(app: Flask, settings: Settings) -> None:
    """Give the application its client; without credentials it is there but not configured."""
    credentials = None
    if settings.zoom_is_configured:
        credentials = Credentials(settings.zoom_account_id, settings.zoom_client_id, settings.zoom_client_secret)
    app.extensions["silid.zoom"] = ZoomClient(
        credentials,
        tokens=DatabaseTokens(settings.zoom_account_id, app.app_context),
        api_url=settings.zoom_api_url,
        oauth_url=settings.zoom_oauth_url,
        pace=PolitePace(SharedPace(settings.zoom_account_id, app.app_context)),
    )


def zoom() -> ZoomClient:
    client: ZoomClient = current_app.extensions["silid.zoom"]
    return client
