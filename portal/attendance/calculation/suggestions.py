"""Suggestions for an unmatched participant: likely learners with the reasons, for a person to confirm.

Nothing here credits attendance. The scores only rank the suggestions.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from portal.attendance.calculation.matching import ConfirmedAlias, RosterLearner
from portal.attendance.codes import SuggestionReason
from portal.classes.lis_names import fold_name, name_tokens, split_lis_name

MAX_SUGGESTIONS = 3
_STRONG, _FAIR = 80, 50

_EXTENSIONS = frozenset({"JR", "SR", "II", "III", "IV"})
_GRADE = re.compile(r"G(?:R|RADE)?[0-9]{1,2}")  # "G8"; "Grade 8" comes as two words
_GRADE_WORDS = frozenset({"G", "GR", "GRADE", "SECTION", "SEC"})
_NUMBER = re.compile(r"[0-9]{1,3}")
_SHORTEST_NICKNAME = 3
_LONG_ENOUGH_FOR_A_TYPO = 5


@dataclass(frozen=True)
class MatchSuggestion:
    """A learner and the reasons, as `SuggestionReason` codes.

    `seen`: the learner is already matched to another stay of this sheet.
    """

    learner_id: str
    why: tuple[str, ...]
    strength: Literal["strong", "fair", "weak"]
    seen: bool


@dataclass(frozen=True)
class _TokenisedLearner:
    """A learner's name, tokenised. `seat` is the number on the roster, from 1."""

    learner_id: str
    last: tuple[str, ...]
    first: tuple[str, ...]
    middle: tuple[str, ...]
    seat: int


@dataclass(frozen=True)
class _TokenisedName:
    """A displayed name, tokenised, without numbers and grade."""

    words: tuple[str, ...]
    numbers: tuple[int, ...]
    has_grade: bool


@dataclass(frozen=True)
class _Score:
    points: int
    why: tuple[str, ...]


class MatchSuggester:
    """Ranks the learners of one class for displayed names; the roster is in the order of the sheet."""

    def __init__(
        self,
        roster: Sequence[RosterLearner],
        *,
        section: str = "",
        aliases: Iterable[ConfirmedAlias] = (),
        elsewhere: Iterable[ConfirmedAlias] = (),
    ) -> None:
        """`section` as people write it ("8-Jadeite"); `aliases` of this class, `elsewhere` of its learners' other
        classes."""
        self._learners = [_tokenise_learner(learner, seat) for seat, learner in enumerate(roster, start=1)]
        self._section = frozenset(name_tokens(section))
        self._alias_codes = {
            (fold_name(alias.folded_name), learner_id): code
            for code, source in ((SuggestionReason.OTHER_CLASS_ALIAS, elsewhere), (SuggestionReason.ALIAS, aliases))
            for alias in source
            for learner_id in alias.learner_ids
        }

    def suggest(self, names: Iterable[str], seen: Collection[str] = ()) -> tuple[MatchSuggestion, ...]:
        """At most three learners for a participant displayed under `names`.

        Strong resemblance comes before fair and weak; within each, learners in `seen` come last.
        """
        best: dict[str, _Score] = {}
        for name in sorted(set(names)):
            tokenised = self._tokenise_name(name)
            for learner in self._learners:
                score = self._compare(name, tokenised, learner)
                if score and score.points > best.get(learner.learner_id, _Score(0, ())).points:
                    best[learner.learner_id] = score
        ranked = sorted(best.items(), key=lambda item: _rank(item[0], item[1], seen))
        return tuple(
            MatchSuggestion(learner_id, score.why, _strength(score.points), learner_id in seen)
            for learner_id, score in ranked[:MAX_SUGGESTIONS]
        )

    def _tokenise_name(self, name: str) -> _TokenisedName:
        words: list[str] = []
        numbers: list[int] = []
        has_grade = False
        folded = name_tokens(name)
        for previous, word in zip(("", *folded), folded, strict=False):
            is_number = _NUMBER.fullmatch(word) is not None
            if _GRADE.fullmatch(word) or (is_number and (previous in _GRADE_WORDS or word in self._section)):
                has_grade = True
            elif is_number:
                numbers.append(int(word))
            elif word not in _EXTENSIONS:
                words.append(word)
        if has_grade:
            words = [word for word in words if word not in _GRADE_WORDS]
        return _TokenisedName(tuple(words), tuple(numbers), has_grade)

    def _compare(self, name: str, tokenised: _TokenisedName, learner: _TokenisedLearner) -> _Score | None:
        learner_words = {*learner.last, *learner.first, *learner.middle}
        words = [word for word in tokenised.words if word in learner_words or word not in self._section]
        has_section_prefix = tokenised.has_grade or len(words) < len(tokenised.words)
        points, reasons = self._score_name(words, learner)
        if code := self._alias_codes.get((fold_name(name), learner.learner_id)):
            points, reasons = 95, [code]
        if points:
            points -= min(10, 2 * sum(1 for word in words if word not in learner_words))
            points += 3 if _middle_agrees(words, learner) else 0
        if learner.seat in tokenised.numbers and (points or not words):
            points = points + 6 if points else 40
            reasons.append(SuggestionReason.SEAT_NUMBER)
        if points and has_section_prefix:
            reasons.append(SuggestionReason.SECTION_PREFIX)
        return _Score(points, tuple(reasons)) if points > 0 else None

    def _score_name(self, words: list[str], learner: _TokenisedLearner) -> tuple[int, list[str]]:
        position = _find_consecutive(words, learner.last)
        if position is not None:
            other_words = words[:position] + words[position + len(learner.last) :]
            return _score_given_names(
                other_words, learner, surname_leads=_surname_leads(position, other_words, words, learner)
            )
        return self._score_without_surname(words, learner)

    def _score_without_surname(self, words: list[str], learner: _TokenisedLearner) -> tuple[int, list[str]]:
        shared = {word for word in words if word in learner.first}
        if shared:
            if any(_is_typo("".join(learner.last), word) for word in words):
                return 82, [SuggestionReason.NEARLY_THE_SAME_NAME]
            if any(len(word) == 1 and learner.last and word == learner.last[0][0] for word in words):
                return 70, [SuggestionReason.INITIAL]
            if sum(shared <= set(other_learner.first) for other_learner in self._learners) == 1:
                return 55, [SuggestionReason.ONLY_ONE_WITH_THAT_FIRST_NAME]
            return 0, []
        nicknames = {word for word in words if any(_is_short_form(word, first) for first in learner.first)}
        holders = [
            other_learner
            for other_learner in self._learners
            if any(_is_short_form(word, first) or word == first for word in nicknames for first in other_learner.first)
        ]
        return (50, [SuggestionReason.SHORT_NAME]) if nicknames and len(holders) == 1 else (0, [])


def _tokenise_learner(learner: RosterLearner, seat: int) -> _TokenisedLearner:
    name = split_lis_name(learner.name)
    given_names = tuple(word for word in name_tokens(name.first) if word not in _EXTENSIONS)
    return _TokenisedLearner(learner.learner_id, name_tokens(name.last), given_names, name_tokens(name.middle), seat)


def _score_given_names(
    other_words: list[str], learner: _TokenisedLearner, *, surname_leads: bool
) -> tuple[int, list[str]]:
    """Score of the words other than the surname against the given names."""
    order_code = SuggestionReason.SURNAME_FIRST if surname_leads else SuggestionReason.SAME_NAME
    shared = {word for word in other_words if word in learner.first}
    if shared:
        return (100 if shared == set(learner.first) else 92 if learner.first[0] in shared else 84), [order_code]
    if any(_is_short_form(word, first) for word in other_words for first in learner.first):
        return 80, [SuggestionReason.SHORT_NAME]
    if any(_is_typo(word, first) for word in other_words for first in learner.first):
        return 82, [SuggestionReason.NEARLY_THE_SAME_NAME]
    if learner.first and any(word == learner.first[0][0] for word in other_words):
        return 72, [SuggestionReason.INITIAL]
    # Possibly a parent's or a sibling's device.
    return (38 if other_words else 45), [SuggestionReason.SAME_SURNAME]


def _surname_leads(surname_position: int, other_words: list[str], words: list[str], learner: _TokenisedLearner) -> bool:
    given_positions = [words.index(word) for word in other_words if word in learner.first]
    return bool(given_positions) and surname_position < min(given_positions)


def _middle_agrees(words: list[str], learner: _TokenisedLearner) -> bool:
    if not learner.middle:
        return False
    return learner.middle[0] in words or learner.middle[0][0] in words


def _find_consecutive(words: Sequence[str], part: Sequence[str]) -> int | None:
    """The position of `part` in `words` as consecutive words; None if absent."""
    if not part:
        return None
    positions = range(len(words) - len(part) + 1)
    return next(
        (position for position in positions if list(words[position : position + len(part)]) == list(part)), None
    )


def _is_short_form(word: str, name: str) -> bool:
    return _SHORTEST_NICKNAME <= len(word) < len(name) and name.startswith(word)


def _is_typo(first: str, second: str) -> bool:
    """True for a typo: letter inserted, deleted, replaced, or two neighbours swapped, in words of 5 or more letters."""
    if first == second or min(len(first), len(second)) < _LONG_ENOUGH_FOR_A_TYPO:
        return False
    short, long = sorted((first, second), key=len)
    if len(long) - len(short) > 1:
        return False
    first_difference = next((index for index, letter in enumerate(short) if letter != long[index]), len(short))
    if len(short) < len(long):
        return short[first_difference:] == long[first_difference + 1 :]
    swapped = (
        short[first_difference + 1 : first_difference + 2] + short[first_difference : first_difference + 1]
        == long[first_difference : first_difference + 2]
    )
    return short[first_difference + 1 :] == long[first_difference + 1 :] or (
        swapped and short[first_difference + 2 :] == long[first_difference + 2 :]
    )


def _strength(points: int) -> Literal["strong", "fair", "weak"]:
    if points >= _STRONG:
        return "strong"
    return "fair" if points >= _FAIR else "weak"


def _rank(learner_id: str, score: _Score, seen: Collection[str]) -> tuple[int, bool, int, str]:
    tier = ("strong", "fair", "weak").index(_strength(score.points))
    return tier, learner_id in seen, -score.points, learner_id
