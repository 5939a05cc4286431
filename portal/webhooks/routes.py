"""POST /api/zoom/webhook, as a view like any other and, for what is signed, as a short cut before Flask.

A session, a form token and the headers of pages cost several times what checking and storing cost, and
none of them means anything to Zoom.
"""

import json
from collections.abc import Callable, Iterable
from typing import Any, cast

from flask import Blueprint, Flask, Response, current_app, request
from flask.blueprints import BlueprintSetupState

from portal import csrf
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
    """What is not signed comes here: Zoom's URL check may, all else is refused."""
    status, headers, body = _response(get_webhook_receiver(current_app).receive(request.environ))
    return Response(body, status=status, headers=headers)


class SignedWebhookMiddleware:
    """WSGI middleware: signed deliveries are answered here, everything else by the portal behind."""

    def __init__(self, app: Flask, behind: Callable[..., Iterable[bytes]]) -> None:
        self._app = app
        self._behind = behind

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        taker = get_webhook_receiver(self._app)
        taker.start_heartbeat()
        if environ["PATH_INFO"] != PATH or environ["REQUEST_METHOD"] != "POST" or not has_signature_header(environ):
            return self._behind(environ, start_response)
        status, headers, body = _response(taker.receive(environ))
        start_response(status, headers)
        return [body]


@bp.record_once
def _put_before(state: BlueprintSetupState) -> None:
    app = cast(Flask, state.app)
    init_webhooks(app)
    app.wsgi_app = SignedWebhookMiddleware(app, app.wsgi_app)  # type: ignore[method-assign]  # Flask's own way to wrap an app


def _response(answer: WebhookResponse) -> tuple[str, list[tuple[str, str]], bytes]:
    body = json.dumps(answer.body).encode() if answer.body else b""
    headers = [
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(body))),  # waitress would close the connection after a 204, which has none
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
    ]
    if answer.status == 503:
        headers.append(("Retry-After", "60"))
    return STATUS[answer.status], headers, body
