"""Names: parted, joined, shown and folded."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.classes.lis_names import (
    EXTENSIONS,
    LisName,
    display_name_parts,
    fold_name,
    lis_name,
    name_tokens,
    split_lis_name,
)


@pytest.mark.parametrize(
    ("raw", "parts"),
    [
        ("ABAD,JUSTINE KYLE, MANGAOANG", ("ABAD", "JUSTINE KYLE", "MANGAOANG", "")),
        ("CLASS,FIRST, JR MIDDLE", ("CLASS", "FIRST", "MIDDLE", "JR")),
        ("CLASS,FIRST, III DE LA CRUZ", ("CLASS", "FIRST", "DE LA CRUZ", "III")),
        ("CLASS,FIRST, V DE LA CRUZ", ("CLASS", "FIRST", "DE LA CRUZ", "V")),
        ("CORPUZ,EMMANUEL JR., AGUSTIN", ("CORPUZ", "EMMANUEL", "AGUSTIN", "JR")),
        ("CORPUZ, EMMANUEL, JR, AGUSTIN", ("CORPUZ", "EMMANUEL", "AGUSTIN", "JR")),
        ("CORPUZ,EMMANUEL, JR -", ("CORPUZ", "EMMANUEL", "", "JR")),
        ("CORPUZ,EMMANUEL, JR", ("CORPUZ", "EMMANUEL", "", "JR")),
        ("CABANILLA,RENZ MARION, -", ("CABANILLA", "RENZ MARION", "", "")),
        ("REYES, ANA MARIE CRUZ", ("REYES", "ANA MARIE CRUZ", "", "")),
        ("REYES, ANA V.", ("REYES", "ANA V.", "", "")),
        ("REYES,ANA, V.", ("REYES", "ANA", "V.", "")),
        ("REYES, JUAN SR", ("REYES", "JUAN", "", "SR")),
        ("MOTHER,FIRST,MIDDLE,", ("MOTHER", "FIRST", "MIDDLE", "")),
        ("STA. ANA,MA. ROSE, DELA PEÑA", ("STA. ANA", "MA. ROSE", "DELA PEÑA", "")),
        ("JR", ("JR", "", "", "")),
        ("", ("", "", "", "")),
        (",", ("", "", "", "")),
        ("  MUN\u0303OZ ,  JOSE\n LUIS ,  ", ("MUÑOZ", "JOSE LUIS", "", "")),
    ],
)
def test_a_lis_name_is_parted(raw, parts):
    assert split_lis_name(raw) == LisName(*parts)


_words = st.lists(
    st.text(string.ascii_uppercase + "ÑÉ", min_size=2, max_size=9).filter(lambda word: word not in EXTENSIONS),
    min_size=1,
    max_size=3,
).map(" ".join)


@given(st.builds(LisName, _words, _words, st.one_of(st.just(""), _words), st.sampled_from(["", *sorted(EXTENSIONS)])))
def test_a_name_joined_and_parted_is_the_same_name(name):
    assert split_lis_name(lis_name(name.last, name.first, name.middle, name.extension)) == name


@given(st.text(max_size=60))
def test_any_text_can_be_parted_and_its_parts_hold_no_outer_space(text):
    name = split_lis_name(text)
    assert all(part == part.strip() for part in (name.last, name.first, name.middle))
    assert name.extension in {"", *EXTENSIONS}


def test_the_surname_is_shown_apart():
    assert display_name_parts(split_lis_name("CORPUZ,EMMANUEL, JR AGUSTIN")) == ("CORPUZ", "EMMANUEL JR., AGUSTIN")
    assert display_name_parts(split_lis_name("CABANILLA,RENZ, -")) == ("CABANILLA", "RENZ")
    assert display_name_parts(split_lis_name("REYES,ANA, III CRUZ")) == ("REYES", "ANA III, CRUZ")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Peña", "PENA"),
        ("PEN\u0303A", "Peña"),
        ("Ma. Cristina", "MARIA CRISTINA"),
        ("STA. ANA", "Santa Ana"),
        ("STO. DOMINGO", "SANTO DOMINGO"),
        ("DELA CRUZ", "De La Cruz"),
        ("DELOS REYES", "DE LOS REYES"),
        ("Dela Cruz-Villanueva", "DE LA CRUZ VILLANUEVA"),
        ("🌸 Ana ✨ Reyes 🌸", "ANA REYES"),
        ("8-Jadeite | REYES, Ana", "8 jadeite reyes ana"),
        ("Emmanuel Jr.", "EMMANUEL JR"),
        ("D'Angelo", "D’ANGELO"),
        ("𝓙𝓾𝓪𝓷", "Juan"),
        ("Ana\u200b\u200d", "ANA"),
    ],
)
def test_names_that_people_write_in_many_ways_fold_to_one(one, other):
    assert fold_name(one) == fold_name(other)
    assert fold_name(one)


def test_a_father_and_his_junior_do_not_fold_to_one():
    assert name_tokens("REYES, JUAN, JR CRUZ") == ("REYES", "JUAN", "JR", "CRUZ")
    assert fold_name("Juan Reyes") != fold_name("Juan Reyes Jr.")


@given(st.text(max_size=60))
def test_folding_twice_changes_nothing(text):
    assert fold_name(fold_name(text)) == fold_name(text)
