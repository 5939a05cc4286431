"""Every problem has a sentence that says where, what and what to do."""

import ast
import re
from pathlib import Path

import pytest
from flask import Flask
from flask_babel import Babel

from portal.classes.roster_files import messages as roster_files_messages
from portal.classes.roster_files.messages import SENTENCES, problem_message
from portal.classes.roster_files.rows import RosterFileError, RowProblem

CLASSES = Path(roster_files_messages.__file__).parents[1]
SOURCES = sorted((*CLASSES.glob("roster_*/*.py"), *CLASSES.glob("workbook_reader/*.py")))


@pytest.fixture(autouse=True)
def in_english():
    app = Flask("words")
    Babel(app)
    with app.test_request_context():
        yield


def codes_with_params():
    """Code and parameter names of each problem that the package can report, read from its source."""
    found = {}
    for source in SOURCES:
        for call in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and (code := _code(call)):
                found.setdefault(code, set()).update(_params(call))
    return found


def _code(call):
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    place = {"RowProblem": 2, "problem": 1, "warn": 1, "RosterFileError": 0, "WorkbookRefused": 0}.get(name)
    if place is None or len(call.args) <= place:
        return None
    code = call.args[place]
    return code.value if isinstance(code, ast.Constant) and isinstance(code.value, str) else None


def _params(call):
    given = {keyword.arg for keyword in call.keywords}
    for argument in call.args:
        if isinstance(argument, ast.Dict):
            given |= {key.value for key in argument.keys}
    return given


def test_every_code_has_a_sentence_and_every_sentence_a_code():
    assert set(codes_with_params()) == set(SENTENCES)


@pytest.mark.parametrize("code", sorted(SENTENCES))
def test_a_sentence_is_a_calm_one(code):
    sentence = SENTENCES[code]
    assert sentence[0].isupper() or sentence[0] in "%“"
    assert sentence.endswith(".")
    assert "!" not in sentence
    assert not re.search(r"\b(please|oops|sorry|error|invalid)\b", sentence, re.IGNORECASE)


def test_a_problem_names_row_column_and_remedy():
    problem = RowProblem(30, "LRN", "lrn_scientific", {"value": "1.36425E+11"})
    assert problem_message(problem) == (
        "Row 30, LRN: 1.36425E+11 is an LRN that Excel shortened, and its last digits are lost. "
        "Format the column as text and type the LRN again."
    )


def test_a_problem_without_column_names_the_row():
    assert problem_message(RowProblem(4, None, "cells_extra", {"expected": "6"})).startswith(
        "Row 4: There are more cells"
    )


def test_a_file_that_cannot_be_read_is_told_in_one_sentence():
    assert problem_message(RosterFileError("too_large", limit="5")).startswith("The file is over 5 MB")


def test_a_percent_sign_in_a_cell_does_no_harm():
    assert "100%s" in problem_message(RowProblem(2, "SEX", "sex_unknown", {"value": "100%s"}))


@pytest.mark.parametrize("code", sorted(SENTENCES))
def test_every_sentence_finds_the_values_it_names(code):
    params = dict.fromkeys(codes_with_params()[code] - {"row", "column"}, "7") | (
        {"column": "LRN"} if code == "column_twice" else {}
    )
    assert "%(" not in problem_message(RosterFileError(code, **params))
