"""Every pinned package is imported, or needed by one that is, and everything imported is pinned."""

import ast
import re
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
NOT_IMPORTED = {"psycopg", "psycopg-binary", "redis"}  # named in DATABASE_URL and REDIS_URL
OLDEST = {"extra": "", "python_version": "3.11", "python_full_version": "3.11.0"}  # what pyproject.toml asks for
TOOLS = {"bandit", "djlint", "mypy", "pytest-xdist", "ruff", "types-requests"}  # run by the Makefile


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned(file: str) -> set[str]:
    lines = (ROOT / file).read_text().splitlines()
    return {canonical(line.split("==")[0]) for line in lines if "==" in line}


def imported(*places: str) -> set[str]:
    """The packages that the Python files of these places import."""
    files = [
        file for place in places for file in ([ROOT / place] if place[-3:] == ".py" else (ROOT / place).rglob("*.py"))
    ]
    modules: set[str] = set()
    for node in (node for file in files for node in ast.walk(ast.parse(file.read_text()))):
        if isinstance(node, ast.Import):
            modules |= {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            modules.add(node.module.split(".")[0])
    packages = packages_distributions()
    return {canonical(name) for module in modules - sys.stdlib_module_names for name in packages.get(module, ())}


def with_their_needs(names: Iterable[str]) -> set[str]:
    """These packages and all that they require here, and what those require."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        try:
            needs = [Requirement(text) for text in requires(name) or ()]
        except PackageNotFoundError:  # an optional one
            continue
        waiting += [canonical(one.name) for one in needs if not one.marker or one.marker.evaluate(OLDEST)]
    return found


RUN = imported("portal", "migrations", "app.py", "gunicorn.conf.py")
TESTS = imported("tests", "bench")


@pytest.mark.parametrize(
    ("file", "direct"),
    [("requirements.txt", RUN | NOT_IMPORTED), ("requirements-dev.txt", RUN | NOT_IMPORTED | TESTS | TOOLS)],
)
def test_no_pin_is_unused(file: str, direct: set[str]) -> None:
    assert pinned(file) - with_their_needs(direct) == set()


def test_everything_imported_is_pinned() -> None:
    assert RUN - pinned("requirements.txt") == set()
    assert TESTS - pinned("requirements.txt") - pinned("requirements-dev.txt") == set()
