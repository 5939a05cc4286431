"""The layers and the habits of the code, as tests: what a reviewer would otherwise say twice."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from flask import Flask

ROOT = Path(__file__).resolve().parents[2]
PORTAL = ROOT / "portal"
# From bottom to top. A module may import its own layer and those below it.
LAYERS = [
    "config",
    "core",
    "extensions",
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
    "demo",
    "cli",
    "__init__",
]
SIBLINGS = {"pages": "jobs", "jobs": "pages"}  # of one layer: neither imports the other
# What may import nothing but itself, and what else of ours it may import.
INDEPENDENT: dict[str, set[str]] = {"zoom": set(), "oidc": set(), "sandbox": {"zoom"}, "config": set()}
# Modules of a sub-package that other packages may import from; its other modules are private to it.
PUBLIC_MODULES = {
    "attendance.calculation": {"intervals", "marks", "matching", "stays"},
    "attendance.evidence": {"events", "file_upload", "participants_csv", "zoom_report"},
    "attendance.record": {"routes", "service"},
    "attendance.sheet": {
        "completeness",
        "compute",
        "corrections",
        "evidence_loader",
        "queries",
        "routes",
        "tally",
        "triggers",
    },
    "classes.disclosure": {"routes", "service"},
    "classes.learners": {"enrolments", "forms", "routes"},
    "classes.roster_files": {"corrections", "messages", "reader", "remarks", "rows", "template_csv"},
    "classes.roster_import": {"corrections", "diff", "service", "undo"},
    "classes.teachers": {"routes"},
    "classes.workbook_reader": {"limits", "process"},
    "meetings.scheduling": {
        "bulk_cancel",
        "class_closing",
        "conflicts",
        "duplicate",
        "host_assignment",
        "preview",
        "recurrence",
        "schedules",
    },
    "meetings.school_calendar": {"routes", "service"},
    "meetings.staff_meetings": {"routes", "service"},
    "meetings.zoom_sync": {"desired_state", "events", "sync"},
    "registration.zoom_sync": {"engine", "events"},
    "reports.sf2": {"routes"},
    "accounts.profile": {"routes"},
    "accounts.schools": {"service"},
    "accounts.sign_in": {"lockout", "next_url", "passwords", "routes", "sessions", "totp"},
    "accounts.sso": {"identities", "routes", "service"},
    "accounts.users": {"routes", "service"},
    "zoom.api": {"endpoints", "rate_limit_errors", "rate_limiter", "token_store"},
    "zoom.webhooks": {"events", "probe", "signature"},
}
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
    "health.check_portal_health",
    "information.show_help_page",
    "preferences.choose_language",
    "health.export_prometheus_metrics",
    "information.show_privacy_notice",
    "preferences.choose_theme",
}
NO_CSRF = {"webhooks.receive_webhook"}


@cache
def modules() -> tuple[tuple[Path, ast.Module], ...]:
    return tuple((path, ast.parse(path.read_text(encoding="utf-8"))) for path in sorted(PORTAL.rglob("*.py")))


def imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def layer_of(path: Path) -> str:
    """The package below `portal`, or the name of a module that is in none."""
    return path.relative_to(PORTAL).parts[0].removesuffix(".py")


def ours(name: str) -> str | None:
    """The package of ours that an import leads to, e.g. "meetings"."""
    parts = name.split(".")
    return parts[1] if parts[0] == "portal" and len(parts) > 1 else None


def test_every_module_is_in_a_layer_or_independent() -> None:
    unknown = {layer_of(path) for path, _ in modules()} - set(LAYERS) - set(INDEPENDENT)
    assert not unknown, unknown


def test_imports_only_go_down() -> None:
    bad = []
    for path, tree in modules():
        layer = layer_of(path)
        if layer not in LAYERS or layer == "__init__":
            continue
        for name in imports(tree):
            target = ours(name) or ("__init__" if name == "portal" else "")
            if target not in LAYERS:
                continue
            goes_up = LAYERS.index(target) > LAYERS.index(layer)
            if goes_up or SIBLINGS.get(layer) == target:
                bad.append(f"{path.relative_to(ROOT)} imports {name}")
    assert not bad, bad


@pytest.mark.parametrize("package", sorted(INDEPENDENT))
def test_an_independent_package_imports_nothing_else_of_the_portal(package: str) -> None:
    allowed = {None, package} | INDEPENDENT[package]
    bad = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path, tree in modules()
        if layer_of(path) == package
        for name in imports(tree)
        if ours(name) not in allowed or name == "portal"
    ]
    assert not bad, bad


@pytest.mark.parametrize("package", ["zoom", "oidc"])
def test_the_clients_of_other_services_know_neither_flask_nor_the_database(package: str) -> None:
    bad = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path, tree in modules()
        if layer_of(path) == package
        for name in imports(tree)
        if re.match(r"flask|sqlalchemy|werkzeug", name)
    ]
    assert not bad, bad


def test_private_modules_of_a_sub_package_are_imported_by_it_alone() -> None:
    bad = []
    for path, tree in modules():
        importer = ".".join(path.relative_to(PORTAL).with_suffix("").parts)
        for name in imports(tree):
            package, module = _sub_package_and_module(name)
            is_outside = not importer.startswith(f"{package}.") and importer.split(".")[0] != "__init__"
            is_zoom_itself = package.startswith("zoom.") and importer.startswith("zoom.")
            if package and is_outside and not is_zoom_itself and module not in PUBLIC_MODULES[package]:
                bad.append(f"{path.relative_to(ROOT)} imports {name}")
    assert not bad, bad


def _sub_package_and_module(name: str) -> tuple[str, str]:
    """("attendance.sheet", "compute") of "portal.attendance.sheet.compute.recompute_sheet", else two empty texts."""
    parts = name.split(".")
    package = ".".join(parts[1:3])
    is_module = len(parts) > 3 and (PORTAL.joinpath(*parts[1:3]) / f"{parts[3]}.py").exists()
    return (package, parts[3]) if package in PUBLIC_MODULES and is_module else ("", "")


def test_no_private_name_is_imported() -> None:
    bad = [
        f"{path.relative_to(ROOT)}:{node.lineno} imports {alias.name}"
        for path, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("portal")
        for alias in node.names
        if alias.name.startswith("_")
    ]
    assert not bad, bad


def test_no_modules_import_each_other() -> None:
    """Not in a circle of any length either, nor for their types alone."""
    names = {".".join(("portal", *path.relative_to(PORTAL).with_suffix("").parts)): tree for path, tree in modules()}
    graph = {name: {target for target in imports(tree) if target in names} - {name} for name, tree in names.items()}
    while leaves := {name for name, targets in graph.items() if not targets & graph.keys()}:
        graph = {name: targets for name, targets in graph.items() if name not in leaves}
    assert not graph, {name: sorted(targets & graph.keys()) for name, targets in graph.items()}


def test_importing_a_module_has_no_side_effects() -> None:
    """Module level defines names and puts views on the module's own blueprint; `create_app` does all else."""
    allowed_decorators = re.compile(
        r"(bp|pages|control|api)\.\w+|mark_endpoint_public|limiter\.limit|csrf\.exempt|\w+_limit|api_endpoint"
        r"|dataclass|pass_context|cache|lru_cache|contextmanager|\w+_group\.command|click\.\w+"
    )
    bad = []
    for path, tree in modules():
        for node in tree.body:
            is_call = isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant)
            sets_attribute = isinstance(node, ast.Assign) and any(
                isinstance(target, (ast.Attribute, ast.Subscript)) for target in node.targets
            )
            if is_call or sets_attribute or isinstance(node, (ast.For, ast.While, ast.With)):
                bad.append(f"{path.relative_to(ROOT)}:{node.lineno}")
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                bad += [
                    f"{path.relative_to(ROOT)}:{node.lineno} @{ast.unparse(decorator)}"
                    for decorator in node.decorator_list
                    if not allowed_decorators.fullmatch(ast.unparse(decorator).split("(")[0])
                ]
    assert not bad, bad


def public_definitions() -> Iterator[tuple[str, Path]]:
    """Public functions and classes of module level, with their modules."""
    for path, tree in modules():
        for node in tree.body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
                yield node.name, path


def test_a_public_name_is_in_two_modules_at_most() -> None:
    """A view and the service it calls may share a name."""
    places = defaultdict(set)
    for name, path in public_definitions():
        places[name].add(str(path.relative_to(ROOT)))
    shared = {"index", "new", "edit", "delete", "register"}
    bad = {name: sorted(files) for name, files in places.items() if len(files) > 2 and name not in shared}
    assert not bad, bad


def test_functions_are_called_by_verb_and_object() -> None:
    """One word is for arithmetic, the clock and the names that gettext is known by; five are too many."""
    one_word = {"now", "today", "union", "subtract", "gettext", "ngettext", "N_"}
    long_names = {"repair_release_0_1_0"}  # a version number
    bad = [
        f"{path.relative_to(ROOT)}: {name}"
        for name, path in public_definitions()
        if not name[0].isupper() or name == "N_"
        if (len(name.strip("_").split("_")) == 1 and name not in one_word)
        or (len(name.split("_")) > 4 and name not in long_names)
    ]
    assert not bad, bad


def test_folders_hold_fifteen_files_at_most() -> None:
    sizes: dict[Path, int] = defaultdict(int)
    for path, _ in modules():
        sizes[path.parent] += 1
    assert max(sizes.values()) <= 15, {str(folder): size for folder, size in sizes.items() if size > 15}


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
    """Services change rows inside `write_transaction()`; nobody commits by hand."""
    bad = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path, tree in modules()
        if path != PORTAL / "core" / "db" / "__init__.py" and layer_of(path) != "sandbox"
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "commit"
    ]
    assert not bad, bad


WRITING_CALLS = ("write_transaction", "insert", "update", "delete")


def test_routes_and_queries_do_not_change_rows() -> None:
    bad = []
    for path, tree in modules():
        if not re.fullmatch(r"(\w+_)?(routes|queries|access|forms)\.py|\w+_page\.py", path.name):
            continue
        bad += [
            f"{path.relative_to(ROOT)}:{node.lineno}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Call)
            and (
                (
                    isinstance(node.func, ast.Name)
                    and node.func.id in ("write_transaction", "insert", "update", "delete")
                )
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
        if path != PORTAL / "core" / "clock.py" and layer_of(path) not in ("zoom", "sandbox")
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
