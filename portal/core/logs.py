"""Log lines: one JSON object each, with the id of the request, ids of things, and nothing about people.

What keeps names and secrets out: code logs ids only; the text of an exception is never written, only its kind and where
it was raised, since a database or a parser quotes what it was given; addresses of pages are written as their rule
("/join/<token>"), without query; and whatever else slips into a text (an e-mail address, an LRN, a token) is hidden by
its shape. Nothing can begin a line of its own: JSON escapes line breaks and control characters.
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
    "pages.check_portal_health",
    "pages.export_prometheus_metrics",
}  # asked every few seconds by machines, or by every page
_SHAPES = (
    (re.compile(r"[\w.+'%-]+@[\w-]+(\.[\w-]+)+"), "[address]"),
    (re.compile(r"\b(zak|tk|pwd|token|access_token|code|state|signature)=[^\s&\"'<>]+", re.IGNORECASE), r"\1=[hidden]"),
    (re.compile(r"\bBearer\s+\S+", re.IGNORECASE), "Bearer [hidden]"),
    (re.compile(r"\beyJ[\w-]+\.[\w.-]+"), "[token]"),
    (re.compile(r"(?<![\w-])\d{12}(?![\w-])"), "[LRN]"),
    (re.compile(r"[A-Za-z0-9_-]{40,}"), "[token]"),
)
_PLAIN = re.compile(r"[a-z][a-z-]{0,20}(\.[a-z]{2,4})?")
access_log = logging.getLogger("portal.access")


def redact_log_text(text: str) -> str:
    """The text without what has the shape of an address, an LRN or a secret."""
    for shape, instead in _SHAPES:
        text = shape.sub(instead, text)
    return text


class JsonFormatter(logging.Formatter):
    """A record as one JSON object on one line: at (UTC), level, logger, message, request, and the record's `fields`."""

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
    """What went wrong and where, without the words of the exception."""
    kinds: list[str] = []
    places = _stack_locations(error.__traceback__)
    seen: BaseException | None = error
    while seen is not None and len(kinds) < 6:
        kinds.append(f"{type(seen).__module__}.{type(seen).__qualname__}".removeprefix("builtins."))
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
    values: dict[str, Any] = {"error": kinds, "where": places}
    if isinstance(error, DBAPIError):
        values |= _of_database(error)
    return values


def _stack_locations(trace: TracebackType | None) -> list[str]:
    """Where it was raised: the frames in our own code first, the innermost at the end, then those of the libraries.
    A database's error is raised a dozen frames below the line of ours that asked."""
    frames = traceback.extract_tb(trace)
    ours = [frame for frame in frames if _short(frame.filename).startswith(("portal/", "templates/"))]
    others = [frame for frame in frames if frame not in ours]
    return [f"{_short(frame.filename)}:{frame.lineno} {frame.name}" for frame in (*ours[-8:], *others[-6:])]


def _short(filename: str) -> str:
    path = Path(filename)
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else "/".join(path.parts[-2:])


def _of_database(error: DBAPIError) -> dict[str, str]:
    """The names that a database gives to a trouble: its code and the constraint, never the row."""
    sqlstate = getattr(error.orig, "sqlstate", None) or getattr(error.orig, "sqlite_errorname", None)
    constraint = getattr(getattr(error.orig, "diag", None), "constraint_name", None)
    return {name: str(value) for name, value in (("sqlstate", sqlstate), ("constraint", constraint)) if value}


class _StderrHandler(logging.StreamHandler[TextIO]):
    """Writes to whatever standard error is at the moment."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)
        self.setFormatter(JsonFormatter())

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


def init_logging(app: Flask, level: str) -> None:
    """Write all log lines of this process as JSON to standard error, and one for every request."""
    root = logging.getLogger()
    if not any(isinstance(handler, _StderrHandler) for handler in root.handlers):
        root.addHandler(_StderrHandler())
    logging.getLogger("portal").setLevel(level)
    app.before_request_funcs.setdefault(None, []).insert(
        0, _start_request_timer
    )  # before those that may refuse the request
    app.after_request(_log_request)


def current_request_id() -> str:
    """The id of this request, in its log lines, its X-Request-ID header and on error pages. Ours, whatever was sent."""
    if "request_id" not in g:
        g.request_id = uuid4().hex[:12]
    return str(g.request_id)


def _start_request_timer() -> None:
    current_request_id()
    g.request_began = time.perf_counter()


def _log_request(response: Response) -> Response:
    response.headers[REQUEST_ID_HEADER] = current_request_id()
    if request.endpoint not in UNLOGGED_ENDPOINTS:
        began = g.get("request_began")
        user = g.get("_login_user")  # only where the request has loaded it already
        fields = {
            "method": request.method,
            "path": request_log_path(),
            "status": response.status_code,
            "ms": round((time.perf_counter() - began) * 1000) if began else None,
            "user": getattr(user, "id", None),
        }
        access_log.info("%s %s", request.method, fields["path"], extra={"fields": fields})
    return response


def request_log_path() -> str:
    """The path as its rule, with the ids of things filled in and secrets as "<token>". Of an unknown address, which may
    be a mistyped link, only words as our own addresses have them."""
    if request.url_rule is None:
        parts = request.path.split("/")[1:8]
        return "/" + "/".join(part if not part or _PLAIN.fullmatch(part) else "..." for part in parts)
    path = request.url_rule.rule
    for name, value in (request.view_args or {}).items():
        if isinstance(value, UUID):
            path = path.replace(f"<uuid:{name}>", str(value))
    return path
