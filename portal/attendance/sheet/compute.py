"""The sheet of one class date: its evidence loaded, computed, and written down.

`load_sheet_evidence` and `compute_sheet` are the same for the page, the CSV and the records, so they cannot disagree.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from flask import current_app
from sqlalchemy import Select, Uuid, and_, bindparam, exists, false, insert, null, or_, select, union_all, update
from sqlalchemy.orm import joinedload

from portal.accounts.models import User
from portal.attendance.calculation import stays
from portal.attendance.calculation.marks import (
    ConfirmedAlias,
    DataCompleteness,
    InstanceTimes,
    LearnerResult,
    ManualMatch,
    RosterLearner,
    SheetInput,
    SheetResult,
    StaffMember,
    compute_sheet,
)
from portal.attendance.codes import Mark, ReportError, SheetEvent, SheetState
from portal.attendance.evidence.events import CSV_UUID, is_instance_running
from portal.attendance.models import (
    AttendanceHistory,
    AttendanceRecord,
    AttendanceSheet,
    ParticipantAlias,
    ParticipantMatch,
    ZoomParticipant,
)
from portal.attendance.sheet import tally
from portal.classes import queries as class_queries
from portal.classes.models import Enrolment, SchoolClass, Section, co_teachers
from portal.config import Settings
from portal.core import clock
from portal.core.db import db, end_read_transaction, write_transaction
from portal.meetings.codes import OccurrenceState
from portal.meetings.models import MeetingOccurrence, ZoomInstance, ZoomMeeting
from portal.registration.desired_registrants import learner_registration_email
from portal.registration.models import FormerRegistrant, MeetingRegistrant
from portal.webhooks.outages import had_delivery_gap

OVERDUE_AFTER = timedelta(minutes=30)  # after the planned end a class counts as over, end or no end


@dataclass(frozen=True)
class LearnerRecord:
    """A learner with their record as a person has left it."""

    learner: class_queries.RosterEntry
    override_mark: str | None
    override_reason: str | None
    override_by: str | None
    override_at: datetime | None
    final_mark: str | None


@dataclass(frozen=True)
class SheetEvidence:
    """Everything a sheet follows from, and the people's own decisions beside it.

    `reported`: Zoom's report, or its file, has told of every running. `heard`: some running is known.
    """

    input: SheetInput
    lines: tuple[LearnerRecord, ...]
    sheet: AttendanceSheet | None
    reported: bool
    ended_at: datetime | None
    uploaded: bool
    has_instances: bool
    grace_minutes: int | None
    signer: str | None = None  # who finalised the sheet
    deleted: bool = False  # the school keeps it no longer


@dataclass
class _EvidenceRows:
    """The rows of one class date. `links`: the row decided about, the learner or None, staff or not."""

    sheet: AttendanceSheet | None
    instances: list[ZoomInstance]
    rows: list[stays.SourceRow]
    links: list[tuple[str, str | None, bool | None]]
    section: tuple[str, int | None]
    signer: str | None
    deleted: bool  # the school keeps the attendance of that year no longer


def load_sheet_evidence(
    occurrence: MeetingOccurrence,
    meeting: ZoomMeeting,
    extra: tuple[ZoomInstance, list[ZoomParticipant]] | None = None,
) -> SheetEvidence:
    """Read the evidence of one class date; five to eight statements, whatever the number of rows.

    With `extra` as if the evidence held that running and its stays as well.
    """
    evidence_rows = _evidence(occurrence)
    if extra and extra[0].uuid not in {instance.uuid for instance in evidence_rows.instances}:
        evidence_rows.instances.append(extra[0])
        evidence_rows.rows.extend(_row(extra[0].uuid, *(getattr(row, name) for name in _SAID)) for row in extra[1])
    paired = stays.build_stays_from_rows(evidence_rows.rows, meeting.host_email)
    lines = _lines(occurrence, meeting)
    registrant_ids, staff = _registered(meeting)
    settings: Settings = current_app.extensions["silid.settings"]
    aliases, elsewhere = _aliases(meeting, lines)
    told = _told(evidence_rows)
    completeness = assess_data_completeness(occurrence, meeting, evidence_rows, told, lines)
    return SheetEvidence(
        input=SheetInput(
            planned_start=occurrence.starts_at,
            planned_end=occurrence.ends_at,
            threshold=occurrence.threshold_seconds,
            grace_minutes=evidence_rows.section[1] if occurrence.is_scheduled else None,
            instances=tuple(
                InstanceTimes(row.uuid, row.started_at, row.ended_at)
                for row in evidence_rows.instances
                if not _is_bare_file(row)
            ),
            stays=paired.stays,
            roster=tuple(
                RosterLearner(
                    learner_id=str(line.learner.learner_id),
                    registrant_ids=frozenset(registrant_ids.get(line.learner.learner_id, ())),
                    # what the learner is registered with: Zoom's file knows no registrant id
                    email=learner_registration_email(line.learner.lrn, line.learner.email, settings.email_domains),
                    name=line.learner.lis_name,
                )
                for line in lines
            ),
            staff=tuple(
                StaffMember(str(user_id), frozenset(registrant_ids.get(user_id, ())), email, (name,))
                for user_id, (email, name) in sorted(staff.items())
            ),
            links=_links(evidence_rows.links, paired.stay_of_row),
            aliases=aliases,
            knowledge=completeness,
            now=clock.now(),
            section=evidence_rows.section[0],
            elsewhere=elsewhere,
        ),
        lines=lines,
        sheet=evidence_rows.sheet,
        reported=bool(told) and completeness.is_complete,
        ended_at=_ended_at(evidence_rows),
        uploaded=any(_is_file(row) for row in evidence_rows.instances),
        has_instances=bool(evidence_rows.instances),
        grace_minutes=evidence_rows.section[1],
        signer=evidence_rows.signer,
        deleted=evidence_rows.deleted,
    )


_runs = (
    select(
        AttendanceSheet,
        ZoomInstance,
        Section.grade_level,
        Section.name,
        Section.late_grace_minutes,
        Section.attendance_deleted_at,
        User.full_name,
    )
    .select_from(MeetingOccurrence)
    .join(ZoomMeeting, ZoomMeeting.id == MeetingOccurrence.meeting_id)
    .outerjoin(SchoolClass, SchoolClass.id == ZoomMeeting.class_id)
    .outerjoin(Section, Section.id == SchoolClass.section_id)
    .outerjoin(AttendanceSheet, AttendanceSheet.occurrence_id == MeetingOccurrence.id)
    .outerjoin(User, User.id == AttendanceSheet.finalised_by)
    .outerjoin(ZoomInstance, ZoomInstance.occurrence_id == MeetingOccurrence.id)
    .where(MeetingOccurrence.id == bindparam("occurrence_id"))
)

# What a row of a stay says, in the order in which `_row` takes it. Plain columns: there are many rows, and none of
# them is changed here.
_SAID = (
    "id",
    "session",
    "room",
    "source",
    "sequence",
    "joined_at",
    "left_at",
    "registrant_id",
    "email",
    "zoom_user_id",
    "name",
    "is_host",
    "parent_session",
    "duration_seconds",
)
_instances, _participants, _decisions = ZoomInstance.__table__, ZoomParticipant.__table__, ParticipantMatch.__table__
_stays = (
    select(
        _decisions.c.id,
        _decisions.c.learner_id,
        _decisions.c.is_staff,
        _instances.c.uuid,
        *(_participants.c[name] for name in _SAID),
    )
    .select_from(
        _instances.join(_participants, _participants.c.instance_id == _instances.c.id).outerjoin(
            _decisions, _decisions.c.participant_id == _participants.c.id
        )
    )
    .where(_instances.c.occurrence_id == bindparam("occurrence_id"))
)


def _evidence(occurrence: MeetingOccurrence) -> _EvidenceRows:
    """Sheet and runs in one statement, their stays and the decisions about them in another."""
    found = db.session.execute(
        _runs, {"occurrence_id": occurrence.id}, execution_options={"populate_existing": True}
    ).all()
    sheet, grade_level, name, grace, deleted_at, signer = (found[0][0], *found[0][2:]) if found else (None,) * 6
    instances = [row[1] for row in found if row[1] is not None]
    rows: dict[UUID, stays.SourceRow] = {}
    links = []
    for link, learner_id, is_staff, uuid, *said in (
        db.session.execute(_stays, {"occurrence_id": occurrence.id}) if instances else ()
    ):
        row = rows.get(said[0])
        if row is None:
            row = rows[said[0]] = _row(uuid, *said)
        if link is not None:
            links.append((row.id, str(learner_id) if learner_id else None, is_staff))
    return _EvidenceRows(
        sheet=sheet,
        instances=instances,
        rows=list(rows.values()),
        links=links,
        section=(f"{grade_level}-{name}" if name else "", grace),
        signer=signer,
        deleted=deleted_at is not None,
    )


def _row(uuid: str, row_id: UUID, *said: Any) -> stays.SourceRow:
    """What a source says of a stay, `said` as `_SAID` names it after the id. Check constraints hold room and source
    to their words."""
    return stays.SourceRow(str(row_id), uuid, *said)


def _is_file(instance: ZoomInstance) -> bool:
    return instance.uuid.startswith(CSV_UUID)


def _is_bare_file(instance: ZoomInstance) -> bool:
    """A file that says how long, not when: it tells nothing of the running's own times."""
    return _is_file(instance) and instance.started_at is None


def assess_data_completeness(
    occurrence: MeetingOccurrence,
    meeting: ZoomMeeting,
    evidence_rows: _EvidenceRows,
    told: set[UUID],
    lines: Sequence[LearnerRecord],
) -> DataCompleteness:
    """Is it over, and is everything known?

    Complete: of every running (those in `told` by Zoom's report or file) start and end were received, with no
    outage or backlog of ours meanwhile. Where nothing was heard of a class at all, nothing is complete, and
    once it is past it needs review; only if Zoom says that nobody opened the meeting, and no teacher has set a
    mark, it stays pending.
    """
    real = [row for row in evidence_rows.instances if not _is_file(row)]
    ended = bool(evidence_rows.instances) and not is_instance_running((row.started_at, row.ended_at) for row in real)
    past = clock.now() >= occurrence.ends_at + OVERDUE_AFTER
    over = ended or (
        past and (bool(evidence_rows.instances) or _may_have_run(occurrence, meeting, evidence_rows.sheet, lines))
    )
    untold = [row for row in real if row.id not in told]
    if (
        not over
        or not evidence_rows.instances
        or not all(row.started_event_received and row.ended_event_received for row in untold)
    ):
        return DataCompleteness(is_over=over, is_complete=False, has_delivery_gap=False)
    gap = bool(untold) and _had_gap(occurrence, meeting, untold)
    return DataCompleteness(is_over=over, is_complete=not gap, has_delivery_gap=gap)


NO_INSTANCE_REPORTED = ReportError.NO_INSTANCE  # the trouble of a sheet whose meeting, Zoom says, nobody opened


def _may_have_run(
    occurrence: MeetingOccurrence, meeting: ZoomMeeting, sheet: AttendanceSheet | None, lines: Sequence[LearnerRecord]
) -> bool:
    """A class of which nothing was heard: has its teacher marked somebody, or was it to be held at Zoom, and
    has Zoom not denied it?"""
    if any(line.override_mark or line.final_mark for line in lines):
        return True
    if meeting.zoom_id is None or occurrence.state == OccurrenceState.CANCELLED or not occurrence.is_scheduled:
        return False
    return sheet is None or sheet.report_error != NO_INSTANCE_REPORTED


def _told(evidence_rows: _EvidenceRows) -> set[UUID]:
    """The runnings of which Zoom's report has rows, or over which a teacher uploaded Zoom's file."""
    by_report = {row.instance for row in evidence_rows.rows if row.source == "report"}
    reported = {row.id for row in evidence_rows.instances if row.uuid in by_report}
    files = [row for row in evidence_rows.instances if _is_file(row)]
    covered = {row.id for row in evidence_rows.instances if _is_file(row) or any(_covers(file, row) for file in files)}
    return reported | covered


def _covers(file: ZoomInstance, instance: ZoomInstance) -> bool:
    """A file without times is about the whole date; one with times about the runnings that it overlaps."""
    if file.started_at is None or file.ended_at is None or instance.started_at is None:
        return True
    return file.started_at < (instance.ended_at or file.ended_at) and instance.started_at < file.ended_at


def _had_gap(occurrence: MeetingOccurrence, meeting: ZoomMeeting, runs: list[ZoomInstance]) -> bool:
    starts = [row.started_at for row in runs if row.started_at]
    ends = [row.ended_at for row in runs if row.ended_at]
    if occurrence.is_scheduled:
        starts.append(occurrence.starts_at)
    return had_delivery_gap(meeting.zoom_id or "", min(starts), max([*ends, min(starts)]))


def _ended_at(evidence_rows: _EvidenceRows) -> datetime | None:
    real = [row for row in evidence_rows.instances if not _is_file(row)]
    if is_instance_running((row.started_at, row.ended_at) for row in real):
        return None
    return max((row.ended_at for row in real if row.ended_at), default=None)


_roster = (
    class_queries.select_roster(bindparam("day"))
    .join(SchoolClass, SchoolClass.section_id == Enrolment.section_id)
    .outerjoin(
        AttendanceRecord,
        and_(
            AttendanceRecord.learner_id == Enrolment.learner_id,
            AttendanceRecord.occurrence_id == bindparam("occurrence_id"),
        ),
    )
    .outerjoin(User, User.id == AttendanceRecord.override_by)
    .where(SchoolClass.id == bindparam("class_id"))
    .add_columns(  # in the order of `LearnerRecord`
        AttendanceRecord.override_mark,
        AttendanceRecord.override_reason,
        User.full_name,
        AttendanceRecord.override_at,
        AttendanceRecord.final_mark,
    )
)


def _lines(occurrence: MeetingOccurrence, meeting: ZoomMeeting) -> tuple[LearnerRecord, ...]:
    """The roster of that day with each learner's record, in LIS order."""
    if meeting.class_id is None:
        return ()
    rows = db.session.execute(
        _roster, {"day": occurrence.local_date, "occurrence_id": occurrence.id, "class_id": meeting.class_id}
    )
    lines: dict[UUID, LearnerRecord] = {}
    for row in rows:
        learner = class_queries.RosterEntry(*row[:_OF_A_LEARNER])
        lines.setdefault(learner.learner_id, LearnerRecord(learner, *row[_OF_A_LEARNER:]))
    return tuple(lines.values())


_OF_A_LEARNER = len(fields(class_queries.RosterEntry))


def _registrants(table: type[MeetingRegistrant | FormerRegistrant]) -> Select[*tuple[Any, ...]]:
    return (
        select(table.learner_id, table.user_id, table.zoom_registrant_id, User.email, User.full_name)
        .outerjoin(User, false())
        .where(table.meeting_id == bindparam("meeting_id"), table.zoom_registrant_id.is_not(None))
    )


_class_id = bindparam("class_id", type_=Uuid())
_everybody = union_all(
    _registrants(MeetingRegistrant),
    _registrants(FormerRegistrant),
    select(null(), User.id, null(), User.email, User.full_name).where(
        or_(
            User.id.in_(select(SchoolClass.teacher_id).where(SchoolClass.id == _class_id)),
            User.id.in_(select(co_teachers.c.user_id).where(co_teachers.c.class_id == _class_id)),
        )
    ),
)


def _registered(meeting: ZoomMeeting) -> tuple[dict[UUID, set[str]], dict[UUID, tuple[str, str]]]:
    """Zoom's registrant ids of each learner and teacher, those of former registrations too; the staff of the
    class with address and name."""
    ids: dict[UUID, set[str]] = {}
    people: dict[UUID, tuple[str, str]] = {}
    rows: Sequence[Any] = db.session.execute(_everybody, {"meeting_id": meeting.id, "class_id": meeting.class_id}).all()
    for row in rows:
        learner_id, user_id, registrant_id, email, name = row
        if email:
            people[user_id] = (email, name)
        else:
            ids.setdefault(learner_id or user_id, set()).add(registrant_id)
    return ids, people


def _links(
    decisions: Iterable[tuple[str, str | None, bool | None]], stay_of_row: Mapping[str, str]
) -> tuple[ManualMatch, ...]:
    learners: dict[str, set[str]] = {}
    said: dict[str, bool | None] = {}
    for row_id, learner_id, is_staff in decisions:
        stay_id = stay_of_row[row_id]
        learners.setdefault(stay_id, set())
        said[stay_id] = said.get(stay_id) or is_staff
        if learner_id:
            learners[stay_id].add(learner_id)
    return tuple(
        ManualMatch(
            stay_id,
            tuple(sorted(ids)),
            staff=not ids and said[stay_id] is True,
            nobody=not ids and said[stay_id] is False,
        )
        for stay_id, ids in sorted(learners.items())
    )


_names = (
    select(
        ParticipantAlias.class_id,
        ParticipantAlias.folded_name,
        ParticipantAlias.created_at,
        ParticipantAlias.learner_id,
    )
    .where(
        or_(
            ParticipantAlias.class_id == _class_id,
            ParticipantAlias.learner_id.in_(bindparam("learners", expanding=True)),
        )
    )
    .order_by(ParticipantAlias.folded_name, ParticipantAlias.created_at, ParticipantAlias.learner_id)
)


def _aliases(
    meeting: ZoomMeeting, lines: Sequence[LearnerRecord]
) -> tuple[tuple[ConfirmedAlias, ...], tuple[ConfirmedAlias, ...]]:
    """The names remembered for this class, and those of its learners in other classes."""
    if meeting.class_id is None:
        return (), ()
    rows = db.session.execute(
        _names, {"class_id": meeting.class_id, "learners": [line.learner.learner_id for line in lines]}
    )
    # Siblings on one phone are tied in one act; the same name tied twice is two children, and proves nothing.
    tied: dict[tuple[bool, UUID, str, datetime], list[str]] = {}
    for class_id, name, made_at, learner_id in rows:
        tied.setdefault((class_id == meeting.class_id, class_id, name, made_at), []).append(str(learner_id))
    split: dict[bool, list[ConfirmedAlias]] = {True: [], False: []}
    for (is_here, _, name, _made_at), ids in tied.items():
        split[is_here].append(ConfirmedAlias(name, tuple(ids)))
    return tuple(split[True]), tuple(split[False])


def recompute_sheet(occurrence_id: UUID) -> SheetResult | None:
    """Compute one sheet and write its records, under the sheet's lock. The same evidence writes nothing."""
    with write_transaction() as session:
        sheet = session.get(AttendanceSheet, occurrence_id, with_for_update=True, populate_existing=True)
        occurrence = session.scalar(
            select(MeetingOccurrence)
            .where(MeetingOccurrence.id == occurrence_id)
            .options(joinedload(MeetingOccurrence.meeting))
            .execution_options(populate_existing=True)
        )
        if sheet is None or occurrence is None:
            return None
        loaded = load_sheet_evidence(occurrence, occurrence.meeting)
        if loaded.deleted:  # its totals are all that is left, and they stay as they were
            sheet.needs_recompute, sheet.reconcile_at = False, None
            return None
        result = compute_sheet(loaded.input)
        _write_records(occurrence, loaded, result)
        tally.write_sheet_tally(occurrence.id, meeting_seconds=result.meeting_seconds)
        completeness = loaded.input.knowledge
        sheet.needs_recompute, sheet.computed_at, sheet.has_delivery_gap = (
            False,
            clock.now(),
            completeness.has_delivery_gap,
        )
        sheet.state, sheet.unmatched_count = sheet_state_of(occurrence, loaded), len(result.unmatched)
        if completeness.is_over and occurrence.state == OccurrenceState.STARTED:
            occurrence.state = OccurrenceState.ENDED  # its end was never told
        _plan_report(sheet, occurrence, loaded)
        return result


def is_attendance_deleted(meeting: ZoomMeeting) -> bool:
    """True where the school keeps the attendance of the meeting's class no longer."""
    gone = (
        select(Section.attendance_deleted_at)
        .join(SchoolClass, SchoolClass.section_id == Section.id)
        .where(SchoolClass.id == meeting.class_id)
    )
    return db.session.scalar(gone) is not None


def report_delays_after() -> tuple[timedelta, ...]:
    """How long after the end of a class Zoom's report is asked: first, second ... time."""
    settings: Settings = current_app.extensions["silid.settings"]
    return tuple(timedelta(minutes=minutes) for minutes in settings.reconcile_minutes)


def _plan_report(sheet: AttendanceSheet, occurrence: MeetingOccurrence, loaded: SheetEvidence) -> None:
    """Ask some time after the end (or the planned end); and again if more ran since it was answered."""
    if not loaded.input.knowledge.is_over or sheet.reconcile_at is not None:
        return
    if sheet.reconciled_at and not loaded.reported:
        sheet.reconciled_at, sheet.report_digest, sheet.reconcile_attempts = None, None, 0
    if sheet.reconcile_attempts == 0 and sheet.reconciled_at is None:
        sheet.reconcile_at = (loaded.ended_at or occurrence.ends_at) + report_delays_after()[0]


def sheet_state_of(occurrence: MeetingOccurrence, loaded: SheetEvidence) -> SheetState:
    """The badge: live, then provisional (Zoom's report is awaited), then reconciled or unreported."""
    if not loaded.input.knowledge.is_over:
        return SheetState.LIVE if occurrence.state == OccurrenceState.STARTED else SheetState.NOT_STARTED
    if loaded.reported:
        return SheetState.RECONCILED
    given_up = loaded.sheet and loaded.sheet.state == SheetState.UNREPORTED
    return SheetState.UNREPORTED if given_up else SheetState.PROVISIONAL


def _write_records(occurrence: MeetingOccurrence, loaded: SheetEvidence, result: SheetResult) -> None:
    session = db.session
    records = {
        record.learner_id: record
        for record in session.scalars(select(AttendanceRecord).where(AttendanceRecord.occurrence_id == occurrence.id))
    }
    final = bool(loaded.sheet and loaded.sheet.finalised_at)
    for computed in result.learners:
        learner_id = UUID(computed.learner_id)
        record = records.pop(learner_id, None)
        if record is None:
            record = AttendanceRecord(id=uuid4(), occurrence_id=occurrence.id, learner_id=learner_id)
            record.computed_mark = Mark.PENDING
            session.add(record)
        if _changed(record, computed) and final and loaded.sheet:
            loaded.sheet.evidence_changed = True
        _note_change(occurrence.id, record, computed)
        _write(record, computed)
    for record in records.values():  # no longer on the roster of that day
        if record.override_mark is None and record.final_mark is None:
            session.delete(record)


def _changed(record: AttendanceRecord, computed: LearnerResult) -> bool:
    return record.computed_mark != computed.mark or record.seconds != computed.seconds


def _note_change(occurrence_id: UUID, record: AttendanceRecord, computed: LearnerResult) -> None:
    if record.computed_mark in (Mark.PENDING, computed.mark):
        return
    db.session.execute(
        insert(AttendanceHistory).values(
            occurrence_id=occurrence_id,
            learner_id=record.learner_id,
            occurred_at=clock.now(),
            event=SheetEvent.COMPUTED,
            from_mark=record.computed_mark,
            to_mark=computed.mark,
        )
    )


def _write(record: AttendanceRecord, computed: LearnerResult) -> None:
    values = {
        "computed_mark": computed.mark,
        "seconds": computed.seconds,
        "first_join_at": computed.first_join,
        "last_leave_at": computed.last_leave,
        "stay_count": computed.stay_count,
        "matched_by": list(computed.matched_by),
        "flags": list(computed.flags),
        "is_in_meeting": computed.is_in_meeting,
        "is_late": computed.is_late,
        "left_early": computed.left_early,
    }
    for name, value in values.items():
        if getattr(record, name) != value:
            setattr(record, name, value)


ROSTER_CHANGE_LOOKBACK = timedelta(days=31)  # a roster is put right within the month, and reports are written after it


def mark_roster_changed_sheets(now: datetime) -> int:
    """Mark sheets whose records are not of those who, by now, were on the roster that day: somebody was enrolled
    or withdrawn with an earlier date. The page follows by itself, reports read the records."""
    day = MeetingOccurrence.local_date
    was_enrolled = and_(Enrolment.from_date <= day, or_(Enrolment.until_date.is_(None), Enrolment.until_date >= day))
    has_record = exists().where(
        AttendanceRecord.occurrence_id == AttendanceSheet.occurrence_id,
        AttendanceRecord.learner_id == Enrolment.learner_id,
    )
    is_enrolled = exists().where(
        Enrolment.learner_id == AttendanceRecord.learner_id,
        Enrolment.section_id == SchoolClass.section_id,
        was_enrolled,
    )
    computed = (
        select(AttendanceSheet.occurrence_id)
        .join(MeetingOccurrence, MeetingOccurrence.id == AttendanceSheet.occurrence_id)
        .join(ZoomMeeting, ZoomMeeting.id == MeetingOccurrence.meeting_id)
        .join(SchoolClass, SchoolClass.id == ZoomMeeting.class_id)
        .where(
            AttendanceSheet.computed_at.is_not(None),
            AttendanceSheet.needs_recompute.is_(False),
            MeetingOccurrence.starts_at > now - ROSTER_CHANGE_LOOKBACK,
        )
    )
    missing = computed.join(Enrolment, Enrolment.section_id == SchoolClass.section_id).where(was_enrolled, ~has_record)
    too_many = computed.join(AttendanceRecord, AttendanceRecord.occurrence_id == AttendanceSheet.occurrence_id).where(
        AttendanceRecord.override_mark.is_(None), AttendanceRecord.final_mark.is_(None), ~is_enrolled
    )
    found = set(db.session.scalars(missing)) | set(db.session.scalars(too_many))
    end_read_transaction()
    if found:
        with write_transaction() as session:
            session.execute(
                update(AttendanceSheet).where(AttendanceSheet.occurrence_id.in_(found)).values(needs_recompute=True)
            )
    return len(found)


def mark_overdue_sheets(now: datetime) -> int:
    """Mark sheets of classes that should be over, and never sent their end or were not heard of at all: they
    are computed anew once, as over, and their report is asked."""
    unheard = and_(
        AttendanceSheet.state == SheetState.NOT_STARTED,
        AttendanceSheet.reconcile_at.is_(None),
        AttendanceSheet.reconcile_attempts == 0,
        MeetingOccurrence.state == OccurrenceState.SCHEDULED,
        MeetingOccurrence.is_scheduled,
        ZoomMeeting.zoom_id.is_not(None),
    )
    with write_transaction() as session:
        rows = session.execute(
            select(AttendanceSheet, MeetingOccurrence)
            .join(MeetingOccurrence, MeetingOccurrence.id == AttendanceSheet.occurrence_id)
            .join(ZoomMeeting, ZoomMeeting.id == MeetingOccurrence.meeting_id)
            .outerjoin(SchoolClass, SchoolClass.id == ZoomMeeting.class_id)
            .outerjoin(Section, Section.id == SchoolClass.section_id)
            .where(
                or_(AttendanceSheet.state == SheetState.LIVE, unheard),
                Section.attendance_deleted_at.is_(None),  # of a deleted year nothing is computed any more
                AttendanceSheet.needs_recompute.is_(False),
                MeetingOccurrence.starts_at < now - OVERDUE_AFTER,
            )
        ).all()
        overdue = [sheet for sheet, occurrence in rows if now >= occurrence.ends_at + OVERDUE_AFTER]
        for sheet in overdue:
            sheet.needs_recompute = True
    return len(overdue)
