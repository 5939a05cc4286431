"""Allow-list of links to show or to redirect to: Zoom's own hosts, and the sandbox in demo mode."""

from urllib.parse import urlsplit

from portal.config import SANDBOX_MOUNT, Settings


def is_zoom_link(url: str, settings: Settings) -> bool:
    """True for https links to zoom.us and below it. The host is parsed, never searched for in the text."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    if parts.scheme == "https" and (host == "zoom.us" or host.endswith(".zoom.us")):
        return True
    return settings.is_demo and url.startswith(f"{settings.base_url}{SANDBOX_MOUNT}/")
