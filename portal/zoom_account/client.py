"""The application's Zoom client, with the shared token and rate limiter, and no request inside a transaction."""

from flask import Flask, current_app, has_app_context

from portal.config import Settings
from portal.core.db import end_read_transaction
from portal.zoom.client import ApiCredentials, ZoomClient
from portal.zoom_account.rate_limiter import DatabaseRateLimiter
from portal.zoom_account.token_store import DatabaseTokenStore


class TransactionGuardLimiter:
    """Rate limiter that ends the open read transaction before each request; inside a write transaction it raises."""

    def __init__(self, limiter: DatabaseRateLimiter) -> None:
        self._limiter = limiter

    def wait(self, label: str) -> None:
        if has_app_context():
            end_read_transaction()
        self._limiter.wait(label)


def init_zoom(app: Flask, settings: Settings) -> None:
    """Create the application's client; without credentials it exists but is not configured."""
    credentials = None
    if settings.zoom_is_configured:
        credentials = ApiCredentials(settings.zoom_account_id, settings.zoom_client_id, settings.zoom_client_secret)
    app.extensions["silid.zoom"] = ZoomClient(
        credentials,
        tokens=DatabaseTokenStore(settings.zoom_account_id, app.app_context),
        api_url=settings.zoom_api_url,
        oauth_url=settings.zoom_oauth_url,
        pace=TransactionGuardLimiter(DatabaseRateLimiter(settings.zoom_account_id, app.app_context)),
    )


def get_zoom_client() -> ZoomClient:
    """The current application's client."""
    client: ZoomClient = current_app.extensions["silid.zoom"]
    return client
