"""The health check and the metrics, for machines."""

import hmac

from flask import Blueprint, Response, abort, current_app, jsonify, request
from prometheus_client import CONTENT_TYPE_LATEST
from sqlalchemy.exc import DBAPIError

from portal.core.settings import current_settings
from portal.operations.metrics import portal_health_state
from portal.operations.metrics import render_prometheus_metrics as metrics_text
from portal.web import mark_endpoint_public

bp = Blueprint("health", __name__)


@bp.get("/healthz")
@mark_endpoint_public
def check_portal_health() -> tuple[Response, int]:
    """Health check: database, inbox backlog, last event from Zoom. No names, no ids."""
    try:
        return jsonify(portal_health_state(current_app)), 200
    except DBAPIError:
        return jsonify(status="database unavailable"), 503


@bp.get("/metrics")
@mark_endpoint_public
def export_prometheus_metrics() -> Response:
    """The same for Prometheus, which sends METRICS_TOKEN as a bearer token; 404 if no token is configured."""
    settings = current_settings()
    if not settings.metrics_token:
        abort(404)
    authorization = request.headers.get("Authorization", "").encode()
    if not hmac.compare_digest(authorization, f"Bearer {settings.metrics_token}".encode()):
        return Response(status=401, headers={"WWW-Authenticate": "Bearer"})
    try:
        return Response(metrics_text(current_app), content_type=CONTENT_TYPE_LATEST)
    except DBAPIError:
        return Response(status=503)
