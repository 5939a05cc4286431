"""School Form 1 as the LIS exports it, and workbooks in its likeness."""

import json
from datetime import date

import pytest

from portal.classes.roster_files.reader import (
    RosterFileError,
    parse_roster_file,
    roster_file_from_json,
    roster_file_to_json,
)
from portal.demo.school_data import EMERALD, JADEITE, SECTIONS

FILENAME = "SF1_2026_Grade 8 (Year II) - JADEITE.xls"


@pytest.fixture
def jadeite(sf1):
    return parse_roster_file(sf1.build(JADEITE), FILENAME)


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.name)
def test_it_reads_every_learner_as_the_lis_prints_them(sf1, section):
    roster = parse_roster_file(sf1.build(section), FILENAME)
    assert roster.ok
    assert roster.warnings == ()
    assert [(row.lrn, row.lis_name, row.sex) for row in roster.rows] == [
        (learner.lrn, learner.lis_name, learner.sex) for learner in section.learners
    ]


def test_it_goes_on_after_the_total_of_the_males(jadeite):
    assert [row.sex for row in jadeite.rows] == ["M"] * 26 + ["F"] * 22
    assert (jadeite.male_tally, jadeite.female_tally) == (26, 22)
    assert (jadeite.rows[25].row, jadeite.rows[26].row) == (32, 34)


def test_it_reads_the_heading_by_its_labels(jadeite):
    assert (jadeite.source, jadeite.school_id, jadeite.school_year) == ("sf1", "300123", "2026-2027")
    assert (jadeite.school_name, jadeite.grade_level) == ("San Nicolas National High School", "Grade 8")
    assert jadeite.section == "JADEITE"


def test_it_parts_the_names(jadeite):
    parts = {row.lis_name: (row.last_name, row.first_name, row.middle_name, row.extension) for row in jadeite.rows}
    assert parts["CORPUZ,EMMANUEL, JR AGUSTIN"] == ("CORPUZ", "EMMANUEL", "AGUSTIN", "JR")
    assert parts["CABANILLA,RENZ MARION, -"] == ("CABANILLA", "RENZ MARION", "", "")
    assert parts["IBAÑEZ,CARLO MIGUEL, PERALTA"][0] == "IBAÑEZ"
    assert parts["DE LOS REYES,KARL VINCENT, STA. MARIA"][2] == "STA. MARIA"


def test_it_keeps_remarks_as_code_and_date_and_drops_those_on_welfare_and_health(jadeite):
    remarks = {row.row: (row.remark_code, row.remark_date) for row in jadeite.rows if row.remark_code}
    assert remarks == {
        9: ("T/I", date(2026, 6, 8)),
        17: ("LE", date(2026, 6, 22)),
        23: ("T/I", date(2026, 7, 1)),
    }
    kept = json.dumps(roster_file_to_json(jadeite))
    assert "CCT" not in kept
    assert "SNED" not in kept


def test_it_keeps_nothing_of_religion_family_address_or_birth(sf1, jadeite):
    kept = json.dumps(roster_file_to_json(jadeite), ensure_ascii=False)
    assert "ABAD,JUSTINE KYLE, MANGAOANG" in kept
    for value in set(sf1.NEVER_KEPT.values()) - {"13 "}:  # the age is part of many an LRN
        assert value not in kept
    for word in ("Marked", "MARKED", "0900-000", "03-09-2013", "birth", "religion", "Region I"):
        assert word not in kept


def test_it_comes_back_from_json_as_it_was(jadeite):
    assert roster_file_from_json(json.loads(json.dumps(roster_file_to_json(jadeite)))) == jadeite


def test_columns_may_stand_elsewhere(sf1):
    roster = parse_roster_file(sf1.build(EMERALD, shift=3), FILENAME)
    assert roster.ok
    assert len(roster.rows) == 45
    assert roster.rows[2].remark_code == "T/I"


def test_a_teachers_own_workbook_with_other_places_is_read_by_its_labels(workbook):
    rows = [
        [],
        [None, "School Form 1"],
        [None, None, None, "School ID:", 300123, "Region", "I"],
        [],
        [
            None,
            None,
            "Name of School",
            None,
            "San Nicolas NHS",
            None,
            "Grade Level",
            "Grade 8",
            "Section",
            "Jadeite",
        ],
        ["No.", "LRN", "NAME", "SEX", "REMARKS"],
        [None, None, "(Last Name, First Name, Middle Name)"],
        [1, "300123210001", "ABAD,JUSTINE KYLE, MANGAOANG", "M", None],
        [1, 300123210027, "ACOSTA,PRINCESS MAE, LAZO", "F", None],
    ]
    roster = parse_roster_file(workbook(rows), "my class.xlsx")
    assert roster.ok
    assert (roster.school_id, roster.school_name, roster.section) == ("300123", "San Nicolas NHS", "Jadeite")
    assert [(row.row, row.lrn, row.sex) for row in roster.rows] == [
        (8, "300123210001", "M"),
        (9, "300123210027", "F"),
    ]
    assert [warning.code for warning in roster.warnings] == ["totals_missing"]


def test_the_sex_comes_from_the_block_when_the_column_is_blank(sf1):
    roster = parse_roster_file(sf1.build(JADEITE, spoil={"G7": "", "G34": ""}), FILENAME)
    assert roster.ok
    assert (roster.rows[0].sex, roster.rows[26].sex) == ("M", "F")


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        ({"A12": "1.36425E+11"}, (12, "LRN", "lrn_scientific")),
        ({"A12": "30012321000"}, (12, "LRN", "lrn_length")),
        ({"A12": 30012321000.0}, (12, "LRN", "lrn_length")),
        ({"A12": "30012321000O"}, (12, "LRN", "lrn_letters")),
        ({"A12": ""}, (12, "LRN", "lrn_missing")),
        ({"A12": "300123210001"}, (12, "LRN", "lrn_twice")),
        ({"C12": ""}, (12, "NAME", "name_missing")),
        ({"C12": "RENZ MARION CABANILLA"}, (12, "NAME", "name_comma")),
        ({"C12": "CABANILLA,"}, (12, "NAME", "name_half")),
        ({"C12": "CABANILLA," + "X" * 150}, (12, "NAME", "name_long")),
        ({"C12": "CABANILLA," + "X" * 200}, (12, "NAME", "cell_long")),
        ({"G12": "X"}, (12, "SEX", "sex_unknown")),
        ({"G12": "F"}, (12, "SEX", "sex_conflict")),
        ({"A33": 27.0}, (33, "TOTAL MALE", "total_differs")),
        ({"A56": 21.0}, (56, "TOTAL FEMALE", "total_differs")),
        ({"A57": 47.0}, (57, "COMBINED", "total_differs")),
    ],
)
def test_one_spoiled_cell_is_named_by_row_and_column_and_blocks_the_file(sf1, said, spoil, problem):
    roster = parse_roster_file(sf1.build(JADEITE, spoil=spoil), FILENAME)
    assert said(roster) == [problem]
    assert not roster.ok
    assert len(roster.rows) == 48


def test_a_row_that_vanished_shows_in_the_totals(sf1, said):
    roster = parse_roster_file(sf1.build(JADEITE, spoil={"A12": "", "C12": "", "G12": ""}), FILENAME)
    assert said(roster) == [(33, "TOTAL MALE", "total_differs"), (57, "COMBINED", "total_differs")]
    assert roster.problems[0].params == {"stated": "26", "found": "25"}


def test_an_lrn_twice_names_both_rows(sf1):
    roster = parse_roster_file(sf1.build(JADEITE, spoil={"A40": "300123210001"}), FILENAME)
    [problem] = [problem for row in roster.rows for problem in row.problems]
    assert (problem.row, problem.params["first"]) == (40, "7")


def test_an_lrn_stored_as_a_number_is_read_whole(sf1):
    roster = parse_roster_file(sf1.build(JADEITE, spoil={"A12": 136425140001.0}), FILENAME)
    assert roster.rows[5].lrn == "136425140001"


@pytest.mark.parametrize("spoil", [{"AS12": "Pending TI "}, {"AE4": "KINDERGARTEN"}])
def test_a_learner_whose_lrn_is_pending_is_kept_with_a_warning(sf1, spoil):
    roster = parse_roster_file(sf1.build(JADEITE, spoil={"A12": "", **spoil}), FILENAME)
    assert roster.ok
    assert roster.rows[5].lrn is None
    assert [warning.code for warning in roster.rows[5].warnings] == ["lrn_pending"]


def test_the_same_name_with_another_lrn_is_pointed_out_and_does_not_block(sf1):
    roster = parse_roster_file(sf1.build(JADEITE, spoil={"C9": "Abad,Justine Kyle, Mangaoang"}), FILENAME)
    assert roster.ok
    assert [(warning.code, warning.params) for warning in roster.rows[2].warnings] == [("name_twice", {"first": "7"})]


def test_text_between_the_learners_is_passed_over_and_said(sf1):
    roster = parse_roster_file(
        sf1.build(JADEITE, totals=False, spoil={"A55": "", "C55": "NOTHING FOLLOWS", "G55": ""}), ""
    )
    assert {warning.code for warning in roster.warnings} == {"row_ignored", "totals_missing"}


def test_an_impossible_date_in_a_remark_is_left_out_and_said(sf1):
    roster = parse_roster_file(sf1.build(JADEITE, spoil={"AS12": "T/O DATE:2026-02-30"}), FILENAME)
    assert (roster.rows[5].remark_code, roster.rows[5].remark_date) == ("T/O", None)
    assert [warning.code for warning in roster.rows[5].warnings] == ["remark_date"]


def test_a_section_of_females_alone_is_read(sf1):
    females = JADEITE.of_sex("F")
    roster = parse_roster_file(sf1.build(JADEITE, learners=females), FILENAME)
    assert roster.ok
    assert (roster.male_tally, roster.female_tally, len(roster.rows)) == (0, 22, 22)


def test_without_the_total_of_the_males_the_column_still_tells_the_sex(sf1):
    roster = parse_roster_file(sf1.build(JADEITE, spoil={"A33": "", "C33": ""}), FILENAME)
    assert roster.ok
    assert sum(row.sex == "M" for row in roster.rows) == 26


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("Grade 8 (Year ", "Grade 8"),
        ("GRADE 11", "Grade 11"),
        ("Grade 1 & 2", "Grade 1 & 2"),
        ("Kinder", "Kindergarten"),
        ("SNED", "SNED"),
        ("", None),
    ],
)
def test_the_grade_survives_being_cut_off(sf1, written, read):
    assert parse_roster_file(sf1.build(JADEITE, spoil={"AE4": written}), FILENAME).grade_level == read


def test_a_sheet_without_an_lrn_column_is_refused(sf1):
    with pytest.raises(RosterFileError, match="header_missing"):
        parse_roster_file(sf1.build(JADEITE, spoil={"A5": "No."}), FILENAME)


def test_a_form_without_learners_is_refused(sf1):
    with pytest.raises(RosterFileError, match="no_learners"):
        parse_roster_file(sf1.build(JADEITE, learners=()), FILENAME)


def test_the_sample_that_the_demo_offers_is_what_the_builder_makes(sf1):
    sample = sf1.ROOT / "static" / "samples" / sf1.SAMPLE
    assert parse_roster_file(sample.read_bytes(), sample.name) == parse_roster_file(sf1.build(EMERALD), "")
