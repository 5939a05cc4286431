"""The table of cases names tests that are there."""

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CASES = ROOT / "docs" / "cases.md"
ROW = re.compile(r"^\| (?P<case>[ZWMAUP]\d{2}(?:-[ZWMAUP]\d{2})?) \| (?P<what>[^|]+) \| (?P<tests>[^|]+) \|$")


def rows() -> dict[str, list[tuple[str, str]]]:
    """Each case with its tests, as (file below tests, name)."""
    found: dict[str, list[tuple[str, str]]] = {}
    for line in CASES.read_text(encoding="utf-8").splitlines():
        if row := ROW.match(line):
            assert row["case"] not in found, f"{row['case']} has two rows"
            found[row["case"]] = re.findall(r"`([\w/]+\.py)::(\w+)`", row["tests"])
        else:
            assert not re.match(r"\| [A-Z]\d", line), f"this row cannot be read: {line}"
    return found


@cache
def named_in(name: str) -> frozenset[str]:
    tree = ast.parse((ROOT / "tests" / name).read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def test_every_case_names_a_test_that_is_there() -> None:
    missing = [
        f"{case}: {name}::{test}"
        for case, tests in rows().items()
        for name, test in tests
        if not (ROOT / "tests" / name).exists() or test not in named_in(name)
    ]
    assert not missing, missing
    assert all(rows().values()), [case for case, tests in rows().items() if not tests]


def test_no_case_was_lost_from_the_table() -> None:
    kinds = [case[0] for case in rows()]
    assert {kind: kinds.count(kind) for kind in "ZWMAUP"} == {"Z": 27, "W": 39, "M": 17, "A": 36, "U": 13, "P": 8}
