"""Request guards before any view: Host header, form size and NUL bytes."""

import re
from itertools import chain
from urllib.parse import urlsplit

from flask import Flask, abort, current_app, request

from portal.config import LOOPBACK, Settings

# Load balancers call these by IP address, and a proxy may have rewritten the Host header of Zoom's deliveries, which
# are signed. None of these views builds a URL from the request.
HOST_CHECK_EXEMPT = {"webhooks.receive_webhook", "health.check_portal_health", "health.export_prometheus_metrics"}
_HOST = re.compile(r"([A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")


def init_request_guards(app: Flask, settings: Settings) -> None:
    """Register the checks; call it before other request hooks."""
    app.config["HOSTS"] = allowed_hosts_of(settings)
    app.before_request(_check_host_header)
    app.before_request(_limit_form_size)
    app.before_request(_reject_nul_bytes)


def allowed_hosts_of(settings: Settings) -> frozenset[str]:
    """Host names the portal answers to: that of PORTAL_BASE_URL, and on loopback all loopback names. Empty: any."""
    host = urlsplit(settings.base_url).hostname or ""
    if settings.is_demo:
        return frozenset()
    return frozenset(LOOPBACK if host in LOOPBACK else {host})


def _check_host_header() -> None:
    """Refuse unknown hosts, as they would end up in links, redirects and cookies."""
    allowed_hosts: frozenset[str] = current_app.config["HOSTS"]
    if not allowed_hosts or request.endpoint in HOST_CHECK_EXEMPT:
        return
    header_values = [request.environ.get("HTTP_HOST", ""), *request.headers.get("X-Forwarded-Host", "").split(",")]
    if any(name.strip() and _host_name(name) not in allowed_hosts for name in header_values):
        abort(400)


def _host_name(header: str) -> str | None:
    match = _HOST.fullmatch(header.strip())
    return match[1].strip("[]").rstrip(".").lower() if match else None


def _limit_form_size() -> None:
    """Limit plain forms to MAX_FORM_MEMORY_SIZE; Flask applies that only to parts of multipart forms, and
    MAX_CONTENT_LENGTH is that of an upload."""
    if request.mimetype == "application/x-www-form-urlencoded":
        request.max_content_length = current_app.config["MAX_FORM_MEMORY_SIZE"]


def _reject_nul_bytes() -> None:
    """Refuse NUL bytes: no browser sends one, and PostgreSQL does not store them, so each page would fail
    differently."""
    if request.endpoint == "webhooks.receive_webhook":  # parses its body itself, as JSON
        return
    texts = chain.from_iterable(values for _, values in chain(request.args.lists(), request.form.lists()))
    filenames = (file.filename or "" for file in request.files.values())
    if any("\0" in text for text in chain(texts, filenames)):
        abort(400)
