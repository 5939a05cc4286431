"""Suggestions read names as learners here type them; they are only ever suggestions."""

import pytest

from portal.attendance.calculation.suggestions import MatchSuggester


def first_of(morning, name, seen=(), **knowledge):
    found = MatchSuggester(morning.roster, section="8-Jadeite", **knowledge).suggest([name], seen)
    return (found[0].learner_id, found[0].why) if found else None


@pytest.mark.parametrize(
    ("name", "learner", "why"),
    [
        ("Maria Santos", "L1", ("same_name",)),
        ("maria c. santos", "L1", ("same_name",)),
        ("SANTOS, MARIA", "L1", ("surname_first",)),
        ("G8 SANTOS, MARIA", "L1", ("surname_first", "section_prefix")),
        ("SANTOS, MARIA Grade 8 - Jadeite", "L1", ("surname_first", "section_prefix")),
        ("8-Jadeite Dela Cruz Juan", "L2", ("surname_first", "section_prefix")),
        ("JUAN MIGUEL DE LA CRUZ", "L2", ("same_name",)),
        ("Miguel Delacruz", None, None),
        ("Maria Teresa Pena", "L3", ("same_name",)),
        ("Ma. Teresa Peña 😀", "L3", ("same_name",)),
        ("3 Peña Ma. Teresa", "L3", ("surname_first", "seat_number")),
        ("Christine Bautista", "L4", ("nearly_the_same_name",)),
        ("Mark S.", "L5", ("initial",)),
        ("Santa Ana Jose", "L6", ("surname_first",)),
        ("STA ANA J", "L6", ("initial",)),
        ("Angel", "L7", ("only_one_with_that_first_name",)),
        ("Bene", "L8", ("short_name",)),
        ("Ben Reyes", "L8", ("short_name",)),
        ("5", "L5", ("seat_number",)),
        ("Nanay ni Pena", "L3", ("same_surname",)),
    ],
)
def test_a_name_as_typed_points_to_its_learner(morning, name, learner, why):
    found = first_of(morning, name)
    if learner is None:
        assert found is None or found[1] != ("same_name",)
    else:
        assert found == (learner, why)


@pytest.mark.parametrize("name", ["OPPO A5s", "", "😀", "Juana Dela Rosa", "Lola Ising", "8-Jadeite", "99"])
def test_nothing_is_suggested_for_nothing(morning, name):
    assert first_of(morning, name) is None


def test_of_two_of_one_surname_the_one_not_seen_comes_first(morning):
    assert first_of(morning, "Mrs Reyes", seen={"L7"}) == ("L8", ("same_surname",))
    assert first_of(morning, "Mrs Reyes", seen={"L8"}) == ("L7", ("same_surname",))


def test_a_full_name_comes_before_a_weaker_resemblance_though_its_learner_was_seen(morning):
    found = MatchSuggester(morning.roster).suggest(["Maria Santos"], seen={"L1"})
    assert [(one.learner_id, one.seen) for one in found] == [("L1", True), ("L5", False)]


def test_there_are_at_most_three(morning):
    namesakes = tuple(
        type(line)(f"N{n}", frozenset(), None, "SANTOS,MARIA, CRUZ") for n, line in enumerate(morning.roster)
    )
    assert [one.learner_id for one in MatchSuggester(namesakes).suggest(["Maria Santos"])] == ["N0", "N1", "N2"]


def test_a_name_remembered_in_another_class_is_a_suggestion(morning):
    elsewhere = (morning.alias("IPHONE NI ATE", "L6"),)
    assert first_of(morning, "iPhone ni Ate", elsewhere=elsewhere) == ("L6", ("other_class_alias",))


def test_a_remembered_name_that_was_not_clear_enough_to_credit_is_a_suggestion(morning):
    assert first_of(morning, "Ate", aliases=(morning.alias("ATE", "L6"),)) == ("L6", ("alias",))


def test_all_names_that_a_person_used_are_considered(morning):
    found = MatchSuggester(morning.roster).suggest(["OPPO A5s", "Jose Sta. Ana"])
    assert [one.learner_id for one in found] == ["L6"]


def test_a_section_that_is_also_a_surname_hides_nobody(morning):
    found = MatchSuggester(morning.roster, section="8 - Reyes").suggest(["8-Reyes Angel Reyes"])
    assert (found[0].learner_id, found[0].strength) == ("L7", "strong")
