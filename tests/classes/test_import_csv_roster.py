"""The CSV template, pasted tables, and the template's columns in a workbook."""

import codecs
import itertools

import pytest

from portal.classes.roster_files.reader import parse_roster_file, roster_csv_template
from portal.demo.school_data import JADEITE, sample_roster_csv

HEADER = "LRN,LastName,FirstName,MiddleName,Extension,Sex"
ROWS = (
    "136425140001,Muñoz,José,De Peña,Jr.,M",
    "036425140002,Ibañez,Ma. Renée,-,,F",
)


def table(*rows, header=HEADER, delimiter=",", end="\n"):
    return end.join((header, *rows, "")).replace(",", delimiter)


ENCODINGS = {
    "utf-8": lambda text: text.encode(),
    "utf-8 with mark": lambda text: text.encode("utf-8-sig"),
    "utf-16": lambda text: text.encode("utf-16"),
    "utf-16 big endian": lambda text: codecs.BOM_UTF16_BE + text.encode("utf-16-be"),
    "utf-16 without mark": lambda text: text.encode("utf-16-le"),
    "windows-1252": lambda text: text.encode("cp1252"),
}


@pytest.mark.parametrize(
    ("encoding", "end", "delimiter"),
    [*itertools.product(ENCODINGS, ("\n", "\r\n", "\r"), (",", ";", "\t"))],
)
def test_every_encoding_line_end_and_delimiter_reads_the_same(encoding, end, delimiter):
    roster = parse_roster_file(ENCODINGS[encoding](table(*ROWS, delimiter=delimiter, end=end)), "roster.csv")
    assert roster.ok
    assert [(row.row, row.lrn, row.lis_name, row.sex) for row in roster.rows] == [
        (2, "136425140001", "MUÑOZ,JOSÉ, JR DE PEÑA", "M"),
        (3, "036425140002", "IBAÑEZ,MA. RENÉE, -", "F"),
    ]


def test_the_filled_in_template_is_read_whole():
    roster = parse_roster_file(sample_roster_csv(JADEITE).encode("utf-8-sig"), "jadeite.csv")
    assert roster.ok
    assert [(row.lrn, row.lis_name, row.sex) for row in roster.rows] == [
        (learner.lrn, learner.lis_name, learner.sex) for learner in JADEITE.learners
    ]


def test_the_template_begins_with_the_documented_columns():
    assert roster_csv_template().startswith(HEADER + ",")


def test_columns_may_come_in_any_order_and_case_with_others_between():
    text = table("f,SECRET,Ana,300123210001,Abad", header="SEX,Religion,first name,lrn,LAST_NAME")
    [row] = parse_roster_file(text.encode(), "roster.csv").rows
    assert (row.lrn, row.lis_name, row.sex) == ("300123210001", "ABAD,ANA, -", "F")


def test_a_pasted_table_is_read():
    text = "LRN\tNAME\tSex\n300123210001\tABAD,JUSTINE KYLE, MANGAOANG\tM\n"
    [row] = parse_roster_file(text.encode(), "pasted.tsv").rows
    assert (row.last_name, row.first_name, row.middle_name) == ("ABAD", "JUSTINE KYLE", "MANGAOANG")


def test_the_template_filled_in_in_excel_is_read(workbook):
    rows = [HEADER.split(","), [300123210001, "Abad", "Justine Kyle", "Mangaoang", None, "M"]]
    roster = parse_roster_file(workbook(rows), "roster.xlsx")
    assert roster.ok
    assert (roster.source, roster.rows[0].row, roster.rows[0].lrn) == ("csv", 2, "300123210001")


def test_an_extension_after_the_given_names_is_found():
    [row] = parse_roster_file(table("300123210001,Corpuz,Emmanuel Jr.,Agustin,,M").encode(), "a.csv").rows
    assert (row.first_name, row.extension, row.lis_name) == ("EMMANUEL", "JR", "CORPUZ,EMMANUEL, JR AGUSTIN")


def test_addresses_and_remarks_are_optional_columns():
    header = f"{HEADER},Email,Remarks"
    text = table("300123210001,Abad,Ana,,,F, Ana.Abad@R1.deped.gov.ph ,T/I DATE:2026-06-08", header=header)
    [row] = parse_roster_file(text.encode(), "a.csv").rows
    assert (row.email, row.remark_code) == ("Ana.Abad@R1.deped.gov.ph", "T/I")


def test_a_pending_remark_excuses_a_blank_lrn():
    text = table(",Abad,Ana,,,F,Pending TI", header=f"{HEADER},Remarks")
    roster = parse_roster_file(text.encode(), "a.csv")
    assert roster.ok
    assert roster.rows[0].lrn is None


def test_formulas_stay_text():
    [row] = parse_roster_file(table('300123210001,=1+1,"=HYPERLINK(""x"")",,,M').encode(), "a.csv").rows
    assert (row.last_name, row.first_name) == ("=1+1", '=HYPERLINK("X")')


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("1.36425E+11,Abad,Ana,,,F", (31, "LRN", "lrn_scientific")),
        ("136425140E01,Abad,Ana,,,F", (31, "LRN", "lrn_scientific")),
        ("30012321000,Abad,Ana,,,F", (31, "LRN", "lrn_length")),
        ("٣٠٠١٢٣٢١٠٠٠١,Abad,Ana,,,F", (31, "LRN", "lrn_letters")),
        (",Abad,Ana,,,F", (31, "LRN", "lrn_missing")),
        ("300123219999,,Ana,,,F", (31, "LASTNAME", "name_missing")),
        ("300123219999,Abad,,,,F", (31, "FIRSTNAME", "name_missing")),
        ('300123219999,"Abad, Jr",Ana,,,F', (31, "NAME", "name_comma_inside")),
        ("300123219999,Abad,Ana,,Esq,F", (31, "EXTENSION", "extension_unknown")),
        ("300123219999,Abad,Ana,,,", (31, "SEX", "sex_missing")),
        ("300123219999,Abad,Ana,,,Q", (31, "SEX", "sex_unknown")),
        ("300123210005,Abad,Ana,,,F", (31, "LRN", "lrn_twice")),
        ("300123219999,Abad,Ana,,,F,oops", (31, None, "cells_extra")),
        (f"300123219999,Abad,{'A' * 150},,,F", (31, "NAME", "name_long")),
    ],
)
def test_the_thirtieth_of_forty_five_rows_is_named_when_it_is_bad(said, row, problem):
    rows = [f"3001232100{n:02},Abad {chr(65 + n % 26)}{chr(65 + n // 26)},Ana,,,F" for n in range(1, 46)]
    rows[29] = row
    roster = parse_roster_file(table(*rows).encode(), "roster.csv")
    assert said(roster) == [problem]
    assert not roster.ok
    assert len(roster.rows) == 45


@pytest.mark.parametrize("lrn", ["136425140001", "1364-2514-0001", "'136425140001", " 136425140001 ", "136425140001.0"])
def test_an_lrn_may_be_written_with_what_excel_and_people_add(lrn):
    [row] = parse_roster_file(table(f"{lrn},Abad,Ana,,,F").encode(), "a.csv").rows
    assert row.lrn == "136425140001"


def test_rows_are_numbered_by_the_line_they_begin_on():
    roster = parse_roster_file(table('300123210001,"Abad","Ana\nMaria",,,F', "", "bad,Cruz,Eva,,,F").encode(), "a.csv")
    assert [row.row for row in roster.rows] == [2, 5]
    assert roster.rows[0].first_name == "ANA MARIA"


def test_the_line_that_tells_excel_the_delimiter_is_passed_over():
    text = "sep=;\n" + table(*ROWS, delimiter=";")
    assert len(parse_roster_file(text.encode(), "a.csv").rows) == 2


def test_an_unknown_encoding_names_the_line(refusal):
    data = table(*ROWS).encode("cp1252").replace(b"De Pe", b"De P\x81")
    assert refusal(data, "a.csv") == "encoding"
    with pytest.raises(Exception, match="encoding") as refused:
        parse_roster_file(data, "a.csv")
    assert refused.value.params == {"line": "2"}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "empty"),
        (" \r\n\t\n", "empty"),
        (HEADER, "no_learners"),
        ("LRN,LastName,Sex\n1,2,3\n", "columns_missing"),
        ("LastName,FirstName,Sex\nAbad,Ana,F\n", "columns_missing"),
        ("Just a letter to a friend.\nHello.\n", "columns_missing"),
        (HEADER + ",lrn\n1,2,3,4,5,M,1\n", "column_twice"),
        (HEADER + '\n300123210001,"Abad,Ana,,,F\n', "csv_quotes"),
        (HEADER + '\n300123210001,"Abad"x,Ana,,,F\n', "csv_quotes"),
        (HEADER + "\n" + "1,a,b,c,,M\n" * 5_100, "sheet_size"),
        (",".join(["LRN"] + ["x"] * 260) + "\n", "sheet_size"),
    ],
)
def test_text_that_is_no_roster_is_refused(refusal, text, code):
    assert refusal(text.encode(), "roster.csv") == code
