"""The table of all addresses of the portal in docs/architecture.md: the function and the template of each.

`python -m tests.architecture.address_map` writes the table; test_documentation.py compares it with the code.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from flask import Flask
from werkzeug.routing import Rule

from portal import create_app
from portal.config import Settings, derive_secret_key

ROOT = Path(__file__).resolve().parents[2]
ARCHITECTURE = ROOT / "docs" / "architecture.md"
START, END = "<!-- addresses: start -->", "<!-- addresses: end -->"
HEADER = ("| Address | Method | File and function below `portal/` | Template below `templates/` |", "|---|---|---|---|")
Function = tuple[Path, ast.FunctionDef]


def create_plain_app() -> Flask:
    """The portal with its addresses and no more: the database stays empty, Zoom is not set up."""
    key = derive_secret_key("addresses")
    return create_app(
        Settings(
            mode="live",
            secret_key=key,
            encryption_keys=(key,),
            database_url="sqlite://",
            base_url="https://silid.example.ph",
        )
    )


def table_of_code(app: Flask) -> list[str]:
    """The table's lines, by address."""
    rules = sorted(
        (rule for rule in app.url_map.iter_rules() if rule.endpoint != "static"),
        key=lambda rule: (str(rule), _methods(rule)),
    )
    return [*HEADER, *(_line(app, rule) for rule in rules)]


def table_of_document() -> list[str]:
    """The table's lines as docs/architecture.md has them."""
    _before, _, rest = ARCHITECTURE.read_text(encoding="utf-8").partition(START)
    return rest.partition(END)[0].strip().splitlines()


def write_table(app: Flask) -> None:
    """Put the code's table in the place of the document's."""
    before, start, rest = ARCHITECTURE.read_text(encoding="utf-8").partition(START)
    _table, end, after = rest.partition(END)
    assert start and end, f"{ARCHITECTURE} lacks {START} or {END}"
    table = "\n".join(table_of_code(app))
    ARCHITECTURE.write_text(f"{before}{START}\n{table}\n{END}{after}", encoding="utf-8")


def _methods(rule: Rule) -> str:
    return ", ".join(sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}))


def _line(app: Flask, rule: Rule) -> str:
    view = app.view_functions[rule.endpoint]
    path = _path_of_module(view.__module__)
    assert path is not None
    function = _functions_of(path)[view.__name__]
    templates = sorted(set(_templates(path, function, {}, ())))
    answer = ", ".join(f"`{name}`" for name in templates) or (
        "redirect" if _redirects(path, function) else "no template"
    )
    address = str(rule).replace("<uuid:", "<")
    place = path.relative_to(ROOT / "portal").as_posix()
    return f"| `{address}` | {_methods(rule)} | `{place}`: `{view.__name__}` | {answer} |"


def _path_of_module(name: str) -> Path | None:
    path = ROOT / name.replace(".", "/")
    return next((found for found in (path.with_suffix(".py"), path / "__init__.py") if found.exists()), None)


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def _functions_of(path: Path) -> dict[str, ast.FunctionDef]:
    return {node.name: node for node in _tree(path).body if isinstance(node, ast.FunctionDef)}


@cache
def _imports_of(path: Path) -> dict[str, str]:
    """Full names of what a module imports from the portal, by the name that it has there."""
    return {
        alias.asname or alias.name: f"{node.module}.{alias.name}"
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("portal")
        for alias in node.names
    }


def _callee(path: Path, call: ast.Call) -> Function | None:
    """The function called, if it stands in the same module or in another module of the portal."""
    called = ast.unparse(call.func)
    if called in _functions_of(path):
        return path, _functions_of(path)[called]
    first, _, rest = called.partition(".")
    module, _, name = f"{_imports_of(path).get(first, '')}.{rest}".strip(".").rpartition(".")
    other = _path_of_module(module) if module else None
    return (other, _functions_of(other)[name]) if other and name in _functions_of(other) else None


def _is_followed(path: Path, callee: Function) -> bool:
    """Helpers of the same module, and functions elsewhere that render a page for the caller."""
    return callee[0] == path or callee[1].name.startswith(("render_", "show_"))


def _templates(path: Path, function: ast.FunctionDef, texts: dict[str, str], seen: tuple[str, ...]) -> Iterator[str]:
    """Templates that a function names, or a helper that it calls. `texts` are constant arguments by parameter."""
    for node in ast.walk(function):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if re.fullmatch(r"[\w/]+\.html", node.value):
                yield node.value
        elif isinstance(node, ast.JoinedStr):
            name = _filled_in(node, texts)
            if re.fullmatch(r"\w+/[\w/]+\.html", name):
                yield name
        elif isinstance(node, ast.Call):
            callee = _callee(path, node)
            if callee and callee[1].name not in seen and _is_followed(path, callee):
                names = [argument.arg for argument in callee[1].args.args]
                given = {name: arg.value for name, arg in zip(names, node.args, strict=False) if _is_text(arg)}  # type: ignore[attr-defined]
                yield from _templates(*callee, given, (*seen, callee[1].name))


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _filled_in(node: ast.JoinedStr, texts: dict[str, str]) -> str:
    """An f-string with the known parameters filled in; "" if it has others."""
    parts = [
        part.value if isinstance(part, ast.Constant) else texts.get(ast.unparse(part.value), "")  # type: ignore[attr-defined]
        for part in node.values
    ]
    return "".join(parts) if all(parts) else ""


def _redirects(path: Path, function: ast.FunctionDef) -> bool:
    calls = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
    callees = [callee for call in calls if (callee := _callee(path, call)) and callee[0] == path]
    return any(ast.unparse(call.func) == "redirect" for call in calls) or any(
        _redirects(*callee) for callee in callees if callee[1] is not function
    )


if __name__ == "__main__":
    write_table(create_plain_app())
