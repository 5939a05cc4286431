"""What a filled-in form would make: dates, days without class, clashes. Nothing is saved here."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from portal.classes.models import SchoolClass
from portal.core import clock
from portal.meetings.forms import MeetingForm, PeopleForm
from portal.meetings.scheduling import host_assignment
from portal.meetings.scheduling.conflicts import Clash
from portal.meetings.scheduling.host_assignment import Choice, Whose
from portal.meetings.scheduling.recurrence import (
    LONGEST,
    Expansion,
    Rule,
    Skipped,
    Slot,
    expand,
)
from portal.meetings.scheduling.schedules import Plan, plan_of
from portal.meetings.school_calendar import service as school_calendar_service


@dataclass(frozen=True)
class Line:
    """One line of the preview: a class, or a day without one (`skipped`)."""

    slot: Slot | None
    skipped: Skipped | None
    clash: Clash | None

    @property
    def starts_at(self) -> datetime:
        known = self.slot or self.skipped
        assert known is not None  # one of the two is there
        return known.starts_at


@dataclass(frozen=True)
class Preview:
    """`stops` tells that a person has to decide before it can be saved, `impossible` that they cannot."""

    rule: Rule | None
    plan: Plan
    clashes: tuple[Clash, ...]
    holiday: str | None = None  # of a single class
    too_few: bool = False  # fewer classes fit into a year than were asked for

    @property
    def stops(self) -> bool:
        return any(clash.needs_a_decision for clash in self.clashes) or not self.can_be_saved

    @property
    def is_impossible(self) -> bool:
        return any(clash.is_impossible for clash in self.clashes)

    @property
    def can_be_saved(self) -> bool:
        """There is something to save. Clashes are looked at again while saving."""
        return bool(self.plan.slots) and not self.too_few

    @property
    def shown_clashes(self) -> list[Clash]:
        """Those worth a note, one for each date, the gravest first."""
        grave = sorted(
            (clash for clash in self.clashes if clash.needs_a_decision),
            key=lambda clash: (clash.slot.starts_at, not clash.is_impossible, not clash.overlaps),
        )
        return list({clash.slot.starts_at: clash for clash in reversed(grave)}.values())[::-1]

    @property
    def lines(self) -> list[Line]:
        by_start = {clash.slot.starts_at: clash for clash in reversed(self.clashes)}
        lines = [Line(slot, None, by_start.get(slot.starts_at)) for slot in self.plan.slots]
        lines += [Line(None, skipped, None) for skipped in self.plan.expansion.skipped]
        return sorted(lines, key=lambda line: line.starts_at)

    def with_clashes(self, choice: Choice) -> "Preview":
        return replace(self, clashes=choice.clashes)


def of(form: MeetingForm, school_class: SchoolClass) -> Preview:
    """The preview of a valid form for a class (with its section and school)."""
    rule, details = form.rule(), form.details()
    first = rule.first if rule else clock.local(details.starts_at).date()
    off = school_calendar_service.days_off(school_class.section, first, first + LONGEST)
    if rule is None:
        slot = Slot(details.starts_at, details.minutes)
        plan = plan_of(Expansion((slot,), ()))
        return Preview(None, plan, _clashes(Whose.of_class(school_class), [slot]), holiday=off.get(first))
    plan = plan_of(expand(rule, off=off, exceptions=form.said_of_days(), now=clock.now()))
    too_few = rule.dates is not None and len(plan.slots) < rule.dates
    return Preview(rule, plan, _clashes(Whose.of_class(school_class), plan.slots), too_few=too_few)


def of_people(form: PeopleForm, who: Whose) -> Preview:
    """The preview of a valid form for a meeting without a class."""
    details = form.details()
    slot = Slot(details.starts_at, details.minutes)
    return Preview(None, plan_of(Expansion((slot,), ())), _clashes(who, [slot]))


def free_start(who: Whose, slot: Slot) -> datetime:
    """The start of the slot, or the next one that day without a clash, if there is one."""
    clashes = [clash for clash in _clashes(who, [slot]) if clash.needs_a_decision]
    return next((clash.free_at for clash in clashes if clash.free_at), slot.starts_at)


def of_clash(choice: Choice) -> Preview:
    """Only what is in the way of one class."""
    slots = tuple({clash.slot for clash in choice.clashes})
    return Preview(None, Plan(Expansion(slots, ()), ()), choice.clashes)


def _clashes(who: Whose, slots: Sequence[Slot]) -> tuple[Clash, ...]:
    return host_assignment.choose(who, slots).clashes if slots else ()
