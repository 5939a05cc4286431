"""The simulated Zoom as a WSGI app: API, webhooks, control plane and pages.

It runs alone (`python -m portal.sandbox`) or mounted below a path of the portal; all its links begin with `public_url`.
"""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from flask import Flask, Response, abort, current_app, request, send_from_directory
from jinja2 import StrictUndefined

from portal.sandbox.api.routes import api
from portal.sandbox.control_routes import control
from portal.sandbox.fault_injection import FaultInjector
from portal.sandbox.page_routes import pages
from portal.sandbox.simulation.simulated_zoom import SimulatedZoom
from portal.sandbox.webhook_sender import WebhookSender

STATIC = Path(__file__).resolve().parents[2] / "static"
SHOWN_FILES = ("silid.css", "icons.svg", "logo.svg")
POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


@dataclass
class SandboxApp:
    """Dependencies of the views of one app."""

    world: SimulatedZoom
    sender: WebhookSender | None
    wire: FaultInjector
    portal_url: str
    origin: str


def create_sandbox(
    world: SimulatedZoom, sender: WebhookSender | None = None, *, public_url: str, portal_url: str | None = None
) -> Flask:
    """Create the app of one simulation.

    :param public_url: prefix of links, e.g. `http://localhost:8000/zoom-sandbox`.
    :param portal_url: target of "back to the portal"; default: `public_url` without its path.
    """
    world.public_url = public_url.rstrip("/")
    app = Flask(__name__, template_folder="templates", static_folder=None)
    app.jinja_env.undefined = StrictUndefined
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    # Or Werkzeug would redirect uuids with double slashes.
    app.url_map.merge_slashes = False
    app.config["MAX_CONTENT_LENGTH"] = 1024 * 1024
    wire = FaultInjector(app.wsgi_app, world)
    parts = urlsplit(public_url)
    app.extensions["sandbox"] = SandboxApp(
        world, sender, wire, portal_url or _site_root(public_url), f"{parts.scheme}://{parts.netloc}"
    )
    app.wsgi_app = wire  # type: ignore[method-assign]  # the documented way to put middleware around Flask
    for part in (api, control, pages):
        app.register_blueprint(part)
    app.before_request(refuse_other_sites)
    app.after_request(add_security_headers)
    app.add_url_rule("/_sandbox/<name>", "shown_file", serve_static_file)
    return app


def _site_root(public_url: str) -> str:
    parts = urlsplit(public_url)
    return f"{parts.scheme}://{parts.netloc}/" if parts.path.strip("/") else "/"


def serve_static_file(name: str) -> Response:
    """The portal's own style sheet, icons and logo, so that the pages look right when it runs alone."""
    if name not in SHOWN_FILES:
        abort(404)
    return send_from_directory(STATIC, name, max_age=300)


def refuse_other_sites() -> None:
    """CSRF protection of the pages: refuse forms of other sites.

    The API needs a token, which no browser sends automatically.
    """
    if request.method in ("GET", "HEAD", "OPTIONS") or request.path.startswith(("/v2/", "/oauth/")):
        return
    fetch_site = request.headers.get("Sec-Fetch-Site", "same-origin")
    origin = request.headers.get("Origin", "")
    # Behind a proxy the origin is that of the public URL.
    is_foreign = origin not in ("", request.host_url.rstrip("/"), current_app.extensions["sandbox"].origin)
    if fetch_site not in ("same-origin", "none") or is_foreign:
        abort(403)


def add_security_headers(response: Response) -> Response:
    """Security headers of every page: no scripts, nothing from other hosts, no referrer to other sites."""
    response.headers.setdefault("Content-Security-Policy", POLICY)
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Referrer-Policy", "same-origin")
    if request.path.startswith("/_sandbox/"):
        return response
    response.headers.setdefault("Cache-Control", "no-store")
    return response
