"""View model of the attendance sheet: decides what the page says and allows; the templates loop and print.

Pure: everything comes from the arguments, so it is tested without a browser or a database. Sentences are in the
reader's language inside a request, in English elsewhere.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Literal

from portal.attendance.codes import Mark, RecordFlag, ReportError, SheetState
from portal.attendance.messages import mark_counts_message, report_error_message
from portal.attendance.models import HAND_MARKS
from portal.attendance.sheet.forms import BULK_CHOICES, BulkForm, GraceForm, MarkForm, ReasonForm
from portal.attendance.sheet.live_page import LivePage, build_live_page
from portal.attendance.sheet.messages import (
    history_message,
    punctuality_message,
    row_remark,
)
from portal.attendance.sheet.participant_cards import ParticipantsBlock, build_participants_block
from portal.attendance.sheet.queries import HISTORY_SHOWN, SheetData, SheetHistoryEntry, SheetRow
from portal.classes.queries import RosterEntry
from portal.core.date_format import format_datetime, format_day, format_time, format_time_range
from portal.core.translations import gettext as _
from portal.core.translations import ngettext
from portal.meetings.codes import MeetingState, OccurrenceState

Action = Literal["edit", "finalise", "reopen", "set_grace", "start"]
Phase = Literal[
    "upcoming", "live", "unheard", "no_instances", "provisional", "unreported", "reconciled", "finalised"
]  # "unheard": should have begun, and Zoom has told nothing of it
FILTER_MARKS = {"present": Mark.PRESENT, "partial": Mark.PARTIAL, "absent": Mark.ABSENT, "review": Mark.NEEDS_REVIEW}
Attributes = Mapping[str, str]


@dataclass(frozen=True)
class Viewer:
    """What the reader may do, whatever the state of the sheet."""

    can_edit: bool  # the marks of this class
    can_set_grace: bool  # the minutes of grace of the section


@dataclass(frozen=True)
class SheetQuery:
    """What was asked for: the address, its parameters, and a form that was sent and is shown with its errors."""

    address: str
    show: str = ""  # a key of FILTER_MARKS
    open_row: str = ""  # the learner whose row is open for a change
    several: bool = False  # several learners can be chosen for one participant
    mark_form: MarkForm | None = None
    bulk_form: BulkForm | None = None
    reason_form: ReasonForm | None = None
    grace_form: GraceForm | None = None


@dataclass(frozen=True)
class Notice:
    """One remark above the list. `form`: the macro that draws what can be done about it."""

    title: str
    text: str
    icon: str
    kind: Literal["", "warm"] = ""
    css: str = "mb-3"
    leads_to_upload: bool = False
    form: Literal["", "reopen", "counts", "short"] = ""


@dataclass(frozen=True)
class MarkCounts:
    present: int
    partial: int
    absent: int
    needs_review: int
    pending: int


@dataclass(frozen=True)
class MarkTotals:
    """The counts as large links, as a bar, and in words."""

    links: tuple[tuple[str, ...], ...]
    segments: tuple[tuple[str, int], ...]
    label: str


@dataclass(frozen=True)
class ChangeForm:
    """The form of the open row."""

    learner_id: str
    marks: tuple[tuple[str, bool], ...]  # the mark, and whether it is chosen
    mark_error: str
    mark_attributes: Attributes
    reason_error: str
    reason_attributes: Attributes
    can_clear: bool


@dataclass(frozen=True)
class LearnerLine:
    """One row of the list."""

    id: str
    number: int
    learner: RosterEntry
    css: str
    mark: str
    by_hand: bool
    remark: str
    punctuality: str
    reason: str
    minutes: str
    joined: str
    left: str
    stays: str
    change_url: str
    is_picked: bool
    form: ChangeForm | None


@dataclass(frozen=True)
class LearnerGroup:
    """The learners of one sex."""

    caption: str
    summary: str
    lines: tuple[LearnerLine, ...]


@dataclass(frozen=True)
class BulkBlock:
    """The form that changes several marks at once."""

    is_open: bool
    error: str
    choices: tuple[tuple[str, str, bool], ...]
    choice_attributes: Attributes
    reason_attributes: Attributes
    picked: Collection[str]


@dataclass(frozen=True)
class FormBlock:
    """A form of one field: its attributes and its error."""

    attributes: Attributes
    error: str = ""
    is_open: bool = False
    hint: str = ""


@dataclass(frozen=True)
class ShortMeetingForm:
    """Marks all as present who were in a meeting shorter than the threshold."""

    learner_ids: tuple[str, ...]
    button: str


@dataclass(frozen=True)
class HistoryBlock:
    hint: str
    is_open: bool
    lines: tuple[tuple[str, str, str], ...]  # day, time, sentence
    has_more: bool


@dataclass(frozen=True)
class SheetPage:
    """The page. What is None, empty or not in `can` is not shown."""

    heading: str
    subtitle: str
    badge: tuple[str, str]  # state and, where it differs, the words
    phase: Phase
    can: frozenset[Action]
    timeline: tuple[tuple[str, ...], ...]
    live: LivePage | None
    has_export: bool
    totals: MarkTotals | None
    notices: tuple[Notice, ...]
    reopen: FormBlock | None
    short: ShortMeetingForm | None
    counts_in_reports: bool
    to_match: str
    filter_text: str
    has_learners: bool
    is_filtered_empty: bool
    bulk: BulkBlock | None
    groups: tuple[LearnerGroup, ...]
    change: ChangeForm | None
    grace: FormBlock | None
    finalise_hint: str
    people: ParticipantsBlock
    history: HistoryBlock | None

    @property
    def has_aside(self) -> bool:
        return bool(self.people.cards or self.people.matched or self.people.staff or self.history)


def build_sheet_page(data: SheetData, viewer: Viewer, query: SheetQuery, now: datetime) -> SheetPage:
    builder = _PageBuilder(data, viewer, query, now)
    return builder.build()


def sheet_phase(data: SheetData, now: datetime) -> Phase:
    if data.state == SheetState.LIVE:
        return "live"
    if data.is_final:
        return "finalised"
    if not data.is_over:
        return "unheard" if data.occurrence.starts_at <= now else "upcoming"
    if data.has_no_instances:
        return "no_instances"
    if data.state == SheetState.PROVISIONAL:
        return "provisional"
    return "unreported" if data.state == SheetState.UNREPORTED else "reconciled"


def allowed_actions(data: SheetData, viewer: Viewer, phase: Phase) -> frozenset[Action]:
    """What the reader may do with the sheet as it is now."""
    rules: dict[Action, bool] = {
        "edit": can_edit_marks(viewer, phase),
        "finalise": can_finalise(data, viewer, phase),
        "reopen": can_reopen(viewer, phase),
        "set_grace": can_set_grace(data, viewer, phase),
        "start": can_return_to_meeting(viewer, phase),
    }
    return frozenset(action for action, is_allowed in rules.items() if is_allowed)


def can_edit_marks(viewer: Viewer, phase: Phase) -> bool:
    return viewer.can_edit and phase not in ("upcoming", "live", "finalised")


def can_finalise(data: SheetData, viewer: Viewer, phase: Phase) -> bool:
    return can_edit_marks(viewer, phase) and data.is_over


def can_reopen(viewer: Viewer, phase: Phase) -> bool:
    return viewer.can_edit and phase == "finalised"


def can_set_grace(data: SheetData, viewer: Viewer, phase: Phase) -> bool:
    return can_edit_marks(viewer, phase) and viewer.can_set_grace and data.occurrence.is_scheduled


def can_return_to_meeting(viewer: Viewer, phase: Phase) -> bool:
    return viewer.can_edit and phase == "live"


class _PageBuilder:
    def __init__(self, data: SheetData, viewer: Viewer, query: SheetQuery, now: datetime) -> None:
        self.data, self.query, self.now = data, query, now
        self.phase = sheet_phase(data, now)
        self.can = allowed_actions(data, viewer, self.phase)
        self.can_edit = "edit" in self.can
        self.shown_mark = FILTER_MARKS.get(query.show)
        self.counts = MarkCounts(**{mark.value: data.count(mark) for mark in Mark})

    def build(self) -> SheetPage:
        data, occurrence = self.data, self.data.occurrence
        groups = tuple(group for group in (self._group("M", _("Male")), self._group("F", _("Female"))) if group)
        return SheetPage(
            heading=_("Attendance, %(day)s", day=format_day(occurrence.starts_at)),
            subtitle=", ".join(
                [
                    format_time_range(occurrence.starts_at, occurrence.ends_at),
                    ngettext("%(num)d learner", "%(num)d learners", len(data.lines)),
                ]
            ),
            badge=self._badge(),
            phase=self.phase,
            can=self.can,
            timeline=self._timeline() if data.is_over else (),
            live=build_live_page(data, self.now) if self.phase == "live" else None,
            has_export=bool(data.lines) and self.phase not in ("upcoming", "live"),
            totals=self._totals() if data.lines and self.phase not in ("upcoming", "live") else None,
            notices=tuple(self._notices()),
            reopen=self._reopen() if "reopen" in self.can else None,
            short=self._short() if self.can_edit and self._came_too_short else None,
            counts_in_reports=bool(data.row and data.row.counts_in_reports),
            to_match=_people_to_match(len(data.unmatched)) if data.unmatched and self.can_edit else "",
            filter_text=self._filter_text(),
            has_learners=bool(data.lines),
            is_filtered_empty=bool(self.shown_mark and not data.count(self.shown_mark)),
            bulk=self._bulk if self.can_edit else None,
            groups=groups,
            change=next((line.form for group in groups for line in group.lines if line.form), None),
            grace=self._grace() if "set_grace" in self.can else None,
            finalise_hint=self._finalise_hint(),
            people=build_participants_block(data, can_edit=self.can_edit, several=self.query.several),
            history=self._history() if data.history else None,
        )

    def _badge(self) -> tuple[str, str]:
        occurrence = self.data.occurrence
        if self.phase == "live":
            return ("live", "")
        if occurrence.state == OccurrenceState.CANCELLED or occurrence.meeting.state == MeetingState.CANCELLED:
            return ("cancelled", "")
        if self.data.is_over:
            return (self.data.state, "")
        return ("not_started", _("No class seen yet")) if self.phase == "unheard" else ("scheduled", "")

    def _timeline(self) -> tuple[tuple[str, ...], ...]:
        """Steps as the macro `trail` takes them: text, state, icon."""
        ended_at = self.data.ended_at
        ended = [(_("Ended %(time)s", time=format_time(ended_at)), "done")] if ended_at else []
        return (*ended, *self._report_step(), self._signing_step())

    def _report_step(self) -> list[tuple[str, ...]]:
        row = self.data.row
        if row and row.reconciled_at:
            return [(_("Reconciled with Zoom %(time)s", time=format_time(row.reconciled_at)), "done")]
        if row and row.reconcile_at:
            text = _("Zoom's report is due about %(time)s", time=format_time(row.reconcile_at))
            return [(text, "" if self.data.is_final else "now", "wait")]
        if self.phase == "unreported":
            return [(_("Zoom's report did not come"), "", "review")]
        return []

    def _signing_step(self) -> tuple[str, ...]:
        row = self.data.row
        if row and row.finalised_at:
            when = format_datetime(row.finalised_at)
            if self.data.signer:
                return (_("Finalised by %(who)s, %(when)s", who=self.data.signer, when=when), "done", "lock")
            return (_("Finalised %(when)s", when=when), "done", "lock")
        if row and row.reconcile_at and not row.reconciled_at:
            return (_("Finalise"), "")
        return (_("Finalise when ready"), "now", "byhand")

    def _totals(self) -> MarkTotals:
        counts = self.counts
        return MarkTotals(
            links=(
                ("present", str(counts.present), "?show=present"),
                ("partial", str(counts.partial), "?show=partial"),
                ("absent", str(counts.absent), "?show=absent"),
                ("needs_review", str(counts.needs_review), "?show=review", _("Review")),
            ),
            segments=(
                ("f-ok", counts.present),
                ("f-part", counts.partial),
                ("f-bad", counts.absent),
                ("f-warm", counts.needs_review),
                ("f-rule", counts.pending),
            ),
            label=mark_counts_message(counts),
        )

    def _notices(self) -> list[Notice]:
        return [*self._phase_notices(), *self._unscheduled_notices(), *self._evidence_notices()]

    def _phase_notices(self) -> list[Notice]:
        match self.phase:
            case "upcoming":
                return [
                    Notice(_("The class has not begun."), _("The sheet fills by itself while it runs."), "calendar")
                ]
            case "unheard":
                text = _("Nobody is marked before that. If the class was held elsewhere, set the marks by hand.")
                title = _("Zoom has not told us of this class.")
                return [Notice(title, self._after_trouble(text, ()), "wait", leads_to_upload=self.can_edit)]
            case "finalised":
                return self._locked_notices()
            case "no_instances":
                text = _(
                    "So nobody is marked absent. If the class was held, bring in Zoom's file or set the marks by hand; "
                    "if not, cancel the date."
                )
                title = _("Zoom has not told us of this class.")
                return [Notice(title, self._after_trouble(text), "review", leads_to_upload=self.can_edit)]
            case "provisional":
                text = _(
                    "They come from what Zoom told us during class. Zoom's own report comes later and may still change "
                    "them."
                )
                return [Notice(_("These marks are provisional."), text, "wait")]
            case "unreported":
                text = _(
                    "The marks come from what Zoom told us during class. You can finalise them as they are, or bring "
                    "in the file that Zoom gives the host."
                )
                title = _("Zoom's report did not come.")
                return [Notice(title, self._after_trouble(text), "review", leads_to_upload=self.can_edit)]
        return []

    def _after_trouble(self, text: str, unsaid: Collection[str] = (ReportError.NOT_READY,)) -> str:
        """The text, after the reason for which Zoom's report is missing, unless that says nothing new."""
        code = self.data.row.report_error if self.data.row else None
        return f"{report_error_message(code)} {text}" if code and code not in unsaid else text

    def _locked_notices(self) -> list[Notice]:
        css = "mb-3 no-print"
        locked = Notice(
            _("This sheet is locked."), _("Its marks count in the reports."), "lock", css=css, form="reopen"
        )
        if not (self.data.row and self.data.row.evidence_changed):
            return [locked]
        text = _(
            "Zoom sent more after the sheet was finalised. The signed marks stay as they are until you open it again."
        )
        return [Notice(_("Evidence changed since: reopen?"), text, "review", "warm", css), locked]

    def _unscheduled_notices(self) -> list[Notice]:
        row = self.data.row
        if self.data.occurrence.is_scheduled or row is None or not self.data.is_over:
            return []
        text = (
            _("It counts in the reports.")
            if row.counts_in_reports
            else _("The room was opened without a class, so it is in no report.")
        )
        form: Literal["", "counts"] = "counts" if self.can_edit else ""
        return [Notice(_("Nobody scheduled this date."), text, "calendar", css="mb-3 no-print", form=form)]

    def _evidence_notices(self) -> list[Notice]:
        if not self.data.is_over or self.data.is_final:
            return []
        flags, notices = self.data.result.flags, []
        undecided = _("Whoever was not seen is left for you to decide. Unknown is not absent.")
        if RecordFlag.GAP in flags:
            notices.append(Notice(_("Silid missed a part of this class."), undecided, "review"))
        elif RecordFlag.DATA_INCOMPLETE in flags and not self.data.has_no_instances:
            notices.append(Notice(_("Zoom's data of this class is incomplete."), undecided, "review"))
        if RecordFlag.SHORT_MEETING in flags:
            minutes = self.data.occurrence.threshold_seconds // 60
            title = _("The class lasted less than %(minutes)d minutes.", minutes=minutes)
            text = _("So time alone makes nobody present: set the marks by hand if it counts.")
            form: Literal["", "short"] = "short" if self.can_edit and self._came_too_short else ""
            notices.append(Notice(title, text, "review", form=form))
        return notices

    @cached_property
    def _came_too_short(self) -> list[SheetRow]:
        return [row for row in self.data.lines if row.mark == Mark.PARTIAL and not row.by_hand]

    def _short(self) -> ShortMeetingForm:
        rows = self._came_too_short
        return ShortMeetingForm(
            learner_ids=tuple(str(row.learner.learner_id) for row in rows),
            button=ngettext("Mark the one who was in as present", "Mark all %(num)d who were in as present", len(rows)),
        )

    def _reopen(self) -> FormBlock:
        form = self.query.reason_form
        error = _errors(form.reason.errors) if form else ""
        attributes = {"value": (form.reason.data or "") if form else ""}
        if error:
            attributes |= {"autofocus": "", "aria-invalid": "true", "aria-describedby": "reopen-error"}
        changed = bool(self.data.row and self.data.row.evidence_changed)
        return FormBlock(attributes, error, is_open=changed or bool(error))

    def _filter_text(self) -> str:
        return {
            None: "",
            Mark.PRESENT: _("Only those present."),
            Mark.PARTIAL: _("Only those partly present."),
            Mark.ABSENT: _("Only those absent."),
            Mark.NEEDS_REVIEW: _("Only those to review."),
        }[self.shown_mark]

    @cached_property
    def _bulk(self) -> BulkBlock:
        form = self.query.bulk_form
        chosen, reason, wrong = "", "", ""
        choice_attributes: dict[str, str] = {}
        reason_attributes: dict[str, str] = {}
        if form:
            chosen, reason = form.to.data or "", form.reason.data or ""
            wrong = _errors(form.who.errors or form.to.errors or form.reason.errors)
            invalid = {"aria-invalid": "true", "aria-describedby": "bulk-error"}
            choice_attributes = invalid if form.to.errors else {}
            reason_attributes = dict(invalid) if form.reason.errors else {}
            if wrong:
                reason_attributes["autofocus"] = ""
        return BulkBlock(
            is_open=bool(wrong),
            error=wrong,
            choices=tuple((one.value, str(one.label), one.value == chosen) for one in BULK_CHOICES),
            choice_attributes=choice_attributes,
            reason_attributes={"value": reason, **reason_attributes},
            picked=frozenset(form.who.data or ()) if form and wrong else frozenset(),
        )

    def _group(self, sex: str, caption: str) -> LearnerGroup | None:
        rows = self.data.of_sex(sex)
        if not rows or (self.shown_mark and all(row.mark != self.shown_mark for row in rows)):
            return None
        lines = [
            self._line(row, number)
            for number, row in enumerate(rows, 1)
            if self.shown_mark in (None, row.mark) or str(row.learner.learner_id) == self.query.open_row
        ]
        summary = ngettext("%(num)d learner", "%(num)d learners", len(rows))
        if self.data.is_final:
            counts = {mark.value: sum(row.mark == mark for row in rows) for mark in Mark}
            summary = f"{summary}: {mark_counts_message(MarkCounts(**counts | {'pending': 0}))}"
        return LearnerGroup(caption, summary, tuple(lines))

    def _line(self, row: SheetRow, number: int) -> LearnerLine:
        computed, learner_id = row.computed, str(row.learner.learner_id)
        is_open = self.can_edit and learner_id == self.query.open_row
        return LearnerLine(
            id=learner_id,
            number=number,
            learner=row.learner,
            css="is-open" if is_open else "is-review" if row.mark == Mark.NEEDS_REVIEW else "",
            mark=row.mark,
            by_hand=row.by_hand,
            remark=row_remark(row),
            punctuality=punctuality_message(is_late=computed.is_late, left_early=computed.left_early),
            reason=row.reason,
            minutes=str(computed.seconds // 60) if computed.stay_count else "",
            joined=format_time(computed.first_join)[:-3] if computed.first_join else "",
            left=format_time(computed.last_leave)[:-3] if computed.last_leave else "",
            stays=str(computed.stay_count or ""),
            change_url=self._change_url(learner_id) if self.can_edit else "",
            is_picked=self.can_edit and learner_id in self._bulk.picked,
            form=self._change_form(row) if is_open else None,
        )

    def _change_url(self, learner_id: str) -> str:
        shown = f"show={self.query.show}&" if self.shown_mark else ""
        return f"{self.query.address}?{shown}change={learner_id}#l-{learner_id}"

    def _change_form(self, row: SheetRow) -> ChangeForm:
        form = self.query.mark_form
        mark = (form.mark.data if form else None) or row.mark
        mark_error = _errors(form.mark.errors) if form else ""
        reason_error = _errors(form.reason.errors) if form else ""
        reason = (form.reason.data if form else None) or (row.override.reason if row.override else "")
        described = "change-reason-hint change-reason-error" if reason_error else "change-reason-hint"
        return ChangeForm(
            learner_id=str(row.learner.learner_id),
            marks=tuple((one.value, one == mark) for one in HAND_MARKS),
            mark_error=mark_error,
            mark_attributes={"aria-describedby": "change-mark-error"} if mark_error else {},
            reason_error=reason_error,
            reason_attributes={"value": reason, "aria-describedby": described}
            | ({"aria-invalid": "true"} if reason_error else {}),
            can_clear=row.override is not None,
        )

    def _grace(self) -> FormBlock:
        form, minutes = self.query.grace_form, self.data.grace_minutes
        value = "" if minutes is None else str(minutes)
        hint = _("not asked for") if minutes is None else _("after %(minutes)d min", minutes=minutes)
        if form is None:
            return FormBlock({"value": value, "aria-describedby": "grace-hint"}, hint=hint)
        attributes = {
            "value": str((form.minutes.raw_data or [""])[0]),
            "aria-describedby": "grace-error grace-hint",
            "aria-invalid": "true",
            "autofocus": "",
        }
        error = _errors(form.minutes.errors or form.csrf_token.errors)
        return FormBlock(attributes, error, is_open=True, hint=hint)

    def _finalise_hint(self) -> str:
        if not self.counts.needs_review:
            return _("Then later news from Zoom no longer changes the marks.")
        return ngettext(
            "%(num)d needs review. If left, it stays “needs review”, never blank.",
            "%(num)d need review. If left, they stay “needs review”, never blank.",
            self.counts.needs_review,
        )

    def _history(self) -> HistoryBlock:
        entries = self.data.history
        hint = ngettext("%(num)d change", "%(num)d changes", len(entries))
        if len(entries) > HISTORY_SHOWN:
            hint = _("more than %(num)d changes", num=HISTORY_SHOWN)
        return HistoryBlock(
            hint=hint,
            is_open=self.data.is_final,
            lines=build_history_lines(entries[:HISTORY_SHOWN]),
            has_more=len(entries) > HISTORY_SHOWN,
        )


def build_history_lines(entries: Sequence[SheetHistoryEntry]) -> tuple[tuple[str, str, str], ...]:
    """Day, time and sentence of each entry."""
    return tuple(
        (format_day(entry.occurred_at), format_time(entry.occurred_at), history_message(entry)) for entry in entries
    )


def _people_to_match(count: int) -> str:
    return ngettext("%(num)d person to match", "%(num)d people to match", count)


def _errors(errors: Sequence[object]) -> str:
    return " ".join(str(error) for error in errors)
