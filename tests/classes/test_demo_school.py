"""The made-up school that demo, samples and tests share."""

import unicodedata

from portal.demo.school_data import (
    EMERALD,
    JADEITE,
    PEOPLE,
    SAPPHIRE,
    SCHOOL,
    SECTIONS,
    SIGN_INS,
)


def in_lis_order(learner):
    name = unicodedata.normalize("NFKD", learner.lis_name)
    return "".join(sign for sign in name if not unicodedata.combining(sign)).split(",")


def test_sections_have_their_sizes():
    assert [len(section.learners) for section in SECTIONS] == [48, 46, 45]
    assert (len(JADEITE.of_sex("M")), len(JADEITE.of_sex("F"))) == (26, 22)
    assert [section.title for section in (SAPPHIRE, EMERALD)] == ["Grade 8 - Sapphire", "Grade 8 - Emerald"]


def test_learners_stand_in_lis_order_with_lrns_of_their_own():
    learners = [learner for section in SECTIONS for learner in section.learners]
    assert len({learner.lrn for learner in learners}) == len(learners)
    assert all(len(learner.lrn) == 12 and learner.lrn.startswith("3001232") for learner in learners)
    for section in SECTIONS:
        for sex in ("M", "F"):
            block = section.of_sex(sex)
            assert list(block) == sorted(block, key=in_lis_order)
        assert section.learners == section.of_sex("M") + section.of_sex("F")


def test_names_try_what_real_names_try():
    names = {learner.lis_name for learner in JADEITE.learners}
    assert {"BAUTISTA,PRINCE JOSHUA, GALANG", "BAUTISTA,PRINCESS JOYCE, GALANG"} <= names  # twins
    assert any("Ñ" in name for name in names)
    assert any(learner.extension == "JR" for learner in JADEITE.learners)
    assert any(not learner.middle for learner in JADEITE.learners)


def test_everybody_signs_in_with_an_address_of_the_allowed_domain():
    assert SCHOOL.deped_id == "300123"
    assert {person.email for person in PEOPLE} == {email for _, email, _ in SIGN_INS}
    assert all(person.email.isascii() and person.email.endswith("@r1.deped.gov.ph") for person in PEOPLE)
