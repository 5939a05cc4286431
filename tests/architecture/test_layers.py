"""The house rules, as tests: what a reviewer would otherwise say twice."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

ROOT = Path(__file__).resolve().parents[2]
PORTAL = ROOT / "portal"
# From the ground up. A module may import its own floor and those below it.
FLOORS = [
    "core",
    "web",
    "accounts",
    "zoom_account",
    "webhooks",
    "classes",
    "meetings",
    "registration",
    "attendance",
    "reports",
    "privacy",
    "notifications",
    "operations",
    "pages",
    "jobs",
]
TWINS = {"pages": "jobs", "jobs": "pages"}  # two rooms on the top floor
PUBLIC = {
    "calendar.learner_calendar_feed",
    "calendar.own_calendar_feed",
    "join.redirect_to_zoom",
    "join.join_in_browser",
    "join.show_join_page",
    "accounts.request_account",
    "sso.request_account_after_sso",
    "sso.handle_sso_callback",
    "accounts.choose_new_password",
    "accounts.ask_sign_in_code",
    "accounts.confirm_new_email",
    "accounts.forgot_password",
    "sso.start_sso_sign_in",
    "accounts.sign_in",
    "accounts.sign_out",
    "webhooks.receive_webhook",
    "pages.check_portal_health",
    "pages.show_help_page",
    "pages.choose_language",
    "pages.export_prometheus_metrics",
    "pages.show_privacy_notice",
    "pages.choose_theme",
}
NO_CSRF = {"webhooks.receive_webhook"}


def modules() -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted(PORTAL.rglob("*.py")):
        yield path, ast.parse(path.read_text(encoding="utf-8"))


def imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def floor_of(path: Path) -> str:
    return path.relative_to(PORTAL).parts[0]


def ours(name: str) -> str | None:
    """The package of ours that an import leads to, e.g. "meetings"."""
    parts = name.split(".")
    return parts[1] if parts[0] == "portal" and len(parts) > 1 else None


def test_imports_only_go_down() -> None:
    bad = []
    for path, tree in modules():
        floor = floor_of(path)
        if floor not in FLOORS:
            continue
        for name in imports(tree):
            target = ours(name)
            if target not in FLOORS:
                continue
            upstairs = FLOORS.index(target) > FLOORS.index(floor)
            if upstairs or TWINS.get(floor) == target:
                bad.append(f"{path.relative_to(ROOT)} imports {name}")
    assert not bad, bad


def test_the_zoom_package_could_be_a_package_of_its_own() -> None:
    bad = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path, tree in modules()
        if floor_of(path) == "zoom"
        for name in imports(tree)
        if re.match(r"flask|sqlalchemy|werkzeug", name) or (ours(name) not in (None, "zoom"))
    ]
    assert not bad, bad


def test_the_sandbox_knows_only_the_zoom_package() -> None:
    bad = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path, tree in modules()
        if floor_of(path) == "sandbox"
        for name in imports(tree)
        if ours(name) not in (None, "zoom", "sandbox")
    ]
    assert not bad, bad


def test_the_package_for_openid_connect_could_be_a_package_of_its_own() -> None:
    bad = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path, tree in modules()
        if floor_of(path) == "oidc"
        for name in imports(tree)
        if re.match(r"flask|sqlalchemy|werkzeug", name) or (ours(name) not in (None, "oidc"))
    ]
    assert not bad, bad


def test_only_three_places_speak_http() -> None:
    speakers = {
        str(path.relative_to(PORTAL))
        for path, tree in modules()
        if any(name.split(".")[0] in ("requests", "urllib3", "http", "httpx", "socket") for name in imports(tree))
    }
    allowed = {name for name in speakers if name.startswith("zoom/")} | {
        "sandbox/webhook_sender.py",
        "oidc/http_client.py",
    }
    # The sandbox names statuses and cuts connections on purpose; it calls nobody but through its sender.
    servers = {name for name in speakers if name.startswith("sandbox/") and _only_serves(PORTAL / name)}
    assert speakers <= allowed | servers, speakers - allowed - servers


def _only_serves(path: Path) -> bool:
    text = path.read_text(encoding="utf-8")
    return not re.search(r"\brequests\b|urlopen|create_connection|HTTPConnection", text)


def test_commits_happen_in_one_place() -> None:
    """Services change rows inside `writing()`; nobody commits by hand."""
    bad = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path, tree in modules()
        if path != PORTAL / "core" / "db" / "__init__.py" and floor_of(path) != "sandbox"
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "commit"
    ]
    assert not bad, bad


def test_routes_and_queries_do_not_change_rows() -> None:
    bad = []
    for path, tree in modules():
        if path.name not in ("routes.py", "queries.py", "access.py", "forms.py"):
            continue
        bad += [
            f"{path.relative_to(ROOT)}:{node.lineno}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Call)
            and (
                (isinstance(node.func, ast.Name) and node.func.id in ("writing", "insert", "update", "delete"))
                or (
                    (isinstance(node.func, ast.Attribute) and node.func.attr in ("add", "add_all", "flush"))
                    and "session" in ast.unparse(node.func.value)
                )
            )
        ]
    assert not bad, bad


def test_now_comes_from_the_clock_alone() -> None:
    bad = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path, tree in modules()
        if path != PORTAL / "core" / "clock.py" and floor_of(path) not in ("zoom", "sandbox")
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node) in ("datetime.now", "date.today", "time.time")
    ]
    assert not bad, bad


@pytest.mark.parametrize("portal", ["sqlite"], indirect=True)
def test_only_known_views_are_public(portal: Flask) -> None:
    views = portal.view_functions
    assert {name for name in views if getattr(views[name], "is_public", False)} == PUBLIC


@pytest.mark.parametrize("portal", ["sqlite"], indirect=True)
def test_every_other_page_sends_a_stranger_to_the_sign_in_page(portal: Flask) -> None:
    client = portal.test_client()
    for rule in portal.url_map.iter_rules():
        if rule.endpoint in PUBLIC | {"static"}:
            continue
        values = dict.fromkeys(rule.arguments, "00000000-0000-4000-8000-000000000000")
        with portal.test_request_context():
            from flask import url_for

            url = url_for(rule.endpoint, **values)
        method = "GET" if "GET" in (rule.methods or set()) else "POST"
        portal.config["WTF_CSRF_ENABLED"] = method == "GET"
        try:
            answer = client.open(url, method=method)
        finally:
            portal.config["WTF_CSRF_ENABLED"] = True
        assert answer.status_code == 302 and "/sign-in" in answer.headers["Location"], (rule, answer.status)


@pytest.mark.parametrize("portal", ["sqlite"], indirect=True)
def test_every_post_needs_a_token_except_zooms_own(portal: Flask) -> None:
    client = portal.test_client()
    for rule in portal.url_map.iter_rules():
        if "POST" not in (rule.methods or set()) or rule.endpoint in NO_CSRF:
            continue
        values = dict.fromkeys(rule.arguments, "00000000-0000-4000-8000-000000000000")
        with portal.test_request_context():
            from flask import url_for

            url = url_for(rule.endpoint, **values)
        assert client.post(url).status_code == 400, rule


@pytest.mark.parametrize("portal", ["sqlite"], indirect=True)
def test_ids_in_addresses_are_uuids(portal: Flask) -> None:
    bad = [
        str(rule)
        for rule in portal.url_map.iter_rules()
        if rule.endpoint != "static"
        and re.search(r"<(?!uuid:)", re.sub(r"<(token|day|month|any\([a-z, ]+\):provider)>", "", str(rule)))
    ]
    assert not bad, bad


def test_nothing_switches_tls_verification_off() -> None:
    for path, _tree in modules():
        assert "verify=False" not in path.read_text(encoding="utf-8"), path


def test_no_file_speaks_of_the_machine_it_was_made_on() -> None:
    bad = []
    for folder in ("portal", "templates", "static", "migrations", "tests", "docs", "bench"):
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and path.suffix in (".py", ".html", ".md", ".css", ".js", ".toml", ".ini"):
                text = path.read_text(encoding="utf-8", errors="replace")
                bad += [f"{path.relative_to(ROOT)}: {found}" for found in re.findall(r"/(?:root|home)/\w+", text)]
    assert not bad, bad
