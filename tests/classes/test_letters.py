"""Letters of names: the encodings that spreadsheet programs write, and text that was broken before."""

import pytest

from portal.classes.grade_levels import normalise_grade_level
from portal.classes.roster_files.reader import RosterFileError, parse_roster_file

HEADER = "LRN,LastName,FirstName,MiddleName,Extension,Sex"
NAMES = "DE LA PEÑA|Peña|PEñA|José|García|GARCÍA|Ibañez|Muñoz|Güell|Añonuevo|Verónica|D'Angelo|Núñez|Manglal-lan|Ma."


def table(last, first="ANA", lrn="300123230008", middle="IGNACIO"):
    return f"{HEADER}\n{lrn},{last},{first},{middle},,F\n"


def read(data):
    [row] = parse_roster_file(data, "roster.csv").rows
    return row


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252", "mac_roman", "cp850"]
)
@pytest.mark.parametrize("name", NAMES.split("|"))
def test_a_name_is_read_rightly_in_every_encoding(encoding, name):
    row = read(table(name).encode(encoding))
    assert (row.last_name, row.problems) == (name.upper(), ())


def encodable(text, encoding):
    try:
        return bool(text.encode(encoding))
    except UnicodeEncodeError:
        return False


HARD_NAMES = ["JOSÉ", "JESÚS", "RAÚL", "Luís", "Ñonito", "Óscar", "MÜLLER", "É", "d’Angelo", "Ana’s"]
ONE_BYTE = ("cp1252", "mac_roman", "cp850", "cp437")


@pytest.mark.parametrize(("name", "encoding"), [(n, e) for n in HARD_NAMES for e in ONE_BYTE if encodable(n, e)])
def test_a_name_is_read_rightly_or_the_line_is_named(name, encoding):
    try:
        outcome = read(table("CRUZ", name).encode(encoding)).first_name
    except RosterFileError as refused:
        outcome = (refused.code, refused.params["line"])
    assert outcome in (name.upper().replace("’", "'"), ("encoding", "2"))


@pytest.mark.parametrize(
    "name", ["ŁUKASIEWICZ", "MÜLLER", "GROß", "O'BRIEN", "STO. DOMINGO", "MANGLAL-LAN", "NGUYỄN", "D’ANGELO"]
)
def test_latin_letters_with_their_marks_are_names(name):
    row = read(table(name).encode())
    assert (row.last_name, row.problems) == (name.replace("’", "'"), ())


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("PeÃ±a", "name_broken"), ("PEÃ‘A", "name_broken"), ("GARCÃ\u00adA", "name_broken"), ("ÃšBEDA", "name_broken"),
        ("Pe√±a", "name_broken"), ("Pe├▒a", "name_broken"), ("PEÃƒâ€˜A", "name_broken"), ("PE\ufffdA", "name_broken"),
        ("PE¥A", "name_sign"), ("PE?A", "name_sign"), ("PEÑA*", "name_sign"), ("PENA1", "name_sign"),
        ("PEÑA (P)", "name_sign"),
        ("ПЕТРОВ", "name_sign"), ("ANA🌸", "name_sign"), ("=1+1", "name_sign"), ("A/B", "name_sign"),
        ("\uff30\uff25\uff2e\uff21", "name_sign"),
        ("-", "name_half"), ("A" * 201, "cell_long"), ("Z\u0301\u0302\u0303\u0304", "name_sign"),
    ],
)  # fmt: skip
def test_everything_else_stops_the_row(name, code):
    assert code in {problem.code for problem in read(table(name).encode()).problems}


UNSEEN = ["\u00a0", "\u200b", "\ufeff", "\u00ad", "\u202a", "\u202c", "\u200e", "\u2060"]


@pytest.mark.parametrize("sign", UNSEEN, ids=lambda sign: f"{ord(sign):04x}")
def test_signs_that_nobody_sees_go(sign):
    text = f"{HEADER},Email\n{sign}300123230008{sign},{sign}CRUZ,ANA{sign},-,,F,{sign}ana@r1.deped.gov.ph{sign}\n"
    row = read(text.encode())
    assert (row.lrn, row.lis_name, row.email) == ("300123230008", "CRUZ,ANA, -", "ana@r1.deped.gov.ph")


@pytest.mark.parametrize(
    "lrn",
    [
        '="300123230001"', '"=""300123230001"""', "=300123230001", "300123230001.0", "300123230001.00",
        "3.00123230001E+11",
        "3.00123230001e11", '"300,123,230,001"', "'300123230001", "`300123230001", "3001-2323-0001", "300123230001 ",
    ],
)  # fmt: skip
def test_an_lrn_with_all_its_digits_is_read(lrn):
    assert read(table("CRUZ", lrn=lrn).encode()).lrn == "300123230001"


@pytest.mark.parametrize(
    ("lrn", "code"),
    [
        ("3.00123E+11", "lrn_scientific"), ("3.0012323E+11", "lrn_scientific"), ("3E11", "lrn_scientific"),
        ("300123230001.5", "lrn_letters"), ("30012323000", "lrn_length"), ("3001232300011", "lrn_length"),
        ("1" * 201, "cell_long"),
    ],
)  # fmt: skip
def test_an_lrn_with_lost_digits_is_refused(lrn, code):
    row = read(table("CRUZ", lrn=lrn).encode())
    assert (row.lrn, [problem.code for problem in row.problems]) == (None, [code])


@pytest.mark.parametrize(
    ("written", "grade"),
    [
        ("8", "Grade 8"), ("Gr. 8", "Grade 8"), ("gr 8", "Grade 8"), ("G8", "Grade 8"), ("VIII", "Grade 8"),
        ("Grade VIII", "Grade 8"),
        ("Grade 8 (Year II)", "Grade 8"), ("8 (Year II)", "Grade 8"), ("GRADE 12", "Grade 12"), ("xii", "Grade 12"),
        ("Grades 1 and 2", "Grade 1 & 2"), ("Grade 1 & 2", "Grade 1 & 2"), ("Kinder", "Kindergarten"), ("SNED", "SNED"),
        ("ALS", "ALS"), ("13", "13"), ("0", "0"), ("", ""), ("Gabay", "Gabay"), ("Grade 11 - STEM", "Grade 11"),
    ],
)  # fmt: skip
def test_a_grade_as_people_write_it(written, grade):
    assert normalise_grade_level(written) == grade
