"""View model of those beside the list: participants to match, those matched by hand, and the staff. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from jinja2.filters import do_title

from portal.attendance.calculation.marks import UnmatchedParticipant
from portal.attendance.sheet.messages import presence_message, shown_names, suggestion_message
from portal.attendance.sheet.queries import SheetData, SheetRow
from portal.classes.queries import RosterEntry
from portal.core.translations import gettext as _
from portal.core.translations import ngettext


@dataclass(frozen=True)
class SuggestedLearner:
    learner: RosterEntry
    id: str
    why: str
    button: str


@dataclass(frozen=True)
class ParticipantCard:
    """A participant whom nobody has matched."""

    names: str
    times: str
    email: str | None
    stay_ids: tuple[str, ...]
    has_name_of_staff: bool
    suggestions: tuple[SuggestedLearner, ...]


@dataclass(frozen=True)
class MatchedParticipant:
    """A participant whom a person has matched."""

    name: str
    who: str
    stay_ids: tuple[str, ...]


@dataclass(frozen=True)
class ParticipantsBlock:
    """`choices`: the learners to choose from, by whether they were seen."""

    heading: str
    count: int
    can_edit: bool
    several: bool
    cards: tuple[ParticipantCard, ...]
    choices: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    matched: tuple[MatchedParticipant, ...]
    staff: tuple[tuple[str, str], ...]  # names and times


def build_participants_block(data: SheetData, *, can_edit: bool, several: bool) -> ParticipantsBlock:
    count = len(data.unmatched)
    rows = {str(row.learner.learner_id): row for row in data.lines} if count else {}
    return ParticipantsBlock(
        heading=ngettext("%(num)d person to match", "%(num)d people to match", count) if can_edit else _("Not matched"),
        count=count,
        can_edit=can_edit,
        several=several,
        cards=tuple(_card(person, rows) for person in data.unmatched),
        choices=_learner_choices(data.lines) if can_edit and count else (),
        matched=tuple(_matched_participants(data)),
        staff=tuple((", ".join(one.names) or _("No name"), presence_message(one)) for one in data.result.staff),
    )


def _card(person: UnmatchedParticipant, rows: Mapping[str, SheetRow]) -> ParticipantCard:
    known = [suggestion for suggestion in person.suggestions if suggestion.learner_id in rows]
    return ParticipantCard(
        names=shown_names(person.names),
        times=presence_message(person),
        email=person.email,
        stay_ids=person.stay_ids,
        has_name_of_staff=bool(person.may_be_staff),
        suggestions=tuple(
            SuggestedLearner(
                learner=rows[suggestion.learner_id].learner,
                id=suggestion.learner_id,
                why=suggestion_message(suggestion),
                button=_confirm_label(rows[suggestion.learner_id].learner, is_only_one=len(known) == 1),
            )
            for suggestion in known
        ),
    )


def _confirm_label(learner: RosterEntry, *, is_only_one: bool) -> str:
    if not is_only_one:
        return _("It is %(name)s", name=f"{do_title(learner.first_name)} {do_title(learner.last_name)}")
    return _("Yes, it is her") if learner.sex == "F" else _("Yes, it is him")


def _learner_choices(rows: Iterable[SheetRow]) -> tuple[tuple[str, tuple[tuple[str, str], ...]], ...]:
    options: dict[bool, list[tuple[str, str]]] = {False: [], True: []}
    for row in rows:
        learner = row.learner
        label = f"{learner.last_name.upper()}, {learner.first_name.upper()}"
        options[row.computed.stay_count > 0].append((str(learner.learner_id), label))
    labelled = ((_("Not seen today"), options[False]), (_("Seen already"), options[True]))
    return tuple((label, tuple(some)) for label, some in labelled if some)


def _matched_participants(data: SheetData) -> Iterable[MatchedParticipant]:
    for name, learners, stay_ids in data.matched_by_hand:
        if learners:
            names = "; ".join(filter(None, learners)).replace(",", ", ").replace(",  ", ", ")
            who = names or _("a learner not on this sheet")
        else:
            is_staff = data.result.who[str(stay_ids[0])].kind == "staff"
            who = _("Staff") if is_staff else _("Not a learner")
        yield MatchedParticipant(name, who, tuple(str(stay_id) for stay_id in stay_ids))
