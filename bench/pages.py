"""Cost of pages: bytes transferred, load time on a slow phone, and processor time of the server.

`python -m bench.pages [--only bytes|line|server] [--database sqlite|postgresql]`

Bytes are those of the compressed response bodies, first with an empty cache, then with the first visit's cache. The
slow line has 400 kbit/s and 400 ms latency, the phone a processor 4 times slower than this one (Chromium's throttling).
Server time is compared in the same run with two minimal Flask and Jinja pages on the same database: one with a single
query and a table of three columns, behind the same server; and one that executes all of the page's own statements
through the driver and renders the page's own template.
"""

import argparse
import logging
import os
import re
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import requests
import sqlalchemy as sa
from flask import Flask, g, template_rendered
from flask.testing import FlaskClient
from flask_login import current_user

from bench import events
from bench.databases import fresh, kinds
from bench.load import send_all
from bench.school import Class, fill
from bench.server import Running, serving, settings_for
from portal import create_app
from portal.core import audit_log
from portal.core.db import db

LEARNERS = 48
FIRST, LATER, JOIN = 60_000, 12_000, 20_000  # budgets in bytes
WARM, TIMES, ROUNDS = 10, 40, 10  # short rounds, alternating, so that other load on the machine affects both sides
HOST = "http://127.0.0.1"


@dataclass
class Page:
    """A page and its budgets."""

    name: str
    path: str
    budget_first: int = FIRST
    budget_later: int = LATER


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=["bytes", "line", "server"])
    parser.add_argument("--database", action="append", choices=["sqlite", "postgresql"])
    options = parser.parse_args()
    over_count = 0
    for number, kind in enumerate(options.database or kinds()):
        with fresh(kind) as url:
            school_class = fill(url, LEARNERS)
            with serving("silid", url, worker=True) as working:
                _hold_class(working.port, school_class)
            with serving("silid", url) as running:  # without the worker, whose polling costs time as well
                address = f"http://127.0.0.1:{running.port}"
                http_session = _sign_in(address)
                pages = _pages(http_session, address)
                if not number and options.only in (None, "bytes"):
                    over_count += show_bytes(http_session, address, pages)
                if not number and options.only in (None, "line"):
                    show_line(address, http_session, pages)
                if options.only in (None, "server"):
                    with serving("pages", url) as bare:
                        compare(kind, http_session, running, bare, pages)
            if options.only in (None, "server"):
                compare_with_its_own_query_and_table(kind, url, pages)
    sys.exit(1 if over_count else 0)


def _hold_class(port: int, school_class: Class) -> None:
    """Hold the class: all learners join and leave."""
    starts_at, ends_at, uuid = school_class.starts_at, school_class.ends_at, "pages"
    bodies = [events.started(school_class.zoom_id, uuid, at=starts_at)]
    for number, registrant_id in enumerate(school_class.registrants):
        bodies.append(
            events.joined(school_class.zoom_id, uuid, 1000 + number, registrant_id=registrant_id, at=starts_at)
        )
        bodies.append(events.left(school_class.zoom_id, uuid, 1000 + number, registrant_id=registrant_id, at=ends_at))
    bodies.append(events.ended(school_class.zoom_id, uuid, began=starts_at, at=ends_at))
    send_all(port, [events.request(body) for body in bodies], connections=4)
    time.sleep(3)  # until the worker has computed the sheet


def _sign_in(address: str) -> requests.Session:
    http_session = requests.Session()
    form = http_session.get(f"{address}/sign-in", timeout=10).text
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', form)
    assert token
    response = http_session.post(
        f"{address}/sign-in",
        data={"csrf_token": token.group(1), "email": "ada@r1.deped.gov.ph", "password": "correct horse battery"},
        timeout=10,
    )
    response.raise_for_status()
    return http_session


def _pages(http_session: requests.Session, address: str) -> list[Page]:
    """The main pages, found by links on the lists."""

    def first(path: str, pattern: str) -> str:
        match = re.search(pattern, http_session.get(address + path, timeout=10).text)
        assert match, (path, pattern)
        return match.group()

    uuid = "[0-9a-f-]{36}"
    section = first("/classes", f"/classes/sections/{uuid}")
    school_class = first(section, f"/classes/{uuid}")
    join = first(f"{school_class}/links", r"/join/[\w-]{16,}")
    return [
        Page("sign-in", "/sign-in"),
        Page("home", "/"),
        Page("classes", "/classes"),
        Page("section", section),
        Page("class", school_class),
        Page("schedule", "/meetings/new"),
        Page("meeting", first(school_class, f"/meetings/{uuid}")),
        Page("sheets", "/attendance"),
        Page("sheet", first("/attendance", f"/attendance/{uuid}")),
        Page("calendar", "/calendar"),
        Page("report", "/reports"),
        Page("settings", "/settings"),
        Page("join page", join, JOIN, JOIN),
    ]


def show_bytes(http_session: requests.Session, address: str, pages: list[Page]) -> int:
    """Print the bytes of each page; returns how many are over budget."""
    sizes: dict[str, int] = {}
    over_count = 0
    print(f"\nBytes with {LEARNERS} learners, compressed: first visit in all, later visits")
    for page in pages:
        html, later = _fetch(requests.Session() if page.name == "sign-in" else http_session, address + page.path)
        assets = {urljoin(address, path) for path in re.findall(r'(?:src|href)="(/static/[^"#]+)', html)}
        for asset in assets - set(sizes):
            sizes[asset] = _fetch(http_session, asset)[1]
        first = later + sum(sizes[asset] for asset in assets)
        is_over = first > page.budget_first or later > page.budget_later
        over_count += is_over
        print(f"  {page.name:<10} {first:7,d} {later:7,d}   {'OVER' if is_over else 'within'}")
    print(f"  budget: {FIRST:,d} and {LATER:,d}; join page {JOIN:,d}")
    return over_count


def _fetch(http_session: requests.Session, url: str) -> tuple[str, int]:
    """Text and compressed size."""
    with http_session.get(url, stream=True, timeout=10, headers={"Accept-Encoding": "gzip"}) as response:
        response.raise_for_status()
        raw = response.raw.read(decode_content=False)
    return http_session.get(url, timeout=10).text, len(raw)


def show_line(address: str, http_session: requests.Session, pages: list[Page]) -> None:
    """Print the time to first paint and to interactive, on a slow line and a slow phone."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if not chromium:
        print("\nNo Chromium here: the slow line is not measured.")
        return
    print("\n400 kbit/s, 400 ms, a processor 4 times slower: seen, usable; again with a filled cache (seconds)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        for page in pages:
            context = browser.new_context(viewport={"width": 360, "height": 740})
            if page.name != "sign-in":
                context.add_cookies(
                    [
                        {"name": cookie.name, "value": cookie.value or "", "url": address}
                        for cookie in http_session.cookies
                    ]
                )
            tab = context.new_page()
            devtools = context.new_cdp_session(tab)
            devtools.send("Network.enable")
            rate = 400_000 / 8
            conditions = {"offline": False, "latency": 400, "downloadThroughput": rate, "uploadThroughput": rate}
            devtools.send("Network.emulateNetworkConditions", conditions)
            devtools.send("Emulation.setCPUThrottlingRate", {"rate": 4})
            timings = []
            for _visit in range(2):
                tab.goto(address + page.path, wait_until="load")
                timings.append(
                    tab.evaluate(
                        """() => {
                            const paint = performance.getEntriesByName("first-contentful-paint")[0];
                            const page = performance.getEntriesByType("navigation")[0];
                            return [paint ? paint.startTime : 0, page.domContentLoadedEventEnd];
                        }"""
                    )
                )
            (first_seen, first_usable), (later_seen, later_usable) = timings
            print(
                f"  {page.name:<10} {first_seen / 1000:5.1f} {max(first_seen, first_usable) / 1000:5.1f}   "
                f"{later_seen / 1000:5.1f} {max(later_seen, later_usable) / 1000:5.1f}"
            )
            context.close()
        browser.close()


def compare(kind: str, http_session: requests.Session, ours: Running, bare: Running, pages: list[Page]) -> None:
    """Roster and sheet compared with the baseline pages, alternating: server processor time, best round of each."""
    bare_session = requests.Session()
    print(f"\n{kind}: milliseconds of the server's processor a page, best of {ROUNDS} rounds of {TIMES}")
    for name, path in (("section", "/roster"), ("sheet", "/sheet")):
        page = next(one for one in pages if one.name == name)
        our_times, bare_times = [], []
        for _round in range(ROUNDS):
            bare_times.append(_measure_server_ms(bare_session, bare, path))
            our_times.append(_measure_server_ms(http_session, ours, page.path))
        print(
            f"  {name:<8} bare {min(bare_times):6.2f}   silid {min(our_times):6.2f}   "
            f"{min(our_times) / min(bare_times):.1f} of the bare page"
        )


def compare_with_its_own_query_and_table(kind: str, url: str, pages: list[Page]) -> None:
    """Roster and sheet compared with a view that executes the page's own statements through the driver and renders its
    own template with its own context: the difference is the portal's overhead."""
    logging.disable(logging.INFO)
    app = create_app(settings_for(url))
    app.add_url_rule("/session-and-audit", "session_and_audit", _session_and_audit)
    client = _signed_in_client(app)
    print(f"\n{kind}: the same beside the page's own statements and template, best of {ROUNDS} rounds of {TIMES}")
    for page in (one for one in pages if one.name in ("section", "sheet")):
        statements, template, context = _record_statements_and_context(app, client, page.path)
        bare = Flask("bare", root_path=app.root_path)
        bare.config["PROPAGATE_EXCEPTIONS"] = True
        with app.app_context():
            raw = db.engine.raw_connection()

        def view(statements: Any = statements, template: Any = template, context: Any = context, raw: Any = raw) -> str:
            cursor = raw.cursor()
            for statement, values in statements:
                cursor.execute(statement, values)
                cursor.fetchall()
            raw.rollback()
            with app.test_request_context(base_url=HOST):
                g.unread_notifications = 0  # its statement was executed above
                return str(template.render(context))

        bare.add_url_rule("/", "page", view)
        visitor = bare.test_client()
        our_times, bare_times, audit_times = [], [], []
        for _round in range(ROUNDS):
            bare_times.append(_measure_client_ms(visitor, "/"))
            our_times.append(_measure_client_ms(client, page.path))
            audit_times.append(_measure_client_ms(client, "/session-and-audit"))
        raw.close()
        bare_ms, our_ms, audit_ms = min(bare_times), min(our_times), min(audit_times)
        print(
            f"  {page.name:<8} bare {bare_ms:6.2f}   silid {our_ms:6.2f}, {audit_ms:.2f} of it session and audit   "
            f"{our_ms / bare_ms:.1f} of the bare page, {(our_ms - audit_ms) / bare_ms:.1f} without these (budget 2)"
        )
    with app.app_context():
        db.session.remove()
        db.engine.dispose()
    logging.disable(logging.NOTSET)


def _session_and_audit() -> str:
    """A view that only loads the session and checks for a recent audit entry."""
    audit_log.record_view("viewed nothing", "user", current_user.id, by=current_user.id)
    return ""


def _signed_in_client(app: Flask) -> FlaskClient:
    client = app.test_client()
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', client.get("/sign-in", base_url=HOST).text)
    assert token
    form = {"csrf_token": token.group(1), "email": "ada@r1.deped.gov.ph", "password": "correct horse battery"}
    assert client.post("/sign-in", data=form, base_url=HOST).status_code == 302
    return client


def _record_statements_and_context(
    app: Flask, client: FlaskClient, path: str
) -> tuple[list[tuple[str, Any]], Any, Any]:
    """The SELECTs of a page, without session and audit, and its template and context."""
    statements: list[tuple[str, Any]] = []
    rendered: list[tuple[Any, Any]] = []

    def record_statement(_connection: Any, _cursor: Any, statement: str, values: Any, *_rest: Any) -> None:
        if statement.startswith("SELECT") and not any(table in statement for table in ("user_sessions", "audit_log")):
            statements.append((statement, values))

    def record_rendering(_app: Flask, template: Any, context: Any, **_rest: Any) -> None:
        rendered.append((template, context))

    with app.app_context():
        engine = db.engine
    client.get(path, base_url=HOST)
    sa.event.listen(engine, "before_cursor_execute", record_statement)
    with template_rendered.connected_to(record_rendering, app):
        assert client.get(path, base_url=HOST).status_code == 200
    sa.event.remove(engine, "before_cursor_execute", record_statement)
    return statements, *rendered[-1]


def _measure_client_ms(client: FlaskClient, path: str) -> float:
    """Processor time (ms) of this process per page."""
    for number in range(WARM + TIMES):
        if number == WARM:
            before = time.process_time()
        assert client.get(path, base_url=HOST).status_code == 200
    return (time.process_time() - before) / TIMES * 1000


def _measure_server_ms(http_session: requests.Session, running: Running, path: str) -> float:
    """Processor time (ms) of the server process per page; independent of other load on the machine."""
    url = f"http://127.0.0.1:{running.port}{path}"
    for number in range(WARM + TIMES):
        if number == WARM:
            before = _processor_seconds(running.process.pid)
        http_session.get(url, timeout=30).raise_for_status()
    return (_processor_seconds(running.process.pid) - before) / TIMES * 1000


def _processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")  # utime and stime, see proc(5)


if __name__ == "__main__":
    main()
