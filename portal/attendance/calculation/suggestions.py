"""Whom an unmatched participant may be: likely learners with the reasons, for a person to confirm.

Nothing here credits anybody. The scores only put suggestions in order.
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
    """A learner and why: codes such as "same name", "surname first", "seat number".

    `seen` says that the learner is already matched to another stay of this sheet.
    """

    learner_id: str
    why: tuple[str, ...]
    strength: Literal["strong", "fair", "weak"]
    seen: bool


@dataclass(frozen=True)
class _Known:
    """A learner's name in comparable words. `seat` is the place on the roster, from 1."""

    learner_id: str
    last: tuple[str, ...]
    first: tuple[str, ...]
    middle: tuple[str, ...]
    seat: int


@dataclass(frozen=True)
class _Shown:
    """A displayed name in comparable words, with numbers and grade taken out."""

    words: tuple[str, ...]
    numbers: tuple[int, ...]
    has_grade: bool


@dataclass(frozen=True)
class _Score:
    points: int
    why: tuple[str, ...]


class MatchSuggester:
    """Knows one class's roster, in the order of its sheet, and ranks its learners for displayed names."""

    def __init__(
        self,
        roster: Sequence[RosterLearner],
        *,
        section: str = "",
        aliases: Iterable[ConfirmedAlias] = (),
        elsewhere: Iterable[ConfirmedAlias] = (),
    ) -> None:
        """`section` as people write it ("8-Jadeite"); `aliases` of this class, `elsewhere` of the other
        classes of its learners."""
        self._known = [_know(line, seat) for seat, line in enumerate(roster, start=1)]
        self._section = frozenset(name_tokens(section))
        self._remembered = {
            (fold_name(alias.folded_name), learner_id): code
            for code, source in ((SuggestionReason.OTHER_CLASS_ALIAS, elsewhere), ("alias", aliases))
            for alias in source
            for learner_id in alias.learner_ids
        }

    def suggest(self, names: Iterable[str], seen: Collection[str] = ()) -> tuple[MatchSuggestion, ...]:
        """At most three learners for a participant shown under `names`.

        Strong resemblance comes before fair and weak; within each, learners in `seen` come last.
        """
        best: dict[str, _Score] = {}
        for name in sorted(set(names)):
            shown = self._read(name)
            for context in self._known:
                score = self._compare(name, shown, context)
                if score and score.points > best.get(context.learner_id, _Score(0, ())).points:
                    best[context.learner_id] = score
        ranked = sorted(best.items(), key=lambda item: _rank(item[0], item[1], seen))
        return tuple(
            MatchSuggestion(learner_id, score.why, _strength(score.points), learner_id in seen)
            for learner_id, score in ranked[:MAX_SUGGESTIONS]
        )

    def _read(self, name: str) -> _Shown:
        words: list[str] = []
        numbers: list[int] = []
        has_grade = False
        folded = name_tokens(name)
        for before, word in zip(("", *folded), folded, strict=False):
            is_number = _NUMBER.fullmatch(word) is not None
            if _GRADE.fullmatch(word) or (is_number and (before in _GRADE_WORDS or word in self._section)):
                has_grade = True
            elif is_number:
                numbers.append(int(word))
            elif word not in _EXTENSIONS:
                words.append(word)
        if has_grade:
            words = [word for word in words if word not in _GRADE_WORDS]
        return _Shown(tuple(words), tuple(numbers), has_grade)

    def _compare(self, name: str, shown: _Shown, context: _Known) -> _Score | None:
        own = {*context.last, *context.first, *context.middle}
        words = [word for word in shown.words if word in own or word not in self._section]
        prefixed = shown.has_grade or len(words) < len(shown.words)
        points, why = self._resemblance(words, context)
        if code := self._remembered.get((fold_name(name), context.learner_id)):
            points, why = 95, [code]
        if points:
            points -= min(10, 2 * sum(1 for word in words if word not in own))
            points += 3 if _middle_agrees(words, context) else 0
        if context.seat in shown.numbers and (points or not words):
            points = points + 6 if points else 40
            why.append(SuggestionReason.SEAT_NUMBER)
        if points and prefixed:
            why.append(SuggestionReason.SECTION_PREFIX)
        return _Score(points, tuple(why)) if points > 0 else None

    def _resemblance(self, words: list[str], context: _Known) -> tuple[int, list[str]]:
        at = _run(words, context.last)
        if at is not None:
            others = words[:at] + words[at + len(context.last) :]
            return _given_names(others, context, surname_leads=_leads(at, others, words, context))
        return self._without_surname(words, context)

    def _without_surname(self, words: list[str], context: _Known) -> tuple[int, list[str]]:
        shared = {word for word in words if word in context.first}
        if shared:
            if any(_nearly("".join(context.last), word) for word in words):
                return 82, [SuggestionReason.NEARLY_THE_SAME_NAME]
            if any(len(word) == 1 and context.last and word == context.last[0][0] for word in words):
                return 70, ["initial"]
            if sum(shared <= set(other.first) for other in self._known) == 1:
                return 55, [SuggestionReason.ONLY_ONE_WITH_THAT_FIRST_NAME]
            return 0, []
        nicknames = {word for word in words if any(_shortens(word, first) for first in context.first)}
        holders = [
            other
            for other in self._known
            if any(_shortens(word, first) or word == first for word in nicknames for first in other.first)
        ]
        return (50, [SuggestionReason.SHORT_NAME]) if nicknames and len(holders) == 1 else (0, [])


def _know(line: RosterLearner, seat: int) -> _Known:
    name = split_lis_name(line.name)
    given = tuple(word for word in name_tokens(name.first) if word not in _EXTENSIONS)
    return _Known(line.learner_id, name_tokens(name.last), given, name_tokens(name.middle), seat)


def _given_names(others: list[str], context: _Known, *, surname_leads: bool) -> tuple[int, list[str]]:
    """How well the words beside the surname fit the given names."""
    order = SuggestionReason.SURNAME_FIRST if surname_leads else SuggestionReason.SAME_NAME
    shared = {word for word in others if word in context.first}
    if shared:
        return (100 if shared == set(context.first) else 92 if context.first[0] in shared else 84), [order]
    if any(_shortens(word, first) for word in others for first in context.first):
        return 80, [SuggestionReason.SHORT_NAME]
    if any(_nearly(word, first) for word in others for first in context.first):
        return 82, [SuggestionReason.NEARLY_THE_SAME_NAME]
    if context.first and any(word == context.first[0][0] for word in others):
        return 72, ["initial"]
    # Perhaps a parent's or a sibling's device.
    return (38 if others else 45), [SuggestionReason.SAME_SURNAME]


def _leads(at: int, others: list[str], words: list[str], context: _Known) -> bool:
    given = [words.index(word) for word in others if word in context.first]
    return bool(given) and at < min(given)


def _middle_agrees(words: list[str], context: _Known) -> bool:
    if not context.middle:
        return False
    return context.middle[0] in words or context.middle[0][0] in words


def _run(words: Sequence[str], part: Sequence[str]) -> int | None:
    """Where `part` stands in `words` as a run; None if nowhere."""
    if not part:
        return None
    places = range(len(words) - len(part) + 1)
    return next((at for at in places if list(words[at : at + len(part)]) == list(part)), None)


def _shortens(word: str, name: str) -> bool:
    return _SHORTEST_NICKNAME <= len(word) < len(name) and name.startswith(word)


def _nearly(one: str, other: str) -> bool:
    """One letter added, left out, replaced, or two neighbours swapped, in words long enough to tell."""
    if one == other or min(len(one), len(other)) < _LONG_ENOUGH_FOR_A_TYPO:
        return False
    short, long = sorted((one, other), key=len)
    if len(long) - len(short) > 1:
        return False
    at = next((place for place, sign in enumerate(short) if sign != long[place]), len(short))
    if len(short) < len(long):
        return short[at:] == long[at + 1 :]
    swapped = short[at + 1 : at + 2] + short[at : at + 1] == long[at : at + 2]
    return short[at + 1 :] == long[at + 1 :] or (swapped and short[at + 2 :] == long[at + 2 :])


def _strength(points: int) -> Literal["strong", "fair", "weak"]:
    if points >= _STRONG:
        return "strong"
    return "fair" if points >= _FAIR else "weak"


def _rank(learner_id: str, score: _Score, seen: Collection[str]) -> tuple[int, bool, int, str]:
    tier = ("strong", "fair", "weak").index(_strength(score.points))
    return tier, learner_id in seen, -score.points, learner_id
