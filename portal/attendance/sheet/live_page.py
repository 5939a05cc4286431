"""View model of the sheet while the class runs: who is in, who dropped out, who has not come. Pure."""

from dataclasses import dataclass
from datetime import datetime

from portal.attendance.calculation.marks import UnmatchedParticipant
from portal.attendance.sheet.messages import minutes_message, shown_names
from portal.attendance.sheet.queries import SheetData, SheetRow
from portal.classes.queries import RosterEntry
from portal.core.date_format import format_time
from portal.core.translations import gettext as _
from portal.core.translations import ngettext


@dataclass(frozen=True)
class LiveLearner:
    """`minutes`: in the meeting so far; `away`: since the last leave, empty where that is not known."""

    id: str
    learner: RosterEntry
    minutes: int
    away: str
    remark: str


@dataclass(frozen=True)
class UnknownParticipant:
    names: str
    presence: str
    suggestion: str


@dataclass(frozen=True)
class LivePage:
    version: str
    as_of: str
    has_learners: bool
    in_meeting: tuple[LiveLearner, ...]
    dropped: tuple[LiveLearner, ...]
    missing: tuple[LiveLearner, ...]
    missing_names: str
    totals: tuple[tuple[str, ...], ...]
    segments: tuple[tuple[str, int], ...]
    label: str
    unknown_heading: str
    unknown: tuple[UnknownParticipant, ...]

    @property
    def is_everybody_in(self) -> bool:
        return self.has_learners and not self.missing and not self.dropped


def build_live_page(data: SheetData, now: datetime) -> LivePage:
    in_meeting = [row for row in data.lines if row.computed.is_in_meeting]
    away = [row for row in data.lines if not row.computed.is_in_meeting]
    dropped = [row for row in away if row.computed.stay_count]
    missing = [row for row in away if not row.computed.stay_count]
    return LivePage(
        version=data.version,
        as_of=_("As of %(time)s", time=format_time(now)),
        has_learners=bool(data.lines),
        in_meeting=tuple(_learner(row, now) for row in in_meeting),
        dropped=tuple(_learner(row, now) for row in _latest_leave_first(dropped)),
        missing=tuple(_learner(row, now) for row in missing),
        missing_names="; ".join(_roster_name(row.learner) for row in missing),
        totals=(
            ("in", str(len(in_meeting)), "#in", _("In")),
            ("dropped", str(len(dropped)), "#dropped", _("Dropped")),
            ("not yet", str(len(missing)), "#missing", _("Not yet")),
        ),
        segments=(("f-ok", len(in_meeting)), ("f-part", len(dropped)), ("f-warm", len(missing))),
        label=_(
            "%(inside)d in, %(dropped)d dropped, %(missing)d not yet",
            inside=len(in_meeting),
            dropped=len(dropped),
            missing=len(missing),
        ),
        unknown_heading=ngettext("%(num)d unknown in the room", "%(num)d unknown in the room", len(data.unmatched)),
        unknown=tuple(_unknown(person, data) for person in data.unmatched),
    )


def _latest_leave_first(rows: list[SheetRow]) -> list[SheetRow]:
    """By the last leave, those without a known one at the end; ties stay in the order of the roster."""

    def last_leave(row: SheetRow) -> float:
        return row.computed.last_leave.timestamp() if row.computed.last_leave else 0.0

    return sorted(rows, key=last_leave, reverse=True)


def _learner(row: SheetRow, now: datetime) -> LiveLearner:
    computed = row.computed
    left_at = computed.last_leave
    return LiveLearner(
        id=str(row.learner.learner_id),
        learner=row.learner,
        minutes=computed.seconds // 60,
        away=minutes_message(int((now - left_at).total_seconds())) if left_at else "",
        remark=_("Seen in the waiting room only") if computed.matched_by else "",
    )


def _unknown(person: UnmatchedParticipant, data: SheetData) -> UnknownParticipant:
    in_for = _("In for %(minutes)d min.", minutes=person.seconds // 60)
    return UnknownParticipant(
        names=shown_names(person.names),
        presence=in_for if person.stay_count else _("In the waiting room."),
        suggestion=_likely_learner(person, data),
    )


def _likely_learner(person: UnmatchedParticipant, data: SheetData) -> str:
    likely = person.suggestions[0].learner_id if person.suggestions else None
    for row in data.lines:
        if str(row.learner.learner_id) == likely:
            return _("Perhaps") + " " + _roster_name(row.learner)
    return _("No suggestion")


def _roster_name(learner: RosterEntry) -> str:
    return f"{learner.last_name.upper()}, {learner.first_name.upper()}"
