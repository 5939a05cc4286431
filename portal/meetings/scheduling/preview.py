"""What a filled-in form would make: dates, days without class, clashes. Nothing is saved here."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from portal.classes.models import SchoolClass
from portal.core import clock
from portal.meetings.forms import MeetingForm, StaffMeetingForm
from portal.meetings.scheduling import host_assignment
from portal.meetings.scheduling.conflicts import Conflict
from portal.meetings.scheduling.host_assignment import HostChoice, ScheduleParties
from portal.meetings.scheduling.recurrence import (
    MAX_SPAN,
    RuleExpansion,
    SkippedDate,
    TimeSlot,
    WeeklyRule,
    expand_weekly_rule,
)
from portal.meetings.scheduling.schedules import SchedulePlan, plan_from_expansion
from portal.meetings.school_calendar import service as school_calendar_service


@dataclass(frozen=True)
class PreviewRow:
    """One line of the preview: a class, or a day without one (`skipped`)."""

    slot: TimeSlot | None
    skipped: SkippedDate | None
    clash: Conflict | None

    @property
    def starts_at(self) -> datetime:
        known = self.slot or self.skipped
        assert known is not None  # one of the two is there
        return known.starts_at


@dataclass(frozen=True)
class SchedulePreview:
    """`stops` tells that a person has to decide before it can be saved, `impossible` that they cannot."""

    rule: WeeklyRule | None
    plan: SchedulePlan
    clashes: tuple[Conflict, ...]
    holiday: str | None = None  # of a single class
    too_few: bool = False  # fewer classes fit into a year than were asked for

    @property
    def needs_confirmation(self) -> bool:
        return any(clash.needs_confirmation for clash in self.clashes) or not self.can_be_saved

    @property
    def is_blocking(self) -> bool:
        return any(clash.is_blocking for clash in self.clashes)

    @property
    def can_be_saved(self) -> bool:
        """There is something to save. Clashes are looked at again while saving."""
        return bool(self.plan.slots) and not self.too_few

    @property
    def shown_clashes(self) -> list[Conflict]:
        """Those worth a note, one for each date, the gravest first."""
        grave = sorted(
            (clash for clash in self.clashes if clash.needs_confirmation),
            key=lambda clash: (clash.slot.starts_at, not clash.is_blocking, not clash.overlaps),
        )
        return list({clash.slot.starts_at: clash for clash in reversed(grave)}.values())[::-1]

    @property
    def lines(self) -> list[PreviewRow]:
        by_start = {clash.slot.starts_at: clash for clash in reversed(self.clashes)}
        lines = [PreviewRow(slot, None, by_start.get(slot.starts_at)) for slot in self.plan.slots]
        lines += [PreviewRow(None, skipped, None) for skipped in self.plan.expansion.skipped]
        return sorted(lines, key=lambda line: line.starts_at)

    def with_clashes(self, choice: HostChoice) -> "SchedulePreview":
        return replace(self, clashes=choice.clashes)


def preview_class_form(form: MeetingForm, school_class: SchoolClass) -> SchedulePreview:
    """The preview of a valid form for a class (with its section and school)."""
    rule, details = form.rule(), form.details()
    first = rule.first if rule else clock.to_manila(details.starts_at).date()
    off = school_calendar_service.days_off_clause(school_class.section, first, first + MAX_SPAN)
    if rule is None:
        slot = TimeSlot(details.starts_at, details.minutes)
        plan = plan_from_expansion(RuleExpansion((slot,), ()))
        return SchedulePreview(
            None, plan, _clashes(ScheduleParties.of_class(school_class), [slot]), holiday=off.get(first)
        )
    plan = plan_from_expansion(expand_weekly_rule(rule, off=off, exceptions=form.exceptions_by_date(), now=clock.now()))
    too_few = rule.dates is not None and len(plan.slots) < rule.dates
    return SchedulePreview(rule, plan, _clashes(ScheduleParties.of_class(school_class), plan.slots), too_few=too_few)


def preview_staff_form(form: StaffMeetingForm, who: ScheduleParties) -> SchedulePreview:
    """The preview of a valid form for a meeting without a class."""
    details = form.details()
    slot = TimeSlot(details.starts_at, details.minutes)
    return SchedulePreview(None, plan_from_expansion(RuleExpansion((slot,), ())), _clashes(who, [slot]))


def first_free_start(who: ScheduleParties, slot: TimeSlot) -> datetime:
    """The start of the slot, or the next one that day without a clash, if there is one."""
    clashes = [clash for clash in _clashes(who, [slot]) if clash.needs_confirmation]
    return next((clash.free_at for clash in clashes if clash.free_at), slot.starts_at)


def preview_moved_occurrence(choice: HostChoice) -> SchedulePreview:
    """Only what is in the way of one class."""
    slots = tuple({clash.slot for clash in choice.clashes})
    return SchedulePreview(None, SchedulePlan(RuleExpansion(slots, ()), ()), choice.clashes)


def _clashes(who: ScheduleParties, slots: Sequence[TimeSlot]) -> tuple[Conflict, ...]:
    return host_assignment.choose_meeting_host(who, slots).clashes if slots else ()
