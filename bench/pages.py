"""What a page costs: its bytes on the line, its time on a slow phone, and its time on the server.

`python -m bench.pages [--only bytes|line|server] [--database sqlite|postgresql]`

Bytes are those of the answers' bodies as they go over the line (compressed), first with an empty cache, then
with what the first visit left. The slow line has 400 kbit/s and 400 ms, the phone a processor 4 times slower
than this one (Chromium's own throttling). What the server computes is put beside two bare Flask and Jinja pages on
the same database, in one run: one of a single query and a table of three columns, behind the same server; and one
that sends all of the page's own statements through the driver and renders the page's own template.
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
WARM, TIMES, ROUNDS = 10, 40, 10  # short turns: a machine that is busy for a while is busy for both
HOST = "http://127.0.0.1"


@dataclass
class Page:
    """A page and what it needs beside."""

    name: str
    path: str
    budget_first: int = FIRST
    budget_later: int = LATER


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=["bytes", "line", "server"])
    parser.add_argument("--database", action="append", choices=["sqlite", "postgresql"])
    options = parser.parse_args()
    over = 0
    for number, kind in enumerate(options.database or kinds()):
        with fresh(kind) as url:
            school_class = fill(url, LEARNERS)
            with serving("silid", url, worker=True) as working:
                _hold(working.port, school_class)
            with serving("silid", url) as running:  # without the worker, whose looks cost time as well
                address = f"http://127.0.0.1:{running.port}"
                person = _signed_in(address)
                pages = _pages(person, address)
                if not number and options.only in (None, "bytes"):
                    over += show_bytes(person, address, pages)
                if not number and options.only in (None, "line"):
                    show_line(address, person, pages)
                if options.only in (None, "server"):
                    with serving("pages", url) as bare:
                        compare(kind, person, running, bare, pages)
            if options.only in (None, "server"):
                compare_with_its_own_query_and_table(kind, url, pages)
    sys.exit(1 if over else 0)


def _hold(port: int, school_class: Class) -> None:
    """The class is held: everybody comes and goes."""
    at, until, uuid = school_class.starts_at, school_class.ends_at, "pages"
    told = [events.started(school_class.zoom_id, uuid, at=at)]
    for number, who in enumerate(school_class.registrants):
        told.append(events.joined(school_class.zoom_id, uuid, 1000 + number, registrant_id=who, at=at))
        told.append(events.left(school_class.zoom_id, uuid, 1000 + number, registrant_id=who, at=until))
    told.append(events.ended(school_class.zoom_id, uuid, began=at, at=until))
    send_all(port, [events.request(one) for one in told], connections=4)
    time.sleep(3)  # the worker computes the sheet


def _signed_in(address: str) -> requests.Session:
    person = requests.Session()
    form = person.get(f"{address}/sign-in", timeout=10).text
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', form)
    assert token
    answer = person.post(
        f"{address}/sign-in",
        data={"csrf_token": token.group(1), "email": "ada@r1.deped.gov.ph", "password": "correct horse battery"},
        timeout=10,
    )
    answer.raise_for_status()
    return person


def _pages(person: requests.Session, address: str) -> list[Page]:
    """The main pages, found from the lists."""

    def first(path: str, pattern: str) -> str:
        found = re.search(pattern, person.get(address + path, timeout=10).text)
        assert found, (path, pattern)
        return found.group()

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


def show_bytes(person: requests.Session, address: str, pages: list[Page]) -> int:
    """The bytes of each page; how many are over their budget."""
    sizes: dict[str, int] = {}
    over = 0
    print(f"\nBytes with {LEARNERS} learners, compressed: first visit in all, later visits")
    for page in pages:
        html, later = _fetch(requests.Session() if page.name == "sign-in" else person, address + page.path)
        assets = {urljoin(address, path) for path in re.findall(r'(?:src|href)="(/static/[^"#]+)', html)}
        for one in assets - set(sizes):
            sizes[one] = _fetch(person, one)[1]
        first = later + sum(sizes[one] for one in assets)
        bad = first > page.budget_first or later > page.budget_later
        over += bad
        print(f"  {page.name:<10} {first:7,d} {later:7,d}   {'OVER' if bad else 'within'}")
    print(f"  budget: {FIRST:,d} and {LATER:,d}; join page {JOIN:,d}")
    return over


def _fetch(person: requests.Session, url: str) -> tuple[str, int]:
    """Text and bytes on the line."""
    with person.get(url, stream=True, timeout=10, headers={"Accept-Encoding": "gzip"}) as answer:
        answer.raise_for_status()
        raw = answer.raw.read(decode_content=False)
    return person.get(url, timeout=10).text, len(raw)


def show_line(address: str, person: requests.Session, pages: list[Page]) -> None:
    """Time to the first thing seen, and until it can be used, on a slow line and a slow phone."""
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
                    [{"name": one.name, "value": one.value or "", "url": address} for one in person.cookies]
                )
            tab = context.new_page()
            line = context.new_cdp_session(tab)
            line.send("Network.enable")
            rate = 400_000 / 8
            conditions = {"offline": False, "latency": 400, "downloadThroughput": rate, "uploadThroughput": rate}
            line.send("Network.emulateNetworkConditions", conditions)
            line.send("Emulation.setCPUThrottlingRate", {"rate": 4})
            seen = []
            for _visit in range(2):
                tab.goto(address + page.path, wait_until="load")
                seen.append(
                    tab.evaluate(
                        """() => {
                            const paint = performance.getEntriesByName("first-contentful-paint")[0];
                            const page = performance.getEntriesByType("navigation")[0];
                            return [paint ? paint.startTime : 0, page.domContentLoadedEventEnd];
                        }"""
                    )
                )
            (first_seen, first_usable), (later_seen, later_usable) = seen
            print(
                f"  {page.name:<10} {first_seen / 1000:5.1f} {max(first_seen, first_usable) / 1000:5.1f}   "
                f"{later_seen / 1000:5.1f} {max(later_seen, later_usable) / 1000:5.1f}"
            )
            context.close()
        browser.close()


def compare(kind: str, person: requests.Session, ours: Running, bare: Running, pages: list[Page]) -> None:
    """Roster and sheet beside the bare pages, in turns: processor time of the server, the best round of each."""
    plain = requests.Session()
    print(f"\n{kind}: milliseconds of the server's processor a page, best of {ROUNDS} rounds of {TIMES}")
    for name, path in (("section", "/roster"), ("sheet", "/sheet")):
        page = next(one for one in pages if one.name == name)
        mine, theirs = [], []
        for _round in range(ROUNDS):
            theirs.append(_cost(plain, bare, path))
            mine.append(_cost(person, ours, page.path))
        print(
            f"  {name:<8} bare {min(theirs):6.2f}   silid {min(mine):6.2f}   "
            f"{min(mine) / min(theirs):.1f} of the bare page"
        )


def compare_with_its_own_query_and_table(kind: str, url: str, pages: list[Page]) -> None:
    """Roster and sheet beside a bare view that sends the page's own statements through the driver and renders the
    page's own template with the page's own rows: what is left is what the portal adds to query and table."""
    logging.disable(logging.INFO)
    app = create_app(settings_for(url))
    app.add_url_rule("/session-and-audit", "session_and_audit", _session_and_audit)
    client = _client(app)
    print(f"\n{kind}: the same beside the page's own statements and template, best of {ROUNDS} rounds of {TIMES}")
    for page in (one for one in pages if one.name in ("section", "sheet")):
        statements, template, context = _recorded(app, client, page.path)
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
                g.unread_notifications = 0  # its statement was sent above
                return str(template.render(context))

        bare.add_url_rule("/", "page", view)
        visitor = bare.test_client()
        mine, theirs, aside = [], [], []
        for _round in range(ROUNDS):
            theirs.append(_spent(visitor, "/"))
            mine.append(_spent(client, page.path))
            aside.append(_spent(client, "/session-and-audit"))
        raw.close()
        bare_ms, ours, audited = min(theirs), min(mine), min(aside)
        print(
            f"  {page.name:<8} bare {bare_ms:6.2f}   silid {ours:6.2f}, {audited:.2f} of it session and audit   "
            f"{ours / bare_ms:.1f} of the bare page, {(ours - audited) / bare_ms:.1f} without these (budget 2)"
        )
    with app.app_context():
        db.session.remove()
        db.engine.dispose()
    logging.disable(logging.NOTSET)


def _session_and_audit() -> str:
    """A page that does nothing but know who asks, and whether that is written down already."""
    audit_log.record_view("viewed nothing", "user", current_user.id, by=current_user.id)
    return ""


def _client(app: Flask) -> FlaskClient:
    client = app.test_client()
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', client.get("/sign-in", base_url=HOST).text)
    assert token
    filled = {"csrf_token": token.group(1), "email": "ada@r1.deped.gov.ph", "password": "correct horse battery"}
    assert client.post("/sign-in", data=filled, base_url=HOST).status_code == 302
    return client


def _recorded(app: Flask, client: FlaskClient, path: str) -> tuple[list[tuple[str, Any]], Any, Any]:
    """What a page asks the database, session and audit aside, and what it renders."""
    asked: list[tuple[str, Any]] = []
    rendered: list[tuple[Any, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, values: Any, *_rest: Any) -> None:
        if statement.startswith("SELECT") and not any(table in statement for table in ("user_sessions", "audit_log")):
            asked.append((statement, values))

    def keep(_app: Flask, template: Any, context: Any, **_rest: Any) -> None:
        rendered.append((template, context))

    with app.app_context():
        engine = db.engine
    client.get(path, base_url=HOST)
    sa.event.listen(engine, "before_cursor_execute", note)
    with template_rendered.connected_to(keep, app):
        assert client.get(path, base_url=HOST).status_code == 200
    sa.event.remove(engine, "before_cursor_execute", note)
    return asked, *rendered[-1]


def _spent(client: FlaskClient, path: str) -> float:
    """This process's time (ms) for one page."""
    for number in range(WARM + TIMES):
        if number == WARM:
            before = time.process_time()
        assert client.get(path, base_url=HOST).status_code == 200
    return (time.process_time() - before) / TIMES * 1000


def _cost(person: requests.Session, running: Running, path: str) -> float:
    """Processor time (ms) of the server process for one page; other work on the machine does not count."""
    url = f"http://127.0.0.1:{running.port}{path}"
    for number in range(WARM + TIMES):
        if number == WARM:
            before = _processor_seconds(running.process.pid)
        person.get(url, timeout=30).raise_for_status()
    return (_processor_seconds(running.process.pid) - before) / TIMES * 1000


def _processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")  # utime and stime, see proc(5)


if __name__ == "__main__":
    main()
