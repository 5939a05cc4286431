"""docs/architecture.md says what the code says: addresses, states, and the names of files and functions."""

import ast
import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from functools import cache
from pathlib import Path

import pytest

from portal.attendance.states import SHEET_TRANSITIONS
from portal.jobs.worker import JOBS
from portal.meetings.states import MEETING_TRANSITIONS, OCCURRENCE_TRANSITIONS
from portal.registration.states import REGISTRANT_TRANSITIONS
from tests.architecture.address_map import ARCHITECTURE, create_plain_app, table_of_code, table_of_document
from tests.architecture.test_layers import LAYERS, PORTAL

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [
    "README.md",
    "SECURITY.md",
    "CONTRIBUTING.md",
    *(f"docs/{name}.md" for name in ("architecture", "decisions", "privacy")),
]
NAMED = re.compile(r"`((?:[\w]+/)*[\w]+\.py)`:((?:,?\s+`\w+`)+)")
FILE = re.compile(r"`((?:[\w.-]+/)+[\w.-]*)`")
STATES: dict[str, Mapping[StrEnum, frozenset[StrEnum]]] = {
    "A meeting": MEETING_TRANSITIONS,  # type: ignore[dict-item]  # a StrEnum of its own each
    "A class date": OCCURRENCE_TRANSITIONS,  # type: ignore[dict-item]
    "A registrant": REGISTRANT_TRANSITIONS,  # type: ignore[dict-item]
    "A sheet": SHEET_TRANSITIONS,  # type: ignore[dict-item]
}


def text_of(document: str) -> str:
    return (ROOT / document).read_text(encoding="utf-8")


def chapter(title: str) -> str:
    """The text below a heading, up to the next one."""
    found = re.search(
        rf"^#+ {re.escape(title)}\n(.*?)(?=^#+ |\Z)", text_of("docs/architecture.md"), re.DOTALL | re.MULTILINE
    )
    assert found, f"{ARCHITECTURE} has no heading {title}"
    return found[1]


def rows(title: str) -> list[list[str]]:
    """The cells of a chapter's table, without its head."""
    lines = [line for line in chapter(title).splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_table_of_addresses_is_that_of_the_code() -> None:
    code, document = table_of_code(create_plain_app()), table_of_document()
    missing = [line for line in code if line not in document]
    surplus = [line for line in document if line not in code]
    assert (missing, surplus) == ([], []), "run `python -m tests.architecture.address_map`"
    assert document == code, "the lines are in another order: run `python -m tests.architecture.address_map`"


@pytest.mark.parametrize("title", STATES)
def test_the_table_of_a_states_transitions_is_that_of_the_code(title: str) -> None:
    table = {cells[0].strip("`"): set(re.findall(r"`(\w+)`", cells[2])) for cells in rows(title)}
    assert table == {str(state): {str(one) for one in to} for state, to in STATES[title].items()}


@pytest.mark.parametrize("title", STATES)
def test_the_diagram_of_a_states_transitions_is_that_of_the_code(title: str) -> None:
    arrows = re.findall(r"^ +(\w+) --> (\w+)$", chapter(title), re.MULTILINE)
    assert sorted(arrows) == sorted((str(state), str(one)) for state, to in STATES[title].items() for one in to)
    last = re.findall(r"^ +(\w+) --> \[\*\]$", chapter(title), re.MULTILINE)
    assert last == [str(state) for state, to in STATES[title].items() if not to]


def test_the_layers_are_those_of_the_test() -> None:
    assert [cells[0].strip("`") for cells in rows("Layers")] == [
        layer for layer in LAYERS if (PORTAL / layer).is_dir() and layer != "demo"
    ]


def test_the_jobs_are_those_of_the_worker() -> None:
    seconds = {"s": 1, "min": 60, "h": 3600}

    def interval(text: str) -> float:
        number, unit = text.split()
        return float(number) * seconds[unit]

    table = [(job.strip("`"), interval(every)) for job, every, _does in rows("Background work")]
    assert table == [(job.topic, job.every) for job in JOBS]


@cache
def names_in(path: Path) -> frozenset[str]:
    """Functions, classes, methods, constants and fields that a module defines."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    names = {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    targets = [target for node in nodes if isinstance(node, ast.Assign) for target in node.targets]
    targets += [node.target for node in nodes if isinstance(node, ast.AnnAssign)]
    flat = [one for target in targets for one in (target.elts if isinstance(target, ast.Tuple) else [target])]
    return frozenset(names | {target.id for target in flat if isinstance(target, ast.Name)})


def place_of(name: str) -> Path | None:
    """A file or folder by its path in the repository, or below portal/, templates/ or tests/."""
    return next((path for base in ("", "portal", "templates", "tests") if (path := ROOT / base / name).exists()), None)


def wrong_names(text: str) -> Iterator[str]:
    for file, names in NAMED.findall(text):
        path = place_of(file)
        if path is None:
            yield file
        else:
            yield from (f"{file}: {name}" for name in re.findall(r"`(\w+)`", names) if name not in names_in(path))
    yield from (name for name in FILE.findall(text) if place_of(name) is None)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_files_and_functions_that_are_named_are_there(document: str) -> None:
    assert list(wrong_names(text_of(document))) == []


def test_the_rule_about_names_finds_what_it_should() -> None:
    wrong = (
        "`jobs/worker.py`: `JOBS`, `no_such_job`, then `core/clocks.py`: `now` and `portal/nothing/`, not `tests/web/`"
    )
    assert list(wrong_names(wrong)) == [
        "jobs/worker.py: no_such_job",
        "core/clocks.py",
        "core/clocks.py",
        "portal/nothing/",
    ]


def test_every_variable_that_is_read_stands_in_the_example_of_settings() -> None:
    read: set[str] = set()
    for path in (ROOT / "portal" / "config.py", ROOT / "portal" / "demo" / "settings.py"):
        source = path.read_text(encoding="utf-8")
        read |= set(re.findall(r"""(?:env\.\w+\(|\benv, )"([A-Z][A-Z_]+)\"""", source))
    listed = set(re.findall(r"^([A-Z_]+)=", text_of(".env.example"), re.MULTILINE))
    assert (read - listed, listed - read) == (set(), set())


@pytest.mark.parametrize("document", ["README.md", "SECURITY.md", "docs/privacy.md"])
def test_a_command_that_is_named_is_there(document: str) -> None:
    commands = create_plain_app().cli.commands
    named = re.findall(r"flask (?:--app app )?([a-z]+)(?: ([a-z-]+))?", text_of(document))
    assert named
    for group, command in named:
        assert group in commands, group
        below = getattr(commands[group], "commands", None)
        assert below is None or command in below, f"{group} {command}"
