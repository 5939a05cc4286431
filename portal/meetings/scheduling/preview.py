"""Preview of a submitted form: dates, days without class, conflicts. Read-only."""

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
    """One line of the preview: a class, or a skipped day."""

    slot: TimeSlot | None
    skipped: SkippedDate | None
    clash: Conflict | None

    @property
    def starts_at(self) -> datetime:
        dated = self.slot or self.skipped
        assert dated is not None  # exactly one of the two is set
        return dated.starts_at


@dataclass(frozen=True)
class SchedulePreview:
    """`needs_confirmation`: a person has to decide before it can be saved. `can_be_saved`: False if impossible."""

    rule: WeeklyRule | None
    plan: SchedulePlan
    clashes: tuple[Conflict, ...]
    holiday: str | None = None  # the holiday's name, for a single class
    too_few: bool = False  # fewer classes fit into a year than were requested

    @property
    def needs_confirmation(self) -> bool:
        return any(clash.needs_confirmation for clash in self.clashes) or not self.can_be_saved

    @property
    def is_blocking(self) -> bool:
        return any(clash.is_blocking for clash in self.clashes)

    @property
    def can_be_saved(self) -> bool:
        """There is something to save. Conflicts are checked again while saving."""
        return bool(self.plan.slots) and not self.too_few

    @property
    def shown_clashes(self) -> list[Conflict]:
        """One conflict for each date, the most serious one."""
        serious = sorted(
            (clash for clash in self.clashes if clash.needs_confirmation),
            key=lambda clash: (clash.slot.starts_at, not clash.is_blocking, not clash.overlaps),
        )
        return list({clash.slot.starts_at: clash for clash in reversed(serious)}.values())[::-1]

    @property
    def lines(self) -> list[PreviewRow]:
        by_start = {clash.slot.starts_at: clash for clash in reversed(self.clashes)}
        lines = [PreviewRow(slot, None, by_start.get(slot.starts_at)) for slot in self.plan.slots]
        lines += [PreviewRow(None, skipped, None) for skipped in self.plan.expansion.skipped]
        return sorted(lines, key=lambda line: line.starts_at)

    def with_clashes(self, choice: HostChoice) -> "SchedulePreview":
        return replace(self, clashes=choice.clashes)


def preview_class_form(form: MeetingForm, school_class: SchoolClass) -> SchedulePreview:
    """The preview of a valid form for a class (loaded with its section and school)."""
    rule, details = form.rule(), form.details()
    first = rule.first if rule else clock.to_manila(details.starts_at).date()
    days_off = school_calendar_service.load_section_days_off(school_class.section, first, first + MAX_SPAN)
    if rule is None:
        slot = TimeSlot(details.starts_at, details.minutes)
        plan = plan_from_expansion(RuleExpansion((slot,), ()))
        return SchedulePreview(
            None, plan, _find_conflicts(ScheduleParties.of_class(school_class), [slot]), holiday=days_off.get(first)
        )
    plan = plan_from_expansion(
        expand_weekly_rule(rule, off=days_off, exceptions=form.exceptions_by_date(), now=clock.now())
    )
    too_few = rule.dates is not None and len(plan.slots) < rule.dates
    return SchedulePreview(
        rule, plan, _find_conflicts(ScheduleParties.of_class(school_class), plan.slots), too_few=too_few
    )


def preview_staff_form(form: StaffMeetingForm, parties: ScheduleParties) -> SchedulePreview:
    """The preview of a valid form for a meeting without a class."""
    details = form.details()
    slot = TimeSlot(details.starts_at, details.minutes)
    return SchedulePreview(None, plan_from_expansion(RuleExpansion((slot,), ())), _find_conflicts(parties, [slot]))


def first_free_start(parties: ScheduleParties, slot: TimeSlot) -> datetime:
    """The slot's start, or else the next start that day without conflicts, if there is one."""
    conflicts = [conflict for conflict in _find_conflicts(parties, [slot]) if conflict.needs_confirmation]
    return next((conflict.free_at for conflict in conflicts if conflict.free_at), slot.starts_at)


def preview_moved_occurrence(choice: HostChoice) -> SchedulePreview:
    """The conflicts of one date with a new time."""
    slots = tuple({clash.slot for clash in choice.clashes})
    return SchedulePreview(None, SchedulePlan(RuleExpansion(slots, ()), ()), choice.clashes)


def _find_conflicts(parties: ScheduleParties, slots: Sequence[TimeSlot]) -> tuple[Conflict, ...]:
    return host_assignment.choose_meeting_host(parties, slots).clashes if slots else ()
