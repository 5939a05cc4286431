"""What the roster tests share: School Form 1 built on demand, and a reader that spells out problems."""

import importlib.util
import io
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import openpyxl
import pytest

from portal.classes.roster_files.reader import RosterFile, RosterFileError, parse_roster_file
from tests.people import People, name_in_letters

FIXTURES = Path(__file__).parents[1] / "fixtures"


def _load(name: str) -> ModuleType:
    """A module of the fixtures folder, which is no package."""
    spec = importlib.util.spec_from_file_location(name, FIXTURES / f"{name}.py")
    module = sys.modules.setdefault(name, importlib.util.module_from_spec(spec))
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def names_in_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Learners are made with names that a roster file may have."""
    monkeypatch.setattr(People, "surname", staticmethod(name_in_letters))


@pytest.fixture(scope="session")
def sf1() -> ModuleType:
    """The builder: `sf1.build(section, spoil={"A12": "..."})`."""
    return _load("build_sf1")


@pytest.fixture
def said() -> Callable[[RosterFile], list[tuple[int | None, str | None, str]]]:
    """All problems of a roster as (row, column, code)."""

    def spell_out(roster: RosterFile) -> list[tuple[int | None, str | None, str]]:
        found = [*roster.problems, *(problem for row in roster.rows for problem in row.problems)]
        return [(problem.row, problem.column, problem.code) for problem in found]

    return spell_out


@pytest.fixture
def refusal() -> Callable[..., str]:
    """The code with which an upload is refused."""

    def read(data: bytes, filename: str = "roster.xls") -> str:
        with pytest.raises(RosterFileError) as refused:
            parse_roster_file(data, filename)
        return refused.value.code

    return read


@pytest.fixture
def workbook() -> Callable[[list[list[object]]], bytes]:
    """An `.xlsx` with these rows on its first sheet."""

    def build(rows: list[list[object]]) -> bytes:
        book = openpyxl.Workbook()
        for row in rows:
            book.active.append(row)
        kept = io.BytesIO()
        book.save(kept)
        return kept.getvalue()

    return build
