"""What happens to a request before and after Zoom's rules: paths as sent, latency, faults, the log of calls.

Only `/v2/...` and `/oauth/...` pass through here; pages and the control plane are never disturbed.
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
    """The next `times` calls of this method whose path the regular expression matches go wrong.

    kind: `answer` sends status, headers and body instead of asking Zoom; `html` an HTML page with that
    status; `truncate` does what was asked but sends half the answer; `hang` does it and answers only after
    `seconds`; `reset` does it and cuts the connection; `reset_before` cuts it without doing anything. `skip`
    calls pass first.
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
        """Whether this call goes wrong; counts it."""
        if self.times <= 0 or self.method not in ("", method) or not re.search(self.path, path):
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        self.times -= 1
        self.hits += 1
        return True


class ConnectionCut(ConnectionAbortedError):
    """Raised to the server after the wire was cut, so that it writes nothing more."""


class FaultInjector:
    """WSGI middleware around the API. `latency` is seconds every call takes at least."""

    def __init__(self, inner: Wsgi, world: SimulationState) -> None:
        self._inner, self._world = inner, world
        self._lock = threading.Lock()
        self._released = threading.Event()
        self.faults: list[InjectedFault] = []
        self.latency = 0.0

    def break_next(self, **details: Any) -> InjectedFault:
        """Add a fault (see `InjectedFault` for the details); the first that fits takes a call."""
        fault = InjectedFault(**details)
        with self._lock:
            self.faults.append(fault)
        return fault

    def heal(self) -> None:
        """No more faults or latency; calls that hang are answered now."""
        with self._lock:
            self.faults.clear()
            self.latency = 0.0
            self._released.set()
            self._released = threading.Event()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        environ["PATH_INFO"] = path = path_as_sent(environ)
        if not path.startswith(("/v2/", "/oauth/")):
            return self._inner(environ, start_response)
        with self._logged(environ["REQUEST_METHOD"], path) as call:
            if self.latency:
                time.sleep(self.latency)
            return self._pass_on(environ, start_response, call)

    def _pass_on(self, environ: Environ, start_response: StartResponse, call: ApiCall) -> Iterable[bytes]:
        fault = self._fault_for(environ["REQUEST_METHOD"], environ["PATH_INFO"])
        if fault is None:
            return self._answer(environ, start_response, call)
        if fault.kind == "reset_before":
            return _cut(environ, start_response)
        if fault.kind in ("answer", "html"):
            return _instead(fault, start_response, call)
        status, headers, body = self._collected(environ)
        call.status = int(status[:3])
        if fault.kind == "reset":
            return _cut(environ, start_response)
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

    def _answer(self, environ: Environ, start_response: StartResponse, call: ApiCall) -> Iterable[bytes]:
        status, headers, body = self._collected(environ)
        call.status = int(status[:3])
        start_response(status, headers)
        return [body]

    def _collected(self, environ: Environ) -> tuple[str, list[tuple[str, str]], bytes]:
        got: list[Any] = []

        def start(status: str, headers: list[tuple[str, str]], exc_info: object = None) -> None:
            got[:] = [status, headers]

        chunks = self._inner(environ, start)
        body = b"".join(chunks)
        if hasattr(chunks, "close"):
            chunks.close()
        return got[0], got[1], body

    @contextlib.contextmanager
    def _logged(self, method: str, path: str) -> Iterator[ApiCall]:
        """Write the call down as it comes in, and count how many are under way."""
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
    """The path with every segment decoded once, slashes inside a segment left encoded.

    Servers decode the whole path, after which a uuid's own slashes cannot be told from the path's. Zoom wants
    uuids that begin with `/` or contain `//` encoded twice and fails when they are encoded once: those are
    left bare here, so that no route matches them.
    """
    raw = environ.get("RAW_URI") or environ.get("REQUEST_URI")
    if not raw:
        return str(environ.get("PATH_INFO", ""))
    raw = re.sub(r"^https?://[^/]*", "", raw).partition("?")[0]
    mount = quote(environ.get("SCRIPT_NAME", ""))
    raw = raw.removeprefix(mount)
    # WSGI hands text over as the bytes' Latin-1.
    return "/".join(map(_segment, raw.split("/"))).encode().decode("latin-1")


def _segment(raw: str) -> str:
    once = unquote(raw)
    if once.startswith("/") or "//" in once:
        return once
    return once.replace("/", "%2F")


def _instead(fault: InjectedFault, start_response: StartResponse, call: ApiCall) -> Iterable[bytes]:
    html = fault.kind == "html"
    body = fault.body or (HTML_500 if html else b"")
    kind = "text/html" if html else "application/json;charset=UTF-8"
    headers = {"Content-Type": kind} | fault.headers
    start_response(f"{fault.status} Pretended", [*headers.items(), ("Content-Length", str(len(body)))])
    call.status = fault.status
    return [body]


def _cut(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Reset the connection. Where the server does not show its socket, send less than was promised instead.

    :raises ConnectionCut: after the reset.
    """
    wire = environ.get("werkzeug.socket") or environ.get("gunicorn.socket")
    if isinstance(wire, socket.socket):
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # Lingering for zero seconds turns the close into a reset. A socket that has ended is put in its
        # place, which closes it at once, without the server's polite shutdown before; the server then reads
        # the end of it.
        ended, other = socket.socketpair()
        with ended, other:
            other.shutdown(socket.SHUT_RDWR)
            with contextlib.suppress(OSError):
                os.dup2(ended.fileno(), wire.fileno())
        raise ConnectionCut("the pretend Zoom cut the connection")
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", "1000")])
    return [b"{"]
