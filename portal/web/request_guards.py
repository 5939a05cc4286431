"""What is refused before any page sees it: other hosts' names, forms too large to be one, and zero bytes."""

import re
from itertools import chain
from urllib.parse import urlsplit

from flask import Flask, abort, current_app, request

from portal.config import LOOPBACK, Settings

# A load balancer asks these by the machine's address, and a proxy may have rewritten the Host of Zoom's deliveries,
# which are signed. None of them builds an address from what the request says.
HOST_CHECK_EXEMPT = {"webhooks.receive_webhook", "pages.check_portal_health", "pages.export_prometheus_metrics"}
_HOST = re.compile(r"([A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")


def init_request_guards(app: Flask, settings: Settings) -> None:
    """Register the checks; call before anything else that looks at requests."""
    app.config["HOSTS"] = allowed_hosts_of(settings)
    app.before_request(_check_host_header)
    app.before_request(_limit_form_size)
    app.before_request(_reject_nul_bytes)


def allowed_hosts_of(settings: Settings) -> frozenset[str]:
    """The names the portal answers to: the one in PORTAL_BASE_URL, on one computer all of its own. Empty: any."""
    host = urlsplit(settings.base_url).hostname or ""
    if settings.is_demo:
        return frozenset()
    return frozenset(LOOPBACK if host in LOOPBACK else {host})


def _check_host_header() -> None:
    """A wrong name leads to links, redirects and cookies for somebody else's host, so it gets nothing at all."""
    known: frozenset[str] = current_app.config["HOSTS"]
    if not known or request.endpoint in HOST_CHECK_EXEMPT:
        return
    named = [request.environ.get("HTTP_HOST", ""), *request.headers.get("X-Forwarded-Host", "").split(",")]
    if any(name.strip() and _host(name) not in known for name in named):
        abort(400)


def _host(said: str) -> str | None:
    match = _HOST.fullmatch(said.strip())
    return match[1].strip("[]").rstrip(".").lower() if match else None


def _limit_form_size() -> None:
    """Of plain forms only parts of uploads are limited by Flask; the limit of the whole is that of an upload."""
    if request.mimetype == "application/x-www-form-urlencoded":
        request.max_content_length = current_app.config["MAX_FORM_MEMORY_SIZE"]


def _reject_nul_bytes() -> None:
    """No browser lets anybody type one, and PostgreSQL keeps none: each page would fail in its own way."""
    if request.endpoint == "webhooks.receive_webhook":  # reads its body itself, and only as JSON
        return
    typed = chain.from_iterable(values for _, values in chain(request.args.lists(), request.form.lists()))
    names = (file.filename or "" for file in request.files.values())
    if any("\0" in text for text in chain(typed, names)):
        abort(400)
