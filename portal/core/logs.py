"""JSON logging: one object per line, with the request id and ids of rows, and without personal data.

Names and secrets are kept out in four ways: code logs ids only; an exception's text is never written, only its class
and location, since databases and parsers quote their input; URLs are logged as their rule ("/join/<token>"), without
query; and patterns hide an e-mail address, an LRN or a token that gets into a text anyway. JSON escapes line breaks and
control characters, so no input can start a line of its own.
"""

import json
import logging
import re
import sys
import time
import traceback
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO
from uuid import UUID, uuid4

from flask import Flask, Response, g, has_request_context, request
from sqlalchemy.exc import DBAPIError

REQUEST_ID_HEADER = "X-Request-ID"
ROOT = Path(__file__).resolve().parents[2]
UNLOGGED_ENDPOINTS = {
    "static",
    "health.check_portal_health",
    "health.export_prometheus_metrics",
}  # requested every few seconds by machines, or by every page
_REDACTIONS = (
    (re.compile(r"[\w.+'%-]+@[\w-]+(\.[\w-]+)+"), "[address]"),
    (re.compile(r"\b(zak|tk|pwd|token|access_token|code|state|signature)=[^\s&\"'<>]+", re.IGNORECASE), r"\1=[hidden]"),
    (re.compile(r"\bBearer\s+\S+", re.IGNORECASE), "Bearer [hidden]"),
    (re.compile(r"\beyJ[\w-]+\.[\w.-]+"), "[token]"),
    (re.compile(r"(?<![\w-])\d{12}(?![\w-])"), "[LRN]"),
    (re.compile(r"[A-Za-z0-9_-]{40,}"), "[token]"),
)
_PLAIN_SEGMENT = re.compile(r"[a-z][a-z-]{0,20}(\.[a-z]{2,4})?")
access_log = logging.getLogger("portal.access")


def redact_log_text(text: str) -> str:
    """The text with addresses, LRNs and secrets replaced, by pattern."""
    for pattern, replacement in _REDACTIONS:
        text = pattern.sub(replacement, text)
    return text


class JsonFormatter(logging.Formatter):
    """Formats a record as one JSON object: at (UTC), level, logger, message, request, and the record's `fields`."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": redact_log_text(record.getMessage()),
        }
        if has_request_context():
            line["request"] = current_request_id()
        line |= getattr(record, "fields", {})
        if record.exc_info and record.exc_info[1] is not None:
            line |= _exception_fields(record.exc_info[1])
        return json.dumps(line, ensure_ascii=True, default=str)


def _exception_fields(error: BaseException) -> dict[str, Any]:
    """Class names and location of an exception and its causes, without its text."""
    kinds: list[str] = []
    locations = _stack_locations(error.__traceback__)
    cause: BaseException | None = error
    while cause is not None and len(kinds) < 6:
        kinds.append(f"{type(cause).__module__}.{type(cause).__qualname__}".removeprefix("builtins."))
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    values: dict[str, Any] = {"error": kinds, "where": locations}
    if isinstance(error, DBAPIError):
        values |= _database_error_fields(error)
    return values


def _stack_locations(trace: TracebackType | None) -> list[str]:
    """The stack: frames in our own code first, innermost last, then those of libraries; a database error is raised a
    dozen frames below our own line."""
    frames = traceback.extract_tb(trace)
    ours = [frame for frame in frames if _short_path(frame.filename).startswith(("portal/", "templates/"))]
    others = [frame for frame in frames if frame not in ours]
    return [f"{_short_path(frame.filename)}:{frame.lineno} {frame.name}" for frame in (*ours[-8:], *others[-6:])]


def _short_path(filename: str) -> str:
    path = Path(filename)
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else "/".join(path.parts[-2:])


def _database_error_fields(error: DBAPIError) -> dict[str, str]:
    """The database's error code and constraint name, never the row."""
    sqlstate = getattr(error.orig, "sqlstate", None) or getattr(error.orig, "sqlite_errorname", None)
    constraint = getattr(getattr(error.orig, "diag", None), "constraint_name", None)
    return {name: str(value) for name, value in (("sqlstate", sqlstate), ("constraint", constraint)) if value}


class _StderrHandler(logging.StreamHandler[TextIO]):
    """Writes to the current `sys.stderr`, which may be replaced at run time."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)
        self.setFormatter(JsonFormatter())

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


def init_logging(app: Flask, level: str) -> None:
    """Log to standard error as JSON, with one line per request."""
    root = logging.getLogger()
    if not any(isinstance(handler, _StderrHandler) for handler in root.handlers):
        root.addHandler(_StderrHandler())
    logging.getLogger("portal").setLevel(level)
    # First of all hooks, as later ones may refuse the request.
    app.before_request_funcs.setdefault(None, []).insert(0, _start_request_timer)
    app.after_request(_log_request)


def current_request_id() -> str:
    """The id of this request, for its log lines, its X-Request-ID header and error pages. Generated here, whatever the
    client sent."""
    if "request_id" not in g:
        g.request_id = uuid4().hex[:12]
    return str(g.request_id)


def _start_request_timer() -> None:
    current_request_id()
    g.request_began = time.perf_counter()


def _log_request(response: Response) -> Response:
    response.headers[REQUEST_ID_HEADER] = current_request_id()
    if request.endpoint not in UNLOGGED_ENDPOINTS:
        started_at = g.get("request_began")
        user = g.get("_login_user")  # only if the request has loaded it already
        fields = {
            "method": request.method,
            "path": request_log_path(),
            "status": response.status_code,
            "ms": round((time.perf_counter() - started_at) * 1000) if started_at else None,
            "user": getattr(user, "id", None),
        }
        access_log.info("%s %s", request.method, fields["path"], extra={"fields": fields})
    return response


def request_log_path() -> str:
    """The path as its rule, with row ids filled in and secrets as "<token>". Of an unknown URL, which may be a mistyped
    link, only segments like our own are kept."""
    if request.url_rule is None:
        parts = request.path.split("/")[1:8]
        return "/" + "/".join(part if not part or _PLAIN_SEGMENT.fullmatch(part) else "..." for part in parts)
    path = request.url_rule.rule
    for name, value in (request.view_args or {}).items():
        if isinstance(value, UUID):
            path = path.replace(f"<uuid:{name}>", str(value))
    return path
