"""Sentences of the sheet's pages: counts, remarks, suggestions and history."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from portal.attendance.calculation.marks import MatchSuggestion
from portal.attendance.codes import Mark, RecordFlag, SheetEvent, SuggestionReason
from portal.attendance.messages import mark_label
from portal.core.date_format import format_time, format_time_range
from portal.core.translations import N_
from portal.core.translations import gettext as _

if TYPE_CHECKING:
    from portal.attendance.sheet.queries import SheetHistoryEntry, SheetRow


class Presence(Protocol):
    """Anybody with stays: a participant or a member of the staff."""

    @property
    def seconds(self) -> int: ...
    @property
    def stay_count(self) -> int: ...
    @property
    def first_join(self) -> datetime | None: ...
    @property
    def last_leave(self) -> datetime | None: ...


def minutes_message(seconds: int) -> str:
    return _("%(minutes)d min", minutes=seconds // 60)


def presence_message(person: Presence) -> str:
    """ "38 min, 8:00 to 8:40 AM"."""
    length = minutes_message(person.seconds) if person.stay_count else _("waiting room only")
    if person.first_join and person.last_leave:
        return f"{length}, {format_time_range(person.first_join, person.last_leave)}"
    if person.first_join:
        return length + ", " + _("since %(time)s", time=format_time(person.first_join))
    return length


def shown_names(names: Iterable[str]) -> str:
    """The names that a participant showed, in quotes."""
    return ", ".join(f"“{name}”" for name in names) or _("No name")


def row_remark(row: "SheetRow") -> str:
    """What stands under the name without unfolding the row: that Zoom's data now gives another mark, or that and why
    the teacher has to decide. Empty for all others."""
    computed = row.computed
    if row.final_mark and not row.override and computed.mark != row.final_mark:
        return _("Zoom now says: %(mark)s", mark=mark_label(computed.mark))
    if computed.maybe and not row.by_hand and row.mark in (Mark.ABSENT, Mark.NEEDS_REVIEW):
        return _("May be %(name)s", name=", ".join(f"“{name}”" for name in computed.maybe))
    return _undecided_message(computed.flags, computed.stay_count) if row.mark == Mark.NEEDS_REVIEW else ""


def _undecided_message(flags: Sequence[str], stay_count: int) -> str:
    if RecordFlag.WAITING_ROOM_ONLY in flags:
        return _("Seen in the waiting room only")
    if RecordFlag.TIMES_REVERSED in flags:
        return _("Zoom's times contradict each other")
    if RecordFlag.NO_LEAVE_SEEN in flags and stay_count:
        return _("When this learner left is not known")
    if RecordFlag.NO_JOIN_SEEN in flags and stay_count:
        return _("When this learner came is not known")
    return _("Zoom's data is incomplete")


def punctuality_message(*, is_late: bool, left_early: bool) -> str:
    if is_late and left_early:
        return _("late, left early")
    if is_late:
        return _("late")
    return _("left early") if left_early else ""


_SUGGESTION_REASONS: dict[str, str] = {
    SuggestionReason.ALIAS: N_("you matched this name before"),
    SuggestionReason.OTHER_CLASS_ALIAS: N_("matched to this name in another class"),
    SuggestionReason.SAME_NAME: N_("the same name"),
    SuggestionReason.SURNAME_FIRST: N_("the same name, surname first"),
    SuggestionReason.NEARLY_THE_SAME_NAME: N_("nearly the same name"),
    SuggestionReason.SHORT_NAME: N_("a short form of the name"),
    SuggestionReason.INITIAL: N_("the initial fits"),
    SuggestionReason.ONLY_ONE_WITH_THAT_FIRST_NAME: N_("the only one with that first name"),
    SuggestionReason.SAME_SURNAME: N_("the same surname"),
    SuggestionReason.SEAT_NUMBER: N_("the number on the roster fits"),
    SuggestionReason.SECTION_PREFIX: N_("the section is named"),
}


def suggestion_message(suggestion: MatchSuggestion) -> str:
    """Why the learner is suggested, and whether the learner was seen."""
    reasons = [_(_SUGGESTION_REASONS[code]) for code in suggestion.why]
    return ", ".join([*reasons, _("seen already today") if suggestion.seen else _("not seen today")])


def history_message(entry: "SheetHistoryEntry") -> str:
    """A line of the sheet's history, with its reason."""
    sentence = _history_sentence(entry)
    return f"{sentence}: {entry.reason}" if entry.reason else sentence


def _history_sentence(entry: "SheetHistoryEntry") -> str:
    who = entry.who or _("Zoom")
    name = f"{entry.last_name.upper()}, {(entry.first_name or '').upper()}" if entry.last_name else ""
    match entry.event:
        case SheetEvent.OVERRIDE:
            return _("%(name)s set to %(mark)s by %(who)s", name=name, mark=_label(entry.to_mark), who=who)
        case SheetEvent.OVERRIDE_REMOVED:
            return _("%(name)s back to what Zoom saw, by %(who)s", name=name, who=who)
        case SheetEvent.COMPUTED:
            return _(
                "%(name)s: %(before)s became %(after)s as the evidence changed",
                name=name,
                before=_label(entry.from_mark),
                after=_label(entry.to_mark),
            )
        case SheetEvent.MATCHED if name:
            return _("A participant is %(name)s, says %(who)s", name=name, who=who)
    return _(_EVENTS.get(entry.event, _OTHER_EVENT), who=who)


_EVENTS: dict[str, str] = {
    SheetEvent.FINALISED: N_("Finalised by %(who)s"),
    SheetEvent.REOPENED: N_("Opened again by %(who)s"),
    SheetEvent.MATCHED: N_("A participant matched by %(who)s"),
    SheetEvent.MATCHED_STAFF: N_("A participant is staff, says %(who)s"),
    SheetEvent.MATCHED_NOBODY: N_("A participant is no learner, says %(who)s"),
    SheetEvent.MATCH_REMOVED: N_("A match undone by %(who)s"),
    SheetEvent.FILE_CONFIRMED: N_("Zoom's participants file brought in by %(who)s"),
    SheetEvent.FILE_REVOKED: N_("Zoom's participants file taken back by %(who)s"),
    SheetEvent.COUNTS_IN_REPORTS: N_("Counts in the reports, says %(who)s"),
    SheetEvent.EXCLUDED_FROM_REPORTS: N_("Left out of the reports by %(who)s"),
}
_OTHER_EVENT = N_("Changed by %(who)s")


def _label(mark: str | None) -> str:
    return mark_label(mark) if mark else ""
