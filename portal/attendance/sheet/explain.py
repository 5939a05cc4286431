"""Every mark in words: what Zoom saw, what it was matched by, who changed it and why.

In the reader's language inside a request, in English elsewhere (exports).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from flask_babel import lazy_gettext as _l

from portal.attendance.calculation.marks import LearnerResult
from portal.attendance.codes import Mark, RecordFlag
from portal.attendance.messages import mark_label
from portal.core.date_format import format_datetime, format_time
from portal.core.translations import gettext as _
from portal.core.translations import ngettext

# Translated where they are said: a sheet of 48 says few of them.
_WAYS = {
    "teacher": _l("hand"),
    "registration": _l("registration"),
    "email": _l("e-mail"),
    "alias": _l("a remembered name"),
}
_FLAGS = {  # those not here are told by the mark itself
    "early": _l("Time before the planned start counts."),
    "after": _l("Time after the planned end counts."),
    RecordFlag.CLOSED_BY_MEETING_END: _l("Zoom sent no leave: counted until the meeting ended."),
    RecordFlag.NO_JOIN_SEEN: _l("Zoom sent a leave without its join, which is not counted."),
    RecordFlag.NO_LEAVE_SEEN: _l("Zoom sent a join without its leave, which is not counted."),
    RecordFlag.TIMES_REVERSED: _l("Zoom sent a leave earlier than its join, which is not counted."),
    RecordFlag.WAITING_ROOM_UNCLEAR: _l("Part of it may have been in the waiting room and is not counted."),
    RecordFlag.MINUTES_ONLY: _l("The uploaded file says how many minutes, not when."),
    RecordFlag.EMAIL_OF_ANOTHER: _l("The e-mail is that of another person of this class; registration decides."),
    RecordFlag.DATA_INCOMPLETE: _l("Zoom's data is incomplete."),
}


@dataclass(frozen=True)
class MarkOverride:
    """A mark set by hand: by whom (a name to show), when (aware), and the reason given."""

    mark: Mark
    by: str
    at: datetime
    reason: str


def explain_mark(computed: LearnerResult, *, threshold: int, override: MarkOverride | None = None) -> str:
    """Why the mark is what it is, in one to three sentences; `threshold` in seconds."""
    if override is not None:
        return _joined([_seen_by_zoom(computed, threshold), _set_by_hand(override)])
    if computed.stay_count == 0:
        return _joined([_not_seen(computed)])
    notes = [*_punctuality(computed), *(str(_FLAGS[flag]) for flag in computed.flags if flag in _FLAGS)]
    return _joined([_seen(computed, threshold), *notes, _needed(computed, threshold)])


def format_duration(seconds: int, *, exact: bool = False) -> str:
    """Whole minutes ("38 min"), seconds below one minute ("40 s"); `exact` keeps both ("14 min 59 s")."""
    minutes, rest = divmod(seconds, 60)
    if minutes == 0:
        return _("%(seconds)d s", seconds=rest)
    if exact and rest:
        return _("%(minutes)d min %(seconds)d s", minutes=minutes, seconds=rest)
    return _("%(minutes)d min", minutes=minutes)


def _seen(computed: LearnerResult, threshold: int) -> str:
    parts = {
        "time": format_time(computed.first_join) if computed.first_join else "",
        "stays": _stays(computed, threshold),
        "ways": _ways(computed.matched_by),
    }
    if not computed.first_join:
        return _("In the meeting, %(stays)s, matched by %(ways)s.", **parts)
    if computed.is_in_meeting:
        return _("Joined %(time)s and still in, %(stays)s so far, matched by %(ways)s.", **parts)
    return _("Joined %(time)s, %(stays)s, matched by %(ways)s.", **parts)


def _punctuality(computed: LearnerResult) -> list[str]:
    late = [_("Came late.")] if computed.is_late else []
    return late + ([_("Left early.")] if computed.left_early else [])


def _seen_by_zoom(computed: LearnerResult, threshold: int) -> str:
    if computed.stay_count == 0:
        return _("Zoom did not see this learner.")
    return _("Zoom saw %(stays)s.", stays=_stays(computed, threshold))


def _stays(computed: LearnerResult, threshold: int) -> str:
    return ngettext(
        "%(time)s in %(num)d stay",
        "%(time)s in %(num)d stays",
        computed.stay_count,
        # To the second where it decides: 14 min 59 s is not 15 min.
        time=format_duration(computed.seconds, exact=computed.seconds < threshold),
    )


def _ways(matched_by: Sequence[str]) -> str:
    ways = [str(_WAYS[way]) for way in matched_by if way in _WAYS]
    return ways[0] if len(ways) == 1 else _(" and ").join(ways)


def _not_seen(computed: LearnerResult) -> str:
    if computed.mark == Mark.PENDING:
        if RecordFlag.WAITING_ROOM_ONLY in computed.flags:
            return _("In the waiting room.")
        return _("Not seen yet.")
    if RecordFlag.WAITING_ROOM_ONLY in computed.flags:
        return _("Seen in the waiting room only, never let in. Unknown is not absent: decide.")
    if computed.maybe:
        return _(
            "Not seen under this name, but %(names)s was in and may be this learner: match or decide.",
            names=_(" or ").join(f"“{name}”" for name in computed.maybe),
        )
    if RecordFlag.MAY_BE_UNMATCHED in computed.flags:
        return _("Not seen under this name, but may be among the unmatched participants: match or decide.")
    if computed.mark == Mark.ABSENT:
        return _("Not seen, and Zoom's data is complete.")
    return _("Not seen, but Zoom's data is incomplete. Unknown is not absent: decide.")


def _needed(computed: LearnerResult, threshold: int) -> str:
    if computed.mark not in {Mark.PARTIAL, Mark.NEEDS_REVIEW}:
        return ""
    return _("Present needs %(time)s.", time=format_duration(threshold, exact=True))


def _set_by_hand(override: MarkOverride) -> str:
    return _(
        "Set to %(mark)s by %(who)s, %(when)s: %(why)s",
        mark=mark_label(override.mark),
        who=override.by,
        when=format_datetime(override.at),
        why=_sentence(override.reason),
    )


def _sentence(text: str) -> str:
    text = text.strip()
    return text if text.endswith((".", "!", "?", "…")) else f"{text}."


def _joined(sentences: Sequence[str]) -> str:
    return " ".join(sentence for sentence in sentences if sentence)
