"""View model of a day of the section's record: decides what the page says; the template loops and prints. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from portal.attendance.codes import Mark
from portal.attendance.messages import mark_label
from portal.attendance.record.service import ABSENT, PRESENT, UNKNOWN, RecordEntry
from portal.classes.models import Learner
from portal.core.date_format import format_day
from portal.core.translations import gettext as _

Phase = Literal["no_learners", "future", "nothing_known", "read_only", "form"]


@dataclass(frozen=True)
class DayEntry:
    """A learner with what is recorded, or proposed, or was sent with the form."""

    learner: Learner
    entry: RecordEntry | None
    status: str
    tardy: str


@dataclass(frozen=True)
class DayLine:
    learner: Learner
    text: str  # of those who may only read
    remark: str  # under the name in the form
    marks: tuple[tuple[str, bool], ...]  # mark and whether it is chosen
    tardy_choices: tuple[tuple[str, str, bool], ...]  # value, label and whether it is chosen


@dataclass(frozen=True)
class DayPage:
    heading: str
    phase: Phase
    problem: str
    day_off: str
    is_known: bool  # something is known of the day
    count: int
    groups: tuple[tuple[str, tuple[DayLine, ...]], ...]  # by sex
    lines: tuple[DayLine, ...]


def build_day_page(
    entries: Sequence[DayEntry],
    *,
    day: date,
    today: date,
    can_record: bool,
    is_known: bool,
    day_off: str | None,
    problem: str,
) -> DayPage:
    lines = tuple(_line(entry) for entry in entries)
    by_sex = ((caption, tuple(one for one in lines if one.learner.sex == sex)) for sex, caption in _sexes())
    return DayPage(
        heading=_("Register, %(day)s", day=format_day(day)),
        phase=_phase(bool(entries), is_future=day > today, can_record=can_record, is_known=is_known),
        problem=problem,
        day_off=_("No class on this day: %(name)s.", name=day_off) if day_off else "",
        is_known=is_known,
        count=len(lines),
        groups=tuple((caption, some) for caption, some in by_sex if some),
        lines=lines,
    )


def _sexes() -> tuple[tuple[str, str], ...]:
    return (("M", _("Male")), ("F", _("Female")))


def _phase(has_learners: bool, *, is_future: bool, can_record: bool, is_known: bool) -> Phase:
    if not has_learners:
        return "no_learners"
    if is_future:
        return "future"
    if can_record:
        return "form"
    return "read_only" if is_known else "nothing_known"


def _line(day_entry: DayEntry) -> DayLine:
    entry, tardy = day_entry.entry, day_entry.tardy
    by_hand = _by_hand(entry) if entry and entry.by_hand else ""
    label = mark_label(day_entry.status if day_entry.status in (PRESENT, ABSENT) else Mark.PENDING)
    tardy_labels = {"late": _("Late"), "cutting": _("Left early"), "both": _("Late, left early")}
    text = f"{label}, {tardy_labels[tardy]}" if tardy in tardy_labels else label
    undecided = _("not known from the sheets: decide") if entry and entry.status == UNKNOWN else ""
    return DayLine(
        learner=day_entry.learner,
        text=f"{text}. {by_hand}" if by_hand else text,
        remark=by_hand or undecided,
        marks=tuple((mark, mark == day_entry.status) for mark in (PRESENT, ABSENT)),
        tardy_choices=tuple(
            (value, words, bool(value) and value == tardy)
            for value, words in {"": _("In time"), **tardy_labels}.items()
        ),
    )


def _by_hand(entry: RecordEntry) -> str:
    recorded = _("recorded by the adviser")
    return f"{recorded}: {entry.reason}" if entry.reason else recorded
