"""A tiny HTTP server that says what a test tells it, and a clock that sleeping moves."""

import json
import socket
import struct
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest

from portal.zoom.api.token_store import InMemoryTokenStore
from portal.zoom.client import ApiCredentials, ZoomClient

SCOPES = "meeting:write:meeting:admin meeting:read:meeting:admin user:read:list_users:admin"


class Clock:
    """Stands still until somebody sleeps."""

    def __init__(self):
        self.at = datetime(2026, 11, 3, 0, 0, tzinfo=UTC)
        self.sleeps = []

    def now(self):
        return self.at

    def seconds(self):
        return self.at.timestamp()

    def sleep(self, seconds):
        self.sleeps.append(seconds)
        self.at += timedelta(seconds=seconds)

    def move(self, **by):
        self.at += timedelta(**by)


@dataclass
class Reply:
    status: int = 200
    body: object = field(default_factory=dict)
    headers: dict = field(default_factory=dict)
    trouble: str = ""

    def raw(self):
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


@dataclass
class Request:
    method: str
    target: str
    headers: dict
    raw: bytes

    @property
    def path(self):
        return urlsplit(self.target).path

    @property
    def json(self):
        return json.loads(self.raw)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 64 * 1024

    def setup(self):
        super().setup()
        self.server.told.connections += 1

    def answer(self):
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, self.path, headers, raw)
        reply = self.server.told.reply(request)
        if reply.trouble == "reset":
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.close_connection = True
            self.connection.close()
            return
        if reply.trouble == "silence":
            self.server.told.closing.wait(5)
            self.close_connection = True
            return
        body = reply.raw()
        self.send_response(reply.status)
        if reply.trouble.startswith("chunks"):
            self.send_header("Transfer-Encoding", "chunked")
            body = b"".join(b"%x\r\n%b\r\n" % (len(one), one) for one in (body[:5], body[5:]))
            body = body[:-3] if reply.trouble == "chunks cut" else body + b"0\r\n\r\n"
            self.close_connection = reply.trouble == "chunks cut"
        elif reply.status != 204:
            self.send_header("Content-Length", str(len(body)))
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if reply.trouble == "cut":
            body = body[: len(body) // 2]
            self.close_connection = True
        if reply.trouble == "drip":
            self._drip(body)
        elif reply.status != 204:
            self._write(body)

    def _drip(self, body):
        for one in body:
            self._write(bytes([one]))
            if self.server.told.closing.wait(0.02):
                return

    def _write(self, body):
        try:
            self.wfile.write(body)
            self.wfile.flush()
        except OSError:  # the client had enough of a huge body
            self.close_connection = True

    def log_message(self, *args):
        """Keep the test's output quiet."""

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def finish_request(self, request, client_address):
        try:
            super().finish_request(request, client_address)
        except OSError:  # we reset it ourselves
            return

    def shutdown_request(self, request):
        try:
            super().shutdown_request(request)
        except OSError:
            return


class Told:
    """What the server answers: replies (or functions of the request) by "METHOD path"; the last one stays."""

    def __init__(self):
        self.closing = threading.Event()
        self.requests = []
        self.connections = 0
        self._lock = threading.Lock()
        self._replies = {}
        self._tokens = 0
        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.told = self
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def on(self, route, *replies):
        self._replies[route] = list(replies)

    def reply(self, request):
        with self._lock:
            self.requests.append(request)
            planned = self._replies.get(f"{request.method} {request.path}")
            if planned:
                reply = planned.pop(0) if len(planned) > 1 else planned[0]
                return reply(request) if callable(reply) else reply
            if request.path == "/oauth/token":
                self._tokens += 1
                return Reply(200, self.token(f"tok-{self._tokens}"))
            return Reply(404, {"code": 2300, "message": "This API endpoint is not recognized."})

    def token(self, value, **more):
        return {"access_token": value, "token_type": "bearer", "expires_in": 3599, "scope": SCOPES, **more}

    def asked(self, route):
        return [one for one in self.requests if f"{one.method} {one.path}" == route]

    def close(self):
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def server():
    told = Told()
    yield told
    told.close()


@pytest.fixture
def reply():
    return Reply


@pytest.fixture
def credentials():
    return ApiCredentials("acc-id", "client-id", "s3cr3t-of-the-app")


@pytest.fixture
def new_client(server, clock, credentials):
    def build(**changes):
        given = {
            "tokens": InMemoryTokenStore(clock.now),
            "api_url": server.url,
            "oauth_url": server.url,
            "now": clock.now,
            "sleep": clock.sleep,
            "timeout": (1, 2),
        } | changes
        return ZoomClient(credentials, **given)

    return build


@pytest.fixture
def zoom(new_client):
    return new_client()
