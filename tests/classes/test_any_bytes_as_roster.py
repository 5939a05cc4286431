"""Whatever is uploaded, it is read or refused: nothing else happens."""

import io
import zipfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portal.classes.roster_files.reader import (
    RosterFileError,
    parse_roster_file,
    roster_file_from_json,
    roster_file_to_json,
)
from portal.demo.school_data import JADEITE, sample_roster_csv
from tests.examples import count_examples

NAMES = st.sampled_from(["SF1.xls", "roster.xlsx", "roster.csv", "pasted.tsv", "", "no.suffix"])
HEADS = st.sampled_from([b"", b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"\xff\xfe", b"\xef\xbb\xbf"])
CHANGES = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=12)
quick = settings(
    max_examples=count_examples(60),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def read_or_refuse(data, filename):
    try:
        roster = parse_roster_file(data, filename)
    except RosterFileError:
        return
    assert roster_file_from_json(roster_file_to_json(roster)) == roster


def changed(data, changes):
    spoiled = bytearray(data)
    for where, value in changes:
        spoiled[int(where * len(spoiled))] = value
    return bytes(spoiled)


@pytest.fixture(scope="module")
def small_xls(sf1):
    return sf1.build(JADEITE, learners=JADEITE.learners[:3])


@quick
@given(HEADS, st.binary(max_size=2_000), NAMES)
def test_random_bytes(head, rest, filename):
    read_or_refuse(head + rest, filename)


@quick
@given(st.text(max_size=500), st.sampled_from(["utf-8", "utf-16", "cp1252"]))
def test_random_text(text, encoding):
    header = "LRN,LastName,FirstName,MiddleName,Extension,Sex,Email,Remarks\n"
    read_or_refuse((header + text).encode(encoding, "replace"), "roster.csv")


@quick
@given(CHANGES)
def test_a_template_with_a_few_bytes_changed(changes):
    read_or_refuse(changed(sample_roster_csv(JADEITE).encode(), changes), "roster.csv")


@quick
@given(changes=CHANGES)
def test_a_school_form_with_a_few_bytes_changed(small_xls, changes):
    read_or_refuse(changed(small_xls, changes), "SF1.xls")


@quick
@given(where=st.floats(0, 1))
def test_a_school_form_cut_short(small_xls, where):
    read_or_refuse(small_xls[: int(where * len(small_xls))], "SF1.xls")


@quick
@given(changes=CHANGES, inside=st.booleans())
def test_a_workbook_with_a_few_bytes_changed(workbook, changes, inside):
    data = workbook([["LRN", "NAME", "SEX"], ["300123210001", "ABAD,ANA, LAZO", "F"]])
    read_or_refuse(_changed_inside(data, changes) if inside else changed(data, changes), "roster.xlsx")


def _changed_inside(data, changes):
    """The same archive with bytes of its sheet changed, so that the change gets past the checksums."""
    kept = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(kept, "w") as new:
        for entry in old.infolist():
            content = old.read(entry)
            spoil = entry.filename.startswith("xl/") and entry.filename.endswith(".xml")
            new.writestr(entry.filename, changed(content, changes) if spoil else content)
    return kept.getvalue()
