"""Fault injection between client and simulated API: undecoded paths, latency, faults, and the log of calls.

Only `/v2/...` and `/oauth/...` pass through it; pages and the control plane are never affected.
"""

import contextlib
import os
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote

from portal.sandbox.simulation.models import ApiCall
from portal.sandbox.simulation.state import KEPT_CALLS, SimulationState

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Wsgi = Callable[[Environ, StartResponse], Iterable[bytes]]

HTML_500 = b"<html><head><title>500</title></head><body><h1>Internal Server Error</h1>nginx</body></html>"
KINDS = ("answer", "html", "truncate", "hang", "reset", "reset_before")


@dataclass
class InjectedFault:
    """A fault for the next `times` calls of this method whose path matches the regular expression.

    kind: `answer` sends status, headers and body without calling Zoom; `html` an HTML page with that status; `truncate`
    executes the call but sends half the response; `hang` executes it and responds after `seconds`; `reset` executes it
    and resets the connection; `reset_before` resets it without executing. The first `skip` calls pass.
    """

    method: str = ""
    path: str = ""
    kind: str = "answer"
    times: int = 1
    skip: int = 0
    status: int = 500
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    hits: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"no such fault: {self.kind}")

    def takes(self, method: str, path: str) -> bool:
        """True if this call fails; counts it."""
        if self.times <= 0 or self.method not in ("", method) or not re.search(self.path, path):
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        self.times -= 1
        self.hits += 1
        return True


class ConnectionCut(ConnectionAbortedError):
    """Raised to the server after the connection was reset, so that it writes nothing more."""


class FaultInjector:
    """WSGI middleware around the API. `latency` is added to every call, in seconds."""

    def __init__(self, app: Wsgi, world: SimulationState) -> None:
        self._app, self._world = app, world
        self._lock = threading.Lock()
        self._released = threading.Event()
        self.faults: list[InjectedFault] = []
        self.latency = 0.0

    def break_next(self, **details: Any) -> InjectedFault:
        """Add a fault (see `InjectedFault` for the details); the first matching one takes a call."""
        fault = InjectedFault(**details)
        with self._lock:
            self.faults.append(fault)
        return fault

    def heal(self) -> None:
        """Remove all faults and latency; hanging calls respond now."""
        with self._lock:
            self.faults.clear()
            self.latency = 0.0
            self._released.set()
            self._released = threading.Event()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        environ["PATH_INFO"] = path = path_as_sent(environ)
        if not path.startswith(("/v2/", "/oauth/")):
            return self._app(environ, start_response)
        with self._log_call(environ["REQUEST_METHOD"], path) as call:
            if self.latency:
                time.sleep(self.latency)
            return self._respond_with_faults(environ, start_response, call)

    def _respond_with_faults(self, environ: Environ, start_response: StartResponse, call: ApiCall) -> Iterable[bytes]:
        fault = self._fault_for(environ["REQUEST_METHOD"], environ["PATH_INFO"])
        if fault is None:
            return self._respond(environ, start_response, call)
        if fault.kind == "reset_before":
            return _reset_connection(environ, start_response)
        if fault.kind in ("answer", "html"):
            return _respond_with_fault(fault, start_response, call)
        status, headers, body = self._call_app(environ)
        call.status = int(status[:3])
        if fault.kind == "reset":
            return _reset_connection(environ, start_response)
        if fault.kind == "hang":
            self._released.wait(fault.seconds)
        if fault.kind == "truncate":
            body = body[: len(body) // 2]
        headers = [(name, value) for name, value in headers if name.lower() != "content-length"]
        start_response(status, [*headers, ("Content-Length", str(len(body)))])
        return [body]

    def _fault_for(self, method: str, path: str) -> InjectedFault | None:
        with self._lock:
            return next((fault for fault in self.faults if fault.takes(method, path)), None)

    def _respond(self, environ: Environ, start_response: StartResponse, call: ApiCall) -> Iterable[bytes]:
        status, headers, body = self._call_app(environ)
        call.status = int(status[:3])
        start_response(status, headers)
        return [body]

    def _call_app(self, environ: Environ) -> tuple[str, list[tuple[str, str]], bytes]:
        status_and_headers: list[Any] = []

        def start(status: str, headers: list[tuple[str, str]], exc_info: object = None) -> None:
            status_and_headers[:] = [status, headers]

        chunks = self._app(environ, start)
        body = b"".join(chunks)
        if hasattr(chunks, "close"):
            chunks.close()
        return status_and_headers[0], status_and_headers[1], body

    @contextlib.contextmanager
    def _log_call(self, method: str, path: str) -> Iterator[ApiCall]:
        """Log the call as it arrives, and count those in flight."""
        world = self._world
        call = ApiCall(method, unquote(path), 0, world.now())
        with world.lock:
            world.calls.append(call)
            del world.calls[:-KEPT_CALLS]
            world.in_flight += 1
            world.most_in_flight = max(world.most_in_flight, world.in_flight)
        try:
            yield call
        finally:
            with world.lock:
                world.in_flight -= 1


def path_as_sent(environ: Environ) -> str:
    """The path with every segment decoded once, and slashes inside a segment left encoded.

    Servers decode the whole path, after which a uuid's own slashes cannot be told from the path's. Zoom requires uuids
    that begin with `/` or contain `//` to be encoded twice and fails if they are encoded once: those are fully decoded
    here, so that no route matches them.
    """
    raw = environ.get("RAW_URI") or environ.get("REQUEST_URI")
    if not raw:
        return str(environ.get("PATH_INFO", ""))
    raw = re.sub(r"^https?://[^/]*", "", raw).partition("?")[0]
    mount = quote(environ.get("SCRIPT_NAME", ""))
    raw = raw.removeprefix(mount)
    # WSGI passes the bytes as Latin-1 text.
    return "/".join(map(_decode_segment, raw.split("/"))).encode().decode("latin-1")


def _decode_segment(raw: str) -> str:
    decoded = unquote(raw)
    if decoded.startswith("/") or "//" in decoded:
        return decoded
    return decoded.replace("/", "%2F")


def _respond_with_fault(fault: InjectedFault, start_response: StartResponse, call: ApiCall) -> Iterable[bytes]:
    is_html = fault.kind == "html"
    body = fault.body or (HTML_500 if is_html else b"")
    content_type = "text/html" if is_html else "application/json;charset=UTF-8"
    headers = {"Content-Type": content_type} | fault.headers
    start_response(f"{fault.status} Pretended", [*headers.items(), ("Content-Length", str(len(body)))])
    call.status = fault.status
    return [body]


def _reset_connection(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Reset the connection. If the server does not expose its socket, send less than Content-Length instead.

    :raises ConnectionCut: after the reset.
    """
    connection = environ.get("werkzeug.socket") or environ.get("gunicorn.socket")
    if isinstance(connection, socket.socket):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # SO_LINGER with zero seconds turns the close into a reset. dup2 replaces the connection by a closed socket,
        # which closes it at once, before the server could shut it down cleanly; the server then reads end of file.
        closed_socket, peer = socket.socketpair()
        with closed_socket, peer:
            peer.shutdown(socket.SHUT_RDWR)
            with contextlib.suppress(OSError):
                os.dup2(closed_socket.fileno(), connection.fileno())
        raise ConnectionCut("the pretend Zoom cut the connection")
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", "1000")])
    return [b"{"]
