"""The sheet as the page and the CSV show it: computed evidence with the people's decisions on top."""

import csv
import hashlib
import io
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import bindparam, case, func, select

from portal.accounts.models import User
from portal.attendance.calculation.marks import (
    LearnerResult,
    SheetResult,
    UnmatchedParticipant,
    compute_sheet,
)
from portal.attendance.codes import Mark, SheetState
from portal.attendance.messages import mark_counts_message
from portal.attendance.models import AttendanceHistory, AttendanceRecord, AttendanceSheet, AttendanceTally
from portal.attendance.sheet import explain
from portal.attendance.sheet.compute import sheet_state_of
from portal.attendance.sheet.evidence_loader import LearnerRecord, SheetEvidence, load_sheet_evidence
from portal.attendance.sheet.explain import MarkOverride
from portal.classes.access import can_view_learners
from portal.classes.disclosure.service import disclosed_sections_select
from portal.classes.models import Learner, SchoolClass
from portal.classes.queries import RosterEntry
from portal.core import clock
from portal.core.db import db
from portal.meetings.access import visible_meetings_clause
from portal.meetings.models import MeetingOccurrence, ZoomMeeting

CSV_COLUMNS = [
    "lrn",
    "name",
    "sex",
    "mark",
    "seconds",
    "minutes",
    "first_join",
    "last_leave",
    "stays",
    "override",
    "reason",
]


@dataclass(frozen=True)
class SheetRow:
    """A learner's line: what the evidence says, what a person said, and the mark that counts."""

    learner: RosterEntry
    computed: LearnerResult
    mark: str
    by_hand: bool
    reason: str
    override: MarkOverride | None
    final_mark: str | None


@dataclass(frozen=True)
class SheetData:
    """One class date for the page. `state` is the badge, "finalised" when it is signed."""

    lines: tuple[SheetRow, ...]
    unmatched: tuple[UnmatchedParticipant, ...]
    result: SheetResult
    state: str
    row: AttendanceSheet | None
    matched_by_hand: tuple[tuple[str, tuple[str, ...], tuple[UUID, ...]], ...]
    ended_at: datetime | None
    uploaded: bool
    has_no_instances: bool  # no running of it is known
    grace_minutes: int | None
    version: str
    signer: str | None  # who finalised it
    occurrence: MeetingOccurrence
    history: tuple["SheetHistoryEntry", ...] = ()  # the latest entries, for the page only

    def count(self, mark: str) -> int:
        return sum(line.mark == mark for line in self.lines)

    def of_sex(self, sex: str) -> list[SheetRow]:
        return [line for line in self.lines if line.learner.sex == sex]

    @property
    def is_final(self) -> bool:
        return self.state == "finalised"

    @property
    def is_over(self) -> bool:
        return self.state in (SheetState.PROVISIONAL, SheetState.RECONCILED, SheetState.UNREPORTED, "finalised")


def load_sheet_data(occurrence: MeetingOccurrence, *, with_history: bool = False) -> SheetData:
    """The sheet as its evidence and its people say now."""
    loaded = load_sheet_evidence(occurrence, occurrence.meeting)
    result = compute_sheet(loaded.input)
    computed = {line.learner_id: line for line in result.learners}
    lines = tuple(_line(line, computed[str(line.learner.learner_id)], loaded.input.threshold) for line in loaded.lines)
    row = loaded.sheet
    state = sheet_state_of(occurrence, loaded)
    return SheetData(
        lines=lines,
        unmatched=result.unmatched,
        result=result,
        state="finalised" if row and row.finalised_at else state,
        row=row,
        matched_by_hand=_matched_by_hand(loaded, result),
        ended_at=loaded.ended_at,
        uploaded=loaded.uploaded,
        has_no_instances=not loaded.has_instances,
        grace_minutes=loaded.grace_minutes,
        version=sheet_version(row.computed_at, row.needs_recompute, occurrence.state) if row else "",
        signer=loaded.signer,
        occurrence=occurrence,
        history=tuple(list_sheet_history(occurrence.id)) if with_history else (),
    )


def sheet_version(computed_at: datetime | None, dirty: bool, occurrence_state: str) -> str:
    """A text that changes when the sheet does, and with every minute, since minutes are shown."""
    minute = int(clock.now().timestamp()) // 60
    said = f"{computed_at.timestamp() if computed_at else 0} {dirty} {occurrence_state} {minute}"
    return hashlib.sha256(said.encode()).hexdigest()[:16]


def current_sheet_version(user: User, occurrence_id: UUID) -> str | None:
    """The version of a sheet that the person may see, in one statement; None for a stranger."""
    statement = (
        select(AttendanceSheet.computed_at, AttendanceSheet.needs_recompute, MeetingOccurrence.state)
        .select_from(MeetingOccurrence)
        .join(ZoomMeeting, ZoomMeeting.id == MeetingOccurrence.meeting_id)
        .join(AttendanceSheet, AttendanceSheet.occurrence_id == MeetingOccurrence.id)
        .where(MeetingOccurrence.id == occurrence_id, visible_meetings_clause(user))
    )
    if not can_view_learners(user):
        opened = select(SchoolClass.id).where(SchoolClass.section_id.in_(disclosed_sections_select(user)))
        statement = statement.where(ZoomMeeting.class_id.in_(opened))
    row = db.session.execute(statement).one_or_none()
    return sheet_version(*row) if row else None


def _line(line: LearnerRecord, computed: LearnerResult, threshold: int) -> SheetRow:
    override = None
    if line.override_mark and line.override_at:
        override = MarkOverride(
            mark=line.override_mark,  # type: ignore[arg-type]  # a check constraint holds it to the words
            by=line.override_by or "",
            at=line.override_at,
            reason=line.override_reason or "",
        )
    return SheetRow(
        learner=line.learner,
        computed=computed,
        mark=line.final_mark or line.override_mark or computed.mark,
        by_hand=override is not None,
        reason=explain.explain_mark(computed, threshold=threshold, override=override),
        override=override,
        final_mark=line.final_mark,
    )


def _matched_by_hand(
    loaded: SheetEvidence, result: SheetResult
) -> tuple[tuple[str, tuple[str, ...], tuple[UUID, ...]], ...]:
    """Participants that a person has matched: shown name, names of the learners, stays; for undoing."""
    names = {str(line.learner.learner_id): line.learner.lis_name for line in loaded.lines}
    linked = {link.stay_id: link for link in loaded.input.links}
    groups: dict[tuple[str, tuple[str, ...]], list[UUID]] = {}
    for stay in loaded.input.stays:
        link = linked.get(stay.id)
        if link:
            who = tuple(names.get(learner_id, "") for learner_id in link.learner_ids)
            groups.setdefault((stay.name, who), []).append(UUID(stay.id))
    return tuple((name, who, tuple(stays)) for (name, who), stays in sorted(groups.items()))


def sheet_to_csv(occurrence: MeetingOccurrence) -> str:
    """The sheet as CSV: one row per learner enrolled that day, in LIS order, times in Manila."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(CSV_COLUMNS)
    for line in load_sheet_data(occurrence).lines:
        computed = line.computed
        writer.writerow(
            [
                line.learner.lrn or "",
                escape_csv_formula(line.learner.lis_name),
                line.learner.sex,
                Mark(line.mark).file_text,
                computed.seconds,
                computed.seconds // 60,
                _manila(computed.first_join),
                _manila(computed.last_leave),
                computed.stay_count,
                line.override.mark if line.override else "",
                escape_csv_formula(line.override.reason if line.override else line.reason),
            ]
        )
    return out.getvalue()


def _manila(moment: datetime | None) -> str:
    return clock.to_manila(moment).strftime("%Y-%m-%d %H:%M:%S") if moment else ""


FORMULA_SIGNS = tuple("=+-@\t\r\n＝＋－＠")  # East Asian Excel takes the wide ones as well


def escape_csv_formula(text: str) -> str:
    """Text that a spreadsheet does not take for a formula."""
    return f"'{text}" if text.lstrip(" ")[:1] in FORMULA_SIGNS else text


@dataclass(frozen=True)
class SheetHistoryEntry:
    occurred_at: datetime
    event: str
    who: str | None
    last_name: str | None
    first_name: str | None
    from_mark: str | None
    to_mark: str | None
    reason: str | None


HISTORY_SHOWN = 20


_changes = (
    select(
        AttendanceHistory.occurred_at,
        AttendanceHistory.event,
        User.full_name,
        Learner.last_name,
        Learner.first_name,
        AttendanceHistory.from_mark,
        AttendanceHistory.to_mark,
        AttendanceHistory.reason,
    )
    .outerjoin(User, User.id == AttendanceHistory.actor_id)
    .outerjoin(Learner, Learner.id == AttendanceHistory.learner_id)
    .where(AttendanceHistory.occurrence_id == bindparam("occurrence_id"))
    .order_by(AttendanceHistory.occurred_at.desc(), AttendanceHistory.id.desc())
)
_latest_changes = _changes.limit(HISTORY_SHOWN + 1)


def list_sheet_history(occurrence_id: UUID, *, everything: bool = False) -> list[SheetHistoryEntry]:
    """What was changed on a sheet, newest first: all of it, or the latest and one more if there are more."""
    statement = _changes if everything else _latest_changes
    return [SheetHistoryEntry(*row) for row in db.session.execute(statement, {"occurrence_id": occurrence_id})]


@dataclass(frozen=True)
class SheetSummary:
    """A sheet in a list: its badge and how many of each mark."""

    state: str
    finalised: bool
    present: int
    partial: int
    absent: int
    needs_review: int
    pending: int
    counts_in_reports: bool = True  # False: nobody scheduled the date, and it is in no report
    in_meeting_count: int = 0  # learners who are in the meeting at this moment
    unmatched_count: int = 0  # people whom nobody has matched

    @property
    def total(self) -> int:
        return self.present + self.partial + self.absent + self.needs_review + self.pending

    @property
    def counts_message(self) -> str:
        return mark_counts_message(self)


def load_sheet_summaries(occurrence_ids: list[UUID]) -> dict[UUID, SheetSummary]:
    """Badge and counts of several sheets, one statement. The counts are the tallies', which stay when rows go."""
    still_in = (
        select(func.count())
        .where(AttendanceRecord.occurrence_id == AttendanceSheet.occurrence_id, AttendanceRecord.is_in_meeting)
        .scalar_subquery()
    )
    tallied = ("present", "partial", "absent", "needs_review", "pending")
    rows = db.session.execute(
        select(
            AttendanceSheet.occurrence_id,
            AttendanceSheet.state,
            AttendanceSheet.finalised_at,
            AttendanceSheet.counts_in_reports,
            AttendanceSheet.unmatched_count,
            case((AttendanceSheet.state == SheetState.LIVE, still_in), else_=0).label("still_in"),
            *(func.coalesce(getattr(AttendanceTally, name), 0).label(name) for name in tallied),
        )
        .outerjoin(AttendanceTally, AttendanceTally.occurrence_id == AttendanceSheet.occurrence_id)
        .where(AttendanceSheet.occurrence_id.in_(occurrence_ids))
    )
    return {
        row.occurrence_id: SheetSummary(
            state="finalised" if row.finalised_at else row.state,
            finalised=bool(row.finalised_at),
            counts_in_reports=row.counts_in_reports,
            unmatched_count=row.unmatched_count,
            in_meeting_count=row.still_in,
            **{name: getattr(row, name) for name in tallied},
        )
        for row in rows
    }
