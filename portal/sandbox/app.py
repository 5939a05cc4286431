"""The pretend Zoom as a WSGI app: API, webhooks, control plane and pages for people.

It runs alone (`python -m portal.sandbox`) or mounted below a path of the portal; every link it gives out
begins with `public_url`.
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
    """What the views of one app need."""

    world: SimulatedZoom
    sender: WebhookSender | None
    wire: FaultInjector
    portal_url: str
    origin: str


def create_sandbox(
    world: SimulatedZoom, sender: WebhookSender | None = None, *, public_url: str, portal_url: str | None = None
) -> Flask:
    """The app of one world.

    :param public_url: what links begin with, as `http://localhost:8000/zoom-sandbox`; no slash at the end
        needed.
    :param portal_url: where "back to the portal" leads; by default `public_url` without its path.
    """
    world.public_url = public_url.rstrip("/")
    app = Flask(__name__, template_folder="templates", static_folder=None)
    app.jinja_env.undefined = StrictUndefined
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    # The slashes of a uuid must not be merged into a redirect.
    app.url_map.merge_slashes = False
    app.config["MAX_CONTENT_LENGTH"] = 1024 * 1024
    wire = FaultInjector(app.wsgi_app, world)
    parts = urlsplit(public_url)
    app.extensions["sandbox"] = SandboxApp(
        world, sender, wire, portal_url or _above(public_url), f"{parts.scheme}://{parts.netloc}"
    )
    app.wsgi_app = wire  # type: ignore[method-assign]  # the documented way to put middleware around Flask
    for part in (api, control, pages):
        app.register_blueprint(part)
    app.before_request(refuse_other_sites)
    app.after_request(add_security_headers)
    app.add_url_rule("/_sandbox/<name>", "shown_file", serve_static_file)
    return app


def _above(public_url: str) -> str:
    parts = urlsplit(public_url)
    return f"{parts.scheme}://{parts.netloc}/" if parts.path.strip("/") else "/"


def serve_static_file(name: str) -> Response:
    """The portal's own style sheet, icons and logo, so that the pages look right standing alone."""
    if name not in SHOWN_FILES:
        abort(404)
    return send_from_directory(STATIC, name, max_age=300)


def refuse_other_sites() -> None:
    """Forms of other sites must not press our buttons.

    The API needs a token and no browser sends it unasked.
    """
    if request.method in ("GET", "HEAD", "OPTIONS") or request.path.startswith(("/v2/", "/oauth/")):
        return
    site = request.headers.get("Sec-Fetch-Site", "same-origin")
    origin = request.headers.get("Origin", "")
    # Behind a proxy the address people see is the public one.
    foreign = origin not in ("", request.host_url.rstrip("/"), current_app.extensions["sandbox"].origin)
    if site not in ("same-origin", "none") or foreign:
        abort(403)


def add_security_headers(response: Response) -> Response:
    """Headers of every page: no scripts, nothing from elsewhere, no address handed on."""
    response.headers.setdefault("Content-Security-Policy", POLICY)
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Referrer-Policy", "same-origin")
    if request.path.startswith("/_sandbox/"):
        return response
    response.headers.setdefault("Cache-Control", "no-store")
    return response
