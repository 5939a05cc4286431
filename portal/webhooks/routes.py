"""POST /api/zoom/webhook: WSGI middleware for signed deliveries, and a Flask view for unsigned requests.

The middleware bypasses Flask because session, form token and page headers cost several times what verifying and storing
a delivery costs, and mean nothing to Zoom.
"""

import json
from collections.abc import Callable, Iterable
from typing import Any

from flask import Blueprint, Flask, Response, current_app, request

from portal.extensions import csrf
from portal.web import mark_endpoint_public
from portal.webhooks.health import get_webhook_receiver, init_webhooks
from portal.webhooks.receiver import WebhookResponse, has_signature_header

bp = Blueprint("webhooks", __name__)
PATH = "/api/zoom/webhook"
STATUS = {
    200: "200 OK",
    400: "400 Bad Request",
    401: "401 Unauthorized",
    413: "413 Content Too Large",
    415: "415 Unsupported Media Type",
    503: "503 Service Unavailable",
}


@bp.post(PATH)
@csrf.exempt
@mark_endpoint_public
def receive_webhook() -> Response:
    """Unsigned requests: Zoom's URL validation is answered, all else is refused."""
    status, headers, body = _wsgi_response(get_webhook_receiver(current_app).receive(request.environ))
    return Response(body, status=status, headers=headers)


class SignedWebhookMiddleware:
    """WSGI middleware that handles signed deliveries and passes all other requests to the Flask app."""

    def __init__(self, app: Flask, next_app: Callable[..., Iterable[bytes]]) -> None:
        self._app = app
        self._next_app = next_app

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        receiver = get_webhook_receiver(self._app)
        receiver.start_heartbeat()
        if environ["PATH_INFO"] != PATH or environ["REQUEST_METHOD"] != "POST" or not has_signature_header(environ):
            return self._next_app(environ, start_response)
        status, headers, body = _wsgi_response(receiver.receive(environ))
        start_response(status, headers)
        return [body]


def install_webhook_middleware(app: Flask) -> None:
    """Wrap the application: the wrapper is outside of ProxyFix, so it must be installed after that."""
    init_webhooks(app)
    app.wsgi_app = SignedWebhookMiddleware(app, app.wsgi_app)  # type: ignore[method-assign]  # Flask's own way to wrap an app


def _wsgi_response(response: WebhookResponse) -> tuple[str, list[tuple[str, str]], bytes]:
    """Status line, headers and JSON body."""
    body = json.dumps(response.body).encode() if response.body else b""
    headers = [
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(body))),  # without it, waitress closes the connection after a 204
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
    ]
    if response.status == 503:
        headers.append(("Retry-After", "60"))
    return STATUS[response.status], headers, body
