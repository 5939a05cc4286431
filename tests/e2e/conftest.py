"""A real server and a real browser: the demo as a person starts it, and Chromium."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 90  # seconds until the demo school, or what a story waits for, has to be there


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`python app.py --demo` in a process of its own, with files of its own; its address."""
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ZOOM_", "SILID_"))}
    environment |= {"INSTANCE_PATH": str(tmp_path_factory.mktemp("demo")), "PYTHONUNBUFFERED": "1"}
    server = subprocess.Popen(
        [sys.executable, "app.py", "--demo", "--port", str(port)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    said: list[str] = []
    ready = threading.Event()

    def listen() -> None:
        assert server.stdout
        for line in server.stdout:
            said.append(line)
            if "Silid is ready" in line:
                ready.set()

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    try:
        assert ready.wait(PATIENCE), "the demo did not start:\n" + "".join(said)
        yield f"http://127.0.0.1:{port}"
        server.send_signal(signal.SIGINT)
        assert server.wait(20) == 0, "one Ctrl-C must end everything"
    finally:
        if server.poll() is None:
            server.kill()
            server.wait(10)
        listener.join(5)
        assert server.stdout
        server.stdout.close()


@pytest.fixture(scope="module")
def chrome(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium,
            args=["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"],
        )
        yield browser
        browser.close()


def open_until(page: Page, address: str, text: str) -> None:
    """Open the address, and again as soon as it is loaded, until its main part says so: what the worker and the
    webhooks change behind a page ends the wait, and not a number of seconds."""
    limit = time.monotonic() + PATIENCE
    page.goto(address)
    while text not in page.locator("main").inner_text():
        assert time.monotonic() < limit, f"{address} does not say {text!r}"
        page.goto(address)


class Watched:
    """A page in Chromium that notes what a person would not forgive: errors in the console, requests to other
    hosts, a page that scrolls sideways."""

    def __init__(self, page: Page, address: str) -> None:
        self.page, self.address = page, address
        self.trouble: list[str] = []
        page.on("console", lambda said: self._note("console", said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: self._note("script", str(error)))
        page.on("request", lambda request: self._check_host(request.url))
        page.on("load", lambda _page: None)

    def _note(self, kind: str, text: str) -> None:
        self.trouble.append(f"{kind}: {text} ({self.page.url})")

    def _check_host(self, url: str) -> None:
        if not url.startswith((self.address, "blob:", "about:")):
            self._note("request to another host", url)

    def open(self, path: str) -> Page:
        self.page.goto(self.address + path)
        self.look()
        return self.page

    def look(self) -> None:
        """Check the page as it is now."""
        wide = self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if wide > 0:
            self._note("scrolls sideways", f"{wide} px")
        assert not self.trouble, self.trouble

    def shot(self, name: str) -> None:
        """Keep a picture where SHOTS names a folder."""
        folder = os.environ.get("SHOTS")
        if folder:
            size: Any = self.page.viewport_size
            Path(folder).mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=Path(folder) / f"{name}-{size['width']}.png", full_page=True)


@pytest.fixture(params=[(360, 740), (1280, 800)], ids=["phone", "desktop"])
def watched(request: pytest.FixtureRequest, chrome: Browser, demo: str) -> Iterator[Watched]:
    width, height = request.param
    context = chrome.new_context(viewport={"width": width, "height": height}, accept_downloads=True)
    context.set_default_timeout(15_000)
    yield Watched(context.new_page(), demo)
    context.close()
