"""The portal or a baseline app in a process of its own, on a production server.

`make()` is called by gunicorn; `python -m bench.server` serves with waitress. Both read BENCH_APP (silid, bare or
pages), BENCH_DATABASE, BENCH_PORT and, for the portal, BENCH_WORKER (1: run the worker in the same process).
"""

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from flask import Flask
from flask_migrate import upgrade

from bench import events
from bench.bare import create_bare
from bench.bare_pages import create_bare_pages
from portal import create_app
from portal.config import Settings, derive_secret_key
from portal.sandbox import defaults

THREADS = 12  # as app.py


def settings_for(url: str, zoom_url: str = "") -> Settings:
    """Live settings for a benchmark; without Zoom unless its URL is given."""
    zoom = {}
    if zoom_url:
        zoom = {
            "zoom_account_id": defaults.ACCOUNT_ID,
            "zoom_client_id": defaults.CLIENT_ID,
            "zoom_client_secret": defaults.CLIENT_SECRET,
            "zoom_api_url": f"{zoom_url}/v2",
            "zoom_oauth_url": f"{zoom_url}/oauth/token",
        }
    return Settings(
        mode="live",
        secret_key="for measurements, where nothing is secret",
        database_url=url,
        base_url="http://127.0.0.1",
        exports_per_hour=1_000_000,
        zoom_webhook_secrets=(events.SECRET,),
        encryption_keys=(derive_secret_key("bench"),),
        **zoom,
    )


def migrate(url: str) -> Flask:
    """The portal with migrated tables."""
    app = create_app(settings_for(url))
    with app.app_context():
        upgrade()
    return app


def make() -> Flask:
    """The application selected by the environment."""
    url = os.environ["BENCH_DATABASE"]
    if os.environ["BENCH_APP"] == "bare":
        return create_bare(url, events.SECRET)
    if os.environ["BENCH_APP"] == "pages":
        return create_bare_pages(url)
    return create_app(settings_for(url))


@dataclass
class Running:
    """A server process and its port."""

    process: "subprocess.Popen[bytes]"
    port: int

    def kill(self) -> None:
        """SIGKILL to the process group, like a power cut."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.kill()


def launch(name: str, url: str, *, server: str = "waitress", worker: bool = False) -> Running:
    """Start a server for `bare`, `pages` or `silid` in its own process group and wait until it listens."""
    port = _free_port()
    environment = os.environ | {
        "BENCH_APP": name,
        "BENCH_DATABASE": url,
        "BENCH_PORT": str(port),
        "BENCH_WORKER": "1" if worker else "",
    }
    command = [sys.executable, "-m", "bench.server"]
    if server == "gunicorn":
        options = ["-k", "gthread", "-w", "2", "--threads", "4", "-b", f"127.0.0.1:{port}", "--log-level", "error"]
        command = [sys.executable, "-m", "gunicorn", *options, "bench.server:make()"]
    process = subprocess.Popen(command, env=environment, start_new_session=True)
    running = Running(process, port)
    _wait_until_listening(running)
    return running


@contextmanager
def serving(name: str, url: str, *, server: str = "waitress", worker: bool = False) -> Iterator[Running]:
    running = launch(name, url, server=server, worker=worker)
    try:
        yield running
    finally:
        running.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_listening(running: Running, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if running.process.poll() is not None:
            raise RuntimeError(f"the server ended with {running.process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", running.port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    running.kill()
    raise RuntimeError("the server does not listen")


def main() -> None:
    from waitress.server import create_server

    logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # warnings about queued requests are expected here
    app = make()
    logging.disable(logging.INFO)  # log output would distort the measurement
    server = create_server(app, host="127.0.0.1", port=int(os.environ["BENCH_PORT"]), threads=THREADS, ident="")
    stop_event = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop_event.set())
    threading.Thread(target=server.run, daemon=True).start()
    if os.environ.get("BENCH_WORKER"):
        from portal.jobs.worker import Worker

        Worker(app).start()
    stop_event.wait()


if __name__ == "__main__":
    main()
